/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets of multifd to bytes and back. What is read may be anything: each
 * check is by itself and says what it wants. Any thread; no lock.
 */
#include <inttypes.h>
#include <string.h>

#include <glib.h>

#include "migration/multifd-packet.h"
#include "system/memory.h"
#include "util/be.h"
#include "util/checked.h"

/* Where what is, in bytes. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 4,

    INIT_UUID = 8,
    INIT_ID = 24,

    HEAD_FLAGS = 8,
    HEAD_PAGES_ALLOC = 12,
    HEAD_NORMAL_PAGES = 16,
    HEAD_PAYLOAD_BYTES = 20,
    HEAD_PACKET_NUM = 24,
    HEAD_ZERO_PAGES = 32,
    HEAD_BLOCK = 64,
    HEAD_OFFSETS = 320,
};

G_STATIC_ASSERT(HEAD_OFFSETS + MULTIFD_PAGES * sizeof(uint64_t) ==
                MULTIFD_HEAD_BYTES);
G_STATIC_ASSERT(HEAD_BLOCK + MULTIFD_NAME_BYTES == HEAD_OFFSETS);

static bool check_start(const uint8_t *bytes, Error **errp)
{
    uint32_t magic = be_get32(bytes + AT_MAGIC);
    uint32_t version = be_get32(bytes + AT_VERSION);

    if (magic != MULTIFD_MAGIC) {
        error_setg(errp, "magic 0x%08" PRIx32 "; 0x%08" PRIx32 " is expected",
                   magic, MULTIFD_MAGIC);
        return false;
    }
    if (version != MULTIFD_VERSION) {
        error_setg(errp, "version %" PRIu32 "; %d is expected", version,
                   MULTIFD_VERSION);
        return false;
    }
    return true;
}

/* ---- the beginning of a channel ---- */

void multifd_init_put(uint8_t bytes[MULTIFD_INIT_BYTES],
                      const MultiFDInit *init)
{
    memset(bytes, 0, MULTIFD_INIT_BYTES);
    be_put32(bytes + AT_MAGIC, MULTIFD_MAGIC);
    be_put32(bytes + AT_VERSION, MULTIFD_VERSION);
    memcpy(bytes + INIT_UUID, init->uuid, sizeof(init->uuid));
    bytes[INIT_ID] = init->id;
}

/* 36 characters and the terminator. */
static void uuid_text(char text[37], const uint8_t uuid[16])
{
    char *at = text;

    for (unsigned i = 0; i < 16; i++) {
        at += g_snprintf(at, 4, i == 4 || i == 6 || i == 8 || i == 10
                                    ? "-%02x" : "%02x", uuid[i]);
    }
}

bool multifd_init_get(const uint8_t bytes[MULTIFD_INIT_BYTES],
                      const uint8_t uuid[16], unsigned channels,
                      MultiFDInit *init, Error **errp)
{
    if (!check_start(bytes, errp)) {
        return false;
    }
    memcpy(init->uuid, bytes + INIT_UUID, sizeof(init->uuid));
    init->id = bytes[INIT_ID];
    if (memcmp(init->uuid, uuid, sizeof(init->uuid)) != 0) {
        char theirs[37], ours[37];

        uuid_text(theirs, init->uuid);
        uuid_text(ours, uuid);
        error_setg(errp, "it is for the machine with UUID %s; %s is expected",
                   theirs, ours);
        return false;
    }
    if (init->id >= channels) {
        error_setg(errp, "channel id %u; 0 to %u are accepted "
                   "(multifd-channels is %u here)", init->id, channels - 1,
                   channels);
        return false;
    }
    return true;
}

/* ---- heads ---- */

void multifd_head_put(uint8_t bytes[MULTIFD_HEAD_BYTES],
                      const MultiFDHead *head)
{
    uint32_t pages = multifd_head_pages(head);

    g_assert(pages <= MULTIFD_PAGES);
    memset(bytes, 0, MULTIFD_HEAD_BYTES);
    be_put32(bytes + AT_MAGIC, MULTIFD_MAGIC);
    be_put32(bytes + AT_VERSION, MULTIFD_VERSION);
    be_put32(bytes + HEAD_FLAGS, head->flags);
    be_put32(bytes + HEAD_PAGES_ALLOC, MULTIFD_PAGES);
    be_put32(bytes + HEAD_NORMAL_PAGES, head->normal_pages);
    be_put32(bytes + HEAD_PAYLOAD_BYTES, head->payload_bytes);
    be_put64(bytes + HEAD_PACKET_NUM, head->packet_num);
    be_put32(bytes + HEAD_ZERO_PAGES, head->zero_pages);
    memcpy(bytes + HEAD_BLOCK, head->block,
           strnlen(head->block, MULTIFD_NAME_BYTES - 1));
    for (uint32_t i = 0; i < pages; i++) {
        be_put64(bytes + HEAD_OFFSETS + i * sizeof(uint64_t), head->offset[i]);
    }
}

static bool check_flags(const MultiFDHead *head, uint32_t method,
                        Error **errp)
{
    uint32_t flags = head->flags;
    uint32_t unknown = flags & ~(MULTIFD_FLAG_SYNC | MULTIFD_FLAG_METHOD);

    if (unknown) {
        error_setg(errp, "flags 0x%" PRIx32 ", of which 0x%" PRIx32
                   " are not known", flags, unknown);
        return false;
    }
    /* Where there are no pages QEMU says no method. */
    if (multifd_head_pages(head) && (flags & MULTIFD_FLAG_METHOD) != method) {
        error_setg(errp, "flags 0x%" PRIx32 " name compression %" PRIu32
                   "; %" PRIu32 " is expected (multifd-compression must be "
                   "the same on both sides)", flags,
                   (flags & MULTIFD_FLAG_METHOD) >> 1, method >> 1);
        return false;
    }
    return true;
}

/* No sum of two of them can overflow: each is compared with what is left. */
static bool check_counts(uint32_t alloc, const MultiFDHead *head, Error **errp)
{
    if (alloc > MULTIFD_PAGES) {
        error_setg(errp, "room for %" PRIu32 " pages in the packet; at most "
                   "%d are accepted", alloc, MULTIFD_PAGES);
        return false;
    }
    if (head->normal_pages > alloc) {
        error_setg(errp, "%" PRIu32 " normal pages in a packet for %" PRIu32,
                   head->normal_pages, alloc);
        return false;
    }
    if (head->zero_pages > alloc - head->normal_pages) {
        error_setg(errp, "%" PRIu32 " zero pages beside %" PRIu32 " normal "
                   "pages in a packet for %" PRIu32, head->zero_pages,
                   head->normal_pages, alloc);
        return false;
    }
    return true;
}

static bool check_name(const MultiFDHead *head, Error **errp)
{
    if (!memchr(head->block, '\0', MULTIFD_NAME_BYTES)) {
        error_setg(errp, "the name of the RAM block has no terminator within "
                   "its %d bytes", MULTIFD_NAME_BYTES);
        return false;
    }
    if (multifd_head_pages(head) && head->block[0] == '\0') {
        error_setg(errp, "%" PRIu32 " pages of a RAM block without a name",
                   multifd_head_pages(head));
        return false;
    }
    return true;
}

bool multifd_head_get(const uint8_t bytes[MULTIFD_HEAD_BYTES],
                      uint32_t method, MultiFDHead *head, Error **errp)
{
    if (!check_start(bytes, errp)) {
        return false;
    }
    head->flags = be_get32(bytes + HEAD_FLAGS);
    head->normal_pages = be_get32(bytes + HEAD_NORMAL_PAGES);
    head->zero_pages = be_get32(bytes + HEAD_ZERO_PAGES);
    head->payload_bytes = be_get32(bytes + HEAD_PAYLOAD_BYTES);
    head->packet_num = be_get64(bytes + HEAD_PACKET_NUM);
    memcpy(head->block, bytes + HEAD_BLOCK, MULTIFD_NAME_BYTES);
    if (!check_counts(be_get32(bytes + HEAD_PAGES_ALLOC), head, errp) ||
        !check_flags(head, method, errp) ||
        !check_name(head, errp)) {
        return false;
    }
    if (head->normal_pages == 0) {
        /* QEMU may leave the number of the packet before there. */
        head->payload_bytes = 0;
    }
    for (uint32_t i = 0; i < multifd_head_pages(head); i++) {
        head->offset[i] = be_get64(bytes + HEAD_OFFSETS + i * sizeof(uint64_t));
    }
    return true;
}

bool multifd_head_check_block(const MultiFDHead *head, uint64_t size,
                              Error **errp)
{
    for (uint32_t i = 0; i < multifd_head_pages(head); i++) {
        uint64_t offset = head->offset[i];

        if (offset % GUEST_PAGE_SIZE) {
            error_setg(errp, "a page at 0x%" PRIx64 " of RAM block '%s'; a "
                       "multiple of %" PRIu64 " is expected", offset,
                       head->block, GUEST_PAGE_SIZE);
            return false;
        }
        if (!range_fits_u64(offset, GUEST_PAGE_SIZE, size)) {
            error_setg(errp, "a page at 0x%" PRIx64 " of RAM block '%s', "
                       "which has 0x%" PRIx64 " bytes", offset, head->block,
                       size);
            return false;
        }
    }
    return true;
}
