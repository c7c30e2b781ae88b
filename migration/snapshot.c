/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory of one moment: protecting it, the moment, and the walk over what
 * nobody has written to. A bit for each page of the host's memory says, before
 * the moment, that it has been written since it was protected; and after it,
 * that somebody has claimed to send it: whoever sets the bit first, the thread
 * that walks or the fault thread (snapshot-fault.c).
 *
 * Entered by the outgoing migration thread, which must hold nothing that who
 * touches guest memory may hold; locks: snapshot-int.h.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "migration/ram-int.h"
#include "migration/snapshot-int.h"
#include "trace/trace-migration.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22   /* Linux 5.14 */
#endif

/* Protected, opened or filled in one system call. */
#define PIECE_BYTES (UINT64_C(32) << 20)

/* Before the moment: so few written pages are protected in no time; ... */
#define WRITTEN_FEW 1024
/* ... and a guest that writes more than that all the time is not waited for. */
#define ROUNDS_MAX 4

/* ---- protection ---- */

static uint64_t piece_units(const SnapshotBlock *b, uint64_t unit)
{
    uint64_t most = MAX(PIECE_BYTES / b->rb->page_size, 1);

    return MIN(most, b->units - unit);
}

/*
 * What has been written since, from @unit on and within one word: its bits are
 * cleared, and it is protected again. Lock held, so that no store is let
 * through in between that nobody notes.
 */
static bool protect_written(Snapshot *s, SnapshotBlock *b, uint64_t word,
                            Error **errp)
{
    uint64_t bits = b->bits[word];

    while (bits) {
        unsigned first = __builtin_ctzll(bits);
        uint64_t rest = ~(bits >> first);
        unsigned count = rest ? (unsigned)__builtin_ctzll(rest)
                              : BITMAP_WORD_BITS;

        bits &= count == BITMAP_WORD_BITS
            ? 0 : ~(((UINT64_C(1) << count) - 1) << first);
        if (!snapshot_protect(s, b, word * BITMAP_WORD_BITS + first, count,
                              true, errp)) {
            return false;
        }
        s->written -= count;
    }
    b->bits[word] = 0;
    return true;
}

static bool is_stopped(Snapshot *s, Error **errp)
{
    if (s->config.stopped(s->config.opaque)) {
        error_setg(errp, "stopped");
        return true;
    }
    return false;
}

static bool arm_block(Snapshot *s, SnapshotBlock *b, Error **errp)
{
    uint64_t count;

    for (uint64_t unit = 0; unit < b->units; unit += count) {
        count = piece_units(b, unit);
        if (is_stopped(s, errp) ||
            !snapshot_protect(s, b, unit, count, true, errp)) {
            return false;
        }
    }
    return true;
}

static bool arm_again(Snapshot *s, SnapshotBlock *b, Error **errp)
{
    for (uint64_t word = 0; word < bitmap_words(b->units); word++) {
        bool ok;

        g_mutex_lock(&s->lock);
        ok = protect_written(s, b, word, errp);
        g_mutex_unlock(&s->lock);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static uint64_t count_written(Snapshot *s)
{
    uint64_t written;

    g_mutex_lock(&s->lock);
    written = s->written;
    g_mutex_unlock(&s->lock);
    return written;
}

static bool for_each_tracked(Snapshot *s,
                             bool (*step)(Snapshot *s, SnapshotBlock *b,
                                          Error **errp), Error **errp)
{
    for (unsigned i = 0; i < s->num_blocks; i++) {
        if (s->block[i].tracked && !step(s, &s->block[i], errp)) {
            return false;
        }
    }
    return true;
}

static bool arm(Snapshot *s, Error **errp)
{
    if (!for_each_tracked(s, arm_block, errp)) {
        return false;
    }
    for (unsigned n = 1; n < ROUNDS_MAX; n++) {
        if (count_written(s) <= WRITTEN_FEW) {
            break;
        }
        if (is_stopped(s, errp) || !for_each_tracked(s, arm_again, errp)) {
            return false;
        }
    }
    return true;
}

/* Anonymous memory without pages is given the kernel's page of zeros. */
static bool populate(Snapshot *s, SnapshotBlock *b, Error **errp)
{
    const RamBlock *rb = b->rb;
    uint64_t count;

    if (uffd_protects_untouched(s->uffd) || rb->backing.fd >= 0 ||
        rb->backing.share) {
        return true;
    }
    for (uint64_t unit = 0; unit < b->units; unit += count) {
        uint8_t *at = rb->host + unit * rb->page_size;
        uint64_t len;

        count = piece_units(b, unit);
        len = count * rb->page_size;
        if (is_stopped(s, errp)) {
            return false;
        }
        if (madvise(at, len, MADV_POPULATE_READ) == 0) {
            continue;
        }
        for (uint64_t i = 0; i < len; i += GUEST_PAGE_SIZE) {
            (void)__atomic_load_n(at + i, __ATOMIC_RELAXED);
        }
    }
    return true;
}

bool snapshot_freeze(Snapshot *s, Error **errp)
{
    int64_t start = clock_now_ns(s->config.clock);
    uint64_t written;
    bool ok = true;

    g_mutex_lock(&s->lock);
    written = s->written;
    for (unsigned i = 0; i < s->num_blocks && ok; i++) {
        SnapshotBlock *b = &s->block[i];

        for (uint64_t w = 0; w < bitmap_words(b->units) && ok && s->written;
             w++) {
            ok = protect_written(s, b, w, errp);
        }
    }
    s->phase = ok ? PHASE_FROZEN : PHASE_OPEN;
    s->progress_ns = clock_now_ns(s->config.clock);
    g_mutex_unlock(&s->lock);
    trace_snapshot_freeze(written, clock_now_ns(s->config.clock) - start);
    return ok;
}

/* ---- claims ---- */

unsigned snapshot_claim(SnapshotBlock *b, uint64_t unit, unsigned max)
{
    uint64_t *word = &b->bits[unit / BITMAP_WORD_BITS];
    unsigned first = unit % BITMAP_WORD_BITS, count;
    uint64_t was = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    uint64_t taken, mask;

    max = MIN(max, MIN(BITMAP_WORD_BITS - first, b->units - unit));
    do {
        taken = was >> first;
        count = taken ? MIN((unsigned)__builtin_ctzll(taken), max) : max;
        if (count == 0) {
            return 0;
        }
        mask = count == BITMAP_WORD_BITS ? UINT64_MAX
                                         : (UINT64_C(1) << count) - 1;
    } while (!__atomic_compare_exchange_n(word, &was, was | mask << first,
                                          false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    return count;
}

uint64_t snapshot_find_unclaimed(const SnapshotBlock *b, uint64_t unit,
                                 uint64_t end)
{
    while (unit < end) {
        unsigned bit = unit % BITMAP_WORD_BITS;
        uint64_t rest = __atomic_load_n(&b->bits[unit / BITMAP_WORD_BITS],
                                        __ATOMIC_ACQUIRE) >> bit;

        if (!(rest & 1)) {
            return unit;
        }
        unit += rest == UINT64_MAX >> bit ? BITMAP_WORD_BITS - bit
                                          : (unsigned)__builtin_ctzll(~rest);
    }
    return end;
}

/* What nobody has claimed yet, in order. False: all is somebody's. */
static bool walk(Snapshot *s, SnapshotRun *run)
{
    for (; s->cur_block < s->num_blocks; s->cur_block++, s->cur_unit = 0) {
        SnapshotBlock *b = &s->block[s->cur_block];

        for (;;) {
            unsigned count;

            s->cur_unit = snapshot_find_unclaimed(b, s->cur_unit, b->units);
            if (s->cur_unit == b->units) {
                break;
            }
            count = snapshot_claim(b, s->cur_unit, snapshot_claim_max(b));
            if (count > 0) {
                *run = (SnapshotRun) {
                    .rb = b->rb, .first = s->cur_unit * b->unit_pages,
                    .pages = count * b->unit_pages, .in_place = true,
                    .data = b->rb->host + s->cur_unit * b->unit_pages *
                                          GUEST_PAGE_SIZE,
                };
                s->cur_unit += count;
                return true;
            }
        }
    }
    return false;
}

/* ---- the walking thread ---- */

bool snapshot_check_whole(Snapshot *s, Error **errp)
{
    bool ok;

    g_mutex_lock(&s->lock);
    ok = !s->error;
    if (!ok) {
        error_propagate(errp, g_error_copy(s->error));
    }
    g_mutex_unlock(&s->lock);
    return ok;
}

static bool take_aside(Snapshot *s, SnapshotRun *run)
{
    PoolRun aside;

    if (!snapshot_pool_pop(&s->pool, &aside)) {
        return false;
    }
    *run = (SnapshotRun) {
        .rb = aside.rb, .first = aside.first, .pages = aside.pages,
        .data = aside.data, .aside = aside,
    };
    return true;
}

bool snapshot_next(Snapshot *s, SnapshotRun *run, Error **errp)
{
    bool ok;

    *run = (SnapshotRun) { 0 };
    g_mutex_lock(&s->lock);
    ok = take_aside(s, run);
    g_mutex_unlock(&s->lock);
    if (!ok && !walk(s, run) && snapshot_left(s) > 0) {
        /* The fault thread is copying it at this moment. */
        g_mutex_lock(&s->lock);
        while (!s->error && !take_aside(s, run)) {
            g_cond_wait(&s->changed, &s->lock);
        }
        g_mutex_unlock(&s->lock);
    }
    return snapshot_check_whole(s, errp);
}

bool snapshot_taken(Snapshot *s, const SnapshotRun *run, Error **errp)
{
    const RamBlock *rb = run->rb;

    g_assert(run->in_place);
    return ram_block_is_unwritable(rb) ||
           uffd_protect(s->uffd, rb, run->first * GUEST_PAGE_SIZE,
                        run->pages * GUEST_PAGE_SIZE, false, errp);
}

void snapshot_sent(Snapshot *s, const SnapshotRun *run)
{
    uint64_t head;

    __atomic_fetch_sub(&s->left_pages, run->pages, __ATOMIC_RELAXED);
    g_mutex_lock(&s->lock);
    if (!run->in_place) {
        snapshot_pool_give_back(&s->pool, &run->aside);
    }
    s->progress_ns = clock_now_ns(s->config.clock);
    head = s->pool.head;
    g_cond_broadcast(&s->changed);
    g_mutex_unlock(&s->lock);
    snapshot_pool_populate(&s->pool, head);
}

uint8_t *snapshot_buffer(Snapshot *s)
{
    return uffd_buffer(s->uffd, 1);
}

bool snapshot_has_aside(Snapshot *s)
{
    bool has;

    g_mutex_lock(&s->lock);
    has = s->pool.pushed != s->pool.popped;
    g_mutex_unlock(&s->lock);
    return has;
}

bool snapshot_is_urgent(Snapshot *s)
{
    bool urgent;

    g_mutex_lock(&s->lock);
    urgent = snapshot_is_half_full(s) && s->pool.pushed != s->pool.popped;
    g_mutex_unlock(&s->lock);
    return urgent;
}

uint64_t snapshot_left(Snapshot *s)
{
    return __atomic_load_n(&s->left_pages, __ATOMIC_RELAXED);
}

void snapshot_get_stats(Snapshot *s, SnapshotStats *stats)
{
    g_mutex_lock(&s->lock);
    stats->total_pages = s->total_pages;
    stats->aside_pages = s->aside_pages;
    stats->waits = s->waits;
    g_mutex_unlock(&s->lock);
    uffd_get_stats(s->uffd, &stats->faults);
}

/* ---- beginning and end ---- */

uint64_t snapshot_pool_bytes(Memory *memory)
{
    uint64_t bytes = 0, most;
    RamBlock *rb;

    for (unsigned i = 0; (rb = memory_ram_by_index(memory, i)); i++) {
        bytes += rb->migratable ? rb->backing.size : 0;
    }
    most = MAX(bytes / 8, SNAPSHOT_POOL_BYTES_MIN);
    most = MIN(most, SNAPSHOT_POOL_BYTES_MAX);
    return MAX(MIN(bytes, most), GUEST_PAGE_SIZE) & -GUEST_PAGE_SIZE;
}

bool snapshot_check(const UffdSys *sys, Memory *memory, uint64_t pool_bytes,
                    Error **errp)
{
    uint64_t most = MIN(pool_bytes, SNAPSHOT_RUN_PAGES_MAX * GUEST_PAGE_SIZE);
    UffdBlocks blocks;

    uffd_list_blocks(memory, &blocks);
    for (unsigned i = 0; i < blocks.num; i++) {
        if (blocks.rb[i]->page_size > most) {
            error_setg(errp, "RAM block '%s' has pages of %" PRIu64 " bytes; "
                       "at most %" PRIu64 " can be put aside before the guest "
                       "writes", blocks.rb[i]->id, blocks.rb[i]->page_size,
                       most);
            return false;
        }
    }
    return uffd_check(sys, &blocks, UFFD_WP, errp);
}

static bool add_block(Snapshot *s, RamBlock *rb, Error **errp)
{
    SnapshotBlock *b = &s->block[s->num_blocks++];

    b->rb = rb;
    b->tracked = !ram_block_is_unwritable(rb);
    b->unit_pages = MAX(rb->page_size / GUEST_PAGE_SIZE, 1);
    b->units = rb->backing.size / GUEST_PAGE_SIZE / b->unit_pages;
    b->bits = bitmap_new(b->units);
    if (!b->bits) {
        error_setg(errp, "no address space for the claims of RAM block '%s' "
                   "(%" PRIu64 " pages)", rb->id, b->units);
        return false;
    }
    snapshot_plan_block_init(&b->plan, b->units, b->unit_pages);
    s->total_pages += b->units * b->unit_pages;
    return true;
}

static bool start(Snapshot *s, Error **errp)
{
    UffdIncoming incoming = {
        .sys = s->config.sys, .clock = s->config.clock, .modes = UFFD_WP,
    };
    Memory *memory = s->config.memory;
    RamBlock *rb;
    Uffd *u;

    if (!snapshot_check(incoming.sys, memory, s->config.pool_bytes, errp) ||
        !snapshot_pool_init(&s->pool, s->config.pool_bytes, errp)) {
        return false;
    }
    for (unsigned i = 0; (rb = memory_ram_by_index(memory, i)); i++) {
        if (rb->migratable && !add_block(s, rb, errp)) {
            return false;
        }
    }
    s->left_pages = s->total_pages;
    uffd_list_blocks(memory, &incoming.blocks);
    u = uffd_setup_incoming(&incoming, &s->handler, 1, errp);
    /* For the fault thread, which runs already. */
    g_mutex_lock(&s->lock);
    s->uffd = u;
    g_mutex_unlock(&s->lock);
    return u && for_each_tracked(s, populate, errp) && arm(s, errp);
}

Snapshot *snapshot_start(const SnapshotConfig *config, Error **errp)
{
    Snapshot *s = g_new0(Snapshot, 1);

    s->config = *config;
    s->handler = (UffdHandler) { snapshot_on_fault, snapshot_on_failed, s };
    g_mutex_init(&s->lock);
    g_cond_init(&s->changed);
    if (!start(s, errp)) {
        snapshot_free(s);
        return NULL;
    }
    trace_snapshot_start(s->num_blocks, s->total_pages, count_written(s),
                         uffd_protects_untouched(s->uffd));
    return s;
}

static bool open_block(Snapshot *s, SnapshotBlock *b, Error **errp)
{
    uint64_t count;

    for (uint64_t unit = 0; unit < b->units; unit += count) {
        count = piece_units(b, unit);
        if (!snapshot_protect(s, b, unit, count, false, errp)) {
            return false;
        }
    }
    return true;
}

void snapshot_open(Snapshot *s)
{
    g_mutex_lock(&s->lock);
    s->phase = PHASE_OPEN;
    g_cond_broadcast(&s->changed);
    g_mutex_unlock(&s->lock);
    if (s->uffd && !s->opened && snapshot_left(s) > 0) {
        /* In pieces: taking the registration back stops all who touch. */
        for_each_tracked(s, open_block, NULL);
    }
    s->opened = true;
}

void snapshot_free(Snapshot *s)
{
    if (!s) {
        return;
    }
    snapshot_open(s);
    uffd_free(s->uffd);
    for (unsigned i = 0; i < s->num_blocks; i++) {
        bitmap_free(s->block[i].bits, s->block[i].units);
        snapshot_plan_block_clear(&s->block[i].plan);
    }
    trace_snapshot_end(snapshot_left(s), s->aside_pages, s->waits);
    snapshot_pool_clear(&s->pool);
    g_clear_error(&s->error);
    g_cond_clear(&s->changed);
    g_mutex_clear(&s->lock);
    g_free(s);
}
