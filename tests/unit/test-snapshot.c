/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory of one moment: whoever writes meanwhile, and however, what is
 * sent is what was there, each page once; nobody waits for one that waits for
 * him; on kernels that lack something, which are made up.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration-util.h"
#include "migration/migration-int.h"
#include "migration/snapshot.h"
#include "qapi/qapi-commands-migration.h"
#include "util/thread.h"

#define PAGE GUEST_PAGE_SIZE
#define PAGES 2000
#define WRITERS 4
#define POOL_PAGES 64

/* ---- a kernel ---- */

typedef struct Kernel {
    UffdSys sys;
    uint64_t no_features;
    bool no_register;
    unsigned fail_protect;      /* atomic: so many calls until one fails */
    int open;                   /* descriptors */
} Kernel;

static int kernel_open_device(const UffdSys *sys)
{
    int fd = uffd_sys_host()->open_device(sys);

    ((Kernel *)sys)->open += fd >= 0;
    return fd;
}

static int kernel_userfaultfd(const UffdSys *sys, int flags)
{
    int fd = uffd_sys_host()->userfaultfd(sys, flags);

    ((Kernel *)sys)->open += fd >= 0;
    return fd;
}

static int kernel_ioctl(const UffdSys *sys, int fd, unsigned long request,
                        void *arg)
{
    Kernel *k = (Kernel *)sys;
    unsigned left = __atomic_load_n(&k->fail_protect, __ATOMIC_ACQUIRE);
    int res;

    if (request == UFFDIO_REGISTER && k->no_register) {
        errno = ENOMEM;
        return -1;
    }
    if (request == UFFDIO_WRITEPROTECT && left &&
        __atomic_sub_fetch(&k->fail_protect, 1, __ATOMIC_ACQ_REL) == 0) {
        errno = ENOMEM;
        return -1;
    }
    res = ioctl(fd, request, arg);
    if (request == UFFDIO_API) {
        ((struct uffdio_api *)arg)->features &= ~k->no_features;
    }
    if (request == USERFAULTFD_IOC_NEW && res >= 0) {
        k->open++;
    }
    return res;
}

static int kernel_close(const UffdSys *sys, int fd)
{
    ((Kernel *)sys)->open--;
    return close(fd);
}

/* ---- memory, its moment, and those who write ---- */

typedef struct Rig {
    Kernel kernel;
    Memory *memory;
    RamBlock *rb;
    Snapshot *snap;
    uint8_t *moment;            /* what was there */
    uint8_t *got;               /* what was sent */
    unsigned sent[PAGES];       /* how often */
    bool stop;                  /* atomic: starting is to give up */
    unsigned urgent, failed;    /* atomic: calls */
} Rig;

static bool rig_stopped(void *opaque)
{
    return __atomic_load_n(&((Rig *)opaque)->stop, __ATOMIC_ACQUIRE);
}

static void rig_urgent(void *opaque)
{
    __atomic_add_fetch(&((Rig *)opaque)->urgent, 1, __ATOMIC_ACQ_REL);
}

static void rig_failed(void *opaque)
{
    __atomic_add_fetch(&((Rig *)opaque)->failed, 1, __ATOMIC_ACQ_REL);
}

static SnapshotConfig rig_config(Rig *r)
{
    return (SnapshotConfig) {
        .memory = r->memory, .sys = &r->kernel.sys, .clock = clock_host(),
        .pool_bytes = POOL_PAGES * PAGE, .patience_ns = INT64_C(10000000000),
        .stopped = rig_stopped, .urgent = rig_urgent, .failed = rig_failed,
        .opaque = r,
    };
}

static void rig_init(Rig *r, int fd, uint64_t no_features)
{
    RamBacking backing = { .size = PAGES * PAGE, .fd = fd, .share = fd >= 0 };

    memset(r, 0, sizeof(*r));
    r->kernel.sys = (UffdSys) { kernel_open_device, kernel_userfaultfd,
                                kernel_ioctl, kernel_close };
    r->kernel.no_features = no_features;
    r->memory = memory_new();
    r->rb = memory_ram_new(r->memory, "ram0", &backing, NULL);
    g_assert_nonnull(r->rb);
    g_assert_true(memory_map_ram(r->memory, r->rb, 0, NULL));
    r->moment = g_malloc0(PAGES * PAGE);
    r->got = g_malloc0(PAGES * PAGE);
    /* Every third page is never touched. */
    for (uint64_t page = 0; page < PAGES; page++) {
        if (page % 3) {
            memset(r->rb->host + page * PAGE, 1 + page % 200, PAGE);
        }
    }
}

static void rig_start(Rig *r)
{
    SnapshotConfig config = rig_config(r);
    Error *err = NULL;

    r->snap = snapshot_start(&config, &err);
    g_assert_no_error(err);
}

static void rig_freeze(Rig *r)
{
    Error *err = NULL;

    snapshot_freeze(r->snap, &err);
    g_assert_no_error(err);
    memcpy(r->moment, r->rb->host, PAGES * PAGE);
}

/* One run is sent, as ram-snapshot.c does it. False: none is left. */
static bool rig_send(Rig *r)
{
    SnapshotRun run;
    Error *err = NULL;

    snapshot_next(r->snap, &run, &err);
    g_assert_no_error(err);
    if (run.pages == 0) {
        return false;
    }
    memcpy(r->got + run.first * PAGE, run.data, run.pages * PAGE);
    if (run.in_place) {
        snapshot_taken(r->snap, &run, &err);
        g_assert_no_error(err);
    }
    for (uint64_t i = 0; i < run.pages; i++) {
        r->sent[run.first + i]++;
    }
    snapshot_sent(r->snap, &run);
    return true;
}

static void assert_whole(Rig *r)
{
    for (unsigned i = 0; i < PAGES; i++) {
        g_assert_cmpuint(r->sent[i], ==, 1);
        if (memcmp(r->got + i * PAGE, r->moment + i * PAGE, PAGE) != 0) {
            g_test_message("page %u is not that of the moment", i);
            g_test_fail();
        }
    }
    g_assert_cmpuint(snapshot_left(r->snap), ==, 0);
}

static void rig_clear(Rig *r)
{
    g_clear_pointer(&r->snap, snapshot_free);
    g_assert_cmpint(r->kernel.open, ==, 0);
    /* Everything can be written, by nobody's leave. */
    memset(r->rb->host, 0xee, PAGES * PAGE);
    g_free(r->moment);
    g_free(r->got);
    memory_free(r->memory);
}

typedef struct Writer {
    Rig *rig;
    unsigned kind;
    bool quit;                  /* atomic */
    uint64_t writes;            /* atomic */
    GThread *thread;
} Writer;

/* In order, at random, as a device's DMA, and through the kernel. */
static void write_once(Writer *w, uint64_t n, GRand *rand, const int ends[2])
{
    Rig *r = w->rig;
    uint64_t page = w->kind ? (uint64_t)g_rand_int_range(rand, 0, PAGES)
                            : n % PAGES;
    uint64_t val = n << 8 | w->kind;
    hwaddr at = page * PAGE + w->kind * 64;

    if (w->kind == 2) {
        g_assert_cmpint(memory_write(r->memory, at, &val, 8), ==, MEM_OK);
    } else if (w->kind == 3) {
        g_assert_cmpint(write(ends[1], &val, 8), ==, 8);
        g_assert_cmpint(read(ends[0], r->rb->host + at, 8), ==, 8);
    } else {
        __atomic_store_n((uint64_t *)(void *)(r->rb->host + at), val,
                         __ATOMIC_RELEASE);
    }
}

static gpointer write_all(gpointer opaque)
{
    Writer *w = opaque;
    GRand *rand = g_rand_new_with_seed(w->kind);
    int ends[2];

    g_assert_cmpint(pipe(ends), ==, 0);
    for (uint64_t n = 0; !__atomic_load_n(&w->quit, __ATOMIC_ACQUIRE); n++) {
        write_once(w, n, rand, ends);
        __atomic_store_n(&w->writes, n, __ATOMIC_RELEASE);
    }
    close(ends[0]);
    close(ends[1]);
    g_rand_free(rand);
    return NULL;
}

static void writers_start(Writer *w, Rig *r)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        w[i] = (Writer) { .rig = r, .kind = i };
        w[i].thread = thread_start("write", write_all, &w[i]);
    }
}

static void writers_stop(Writer *w)
{
    for (unsigned i = 0; i < WRITERS; i++) {
        __atomic_store_n(&w[i].quit, true, __ATOMIC_RELEASE);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        g_thread_join(w[i].thread);
    }
}

static bool any_has_written(Writer *w)
{
    bool any = false;

    for (unsigned i = 0; i < WRITERS; i++) {
        any = any || __atomic_load_n(&w[i].writes, __ATOMIC_ACQUIRE) > 0;
    }
    return any;
}

/* ---- tests ---- */

/*
 * All write while it is started; they stand still for the moment; and all
 * write again, more than the pool has room for.
 */
static void race(int fd, uint64_t no_features)
{
    SnapshotStats stats;
    Writer w[WRITERS];
    Rig r;

    rig_init(&r, fd, no_features);
    writers_start(w, &r);
    rig_start(&r);
    writers_stop(w);
    rig_freeze(&r);
    writers_start(w, &r);
    /* What is written before it is sent has to be put aside. */
    while (!any_has_written(w)) {
        g_usleep(100);
    }
    while (rig_send(&r)) {
        g_usleep(100);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        uint64_t writes = __atomic_load_n(&w[i].writes, __ATOMIC_ACQUIRE);

        while (__atomic_load_n(&w[i].writes, __ATOMIC_ACQUIRE) == writes) {
            g_usleep(100);
        }
    }
    writers_stop(w);
    assert_whole(&r);
    snapshot_get_stats(r.snap, &stats);
    g_assert_cmpuint(stats.total_pages, ==, PAGES);
    g_assert_cmpuint(stats.aside_pages, >, 0);
    g_assert_cmpuint(stats.aside_pages, <=, PAGES);
    g_assert_cmpuint(stats.faults.faults, >, 0);
    g_assert_cmpuint(r.failed, ==, 0);
    rig_clear(&r);
}

static int new_file(void)
{
    int fd = memfd_create("ram", MFD_CLOEXEC);

    g_assert_cmpint(ftruncate(fd, PAGES * PAGE), ==, 0);
    return fd;
}

static void test_race(void)
{
    for (unsigned i = 0; i < 3; i++) {
        race(-1, 0);
    }
}

static void test_race_shared(void)
{
    race(new_file(), 0);
}

/* Pages that nobody has touched are zero in the moment on old kernels, too. */
static void test_race_old_kernel(void)
{
    race(-1, UFFD_FEATURE_WP_UNPOPULATED);
}

/* What was written before the moment, and where protection was already. */
static void test_written_before(void)
{
    Rig r;

    rig_init(&r, -1, 0);
    rig_start(&r);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned page = 0; page < PAGES; page += 7) {
            r.rb->host[page * PAGE + round] = 0xa0 + round;
        }
    }
    rig_freeze(&r);
    /* Through two that was written, and one that was not. */
    r.rb->host[7 * PAGE] = r.rb->host[14 * PAGE] = r.rb->host[15 * PAGE] = 0x55;
    while (rig_send(&r)) {
    }
    assert_whole(&r);
    rig_clear(&r);
}

/* Who writes in order finds the next pages open. */
static void test_in_order(void)
{
    SnapshotStats stats;
    Rig r;

    rig_init(&r, -1, 0);
    rig_start(&r);
    rig_freeze(&r);
    for (unsigned page = 0; page < POOL_PAGES / 2; page++) {
        r.rb->host[page * PAGE] = 0x33;
    }
    snapshot_get_stats(r.snap, &stats);
    g_assert_cmpuint(stats.aside_pages, >=, POOL_PAGES / 2);
    g_assert_cmpuint(stats.faults.faults, <=, 7);
    g_assert_cmpuint(stats.waits, ==, 0);
    g_assert_true(snapshot_is_urgent(r.snap));
    /* Said soon after the last of them went on. */
    for (unsigned i = 0; i < 5000 && !__atomic_load_n(&r.urgent,
                                                     __ATOMIC_ACQUIRE); i++) {
        g_usleep(1000);
    }
    g_assert_cmpuint(__atomic_load_n(&r.urgent, __ATOMIC_ACQUIRE), ==, 1);
    while (rig_send(&r)) {
    }
    g_assert_false(snapshot_is_urgent(r.snap));
    assert_whole(&r);
    rig_clear(&r);
}

static gpointer write_every(gpointer opaque)
{
    Rig *r = opaque;

    for (unsigned page = PAGES; page-- > 0;) {
        r->rb->host[page * PAGE] = 0x44;
    }
    return NULL;
}

/* A pool that is full makes who writes wait, as long as pages leave. */
static void test_full_pool(void)
{
    SnapshotStats stats;
    GThread *thread;
    Rig r;

    rig_init(&r, -1, 0);
    rig_start(&r);
    rig_freeze(&r);
    thread = thread_start("write", write_every, &r);
    do {
        g_usleep(1000);
        snapshot_get_stats(r.snap, &stats);
    } while (stats.waits == 0);
    g_assert_cmpuint(stats.aside_pages, ==, POOL_PAGES);
    g_usleep(50000);
    snapshot_get_stats(r.snap, &stats);
    g_assert_cmpuint(stats.aside_pages, ==, POOL_PAGES);
    while (rig_send(&r)) {
    }
    g_thread_join(thread);
    assert_whole(&r);
    rig_clear(&r);
}

/* Nothing leaves: it fails, once, and who waited goes on. */
static void test_patience(void)
{
    SnapshotConfig config;
    Error *err = NULL;
    SnapshotRun run;
    Rig r;

    rig_init(&r, -1, 0);
    config = rig_config(&r);
    config.patience_ns = 50 * 1000000;
    r.snap = snapshot_start(&config, NULL);
    rig_freeze(&r);
    write_every(&r);
    while (!__atomic_load_n(&r.failed, __ATOMIC_ACQUIRE)) {
        g_usleep(1000);
    }
    g_assert_false(snapshot_next(r.snap, &run, &err));
    g_assert_nonnull(strstr(err->message, "nothing of its memory was taken for "
                            "50 ms, with 262144 bytes put aside"));
    g_clear_error(&err);
    g_assert_false(snapshot_check_whole(r.snap, NULL));
    rig_clear(&r);
    g_assert_cmpuint(r.failed, ==, 1);
}

/* Given up in the middle, by its owner; also while somebody waits for room. */
static void test_given_up(void)
{
    for (unsigned waiting = 0; waiting < 2; waiting++) {
        SnapshotStats stats = { 0 };
        GThread *thread = NULL;
        Rig r;

        rig_init(&r, -1, 0);
        rig_start(&r);
        rig_freeze(&r);
        g_assert_true(rig_send(&r));
        if (waiting) {
            thread = thread_start("write", write_every, &r);
        }
        while (waiting && stats.waits == 0) {
            g_usleep(1000);
            snapshot_get_stats(r.snap, &stats);
        }
        g_clear_pointer(&r.snap, snapshot_free);
        if (thread) {
            g_thread_join(thread);
        }
        g_assert_cmpuint(r.failed, ==, 0);
        rig_clear(&r);
    }
}

/* The kernel refuses something, sooner or later. */
static void test_kernel_fails(void)
{
    for (unsigned when = 0; when < 4; when++) {
        SnapshotConfig config;
        Error *err = NULL;
        Rig r;

        rig_init(&r, -1, 0);
        config = rig_config(&r);
        r.kernel.no_register = when == 0;
        r.kernel.fail_protect = when == 1;
        r.stop = when == 2;
        r.snap = snapshot_start(&config, &err);
        if (when < 3) {
            g_assert_null(r.snap);
            g_assert_nonnull(strstr(err->message, when == 2 ? "stopped"
                                    : "RAM block 'ram0'"));
            g_clear_error(&err);
            rig_clear(&r);
            continue;
        }
        rig_freeze(&r);
        __atomic_store_n(&r.kernel.fail_protect, 1, __ATOMIC_RELEASE);
        r.rb->host[0] = 1;      /* let on by taking the registration back */
        while (!__atomic_load_n(&r.failed, __ATOMIC_ACQUIRE)) {
            g_usleep(1000);
        }
        g_assert_false(snapshot_check_whole(r.snap, &err));
        g_assert_nonnull(strstr(err->message, "opening 16384 bytes"));
        g_clear_error(&err);
        rig_clear(&r);
    }
}

/* What is refused, before anything is opened for longer than the question. */
static void test_check(void)
{
    Error *err = NULL;
    Rig r;

    rig_init(&r, -1, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    g_assert_false(snapshot_check(&r.kernel.sys, r.memory, PAGE, &err));
    g_assert_nonnull(strstr(err->message, "no feature PAGEFAULT_FLAG_WP, which "
                            "RAM block 'ram0'"));
    g_clear_error(&err);
    rig_clear(&r);

    rig_init(&r, new_file(), UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
    g_assert_false(snapshot_check(&r.kernel.sys, r.memory, PAGE, &err));
    g_assert_nonnull(strstr(err->message, "WP_HUGETLBFS_SHMEM"));
    g_clear_error(&err);
    r.kernel.no_features = 0;
    g_assert_true(snapshot_check(&r.kernel.sys, r.memory, PAGE, NULL));
    g_assert_false(snapshot_check(&r.kernel.sys, r.memory, PAGE / 2, &err));
    g_assert_nonnull(strstr(err->message, "has pages of 4096 bytes; at most "
                            "2048"));
    g_clear_error(&err);
    rig_clear(&r);
}

static bool set_capability(Vm *vm, MigrationCapability cap, Error **errp)
{
    MigrationCapabilityStatus status = { .capability = cap, .state = true };
    MigrationCapabilityStatusList list = { .value = &status };

    return qmp_migrate_set_capabilities(vm, &list, errp);
}

/* By the command, and again when it is started; no file is made. */
static void test_capability(void)
{
    g_autofree char *path = g_strdup_printf("/tmp/test-snapshot-%d", getpid());
    g_autofree char *uri = g_strconcat("file:", path, NULL);
    Error *err = NULL;
    Vm *vm = vm_new();
    RamBlock *rb;
    Rig r;

    rig_init(&r, -1, UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    rb = memory_ram_new(vm->memory, "ram0", &(RamBacking) {
        .size = PAGES * PAGE, .fd = -1 }, NULL);
    g_assert_nonnull(rb);
    vm_lock(vm);
    migration_new(vm, clock_host());
    vm->migration->uffd_sys = &r.kernel.sys;
    g_assert_false(set_capability(vm, MIGRATION_CAPABILITY_BACKGROUND_SNAPSHOT,
                                  &err));
    g_assert_nonnull(strstr(err->message, "'background-snapshot': this "
                            "kernel's userfaultfd has no feature"));
    g_clear_error(&err);
    r.kernel.no_features = 0;
    g_assert_true(set_capability(vm, MIGRATION_CAPABILITY_BACKGROUND_SNAPSHOT,
                                 NULL));
    r.kernel.no_features = UFFD_FEATURE_PAGEFAULT_FLAG_WP;
    g_assert_false(qmp_migrate(vm, uri, false, NULL, false, false, false,
                               false, &err));
    g_assert_nonnull(strstr(err->message, "'background-snapshot': "));
    g_clear_error(&err);
    g_assert_cmpint(access(path, F_OK), <, 0);
    g_assert_null(vm->migration->out);
    migration_free(vm->migration);
    savevm_destroy(vm);
    vm_unlock(vm);
    vm_free(vm);
    rig_clear(&r);
}

/* ---- the pool ---- */

static void test_pool(void)
{
    SnapshotPool pool;
    uint8_t *data = NULL;
    PoolRun run;

    g_assert_true(snapshot_pool_init(&pool, 8 * PAGE, NULL));
    g_assert_false(snapshot_pool_pop(&pool, &run));
    g_assert_cmpuint(snapshot_pool_room(&pool, 1, 5, &data), ==, 5);
    g_assert_true(data == pool.base);
    snapshot_pool_push(&pool, NULL, 100, 5, data);
    /* Three are left at the end; a run of four has to wait, and goes round. */
    g_assert_cmpuint(snapshot_pool_room(&pool, 2, 5, &data), ==, 3);
    g_assert_cmpuint(snapshot_pool_room(&pool, 4, 5, &data), ==, 0);
    g_assert_true(snapshot_pool_pop(&pool, &run));
    g_assert_cmpuint(run.first, ==, 100);
    g_assert_cmpuint(run.pages, ==, 5);
    g_assert_cmpuint(snapshot_pool_room(&pool, 4, 5, &data), ==, 0);
    g_assert_cmpuint(snapshot_pool_room(&pool, 1, 1, &data), ==, 1);
    snapshot_pool_push(&pool, NULL, 200, 1, data);
    snapshot_pool_give_back(&pool, &run);
    g_assert_cmpuint(snapshot_pool_room(&pool, 4, 8, &data), ==, 5);
    g_assert_true(data == pool.base);
    snapshot_pool_push(&pool, NULL, 300, 5, data);
    g_assert_cmpuint(snapshot_pool_used(&pool), ==, 8);
    g_assert_cmpuint(snapshot_pool_room(&pool, 1, 1, &data), ==, 0);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(snapshot_pool_pop(&pool, &run));
        g_assert_cmpuint(run.first, ==, i ? 300 : 200);
        snapshot_pool_give_back(&pool, &run);
    }
    g_assert_cmpuint(snapshot_pool_used(&pool), ==, 0);
    /* Empty, it has room for whatever fits at all. */
    g_assert_cmpuint(snapshot_pool_room(&pool, 8, 8, &data), ==, 8);
    snapshot_pool_clear(&pool);
}

int main(int argc, char **argv)
{
    UffdBlocks none = { .num = 0 };
    Error *err = NULL;

    if (!uffd_check(uffd_sys_host(), &none, UFFD_WP, &err)) {
        printf("1..0 # SKIP %s\n", err->message);
        g_clear_error(&err);
        return 77;
    }
    g_test_init(&argc, &argv, NULL);
#define TEST(_name, _fn) \
    g_test_add_func("/migration/spec-7/snapshot/" _name, _fn)
    TEST("race", test_race);
    TEST("race/shared", test_race_shared);
    TEST("race/old-kernel", test_race_old_kernel);
    TEST("written-before", test_written_before);
    TEST("in-order", test_in_order);
    TEST("full-pool", test_full_pool);
    TEST("patience", test_patience);
    TEST("given-up", test_given_up);
    TEST("kernel-fails", test_kernel_fails);
    TEST("check", test_check);
    TEST("capability", test_capability);
    TEST("pool", test_pool);
    return g_test_run();
}
