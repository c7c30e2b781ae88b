/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Console device (virtio 1.2, section 5.3) with one port: virtio-serial is the
 * device that the guest sees, virtconsole the port that sits on it and has a
 * character device. Without VIRTIO_CONSOLE_F_MULTIPORT, as a controller of one
 * port needs none. Big lock.
 */
#include "chardev/char.h"
#include "hw/virtio/virtio-types.h"

#define QUEUE_SIZE  128
enum { QUEUE_RX, QUEUE_TX };

typedef struct VirtioSerial VirtioSerial;

/* The port: a device of its own, without state of its own. */
typedef struct VirtConsole {
    Device parent;
    VirtioSerial *serial;
    Chardev *chr;
} VirtConsole;

struct VirtioSerial {
    VirtioDevice vdev;
    Bus bus;
    VirtConsole *port;          /* NULL: nobody listens */
    /* the chain being sent and how much of it the other side has taken; saved
       as nothing: it is popped again, and sent from sent_bytes on */
    uint32_t sent_bytes;
};

/* Sends what the guest made available, as far as the other side takes it. */
static void transmit(VirtioSerial *s)
{
    VirtQueue *vq = &s->vdev.queues[QUEUE_TX];
    VirtioElement *element;
    bool any = false;

    while ((element = virtqueue_pop(vq))) {
        while (s->port && s->sent_bytes < element->out_bytes) {
            uint8_t buf[1024];
            size_t len = iov_to_buf_at(element->out, element->out_count,
                                       s->sent_bytes, buf, sizeof(buf));
            size_t taken = chardev_write(s->port->chr, buf, len);

            s->sent_bytes += taken;
            if (taken < len) {
                virtqueue_unpop(vq, element);
                goto out;
            }
        }
        virtqueue_push(vq, element, 0);
        s->sent_bytes = 0;
        any = true;
    }
out:
    if (any) {
        virtqueue_interrupt(vq);
    }
}

static size_t console_can_read(void *opaque)
{
    VirtConsole *port = opaque;
    VirtioSerial *s = port->serial;

    return virtio_is_started(&s->vdev) &&
           !virtqueue_is_empty(&s->vdev.queues[QUEUE_RX]) ? 4096 : 0;
}

static void console_read(void *opaque, const uint8_t *buf, size_t len)
{
    VirtConsole *port = opaque;
    VirtQueue *vq = &port->serial->vdev.queues[QUEUE_RX];

    while (len > 0) {
        VirtioElement *element = virtqueue_pop(vq);
        size_t n;

        if (!element) {
            /* As a line does when nobody picks up: the rest is lost. */
            break;
        }
        n = iov_from_buf_at(element->in, element->in_count, 0, buf, len);
        virtqueue_push(vq, element, n);
        if (n == 0) {
            break;
        }
        buf += n;
        len -= n;
    }
    virtqueue_interrupt(vq);
}

static void console_can_write(void *opaque)
{
    VirtConsole *port = opaque;

    transmit(port->serial);
}

static const ChardevFront console_front = {
    .can_read = console_can_read,
    .read = console_read,
    .can_write = console_can_write,
};

static void serial_notify(VirtioDevice *vdev, unsigned queue)
{
    VirtioSerial *s = (VirtioSerial *)vdev;

    if (queue == QUEUE_TX) {
        transmit(s);
    } else if (s->port) {
        chardev_accept_input(s->port->chr);
    }
}

static void serial_started(VirtioDevice *vdev)
{
    VirtioSerial *s = (VirtioSerial *)vdev;

    transmit(s);
    if (s->port) {
        chardev_accept_input(s->port->chr);
    }
}

static void serial_reset(VirtioDevice *vdev)
{
    ((VirtioSerial *)vdev)->sent_bytes = 0;
}

static const VirtioDeviceOps serial_ops = {
    .device_id = VIRTIO_ID_CONSOLE,
    .stream_name = "virtio-console",
    .queue_notify = serial_notify,
    .started = serial_started,
    .reset = serial_reset,
};

static bool serial_realize(Device *dev, Error **errp)
{
    VirtioSerial *s = (VirtioSerial *)dev;
    g_autofree char *name = g_strdup_printf("%s.0", dev->id ? dev->id
                                                     : "virtio-serial-bus");

    (void)errp;
    virtio_init(&s->vdev, &serial_ops);
    virtio_add_queue(&s->vdev, QUEUE_SIZE);
    virtio_add_queue(&s->vdev, QUEUE_SIZE);
    bus_init(&s->bus, dev->vm, name, "virtio-serial-bus", dev);
    s->bus.max_children = 1;
    return true;
}

static void serial_unrealize(Device *dev)
{
    VirtioSerial *s = (VirtioSerial *)dev;

    bus_destroy(&s->bus);
    virtio_cleanup(&s->vdev);
}

static const VMStateDescription vmstate_serial = {
    .name = "virtio-console",
    .version_id = 3,
    .minimum_version_id = 3,
    .fields = (const VMStateField[]) {
        VMSTATE_VIRTIO_DEVICE(vdev, VirtioSerial),
        VMSTATE_UINT32(sent_bytes, VirtioSerial),
        VMSTATE_END_OF_LIST()
    },
};

static const Property serial_properties[] = {
    { .name = NULL }
};

VIRTIO_DEVICE_TYPES(serial, "serial", VirtioSerial,
                    "virtio console controller, one port")

static bool console_realize(Device *dev, Error **errp)
{
    VirtConsole *port = (VirtConsole *)dev;

    if (!port->chr) {
        error_setg(errp, "virtconsole needs property 'chardev': the id of a "
                   "-chardev");
        return false;
    }
    port->serial = (VirtioSerial *)dev->bus->owner;
    if (!chardev_attach(port->chr, &console_front, port, errp)) {
        return false;
    }
    port->serial->port = port;
    return true;
}

static void console_unrealize(Device *dev)
{
    VirtConsole *port = (VirtConsole *)dev;

    chardev_detach(port->chr);
    port->serial->port = NULL;
}

static const Property console_properties[] = {
    { .name = "chardev", .kind = PROP_CHARDEV,
      .offset = offsetof(VirtConsole, chr), .help = "id of the -chardev" },
    { .name = NULL }
};

static const DeviceType virtconsole_type = {
    .name = "virtconsole",
    .bus = "virtio-serial-bus",
    .description = "console port of a virtio-serial controller",
    .instance_size = sizeof(VirtConsole),
    .properties = console_properties,
    .realize = console_realize,
    .unrealize = console_unrealize,
    .user_creatable = true,
};
DEVICE_TYPE(virtconsole_type);
