/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of an incoming postcopy: memory is emptied, some of it comes before
 * the switchover, the rest is touched or comes by itself afterwards, over one
 * connection after the other if need be.
 *
 * Entered by the incoming thread, until the guest runs and at the end; what
 * the listening thread does is in postcopy-listen.c. Locks: postcopy-int.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "migration/postcopy-int.h"
#include "migration/postcopy-queue.h"
#include "system/cpu.h"
#include "trace/trace-migration.h"
#include "util/log.h"
#include "util/thread.h"

/* ---- before the switchover ---- */

bool postcopy_check_blocks(Memory *memory, Error **errp)
{
    RamBlock *rb;

    for (unsigned i = 0; (rb = memory_ram_by_index(memory, i)); i++) {
        if (rb->migratable && ram_block_is_unwritable(rb)) {
            error_setg(errp, "capability 'postcopy-ram': RAM block '%s' cannot "
                       "be written here, so that no page of it can be put in "
                       "place", rb->id);
            return false;
        }
    }
    return true;
}

static bool empty_memory(Memory *memory, Error **errp)
{
    UffdBlocks blocks;

    uffd_list_blocks(memory, &blocks);
    for (unsigned i = 0; i < blocks.num; i++) {
        if (!uffd_empty(blocks.rb[i], 0, blocks.rb[i]->backing.size, errp)) {
            return false;
        }
    }
    return true;
}

/* The harts' threads are there when a migration comes in. */
static Blocktime *new_blocktime(Migration *m)
{
    g_autofree uint32_t *tids = g_new0(uint32_t, m->vm->cpus->len);

    for (guint i = 0; i < m->vm->cpus->len; i++) {
        tids[i] = ((Cpu *)m->vm->cpus->pdata[i])->tid;
    }
    return blocktime_new(m->clock, tids, m->vm->cpus->len);
}

Blocktime *postcopy_in_blocktime(PostcopyIn *pc)
{
    return pc->blocktime;
}

static void free_it(PostcopyIn *pc)
{
    blocktime_free(pc->blocktime);
    page_set_free(pc->received);
    page_set_free(pc->asked);
    mig_stream_free(pc->stream);
    io_channel_unref(pc->ch);
    mig_end_clear(&pc->end);
    if (pc->recover_fd >= 0) {
        close(pc->recover_fd);
    }
    g_clear_error(&pc->error);
    g_mutex_clear(&pc->send_lock);
    g_mutex_clear(&pc->lock);
    g_cond_clear(&pc->changed);
    g_free(pc);
}

PostcopyIn *postcopy_in_new(MigIn *in, const PostcopyAdvise *advise,
                            Error **errp)
{
    Migration *m = in->m;
    PostcopyAdvise ours = postcopy_advise_of(m->vm->memory);
    PostcopyIn *pc;

    if (!postcopy_check_advise(&ours, advise, errp)) {
        return NULL;
    }
    pc = g_new0(PostcopyIn, 1);
    pc->in = in;
    pc->m = m;
    pc->memory = m->vm->memory;
    pc->ram = m->ram;
    pc->leave = m->leave;
    pc->end.listen_fd = -1;
    g_mutex_init(&pc->lock);
    g_cond_init(&pc->changed);
    g_mutex_init(&pc->send_lock);
    pc->recover_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pc->recover_fd < 0) {
        error_setg_errno(errp, errno, "preparing for postcopy: eventfd");
    } else {
        pc->received = page_set_new(pc->memory, errp);
    }
    pc->asked = pc->received ? page_set_new(pc->memory, errp) : NULL;
    if (!pc->asked || !empty_memory(pc->memory, errp)) {
        free_it(pc);
        return NULL;
    }
    if (migration_cap(m, MIGRATION_CAPABILITY_POSTCOPY_BLOCKTIME)) {
        pc->blocktime = new_blocktime(m);
    }
    ram_set_load_pages(pc->ram, pc->received);
    return pc;
}

bool postcopy_in_discard(PostcopyIn *pc, const PostcopyDiscard *discard,
                         Error **errp)
{
    RamBlock *rb = postcopy_discard_block(pc->memory, discard, errp);

    if (!rb) {
        return false;
    }
    /* The memory itself is seen to when faults are: nothing fills it then. */
    for (unsigned i = 0; i < discard->num; i++) {
        page_set_remove(pc->received, rb, discard->range[i].start,
                        discard->range[i].len);
    }
    return true;
}

/* ---- listening ---- */

static void release(void *opaque)
{
    postcopy_in_free(opaque, NULL);
}

/*
 * A huge page of the host's that was written to in part, or that the kernel
 * made of small ones, has zeros where pages are missing.
 */
static bool empty_missing(PostcopyIn *pc, const RamBlock *rb, Error **errp)
{
    uint64_t unit = postcopy_unit_pages(rb) * GUEST_PAGE_SIZE;
    uint64_t at = 0, start, len;

    while (page_set_next_run(pc->received, rb, false, at, &start, &len)) {
        at = (start + len + unit - 1) / unit * unit;
        start = start / unit * unit;
        page_set_remove(pc->received, rb, start, at - start);
        if (!uffd_empty(rb, start, at - start, errp)) {
            return false;
        }
    }
    return true;
}

static bool set_up_faults(PostcopyIn *pc, Error **errp)
{
    UffdIncoming incoming = {
        .sys = pc->m->uffd_sys, .clock = pc->m->clock, .modes = UFFD_MISSING,
        .keep = true,
    };

    uffd_list_blocks(pc->memory, &incoming.blocks);
    pc->handler = postcopy_fault_handler;
    pc->handler.opaque = pc;
    pc->uffd = uffd_setup_incoming(&incoming, &pc->handler,
                                   POSTCOPY_CHANNELS - 1, errp);
    if (!pc->uffd) {
        return false;
    }
    for (unsigned i = 0; i < incoming.blocks.num; i++) {
        if (!empty_missing(pc, incoming.blocks.rb[i], errp)) {
            return false;
        }
    }
    return true;
}

bool postcopy_in_listen(PostcopyIn *pc, MigStream *stream, IoChannel *ch,
                        uint32_t stream_id, Error **errp)
{
    pc->stream = stream;
    pc->stream_id = stream_id;
    ram_set_load_pages(pc->ram, NULL);
    if (!set_up_faults(pc, errp)) {
        return false;
    }
    trace_postcopy_listen(page_set_missing(pc->received, NULL));
    memory_set_pager(pc->memory, release, pc);
    postcopy_set_channel(pc, ch);
    /* The second one comes where the first did. */
    pc->end.listen_fd = pc->in->end.listen_fd;
    pc->in->end.listen_fd = -1;
    pc->end.local = g_steal_pointer(&pc->in->end.local);
    if (!postcopy_start_asking(pc, errp)) {
        return false;
    }
    postcopy_limit_queue(ch, migration_cap(
        pc->m, MIGRATION_CAPABILITY_POSTCOPY_PREEMPT));
    pc->up = true;
    /* The thread may outlive the migration, and must not look there. */
    give_way_init(&pc->give, pc->m->clock, pc->m->yield);
    postcopy_urgent_start(pc);
    pc->thread = thread_start("mig/dst/listen", postcopy_listen_main, pc);
    __atomic_store_n(&pc->listening, true, __ATOMIC_RELEASE);
    return true;
}

bool postcopy_in_is_listening(const PostcopyIn *pc)
{
    return pc && __atomic_load_n(&pc->listening, __ATOMIC_ACQUIRE);
}

bool postcopy_in_send(PostcopyIn *pc, uint16_t type, uint32_t value,
                      Error **errp)
{
    bool ok;

    g_mutex_lock(&pc->send_lock);
    ok = pc->ch != NULL;
    if (ok) {
        ok = return_path_send(pc->ch, type, value, errp);
    } else {
        error_setg(errp, "there is no connection to the source");
    }
    g_mutex_unlock(&pc->send_lock);
    return ok;
}

bool postcopy_in_ping(PostcopyIn *pc, uint32_t value, Error **errp)
{
    bool ok = !pc->has_ping ||
              postcopy_in_send(pc, MIG_RP_MSG_PONG, pc->ping, errp);

    pc->has_ping = true;
    pc->ping = value;
    return ok;
}

bool postcopy_in_commit(PostcopyIn *pc, Error **errp)
{
    bool ok;

    g_mutex_lock(&pc->lock);
    ok = !pc->error;
    if (!ok) {
        error_propagate(errp, g_error_copy(pc->error));
    } else if (pc->has_ping) {
        ok = postcopy_in_send(pc, MIG_RP_MSG_PONG, pc->ping, errp);
    }
    pc->committed = ok;
    g_cond_broadcast(&pc->changed);
    g_mutex_unlock(&pc->lock);
    return ok;
}

/* ---- the end ---- */

void postcopy_leave(uint64_t pages)
{
    error_report("the program ends, and the guest with it: %" PRIu64 " pages "
                 "of its memory are at a source that cannot be reached",
                 pages);
    _exit(0);
}

void postcopy_in_leave(PostcopyIn *pc)
{
    pc->leave(page_set_missing(pc->received, NULL));
    pc->has_left = pc->stopping = true;
    g_cond_broadcast(&pc->changed);
}

bool postcopy_in_has_left(PostcopyIn *pc)
{
    bool has_left;

    g_mutex_lock(&pc->lock);
    has_left = pc->has_left;
    g_mutex_unlock(&pc->lock);
    return has_left;
}

bool postcopy_in_is_stopping(PostcopyIn *pc)
{
    bool stopping;

    g_mutex_lock(&pc->lock);
    stopping = pc->stopping;
    g_mutex_unlock(&pc->lock);
    return stopping;
}

void postcopy_in_lost(PostcopyIn *pc, Error *err)
{
    g_mutex_lock(&pc->lock);
    if (pc->committed) {
        error_report("the guest's memory cannot be received any more, and it "
                     "ends: %s", err->message);
        _exit(1);
    }
    if (!pc->error) {
        pc->error = g_error_copy(err);
    }
    g_mutex_unlock(&pc->lock);
    g_error_free(err);
    /* Whoever waits goes on with zeros, of which nothing will come. */
    uffd_release(pc->uffd);
}

bool postcopy_in_wait(PostcopyIn *pc, Error **errp)
{
    PostcopyInStats stats;
    bool finished;

    g_mutex_lock(&pc->lock);
    while (!pc->finished && !pc->ending) {
        g_cond_wait(&pc->changed, &pc->lock);
    }
    finished = pc->finished;
    g_mutex_unlock(&pc->lock);
    if (!finished) {
        error_setg(errp, "ended before all memory was there");
        return false;
    }
    postcopy_in_get_stats(pc, &stats);
    trace_postcopy_end(stats.pages, stats.faults.faults);
    return true;
}

void postcopy_in_stop_accepting(PostcopyIn *pc)
{
    uint64_t one = 1;

    if (write(pc->recover_fd, &one, sizeof(one)) < 0) {
        g_assert(errno == EAGAIN);
    }
}

void postcopy_in_stop(PostcopyIn *pc)
{
    g_mutex_lock(&pc->lock);
    if (!pc->up && !pc->finished) {
        postcopy_in_leave(pc);
    }
    pc->ending = true;
    g_cond_broadcast(&pc->changed);
    g_mutex_unlock(&pc->lock);
    g_cond_broadcast(&pc->m->changed);
    postcopy_in_stop_accepting(pc);
}

void postcopy_in_free(PostcopyIn *pc, Blocktime **blocktime)
{
    if (!pc) {
        return;
    }
    if (!pc->listening) {
        /* Otherwise this is done, and the object may be gone. */
        ram_set_load_pages(pc->ram, NULL);
    }
    memory_set_pager(pc->memory, NULL, NULL);
    if (pc->thread) {
        g_mutex_lock(&pc->lock);
        pc->stopping = true;
        g_cond_broadcast(&pc->changed);
        g_mutex_unlock(&pc->lock);
        g_mutex_lock(&pc->send_lock);
        if (pc->ch) {
            io_channel_shutdown(pc->ch, IO_SHUTDOWN_READ);
        }
        g_mutex_unlock(&pc->send_lock);
        g_thread_join(pc->thread);
        postcopy_urgent_stop(pc);
    }
    uffd_free(pc->uffd);
    if (blocktime) {
        *blocktime = g_steal_pointer(&pc->blocktime);
    }
    free_it(pc);
}

void postcopy_in_get_stats(PostcopyIn *pc, PostcopyInStats *stats)
{
    *stats = (PostcopyInStats) {
        .pages = __atomic_load_n(&pc->placed, __ATOMIC_RELAXED),
    };
    if (pc->uffd) {
        uffd_get_stats(pc->uffd, &stats->faults);
    }
}
