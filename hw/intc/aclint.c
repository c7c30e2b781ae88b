/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSIP, mtimecmp and mtime. mtime is the guest's virtual clock in ticks plus
 * an offset, which a write to mtime and a reset change.
 *
 * Entered by vCPUs and timers under the big lock; harts read the time without.
 */
#include <string.h>

#include "hw/core/machine.h"
#include "hw/intc/aclint.h"
#include "system/timer.h"
#include "trace/trace-hw-intc.h"

#define MTIMECMP_BASE 0x4000
#define MTIME 0xbff8
#define TICK_NS (1000000000 / ACLINT_TIMEBASE_HZ)

/* One hart's comparator. */
typedef struct Comparator {
    AclintState *aclint;
    unsigned hart;
} Comparator;

struct AclintState {
    Device dev;
    IoRegion io;
    hwaddr base;
    uint32_t harts;
    Irq software[ACLINT_HARTS_MAX], timer[ACLINT_HARTS_MAX];
    AclintTimeChanged changed;
    void *opaque;
    Comparator comparators[ACLINT_HARTS_MAX];

    uint64_t time_delta;        /* atomic: harts read it without the lock */
    uint64_t timecmp[ACLINT_HARTS_MAX];
    uint32_t msip[ACLINT_HARTS_MAX];
    VmTimer *timers[ACLINT_HARTS_MAX];
};

static uint64_t raw_ticks(AclintState *s)
{
    return (uint64_t)vm_clock_ns(s->dev.vm, VM_CLOCK_VIRTUAL) / TICK_NS;
}

uint64_t aclint_time_read(void *aclint)
{
    AclintState *s = aclint;

    return raw_ticks(s) + __atomic_load_n(&s->time_delta, __ATOMIC_RELAXED);
}

int64_t aclint_deadline_ns(void *aclint, uint64_t ticks)
{
    AclintState *s = aclint;
    uint64_t now = raw_ticks(s);
    uint64_t mtime = now + __atomic_load_n(&s->time_delta, __ATOMIC_RELAXED);
    uint64_t due;

    if (ticks <= mtime) {
        return (int64_t)(now * TICK_NS);
    }
    if (__builtin_add_overflow(now, ticks - mtime, &due) ||
        due > INT64_MAX / TICK_NS) {
        return INT64_MAX;
    }
    return (int64_t)(due * TICK_NS);
}

/* The line follows mtime >= mtimecmp; the timer waits for the moment. */
static void update_comparator(AclintState *s, unsigned hart)
{
    bool level = aclint_time_read(s) >= s->timecmp[hart];
    int64_t deadline = INT64_MAX;

    if (!level) {
        deadline = aclint_deadline_ns(s, s->timecmp[hart]);
    }
    if (deadline == INT64_MAX) {
        vm_timer_del(s->timers[hart]);
    } else {
        vm_timer_mod(s->timers[hart], deadline);
    }
    irq_set(&s->timer[hart], level);
}

static void comparator_fired(void *opaque)
{
    Comparator *c = opaque;

    trace_aclint_timer(c->hart, c->aclint->timecmp[c->hart]);
    update_comparator(c->aclint, c->hart);
}

static void time_changed(AclintState *s)
{
    for (unsigned i = 0; i < s->harts; i++) {
        update_comparator(s, i);
    }
    if (s->changed) {
        s->changed(s->opaque);
    }
}

static void set_time(AclintState *s, uint64_t mtime)
{
    __atomic_store_n(&s->time_delta, mtime - raw_ticks(s), __ATOMIC_RELAXED);
    time_changed(s);
}

/* A 64-bit register, of which @addr and @size address all or one half. */
static uint64_t register_get(uint64_t reg, hwaddr addr, unsigned size)
{
    return size == 8 ? reg : (uint32_t)(reg >> (addr & 4) * 8);
}

static uint64_t register_put(uint64_t reg, hwaddr addr, unsigned size,
                             uint64_t val)
{
    unsigned shift = (unsigned)(addr & 4) * 8;

    if (size == 8) {
        return val;
    }
    return (reg & ~(UINT64_C(0xffffffff) << shift)) |
           (val & 0xffffffff) << shift;
}

static MemResult aclint_read(void *opaque, hwaddr addr, unsigned size,
                             uint64_t *val)
{
    AclintState *s = opaque;

    *val = 0;                   /* reserved, and harts that do not exist */
    if (addr < MTIMECMP_BASE) {
        if (size != 4) {
            return MEM_DEVICE_ERROR;
        }
        if (addr / 4 < s->harts) {
            *val = s->msip[addr / 4];
        }
    } else if (addr < MTIME) {
        if ((addr - MTIMECMP_BASE) / 8 < s->harts) {
            *val = register_get(s->timecmp[(addr - MTIMECMP_BASE) / 8], addr,
                                size);
        }
    } else if (addr < MTIME + 8) {
        *val = register_get(aclint_time_read(s), addr, size);
    }
    return MEM_OK;
}

static MemResult aclint_write(void *opaque, hwaddr addr, unsigned size,
                              uint64_t val)
{
    AclintState *s = opaque;

    if (addr < MTIMECMP_BASE) {
        if (size != 4) {
            return MEM_DEVICE_ERROR;
        }
        if (addr / 4 < s->harts) {
            s->msip[addr / 4] = val & 1;
            irq_set(&s->software[addr / 4], val & 1);
        }
    } else if (addr < MTIME) {
        hwaddr hart = (addr - MTIMECMP_BASE) / 8;

        if (hart < s->harts) {
            s->timecmp[hart] = register_put(s->timecmp[hart], addr, size, val);
            update_comparator(s, (unsigned)hart);
        }
    } else if (addr < MTIME + 8) {
        set_time(s, register_put(aclint_time_read(s), addr, size, val));
    }
    return MEM_OK;
}

static const IoOps aclint_ops = {
    .read = aclint_read,
    .write = aclint_write,
    .min_size = 4,
    .max_size = 8,
};

static void aclint_reset(Device *dev)
{
    AclintState *s = (AclintState *)dev;

    for (unsigned i = 0; i < s->harts; i++) {
        s->msip[i] = 0;
        s->timecmp[i] = UINT64_MAX;
        irq_set(&s->software[i], false);
    }
    set_time(s, 0);
}

static bool aclint_realize(Device *dev, Error **errp)
{
    AclintState *s = (AclintState *)dev;

    (void)errp;
    for (unsigned i = 0; i < s->harts; i++) {
        s->comparators[i] = (Comparator){ s, i };
        s->timers[i] = vm_timer_new(dev->vm, VM_CLOCK_VIRTUAL,
                                    comparator_fired, &s->comparators[i]);
        s->timecmp[i] = UINT64_MAX;
    }
    memory_io_init(&s->io, "aclint", &aclint_ops, s, ACLINT_SIZE);
    memory_io_map(dev->vm->memory, &s->io, s->base);
    return true;
}

static void aclint_unrealize(Device *dev)
{
    AclintState *s = (AclintState *)dev;

    memory_io_unmap(dev->vm->memory, &s->io);
    for (unsigned i = 0; i < s->harts; i++) {
        vm_timer_free(s->timers[i]);
    }
}

static bool msip_needed(void *opaque)
{
    AclintState *s = opaque;

    for (unsigned i = 0; i < s->harts; i++) {
        if (s->msip[i]) {
            return true;
        }
    }
    return false;
}

static bool msip_post_load(void *opaque, int version_id, Error **errp)
{
    AclintState *s = opaque;

    (void)version_id;
    (void)errp;
    for (unsigned i = 0; i < s->harts; i++) {
        s->msip[i] &= 1;
        irq_set(&s->software[i], s->msip[i]);
    }
    return true;
}

/*
 * QEMU's layout says nothing of MSIP: there it is a bit of the hart, as it is
 * in ours too; the register is told only where it is not 0.
 */
static const VMStateDescription vmstate_aclint_msip = {
    .name = "riscv_mtimer/msip",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = msip_needed,
    .post_load = msip_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_VARRAY(msip, AclintState, harts, ACLINT_HARTS_MAX, 0,
                       vmstate_info_uint32, uint32_t),
        VMSTATE_END_OF_LIST()
    },
};

static bool aclint_pre_load(void *opaque, Error **errp)
{
    (void)errp;
    memset(((AclintState *)opaque)->msip, 0,
           sizeof(((AclintState *)opaque)->msip));
    return true;
}

static bool aclint_post_load(void *opaque, int version_id, Error **errp)
{
    (void)version_id;
    (void)errp;
    time_changed(opaque);
    return true;
}

/* After the harts, whose comparisons with the time are made again. */
static const VMStateDescription vmstate_aclint = {
    .name = "riscv_mtimer",
    .version_id = 3,
    .minimum_version_id = 3,
    .pre_load = aclint_pre_load,
    .post_load = aclint_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(time_delta, AclintState),
        VMSTATE_VARRAY(timecmp, AclintState, harts, ACLINT_HARTS_MAX, 0,
                       vmstate_info_uint64, uint64_t),
        VMSTATE_TIMER_PTR_VARRAY(timers, AclintState, harts,
                                 ACLINT_HARTS_MAX),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription *const[]) {
        &vmstate_aclint_msip,
        NULL
    },
};

static const DeviceType aclint_type = {
    .name = "riscv.aclint.mtimer",
    .bus = "sysbus",
    .description = "core-local interruptor: software and timer interrupts",
    .instance_size = sizeof(AclintState),
    .vmsd = &vmstate_aclint,
    .realize = aclint_realize,
    .unrealize = aclint_unrealize,
    .reset = aclint_reset,
};
DEVICE_TYPE(aclint_type);

AclintState *aclint_create(Vm *vm, hwaddr base, unsigned harts,
                           const Irq *software, const Irq *timer,
                           AclintTimeChanged changed, void *opaque,
                           Error **errp)
{
    Device *dev = device_new(vm, &aclint_type, NULL, errp);
    AclintState *s = (AclintState *)dev;

    g_assert(harts > 0 && harts <= ACLINT_HARTS_MAX);
    if (!dev) {
        return NULL;
    }
    s->base = base;
    s->harts = harts;
    memcpy(s->software, software, harts * sizeof(*software));
    memcpy(s->timer, timer, harts * sizeof(*timer));
    s->changed = changed;
    s->opaque = opaque;
    return machine_device_realize(vm, dev, errp) ? s : NULL;
}
