/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options that describe the machine: -machine, -cpu, -m, -kernel and
 * their kin. They are written down in vm->config, which the board reads.
 * -smp is in cli-smp.c, -rtc in cli-rtc.c. Main thread; no lock.
 */
#include <string.h>

#include "system/cli-int.h"
#include "system/machine.h"
#include "system/memory.h"
#include "system/timer.h"
#include "util/keyval.h"

static bool set_type(Vm *vm, const char *value, Error **errp)
{
    if (g_str_equal(value, "help") || g_str_equal(value, "?")) {
        g_autoptr(GString) out = g_string_new("Supported machines are:\n");

        for (const MachineType *const *t = machine_types; *t; t++) {
            g_string_append_printf(out, "%-20s %s\n", (*t)->name,
                                   (*t)->description);
        }
        cli_exit_help(out->str);
    }
    if (!machine_type_find(value)) {
        g_autoptr(GString) names = g_string_new("");

        for (const MachineType *const *t = machine_types; *t; t++) {
            g_string_append_printf(names, "%s%s", names->len ? ", " : "",
                                   (*t)->name);
        }
        error_setg(errp, "there is no machine '%s', only: %s", value,
                   names->str);
        return false;
    }
    cli_set_text(&vm->config->type, value);
    return true;
}

static bool set_memory_backend(Vm *vm, const char *value, Error **errp)
{
    (void)errp;
    cli_set_text(&vm->config->memory_backend, value);
    return true;
}

static bool set_accel(Vm *vm, const char *value, Error **errp)
{
    (void)errp;
    cli_set_text(&vm->config->accel, value);
    return true;
}

static bool set_dump_guest_core(Vm *vm, const char *value, Error **errp)
{
    bool on;

    if (!cli_parse_bool(value, &on, errp)) {
        return false;
    }
    vm->config->no_core_dump = !on;
    return true;
}

static bool set_mem_merge(Vm *vm, const char *value, Error **errp)
{
    return cli_parse_bool(value, &vm->config->mem_merge, errp);
}

/* There is no auxiliary RAM that it could concern. */
static bool set_aux_ram_share(Vm *vm, const char *value, Error **errp)
{
    bool on;

    (void)vm;
    return cli_parse_bool(value, &on, errp);
}

static bool set_absent(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    return cli_parse_only(value, "off", errp);
}

static bool set_kernel(Vm *vm, const char *value, Error **errp)
{
    (void)errp;
    cli_set_text(&vm->config->kernel, value);
    return true;
}

static bool set_initrd(Vm *vm, const char *value, Error **errp)
{
    (void)errp;
    cli_set_text(&vm->config->initrd, value);
    return true;
}

static bool set_append(Vm *vm, const char *value, Error **errp)
{
    (void)errp;
    cli_set_text(&vm->config->append, value);
    return true;
}

static bool set_bios(Vm *vm, const char *value, Error **errp)
{
    (void)errp;
    cli_set_text(&vm->config->bios, value);
    return true;
}

static const CliKey machine_keys[] = {
    { "type", "NAME", set_type },
    { "accel", "NAME[:NAME...]", set_accel },
    { "memory-backend", "ID", set_memory_backend },
    { "kernel", "FILE", set_kernel },
    { "initrd", "FILE", set_initrd },
    { "append", "TEXT", set_append },
    { "firmware", "FILE", set_bios },
    { "dump-guest-core", "on|off", set_dump_guest_core },
    { "mem-merge", "on|off", set_mem_merge },
    { "aux-ram-share", "on|off", set_aux_ram_share },
    { "usb", "off", set_absent },
    { "acpi", "off", set_absent },
    { "graphics", "off", set_absent },
    { NULL, NULL, NULL }
};

/* A board's own key; which board, is known when all has been read. */
static bool set_board_key(Vm *vm, const char *key, const char *value,
                          Error **errp)
{
    (void)errp;
    g_hash_table_replace(vm->config->options, g_strdup(key), g_strdup(value));
    return true;
}

static bool parse_machine(Vm *vm, const char *argument, Error **errp)
{
    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        return set_type(vm, argument, errp);
    }
    return cli_parse_keys(vm, argument, "type", machine_keys, set_board_key,
                          errp);
}

static bool check_board_keys(Vm *vm, Error **errp)
{
    const MachineType *type = machine_type_find(vm->config->type);
    GHashTableIter iter;
    gpointer key;

    g_hash_table_iter_init(&iter, vm->config->options);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        g_autoptr(GString) known = g_string_new("");

        if (type->options && g_strv_contains(type->options, key)) {
            continue;
        }
        for (const CliKey *k = machine_keys; k->name; k++) {
            g_string_append_printf(known, "%s%s", known->len ? ", " : "",
                                   k->name);
        }
        for (const char *const *o = type->options; o && *o; o++) {
            g_string_append_printf(known, ", %s", *o);
        }
        error_setg(errp, "-machine: machine '%s' has no key '%s', expected "
                   "one of: %s", type->name, (char *)key, known->str);
        return false;
    }
    return true;
}

static void print_cpus(void)
{
    g_autoptr(GString) out = g_string_new("Available CPUs:\n");

    for (const MachineType *const *t = machine_types; *t; t++) {
        if ((*t)->default_cpu) {
            g_string_append_printf(out, "  %s\n", (*t)->default_cpu);
        }
    }
    cli_exit_help(out->str);
}

static bool parse_cpu(Vm *vm, const char *argument, Error **errp)
{
    (void)errp;
    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        print_cpus();
    }
    cli_set_text(&vm->config->cpu_type, argument);
    return true;
}

static bool set_size(Vm *vm, const char *value, Error **errp)
{
    uint64_t size;

    if (!keyval_parse_size_suffix(value, 'M', &size) || size == 0 ||
        size > UINT64_MAX - GUEST_PAGE_SIZE) {
        error_setg(errp, "'%s' is no size: a number of MiB, or one with a "
                   "suffix of K, M, G, T, is expected", value);
        return false;
    }
    size = (size + GUEST_PAGE_SIZE - 1) & ~(GUEST_PAGE_SIZE - 1);
    vm->config->ram_size = size;
    return true;
}

static bool set_slots(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    return cli_parse_only(value, "0", errp);
}

static const CliKey memory_keys[] = {
    { "size", "SIZE", set_size },
    { "slots", "0", set_slots },
    { NULL, NULL, NULL }
};

static bool parse_memory(Vm *vm, const char *argument, Error **errp)
{
    return cli_parse_keys(vm, argument, "size", memory_keys, NULL, errp);
}

static bool set_guest_name(Vm *vm, const char *value, Error **errp)
{
    (void)errp;
    cli_set_text(&vm->name, value);
    return true;
}

/* Threads have their names in any case. */
static bool set_debug_threads(Vm *vm, const char *value, Error **errp)
{
    bool on;

    (void)vm;
    return cli_parse_bool(value, &on, errp);
}

static const CliKey name_keys[] = {
    { "guest", "TEXT", set_guest_name },
    { "debug-threads", "on|off", set_debug_threads },
    { NULL, NULL, NULL }
};

static bool parse_name(Vm *vm, const char *argument, Error **errp)
{
    return cli_parse_keys(vm, argument, "guest", name_keys, NULL, errp);
}

/* Where the hyphens of a UUID are (RFC 9562 section 4). */
static bool is_uuid_hyphen(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static bool parse_uuid(Vm *vm, const char *argument, Error **errp)
{
    uint8_t uuid[16];
    size_t n = 0, i;

    for (i = 0; argument[i] && i < 36; i++) {
        int digit = g_ascii_xdigit_value(argument[i]);

        if (is_uuid_hyphen(i) ? argument[i] != '-' : digit < 0) {
            break;
        }
        if (!is_uuid_hyphen(i)) {
            uuid[n / 2] = (uint8_t)(n % 2 ? uuid[n / 2] << 4 | digit : digit);
            n++;
        }
    }
    if (i != 36 || argument[i]) {
        error_setg(errp, "no UUID: expected is "
                   "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx in hexadecimal");
        return false;
    }
    memcpy(vm->uuid, uuid, sizeof(uuid));
    vm->uuid_set = true;
    return true;
}

static bool set_menu(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    return cli_parse_only(value, "off", errp);
}

/* There is one way to boot, so it is strict already. */
static bool set_strict(Vm *vm, const char *value, Error **errp)
{
    bool on;

    (void)vm;
    return cli_parse_bool(value, &on, errp);
}

static const CliKey boot_keys[] = {
    { "strict", "on|off", set_strict },
    { "menu", "off", set_menu },
    { NULL, NULL, NULL }
};

static bool parse_boot(Vm *vm, const char *argument, Error **errp)
{
    return cli_parse_keys(vm, argument, NULL, boot_keys, NULL, errp);
}

#define FLAG_OPTION(function, field)                                           \
    static bool function(Vm *vm, const char *argument, Error **errp)           \
    {                                                                          \
        (void)argument;                                                        \
        (void)errp;                                                            \
        vm->config->field = true;                                              \
        return true;                                                           \
    }

FLAG_OPTION(parse_nodefaults, no_defaults)
FLAG_OPTION(parse_nographic, nographic)
FLAG_OPTION(parse_paused, start_paused)
FLAG_OPTION(parse_no_reboot, no_reboot)
FLAG_OPTION(parse_no_shutdown, no_shutdown)

static bool parse_no_user_config(Vm *vm, const char *argument, Error **errp)
{
    (void)vm;
    (void)argument;
    (void)errp;
    return true;
}

static const CliOption options[] = {
    { "machine", "[type=]NAME[,KEY=VALUE...]",
      "the board; 'help' lists them (default: virt)\n"
      "accel=NAME[:NAME...]  as several -accel\n"
      "memory-backend=ID     the -object that is its RAM\n"
      "dump-guest-core=off   leave RAM out of core dumps",
      parse_machine },
    { "M", "[type=]NAME[,KEY=VALUE...]", "the same as -machine",
      parse_machine },
    { "cpu", "NAME", "the kind of hart; 'help' lists them", parse_cpu },
    { "smp", "[cpus=]N[,sockets=N][,clusters=N][,cores=N][,threads=N]"
      "[,maxcpus=N]",
      "how many harts (default: 1), and how they are grouped", cli_parse_smp },
    { "m", "[size=]SIZE",
      "size of RAM in MiB, or with one of the suffixes K, M, G, T",
      parse_memory },
    { "name", "[guest=]TEXT[,debug-threads=on]", "the machine's name",
      parse_name },
    { "uuid", "UUID", "the machine's UUID", parse_uuid },
    { "kernel", "FILE", "a kernel to boot: ELF, Linux Image, or raw",
      set_kernel },
    { "initrd", "FILE", "an initial RAM disk for -kernel", set_initrd },
    { "append", "TEXT", "the command line for -kernel", set_append },
    { "bios", "FILE", "firmware: a file, 'none' or 'default' (OpenSBI)",
      set_bios },
    { "boot", "strict=on|off", "accepted: there is one way to boot",
      parse_boot },
    { "rtc", "[base=utc|localtime|DATETIME][,clock=host|rt|vm]",
      "what the board's clock starts at, and what it follows",
      cli_parse_rtc },
    { "nodefaults", NULL, "no devices but those that are asked for",
      parse_nodefaults },
    { "no-user-config", NULL, "accepted: there is no user configuration",
      parse_no_user_config },
    { "nographic", NULL,
      "serial port and monitor on the terminal; Ctrl-a h helps",
      parse_nographic },
    { "S", NULL, "wait for 'cont' before the guest runs", parse_paused },
    { "no-reboot", NULL, "exit when the guest reboots", parse_no_reboot },
    { "no-shutdown", NULL, "pause when the guest powers off",
      parse_no_shutdown },
    { NULL, NULL, NULL, NULL }
};

static const CliParameters parameters[] = {
    { "machine", NULL, machine_keys, NULL },
    { "M", NULL, machine_keys, NULL },
    { "smp", "smp-opts", cli_smp_keys, NULL },
    { "m", "memory", memory_keys, NULL },
    { "name", NULL, name_keys, NULL },
    { "boot", "boot-opts", boot_keys, NULL },
    { "rtc", NULL, cli_rtc_keys, NULL },
    { NULL, NULL, NULL, NULL }
};

static bool system_create(Vm *vm, Error **errp)
{
    (void)errp;
    vm->config = machine_config_new();
    return true;
}

/* What VM_CLOCK_HOST is, from -rtc. */
static void set_clock(Vm *vm)
{
    static const VmClock clocks[] = {
        [RTC_CLOCK_HOST] = VM_CLOCK_HOST,
        [RTC_CLOCK_REALTIME] = VM_CLOCK_REALTIME,
        [RTC_CLOCK_VIRTUAL] = VM_CLOCK_VIRTUAL,
    };
    VmClock base = clocks[vm->config->rtc_clock];
    int64_t offset = vm->config->rtc_shift_s * INT64_C(1000000000);

    if (base != VM_CLOCK_HOST) {
        offset += vm_clock_ns(vm, VM_CLOCK_HOST) - vm_clock_ns(vm, base);
    }
    vm_clock_set_host_base(vm, base, offset);
}

static bool system_configure(Vm *vm, Error **errp)
{
    MachineConfig *config = vm->config;
    const MachineType *type;

    if (!config->type) {
        config->type = g_strdup("virt");
    }
    type = machine_type_find(config->type);
    if (!type) {
        error_setg(errp, "no machine is asked for: -machine help lists them");
        return false;
    }
    if (config->cpus > type->cpu_max && type->cpu_max) {
        error_setg(errp, "-smp: machine '%s' has at most %u CPUs, not %u",
                   type->name, type->cpu_max, config->cpus);
        return false;
    }
    set_clock(vm);
    if (config->append && !config->kernel) {
        error_setg(errp, "-append: only allowed with -kernel");
        return false;
    }
    if (config->initrd && !config->kernel) {
        error_setg(errp, "-initrd: only allowed with -kernel");
        return false;
    }
    return check_board_keys(vm, errp);
}

static void system_destroy(Vm *vm)
{
    g_clear_pointer(&vm->config, machine_config_free);
}

const VmModule system_module = {
    .name = "Machine",
    .create = system_create,
    .options = options,
    .parameters = parameters,
    .configure = system_configure,
    .destroy = system_destroy,
};
