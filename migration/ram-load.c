/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Receives guest memory. Every number is checked before it is used: blocks are
 * those that both sides have, with the same size, each page lies in its block.
 * Contents go straight to their place. A zero page whose memory was never
 * touched stays untouched.
 *
 * Entered by the incoming thread; no lock of its own.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/multifd-recv.h"
#include "migration/page-set.h"
#include "migration/postcopy-wire.h"
#include "migration/ram-int.h"
#include "trace/trace-migration.h"
#include "util/checked.h"

bool ram_load_setup(void *opaque, Error **errp)
{
    Ram *ram = opaque;

    (void)errp;
    ram->blocks_listed = false;
    memset(ram->listed, 0, sizeof(ram->listed));
    ram->load_place = (RamPlace) { 0 };
    ram->load_elsewhere = false;
    ram->load_presence = page_presence_new();
    ram->load_mapped = ram->options.mapped_ram ? mapped_ram_new() : NULL;
    ram_stat_set(&ram->loaded_normal_pages, 0);
    ram_stat_set(&ram->loaded_zero_pages, 0);
    ram_stat_set(&ram->multifd_normal_pages, 0);
    ram_stat_set(&ram->multifd_zero_pages, 0);
    return true;
}

void ram_set_load_pages(Ram *ram, struct PageSet *pages)
{
    ram->load_pages = pages;
    ram->load_elsewhere = !pages;
}

void ram_load_cleanup(void *opaque)
{
    Ram *ram = opaque;

    page_presence_free(ram->load_presence);
    ram->load_presence = NULL;
    g_clear_pointer(&ram->load_mapped, mapped_ram_free);
}

/* ---- the list of blocks ---- */

/* The block that the stream names next. */
static const RamBlock *get_block(Memory *memory, MigStream *s, Error **errp)
{
    char id[MIG_COUNTED_STRING_SIZE];
    const RamBlock *rb;

    if (!mig_get_counted_string(s, id, errp)) {
        return NULL;
    }
    rb = memory_ram_by_id(memory, id);
    if (!rb || !rb->migratable) {
        g_autofree char *text = g_strescape(id, NULL);

        mig_stream_fail(s, errp, "RAM block '%s', which this machine does not "
                        "have", text);
        return NULL;
    }
    return rb;
}

/* Postcopy: how large the pages of huge ones are. */
static bool check_page_size(MigStream *s, const RamBlock *rb, Error **errp)
{
    uint64_t theirs;

    if (!postcopy_block_is_huge(rb)) {
        return true;
    }
    if (!mig_get_be64(s, &theirs, errp)) {
        return false;
    }
    if (theirs != rb->page_size) {
        mig_stream_fail(s, errp, "RAM block '%s' has pages of %" PRIu64
                        " bytes at the source and %" PRIu64 " here", rb->id,
                        theirs, rb->page_size);
        return false;
    }
    return true;
}

/* One entry of the list; takes its size off *left. */
static bool load_block_entry(Ram *ram, MigStream *s, uint64_t *left,
                             Error **errp)
{
    const RamBlock *rb = get_block(ram->vm->memory, s, errp);
    uint64_t size;

    if (!rb || !mig_get_be64(s, &size, errp)) {
        return false;
    }
    if (size != rb->backing.size) {
        mig_stream_fail(s, errp, "RAM block '%s' has %" PRIu64 " bytes at the "
                        "source and %" PRIu64 " here", rb->id, size,
                        rb->backing.size);
        return false;
    }
    if (ram->listed[rb->index]) {
        mig_stream_fail(s, errp, "RAM block '%s' is listed twice", rb->id);
        return false;
    }
    if (size > *left) {
        mig_stream_fail(s, errp, "RAM block '%s' of %" PRIu64 " bytes exceeds "
                        "the total by %" PRIu64, rb->id, size, size - *left);
        return false;
    }
    if (ram->load_pages && !check_page_size(s, rb, errp)) {
        return false;
    }
    ram->listed[rb->index] = true;
    *left -= size;
    trace_ram_load_block(rb->id, size);
    return !ram->load_mapped ||
           mapped_ram_get_header(ram->load_mapped, s, rb, errp);
}

static bool load_mapped_pages(Ram *ram, MigStream *s, bool mark_dirty,
                              Error **errp)
{
    MappedRam *mr = ram->load_mapped;

    if (!mapped_ram_get_bitmaps(mr, s, errp) ||
        !mapped_ram_load_pages(ram, s, mark_dirty, errp)) {
        return false;
    }
    if (ram->options.take_pages) {
        ram->load_mapped = NULL;
        return ram->options.take_pages(ram->options.opaque, mr, errp);
    }
    return true;
}

static bool load_block_list(Ram *ram, MigStream *s, uint64_t total,
                            bool mark_dirty, Error **errp)
{
    RamBlock *rb;

    if (ram->blocks_listed) {
        mig_stream_fail(s, errp, "a second list of RAM blocks");
        return false;
    }
    while (total > 0) {
        if (!load_block_entry(ram, s, &total, errp)) {
            return false;
        }
    }
    for (unsigned i = 0; (rb = memory_ram_by_index(ram->vm->memory, i)); i++) {
        if (rb->migratable && !ram->listed[i]) {
            mig_stream_fail(s, errp, "the source has no RAM block '%s' of %"
                            PRIu64 " bytes", rb->id, rb->backing.size);
            return false;
        }
    }
    ram->blocks_listed = true;
    /* Every header has been found right: now memory may be touched. */
    return !ram->load_mapped || load_mapped_pages(ram, s, mark_dirty, errp);
}

/* ---- pages ---- */

/* What cannot be written must be the same already. */
static bool compare_readonly(MigStream *s, const RamBlock *rb, uint64_t offset,
                             bool zero, Error **errp)
{
    uint8_t page[GUEST_PAGE_SIZE];

    if (zero) {
        memset(page, 0, sizeof(page));
    } else if (!mig_get_buffer(s, page, sizeof(page), errp)) {
        return false;
    }
    if (memcmp(page, rb->host + offset, sizeof(page)) != 0) {
        mig_stream_fail(s, errp, "RAM block '%s' cannot be written here, and "
                        "its page at 0x%" PRIx64 " differs", rb->id, offset);
        return false;
    }
    return true;
}

bool ram_load_zero(Ram *ram, MigStream *s, const RamBlock *rb, uint64_t offset,
                   Error **errp)
{
    ram_stat_add(&ram->loaded_zero_pages, 1);
    if (page_presence_absent(ram->load_presence, rb,
                             offset / GUEST_PAGE_SIZE) ||
        page_is_zero(rb->host + offset)) {
        return true;
    }
    if (ram_block_is_unwritable(rb)) {
        return compare_readonly(s, rb, offset, true, errp);
    }
    memset(rb->host + offset, 0, GUEST_PAGE_SIZE);
    return true;
}

bool ram_load_fill(MigStream *s, const RamBlock *rb, Error **errp)
{
    uint8_t fill;

    if (!mig_get_u8(s, &fill, errp)) {
        return false;
    }
    if (fill != 0) {
        mig_stream_fail(s, errp, "a page of RAM block '%s' filled with 0x%02x; "
                        "0 is accepted", rb->id, fill);
        return false;
    }
    return true;
}

static bool load_zero_page(Ram *ram, MigStream *s, const RamBlock *rb,
                           uint64_t offset, Error **errp)
{
    return ram_load_fill(s, rb, errp) &&
           ram_load_zero(ram, s, rb, offset, errp);
}

static bool load_normal_page(Ram *ram, MigStream *s, const RamBlock *rb,
                             uint64_t offset, Error **errp)
{
    if (ram_block_is_unwritable(rb)) {
        return compare_readonly(s, rb, offset, false, errp);
    }
    page_presence_written(ram->load_presence, rb, offset / GUEST_PAGE_SIZE);
    ram_stat_add(&ram->loaded_normal_pages, 1);
    return mig_get_buffer(s, rb->host + offset, GUEST_PAGE_SIZE, errp);
}

static bool may_come(Ram *ram, MigStream *s, Error **errp)
{
    if (!ram->blocks_listed) {
        mig_stream_fail(s, errp, "a page before the list of RAM blocks");
        return false;
    }
    if (ram->options.mapped_ram) {
        mig_stream_fail(s, errp, "a page in the stream, where capability "
                        "'mapped-ram' has its place outside");
        return false;
    }
    return true;
}

const RamBlock *ram_load_block_of(Memory *memory, MigStream *s,
                                  uint64_t offset, uint64_t flags,
                                  RamPlace *place, Error **errp)
{
    const RamBlock *rb = place->rb;

    if (!(flags & RAM_SAVE_FLAG_CONTINUE)) {
        rb = get_block(memory, s, errp);
        if (!rb) {
            return NULL;
        }
    }
    if (!rb) {
        mig_stream_fail(s, errp, "the first page names no RAM block");
        return NULL;
    }
    if (!range_fits_u64(offset, GUEST_PAGE_SIZE, rb->backing.size)) {
        mig_stream_fail(s, errp, "a page at 0x%" PRIx64 " of RAM block '%s', "
                        "which has 0x%" PRIx64 " bytes", offset, rb->id,
                        rb->backing.size);
        return NULL;
    }
    place->rb = rb;
    return rb;
}

static bool load_page(Ram *ram, MigStream *s, uint64_t offset, uint64_t flags,
                      bool mark_dirty, Error **errp)
{
    const RamBlock *rb;
    bool ok;

    if (!may_come(ram, s, errp)) {
        return false;
    }
    rb = ram_load_block_of(ram->vm->memory, s, offset, flags,
                           &ram->load_place, errp);
    if (!rb) {
        return false;
    }
    ok = flags & RAM_SAVE_FLAG_ZERO
         ? load_zero_page(ram, s, rb, offset, errp)
         : load_normal_page(ram, s, rb, offset, errp);
    if (mark_dirty) {
        memory_mark_dirty((RamBlock *)rb, offset, GUEST_PAGE_SIZE);
    }
    if (ok && ram->load_pages) {
        page_set_add(ram->load_pages, rb, offset, GUEST_PAGE_SIZE);
    }
    return ok;
}

/* ---- channels beside the stream ---- */

static bool load_flush(Ram *ram, MigStream *s, Error **errp)
{
    if (!ram->options.multifd_recv) {
        mig_stream_fail(s, errp, "a flush of multifd channels: capability "
                        "'multifd' is on at the source and off here");
        return false;
    }
    if (!ram->blocks_listed) {
        mig_stream_fail(s, errp, "a flush of multifd channels before the list "
                        "of RAM blocks");
        return false;
    }
    if (!multifd_recv_sync(ram->options.multifd_recv, errp)) {
        return false;
    }
    /* What was not there may be there now. */
    page_presence_forget(ram->load_presence);
    return true;
}

/* The first flush comes behind the list, before any page. */
static bool check_flushed(Ram *ram, MigStream *s, Error **errp)
{
    if (ram->options.multifd_recv && ram->blocks_listed &&
        !multifd_recv_has_synced(ram->options.multifd_recv)) {
        mig_stream_fail(s, errp, "no flush of multifd channels: capability "
                        "'multifd' is off at the source and on here");
        return false;
    }
    return true;
}

bool ram_load_complete(void *opaque, Error **errp)
{
    Ram *ram = opaque;

    return !ram->options.multifd_recv ||
           multifd_recv_end(ram->options.multifd_recv, errp);
}

bool ram_load(MigStream *s, void *opaque, int version_id, Error **errp)
{
    Ram *ram = opaque;
    bool mark_dirty = memory_dirty_logging(ram->vm->memory);
    bool ok = true;

    if (version_id != RAM_SAVE_VERSION) {
        mig_stream_fail(s, errp, "version %d; %d is accepted", version_id,
                        RAM_SAVE_VERSION);
        return false;
    }
    if (ram->load_elsewhere) {
        mig_stream_fail(s, errp, "in the package, where pages are not "
                        "accepted");
        return false;
    }
    page_presence_forget(ram->load_presence);
    while (ok) {
        uint64_t word, flags, offset;

        if (!mig_get_be64(s, &word, errp)) {
            return false;
        }
        flags = word & RAM_FLAGS_MASK;
        offset = word & ~RAM_FLAGS_MASK;
        switch (flags) {
        case RAM_SAVE_FLAG_ZERO:
        case RAM_SAVE_FLAG_ZERO | RAM_SAVE_FLAG_CONTINUE:
        case RAM_SAVE_FLAG_PAGE:
        case RAM_SAVE_FLAG_PAGE | RAM_SAVE_FLAG_CONTINUE:
            ok = load_page(ram, s, offset, flags, mark_dirty, errp);
            break;
        case RAM_SAVE_FLAG_MEM_SIZE:
            ok = load_block_list(ram, s, offset, mark_dirty, errp);
            break;
        case RAM_SAVE_FLAG_MULTIFD_FLUSH:
            ok = load_flush(ram, s, errp);
            break;
        case RAM_SAVE_FLAG_EOS:
            return check_flushed(ram, s, errp);
        default:
            mig_stream_fail(s, errp, "flags 0x%" PRIx64 " of a page; 0x%02x "
                            "(zero), 0x%02x (page), 0x%02x (sizes), 0x%02x "
                            "(end) and with any of the first two 0x%02x "
                            "(same block) are accepted", flags,
                            RAM_SAVE_FLAG_ZERO, RAM_SAVE_FLAG_PAGE,
                            RAM_SAVE_FLAG_MEM_SIZE, RAM_SAVE_FLAG_EOS,
                            RAM_SAVE_FLAG_CONTINUE);
            ok = false;
            break;
        }
    }
    return false;
}
