/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entropy device (virtio 1.2, section 5.4): fills every buffer from the host's
 * random number generator or from what rng= names, at most at the rate that
 * max-bytes and period allow. Big lock.
 */
#include <string.h>
#include <sys/random.h>

#include "hw/virtio/virtio-types.h"
#include "system/object.h"
#include "system/timer.h"

#define QUEUE_SIZE  8

/* What getrandom() gives whole. */
#define POOL_BYTES 256
/* When a source that had nothing is asked again. */
#define SOURCE_RETRY_MS 100

typedef struct VirtioRng {
    VirtioDevice vdev;
    VmTimer *timer;
    /* properties */
    Object *source;             /* NULL: the host's kernel */
    uint64_t max_bytes;         /* a period */
    uint32_t period_ms;
    /* what may still be given in this period; not saved: it starts afresh */
    uint64_t quota;
    /* bytes pool_used .. pool_len - 1 have not been given to anybody */
    uint8_t pool[POOL_BYTES];
    size_t pool_used, pool_len;
} VirtioRng;

/* Whether there is anything to give; fills the pool if it is empty. */
static bool fill_pool(VirtioRng *rng)
{
    if (rng->pool_used == rng->pool_len) {
        rng->pool_used = 0;
        rng->pool_len = 0;
        if (rng->source) {
            rng->pool_len = object_random(rng->source, rng->pool, POOL_BYTES);
        } else if (getrandom(rng->pool, POOL_BYTES, 0) == POOL_BYTES) {
            /* Up to 256 bytes come whole and without a wait, once seeded. */
            rng->pool_len = POOL_BYTES;
        }
    }
    return rng->pool_used < rng->pool_len;
}

/* As much of [to, to + len) as there is; returns how much. */
static uint64_t give(VirtioRng *rng, uint8_t *to, uint64_t len)
{
    uint64_t done = 0;

    while (done < len && fill_pool(rng)) {
        uint64_t n = MIN(len - done, rng->pool_len - rng->pool_used);

        memcpy(to + done, rng->pool + rng->pool_used, n);
        rng->pool_used += n;
        done += n;
    }
    return done;
}

static void serve(VirtioDevice *vdev)
{
    VirtioRng *rng = (VirtioRng *)vdev;
    VirtQueue *vq = &vdev->queues[0];
    int64_t wait_ms = rng->period_ms;
    bool any = false;

    while (rng->quota > 0) {
        VirtioElement *element;
        uint64_t written = 0;

        /* A buffer is not taken before there is something to put in. */
        if (!fill_pool(rng)) {
            wait_ms = SOURCE_RETRY_MS;
            break;
        }
        element = virtqueue_pop(vq);
        if (!element) {
            break;
        }
        for (unsigned i = 0; i < element->in_count && rng->quota; i++) {
            uint64_t want = MIN(element->in[i].iov_len, rng->quota);
            uint64_t n;

            /* One request is served in the time of one device access. */
            want = MIN(want, 64 * 1024);
            n = give(rng, element->in[i].iov_base, want);
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
    if ((rng->quota == 0 || wait_ms == SOURCE_RETRY_MS) &&
        !vm_timer_pending(rng->timer)) {
        vm_timer_mod(rng->timer,
                     vm_clock_ns(vdev->parent.vm, VM_CLOCK_VIRTUAL) +
                     wait_ms * INT64_C(1000000));
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
    if (rng->source && !object_is_rng(rng->source)) {
        error_setg(errp, "property 'rng': object '%s' is no source of random "
                   "numbers; rng-builtin and rng-random are",
                   object_id(rng->source));
        return false;
    }
    if (rng->source) {
        object_hold(rng->source);
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
    if (rng->source) {
        object_release(rng->source);
    }
}

static const Property rng_properties[] = {
    { .name = "rng", .kind = PROP_OBJECT,
      .offset = offsetof(VirtioRng, source),
      .help = "the source of random numbers; the host's kernel if not given" },
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
