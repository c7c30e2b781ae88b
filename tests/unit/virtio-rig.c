/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "virtio-rig.h"

#include "hw/virtio/virtio-mmio.h"

/* Registers of virtio-mmio, virtio 1.2, section 4.2.2 */
enum {
    DEVICE_FEATURES = 0x10, DEVICE_FEATURES_SEL = 0x14,
    DRIVER_FEATURES = 0x20, DRIVER_FEATURES_SEL = 0x24, QUEUE_SEL = 0x30,
    QUEUE_NUM = 0x38, QUEUE_READY = 0x44, QUEUE_NOTIFY = 0x50, STATUS = 0x70,
    QUEUE_DESC = 0x80, QUEUE_DRIVER = 0x90, QUEUE_DEVICE = 0xa0,
};

void rig_begin(Rig *rig)
{
    RamBacking backing = { .size = RIG_RAM_BYTES, .fd = -1 };

    *rig = (Rig) { .vm = hw_test_new() };
    rig->ram = memory_ram_new(rig->vm->memory, "ram", &backing, NULL);
    g_assert_true(memory_map_ram(rig->vm->memory, rig->ram, RIG_RAM, NULL));
}

void rig_plug(Rig *rig, const char *type, ...)
{
    const char *name;
    Error *err = NULL;
    va_list ap;

    g_assert_nonnull(virtio_mmio_create(rig->vm, 0, RIG_SLOT,
                                        hw_test_line(rig->lines, 0), NULL));
    rig->dev = device_new(rig->vm, device_type_find(type), NULL, NULL);
    va_start(ap, type);
    while ((name = va_arg(ap, const char *))) {
        const char *value = va_arg(ap, const char *);

        device_set_property(rig->dev, name, value, &err);
        g_assert_no_error(err);
    }
    va_end(ap);
    device_realize(rig->dev, NULL, &err);
    g_assert_no_error(err);
}

void rig_end(Rig *rig)
{
    hw_test_free(rig->vm);
}

uint32_t rig_read(Rig *rig, unsigned reg)
{
    return hw_read(rig->vm, RIG_SLOT + reg, 4);
}

void rig_write(Rig *rig, unsigned reg, uint32_t val)
{
    hw_write(rig->vm, RIG_SLOT + reg, 4, val);
}

uint64_t rig_features(Rig *rig)
{
    uint64_t bits;

    rig_write(rig, DEVICE_FEATURES_SEL, 1);
    bits = (uint64_t)rig_read(rig, DEVICE_FEATURES) << 32;
    rig_write(rig, DEVICE_FEATURES_SEL, 0);
    return bits | rig_read(rig, DEVICE_FEATURES);
}

static void write_addr(Rig *rig, unsigned reg, hwaddr addr)
{
    rig_write(rig, reg, addr);
    rig_write(rig, reg + 4, addr >> 32);
}

void rig_drive(Rig *rig, uint64_t wanted, unsigned queues)
{
    uint64_t features;

    rig_write(rig, STATUS, 0);
    rig_write(rig, STATUS, 3);
    features = rig_features(rig) & (wanted | UINT64_C(1) << VIRTIO_F_VERSION_1);
    rig_write(rig, DRIVER_FEATURES_SEL, 0);
    rig_write(rig, DRIVER_FEATURES, features);
    rig_write(rig, DRIVER_FEATURES_SEL, 1);
    rig_write(rig, DRIVER_FEATURES, features >> 32);
    rig_write(rig, STATUS, 11);
    g_assert_cmpuint(rig_read(rig, STATUS), ==, 11);
    for (unsigned n = 0; n < queues; n++) {
        memset(rig->ram->host + (RIG_RING(n) - RIG_RAM), 0, 0x4000);
        rig->avail[n] = 0;
        rig_write(rig, QUEUE_SEL, n);
        rig_write(rig, QUEUE_NUM, RIG_QUEUE_SIZE);
        write_addr(rig, QUEUE_DESC, RIG_DESC(n));
        write_addr(rig, QUEUE_DRIVER, RIG_AVAIL(n));
        write_addr(rig, QUEUE_DEVICE, RIG_USED(n));
        rig_write(rig, QUEUE_READY, 1);
        g_assert_cmpuint(rig_read(rig, QUEUE_READY), ==, 1);
    }
    rig_write(rig, STATUS, 15);
}

void rig_set_desc(Rig *rig, unsigned queue, unsigned index, hwaddr addr,
                  uint32_t len, uint16_t flags, uint16_t next)
{
    Memory *mem = rig->vm->memory;
    hwaddr at = RIG_DESC(queue) + 16 * index;

    memory_st64(mem, at, addr);
    memory_st32(mem, at + 8, len);
    memory_st16(mem, at + 12, flags);
    memory_st16(mem, at + 14, next);
}

void rig_offer(Rig *rig, unsigned queue, unsigned head)
{
    Memory *mem = rig->vm->memory;
    unsigned slot = rig->avail[queue]++ % RIG_QUEUE_SIZE;

    memory_st16(mem, RIG_AVAIL(queue) + 4 + 2 * slot, head);
    memory_st16(mem, RIG_AVAIL(queue) + 2, rig->avail[queue]);
    rig_write(rig, QUEUE_NOTIFY, queue);
}

uint16_t rig_used_index(Rig *rig, unsigned queue)
{
    uint16_t index;

    memory_ld16(rig->vm->memory, RIG_USED(queue) + 2, &index);
    return index;
}

uint32_t rig_used_len(Rig *rig, unsigned queue, unsigned index)
{
    uint32_t len;

    memory_ld32(rig->vm->memory, RIG_USED(queue) + 4 +
                8 * (index % RIG_QUEUE_SIZE) + 4, &len);
    return len;
}

void rig_await_used(Rig *rig, unsigned queue, uint16_t index)
{
    for (int i = 0; i < 1000 && rig_used_index(rig, queue) != index; i++) {
        vm_unlock(rig->vm);
        vm_main_loop_iterate(rig->vm, false);
        g_usleep(10 * (i > 100 ? 1000 : 10));
        vm_lock(rig->vm);
    }
    g_assert_cmpuint(rig_used_index(rig, queue), ==, index);
}
