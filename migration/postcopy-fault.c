/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks the source for the pages that are touched. The fault thread does it; it
 * takes PostcopyIn.send_lock alone, under which others write to the source too,
 * and allocates nothing but the text of an error. A page is asked for once a
 * connection: whoever touches it next is woken with the first.
 */
#include "migration/postcopy-int.h"
#include "trace/trace-migration.h"

/* send_lock held. */
static bool ask(PostcopyIn *pc, const RamBlock *rb, uint64_t offset,
                Error **errp)
{
    bool named = rb != pc->last_asked;

    pc->last_asked = rb;
    return return_path_send_request(pc->ch, rb, offset, rb->page_size, named,
                                    errp);
}

static bool on_fault(void *opaque, Uffd *u, const UffdFault *fault,
                     Error **errp)
{
    PostcopyIn *pc = opaque;
    const RamBlock *rb = fault->rb;
    bool here, news;

    g_mutex_lock(&pc->send_lock);
    here = page_set_has(pc->received, rb, fault->offset);
    news = !here && !page_set_test_and_add(pc->asked, rb, fault->offset);
    trace_postcopy_ask(rb->id, fault->offset, news, pc->asks);
    if (news && pc->asks && !ask(pc, rb, fault->offset, NULL)) {
        /* Whoever reads from it finds out, and it is asked for again. */
        io_channel_shutdown(pc->ch, IO_SHUTDOWN_BOTH);
        pc->asks = false;
    }
    g_mutex_unlock(&pc->send_lock);
    /* In place by now; or zero, of which nothing was placed. */
    return !here || uffd_zero(u, rb, fault->offset, rb->page_size, errp);
}

static void on_failed(void *opaque, Uffd *u, Error *err)
{
    (void)u;
    postcopy_in_lost(opaque, err);
}

static void on_begins(void *opaque, uint32_t tid)
{
    PostcopyIn *pc = opaque;

    if (pc->blocktime) {
        blocktime_begins(pc->blocktime, tid);
    }
}

static void on_ends(void *opaque, uint32_t tid, int64_t ns)
{
    PostcopyIn *pc = opaque;

    if (pc->blocktime) {
        blocktime_ends(pc->blocktime, tid, ns);
    }
}

const UffdHandler postcopy_fault_handler = {
    .fault = on_fault,
    .failed = on_failed,
    .begins = on_begins,
    .ends = on_ends,
};

void postcopy_set_channel(PostcopyIn *pc, IoChannel *ch)
{
    IoChannel *old;

    g_mutex_lock(&pc->send_lock);
    old = pc->ch;
    pc->ch = ch ? io_channel_ref(ch) : NULL;
    pc->asks = false;
    pc->last_asked = NULL;
    g_mutex_unlock(&pc->send_lock);
    io_channel_unref(old);
}

/* Those of one block. send_lock held. */
static bool ask_again(PostcopyIn *pc, const RamBlock *rb, Error **errp)
{
    uint64_t at = 0, start, len;

    while (page_set_next_run(pc->asked, rb, true, at, &start, &len)) {
        for (at = start; at < start + len; at += GUEST_PAGE_SIZE) {
            if (!page_set_has(pc->received, rb, at) &&
                !ask(pc, rb, at, errp)) {
                return false;
            }
        }
    }
    return true;
}

bool postcopy_start_asking(PostcopyIn *pc, Error **errp)
{
    bool ok = true;
    RamBlock *rb;

    g_mutex_lock(&pc->send_lock);
    for (unsigned i = 0; ok && (rb = memory_ram_by_index(pc->memory, i));
         i++) {
        ok = !rb->migratable || ask_again(pc, rb, errp);
    }
    pc->asks = ok;
    g_mutex_unlock(&pc->send_lock);
    return ok;
}
