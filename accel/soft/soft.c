/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The software accelerator: each hart's thread runs the target's interpreter.
 * Entered by the harts' threads; owns no lock.
 */
#include "accel/accel.h"
#include "system/memory.h"

static bool soft_init(Vm *vm, Error **errp)
{
    (void)errp;
    memory_set_vcpu_barrier(vm->memory, cpus_barrier, vm);
    return true;
}

static void soft_run_vcpu(Cpu *cpu)
{
    while (!cpu_stop_requested(cpu)) {
        cpu_throttle(cpu);
        if (cpu_run(cpu) == CPU_EXIT_HALTED) {
            cpu_sleep(cpu);
        }
        cpu_clear_attention(cpu);
    }
}

const AccelOps accel_tcg = {
    .name = "tcg",
    .description = "interprets the guest's instructions in software",
    .init = soft_init,
    .run_vcpu = soft_run_vcpu,
};
