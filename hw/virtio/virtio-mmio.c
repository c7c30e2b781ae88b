/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio over memory-mapped registers (virtio 1.2, section 4.2), version 2.
 * A slot without a device says so: its device id is 0. Big lock.
 */
#include "hw/virtio/virtio-mmio.h"
#include "hw/virtio/virtio-bus.h"

#define MAGIC       0x74726976  /* "virt" */
#define VERSION     2
#define VENDOR      0x554d4551  /* the one this field's drivers know */

/* Registers, 4.2.2 */
enum {
    REG_MAGIC = 0x000, REG_VERSION = 0x004, REG_DEVICE_ID = 0x008,
    REG_VENDOR_ID = 0x00c, REG_DEVICE_FEATURES = 0x010,
    REG_DEVICE_FEATURES_SEL = 0x014, REG_DRIVER_FEATURES = 0x020,
    REG_DRIVER_FEATURES_SEL = 0x024, REG_QUEUE_SEL = 0x030,
    REG_QUEUE_NUM_MAX = 0x034, REG_QUEUE_NUM = 0x038, REG_QUEUE_READY = 0x044,
    REG_QUEUE_NOTIFY = 0x050, REG_INTERRUPT_STATUS = 0x060,
    REG_INTERRUPT_ACK = 0x064, REG_STATUS = 0x070, REG_QUEUE_DESC_LOW = 0x080,
    REG_QUEUE_DESC_HIGH = 0x084, REG_QUEUE_DRIVER_LOW = 0x090,
    REG_QUEUE_DRIVER_HIGH = 0x094, REG_QUEUE_DEVICE_LOW = 0x0a0,
    REG_QUEUE_DEVICE_HIGH = 0x0a4, REG_CONFIG_GENERATION = 0x0fc,
    REG_CONFIG = 0x100,
};

typedef struct VirtioMmio {
    Device parent;
    VirtioBus vbus;
    IoRegion io;
    hwaddr base;
    Irq irq;
} VirtioMmio;

static void mmio_update_irq(void *opaque, uint8_t isr)
{
    VirtioMmio *mmio = opaque;

    irq_set(&mmio->irq, isr != 0);
}

static uint32_t read_register(VirtioDevice *vdev, hwaddr addr)
{
    VirtQueue *vq = virtio_selected_queue(vdev);

    switch (addr) {
    case REG_DEVICE_ID:
        return vdev->ops->device_id;
    case REG_VENDOR_ID:
        return VENDOR;
    case REG_DEVICE_FEATURES:
        return virtio_get_host_features(vdev, vdev->features_select);
    case REG_QUEUE_NUM_MAX:
        return vq ? vq->size_max : 0;
    case REG_QUEUE_READY:
        return vq && vq->ready;
    case REG_INTERRUPT_STATUS:
        return vdev->isr;
    case REG_STATUS:
        return vdev->status;
    case REG_CONFIG_GENERATION:
        return vdev->config_generation;
    default:
        return 0;
    }
}

static MemResult mmio_read(void *opaque, hwaddr addr, unsigned size,
                           uint64_t *val)
{
    VirtioMmio *mmio = opaque;
    VirtioDevice *vdev = mmio->vbus.vdev;

    if (addr >= REG_CONFIG) {
        *val = vdev ? virtio_config_read(vdev, addr - REG_CONFIG, size) : 0;
        return MEM_OK;
    }
    if (size != 4) {
        return MEM_DEVICE_ERROR;
    }
    if (addr == REG_MAGIC) {
        *val = MAGIC;
    } else if (addr == REG_VERSION) {
        *val = VERSION;
    } else {
        *val = vdev ? read_register(vdev, addr) : 0;
    }
    return MEM_OK;
}

static void set_low(uint64_t *addr, uint32_t value)
{
    *addr = (*addr & ~(uint64_t)UINT32_MAX) | value;
}

static void set_high(uint64_t *addr, uint32_t value)
{
    *addr = (*addr & UINT32_MAX) | (uint64_t)value << 32;
}

static void write_queue(VirtQueue *vq, hwaddr addr, uint32_t val)
{
    if (addr == REG_QUEUE_READY) {
        virtio_queue_set_ready(vq, val & 1);
        return;
    }
    if (vq->ready) {
        return;
    }
    switch (addr) {
    case REG_QUEUE_NUM:
        virtio_queue_set_size(vq, val);
        break;
    case REG_QUEUE_DESC_LOW:
        set_low(&vq->desc, val);
        break;
    case REG_QUEUE_DESC_HIGH:
        set_high(&vq->desc, val);
        break;
    case REG_QUEUE_DRIVER_LOW:
        set_low(&vq->avail, val);
        break;
    case REG_QUEUE_DRIVER_HIGH:
        set_high(&vq->avail, val);
        break;
    case REG_QUEUE_DEVICE_LOW:
        set_low(&vq->used, val);
        break;
    case REG_QUEUE_DEVICE_HIGH:
        set_high(&vq->used, val);
        break;
    }
}

static void write_register(VirtioDevice *vdev, hwaddr addr, uint32_t val)
{
    VirtQueue *vq = virtio_selected_queue(vdev);

    switch (addr) {
    case REG_DEVICE_FEATURES_SEL:
        vdev->features_select = val;
        break;
    case REG_DRIVER_FEATURES_SEL:
        vdev->guest_features_select = val;
        break;
    case REG_DRIVER_FEATURES:
        virtio_set_guest_features(vdev, vdev->guest_features_select, val);
        break;
    case REG_QUEUE_SEL:
        vdev->queue_select = MIN(val, UINT16_MAX);
        break;
    case REG_QUEUE_NOTIFY:
        virtio_queue_notify(vdev, val);
        break;
    case REG_INTERRUPT_ACK:
        virtio_ack_isr(vdev, val);
        break;
    case REG_STATUS:
        virtio_set_status(vdev, val);
        break;
    default:
        if (vq) {
            write_queue(vq, addr, val);
        }
    }
}

static MemResult mmio_write(void *opaque, hwaddr addr, unsigned size,
                            uint64_t val)
{
    VirtioMmio *mmio = opaque;
    VirtioDevice *vdev = mmio->vbus.vdev;

    if (addr < REG_CONFIG && size != 4) {
        return MEM_DEVICE_ERROR;
    }
    if (!vdev) {
        return MEM_OK;
    }
    if (addr >= REG_CONFIG) {
        virtio_config_write(vdev, addr - REG_CONFIG, size, val);
    } else {
        write_register(vdev, addr, val);
    }
    return MEM_OK;
}

static const IoOps mmio_ops = {
    .read = mmio_read,
    .write = mmio_write,
    .max_size = 4,
};

static bool mmio_realize(Device *dev, Error **errp)
{
    VirtioMmio *mmio = (VirtioMmio *)dev;

    (void)errp;
    memory_io_init(&mmio->io, "virtio-mmio", &mmio_ops, mmio,
                   VIRTIO_MMIO_SIZE);
    memory_io_map(dev->vm->memory, &mmio->io, mmio->base);
    return true;
}

static void mmio_unrealize(Device *dev)
{
    VirtioMmio *mmio = (VirtioMmio *)dev;

    memory_io_unmap(dev->vm->memory, &mmio->io);
    bus_destroy(&mmio->vbus.bus);
}

static const DeviceType virtio_mmio_type = {
    .name = "virtio-mmio",
    .bus = "sysbus",
    .description = "slot of the board for a virtio device",
    .instance_size = sizeof(VirtioMmio),
    .realize = mmio_realize,
    .unrealize = mmio_unrealize,
};
DEVICE_TYPE(virtio_mmio_type);

/* What the device behind it is called in the stream is derived from this. */
static char *mmio_child_path(Bus *bus, Device *dev)
{
    VirtioMmio *mmio = (VirtioMmio *)bus->owner;

    (void)dev;
    return g_strdup_printf("virtio-mmio@%016" PRIx64, mmio->base);
}

Device *virtio_mmio_create(Vm *vm, unsigned index, hwaddr base, Irq irq,
                           Error **errp)
{
    Device *dev = device_new(vm, &virtio_mmio_type, NULL, errp);
    VirtioMmio *mmio = (VirtioMmio *)dev;
    g_autofree char *name = g_strdup_printf("virtio-mmio-bus.%u", index);

    if (!dev) {
        return NULL;
    }
    mmio->base = base;
    mmio->irq = irq;
    virtio_bus_init(&mmio->vbus, name, dev, mmio_update_irq);
    mmio->vbus.bus.child_path = mmio_child_path;
    if (!device_realize(dev, NULL, errp)) {
        bus_destroy(&mmio->vbus.bus);
        device_free(dev);
        return NULL;
    }
    return dev;
}
