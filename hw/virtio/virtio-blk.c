/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Block device (virtio 1.2, section 5.2) over a block back end. Requests go
 * out as they are popped and come back in any order; before the guest is
 * stopped the back end has finished all of them, so nothing under way ever
 * travels. Big lock.
 */
#include <errno.h>

#include "hw/block/block.h"
#include "hw/virtio/virtio-types.h"
#include "util/checked.h"

#define SECTOR_SIZE         512
#define QUEUE_SIZE          256
#define SEG_MAX             254     /* QUEUE_SIZE less header and status */
/* The most one discard or write-zeroes request may cover, in sectors. */
#define DISCARD_MAX_SECTORS (UINT32_C(1) << 22)
#define SERIAL_BYTES        20

/* Feature bits, 5.2.3 */
enum {
    BLK_F_SEG_MAX = 2, BLK_F_RO = 5, BLK_F_BLK_SIZE = 6, BLK_F_FLUSH = 9,
    BLK_F_CONFIG_WCE = 11, BLK_F_DISCARD = 13,
    BLK_F_WRITE_ZEROES = 14,
};

/* Request types and status values, 5.2.6 */
enum {
    BLK_T_IN = 0, BLK_T_OUT = 1, BLK_T_FLUSH = 4, BLK_T_GET_ID = 8,
    BLK_T_DISCARD = 11, BLK_T_WRITE_ZEROES = 13,
};
enum { BLK_S_OK = 0, BLK_S_IOERR = 1, BLK_S_UNSUPP = 2 };

/* Offsets in the configuration space, 5.2.4 */
enum {
    CFG_CAPACITY = 0, CFG_SEG_MAX = 12, CFG_BLK_SIZE = 20, CFG_WRITEBACK = 32,
    CFG_MAX_DISCARD = 36, CFG_MAX_DISCARD_SEG = 40, CFG_DISCARD_ALIGN = 44,
    CFG_MAX_ZEROES = 48, CFG_MAX_ZEROES_SEG = 52, CFG_BYTES = 60,
};

typedef struct VirtioBlk {
    VirtioDevice vdev;
    /* properties */
    BlockBackend *blk;
    char *serial;
    int write_cache;            /* -1: as the back end has it */
    int32_t boot_index;
} VirtioBlk;

typedef struct BlkRequest {
    VirtioBlk *s;
    VirtioElement *element;
    struct iovec *data;         /* what is to be transferred */
    unsigned data_count;
    uint64_t in_bytes;          /* to report when it went well */
    bool flush_after;           /* write-through: durable when reported */
} BlkRequest;

typedef struct RequestHeader {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
} RequestHeader;

typedef struct DiscardRange {
    uint64_t sector;
    uint32_t sectors;
    uint32_t flags;
} DiscardRange;

static void put_config(VirtioBlk *s, unsigned offset, uint64_t value,
                       unsigned size)
{
    memcpy(s->vdev.config + offset, &value, size);
}

static void finish(BlkRequest *req, uint8_t status)
{
    VirtioElement *element = req->element;
    VirtQueue *vq = &req->s->vdev.queues[0];
    uint64_t written = (status == BLK_S_OK ? req->in_bytes : 0) + 1;

    /* The status is the last byte of what the device writes. */
    iov_from_buf_at(element->in, element->in_count, element->in_bytes - 1,
                    &status, 1);
    if (status != BLK_S_OK) {
        /* What was read in part is in memory, and so is the status. */
        written = element->in_bytes;
    }
    virtqueue_push(vq, element, MIN(written, UINT32_MAX));
    virtqueue_interrupt(vq);
    g_free(req->data);
    g_free(req);
}

static void request_done(void *opaque, int status)
{
    BlkRequest *req = opaque;

    if (status == 0 && req->flush_after) {
        req->flush_after = false;
        block_submit(req->s->blk, BLOCK_FLUSH, 0, 0, NULL, 0, request_done,
                     req);
        return;
    }
    finish(req, status == 0 ? BLK_S_OK : BLK_S_IOERR);
}

/* A copy of @iov from @skip bytes on, @len bytes of it. */
static struct iovec *slice(const struct iovec *iov, unsigned count,
                           uint64_t skip, uint64_t len, unsigned *out_count)
{
    struct iovec *out = g_new(struct iovec, count + 1);
    unsigned n = 0;

    for (unsigned i = 0; i < count && len > 0; i++) {
        uint64_t piece;

        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        piece = MIN(iov[i].iov_len - skip, len);
        out[n].iov_base = (uint8_t *)iov[i].iov_base + skip;
        out[n++].iov_len = piece;
        len -= piece;
        skip = 0;
    }
    *out_count = n;
    return out;
}

static void transfer(BlkRequest *req, BlockOp op, uint64_t sector,
                     uint64_t bytes)
{
    uint64_t offset;

    if (bytes % SECTOR_SIZE ||
        !checked_mul_u64(sector, SECTOR_SIZE, &offset)) {
        finish(req, BLK_S_IOERR);
        return;
    }
    block_submit(req->s->blk, op, offset, bytes, req->data, req->data_count,
                 request_done, req);
}

static void discard(BlkRequest *req, BlockOp op)
{
    VirtioElement *element = req->element;
    DiscardRange range;

    /* One segment a request is what the configuration space offers. */
    if (element->out_bytes != sizeof(RequestHeader) + sizeof(range)) {
        finish(req, BLK_S_IOERR);
        return;
    }
    iov_to_buf_at(element->out, element->out_count, sizeof(RequestHeader),
                  &range, sizeof(range));
    if (range.sectors > DISCARD_MAX_SECTORS || range.flags > 1 ||
        (op == BLOCK_DISCARD && range.flags)) {
        finish(req, range.flags ? BLK_S_UNSUPP : BLK_S_IOERR);
        return;
    }
    transfer(req, op, range.sector, (uint64_t)range.sectors * SECTOR_SIZE);
}

static void get_id(BlkRequest *req)
{
    char id[SERIAL_BYTES] = { 0 };

    if (req->s->serial) {
        memcpy(id, req->s->serial, MIN(strlen(req->s->serial), sizeof(id)));
    }
    req->in_bytes = iov_from_buf_at(req->data, req->data_count, 0, id,
                                    sizeof(id));
    finish(req, BLK_S_OK);
}

/* The back end has no volatile cache left to the guest's care. */
static bool write_through(VirtioBlk *s)
{
    if (virtio_has_feature(&s->vdev, BLK_F_CONFIG_WCE)) {
        return !s->vdev.config[CFG_WRITEBACK];
    }
    return !virtio_has_feature(&s->vdev, BLK_F_FLUSH);
}

static void start_request(VirtioBlk *s, VirtioElement *element)
{
    BlkRequest *req;
    RequestHeader header;

    if (element->out_bytes < sizeof(header) || element->in_bytes < 1) {
        virtio_error(&s->vdev, "request of %" PRIu64 " bytes out, %" PRIu64
                     " bytes in; expected at least 16 and 1",
                     element->out_bytes, element->in_bytes);
        virtqueue_discard(&s->vdev.queues[0], element);
        return;
    }
    iov_to_buf_at(element->out, element->out_count, 0, &header,
                  sizeof(header));
    req = g_new0(BlkRequest, 1);
    req->s = s;
    req->element = element;
    switch (header.type) {
    case BLK_T_IN:
        req->in_bytes = element->in_bytes - 1;
        req->data = slice(element->in, element->in_count, 0, req->in_bytes,
                          &req->data_count);
        transfer(req, BLOCK_READ, header.sector, req->in_bytes);
        break;
    case BLK_T_OUT:
        req->flush_after = write_through(s);
        req->data = slice(element->out, element->out_count, sizeof(header),
                          element->out_bytes - sizeof(header),
                          &req->data_count);
        transfer(req, BLOCK_WRITE, header.sector,
                 element->out_bytes - sizeof(header));
        break;
    case BLK_T_FLUSH:
        block_submit(s->blk, BLOCK_FLUSH, 0, 0, NULL, 0, request_done, req);
        break;
    case BLK_T_DISCARD:
        discard(req, BLOCK_DISCARD);
        break;
    case BLK_T_WRITE_ZEROES:
        req->flush_after = write_through(s);
        discard(req, BLOCK_WRITE_ZEROES);
        break;
    case BLK_T_GET_ID:
        req->data = slice(element->in, element->in_count, 0,
                          element->in_bytes - 1, &req->data_count);
        get_id(req);
        break;
    default:
        finish(req, BLK_S_UNSUPP);
    }
}

static void serve(VirtioDevice *vdev)
{
    VirtioBlk *s = (VirtioBlk *)vdev;
    VirtioElement *element;

    while ((element = virtqueue_pop(&vdev->queues[0]))) {
        start_request(s, element);
    }
}

static void blk_notify(VirtioDevice *vdev, unsigned queue)
{
    (void)queue;
    serve(vdev);
}

/* All of the configuration space but the cache mode. */
static void fill_config(VirtioBlk *s)
{
    put_config(s, CFG_CAPACITY, block_size(s->blk) / SECTOR_SIZE, 8);
    put_config(s, CFG_SEG_MAX, SEG_MAX, 4);
    put_config(s, CFG_BLK_SIZE, SECTOR_SIZE, 4);
    put_config(s, CFG_MAX_DISCARD, DISCARD_MAX_SECTORS, 4);
    put_config(s, CFG_MAX_DISCARD_SEG, 1, 4);
    put_config(s, CFG_DISCARD_ALIGN, 1, 4);
    put_config(s, CFG_MAX_ZEROES, DISCARD_MAX_SECTORS, 4);
    put_config(s, CFG_MAX_ZEROES_SEG, 1, 4);
}

static uint64_t blk_features(VirtioDevice *vdev)
{
    const BlockOptions *opt = block_options(((VirtioBlk *)vdev)->blk);
    uint64_t bits = UINT64_C(1) << BLK_F_SEG_MAX | 1 << BLK_F_BLK_SIZE |
                    1 << BLK_F_FLUSH | 1 << BLK_F_CONFIG_WCE;

    if (opt->read_only) {
        return bits | 1 << BLK_F_RO;
    }
    bits |= 1 << BLK_F_WRITE_ZEROES;
    return opt->discard ? bits | 1 << BLK_F_DISCARD : bits;
}

static void blk_config_written(VirtioDevice *vdev, unsigned offset,
                               unsigned size)
{
    (void)offset;
    (void)size;
    vdev->config[CFG_WRITEBACK] = vdev->config[CFG_WRITEBACK] != 0;
    /* Only the cache mode is the driver's to write. */
    fill_config((VirtioBlk *)vdev);
}

/* The cache mode that a driver finds at first; it may choose another. */
static void preset_cache(VirtioBlk *s)
{
    bool on = s->write_cache < 0 ? block_options(s->blk)->writeback
                                 : s->write_cache;

    put_config(s, CFG_WRITEBACK, on, 1);
}

/* Requests of the time before the reset complete into a queue that is gone. */
static void blk_reset(VirtioDevice *vdev)
{
    VirtioBlk *s = (VirtioBlk *)vdev;

    block_drain(s->blk);
    preset_cache(s);
}

static const VirtioDeviceOps blk_ops = {
    .device_id = VIRTIO_ID_BLOCK,
    .stream_name = "virtio-blk",
    .config_bytes = CFG_BYTES,
    .features = blk_features,
    .config_written = blk_config_written,
    .queue_notify = blk_notify,
    .started = serve,
    .reset = blk_reset,
};

/*
 * Who uses the disk, as query-block has it: a device with an id by that, one
 * inside another by its path. Caller frees.
 */
static char *user_name(const Device *dev)
{
    const Device *outer = dev->bus->owner;

    if (outer->inner == dev && outer->id) {
        return g_strconcat("/machine/peripheral/", outer->id,
                           "/" DEVICE_INNER_NAME, NULL);
    }
    return g_strdup(device_name(outer->inner == dev ? outer : dev));
}

static bool blk_realize(Device *dev, Error **errp)
{
    VirtioBlk *s = (VirtioBlk *)dev;
    g_autofree char *user = user_name(dev);

    if (!s->blk) {
        error_setg(errp, "%s needs property 'drive': the id of a -drive or "
                   "node name of a -blockdev", dev->type->name);
        return false;
    }
    if (s->serial && strlen(s->serial) > SERIAL_BYTES) {
        error_setg(errp, "property 'serial' is '%s'; expected at most %d "
                   "characters", s->serial, SERIAL_BYTES);
        return false;
    }
    if (!block_claim(s->blk, user, errp)) {
        return false;
    }
    virtio_init(&s->vdev, &blk_ops);
    virtio_add_queue(&s->vdev, QUEUE_SIZE);
    fill_config(s);
    preset_cache(s);
    return true;
}

static void blk_unrealize(Device *dev)
{
    VirtioBlk *s = (VirtioBlk *)dev;

    block_drain(s->blk);
    block_release(s->blk);
    virtio_cleanup(&s->vdev);
}

static bool blk_post_load(void *opaque, int version_id, Error **errp)
{
    VirtioBlk *s = opaque;
    uint64_t sectors;

    (void)version_id;
    memcpy(&sectors, s->vdev.config + CFG_CAPACITY, 8);
    if (sectors != block_size(s->blk) / SECTOR_SIZE) {
        error_setg(errp, "the disk has %" PRIu64 " sectors there, %" PRIu64
                   " here", sectors, block_size(s->blk) / SECTOR_SIZE);
        return false;
    }
    return true;
}

static const VMStateDescription vmstate_blk = {
    .name = "virtio-blk",
    .version_id = 2,
    .minimum_version_id = 2,
    .post_load = blk_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_VIRTIO_DEVICE(vdev, VirtioBlk),
        VMSTATE_END_OF_LIST()
    },
};

static const Property blk_properties[] = {
    { .name = "drive", .kind = PROP_BLOCK, .offset = offsetof(VirtioBlk, blk),
      .help = "id of the -drive or -blockdev" },
    { .name = "serial", .kind = PROP_STRING,
      .offset = offsetof(VirtioBlk, serial),
      .help = "serial number, up to 20 characters" },
    { .name = "write-cache", .kind = PROP_ON_OFF_AUTO,
      .offset = offsetof(VirtioBlk, write_cache),
      .help = "whether the guest finds a cache to flush; it may change that" },
    { .name = "bootindex", .kind = PROP_BOOT_INDEX,
      .offset = offsetof(VirtioBlk, boot_index),
      .help = "a number of its own; no disk is booted from" },
    { .name = NULL }
};

VIRTIO_DEVICE_TYPES(blk, "blk", VirtioBlk, "virtio disk")
