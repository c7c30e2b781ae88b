/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The walk over the command line and the options of the machine, over a
 * machine type of its own.
 */
#include <string.h>

#include <glib.h>

#include "system/cli-int.h"
#include "system/machine.h"
#include "system/memory.h"
#include "system/timer.h"

static const char *const board_keys[] = { "aclint", NULL };
static const MachineType board = {
    .name = "virt",
    .description = "a board",
    .cpu_max = 4,
    .options = board_keys,
};

const MachineType *const machine_types[] = { &board, NULL };

const MachineType *machine_type_find(const char *name)
{
    return g_str_equal(name, "virt") ? &board : NULL;
}

RamBlock *memory_ram_by_index(Memory *mem, unsigned index)
{
    (void)mem;
    (void)index;
    return NULL;
}

int64_t vm_clock_ns(Vm *vm, VmClock clock)
{
    (void)vm;
    (void)clock;
    return 0;
}

void vm_clock_set_host_base(Vm *vm, VmClock base, int64_t offset_ns)
{
    (void)vm;
    (void)base;
    (void)offset_ns;
}

static const VmModule *const modules[] = { &system_module, NULL };

/* Splits @line at spaces, parses it; the error's text (freed), or NULL. */
static char *parse(Vm *vm, const char *line)
{
    g_auto(GStrv) words = g_strsplit(line, " ", -1);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_autoptr(Error) err = NULL;
    bool ok;

    g_ptr_array_add(argv, (char *)"godwit");
    for (char **word = words; *word; word++) {
        g_ptr_array_add(argv, *word);
    }
    memset(vm, 0, sizeof(*vm));
    system_module.create(vm, NULL);
    ok = cli_parse(vm, modules, (int)argv->len, (char **)argv->pdata, &err) &&
         system_module.configure(vm, &err);
    g_assert_true(ok == !err);
    return err ? g_strdup(err->message) : NULL;
}

static void done(Vm *vm)
{
    g_clear_pointer(&vm->name, g_free);
    system_module.destroy(vm);
}

/* The error of @line has @part, and is one line. */
static void fails(const char *line, const char *part)
{
    g_autofree char *message = NULL;
    Vm vm;

    message = parse(&vm, line);
    if (!message || !strstr(message, part) || strchr(message, '\n')) {
        g_error("'%s': '%s' instead of '%s'", line,
                message ? message : "success", part);
    }
    done(&vm);
}

static void works(Vm *vm, const char *line)
{
    g_autofree char *message = parse(vm, line);

    g_assert_cmpstr(message, ==, NULL);
}

static void test_walk(void)
{
    Vm vm;

    works(&vm, "-S --no-reboot -kernel /k --append x");
    g_assert_true(vm.config->start_paused);
    g_assert_true(vm.config->no_reboot);
    g_assert_cmpstr(vm.config->kernel, ==, "/k");
    g_assert_cmpstr(vm.config->append, ==, "x");
    done(&vm);

    fails("-kernal x", "unknown option '-kernal': did you mean '-kernel'?");
    fails("--smq 2", "unknown option '--smq': did you mean '-smp'?");
    fails("-vnc :0", "unknown option '-vnc': -help lists all");
    fails("disk.img", "unexpected argument 'disk.img'");
    fails("-", "unexpected argument '-'");
    fails("-S -m", "-m: an argument is missing: -m ");
}

static void test_nearest(void)
{
    static const char *const names[] = { "machine", "monitor", "m", NULL };

    g_assert_cmpstr(cli_nearest("mahcine", names), ==, "machine");
    g_assert_cmpstr(cli_nearest("monitr", names), ==, "monitor");
    g_assert_cmpstr(cli_nearest("x", names), ==, NULL);
    g_assert_cmpstr(cli_nearest("display", names), ==, NULL);
}

static void test_machine(void)
{
    Vm vm;

    works(&vm, "-M virt,usb=off,dump-guest-core=off -machine "
          "memory-backend=mig.mem -machine accel=kvm:tcg,aclint=on,acpi=off");
    g_assert_cmpstr(vm.config->type, ==, "virt");
    g_assert_cmpstr(vm.config->memory_backend, ==, "mig.mem");
    g_assert_cmpstr(vm.config->accel, ==, "kvm:tcg");
    g_assert_true(vm.config->no_core_dump);
    g_assert_cmpstr(g_hash_table_lookup(vm.config->options, "aclint"), ==,
                    "on");
    done(&vm);

    works(&vm, "-M {\"type\":\"virt\",\"usb\":false}");
    done(&vm);
    works(&vm, "-S");
    g_assert_cmpstr(vm.config->type, ==, "virt");
    done(&vm);

    fails("-M pc", "-M pc: 'type': there is no machine 'pc', only: virt");
    fails("-M virt,usb=on", "'usb': 'on' is not supported, only 'off'");
    fails("-M virt,hmat=on", "machine 'virt' has no key 'hmat'");
    fails("-M virt,dump-guest-core=maybe", "neither on nor off");
    fails("-append x", "-append: only allowed with -kernel");
}

static void smp(const char *text, unsigned cpus, unsigned sockets,
                unsigned clusters, unsigned cores, unsigned threads)
{
    g_autofree char *line = g_strconcat("-smp ", text, NULL);
    Vm vm;

    works(&vm, line);
    g_assert_cmpuint(vm.config->cpus, ==, cpus);
    g_assert_cmpuint(vm.config->sockets, ==, sockets);
    g_assert_cmpuint(vm.config->clusters, ==, clusters);
    g_assert_cmpuint(vm.config->cores, ==, cores);
    g_assert_cmpuint(vm.config->threads, ==, threads);
    done(&vm);
}

static void test_smp(void)
{
    smp("4", 4, 1, 1, 4, 1);
    smp("1,sockets=1,cores=1,threads=1", 1, 1, 1, 1, 1);
    smp("1,sockets=1,dies=1,clusters=1,cores=1,threads=1", 1, 1, 1, 1, 1);
    smp("cpus=4,sockets=2", 4, 2, 1, 2, 1);
    smp("cpus=4,cores=2", 4, 2, 1, 2, 1);
    smp("cores=3", 3, 1, 1, 3, 1);
    smp("4,clusters=2,threads=2,maxcpus=4", 4, 1, 2, 1, 2);
    fails("-smp 0", "'0' is not a number of 1 to 8");
    fails("-smp 9", "'9' is not a number");
    fails("-smp -1", "is not a number");
    fails("-smp 99999999999999999999", "is not a number");
    fails("-smp two", "'two' is not a number");
    fails("-smp 5", "at most 4 CPUs, not 5");
    fails("-smp 4,cores=3", "is not the number of CPUs, 4");
    fails("-smp 2,sockets=8,cores=8,threads=8", "is not the number of CPUs");
    fails("-smp 2,maxcpus=4", "none can be added later");
    fails("-smp 2,dies=2", "only '1'");
    fails("-smp 2,core=2", "unknown key 'core'");
}

static void memory(const char *text, uint64_t size)
{
    g_autofree char *line = g_strconcat("-m ", text, NULL);
    Vm vm;

    works(&vm, line);
    g_assert_cmpuint(vm.config->ram_size, ==, size);
    done(&vm);
}

static void test_memory(void)
{
    memory("512", UINT64_C(512) << 20);
    memory("size=524288k", UINT64_C(512) << 20);
    memory("1T", UINT64_C(1) << 40);
    memory("4097B", 8192);
    fails("-m 0", "no size");
    fails("-m -5", "no size");
    fails("-m 16E", "no size");
    fails("-m 12x", "'12x' is no size");
    fails("-m 512,slots=2,maxmem=1G", "only '0'");
}

static void test_name_uuid(void)
{
    static const uint8_t want[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
                                      0xcd, 0xef, 0x01, 0x23, 0x45, 0x67,
                                      0x89, 0xab, 0xcd, 0xef };
    Vm vm;

    works(&vm, "-name guest=a,,b,debug-threads=on "
          "-uuid 01234567-89ab-CDEF-0123-456789abcdef");
    g_assert_cmpstr(vm.name, ==, "a,b");
    g_assert_true(vm.uuid_set);
    g_assert_cmpmem(vm.uuid, 16, want, 16);
    done(&vm);
    works(&vm, "-name source");
    g_assert_cmpstr(vm.name, ==, "source");
    done(&vm);
    fails("-uuid 0123456789abcdef0123456789abcdef", "no UUID");
    fails("-uuid 01234567-89ab-cdef-0123-456789abcde", "no UUID");
    fails("-uuid 01234567-89ab-cdef-0123-456789abcdeff", "no UUID");
    fails("-uuid 01234567-89ab-cdef-0123-456789abcdeg", "no UUID");
}

static void test_rtc(void)
{
    Vm vm;

    works(&vm, "-rtc base=utc,clock=vm,driftfix=none");
    g_assert_cmpint(vm.config->rtc_shift_s, ==, 0);
    g_assert_cmpint(vm.config->rtc_clock, ==, RTC_CLOCK_VIRTUAL);
    done(&vm);
    works(&vm, "-rtc base=1970-01-01");
    g_assert_cmpint(vm.config->rtc_shift_s, <, INT64_C(-1700000000));
    done(&vm);
    works(&vm, "-rtc base=2100-06-17T16:01:21");
    g_assert_cmpint(vm.config->rtc_shift_s, >, 0);
    done(&vm);
    fails("-rtc base=9999-01-01", "too far from now");
    fails("-rtc base=noon", "'noon' is no time");
    fails("-rtc clock=cpu", "no clock 'cpu'");
}

static void test_help(void)
{
    g_autofree char *text = cli_help_text(modules);

    for (const CliOption *o = system_module.options; o->name; o++) {
        g_autofree char *line = g_strdup_printf("\n-%s%s", o->name,
                                                o->argument ? " " : "\n");

        g_assert_nonnull(strstr(text, line));
    }
}

/* What management is told is of options that there are. */
static void test_parameters(void)
{
    static const CliKey kinds[] = {
        { "a", "on|off", NULL }, { "b", "off", NULL }, { "c", "N", NULL },
        { "d", "SIZE", NULL }, { "e", "on|off|auto", NULL },
        { "f", "FILE", NULL },
    };
    static const MemberKind expected[] = {
        MEMBER_BOOL, MEMBER_BOOL, MEMBER_NUMBER, MEMBER_SIZE, MEMBER_TEXT,
        MEMBER_TEXT,
    };

    for (const CliParameters *p = system_module.parameters; p->option; p++) {
        const CliOption *o = system_module.options;

        while (o->name && !g_str_equal(o->name, p->option)) {
            o++;
        }
        g_assert_nonnull(o->name);
        g_assert_nonnull(o->argument);
        g_assert_nonnull(p->keys);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_assert_cmpint(cli_key_kind(&kinds[i]), ==, expected[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cli/walk", test_walk);
    g_test_add_func("/cli/nearest", test_nearest);
    g_test_add_func("/cli/machine", test_machine);
    g_test_add_func("/cli/smp", test_smp);
    g_test_add_func("/cli/memory", test_memory);
    g_test_add_func("/cli/name-uuid", test_name_uuid);
    g_test_add_func("/cli/rtc", test_rtc);
    g_test_add_func("/cli/help", test_help);
    g_test_add_func("/cli/parameters", test_parameters);
    return g_test_run();
}
