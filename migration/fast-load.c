/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads the memory of a guest that runs already, from a mapped-ram file.
 *
 * Threads: the fault thread (uffd.c) serves what is touched, and the incoming
 * thread loads the rest, in the file's order. A bitmap of claims says who
 * loads a page: whoever sets its bit first, and nobody else. A page whose bit
 * the file does not have is zero and is claimed by nobody: the fault thread
 * fills it when it is touched, and the kernel when all is over.
 *
 * FastLoad.lock is a leaf. Neither thread touches guest memory or takes the
 * big lock; see docs/devel/migration-uffd.rst.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "migration/fast-load.h"
#include "migration/ram-int.h"
#include "trace/trace-migration.h"

/* Channels of the Uffd. */
enum { CHANNEL_FAULT, CHANNEL_EAGER };

/* The disk is asked for what is so far ahead of the eager thread. */
#define AHEAD_PAGES ((UINT64_C(8) << 20) / GUEST_PAGE_SIZE)

typedef struct FastBlock {
    /* Constant */
    RamBlock *rb;
    const MappedBlock *mb;
    uint64_t unit_pages;        /* of a page of the host's, which is a unit */
    uint64_t units;

    uint64_t *claims;           /* a bit a unit; atomic */

    /* The eager thread */
    uint64_t ahead;             /* page up to which the disk has been asked */
} FastBlock;

struct FastLoad {
    /* Constant once started */
    Memory *memory;
    MappedRam *layout;
    IoChannel *ch;
    FastBlock block[RAM_BLOCKS_MAX];    /* in the order of the file */
    unsigned num_blocks;
    Uffd *uffd;
    UffdHandler handler;
    void (*lost)(void *opaque, Error *err);
    void *opaque;

    bool stop;                  /* atomic */

    /* Atomic; one writer each, but for total_pages: constant */
    FastLoadStats stats;

    GMutex lock;
    GCond changed;
    /* Under lock */
    bool committed;
    Error *error;               /* before that; or why a page is lost */
};

/* ---- what the file has ---- */

static bool unit_has_contents(const FastBlock *b, uint64_t unit)
{
    uint64_t first = unit * b->unit_pages;
    uint64_t end = MIN(first + b->unit_pages, b->mb->pages);

    return bitmap_find_next(b->mb->bitmap, end, first) < end;
}

static uint64_t count_contents(const FastBlock *b)
{
    uint64_t pages = 0;

    if (b->unit_pages == 1) {
        return bitmap_count(b->mb->bitmap, b->mb->pages);
    }
    for (uint64_t unit = 0; unit < b->units; unit++) {
        pages += unit_has_contents(b, unit) ? b->unit_pages : 0;
    }
    return pages;
}

/* Whether the unit is the caller's to load. */
static bool claim(FastBlock *b, uint64_t unit)
{
    uint64_t mask = UINT64_C(1) << (unit % BITMAP_WORD_BITS);
    uint64_t was = __atomic_fetch_or(&b->claims[unit / BITMAP_WORD_BITS],
                                     mask, __ATOMIC_ACQ_REL);

    return !(was & mask);
}

/* ---- loading what has been claimed ---- */

/*
 * Pages [@first, @first + @count) into @channel's buffer: from the file where
 * it has them, zeros where it has not.
 */
static bool read_pages(FastLoad *fl, const FastBlock *b, uint8_t *buf,
                       uint64_t first, uint64_t count, Error **errp)
{
    uint64_t end = first + count, next;

    for (uint64_t page = first; page < end; page = next) {
        uint8_t *to = buf + (page - first) * GUEST_PAGE_SIZE;

        if (!bitmap_test(b->mb->bitmap, page)) {
            next = bitmap_find_next(b->mb->bitmap, end, page);
            memset(to, 0, (next - page) * GUEST_PAGE_SIZE);
            continue;
        }
        next = bitmap_find_next_zero(b->mb->bitmap, end, page);
        if (!io_channel_pread_all(fl->ch, to, (next - page) * GUEST_PAGE_SIZE,
                                  b->mb->pages_offset + page * GUEST_PAGE_SIZE,
                                  errp)) {
            error_prepend(errp, "RAM block '%s', %" PRIu64 " pages at 0x%"
                          PRIx64 ": ", b->rb->id, next - page,
                          page * GUEST_PAGE_SIZE);
            return false;
        }
    }
    return true;
}

/* @units that the caller has claimed, as many as fit into the buffer. */
static bool load_units(FastLoad *fl, Uffd *u, FastBlock *b, unsigned channel,
                       uint64_t unit, uint64_t units, Error **errp)
{
    uint64_t pages = units * b->unit_pages;
    uint64_t first = unit * b->unit_pages;
    uint64_t *count = channel == CHANNEL_FAULT ? &fl->stats.fault_pages
                                               : &fl->stats.eager_pages;
    uint8_t *buf = uffd_buffer(u, channel);

    if (!read_pages(fl, b, buf, first, pages, errp) ||
        !uffd_copy(u, b->rb, first * GUEST_PAGE_SIZE, buf,
                   pages * GUEST_PAGE_SIZE, errp)) {
        return false;
    }
    __atomic_fetch_add(count, pages, __ATOMIC_SEQ_CST);
    return true;
}

/* ---- faults ---- */

static FastBlock *find_block(FastLoad *fl, const RamBlock *rb)
{
    for (unsigned i = 0; i < fl->num_blocks; i++) {
        if (fl->block[i].rb == rb) {
            return &fl->block[i];
        }
    }
    g_assert_not_reached();
}

/* Each of the two threads adds its own, then looks: one sees the whole sum. */
static uint64_t placed_pages(FastLoad *fl)
{
    return __atomic_load_n(&fl->stats.fault_pages, __ATOMIC_SEQ_CST) +
           __atomic_load_n(&fl->stats.eager_pages, __ATOMIC_SEQ_CST);
}

static bool on_fault(void *opaque, Uffd *u, const UffdFault *fault,
                     Error **errp)
{
    FastLoad *fl = opaque;
    FastBlock *b = find_block(fl, fault->rb);
    uint64_t unit = fault->offset / b->rb->page_size;

    if (!unit_has_contents(b, unit)) {
        ram_stat_add(&fl->stats.zero_faults, 1);
        return uffd_zero(u, b->rb, fault->offset, b->rb->page_size, errp);
    }
    if (!claim(b, unit)) {
        /* In place by now, or soon: the eager thread wakes who waits. */
        return true;
    }
    if (!load_units(fl, u, b, CHANNEL_FAULT, unit, 1, errp)) {
        return false;
    }
    /* The eager thread may be waiting for just this one. */
    if (placed_pages(fl) == fl->stats.total_pages) {
        g_mutex_lock(&fl->lock);
        g_cond_broadcast(&fl->changed);
        g_mutex_unlock(&fl->lock);
    }
    return true;
}

/* A page cannot be had. Takes @err. */
static void on_failed(void *opaque, Uffd *u, Error *err)
{
    FastLoad *fl = opaque;
    bool committed;

    g_mutex_lock(&fl->lock);
    committed = fl->committed;
    if (!fl->error) {
        fl->error = g_error_copy(err);
    }
    g_cond_broadcast(&fl->changed);
    g_mutex_unlock(&fl->lock);
    trace_fast_load_failed(err->message, committed);
    if (committed) {
        fl->lost(fl->opaque, err);
    } else {
        /* Who waits goes on, and the load ends with this error. */
        g_error_free(err);
        uffd_release(u);
    }
}

/* ---- the rest ---- */

/* Has the disk read what comes next, but for holes. */
static void ask_ahead(FastLoad *fl, FastBlock *b, uint64_t page)
{
    uint64_t until = MIN(page + AHEAD_PAGES, b->mb->pages);
    int fd = io_channel_fd(fl->ch);

    b->ahead = MAX(b->ahead, page);
    /* In large pieces. */
    if (fd < 0 || (until - b->ahead < AHEAD_PAGES / 2 &&
                   until < b->mb->pages)) {
        return;
    }
    while (b->ahead < until) {
        uint64_t from = bitmap_find_next(b->mb->bitmap, until, b->ahead);
        uint64_t to = bitmap_find_next_zero(b->mb->bitmap, until, from);

        if (from < to) {
            posix_fadvise(fd, b->mb->pages_offset + from * GUEST_PAGE_SIZE,
                          (to - from) * GUEST_PAGE_SIZE, POSIX_FADV_WILLNEED);
        }
        b->ahead = to;
    }
}

/* All units of a word that are still free: claimed at once, loaded in runs. */
static bool load_word(FastLoad *fl, FastBlock *b, uint64_t word, Error **errp)
{
    uint64_t want = b->mb->bitmap[word];
    uint64_t mine = want & ~__atomic_fetch_or(&b->claims[word], want,
                                              __ATOMIC_ACQ_REL);

    while (mine) {
        unsigned first = __builtin_ctzll(mine);
        uint64_t rest = ~(mine >> first);
        unsigned count = rest ? (unsigned)__builtin_ctzll(rest)
                              : BITMAP_WORD_BITS;

        if (!load_units(fl, fl->uffd, b, CHANNEL_EAGER,
                        word * BITMAP_WORD_BITS + first, count, errp)) {
            return false;
        }
        mine &= count == BITMAP_WORD_BITS
            ? 0 : ~(((UINT64_C(1) << count) - 1) << first);
    }
    return true;
}

static bool is_stopped(FastLoad *fl, Error **errp)
{
    if (__atomic_load_n(&fl->stop, __ATOMIC_ACQUIRE)) {
        error_setg(errp, "ended before all memory was loaded: %" PRIu64 " of %"
                   PRIu64 " pages", placed_pages(fl), fl->stats.total_pages);
        return true;
    }
    return false;
}

static bool load_block(FastLoad *fl, FastBlock *b, Error **errp)
{
    uint64_t page = 0;

    while ((page = bitmap_find_next(b->mb->bitmap, b->mb->pages, page)) <
           b->mb->pages) {
        uint64_t step = MAX(b->unit_pages, BITMAP_WORD_BITS);
        bool ok;

        if (is_stopped(fl, errp)) {
            return false;
        }
        ask_ahead(fl, b, page);
        if (b->unit_pages == 1) {
            ok = load_word(fl, b, page / BITMAP_WORD_BITS, errp);
        } else {
            ok = !claim(b, page / b->unit_pages) ||
                 load_units(fl, fl->uffd, b, CHANNEL_EAGER,
                            page / b->unit_pages, 1, errp);
        }
        if (!ok) {
            return false;
        }
        page = page / step * step + step;
    }
    return true;
}

/* What the fault thread has claimed comes from it. */
static bool wait_for_faults(FastLoad *fl, Error **errp)
{
    bool ok = true;

    g_mutex_lock(&fl->lock);
    while (!fl->error && placed_pages(fl) < fl->stats.total_pages &&
           (ok = !is_stopped(fl, errp))) {
        g_cond_wait(&fl->changed, &fl->lock);
    }
    if (ok && fl->error) {
        error_propagate(errp, g_error_copy(fl->error));
        ok = false;
    }
    g_mutex_unlock(&fl->lock);
    return ok;
}

bool fast_load_run(FastLoad *fl, Error **errp)
{
    FastLoadStats stats;

    for (unsigned i = 0; i < fl->num_blocks; i++) {
        Error *err = NULL;

        if (load_block(fl, &fl->block[i], &err)) {
            continue;
        }
        if (!__atomic_load_n(&fl->stop, __ATOMIC_ACQUIRE)) {
            on_failed(fl, fl->uffd, g_error_copy(err));
        }
        error_propagate(errp, err);
        return false;
    }
    if (!wait_for_faults(fl, errp)) {
        return false;
    }
    fast_load_get_stats(fl, &stats);
    trace_fast_load_end(stats.fault_pages, stats.eager_pages,
                        stats.zero_faults);
    return true;
}

void fast_load_stop(FastLoad *fl)
{
    g_mutex_lock(&fl->lock);
    __atomic_store_n(&fl->stop, true, __ATOMIC_RELEASE);
    g_cond_broadcast(&fl->changed);
    g_mutex_unlock(&fl->lock);
}

bool fast_load_commit(FastLoad *fl, Error **errp)
{
    bool ok;

    g_mutex_lock(&fl->lock);
    ok = !fl->error;
    fl->committed = ok;
    if (!ok) {
        error_propagate(errp, g_error_copy(fl->error));
    }
    g_mutex_unlock(&fl->lock);
    return ok;
}

#define COPY_STAT(_name) \
    stats->_name = __atomic_load_n(&fl->stats._name, __ATOMIC_RELAXED)

void fast_load_get_stats(FastLoad *fl, FastLoadStats *stats)
{
    COPY_STAT(total_pages);
    COPY_STAT(fault_pages);
    COPY_STAT(eager_pages);
    COPY_STAT(zero_faults);
    uffd_get_stats(fl->uffd, &stats->faults);
}

/* ---- beginning and end ---- */

bool fast_load_check(const UffdSys *sys, Memory *memory, Error **errp)
{
    UffdBlocks blocks;

    uffd_list_blocks(memory, &blocks);
    return uffd_check(sys, &blocks, UFFD_MISSING, errp);
}

static int compare_places(const void *a, const void *b)
{
    const FastBlock *x = a, *y = b;

    return (x->mb->pages_offset > y->mb->pages_offset) -
           (x->mb->pages_offset < y->mb->pages_offset);
}

static bool add_block(FastLoad *fl, RamBlock *rb, Error **errp)
{
    FastBlock *b = &fl->block[fl->num_blocks++];

    b->rb = rb;
    b->mb = &fl->layout->block[rb->index];
    g_assert(b->mb->rb == rb);
    b->unit_pages = MAX(rb->page_size / GUEST_PAGE_SIZE, 1);
    b->units = b->mb->pages / b->unit_pages;
    b->claims = bitmap_new(b->units);
    if (!b->claims) {
        error_setg(errp, "no address space for the claims of RAM block '%s' "
                   "(%" PRIu64 " pages)", rb->id, b->units);
        return false;
    }
    fl->stats.total_pages += count_contents(b);
    return true;
}

static bool start(FastLoad *fl, const FastLoadConfig *config, Error **errp)
{
    UffdIncoming incoming = {
        .sys = config->sys, .clock = config->clock, .modes = UFFD_MISSING,
    };

    uffd_list_blocks(fl->memory, &incoming.blocks);
    for (unsigned i = 0; i < incoming.blocks.num; i++) {
        if (!add_block(fl, incoming.blocks.rb[i], errp)) {
            return false;
        }
    }
    qsort(fl->block, fl->num_blocks, sizeof(fl->block[0]), compare_places);
    fl->uffd = uffd_setup_incoming(&incoming, &fl->handler, CHANNEL_EAGER,
                                   errp);
    return fl->uffd != NULL;
}

static void release(void *opaque)
{
    fast_load_free(opaque);
}

FastLoad *fast_load_start(const FastLoadConfig *config, MappedRam *layout,
                          Error **errp)
{
    FastLoad *fl = g_new0(FastLoad, 1);

    fl->memory = config->memory;
    fl->layout = layout;
    fl->ch = io_channel_ref(config->ch);
    fl->lost = config->lost;
    fl->opaque = config->opaque;
    fl->handler = (UffdHandler) { on_fault, on_failed, fl };
    g_mutex_init(&fl->lock);
    g_cond_init(&fl->changed);
    if (!start(fl, config, errp)) {
        fast_load_free(fl);
        return NULL;
    }
    memory_set_pager(fl->memory, release, fl);
    trace_fast_load_start(fl->num_blocks, fl->stats.total_pages);
    return fl;
}

void fast_load_free(FastLoad *fl)
{
    if (!fl) {
        return;
    }
    memory_set_pager(fl->memory, NULL, NULL);
    uffd_free(fl->uffd);
    for (unsigned i = 0; i < fl->num_blocks; i++) {
        bitmap_free(fl->block[i].claims, fl->block[i].units);
    }
    mapped_ram_free(fl->layout);
    io_channel_unref(fl->ch);
    g_clear_error(&fl->error);
    g_cond_clear(&fl->changed);
    g_mutex_clear(&fl->lock);
    g_free(fl);
}
