/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multifd-compression "zstd": all payloads of a channel are one frame, flushed
 * at the end of each. The channels' threads; each state is one's; no lock.
 */
#include <inttypes.h>
#include <string.h>

#include <zstd.h>

#include "migration/multifd-method.h"
#include "system/memory.h"

/*
 * What a source may make us keep of the past, as a power of two: level 20, the
 * highest there is, wants so much.
 */
#define WINDOW_LOG_MAX 25

typedef struct ZstdState {
    ZSTD_CCtx *send;            /* one of the two is there */
    ZSTD_DCtx *recv;
    uint8_t page[GUEST_PAGE_SIZE];      /* one that does not change */
    uint8_t payload[MULTIFD_PAYLOAD_MAX];
} ZstdState;

static void zstd_free(void *state)
{
    ZstdState *st = state;

    ZSTD_freeCCtx(st->send);
    ZSTD_freeDCtx(st->recv);
    g_free(st);
}

/* What is in @st is freed if @res, which is zstd's answer, is an error. */
static void *checked(ZstdState *st, size_t res, Error **errp)
{
    if (!ZSTD_isError(res)) {
        return st;
    }
    error_setg(errp, "zstd cannot be set up: %s", ZSTD_getErrorName(res));
    zstd_free(st);
    return NULL;
}

static void *zstd_send_new(int level, Error **errp)
{
    ZstdState *st = g_new0(ZstdState, 1);

    st->send = ZSTD_createCCtx();
    if (!st->send) {
        error_setg(errp, "zstd cannot be set up: no memory");
        zstd_free(st);
        return NULL;
    }
    return checked(st, ZSTD_CCtx_setParameter(st->send,
                                              ZSTD_c_compressionLevel, level),
                   errp);
}

static bool zstd_pack(void *state, uint8_t *const *page, unsigned num,
                      struct iovec *iov, unsigned *num_iov, uint32_t *bytes,
                      Error **errp)
{
    ZstdState *st = state;
    ZSTD_outBuffer out = { st->payload, sizeof(st->payload), 0 };

    for (unsigned i = 0; i < num; i++) {
        ZSTD_inBuffer in = { st->page, GUEST_PAGE_SIZE, 0 };
        bool last = i + 1 == num;
        size_t res;

        /* The guest may write meanwhile: it must be one text all along. */
        memcpy(st->page, page[i], GUEST_PAGE_SIZE);
        do {
            res = ZSTD_compressStream2(st->send, &out, &in,
                                       last ? ZSTD_e_flush : ZSTD_e_continue);
        } while (!ZSTD_isError(res) && out.pos < out.size &&
                 (in.pos < in.size || (last && res > 0)));
        if (ZSTD_isError(res) || in.pos < in.size || (last && res > 0)) {
            error_setg(errp, "zstd cannot compress page %u of %u: %s", i, num,
                       ZSTD_isError(res) ? ZSTD_getErrorName(res)
                                         : "no room");
            return false;
        }
    }
    *bytes = out.pos;
    iov[0] = (struct iovec) { st->payload, *bytes };
    *num_iov = 1;
    return true;
}

static void *zstd_recv_new(Error **errp)
{
    ZstdState *st = g_new0(ZstdState, 1);

    st->recv = ZSTD_createDCtx();
    if (!st->recv) {
        error_setg(errp, "zstd cannot be set up: no memory");
        zstd_free(st);
        return NULL;
    }
    return checked(st, ZSTD_DCtx_setParameter(st->recv, ZSTD_d_windowLogMax,
                                              WINDOW_LOG_MAX), errp);
}

/* Fills @out from @in as far as both go. */
static bool decompress(ZstdState *st, ZSTD_inBuffer *in, ZSTD_outBuffer *out,
                       Error **errp)
{
    size_t in_before, out_before, res;

    do {
        in_before = in->pos;
        out_before = out->pos;
        res = ZSTD_decompressStream(st->recv, out, in);
        if (ZSTD_isError(res)) {
            error_setg(errp, "zstd: %s", ZSTD_getErrorName(res));
            return false;
        }
    } while (out->pos < out->size &&
             (in->pos > in_before || out->pos > out_before));
    return true;
}

static bool zstd_unpack(void *state, IoChannel *ch, uint32_t bytes,
                        uint8_t *const *page, unsigned num, Error **errp)
{
    ZstdState *st = state;
    ZSTD_inBuffer in = { st->payload, bytes, 0 };
    uint8_t more;
    ZSTD_outBuffer rest = { &more, sizeof(more), 0 };

    if (!multifd_read_payload(ch, st->payload, bytes, errp)) {
        return false;
    }
    for (unsigned i = 0; i < num; i++) {
        ZSTD_outBuffer out = { page[i], GUEST_PAGE_SIZE, 0 };

        if (!decompress(st, &in, &out, errp)) {
            return false;
        }
        if (out.pos < out.size) {
            error_setg(errp, "zstd: the payload ends, with %zu of a page's %"
                       PRIu64 " bytes there", out.pos, GUEST_PAGE_SIZE);
            return false;
        }
    }
    if (!decompress(st, &in, &rest, errp)) {
        return false;
    }
    if (in.pos < in.size || rest.pos) {
        error_setg(errp, "zstd: more in a payload than its pages (%zu bytes)",
                   in.size - in.pos);
        return false;
    }
    return true;
}

const MultiFDMethod multifd_method_zstd = {
    .flags = MULTIFD_METHOD_ZSTD,
    .send_new = zstd_send_new,
    .send_free = zstd_free,
    .recv_new = zstd_recv_new,
    .recv_free = zstd_free,
    .pack = zstd_pack,
    .unpack = zstd_unpack,
};
