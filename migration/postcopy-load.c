/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes the pages that come while the guest runs, and puts each in place as a
 * whole page of the host's. What follows a package on the connection is
 * sections of guest memory, a few commands, and the end; all of it is hostile.
 *
 * Entered by the listening thread of each connection. It does not touch guest
 * memory: pages are read into a buffer, from which the kernel copies.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/postcopy-int.h"
#include "trace/trace-migration.h"
#include "util/checked.h"

/* ---- pages ---- */

/* The page of the host's is whole: into its place, unless it is there. */
static bool place_unit(PostcopyIn *pc, PostcopyPages *p, Error **errp)
{
    const RamBlock *rb = p->rb;
    uint64_t len = p->have;

    p->rb = NULL;
    if (page_set_has(pc->received, rb, p->offset)) {
        return true;
    }
    if (!(p->zero ? uffd_zero(pc->uffd, rb, p->offset, len, errp)
                  : uffd_copy(pc->uffd, rb, p->offset,
                              uffd_buffer(pc->uffd, p->channel), len,
                              errp))) {
        return false;
    }
    page_set_add(pc->received, rb, p->offset, len);
    __atomic_fetch_add(&pc->placed, len / GUEST_PAGE_SIZE, __ATOMIC_RELAXED);
    return true;
}

/* Where the guest page at @offset comes to lie: it must be the next one. */
static uint8_t *next_part(PostcopyIn *pc, PostcopyPages *p, MigStream *s,
                          const RamBlock *rb, uint64_t offset, Error **errp)
{
    uint64_t unit = postcopy_unit_pages(rb) * GUEST_PAGE_SIZE;

    if (!p->rb) {
        p->rb = rb;
        p->offset = offset / unit * unit;
        p->have = 0;
        p->zero = true;
    }
    if (rb != p->rb || offset != p->offset + p->have) {
        mig_stream_fail(s, errp, "a page at 0x%" PRIx64 " of RAM block '%s', "
                        "where the one at 0x%" PRIx64 " of '%s' must come, to "
                        "complete a page of 0x%" PRIx64 " bytes", offset,
                        rb->id, p->offset + p->have, p->rb->id,
                        postcopy_unit_pages(p->rb) * GUEST_PAGE_SIZE);
        return NULL;
    }
    return uffd_buffer(pc->uffd, p->channel) + p->have;
}

static bool load_page(PostcopyIn *pc, PostcopyPages *p, MigStream *s,
                      uint64_t offset, uint64_t flags, Error **errp)
{
    const RamBlock *rb = ram_load_block_of(pc->memory, s, offset, flags,
                                           &p->place, errp);
    uint8_t *to = rb ? next_part(pc, p, s, rb, offset, errp) : NULL;

    if (!to) {
        return false;
    }
    if (flags & RAM_SAVE_FLAG_ZERO) {
        if (!ram_load_fill(s, rb, errp)) {
            return false;
        }
        /* The others of its page may have something in them. */
        if (postcopy_unit_pages(rb) > 1) {
            memset(to, 0, GUEST_PAGE_SIZE);
        }
    } else {
        if (!mig_get_buffer(s, to, GUEST_PAGE_SIZE, errp)) {
            return false;
        }
        p->zero = false;
    }
    p->have += GUEST_PAGE_SIZE;
    return p->have < postcopy_unit_pages(rb) * GUEST_PAGE_SIZE ||
           place_unit(pc, p, errp);
}

bool postcopy_load_pages(PostcopyIn *pc, PostcopyPages *p, MigStream *s,
                         Error **errp)
{
    for (;;) {
        uint64_t word, flags, offset;

        if (!mig_get_be64(s, &word, errp)) {
            return false;
        }
        flags = word & RAM_FLAGS_MASK;
        offset = word & ~RAM_FLAGS_MASK;
        if (flags == RAM_SAVE_FLAG_EOS) {
            return true;
        }
        switch (flags & ~(uint64_t)RAM_SAVE_FLAG_CONTINUE) {
        case RAM_SAVE_FLAG_ZERO:
        case RAM_SAVE_FLAG_PAGE:
            if (!load_page(pc, p, s, offset, flags, errp)) {
                return false;
            }
            if (p->give) {
                give_way(p->give);
            }
            break;
        default:
            mig_stream_fail(s, errp, "flags 0x%" PRIx64 " of a page in "
                            "postcopy; 0x%02x (zero), 0x%02x (page), 0x%02x "
                            "(end) and with any of the first two 0x%02x (same "
                            "block) are accepted", flags, RAM_SAVE_FLAG_ZERO,
                            RAM_SAVE_FLAG_PAGE, RAM_SAVE_FLAG_EOS,
                            RAM_SAVE_FLAG_CONTINUE);
            return false;
        }
    }
}

/* ---- sections ---- */

static bool check_id(PostcopyIn *pc, MigStream *s, const char *what,
                     Error **errp)
{
    uint32_t id;

    if (!mig_get_be32(s, &id, errp)) {
        return false;
    }
    if (id != pc->stream_id) {
        mig_stream_fail(s, errp, "a %s with id %" PRIu32 "; in postcopy %"
                        PRIu32 " (guest memory) goes on alone", what, id,
                        pc->stream_id);
        return false;
    }
    return true;
}

static bool load_section(PostcopyIn *pc, MigStream *s, Error **errp)
{
    uint8_t mark;

    mig_stream_set_section(s, "ram", 0);
    pc->pages.place = (RamPlace) { 0 };
    if (!check_id(pc, s, "section", errp) ||
        !postcopy_load_pages(pc, &pc->pages, s, errp) ||
        !mig_get_u8(s, &mark, errp)) {
        return false;
    }
    if (mark != QEMU_VM_SECTION_FOOTER) {
        mig_stream_fail(s, errp, "0x%02x where the section's footer (0x%02x) "
                        "must stand", mark, QEMU_VM_SECTION_FOOTER);
        return false;
    }
    return check_id(pc, s, "footer", errp);
}

/* ---- commands ---- */

static bool run_ping(PostcopyIn *pc, MigStream *s, uint16_t len, Error **errp)
{
    uint32_t value;

    (void)len;
    return mig_get_be32(s, &value, errp) &&
           postcopy_in_send(pc, MIG_RP_MSG_PONG, value, errp);
}

static bool run_recv_bitmap(PostcopyIn *pc, MigStream *s, uint16_t len,
                            Error **errp)
{
    char id[MIG_COUNTED_STRING_SIZE];
    uint8_t buf[1 + UINT8_MAX];
    const RamBlock *rb;
    bool ok;

    if (!mig_get_buffer(s, buf, len, errp) ||
        !postcopy_get_name(buf, len, id, errp)) {
        return false;
    }
    rb = memory_ram_by_id(pc->memory, id);
    if (!rb || !rb->migratable) {
        g_autofree char *text = g_strescape(id, NULL);

        mig_stream_fail(s, errp, "RAM block '%s', which this machine does not "
                        "have", text);
        return false;
    }
    g_mutex_lock(&pc->send_lock);
    ok = return_path_send_bitmap(pc->ch, rb, pc->received, errp);
    g_mutex_unlock(&pc->send_lock);
    return ok;
}

static bool run_resume(PostcopyIn *pc, MigStream *s, uint16_t len,
                       Error **errp)
{
    (void)s;
    (void)len;
    return postcopy_in_resumed(pc, errp);
}

typedef struct PostcopyCommand {
    uint16_t number;
    uint16_t min, max;          /* bytes of data */
    bool (*run)(PostcopyIn *pc, MigStream *s, uint16_t len, Error **errp);
} PostcopyCommand;

static const PostcopyCommand commands[] = {
    { MIG_CMD_PING, 4, 4, run_ping },
    { MIG_CMD_RECV_BITMAP, 2, 1 + UINT8_MAX, run_recv_bitmap },
    { MIG_CMD_POSTCOPY_RESUME, 0, 0, run_resume },
};

static bool load_command(PostcopyIn *pc, MigStream *s, Error **errp)
{
    uint16_t number, len;

    mig_stream_set_section(s, "command", 0);
    if (!mig_get_be16(s, &number, errp) || !mig_get_be16(s, &len, errp)) {
        return false;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(commands); i++) {
        const PostcopyCommand *c = &commands[i];

        if (c->number == number && len >= c->min && len <= c->max) {
            trace_loadvm_command("postcopy", number);
            return c->run(pc, s, len, errp);
        }
    }
    mig_stream_fail(s, errp, "command %u with %u bytes of data; in postcopy "
                    "ping, recv-bitmap and postcopy-resume are accepted",
                    number, len);
    return false;
}

/* ---- all of it ---- */

static bool check_all_here(PostcopyIn *pc, MigStream *s, Error **errp)
{
    uint64_t missing;

    postcopy_urgent_wait(pc);
    missing = page_set_missing(pc->received, NULL);
    if (missing) {
        mig_stream_fail(s, errp, "the end, with %" PRIu64 " pages missing",
                        missing);
    }
    return missing == 0;
}

bool postcopy_load(PostcopyIn *pc, Error **errp)
{
    MigStream *s = pc->stream;
    bool ok = true;

    pc->pages = (PostcopyPages) {
        .channel = POSTCOPY_CHANNEL_MAIN, .give = &pc->give,
    };
    while (ok) {
        uint8_t type;

        mig_stream_set_section(s, "section header", 0);
        if (!mig_get_u8(s, &type, errp)) {
            return false;
        }
        switch (type) {
        case QEMU_VM_SECTION_PART:
        case QEMU_VM_SECTION_END:
            ok = load_section(pc, s, errp);
            break;
        case QEMU_VM_COMMAND:
            ok = load_command(pc, s, errp);
            break;
        case QEMU_VM_EOF:
            return check_all_here(pc, s, errp);
        default:
            mig_stream_fail(s, errp, "section type 0x%02x; in postcopy 0x%02x, "
                            "0x%02x (guest memory), 0x%02x (command) and "
                            "0x%02x (end) are accepted", type,
                            QEMU_VM_SECTION_PART, QEMU_VM_SECTION_END,
                            QEMU_VM_COMMAND, QEMU_VM_EOF);
            ok = false;
            break;
        }
    }
    return false;
}
