/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State as tables: the bytes are those that QEMU writes, whatever is saved
 * loads again, and what a stream must not choose it cannot choose.
 */
#include <string.h>

#include "migration-util.h"
#include "vmstate-states.h"

static void test_round_trip(void)
{
    Vm *vm = vm_new();

    vm_lock(vm);
    for (int i = 0; i < 1000; i++) {
        State *a = state_new(vm), *b = state_new(vm);
        g_autoptr(GByteArray) bytes = NULL;
        Error *err = NULL;
        uint64_t used;

        state_randomise(a);
        if (g_test_rand_bit()) {
            state_randomise(b);
            b->if_b = b->extra = 0;
            b->inner.only_if_a_odd = b->inner_ptr->only_if_a_odd = 0;
            for (int k = 0; k < 3; k++) {
                b->inners[k].only_if_a_odd = 0;
            }
        }
        bytes = state_save(&vmstate_all, a, NULL);
        state_load(&vmstate_all, b, 2, bytes, &used, &err);
        g_assert_no_error(err);
        g_assert_cmpuint(used, ==, bytes->len);
        g_assert_cmpint(b->loads, ==, 2);
        state_assert_equal(a, b);
        state_free(a);
        state_free(b);
    }
    vm_unlock(vm);
    vm_free(vm);
}

/* Cut anywhere: an error, no crash, counts within their maximum. */
static void test_truncated(void)
{
    Vm *vm = vm_new();
    State *a = state_new(vm), *b = state_new(vm);
    g_autoptr(GByteArray) bytes = NULL;

    vm_lock(vm);
    state_randomise(a);
    a->extra = 5;
    bytes = state_save(&vmstate_all, a, NULL);
    /* whole up to the subsection, which may be missing */
    for (guint len = bytes->len; len-- > 0;) {
        Error *err = NULL;

        g_byte_array_set_size(bytes, len);
        if (!state_load(&vmstate_all, b, 2, bytes, NULL, &err)) {
            g_assert_nonnull(strstr(err->message, "the stream ended"));
            g_error_free(err);
        }
        g_assert_cmpuint(b->n_alloc, <=, 1000);
        g_assert_cmpuint(b->blob_len, <=, 300);
        g_assert_cmpuint(b->n_structs, <=, 10);
    }
    state_free(a);
    state_free(b);
    vm_unlock(vm);
    vm_free(vm);
}

/* Each bit flipped: loads or fails, and what it leaves can be saved. */
static void test_flipped(void)
{
    Vm *vm = vm_new();
    State *a = state_new(vm);
    g_autoptr(GByteArray) bytes = NULL;

    vm_lock(vm);
    state_randomise(a);
    a->extra = 5;
    bytes = state_save(&vmstate_all, a, NULL);
    for (guint i = 0; i < bytes->len * 8; i++) {
        State *b = state_new(vm);
        Error *err = NULL;

        bytes->data[i / 8] ^= 1 << i % 8;
        if (state_load(&vmstate_all, b, 2, bytes, NULL, &err)) {
            g_autoptr(GByteArray) again = state_save(&vmstate_all, b, NULL);

            g_assert_cmpuint(again->len, >, 0);
        } else {
            g_assert_nonnull(err);
            g_error_free(err);
        }
        bytes->data[i / 8] ^= 1 << i % 8;
        state_free(b);
    }
    state_free(a);
    vm_unlock(vm);
    vm_free(vm);
}

static void test_wire(void)
{
    Small s = { .flag = true, .n = 2, .list = { 0x11223344, 5, 9 },
                .neg = -2 };
    g_autoptr(GByteArray) bytes = state_save(&vmstate_small, &s, NULL);

    g_assert_cmpmem(bytes->data, bytes->len,
                    "\1" "\0\2" "\x11\x22\x33\x44" "\0\0\0\5"
                    "\xff\xff\xff\xfe", 15);
}

static void test_versions(void)
{
    Small s = { .neg = 42 };
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    uint64_t used;

    put8(bytes, 1);
    put16(bytes, 1);
    put32(bytes, 7);
    g_assert_true(state_load(&vmstate_small, &s, 3, bytes, &used, NULL));
    g_assert_cmpuint(used, ==, 7);
    g_assert_cmpuint(s.list[0], ==, 7);
    g_assert_cmpint(s.neg, ==, 42);         /* not in version 3 */
    state_load_fails(&vmstate_small, &s, 2, bytes, "3 to 4 are accepted");
    state_load_fails(&vmstate_small, &s, 5, bytes, "3 to 4 are accepted");
    state_load_fails(&vmstate_small, &s, INT32_MAX, bytes,
                     "3 to 4 are accepted");
    state_load_fails(&vmstate_small, &s, -1, bytes, "3 to 4 are accepted");
}

static void test_count_beyond(void)
{
    Small s = { 0 };
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    IoChannel *ch = io_channel_new_buffer();
    MigStream *out = mig_stream_new_output(ch, clock_host());
    Error *err = NULL;

    put8(bytes, 0);
    put16(bytes, 4);
    for (int i = 0; i < 8; i++) {
        put32(bytes, 0x41414141);
    }
    state_load_fails(&vmstate_small, &s, 4, bytes, "at most 3 are accepted");
    g_assert_cmpuint(s.n, ==, 0);
    g_assert_cmpint(s.neg, ==, 0);
    bytes->data[1] = 0xff;
    state_load_fails(&vmstate_small, &s, 4, bytes, "'list' has 65284 entries");
    g_assert_cmpuint(s.n, ==, 0);

    s.n = 4;        /* a device with a bug: saving refuses it */
    g_assert_false(vmstate_save(out, &vmstate_small, &s, NULL, &err));
    g_assert_nonnull(strstr(err->message, "at most 3"));
    g_error_free(err);
    mig_stream_free(out);
    io_channel_unref(ch);
}

static void test_bad_values(void)
{
    Vm *vm = vm_new();
    State *a = state_new(vm), *b = state_new(vm);
    g_autoptr(GByteArray) bytes = NULL;

    vm_lock(vm);
    bytes = state_save(&vmstate_all, a, NULL);
    bytes->data[0] = 2;
    state_load_fails(&vmstate_all, b, 2, bytes, "field 'b': 2 is no bool");

    a->small = 20;
    g_byte_array_unref(bytes);
    bytes = state_save(&vmstate_all, a, NULL);
    g_assert_true(state_load(&vmstate_all, b, 2, bytes, NULL, NULL));
    a->small = 21;
    g_byte_array_unref(bytes);
    bytes = state_save(&vmstate_all, a, NULL);
    state_load_fails(&vmstate_all, b, 2, bytes, "'small': 21; at most 20");
    g_assert_cmpuint(b->small, ==, 0);

    a->small = 0;
    a->must_equal = 78;
    g_byte_array_unref(bytes);
    bytes = state_save(&vmstate_all, a, NULL);
    state_load_fails(&vmstate_all, b, 2, bytes, "has 78, which must equal 77");

    a->must_equal = 77;
    a->u8 = 0xff;
    g_byte_array_unref(bytes);
    bytes = state_save(&vmstate_all, a, NULL);
    state_load_fails(&vmstate_all, b, 2, bytes, "u8 is 255");
    state_free(a);
    state_free(b);
    vm_unlock(vm);
    vm_free(vm);
}

/* ---- subsections ---- */

static void test_subsections(void)
{
    Vm *vm = vm_new();
    State *a = state_new(vm), *b = state_new(vm);
    g_autoptr(GByteArray) with = NULL;
    g_autoptr(GByteArray) without = NULL;
    guint tail;

    vm_lock(vm);
    without = state_save(&vmstate_all, a, NULL);
    a->extra = 0x01020304;
    with = state_save(&vmstate_all, a, NULL);
    tail = with->len - without->len;
    g_assert_cmpmem(with->data + without->len, tail,
                    "\5\11all/extra\0\0\0\3\1\2\3\4", 19);
    g_assert_true(state_load(&vmstate_all, b, 2, with, NULL, NULL));
    g_assert_cmphex(b->extra, ==, 0x01020304);

    /* an older version of it, a newer one, one too old */
    with->data[without->len + 14] = 2;
    g_assert_true(state_load(&vmstate_all, b, 2, with, NULL, NULL));
    with->data[without->len + 14] = 4;
    state_load_fails(&vmstate_all, b, 2, with, "version 4 of 'all/extra'");
    with->data[without->len + 14] = 1;
    state_load_fails(&vmstate_all, b, 2, with, "version 1 of 'all/extra'");
    with->data[without->len + 11] = 0x80;
    state_load_fails(&vmstate_all, b, 2, with, "of 'all/extra'; 2 to 3");
    with->data[without->len + 11] = 0;
    with->data[without->len + 14] = 3;

    /* twice */
    g_byte_array_append(with, with->data + without->len, tail);
    state_load_fails(&vmstate_all, b, 2, with, "'all/extra' comes twice");
    g_byte_array_set_size(with, without->len + tail);

    /* unknown here, and somebody else's */
    with->data[without->len + 10] = 'X';
    state_load_fails(&vmstate_all, b, 2, with, "no subsection 'all/extrX'");
    with->data[without->len + 2] = 'X';
    g_assert_true(state_load(&vmstate_all, b, 2, with, NULL, NULL));
    state_free(a);
    state_free(b);
    vm_unlock(vm);
    vm_free(vm);
}

/* ---- hooks ---- */

static char hook_log[200];

static bool log_pre_save(void *opaque, Error **errp)
{
    (void)opaque;
    (void)errp;
    g_strlcat(hook_log, "pre_save ", sizeof(hook_log));
    return true;
}

static void log_post_save(void *opaque)
{
    (void)opaque;
    g_strlcat(hook_log, "post_save ", sizeof(hook_log));
}

static bool log_pre_load(void *opaque, Error **errp)
{
    (void)opaque;
    (void)errp;
    g_strlcat(hook_log, "pre_load ", sizeof(hook_log));
    return true;
}

static bool log_inner_post_load(void *opaque, int version_id, Error **errp)
{
    (void)opaque;
    (void)version_id;
    (void)errp;
    g_strlcat(hook_log, "inner ", sizeof(hook_log));
    return true;
}

static bool log_post_load(void *opaque, int version_id, Error **errp)
{
    (void)opaque;
    (void)version_id;
    (void)errp;
    g_strlcat(hook_log, "outer ", sizeof(hook_log));
    return true;
}

typedef struct Hooked {
    Inner in;
} Hooked;

static const VMStateDescription vmstate_hooked_inner = {
    .name = "hooked-inner",
    .version_id = 1,
    .post_load = log_inner_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT16(a, Inner),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_hooked = {
    .name = "hooked",
    .version_id = 1,
    .pre_save = log_pre_save,
    .post_save = log_post_save,
    .pre_load = log_pre_load,
    .post_load = log_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_STRUCT(in, Hooked, vmstate_hooked_inner, Inner),
        VMSTATE_END_OF_LIST()
    },
};

static bool fail_pre_save(void *opaque, Error **errp)
{
    (void)opaque;
    error_setg(errp, "no");
    return false;
}

static const VMStateDescription vmstate_unsaveable = {
    .name = "unsaveable",
    .version_id = 1,
    .pre_save = fail_pre_save,
    .post_save = log_post_save,
};

static void test_hooks(void)
{
    Hooked h = { .in = { .a = 5 } };
    g_autoptr(GByteArray) bytes = NULL;
    IoChannel *ch = io_channel_new_buffer();
    MigStream *s = mig_stream_new_output(ch, clock_host());
    Error *err = NULL;

    hook_log[0] = '\0';
    bytes = state_save(&vmstate_hooked, &h, NULL);
    g_assert_true(state_load(&vmstate_hooked, &h, 1, bytes, NULL, NULL));
    g_assert_cmpstr(hook_log, ==,
                    "pre_save post_save pre_load inner outer ");
    g_assert_false(vmstate_save(s, &vmstate_unsaveable, &h, NULL, &err));
    g_assert_cmpstr(err->message, ==, "saving 'unsaveable': no");
    g_error_free(err);
    mig_stream_free(s);
    io_channel_unref(ch);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmstate/wire", test_wire);
    g_test_add_func("/vmstate/round-trip", test_round_trip);
    g_test_add_func("/vmstate/versions", test_versions);
    g_test_add_func("/vmstate/subsections", test_subsections);
    g_test_add_func("/vmstate/hooks", test_hooks);
    g_test_add_func("/vmstate/section8/truncated", test_truncated);
    g_test_add_func("/vmstate/section8/flipped", test_flipped);
    g_test_add_func("/vmstate/section8/count-beyond", test_count_beyond);
    g_test_add_func("/vmstate/section8/bad-values", test_bad_values);
    return g_test_run();
}
