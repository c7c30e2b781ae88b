/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entropy device (virtio 1.2, section 5.4): fills every buffer from the host's
 * random number generator, at most at the rate that max-bytes and period
 * allow. Big lock.
 */
#include <errno.h>
#include <sys/random.h>

#include "hw/virtio/virtio-types.h"
#include "system/timer.h"

#define QUEUE_SIZE  8

typedef struct VirtioRng {
    VirtioDevice vdev;
    VmTimer *timer;
    /* properties */
    uint64_t max_bytes;         /* a period */
    uint32_t period_ms;
    /* what may still be given in this period; not saved: it starts afresh */
    uint64_t quota;
} VirtioRng;

/* Random bytes for [buf, buf + len); the kernel's never fail once seeded. */
static bool fill_random(uint8_t *buf, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(buf, len, 0);

        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            buf += n;
            len -= n;
        }
    }
    return true;
}

static void serve(VirtioDevice *vdev)
{
    VirtioRng *rng = (VirtioRng *)vdev;
    VirtQueue *vq = &vdev->queues[0];
    bool any = false;

    while (rng->quota > 0) {
        VirtioElement *element = virtqueue_pop(vq);
        uint64_t written = 0;

        if (!element) {
            break;
        }
        for (unsigned i = 0; i < element->in_count && rng->quota; i++) {
            uint64_t n = MIN(element->in[i].iov_len, rng->quota);

            /* One request is served in the time of one device access. */
            n = MIN(n, 64 * 1024);
            if (!fill_random(element->in[i].iov_base, n)) {
                break;
            }
            written += n;
            rng->quota -= n;
            if (n < element->in[i].iov_len) {
                break;
            }
        }
        virtqueue_push(vq, element, written);
        any = true;
    }
    if (any) {
        virtqueue_interrupt(vq);
    }
    if (rng->quota == 0 && !vm_timer_pending(rng->timer)) {
        vm_timer_mod(rng->timer,
                     vm_clock_ns(vdev->parent.vm, VM_CLOCK_VIRTUAL) +
                     rng->period_ms * INT64_C(1000000));
    }
}

static void next_period(void *opaque)
{
    VirtioRng *rng = opaque;

    rng->quota = rng->max_bytes;
    if (virtio_is_started(&rng->vdev)) {
        serve(&rng->vdev);
    }
}

static void rng_notify(VirtioDevice *vdev, unsigned queue)
{
    (void)queue;
    serve(vdev);
}

static const VirtioDeviceOps rng_ops = {
    .device_id = VIRTIO_ID_RNG,
    .stream_name = "virtio-rng",
    .queue_notify = rng_notify,
    .started = serve,
};

static bool rng_realize(Device *dev, Error **errp)
{
    VirtioRng *rng = (VirtioRng *)dev;

    if (rng->period_ms == 0) {
        error_setg(errp, "property 'period' is 0; expected milliseconds");
        return false;
    }
    virtio_init(&rng->vdev, &rng_ops);
    virtio_add_queue(&rng->vdev, QUEUE_SIZE);
    rng->timer = vm_timer_new(dev->vm, VM_CLOCK_VIRTUAL, next_period, rng);
    rng->quota = rng->max_bytes;
    return true;
}

static void rng_unrealize(Device *dev)
{
    VirtioRng *rng = (VirtioRng *)dev;

    vm_timer_free(rng->timer);
    virtio_cleanup(&rng->vdev);
}

static const Property rng_properties[] = {
    { .name = "max-bytes", .kind = PROP_U64,
      .offset = offsetof(VirtioRng, max_bytes), .min = 1, .max = INT64_MAX,
      .preset = "0x7fffffffffffffff", .help = "bytes given in a period" },
    { .name = "period", .kind = PROP_U32,
      .offset = offsetof(VirtioRng, period_ms),
      .preset = "65536", .help = "milliseconds" },
    { .name = NULL }
};

static const VMStateDescription vmstate_rng = {
    .name = "virtio-rng",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_VIRTIO_DEVICE(vdev, VirtioRng),
        VMSTATE_END_OF_LIST()
    },
};

VIRTIO_DEVICE_TYPES(rng, "rng", VirtioRng, "virtio entropy source")
