/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Section "ram" with what a source never sends: no byte of the stream can do
 * harm, and the message says which was wrong.
 */
#include "migration-util.h"

#define PAGE GUEST_PAGE_SIZE

/* A stream whose section ram has @payload for its set-up. */
static GByteArray *stream_of(void (*payload)(GByteArray *b))
{
    GByteArray *b = g_byte_array_new();

    put_header(b);
    put_start(b, 0x01, 0, "ram", 0, 4);
    payload(b);
    return b;
}

static void put_list(GByteArray *b)
{
    put64(b, 4 * PAGE | 0x04);
    put_str(b, "ram0");
    put64(b, 4 * PAGE);
}

static void page_before_list(GByteArray *b)
{
    put64(b, 0x02);
}

static void unknown_block(GByteArray *b)
{
    put64(b, 4 * PAGE | 0x04);
    put_str(b, "ram1");
    put64(b, 4 * PAGE);
}

static void block_size(GByteArray *b)
{
    put64(b, 8 * PAGE | 0x04);
    put_str(b, "ram0");
    put64(b, 8 * PAGE);
}

static void block_twice(GByteArray *b)
{
    put64(b, 8 * PAGE | 0x04);
    put_str(b, "ram0");
    put64(b, 4 * PAGE);
    put_str(b, "ram0");
    put64(b, 4 * PAGE);
}

static void block_beyond_total(GByteArray *b)
{
    put64(b, 2 * PAGE | 0x04);
    put_str(b, "ram0");
    put64(b, 4 * PAGE);
}

static void block_missing(GByteArray *b)
{
    put64(b, 0x04);
}

static void total_huge(GByteArray *b)
{
    put64(b, (UINT64_MAX & ~(PAGE - 1)) | 0x04);
    put_str(b, "ram0");
    put64(b, 4 * PAGE);
    put8(b, 0);
}

static void list_twice(GByteArray *b)
{
    put_list(b);
    put_list(b);
}

static void page_beyond(GByteArray *b)
{
    put_list(b);
    put64(b, 4 * PAGE | 0x08);
    put_str(b, "ram0");
}

static void page_far_beyond(GByteArray *b)
{
    put_list(b);
    put64(b, (UINT64_MAX & ~(PAGE - 1)) | 0x08);
    put_str(b, "ram0");
}

static void page_of_other_block(GByteArray *b)
{
    put_list(b);
    put64(b, 0x08);
    put_str(b, "rom");
}

static void first_continues(GByteArray *b)
{
    put_list(b);
    put64(b, 0x28);
}

static void fill_not_zero(GByteArray *b)
{
    put_list(b);
    put64(b, 0x02);
    put_str(b, "ram0");
    put8(b, 0x55);
}

static void flags_unknown(GByteArray *b)
{
    put_list(b);
    put64(b, 0x100);
}

static void flags_xbzrle(GByteArray *b)
{
    put_list(b);
    put64(b, 0x40);
}

static void flags_both(GByteArray *b)
{
    put_list(b);
    put64(b, 0x0a);
}

static void name_empty(GByteArray *b)
{
    put_list(b);
    put64(b, 0x08);
    put8(b, 0);
}

static void name_with_zero(GByteArray *b)
{
    put_list(b);
    put64(b, 0x08);
    put8(b, 4);
    g_byte_array_append(b, (const guint8 *)"ra\0m", 4);
}

static void page_cut(GByteArray *b)
{
    put_list(b);
    put64(b, 0x08);
    put_str(b, "ram0");
    put64(b, 0);
}

typedef struct Hostile {
    const char *name;
    void (*payload)(GByteArray *b);
    const char *pattern;
} Hostile;

static const Hostile hostile[] = {
    { "page-before-list", page_before_list, "*before the list*" },
    { "unknown-block", unknown_block, "*'ram1'*does not have*" },
    { "block-size", block_size, "*32768 bytes at the source and 16384 here*" },
    { "block-twice", block_twice, "*listed twice*" },
    { "block-beyond-total", block_beyond_total, "*exceeds the total*" },
    { "block-missing", block_missing, "*no RAM block 'ram0'*" },
    { "total-huge", total_huge, "*empty name*" },
    { "list-twice", list_twice, "*second list*" },
    { "page-beyond", page_beyond, "*0x4000 of RAM block 'ram0'*0x4000 bytes" },
    { "page-far-beyond", page_far_beyond, "*0xfffffffffffff000*" },
    { "page-of-other-block", page_of_other_block, "*'rom'*does not have*" },
    { "first-continues", first_continues, "*names no RAM block*" },
    { "fill-not-zero", fill_not_zero, "*filled with 0x55*" },
    { "flags-unknown", flags_unknown, "*flags 0x100*" },
    { "flags-xbzrle", flags_xbzrle, "*flags 0x40*" },
    { "flags-both", flags_both, "*flags 0xa*" },
    { "name-empty", name_empty, "*empty name*" },
    { "name-with-zero", name_with_zero, "*zero byte*" },
    { "page-cut", page_cut, "*ended 8 bytes into a value of 4096*" },
};

static void test_hostile(gconstpointer opaque)
{
    const Hostile *h = opaque;
    g_autoptr(GByteArray) bytes = stream_of(h->payload);
    g_autofree char *pattern = g_strconcat("*section 'ram' instance 0, offset "
                                           "*", h->pattern, NULL);
    TestVm dst;

    test_vm_init(&dst, 4);
    test_load_fails(&dst, bytes->data, bytes->len, pattern);
    test_vm_clear(&dst);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++) {
        g_autofree char *path = g_strconcat("/ram/section8/hostile/",
                                            hostile[i].name, NULL);

        g_test_add_data_func(path, &hostile[i], test_hostile);
    }
    return g_test_run();
}
