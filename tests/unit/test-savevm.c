/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sections: what a machine writes is QEMU's stream, and loads again. The
 * registry is safe while it is asked.
 */
#include <json-c/json.h>
#include <string.h>

#include "savevm-machine.h"
#include "timing.h"
#include "util/thread.h"

/* ---- there and back ---- */

static void test_round_trip(void)
{
    Machine src, dst;
    g_autoptr(GByteArray) bytes = NULL;
    g_autoptr(GString) order = g_string_new(NULL);
    Error *err = NULL;

    machine_init(&src);
    machine_init(&dst);
    machine_fill(&src);
    dst.dev[0] = (Dev) { .tag = 'a', .log = order };
    dst.dev[1] = (Dev) { .tag = 'b', .log = order };
    dst.cpu = (Dev) { .tag = 'c', .log = order };
    dst.irqchip = (Dev) { .tag = 'i', .log = order };
    bytes = test_save(&src.t, &test_config);
    test_load(&dst.t, &test_config, bytes->data, bytes->len, &err);
    g_assert_no_error(err);

    /* by priority, then by registration */
    g_assert_cmpstr(order->str, ==, "icab");
    g_assert_cmpuint(dst.dev[0].val, ==, 1);
    g_assert_cmpuint(dst.dev[0].list[3], ==, 4);
    g_assert_cmpuint(dst.dev[1].val, ==, 2);
    g_assert_cmpuint(dst.dev[1].extra, ==, 0x55);
    g_assert_cmpuint(dst.cpu.val, ==, 3);
    g_assert_cmpuint(dst.irqchip.list[1], ==, 6);
    g_assert_true(memcmp(src.t.rb->host, dst.t.rb->host,
                         4 * GUEST_PAGE_SIZE) == 0);

    /* and once more, over what is there now */
    test_load(&dst.t, &test_config, bytes->data, bytes->len, &err);
    g_assert_no_error(err);
    machine_clear(&src);
    machine_clear(&dst);
}

/* The bytes of a device's section, as QEMU writes them. */
static void test_wire(void)
{
    TestVm t;
    Dev d = { .val = 0x01020304, .n = 1, .list = { 0x0506 }, .extra = 7 };
    g_autoptr(GByteArray) bytes = NULL;
    g_autoptr(GByteArray) want = g_byte_array_new();
    struct json_object *json, *list, *val;

    test_vm_init(&t, 0);
    vm_lock(t.vm);
    reg(&t, "0000:00:01.0/dev", &vmstate_dev, &d);
    vm_unlock(t.vm);
    bytes = test_save(&t, &test_config);

    put_header(want);
    put_start(want, 0x04, 1, "0000:00:01.0/dev", 0, 2);
    put32(want, 0x01020304);
    put8(want, 1);
    put16(want, 0x0506);
    put8(want, 0x05);
    put_str(want, "dev/extra");
    put32(want, 1);
    put32(want, 7);
    put_footer(want, 1);
    put8(want, 0x00);
    put8(want, 0x06);
    g_assert_cmpuint(bytes->len, >, want->len + 4);
    g_assert_cmpmem(bytes->data, want->len, want->data, want->len);

    /* the description's length is exact, and it is JSON */
    g_assert_cmpuint(bytes->data[want->len + 2] << 8 |
                     bytes->data[want->len + 3], ==,
                     bytes->len - want->len - 4);
    put8(bytes, 0);
    json = json_tokener_parse((char *)bytes->data + want->len + 4);
    g_assert_nonnull(json);
    g_assert_true(json_object_object_get_ex(json, "page_size", &val));
    g_assert_cmpint(json_object_get_int(val), ==, 4096);
    g_assert_true(json_object_object_get_ex(json, "configuration", &val));
    g_assert_true(json_object_object_get_ex(json, "devices", &list));
    g_assert_cmpuint(json_object_array_length(list), ==, 1);
    json_object_put(json);
    test_vm_clear(&t);
}

/* What QEMU 7.2 wrote for this configuration. */
static const uint8_t qemu_configuration[] =
    "QEVM\0\0\0\3\7\0\0\0\4virt"
    "\5\x1a" "configuration/capabilities\0\0\0\1\0\0\0\1\xfx-ignore-shared"
    "\5\x12" "configuration/uuid\0\0\0\1\1\2\3\4\5\6\7\10\11\12\13\14\15\16"
    "\17\20";

static const char *const shared[] = { "x-ignore-shared" };
static const uint8_t uuid[16] = { 1, 2, 3, 4, 5, 6, 7, 8,
                                  9, 10, 11, 12, 13, 14, 15, 16 };
static const uint8_t uuid2[16] = { 1, 2, 3 };

static void test_configuration(void)
{
    SaveVMConfig config = {
        .machine = "virt", .uuid = uuid, .validate_uuid = true,
        .capabilities = shared, .num_capabilities = 1,
    };
    TestVm t;
    g_autoptr(GByteArray) bytes = NULL;

    test_vm_init(&t, 0);
    bytes = test_save(&t, &config);
    g_assert_cmpmem(bytes->data, sizeof(qemu_configuration) - 1,
                    qemu_configuration, sizeof(qemu_configuration) - 1);
    g_assert_true(test_load(&t, &config, bytes->data, bytes->len, NULL));

    /* not sent unless asked for */
    config.validate_uuid = false;
    config.num_capabilities = 0;
    g_byte_array_unref(bytes);
    bytes = test_save(&t, &config);
    g_assert_cmpuint(bytes->data[17], ==, 0);
    test_vm_clear(&t);
}

static void config_fails(const SaveVMConfig *there, const SaveVMConfig *here,
                         const char *pattern)
{
    TestVm t;
    g_autoptr(GByteArray) bytes = NULL;
    Error *err = NULL;

    test_vm_init(&t, 0);
    bytes = test_save(&t, there);
    if (pattern) {
        g_assert_false(test_load(&t, here, bytes->data, bytes->len, &err));
        g_assert_true(g_pattern_match_simple(pattern, err->message));
        g_error_free(err);
    } else {
        test_load(&t, here, bytes->data, bytes->len, &err);
        g_assert_no_error(err);
    }
    test_vm_clear(&t);
}

static void test_disagreement(void)
{
    SaveVMConfig plain = { .machine = "virt" };
    SaveVMConfig other = { .machine = "virt2" };
    SaveVMConfig with_shared = { .machine = "virt", .capabilities = shared,
                                 .num_capabilities = 1 };
    SaveVMConfig with_uuid = { .machine = "virt", .uuid = uuid,
                               .validate_uuid = true };
    SaveVMConfig with_uuid2 = { .machine = "virt", .uuid = uuid2 };

    config_fails(&plain, &other, "*section 'configuration'*'virt'*'virt2'*");
    config_fails(&other, &plain, "*'virt2'*'virt'*");
    config_fails(&with_shared, &plain, "*'x-ignore-shared' is off at the "
                 "destination*");
    config_fails(&plain, &with_shared, "*'x-ignore-shared' is off at the "
                 "source*");
    config_fails(&with_uuid, &with_uuid2, "*01020304-0506-0708-090a-"
                 "0b0c0d0e0f10*01020300-*");
    config_fails(&with_uuid, &with_uuid, NULL);
    config_fails(&with_uuid, &plain, NULL);     /* nothing to compare */
    config_fails(&with_uuid2, &with_uuid, NULL);    /* not sent */
}

/* ---- commands ---- */

static void test_commands(void)
{
    TestVm t;
    IoChannel *ch = io_channel_new_buffer();
    MigStream *out, *in;
    SaveVM *sv;
    LoadVM *lv;
    unsigned seen[2] = { 0, 0 };
    const uint8_t *data;
    Error *err = NULL;
    size_t len;

    test_vm_init(&t, 0);
    out = mig_stream_new_output(ch, clock_host());
    sv = savevm_new(t.vm, out, &test_config);
    vm_lock(t.vm);
    g_assert_true(savevm_write_header(sv, NULL));
    g_assert_true(savevm_send_open_return_path(sv, NULL));
    g_assert_true(savevm_send_ping(sv, 0xcafe, NULL));
    g_assert_true(savevm_setup(sv, NULL));
    g_assert_true(savevm_complete_live(sv, NULL));
    g_assert_true(savevm_save_devices(sv, NULL, NULL));
    g_assert_true(savevm_write_end(sv, NULL));
    savevm_cleanup(sv);
    vm_unlock(t.vm);
    data = io_channel_buffer_data(ch, &len);
    g_assert_cmpmem(data + 17, len - 17,
                    "\x08\0\1\0\0" "\x08\0\2\0\4\0\0\xca\xfe" "\0", 15);

    in = mig_stream_new_input(ch);
    lv = loadvm_new(t.vm, in, &test_config, &test_load_ops, seen);
    loadvm_run(lv, &err);
    g_assert_no_error(err);
    g_assert_cmpuint(seen[0], ==, 1);
    g_assert_cmphex(seen[1], ==, 0xcafe);
    g_assert_true(loadvm_read_description(lv, NULL));   /* there is none */
    vm_lock(t.vm);
    loadvm_free(lv);
    vm_unlock(t.vm);
    savevm_free(sv);
    mig_stream_free(in);
    mig_stream_free(out);
    io_channel_unref(ch);
    test_vm_clear(&t);
}

/* ---- the registry ---- */

static void test_register(void)
{
    TestVm t;
    Dev d[4];
    uint32_t got;
    Error *err = NULL;
    g_autofree char *name = g_strnfill(256, 'x');

    test_vm_init(&t, 0);
    vm_lock(t.vm);
    g_assert_true(vmstate_register(t.vm, NULL, SAVEVM_INSTANCE_ANY,
                                   &vmstate_dev, &d[0], &got, NULL));
    g_assert_cmpuint(got, ==, 0);
    g_assert_true(vmstate_register(t.vm, NULL, 7, &vmstate_dev, &d[1], &got,
                                   NULL));
    g_assert_true(vmstate_register(t.vm, NULL, SAVEVM_INSTANCE_ANY,
                                   &vmstate_dev, &d[2], &got, NULL));
    g_assert_cmpuint(got, ==, 8);
    g_assert_false(vmstate_register(t.vm, NULL, 7, &vmstate_dev, &d[3], NULL,
                                    &err));
    g_assert_nonnull(strstr(err->message, "'dev' instance 7"));
    g_clear_error(&err);
    g_assert_false(vmstate_register(t.vm, name, 0, &vmstate_dev, &d[3], NULL,
                                    &err));
    g_assert_nonnull(strstr(err->message, "256 bytes"));
    g_clear_error(&err);
    g_assert_true(savevm_check_migratable(t.vm, NULL));
    reg(&t, "rock", &vmstate_stuck, &d[3]);
    g_assert_false(savevm_check_migratable(t.vm, &err));
    g_assert_nonnull(strstr(err->message, "'rock'"));
    g_clear_error(&err);
    vmstate_unregister(t.vm, &vmstate_stuck, &d[3]);
    g_assert_true(savevm_check_migratable(t.vm, NULL));
    vmstate_unregister(t.vm, &vmstate_stuck, &d[3]);    /* nothing */
    vm_unlock(t.vm);
    test_vm_clear(&t);
}

/* A module that the test leads. */
typedef struct Mod {
    Vm *vm;
    MigPendingData says;
    bool unregister_in_query;
    bool block_in_query;
    int in_query;               /* atomic */
    int go_on;                  /* atomic */
    unsigned setups, cleanups, iterates, completes;
    MigIterate answer;
    unsigned fail_at;           /* 1: set-up, 2: iterate, 3: complete */
    size_t chunk;
} Mod;

static bool mod_setup(MigStream *s, void *opaque, Error **errp)
{
    Mod *m = opaque;

    m->setups++;
    mig_put_be32(s, 0x11111111);
    if (m->fail_at == 1) {
        error_setg(errp, "set-up went wrong");
        return false;
    }
    return true;
}

static void mod_cleanup(void *opaque)
{
    ((Mod *)opaque)->cleanups++;
}

static void mod_query(void *opaque, MigPendingData *p, bool exact)
{
    Mod *m = opaque;

    (void)exact;
    __atomic_store_n(&m->in_query, 1, __ATOMIC_SEQ_CST);
    while (m->block_in_query &&
           !__atomic_load_n(&m->go_on, __ATOMIC_SEQ_CST)) {
        g_usleep(100);
    }
    mig_pending_add(p, m->says.precopy_bytes, m->says.postcopy_bytes,
                    m->says.stopcopy_bytes);
    if (m->unregister_in_query) {
        savevm_unregister_live(m->vm, "mod", m);
    }
    __atomic_store_n(&m->in_query, 2, __ATOMIC_SEQ_CST);
}

static MigIterate mod_iterate(MigStream *s, void *opaque, Error **errp)
{
    Mod *m = opaque;
    g_autofree uint8_t *data = g_malloc0(m->chunk);

    m->iterates++;
    mig_put_be32(s, 0x22222222);
    mig_put_buffer(s, data, m->chunk);
    if (m->fail_at == 2) {
        error_setg(errp, "iterating went wrong");
        return MIG_ITERATE_ERROR;
    }
    return m->answer;
}

static bool mod_complete(MigStream *s, void *opaque, Error **errp)
{
    Mod *m = opaque;

    m->completes++;
    mig_put_be32(s, 0x33333333);
    if (m->fail_at == 3) {
        error_setg(errp, "completing went wrong");
        return false;
    }
    return true;
}

static const SaveVMHandlers mod_handlers = {
    .save_setup = mod_setup,
    .save_cleanup = mod_cleanup,
    .save_query_pending = mod_query,
    .save_live_iterate = mod_iterate,
    .save_complete = mod_complete,
};

/* An outgoing side with some modules, at the step after set-up. */
typedef struct Out {
    TestVm t;
    IoChannel *ch;
    MigStream *s;
    SaveVM *sv;
    GArray *modules;
} Out;

static void out_init(Out *o, Mod *mods, unsigned n, bool set_up)
{
    test_vm_init(&o->t, 0);
    o->ch = io_channel_new_buffer();
    o->s = mig_stream_new_output(o->ch, clock_host());
    o->sv = savevm_new(o->t.vm, o->s, &test_config);
    o->modules = g_array_new(FALSE, FALSE, sizeof(SaveVMModule));
    vm_lock(o->t.vm);
    for (unsigned i = 0; i < n; i++) {
        mods[i].vm = o->t.vm;
        savevm_register_live(o->t.vm, "mod", SAVEVM_INSTANCE_ANY, 1,
                             &mod_handlers, &mods[i]);
    }
    if (set_up) {
        g_assert_true(savevm_write_header(o->sv, NULL));
        g_assert_true(savevm_setup(o->sv, NULL));
    }
    vm_unlock(o->t.vm);
}

static void out_clear(Out *o)
{
    vm_lock(o->t.vm);
    savevm_cleanup(o->sv);
    vm_unlock(o->t.vm);
    savevm_free(o->sv);
    mig_stream_free(o->s);
    io_channel_unref(o->ch);
    g_array_free(o->modules, TRUE);
    test_vm_clear(&o->t);
}

static SaveVMModule *answer(Out *o, unsigned i)
{
    return &g_array_index(o->modules, SaveVMModule, i);
}

/* Section 1: a driver may report anything; sums saturate. */
static void test_query_saturates(void)
{
    Mod mods[2] = {
        { .says = { UINT64_MAX, UINT64_MAX, UINT64_MAX, 0 } },
        { .says = { 1, 2, 3, 0 } },
    };
    Out o;

    out_init(&o, mods, 2, true);
    savevm_query_pending(o.sv, true, o.modules);
    g_assert_cmpuint(o.modules->len, ==, 2);
    g_assert_cmpuint(answer(&o, 0)->pending.precopy_bytes, ==, UINT64_MAX);
    g_assert_cmpuint(answer(&o, 0)->pending.total_bytes, ==, UINT64_MAX);
    g_assert_cmpuint(answer(&o, 0)->instance, ==, 0);
    g_assert_cmpuint(answer(&o, 1)->pending.total_bytes, ==, 6);
    g_assert_cmpuint(answer(&o, 1)->instance, ==, 1);
    g_assert_cmpuint(answer(&o, 1)->sent_bytes, >, 4);
    out_clear(&o);
}

/* Section 1: before set-up and after clean-up, zeros and no call. */
static void test_query_outside(void)
{
    Mod mod = { .says = { 5, 5, 5, 0 } };
    Out o;

    out_init(&o, &mod, 1, false);
    savevm_query_pending(o.sv, true, o.modules);
    g_assert_cmpuint(answer(&o, 0)->pending.total_bytes, ==, 0);
    g_assert_cmpint(mod.in_query, ==, 0);
    vm_lock(o.t.vm);
    g_assert_true(savevm_write_header(o.sv, NULL));
    g_assert_true(savevm_setup(o.sv, NULL));
    savevm_cleanup(o.sv);
    vm_unlock(o.t.vm);
    savevm_query_pending(o.sv, true, o.modules);
    g_assert_cmpuint(answer(&o, 0)->pending.total_bytes, ==, 0);
    g_assert_cmpint(mod.in_query, ==, 0);
    g_assert_cmpuint(mod.cleanups, ==, 1);
    out_clear(&o);
    g_assert_cmpuint(mod.cleanups, ==, 1);      /* once */
}

/* A module that comes when the others are set up already gives zeros. */
static void test_query_newcomer(void)
{
    Mod mods[2] = { { .says = { 1, 0, 0, 0 } }, { .says = { 9, 9, 9, 0 } } };
    Out o;

    out_init(&o, mods, 1, true);
    vm_lock(o.t.vm);
    savevm_register_live(o.t.vm, "mod", SAVEVM_INSTANCE_ANY, 1, &mod_handlers,
                         &mods[1]);
    vm_unlock(o.t.vm);
    savevm_query_pending(o.sv, false, o.modules);
    g_assert_cmpuint(o.modules->len, ==, 2);
    g_assert_cmpuint(answer(&o, 0)->pending.total_bytes, ==, 1);
    g_assert_cmpuint(answer(&o, 1)->pending.total_bytes, ==, 0);
    out_clear(&o);
    g_assert_cmpuint(mods[1].cleanups, ==, 0);
}

static void test_unregister_in_query(void)
{
    Mod mods[3] = { { .says = { 1, 0, 0, 0 } },
                    { .says = { 2, 0, 0, 0 }, .unregister_in_query = true },
                    { .says = { 4, 0, 0, 0 } } };
    Out o;

    out_init(&o, mods, 3, true);
    savevm_query_pending(o.sv, true, o.modules);
    g_assert_cmpuint(o.modules->len, ==, 3);
    g_assert_cmpuint(answer(&o, 2)->pending.total_bytes, ==, 4);
    savevm_query_pending(o.sv, true, o.modules);
    g_assert_cmpuint(o.modules->len, ==, 2);
    out_clear(&o);
    g_assert_cmpuint(mods[1].cleanups, ==, 0);
}

static gpointer query_thread(gpointer opaque)
{
    Out *o = opaque;

    savevm_query_pending(o->sv, true, o->modules);
    return NULL;
}

/* Unregistering waits for the query, and does not keep the big lock. */
static void test_unregister_waits(void)
{
    Mod mod = { .says = { 1, 0, 0, 0 }, .block_in_query = true };
    Out o;
    GThread *thread;

    out_init(&o, &mod, 1, true);
    thread = thread_start("query", query_thread, &o);
    while (__atomic_load_n(&mod.in_query, __ATOMIC_SEQ_CST) == 0) {
        g_usleep(100);
    }
    __atomic_store_n(&mod.go_on, 1, __ATOMIC_SEQ_CST);
    vm_lock(o.t.vm);
    savevm_unregister_live(o.t.vm, "mod", &mod);
    g_assert_cmpint(__atomic_load_n(&mod.in_query, __ATOMIC_SEQ_CST), ==, 2);
    g_assert_true(vm_locked(o.t.vm));
    vm_unlock(o.t.vm);
    g_thread_join(thread);
    out_clear(&o);
}

static gpointer churn_thread(gpointer opaque)
{
    Out *o = opaque;
    Mod mod = { .vm = o->t.vm };

    for (int i = 0; i < 2000; i++) {
        vm_lock(o->t.vm);
        savevm_register_live(o->t.vm, "churn", 0, 1, &mod_handlers, &mod);
        savevm_unregister_live(o->t.vm, "churn", &mod);
        vm_unlock(o->t.vm);
    }
    return NULL;
}

static void test_query_races(void)
{
    Mod mod = { .says = { 1, 0, 0, 0 } };
    Out o;
    GThread *thread;

    out_init(&o, &mod, 1, true);
    thread = thread_start("churn", churn_thread, &o);
    for (int i = 0; i < 2000; i++) {
        savevm_query_pending(o.sv, false, o.modules);
        g_assert_cmpuint(answer(&o, 0)->pending.total_bytes, ==, 1);
    }
    g_thread_join(thread);
    out_clear(&o);
}

/* Section 1: the fast answer costs less than a microsecond a module. */
static void test_query_cost(void)
{
    enum { MODULES = 50, ROUNDS = 2000 };
    Mod *mods = g_new0(Mod, MODULES);
    Out o;
    gint64 start, best = INT64_MAX;

    out_init(&o, mods, MODULES, true);
    for (int i = 0; i < ROUNDS; i++) {
        start = g_get_monotonic_time();
        savevm_query_pending(o.sv, false, o.modules);
        best = MIN(best, g_get_monotonic_time() - start);
    }
    if (TIMING_COUNTS) {
        g_assert_cmpint(best, <, MODULES);
    }
    out_clear(&o);
    g_free(mods);
}

/* ---- iterating ---- */

static void test_iterate(void)
{
    Mod mods[2] = { { .answer = MIG_ITERATE_DONE },
                    { .answer = MIG_ITERATE_MORE } };
    Out o;

    out_init(&o, mods, 2, true);
    g_assert_cmpint(savevm_iterate(o.sv, NULL), ==, MIG_ITERATE_MORE);
    mods[1].answer = MIG_ITERATE_DONE;
    g_assert_cmpint(savevm_iterate(o.sv, NULL), ==, MIG_ITERATE_DONE);
    g_assert_cmpuint(mods[0].iterates, ==, 2);
    g_assert_cmpuint(mods[1].iterates, ==, 2);
    out_clear(&o);
}

/* A rate that is used up by one module does not starve the other. */
static void test_iterate_rate(void)
{
    Mod mods[2] = { { .answer = MIG_ITERATE_MORE, .chunk = 20000 },
                    { .answer = MIG_ITERATE_MORE, .chunk = 20000 } };
    Out o;

    out_init(&o, mods, 2, true);
    mig_stream_set_rate_limit(o.s, 150000);     /* 15000 a window */
    for (int i = 0; i < 6; i++) {
        g_assert_cmpint(savevm_iterate(o.sv, NULL), ==, MIG_ITERATE_MORE);
        g_assert_true(mig_stream_rate_exceeded(o.s));
        g_usleep(mig_stream_rate_wait_ns(o.s) / 1000 + 1000);
    }
    g_assert_cmpuint(mods[0].iterates, ==, 3);
    g_assert_cmpuint(mods[1].iterates, ==, 3);
    out_clear(&o);
}

/* Section 8: an error of a module says which, and clean-up comes for all. */
static void test_module_errors(void)
{
    for (unsigned at = 1; at <= 3; at++) {
        Mod mods[2] = { { .answer = MIG_ITERATE_DONE },
                        { .answer = MIG_ITERATE_DONE, .fail_at = at } };
        Error *err = NULL;
        Out o;
        bool ok;

        out_init(&o, mods, 2, false);
        vm_lock(o.t.vm);
        ok = savevm_write_header(o.sv, NULL) && savevm_setup(o.sv, &err);
        vm_unlock(o.t.vm);
        ok = ok && savevm_iterate(o.sv, &err) == MIG_ITERATE_DONE;
        vm_lock(o.t.vm);
        ok = ok && savevm_complete_live(o.sv, &err);
        vm_unlock(o.t.vm);
        g_assert_false(ok);
        g_assert_true(g_pattern_match_simple(
            "section 'mod' instance 1: *went wrong", err->message));
        g_error_free(err);
        out_clear(&o);
        g_assert_cmpuint(mods[0].cleanups, ==, 1);
        g_assert_cmpuint(mods[1].cleanups, ==, 1);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/savevm/wire", test_wire);
    g_test_add_func("/savevm/configuration", test_configuration);
    g_test_add_func("/savevm/disagreement", test_disagreement);
    g_test_add_func("/savevm/round-trip", test_round_trip);
    g_test_add_func("/savevm/commands", test_commands);
    g_test_add_func("/savevm/register", test_register);
    g_test_add_func("/savevm/section1/saturates", test_query_saturates);
    g_test_add_func("/savevm/section1/outside", test_query_outside);
    g_test_add_func("/savevm/section1/newcomer", test_query_newcomer);
    g_test_add_func("/savevm/section1/unregister-in-query",
                    test_unregister_in_query);
    g_test_add_func("/savevm/section1/unregister-waits",
                    test_unregister_waits);
    g_test_add_func("/savevm/section1/races", test_query_races);
    g_test_add_func("/savevm/section1/cost", test_query_cost);
    g_test_add_func("/savevm/iterate", test_iterate);
    g_test_add_func("/savevm/iterate-rate", test_iterate_rate);
    g_test_add_func("/savevm/section8/module-errors", test_module_errors);
    return g_test_run();
}
