/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * userfaultfd on real memory, by each mode and kind of memory that this host
 * has, and on kernels that lack something, which are made up.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/uffd.h"
#include "util/thread.h"

#define PAGE GUEST_PAGE_SIZE
#define PAGES 256

/* ---- kernels ---- */

/* The host's, without some of what it can do. */
typedef struct Kernel {
    UffdSys sys;
    int device_errno;           /* of opening the device; 0: works */
    int syscall_errno;
    int api_errno;
    uint64_t no_features;       /* that it does not have */
    unsigned fail_register;     /* the how manieth fails; 0: none */
    uint64_t no_ioctls;         /* that it does not grant to a range */
    bool eintr_copy;            /* every second copy gets one page far */
    /* What happened */
    unsigned devices, syscalls, registers, unregisters, copies;
    int open;                   /* descriptors */
} Kernel;

static int kernel_open_device(const UffdSys *sys)
{
    Kernel *k = (Kernel *)sys;
    int fd;

    k->devices++;
    if (k->device_errno) {
        errno = k->device_errno;
        return -1;
    }
    fd = uffd_sys_host()->open_device(sys);
    k->open += fd >= 0;
    return fd;
}

static int kernel_userfaultfd(const UffdSys *sys, int flags)
{
    Kernel *k = (Kernel *)sys;
    int fd;

    k->syscalls++;
    if (k->syscall_errno) {
        errno = k->syscall_errno;
        return -1;
    }
    fd = uffd_sys_host()->userfaultfd(sys, flags);
    k->open += fd >= 0;
    return fd;
}

static int kernel_api(Kernel *k, int fd, struct uffdio_api *api)
{
    int res;

    if (k->api_errno || api->features & k->no_features) {
        errno = k->api_errno ? k->api_errno : EINVAL;
        return -1;
    }
    res = ioctl(fd, UFFDIO_API, api);
    api->features &= ~k->no_features;
    return res;
}

static int kernel_ioctl(const UffdSys *sys, int fd, unsigned long request,
                        void *arg)
{
    Kernel *k = (Kernel *)sys;
    struct uffdio_copy *copy = arg;
    int res;

    switch (request) {
    case USERFAULTFD_IOC_NEW:
        res = ioctl(fd, request, arg);
        k->open += res >= 0;
        return res;
    case UFFDIO_API:
        return kernel_api(k, fd, arg);
    case UFFDIO_REGISTER:
        if (++k->registers == k->fail_register) {
            errno = ENOMEM;
            return -1;
        }
        res = ioctl(fd, request, arg);
        ((struct uffdio_register *)arg)->ioctls &= ~k->no_ioctls;
        return res;
    case UFFDIO_UNREGISTER:
        k->unregisters++;
        return ioctl(fd, request, arg);
    case UFFDIO_COPY:
        if (__atomic_add_fetch(&k->copies, 1, __ATOMIC_RELAXED) % 2 &&
            k->eintr_copy && copy->len > PAGE) {
            copy->len = PAGE;
            res = ioctl(fd, request, arg);
            errno = res < 0 ? errno : EAGAIN;
            return -1;
        }
        return ioctl(fd, request, arg);
    default:
        return ioctl(fd, request, arg);
    }
}

static int kernel_close(const UffdSys *sys, int fd)
{
    ((Kernel *)sys)->open--;
    return close(fd);
}

static void kernel_init(Kernel *k)
{
    *k = (Kernel) {
        .sys = { kernel_open_device, kernel_userfaultfd, kernel_ioctl,
                 kernel_close },
    };
}

/* ---- memory and a source of pages ---- */

typedef enum Kind { ANON, SHMEM, SHARED_ANON, HUGE } Kind;

typedef struct Rig {
    Kernel kernel;
    Memory *memory;
    RamBlock *rb;
    UffdIncoming incoming;
    UffdHandler handler;
    Uffd *u;
    unsigned served;            /* atomic: faults that were handled */
    bool refuse;                /* the source has no pages */
    char *failed;               /* why, once it has */
    uint8_t *other;             /* another mapping of shared memory */
} Rig;

static unsigned served(Rig *r)
{
    return __atomic_load_n(&r->served, __ATOMIC_ACQUIRE);
}

/* What page @page of anything holds: each word its own. */
static void make_page(uint64_t *page, uint64_t number)
{
    for (unsigned i = 0; i < PAGE / 8; i++) {
        page[i] = number * 1000003 + i + 1;
    }
}

static bool serve(void *opaque, Uffd *u, const UffdFault *fault, Error **errp)
{
    Rig *r = opaque;
    uint64_t bytes = fault->rb->page_size;
    uint8_t *page = uffd_buffer(u, 0);

    if (r->refuse) {
        error_setg(errp, "nothing at 0x%x", (unsigned)fault->offset);
        return false;
    }
    __atomic_add_fetch(&r->served, 1, __ATOMIC_RELAXED);
    switch (fault->mode) {
    case UFFD_MINOR:
        return uffd_continue(u, fault->rb, fault->offset, bytes, errp);
    case UFFD_WP:
        g_assert_true(fault->write);
        return uffd_protect(u, fault->rb, fault->offset, bytes, false, errp);
    default:
        break;
    }
    if (fault->offset / bytes % 8 == 7) {
        return uffd_zero(u, fault->rb, fault->offset, bytes, errp);
    }
    for (uint64_t at = 0; at < bytes; at += PAGE) {
        make_page((uint64_t *)(void *)(page + at), (fault->offset + at) / PAGE);
    }
    return uffd_copy(u, fault->rb, fault->offset, page, bytes, errp);
}

static void failed(void *opaque, Uffd *u, Error *err)
{
    Rig *r = opaque;

    (void)u;
    g_assert_null(__atomic_load_n(&r->failed, __ATOMIC_ACQUIRE));
    __atomic_store_n(&r->failed, g_strdup(err->message), __ATOMIC_RELEASE);
    g_error_free(err);
}

static int file_of(Kind kind, uint64_t bytes)
{
    int fd = memfd_create("uffd", kind == HUGE ? MFD_HUGETLB : 0);

    if (fd >= 0) {
        g_assert_cmpint(ftruncate(fd, bytes), ==, 0);
    }
    return fd;
}

/* False: this host has no such memory. */
static bool rig_init(Rig *r, Kind kind, unsigned modes)
{
    uint64_t bytes = kind == HUGE ? 4 << 20 : PAGES * PAGE;
    RamBacking backing = { .size = bytes, .fd = -1, .share = kind != ANON };
    Error *err = NULL;

    memset(r, 0, sizeof(*r));
    kernel_init(&r->kernel);
    r->memory = memory_new();
    if (kind == SHMEM || kind == HUGE) {
        backing.fd = file_of(kind, bytes);
    }
    if (kind != HUGE || backing.fd >= 0) {
        r->rb = memory_ram_new(r->memory, "ram0", &backing, &err);
    }
    if (!r->rb) {
        g_assert_true(kind == HUGE);
        g_clear_error(&err);
        memory_free(r->memory);
        g_test_skip("this host has no huge pages to give");
        return false;
    }
    if (kind == SHMEM) {
        r->other = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                        r->rb->backing.fd, 0);
        g_assert_true(r->other != MAP_FAILED);
    }
    r->incoming = (UffdIncoming) {
        .sys = &r->kernel.sys, .clock = clock_host(),
        .blocks = { .rb = { r->rb }, .num = 1 }, .modes = modes,
    };
    r->handler = (UffdHandler) { serve, failed, r };
    return true;
}

static void rig_start(Rig *r)
{
    Error *err = NULL;

    r->u = uffd_setup_incoming(&r->incoming, &r->handler, 1, &err);
    g_assert_no_error(err);
    g_assert_nonnull(r->u);
}

static void rig_clear(Rig *r)
{
    uffd_free(r->u);
    g_assert_cmpint(r->kernel.open, ==, 0);
    g_assert_cmpuint(r->kernel.unregisters, <=, r->kernel.registers);
    if (r->other) {
        munmap(r->other, r->rb->backing.size);
    }
    g_free(r->failed);
    memory_free(r->memory);
}

/* What the source says of it. */
static void assert_page(const Rig *r, const uint8_t *at, uint64_t number)
{
    uint64_t want[PAGE / 8] = { 0 };

    if (number * PAGE / r->rb->page_size % 8 != 7) {
        make_page(want, number);
    }
    g_assert_cmpmem(at, PAGE, want, PAGE);
}

/* ---- missing pages ---- */

typedef struct Toucher {
    Rig *rig;
    unsigned first, step;
    GThread *thread;
} Toucher;

/* Reads or writes each page; what is not written to is as it came. */
static gpointer touch(gpointer opaque)
{
    Toucher *t = opaque;
    RamBlock *rb = t->rig->rb;
    uint64_t pages = rb->backing.size / PAGE;

    for (uint64_t n = 0; n < pages; n++) {
        uint64_t page = (n * t->step + t->first) % pages;
        volatile uint8_t *at = rb->host + page * PAGE;

        if (t->step == 1) {
            (void)__atomic_load_n(at, __ATOMIC_RELAXED);
        } else {
            __atomic_fetch_or(at, 0, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

static void test_missing(gconstpointer data)
{
    Kind kind = GPOINTER_TO_INT(data);
    Toucher t[4];
    UffdStats stats;
    uint64_t sum = 0;
    Rig r;

    if (!rig_init(&r, kind, UFFD_MISSING)) {
        return;
    }
    /* What is there before is gone. */
    memset(r.rb->host, 0xcc, r.rb->backing.size);
    rig_start(&r);
    for (unsigned i = 0; i < G_N_ELEMENTS(t); i++) {
        t[i] = (Toucher) { &r, i * 41, i % 2 ? 1 : 3, NULL };
        t[i].thread = thread_start("touch", touch, &t[i]);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(t); i++) {
        g_thread_join(t[i].thread);
    }
    for (uint64_t i = 0; i < r.rb->backing.size / PAGE; i++) {
        assert_page(&r, r.rb->host + i * PAGE, i);
    }
    g_assert_null(r.failed);
    /* Who is woken may be here before that is written down. */
    for (unsigned i = 0; i < 5000; i++) {
        uffd_get_stats(r.u, &stats);
        if (stats.faults >= r.rb->backing.size / r.rb->page_size) {
            break;
        }
        g_usleep(1000);
    }
    g_assert_cmpuint(stats.faults, >=, r.rb->backing.size / r.rb->page_size);
    g_assert_cmpuint(stats.latency_ns, >, 0);
    g_assert_cmpuint(stats.latency_max_ns, <=, stats.latency_ns);
    for (unsigned i = 0; i < UFFD_LATENCY_BUCKETS; i++) {
        sum += stats.buckets[i];
    }
    g_assert_cmpuint(sum, ==, stats.faults);
    rig_clear(&r);
}

/* Pages that the kernel touches: a device's I/O out of and into memory. */
static void test_kernel_touches(void)
{
    uint8_t buf[3 * PAGE];
    int ends[2];
    Rig r;

    g_assert_true(rig_init(&r, ANON, UFFD_MISSING));
    rig_start(&r);
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_cmpint(write(ends[1], r.rb->host + 10 * PAGE + 100, 2 * PAGE), ==,
                    2 * PAGE);
    g_assert_cmpint(read(ends[0], buf, sizeof(buf)), ==, 2 * PAGE);
    for (unsigned i = 0; i < 3; i++) {
        assert_page(&r, r.rb->host + (10 + i) * PAGE, 10 + i);
    }
    g_assert_cmpmem(buf, 2 * PAGE, r.rb->host + 10 * PAGE + 100, 2 * PAGE);
    memset(buf, 0x5a, sizeof(buf));
    g_assert_cmpint(write(ends[1], buf, 100), ==, 100);
    g_assert_cmpint(read(ends[0], r.rb->host + 20 * PAGE + 50, 100), ==, 100);
    /* The rest of that page came with it. */
    make_page((uint64_t *)(void *)(buf + PAGE), 20);
    memset(buf + PAGE + 50, 0x5a, 100);
    g_assert_cmpmem(buf + PAGE, PAGE, r.rb->host + 20 * PAGE, PAGE);
    close(ends[0]);
    close(ends[1]);
    rig_clear(&r);
}

/* A page that has contents keeps them, in a run of others too. */
static void test_never_over(void)
{
    g_autofree uint8_t *run = g_malloc(16 * PAGE);
    Rig r;

    g_assert_true(rig_init(&r, ANON, UFFD_MISSING));
    r.kernel.eintr_copy = true;
    rig_start(&r);
    memset(run, 0x11, 16 * PAGE);
    r.rb->host[5 * PAGE] = 0x99;
    r.rb->host[15 * PAGE] = 0x98;
    g_assert_true(uffd_copy(r.u, r.rb, 0, run, 16 * PAGE, NULL));
    g_assert_true(uffd_zero(r.u, r.rb, 0, 20 * PAGE, NULL));
    for (unsigned i = 0; i < 20; i++) {
        g_assert_cmphex(r.rb->host[i * PAGE], ==, i == 5 ? 0x99 : i == 15 ? 0x98
                        : i < 16 ? 0x11 : 0);
    }
    g_assert_cmpuint(served(&r), ==, 2);
    rig_clear(&r);
}

/* What nobody has filled is zero once it is over. */
static void test_ends(void)
{
    Rig r;

    g_assert_true(rig_init(&r, ANON, UFFD_MISSING));
    rig_start(&r);
    assert_page(&r, r.rb->host + 3 * PAGE, 3);
    g_clear_pointer(&r.u, uffd_free);
    assert_page(&r, r.rb->host + 3 * PAGE, 3);
    g_assert_cmphex(r.rb->host[4 * PAGE], ==, 0);
    rig_clear(&r);
}

static gpointer touch_one(gpointer opaque)
{
    RamBlock *rb = opaque;

    return GUINT_TO_POINTER(1 + *(volatile uint8_t *)(rb->host + 9 * PAGE));
}

/* A source that has no page says so once; who waits goes on at the end. */
static void test_source_fails(void)
{
    GThread *thread;
    Rig r;

    g_assert_true(rig_init(&r, ANON, UFFD_MISSING));
    r.refuse = true;
    rig_start(&r);
    thread = thread_start("touch", touch_one, r.rb);
    while (!__atomic_load_n(&r.failed, __ATOMIC_ACQUIRE)) {
        g_usleep(1000);
    }
    g_assert_cmpstr(r.failed, ==, "nothing at 0x9000");
    g_clear_pointer(&r.u, uffd_free);
    g_assert_cmpuint(GPOINTER_TO_UINT(g_thread_join(thread)), ==, 1);
    rig_clear(&r);
}

/* ---- the other modes ---- */

static void test_minor(void)
{
    Rig r;

    g_assert_true(rig_init(&r, SHMEM, UFFD_MINOR));
    rig_start(&r);
    for (uint64_t i = 0; i < PAGES; i++) {
        make_page((uint64_t *)(void *)(r.other + i * PAGE), i);
    }
    for (uint64_t i = 0; i < PAGES; i++) {
        uint64_t want[PAGE / 8];

        make_page(want, i);
        g_assert_cmpmem(r.rb->host + i * PAGE, PAGE, want, PAGE);
    }
    g_assert_cmpuint(served(&r), ==, PAGES);
    rig_clear(&r);
}

static void test_write_protect(void)
{
    Rig r;

    g_assert_true(rig_init(&r, ANON, UFFD_WP));
    memset(r.rb->host, 1, r.rb->backing.size);
    rig_start(&r);
    g_assert_true(uffd_protect(r.u, r.rb, 8 * PAGE, 8 * PAGE, true, NULL));
    for (uint64_t i = 0; i < PAGES; i++) {
        g_assert_cmphex(r.rb->host[i * PAGE], ==, 1);
    }
    g_assert_cmpuint(served(&r), ==, 0);
    for (uint64_t i = 0; i < PAGES; i++) {
        r.rb->host[i * PAGE] = 2;
        r.rb->host[i * PAGE] = 3;
    }
    g_assert_cmpuint(served(&r), ==, 8);
    rig_clear(&r);
}

/* Pages that nobody has touched yet: by what the kernel says of itself. */
static void untouched(Kind kind, uint64_t without)
{
    unsigned faults;
    Rig r;

    g_assert_true(rig_init(&r, kind, UFFD_WP));
    r.kernel.no_features = without;
    rig_start(&r);
    g_assert_true(uffd_protect(r.u, r.rb, 0, 64 * PAGE, true, NULL));
    g_assert_cmphex(r.rb->host[20 * PAGE], ==, 0);
    memset(r.rb->host, 2, 128 * PAGE);
    faults = kind == SHMEM || uffd_protects_untouched(r.u) ? 64 : 0;
    g_assert_cmpuint(served(&r), ==, faults);
    if (without) {
        g_assert_false(uffd_protects_untouched(r.u));
    }
    rig_clear(&r);
}

static void test_write_protect_untouched(void)
{
    untouched(ANON, 0);
    untouched(ANON, UFFD_FEATURE_WP_UNPOPULATED);
    untouched(SHMEM, 0);
}

/* ---- kernels that lack something ---- */

static void assert_refused(Rig *r, const char *pattern)
{
    Error *err = NULL;

    g_assert_null(uffd_setup_incoming(&r->incoming, &r->handler, 1, &err));
    g_assert_nonnull(err);
    if (!g_pattern_match_simple(pattern, err->message)) {
        g_test_message("'%s' does not match '%s'", err->message, pattern);
        g_test_fail();
    }
    g_clear_error(&err);
    g_assert_cmpint(r->kernel.open, ==, 0);
}

static void test_opening(void)
{
    Rig r;

    g_assert_true(rig_init(&r, ANON, UFFD_MISSING));
    /* The device first, and only if that does not work the system call. */
    g_assert_true(uffd_check(&r.kernel.sys, &r.incoming.blocks, UFFD_MISSING,
                             NULL));
    g_assert_cmpuint(r.kernel.devices, ==, 1);
    if (r.kernel.syscalls == 0) {
        r.kernel.syscall_errno = EPERM;
        rig_start(&r);
        g_clear_pointer(&r.u, uffd_free);
        r.kernel.syscall_errno = 0;
    }
    r.kernel.device_errno = ENOENT;
    rig_start(&r);
    g_assert_cmpuint(r.kernel.syscalls, >, 0);
    g_clear_pointer(&r.u, uffd_free);

    r.kernel.syscall_errno = EPERM;
    assert_refused(&r, "*not permitted*/dev/userfaultfd*");
    r.kernel.syscall_errno = ENOSYS;
    assert_refused(&r, "*has no userfaultfd*");
    r.kernel.syscall_errno = 0;
    r.kernel.device_errno = 0;
    r.kernel.api_errno = EINVAL;
    assert_refused(&r, "*does not take version*");
    rig_clear(&r);
}

static void test_features(void)
{
    static const struct {
        Kind kind;
        unsigned modes;
        uint64_t without;
        const char *pattern;
    } cases[] = {
        { SHMEM, UFFD_MISSING, UFFD_FEATURE_MISSING_SHMEM,
          "*no feature MISSING_SHMEM, which RAM block 'ram0'*" },
        { SHARED_ANON, UFFD_MISSING, UFFD_FEATURE_MISSING_SHMEM,
          "*no feature MISSING_SHMEM*" },
        { SHMEM, UFFD_MISSING | UFFD_MINOR, UFFD_FEATURE_MINOR_SHMEM,
          "*no feature MINOR_SHMEM*" },
        { SHMEM, UFFD_WP, UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
          "*no feature WP_HUGETLBFS_SHMEM*" },
        { ANON, UFFD_WP, UFFD_FEATURE_PAGEFAULT_FLAG_WP,
          "*no feature PAGEFAULT_FLAG_WP*" },
        { ANON, UFFD_MINOR, 0, "*serves minor faults of none of its kind*" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        Rig r;

        g_assert_true(rig_init(&r, cases[i].kind, cases[i].modes));
        memset(r.rb->host, 0x44, PAGE);
        r.kernel.no_features = cases[i].without;
        assert_refused(&r, cases[i].pattern);
        g_assert_false(uffd_check(&r.kernel.sys, &r.incoming.blocks,
                                  cases[i].modes, NULL));
        /* Before anything starts: memory is as it was. */
        g_assert_cmpuint(r.kernel.registers, ==, 0);
        g_assert_cmphex(r.rb->host[0], ==, 0x44);
        rig_clear(&r);
    }
}

/* A kernel that does not say whose a fault is serves it as well. */
static void test_no_thread_ids(void)
{
    Rig r;

    g_assert_true(rig_init(&r, ANON, UFFD_MISSING));
    r.kernel.no_features = UFFD_FEATURE_THREAD_ID;
    rig_start(&r);
    assert_page(&r, r.rb->host + PAGE, 1);
    rig_clear(&r);
}

/* Memory of a file on a disk, or private memory of any. */
static void test_unfit_memory(void)
{
    g_autofree char *path = g_strdup("/var/tmp/test-uffd-XXXXXX");
    RamBacking backing = { .size = 4 * PAGE, .share = true };
    Rig r;

    g_assert_true(rig_init(&r, ANON, UFFD_MISSING));
    for (unsigned i = 0; i < 2; i++) {
        backing.share = i == 0;
        backing.fd = i == 0 ? g_mkstemp(path) : file_of(SHMEM, 4 * PAGE);
        g_assert_cmpint(ftruncate(backing.fd, 4 * PAGE), ==, 0);
        r.incoming.blocks.rb[1] =
            memory_ram_new(r.memory, i ? "private" : "disk", &backing, NULL);
        r.incoming.blocks.num = 2;
        assert_refused(&r, i ? "*'private' is a file that is private*"
                             : "*'disk' is a file that is private or on*");
    }
    unlink(path);
    rig_clear(&r);
}

/* Whatever fails half-way is undone. */
static void test_half_way(void)
{
    RamBacking backing = { .size = 4 * PAGE, .fd = -1 };
    Rig r;

    g_assert_true(rig_init(&r, ANON, UFFD_MISSING));
    r.incoming.blocks.rb[1] = memory_ram_new(r.memory, "second", &backing,
                                             NULL);
    r.incoming.blocks.num = 2;
    r.kernel.fail_register = 2;
    assert_refused(&r, "*'second'*does not take its 16384 bytes*");
    g_assert_cmpuint(r.kernel.unregisters, ==, 1);
    /* Nobody is waited for: the first block is ordinary memory. */
    g_assert_cmphex(r.rb->host[0], ==, 0);
    r.kernel.fail_register = 0;
    r.kernel.no_ioctls = UINT64_C(1) << _UFFDIO_COPY;
    assert_refused(&r, "*lacks operations 0x8*");
    g_assert_cmpuint(r.kernel.unregisters, ==, 2);
    /* Without its own zeros the kernel is given some. */
    r.kernel.no_ioctls = UINT64_C(1) << _UFFDIO_ZEROPAGE;
    rig_start(&r);
    assert_page(&r, r.rb->host + 7 * PAGE, 7);
    g_assert_true(uffd_zero(r.u, r.rb, 8 * PAGE, 200 * PAGE, NULL));
    g_assert_cmphex(r.rb->host[9 * PAGE], ==, 0);
    rig_clear(&r);
}

int main(int argc, char **argv)
{
    UffdBlocks none = { .num = 0 };
    Error *err = NULL;

    if (!uffd_check(uffd_sys_host(), &none, UFFD_MISSING, &err)) {
        printf("1..0 # SKIP %s\n", err->message);
        g_clear_error(&err);
        return 77;
    }
    g_test_init(&argc, &argv, NULL);
#define TEST(_name, _fn) g_test_add_func("/migration/spec-7/" _name, _fn)
#define MISSING(_name, _kind) \
    g_test_add_data_func("/migration/spec-7/" _name, GINT_TO_POINTER(_kind), \
                         test_missing)
    MISSING("missing/anonymous", ANON);
    MISSING("missing/shared", SHMEM);
    MISSING("missing/shared-anonymous", SHARED_ANON);
    MISSING("missing/huge", HUGE);
    TEST("missing/kernel-touches", test_kernel_touches);
    TEST("missing/never-over", test_never_over);
    TEST("missing/ends", test_ends);
    TEST("missing/source-fails", test_source_fails);
    TEST("minor", test_minor);
    TEST("write-protect", test_write_protect);
    TEST("write-protect/untouched", test_write_protect_untouched);
    TEST("kernel/opening", test_opening);
    TEST("kernel/features", test_features);
    TEST("kernel/no-thread-ids", test_no_thread_ids);
    TEST("kernel/unfit-memory", test_unfit_memory);
    TEST("kernel/half-way", test_half_way);
    return g_test_run();
}
