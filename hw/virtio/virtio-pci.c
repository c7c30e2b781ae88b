/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio over PCI (virtio 1.2, section 4.1), modern interface: one 64-bit BAR
 * with the four structures, each found by a vendor capability, and a window to
 * them in configuration space. The device itself sits inside. INTx only, for
 * the boards here have no message-signalled interrupts. Big lock.
 */
#include "hw/pci/pci.h"
#include "hw/virtio/virtio-types.h"

#define VENDOR_VIRTIO       0x1af4
#define DEVICE_ID_BASE      0x1040
#define SUBSYSTEM_ID        0x1100
#define BAR_INDEX           4

/* Where the structures lie in the BAR, each in a page of its own. */
#define REGION_BYTES        0x1000
enum { REGION_COMMON, REGION_ISR, REGION_DEVICE, REGION_NOTIFY, REGIONS };
#define NOTIFY_MULTIPLIER   4

/* Capability types, 4.1.4 */
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4,
       CAP_PCI = 5 };
/* Fields of a capability */
enum { CAP_LEN = 2, CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8,
       CAP_LENGTH = 12, CAP_BYTES = 16, CAP_EXTRA = 16 };

/* struct virtio_pci_common_cfg, 4.1.4.3 */
enum {
    COMMON_DEVICE_FEATURE_SELECT = 0x00, COMMON_DEVICE_FEATURE = 0x04,
    COMMON_DRIVER_FEATURE_SELECT = 0x08, COMMON_DRIVER_FEATURE = 0x0c,
    COMMON_MSIX_VECTOR = 0x10, COMMON_NUM_QUEUES = 0x12,
    COMMON_STATUS = 0x14, COMMON_GENERATION = 0x15,
    COMMON_QUEUE_SELECT = 0x16, COMMON_QUEUE_SIZE = 0x18,
    COMMON_QUEUE_MSIX_VECTOR = 0x1a, COMMON_QUEUE_ENABLE = 0x1c,
    COMMON_QUEUE_NOTIFY_OFF = 0x1e, COMMON_QUEUE_DESC = 0x20,
    COMMON_QUEUE_DRIVER = 0x28, COMMON_QUEUE_DEVICE = 0x30,
    COMMON_BYTES = 0x38,
};
#define NO_VECTOR 0xffff

typedef struct VirtioPci {
    PciDevice pci;
    VirtioBus vbus;
    IoRegion bar;
    unsigned window;            /* the capability that reaches the BAR */
} VirtioPci;

G_STATIC_ASSERT(sizeof(VirtioPci) <= VIRTIO_PCI_INSTANCE_SIZE);

static void pci_update_irq(void *opaque, uint8_t isr)
{
    VirtioPci *proxy = opaque;

    pci_set_irq(&proxy->pci, isr != 0);
}

static uint32_t common_read(VirtioDevice *vdev, hwaddr addr)
{
    VirtQueue *vq = virtio_selected_queue(vdev);

    switch (addr) {
    case COMMON_DEVICE_FEATURE_SELECT:
        return vdev->features_select;
    case COMMON_DEVICE_FEATURE:
        return virtio_get_host_features(vdev, vdev->features_select);
    case COMMON_DRIVER_FEATURE_SELECT:
        return vdev->guest_features_select;
    case COMMON_DRIVER_FEATURE:
        return virtio_get_guest_features(vdev, vdev->guest_features_select);
    case COMMON_MSIX_VECTOR:
    case COMMON_QUEUE_MSIX_VECTOR:
        return NO_VECTOR;
    case COMMON_NUM_QUEUES:
        return vdev->queue_count;
    case COMMON_STATUS:
        return vdev->status;
    case COMMON_GENERATION:
        return vdev->config_generation & 0xff;
    case COMMON_QUEUE_SELECT:
        return vdev->queue_select;
    }
    if (!vq) {
        return 0;
    }
    switch (addr) {
    case COMMON_QUEUE_SIZE:
        return vq->size;
    case COMMON_QUEUE_ENABLE:
        return vq->ready;
    case COMMON_QUEUE_NOTIFY_OFF:
        return vq->index;
    case COMMON_QUEUE_DESC:
        return vq->desc;
    case COMMON_QUEUE_DESC + 4:
        return vq->desc >> 32;
    case COMMON_QUEUE_DRIVER:
        return vq->avail;
    case COMMON_QUEUE_DRIVER + 4:
        return vq->avail >> 32;
    case COMMON_QUEUE_DEVICE:
        return vq->used;
    case COMMON_QUEUE_DEVICE + 4:
        return vq->used >> 32;
    }
    return 0;
}

/* Replaces the half of *addr that lies at byte @offset (0 or 4). */
static void set_half(uint64_t *addr, unsigned offset, uint32_t value)
{
    unsigned shift = offset * 8;

    *addr = (*addr & ~((uint64_t)UINT32_MAX << shift)) |
            (uint64_t)value << shift;
}

static void queue_write(VirtQueue *vq, hwaddr addr, uint32_t val)
{
    if (addr == COMMON_QUEUE_ENABLE) {
        /* It is reset as a whole, never by itself (4.1.4.3.2). */
        if (val == 1) {
            virtio_queue_set_ready(vq, true);
        }
    } else if (vq->ready) {
        return;
    } else if (addr == COMMON_QUEUE_SIZE) {
        virtio_queue_set_size(vq, val);
    } else if (addr == COMMON_QUEUE_DESC || addr == COMMON_QUEUE_DESC + 4) {
        set_half(&vq->desc, addr - COMMON_QUEUE_DESC, val);
    } else if (addr == COMMON_QUEUE_DRIVER ||
               addr == COMMON_QUEUE_DRIVER + 4) {
        set_half(&vq->avail, addr - COMMON_QUEUE_DRIVER, val);
    } else if (addr == COMMON_QUEUE_DEVICE ||
               addr == COMMON_QUEUE_DEVICE + 4) {
        set_half(&vq->used, addr - COMMON_QUEUE_DEVICE, val);
    }
}

static void common_write(VirtioDevice *vdev, hwaddr addr, uint32_t val)
{
    VirtQueue *vq = virtio_selected_queue(vdev);

    switch (addr) {
    case COMMON_DEVICE_FEATURE_SELECT:
        vdev->features_select = val;
        break;
    case COMMON_DRIVER_FEATURE_SELECT:
        vdev->guest_features_select = val;
        break;
    case COMMON_DRIVER_FEATURE:
        virtio_set_guest_features(vdev, vdev->guest_features_select, val);
        break;
    case COMMON_STATUS:
        virtio_set_status(vdev, val);
        break;
    case COMMON_QUEUE_SELECT:
        vdev->queue_select = val;
        break;
    default:
        if (vq) {
            queue_write(vq, addr, val);
        }
    }
}

/* The widths that 4.1.3.1 has a driver use, and 64-bit fields as two halves. */
static MemResult bar_read(void *opaque, hwaddr addr, unsigned size,
                          uint64_t *val)
{
    VirtioPci *proxy = opaque;
    VirtioDevice *vdev = proxy->vbus.vdev;
    hwaddr offset = addr % REGION_BYTES;

    *val = 0;
    switch (addr / REGION_BYTES) {
    case REGION_COMMON:
        if (offset < COMMON_BYTES) {
            *val = common_read(vdev, offset);
        }
        break;
    case REGION_ISR:
        if (offset == 0) {
            *val = vdev->isr;
            virtio_ack_isr(vdev, *val);
        }
        break;
    case REGION_DEVICE:
        *val = virtio_config_read(vdev, offset, size);
        break;
    }
    return MEM_OK;
}

static MemResult bar_write(void *opaque, hwaddr addr, unsigned size,
                           uint64_t val)
{
    VirtioPci *proxy = opaque;
    VirtioDevice *vdev = proxy->vbus.vdev;
    hwaddr offset = addr % REGION_BYTES;

    switch (addr / REGION_BYTES) {
    case REGION_COMMON:
        if (offset < COMMON_BYTES) {
            common_write(vdev, offset, val);
        }
        break;
    case REGION_DEVICE:
        virtio_config_write(vdev, offset, size, val);
        break;
    case REGION_NOTIFY:
        virtio_queue_notify(vdev, offset / NOTIFY_MULTIPLIER);
        break;
    }
    return MEM_OK;
}

static const IoOps bar_ops = {
    .read = bar_read,
    .write = bar_write,
    .max_size = 4,
};

static unsigned add_capability(PciDevice *pci, uint8_t type, unsigned region,
                               unsigned extra)
{
    unsigned pos = pci_add_capability(pci, PCI_CAP_ID_VENDOR,
                                      CAP_BYTES + extra);

    pci->config[pos + CAP_LEN] = CAP_BYTES + extra;
    pci->config[pos + CAP_TYPE] = type;
    pci->config[pos + CAP_BAR] = type == CAP_PCI ? 0 : BAR_INDEX;
    if (type != CAP_PCI) {
        pci_config_set32(pci, pos + CAP_OFFSET, region * REGION_BYTES);
        pci_config_set32(pci, pos + CAP_LENGTH, REGION_BYTES);
    }
    return pos;
}

/* What the window capability points at now; false if it points nowhere. */
static bool window_target(VirtioPci *proxy, hwaddr *addr, unsigned *size)
{
    unsigned pos = proxy->window;
    uint32_t offset = pci_config_get32(&proxy->pci, pos + CAP_OFFSET);
    uint32_t length = pci_config_get32(&proxy->pci, pos + CAP_LENGTH);

    *addr = offset;
    *size = length;
    return proxy->pci.config[pos + CAP_BAR] == BAR_INDEX &&
           (length == 1 || length == 2 || length == 4) &&
           offset % length == 0 && offset < REGIONS * REGION_BYTES;
}

static bool touches_window(VirtioPci *proxy, unsigned addr, unsigned len)
{
    unsigned data = proxy->window + CAP_EXTRA;

    return proxy->window && addr < data + 4 && addr + len > data;
}

static void window_read(PciDevice *pci, unsigned addr, unsigned len)
{
    VirtioPci *proxy = (VirtioPci *)pci;
    uint64_t val = 0;
    hwaddr target;
    unsigned size;

    if (touches_window(proxy, addr, len) &&
        window_target(proxy, &target, &size)) {
        bar_read(proxy, target, size, &val);
        pci_config_set32(pci, proxy->window + CAP_EXTRA, val);
    }
}

static void window_write(PciDevice *pci, unsigned addr, unsigned len)
{
    VirtioPci *proxy = (VirtioPci *)pci;
    hwaddr target;
    unsigned size;

    if (touches_window(proxy, addr, len) &&
        window_target(proxy, &target, &size)) {
        uint32_t val = pci_config_get32(pci, proxy->window + CAP_EXTRA);

        bar_write(proxy, target, size,
                  size == 4 ? val : val & ((1u << size * 8) - 1));
    }
}

/* Class codes of what is inside, PCI Code and ID Assignment. */
static uint32_t class_code(uint16_t device_id)
{
    switch (device_id) {
    case VIRTIO_ID_NET:
        return 0x020000;
    case VIRTIO_ID_BLOCK:
        return 0x010000;
    case VIRTIO_ID_CONSOLE:
        return 0x078000;
    case VIRTIO_ID_INPUT:
        return 0x090000;        /* keyboard: there is no other kind */
    default:
        return 0x00ff00;
    }
}

static void fill_identity(VirtioPci *proxy)
{
    PciDevice *pci = &proxy->pci;
    uint16_t id = proxy->vbus.vdev->ops->device_id;

    pci_config_set16(pci, PCI_DEVICE_ID, DEVICE_ID_BASE + id);
    pci->config[PCI_CLASS_PROG] = class_code(id);
    pci_config_set16(pci, PCI_CLASS_DEVICE, class_code(id) >> 8);
}

bool virtio_pci_realize(Device *dev, Error **errp)
{
    VirtioPci *proxy = (VirtioPci *)dev;
    PciDevice *pci = &proxy->pci;
    const PciIdentity identity = {
        .vendor = VENDOR_VIRTIO,
        .subsystem_vendor = VENDOR_VIRTIO,
        .subsystem = SUBSYSTEM_ID,
        .revision = 1,
        .interrupt_pin = 1,
    };
    g_autofree char *name = NULL;
    unsigned pos;

    if (!pci_device_init(pci, &identity, errp)) {
        return false;
    }
    name = g_strdup_printf("virtio-bus.%02x", pci->devfn);
    virtio_bus_init(&proxy->vbus, name, dev, pci_update_irq);
    if (!device_realize(dev->inner, &proxy->vbus.bus, errp)) {
        bus_destroy(&proxy->vbus.bus);
        pci_device_exit(pci);
        return false;
    }
    fill_identity(proxy);

    memory_io_init(&proxy->bar, "virtio-pci", &bar_ops, proxy,
                   REGIONS * REGION_BYTES);
    pci_register_bar(pci, BAR_INDEX, PCI_BAR_MEM64_PREFETCH, &proxy->bar);
    add_capability(pci, CAP_COMMON, REGION_COMMON, 0);
    add_capability(pci, CAP_ISR, REGION_ISR, 0);
    add_capability(pci, CAP_DEVICE, REGION_DEVICE, 0);
    pos = add_capability(pci, CAP_NOTIFY, REGION_NOTIFY, 4);
    pci_config_set32(pci, pos + CAP_EXTRA, NOTIFY_MULTIPLIER);
    pos = add_capability(pci, CAP_PCI, 0, 4);
    pci->wmask[pos + CAP_BAR] = 0xff;
    memset(pci->wmask + pos + CAP_OFFSET, 0xff, 12);
    proxy->window = pos;
    pci->config_before_read = window_read;
    pci->config_after_write = window_write;
    return true;
}

void virtio_pci_unrealize(Device *dev)
{
    VirtioPci *proxy = (VirtioPci *)dev;

    device_unrealize(dev->inner);
    bus_destroy(&proxy->vbus.bus);
    pci_device_exit(&proxy->pci);
}

void virtio_pci_reset(Device *dev)
{
    VirtioPci *proxy = (VirtioPci *)dev;

    virtio_reset(proxy->vbus.vdev);
    pci_device_reset(&proxy->pci);
}

const VMStateDescription vmstate_virtio_pci = {
    .name = "virtio-pci",
    .version_id = 1,
    .minimum_version_id = 1,
    .priority = MIG_PRI_BUS,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(pci, VirtioPci),
        VMSTATE_END_OF_LIST()
    },
};

const Property virtio_pci_properties[] = {
    PCI_DEVICE_PROPERTIES,
    { .name = NULL }
};
