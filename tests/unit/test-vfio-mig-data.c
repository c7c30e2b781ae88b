/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Section 6: what a VFIO device reports, what of it goes into the stream, what
 * a stream may do to one, and the pages that it writes.
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

/* ---- the stream ---- */

static uint64_t digest(VfioRig *rig)
{
    uint64_t val = 0;

    g_assert_true(sim_state_digest(rig->mig->state, &val));
    return val;
}

static GByteArray *save(VfioRig *rig)
{
    GByteArray *bytes;

    vm_unlock(rig->t.vm);
    bytes = test_save(&rig->t, &test_config);
    vm_lock(rig->t.vm);
    return bytes;
}

static bool load(VfioRig *rig, const GByteArray *bytes, Error **errp)
{
    bool ok;

    vm_unlock(rig->t.vm);
    ok = test_load(&rig->t, &test_config, bytes->data, bytes->len, errp);
    vm_lock(rig->t.vm);
    return ok;
}

/* Whole, with reads and writes of any length: the same state comes out. */
static void test_there(void)
{
    static const char *const faults[] = {
        "", ",fault=read:short*5000", ",precopy=off", ",p2p=off",
        ",dirty-rate=1M",
    };

    for (guint i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autofree char *keys = g_strconcat(KEYS, faults[i], NULL);
        g_autoptr(GByteArray) bytes = NULL;
        VfioRig src, dst;
        Error *err = NULL;
        uint64_t sent;

        /* One big lock at a time. */
        rig_init(&src, keys, 16);
        rig_realize(&src);
        bytes = save(&src);
        g_assert_cmpuint(vfio_mig_state(src.vdev.migration), ==, S(STOP));
        sent = digest(&src);
        rig_clear(&src);
        rig_init(&dst, KEYS ",fault=write:short*3000", 16);
        rig_realize(&dst);
        load(&dst, bytes, &err);
        g_assert_no_error(err);
        g_assert_cmpuint(vfio_mig_state(dst.vdev.migration), ==, S(STOP));
        g_assert_cmpuint(digest(&dst), ==, sent);
        rig_clear(&dst);
    }
}

/* The payload of the device's sections, in order, from the whole stream. */
static uint64_t get64(const GByteArray *b, size_t at)
{
    uint64_t val;

    g_assert_cmpuint(at + 8, <=, b->len);
    memcpy(&val, b->data + at, 8);
    return GUINT64_FROM_BE(val);
}

/* Where the first record @flag at or behind @from is; 0: nowhere. */
static size_t find_flag(const GByteArray *b, size_t from, uint64_t flag)
{
    uint64_t raw = GUINT64_TO_BE(flag);
    uint8_t *hit = memmem(b->data + from, b->len - from, &raw, 8);

    return hit ? hit - b->data : 0;
}

/* Driven by bytes, records are full: 3 MiB are not thousands of records. */
static void test_records(void)
{
    g_autoptr(GByteArray) bytes = NULL;
    unsigned records = 0;
    uint64_t sum = 0;
    VfioRig rig;
    size_t at;

    rig_init(&rig, KEYS ",fault=read:short*200000", 16);
    rig_realize(&rig);
    bytes = save(&rig);
    at = find_flag(bytes, 0, VFIO_MIG_FLAG_DEV_SETUP_STATE);
    g_assert_cmpuint(get64(bytes, at + 8), ==, VFIO_MIG_FLAG_END_OF_STATE);
    while ((at = find_flag(bytes, at + 1, VFIO_MIG_FLAG_DEV_DATA_STATE))) {
        records++;
        g_assert_cmpuint(get64(bytes, at + 8), <=, VFIO_MIG_CHUNK_BYTES);
        sum += get64(bytes, at + 8);
    }
    g_assert_cmpuint(sum, ==, sim_state_offset(rig.mig->state));
    /* 10 ms of single bytes each, at worst. */
    if (TIMING_COUNTS) {
        g_assert_cmpuint(records, <, 60);
    }
    rig_clear(&rig);
}

/* ---- a device that fails, at the source ---- */

typedef struct SaveCase {
    const char *fault;
    int read_errno;
    const char *message;
} SaveCase;

static const SaveCase save_cases[] = {
    { ",fault=read:EIO@64K", 0, "Input/output error" },
    { ",fault=read:EIO@2900K", 0, "Input/output error" },
    { ",fault=state:EIO@stop-copy", 0, "stop-copy" },
    { "", EAGAIN, "temporarily" },
    /* There is no "nothing at the moment" in a device that is stopped. */
    { ",precopy=off", ENOMSG, "No message" },
};

static bool save_fails(VfioRig *rig, Error **errp)
{
    g_autoptr(IoChannel) ch = io_channel_new_buffer();
    MigStream *s = mig_stream_new_output(ch, clock_host());
    SaveVM *sv = savevm_new(rig->t.vm, s, &test_config);
    MigIterate res = MIG_ITERATE_MORE;
    bool ok;

    ok = savevm_write_header(sv, NULL) && savevm_setup(sv, errp);
    vm_unlock(rig->t.vm);
    while (ok && res == MIG_ITERATE_MORE) {
        res = savevm_iterate(sv, errp);
    }
    vm_lock(rig->t.vm);
    ok = ok && res == MIG_ITERATE_DONE && savevm_check_switchover(sv, errp) &&
         savevm_complete_live(sv, errp);
    savevm_cleanup(sv);
    savevm_free(sv);
    mig_stream_free(s);
    return !ok;
}

static void test_save_fails(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(save_cases); i++) {
        const SaveCase *c = &save_cases[i];
        g_autofree char *keys = g_strconcat(KEYS, c->fault, NULL);
        Error *err = NULL;
        VfioRig rig;

        rig_init(&rig, keys, 16);
        rig.read_errno = c->read_errno;
        rig_realize(&rig);
        g_assert_true(save_fails(&rig, &err));
        g_assert_nonnull(err);
        g_test_message("%s", err->message);
        g_assert_nonnull(strstr(err->message, "rig"));
        g_assert_nonnull(strstr(err->message, c->message));
        g_clear_error(&err);
        g_assert_cmpint(rig.open_fd, <, 0);
        rig_clear(&rig);
    }
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

/* ---- a stream that is wrong, at the destination ---- */

typedef struct LoadCase {
    uint64_t words[6];          /* up to the first 0 */
    const char *message;
} LoadCase;

#define F(name) VFIO_MIG_FLAG_##name
static const LoadCase load_cases[] = {
    { { 0x1234 }, "unknown record 0x1234" },
    { { F(DEV_INIT_DATA_SENT) + 1 }, "unknown record" },
    { { F(DEV_DATA_STATE), VFIO_MIG_CHUNK_BYTES + 1 }, "1048577 bytes" },
    { { F(DEV_DATA_STATE), ANY }, "at most 1048576" },
    { { F(DEV_DATA_STATE), UINT64_C(1) << 63 }, "at most 1048576" },
    { { F(DEV_SETUP_STATE), F(DEV_DATA_STATE) }, "behind the set-up" },
    { { F(DEV_CONFIG_STATE), 1 }, "configuration 0x0" },
    { { F(DEV_DATA_STATE), 40, 7, 7, 7, 7 }, "32 bytes into a value of 40" },
};

static void test_load_hostile(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(load_cases); i++) {
        const LoadCase *c = &load_cases[i];
        g_autoptr(GByteArray) b = g_byte_array_new();
        Error *err = NULL;
        VfioRig rig;

        rig_init(&rig, KEYS, 0);
        rig_realize(&rig);
        put_header(b);
        put_start(b, QEMU_VM_SECTION_START, 1, "0000:00:01.0/vfio", 0, 1);
        for (guint j = 0; j < G_N_ELEMENTS(c->words) && c->words[j]; j++) {
            put64(b, c->words[j]);
        }
        g_assert_false(load(&rig, b, &err));
        g_test_message("%s", err->message);
        g_assert_nonnull(strstr(err->message, "0000:00:01.0/vfio"));
        g_assert_nonnull(strstr(err->message, c->message));
        g_clear_error(&err);
        /* What came of it is nobody's state. */
        g_assert_cmpuint(rig.resets, ==, 1);
        g_assert_cmpuint(vfio_mig_state(rig.vdev.migration), ==, S(RUNNING));
        rig_clear(&rig);
    }
}

/* Every byte of a good stream cut off or changed: an error, or all is well. */
static void test_load_mangled(void)
{
    static const char small[] = "id=g,state-size=128K,initial-size=64K,"
                                "stop-size=64K";
    g_autoptr(GByteArray) good = NULL;
    uint64_t sent;
    VfioRig src;

    rig_init(&src, small, 0);
    rig_realize(&src);
    good = save(&src);
    sent = digest(&src);
    rig_clear(&src);
    for (size_t at = 0; at < good->len; at += at < 400 ? 1 : 4099) {
        for (int cut = 0; cut < 2; cut++) {
            g_autoptr(GByteArray) bad = g_byte_array_new();
            VfioRig dst;
            bool ok;

            g_byte_array_append(bad, good->data, cut ? at : good->len);
            if (!cut) {
                bad->data[at] ^= 0x41;
            }
            rig_init(&dst, small, 0);
            rig_realize(&dst);
            ok = load(&dst, bad, NULL);
            g_assert_true(dst.vdev.migration->loaded || !ok);
            g_assert_cmpuint(vfio_mig_state(dst.vdev.migration), ==,
                             dst.vdev.migration->loaded ? S(STOP)
                                                        : S(RUNNING));
            if (dst.vdev.migration->loaded) {
                g_assert_cmpuint(digest(&dst), ==, sent);
            }
            rig_clear(&dst);
        }
    }
}

static void test_load_device_fails(void)
{
    static const struct {
        const char *fault;
        int write_errno;
        bool nothing;
        const char *message;
    } cases[] = {
        { "", ENOSPC, false, "No space left" },
        { "", 0, true, "refuses its state" },
        { ",fault=write:EIO@70K", 0, false, "Input/output error" },
        { ",fault=refuse:version", 0, false, "rig" },
        { ",fault=refuse:truncated", 0, false, "not accepted" },
        { ",fault=state:EIO*1@resuming", 0, false, "resuming" },
    };
    g_autoptr(GByteArray) good = NULL;
    VfioRig src;

    rig_init(&src, KEYS, 0);
    rig_realize(&src);
    good = save(&src);
    rig_clear(&src);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *keys = g_strconcat(KEYS, cases[i].fault, NULL);
        Error *err = NULL;
        VfioRig dst;

        rig_init(&dst, keys, 0);
        dst.write_errno = cases[i].write_errno;
        dst.write_nothing = cases[i].nothing;
        rig_realize(&dst);
        g_assert_false(load(&dst, good, &err));
        g_test_message("%s", err->message);
        g_assert_nonnull(strstr(err->message, cases[i].message));
        g_clear_error(&err);
        g_assert_cmpuint(vfio_mig_state(dst.vdev.migration), ==, S(RUNNING));
        rig_clear(&dst);
    }
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
    ADD("stream/there", test_there);
    ADD("stream/records", test_records);
    ADD("stream/save-fails", test_save_fails);
    ADD("stream/load-hostile", test_load_hostile);
    ADD("stream/load-mangled", test_load_mangled);
    ADD("stream/load-device-fails", test_load_device_fails);
    ADD("blockers", test_blockers);
    ADD("dirty/device", test_dirty_device);
    ADD("dirty/fails", test_dirty_fails);
    ADD("dirty/ranges", test_dirty_ranges);
    return g_test_run();
}
