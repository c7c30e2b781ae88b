/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sifive,test1: one write-only register. vCPUs, big lock. */
#include "hw/core/machine.h"
#include "hw/misc/sifive-test.h"
#include "system/runstate.h"
#include "trace/trace-hw-misc.h"

typedef struct SifiveTest {
    Device dev;
    IoRegion io;
    hwaddr base;
} SifiveTest;

static MemResult sifive_test_read(void *opaque, hwaddr addr, unsigned size,
                                  uint64_t *val)
{
    (void)opaque;
    (void)addr;
    (void)size;
    *val = 0;
    return MEM_OK;
}

static MemResult sifive_test_write(void *opaque, hwaddr addr, unsigned size,
                                   uint64_t val)
{
    SifiveTest *s = opaque;
    unsigned code = (unsigned)(val >> 16) & 0xffff;

    (void)size;
    if (addr != 0) {
        return MEM_OK;
    }
    trace_sifive_test(val);
    switch (val & 0xffff) {
    case SIFIVE_TEST_FAIL:
        vm_request_shutdown_with_code(s->dev.vm, SHUTDOWN_CAUSE_GUEST_PANIC,
                                      code & 0xff);
        break;
    case SIFIVE_TEST_PASS:
        vm_request_shutdown(s->dev.vm, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
        break;
    case SIFIVE_TEST_RESET:
        vm_request_reset(s->dev.vm, SHUTDOWN_CAUSE_GUEST_RESET);
        break;
    default:
        break;
    }
    return MEM_OK;
}

static const IoOps sifive_test_ops = {
    .read = sifive_test_read,
    .write = sifive_test_write,
    .min_size = 2,
    .max_size = 4,
};

static bool sifive_test_realize(Device *dev, Error **errp)
{
    SifiveTest *s = (SifiveTest *)dev;

    (void)errp;
    memory_io_init(&s->io, "sifive-test", &sifive_test_ops, s, 0x1000);
    memory_io_map(dev->vm->memory, &s->io, s->base);
    return true;
}

static void sifive_test_unrealize(Device *dev)
{
    memory_io_unmap(dev->vm->memory, &((SifiveTest *)dev)->io);
}

static const DeviceType sifive_test_type = {
    .name = "riscv.sifive.test",
    .bus = "sysbus",
    .description = "power off and reset",
    .instance_size = sizeof(SifiveTest),
    .realize = sifive_test_realize,
    .unrealize = sifive_test_unrealize,
};
DEVICE_TYPE(sifive_test_type);

bool sifive_test_create(Vm *vm, hwaddr base, Error **errp)
{
    Device *dev = device_new(vm, &sifive_test_type, NULL, errp);

    if (!dev) {
        return false;
    }
    ((SifiveTest *)dev)->base = base;
    return machine_device_realize(vm, dev, errp);
}
