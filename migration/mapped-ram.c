/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The layout of mapped-ram files: headers and bitmaps, written and read. What
 * is read is checked before anybody looks for a page by it. Entered by the
 * outgoing or the incoming migration thread; no lock of its own.
 */
#include <inttypes.h>

#include "migration/mapped-ram.h"
#include "trace/trace-migration.h"
#include "util/checked.h"

MappedRam *mapped_ram_new(void)
{
    return g_new0(MappedRam, 1);
}

void mapped_ram_free(MappedRam *mr)
{
    if (!mr) {
        return;
    }
    for (unsigned i = 0; i < RAM_BLOCKS_MAX; i++) {
        bitmap_free(mr->block[i].bitmap, mr->block[i].pages);
    }
    g_free(mr);
}

static uint64_t bitmap_bytes(const MappedBlock *mb)
{
    return bitmap_words(mb->pages) * sizeof(uint64_t);
}

static bool init_block(MappedBlock *mb, MigStream *s, const RamBlock *rb,
                       Error **errp)
{
    mb->pages = rb->backing.size / GUEST_PAGE_SIZE;
    mb->bitmap = bitmap_new(mb->pages);
    if (!mb->bitmap) {
        mig_stream_fail(s, errp, "no address space for the bitmap of RAM "
                        "block '%s' (%" PRIu64 " pages)", rb->id, mb->pages);
        return false;
    }
    mb->rb = rb;
    return true;
}

/* In the file the words are little-endian. A second call undoes the first. */
static void swap_words(MappedBlock *mb)
{
    if (G_BYTE_ORDER == G_BIG_ENDIAN) {
        for (size_t i = 0; i < bitmap_words(mb->pages); i++) {
            mb->bitmap[i] = GUINT64_TO_LE(mb->bitmap[i]);
        }
    }
}

/* ---- saving ---- */

void mapped_ram_put_header(MappedRam *mr, MigStream *s, const RamBlock *rb)
{
    MappedBlock *mb = &mr->block[rb->index];
    uint64_t pos, end;

    if (!init_block(mb, s, rb, NULL) || !mig_stream_position(s, &pos, NULL)) {
        return;
    }
    mb->bitmap_offset = pos + MAPPED_RAM_HEADER_BYTES;
    end = mb->bitmap_offset + bitmap_bytes(mb);
    mb->pages_offset = (end + MAPPED_RAM_ALIGN - 1) / MAPPED_RAM_ALIGN *
                       MAPPED_RAM_ALIGN;
    mig_put_be32(s, MAPPED_RAM_VERSION);
    mig_put_be64(s, GUEST_PAGE_SIZE);
    mig_put_be64(s, mb->bitmap_offset);
    mig_put_be64(s, mb->pages_offset);
    trace_mapped_ram_block(rb->id, mb->bitmap_offset, mb->pages_offset);
    mig_stream_seek(s, mb->pages_offset + rb->backing.size, NULL);
}

void mapped_ram_put_bitmaps(MappedRam *mr, MigStream *s)
{
    for (unsigned i = 0; i < RAM_BLOCKS_MAX; i++) {
        MappedBlock *mb = &mr->block[i];

        if (mb->rb) {
            swap_words(mb);
            mig_put_buffer_at(s, mb->bitmap, bitmap_bytes(mb),
                              mb->bitmap_offset);
            swap_words(mb);
        }
    }
}

/* ---- loading ---- */

typedef struct MappedHeader {
    uint32_t version;
    uint64_t page_size, bitmap_offset, pages_offset;
} MappedHeader;

/*
 * Bitmap, pages and what follows them in the stream stand in this order, so
 * nothing can overlap. @here is where the header ended.
 */
static bool check_header(MigStream *s, const MappedBlock *mb,
                         const MappedHeader *h, uint64_t here, Error **errp)
{
    uint64_t bitmap_end, pages_end, file_size;
    const char *id = mb->rb->id;

    if (h->version != MAPPED_RAM_VERSION) {
        mig_stream_fail(s, errp, "RAM block '%s': mapped-ram header of version "
                        "%" PRIu32 "; %d is accepted", id, h->version,
                        MAPPED_RAM_VERSION);
        return false;
    }
    if (h->page_size != GUEST_PAGE_SIZE) {
        mig_stream_fail(s, errp, "RAM block '%s': pages of %" PRIu64 " bytes "
                        "in the file; %" PRIu64 " is accepted", id,
                        h->page_size, GUEST_PAGE_SIZE);
        return false;
    }
    if (h->bitmap_offset < here) {
        mig_stream_fail(s, errp, "RAM block '%s': bitmap at %" PRIu64
                        " of the file, before the end of its header at %"
                        PRIu64, id, h->bitmap_offset, here);
        return false;
    }
    if (h->pages_offset % GUEST_PAGE_SIZE) {
        mig_stream_fail(s, errp, "RAM block '%s': pages at %" PRIu64 " of the "
                        "file, which is not a multiple of %" PRIu64, id,
                        h->pages_offset, GUEST_PAGE_SIZE);
        return false;
    }
    if (!checked_add_u64(h->bitmap_offset, bitmap_bytes(mb), &bitmap_end) ||
        bitmap_end > h->pages_offset) {
        mig_stream_fail(s, errp, "RAM block '%s': bitmap of %" PRIu64
                        " bytes at %" PRIu64 " of the file reaches into the "
                        "pages at %" PRIu64, id, bitmap_bytes(mb),
                        h->bitmap_offset, h->pages_offset);
        return false;
    }
    if (!mig_stream_file_size(s, &file_size, errp)) {
        return false;
    }
    if (!checked_add_u64(h->pages_offset, mb->rb->backing.size, &pages_end) ||
        pages_end > file_size) {
        mig_stream_fail(s, errp, "RAM block '%s': %" PRIu64 " bytes of pages "
                        "at %" PRIu64 " of the file, which has %" PRIu64
                        " bytes", id, mb->rb->backing.size, h->pages_offset,
                        file_size);
        return false;
    }
    return true;
}

bool mapped_ram_get_header(MappedRam *mr, MigStream *s, const RamBlock *rb,
                           Error **errp)
{
    MappedBlock *mb = &mr->block[rb->index];
    MappedHeader h;
    uint64_t here;

    g_assert(!mb->rb);
    if (!init_block(mb, s, rb, errp) ||
        !mig_get_be32(s, &h.version, errp) ||
        !mig_get_be64(s, &h.page_size, errp) ||
        !mig_get_be64(s, &h.bitmap_offset, errp) ||
        !mig_get_be64(s, &h.pages_offset, errp) ||
        !mig_stream_position(s, &here, errp) ||
        !check_header(s, mb, &h, here, errp)) {
        return false;
    }
    mb->bitmap_offset = h.bitmap_offset;
    mb->pages_offset = h.pages_offset;
    trace_mapped_ram_block(rb->id, mb->bitmap_offset, mb->pages_offset);
    return mig_stream_seek(s, mb->pages_offset + rb->backing.size, errp);
}

/* Behind the last page there is room in the last word. */
static bool check_bitmap(MigStream *s, const MappedBlock *mb, Error **errp)
{
    uint64_t last = mb->bitmap[bitmap_words(mb->pages) - 1];
    unsigned used = mb->pages % BITMAP_WORD_BITS;

    if (used && last >> used) {
        mig_stream_fail(s, errp, "RAM block '%s': the bitmap has bits beyond "
                        "its %" PRIu64 " pages", mb->rb->id, mb->pages);
        return false;
    }
    return true;
}

bool mapped_ram_get_bitmaps(MappedRam *mr, MigStream *s, Error **errp)
{
    for (unsigned i = 0; i < RAM_BLOCKS_MAX; i++) {
        MappedBlock *mb = &mr->block[i];

        if (!mb->rb) {
            continue;
        }
        if (!mig_get_buffer_at(s, mb->bitmap, bitmap_bytes(mb),
                               mb->bitmap_offset, errp)) {
            return false;
        }
        swap_words(mb);
        if (!check_bitmap(s, mb, errp)) {
            return false;
        }
    }
    return true;
}
