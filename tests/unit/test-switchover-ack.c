/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acknowledgements owed before a switchover: the account, and a source whose
 * destination is the test, which answers what it likes.
 */
#include <string.h>

#include "migration/ack.h"
#include "migration/migration-int.h"
#include "migration/switchover-ack.h"
#include "system/machine.h"
#include "system/memory.h"
#include "system/runstate.h"
#include "util/thread.h"

static const char a, b;

static void test_once(void)
{
    MigAcks acks;

    mig_acks_init(&acks);
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 0);
    mig_acks_owe(&acks, &a);
    mig_acks_owe(&acks, &b);
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 2);
    mig_acks_mark(&acks, &b);
    g_assert_true(mig_acks_answer(&acks));
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 1);
    g_assert_true(mig_acks_debtor(&acks) == &a);
    mig_acks_mark(&acks, &a);
    g_assert_true(mig_acks_answer(&acks));
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 0);
    g_assert_null(mig_acks_debtor(&acks));
    mig_acks_clear(&acks);
}

/* Section 6: again at each REINIT, before or after the mark has left. */
static void test_again(void)
{
    MigAcks acks;

    mig_acks_init(&acks);
    mig_acks_owe(&acks, &a);
    mig_acks_mark(&acks, &a);
    mig_acks_owe(&acks, &a);
    g_assert_true(mig_acks_answer(&acks));
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 1);
    /* One mark stands for all that came up before it. */
    mig_acks_owe(&acks, &a);
    mig_acks_mark(&acks, &a);
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 2);
    g_assert_true(mig_acks_answer(&acks));
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 0);
    mig_acks_clear(&acks);
}

/* Two marks under way settle what came up before each, no more. */
static void test_under_way(void)
{
    MigAcks acks;

    mig_acks_init(&acks);
    mig_acks_owe(&acks, &a);
    mig_acks_mark(&acks, &a);
    mig_acks_owe(&acks, &b);
    mig_acks_mark(&acks, &b);
    mig_acks_owe(&acks, &a);
    mig_acks_mark(&acks, &a);
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 3);
    for (unsigned left = 3; left-- > 0; ) {
        g_assert_true(mig_acks_answer(&acks));
        g_assert_cmpuint(mig_acks_owed(&acks), ==, left);
    }
    mig_acks_clear(&acks);
}

/* An answer to nothing, and one too many. */
static void test_surplus(void)
{
    MigAcks acks;

    mig_acks_init(&acks);
    g_assert_false(mig_acks_answer(&acks));
    mig_acks_owe(&acks, &a);
    g_assert_false(mig_acks_answer(&acks));
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 1);
    mig_acks_mark(&acks, &a);
    g_assert_true(mig_acks_answer(&acks));
    g_assert_false(mig_acks_answer(&acks));
    mig_acks_clear(&acks);
}

/* ---- a source ---- */

typedef struct Source {
    Vm *vm;
    IoChannel *ends[2];
    GThread *drain;
    int mark_now;               /* atomic: put a mark into the next section */
    int owe_now;                /* atomic: at the next exact query */
    unsigned marks;             /* atomic */
} Source;

static bool mod_setup(MigStream *st, void *opaque, Error **errp)
{
    Source *s = opaque;

    (void)st;
    (void)errp;
    g_assert_true(switchover_ack_wanted(s->vm));
    switchover_ack_owed(s->vm, s);
    return true;
}

static void mod_query(void *opaque, MigPendingData *pending, bool exact)
{
    Source *s = opaque;

    /* Something to send, so that it is asked to. */
    mig_pending_add(pending, 1, 0, 0);
    if (exact && __atomic_exchange_n(&s->owe_now, 0, __ATOMIC_SEQ_CST)) {
        switchover_ack_owed(s->vm, s);
    }
}

static MigIterate mod_iterate(MigStream *st, void *opaque, Error **errp)
{
    Source *s = opaque;

    (void)errp;
    mig_put_be64(st, 0);
    if (__atomic_exchange_n(&s->mark_now, 0, __ATOMIC_SEQ_CST)) {
        switchover_ack_marked(s->vm, s);
        __atomic_fetch_add(&s->marks, 1, __ATOMIC_SEQ_CST);
    }
    return MIG_ITERATE_DONE;
}

static const SaveVMHandlers mod_handlers = {
    .save_setup = mod_setup,
    .save_query_pending = mod_query,
    .save_live_iterate = mod_iterate,
};

static gpointer drain_main(gpointer opaque)
{
    Source *s = opaque;
    uint8_t buf[4096];
    struct iovec iov = { buf, sizeof(buf) };

    while (io_channel_readv(s->ends[1], &iov, 1, NULL) > 0) {
    }
    return NULL;
}

static MigrationStatus status_of(Source *s)
{
    return migration_status(s->vm->migration, &s->vm->migration->out_status);
}

static void source_init(Source *s)
{
    MigEnd end = { .two_way = true, .listen_fd = -1 };
    RamBacking backing = { .size = 16 * GUEST_PAGE_SIZE, .fd = -1 };
    Migration *m;
    bool ok;

    memset(s, 0, sizeof(*s));
    s->vm = vm_new();
    s->vm->config = machine_config_new();
    vm_lock(s->vm);
    ok = memory_map_ram(s->vm->memory,
                        memory_ram_new(s->vm->memory, "mem", &backing, NULL),
                        0, NULL);
    g_assert_true(ok);
    m = migration_new(s->vm, clock_host());
    m->options.caps[MIGRATION_CAPABILITY_RETURN_PATH] = true;
    m->options.caps[MIGRATION_CAPABILITY_SWITCHOVER_ACK] = true;
    m->options.params[MIG_PARAM_DOWNTIME_LIMIT] = 100000;
    savevm_register_live(s->vm, "mod", 0, 1, &mod_handlers, s);
    vm_start(s->vm);
    g_assert_true(io_channel_new_pair(s->ends, NULL));
    s->drain = thread_start("drain", drain_main, s);
    end.ch = s->ends[0];
    g_assert_true(outgoing_start(m, &end, NULL));
    vm_unlock(s->vm);
}

/* Joins, and gives the guest's state and the reason of the failure. */
static void source_clear(Source *s, RunState *state, char **why)
{
    MigrationInfo *info;

    vm_lock(s->vm);
    info = migration_info(s->vm->migration);
    *why = g_strdup(info->error_desc);
    qapi_free_MigrationInfo(info);
    migration_stop(s->vm->migration);
    *state = runstate_get(s->vm);
    savevm_unregister_live(s->vm, "mod", s);
    migration_free(s->vm->migration);
    savevm_destroy(s->vm);
    vm_unlock(s->vm);
    io_channel_shutdown(s->ends[1], IO_SHUTDOWN_BOTH);
    g_thread_join(s->drain);
    io_channel_unref(s->ends[1]);
    machine_config_free(s->vm->config);
    vm_free(s->vm);
}

static void answer(Source *s)
{
    static const uint8_t ack[] = { 0, MIG_RP_MSG_SWITCHOVER_ACK, 0, 0 };

    g_assert_true(io_channel_write_all(s->ends[1], ack, sizeof(ack), NULL));
}

static void mark(Source *s)
{
    unsigned before = __atomic_load_n(&s->marks, __ATOMIC_SEQ_CST);

    __atomic_store_n(&s->mark_now, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&s->marks, __ATOMIC_SEQ_CST) == before) {
        g_usleep(1000);
    }
}

/* Whether it leaves status active (and set-up) within @ms. */
static bool leaves_active(Source *s, int ms)
{
    for (; ms > 0; ms--) {
        MigrationStatus now = status_of(s);

        if (now != MIGRATION_STATUS_SETUP && now != MIGRATION_STATUS_ACTIVE) {
            return true;
        }
        g_usleep(1000);
    }
    return false;
}

/* No switchover while one is owed; then at once; again after a REINIT. */
static void test_source_waits(void)
{
    RunState state;
    char *why;
    Source s;

    source_init(&s);
    g_assert_false(leaves_active(&s, 300));
    mark(&s);
    g_assert_false(leaves_active(&s, 200));
    /* One more comes up before the answer, which is to the first. */
    __atomic_store_n(&s.owe_now, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&s.owe_now, __ATOMIC_SEQ_CST)) {
        g_usleep(1000);
    }
    answer(&s);
    g_assert_false(leaves_active(&s, 300));
    mark(&s);
    answer(&s);
    g_assert_true(leaves_active(&s, 10000));
    g_assert_cmpint(status_of(&s), !=, MIGRATION_STATUS_FAILED);
    source_clear(&s, &state, &why);
    g_free(why);
}

/* An answer to nothing ends the migration, and never switches over. */
static void test_source_surplus(void)
{
    for (int i = 0; i < 2; i++) {
        RunState state;
        char *why;
        Source s;

        source_init(&s);
        if (i) {
            /* One good answer, and another debt that hinders. */
            mark(&s);
            __atomic_store_n(&s.owe_now, 1, __ATOMIC_SEQ_CST);
            while (__atomic_load_n(&s.owe_now, __ATOMIC_SEQ_CST)) {
                g_usleep(1000);
            }
            answer(&s);
        }
        answer(&s);
        g_assert_true(leaves_active(&s, 10000));
        while (status_of(&s) != MIGRATION_STATUS_FAILED) {
            g_assert_cmpint(status_of(&s), !=, MIGRATION_STATUS_COMPLETED);
            g_usleep(1000);
        }
        source_clear(&s, &state, &why);
        g_assert_cmpint(state, ==, RUN_STATE_RUNNING);
        g_assert_nonnull(strstr(why, "acknowledged"));
        g_free(why);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/spec-6/ack/once", test_once);
    g_test_add_func("/migration/spec-6/ack/again", test_again);
    g_test_add_func("/migration/spec-6/ack/under-way", test_under_way);
    g_test_add_func("/migration/spec-6/ack/surplus", test_surplus);
    g_test_add_func("/migration/spec-6/ack/source-waits", test_source_waits);
    g_test_add_func("/migration/spec-6/ack/source-surplus",
                    test_source_surplus);
    return g_test_run();
}
