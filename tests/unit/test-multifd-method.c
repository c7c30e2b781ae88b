/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The payloads of multifd: what is unpacked is what was packed, at each level,
 * packet after packet; and payloads that were tampered with.
 */
#include <string.h>

#include "io/channel.h"
#include "migration/multifd-method.h"
#include "system/memory.h"

#define PAGE GUEST_PAGE_SIZE

typedef struct Method {
    const char *name;
    const MultiFDMethod *method;
    int max_level;
} Method;

static const Method methods[] = {
    { "none", &multifd_method_none, 0 },
    { "zlib", &multifd_method_zlib, 9 },
    { "zstd", &multifd_method_zstd, 20 },
};

typedef struct Pages {
    uint8_t *mem;
    uint8_t *page[MULTIFD_PAGES];
} Pages;

static void pages_init(Pages *p)
{
    p->mem = g_aligned_alloc0(MULTIFD_PAGES, PAGE, PAGE);
    for (unsigned i = 0; i < MULTIFD_PAGES; i++) {
        /* Not in the order of memory. */
        p->page[i] = p->mem + (i ^ 5) * PAGE;
    }
}

static void pages_clear(Pages *p)
{
    g_aligned_free(p->mem);
}

/* Text, noise, zeros, and more of what was there. */
static void fill(Pages *p, GRand *rand)
{
    for (unsigned i = 0; i < MULTIFD_PAGES; i++) {
        uint32_t what = g_rand_int(rand);

        for (unsigned k = 0; k < PAGE; k++) {
            switch (what % 4) {
            case 0:
                p->page[i][k] = g_rand_int(rand);
                break;
            case 1:
                p->page[i][k] = "the godwit flies far "[k % 21];
                break;
            case 2:
                p->page[i][k] = 0;
                break;
            default:
                break;
            }
        }
    }
}

typedef struct Pair {
    const MultiFDMethod *m;
    void *send, *recv;
} Pair;

static Pair pair_new(const MultiFDMethod *m, int level)
{
    Pair p = { .m = m };

    if (m->send_new) {
        p.send = m->send_new(level, NULL);
        p.recv = m->recv_new(NULL);
        g_assert_true(p.send && p.recv);
    }
    return p;
}

static void pair_clear(Pair *p)
{
    if (p->m->send_new) {
        p->m->send_free(p->send);
        p->m->recv_free(p->recv);
    }
}

/* The payload of the first @num pages. */
static GByteArray *pack(Pair *p, Pages *from, unsigned num)
{
    struct iovec iov[MULTIFD_PAGES];
    GByteArray *b = g_byte_array_new();
    unsigned count = 0;
    uint32_t bytes = 0;
    Error *err = NULL;

    p->m->pack(p->send, from->page, num, iov, &count, &bytes, &err);
    g_assert_no_error(err);
    for (unsigned i = 0; i < count; i++) {
        g_byte_array_append(b, iov[i].iov_base, iov[i].iov_len);
    }
    g_assert_cmpuint(b->len, ==, bytes);
    return b;
}

static bool unpack(Pair *p, const GByteArray *b, uint32_t bytes, Pages *to,
                   unsigned num, Error **errp)
{
    g_autoptr(IoChannel) ch = io_channel_new_buffer();

    g_assert_true(io_channel_write_all(ch, b->data, b->len, NULL));
    return p->m->unpack(p->recv, ch, bytes, to->page, num, errp);
}

static void test_round_trip(gconstpointer opaque)
{
    const Method *m = opaque;
    GRand *rand = g_rand_new_with_seed(7);
    Pages from, to;

    pages_init(&from);
    pages_init(&to);
    for (int level = 0; level <= m->max_level; level++) {
        Pair p = pair_new(m->method, level);

        for (unsigned n = 0; n < 12; n++) {
            unsigned num = n < 2 ? MULTIFD_PAGES
                                 : 1 + g_rand_int(rand) % MULTIFD_PAGES;
            g_autoptr(GByteArray) b = NULL;
            Error *err = NULL;

            fill(&from, rand);
            b = pack(&p, &from, num);
            unpack(&p, b, b->len, &to, num, &err);
            g_assert_no_error(err);
            for (unsigned i = 0; i < num; i++) {
                g_assert_cmpmem(to.page[i], PAGE, from.page[i], PAGE);
            }
        }
        pair_clear(&p);
    }
    pages_clear(&from);
    pages_clear(&to);
    g_rand_free(rand);
}

/* Nothing but noise: it becomes larger, and still fits. */
static void test_noise(gconstpointer opaque)
{
    const Method *m = opaque;
    Pages from, to;

    pages_init(&from);
    pages_init(&to);
    for (unsigned i = 0; i < MULTIFD_PAGES * PAGE; i++) {
        from.mem[i] = g_test_rand_int();
    }
    for (int level = 0; level <= m->max_level; level += 3) {
        Pair p = pair_new(m->method, level);
        g_autoptr(GByteArray) b = pack(&p, &from, MULTIFD_PAGES);

        g_assert_true(unpack(&p, b, b->len, &to, MULTIFD_PAGES, NULL));
        g_assert_cmpmem(to.mem, MULTIFD_PAGES * PAGE, from.mem,
                        MULTIFD_PAGES * PAGE);
        pair_clear(&p);
    }
    pages_clear(&from);
    pages_clear(&to);
}

/* The good payload of @num pages, for a pair of its own. */
static GByteArray *good(Pair *p, const Method *m, Pages *from, unsigned num)
{
    GRand *rand = g_rand_new_with_seed(3);
    GByteArray *b;

    *p = pair_new(m->method, 1);
    fill(from, rand);
    b = pack(p, from, num);
    g_rand_free(rand);
    return b;
}

static void fails(const Method *m, GByteArray *(*tamper)(GByteArray *b),
                  unsigned num, const char *pattern)
{
    g_autoptr(GByteArray) b = NULL;
    Error *err = NULL;
    Pages from, to;
    Pair p;

    pages_init(&from);
    pages_init(&to);
    b = tamper(good(&p, m, &from, 4));
    g_assert_false(unpack(&p, b, b->len, &to, num, &err));
    if (!g_pattern_match_simple(pattern, err->message)) {
        g_test_message("'%s' does not match '%s'", err->message, pattern);
        g_test_fail();
    }
    g_error_free(err);
    pair_clear(&p);
    pages_clear(&from);
    pages_clear(&to);
}

static GByteArray *as_it_is(GByteArray *b)
{
    return b;
}

static GByteArray *cut(GByteArray *b)
{
    return g_byte_array_set_size(b, b->len / 2);
}

static GByteArray *lengthen(GByteArray *b)
{
    static const uint8_t more[64] = { 1, 2, 3 };

    return g_byte_array_append(b, more, sizeof(more));
}

static GByteArray *empty(GByteArray *b)
{
    return g_byte_array_set_size(b, 0);
}

static GByteArray *too_large(GByteArray *b)
{
    g_byte_array_set_size(b, MULTIFD_PAYLOAD_MAX + 1);
    return b;
}

static GByteArray *spoil(GByteArray *b)
{
    memset(b->data, 0xff, 16);
    return b;
}

static void test_tampered(gconstpointer opaque)
{
    const Method *m = opaque;

    fails(m, cut, 4, "*the payload ends*");
    fails(m, as_it_is, 5, "*the payload ends*");
    fails(m, as_it_is, 3, "*more in a payload than its pages*");
    fails(m, lengthen, 4, "z*");
    fails(m, empty, 4, "*payload of 0 bytes; 1 to 1048576*");
    fails(m, too_large, 4, "*payload of 1048577 bytes; 1 to 1048576*");
    fails(m, spoil, 4, "z*");
}

/* Any one byte that is wrong: memory as large as promised, or an error. */
static void test_flipped(gconstpointer opaque)
{
    const Method *m = opaque;
    Pages from, to;
    uint32_t len;
    Pair first;
    GByteArray *b;

    pages_init(&from);
    pages_init(&to);
    b = good(&first, m, &from, 4);
    pair_clear(&first);
    len = b->len;
    for (uint32_t i = 0; i < len; i += 1 + len / 2000) {
        Pair p = pair_new(m->method, 1);
        Error *err = NULL;

        b->data[i] ^= 0x40;
        g_assert_true(unpack(&p, b, len, &to, 4, &err) == (err == NULL));
        b->data[i] ^= 0x40;
        g_clear_error(&err);
        for (unsigned k = 4; k < MULTIFD_PAGES; k++) {
            g_assert_cmphex(to.page[k][0], ==, 0);
        }
        pair_clear(&p);
    }
    g_byte_array_unref(b);
    pages_clear(&from);
    pages_clear(&to);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(methods); i++) {
#define ADD(_path, _func)                                               \
    do {                                                                \
        g_autofree char *path = g_strdup_printf(_path "/%s",            \
                                                methods[i].name);       \
        g_test_add_data_func(path, &methods[i], _func);                 \
    } while (0)
        ADD("/migration/multifd-method/round-trip", test_round_trip);
        ADD("/migration/multifd-method/noise", test_noise);
        if (methods[i].method->send_new) {
            ADD("/migration/spec-8/multifd-method/tampered", test_tampered);
            ADD("/migration/spec-8/multifd-method/flipped", test_flipped);
        }
    }
    return g_test_run();
}
