/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues (virtio 1.2, section 2.7), from the device's side. Every
 * number in a ring is the guest's and is checked before it is used; a chain is
 * taken only if all of it lies in RAM. Big lock.
 */
#include "hw/virtio/virtio.h"

#include "util/checked.h"

#define DESC_BYTES              16
#define DESC_F_NEXT             1
#define DESC_F_WRITE            2
#define DESC_F_INDIRECT         4
#define AVAIL_F_NO_INTERRUPT    1

/*
 * A chain may scatter over this many pieces of host memory, which is what one
 * preadv() takes; 2.7.5.3.1 bounds a chain by the queue's size anyway.
 */
#define CHAIN_IOV_MAX           1024

typedef struct Descriptor {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
} Descriptor;

static Memory *queue_memory(VirtQueue *vq)
{
    return vq->vdev->parent.vm->memory;
}

static bool read_descriptor(VirtQueue *vq, hwaddr table, unsigned index,
                            Descriptor *desc)
{
    uint8_t raw[DESC_BYTES];

    if (memory_read(queue_memory(vq), table + (hwaddr)index * DESC_BYTES, raw,
                    sizeof(raw)) != MEM_OK) {
        virtio_error(vq->vdev, "descriptor %u lies outside of RAM", index);
        return false;
    }
    memcpy(&desc->addr, raw, 8);
    memcpy(&desc->len, raw + 8, 4);
    memcpy(&desc->flags, raw + 12, 2);
    memcpy(&desc->next, raw + 14, 2);
    return true;
}

/* Ring index fields are read and written with the barriers of 2.7.13. */
static bool load_avail_index(VirtQueue *vq, uint16_t *index)
{
    if (memory_ld16(queue_memory(vq), vq->avail + 2, index) != MEM_OK) {
        virtio_error(vq->vdev, "queue %u: no available ring", vq->index);
        return false;
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return true;
}

/* The 16-bit word behind the used ring: interrupts of the driver's interest. */
static hwaddr avail_event_addr(const VirtQueue *vq)
{
    return vq->used + 4 + (hwaddr)vq->size * 8;
}

static hwaddr used_event_addr(const VirtQueue *vq)
{
    return vq->avail + 4 + (hwaddr)vq->size * 2;
}

bool virtqueue_is_empty(VirtQueue *vq)
{
    uint16_t index;

    return !vq->ready || vq->vdev->broken || !load_avail_index(vq, &index) ||
           index == vq->last_avail;
}

/* Appends the host memory of one descriptor to @iov. */
static bool map_descriptor(VirtQueue *vq, const Descriptor *desc,
                           struct iovec *iov, unsigned *count)
{
    bool write = desc->flags & DESC_F_WRITE;
    uint64_t addr = desc->addr, left = desc->len;

    if (left == 0) {
        virtio_error(vq->vdev, "queue %u: empty buffer", vq->index);
        return false;
    }
    while (left > 0) {
        uint64_t len = left;
        void *host;

        if (*count == CHAIN_IOV_MAX) {
            virtio_error(vq->vdev, "queue %u: chain of over %u pieces",
                         vq->index, CHAIN_IOV_MAX);
            return false;
        }
        host = memory_map(queue_memory(vq), addr, &len, write);
        if (!host) {
            virtio_error(vq->vdev, "queue %u: buffer at 0x%" PRIx64
                         " is not RAM", vq->index, addr);
            return false;
        }
        iov[*count] = (struct iovec) { .iov_base = host, .iov_len = len };
        (*count)++;
        addr += len;
        left -= len;
    }
    return true;
}

static VirtioElement *element_new(unsigned head, const struct iovec *out,
                                  unsigned out_count, const struct iovec *in,
                                  unsigned in_count)
{
    VirtioElement *element = g_malloc0(sizeof(*element) +
                                       (out_count + in_count) *
                                       sizeof(struct iovec));

    element->head = head;
    element->out = element->iov;
    element->in = element->iov + out_count;
    element->out_count = out_count;
    element->in_count = in_count;
    for (unsigned i = 0; i < out_count; i++) {
        element->out[i] = out[i];
        element->out_bytes += out[i].iov_len;
    }
    for (unsigned i = 0; i < in_count; i++) {
        element->in[i] = in[i];
        element->in_bytes += in[i].iov_len;
    }
    return element;
}

/* Walks the chain from @head on; NULL if the guest broke a rule. */
static VirtioElement *read_chain(VirtQueue *vq, unsigned head)
{
    struct iovec out[CHAIN_IOV_MAX], in[CHAIN_IOV_MAX];
    unsigned out_count = 0, in_count = 0, walked = 0;
    unsigned index = head, limit = vq->size;
    hwaddr table = vq->desc;
    Descriptor desc;

    for (;;) {
        if (index >= limit) {
            virtio_error(vq->vdev, "queue %u: descriptor %u of %u", vq->index,
                         index, limit);
            return NULL;
        }
        if (!read_descriptor(vq, table, index, &desc)) {
            return NULL;
        }
        if (desc.flags & DESC_F_INDIRECT) {
            if (table != vq->desc || (desc.flags & DESC_F_NEXT) ||
                desc.len == 0 || desc.len % DESC_BYTES ||
                desc.len / DESC_BYTES > VIRTIO_QUEUE_SIZE_MAX ||
                !virtio_has_feature(vq->vdev, VIRTIO_F_INDIRECT_DESC)) {
                virtio_error(vq->vdev, "queue %u: bad indirect table of %u "
                             "bytes", vq->index, desc.len);
                return NULL;
            }
            table = desc.addr;
            limit = desc.len / DESC_BYTES;
            index = 0;
            walked = 0;
            continue;
        }
        if (++walked > limit) {
            virtio_error(vq->vdev, "queue %u: chain that never ends",
                         vq->index);
            return NULL;
        }
        if (desc.flags & DESC_F_WRITE) {
            if (!map_descriptor(vq, &desc, in, &in_count)) {
                return NULL;
            }
        } else if (in_count) {
            virtio_error(vq->vdev, "queue %u: buffer to read behind one to "
                         "write", vq->index);
            return NULL;
        } else if (!map_descriptor(vq, &desc, out, &out_count)) {
            return NULL;
        }
        if (!(desc.flags & DESC_F_NEXT)) {
            break;
        }
        index = desc.next;
    }
    return element_new(head, out, out_count, in, in_count);
}

VirtioElement *virtqueue_pop(VirtQueue *vq)
{
    VirtioElement *element;
    uint16_t avail, head;

    if (!vq->ready || !virtio_is_started(vq->vdev) ||
        !load_avail_index(vq, &avail) || avail == vq->last_avail) {
        return NULL;
    }
    if ((uint16_t)(avail - vq->last_avail) > vq->size) {
        virtio_error(vq->vdev, "queue %u: available index went from %u to %u",
                     vq->index, vq->last_avail, avail);
        return NULL;
    }
    if (vq->in_flight >= vq->size) {
        virtio_error(vq->vdev, "queue %u: more chains than entries",
                     vq->index);
        return NULL;
    }
    if (memory_ld16(queue_memory(vq), vq->avail + 4 +
                    (vq->last_avail % vq->size) * 2, &head) != MEM_OK) {
        virtio_error(vq->vdev, "queue %u: no available ring", vq->index);
        return NULL;
    }
    element = read_chain(vq, head);
    if (!element) {
        return NULL;
    }
    vq->last_avail++;
    vq->in_flight++;
    if (virtio_has_feature(vq->vdev, VIRTIO_F_EVENT_IDX)) {
        /* Kick again from the next entry on. */
        memory_st16(queue_memory(vq), avail_event_addr(vq), vq->last_avail);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    }
    return element;
}

static void unmap_element(VirtQueue *vq, VirtioElement *element,
                          uint64_t written)
{
    for (unsigned i = 0; i < element->in_count; i++) {
        uint64_t len = MIN(written, element->in[i].iov_len);

        memory_unmap(queue_memory(vq), element->in[i].iov_base, len);
        written -= len;
    }
    for (unsigned i = 0; i < element->out_count; i++) {
        memory_unmap(queue_memory(vq), element->out[i].iov_base, 0);
    }
}

void virtqueue_discard(VirtQueue *vq, VirtioElement *element)
{
    unmap_element(vq, element, 0);
    vq->in_flight--;
    g_free(element);
}

void virtqueue_unpop(VirtQueue *vq, VirtioElement *element)
{
    vq->last_avail--;
    virtqueue_discard(vq, element);
}

void virtqueue_push(VirtQueue *vq, VirtioElement *element, uint32_t written)
{
    hwaddr slot = vq->used + 4 + (hwaddr)(vq->used_index % vq->size) * 8;
    Memory *mem = queue_memory(vq);

    /* A device that went wrong may have written anywhere it could. */
    unmap_element(vq, element, written);
    if (!vq->vdev->broken && vq->ready) {
        memory_st32(mem, slot, element->head);
        memory_st32(mem, slot + 4, written);
        __atomic_thread_fence(__ATOMIC_RELEASE);
        vq->used_index++;
        memory_st16(mem, vq->used + 2, vq->used_index);
        if ((uint16_t)(vq->used_index - vq->signalled_used) > vq->size) {
            vq->signalled_used_valid = false;
        }
    }
    vq->in_flight--;
    g_free(element);
}

/* Whether the driver asked to hear of the entries pushed since last time. */
static bool wants_interrupt(VirtQueue *vq)
{
    uint16_t old = vq->signalled_used, now = vq->used_index, word = 0;
    bool valid = vq->signalled_used_valid;

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!virtio_has_feature(vq->vdev, VIRTIO_F_EVENT_IDX)) {
        memory_ld16(queue_memory(vq), vq->avail, &word);
        return !(word & AVAIL_F_NO_INTERRUPT);
    }
    vq->signalled_used = now;
    vq->signalled_used_valid = true;
    if (memory_ld16(queue_memory(vq), used_event_addr(vq), &word) != MEM_OK) {
        return false;
    }
    /* used_event in [old, now), modulo 2^16 (2.7.7.2) */
    return !valid || (uint16_t)(now - word - 1) < (uint16_t)(now - old);
}

void virtqueue_interrupt(VirtQueue *vq)
{
    VirtioDevice *vdev = vq->vdev;

    if (vq->ready && !vdev->broken && wants_interrupt(vq)) {
        vdev->isr |= VIRTIO_ISR_QUEUE;
        vdev->transport->update_irq(vdev->transport->opaque, vdev->isr);
    }
}

void virtio_queue_set_size(VirtQueue *vq, uint32_t size)
{
    if (size && size <= vq->size_max && !(size & (size - 1)) && !vq->ready) {
        vq->size = size;
    }
}

static bool ring_fits(VirtQueue *vq, hwaddr addr, uint64_t bytes,
                      unsigned align, const char *what, Error **errp)
{
    RamBlock *rb;
    uint64_t offset;

    if (addr % align ||
        !memory_ram_at(queue_memory(vq), addr, &rb, &offset) ||
        !range_fits_u64(offset, bytes, rb->backing.size)) {
        error_setg(errp, "queue %u: %s at 0x%" PRIx64 " of %" PRIu64
                   " bytes; expected RAM, aligned to %u", vq->index, what,
                   addr, bytes, align);
        return false;
    }
    return true;
}

static bool rings_fit(VirtQueue *vq, Error **errp)
{
    return ring_fits(vq, vq->desc, (uint64_t)vq->size * DESC_BYTES, 16,
                     "descriptor table", errp) &&
           ring_fits(vq, vq->avail, 6 + (uint64_t)vq->size * 2, 2,
                     "available ring", errp) &&
           ring_fits(vq, vq->used, 6 + (uint64_t)vq->size * 8, 4,
                     "used ring", errp);
}

void virtio_queue_set_ready(VirtQueue *vq, bool ready)
{
    g_autoptr(Error) err = NULL;

    if (ready && !vq->ready && !rings_fit(vq, &err)) {
        virtio_error(vq->vdev, "%s", err->message);
        return;
    }
    vq->ready = ready;
}

bool virtio_queue_restore(VirtQueue *vq, Error **errp)
{
    uint16_t avail;

    vq->in_flight = 0;
    vq->signalled_used_valid = false;
    if (!vq->ready) {
        vq->used_index = 0;
        return true;
    }
    if (!rings_fit(vq, errp)) {
        return false;
    }
    memory_ld16(queue_memory(vq), vq->used + 2, &vq->used_index);
    memory_ld16(queue_memory(vq), vq->avail + 2, &avail);
    if ((uint16_t)(avail - vq->last_avail) > vq->size ||
        (uint16_t)(vq->last_avail - vq->used_index) > vq->size) {
        /* The rings are the guest's: it is in error, not the migration. */
        virtio_error(vq->vdev, "queue %u: available index %u, used index %u "
                     "do not agree with last available %u of %u entries",
                     vq->index, avail, vq->used_index, vq->last_avail,
                     vq->size);
    }
    return true;
}

size_t iov_to_buf_at(const struct iovec *iov, unsigned count, size_t offset,
                     void *buf, size_t len)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < len; i++) {
        size_t n;

        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        n = MIN(iov[i].iov_len - offset, len - done);
        memcpy((uint8_t *)buf + done, (uint8_t *)iov[i].iov_base + offset, n);
        done += n;
        offset = 0;
    }
    return done;
}

size_t iov_from_buf_at(const struct iovec *iov, unsigned count, size_t offset,
                       const void *buf, size_t len)
{
    size_t done = 0;

    for (unsigned i = 0; i < count && done < len; i++) {
        size_t n;

        if (offset >= iov[i].iov_len) {
            offset -= iov[i].iov_len;
            continue;
        }
        n = MIN(iov[i].iov_len - offset, len - done);
        memcpy((uint8_t *)iov[i].iov_base + offset, (const uint8_t *)buf + done,
               n);
        done += n;
        offset = 0;
    }
    return done;
}
