/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mapped-ram: each page has its place in the file, whatever the guest does
 * meanwhile, and no header of a file gets past the checks.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration-util.h"
#include "migration/mapped-ram.h"

#define PAGE GUEST_PAGE_SIZE
#define PAGES 1000

static const char *const mapped_cap[] = { "mapped-ram" };
static const SaveVMConfig mapped_config = {
    .machine = "virt", .capabilities = mapped_cap, .num_capabilities = 1,
};

/* An anonymous file, which is what a migration sees of any. */
static int file_new(void)
{
    int fd = memfd_create("mapped-ram", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static uint64_t file_size(int fd)
{
    struct stat st;

    g_assert_cmpint(fstat(fd, &st), ==, 0);
    return st.st_size;
}

/* A channel over the file, from @pos on; the caller keeps its descriptor. */
static IoChannel *file_channel(int fd, uint64_t pos)
{
    IoChannel *ch = io_channel_new_fd(dup(fd), "file", NULL);

    g_assert_nonnull(ch);
    g_assert_true(io_channel_seek(ch, pos, SEEK_SET, NULL, NULL));
    return ch;
}

static void vm_init(TestVm *t, uint64_t pages)
{
    RamOptions options = { .detect_zero_pages = true, .mapped_ram = true };

    test_vm_init(t, pages);
    ram_set_options(t->ram, &options);
}

static void save_at(TestVm *t, int fd, uint64_t pos)
{
    IoChannel *ch = file_channel(fd, pos);

    test_save_to(t, &mapped_config, ch);
    io_channel_unref(ch);
}

static bool load_at(TestVm *t, int fd, uint64_t pos, Error **errp)
{
    IoChannel *ch = file_channel(fd, pos);
    bool ok = test_load_from(t, &mapped_config, ch, errp);

    io_channel_unref(ch);
    return ok;
}

/* Every third page is zero, every fifth has one byte at its end. */
static void fill_pattern(TestVm *t)
{
    uint64_t pages = t->rb->backing.size / PAGE;

    for (uint64_t i = 0; i < pages; i++) {
        if (i % 5 == 4) {
            t->rb->host[i * PAGE + PAGE - 1] = 1 + i % 255;
        } else if (i % 3) {
            memset(t->rb->host + i * PAGE, 1 + i % 255, PAGE);
        }
    }
}

static void write_page(TestVm *t, uint64_t page, uint8_t val)
{
    memset(t->rb->host + page * PAGE, val, PAGE);
    memory_mark_dirty(t->rb, page * PAGE, PAGE);
}

static void assert_same(TestVm *a, TestVm *b)
{
    g_assert_cmpmem(a->rb->host, a->rb->backing.size, b->rb->host,
                    b->rb->backing.size);
}

static void assert_filled(const RamBlock *rb, uint8_t val)
{
    for (uint64_t i = 0; i < rb->backing.size; i++) {
        g_assert_cmphex(rb->host[i], ==, val);
    }
}

/* ---- what is written ---- */

static void test_round_trip(void)
{
    static const uint64_t starts[] = { 0, 777, 4096, (1 << 20) - 4 };

    for (unsigned i = 0; i < G_N_ELEMENTS(starts); i++) {
        int fd = file_new();
        TestVm src, dst;
        uint64_t normal, zero;
        Error *err = NULL;

        vm_init(&src, PAGES);
        vm_init(&dst, PAGES);
        fill_pattern(&src);
        memset(dst.rb->host, 0xee, dst.rb->backing.size);
        save_at(&src, fd, starts[i]);
        g_assert_true(load_at(&dst, fd, starts[i], &err));
        g_assert_no_error(err);
        assert_same(&src, &dst);
        ram_get_load_stats(dst.ram, &normal, &zero);
        g_assert_cmpuint(normal + zero, ==, PAGES);
        g_assert_cmpuint(zero, >, PAGES / 4);
        test_vm_clear(&src);
        test_vm_clear(&dst);
        close(fd);
    }
}

/* QEMU's layout, byte for byte, of a block of 70 pages behind 100 bytes. */
static void test_layout(void)
{
    enum { START = 100, BLOCK_PAGES = 70 };
    g_autoptr(GByteArray) want = g_byte_array_new();
    uint64_t header, pages = MAPPED_RAM_ALIGN, word[2], behind;
    uint8_t got[256], page[PAGE], expect[PAGE];
    int fd = file_new();
    struct stat st;
    TestVm src;

    vm_init(&src, BLOCK_PAGES);
    write_page(&src, 1, 0x11);
    write_page(&src, 69, 0x69);
    save_at(&src, fd, START);

    put_header(want);
    put8(want, 0x05);
    put_str(want, "configuration/capabilities");
    put32(want, 1);
    put32(want, 1);
    put_str(want, "mapped-ram");
    put_start(want, 0x01, 1, "ram", 0, 4);
    put64(want, BLOCK_PAGES * PAGE | 0x04);
    put_str(want, "ram0");
    put64(want, BLOCK_PAGES * PAGE);
    header = START + want->len;
    put32(want, 1);
    put64(want, PAGE);
    put64(want, header + 28);
    put64(want, pages);
    g_assert_cmpint(pread(fd, got, want->len, START), ==, want->len);
    g_assert_cmpmem(got, want->len, want->data, want->len);

    g_assert_cmpint(pread(fd, word, sizeof(word), header + 28), ==,
                    sizeof(word));
    g_assert_cmphex(GUINT64_FROM_LE(word[0]), ==, 1 << 1);
    g_assert_cmphex(GUINT64_FROM_LE(word[1]), ==, 1 << (69 - 64));
    for (unsigned i = 0; i < BLOCK_PAGES; i++) {
        memset(expect, i == 1 ? 0x11 : i == 69 ? 0x69 : 0, PAGE);
        g_assert_cmpint(pread(fd, page, PAGE, pages + i * PAGE), ==, PAGE);
        g_assert_cmpmem(page, PAGE, expect, PAGE);
    }

    /* Then the stream goes on: END of START, the whole END, EOF. */
    g_byte_array_set_size(want, 0);
    put64(want, 0x10);
    put_footer(want, 1);
    put8(want, 0x03);
    put32(want, 1);
    put64(want, 0x10);
    put_footer(want, 1);
    put8(want, 0x00);
    put8(want, 0x06);
    behind = pages + BLOCK_PAGES * PAGE;
    g_assert_cmpint(pread(fd, got, want->len, behind), ==, want->len);
    g_assert_cmpmem(got, want->len, want->data, want->len);

    /* Two pages of contents, what is around them, and holes. */
    g_assert_cmpint(fstat(fd, &st), ==, 0);
    g_assert_cmpuint((uint64_t)st.st_blocks * 512, <=, 6 * PAGE);
    test_vm_clear(&src);
    close(fd);
}

/* A guest that writes on and on makes the file no longer, only right. */
static void test_no_growth(void)
{
    int fd = file_new();
    IoChannel *ch = file_channel(fd, 0);
    MigStream *s = mig_stream_new_output(ch, clock_host());
    GArray *modules = g_array_new(FALSE, FALSE, sizeof(SaveVMModule));
    TestVm src, dst;
    uint64_t size = 0, zeros, normal;
    Error *err = NULL;
    SaveVM *sv;

    vm_init(&src, PAGES);
    vm_init(&dst, PAGES);
    fill_pattern(&src);
    sv = savevm_new(src.vm, s, &mapped_config);
    vm_lock(src.vm);
    g_assert_true(savevm_write_header(sv, NULL));
    g_assert_true(savevm_setup(sv, NULL));
    vm_unlock(src.vm);
    for (unsigned round = 0; round < 200; round++) {
        while (savevm_iterate(sv, NULL) == MIG_ITERATE_MORE) {
        }
        for (unsigned i = 0; i < 20; i++) {
            write_page(&src, (round * 7 + i) % PAGES, round % 5);
        }
        savevm_query_pending(sv, true, modules);
        if (round == 1) {
            size = file_size(fd);
        }
    }
    while (savevm_iterate(sv, NULL) == MIG_ITERATE_MORE) {
    }
    g_assert_cmpuint(file_size(fd), ==, size);
    write_page(&src, 3, 0x33);
    write_page(&src, 4, 0);
    vm_lock(src.vm);
    g_assert_true(savevm_complete_live(sv, NULL));
    g_assert_true(savevm_save_devices(sv, NULL, NULL));
    g_assert_true(savevm_write_end(sv, NULL));
    g_assert_true(savevm_write_description(sv, NULL));
    savevm_cleanup(sv);
    vm_unlock(src.vm);

    g_assert_true(load_at(&dst, fd, 0, &err));
    assert_same(&src, &dst);
    /* A page that became zero is one, though the file has what it was. */
    ram_get_load_stats(dst.ram, &normal, &zeros);
    g_assert_cmpuint(normal + zeros, ==, PAGES);
    for (uint64_t i = 0; i < PAGES; i++) {
        zeros -= dst.rb->host[i * PAGE] == 0 &&
                 dst.rb->host[i * PAGE + PAGE - 1] == 0;
    }
    g_assert_cmpuint(zeros, ==, 0);

    savevm_free(sv);
    mig_stream_free(s);
    io_channel_unref(ch);
    g_array_free(modules, TRUE);
    test_vm_clear(&src);
    test_vm_clear(&dst);
    close(fd);
}

/* Bytes in places of their own count as sent, and against the rate. */
static void test_counted(void)
{
    int fd = file_new();
    IoChannel *ch = file_channel(fd, 0);
    MigStream *s = mig_stream_new_output(ch, clock_host());
    MigStreamCounters counters;
    uint8_t page[PAGE] = { 1 };
    uint64_t pos;

    mig_stream_set_rate_limit(s, 10 * 100);
    g_assert_false(mig_stream_rate_exceeded(s));
    mig_put_be32(s, 7);
    mig_put_buffer_at(s, page, PAGE, 8 * PAGE);
    g_assert_true(mig_stream_rate_exceeded(s));
    g_assert_cmpuint(mig_stream_offset(s), ==, PAGE + 4);
    g_assert_cmpuint(mig_stream_in_order(s), ==, 4);
    g_assert_true(mig_stream_position(s, &pos, NULL));
    g_assert_cmpuint(pos, ==, 4);
    mig_stream_counters(s, &counters);
    g_assert_cmpuint(counters.sent_bytes, ==, PAGE + 4);
    mig_put_u8(s, 1);
    mig_put_be16(s, 2);
    mig_stream_take_back(s, 2);
    g_assert_true(mig_stream_flush(s, NULL));
    g_assert_cmpuint(file_size(fd), ==, 9 * PAGE);
    mig_stream_free(s);
    io_channel_unref(ch);
    close(fd);
}

static void test_not_seekable(void)
{
    IoChannel *ends[2];
    MigStream *out, *in;
    Error *err = NULL;
    uint8_t byte = 1;
    uint64_t pos;

    g_assert_true(io_channel_new_pair(ends, NULL));
    out = mig_stream_new_output(ends[0], clock_host());
    in = mig_stream_new_input(ends[1]);
    mig_put_buffer_at(out, &byte, 1, 0);
    g_assert_false(mig_stream_check(out, &err));
    g_assert_nonnull(strstr(err->message, "has no positions"));
    g_clear_error(&err);
    g_assert_false(mig_get_buffer_at(in, &byte, 1, 0, &err));
    g_assert_nonnull(strstr(err->message, "has no positions"));
    g_clear_error(&err);
    g_assert_false(mig_stream_position(in, &pos, NULL));
    g_assert_false(mig_stream_seek(in, 0, NULL));
    mig_stream_free(out);
    mig_stream_free(in);
    io_channel_unref(ends[0]);
    io_channel_unref(ends[1]);
}

/* ---- what is read ---- */

/* A file of a machine of two blocks, 70 and 8 pages. */
typedef struct Hostile {
    int fd;
    uint64_t header[2];         /* where they are */
    uint64_t bitmap[2], pages[2];
    uint64_t end;
} Hostile;

static void add_second(TestVm *t)
{
    RamBacking backing = { .size = 8 * PAGE, .fd = -1 };

    g_assert_nonnull(memory_ram_new(t->vm->memory, "second", &backing, NULL));
}

static uint64_t get64(int fd, uint64_t pos)
{
    uint64_t raw;

    g_assert_cmpint(pread(fd, &raw, sizeof(raw), pos), ==, sizeof(raw));
    return GUINT64_FROM_BE(raw);
}

static void hostile_init(Hostile *h)
{
    TestVm src;

    h->fd = file_new();
    vm_init(&src, 70);
    add_second(&src);
    write_page(&src, 2, 2);
    memset(memory_ram_by_id(src.vm->memory, "second")->host, 3, PAGE);
    save_at(&src, h->fd, 0);
    test_vm_clear(&src);

    /* magic .. "virt", the capability, START .. the first block's entry */
    h->header[0] = 17 + 1 + 27 + 4 + 4 + 11 + 17 + 8 + 13;
    h->pages[0] = get64(h->fd, h->header[0] + 20);
    h->header[1] = h->pages[0] + 70 * PAGE + 15;
    h->pages[1] = get64(h->fd, h->header[1] + 20);
    for (unsigned i = 0; i < 2; i++) {
        h->bitmap[i] = get64(h->fd, h->header[i] + 12);
        g_assert_cmpuint(h->bitmap[i], ==, h->header[i] + 28);
    }
    h->end = file_size(h->fd);
}

/* Loading @fd fails as @pattern says, and memory is as it was. */
static void assert_refused(int fd, const char *pattern)
{
    Error *err = NULL;
    TestVm dst;
    RamBlock *second;

    vm_init(&dst, 70);
    add_second(&dst);
    second = memory_ram_by_id(dst.vm->memory, "second");
    memset(dst.rb->host, 0xee, dst.rb->backing.size);
    memset(second->host, 0xdd, second->backing.size);
    g_assert_false(load_at(&dst, fd, 0, &err));
    if (!g_pattern_match_simple(pattern, err->message)) {
        g_test_message("'%s' does not match '%s'", err->message, pattern);
        g_test_fail();
    }
    g_error_free(err);
    assert_filled(dst.rb, 0xee);
    assert_filled(second, 0xdd);
    test_vm_clear(&dst);
}

static void refuse_with(const Hostile *h, uint64_t pos, unsigned width,
                        uint64_t val, const char *pattern)
{
    uint8_t was[8], now[8];

    g_assert_cmpint(pread(h->fd, was, width, pos), ==, width);
    for (unsigned i = 0; i < width; i++) {
        now[i] = val >> (8 * (width - 1 - i));
    }
    g_assert_cmpint(pwrite(h->fd, now, width, pos), ==, width);
    assert_refused(h->fd, pattern);
    g_assert_cmpint(pwrite(h->fd, was, width, pos), ==, width);
}

/* Each field of each header: nothing is loaded, of the other block neither. */
static void test_hostile_header(void)
{
    static const uint64_t page_sizes[] = {
        0, 1, 512, 4095, 8192, 65536, UINT64_C(1) << 32, UINT64_MAX,
    };
    Hostile h;

    hostile_init(&h);
    for (unsigned b = 0; b < 2; b++) {
        uint64_t at = h.header[b];
        uint64_t size = b == 0 ? 70 * PAGE : 8 * PAGE;

        refuse_with(&h, at, 4, 0, "*header of version 0*");
        refuse_with(&h, at, 4, 2, "*header of version 2*");
        refuse_with(&h, at, 4, UINT32_MAX, "*header of version 4294967295*");
        for (unsigned i = 0; i < G_N_ELEMENTS(page_sizes); i++) {
            refuse_with(&h, at + 4, 8, page_sizes[i], "*pages of * bytes*");
        }
        refuse_with(&h, at + 12, 8, 0, "*before the end of its header*");
        refuse_with(&h, at + 12, 8, at + 27, "*before the end of its header*");
        refuse_with(&h, at + 12, 8, h.pages[b] - 7, "*reaches into the pages*");
        refuse_with(&h, at + 12, 8, h.end + PAGE, "*reaches into the pages*");
        refuse_with(&h, at + 12, 8, UINT64_MAX - 3, "*reaches into the pages*");
        refuse_with(&h, at + 20, 8, 0, "*reaches into the pages*");
        refuse_with(&h, at + 20, 8, h.pages[b] + 1, "*not a multiple of 4096*");
        refuse_with(&h, at + 20, 8, h.pages[b] + 512, "*not a multiple*");
        refuse_with(&h, at + 20, 8, (h.end - size) / PAGE * PAGE + PAGE,
                    "*of the file, which has*");
        refuse_with(&h, at + 20, 8, h.end / PAGE * PAGE + 8192 * PAGE,
                    "*of the file, which has*");
        refuse_with(&h, at + 20, 8, INT64_MAX - PAGE + 1,
                    "*of the file, which has*");
        refuse_with(&h, at + 20, 8, UINT64_MAX - PAGE + 1,
                    "*of the file, which has*");
    }
    close(h.fd);
}

/* The pages of one block on those of the other: what follows is elsewhere. */
static void test_overlap(void)
{
    Hostile h;

    hostile_init(&h);
    refuse_with(&h, h.header[1] + 20, 8, h.pages[0],
                "*reaches into the pages*");
    refuse_with(&h, h.header[0] + 20, 8, h.pages[1],
                "*of the file, which has*");
    close(h.fd);
}

static void test_bits_beyond(void)
{
    Hostile h;
    uint8_t last = 0x40;

    hostile_init(&h);
    g_assert_cmpint(pwrite(h.fd, &last, 1, h.bitmap[0] + 8), ==, 1);
    assert_refused(h.fd, "*bits beyond its 70 pages*");
    last = 0;
    g_assert_cmpint(pwrite(h.fd, &last, 1, h.bitmap[0] + 8), ==, 1);
    last = 1;
    g_assert_cmpint(pwrite(h.fd, &last, 1, h.bitmap[1] + 1), ==, 1);
    assert_refused(h.fd, "*bits beyond its 8 pages*");
    close(h.fd);
}

/* A file that is cut before all pages have a place: nothing is loaded. */
static void test_truncated(void)
{
    Hostile h;
    uint64_t cuts[16];
    unsigned n = 0;
    Error *err = NULL;
    TestVm dst;

    hostile_init(&h);
    for (unsigned b = 0; b < 2; b++) {
        cuts[n++] = h.header[b] + 3;
        cuts[n++] = h.bitmap[b] + 4;
        cuts[n++] = h.pages[b] - 1;
        cuts[n++] = h.pages[b] + 1;
        cuts[n++] = h.pages[b] + 7 * PAGE;
    }
    /* From the longest to the shortest. */
    while (n-- > 0) {
        g_assert_cmpint(ftruncate(h.fd, cuts[n]), ==, 0);
        assert_refused(h.fd, "*");
    }
    close(h.fd);

    /* All pages, and no more of the stream. */
    hostile_init(&h);
    g_assert_cmpint(ftruncate(h.fd, h.pages[1] + 8 * PAGE), ==, 0);
    vm_init(&dst, 70);
    add_second(&dst);
    g_assert_false(load_at(&dst, h.fd, 0, &err));
    g_assert_nonnull(strstr(err->message, "the stream ended"));
    g_clear_error(&err);
    test_vm_clear(&dst);
    close(h.fd);
}

static void test_page_in_stream(void)
{
    Hostile h;
    uint64_t end;
    TestVm dst;
    Error *err = NULL;

    hostile_init(&h);
    /* Instead of START's end mark: page 0 of block "ram0". */
    end = h.pages[1] + 8 * PAGE;
    g_assert_cmpint(pwrite(h.fd, "\0\0\0\0\0\0\0\x08\x04ram0", 13, end), ==,
                    13);
    vm_init(&dst, 70);
    add_second(&dst);
    g_assert_false(load_at(&dst, h.fd, 0, &err));
    g_assert_nonnull(strstr(err->message, "a page in the stream"));
    g_clear_error(&err);
    test_vm_clear(&dst);
    close(h.fd);
}

/* One side has the capability on, the other has not. */
static void test_agreement(void)
{
    g_autoptr(GByteArray) plain = NULL;
    IoChannel *ch;
    int fd = file_new();
    Error *err = NULL;
    TestVm src, dst;

    vm_init(&src, 8);
    test_vm_init(&dst, 8);
    save_at(&src, fd, 0);
    ch = file_channel(fd, 0);
    g_assert_false(test_load_from(&dst, &test_config, ch, &err));
    g_assert_nonnull(strstr(err->message, "'mapped-ram' is off at the dest"));
    g_clear_error(&err);
    io_channel_unref(ch);
    test_vm_clear(&src);
    test_vm_init(&src, 8);
    plain = test_save(&src, &test_config);
    g_assert_false(test_load(&dst, &mapped_config, plain->data, plain->len,
                             &err));
    g_assert_nonnull(strstr(err->message, "'mapped-ram' is off at the source"));
    g_clear_error(&err);
    test_vm_clear(&src);
    test_vm_clear(&dst);
    close(fd);
}

/* What cannot be written here is compared, in and beside the bitmap. */
static void test_read_only(void)
{
    uint8_t one[PAGE], none[PAGE] = { 0 };
    RamBacking rom = { .size = 2 * PAGE, .share = true, .readonly = true };
    int fd = file_new();
    TestVm src, dst;
    Error *err = NULL;

    memset(one, 1, PAGE);
    vm_init(&src, 4);
    vm_init(&dst, 4);
    for (unsigned i = 0; i < 2; i++) {
        rom.fd = file_new();
        g_assert_cmpint(pwrite(rom.fd, one, PAGE, 0), ==, PAGE);
        g_assert_cmpint(pwrite(rom.fd, none, PAGE, PAGE), ==, PAGE);
        g_assert_nonnull(memory_ram_new((i ? &dst : &src)->vm->memory, "rom",
                                        &rom, NULL));
    }
    save_at(&src, fd, 0);
    g_assert_true(load_at(&dst, fd, 0, &err));
    g_assert_cmpint(pwrite(rom.fd, one, PAGE, PAGE), ==, PAGE);
    g_assert_false(load_at(&dst, fd, 0, &err));
    g_assert_nonnull(strstr(err->message, "its page at 0x1000 differs"));
    g_clear_error(&err);
    g_assert_cmpint(pwrite(rom.fd, none, PAGE, PAGE), ==, PAGE);
    g_assert_cmpint(pwrite(rom.fd, none, PAGE, 0), ==, PAGE);
    g_assert_false(load_at(&dst, fd, 0, &err));
    g_assert_nonnull(strstr(err->message, "its page at 0x0 differs"));
    g_clear_error(&err);
    test_vm_clear(&src);
    test_vm_clear(&dst);
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define TEST(_name, _fn) \
    g_test_add_func("/migration/mapped-ram/" _name, _fn)
    TEST("round-trip", test_round_trip);
    TEST("layout", test_layout);
    TEST("no-growth", test_no_growth);
    TEST("counted", test_counted);
    TEST("not-seekable", test_not_seekable);
    TEST("agreement", test_agreement);
    TEST("read-only", test_read_only);
#undef TEST
#define TEST(_name, _fn) \
    g_test_add_func("/migration/spec-8/mapped-ram/" _name, _fn)
    TEST("header", test_hostile_header);
    TEST("overlap", test_overlap);
    TEST("bits-beyond", test_bits_beyond);
    TEST("truncated", test_truncated);
    TEST("page-in-stream", test_page_in_stream);
    return g_test_run();
}
