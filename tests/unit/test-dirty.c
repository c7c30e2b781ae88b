/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty logs: what is marked, and that no write is lost while threads write,
 * readers take, and logs come and go. (Harts' stores: test-cpus.c.)
 */
#include <glib.h>
#include <string.h>

#include "system/memory.h"
#include "util/thread.h"

#define PAGES 256
#define SIZE (PAGES * GUEST_PAGE_SIZE)

static RamBlock *new_block(Memory *mem, const char *id, uint64_t size,
                           hwaddr gpa)
{
    RamBacking backing = { .size = size, .fd = -1 };
    RamBlock *rb = memory_ram_new(mem, id, &backing, NULL);

    g_assert_nonnull(rb);
    g_assert_true(memory_map_ram(mem, rb, gpa, NULL));
    return rb;
}

/* Takes, and expects exactly the pages from @first to @last. */
static void expect(DirtyLog *log, RamBlock *rb, unsigned first, unsigned last)
{
    uint64_t *map = bitmap_new(PAGES);

    g_assert_cmpuint(dirty_log_take(log, rb, map), ==, last - first + 1);
    for (unsigned i = 0; i < PAGES; i++) {
        g_assert_cmpint(bitmap_test(map, i), ==, i >= first && i <= last);
    }
    bitmap_free(map, PAGES);
}

static void expect_none(DirtyLog *log, RamBlock *rb)
{
    expect(log, rb, 1, 0);
}

static void test_marks(void)
{
    Memory *mem = memory_new();
    RamBlock *a = new_block(mem, "a", SIZE, 0);
    RamBlock *b = new_block(mem, "b", SIZE, SIZE);
    uint8_t buf[3 * GUEST_PAGE_SIZE] = { 0 };
    uint64_t len = SIZE;
    DirtyLog *log;
    uint8_t *host;

    memory_write(mem, 0, buf, sizeof(buf));
    g_assert_false(memory_dirty_logging(mem));
    log = dirty_log_start(mem, "one", NULL);
    g_assert_true(memory_dirty_logging(mem));
    expect_none(log, a);

    memory_write(mem, 0x1fff, buf, 2);
    expect(log, a, 1, 2);
    expect_none(log, a);
    memory_write(mem, 0x2000, buf, GUEST_PAGE_SIZE);
    expect(log, a, 2, 2);
    memory_write(mem, 0x2000, buf, 0);
    expect_none(log, a);
    memory_st16(mem, 63 * 4096, 1);
    expect(log, a, 63, 63);
    memory_st32(mem, 64 * 4096, 1);
    expect(log, a, 64, 64);
    memory_st64(mem, SIZE - 8, 1);
    expect(log, a, PAGES - 1, PAGES - 1);
    /* Across blocks. */
    memory_st64(mem, SIZE - 4, 1);
    expect(log, a, PAGES - 1, PAGES - 1);
    expect(log, b, 0, 0);
    /* What is refused marks nothing. */
    g_assert_cmpint(memory_write(mem, 2 * SIZE - 8, buf, 16), !=, MEM_OK);
    expect_none(log, b);
    /* What was borrowed is marked as far as it was written. */
    host = memory_map(mem, 0x5800, &len, true);
    memory_unmap(mem, host, 0x801);
    expect(log, a, 5, 6);
    memory_mark_dirty(b, 0, SIZE);
    expect(log, b, 0, PAGES - 1);
    dirty_log_stop(log);
    g_assert_false(memory_dirty_logging(mem));
    memory_free(mem);
}

static void test_several(void)
{
    Memory *mem = memory_new();
    RamBlock *rb = new_block(mem, "ram", SIZE, 0);
    DirtyLog *logs[DIRTY_LOGS_MAX];
    g_autoptr(Error) err = NULL;
    uint64_t *map = bitmap_new(PAGES);

    for (int i = 0; i < DIRTY_LOGS_MAX; i++) {
        logs[i] = dirty_log_start(mem, "log", NULL);
        g_assert_nonnull(logs[i]);
    }
    g_assert_null(dirty_log_start(mem, "one-too-many", &err));
    g_assert_nonnull(strstr(err->message, "one-too-many"));

    memory_st16(mem, 0x3000, 1);
    expect(logs[0], rb, 3, 3);
    expect_none(logs[0], rb);
    dirty_log_stop(logs[0]);
    for (int i = 1; i < DIRTY_LOGS_MAX; i++) {
        expect(logs[i], rb, 3, 3);
    }
    /* A slot that is used again starts clean. */
    memory_st16(mem, 0x4000, 1);
    dirty_log_stop(logs[1]);
    logs[0] = dirty_log_start(mem, "again", NULL);
    logs[1] = dirty_log_start(mem, "again", NULL);
    expect_none(logs[0], rb);
    expect_none(logs[1], rb);
    expect(logs[2], rb, 4, 4);

    /* Taking adds to what the reader has and counts what is new to it. */
    bitmap_set(map, 7);
    memory_mark_dirty(rb, 6 * GUEST_PAGE_SIZE, 2 * GUEST_PAGE_SIZE);
    g_assert_cmpuint(dirty_log_take(logs[0], rb, map), ==, 1);
    g_assert_cmpuint(bitmap_count(map, PAGES), ==, 2);
    for (int i = 0; i < DIRTY_LOGS_MAX; i++) {
        dirty_log_stop(logs[i]);
    }
    bitmap_free(map, PAGES);
    memory_free(mem);
}

static void count_barrier(void *opaque)
{
    ++*(int *)opaque;
}

static void test_barrier(void)
{
    Memory *mem = memory_new();
    DirtyLog *log;
    int barriers = 0;

    new_block(mem, "ram", SIZE, 0);
    memory_set_vcpu_barrier(mem, count_barrier, &barriers);
    log = dirty_log_start(mem, "log", NULL);
    g_assert_cmpint(barriers, ==, 1);
    dirty_log_barrier(log);
    g_assert_cmpint(barriers, ==, 2);
    dirty_log_stop(log);
    g_assert_cmpint(barriers, ==, 3);
    memory_free(mem);
}

/* Threads that write as devices do, against readers that copy as migration. */

typedef struct Stress {
    Memory *mem;
    RamBlock *rb;
    uint32_t stop;
} Stress;

static bool stopped(Stress *s)
{
    return __atomic_load_n(&s->stop, __ATOMIC_RELAXED);
}

static uint64_t *page_word(RamBlock *rb, uint64_t page)
{
    return (uint64_t *)(void *)(rb->host + page * GUEST_PAGE_SIZE);
}

static gpointer writer(gpointer opaque)
{
    Stress *s = opaque;
    g_autoptr(GRand) rand = g_rand_new();
    uint64_t value = 1;

    while (!stopped(s)) {
        uint64_t page = g_rand_int_range(rand, 0, PAGES);

        memory_st64(s->mem, page * GUEST_PAGE_SIZE, value++);
    }
    return NULL;
}

/* Other logs come and go; they must not disturb, nor be disturbed. */
static gpointer flapper(gpointer opaque)
{
    Stress *s = opaque;
    uint64_t *map = bitmap_new(PAGES);

    while (!stopped(s)) {
        DirtyLog *log = dirty_log_start(s->mem, "flap", NULL);

        g_assert_nonnull(log);
        dirty_log_take(log, s->rb, map);
        dirty_log_stop(log);
    }
    bitmap_free(map, PAGES);
    return NULL;
}

static void copy_taken(Stress *s, DirtyLog *log, uint64_t *map, uint64_t *copy)
{
    uint64_t page = 0;

    dirty_log_take(log, s->rb, map);
    while ((page = bitmap_find_next(map, PAGES, page)) < PAGES) {
        bitmap_test_and_clear(map, page);
        copy[page] = __atomic_load_n(page_word(s->rb, page), __ATOMIC_RELAXED);
    }
}

static gpointer reader(gpointer opaque)
{
    Stress *s = opaque;
    uint64_t *map = bitmap_new(PAGES);
    uint64_t *copy = g_new0(uint64_t, PAGES);
    DirtyLog *log = dirty_log_start(s->mem, "reader", NULL);

    g_assert_nonnull(log);
    for (uint64_t page = 0; page < PAGES; page++) {
        copy[page] = __atomic_load_n(page_word(s->rb, page), __ATOMIC_RELAXED);
    }
    while (!stopped(s)) {
        copy_taken(s, log, map, copy);
    }
    /* The writers have been joined when the main thread says 2. */
    while (__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE) != 2) {
        g_thread_yield();
    }
    copy_taken(s, log, map, copy);
    for (uint64_t page = 0; page < PAGES; page++) {
        g_assert_cmpuint(copy[page], ==, *page_word(s->rb, page));
    }
    dirty_log_stop(log);
    bitmap_free(map, PAGES);
    g_free(copy);
    return NULL;
}

static void test_stress(void)
{
    for (int round = 0; round < 20; round++) {
        Stress s = { .mem = memory_new() };
        GThread *writers[3], *readers[2], *flap;

        s.rb = new_block(s.mem, "ram", SIZE, 0);
        for (int i = 0; i < 3; i++) {
            writers[i] = thread_start("writer", writer, &s);
        }
        for (int i = 0; i < 2; i++) {
            readers[i] = thread_start("reader", reader, &s);
        }
        flap = thread_start("flapper", flapper, &s);
        g_usleep(20000);
        __atomic_store_n(&s.stop, 1, __ATOMIC_RELAXED);
        for (int i = 0; i < 3; i++) {
            g_thread_join(writers[i]);
        }
        g_thread_join(flap);
        __atomic_store_n(&s.stop, 2, __ATOMIC_RELEASE);
        for (int i = 0; i < 2; i++) {
            g_thread_join(readers[i]);
        }
        memory_free(s.mem);
    }
}

/* ---- who writes without marking ---- */

typedef struct Source {
    RamBlock *rb;
    unsigned starts, stops, syncs;
    bool fails;
    uint64_t written;           /* the page that it has written to */
} Source;

static void source_start(void *opaque)
{
    ((Source *)opaque)->starts++;
}

static void source_stop(void *opaque)
{
    ((Source *)opaque)->stops++;
}

static bool source_sync(void *opaque, Error **errp)
{
    Source *src = opaque;

    src->syncs++;
    if (src->fails) {
        error_setg(errp, "the device does not answer");
        return false;
    }
    memory_mark_dirty(src->rb, src->written * GUEST_PAGE_SIZE, 1);
    return true;
}

static const DirtySourceOps source_ops = {
    source_start, source_stop, source_sync,
};

/* Section 6: pages that a device writes land in the same bitmap. */
static void test_source(void)
{
    Memory *mem = memory_new();
    Source src = { .rb = new_block(mem, "a", SIZE, 0), .written = 7 };
    DirtyLog *one, *two;

    memory_add_dirty_source(mem, "device", &source_ops, &src);
    one = dirty_log_start(mem, "one", NULL);
    two = dirty_log_start(mem, "two", NULL);
    g_assert_cmpuint(src.starts, ==, 1);
    expect_none(one, src.rb);
    dirty_log_sync(one);
    g_assert_cmpuint(src.syncs, ==, 1);
    expect(one, src.rb, 7, 7);
    expect(two, src.rb, 7, 7);
    dirty_log_stop(one);
    g_assert_cmpuint(src.stops, ==, 0);
    dirty_log_stop(two);
    g_assert_cmpuint(src.stops, ==, 1);
    /* One that comes while a log is active is started then. */
    memory_remove_dirty_source(mem, &src);
    one = dirty_log_start(mem, "one", NULL);
    memory_add_dirty_source(mem, "device", &source_ops, &src);
    g_assert_cmpuint(src.starts, ==, 2);
    memory_remove_dirty_source(mem, &src);
    g_assert_cmpuint(src.stops, ==, 2);
    dirty_log_sync(one);
    g_assert_cmpuint(src.syncs, ==, 1);
    dirty_log_stop(one);
    memory_free(mem);
}

/* Never a lost page: who cannot say has written to all of them. */
static void test_source_fails(void)
{
    Memory *mem = memory_new();
    Source src = { .rb = new_block(mem, "a", SIZE, 0), .fails = true };
    RamBacking backing = { .size = SIZE, .fd = -1 };
    RamBlock *unmapped = memory_ram_new(mem, "b", &backing, NULL);
    DirtyLog *log;

    memory_add_dirty_source(mem, "device", &source_ops, &src);
    log = dirty_log_start(mem, "one", NULL);
    for (int i = 0; i < 3; i++) {
        dirty_log_sync(log);
        expect(log, src.rb, 0, PAGES - 1);
        expect_none(log, unmapped);
    }
    dirty_log_stop(log);
    memory_remove_dirty_source(mem, &src);
    memory_free(mem);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/dirty/marks", test_marks);
    g_test_add_func("/dirty/several", test_several);
    g_test_add_func("/dirty/barrier", test_barrier);
    g_test_add_func("/dirty/stress", test_stress);
    g_test_add_func("/migration/spec-6/dirty-source", test_source);
    g_test_add_func("/migration/spec-6/dirty-source/fails",
                    test_source_fails);
    return g_test_run();
}
