/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Channels of multifd with what a source never sends. Each field of a head and
 * of a beginning, one at a time; and packets where none belongs. Nothing is
 * written outside the block, and the message says what was expected.
 */
#include <string.h>

#include "migration-util.h"
#include "migration/multifd-packet.h"
#include "migration/multifd-recv.h"

#define PAGE GUEST_PAGE_SIZE
#define BLOCK_PAGES 200

/* ---- what a channel says ---- */

static void append_head(GByteArray *b, const MultiFDHead *head)
{
    uint8_t bytes[MULTIFD_HEAD_BYTES];

    multifd_head_put(bytes, head);
    g_byte_array_append(b, bytes, sizeof(bytes));
}

static void append_sync(GByteArray *b, uint64_t num)
{
    MultiFDHead head = { .flags = MULTIFD_FLAG_SYNC, .packet_num = num };

    append_head(b, &head);
}

/* @normal pages full of 0x11, 0x22 and so on from page 1 on, @zero behind. */
static MultiFDHead some_pages(uint32_t normal, uint32_t zero, uint64_t num)
{
    MultiFDHead head = {
        .normal_pages = normal, .zero_pages = zero, .packet_num = num,
        .payload_bytes = normal * PAGE, .block = "ram0",
    };

    for (uint32_t i = 0; i < normal + zero; i++) {
        head.offset[i] = (1 + i) * PAGE;
    }
    return head;
}

static void append_payload(GByteArray *b, uint32_t pages)
{
    uint8_t page[PAGE];

    for (uint32_t i = 0; i < pages; i++) {
        memset(page, 0x11 * (1 + i % 15), sizeof(page));
        g_byte_array_append(b, page, sizeof(page));
    }
}

/* ---- the rig ---- */

typedef struct Rig {
    TestVm t;
    MultiFDRecv *r;
    IoChannel *peer[4];         /* the source's ends */
    unsigned channels;
} Rig;

static void rig_init(Rig *rig, unsigned channels)
{
    MultiFDRecvConfig config = {
        .method = &multifd_method_none, .channels = channels,
        .missing_ns = 50 * 1000 * 1000,
    };
    RamOptions options = { 0 };

    *rig = (Rig) { .channels = channels };
    test_vm_init(&rig->t, BLOCK_PAGES);
    config.vm = rig->t.vm;
    config.ram = rig->t.ram;
    rig->r = multifd_recv_new(&config);
    options.multifd_recv = rig->r;
    vm_lock(rig->t.vm);
    ram_set_options(rig->t.ram, &options);
    vm_unlock(rig->t.vm);
}

static void rig_clear(Rig *rig)
{
    RamOptions none = { 0 };

    vm_lock(rig->t.vm);
    ram_set_options(rig->t.ram, &none);
    vm_unlock(rig->t.vm);
    multifd_recv_free(rig->r);
    for (unsigned i = 0; i < rig->channels; i++) {
        io_channel_unref(rig->peer[i]);
    }
    test_vm_clear(&rig->t);
}

typedef struct Feed {
    IoChannel *ch;
    GByteArray *bytes;
} Feed;

static gpointer feed_main(gpointer opaque)
{
    Feed *f = opaque;

    /* The other side may hang up. */
    io_channel_write_all(f->ch, f->bytes->data, f->bytes->len, NULL);
    io_channel_shutdown(f->ch, IO_SHUTDOWN_WRITE);
    return NULL;
}

/* Adds channel @id, which is about to say @bytes and then ends. */
static GThread *add_channel(Rig *rig, unsigned id, Feed *feed)
{
    MultiFDInit init = { .id = id };
    IoChannel *ends[2];

    g_assert_true(io_channel_new_pair(ends, NULL));
    rig->peer[id] = ends[0];
    g_assert_true(multifd_recv_add(rig->r, ends[1], &init, NULL));
    feed->ch = ends[0];
    return g_thread_new("feed", feed_main, feed);
}

/* Loads with one channel that says @bytes; takes them. */
static bool load_with(Rig *rig, GByteArray *bytes, unsigned flushes,
                      Error **errp)
{
    g_autoptr(GByteArray) stream = multifd_main_stream("ram0", BLOCK_PAGES * PAGE, flushes);
    Feed feed = { .bytes = bytes };
    GThread *thread = add_channel(rig, 0, &feed);
    bool ok = test_load(&rig->t, &test_config, stream->data, stream->len,
                        errp);

    multifd_recv_end(rig->r, NULL);
    g_thread_join(thread);
    g_byte_array_unref(bytes);
    return ok;
}

static void assert_fails(GByteArray *bytes, unsigned flushes,
                         const char *pattern)
{
    Error *err = NULL;
    Rig rig;
    bool ok;

    rig_init(&rig, 1);
    ok = load_with(&rig, bytes, flushes, &err);
    g_assert_false(ok);
    if (!g_pattern_match_simple(pattern, err->message)) {
        g_test_message("'%s' does not match '%s'", err->message, pattern);
        g_test_fail();
    }
    g_error_free(err);
    rig_clear(&rig);
}

/* ---- what is well ---- */

static void test_well(void)
{
    GByteArray *b = g_byte_array_new();
    MultiFDHead head = some_pages(3, 2, 1);
    Error *err = NULL;
    Rig rig;

    append_sync(b, 0);
    append_head(b, &head);
    append_payload(b, 3);
    append_sync(b, 2);
    rig_init(&rig, 1);
    memset(rig.t.rb->host, 0xee, 7 * PAGE);
    load_with(&rig, b, 2, &err);
    g_assert_no_error(err);
    for (unsigned page = 0; page < 7; page++) {
        static const uint8_t want[7] = { 0xee, 0x11, 0x22, 0x33, 0, 0, 0xee };

        for (unsigned i = 0; i < PAGE; i++) {
            g_assert_cmphex(rig.t.rb->host[page * PAGE + i], ==, want[page]);
        }
    }
    rig_clear(&rig);
}

/* A full packet: as many pages as fit. */
static void test_full(void)
{
    GByteArray *b = g_byte_array_new();
    MultiFDHead head = some_pages(MULTIFD_PAGES, 0, 1);
    Error *err = NULL;
    Rig rig;

    append_sync(b, 0);
    append_head(b, &head);
    append_payload(b, MULTIFD_PAGES);
    append_sync(b, 2);
    rig_init(&rig, 1);
    load_with(&rig, b, 2, &err);
    g_assert_no_error(err);
    g_assert_cmphex(rig.t.rb->host[MULTIFD_PAGES * PAGE], ==,
                    0x11 * (1 + (MULTIFD_PAGES - 1) % 15));
    rig_clear(&rig);
}

/* ---- heads ---- */

typedef struct Mutation {
    const char *name;
    unsigned at;                /* byte of the head */
    unsigned width;             /* bytes */
    uint64_t val;
    const char *pattern;
} Mutation;

static const Mutation mutations[] = {
    { "magic", 0, 4, 0x11223345, "*magic 0x11223345; 0x11223344 is expected*" },
    { "version-0", 4, 4, 0, "*version 0; 1 is expected*" },
    { "version-2", 4, 4, 2, "*version 2; 1 is expected*" },
    { "flags-unknown", 8, 4, 0x80000000, "*flags 0x80000000, of which*" },
    { "flags-device-state", 8, 4, 64, "*flags 0x40, of which 0x40*" },
    { "method", 8, 4, 2, "*name compression 1; 0 is expected*" },
    { "pages-alloc-129", 12, 4, 129, "*room for 129 pages*at most 128*" },
    { "pages-alloc-max", 12, 4, UINT32_MAX, "*room for 4294967295 pages*" },
    { "pages-alloc-below", 12, 4, 2, "*3 normal pages in a packet for 2*" },
    { "normal-129", 16, 4, 129, "*129 normal pages in a packet for 128*" },
    { "normal-max", 16, 4, UINT32_MAX, "*4294967295 normal pages*" },
    { "zero-126", 32, 4, 126, "*126 zero pages beside 3 normal*" },
    { "zero-wraps", 32, 4, UINT32_MAX - 2, "*4294967293 zero pages beside 3*" },
    { "payload-less", 20, 4, 4096, "*payload of 4096 bytes for 3 pages*" },
    { "payload-max", 20, 4, UINT32_MAX, "*payload of 4294967295 bytes for 3*" },
    { "number-smaller", 24, 8, 4, "*packet number 4 after 5*" },
    { "name-unknown", 64, 4, 0x72616d31, "*RAM block 'ram1', which*" },
    { "name-empty", 64, 1, 0, "*a RAM block without a name*" },
    { "offset-odd", 320, 8, 4097, "*page at 0x1001*multiple of 4096*" },
    { "offset-end", 320, 8, BLOCK_PAGES * PAGE, "*page at 0xc8000 of*" },
    { "offset-max", 320, 8, UINT64_MAX - PAGE + 1, "*0xfffffffffffff000 of*" },
    { "zero-offset-end", 320 + 3 * 8, 8, BLOCK_PAGES * PAGE,
      "*page at 0xc8000 of*" },
};

static void test_mutation(gconstpointer opaque)
{
    const Mutation *m = opaque;
    GByteArray *b = g_byte_array_new();
    MultiFDHead head = some_pages(3, 2, 6);
    uint8_t *at;

    append_sync(b, 5);
    append_head(b, &head);
    at = b->data + MULTIFD_HEAD_BYTES + m->at;
    for (unsigned i = 0; i < m->width; i++) {
        at[i] = m->val >> 8 * (m->width - 1 - i);
    }
    append_payload(b, 3);
    append_sync(b, 7);
    assert_fails(b, 2, m->pattern);
}

static void test_name_without_end(void)
{
    GByteArray *b = g_byte_array_new();
    MultiFDHead head = some_pages(1, 0, 1);

    append_sync(b, 0);
    append_head(b, &head);
    memset(b->data + MULTIFD_HEAD_BYTES + 64, 'x', MULTIFD_NAME_BYTES);
    assert_fails(b, 2, "*no terminator within its 256 bytes*");
}

/* A number that says nothing, as QEMU 7.2 leaves it in a SYNC packet. */
static void test_payload_without_pages(void)
{
    GByteArray *b = g_byte_array_new();
    MultiFDHead head = { .flags = MULTIFD_FLAG_SYNC, .packet_num = 1,
                         .payload_bytes = 0x1f000, .block = "ram0" };
    Error *err = NULL;
    Rig rig;

    append_sync(b, 0);
    append_head(b, &head);
    head.packet_num = 2;
    append_head(b, &head);
    rig_init(&rig, 1);
    load_with(&rig, b, 3, &err);
    g_assert_no_error(err);
    rig_clear(&rig);
}

/* ---- at the wrong moment ---- */

static void test_pages_before_list(void)
{
    GByteArray *b = g_byte_array_new();
    MultiFDHead head = some_pages(1, 0, 1);

    append_head(b, &head);
    append_payload(b, 1);
    append_sync(b, 2);
    assert_fails(b, 1, "*channel 0, packet 0: 1 pages before the first SYNC*");
}

static void test_pages_behind_last_sync(void)
{
    GByteArray *b = g_byte_array_new();
    MultiFDHead head = some_pages(1, 0, 1);
    Error *err = NULL;
    Rig rig;

    append_sync(b, 0);
    append_head(b, &head);
    append_payload(b, 1);
    rig_init(&rig, 1);
    /* It may come late: then nothing has been touched. */
    if (load_with(&rig, b, 1, &err)) {
        g_assert_cmphex(rig.t.rb->host[PAGE], ==, 0);
    } else {
        g_assert_nonnull(strstr(err->message, "pages behind its last SYNC"));
        g_error_free(err);
    }
    rig_clear(&rig);
}

static void test_flush_without_sync(void)
{
    GByteArray *b = g_byte_array_new();

    append_sync(b, 0);
    assert_fails(b, 2, "*channel 0 ended after 1 packets, and the source's "
                 "flush 2*");
}

static void test_end_in_head(void)
{
    GByteArray *b = g_byte_array_new();

    append_sync(b, 0);
    append_sync(b, 1);
    g_byte_array_set_size(b, b->len - 1);
    assert_fails(b, 2, "*channel 0, packet 1: *");
}

static void test_end_in_payload(void)
{
    GByteArray *b = g_byte_array_new();
    MultiFDHead head = some_pages(3, 0, 1);

    append_sync(b, 0);
    append_head(b, &head);
    append_payload(b, 2);
    assert_fails(b, 2, "*channel 0, packet 1: *ended within the pages*");
}

static void test_channel_missing(void)
{
    g_autoptr(GByteArray) stream = multifd_main_stream("ram0", BLOCK_PAGES * PAGE, 1), b = g_byte_array_new();
    Feed feed = { .bytes = b };
    Error *err = NULL;
    GThread *thread;
    Rig rig;

    append_sync(b, 0);
    rig_init(&rig, 2);
    thread = add_channel(&rig, 1, &feed);
    g_assert_false(test_load(&rig.t, &test_config, stream->data, stream->len,
                             &err));
    g_assert_nonnull(strstr(err->message, "1 of 2 multifd channels have "
                            "come"));
    g_error_free(err);
    g_thread_join(thread);
    rig_clear(&rig);
}

static void test_same_id_twice(void)
{
    MultiFDInit init = { .id = 1 };
    g_autoptr(GByteArray) b = g_byte_array_new();
    Feed feed = { .bytes = b };
    IoChannel *ends[2];
    Error *err = NULL;
    GThread *thread;
    Rig rig;

    rig_init(&rig, 2);
    thread = add_channel(&rig, 1, &feed);
    g_assert_true(io_channel_new_pair(ends, NULL));
    g_assert_false(multifd_recv_add(rig.r, ends[1], &init, &err));
    g_assert_nonnull(strstr(err->message, "a second multifd channel with id "
                            "1"));
    g_error_free(err);
    io_channel_unref(ends[0]);
    g_thread_join(thread);
    rig_clear(&rig);
}

/* ---- the main stream ---- */

static void test_flush_without_capability(void)
{
    g_autoptr(GByteArray) stream = multifd_main_stream("ram0", BLOCK_PAGES * PAGE, 1);
    TestVm t;

    test_vm_init(&t, BLOCK_PAGES);
    test_load_fails(&t, stream->data, stream->len,
                    "*'multifd' is on at the source and off here*");
    test_vm_clear(&t);
}

static void test_no_flush(void)
{
    GByteArray *b = g_byte_array_new();

    append_sync(b, 0);
    assert_fails(b, 0, "*'multifd' is off at the source and on here*");
}

/* ---- the beginning of a channel ---- */

static const uint8_t own_uuid[16] = { 1, 2, 3 };

static void init_fails(unsigned at, uint8_t val, unsigned channels,
                       const char *pattern)
{
    MultiFDInit init = { .id = 0 };
    uint8_t bytes[MULTIFD_INIT_BYTES];
    Error *err = NULL;

    memcpy(init.uuid, own_uuid, sizeof(own_uuid));
    multifd_init_put(bytes, &init);
    bytes[at] = val;
    g_assert_false(multifd_init_get(bytes, own_uuid, channels, &init, &err));
    if (!g_pattern_match_simple(pattern, err->message)) {
        g_test_message("'%s' does not match '%s'", err->message, pattern);
        g_test_fail();
    }
    g_error_free(err);
}

static void test_init(void)
{
    MultiFDInit init = { .id = 254 }, got;
    uint8_t bytes[MULTIFD_INIT_BYTES];

    memcpy(init.uuid, own_uuid, sizeof(own_uuid));
    multifd_init_put(bytes, &init);
    g_assert_true(multifd_init_get(bytes, own_uuid, 255, &got, NULL));
    g_assert_cmpuint(got.id, ==, 254);
    init_fails(3, 0, 2, "magic 0x11223300; 0x11223344 is expected");
    init_fails(7, 2, 2, "version 2; 1 is expected");
    init_fails(8 + 15, 9, 2, "*UUID 01020300-*000009; 01020300-*");
}

/* > where >= was meant accepts one channel more than there is room for. */
static void test_init_id(void)
{
    init_fails(24, 2, 2, "channel id 2; 0 to 1 are accepted*");
    init_fails(24, 1, 1, "channel id 1; 0 to 0 are accepted*");
    init_fails(24, 255, 255, "channel id 255; 0 to 254 are accepted*");
}

/* QEMU's layout, byte for byte. */
static void test_wire(void)
{
    MultiFDHead head = some_pages(2, 1, 0x0102030405060708), got;
    MultiFDInit init = { .id = 7 };
    uint8_t bytes[MULTIFD_HEAD_BYTES];
    g_autoptr(GByteArray) want = g_byte_array_new();

    put32(want, 0x11223344);
    put32(want, 1);
    put32(want, 1);
    put32(want, 128);
    put32(want, 2);
    put32(want, 8192);
    put64(want, 0x0102030405060708);
    put32(want, 1);
    g_byte_array_set_size(want, 64);
    memset(want->data + 36, 0, 28);
    g_byte_array_append(want, (const guint8 *)"ram0", 4);
    g_byte_array_set_size(want, 1344);
    memset(want->data + 68, 0, 1344 - 68);
    want->data[320 + 6] = 0x10;
    want->data[328 + 6] = 0x20;
    want->data[336 + 6] = 0x30;
    head.flags = MULTIFD_FLAG_SYNC;
    multifd_head_put(bytes, &head);
    g_assert_cmpmem(bytes, sizeof(bytes), want->data, want->len);
    g_assert_true(multifd_head_get(bytes, 0, &got, NULL));
    g_assert_cmpuint(got.packet_num, ==, head.packet_num);
    g_assert_cmpuint(got.offset[2], ==, 3 * PAGE);

    multifd_init_put(bytes, &init);
    g_byte_array_set_size(want, 64);
    memset(want->data + 8, 0, 56);
    want->data[24] = 7;
    g_assert_cmpmem(bytes, 64, want->data, 64);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/multifd-packet/well", test_well);
    g_test_add_func("/migration/multifd-packet/full", test_full);
    g_test_add_func("/migration/multifd-packet/wire", test_wire);
    for (unsigned i = 0; i < G_N_ELEMENTS(mutations); i++) {
        g_autofree char *path = g_strdup_printf(
            "/migration/spec-8/multifd-packet/%s", mutations[i].name);

        g_test_add_data_func(path, &mutations[i], test_mutation);
    }
#define SPEC_8(_name, _func) \
    g_test_add_func("/migration/spec-8/multifd-packet/" _name, _func)
    SPEC_8("name-without-end", test_name_without_end);
    g_test_add_func("/migration/multifd-packet/payload-without-pages",
                    test_payload_without_pages);
    SPEC_8("pages-before-list", test_pages_before_list);
    SPEC_8("pages-behind-last-sync", test_pages_behind_last_sync);
    SPEC_8("flush-without-sync", test_flush_without_sync);
    SPEC_8("end-in-head", test_end_in_head);
    SPEC_8("end-in-payload", test_end_in_payload);
    SPEC_8("channel-missing", test_channel_missing);
    SPEC_8("same-id-twice", test_same_id_twice);
    SPEC_8("flush-without-capability", test_flush_without_capability);
    SPEC_8("no-flush", test_no_flush);
    SPEC_8("init", test_init);
    SPEC_8("init-id", test_init_id);
    return g_test_run();
}
