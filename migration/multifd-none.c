/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * multifd-compression "none": pages as they are, from where they lie and to
 * where they belong; and what the other methods share. The channels' threads;
 * no state, no lock.
 */
#include <inttypes.h>

#include "migration/multifd-method.h"
#include "system/memory.h"

unsigned multifd_pages_to_iov(uint8_t *const *page, unsigned num,
                              struct iovec iov[MULTIFD_PAGES])
{
    unsigned count = 0;

    for (unsigned i = 0; i < num; i++) {
        struct iovec *last = count ? &iov[count - 1] : NULL;

        if (last && (uint8_t *)last->iov_base + last->iov_len == page[i]) {
            last->iov_len += GUEST_PAGE_SIZE;
        } else {
            iov[count++] = (struct iovec) { page[i], GUEST_PAGE_SIZE };
        }
    }
    return count;
}

static bool none_pack(void *state, uint8_t *const *page, unsigned num,
                      struct iovec *iov, unsigned *num_iov, uint32_t *bytes,
                      Error **errp)
{
    (void)state;
    (void)errp;
    *num_iov = multifd_pages_to_iov(page, num, iov);
    *bytes = num * GUEST_PAGE_SIZE;
    return true;
}

/* Drops what has come from the front of @iov. */
static void advance(struct iovec **iov, unsigned *count, size_t got)
{
    while (*count && got >= (*iov)->iov_len) {
        got -= (*iov)->iov_len;
        ++*iov;
        --*count;
    }
    if (got) {
        (*iov)->iov_base = (uint8_t *)(*iov)->iov_base + got;
        (*iov)->iov_len -= got;
    }
}

static bool none_unpack(void *state, IoChannel *ch, uint32_t bytes,
                        uint8_t *const *page, unsigned num, Error **errp)
{
    struct iovec array[MULTIFD_PAGES], *iov = array;
    unsigned count;

    (void)state;
    if (bytes != num * GUEST_PAGE_SIZE) {
        error_setg(errp, "a payload of %" PRIu32 " bytes for %u pages; %"
                   PRIu64 " is expected", bytes, num, num * GUEST_PAGE_SIZE);
        return false;
    }
    count = multifd_pages_to_iov(page, num, array);
    while (count) {
        ssize_t got = io_channel_readv(ch, iov, count, errp);

        if (got < 0) {
            return false;
        }
        if (got == 0) {
            error_setg(errp, "the channel ended within the pages of a packet");
            return false;
        }
        advance(&iov, &count, got);
    }
    return true;
}

bool multifd_read_payload(IoChannel *ch, uint8_t buf[MULTIFD_PAYLOAD_MAX],
                          uint32_t bytes, Error **errp)
{
    if (bytes == 0 || bytes > MULTIFD_PAYLOAD_MAX) {
        error_setg(errp, "a compressed payload of %" PRIu32 " bytes; 1 to %d "
                   "are accepted", bytes, MULTIFD_PAYLOAD_MAX);
        return false;
    }
    return io_channel_read_all(ch, buf, bytes, errp);
}

const MultiFDMethod multifd_method_none = {
    .flags = MULTIFD_METHOD_NONE,
    .pack = none_pack,
    .unpack = none_unpack,
};
