/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing to a migration stream: small values are gathered in a buffer, guest
 * pages are queued where they lie, and both leave in one vectored write.
 *
 * Entered by the thread that owns the stream; counters and rate limit by any
 * thread, by atomics. No lock of its own.
 */
#include <limits.h>
#include <string.h>

#include "migration/stream-int.h"
#include "util/checked.h"

#define OUTPUT_BUFFER_BYTES (64 * KIB)

/* What the kernel takes in one call. */
#define OUTPUT_IOVS IOV_MAX

#define WINDOW_UNSET (-1)
#define WINDOW_NS (MIG_RATE_WINDOW_MS * INT64_C(1000000))

MigStream *mig_stream_new_output(IoChannel *ch, Clock *clock)
{
    MigStream *s = mig_stream_alloc(ch, OUTPUT_BUFFER_BYTES);

    s->clock = clock;
    s->window_start_ns = WINDOW_UNSET;
    s->iov = g_new(struct iovec, OUTPUT_IOVS);
    return s;
}

/* Drops @n bytes that have left from the front of @iov. */
static struct iovec *iov_advance(struct iovec *iov, unsigned *num, size_t n)
{
    while (n > 0 && n >= iov->iov_len) {
        n -= iov->iov_len;
        iov++;
        --*num;
    }
    if (n > 0) {
        iov->iov_base = (uint8_t *)iov->iov_base + n;
        iov->iov_len -= n;
    }
    return iov;
}

bool mig_stream_flush(MigStream *s, Error **errp)
{
    struct iovec *iov = s->iov;
    unsigned num = s->num_iov;
    bool relock;

    s->num_iov = 0;
    s->end = 0;
    if (num == 0 || s->error) {
        return mig_stream_check(s, errp);
    }
    relock = mig_stream_drop_lock(s);
    while (num > 0) {
        Error *err = NULL;
        int64_t start = clock_now_ns(s->clock);
        ssize_t n = io_channel_writev(s->ch, iov, num, &err);
        int64_t spent = clock_now_ns(s->clock) - start;

        __atomic_fetch_add(&s->send_ns, MAX(spent, 0), __ATOMIC_RELAXED);
        if (n <= 0) {
            if (!err) {
                error_setg(&err, "the channel took nothing");
            }
            mig_stream_take_error(s, err, NULL);
            break;
        }
        __atomic_fetch_add(&s->sent_bytes, n, __ATOMIC_RELAXED);
        iov = iov_advance(iov, &num, n);
    }
    if (relock) {
        vm_lock(s->release);
    }
    return mig_stream_check(s, errp);
}

/* Queues bytes that stay where they are until the next flush. */
static void queue(MigStream *s, const void *base, size_t len)
{
    struct iovec *last = s->num_iov ? &s->iov[s->num_iov - 1] : NULL;

    s->offset += len;
    if (last && (const uint8_t *)last->iov_base + last->iov_len == base) {
        last->iov_len += len;
        return;
    }
    s->iov[s->num_iov++] = (struct iovec) {
        .iov_base = (void *)base, .iov_len = len,
    };
}

void mig_put_buffer(MigStream *s, const void *buf, size_t len)
{
    const uint8_t *from = buf;

    while (len > 0) {
        size_t room = s->buf_size - s->end;
        size_t n = MIN(len, room);

        if (n == 0 || s->num_iov == OUTPUT_IOVS) {
            if (!mig_stream_flush(s, NULL)) {
                return;
            }
            continue;
        }
        memcpy(s->buf + s->end, from, n);
        queue(s, s->buf + s->end, n);
        s->end += n;
        from += n;
        len -= n;
    }
}

void mig_put_buffer_nocopy(MigStream *s, const void *buf, size_t len)
{
    if (len == 0) {
        return;
    }
    if (s->num_iov == OUTPUT_IOVS) {
        mig_stream_flush(s, NULL);
    }
    queue(s, buf, len);
}

void mig_put_u8(MigStream *s, uint8_t val)
{
    mig_put_buffer(s, &val, sizeof(val));
}

void mig_put_be16(MigStream *s, uint16_t val)
{
    val = GUINT16_TO_BE(val);
    mig_put_buffer(s, &val, sizeof(val));
}

void mig_put_be32(MigStream *s, uint32_t val)
{
    val = GUINT32_TO_BE(val);
    mig_put_buffer(s, &val, sizeof(val));
}

void mig_put_be64(MigStream *s, uint64_t val)
{
    val = GUINT64_TO_BE(val);
    mig_put_buffer(s, &val, sizeof(val));
}

void mig_put_counted_string(MigStream *s, const char *str)
{
    size_t len = strlen(str);

    g_assert(len <= UINT8_MAX);
    mig_put_u8(s, len);
    mig_put_buffer(s, str, len);
}

void mig_stream_counters(const MigStream *s, MigStreamCounters *counters)
{
    counters->sent_bytes = __atomic_load_n(&s->sent_bytes, __ATOMIC_RELAXED);
    counters->send_ns = __atomic_load_n(&s->send_ns, __ATOMIC_RELAXED);
}

void mig_stream_count_queued(MigStream *s, uint64_t bytes)
{
    s->offset += bytes;
    s->placed_bytes += bytes;
}

void mig_stream_count_sent(MigStream *s, uint64_t bytes, uint64_t ns)
{
    __atomic_fetch_add(&s->sent_bytes, bytes, __ATOMIC_RELAXED);
    __atomic_fetch_add(&s->send_ns, ns, __ATOMIC_RELAXED);
}

/* ---- rate ---- */

void mig_stream_set_rate_limit(MigStream *s, uint64_t bytes_per_sec)
{
    __atomic_store_n(&s->rate_limit, bytes_per_sec, __ATOMIC_RELAXED);
}

/*
 * Pays for what has been queued with the windows that have passed. Returns
 * what is not paid for, in bytes, and a window's worth in *budget; 0 and 0 if
 * there is no limit.
 */
static uint64_t rate_debt(MigStream *s, uint64_t *budget, int64_t *now)
{
    uint64_t limit = __atomic_load_n(&s->rate_limit, __ATOMIC_RELAXED);
    uint64_t paid;
    int64_t windows;

    *budget = 0;
    if (limit == 0) {
        s->window_offset = s->offset;
        s->window_start_ns = WINDOW_UNSET;
        return 0;
    }
    *now = clock_now_ns(s->clock);
    *budget = MAX(sat_muldiv_u64(limit, MIG_RATE_WINDOW_MS, 1000), 1);
    if (s->window_start_ns == WINDOW_UNSET) {
        s->window_start_ns = *now;
    }
    windows = (*now - s->window_start_ns) / WINDOW_NS;
    if (windows > 0) {
        paid = sat_mul_u64(windows, *budget);
        s->window_offset += MIN(paid, s->offset - s->window_offset);
        s->window_start_ns += windows * WINDOW_NS;
    }
    return s->offset - s->window_offset;
}

bool mig_stream_rate_would_exceed(MigStream *s, uint64_t bytes)
{
    uint64_t budget;
    int64_t now;
    uint64_t debt = rate_debt(s, &budget, &now);

    return budget > 0 && sat_add_u64(debt, bytes) >= budget;
}

bool mig_stream_rate_exceeded(MigStream *s)
{
    return mig_stream_rate_would_exceed(s, 0);
}

int64_t mig_stream_rate_wait_ns(MigStream *s)
{
    uint64_t budget, windows;
    int64_t now = 0;
    uint64_t debt = rate_debt(s, &budget, &now);

    if (budget == 0 || debt < budget) {
        return 0;
    }
    windows = MIN(debt / budget, INT64_MAX / WINDOW_NS / 2);
    return s->window_start_ns + (int64_t)windows * WINDOW_NS - now;
}
