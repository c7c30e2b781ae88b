/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Goldfish RTC: the time in nanoseconds since 1970 and one alarm, after the
 * description in GOLDFISH-VIRTUAL-HARDWARE.TXT of the Android emulator. A read
 * of the low half of the time latches the high one; a write of the low half of
 * the alarm starts it.
 *
 * Entered by vCPUs and by the alarm's timer; big lock.
 */
#include "hw/core/machine.h"
#include "hw/rtc/goldfish.h"
#include "system/timer.h"
#include "trace/trace-hw-rtc.h"

enum {
    TIME_LOW = 0x00, TIME_HIGH = 0x04, ALARM_LOW = 0x08, ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10, CLEAR_ALARM = 0x14, ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c, REGISTERS_END = 0x24,
};

typedef struct GoldfishRtc {
    Device dev;
    IoRegion io;
    hwaddr base;
    Irq irq;
    VmTimer *timer;

    uint64_t tick_offset;       /* guest's time minus VM_CLOCK_HOST, ns */
    uint64_t alarm_next;        /* guest's time, ns */
    uint32_t alarm_running;
    uint32_t irq_pending;
    uint32_t irq_enabled;
    uint32_t time_high;         /* latched */
} GoldfishRtc;

static uint64_t rtc_now(GoldfishRtc *s)
{
    return s->tick_offset + (uint64_t)vm_clock_ns(s->dev.vm, VM_CLOCK_HOST);
}

static void update_irq(GoldfishRtc *s)
{
    irq_set(&s->irq, s->irq_pending && s->irq_enabled);
}

/* Rings if it is time, else has the timer wait for it. */
static void update_alarm(GoldfishRtc *s)
{
    uint64_t now = rtc_now(s);
    uint64_t host = (uint64_t)vm_clock_ns(s->dev.vm, VM_CLOCK_HOST);
    uint64_t due;

    if (!s->alarm_running) {
        vm_timer_del(s->timer);
    } else if (s->alarm_next <= now) {
        vm_timer_del(s->timer);
        s->alarm_running = 0;
        s->irq_pending = 1;
        trace_goldfish_rtc_alarm(s->alarm_next);
        update_irq(s);
    } else if (__builtin_add_overflow(host, s->alarm_next - now, &due) ||
               due >= INT64_MAX) {
        vm_timer_del(s->timer);     /* centuries away */
    } else {
        vm_timer_mod(s->timer, (int64_t)due);
    }
}

static void alarm_due(void *opaque)
{
    update_alarm(opaque);
}

static MemResult rtc_read(void *opaque, hwaddr addr, unsigned size,
                          uint64_t *val)
{
    GoldfishRtc *s = opaque;
    uint64_t now;

    (void)size;
    *val = 0;
    switch (addr) {
    case TIME_LOW:
        now = rtc_now(s);
        s->time_high = (uint32_t)(now >> 32);
        *val = (uint32_t)now;
        break;
    case TIME_HIGH:
        *val = s->time_high;
        break;
    case ALARM_LOW:
        *val = (uint32_t)s->alarm_next;
        break;
    case ALARM_HIGH:
        *val = s->alarm_next >> 32;
        break;
    case IRQ_ENABLED:
        *val = s->irq_enabled;
        break;
    case ALARM_STATUS:
        *val = s->alarm_running;
        break;
    default:
        break;
    }
    return MEM_OK;
}

static MemResult rtc_write(void *opaque, hwaddr addr, unsigned size,
                           uint64_t val)
{
    GoldfishRtc *s = opaque;
    uint64_t now;

    (void)size;
    switch (addr) {
    case TIME_LOW:
        now = rtc_now(s);
        s->tick_offset += ((now & ~UINT64_C(0xffffffff)) | val) - now;
        update_alarm(s);
        break;
    case TIME_HIGH:
        now = rtc_now(s);
        s->tick_offset += (val << 32 | (now & 0xffffffff)) - now;
        update_alarm(s);
        break;
    case ALARM_LOW:
        s->alarm_next = (s->alarm_next & ~UINT64_C(0xffffffff)) | val;
        s->alarm_running = 1;
        update_alarm(s);
        break;
    case ALARM_HIGH:
        s->alarm_next = val << 32 | (s->alarm_next & 0xffffffff);
        update_alarm(s);
        break;
    case IRQ_ENABLED:
        s->irq_enabled = val & 1;
        update_irq(s);
        break;
    case CLEAR_ALARM:
        s->alarm_running = 0;
        update_alarm(s);
        break;
    case CLEAR_INTERRUPT:
        s->irq_pending = 0;
        update_irq(s);
        break;
    default:
        break;
    }
    return MEM_OK;
}

static const IoOps rtc_ops = {
    .read = rtc_read,
    .write = rtc_write,
    .min_size = 4,
    .max_size = 4,
};

/* The clock runs on a battery: a reset does not touch the time. */
static void rtc_reset(Device *dev)
{
    GoldfishRtc *s = (GoldfishRtc *)dev;

    s->alarm_next = 0;
    s->alarm_running = 0;
    s->irq_pending = 0;
    s->irq_enabled = 0;
    s->time_high = 0;
    update_alarm(s);
    update_irq(s);
}

static bool rtc_realize(Device *dev, Error **errp)
{
    GoldfishRtc *s = (GoldfishRtc *)dev;

    (void)errp;
    s->timer = vm_timer_new(dev->vm, VM_CLOCK_HOST, alarm_due, s);
    memory_io_init(&s->io, "goldfish_rtc", &rtc_ops, s, REGISTERS_END);
    memory_io_map(dev->vm->memory, &s->io, s->base);
    return true;
}

static void rtc_unrealize(Device *dev)
{
    GoldfishRtc *s = (GoldfishRtc *)dev;

    memory_io_unmap(dev->vm->memory, &s->io);
    vm_timer_free(s->timer);
}

static bool rtc_post_load(void *opaque, int version_id, Error **errp)
{
    GoldfishRtc *s = opaque;

    (void)version_id;
    (void)errp;
    s->alarm_running = s->alarm_running != 0;
    s->irq_pending = s->irq_pending != 0;
    s->irq_enabled &= 1;
    update_alarm(s);
    update_irq(s);
    return true;
}

/* QEMU's layout; the first field is what its version 2 said the time by. */
static const VMStateDescription vmstate_rtc = {
    .name = "goldfish_rtc",
    .version_id = 3,
    .minimum_version_id = 3,
    .post_load = rtc_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UNUSED(8),
        VMSTATE_UINT64(alarm_next, GoldfishRtc),
        VMSTATE_UINT32(alarm_running, GoldfishRtc),
        VMSTATE_UINT32(irq_pending, GoldfishRtc),
        VMSTATE_UINT32(irq_enabled, GoldfishRtc),
        VMSTATE_UINT32(time_high, GoldfishRtc),
        VMSTATE_UINT64(tick_offset, GoldfishRtc),
        VMSTATE_END_OF_LIST()
    },
};

static const DeviceType rtc_type = {
    .name = "goldfish_rtc",
    .bus = "sysbus",
    .description = "goldfish real-time clock",
    .instance_size = sizeof(GoldfishRtc),
    .vmsd = &vmstate_rtc,
    .realize = rtc_realize,
    .unrealize = rtc_unrealize,
    .reset = rtc_reset,
};
DEVICE_TYPE(rtc_type);

bool goldfish_rtc_create(Vm *vm, hwaddr base, Irq irq, Error **errp)
{
    Device *dev = device_new(vm, &rtc_type, NULL, errp);
    GoldfishRtc *s = (GoldfishRtc *)dev;

    if (!dev) {
        return false;
    }
    s->base = base;
    s->irq = irq;
    return machine_device_realize(vm, dev, errp);
}
