/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life cycle with a source and a destination in one process: memory that
 * a thread keeps writing to stands for the guest, channels are made slow and
 * wrong by filters. Each test that breaks a migration then lets the same
 * source migrate again.
 */
#include <string.h>
#include <unistd.h>

#include "io/filter.h"
#include "migration/blocker.h"
#include "migration/migration-int.h"
#include "migration/migration.h"
#include "qapi/qapi-commands-migration.h"
#include "system/machine.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/thread.h"

#define MIB (UINT64_C(1) << 20)
#define RAM_BYTES (16 * MIB)
#define PAGES (RAM_BYTES / GUEST_PAGE_SIZE)
#define TIMEOUT_US (20 * G_USEC_PER_SEC)

/* ---- a machine, and the thread that is its guest ---- */

typedef struct Side {
    Vm *vm;
    RamBlock *rb;
    GThread *guest;
    GMutex lock;
    GCond changed;
    /* Under lock */
    bool runs, quit, in_store;
    uint64_t stores;            /* of this machine's guest; any page */
    unsigned sleep_us;          /* between two stores */
    unsigned area_pages;        /* it writes to the first so many */
    GString *events;
} Side;

static GMutex sink_lock;
static Side *sink_sides[8];     /* under sink_lock */

static void event_sink(Vm *vm, const char *name, struct json_object *data)
{
    g_mutex_lock(&sink_lock);
    for (guint i = 0; i < G_N_ELEMENTS(sink_sides); i++) {
        Side *s = sink_sides[i];

        if (s && s->vm == vm) {
            json_object *status;

            g_mutex_lock(&s->lock);
            if (data && json_object_object_get_ex(data, "status", &status)) {
                name = json_object_get_string(status);
            }
            g_string_append_printf(s->events, "%s ", name);
            g_mutex_unlock(&s->lock);
        }
    }
    g_mutex_unlock(&sink_lock);
    json_object_put(data);
}

/* Each store is one page's number and how often it was written. */
static gpointer guest_main(gpointer opaque)
{
    Side *s = opaque;
    uint64_t n = 0;

    g_mutex_lock(&s->lock);
    while (!s->quit) {
        uint64_t page, val;

        if (!s->runs) {
            g_cond_wait(&s->changed, &s->lock);
            continue;
        }
        s->in_store = true;
        page = n++ % s->area_pages;
        g_mutex_unlock(&s->lock);
        memory_ld64(s->vm->memory, page * GUEST_PAGE_SIZE, &val);
        memory_st64(s->vm->memory, page * GUEST_PAGE_SIZE, val + 1);
        if (s->sleep_us) {
            g_usleep(s->sleep_us);
        }
        g_mutex_lock(&s->lock);
        s->in_store = false;
        s->stores++;
        g_cond_broadcast(&s->changed);
    }
    g_mutex_unlock(&s->lock);
    return NULL;
}

static void run_guest(void *opaque, bool running, RunState state)
{
    Side *s = opaque;

    (void)state;
    g_mutex_lock(&s->lock);
    s->runs = running;
    g_cond_broadcast(&s->changed);
    while (!running && s->in_store) {
        g_cond_wait(&s->changed, &s->lock);
    }
    g_mutex_unlock(&s->lock);
}

static Side *side_new(bool incoming)
{
    Side *s = g_new0(Side, 1);
    RamBacking backing = { .size = RAM_BYTES, .fd = -1 };

    s->vm = vm_new();
    s->vm->config = machine_config_new();
    s->events = g_string_new(NULL);
    s->sleep_us = 20;
    s->area_pages = 64;
    g_mutex_init(&s->lock);
    g_cond_init(&s->changed);
    g_mutex_lock(&sink_lock);
    for (guint i = 0; i < G_N_ELEMENTS(sink_sides); i++) {
        if (!sink_sides[i]) {
            sink_sides[i] = s;
            break;
        }
    }
    g_mutex_unlock(&sink_lock);
    vm_lock(s->vm);
    s->rb = memory_ram_new(s->vm->memory, "mem", &backing, NULL);
    g_assert_nonnull(s->rb);
    g_assert_true(memory_map_ram(s->vm->memory, s->rb, 0, NULL));
    migration_new(s->vm, clock_host());
    vm_set_event_sink(s->vm, event_sink);
    runstate_add_handler(s->vm, 0, run_guest, s);
    s->vm->migration->options.caps[MIGRATION_CAPABILITY_EVENTS] = true;
    s->vm->migration->options.caps[MIGRATION_CAPABILITY_RETURN_PATH] = true;
    s->vm->migration->options.params[MIG_PARAM_MAX_BANDWIDTH] = 0;
    if (incoming) {
        runstate_set(s->vm, RUN_STATE_INMIGRATE);
    } else {
        for (uint64_t p = 0; p < PAGES; p++) {
            uint64_t *words = (uint64_t *)(s->rb->host + p * GUEST_PAGE_SIZE);

            /* Every fourth page stays zero. */
            for (int w = 0; p % 4 && w < 512; w++) {
                words[w] = p * 1000003 + w;
            }
        }
        vm_start(s->vm);
    }
    vm_unlock(s->vm);
    s->guest = thread_start("guest", guest_main, s);
    return s;
}

static void side_free(Side *s)
{
    vm_lock(s->vm);
    if (runstate_is_running(s->vm)) {
        vm_stop(s->vm, RUN_STATE_PAUSED);
    }
    migration_free(s->vm->migration);
    savevm_destroy(s->vm);
    vm_unlock(s->vm);
    g_mutex_lock(&s->lock);
    s->quit = true;
    g_cond_broadcast(&s->changed);
    g_mutex_unlock(&s->lock);
    g_thread_join(s->guest);
    g_mutex_lock(&sink_lock);
    for (guint i = 0; i < G_N_ELEMENTS(sink_sides); i++) {
        if (sink_sides[i] == s) {
            sink_sides[i] = NULL;
        }
    }
    g_mutex_unlock(&sink_lock);
    machine_config_free(s->vm->config);
    s->vm->config = NULL;
    vm_free(s->vm);
    g_string_free(s->events, TRUE);
    g_mutex_clear(&s->lock);
    g_cond_clear(&s->changed);
    g_free(s);
}

static Side *side_new_source(void)
{
    return side_new(false);
}

static Side *side_new_destination(void)
{
    return side_new(true);
}

static void assert_guest_runs(Side *s)
{
    uint64_t before;
    int64_t end = g_get_monotonic_time() + TIMEOUT_US;

    g_assert_cmpint(runstate_get(s->vm), ==, RUN_STATE_RUNNING);
    g_mutex_lock(&s->lock);
    g_assert_true(s->runs);
    before = s->stores;
    while (s->stores == before) {
        g_assert_true(g_cond_wait_until(&s->changed, &s->lock, end));
    }
    g_mutex_unlock(&s->lock);
}

static char *take_events(Side *s)
{
    char *text;

    g_mutex_lock(&s->lock);
    text = g_strdup(s->events->str);
    g_string_truncate(s->events, 0);
    g_mutex_unlock(&s->lock);
    return text;
}

/* ---- driving a migration ---- */

static MigrationStatus out_status(Side *s)
{
    return migration_status(s->vm->migration, &s->vm->migration->out_status);
}

static MigrationStatus in_status(Side *s)
{
    return migration_status(s->vm->migration, &s->vm->migration->in_status);
}

static void wait_status(MigrationStatus (*get)(Side *s), Side *s,
                        MigrationStatus a, MigrationStatus b)
{
    int64_t end = g_get_monotonic_time() + TIMEOUT_US;
    MigrationStatus now;

    while ((now = get(s)) != a && now != b) {
        if (g_get_monotonic_time() > end) {
            g_error("status is %s, not %s", MigrationStatus_str(now),
                    MigrationStatus_str(a));
        }
        g_usleep(500);
    }
}

static void start_source(Side *s, IoChannel *ch)
{
    MigEnd end = { .ch = ch, .two_way = true, .listen_fd = -1 };
    Error *err = NULL;

    vm_lock(s->vm);
    g_assert_true(migration_check_possible(s->vm->migration, &err));
    g_assert_true(outgoing_start(s->vm->migration, &end, &err));
    vm_unlock(s->vm);
    g_assert_no_error(err);
}

static void start_destination(Side *s, IoChannel *ch)
{
    MigEnd end = { .ch = ch, .two_way = true, .listen_fd = -1 };

    vm_lock(s->vm);
    g_assert_true(incoming_start(s->vm->migration, &end, false, NULL));
    vm_unlock(s->vm);
}

static void make_pair(IoChannel *ends[2])
{
    g_assert_true(io_channel_new_pair(ends, NULL));
}

static void cancel(Side *s)
{
    vm_lock(s->vm);
    g_assert_true(qmp_migrate_cancel(s->vm, NULL));
    vm_unlock(s->vm);
}

static MigrationInfo *query(Side *s)
{
    MigrationInfo *info;

    vm_lock(s->vm);
    info = migration_info(s->vm->migration);
    vm_unlock(s->vm);
    return info;
}

/* Source and destination stand still: their memory is the same. */
static void assert_same_memory(Side *a, Side *b)
{
    vm_lock(b->vm);
    vm_stop(b->vm, RUN_STATE_PAUSED);
    vm_unlock(b->vm);
    for (uint64_t p = 0; p < PAGES; p++) {
        uint64_t x, y;

        memory_ld64(a->vm->memory, p * GUEST_PAGE_SIZE, &x);
        memory_ld64(b->vm->memory, p * GUEST_PAGE_SIZE, &y);
        if (p < b->area_pages) {
            g_assert_cmpuint(y, >=, x);
        } else {
            g_assert_cmpuint(y, ==, x);
        }
        g_assert_cmpmem(a->rb->host + p * GUEST_PAGE_SIZE + 8, 4088,
                        b->rb->host + p * GUEST_PAGE_SIZE + 8, 4088);
    }
}

/* A new destination, to which @src is moved whole. */
static void migrate_well(Side *src)
{
    Side *dst = side_new_destination();
    IoChannel *ends[2];
    MigrationInfo *info;

    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    info = query(src);
    g_assert_cmpstr(info->error_desc, ==, NULL);
    qapi_free_MigrationInfo(info);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_COMPLETED);
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(in_status(dst), ==, MIGRATION_STATUS_COMPLETED);
    g_assert_cmpint(runstate_get(src->vm), ==, RUN_STATE_POSTMIGRATE);
    assert_guest_runs(dst);
    assert_same_memory(src, dst);
    side_free(dst);
}

/* ---- when all is well ---- */

static void test_precopy(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];
    MigrationInfo *info;
    char *events;
    uint64_t sum = 0;

    g_free(take_events(src));
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    assert_guest_runs(dst);
    assert_same_memory(src, dst);

    events = take_events(src);
    g_assert_true(g_str_has_prefix(events, "setup active "));
    g_assert_true(g_str_has_suffix(events, "STOP device completed "));
    g_assert_nonnull(strstr(events, "MIGRATION_PASS "));
    g_free(events);
    events = take_events(dst);
    g_assert_cmpstr(events, ==, "setup active RESUME completed STOP ");
    g_free(events);

    info = query(src);
    g_assert_true(info->has_status && info->has_downtime &&
                  info->has_setup_time && info->has_total_time);
    g_assert_false(info->has_remaining || info->has_expected_downtime);
    g_assert_null(info->vfio);
    g_assert_cmpint(info->ram->total, ==, RAM_BYTES);
    g_assert_cmpint(info->ram->dirty_sync_count, >=, 2);
    g_assert_cmpint(info->ram->duplicate, >=, (int64_t)PAGES / 4 - 64);
    g_assert_cmpint(info->ram->normal, >=, (int64_t)PAGES / 4 * 3 - 64);
    g_assert_cmpint(info->ram->transferred, ==,
                    (int64_t)(info->ram->precopy_bytes +
                              info->ram->downtime_bytes));
    g_assert_true(info->switchover->has_measured_us);
    for (MigrationSwitchoverPhaseList *l = info->switchover->phases; l;
         l = l->next) {
        sum += l->value->duration_us;
    }
    /* Each part was rounded down. */
    g_assert_cmpuint(sum, <=, info->switchover->measured_us);
    g_assert_cmpuint(sum + 10, >=, info->switchover->measured_us);
    g_assert_cmpstr(info->devices->value->id, ==, "ram");
    qapi_free_MigrationInfo(info);
    side_free(dst);
    side_free(src);
}

static void test_without_return_path(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];

    src->vm->migration->options.caps[MIGRATION_CAPABILITY_RETURN_PATH] =
        false;
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_COMPLETED);
    assert_guest_runs(dst);
    assert_same_memory(src, dst);
    side_free(dst);
    side_free(src);
}

/* A machine that has come in goes out again, many times over. */
static void test_onwards(void)
{
    Side *src = side_new_source();

    for (int i = 0; i < 20; i++) {
        Side *dst = side_new_destination();
        IoChannel *ends[2];

        make_pair(ends);
        start_destination(dst, ends[1]);
        start_source(src, ends[0]);
        wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                    MIGRATION_STATUS_FAILED);
        wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                    MIGRATION_STATUS_FAILED);
        assert_guest_runs(dst);
        side_free(src);
        src = dst;
    }
    for (uint64_t p = 64; p < PAGES; p++) {
        uint64_t val;

        memory_ld64(src->vm->memory, p * GUEST_PAGE_SIZE, &val);
        g_assert_cmpuint(val, ==, p % 4 ? p * 1000003 : 0);
    }
    side_free(src);
}

/* After completion the source may be let go on, and can migrate again. */
static void test_again_after_completion(void)
{
    Side *src = side_new_source();
    Error *err = NULL;

    migrate_well(src);
    vm_lock(src->vm);
    g_assert_false(migration_check_possible(src->vm->migration, &err));
    g_assert_nonnull(strstr(err->message, "cont"));
    g_clear_error(&err);
    vm_start(src->vm);
    vm_unlock(src->vm);
    assert_guest_runs(src);
    migrate_well(src);
    side_free(src);
}

/* A guest that was paused at the source is paused at the destination. */
static void test_paused_guest(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];

    vm_lock(src->vm);
    vm_stop(src->vm, RUN_STATE_PAUSED);
    vm_unlock(src->vm);
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(runstate_get(dst->vm), ==, RUN_STATE_PAUSED);
    side_free(dst);
    side_free(src);
}

/* -S at the destination: it waits for cont. */
static void test_destination_start_paused(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];

    dst->vm->config->start_paused = true;
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(runstate_get(dst->vm), ==, RUN_STATE_PAUSED);
    side_free(dst);
    side_free(src);
}

/* ---- pause-before-switchover ---- */

static void test_pre_switchover(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];
    Error *err = NULL;
    MigrationInfo *info;

    src->vm->migration
        ->options.caps[MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER] = true;
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_PRE_SWITCHOVER,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(runstate_get(src->vm), ==, RUN_STATE_FINISH_MIGRATE);
    g_usleep(30000);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_PRE_SWITCHOVER);
    info = query(src);
    g_assert_true(info->has_remaining);
    qapi_free_MigrationInfo(info);

    vm_lock(src->vm);
    g_assert_false(qmp_migrate_continue(src->vm, MIGRATION_STATUS_ACTIVE,
                                        &err));
    g_clear_error(&err);
    g_assert_true(qmp_migrate_continue(src->vm,
                                       MIGRATION_STATUS_PRE_SWITCHOVER, &err));
    vm_unlock(src->vm);
    wait_status(out_status, src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_COMPLETED);
    info = query(src);
    /* The wait was part of the blackout, and says so. */
    g_assert_cmpint(info->downtime, >=, 30);
    g_assert_cmpstr(info->switchover->phases->next->value->name, ==,
                    "pre-switchover pause");
    qapi_free_MigrationInfo(info);
    side_free(dst);
    side_free(src);
}

static void test_cancel_in_pre_switchover(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoChannel *ends[2];
    char *events;

    src->vm->migration
        ->options.caps[MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER] = true;
    g_free(take_events(src));
    make_pair(ends);
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_PRE_SWITCHOVER,
                MIGRATION_STATUS_FAILED);
    cancel(src);
    wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                MIGRATION_STATUS_FAILED);
    assert_guest_runs(src);
    events = take_events(src);
    g_assert_true(g_str_has_suffix(
        events, "STOP pre-switchover cancelling RESUME cancelled "));
    g_free(events);
    wait_status(in_status, dst, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_COMPLETED);
    g_assert_cmpint(in_status(dst), ==, MIGRATION_STATUS_FAILED);
    side_free(dst);
    src->vm->migration
        ->options.caps[MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER] = false;
    migrate_well(src);
    side_free(src);
}

/* ---- cancel ---- */

/* One of the two runs the guest, the statuses agree, and life goes on. */
static void settle(Side *src, Side *dst)
{
    wait_status(in_status, dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    if (out_status(src) == MIGRATION_STATUS_COMPLETED) {
        g_assert_cmpint(in_status(dst), ==, MIGRATION_STATUS_COMPLETED);
        assert_guest_runs(dst);
        g_assert_cmpint(runstate_get(src->vm), ==, RUN_STATE_POSTMIGRATE);
        vm_lock(src->vm);
        vm_start(src->vm);
        vm_unlock(src->vm);
    } else {
        g_assert_cmpint(in_status(dst), ==, MIGRATION_STATUS_FAILED);
        g_assert_cmpint(runstate_get(dst->vm), ==, RUN_STATE_INMIGRATE);
        assert_guest_runs(src);
    }
}

static void test_cancel_at_random(void)
{
    Side *src = side_new_source();
    unsigned cancelled = 0;

    for (int i = 0; i < 50; i++) {
        Side *dst = side_new_destination();
        IoChannel *ends[2];

        make_pair(ends);
        start_destination(dst, ends[1]);
        start_source(src, ends[0]);
        g_usleep(g_test_rand_int_range(0, 40000));
        cancel(src);
        wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                    MIGRATION_STATUS_COMPLETED);
        cancelled += out_status(src) == MIGRATION_STATUS_CANCELLED;
        settle(src, dst);
        side_free(dst);
    }
    g_test_message("%u of 50 were cancelled", cancelled);
    migrate_well(src);
    side_free(src);
}

/* Nothing moves: cancel ends a thread that is blocked in its channel. */
static void test_cancel_while_blocked(void)
{
    static const uint64_t offsets[] = { 0, 4, 40, 200, 5000, 300000, 8000000 };
    Side *src = side_new_source();

    for (guint i = 0; i < G_N_ELEMENTS(offsets); i++) {
        Side *dst = side_new_destination();
        IoFault none = { IO_FAULT_NONE };
        IoFault stall = { IO_FAULT_STALL, offsets[i] };
        IoChannel *ends[2];
        int64_t start;

        make_pair(ends);
        start_destination(dst, ends[1]);
        start_source(src, io_filter_fault_new(ends[0], none, stall));
        g_usleep(150000);
        g_assert_true(migration_is_running(src->vm));
        start = g_get_monotonic_time();
        cancel(src);
        wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                    MIGRATION_STATUS_COMPLETED);
        g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_CANCELLED);
        g_assert_cmpint(g_get_monotonic_time() - start, <, 500000);
        settle(src, dst);
        side_free(dst);
    }
    migrate_well(src);
    side_free(src);
}

/* The destination never answers: a late cancel has a bounded wait. */
static void test_cancel_unanswered(void)
{
    Side *src = side_new_source(), *dst = side_new_destination();
    IoFault none = { IO_FAULT_NONE };
    IoChannel *ends[2];
    IoChannel *filter;
    int64_t start;

    make_pair(ends);
    /* 8 bytes an answer: two PINGs of set-up, then silence. */
    filter = io_filter_fault_new(ends[1], none,
                                 (IoFault){ IO_FAULT_STALL, 16 });
    start_destination(dst, filter);
    start_source(src, ends[0]);
    g_usleep(300000);
    start = g_get_monotonic_time();
    cancel(src);
    wait_status(out_status, src, MIGRATION_STATUS_CANCELLED,
                MIGRATION_STATUS_COMPLETED);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_CANCELLED);
    g_assert_cmpint(g_get_monotonic_time() - start, <, 1500000);
    assert_guest_runs(src);
    vm_lock(dst->vm);
    incoming_cancel(dst->vm->migration->in);
    vm_unlock(dst->vm);
    side_free(dst);
    migrate_well(src);
    side_free(src);
}

static void test_cancel_nothing(void)
{
    Side *src = side_new_source();

    cancel(src);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_NONE);
    migrate_well(src);
    cancel(src);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_COMPLETED);
    side_free(src);
}

/* ---- peer death and broken channels ---- */

static void break_at(Side *src, IoFaultKind kind, uint64_t offset,
                     bool on_source)
{
    Side *dst = side_new_destination();
    IoFault none = { IO_FAULT_NONE };
    IoFault fault = { kind, offset, 0 };
    IoChannel *ends[2];
    MigrationInfo *info;

    make_pair(ends);
    if (on_source) {
        ends[0] = io_filter_fault_new(ends[0], none, fault);
    } else {
        ends[1] = io_filter_fault_new(ends[1], fault, none);
    }
    start_destination(dst, ends[1]);
    start_source(src, ends[0]);
    wait_status(out_status, src, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_COMPLETED);
    info = query(src);
    if (out_status(src) == MIGRATION_STATUS_FAILED) {
        g_assert_nonnull(info->error_desc);
        g_assert_false(info->has_downtime);
    }
    qapi_free_MigrationInfo(info);
    settle(src, dst);
    side_free(dst);
}

static void test_broken_channel(void)
{
    static const IoFaultKind kinds[] = { IO_FAULT_ERROR, IO_FAULT_END };
    Side *src = side_new_source();

    for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
        for (int side = 0; side < 2; side++) {
            for (uint64_t offset = 0; offset < 24 * MIB;
                 offset = offset * 3 + 7) {
                break_at(src, kinds[k], offset, side);
            }
        }
    }
    migrate_well(src);
    side_free(src);
}

/* A byte is wrong: whatever it meant, nobody crashes and one side runs. */
static void test_wrong_byte(void)
{
    Side *src = side_new_source();

    for (uint64_t offset = 0; offset < 200; offset += 3) {
        break_at(src, IO_FAULT_CORRUPT, offset, false);
    }
    migrate_well(src);
    side_free(src);
}

/* The answers break: source and destination still agree on who runs. */
static void test_broken_return_path(void)
{
    Side *src = side_new_source();

    for (uint64_t offset = 0; offset < 64; offset += 5) {
        Side *dst = side_new_destination();
        IoFault none = { IO_FAULT_NONE };
        IoChannel *ends[2];

        make_pair(ends);
        start_destination(dst, io_filter_fault_new(
            ends[1], none, (IoFault){ IO_FAULT_ERROR, offset, 0 }));
        start_source(src, ends[0]);
        wait_status(out_status, src, MIGRATION_STATUS_FAILED,
                    MIGRATION_STATUS_COMPLETED);
        settle(src, dst);
        side_free(dst);
    }
    migrate_well(src);
    side_free(src);
}

/* ---- refusals ---- */

static void test_blocker(void)
{
    Side *src = side_new_source();
    Error *err = NULL;
    MigrationInfo *info;
    unsigned id;

    vm_lock(src->vm);
    g_assert_true(migration_add_blocker(src->vm, "made of glass", &id, NULL));
    g_assert_false(qmp_migrate(src->vm, "unix:/nowhere", false, NULL, false,
                               false, false, false, &err));
    g_assert_cmpstr(err->message, ==, "made of glass");
    g_clear_error(&err);
    info = migration_info(src->vm->migration);
    g_assert_cmpstr(info->blocked_reasons->value, ==, "made of glass");
    qapi_free_MigrationInfo(info);
    migration_del_blocker(src->vm, &id);
    g_assert_cmpuint(id, ==, 0);
    vm_unlock(src->vm);
    migrate_well(src);
    side_free(src);
}

static void test_bad_addresses(void)
{
    static const char *const bad[] = {
        "", "tcp", "tcp:", "nonsense:1", "exec:", "file:", "file:,offset=1",
        "file:/tmp/x,offset=abc", "fd:no-such-name", "unix:",
    };
    Side *src = side_new_source();
    Error *err = NULL;

    vm_lock(src->vm);
    for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_false(qmp_migrate(src->vm, bad[i], false, NULL, false, false,
                                   false, false, &err));
        g_assert_nonnull(err);
        g_clear_error(&err);
    }
    g_assert_false(qmp_migrate(src->vm, NULL, false, NULL, false, false,
                               false, false, &err));
    g_clear_error(&err);
    g_assert_false(qmp_migrate(src->vm, "unix:/x", false, NULL, false, false,
                               true, true, &err));
    g_clear_error(&err);
    g_assert_false(qmp_migrate_pause(src->vm, &err));
    g_clear_error(&err);
    vm_unlock(src->vm);
    g_assert_cmpint(out_status(src), ==, MIGRATION_STATUS_NONE);
    side_free(src);
}

/* Nobody listens: the command succeeds, and it fails without being active. */
static void test_nobody_listens(void)
{
    Side *src = side_new_source();
    char *events;

    g_free(take_events(src));
    vm_lock(src->vm);
    g_assert_true(qmp_migrate(src->vm, "unix:/nonexistent/socket", false,
                              NULL, false, false, false, false, NULL));
    vm_unlock(src->vm);
    wait_status(out_status, src, MIGRATION_STATUS_FAILED,
                MIGRATION_STATUS_COMPLETED);
    events = take_events(src);
    g_assert_cmpstr(events, ==, "setup failed ");
    g_free(events);
    assert_guest_runs(src);
    migrate_well(src);
    side_free(src);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/life/precopy", test_precopy);
    g_test_add_func("/migration/life/without-return-path",
                    test_without_return_path);
    g_test_add_func("/migration/life/onwards", test_onwards);
    g_test_add_func("/migration/life/again-after-completion",
                    test_again_after_completion);
    g_test_add_func("/migration/life/paused-guest", test_paused_guest);
    g_test_add_func("/migration/life/destination-start-paused",
                    test_destination_start_paused);
    g_test_add_func("/migration/life/pre-switchover", test_pre_switchover);
    g_test_add_func("/migration/spec-8/cancel/pre-switchover",
                    test_cancel_in_pre_switchover);
    g_test_add_func("/migration/spec-8/cancel/at-random",
                    test_cancel_at_random);
    g_test_add_func("/migration/spec-8/cancel/while-blocked",
                    test_cancel_while_blocked);
    g_test_add_func("/migration/spec-8/cancel/unanswered",
                    test_cancel_unanswered);
    g_test_add_func("/migration/spec-8/cancel/nothing", test_cancel_nothing);
    g_test_add_func("/migration/spec-8/broken/channel", test_broken_channel);
    g_test_add_func("/migration/spec-8/broken/wrong-byte", test_wrong_byte);
    g_test_add_func("/migration/spec-8/broken/return-path",
                    test_broken_return_path);
    g_test_add_func("/migration/refused/blocker", test_blocker);
    g_test_add_func("/migration/refused/bad-addresses", test_bad_addresses);
    g_test_add_func("/migration/refused/nobody-listens", test_nobody_listens);
    return g_test_run();
}
