/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Section 6: what a VFIO device reports, who cannot migrate, and the pages that
 * a device writes.
 */
#include <errno.h>
#include <string.h>

#include "migration/blocker.h"
#include "migration/migration-int.h"
#include "timing.h"
#include "vfio-mig-rig.h"

#define S(name) VFIO_DEVICE_STATE_##name
#define MIB (UINT64_C(1) << 20)
#define KEYS "id=g,state-size=3M,initial-size=1M,stop-size=1M"

/* ---- how much there is ---- */

static MigPendingData ask(VfioMigration *m, bool exact)
{
    MigPendingData pending = { 0 };

    vfio_mig_query_pending(m, &pending, exact);
    return pending;
}

static void assert_pending(MigPendingData p, uint64_t precopy, uint64_t stop)
{
    g_assert_cmpuint(p.precopy_bytes, ==, precopy);
    g_assert_cmpuint(p.postcopy_bytes, ==, 0);
    g_assert_cmpuint(p.stopcopy_bytes, ==, stop);
}

typedef struct SizeCase {
    uint64_t init, dirty, stop, precopy, stopcopy;
} SizeCase;

#define ANY UINT64_MAX
static const SizeCase size_cases[] = {
    { 10, 20, 100, 30, 70 },
    { 0, 0, 0, 0, 0 },
    { 0, 0, 1, 0, 1 },
    { 1, 0, 0, 1, 0 },
    { 10, 20, 29, 30, 0 },                      /* under-reported */
    { ANY, 0, 0, ANY, 0 },
    { ANY, ANY, ANY, ANY, 0 },
    { 0, 0, ANY, 0, ANY },
    { 1, 0, ANY, 1, ANY - 1 },
    { UINT64_C(1) << 63, UINT64_C(1) << 63, 0, ANY, 0 },
    { UINT64_C(1) << 62, 0, UINT64_C(1) << 63, UINT64_C(1) << 62,
      UINT64_C(1) << 62 },
};

static VfioMigration *begin_precopy(VfioRig *rig, const char *keys)
{
    VfioMigration *m;
    Error *err = NULL;

    rig_init(rig, keys, 16);
    m = rig_realize(rig);
    vfio_mig_io_begin(m);
    g_assert_true(vfio_mig_set_state(m, S(PRE_COPY), S(RUNNING), &err));
    return m;
}

static void test_sizes(void)
{
    VfioRig rig;
    VfioMigration *m = begin_precopy(&rig, KEYS);

    rig.claims = true;
    for (guint i = 0; i < G_N_ELEMENTS(size_cases); i++) {
        const SizeCase *c = &size_cases[i];

        rig.claim_init = c->init;
        rig.claim_dirty = c->dirty;
        rig.claim_stop = c->stop;
        assert_pending(ask(m, true), c->precopy, c->stopcopy);
        /* The fast answer is the same quantity. */
        assert_pending(ask(m, false), c->precopy, c->stopcopy);
    }
    rig_clear(&rig);
}

/* Reading n bytes lowers all three, not below zero. */
static void test_sizes_read(void)
{
    VfioRig rig;
    VfioMigration *m = begin_precopy(&rig, KEYS);

    rig.claims = true;
    rig.claim_init = 10;
    rig.claim_dirty = 20;
    rig.claim_stop = 100;
    ask(m, true);
    vfio_mig_sizes_read(m, 4);
    assert_pending(ask(m, false), 26, 70);
    vfio_mig_sizes_read(m, 10);
    assert_pending(ask(m, false), 16, 70);
    vfio_mig_sizes_read(m, 1000);
    assert_pending(ask(m, false), 0, 0);
    vfio_mig_sizes_read(m, ANY);
    assert_pending(ask(m, false), 0, 0);
    rig_clear(&rig);
}

/* 100 GiB are assumed; what was known of pre-copy stays. */
static void test_sizes_unknown(void)
{
    VfioRig rig;
    VfioMigration *m = begin_precopy(&rig, KEYS);

    rig.fail_feature[VFIO_DEVICE_FEATURE_MIG_DATA_SIZE] = EIO;
    rig.fail_feature_left[VFIO_DEVICE_FEATURE_MIG_DATA_SIZE] = UINT_MAX;
    rig.fail_info = EIO;
    for (int i = 0; i < 3; i++) {
        assert_pending(ask(m, true), 0, UINT64_C(100) << 30);
        g_assert_true(m->size_warned && m->info_warned);
    }
    g_assert_false(vfio_mig_init_read(m));
    rig.fail_feature_left[VFIO_DEVICE_FEATURE_MIG_DATA_SIZE] = 0;
    rig.fail_info = 0;
    ask(m, true);
    g_assert_cmpuint(ask(m, false).precopy_bytes, >=, MIB);
    g_assert_cmpuint(ask(m, false).stopcopy_bytes, <, 2 * MIB);
    rig_clear(&rig);
}

/* The fast answer: no call, and under a microsecond. */
static void test_fast_is_cache(void)
{
    enum { ROUNDS = 1000, TRIES = 20 };
    int64_t best = INT64_MAX;
    VfioRig rig;
    VfioMigration *m = begin_precopy(&rig, KEYS);
    unsigned ioctls;

    ask(m, true);
    ioctls = rig.ioctls;
    for (int i = 0; i < TRIES; i++) {
        int64_t start = g_get_monotonic_time();

        for (int j = 0; j < ROUNDS; j++) {
            ask(m, false);
        }
        best = MIN(best, g_get_monotonic_time() - start);
    }
    g_assert_cmpuint(rig.ioctls, ==, ioctls);
    /* A slow one asks once for each number. */
    ask(m, true);
    g_assert_cmpuint(rig.ioctls, ==, ioctls + 2);
    if (TIMING_COUNTS) {
        g_assert_cmpint(best, <, ROUNDS);
    }
    rig_clear(&rig);
}

/* ---- REINIT ---- */

static void claim_reinit(VfioRig *rig)
{
    rig->claims = true;
    rig->claim_init = 5000;
    rig->claim_dirty = 70;
    rig->claim_stop = 10000;
    rig->claim_flags = VFIO_PRECOPY_INFO_REINIT;
}

static void test_reinit(void)
{
    VfioRig rig;
    VfioMigration *m = begin_precopy(&rig, KEYS);

    g_assert_cmpuint(rig.infov2_sets, ==, 1);
    ask(m, true);
    m->acks_wanted = true;
    g_assert_false(m->mark_due);
    claim_reinit(&rig);
    assert_pending(ask(m, true), 5000, 5000);
    g_assert_true(m->mark_due);
    g_assert_false(m->reinit_at_end);
    vfio_mig_query_sizes(m, true);
    g_assert_true(m->reinit_at_end);
    rig_clear(&rig);
}

/* An older driver gives back what is in flags, and means nothing by it. */
static void test_no_info_v2(void)
{
    VfioMigration *m;
    VfioRig rig;

    rig_init(&rig, KEYS, 16);
    rig.fail_probe[VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2] = ENOTTY;
    m = rig_realize(&rig);
    g_assert_cmpuint(rig.infov2_sets, ==, 0);
    vfio_mig_io_begin(m);
    g_assert_true(vfio_mig_set_state(m, S(PRE_COPY), S(RUNNING), NULL));
    m->acks_wanted = true;
    claim_reinit(&rig);
    assert_pending(ask(m, true), 5070, 4930);
    vfio_mig_query_sizes(m, true);
    g_assert_false(m->mark_due);
    g_assert_false(m->reinit_at_end);
    rig_clear(&rig);
}

/* A REINIT that is seen once the guest has stopped. */
static void test_reinit_at_end(void)
{
    VfioRig rig;
    VfioMigration *m;
    Error *err = NULL;

    rig_init(&rig, KEYS, 16);
    m = rig_realize(&rig);
    vfio_mig_io_begin(m);
    g_assert_true(vfio_mig_handlers.save_switchover(m, &err));
    m->reinit_at_end = true;
    g_assert_false(vfio_mig_handlers.save_switchover(m, &err));
    g_assert_nonnull(strstr(err->message, "new initial data"));
    g_clear_error(&err);
    rig_clear(&rig);
}

/* ---- who cannot migrate ---- */

static char *blocked(VfioRig *rig)
{
    strList *list = migration_blocked_reasons(rig->t.vm->migration);
    char *text = list ? g_strdup(list->value) : NULL;

    g_assert_true(!list || !list->next);
    qapi_free_strList(list);
    return text;
}

static void test_blockers(void)
{
    static const struct {
        int enable;
        bool no_driver;
        uint32_t features;
        const char *reason;
    } cases[] = {
        { -1, false, 0, NULL },
        { 1, false, 0, NULL },
        { 0, false, 0, "enable-migration=off" },
        { -1, true, 0, "driver cannot migrate" },
        { -1, false, VFIO_MIGRATION_P2P, "STOP_COPY" },
    };

    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *reason = NULL, *after = NULL;
        SimMig *mig;
        VfioRig rig;

        rig_init(&rig, KEYS, 0);
        migration_new(rig.t.vm, clock_host());
        mig = rig.mig;
        if (cases[i].no_driver) {
            rig.mig = NULL;
        } else if (cases[i].features) {
            rig.mig->features = cases[i].features;
        }
        rig.options.enable_migration = cases[i].enable;
        rig_realize(&rig);
        reason = blocked(&rig);
        g_assert_false(migration_check_postcopy(rig.t.vm, NULL));
        if (cases[i].reason) {
            g_assert_nonnull(reason);
            g_assert_nonnull(strstr(reason, cases[i].reason));
        } else {
            g_assert_null(reason);
        }
        vfio_migration_unrealize(&rig.vdev);
        after = blocked(&rig);
        g_assert_true(migration_check_postcopy(rig.t.vm, NULL));
        g_assert_null(after);
        if (cases[i].no_driver) {
            Error *err = NULL;

            rig.options.enable_migration = 1;
            g_assert_false(vfio_migration_realize(&rig.vdev, &rig.options,
                                                  &err));
            g_assert_nonnull(err);
            g_clear_error(&err);
        }
        rig.mig = mig;
        migration_free(rig.t.vm->migration);
        rig_clear(&rig);
    }
}

/* ---- pages that the device writes ---- */

static bool taken(DirtyLog *log, VfioRig *rig, uint64_t page)
{
    uint64_t *map = bitmap_new(16);
    uint64_t count;
    bool set;

    dirty_log_sync(log);
    count = dirty_log_take(log, rig->t.rb, map);
    set = bitmap_test(map, page);
    bitmap_free(map, 16);
    g_assert_cmpuint(count, ==, set ? (page == 0 ? 16 : 1) : 0);
    return set;
}

static void test_dirty_device(void)
{
    DirtyLog *log;
    VfioRig rig;

    rig_init(&rig, KEYS, 16);
    rig_realize(&rig);
    log = dirty_log_start(rig.t.vm->memory, "test", NULL);
    g_assert_true(rig.logging);
    g_assert_cmpuint(rig.num_ranges, ==, 1);
    g_assert_cmpuint(rig.ranges[0].iova, ==, 0x80000000);
    g_assert_cmpuint(rig.ranges[0].length, ==, 16 * GUEST_PAGE_SIZE);
    g_assert_false(taken(log, &rig, 5));
    rig.dma_page = 0x80005000;
    g_assert_true(taken(log, &rig, 5));
    g_assert_false(taken(log, &rig, 5));
    dirty_log_stop(log);
    g_assert_false(rig.logging);
    rig_clear(&rig);
}

/* The device does not answer: all pages, as often as one asks. */
static void test_dirty_fails(void)
{
    DirtyLog *log;
    VfioRig rig;

    rig_init(&rig, KEYS, 16);
    rig_realize(&rig);
    rig.fail_feature[VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT] = EIO;
    rig.fail_feature_left[VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT] = 2;
    log = dirty_log_start(rig.t.vm->memory, "test", NULL);
    g_assert_true(taken(log, &rig, 0));
    g_assert_true(taken(log, &rig, 0));
    rig.dma_page = 0x80005000;
    g_assert_true(taken(log, &rig, 5));
    dirty_log_stop(log);
    /* Nobody logs at all. */
    rig.fail_probe[VFIO_DEVICE_FEATURE_DMA_LOGGING_START] = ENOTTY;
    log = dirty_log_start(rig.t.vm->memory, "test", NULL);
    g_assert_true(taken(log, &rig, 0));
    g_assert_true(taken(log, &rig, 0));
    dirty_log_stop(log);
    rig_clear(&rig);
}

/* More blocks than the device has ranges for: fewer and larger ones. */
static void test_dirty_ranges(void)
{
    static const uint64_t at[] = { 0x1000, 0x3000, 0x100000, 0x20000000 };

    for (unsigned max = 0; max <= 5; max++) {
        DirtyLog *log;
        VfioRig rig;

        rig_init(&rig, KEYS, 16);
        for (guint i = 0; i < G_N_ELEMENTS(at); i++) {
            g_autofree char *id = g_strdup_printf("b%u", i);
            RamBacking backing = { .size = GUEST_PAGE_SIZE, .fd = -1 };
            RamBlock *rb = memory_ram_new(rig.t.vm->memory, id, &backing,
                                          NULL);

            g_assert_true(memory_map_ram(rig.t.vm->memory, rb, at[i], NULL));
        }
        rig.ranges_max = max;
        rig_realize(&rig);
        log = dirty_log_start(rig.t.vm->memory, "test", NULL);
        g_assert_cmpint(rig.logging, ==, max > 0);
        g_assert_cmpuint(rig.num_ranges, ==, max);
        if (max) {
            uint64_t end = rig.ranges[max - 1].iova +
                           rig.ranges[max - 1].length;

            g_assert_cmpuint(rig.ranges[0].iova, ==, 0x1000);
            g_assert_cmpuint(end, ==, 0x80000000 + 16 * GUEST_PAGE_SIZE);
        }
        if (max == 4) {
            /* The two that are nearest have been joined. */
            g_assert_cmpuint(rig.ranges[0].length, ==, 0x3000);
            g_assert_cmpuint(rig.ranges[1].iova, ==, 0x100000);
        }
        dirty_log_stop(log);
        rig_clear(&rig);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add_func("/migration/spec-6/vfio/" name, fn)
    ADD("sizes/report", test_sizes);
    ADD("sizes/read", test_sizes_read);
    ADD("sizes/unknown", test_sizes_unknown);
    ADD("sizes/fast-is-cache", test_fast_is_cache);
    ADD("reinit", test_reinit);
    ADD("reinit/no-info-v2", test_no_info_v2);
    ADD("reinit/at-the-end", test_reinit_at_end);
    ADD("blockers", test_blockers);
    ADD("dirty/device", test_dirty_device);
    ADD("dirty/fails", test_dirty_fails);
    ADD("dirty/ranges", test_dirty_ranges);
    return g_test_run();
}
