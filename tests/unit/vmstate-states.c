/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See vmstate-states.h. */
#include <string.h>

#include "migration-util.h"
#include "vmstate-states.h"

static bool a_is_odd(void *opaque, int version_id)
{
    (void)version_id;
    return ((Inner *)opaque)->a & 1;
}

static const VMStateDescription vmstate_inner = {
    .name = "inner",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT16(a, Inner),
        VMSTATE_UINT32_TEST(only_if_a_odd, Inner, a_is_odd),
        VMSTATE_END_OF_LIST()
    },
};

static bool b_is_set(void *opaque, int version_id)
{
    (void)version_id;
    return ((State *)opaque)->b;
}

static bool extra_needed(void *opaque)
{
    return ((State *)opaque)->extra != 0;
}

static const VMStateDescription vmstate_extra = {
    .name = "all/extra",
    .version_id = 3,
    .minimum_version_id = 2,
    .needed = extra_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(extra, State),
        VMSTATE_END_OF_LIST()
    },
};

static bool all_post_load(void *opaque, int version_id, Error **errp)
{
    State *st = opaque;

    st->loads = version_id;
    if (st->u8 == 0xff) {
        error_setg(errp, "u8 is 255");
        return false;
    }
    return true;
}

const VMStateDescription vmstate_all = {
    .name = "all",
    .version_id = 2,
    .minimum_version_id = 1,
    .post_load = all_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(b, State),
        VMSTATE_INT8(i8, State),
        VMSTATE_INT16(i16, State),
        VMSTATE_INT32(i32, State),
        VMSTATE_INT64(i64, State),
        VMSTATE_UINT8(u8, State),
        VMSTATE_UINT16(u16, State),
        VMSTATE_UINT32(u32, State),
        VMSTATE_UINT64(u64, State),
        VMSTATE_UINT32_V(since_v2, State, 2),
        VMSTATE_UINT32_TEST(if_b, State, b_is_set),
        VMSTATE_UINT64_EQUAL(must_equal, State),
        VMSTATE_UINT8_LIMIT(small, State, 20),
        VMSTATE_UINT32_ARRAY(arr, State, 5),
        VMSTATE_UINT8_2DARRAY(matrix, State, 2, 3),
        VMSTATE_UNUSED(3),
        VMSTATE_STRUCT(inner, State, vmstate_inner, Inner),
        VMSTATE_STRUCT_ARRAY(inners, State, 3, 0, vmstate_inner, Inner),
        VMSTATE_STRUCT_POINTER(inner_ptr, State, vmstate_inner, Inner),
        VMSTATE_BUFFER(buf, State),
        VMSTATE_UINT8(n_in, State),
        VMSTATE_VARRAY(fixed, State, n_in, 4, 0, vmstate_info_uint16,
                       uint16_t),
        VMSTATE_UINT32(n_ptr, State),
        VMSTATE_VARRAY_PTR(room, State, n_ptr, 6, 0, vmstate_info_uint64,
                           uint64_t),
        VMSTATE_UINT16(n_alloc, State),
        VMSTATE_VARRAY_ALLOC(fresh, State, n_alloc, 1000, 0,
                             vmstate_info_uint32, uint32_t),
        VMSTATE_UINT32(blob_len, State),
        VMSTATE_VBUFFER_ALLOC(blob, State, blob_len, 300, 0),
        VMSTATE_UINT32(n_structs, State),
        VMSTATE_STRUCT_VARRAY_ALLOC(structs, State, n_structs, 10, 0,
                                    vmstate_inner, Inner),
        VMSTATE_TIMER_PTR(timer, State),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription *const[]) {
        &vmstate_extra,
        NULL
    },
};

static void never(void *opaque)
{
    (void)opaque;
}

State *state_new(Vm *vm)
{
    State *st = g_new0(State, 1);

    st->inner_ptr = g_new0(Inner, 1);
    st->room = g_new0(uint64_t, 6);
    st->must_equal = 77;
    st->timer = vm_timer_new(vm, VM_CLOCK_VIRTUAL, never, NULL);
    return st;
}

void state_free(State *st)
{
    vm_timer_free(st->timer);
    g_free(st->inner_ptr);
    g_free(st->room);
    g_free(st->fresh);
    g_free(st->blob);
    g_free(st->structs);
    g_free(st);
}

static void randomise_bytes(void *p, size_t len)
{
    uint8_t *bytes = p;

    for (size_t i = 0; i < len; i++) {
        bytes[i] = g_test_rand_int();
    }
}

static void randomise_inner(Inner *in)
{
    in->a = g_test_rand_int();
    in->only_if_a_odd = in->a & 1 ? g_test_rand_int() : 0;
}

void state_randomise(State *st)
{
    randomise_bytes(&st->i8, offsetof(State, must_equal) -
                             offsetof(State, i8));
    st->b = g_test_rand_bit();
    st->if_b = st->b ? g_test_rand_int() : 0;
    st->u8 %= 255;
    st->small = g_test_rand_int_range(0, 21);
    randomise_bytes(st->arr, sizeof(st->arr));
    randomise_bytes(st->matrix, sizeof(st->matrix));
    randomise_bytes(st->buf, sizeof(st->buf));
    randomise_inner(&st->inner);
    randomise_inner(st->inner_ptr);
    for (int i = 0; i < 3; i++) {
        randomise_inner(&st->inners[i]);
    }
    st->n_in = g_test_rand_int_range(0, 5);
    randomise_bytes(st->fixed, st->n_in * sizeof(st->fixed[0]));
    st->n_ptr = g_test_rand_int_range(0, 7);
    randomise_bytes(st->room, st->n_ptr * sizeof(st->room[0]));
    st->n_alloc = g_test_rand_int_range(0, 1001);
    g_free(st->fresh);
    st->fresh = g_new0(uint32_t, st->n_alloc);
    randomise_bytes(st->fresh, st->n_alloc * sizeof(st->fresh[0]));
    st->blob_len = g_test_rand_int_range(0, 301);
    g_free(st->blob);
    st->blob = g_malloc0(st->blob_len);
    randomise_bytes(st->blob, st->blob_len);
    st->n_structs = g_test_rand_int_range(0, 11);
    g_free(st->structs);
    st->structs = g_new0(Inner, st->n_structs);
    for (uint32_t i = 0; i < st->n_structs; i++) {
        randomise_inner(&st->structs[i]);
    }
    st->extra = g_test_rand_bit() ? g_test_rand_int() | 1 : 0;
    if (g_test_rand_bit()) {
        vm_timer_mod(st->timer, (int64_t)(uint32_t)g_test_rand_int() << 20);
    } else {
        vm_timer_del(st->timer);
    }
}

static void assert_inner_equal(const Inner *a, const Inner *b)
{
    g_assert_cmpuint(a->a, ==, b->a);
    g_assert_cmpuint(a->only_if_a_odd, ==, b->only_if_a_odd);
}

void state_assert_equal(const State *a, const State *b)
{
    g_assert_true(a->b == b->b);
    g_assert_cmpint(a->i8, ==, b->i8);
    g_assert_cmpint(a->i16, ==, b->i16);
    g_assert_cmpint(a->i32, ==, b->i32);
    g_assert_cmpint(a->i64, ==, b->i64);
    g_assert_cmpuint(a->u8, ==, b->u8);
    g_assert_cmpuint(a->u16, ==, b->u16);
    g_assert_cmpuint(a->u32, ==, b->u32);
    g_assert_cmpuint(a->u64, ==, b->u64);
    g_assert_cmpuint(a->since_v2, ==, b->since_v2);
    g_assert_cmpuint(a->if_b, ==, b->if_b);
    g_assert_cmpuint(a->small, ==, b->small);
    g_assert_true(memcmp(a->arr, b->arr, sizeof(a->arr)) == 0);
    g_assert_true(memcmp(a->matrix, b->matrix, sizeof(a->matrix)) == 0);
    g_assert_true(memcmp(a->buf, b->buf, sizeof(a->buf)) == 0);
    assert_inner_equal(&a->inner, &b->inner);
    assert_inner_equal(a->inner_ptr, b->inner_ptr);
    for (int i = 0; i < 3; i++) {
        assert_inner_equal(&a->inners[i], &b->inners[i]);
    }
    g_assert_cmpuint(a->n_in, ==, b->n_in);
    g_assert_true(memcmp(a->fixed, b->fixed,
                         a->n_in * sizeof(a->fixed[0])) == 0);
    g_assert_cmpuint(a->n_ptr, ==, b->n_ptr);
    g_assert_true(memcmp(a->room, b->room,
                         a->n_ptr * sizeof(a->room[0])) == 0);
    g_assert_cmpmem(a->fresh, a->n_alloc * sizeof(a->fresh[0]),
                    b->fresh, b->n_alloc * sizeof(b->fresh[0]));
    g_assert_cmpmem(a->blob, a->blob_len, b->blob, b->blob_len);
    g_assert_cmpuint(a->n_structs, ==, b->n_structs);
    for (uint32_t i = 0; i < a->n_structs; i++) {
        assert_inner_equal(&a->structs[i], &b->structs[i]);
    }
    g_assert_cmpuint(a->extra, ==, b->extra);
    g_assert_true(vm_timer_pending(a->timer) == vm_timer_pending(b->timer));
    g_assert_cmpint(vm_timer_deadline(a->timer), ==,
                    vm_timer_deadline(b->timer));
}

GByteArray *state_save(const VMStateDescription *vmsd, void *opaque,
                       VMDesc *desc)
{
    IoChannel *ch = io_channel_new_buffer();
    MigStream *s = mig_stream_new_output(ch, clock_host());
    GByteArray *bytes = g_byte_array_new();
    const uint8_t *data;
    Error *err = NULL;
    size_t len;

    vmstate_save(s, vmsd, opaque, desc, &err);
    g_assert_no_error(err);
    g_assert_true(mig_stream_flush(s, NULL));
    data = io_channel_buffer_data(ch, &len);
    g_byte_array_append(bytes, data, len);
    mig_stream_free(s);
    io_channel_unref(ch);
    return bytes;
}

bool state_load(const VMStateDescription *vmsd, void *opaque, int version,
                const GByteArray *bytes, uint64_t *used, Error **errp)
{
    IoChannel *ch = test_channel(bytes->data, bytes->len);
    MigStream *s = mig_stream_new_input(ch);
    bool ok = vmstate_load(s, vmsd, opaque, version, errp);

    if (used) {
        *used = mig_stream_offset(s);
    }
    mig_stream_free(s);
    io_channel_unref(ch);
    return ok;
}

void state_load_fails(const VMStateDescription *vmsd, void *opaque,
                      int version, const GByteArray *bytes,
                      const char *message)
{
    Error *err = NULL;

    g_assert_false(state_load(vmsd, opaque, version, bytes, NULL, &err));
    g_assert_nonnull(strstr(err->message, message));
    g_error_free(err);
}

const VMStateDescription vmstate_small = {
    .name = "small",
    .version_id = 4,
    .minimum_version_id = 3,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(flag, Small),
        VMSTATE_UINT16(n, Small),
        VMSTATE_VARRAY(list, Small, n, 3, 0, vmstate_info_uint32, uint32_t),
        VMSTATE_INT32_V(neg, Small, 4),
        VMSTATE_END_OF_LIST()
    },
};
