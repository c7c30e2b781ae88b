/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Section 6: the states of a VFIO device and the one function that moves it.
 * The other side is vfio-sim's model, which has a table of its own.
 */
#include <errno.h>
#include <string.h>

#include "vfio-mig-rig.h"

#define S(name) VFIO_DEVICE_STATE_##name

static const struct {
    uint32_t features;
    const char *keys;
} kinds[] = {
    { VFIO_MIGRATION_STOP_COPY, "precopy=off,p2p=off" },
    { VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P, "precopy=off" },
    { VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY, "p2p=off" },
    { VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY,
      "p2p=on" },
};

#define SMALL "state-size=1M,initial-size=64K,stop-size=64K,"

/* Every pair, and numbers that are no state, against the other table. */
static void test_table(void)
{
    for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
        uint32_t f = kinds[k].features;

        for (unsigned from = 0; from < VFIO_MIG_STATES + 2; from++) {
            for (unsigned to = 0; to < VFIO_MIG_STATES + 2; to++) {
                g_assert_cmpint(vfio_mig_is_move(from, to, f), ==,
                                sim_mig_is_arc(from, to, f));
                g_assert_cmpuint(vfio_mig_next_state(from, to, f), ==,
                                 sim_mig_next_state(from, to, f));
            }
            g_assert_cmpint(vfio_mig_state_has_data(from), ==,
                            sim_mig_state_has_data(from));
            g_assert_cmpint(vfio_mig_state_runs(from), ==,
                            sim_mig_state_runs(from));
        }
    }
}

/* The shortest way, found here by walking all moves from @from. */
static unsigned distance(unsigned from, unsigned to, uint32_t features)
{
    unsigned steps[VFIO_MIG_STATES], queue[VFIO_MIG_STATES], head = 0, len = 0;

    for (unsigned s = 0; s < VFIO_MIG_STATES; s++) {
        steps[s] = UINT_MAX;
    }
    steps[from] = 0;
    queue[len++] = from;
    while (head < len) {
        unsigned s = queue[head++];

        for (unsigned t = 0; t < VFIO_MIG_STATES; t++) {
            if (steps[t] == UINT_MAX && vfio_mig_is_move(s, t, features)) {
                steps[t] = steps[s] + 1;
                queue[len++] = t;
            }
        }
    }
    return steps[to];
}

/* A model without a check of what it is given, so that it leaves RESUMING. */
static void give_state(VfioRig *rig)
{
    VfioRig other;
    uint8_t buf[65536];
    int64_t until;
    ssize_t n;

    /* One big lock at a time. */
    vm_unlock(rig->t.vm);
    rig_init(&other, SMALL "id=x", 0);
    g_assert_cmpint(sim_mig_move(other.mig, S(RUNNING_P2P), 0), ==, 0);
    g_assert_cmpint(sim_mig_move(other.mig, S(STOP), 0), ==, 0);
    g_assert_cmpint(sim_mig_move(other.mig, S(STOP_COPY), 0), ==, 0);
    while ((n = sim_mig_read(other.mig, buf, sizeof(buf), 0, &until)) > 0) {
        g_assert_cmpint(sim_mig_write(rig->mig, buf, n, 0, &until), ==, n);
    }
    rig_clear(&other);
    vm_lock(rig->t.vm);
}

static void check_books(VfioRig *rig)
{
    unsigned state = vfio_mig_state(rig->vdev.migration);

    g_assert_cmpuint(state, ==, rig->mig->current);
    g_assert_cmpint(rig->open_fd >= 0, ==, vfio_mig_state_has_data(state));
}

/* Every pair of states by the shortest way; what has none is not tried. */
static void test_every_way(void)
{
    for (guint k = 0; k < G_N_ELEMENTS(kinds); k++) {
        uint32_t f = kinds[k].features;

        for (unsigned from = 1; from < VFIO_MIG_STATES; from++) {
            for (unsigned to = 0; to < VFIO_MIG_STATES + 1; to++) {
                g_autofree char *keys = g_strconcat(SMALL, kinds[k].keys, NULL);
                unsigned sets, moves;
                Error *err = NULL;
                VfioMigration *m;
                VfioRig rig;
                bool ok;

                if (!vfio_mig_state_exists(from, f)) {
                    continue;
                }
                rig_init(&rig, keys, 0);
                m = rig_realize(&rig);
                ok = vfio_mig_set_state(m, from, from, &err);
                g_assert_no_error(err);
                g_assert_true(ok);
                check_books(&rig);
                if (from == S(RESUMING)) {
                    give_state(&rig);
                }
                sets = rig.state_sets;
                moves = rig.mig->moves->len;
                ok = vfio_mig_set_state(m, to, from, &err);
                if (vfio_mig_next_state(from, to, f) == S(ERROR)) {
                    g_assert_false(ok);
                    g_assert_nonnull(strstr(err->message, "no way"));
                    g_clear_error(&err);
                    g_assert_cmpuint(rig.state_sets, ==, sets);
                    g_assert_cmpuint(vfio_mig_state(m), ==, from);
                    g_assert_cmpuint(rig.resets, ==, 0);
                } else {
                    g_assert_no_error(err);
                    g_assert_true(ok);
                    g_assert_cmpuint(vfio_mig_state(m), ==, to);
                    g_assert_cmpuint(rig.mig->moves->len - moves, ==,
                                     distance(from, to, f));
                    /* The kernel was asked for one move at a time. */
                    g_assert_cmpuint(rig.state_sets - sets, ==,
                                     distance(from, to, f));
                }
                check_books(&rig);
                rig_clear(&rig);
            }
        }
    }
}

typedef struct FailCase {
    const char *fault;
    int reset_errno;
    unsigned recover, ends_in, resets;
} FailCase;

/* On the way from running to stop-copy, at each move of it. */
static const FailCase fail_cases[] = {
    /* It stays where it was: the way back is made of moves. */
    { "fault=state:EIO*1@pre-copy", 0, S(RUNNING), S(RUNNING), 0 },
    { "fault=state:EIO*1@pre-copy-p2p", 0, S(RUNNING), S(RUNNING), 0 },
    { "fault=state:EIO*1@stop-copy", 0, S(STOP), S(STOP), 0 },
    { "fault=state:EIO*1@stop-copy", 0, S(RUNNING), S(RUNNING), 0 },
    { "fault=state:EIO*1@pre-copy-p2p", 0, S(ERROR), S(RUNNING), 1 },
    /* It lands in ERROR, from where only a reset leads. */
    { "fault=state:error*1@pre-copy", 0, S(RUNNING), S(RUNNING), 1 },
    { "fault=state:error*1@stop-copy", 0, S(STOP), S(STOP), 1 },
    /* Even the way back fails. */
    { "fault=state:EIO*1@stop-copy,fault=state:EIO*1@running-p2p", 0, S(STOP),
      S(STOP), 1 },
    { "fault=state:error*1@stop-copy", EIO, S(STOP), S(ERROR), 1 },
    { "fault=state:error*1@stop-copy,fault=state:EIO@stop", 0, S(STOP),
      S(RUNNING_P2P), 1 },
};

static void test_failures(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(fail_cases); i++) {
        const FailCase *c = &fail_cases[i];
        g_autofree char *keys = g_strconcat(SMALL, c->fault, NULL);
        Error *err = NULL;
        VfioMigration *m;
        VfioRig rig;
        bool ok;

        rig_init(&rig, keys, 0);
        rig.fail_reset = c->reset_errno;
        m = rig_realize(&rig);
        ok = vfio_mig_set_state(m, S(PRE_COPY), c->recover, &err) &&
             vfio_mig_set_state(m, S(STOP_COPY), c->recover, &err);
        g_assert_false(ok);
        g_assert_nonnull(strstr(err->message, "rig"));
        g_assert_nonnull(strstr(err->message, "Input/output error"));
        g_clear_error(&err);
        g_test_message("%s", c->fault);
        g_assert_cmpuint(vfio_mig_state(m), ==, c->ends_in);
        g_assert_cmpuint(rig.resets, ==, c->resets);
        check_books(&rig);
        rig_clear(&rig);
    }
}

/* A state that cannot be read back counts as ERROR. */
static void test_read_back_fails(void)
{
    VfioMigration *m;
    VfioRig rig;

    rig_init(&rig, SMALL "id=g", 0);
    m = rig_realize(&rig);
    rig.fail_feature[VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE] = EIO;
    rig.fail_feature_left[VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE] = 2;
    g_assert_false(vfio_mig_set_state(m, S(PRE_COPY), S(RUNNING), NULL));
    g_assert_cmpuint(rig.resets, ==, 1);
    g_assert_cmpuint(vfio_mig_state(m), ==, S(RUNNING));
    /* After a reset the driver is told anew that flags are looked at. */
    g_assert_cmpuint(rig.infov2_sets, ==, 2);
    rig_clear(&rig);
}

/* A data descriptor that is missing, and one that should not be there. */
static void test_descriptors(void)
{
    Error *err = NULL;
    VfioMigration *m;
    VfioRig rig;

    rig_init(&rig, SMALL "id=g", 0);
    m = rig_realize(&rig);
    rig.no_data_fd = true;
    g_assert_false(vfio_mig_set_state(m, S(PRE_COPY), S(RUNNING), &err));
    g_assert_nonnull(strstr(err->message, "no data descriptor"));
    g_clear_error(&err);
    g_assert_cmpuint(vfio_mig_state(m), ==, S(RUNNING));
    rig.no_data_fd = false;
    g_assert_true(vfio_mig_set_state(m, S(PRE_COPY), S(RUNNING), &err));
    rig.extra_data_fd = true;
    g_assert_false(vfio_mig_set_state(m, S(STOP_COPY), S(ERROR), &err));
    g_assert_nonnull(strstr(err->message, "new data descriptor"));
    g_clear_error(&err);
    g_assert_cmpuint(vfio_mig_state(m), ==, S(RUNNING));
    check_books(&rig);
    rig_clear(&rig);
}

/* VFIO_DEVICE_RESET by the guest: it runs, and what was under way is void. */
static void test_guest_resets(void)
{
    Error *err = NULL;
    VfioMigration *m;
    VfioRig rig;

    rig_init(&rig, SMALL "id=g", 0);
    m = rig_realize(&rig);
    g_assert_true(vfio_mig_set_state(m, S(PRE_COPY), S(RUNNING), NULL));
    m->saving = true;
    sim_mig_reset(rig.mig, 0);
    vfio_migration_reset(&rig.vdev);
    check_books(&rig);
    g_assert_false(vfio_mig_check(m, &err));
    g_assert_nonnull(strstr(err->message, "reset"));
    g_clear_error(&err);
    m->saving = false;
    rig_clear(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/spec-6/vfio/states/table", test_table);
    g_test_add_func("/migration/spec-6/vfio/states/every-way",
                    test_every_way);
    g_test_add_func("/migration/spec-6/vfio/states/failures", test_failures);
    g_test_add_func("/migration/spec-6/vfio/states/read-back-fails",
                    test_read_back_fails);
    g_test_add_func("/migration/spec-6/vfio/states/descriptors",
                    test_descriptors);
    g_test_add_func("/migration/spec-6/vfio/states/guest-resets",
                    test_guest_resets);
    return g_test_run();
}
