/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -smp: how many harts, and their topology. What is not said is worked out,
 * cores first, so that the product of the levels is the number of harts. Main
 * thread; no lock.
 */
#include "system/cli-int.h"
#include "system/machine.h"
#include "util/keyval.h"

enum { SMP_CPUS, SMP_MAXCPUS, SMP_SOCKETS, SMP_CLUSTERS, SMP_CORES,
       SMP_THREADS, SMP_COUNT };

const CliKey cli_smp_keys[] = {
    [SMP_CPUS] = { "cpus", "N", NULL },
    [SMP_MAXCPUS] = { "maxcpus", "N", NULL },
    [SMP_SOCKETS] = { "sockets", "N", NULL },
    [SMP_CLUSTERS] = { "clusters", "N", NULL },
    [SMP_CORES] = { "cores", "N", NULL },
    [SMP_THREADS] = { "threads", "N", NULL },
    [SMP_COUNT] = { NULL, NULL, NULL }
};

/* Of cli_parse_keys' walk: what has been said, 0 where nothing was. */
typedef struct Smp {
    unsigned said[SMP_COUNT];
} Smp;

static bool parse_count(const char *value, unsigned *count, Error **errp)
{
    uint64_t number;

    if (!keyval_parse_uint64(value, &number) || number == 0 ||
        number > MACHINE_CPUS_MAX) {
        error_setg(errp, "'%s' is not a number of 1 to %d", value,
                   MACHINE_CPUS_MAX);
        return false;
    }
    *count = (unsigned)number;
    return true;
}

/* Levels that this kind of machine does not have, so that there is one each. */
static bool is_absent_level(const char *key)
{
    static const char *const names[] = { "dies", "books", "drawers",
                                         "modules", NULL };

    return g_strv_contains(names, key);
}

static bool read_levels(json_object *object, Smp *smp, Error **errp)
{
    json_object_object_foreach(object, key, value) {
        const char *text = json_object_get_string(value);
        int level;

        if (is_absent_level(key)) {
            if (!cli_parse_only(text, "1", errp)) {
                error_prepend(errp, "'%s': ", key);
                return false;
            }
            continue;
        }
        for (level = 0; level < SMP_COUNT; level++) {
            if (g_str_equal(key, cli_smp_keys[level].name)) {
                break;
            }
        }
        if (level == SMP_COUNT) {
            cli_unknown_key(cli_smp_keys, key, errp);
            return false;
        }
        if (!parse_count(text, &smp->said[level], errp)) {
            error_prepend(errp, "'%s': ", key);
            return false;
        }
    }
    return true;
}

/* 1 where nothing was said. */
static unsigned or_one(unsigned n)
{
    return n ? n : 1;
}

static bool work_out(Smp *smp, MachineConfig *config, Error **errp)
{
    unsigned *n = smp->said;
    unsigned cpus = n[SMP_CPUS] ? n[SMP_CPUS] : n[SMP_MAXCPUS];
    unsigned clusters = or_one(n[SMP_CLUSTERS]);
    unsigned threads = or_one(n[SMP_THREADS]);
    unsigned sockets = n[SMP_SOCKETS], cores = n[SMP_CORES];

    if (!cpus) {
        cpus = or_one(sockets) * clusters * or_one(cores) * threads;
    }
    if (!cores) {
        cores = or_one(cpus / (or_one(sockets) * clusters * threads));
    }
    if (!sockets) {
        sockets = or_one(cpus / (clusters * cores * threads));
    }
    if (sockets * clusters * cores * threads != cpus) {
        error_setg(errp, "sockets (%u) * clusters (%u) * cores (%u) * "
                   "threads (%u) is not the number of CPUs, %u", sockets,
                   clusters, cores, threads, cpus);
        return false;
    }
    if (n[SMP_MAXCPUS] && n[SMP_MAXCPUS] != cpus) {
        error_setg(errp, "maxcpus (%u) has to be the number of CPUs, %u: "
                   "none can be added later", n[SMP_MAXCPUS], cpus);
        return false;
    }
    if (cpus > MACHINE_CPUS_MAX) {
        error_setg(errp, "%u CPUs are more than the %d there can be", cpus,
                   MACHINE_CPUS_MAX);
        return false;
    }
    config->cpus = cpus;
    config->sockets = sockets;
    config->clusters = clusters;
    config->cores = cores;
    config->threads = threads;
    return true;
}

bool cli_parse_smp(Vm *vm, const char *argument, Error **errp)
{
    g_autoptr(JsonObject) object = NULL;
    bool help = false;
    Smp smp = { { 0 } };

    object = keyval_parse(argument, "cpus", &help, errp);
    if (!object) {
        return false;
    }
    if (help) {
        g_clear_pointer(&object, json_object_put);
        cli_exit_keys(cli_smp_keys);
    }
    return read_levels(object, &smp, errp) &&
           work_out(&smp, vm->config, errp);
}
