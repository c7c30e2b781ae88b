/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hooks of modules beyond "send and load": state behind all others', the
 * last words on both sides, the way out of a wait, and who gets how much of
 * the time.
 */
#include <string.h>

#include "migration-util.h"

typedef struct Live {
    char tag;
    GString *log;               /* what was called, in order */
    char fail_at;               /* the letter of the hook that fails */
    uint32_t fill;              /* what the next one sends beside its word */
    int64_t work_us;            /* in an iterate, */
    int64_t spent_us;           /* ... and in all of them so far */
    unsigned iterates;
    MigIterate answer;
    uint32_t loaded;
} Live;

static bool note(Live *l, char hook, Error **errp)
{
    if (l->log) {
        g_string_append_printf(l->log, "%c%c ", hook, l->tag);
    }
    if (l->fail_at == hook && errp) {
        error_setg(errp, "hook %c of %c fails", hook, l->tag);
        return false;
    }
    return true;
}

static MigIterate live_iterate(MigStream *s, void *opaque, Error **errp)
{
    Live *l = opaque;
    int64_t start = g_get_monotonic_time(), now;

    (void)errp;
    do {
        now = g_get_monotonic_time();
    } while (now < start + l->work_us);
    l->spent_us += now - start;
    mig_put_be32(s, 0);
    while (l->fill) {
        mig_put_u8(s, 0);
        l->fill--;
    }
    l->iterates++;
    return l->answer;
}

static bool live_switchover(void *opaque, Error **errp)
{
    return note(opaque, 's', errp);
}

static bool live_complete(MigStream *s, void *opaque, Error **errp)
{
    mig_put_be32(s, 1);
    return note(opaque, 'c', errp);
}

static bool live_state(MigStream *s, void *opaque, Error **errp)
{
    mig_put_be32(s, 0xfeed);
    return note(opaque, 'f', errp);
}

static void live_interrupt(void *opaque)
{
    note(opaque, 'i', NULL);
}

static bool live_setup(MigStream *s, void *opaque, Error **errp)
{
    (void)opaque;
    (void)errp;
    mig_put_be32(s, 2);
    return true;
}

static bool live_load(MigStream *s, void *opaque, int version_id, Error **errp)
{
    Live *l = opaque;

    (void)version_id;
    return mig_get_be32(s, &l->loaded, errp) && note(l, 'l', errp);
}

static bool live_load_complete(void *opaque, Error **errp)
{
    return note(opaque, 'C', errp);
}

static bool live_take_over(void *opaque, Error **errp)
{
    return note(opaque, 'T', errp);
}

static void live_give_up(void *opaque)
{
    note(opaque, 'G', NULL);
}

static const SaveVMHandlers live_handlers = {
    .kind = MIG_MODULE_VFIO,
    .save_setup = live_setup,
    .save_live_iterate = live_iterate,
    .save_switchover = live_switchover,
    .save_complete = live_complete,
    .save_state = live_state,
    .interrupt = live_interrupt,
    .load_state = live_load,
    .load_complete = live_load_complete,
    .load_take_over = live_take_over,
    .load_give_up = live_give_up,
};

typedef struct Machine {
    TestVm t;
    Live live[2];
} Machine;

static void machine_init(Machine *m, GString *log)
{
    memset(m, 0, sizeof(*m));
    test_vm_init(&m->t, 0);
    vm_lock(m->t.vm);
    for (int i = 0; i < 2; i++) {
        m->live[i] = (Live) { .tag = 'a' + i, .log = log,
                              .answer = MIG_ITERATE_DONE };
        savevm_register_live(m->t.vm, i ? "b" : "a", 0, 1, &live_handlers,
                             &m->live[i]);
    }
    vm_unlock(m->t.vm);
}

static void machine_clear(Machine *m)
{
    vm_lock(m->t.vm);
    savevm_unregister_live(m->t.vm, "a", &m->live[0]);
    savevm_unregister_live(m->t.vm, "b", &m->live[1]);
    vm_unlock(m->t.vm);
    test_vm_clear(&m->t);
}

/* ---- there ---- */

static void test_order(void)
{
    g_autoptr(GString) log = g_string_new(NULL);
    g_autoptr(GByteArray) bytes = NULL;
    Machine src, dst;
    Error *err = NULL;

    machine_init(&src, log);
    bytes = test_save(&src.t, &test_config);
    g_assert_cmpstr(log->str, ==, "ca cb fa fb ");
    g_string_truncate(log, 0);
    machine_init(&dst, log);
    test_load(&dst.t, &test_config, bytes->data, bytes->len, &err);
    g_assert_no_error(err);
    g_assert_cmpstr(log->str, ==, "la lb la lb la lb la lb Ca Cb ");
    g_assert_cmpuint(dst.live[1].loaded, ==, 0xfeed);
    machine_clear(&dst);
    machine_clear(&src);
}

/* One that does not take it: those before it are told. */
static void test_complete_fails(void)
{
    g_autoptr(GString) log = g_string_new(NULL);
    g_autoptr(GByteArray) bytes = NULL;
    Machine src, dst;
    Error *err = NULL;

    machine_init(&src, NULL);
    bytes = test_save(&src.t, &test_config);
    machine_init(&dst, log);
    dst.live[1].fail_at = 'C';
    g_assert_false(test_load(&dst.t, &test_config, bytes->data, bytes->len,
                             &err));
    g_assert_nonnull(strstr(err->message, "'b'"));
    g_assert_nonnull(strstr(err->message, "hook C of b fails"));
    g_clear_error(&err);
    g_assert_true(g_str_has_suffix(log->str, "Ca Cb Ga "));
    machine_clear(&dst);
    machine_clear(&src);
}

static void test_take_over(void)
{
    g_autoptr(GString) log = g_string_new(NULL);
    g_autoptr(GByteArray) bytes = NULL;
    Machine src, dst;
    Error *err = NULL;

    machine_init(&src, NULL);
    bytes = test_save(&src.t, &test_config);
    for (int fails = 0; fails < 2; fails++) {
        g_autoptr(IoChannel) ch = test_channel(bytes->data, bytes->len);
        MigStream *s = mig_stream_new_input(ch);
        LoadVM *lv;

        machine_init(&dst, log);
        dst.live[1].fail_at = fails ? 'T' : 0;
        lv = loadvm_new(dst.t.vm, s, &test_config, &test_load_ops, NULL);
        g_assert_true(loadvm_run(lv, &err));
        g_string_truncate(log, 0);
        vm_lock(dst.t.vm);
        g_assert_cmpint(loadvm_take_over(lv, &err), ==, !fails);
        g_assert_cmpint(err != NULL, ==, fails);
        g_clear_error(&err);
        if (fails) {
            loadvm_give_up(lv);
        }
        loadvm_free(lv);
        vm_unlock(dst.t.vm);
        g_assert_cmpstr(log->str, ==, fails ? "Ta Tb Ga Gb " : "Ta Tb ");
        mig_stream_free(s);
        machine_clear(&dst);
    }
    machine_clear(&src);
}

static void test_switchover(void)
{
    g_autoptr(IoChannel) ch = io_channel_new_buffer();
    MigStream *s = mig_stream_new_output(ch, clock_host());
    g_autoptr(GString) log = g_string_new(NULL);
    Machine src;
    Error *err = NULL;
    SaveVM *sv;

    machine_init(&src, log);
    sv = savevm_new(src.t.vm, s, &test_config);
    vm_lock(src.t.vm);
    g_assert_true(savevm_write_header(sv, NULL) && savevm_setup(sv, NULL));
    g_assert_true(savevm_check_switchover(sv, &err));
    src.live[0].fail_at = 's';
    g_assert_false(savevm_check_switchover(sv, &err));
    g_assert_nonnull(strstr(err->message, "section 'a'"));
    g_clear_error(&err);
    savevm_interrupt(src.t.vm);
    g_assert_cmpstr(log->str, ==, "sa sb sa ia ib ");
    savevm_cleanup(sv);
    vm_unlock(src.t.vm);
    savevm_free(sv);
    mig_stream_free(s);
    machine_clear(&src);
}

/* ---- a stream that is wrong ---- */

static void put_live(GByteArray *b, uint8_t type, uint32_t id,
                     const char *name, uint32_t val)
{
    if (type == QEMU_VM_SECTION_START || type == QEMU_VM_SECTION_FULL) {
        put_start(b, type, id, name, 0, 1);
    } else {
        put8(b, type);
        put32(b, id);
    }
    put32(b, val);
    put_footer(b, id);
}

typedef struct Step {
    uint8_t type;
    uint32_t id;
} Step;

static const struct {
    Step steps[6];
    const char *pattern;
} wrong[] = {
    { { { QEMU_VM_SECTION_FULL, 1 } }, "*'a'*before the section's end*" },
    { { { QEMU_VM_SECTION_START, 1 }, { QEMU_VM_SECTION_FULL, 1 } },
      "*'a'*before the section's end*" },
    { { { QEMU_VM_SECTION_START, 1 }, { QEMU_VM_SECTION_END, 1 },
        { QEMU_VM_SECTION_FULL, 2 } }, "*'a'*began as id 1*" },
    { { { QEMU_VM_SECTION_START, 1 }, { QEMU_VM_SECTION_END, 1 },
        { QEMU_VM_SECTION_FULL, 1 }, { QEMU_VM_SECTION_FULL, 1 } },
      "*'a'*comes twice*" },
    { { { QEMU_VM_SECTION_START, 1 }, { QEMU_VM_SECTION_END, 1 },
        { QEMU_VM_SECTION_FULL, 1 }, { QEMU_VM_SECTION_PART, 1 } },
      "*'a'*after the section's end*" },
    { { { QEMU_VM_SECTION_START, 1 }, { QEMU_VM_SECTION_END, 1 } },
      "*without the end of section 'a'*" },
};

static void test_hostile(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GByteArray) b = g_byte_array_new();
        Machine dst;

        machine_init(&dst, NULL);
        put_header(b);
        for (const Step *s = wrong[i].steps; s->type; s++) {
            put_live(b, s->type, s->id, "a", 0);
        }
        put8(b, QEMU_VM_EOF);
        test_load_fails(&dst.t, b->data, b->len, wrong[i].pattern);
        machine_clear(&dst);
    }
}

/* ---- sharing the time ---- */

/* What a migration does before it iterates, and after it has ended. */
static void saving_begins(Machine *src, SaveVM *sv)
{
    vm_lock(src->t.vm);
    g_assert_true(savevm_write_header(sv, NULL) && savevm_setup(sv, NULL));
    vm_unlock(src->t.vm);
}

static void saving_ends(Machine *src, SaveVM *sv, MigStream *s)
{
    vm_lock(src->t.vm);
    savevm_cleanup(sv);
    vm_unlock(src->t.vm);
    savevm_free(sv);
    mig_stream_free(s);
    machine_clear(src);
}

/* A module whose every turn takes 50 ms leaves as much to one of 1 ms. */
static void test_fair(void)
{
    g_autoptr(IoChannel) ch = io_channel_new_buffer();
    MigStream *s = mig_stream_new_output(ch, clock_host());
    Machine src;
    Live *slow, *quick;
    SaveVM *sv;

    machine_init(&src, NULL);
    slow = &src.live[0];
    quick = &src.live[1];
    slow->work_us = 50000;
    quick->work_us = 1000;
    slow->answer = quick->answer = MIG_ITERATE_MORE;
    sv = savevm_new(src.t.vm, s, &test_config);
    saving_begins(&src, sv);
    while (slow->iterates < 6) {
        g_assert_cmpint(savevm_iterate(sv, NULL), ==, MIG_ITERATE_MORE);
    }
    /* Up to a turn of it, and what it may be ahead. */
    g_assert_cmpint(quick->spent_us, >=, slow->spent_us / 2);
    /* Alone it has all of the time again. */
    quick->answer = MIG_ITERATE_DONE;
    while (savevm_iterate(sv, NULL), slow->iterates < 7) {
    }
    quick->iterates = slow->iterates = 0;
    for (int i = 0; i < 3; i++) {
        g_assert_cmpint(savevm_iterate(sv, NULL), ==, MIG_ITERATE_MORE);
    }
    g_assert_cmpuint(slow->iterates, ==, 3);
    /* Who had nothing to send has not saved time up. */
    quick->answer = MIG_ITERATE_MORE;
    slow->iterates = 0;
    quick->spent_us = slow->spent_us = 0;
    while (slow->iterates < 3) {
        savevm_iterate(sv, NULL);
    }
    g_assert_cmpint(quick->spent_us, <, slow->spent_us * 2);
    saving_ends(&src, sv, s);
}

/* What is enough for a rate comes alone. */
static void test_one_at_a_time(void)
{
    g_autoptr(IoChannel) ch = io_channel_new_buffer();
    MigStream *s = mig_stream_new_output(ch, clock_host());
    Machine src;
    SaveVM *sv;

    machine_init(&src, NULL);
    sv = savevm_new(src.t.vm, s, &test_config);
    saving_begins(&src, sv);
    for (unsigned i = 0; i < 2; i++) {
        src.live[i].fill = 100000;
    }
    for (unsigned i = 1; i <= 2; i++) {
        g_assert_cmpint(savevm_iterate(sv, NULL), ==, MIG_ITERATE_MORE);
        g_assert_true(savevm_turn_ended(sv));
        g_assert_cmpuint(src.live[0].iterates + src.live[1].iterates, ==, i);
    }
    g_assert_cmpuint(src.live[0].fill + src.live[1].fill, ==, 0);
    g_assert_cmpint(savevm_iterate(sv, NULL), ==, MIG_ITERATE_DONE);
    g_assert_cmpuint(src.live[0].iterates + src.live[1].iterates, ==, 4);
    /* The turn of one that has more goes on. */
    src.live[0].answer = src.live[1].answer = MIG_ITERATE_MORE;
    savevm_iterate(sv, NULL);
    g_assert_false(savevm_turn_ended(sv));
    saving_ends(&src, sv, s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/savevm/live/order", test_order);
    g_test_add_func("/savevm/live/complete-fails", test_complete_fails);
    g_test_add_func("/savevm/live/take-over", test_take_over);
    g_test_add_func("/savevm/live/switchover", test_switchover);
    g_test_add_func("/savevm/live/hostile", test_hostile);
    g_test_add_func("/savevm/live/fair", test_fair);
    g_test_add_func("/savevm/live/one-at-a-time", test_one_at_a_time);
    return g_test_run();
}
