/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fast load of a mapped-ram file: whatever touches memory meanwhile, each page
 * comes once and stays what was written to it; no thread waits for one that
 * waits for it; a file that fails does no harm.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration-util.h"
#include "migration/fast-load.h"
#include "migration/migration-int.h"
#include "qapi/qapi-commands-migration.h"
#include "system/runstate.h"
#include "util/thread.h"

#define PAGE GUEST_PAGE_SIZE
#define PAGES 2000

static const char *const mapped_cap[] = { "mapped-ram" };
static const SaveVMConfig mapped_config = {
    .machine = "virt", .capabilities = mapped_cap, .num_capabilities = 1,
};

/* ---- a file that counts, is slow, or fails ---- */

typedef struct CountingChannel {
    IoChannel parent;
    int fd;
    uint64_t pages_offset;
    unsigned reads[PAGES];      /* atomic: of each page */
    unsigned slow_us;           /* atomic: each read takes so long */
    uint64_t fail_from;         /* atomic: byte from which reads fail */
} CountingChannel;

static ssize_t counting_preadv(IoChannel *ch, const struct iovec *iov, size_t n,
                               uint64_t pos, Error **errp)
{
    CountingChannel *c = (CountingChannel *)ch;
    unsigned slow_us = __atomic_load_n(&c->slow_us, __ATOMIC_RELAXED);
    uint64_t end = pos + iov[0].iov_len;

    if (end > __atomic_load_n(&c->fail_from, __ATOMIC_ACQUIRE)) {
        error_setg(errp, "the disk is gone at %u", (unsigned)pos);
        return -1;
    }
    if (pos >= c->pages_offset) {
        for (uint64_t at = pos; at < end; at += PAGE) {
            uint64_t page = (at - c->pages_offset) / PAGE;

            __atomic_add_fetch(&c->reads[page], 1, __ATOMIC_RELAXED);
        }
        if (slow_us) {
            g_usleep(slow_us);
        }
    }
    return preadv(c->fd, iov, n, pos);
}

static void counting_shutdown(IoChannel *ch, IoShutdown how)
{
    (void)ch;
    (void)how;
}

static bool counting_close(IoChannel *ch, Error **errp)
{
    (void)errp;
    close(((CountingChannel *)ch)->fd);
    return true;
}

static const IoChannelOps counting_ops = {
    .name = "counting", .preadv = counting_preadv,
    .shutdown = counting_shutdown, .close = counting_close,
};

static CountingChannel *counting_new(int fd)
{
    CountingChannel *c = g_new0(CountingChannel, 1);

    io_channel_init(&c->parent, &counting_ops, "counting");
    c->parent.features = IO_FEATURE_SEEKABLE;
    c->fd = dup(fd);
    c->pages_offset = MAPPED_RAM_ALIGN;
    c->fail_from = UINT64_MAX;
    return c;
}

/* ---- a saved machine, and one that is loaded ---- */

typedef struct Rig {
    int file;
    uint8_t *saved;             /* what memory was */
    TestVm dst;
    CountingChannel *ch;
    UffdSys sys;
    FastLoad *fl;
    GThread *eager;
    bool eager_ok;
    char *eager_error;
    char *lost;                 /* atomic: why */
} Rig;

/* Every third page is zero; each word of the others is its own. */
static void fill_pattern(RamBlock *rb)
{
    for (uint64_t page = 0; page < PAGES; page++) {
        uint64_t *word = (uint64_t *)(void *)(rb->host + page * PAGE);

        for (unsigned i = 0; page % 3 && i < PAGE / 8; i++) {
            word[i] = page * 1000003 + i + 1;
        }
    }
}

static void vm_init(TestVm *t, int fd)
{
    RamBacking backing = { .size = PAGES * PAGE, .fd = fd, .share = fd >= 0 };

    test_vm_init(t, 0);
    t->rb = memory_ram_new(t->vm->memory, "ram0", &backing, NULL);
    g_assert_nonnull(t->rb);
    vm_lock(t->vm);
    t->ram = ram_new(t->vm, clock_host());
    vm_unlock(t->vm);
}

static void save(Rig *r)
{
    RamOptions options = { .detect_zero_pages = true, .mapped_ram = true };
    IoChannel *ch;
    TestVm src;

    r->file = memfd_create("snapshot", MFD_CLOEXEC);
    ch = io_channel_new_fd(dup(r->file), "file", NULL);
    vm_init(&src, -1);
    ram_set_options(src.ram, &options);
    fill_pattern(src.rb);
    r->saved = g_memdup2(src.rb->host, PAGES * PAGE);
    test_save_to(&src, &mapped_config, ch);
    io_channel_unref(ch);
    test_vm_clear(&src);
}

static void on_lost(void *opaque, Error *err)
{
    Rig *r = opaque;

    g_assert_null(__atomic_load_n(&r->lost, __ATOMIC_ACQUIRE));
    __atomic_store_n(&r->lost, g_strdup(err->message), __ATOMIC_RELEASE);
    g_error_free(err);
}

static bool take_pages(void *opaque, struct MappedRam *layout, Error **errp)
{
    Rig *r = opaque;
    FastLoadConfig config = {
        .memory = r->dst.vm->memory, .sys = &r->sys, .clock = clock_host(),
        .ch = &r->ch->parent, .lost = on_lost, .opaque = r,
    };

    r->fl = fast_load_start(&config, layout, errp);
    return r->fl != NULL;
}

static bool rig_load(Rig *r, Error **errp)
{
    RamOptions options = {
        .mapped_ram = true, .take_pages = take_pages, .opaque = r,
    };
    IoChannel *ch = io_channel_new_fd(dup(r->file), "file", NULL);
    bool ok;

    g_assert_true(io_channel_seek(ch, 0, SEEK_SET, NULL, NULL));
    ram_set_options(r->dst.ram, &options);
    ok = test_load_from(&r->dst, &mapped_config, ch, errp);
    io_channel_unref(ch);
    return ok;
}

/* The headers and device states are in, memory is not. */
static void rig_init_fd(Rig *r, int fd)
{
    Error *err = NULL;

    memset(r, 0, sizeof(*r));
    save(r);
    vm_init(&r->dst, fd);
    memset(r->dst.rb->host, 0xee, PAGES * PAGE);
    r->ch = counting_new(r->file);
    r->sys = *uffd_sys_host();
    rig_load(r, &err);
    g_assert_no_error(err);
    g_assert_nonnull(r->fl);
}

static void rig_init(Rig *r)
{
    rig_init_fd(r, -1);
}

static gpointer eager_main(gpointer opaque)
{
    Rig *r = opaque;
    Error *err = NULL;

    r->eager_ok = fast_load_run(r->fl, &err);
    g_assert(r->eager_ok == (err == NULL));
    if (err) {
        r->eager_error = g_strdup(err->message);
        g_error_free(err);
    }
    return NULL;
}

static void rig_run(Rig *r)
{
    g_assert_true(fast_load_commit(r->fl, NULL));
    r->eager = thread_start("eager", eager_main, r);
}

static void rig_join(Rig *r)
{
    g_thread_join(r->eager);
    r->eager = NULL;
}

static void rig_clear(Rig *r)
{
    g_assert_null(r->eager);
    fast_load_free(r->fl);
    io_channel_unref(&r->ch->parent);
    test_vm_clear(&r->dst);
    close(r->file);
    g_free(r->saved);
    g_free(r->eager_error);
    g_free(r->lost);
}

/* Each page was read at most once, and all that have contents. */
static void assert_once(const Rig *r)
{
    for (unsigned i = 0; i < PAGES; i++) {
        g_assert_cmpuint(r->ch->reads[i], ==, i % 3 != 0);
    }
}

static void assert_all(const Rig *r)
{
    g_assert_true(memcmp(r->dst.rb->host, r->saved, PAGES * PAGE) == 0);
}

/* ---- whole loads ---- */

static void test_eager(void)
{
    FastLoadStats stats;
    Rig r;

    rig_init(&r);
    rig_run(&r);
    rig_join(&r);
    g_assert_true(r.eager_ok);
    fast_load_get_stats(r.fl, &stats);
    g_assert_cmpuint(stats.total_pages, ==, PAGES - (PAGES + 2) / 3);
    g_assert_cmpuint(stats.eager_pages, ==, stats.total_pages);
    g_assert_cmpuint(stats.fault_pages + stats.zero_faults, ==, 0);
    g_assert_cmpuint(stats.faults.faults, ==, 0);
    g_clear_pointer(&r.fl, fast_load_free);
    assert_all(&r);
    assert_once(&r);
    rig_clear(&r);
}

static void test_by_touch(void)
{
    FastLoadStats stats;
    Rig r;

    rig_init(&r);
    g_assert_true(fast_load_commit(r.fl, NULL));
    /* From the end, all of it before anybody loads ahead. */
    for (uint64_t i = PAGES; i-- > 0;) {
        g_assert_cmpmem(r.dst.rb->host + i * PAGE, PAGE, r.saved + i * PAGE,
                        PAGE);
    }
    rig_run(&r);
    rig_join(&r);
    g_assert_true(r.eager_ok);
    fast_load_get_stats(r.fl, &stats);
    g_assert_cmpuint(stats.fault_pages, ==, stats.total_pages);
    g_assert_cmpuint(stats.eager_pages, ==, 0);
    g_assert_cmpuint(stats.zero_faults, ==, (PAGES + 2) / 3);
    assert_once(&r);
    g_assert_cmpuint(stats.faults.faults, >=, PAGES - 1);
    rig_clear(&r);
}

/* ---- races ---- */

typedef enum Touch { STORES, LOADS, DMA_IN, DMA_OUT, KERNEL_IN, TOUCHES } Touch;

typedef struct Toucher {
    Rig *rig;
    Touch touch;
    unsigned seed;
    int file;                   /* of what KERNEL_IN reads */
    GThread *thread;
} Toucher;

/* Where each kind writes: words of its own in each page. */
static uint64_t place_of(const Toucher *t, uint64_t page)
{
    return page * PAGE + 64 + 64 * t->touch;
}

static uint64_t mark_of(const Toucher *t, uint64_t page)
{
    return UINT64_C(0xabcd) << 48 | (uint64_t)t->touch << 32 | page;
}

static void touch_page(Toucher *t, uint64_t page)
{
    Memory *mem = t->rig->dst.vm->memory;
    RamBlock *rb = t->rig->dst.rb;
    uint64_t at = place_of(t, page), val = mark_of(t, page), was;
    uint8_t buf[PAGE];

    memcpy(&was, t->rig->saved + at, sizeof(was));
    switch (t->touch) {
    case STORES:
        __atomic_store_n((uint64_t *)(void *)(rb->host + at), val,
                         __ATOMIC_RELEASE);
        break;
    case DMA_IN:
        g_assert_cmpint(memory_write(mem, at, &val, sizeof(val)), ==, MEM_OK);
        break;
    case KERNEL_IN:
        g_assert_cmpint(pread(t->file, rb->host + at, sizeof(val),
                              page * sizeof(val)), ==, sizeof(val));
        break;
    case DMA_OUT:
        g_assert_cmpint(memory_read(mem, page * PAGE, buf, PAGE), ==, MEM_OK);
        g_assert_cmpmem(buf + at % PAGE, 8, &was, 8);
        break;
    default:
        g_assert_cmphex(__atomic_load_n((uint64_t *)(void *)(rb->host + at),
                                        __ATOMIC_ACQUIRE), ==, was);
        break;
    }
}

static gpointer touch_all(gpointer opaque)
{
    Toucher *t = opaque;
    GRand *rand = g_rand_new_with_seed(t->seed);

    for (unsigned i = 0; i < PAGES; i++) {
        touch_page(t, g_rand_int_range(rand, 0, PAGES));
    }
    for (unsigned i = 0; i < PAGES; i++) {
        touch_page(t, i * 7 % PAGES);
    }
    g_rand_free(rand);
    return NULL;
}

static bool writes(Touch touch)
{
    return touch == STORES || touch == DMA_IN || touch == KERNEL_IN;
}

/* All at once: each page once, and never over what was written. */
static void race(int fd, unsigned seed)
{
    Toucher t[TOUCHES];
    Rig r;

    rig_init_fd(&r, fd);
    g_assert_true(memory_map_ram(r.dst.vm->memory, r.dst.rb, 0, NULL));
    __atomic_store_n(&r.ch->slow_us, 20, __ATOMIC_RELAXED);
    rig_run(&r);
    for (unsigned i = 0; i < TOUCHES; i++) {
        t[i] = (Toucher) { &r, i, seed * 100 + i, -1, NULL };
        if (i == KERNEL_IN) {
            t[i].file = memfd_create("words", MFD_CLOEXEC);
            for (uint64_t page = 0; page < PAGES; page++) {
                uint64_t val = mark_of(&t[i], page);

                g_assert_cmpint(write(t[i].file, &val, 8), ==, 8);
            }
        }
        t[i].thread = thread_start("touch", touch_all, &t[i]);
    }
    for (unsigned i = 0; i < TOUCHES; i++) {
        g_thread_join(t[i].thread);
    }
    rig_join(&r);
    g_assert_true(r.eager_ok);
    g_clear_pointer(&r.fl, fast_load_free);
    assert_once(&r);
    for (unsigned i = 0; i < TOUCHES; i++) {
        for (uint64_t page = 0; writes(i) && page < PAGES; page++) {
            uint64_t val = mark_of(&t[i], page);

            memcpy(r.saved + place_of(&t[i], page), &val, sizeof(val));
        }
        if (t[i].file >= 0) {
            close(t[i].file);
        }
    }
    assert_all(&r);
    g_assert_null(r.lost);
    rig_clear(&r);
}

static void test_race(void)
{
    for (unsigned i = 0; i < 5; i++) {
        race(-1, i);
    }
}

static void test_race_shared(void)
{
    for (unsigned i = 0; i < 3; i++) {
        int fd = memfd_create("ram", MFD_CLOEXEC);

        g_assert_cmpint(ftruncate(fd, PAGES * PAGE), ==, 0);
        race(fd, 50 + i);
    }
}

/* Who holds the big lock, and dirty logs' barrier, may wait for a page. */
static void test_big_lock(void)
{
    DirtyLog *log;
    Rig r;

    rig_init(&r);
    __atomic_store_n(&r.ch->slow_us, 1000, __ATOMIC_RELAXED);
    rig_run(&r);
    vm_lock(r.dst.vm);
    for (uint64_t i = PAGES - 1; i > PAGES - 100; i--) {
        g_assert_cmphex(r.dst.rb->host[i * PAGE], ==, r.saved[i * PAGE]);
    }
    log = dirty_log_start(r.dst.vm->memory, "test", NULL);
    r.dst.rb->host[40 * PAGE] = 1;
    r.saved[40 * PAGE] = 1;
    dirty_log_stop(log);
    rig_join(&r);       /* with the big lock held */
    vm_unlock(r.dst.vm);
    g_assert_true(r.eager_ok);
    assert_all(&r);
    rig_clear(&r);
}

/* ---- what goes wrong ---- */

static gpointer touch_one(gpointer opaque)
{
    Rig *r = opaque;

    return GUINT_TO_POINTER(1 + *(volatile uint8_t *)(r->dst.rb->host + PAGE));
}

/* A page that a device's load needs: the load ends, and nobody waits. */
static void test_fails_before(void)
{
    Error *err = NULL;
    Rig r;

    rig_init(&r);
    __atomic_store_n(&r.ch->fail_from, 0, __ATOMIC_RELEASE);
    touch_one(&r);
    g_assert_false(fast_load_commit(r.fl, &err));
    g_assert_nonnull(strstr(err->message, "RAM block 'ram0', 1 pages at 0x1000"
                            ": the disk is gone"));
    g_clear_error(&err);
    g_assert_null(r.lost);
    rig_clear(&r);
}

/* The guest runs: it is lost, said once, by whoever finds it first. */
static void test_fails_after(void)
{
    GThread *thread;
    Rig r;

    for (unsigned by_touch = 0; by_touch < 2; by_touch++) {
        rig_init(&r);
        if (by_touch) {
            g_assert_true(fast_load_commit(r.fl, NULL));
            __atomic_store_n(&r.ch->fail_from, 0, __ATOMIC_RELEASE);
            thread = thread_start("touch", touch_one, &r);
            while (!__atomic_load_n(&r.lost, __ATOMIC_ACQUIRE)) {
                g_usleep(1000);
            }
            g_clear_pointer(&r.fl, fast_load_free);
            g_thread_join(thread);
        } else {
            __atomic_store_n(&r.ch->fail_from, r.ch->pages_offset + 500 * PAGE,
                             __ATOMIC_RELEASE);
            rig_run(&r);
            rig_join(&r);
            g_assert_false(r.eager_ok);
            g_assert_nonnull(strstr(r.eager_error, "the disk is gone"));
        }
        g_assert_nonnull(strstr(r.lost, "the disk is gone"));
        rig_clear(&r);
    }
}

/* A file that is cut while the guest runs. */
static void test_cut(void)
{
    Rig r;

    rig_init(&r);
    g_assert_cmpint(ftruncate(r.file, r.ch->pages_offset + 700 * PAGE + 5), ==,
                    0);
    rig_run(&r);
    rig_join(&r);
    g_assert_false(r.eager_ok);
    g_assert_nonnull(strstr(r.lost, "unexpected end of counting"));
    g_assert_true(memcmp(r.dst.rb->host, r.saved, 640 * PAGE) == 0);
    rig_clear(&r);
}

/* The end of the program: pages still come, until the memory goes. */
static void test_stop(void)
{
    Rig r;

    rig_init(&r);
    __atomic_store_n(&r.ch->slow_us, 3000, __ATOMIC_RELAXED);
    rig_run(&r);
    g_assert_cmphex(r.dst.rb->host[PAGE], ==, r.saved[PAGE]);
    fast_load_stop(r.fl);
    rig_join(&r);
    g_assert_false(r.eager_ok);
    g_assert_nonnull(strstr(r.eager_error, "before all memory was loaded"));
    g_assert_null(r.lost);
    g_assert_cmphex(r.dst.rb->host[1999 * PAGE], ==, r.saved[1999 * PAGE]);
    /* Memory frees what fills it. */
    r.fl = NULL;
    rig_clear(&r);
}

static int no_register(const UffdSys *sys, int fd, unsigned long request,
                       void *arg)
{
    (void)sys;
    if (request == UFFDIO_REGISTER) {
        errno = ENOMEM;
        return -1;
    }
    return ioctl(fd, request, arg);
}

/* The kernel says no: the load fails, with nothing left open. */
static void test_cannot_start(void)
{
    Error *err = NULL;
    Rig r;

    rig_init(&r);
    g_clear_pointer(&r.fl, fast_load_free);
    r.sys.ioctl = no_register;
    g_assert_false(rig_load(&r, &err));
    g_assert_nonnull(strstr(err->message, "serving page faults: RAM block"));
    g_clear_error(&err);
    g_assert_null(r.fl);
    r.dst.rb->host[0] = 1;
    rig_clear(&r);
}

static int no_device(const UffdSys *sys)
{
    (void)sys;
    errno = EACCES;
    return -1;
}

static int no_permission(const UffdSys *sys, int flags)
{
    (void)sys;
    (void)flags;
    errno = EPERM;
    return -1;
}

static bool set_capability(Vm *vm, MigrationCapability cap, Error **errp)
{
    MigrationCapabilityStatus status = { .capability = cap, .state = true };
    MigrationCapabilityStatusList list = { .value = &status };

    return qmp_migrate_set_capabilities(vm, &list, errp);
}

/* By the command, and again by the one that starts it; nothing else changes. */
static void test_capability(void)
{
    UffdSys sys = *uffd_sys_host();
    RamBacking backing = { .size = PAGES * PAGE, .fd = -1 };
    g_autofree char *path = g_strdup("/tmp/test-fast-load-XXXXXX");
    g_autofree char *uri = NULL;
    Error *err = NULL;
    Vm *vm = vm_new();
    RamBlock *rb;
    int fd = g_mkstemp(path);

    uri = g_strconcat("file:", path, NULL);
    rb = memory_ram_new(vm->memory, "ram0", &backing, NULL);
    rb->host[0] = 0x77;
    vm_lock(vm);
    migration_new(vm, clock_host());
    runstate_set(vm, RUN_STATE_INMIGRATE);
    sys.open_device = no_device;
    sys.userfaultfd = no_permission;
    vm->migration->uffd_sys = &sys;
    g_assert_true(set_capability(vm, MIGRATION_CAPABILITY_MAPPED_RAM, NULL));
    g_assert_false(set_capability(vm, MIGRATION_CAPABILITY_POSTCOPY_RAM,
                                  &err));
    g_assert_nonnull(strstr(err->message, "'postcopy-ram': userfaultfd is not "
                            "permitted"));
    g_clear_error(&err);
    g_assert_false(migration_cap(vm->migration,
                                 MIGRATION_CAPABILITY_POSTCOPY_RAM));

    vm->migration->uffd_sys = uffd_sys_host();
    g_assert_true(set_capability(vm, MIGRATION_CAPABILITY_POSTCOPY_RAM, NULL));
    vm->migration->uffd_sys = &sys;
    g_assert_false(qmp_migrate_incoming(vm, uri, false, NULL, false, false,
                                        &err));
    g_assert_nonnull(strstr(err->message, "not permitted"));
    g_clear_error(&err);
    g_assert_null(vm->migration->in);
    g_assert_cmphex(rb->host[0], ==, 0x77);
    migration_free(vm->migration);
    savevm_destroy(vm);
    vm_unlock(vm);
    vm_free(vm);
    close(fd);
    unlink(path);
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
#define TEST(_name, _fn) \
    g_test_add_func("/migration/spec-7/fast-load/" _name, _fn)
    TEST("eager", test_eager);
    TEST("by-touch", test_by_touch);
    TEST("race", test_race);
    TEST("race-shared", test_race_shared);
    TEST("big-lock", test_big_lock);
    TEST("fails-before", test_fails_before);
    TEST("fails-after", test_fails_after);
    TEST("cut", test_cut);
    TEST("stop", test_stop);
    TEST("cannot-start", test_cannot_start);
    TEST("capability", test_capability);
    return g_test_run();
}
