/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "info registers" of the human monitor. Main loop, big lock. */
#include "system/cpu.h"
#include "system/module.h"
#include "system/runstate.h"
#include "util/keyval.h"

typedef struct Dump {
    Vm *vm;
    unsigned first, end;        /* harts */
    GString *out;
} Dump;

static void dump_harts(void *opaque)
{
    Dump *dump = opaque;

    for (unsigned i = dump->first; i < dump->end; i++) {
        Cpu *cpu = dump->vm->cpus->pdata[i];

        g_string_append_printf(dump->out, "\nCPU#%u\n", i);
        cpu->ops->dump(cpu, dump->out);
    }
}

static void hmp_info_registers(Vm *vm, char **args, GString *out)
{
    unsigned count = vm->cpus->len;
    Dump dump = { vm, 0, MIN(count, 1), out };
    uint64_t index;

    if (args[0] && g_str_equal(args[0], "-a")) {
        dump.end = count;
    } else if (args[0]) {
        if (!keyval_parse_uint64(args[0], &index) || index >= count) {
            g_string_append_printf(out, "Error: CPU '%s'; expected -a or a "
                                   "number below %u\n", args[0], count);
            return;
        }
        dump.first = index;
        dump.end = index + 1;
    }
    vm_call_paused(vm, dump_harts, &dump);
}

static const HmpCommand cpus_hmp[] = {
    { "info registers", "[-a|cpu]", "the registers of a hart, or of all",
      hmp_info_registers, NULL },
    { NULL }
};

const VmModule cpus_module = {
    .name = "Harts",
    .hmp = cpus_hmp,
};
