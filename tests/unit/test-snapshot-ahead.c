/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is put aside beside the page that somebody writes to: how much, by who
 * writes how; that it takes few faults; that what is put aside stays within
 * its bound, and that who writes waits then; and that what is sent is what was
 * there, each page once, all the same.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/snapshot-plan.h"
#include "migration/snapshot.h"
#include "util/thread.h"

#define PAGE GUEST_PAGE_SIZE
#define MANY ((SnapshotRoom) { UINT64_C(1) << 40, UINT64_C(1) << 40 })
#define ROOM(_free, _calm) ((SnapshotRoom) { (_free), (_calm) })

/* ---- the plan ---- */

static void assert_stretch(SnapshotStretch stretch, uint64_t first,
                           uint64_t end)
{
    g_assert_cmpuint(stretch.first, ==, first);
    g_assert_cmpuint(stretch.end, ==, end);
}

/* Who goes on where the last stretch ended has twice as much, to a limit. */
static void test_plan_stream(void)
{
    SnapshotPlan plan = { 0 };
    SnapshotPlanBlock b;
    uint64_t at = 0, window = 4;

    snapshot_plan_block_init(&b, 100000, 1);
    for (unsigned i = 0; i < 20; i++) {
        assert_stretch(snapshot_plan(&plan, &b, at, MANY), at, at + window);
        at += window;
        window = MIN(window * 2, SNAPSHOT_STREAM_PAGES_MAX);
    }
    g_assert_cmpuint(window, ==, SNAPSHOT_STREAM_PAGES_MAX);
    /* Not beyond the end of the block. */
    assert_stretch(snapshot_plan(&plan, &b, 99999, MANY), 99996, 100000);
    snapshot_plan_block_clear(&b);
}

/* Eight streams at a time are told apart, in two blocks. */
static void test_plan_streams(void)
{
    SnapshotPlan plan = { 0 };
    SnapshotPlanBlock b[2];

    for (unsigned i = 0; i < 2; i++) {
        snapshot_plan_block_init(&b[i], 1 << 20, 1);
    }
    for (unsigned round = 0; round < 3; round++) {
        static const uint64_t from[] = { 0, 4, 12 }, to[] = { 4, 12, 28 };

        for (unsigned i = 0; i < SNAPSHOT_STREAMS; i++) {
            uint64_t base = (i / 2) * 4096;

            assert_stretch(snapshot_plan(&plan, &b[i % 2], base + from[round],
                                         MANY),
                           base + from[round], base + to[round]);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        snapshot_plan_block_clear(&b[i]);
    }
}

/* A stretch that was broken off is gone on with from there. */
static void test_plan_reached(void)
{
    SnapshotPlan plan = { 0 };
    SnapshotPlanBlock b;
    SnapshotStretch stretch;

    snapshot_plan_block_init(&b, 4096, 1);
    snapshot_plan(&plan, &b, 0, MANY);
    stretch = snapshot_plan(&plan, &b, 4, MANY);
    assert_stretch(stretch, 4, 12);
    snapshot_plan_reached(&stretch, 7);
    assert_stretch(snapshot_plan(&plan, &b, 7, MANY), 7, 23);
    snapshot_plan_block_clear(&b);
}

/*
 * Who writes here and there: little where nobody has written yet, and more each
 * time in one region, aligned, and with the page that it is about.
 */
static void test_plan_scattered(void)
{
    static const uint64_t unit[] = { 1030, 1050, 1099, 1200, 1500, 1533 };
    static const uint64_t pages[] = { 4, 16, 64, 256, 512, 512 };
    SnapshotPlan plan = { 0 };
    SnapshotPlanBlock b;

    snapshot_plan_block_init(&b, 1 << 20, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(unit); i++) {
        uint64_t first = unit[i] / pages[i] * pages[i];

        assert_stretch(snapshot_plan(&plan, &b, unit[i], MANY), first,
                       first + pages[i]);
        /* Another region knows nothing of it. */
        assert_stretch(snapshot_plan(&plan, &b, 100001 + 600 * i, MANY),
                       (100001 + 600 * i) / 4 * 4,
                       (100001 + 600 * i) / 4 * 4 + 4);
    }
    snapshot_plan_block_clear(&b);
}

/* Room that becomes short makes it small, down to one page. */
static void test_plan_room(void)
{
    SnapshotPlan plan = { 0 };
    SnapshotPlanBlock b;

    snapshot_plan_block_init(&b, 1 << 20, 1);
    for (unsigned i = 0; i < 6; i++) {
        snapshot_plan(&plan, &b, 10 + 37 * i, MANY);
    }
    /* A quarter of the room, and the power of two below it. */
    assert_stretch(snapshot_plan(&plan, &b, 333, ROOM(9999, 4 * 70)),
                   320, 384);
    /* What was not asked for in order makes no hurry. */
    assert_stretch(snapshot_plan(&plan, &b, 33, ROOM(9999, 0)), 33, 34);
    /* A stream may, as long as there is room. */
    assert_stretch(snapshot_plan(&plan, &b, 34, ROOM(9999, 0)), 34, 36);
    assert_stretch(snapshot_plan(&plan, &b, 36, ROOM(12, 0)), 36, 39);
    assert_stretch(snapshot_plan(&plan, &b, 39, ROOM(1, 0)), 39, 40);
    snapshot_plan_block_clear(&b);
}

/* Pages of the host of 2 MiB: one at a time, and two for who goes on. */
static void test_plan_huge(void)
{
    SnapshotPlan plan = { 0 };
    SnapshotPlanBlock b;

    snapshot_plan_block_init(&b, 100, 512);
    assert_stretch(snapshot_plan(&plan, &b, 7, MANY), 7, 8);
    assert_stretch(snapshot_plan(&plan, &b, 8, MANY), 8, 10);
    assert_stretch(snapshot_plan(&plan, &b, 10, MANY), 10, 12);
    assert_stretch(snapshot_plan(&plan, &b, 12, ROOM(512, 0)), 12, 13);
    snapshot_plan_block_clear(&b);
}

/* ---- memory ---- */

#define PAGES UINT64_C(8192)

typedef struct Rig {
    Memory *memory;
    RamBlock *rb;
    Snapshot *snap;
    uint8_t *moment, *got;
    uint8_t sent[PAGES];
} Rig;

static bool never(void *opaque)
{
    (void)opaque;
    return false;
}

static void ignore(void *opaque)
{
    (void)opaque;
}

static void fail(void *opaque)
{
    (void)opaque;
    g_assert_not_reached();
}

static Rig *rig_new(bool shared, uint64_t pool_pages)
{
    Rig *r = g_new0(Rig, 1);
    RamBacking backing = { .size = PAGES * PAGE, .fd = -1, .share = shared };
    SnapshotConfig config = {
        .sys = uffd_sys_host(), .clock = clock_host(),
        .pool_bytes = pool_pages * PAGE,
        .patience_ns = INT64_C(60000000000), .stopped = never,
        .urgent = ignore, .failed = fail, .opaque = r,
    };
    Error *err = NULL;

    if (shared) {
        backing.fd = memfd_create("ram", MFD_CLOEXEC);
        g_assert_cmpint(ftruncate(backing.fd, PAGES * PAGE), ==, 0);
    }
    config.memory = r->memory = memory_new();
    r->rb = memory_ram_new(r->memory, "ram0", &backing, NULL);
    g_assert_nonnull(r->rb);
    for (uint64_t page = 0; page < PAGES; page++) {
        memset(r->rb->host + page * PAGE, 1 + page % 251, PAGE);
    }
    r->moment = g_memdup2(r->rb->host, PAGES * PAGE);
    r->got = g_malloc0(PAGES * PAGE);
    r->snap = snapshot_start(&config, &err);
    g_assert_no_error(err);
    g_assert_true(snapshot_freeze(r->snap, NULL));
    return r;
}

static bool rig_send(Rig *r)
{
    SnapshotRun run;

    g_assert_true(snapshot_next(r->snap, &run, NULL));
    if (run.pages == 0) {
        return false;
    }
    memcpy(r->got + run.first * PAGE, run.data, run.pages * PAGE);
    g_assert_true(!run.in_place || snapshot_taken(r->snap, &run, NULL));
    for (uint64_t i = 0; i < run.pages; i++) {
        r->sent[run.first + i]++;
    }
    snapshot_sent(r->snap, &run);
    return true;
}

/* Sends the rest; all is what it was in the moment, and there once. */
static void rig_free(Rig *r)
{
    while (rig_send(r)) {
    }
    for (uint64_t i = 0; i < PAGES; i++) {
        g_assert_cmpuint(r->sent[i], ==, 1);
    }
    g_assert_cmpmem(r->got, PAGES * PAGE, r->moment, PAGES * PAGE);
    snapshot_free(r->snap);
    memory_free(r->memory);
    g_free(r->moment);
    g_free(r->got);
    g_free(r);
}

static void write_page(Rig *r, uint64_t page)
{
    __atomic_store_n(r->rb->host + page * PAGE + 8, 0xff, __ATOMIC_RELEASE);
}

static SnapshotStats rig_stats(Rig *r)
{
    SnapshotStats stats;

    snapshot_get_stats(r->snap, &stats);
    return stats;
}

/* Page after page: a fault for hundreds of them, as nothing else waits. */
static void test_in_order(gconstpointer shared)
{
    Rig *r = rig_new(shared != NULL, PAGES);

    for (uint64_t page = 0; page < PAGES; page++) {
        write_page(r, page);
    }
    g_assert_cmpuint(rig_stats(r).faults.faults, <=, PAGES / 32);
    g_assert_cmpuint(rig_stats(r).waits, ==, 0);
    rig_free(r);
}

/* Every page, in an order that leaps: far fewer faults than pages as well. */
static void test_scattered(gconstpointer shared)
{
    Rig *r = rig_new(shared != NULL, 4 * PAGES);

    for (uint64_t i = 0; i < PAGES; i++) {
        write_page(r, i * 2741 % PAGES);
    }
    g_assert_cmpuint(rig_stats(r).faults.faults, <=, PAGES / 16);
    g_assert_cmpuint(rig_stats(r).waits, ==, 0);
    rig_free(r);
}

/* However they write: pages that nobody asked for in order make no hurry. */
static void test_no_hurry(void)
{
    uint64_t page = 0, pages = 0;
    Rig *r = rig_new(false, PAGES / 2);

    while (rig_stats(r).aside_pages < PAGES / 4) {
        write_page(r, page);
        page = (page + 2741) % PAGES;
        pages++;
    }
    /* To the half of it many at a time, and then each for itself. */
    g_assert_cmpuint(pages, <, PAGES / 8);
    g_assert_cmpuint(rig_stats(r).aside_pages, <=, PAGES / 4 + 4);
    rig_free(r);
}

/* A page here and there: a few beside each. */
static void test_sparse(void)
{
    Rig *r = rig_new(false, PAGES);

    for (uint64_t page = 5; page < PAGES; page += SNAPSHOT_REGION_PAGES) {
        write_page(r, page);
    }
    while (rig_stats(r).faults.faults < PAGES / SNAPSHOT_REGION_PAGES) {
        g_usleep(100);
    }
    g_assert_cmpuint(rig_stats(r).aside_pages, <=,
                     4 * PAGES / SNAPSHOT_REGION_PAGES);
    rig_free(r);
}

static gpointer write_all(gpointer opaque)
{
    for (uint64_t page = 0; page < PAGES; page++) {
        write_page(opaque, page);
    }
    return NULL;
}

/*
 * A pool for an eighth of what is written: never more is aside, who writes
 * waits until something has left, and then goes on.
 */
static void test_bound(gconstpointer shared)
{
    uint64_t pool = PAGES / 8, sent = 0;
    Rig *r = rig_new(shared != NULL, pool);
    GThread *thread = thread_start("write", write_all, r);

    while (rig_stats(r).waits == 0) {
        g_usleep(100);
    }
    g_assert_cmpuint(rig_stats(r).aside_pages, ==, pool);
    while (rig_send(r)) {
        /* Read before: what was sent since makes room. */
        uint64_t aside = rig_stats(r).aside_pages;

        sent = PAGES - snapshot_left(r->snap);
        g_assert_cmpuint(aside, <=, sent + pool);
    }
    g_thread_join(thread);
    rig_free(r);
}

/* ---- how much memory that is ---- */

static void test_bytes(void)
{
    static const struct {
        uint64_t memory, pool;
    } cases[] = {
        { UINT64_C(64) << 20, UINT64_C(64) << 20 },
        { UINT64_C(256) << 20, UINT64_C(256) << 20 },
        { UINT64_C(2) << 30, UINT64_C(256) << 20 },
        { UINT64_C(4) << 30, UINT64_C(512) << 20 },
        { UINT64_C(64) << 30, UINT64_C(1) << 30 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Memory *memory = memory_new();

        g_assert_nonnull(memory_ram_new(memory, "ram0", &(RamBacking) {
            .size = cases[i].memory, .fd = -1 }, NULL));
        g_assert_cmpuint(snapshot_pool_bytes(memory), ==, cases[i].pool);
        memory_free(memory);
    }
}

int main(int argc, char **argv)
{
    UffdBlocks none = { .num = 0 };
    bool can = uffd_check(uffd_sys_host(), &none, UFFD_WP, NULL);

    g_test_init(&argc, &argv, NULL);
#define TEST(_name, _fn) \
    g_test_add_func("/migration/spec-7/snapshot/" _name, _fn)
#define TEST_BOTH(_name, _fn) \
    g_test_add_data_func("/migration/spec-7/snapshot/" _name, NULL, _fn); \
    g_test_add_data_func("/migration/spec-7/snapshot/" _name "/shared", "", _fn)
    TEST("plan/stream", test_plan_stream);
    TEST("plan/streams", test_plan_streams);
    TEST("plan/reached", test_plan_reached);
    TEST("plan/scattered", test_plan_scattered);
    TEST("plan/room", test_plan_room);
    TEST("plan/huge", test_plan_huge);
    TEST("pool-bytes", test_bytes);
    if (can) {
        TEST_BOTH("ahead/in-order", test_in_order);
        TEST_BOTH("ahead/scattered", test_scattered);
        TEST("ahead/no-hurry", test_no_hurry);
        TEST("ahead/sparse", test_sparse);
        TEST_BOTH("ahead/bound", test_bound);
    }
    return g_test_run();
}
