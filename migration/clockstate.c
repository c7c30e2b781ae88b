/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Section "timer", as QEMU has it: how far guest time has come. Timers that
 * the guest has set are absolute times on this clock, so without it they would
 * all be due in a far future, or at once.
 */
#include <inttypes.h>

#include "migration/clockstate.h"

#include "migration/vmstate.h"
#include "system/timer.h"

struct ClockState {
    Vm *vm;

    /* On the wire */
    int64_t ticks_offset;       /* of a cycle counter that there is not: 0 */
    int64_t clock_offset;       /* the virtual clock, ns */
};

static bool clockstate_pre_save(void *opaque, Error **errp)
{
    ClockState *cs = opaque;

    (void)errp;
    cs->ticks_offset = 0;
    cs->clock_offset = vm_clock_ns(cs->vm, VM_CLOCK_VIRTUAL);
    return true;
}

static bool clockstate_post_load(void *opaque, int version_id, Error **errp)
{
    ClockState *cs = opaque;

    (void)version_id;
    if (cs->clock_offset < 0 || cs->clock_offset > VM_CLOCK_VIRTUAL_MAX) {
        error_setg(errp, "guest time is %" PRId64 " ns; expected 0 to %" PRId64,
                   cs->clock_offset, VM_CLOCK_VIRTUAL_MAX);
        return false;
    }
    vm_clock_set_virtual(cs->vm, cs->clock_offset);
    return true;
}

static const VMStateDescription vmstate_clock = {
    .name = "timer",
    .version_id = 2,
    .minimum_version_id = 2,
    .priority = MIG_PRI_TIMER,
    .pre_save = clockstate_pre_save,
    .post_load = clockstate_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_INT64(ticks_offset, ClockState),
        VMSTATE_UNUSED(8),
        VMSTATE_INT64(clock_offset, ClockState),
        VMSTATE_END_OF_LIST()
    },
};

ClockState *clockstate_new(Vm *vm)
{
    ClockState *cs = g_new0(ClockState, 1);
    bool ok;

    cs->vm = vm;
    ok = vmstate_register(vm, NULL, 0, &vmstate_clock, cs, NULL, NULL);
    g_assert(ok);       /* the name is nobody's input */
    return cs;
}

void clockstate_free(ClockState *cs)
{
    if (cs) {
        vmstate_unregister(cs->vm, &vmstate_clock, cs);
        g_free(cs);
    }
}
