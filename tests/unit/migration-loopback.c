/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See migration-loopback.h. */
#include <string.h>

#include "migration-loopback.h"
#include "system/machine.h"
#include "tests/patience.h"
#include "util/thread.h"

#define TIMEOUT_US (20 * G_USEC_PER_SEC)

/* ---- a machine, and the thread that is its guest ---- */

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
        unsigned sleep_us;

        if (!s->runs) {
            g_cond_wait(&s->changed, &s->lock);
            continue;
        }
        s->in_store = true;
        page = n++ % s->area_pages;
        g_mutex_unlock(&s->lock);
        memory_ld64(s->vm->memory, page * GUEST_PAGE_SIZE, &val);
        memory_st64(s->vm->memory, page * GUEST_PAGE_SIZE, val + 1);
        sleep_us = __atomic_load_n(&s->sleep_us, __ATOMIC_RELAXED);
        if (sleep_us) {
            g_usleep(sleep_us);
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

void side_free(Side *s)
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

Side *side_new_source(void)
{
    return side_new(false);
}

Side *side_new_destination(void)
{
    return side_new(true);
}

void assert_guest_runs(Side *s)
{
    uint64_t before;
    int64_t end = g_get_monotonic_time() + test_patience(TIMEOUT_US);

    g_assert_cmpint(runstate_get(s->vm), ==, RUN_STATE_RUNNING);
    g_mutex_lock(&s->lock);
    g_assert_true(s->runs);
    before = s->stores;
    while (s->stores == before) {
        g_assert_true(g_cond_wait_until(&s->changed, &s->lock, end));
    }
    g_mutex_unlock(&s->lock);
}

char *take_events(Side *s)
{
    char *text;

    g_mutex_lock(&s->lock);
    text = g_strdup(s->events->str);
    g_string_truncate(s->events, 0);
    g_mutex_unlock(&s->lock);
    return text;
}

/* ---- driving a migration ---- */

MigrationStatus out_status(Side *s)
{
    return migration_status(s->vm->migration, &s->vm->migration->out_status);
}

MigrationStatus in_status(Side *s)
{
    return migration_status(s->vm->migration, &s->vm->migration->in_status);
}

void wait_status(MigrationStatus (*get)(Side *s), Side *s,
                 MigrationStatus a, MigrationStatus b)
{
    int64_t end = g_get_monotonic_time() + test_patience(TIMEOUT_US);
    MigrationStatus now;

    while ((now = get(s)) != a && now != b) {
        if (g_get_monotonic_time() > end) {
            g_error("status is %s, not %s", MigrationStatus_str(now),
                    MigrationStatus_str(a));
        }
        g_usleep(500);
    }
}

void start_source(Side *s, IoChannel *ch)
{
    MigEnd end = { .ch = ch, .two_way = true, .listen_fd = -1 };
    Error *err = NULL;

    vm_lock(s->vm);
    g_assert_true(migration_check_possible(s->vm->migration, &err));
    g_assert_true(outgoing_start(s->vm->migration, &end, &err));
    vm_unlock(s->vm);
    g_assert_no_error(err);
}

void start_destination(Side *s, IoChannel *ch)
{
    MigEnd end = { .ch = ch, .two_way = true, .listen_fd = -1 };

    vm_lock(s->vm);
    g_assert_true(incoming_start(s->vm->migration, &end, false, NULL));
    vm_unlock(s->vm);
}

void make_pair(IoChannel *ends[2])
{
    g_assert_true(io_channel_new_pair(ends, NULL));
}

void cancel(Side *s)
{
    vm_lock(s->vm);
    g_assert_true(qmp_migrate_cancel(s->vm, NULL));
    vm_unlock(s->vm);
}

MigrationInfo *query(Side *s)
{
    MigrationInfo *info;

    vm_lock(s->vm);
    info = migration_info(s->vm->migration);
    vm_unlock(s->vm);
    return info;
}

/* Source and destination stand still: their memory is the same. */
void assert_same_memory(Side *a, Side *b)
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
void migrate_well(Side *src)
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

/* One of the two runs the guest, the statuses agree, and life goes on. */
void settle(Side *src, Side *dst)
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

void start_incoming(Side *dst, const char *uri)
{
    MigrationAddress *addr = mig_address_parse(uri, NULL);
    Error *err = NULL;
    bool ok;

    vm_lock(dst->vm);
    ok = migration_start_incoming(dst->vm->migration, addr, false, &err);
    vm_unlock(dst->vm);
    g_assert_no_error(err);
    g_assert_true(ok);
}
