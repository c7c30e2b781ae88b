/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-sim: the command line, and what is told at the end. The main thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config-host.h"
#include "control.h"
#include "sim-host.h"

/* As many as there are slots for on a bus. */
#define DEVICES_MAX 31

typedef struct Arguments {
    GPtrArray *devices; /* of SimOptions */
    const char *log;
    const char *control; /* path of the socket */
    bool exec;
    char **command;
} Arguments;

static void print_help(void)
{
    g_autoptr(GString) keys = g_string_new(NULL);

    sim_options_help(keys);
    printf("Usage: vfio-sim [OPTIONS] --device KEY=VALUE,... "
           "[--device ...] -- COMMAND [ARG...]\n"
           "Runs COMMAND as if the host had VFIO PCI devices that can "
           "migrate.\n"
           "In every ARG, @iommufd@ and @ID@ become descriptor numbers, "
           "@ID:sysfs@ the\nfolder of a device.\n\n"
           "Options:\n"
           "  --control unix:PATH  take commands there\n"
           "  --exec               COMMAND keeps this process and its number\n"
           "  --log FILE           write a line for each call answered\n"
           "  --help               this text\n"
           "  --version            the version\n\n"
           "Keys of --device, with their defaults:\n%s", keys->str);
}

static bool add_device(Arguments *a, const char *text, Error **errp)
{
    SimOptions *o = sim_options_parse(text, errp);

    if (!o) {
        error_prepend(errp, "--device %s: ", text);
        return false;
    }
    for (guint i = 0; i < a->devices->len; i++) {
        const SimOptions *other = g_ptr_array_index(a->devices, i);

        if (!strcmp(o->id, other->id)) {
            error_setg(errp, "--device %s: there is a device '%s' already",
                       text, o->id);
            sim_options_free(o);
            return false;
        }
    }
    if (a->devices->len == DEVICES_MAX) {
        error_setg(errp, "--device %s: there can be at most %d devices", text,
                   DEVICES_MAX);
        sim_options_free(o);
        return false;
    }
    if (!strcmp(o->id, "iommufd")) {
        error_setg(errp, "--device %s: 'iommufd' is no name for a device",
                   text);
        sim_options_free(o);
        return false;
    }
    g_ptr_array_add(a->devices, o);
    return true;
}

static bool parse(Arguments *a, int argc, char **argv, Error **errp)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help")) {
            print_help();
            exit(EXIT_SUCCESS);
        }
        if (!strcmp(argv[i], "--version")) {
            printf("vfio-sim (Godwit) %s\n", GODWIT_VERSION);
            exit(EXIT_SUCCESS);
        }
        if (!strcmp(argv[i], "--")) {
            a->command = argv + i + 1;
            break;
        }
        if (!strcmp(argv[i], "--exec")) {
            a->exec = true;
        } else if (i + 1 < argc && !strcmp(argv[i], "--device")) {
            if (!add_device(a, argv[++i], errp)) {
                return false;
            }
        } else if (i + 1 < argc && !strcmp(argv[i], "--log")) {
            a->log = argv[++i];
        } else if (i + 1 < argc && !strcmp(argv[i], "--control")) {
            if (!g_str_has_prefix(argv[++i], "unix:")) {
                error_setg(errp, "--control %s: expected unix:PATH", argv[i]);
                return false;
            }
            a->control = argv[i] + strlen("unix:");
        } else {
            error_setg(errp, "unexpected argument '%s': see --help", argv[i]);
            return false;
        }
    }
    if (!a->devices->len || !a->command || !a->command[0]) {
        error_setg(errp, "expected --device KEY=VALUE,... -- COMMAND: see "
                   "--help");
        return false;
    }
    return true;
}

static void report(SimDevice *d)
{
    uint64_t digest;

    g_mutex_lock(&d->lock);
    fprintf(stderr, "vfio-sim: %s: state %s", d->options->id,
            sim_mig_state_name(d->mig->current));
    if (sim_state_digest(d->mig->state, &digest)) {
        fprintf(stderr, ", migrated with digest %016" PRIx64, digest);
    }
    if (d->mig->refusal) {
        fprintf(stderr, ", refused: %s", d->mig->refusal);
    }
    fputc('\n', stderr);
    g_mutex_unlock(&d->lock);
}

static int run(Arguments *a, int log_fd, Error **errp)
{
    SimHost *h = sim_host_new(a->devices, log_fd, errp);
    SimControl *control = NULL;
    char **argv = NULL;
    int status = -1;

    if (!h) {
        return -1;
    }
    if (a->control && !(control = sim_control_new(a->control, h->devices,
                                                  errp))) {
        goto out;
    }
    argv = sim_host_fill_in(h, a->command, errp);
    if (!argv || !supervisor_start(h->supervisor, argv, a->exec, errp)) {
        goto out;
    }
    if (control) {
        sim_control_start(control);
    }
    for (guint i = 0; i < h->devices->len; i++) {
        sim_dma_start(g_ptr_array_index(h->devices, i));
    }
    status = supervisor_wait(h->supervisor);
    for (guint i = 0; i < h->devices->len; i++) {
        sim_dma_stop(g_ptr_array_index(h->devices, i));
    }
out:
    sim_control_free(control);
    sim_host_stop(h);
    for (guint i = 0; status >= 0 && i < h->devices->len; i++) {
        report(g_ptr_array_index(h->devices, i));
    }
    sim_host_free(h);
    g_strfreev(argv);
    return status;
}

int main(int argc, char **argv)
{
    Arguments a = {g_ptr_array_new_with_free_func(
        (GDestroyNotify)sim_options_free)};
    Error *err = NULL;
    int log_fd = -1, status = -1;

    if (parse(&a, argc, argv, &err)) {
        if (a.log) {
            log_fd = open(a.log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND |
                          O_CLOEXEC, 0644);
        }
        if (a.log && log_fd < 0) {
            error_setg_errno(&err, errno, "opening log '%s'", a.log);
        } else {
            status = run(&a, log_fd, &err);
        }
    }
    if (err) {
        fprintf(stderr, "vfio-sim: %s\n", err->message);
        g_error_free(err);
    }
    if (log_fd >= 0) {
        close(log_fd);
    }
    g_ptr_array_unref(a.devices);
    return status < 0 ? SIM_EXIT_FAILED : status;
}
