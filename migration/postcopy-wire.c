/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See postcopy-wire.h. Pure; any thread, no lock. */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "migration/postcopy-wire.h"
#include "util/be.h"
#include "util/checked.h"

bool postcopy_block_is_huge(const RamBlock *rb)
{
    uint64_t host_page = sysconf(_SC_PAGESIZE);

    return rb->page_size != MAX(host_page, GUEST_PAGE_SIZE);
}

/* ---- POSTCOPY_ADVISE ---- */

PostcopyAdvise postcopy_advise_of(Memory *memory)
{
    PostcopyAdvise advise = { .guest_page = GUEST_PAGE_SIZE };
    RamBlock *rb;

    for (unsigned i = 0; (rb = memory_ram_by_index(memory, i)); i++) {
        if (rb->migratable) {
            advise.page_sizes |= rb->page_size;
        }
    }
    return advise;
}

void postcopy_put_advise(const PostcopyAdvise *advise, uint8_t *buf)
{
    be_put64(buf, advise->page_sizes);
    be_put64(buf + 8, advise->guest_page);
}

PostcopyAdvise postcopy_get_advise(const uint8_t *buf)
{
    return (PostcopyAdvise) { be_get64(buf), be_get64(buf + 8) };
}

bool postcopy_check_advise(const PostcopyAdvise *ours,
                           const PostcopyAdvise *theirs, Error **errp)
{
    if (theirs->page_sizes != ours->page_sizes) {
        error_setg(errp, "the source's memory has pages of sizes 0x%" PRIx64
                   " (ORed), and ours 0x%" PRIx64 ": postcopy needs the same",
                   theirs->page_sizes, ours->page_sizes);
        return false;
    }
    if (theirs->guest_page != ours->guest_page) {
        error_setg(errp, "guest pages of %" PRIu64 " bytes; %" PRIu64
                   " is accepted", theirs->guest_page, ours->guest_page);
        return false;
    }
    return true;
}

/* ---- POSTCOPY_RAM_DISCARD ---- */

uint16_t postcopy_put_discard(const PostcopyDiscard *d, uint8_t *buf)
{
    size_t len = strlen(d->id);
    uint8_t *at = buf;

    *at++ = POSTCOPY_DISCARD_VERSION;
    *at++ = len;
    memcpy(at, d->id, len);
    at += len;
    *at++ = 0;
    for (unsigned i = 0; i < d->num; i++) {
        be_put64(at, d->range[i].start);
        be_put64(at + 8, d->range[i].len);
        at += 16;
    }
    return at - buf;
}

bool postcopy_get_name(const uint8_t *buf, size_t len,
                       char id[MIG_COUNTED_STRING_SIZE], Error **errp)
{
    size_t name = len ? buf[0] : 0;

    if (name == 0 || name != len - 1) {
        error_setg(errp, "a name of %zu bytes in %zu; 1 to 255 and one more "
                   "are accepted", name, len);
        return false;
    }
    if (memchr(buf + 1, '\0', name)) {
        error_setg(errp, "a name of %zu bytes with a zero byte in it", name);
        return false;
    }
    memcpy(id, buf + 1, name);
    id[name] = '\0';
    return true;
}

bool postcopy_get_discard(const uint8_t *buf, size_t len, PostcopyDiscard *d,
                          Error **errp)
{
    size_t head, rest;

    if (len < 3) {
        error_setg(errp, "%zu bytes; at least 3 are needed", len);
        return false;
    }
    if (buf[0] != POSTCOPY_DISCARD_VERSION) {
        error_setg(errp, "version %u; %d is accepted", buf[0],
                   POSTCOPY_DISCARD_VERSION);
        return false;
    }
    head = (size_t)buf[1] + 3;
    if (head > len) {
        error_setg(errp, "a name of %u bytes in %zu", buf[1], len);
        return false;
    }
    if (buf[head - 1] != 0) {
        error_setg(errp, "0x%02x where the name's zero byte must stand",
                   buf[head - 1]);
        return false;
    }
    if (!postcopy_get_name(buf + 1, head - 2, d->id, errp)) {
        return false;
    }
    rest = len - head;
    if (rest == 0 || rest % 16 != 0 || rest / 16 > POSTCOPY_DISCARD_RANGES) {
        error_setg(errp, "%zu bytes of ranges; 1 to %d of 16 bytes are "
                   "accepted", rest, POSTCOPY_DISCARD_RANGES);
        return false;
    }
    d->num = rest / 16;
    for (unsigned i = 0; i < d->num; i++) {
        d->range[i].start = be_get64(buf + head + i * 16);
        d->range[i].len = be_get64(buf + head + i * 16 + 8);
    }
    return true;
}

RamBlock *postcopy_discard_block(Memory *memory, const PostcopyDiscard *d,
                                 Error **errp)
{
    RamBlock *rb = memory_ram_by_id(memory, d->id);

    if (!rb || !rb->migratable) {
        g_autofree char *text = g_strescape(d->id, NULL);

        error_setg(errp, "RAM block '%s', which this machine does not have",
                   text);
        return NULL;
    }
    for (unsigned i = 0; i < d->num; i++) {
        uint64_t start = d->range[i].start, len = d->range[i].len;
        uint64_t unit = postcopy_unit_pages(rb) * GUEST_PAGE_SIZE;

        if (len == 0 || start % unit != 0 || len % unit != 0 ||
            !range_fits_u64(start, len, rb->backing.size)) {
            error_setg(errp, "0x%" PRIx64 " bytes at 0x%" PRIx64 " of RAM "
                       "block '%s', which has 0x%" PRIx64 " in pages of 0x%"
                       PRIx64, len, start, rb->id, rb->backing.size, unit);
            return NULL;
        }
    }
    return rb;
}
