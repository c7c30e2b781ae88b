/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory through the stream: what is sent is what there is, and what is
 * written meanwhile goes again.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration-util.h"
#include "migration/zero-page.h"
#include "util/thread.h"

#define PAGE GUEST_PAGE_SIZE

static void fill_page(TestVm *t, uint64_t page, uint8_t val)
{
    memset(t->rb->host + page * PAGE, val, PAGE);
    memory_mark_dirty(t->rb, page * PAGE, PAGE);
}

/* Every third page is zero, every fifth has one byte at its end. */
static void fill_pattern(TestVm *t)
{
    uint64_t pages = t->rb->backing.size / PAGE;

    for (uint64_t i = 0; i < pages; i++) {
        if (i % 5 == 4) {
            t->rb->host[i * PAGE + PAGE - 1] = i;
        } else if (i % 3) {
            memset(t->rb->host + i * PAGE, i * 7 + 1, PAGE);
        }
    }
}

static void assert_same_memory(TestVm *a, TestVm *b)
{
    g_assert_cmpuint(a->rb->backing.size, ==, b->rb->backing.size);
    g_assert_true(memcmp(a->rb->host, b->rb->host, a->rb->backing.size) == 0);
}

static uint64_t resident_pages(const RamBlock *rb)
{
    uint64_t pages = rb->backing.size / PAGE;
    g_autofree unsigned char *vec = g_malloc(pages);
    uint64_t count = 0;

    g_assert_cmpint(mincore(rb->host, rb->backing.size, vec), ==, 0);
    for (uint64_t i = 0; i < pages; i++) {
        count += vec[i] & 1;
    }
    return count;
}

static void test_round_trip(void)
{
    TestVm src, dst;
    g_autoptr(GByteArray) bytes = NULL;
    RamStats stats;
    Error *err = NULL;

    test_vm_init(&src, 1000);
    test_vm_init(&dst, 1000);
    fill_pattern(&src);
    /* The destination has something where the source has nothing. */
    memset(dst.rb->host, 0xee, dst.rb->backing.size);

    bytes = test_save(&src, &test_config);
    test_load(&dst, &test_config, bytes->data, bytes->len, &err);
    g_assert_no_error(err);
    assert_same_memory(&src, &dst);

    ram_get_stats(src.ram, &stats);
    g_assert_cmpuint(stats.total_bytes, ==, 1000 * PAGE);
    g_assert_cmpuint(stats.normal_pages + stats.zero_pages, ==, 1000);
    g_assert_cmpuint(stats.zero_pages, >, 200);
    g_assert_cmpuint(stats.remaining_bytes, ==, 0);
    g_assert_cmpuint(stats.sent_bytes, >, stats.normal_pages * PAGE);
    test_vm_clear(&src);
    test_vm_clear(&dst);
}

static void test_no_zero_detection(void)
{
    TestVm src, dst;
    g_autoptr(GByteArray) bytes = NULL;
    RamOptions options = { .detect_zero_pages = false };
    RamStats stats;

    test_vm_init(&src, 64);
    test_vm_init(&dst, 64);
    ram_set_options(src.ram, &options);
    bytes = test_save(&src, &test_config);
    g_assert_cmpuint(bytes->len, >, 64 * PAGE);
    ram_get_stats(src.ram, &stats);
    g_assert_cmpuint(stats.zero_pages, ==, 0);
    g_assert_cmpuint(stats.normal_pages, ==, 64);
    g_assert_true(test_load(&dst, &test_config, bytes->data, bytes->len,
                            NULL));
    test_vm_clear(&src);
    test_vm_clear(&dst);
}

/* QEMU's encoding, byte for byte, of a block of three pages. */
static void test_wire(void)
{
    TestVm src;
    g_autoptr(GByteArray) bytes = NULL;
    g_autoptr(GByteArray) want = g_byte_array_new();
    uint8_t page[PAGE];

    test_vm_init(&src, 3);
    fill_page(&src, 1, 0xaa);
    memset(page, 0xaa, PAGE);
    bytes = test_save(&src, &test_config);

    put_header(want);
    put_start(want, 0x01, 1, "ram", 0, 4);
    put64(want, 3 * PAGE | 0x04);
    put_str(want, "ram0");
    put64(want, 3 * PAGE);
    put64(want, 0x10);
    put_footer(want, 1);
    put8(want, 0x02);
    put32(want, 1);
    put64(want, 0x02);
    put_str(want, "ram0");
    put8(want, 0);
    put64(want, 1 * PAGE | 0x08 | 0x20);
    g_byte_array_append(want, page, PAGE);
    put64(want, 2 * PAGE | 0x02 | 0x20);
    put8(want, 0);
    put64(want, 0x10);
    put_footer(want, 1);
    put8(want, 0x03);
    put32(want, 1);
    put64(want, 0x10);
    put_footer(want, 1);
    put8(want, 0x00);

    g_assert_cmpuint(bytes->len, >, want->len);
    g_assert_cmpmem(bytes->data, want->len, want->data, want->len);
    g_assert_cmphex(bytes->data[want->len], ==, 0x06);
    test_vm_clear(&src);
}

/* Section 1: fast and slow answer are the same quantity, in one class. */
static void test_pending(void)
{
    TestVm t;
    IoChannel *ch = io_channel_new_buffer();
    MigStream *s;
    SaveVM *sv;
    GArray *modules = g_array_new(FALSE, FALSE, sizeof(SaveVMModule));
    SaveVMModule *m;
    MigIterate res;

    test_vm_init(&t, 100);
    s = mig_stream_new_output(ch, clock_host());
    sv = savevm_new(t.vm, s, &test_config);

    /* before set-up: zeros */
    savevm_query_pending(sv, true, modules);
    m = &g_array_index(modules, SaveVMModule, 0);
    g_assert_cmpuint(modules->len, ==, 1);
    g_assert_cmpuint(m->pending.total_bytes, ==, 0);

    vm_lock(t.vm);
    g_assert_true(savevm_write_header(sv, NULL));
    g_assert_true(savevm_setup(sv, NULL));
    vm_unlock(t.vm);
    savevm_query_pending(sv, false, modules);
    m = &g_array_index(modules, SaveVMModule, 0);
    g_assert_cmpstr(m->idstr, ==, "ram");
    g_assert_cmpuint(m->pending.precopy_bytes, ==, 100 * PAGE);
    g_assert_cmpuint(m->pending.postcopy_bytes, ==, 0);
    g_assert_cmpuint(m->pending.stopcopy_bytes, ==, 0);
    g_assert_cmpuint(m->pending.total_bytes, ==, 100 * PAGE);

    do {
        res = savevm_iterate(sv, NULL);
    } while (res == MIG_ITERATE_MORE);
    g_assert_cmpint(res, ==, MIG_ITERATE_DONE);

    /* the fast answer does not see new writes, the slow one does */
    fill_page(&t, 3, 1);
    fill_page(&t, 5, 1);
    fill_page(&t, 5, 2);
    savevm_query_pending(sv, false, modules);
    m = &g_array_index(modules, SaveVMModule, 0);
    g_assert_cmpuint(m->pending.total_bytes, ==, 0);
    savevm_query_pending(sv, true, modules);
    m = &g_array_index(modules, SaveVMModule, 0);
    g_assert_cmpuint(m->pending.total_bytes, ==, 2 * PAGE);
    savevm_query_pending(sv, false, modules);
    m = &g_array_index(modules, SaveVMModule, 0);
    g_assert_cmpuint(m->pending.total_bytes, ==, 2 * PAGE);

    /* after clean-up: zeros, and the slow query does nothing */
    vm_lock(t.vm);
    savevm_cleanup(sv);
    vm_unlock(t.vm);
    g_assert_false(memory_dirty_logging(t.vm->memory));
    savevm_query_pending(sv, true, modules);
    m = &g_array_index(modules, SaveVMModule, 0);
    g_assert_cmpuint(m->pending.total_bytes, ==, 0);

    savevm_free(sv);
    mig_stream_free(s);
    io_channel_unref(ch);
    g_array_free(modules, TRUE);
    test_vm_clear(&t);
}

/* A page that was zero when it was looked at and is written before a sync. */
static void test_written_after_look(void)
{
    TestVm src, dst;
    IoChannel *ch = io_channel_new_buffer();
    MigStream *s;
    SaveVM *sv;
    GArray *modules = g_array_new(FALSE, FALSE, sizeof(SaveVMModule));
    const uint8_t *data;
    Error *err = NULL;
    size_t len;

    test_vm_init(&src, 1024);
    test_vm_init(&dst, 1024);
    s = mig_stream_new_output(ch, clock_host());
    sv = savevm_new(src.vm, s, &test_config);
    vm_lock(src.vm);
    g_assert_true(savevm_write_header(sv, NULL));
    g_assert_true(savevm_setup(sv, NULL));
    vm_unlock(src.vm);
    while (savevm_iterate(sv, NULL) == MIG_ITERATE_MORE) {
    }
    /* Round by round: one page in a stretch that is known to be untouched. */
    for (unsigned i = 0; i < 20; i++) {
        fill_page(&src, 600 + i, i + 1);
        savevm_query_pending(sv, true, modules);
        while (savevm_iterate(sv, NULL) == MIG_ITERATE_MORE) {
        }
    }
    fill_page(&src, 700, 0x77);
    vm_lock(src.vm);
    g_assert_true(savevm_complete_live(sv, NULL));
    g_assert_true(savevm_save_devices(sv, NULL, NULL));
    g_assert_true(savevm_write_end(sv, NULL));
    savevm_cleanup(sv);
    vm_unlock(src.vm);
    savevm_free(sv);
    mig_stream_free(s);

    data = io_channel_buffer_data(ch, &len);
    test_load(&dst, &test_config, data, len, &err);
    g_assert_no_error(err);
    assert_same_memory(&src, &dst);
    io_channel_unref(ch);
    g_array_free(modules, TRUE);
    test_vm_clear(&src);
    test_vm_clear(&dst);
}

/* ---- a guest that writes all the time ---- */

typedef struct Writer {
    TestVm *t;
    int stop;                   /* atomic */
    uint64_t stores;            /* atomic */
} Writer;

/* As a device does: stores anywhere, then marks. Zeros now and then. */
static gpointer writer_thread(gpointer opaque)
{
    Writer *w = opaque;
    uint64_t size = w->t->rb->backing.size;
    GRand *rand = g_rand_new_with_seed(1);

    while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
        uint64_t page = g_rand_int(rand) % (size / PAGE);
        uint64_t at = page * PAGE + g_rand_int(rand) % (PAGE - 8);
        uint8_t *host = w->t->rb->host;

        if (g_rand_int(rand) % 8 == 0) {
            memset(host + page * PAGE, 0, PAGE);
            memory_mark_dirty(w->t->rb, page * PAGE, PAGE);
        } else {
            memset(host + at, g_rand_int(rand), 8);
            memory_mark_dirty(w->t->rb, at, 8);
        }
        __atomic_fetch_add(&w->stores, 1, __ATOMIC_RELAXED);
    }
    g_rand_free(rand);
    return NULL;
}

static void test_writing_guest(void)
{
    TestVm src, dst;
    IoChannel *ch = io_channel_new_buffer();
    MigStream *s;
    SaveVM *sv;
    GArray *modules = g_array_new(FALSE, FALSE, sizeof(SaveVMModule));
    Writer w = { .t = &src };
    RamStats stats;
    GThread *thread;
    const uint8_t *data;
    Error *err = NULL;
    size_t len;

    test_vm_init(&src, 2000);
    test_vm_init(&dst, 2000);
    s = mig_stream_new_output(ch, clock_host());
    sv = savevm_new(src.vm, s, &test_config);
    thread = thread_start("writer", writer_thread, &w);
    vm_lock(src.vm);
    g_assert_true(savevm_write_header(sv, NULL));
    g_assert_true(savevm_setup(sv, NULL));
    vm_unlock(src.vm);
    for (int pass = 0; pass < 30; pass++) {
        while (__atomic_load_n(&w.stores, __ATOMIC_RELAXED) < 100u * pass) {
            g_thread_yield();
        }
        savevm_iterate(sv, NULL);
        savevm_query_pending(sv, true, modules);
    }
    __atomic_store_n(&w.stop, 1, __ATOMIC_RELAXED);
    g_thread_join(thread);
    vm_lock(src.vm);
    g_assert_true(savevm_complete_live(sv, NULL));
    g_assert_true(savevm_save_devices(sv, NULL, NULL));
    g_assert_true(savevm_write_end(sv, NULL));
    ram_get_stats(src.ram, &stats);
    g_assert_cmpuint(stats.remaining_bytes, ==, 0);
    g_assert_cmpuint(stats.syncs, ==, 31);
    savevm_cleanup(sv);
    vm_unlock(src.vm);
    savevm_free(sv);
    mig_stream_free(s);
    g_assert_cmpuint(w.stores, >=, 2900);

    data = io_channel_buffer_data(ch, &len);
    test_load(&dst, &test_config, data, len, &err);
    g_assert_no_error(err);
    assert_same_memory(&src, &dst);
    io_channel_unref(ch);
    g_array_free(modules, TRUE);
    test_vm_clear(&src);
    test_vm_clear(&dst);
}

/* Numbers of a period: on a clock that the test moves. */
typedef struct TestClock {
    Clock clock;
    int64_t ns;
} TestClock;

static int64_t test_now(Clock *clock)
{
    return ((TestClock *)clock)->ns;
}

static void test_dirty_rate(void)
{
    TestClock clock = { .clock = { test_now }, .ns = 1 };
    TestVm t;
    IoChannel *ch = io_channel_new_buffer();
    MigStream *s = mig_stream_new_output(ch, &clock.clock);
    GArray *modules = g_array_new(FALSE, FALSE, sizeof(SaveVMModule));
    RamStats stats;
    SaveVM *sv;

    test_vm_init(&t, 1000);
    vm_lock(t.vm);
    ram_free(t.ram);
    t.ram = ram_new(t.vm, &clock.clock);
    sv = savevm_new(t.vm, s, &test_config);
    g_assert_true(savevm_write_header(sv, NULL));
    g_assert_true(savevm_setup(sv, NULL));
    vm_unlock(t.vm);
    g_assert_cmpint(savevm_iterate(sv, NULL), ==, MIG_ITERATE_DONE);
    ram_get_stats(t.ram, &stats);
    g_assert_cmpuint(stats.dirty_pages_rate, ==, 0);
    g_assert_cmpuint(stats.zero_pages, ==, 1000);

    for (int i = 0; i < 50; i++) {
        fill_page(&t, i, 1);
    }
    clock.ns += 50 * 1000000;
    savevm_query_pending(sv, true, modules);    /* too early to say */
    ram_get_stats(t.ram, &stats);
    g_assert_cmpuint(stats.dirty_pages_rate, ==, 0);
    clock.ns += 450 * 1000000;
    savevm_query_pending(sv, true, modules);
    ram_get_stats(t.ram, &stats);
    g_assert_cmpuint(stats.dirty_pages_rate, ==, 100);
    g_assert_cmpuint(stats.period_dirty_bytes, ==, 50 * PAGE);
    g_assert_cmpint(stats.period_ns, ==, 500 * 1000000);
    g_assert_cmpuint(stats.remaining_bytes, ==, 50 * PAGE);
    vm_lock(t.vm);
    savevm_cleanup(sv);
    vm_unlock(t.vm);
    savevm_free(sv);
    mig_stream_free(s);
    io_channel_unref(ch);
    g_array_free(modules, TRUE);
    test_vm_clear(&t);
}

/* Zero pages do not make memory where there is none, on either side. */
static void test_untouched_stays(void)
{
    TestVm src, dst;
    g_autoptr(GByteArray) bytes = NULL;

    test_vm_init(&src, 4096);
    test_vm_init(&dst, 4096);
    fill_page(&src, 7, 1);
    bytes = test_save(&src, &test_config);
    g_assert_true(test_load(&dst, &test_config, bytes->data, bytes->len,
                            NULL));
    g_assert_cmpuint(resident_pages(src.rb), <, 600);
    test_vm_clear(&src);
    g_assert_cmpuint(resident_pages(dst.rb), <, 600);
    g_assert_cmpuint(dst.rb->host[7 * PAGE], ==, 1);
    test_vm_clear(&dst);
}

/* The same for memory that is a file: holes stay holes. */
static void test_untouched_file(void)
{
    int fd = memfd_create("ram", MFD_CLOEXEC);
    RamBacking backing = { .size = 2048 * PAGE, .fd = dup(fd), .share = true };
    TestVm t;
    RamBlock *rb;
    PagePresence *p = page_presence_new();

    g_assert_cmpint(ftruncate(fd, backing.size), ==, 0);
    test_vm_init(&t, 0);
    rb = memory_ram_new(t.vm->memory, "file", &backing, NULL);
    g_assert_nonnull(rb);
    rb->host[700 * PAGE] = 1;
    g_assert_true(page_presence_absent(p, rb, 0));
    g_assert_true(page_presence_absent(p, rb, 511));
    g_assert_true(page_presence_absent(p, rb, 699));
    g_assert_false(page_presence_absent(p, rb, 700));
    g_assert_true(page_presence_absent(p, rb, 701));
    g_assert_true(page_presence_absent(p, rb, 2047));
    /* what is remembered is told of writes, or forgets */
    g_assert_true(page_presence_absent(p, rb, 100));
    page_presence_written(p, rb, 100);
    g_assert_false(page_presence_absent(p, rb, 100));
    rb->host[1000 * PAGE] = 1;
    page_presence_forget(p);
    g_assert_false(page_presence_absent(p, rb, 1000));
    page_presence_free(p);
    test_vm_clear(&t);
    close(fd);
}

static void test_page_is_zero(void)
{
    uint8_t *page = g_aligned_alloc0(2, PAGE, PAGE);

    g_assert_true(page_is_zero(page));
    for (unsigned i = 0; i < PAGE; i++) {
        page[i] = 1 << i % 8;
        g_assert_false(page_is_zero(page));
        page[i] = 0;
    }
    page[PAGE] = 1;         /* the neighbour's */
    g_assert_true(page_is_zero(page));
    g_aligned_free(page);
}

/* A terabyte: no answer costs more for it. */
static void test_terabyte(void)
{
    TestVm t;
    DirtyLog *log;
    gint64 start;

    test_vm_init(&t, (UINT64_C(1) << 40) / PAGE);
    log = dirty_log_start(t.vm->memory, "test", NULL);
    g_assert_nonnull(log);
    dirty_log_stop(log);
    start = g_get_monotonic_time();
    for (int i = 0; i < 1000; i++) {
        RamStats stats;

        ram_get_stats(t.ram, &stats);
    }
    g_assert_cmpint(g_get_monotonic_time() - start, <, 100000);
    test_vm_clear(&t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ram/round-trip", test_round_trip);
    g_test_add_func("/ram/no-zero-detection", test_no_zero_detection);
    g_test_add_func("/ram/wire", test_wire);
    g_test_add_func("/ram/section1/pending", test_pending);
    g_test_add_func("/ram/written-after-look", test_written_after_look);
    g_test_add_func("/ram/writing-guest", test_writing_guest);
    g_test_add_func("/ram/dirty-rate", test_dirty_rate);
    g_test_add_func("/ram/untouched-stays", test_untouched_stays);
    g_test_add_func("/ram/untouched-file", test_untouched_file);
    g_test_add_func("/ram/page-is-zero", test_page_is_zero);
    g_test_add_func("/ram/terabyte", test_terabyte);
    return g_test_run();
}
