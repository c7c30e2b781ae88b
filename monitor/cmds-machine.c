/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands about the machine as a whole. Main loop, big lock. */
#include "accel/accel.h"
#include "qapi/qapi-commands-accelerator.h"
#include "qapi/qapi-commands-machine.h"
#include "qapi/qapi-commands-misc.h"
#include "qapi/qapi-commands-run-state.h"
#include "system/cpu.h"
#include "system/holdings.h"
#include "system/machine.h"
#include "system/runstate.h"

bool qmp_query_status(Vm *vm, StatusInfo **ret, Error **errp)
{
    (void)errp;
    *ret = g_new0(StatusInfo, 1);
    (*ret)->status = runstate_get(vm);
    (*ret)->running = runstate_is_running(vm);
    return true;
}

bool qmp_stop(Vm *vm, Error **errp)
{
    (void)errp;
    if (runstate_get(vm) == RUN_STATE_INMIGRATE) {
        /* What is coming in will not run of itself. */
        vm->config->start_paused = true;
    } else if (runstate_is_running(vm)) {
        vm_stop(vm, RUN_STATE_PAUSED);
    }
    return true;
}

bool qmp_cont(Vm *vm, Error **errp)
{
    switch (runstate_get(vm)) {
    case RUN_STATE_RUNNING:
    case RUN_STATE_SUSPENDED:
        return true;
    case RUN_STATE_INMIGRATE:
        vm->config->start_paused = false;
        return true;
    case RUN_STATE_SHUTDOWN:
    case RUN_STATE_INTERNAL_ERROR:
        error_setg(errp, "Resetting the Virtual Machine is required");
        return false;
    case RUN_STATE_FINISH_MIGRATE:
        error_setg(errp, "Migration is not finalized yet");
        return false;
    default:
        if (!holdings_take(vm, errp)) {
            return false;
        }
        vm_start(vm);
        return true;
    }
}

bool qmp_system_reset(Vm *vm, Error **errp)
{
    (void)errp;
    vm_request_reset(vm, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    return true;
}

bool qmp_system_powerdown(Vm *vm, Error **errp)
{
    (void)errp;
    vm_request_powerdown(vm);
    return true;
}

bool qmp_set_action(Vm *vm, bool has_reboot, RebootAction reboot,
                    bool has_shutdown, ShutdownAction shutdown,
                    bool has_panic, PanicAction panic, Error **errp)
{
    (void)has_panic;
    (void)panic;
    (void)errp;
    if (has_reboot) {
        vm->config->no_reboot = reboot == REBOOT_ACTION_SHUTDOWN;
    }
    if (has_shutdown) {
        vm->config->no_shutdown = shutdown == SHUTDOWN_ACTION_PAUSE;
    }
    return true;
}

bool qmp_query_uuid(Vm *vm, UuidInfo **ret, Error **errp)
{
    const uint8_t *u = vm->uuid;

    (void)errp;
    *ret = g_new0(UuidInfo, 1);
    (*ret)->UUID = g_strdup_printf(
        "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
        u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10],
        u[11], u[12], u[13], u[14], u[15]);
    return true;
}

bool qmp_query_target(Vm *vm, TargetInfo **ret, Error **errp)
{
    (void)vm;
    (void)errp;
    *ret = g_new0(TargetInfo, 1);
    (*ret)->arch = SYS_EMU_TARGET_RISCV64;
    return true;
}

/* Where hart @index sits, threads counting up first. */
static CpuInstanceProperties *cpu_place(const MachineConfig *config,
                                        unsigned index)
{
    CpuInstanceProperties *props = g_new0(CpuInstanceProperties, 1);
    unsigned threads = MAX(config->threads, 1);
    unsigned cores = MAX(config->cores, 1);
    unsigned clusters = MAX(config->clusters, 1);

    props->has_thread_id = true;
    props->thread_id = index % threads;
    props->has_core_id = true;
    props->core_id = index / threads % cores;
    props->has_cluster_id = true;
    props->cluster_id = index / threads / cores % clusters;
    props->has_socket_id = true;
    props->socket_id = index / threads / cores / clusters;
    return props;
}

bool qmp_query_cpus_fast(Vm *vm, CpuInfoFastList **ret, Error **errp)
{
    CpuInfoFastList **tail = ret;
    guint i;

    (void)errp;
    for (i = 0; vm->cpus && i < vm->cpus->len; i++) {
        const Cpu *cpu = vm->cpus->pdata[i];
        CpuInfoFast *info = g_new0(CpuInfoFast, 1);

        info->cpu_index = cpu->index;
        info->qom_path = g_strdup_printf("/machine/soc0/harts[%u]",
                                         cpu->index);
        info->thread_id = cpu->tid;
        info->props = cpu_place(vm->config, cpu->index);
        info->target = SYS_EMU_TARGET_RISCV64;
        QAPI_LIST_APPEND(tail, info);
    }
    return true;
}

bool qmp_query_machines(Vm *vm, MachineInfoList **ret, Error **errp)
{
    MachineInfoList **tail = ret;
    const MachineType *const *type;

    (void)vm;
    (void)errp;
    for (type = machine_types; *type; type++) {
        MachineInfo *info = g_new0(MachineInfo, 1);

        info->name = g_strdup((*type)->name);
        info->cpu_max = (*type)->cpu_max;
        info->default_ram_id = g_strdup((*type)->default_ram_id);
        if ((*type)->default_cpu) {
            info->default_cpu_type =
                g_strconcat((*type)->default_cpu, "-riscv-cpu", NULL);
        }
        QAPI_LIST_APPEND(tail, info);
    }
    return true;
}

bool qmp_query_kvm(Vm *vm, KvmInfo **ret, Error **errp)
{
    (void)errp;
    *ret = g_new0(KvmInfo, 1);
    (*ret)->present = accel_find("kvm") != NULL;
    (*ret)->enabled = vm->accel && g_str_equal(vm->accel->name, "kvm");
    return true;
}

bool qmp_query_accelerators(Vm *vm, AcceleratorInfo **ret, Error **errp)
{
    g_autoptr(AcceleratorInfo) info = g_new0(AcceleratorInfo, 1);
    AcceleratorList **tail = &info->present;
    const AccelOps *const *accel;
    int value;

    if (!vm->accel) {
        error_setg(errp, "No accelerator is in use");
        return false;
    }
    for (accel = accel_all; *accel; accel++) {
        value = qapi_enum_parse(&Accelerator_lookup, (*accel)->name, -1,
                                NULL);
        if (value >= 0) {
            QAPI_LIST_APPEND(tail, (Accelerator)value);
        }
    }
    value = qapi_enum_parse(&Accelerator_lookup, vm->accel->name, -1, errp);
    if (value < 0) {
        return false;
    }
    info->enabled = (Accelerator)value;
    *ret = g_steal_pointer(&info);
    return true;
}
