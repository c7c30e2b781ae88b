/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See migration-postcopy.h. */
#include <sys/socket.h>
#include <unistd.h>

#include "migration-postcopy.h"

bool pair_can_run(void)
{
    UffdBlocks none = { .num = 0 };

    return uffd_check(uffd_sys_host(), &none, UFFD_MISSING, NULL);
}

void pair_set_cap(Side *s, MigrationCapability cap, bool on)
{
    s->vm->migration->options.caps[cap] = on;
}

void pair_set_param(Side *s, MigParam param, uint64_t val)
{
    Migration *m = s->vm->migration;
    MigOptions next = migration_options(m);

    next.params[param] = val;
    vm_lock(s->vm);
    g_assert_true(migration_set_options(m, &next, NULL));
    vm_unlock(s->vm);
}

/* However long it takes until postcopy is started, it is not over before. */
static void hold_back(Side *src)
{
    pair_set_param(src, MIG_PARAM_MAX_BANDWIDTH, 4 * MIB);
    pair_set_param(src, MIG_PARAM_DOWNTIME_LIMIT, 0);
}

void pair_set_area(Side *s, unsigned pages)
{
    g_mutex_lock(&s->lock);
    s->area_pages = pages;
    g_mutex_unlock(&s->lock);
}

static void add_destination(Pair *pair)
{
    pair->dst = side_new_destination();
    pair_set_area(pair->dst, PAGES);
    pair_set_cap(pair->dst, MIGRATION_CAPABILITY_POSTCOPY_RAM, true);
}

static char *new_uri(Pair *pair)
{
    if (!pair->folder) {
        pair->folder = g_dir_make_tmp("godwit-XXXXXX", NULL);
    }
    return g_strdup_printf("unix:%s/%u", pair->folder, pair->sockets++);
}

static void start_by_uri(Pair *pair)
{
    g_autofree char *uri = new_uri(pair);
    Error *err = NULL;

    pair_set_cap(pair->src, MIGRATION_CAPABILITY_POSTCOPY_PREEMPT, true);
    pair_set_cap(pair->dst, MIGRATION_CAPABILITY_POSTCOPY_PREEMPT, true);
    start_incoming(pair->dst, uri);
    vm_lock(pair->src->vm);
    qmp_migrate(pair->src->vm, uri, false, NULL, false, false, false, false,
                &err);
    vm_unlock(pair->src->vm);
    g_assert_no_error(err);
}

void pair_begin(Pair *pair)
{
    *pair = (Pair) { .preempt = pair->preempt };
    pair->fds[0] = pair->fds[1] = -1;
    pair->src = side_new_source();
    pair_set_area(pair->src, PAGES);
    pair_set_cap(pair->src, MIGRATION_CAPABILITY_POSTCOPY_RAM, true);
    hold_back(pair->src);
    add_destination(pair);
}

void pair_end(Pair *pair)
{
    side_free(pair->dst);
    side_free(pair->src);
    if (pair->folder) {
        /* No socket is left in it. */
        g_assert_cmpint(rmdir(pair->folder), ==, 0);
        g_free(pair->folder);
    }
    for (int i = 0; i < 2; i++) {
        if (pair->fds[i] >= 0) {
            close(pair->fds[i]);
        }
    }
}

void pair_start(Pair *pair)
{
    if (pair->preempt) {
        start_by_uri(pair);
        wait_status(out_status, pair->src, MIGRATION_STATUS_ACTIVE,
                    MIGRATION_STATUS_FAILED);
        return;
    }
    make_pair(pair->ends);
    for (int i = 0; i < 2; i++) {
        pair->fds[i] = dup(io_channel_fd(pair->ends[i]));
    }
    start_destination(pair->dst, pair->ends[1]);
    start_source(pair->src, pair->ends[0]);
    wait_status(out_status, pair->src, MIGRATION_STATUS_ACTIVE,
                MIGRATION_STATUS_FAILED);
}

void pair_start_postcopy(Pair *pair)
{
    vm_lock(pair->src->vm);
    g_assert_true(qmp_migrate_start_postcopy(pair->src->vm, NULL));
    vm_unlock(pair->src->vm);
    pair_set_param(pair->src, MIG_PARAM_DOWNTIME_LIMIT, 2000);
}

void pair_to_postcopy(Pair *pair)
{
    pair_start(pair);
    g_usleep(20000);
    pair_start_postcopy(pair);
    wait_status(out_status, pair->src, MIGRATION_STATUS_POSTCOPY_ACTIVE,
                MIGRATION_STATUS_COMPLETED);
    g_assert_cmpint(runstate_get(pair->src->vm), !=, RUN_STATE_RUNNING);
}

void pair_cut(Pair *pair, PairCut how)
{
    Side *side = how == PAIR_CUT_SOURCE ? pair->src : pair->dst;

    if (how == PAIR_CUT_CHANNEL && !pair->preempt) {
        g_assert_cmpint(shutdown(pair->fds[1], SHUT_RDWR), ==, 0);
    } else {
        /* Out of band: no lock. */
        g_assert_true(qmp_migrate_pause(side->vm, NULL));
    }
    wait_status(out_status, pair->src, MIGRATION_STATUS_POSTCOPY_PAUSED,
                MIGRATION_STATUS_FAILED);
    wait_status(in_status, pair->dst, MIGRATION_STATUS_POSTCOPY_PAUSED,
                MIGRATION_STATUS_FAILED);
}

/* A connected pair, by numbers. */
static void make_fds(Pair *pair, char *uris[2])
{
    for (int i = 0; i < 2; i++) {
        if (pair->fds[i] >= 0) {
            close(pair->fds[i]);
        }
    }
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
                               pair->fds), ==, 0);
    for (int i = 0; i < 2; i++) {
        uris[i] = g_strdup_printf("fd:%d", dup(pair->fds[i]));
    }
}

void pair_recover(Pair *pair)
{
    Error *err = NULL;
    char *uris[2];

    if (pair->preempt) {
        uris[0] = new_uri(pair);
        uris[1] = g_strdup(uris[0]);
    } else {
        make_fds(pair, uris);
    }
    qmp_migrate_recover(pair->dst->vm, uris[1], &err);
    g_assert_no_error(err);
    vm_lock(pair->src->vm);
    qmp_migrate(pair->src->vm, uris[0], false, NULL, false, false, true, true,
                &err);
    vm_unlock(pair->src->vm);
    g_assert_no_error(err);
    g_free(uris[0]);
    g_free(uris[1]);
}

void pair_finish(Pair *pair)
{
    MigrationInfo *info;

    wait_status(out_status, pair->src, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    info = query(pair->src);
    g_assert_cmpstr(info->error_desc, ==, NULL);
    g_assert_cmpint(info->status, ==, MIGRATION_STATUS_COMPLETED);
    qapi_free_MigrationInfo(info);
    wait_status(in_status, pair->dst, MIGRATION_STATUS_COMPLETED,
                MIGRATION_STATUS_FAILED);
    g_assert_cmpint(in_status(pair->dst), ==, MIGRATION_STATUS_COMPLETED);
    g_assert_cmpint(runstate_get(pair->src->vm), ==, RUN_STATE_POSTMIGRATE);
    assert_guest_runs(pair->dst);
    assert_same_memory(pair->src, pair->dst);
}

void pair_next(Pair *pair)
{
    side_free(pair->src);
    for (int i = 0; i < 2; i++) {
        if (pair->fds[i] >= 0) {
            close(pair->fds[i]);
        }
        pair->fds[i] = -1;
    }
    pair->src = pair->dst;
    vm_lock(pair->src->vm);
    vm_start(pair->src->vm);
    vm_unlock(pair->src->vm);
    hold_back(pair->src);
    add_destination(pair);
}
