/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multifd-compression "zlib": all payloads of a channel are one deflate stream,
 * flushed at the end of each, so that a packet can be unpacked by itself but
 * knows what came before. The channels' threads; each state is one's; no lock.
 */
#include <inttypes.h>
#include <string.h>

#include <zlib.h>

#include "migration/multifd-method.h"
#include "system/memory.h"

typedef struct ZlibState {
    z_stream zs;
    uint8_t page[GUEST_PAGE_SIZE];      /* one that does not change */
    uint8_t payload[MULTIFD_PAYLOAD_MAX];
} ZlibState;

static ZlibState *zlib_failed(ZlibState *st, int res, Error **errp)
{
    error_setg(errp, "zlib cannot be set up: %s",
               st->zs.msg ? st->zs.msg : zError(res));
    g_free(st);
    return NULL;
}

static void *zlib_send_new(int level, Error **errp)
{
    ZlibState *st = g_new0(ZlibState, 1);
    int res = deflateInit(&st->zs, level);

    return res == Z_OK ? st : zlib_failed(st, res, errp);
}

static void zlib_send_free(void *state)
{
    deflateEnd(&((ZlibState *)state)->zs);
    g_free(state);
}

static bool zlib_pack(void *state, uint8_t *const *page, unsigned num,
                      struct iovec *iov, unsigned *num_iov, uint32_t *bytes,
                      Error **errp)
{
    ZlibState *st = state;
    z_stream *zs = &st->zs;

    zs->next_out = st->payload;
    zs->avail_out = sizeof(st->payload);
    for (unsigned i = 0; i < num; i++) {
        int res;

        /* The guest may write meanwhile: it must be one text all along. */
        memcpy(st->page, page[i], GUEST_PAGE_SIZE);
        zs->next_in = st->page;
        zs->avail_in = GUEST_PAGE_SIZE;
        res = deflate(zs, i + 1 == num ? Z_SYNC_FLUSH : Z_NO_FLUSH);
        if (res != Z_OK || zs->avail_in || !zs->avail_out) {
            error_setg(errp, "zlib cannot compress page %u of %u: %s", i, num,
                       zs->msg ? zs->msg : zError(res));
            return false;
        }
    }
    *bytes = sizeof(st->payload) - zs->avail_out;
    iov[0] = (struct iovec) { st->payload, *bytes };
    *num_iov = 1;
    return true;
}

static void *zlib_recv_new(Error **errp)
{
    ZlibState *st = g_new0(ZlibState, 1);
    int res = inflateInit(&st->zs);

    return res == Z_OK ? st : zlib_failed(st, res, errp);
}

static void zlib_recv_free(void *state)
{
    inflateEnd(&((ZlibState *)state)->zs);
    g_free(state);
}

/* One page's worth. What is left over of the last one is but a flush. */
static bool inflate_page(z_stream *zs, uint8_t *page, bool last, Error **errp)
{
    int res;

    zs->next_out = page;
    zs->avail_out = GUEST_PAGE_SIZE;
    do {
        res = inflate(zs, last ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    } while (res == Z_OK && zs->avail_in && zs->avail_out);
    if ((res != Z_OK && res != Z_BUF_ERROR) || zs->avail_out) {
        error_setg(errp, "zlib: %s, with %u of a page's %" PRIu64 " bytes "
                   "there", res == Z_OK || res == Z_BUF_ERROR
                   ? "the payload ends"
                   : zs->msg ? zs->msg : zError(res),
                   (unsigned)GUEST_PAGE_SIZE - zs->avail_out,
                   GUEST_PAGE_SIZE);
        return false;
    }
    return true;
}

/* Behind the last page the flush is taken, and nothing else may be there. */
static bool inflate_end(z_stream *zs, Error **errp)
{
    uint8_t more;
    int res = Z_OK;

    zs->next_out = &more;
    zs->avail_out = 1;
    while (zs->avail_in && zs->avail_out && res == Z_OK) {
        res = inflate(zs, Z_SYNC_FLUSH);
    }
    if (zs->avail_in || !zs->avail_out ||
        (res != Z_OK && res != Z_BUF_ERROR)) {
        error_setg(errp, "zlib: more in a payload than its pages (%u bytes)",
                   zs->avail_in);
        return false;
    }
    return true;
}

static bool zlib_unpack(void *state, IoChannel *ch, uint32_t bytes,
                        uint8_t *const *page, unsigned num, Error **errp)
{
    ZlibState *st = state;

    if (!multifd_read_payload(ch, st->payload, bytes, errp)) {
        return false;
    }
    st->zs.next_in = st->payload;
    st->zs.avail_in = bytes;
    for (unsigned i = 0; i < num; i++) {
        if (!inflate_page(&st->zs, page[i], i + 1 == num, errp)) {
            return false;
        }
    }
    return inflate_end(&st->zs, errp);
}

const MultiFDMethod multifd_method_zlib = {
    .flags = MULTIFD_METHOD_ZLIB,
    .send_new = zlib_send_new,
    .send_free = zlib_send_free,
    .recv_new = zlib_recv_new,
    .recv_free = zlib_recv_free,
    .pack = zlib_pack,
    .unpack = zlib_unpack,
};
