/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accelerator for tests: no hart ever executes anything, and guest time
 * moves only when the qtest protocol's clock_step says so. Entered by the
 * harts' threads; owns no lock.
 */
#include "accel/accel.h"
#include "system/timer.h"

static bool qtest_init(Vm *vm, Error **errp)
{
    (void)errp;
    vm_clock_set_by_hand(vm);
    return true;
}

static void qtest_run_vcpu(Cpu *cpu)
{
    while (!cpu_stop_requested(cpu)) {
        cpu_sleep(cpu);
        cpu_clear_attention(cpu);
    }
}

const AccelOps accel_qtest = {
    .name = "qtest",
    .description = "runs nothing: for tests that drive the machine themselves",
    .init = qtest_init,
    .run_vcpu = qtest_run_vcpu,
};
