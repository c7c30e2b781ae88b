/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time, and its comparison with stimecmp: the Sstc extension. The hart's
 * thread changes stimecmp; the main loop notices, by a timer, that it has been
 * reached. Both settle STIP under stimer_lock, which is taken after the big
 * lock and before that of the timers. While the hart runs, stimecmp and menvcfg
 * are written under it too, and only their writer reads them without it.
 */
#include "hart.h"
#include "trace/trace-target-riscv.h"

#define NS_PER_TICK (INT64_C(1000000000) / (int64_t)HART_TIMEBASE_HZ)

static uint64_t default_read(void *opaque)
{
    Hart *h = opaque;

    return (uint64_t)(vm_clock_ns(h->cpu.vm, VM_CLOCK_VIRTUAL) / NS_PER_TICK);
}

static int64_t default_deadline_ns(void *opaque, uint64_t ticks)
{
    (void)opaque;
    return ticks > INT64_MAX / NS_PER_TICK ? INT64_MAX
                                           : (int64_t)ticks * NS_PER_TICK;
}

uint64_t sstc_time(Hart *h)
{
    return h->time.read(h->time.opaque);
}

/* With stimer_lock. */
static bool settle(Hart *h)
{
    uint64_t stip = 0;

    if (!(h->menvcfg & MENVCFG_STCE)) {
        vm_timer_del(h->stimer);
    } else if (sstc_time(h) >= h->stimecmp) {
        vm_timer_del(h->stimer);
        stip = MIP_STIP;
    } else {
        int64_t deadline = h->time.deadline_ns(h->time.opaque, h->stimecmp);

        trace_riscv_stimecmp(h->hartid, h->stimecmp, deadline);
        if (deadline == INT64_MAX) {
            vm_timer_del(h->stimer);
        } else {
            vm_timer_mod(h->stimer, deadline);
        }
    }
    __atomic_store_n(&h->stip, stip, __ATOMIC_RELEASE);
    return stip;
}

void sstc_store(Hart *h, uint64_t *reg, uint64_t val)
{
    g_mutex_lock(&h->stimer_lock);
    *reg = val;
    settle(h);
    g_mutex_unlock(&h->stimer_lock);
}

void sstc_update(Hart *h)
{
    g_mutex_lock(&h->stimer_lock);
    settle(h);
    g_mutex_unlock(&h->stimer_lock);
}

static void timer_fired(void *opaque)
{
    Hart *h = opaque;
    bool pending;

    g_mutex_lock(&h->stimer_lock);
    pending = settle(h);
    g_mutex_unlock(&h->stimer_lock);
    if (pending) {
        cpu_kick(&h->cpu);
    }
}

void hart_time_changed(Hart *h)
{
    timer_fired(h);
}

void hart_set_time(Hart *h, const HartTime *time)
{
    h->time = *time;
    sstc_update(h);
}

void sstc_init(Hart *h)
{
    h->time = (HartTime){
        .read = default_read,
        .deadline_ns = default_deadline_ns,
        .opaque = h,
    };
    g_mutex_init(&h->stimer_lock);
    h->stimer = vm_timer_new(h->cpu.vm, VM_CLOCK_VIRTUAL, timer_fired, h);
}

void sstc_free(Hart *h)
{
    vm_timer_free(h->stimer);
    g_mutex_clear(&h->stimer_lock);
}
