/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The harts' threads, with a target that does nothing but store to RAM through
 * a "TLB" of one entry: stopping, resuming, kicking out of a halt, the barrier
 * behind dirty logging, the throttle.
 */
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "accel/accel.h"
#include "system/cpu.h"
#include "system/memory.h"
#include "tests/patience.h"

#define PAGES 64
#define HARTS 3
#define IO_BASE UINT64_C(0x10000000)
#define NO_PAGE UINT64_MAX

typedef enum FakeMode {
    FAKE_STORE,                 /* stores all over memory */
    FAKE_HALT,                  /* halts until "work" */
    FAKE_IO,                    /* accesses a device all the time */
    FAKE_NOTHING,               /* spins */
} FakeMode;

typedef struct FakeCpu {
    Cpu cpu;
    RamBlock *rb;
    FakeMode mode;
    uint64_t writable;          /* the TLB: the page it may store to */
    uint64_t value;
    uint32_t rand;
    uint64_t page;              /* to which it stores ... */
    uint32_t left;              /* ... so many times more */
    uint32_t work;              /* atomic */
    uint64_t runs;              /* atomic: progress */
    uint64_t flushes;           /* atomic */
} FakeCpu;

typedef struct Machine {
    Vm *vm;
    RamBlock *rb;
    FakeCpu *cpu[HARTS];
    IoRegion io;
    uint64_t io_accesses;       /* big lock */
} Machine;

static uint64_t *page_word(RamBlock *rb, uint64_t page, unsigned n)
{
    return (uint64_t *)(void *)(rb->host + page * GUEST_PAGE_SIZE) + n;
}

static void fake_store(FakeCpu *fake)
{
    uint64_t page;

    /*
     * Long on the same page, so that the last store to it comes after the
     * mark was taken; how long differs from hart to hart.
     */
    fake->rand = fake->rand * 1103515245 + 12345;
    if (fake->left-- == 0) {
        fake->page = (fake->rand >> 16) % PAGES;
        fake->left = (fake->rand >> 22) << (6 * fake->cpu.index);
    }
    page = fake->page;
    if (page != fake->writable) {
        memory_mark_dirty(fake->rb, page * GUEST_PAGE_SIZE, 8);
        fake->writable = page;
    }
    __atomic_store_n(page_word(fake->rb, page, fake->cpu.index), ++fake->value,
                     __ATOMIC_RELAXED);
}

static bool fake_has_work(Cpu *cpu)
{
    return __atomic_load_n(&((FakeCpu *)cpu)->work, __ATOMIC_SEQ_CST);
}

static CpuExit fake_run(Cpu *cpu)
{
    FakeCpu *fake = (FakeCpu *)cpu;
    uint64_t val;

    while (!__atomic_load_n(&cpu->attention, __ATOMIC_ACQUIRE)) {
        __atomic_fetch_add(&fake->runs, 1, __ATOMIC_RELAXED);
        switch (fake->mode) {
        case FAKE_STORE:
            for (int i = 0; i < 100; i++) {
                fake_store(fake);
            }
            break;
        case FAKE_HALT:
            if (!fake_has_work(cpu)) {
                return CPU_EXIT_HALTED;
            }
            __atomic_fetch_sub(&fake->work, 1, __ATOMIC_SEQ_CST);
            break;
        case FAKE_IO:
            g_assert_cmpint(cpu_io_read(cpu, IO_BASE, 4, &val), ==, MEM_OK);
            g_assert_cmpint(cpu_io_write(cpu, IO_BASE + 8, 4, 1), ==, MEM_OK);
            break;
        case FAKE_NOTHING:
            break;
        }
    }
    return CPU_EXIT_ATTENTION;
}

static void fake_flush(Cpu *cpu)
{
    FakeCpu *fake = (FakeCpu *)cpu;

    fake->writable = NO_PAGE;
    __atomic_fetch_add(&fake->flushes, 1, __ATOMIC_RELAXED);
}

static const CpuOps fake_ops = {
    .run = fake_run, .has_work = fake_has_work, .flush_writes = fake_flush,
};

static MemResult io_read(void *opaque, hwaddr addr, unsigned size,
                         uint64_t *val)
{
    Machine *m = opaque;

    (void)addr;
    (void)size;
    g_assert_true(vm_locked(m->vm));
    *val = m->io_accesses++;
    return MEM_OK;
}

static MemResult io_write(void *opaque, hwaddr addr, unsigned size,
                          uint64_t val)
{
    return io_read(opaque, addr, size, &val);
}

static const IoOps io_ops = { .read = io_read, .write = io_write };

static Machine *machine_new(FakeMode mode, const AccelOps *accel)
{
    Machine *m = g_new0(Machine, 1);
    RamBacking backing = { .size = PAGES * GUEST_PAGE_SIZE, .fd = -1 };

    m->vm = vm_new();
    vm_lock(m->vm);
    m->rb = memory_ram_new(m->vm->memory, "ram", &backing, NULL);
    g_assert_true(memory_map_ram(m->vm->memory, m->rb, 0, NULL));
    memory_io_init(&m->io, "io", &io_ops, m, 0x100);
    memory_io_map(m->vm->memory, &m->io, IO_BASE);
    for (unsigned i = 0; i < HARTS; i++) {
        FakeCpu *fake = m->cpu[i] = g_new0(FakeCpu, 1);

        cpu_init(&fake->cpu, m->vm, i, &fake_ops);
        g_ptr_array_add(m->vm->cpus, &fake->cpu);
        fake->rb = m->rb;
        fake->mode = mode;
        fake->writable = NO_PAGE;
        fake->rand = g_test_rand_int();
    }
    m->vm->accel = accel;
    g_assert_true(accel->init(m->vm, NULL));
    cpus_start_threads(m->vm);
    vm_unlock(m->vm);
    return m;
}

static void machine_free(Machine *m)
{
    vm_free(m->vm);
    for (unsigned i = 0; i < HARTS; i++) {
        g_free(m->cpu[i]);
    }
    g_free(m);
}

static void resume(Machine *m)
{
    vm_lock(m->vm);
    cpus_resume_all(m->vm);
    vm_unlock(m->vm);
}

static void pause_all(Machine *m)
{
    vm_lock(m->vm);
    cpus_pause_all(m->vm);
    vm_unlock(m->vm);
}

static uint64_t runs(Machine *m, unsigned hart)
{
    return __atomic_load_n(&m->cpu[hart]->runs, __ATOMIC_RELAXED);
}

static void wait_for_progress(Machine *m)
{
    for (unsigned i = 0; i < HARTS; i++) {
        uint64_t before = runs(m, i);

        while (runs(m, i) == before) {
            g_usleep(100);
        }
    }
}

static void test_threads(void)
{
    Machine *m = machine_new(FAKE_STORE, &accel_tcg);

    for (unsigned i = 0; i < HARTS; i++) {
        g_autofree char *path = NULL, *comm = NULL, *want = NULL;

        g_assert_cmpint(m->cpu[i]->cpu.tid, >, 0);
        path = g_strdup_printf("/proc/self/task/%d/comm", m->cpu[i]->cpu.tid);
        want = g_strdup_printf("CPU %u/TCG\n", i);
        for (int tries = 0; tries < 1000; tries++) {
            g_clear_pointer(&comm, g_free);
            g_assert_true(g_file_get_contents(path, &comm, NULL, NULL));
            if (strcmp(comm, want) == 0) {
                break;
            }
            g_usleep(1000);
        }
        g_assert_cmpstr(comm, ==, want);
    }
    /* They do not run before they are told to. */
    g_usleep(20000);
    for (unsigned i = 0; i < HARTS; i++) {
        g_assert_cmpuint(runs(m, i), ==, 0);
    }
    machine_free(m);
}

static void check_pause(FakeMode mode)
{
    Machine *m = machine_new(mode, &accel_tcg);

    for (int round = 0; round < 50; round++) {
        uint64_t before[HARTS];

        resume(m);
        if (round % 2) {
            wait_for_progress(m);
        }
        pause_all(m);
        for (unsigned i = 0; i < HARTS; i++) {
            before[i] = runs(m, i);
            g_assert_cmpuint(m->cpu[i]->cpu.in_guest, ==, 0);
        }
        g_usleep(500);
        for (unsigned i = 0; i < HARTS; i++) {
            g_assert_cmpuint(runs(m, i), ==, before[i]);
        }
    }
    /* Ends also while they run. */
    resume(m);
    machine_free(m);
}

static void test_pause(void)
{
    check_pause(FAKE_STORE);
}

/* A hart that waits for the big lock must not hold up who stops it. */
static void test_pause_io(void)
{
    check_pause(FAKE_IO);
}

static void test_halt(void)
{
    Machine *m = machine_new(FAKE_HALT, &accel_tcg);

    resume(m);
    for (int round = 0; round < 2000; round++) {
        FakeCpu *fake = m->cpu[round % HARTS];
        gint64 limit = g_get_monotonic_time() +
                       test_patience(10 * G_USEC_PER_SEC);

        __atomic_fetch_add(&fake->work, 1, __ATOMIC_SEQ_CST);
        cpu_kick(&fake->cpu);
        while (fake_has_work(&fake->cpu)) {
            g_assert_cmpint(g_get_monotonic_time(), <, limit);
            g_thread_yield();
        }
    }
    /* A halted hart can be stopped and ended. */
    pause_all(m);
    machine_free(m);
}

/* Time of this process's threads, in ns. */
static int64_t cpu_time_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void test_halt_is_idle(void)
{
    Machine *m = machine_new(FAKE_HALT, &accel_tcg);
    int64_t start, used;

    resume(m);
    g_usleep(20000);
    start = cpu_time_ns();
    g_usleep(100000);
    used = cpu_time_ns() - start;
    g_assert_cmpint(used, <, 20000000);
    machine_free(m);
}

static void test_qtest(void)
{
    Machine *m = machine_new(FAKE_STORE, &accel_qtest);

    resume(m);
    g_usleep(10000);
    for (unsigned i = 0; i < HARTS; i++) {
        g_assert_cmpuint(runs(m, i), ==, 0);
        cpu_kick(&m->cpu[i]->cpu);
    }
    pause_all(m);
    machine_free(m);
}

static void test_barrier(void)
{
    Machine *m = machine_new(FAKE_STORE, &accel_tcg);
    int64_t most = 0, sum = 0;
    uint64_t flushes;

    /* Stopped harts flush before they run on, and hold nobody up. */
    cpus_barrier(m->vm);
    g_assert_cmpuint(m->cpu[0]->flushes, ==, 0);
    resume(m);
    wait_for_progress(m);
    flushes = __atomic_load_n(&m->cpu[0]->flushes, __ATOMIC_RELAXED);
    g_assert_cmpuint(flushes, ==, 1);
    for (int i = 0; i < 200; i++) {
        int64_t start = clock_now_ns(clock_host()), took;

        cpus_barrier(m->vm);
        took = clock_now_ns(clock_host()) - start;
        most = MAX(most, took);
        sum += took;
    }
    g_test_message("barrier over %d harts: %.1f us on average, %.1f us at most",
                   HARTS, sum / 200e3, most / 1e3);
    machine_free(m);
}

/* What migration does: copies what was taken; no store may be missing. */
static void copy_taken(Machine *m, DirtyLog *log, uint64_t *map,
                       uint64_t (*copy)[HARTS])
{
    uint64_t page = 0;

    dirty_log_take(log, m->rb, map);
    dirty_log_barrier(log);
    while ((page = bitmap_find_next(map, PAGES, page)) < PAGES) {
        bitmap_test_and_clear(map, page);
        for (unsigned i = 0; i < HARTS; i++) {
            copy[page][i] = __atomic_load_n(page_word(m->rb, page, i),
                                            __ATOMIC_RELAXED);
        }
    }
}

static void check_no_store_lost(int rounds, gulong run_us)
{
    Machine *m = machine_new(FAKE_STORE, &accel_tcg);
    uint64_t *map = bitmap_new(PAGES);

    resume(m);
    for (int round = 0; round < rounds; round++) {
        uint64_t copy[PAGES][HARTS];
        DirtyLog *log = dirty_log_start(m->vm->memory, "test", NULL);
        gint64 end = g_get_monotonic_time() + run_us;

        bitmap_set_range(map, 0, PAGES);
        while (g_get_monotonic_time() < end) {
            copy_taken(m, log, map, copy);
        }
        pause_all(m);
        copy_taken(m, log, map, copy);
        for (uint64_t page = 0; page < PAGES; page++) {
            for (unsigned i = 0; i < HARTS; i++) {
                g_assert_cmpuint(copy[page][i], ==,
                                 *page_word(m->rb, page, i));
            }
        }
        dirty_log_stop(log);
        resume(m);
    }
    bitmap_free(map, PAGES);
    machine_free(m);
}

static void test_no_store_lost(void)
{
    check_no_store_lost(80, 5000);
}

/* Several readers with barriers of their own at the same time. */
static gpointer barrier_thread(gpointer opaque)
{
    Machine *m = opaque;

    for (int i = 0; i < 500; i++) {
        DirtyLog *log = dirty_log_start(m->vm->memory, "other", NULL);

        dirty_log_barrier(log);
        dirty_log_stop(log);
    }
    return NULL;
}

static void test_barriers_at_once(void)
{
    Machine *m = machine_new(FAKE_IO, &accel_tcg);
    GThread *threads[2];

    resume(m);
    for (int i = 0; i < 2; i++) {
        threads[i] = g_thread_new("barrier", barrier_thread, m);
    }
    for (int i = 0; i < 50; i++) {
        pause_all(m);
        /* With the big lock held, as the set-up of a migration does it. */
        vm_lock(m->vm);
        cpus_barrier(m->vm);
        cpus_resume_all(m->vm);
        cpus_barrier(m->vm);
        vm_unlock(m->vm);
    }
    for (int i = 0; i < 2; i++) {
        g_thread_join(threads[i]);
    }
    machine_free(m);
}

static void run_loop_for(Vm *vm, gint64 us)
{
    gint64 end = g_get_monotonic_time() + us;

    while (g_get_monotonic_time() < end) {
        vm_main_loop_iterate(vm, false);
        g_usleep(200);
    }
}

/* CPU time of a hart's thread, in ns: what the throttle is about. */
static int64_t hart_time_ns(Machine *m, unsigned hart)
{
    g_autofree char *path = g_strdup_printf(
        "/proc/self/task/%d/schedstat", m->cpu[hart]->cpu.tid);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return g_ascii_strtoll(text, NULL, 10);
}

static void test_throttle(void)
{
    Machine *m = machine_new(FAKE_HALT, &accel_tcg);
    gint64 start;
    int64_t used;

    /* One busy hart, so that harts do not compete for the host. */
    m->cpu[0]->mode = FAKE_NOTHING;
    cpus_set_throttle(m->vm, 150);
    g_assert_cmpuint(cpus_get_throttle(m->vm), ==, 99);
    cpus_set_throttle(m->vm, 80);
    g_assert_cmpuint(cpus_get_throttle(m->vm), ==, 80);
    resume(m);
    run_loop_for(m->vm, 50000);
    start = g_get_monotonic_time();
    used = hart_time_ns(m, 0);
    run_loop_for(m->vm, 500000);
    used = hart_time_ns(m, 0) - used;
    start = g_get_monotonic_time() - start;
    g_test_message("throttled by 80 %%: ran %.1f %%", used / 10.0 / start);
    /* A busy host only makes it run less. */
    g_assert_cmpint(used, <, start * 1000 * 35 / 100);
    g_assert_cmpint(used, >, 0);

    /* Stopping does not wait for the sleep, nor does the end of the throttle */
    cpus_set_throttle(m->vm, 99);
    run_loop_for(m->vm, 100000);
    pause_all(m);
    resume(m);
    run_loop_for(m->vm, 50000);
    cpus_set_throttle(m->vm, 0);
    used = (int64_t)runs(m, 0);
    g_usleep(100000);
    g_assert_cmpint((int64_t)runs(m, 0), >, used);
    machine_free(m);
}

static void test_choose(void)
{
    Vm *vm = vm_new();
    g_autoptr(Error) err = NULL;

    g_assert_true(accel_choose(vm, NULL, NULL));
    g_assert_true(vm->accel == &accel_tcg);
    g_assert_true(accel_choose(vm, "kvm:qtest:tcg", NULL));
    g_assert_true(vm->accel == &accel_qtest);
    g_assert_false(accel_choose(vm, "kvm:hvf", &err));
    g_assert_nonnull(strstr(err->message, "kvm:hvf"));
    g_assert_true(accel_find("tcg") == &accel_tcg);
    g_assert_null(accel_find("tc"));
    vm_free(vm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/accel/choose", test_choose);
    g_test_add_func("/cpus/threads", test_threads);
    g_test_add_func("/cpus/pause", test_pause);
    g_test_add_func("/cpus/pause-io", test_pause_io);
    g_test_add_func("/cpus/halt", test_halt);
    g_test_add_func("/cpus/halt-is-idle", test_halt_is_idle);
    g_test_add_func("/cpus/qtest", test_qtest);
    g_test_add_func("/cpus/barrier", test_barrier);
    g_test_add_func("/cpus/no-store-lost", test_no_store_lost);
    g_test_add_func("/cpus/barriers-at-once", test_barriers_at_once);
    g_test_add_func("/cpus/throttle", test_throttle);
    return g_test_run();
}
