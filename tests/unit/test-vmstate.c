/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State as tables: the bytes are those that QEMU writes, whatever is saved
 * loads again, and what a stream must not choose it cannot choose.
 */
#include <json-c/json.h>
#include <string.h>

#include "migration-util.h"
#include "migration/vmdesc.h"

/* One struct with a field of every kind. */
typedef struct Inner {
    uint16_t a;
    uint32_t only_if_a_odd;
} Inner;

typedef struct State {
    bool b;
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    uint32_t since_v2;
    uint32_t if_b;
    uint64_t must_equal;
    uint8_t small;              /* at most 20 */
    uint32_t arr[5];
    uint8_t matrix[2][3];
    Inner inner;
    Inner inners[3];
    Inner *inner_ptr;
    uint8_t buf[7];
    uint8_t n_in;               /* of fixed, at most 4 */
    uint16_t fixed[4];
    uint32_t n_ptr;             /* of room, at most 6 */
    uint64_t *room;
    uint16_t n_alloc;           /* of fresh, at most 1000 */
    uint32_t *fresh;
    uint32_t blob_len;          /* of blob, at most 300 */
    uint8_t *blob;
    uint32_t n_structs;         /* at most 10 */
    Inner *structs;
    uint32_t extra;             /* subsection if not 0 */
    VmTimer *timer;
    int loads;
} State;

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

static const VMStateDescription vmstate_all = {
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

static State *state_new(Vm *vm)
{
    State *st = g_new0(State, 1);

    st->inner_ptr = g_new0(Inner, 1);
    st->room = g_new0(uint64_t, 6);
    st->must_equal = 77;
    st->timer = vm_timer_new(vm, VM_CLOCK_VIRTUAL, never, NULL);
    return st;
}

static void state_free(State *st)
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

static void randomise(State *st)
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

static void assert_equal(const State *a, const State *b)
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

/* @opaque as bytes; the description in *desc (may be NULL). */
static GByteArray *save(const VMStateDescription *vmsd, void *opaque,
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

/* Loads; *used is how many bytes that took. */
static bool load(const VMStateDescription *vmsd, void *opaque, int version,
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

static void load_fails(const VMStateDescription *vmsd, void *opaque,
                       int version, const GByteArray *bytes,
                       const char *message)
{
    Error *err = NULL;

    g_assert_false(load(vmsd, opaque, version, bytes, NULL, &err));
    g_assert_nonnull(strstr(err->message, message));
    g_error_free(err);
}

static void test_round_trip(void)
{
    Vm *vm = vm_new();

    vm_lock(vm);
    for (int i = 0; i < 1000; i++) {
        State *a = state_new(vm), *b = state_new(vm);
        g_autoptr(GByteArray) bytes = NULL;
        Error *err = NULL;
        uint64_t used;

        randomise(a);
        if (g_test_rand_bit()) {
            randomise(b);
            b->if_b = b->extra = 0;
            b->inner.only_if_a_odd = b->inner_ptr->only_if_a_odd = 0;
            for (int k = 0; k < 3; k++) {
                b->inners[k].only_if_a_odd = 0;
            }
        }
        bytes = save(&vmstate_all, a, NULL);
        load(&vmstate_all, b, 2, bytes, &used, &err);
        g_assert_no_error(err);
        g_assert_cmpuint(used, ==, bytes->len);
        g_assert_cmpint(b->loads, ==, 2);
        assert_equal(a, b);
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
    randomise(a);
    a->extra = 5;
    bytes = save(&vmstate_all, a, NULL);
    /* whole up to the subsection, which may be missing */
    for (guint len = bytes->len; len-- > 0;) {
        Error *err = NULL;

        g_byte_array_set_size(bytes, len);
        if (!load(&vmstate_all, b, 2, bytes, NULL, &err)) {
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
    randomise(a);
    a->extra = 5;
    bytes = save(&vmstate_all, a, NULL);
    for (guint i = 0; i < bytes->len * 8; i++) {
        State *b = state_new(vm);
        Error *err = NULL;

        bytes->data[i / 8] ^= 1 << i % 8;
        if (load(&vmstate_all, b, 2, bytes, NULL, &err)) {
            g_autoptr(GByteArray) again = save(&vmstate_all, b, NULL);

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

typedef struct Small {
    bool flag;
    uint16_t n;
    uint32_t list[3];
    int32_t neg;
} Small;

static const VMStateDescription vmstate_small = {
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

static void test_wire(void)
{
    Small s = { .flag = true, .n = 2, .list = { 0x11223344, 5, 9 },
                .neg = -2 };
    g_autoptr(GByteArray) bytes = save(&vmstate_small, &s, NULL);

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
    g_assert_true(load(&vmstate_small, &s, 3, bytes, &used, NULL));
    g_assert_cmpuint(used, ==, 7);
    g_assert_cmpuint(s.list[0], ==, 7);
    g_assert_cmpint(s.neg, ==, 42);         /* not in version 3 */
    load_fails(&vmstate_small, &s, 2, bytes, "3 to 4 are accepted");
    load_fails(&vmstate_small, &s, 5, bytes, "3 to 4 are accepted");
    load_fails(&vmstate_small, &s, INT32_MAX, bytes, "3 to 4 are accepted");
    load_fails(&vmstate_small, &s, -1, bytes, "3 to 4 are accepted");
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
    load_fails(&vmstate_small, &s, 4, bytes, "at most 3 are accepted");
    g_assert_cmpuint(s.n, ==, 0);
    g_assert_cmpint(s.neg, ==, 0);
    bytes->data[1] = 0xff;
    load_fails(&vmstate_small, &s, 4, bytes, "'list' has 65284 entries");
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
    bytes = save(&vmstate_all, a, NULL);
    bytes->data[0] = 2;
    load_fails(&vmstate_all, b, 2, bytes, "field 'b': 2 is no bool");

    a->small = 20;
    g_byte_array_unref(bytes);
    bytes = save(&vmstate_all, a, NULL);
    g_assert_true(load(&vmstate_all, b, 2, bytes, NULL, NULL));
    a->small = 21;
    g_byte_array_unref(bytes);
    bytes = save(&vmstate_all, a, NULL);
    load_fails(&vmstate_all, b, 2, bytes, "'small': 21; at most 20");
    g_assert_cmpuint(b->small, ==, 0);

    a->small = 0;
    a->must_equal = 78;
    g_byte_array_unref(bytes);
    bytes = save(&vmstate_all, a, NULL);
    load_fails(&vmstate_all, b, 2, bytes, "has 78, which must equal 77");

    a->must_equal = 77;
    a->u8 = 0xff;
    g_byte_array_unref(bytes);
    bytes = save(&vmstate_all, a, NULL);
    load_fails(&vmstate_all, b, 2, bytes, "u8 is 255");
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
    without = save(&vmstate_all, a, NULL);
    a->extra = 0x01020304;
    with = save(&vmstate_all, a, NULL);
    tail = with->len - without->len;
    g_assert_cmpmem(with->data + without->len, tail,
                    "\5\11all/extra\0\0\0\3\1\2\3\4", 19);
    g_assert_true(load(&vmstate_all, b, 2, with, NULL, NULL));
    g_assert_cmphex(b->extra, ==, 0x01020304);

    /* an older version of it, a newer one, one too old */
    with->data[without->len + 14] = 2;
    g_assert_true(load(&vmstate_all, b, 2, with, NULL, NULL));
    with->data[without->len + 14] = 4;
    load_fails(&vmstate_all, b, 2, with, "version 4 of 'all/extra'");
    with->data[without->len + 14] = 1;
    load_fails(&vmstate_all, b, 2, with, "version 1 of 'all/extra'");
    with->data[without->len + 11] = 0x80;
    load_fails(&vmstate_all, b, 2, with, "of 'all/extra'; 2 to 3");
    with->data[without->len + 11] = 0;
    with->data[without->len + 14] = 3;

    /* twice */
    g_byte_array_append(with, with->data + without->len, tail);
    load_fails(&vmstate_all, b, 2, with, "'all/extra' comes twice");
    g_byte_array_set_size(with, without->len + tail);

    /* unknown here, and somebody else's */
    with->data[without->len + 10] = 'X';
    load_fails(&vmstate_all, b, 2, with, "no subsection 'all/extrX'");
    with->data[without->len + 2] = 'X';
    g_assert_true(load(&vmstate_all, b, 2, with, NULL, NULL));
    state_free(a);
    state_free(b);
    vm_unlock(vm);
    vm_free(vm);
}

/* ---- the description record ---- */

/* Bytes that the fields and subsections of @vmsd say they have. */
static uint64_t described_bytes(struct json_object *vmsd)
{
    struct json_object *list, *val;
    uint64_t bytes = 0;

    g_assert_true(json_object_object_get_ex(vmsd, "fields", &list));
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *field = json_object_array_get_idx(list, i);
        uint64_t times = 1;

        if (json_object_object_get_ex(field, "array_len", &val)) {
            times = json_object_get_uint64(val);
        }
        g_assert_true(json_object_object_get_ex(field, "size", &val));
        bytes += times * json_object_get_uint64(val);
        if (json_object_object_get_ex(field, "struct", &val)) {
            struct json_object *size;

            g_assert_true(json_object_object_get_ex(field, "size", &size));
            g_assert_cmpuint(described_bytes(val), ==,
                             json_object_get_uint64(size));
        }
    }
    if (json_object_object_get_ex(vmsd, "subsections", &list)) {
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            struct json_object *sub = json_object_array_get_idx(list, i);

            g_assert_true(json_object_object_get_ex(sub, "vmsd_name", &val));
            bytes += 1 + 1 + json_object_get_string_len(val) + 4 +
                     described_bytes(sub);
        }
    }
    return bytes;
}

/* The record accounts for every byte, whatever was saved. */
static void test_description(void)
{
    Vm *vm = vm_new();

    vm_lock(vm);
    for (int i = 0; i < 200; i++) {
        State *a = state_new(vm);
        g_autoptr(VMDesc) desc = vmdesc_new();
        g_autoptr(GByteArray) bytes = NULL;
        struct json_object *json;
        size_t len;

        randomise(a);
        vmdesc_object(desc, NULL);
        bytes = save(&vmstate_all, a, desc);
        vmdesc_end(desc);
        json = json_tokener_parse(vmdesc_text(desc, &len));
        g_assert_nonnull(json);
        g_assert_cmpuint(described_bytes(json), ==, bytes->len);
        json_object_put(json);
        state_free(a);
    }
    vm_unlock(vm);
    vm_free(vm);
}

static void test_description_text(void)
{
    Small s = { .n = 2, .list = { 1, 2 } };
    g_autoptr(VMDesc) desc = vmdesc_new();
    g_autoptr(GByteArray) bytes = NULL;
    size_t len;

    vmdesc_object(desc, NULL);
    vmdesc_string(desc, "name", "a\"b\\c\n");
    bytes = save(&vmstate_small, &s, desc);
    vmdesc_end(desc);
    g_assert_cmpstr(vmdesc_text(desc, &len), ==,
        "{\"name\": \"a\\\"b\\\\c\\u000a\", \"vmsd_name\": \"small\", "
        "\"version\": 4, \"fields\": ["
        "{\"name\": \"flag\", \"type\": \"bool\", \"size\": 1}, "
        "{\"name\": \"n\", \"type\": \"uint16\", \"size\": 2}, "
        "{\"name\": \"list\", \"array_len\": 2, \"type\": \"uint32\", "
        "\"size\": 4}, "
        "{\"name\": \"neg\", \"type\": \"int32\", \"size\": 4}]}");
    g_assert_cmpuint(len, ==, strlen(vmdesc_text(desc, &len)));
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
    bytes = save(&vmstate_hooked, &h, NULL);
    g_assert_true(load(&vmstate_hooked, &h, 1, bytes, NULL, NULL));
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
    g_test_add_func("/vmstate/description", test_description);
    g_test_add_func("/vmstate/description-text", test_description_text);
    g_test_add_func("/vmstate/section8/truncated", test_truncated);
    g_test_add_func("/vmstate/section8/flipped", test_flipped);
    g_test_add_func("/vmstate/section8/count-beyond", test_count_beyond);
    g_test_add_func("/vmstate/section8/bad-values", test_bad_values);
    return g_test_run();
}
