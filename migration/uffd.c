/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Serving page faults of guest memory: the registration, the thread that hears
 * of them, pages put in place, and how long all that took.
 *
 * Threads: whoever sets it up and ends it; the fault thread; any number that
 * put pages in place. Uffd.lock is a leaf and is held by nobody who touches
 * guest memory. The fault thread takes no other lock of the program but what
 * its handler takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/uffd.h"
#include "trace/trace-migration.h"
#include "util/log.h"
#include "util/thread.h"

/* Of a channel; larger if a page is. */
#define BUFFER_BYTES (UINT64_C(256) << 10)

#define MESSAGES 16

/* Faults that are waited for at a time and timed: as many as threads touch. */
#define PENDING_MAX 256

typedef struct Pending {
    const RamBlock *rb;
    uint64_t offset;
    uint32_t tid;
    int64_t since_ns;
} Pending;

struct Uffd {
    /* Constant once set up */
    const UffdSys *sys;
    Clock *clock;
    UffdBlocks blocks;
    unsigned modes;
    const UffdHandler *handler;
    void *opaque;
    int fd;
    int stop_fd;                /* eventfd: ends the thread */
    UffdExtras extras;
    bool can_zero[RAM_BLOCKS_MAX];      /* by RamBlock.index */
    uint64_t buffer_bytes;
    uint8_t *buffers;           /* of all channels, 0 first; read-only: zeros
                                   come after the last one */
    uint64_t mapped_bytes;
    GThread *thread;

    /* The fault thread */
    unsigned unserved;          /* read already */

    unsigned registered;        /* of the blocks, the first so many; atomic */

    GMutex lock;
    /* Under lock */
    Pending pending[PENDING_MAX];
    unsigned num_pending;
    UffdStats stats;
};

/* ---- how long it took ---- */

static void fault_begins(Uffd *u, const UffdFault *fault)
{
    g_mutex_lock(&u->lock);
    for (unsigned i = 0; i < u->num_pending; i++) {
        Pending *p = &u->pending[i];

        /* A signal makes a thread ask again. */
        if (p->rb == fault->rb && p->offset == fault->offset &&
            p->tid == fault->tid) {
            g_mutex_unlock(&u->lock);
            return;
        }
    }
    if (u->num_pending < PENDING_MAX) {
        u->pending[u->num_pending++] = (Pending) {
            fault->rb, fault->offset, fault->tid, clock_now_ns(u->clock),
        };
        if (u->handler->begins) {
            u->handler->begins(u->opaque, fault->tid);
        }
    }
    g_mutex_unlock(&u->lock);
}

static void account(UffdStats *stats, int64_t ns)
{
    uint64_t us = MAX(ns, 0) / 1000;
    unsigned bucket = us ? 63 - __builtin_clzll(us) : 0;

    stats->faults++;
    stats->latency_ns += MAX(ns, 0);
    stats->latency_max_ns = MAX(stats->latency_max_ns, (uint64_t)MAX(ns, 0));
    stats->buckets[MIN(bucket, UFFD_LATENCY_BUCKETS - 1)]++;
}

/* Whoever waited for [@offset, @offset + @len) has been woken. */
static void faults_end(Uffd *u, const RamBlock *rb, uint64_t offset,
                       uint64_t len)
{
    int64_t now;
    unsigned kept = 0;

    g_mutex_lock(&u->lock);
    now = u->num_pending ? clock_now_ns(u->clock) : 0;
    for (unsigned i = 0; i < u->num_pending; i++) {
        Pending *p = &u->pending[i];

        if (p->rb == rb && p->offset - offset < len) {
            account(&u->stats, now - p->since_ns);
            if (u->handler->ends) {
                u->handler->ends(u->opaque, p->tid, now - p->since_ns);
            }
        } else {
            u->pending[kept++] = *p;
        }
    }
    u->num_pending = kept;
    g_mutex_unlock(&u->lock);
}

void uffd_get_stats(Uffd *u, UffdStats *stats)
{
    g_mutex_lock(&u->lock);
    *stats = u->stats;
    g_mutex_unlock(&u->lock);
}

/* ---- pages in place ---- */

static bool is_range_ok(const RamBlock *rb, uint64_t offset, uint64_t len)
{
    uint64_t size = rb->backing.size;

    return len > 0 && offset % rb->page_size == 0 &&
           len % rb->page_size == 0 && offset <= size && len <= size - offset;
}

static void wake(Uffd *u, uint8_t *at, uint64_t len)
{
    struct uffdio_range range = { (uintptr_t)at, len };

    u->sys->ioctl(u->sys, u->fd, UFFDIO_WAKE, &range);
}

/*
 * One step of putting pages in place. Returns how far it got in bytes, 0 if it
 * has to be tried again, -1 and errno.
 */
typedef int64_t (*Step)(Uffd *u, uint8_t *at, const uint8_t *from,
                        uint64_t len);

/* What the kernel says in its own field, when it was cut short. */
static int64_t step_result(int res, int64_t done, uint64_t len)
{
    if (res == 0) {
        return len;
    }
    if (errno == EAGAIN) {
        return MAX(done, 0);
    }
    return -1;
}

static int64_t step_copy(Uffd *u, uint8_t *at, const uint8_t *from,
                         uint64_t len)
{
    struct uffdio_copy copy = {
        .dst = (uintptr_t)at, .src = (uintptr_t)from, .len = len,
    };
    int res = u->sys->ioctl(u->sys, u->fd, UFFDIO_COPY, &copy);

    return step_result(res, copy.copy, len);
}

static int64_t step_zero(Uffd *u, uint8_t *at, const uint8_t *from,
                         uint64_t len)
{
    struct uffdio_zeropage zero = { .range = { (uintptr_t)at, len } };
    int res = u->sys->ioctl(u->sys, u->fd, UFFDIO_ZEROPAGE, &zero);

    (void)from;
    return step_result(res, zero.zeropage, len);
}

static int64_t step_continue(Uffd *u, uint8_t *at, const uint8_t *from,
                             uint64_t len)
{
    struct uffdio_continue cont = { .range = { (uintptr_t)at, len } };
    int res = u->sys->ioctl(u->sys, u->fd, UFFDIO_CONTINUE, &cont);

    (void)from;
    return step_result(res, cont.mapped, len);
}

static bool place(Uffd *u, const RamBlock *rb, uint64_t offset,
                  const uint8_t *from, uint64_t len, Step step,
                  const char *doing, Error **errp)
{
    g_assert(is_range_ok(rb, offset, len));
    for (uint64_t at = 0; at < len;) {
        int64_t done = step(u, rb->host + offset + at, from ? from + at : NULL,
                            len - at);

        if (done < 0 && errno == EEXIST) {
            /* It has contents: who waits is told, and it is left alone. */
            wake(u, rb->host + offset + at, rb->page_size);
            done = rb->page_size;
        }
        if (done < 0) {
            error_setg_errno(errp, errno, "RAM block '%s': %s %" PRIu64
                             " bytes at 0x%" PRIx64, rb->id, doing, len - at,
                             offset + at);
            return false;
        }
        at += done;
    }
    faults_end(u, rb, offset, len);
    return true;
}

bool uffd_copy(Uffd *u, const RamBlock *rb, uint64_t offset, const void *from,
               uint64_t len, Error **errp)
{
    return place(u, rb, offset, from, len, step_copy, "putting in place",
                 errp);
}

/* Where the kernel has no zero page to give there is one to copy. */
static bool copy_zeros(Uffd *u, const RamBlock *rb, uint64_t offset,
                       uint64_t len, Error **errp)
{
    const uint8_t *zeros = u->buffers + u->mapped_bytes - u->buffer_bytes;

    for (uint64_t at = 0; at < len;) {
        uint64_t part = MIN(len - at, u->buffer_bytes);

        if (!uffd_copy(u, rb, offset + at, zeros, part, errp)) {
            return false;
        }
        at += part;
    }
    return true;
}

bool uffd_zero(Uffd *u, const RamBlock *rb, uint64_t offset, uint64_t len,
               Error **errp)
{
    return u->can_zero[rb->index]
        ? place(u, rb, offset, NULL, len, step_zero, "filling with zeros",
                errp)
        : copy_zeros(u, rb, offset, len, errp);
}

bool uffd_continue(Uffd *u, const RamBlock *rb, uint64_t offset, uint64_t len,
                   Error **errp)
{
    return place(u, rb, offset, NULL, len, step_continue, "mapping", errp);
}

bool uffd_protect(Uffd *u, const RamBlock *rb, uint64_t offset, uint64_t len,
                  bool protect, Error **errp)
{
    struct uffdio_writeprotect wp = {
        .range = { (uintptr_t)rb->host + offset, len },
        .mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
    };
    int res;

    g_assert(is_range_ok(rb, offset, len));
    do {
        res = u->sys->ioctl(u->sys, u->fd, UFFDIO_WRITEPROTECT, &wp);
    } while (res < 0 && errno == EAGAIN);
    if (res < 0) {
        error_setg_errno(errp, errno, "RAM block '%s': %s %" PRIu64 " bytes at "
                         "0x%" PRIx64, rb->id, protect ? "protecting"
                                                       : "opening", len,
                         offset);
        return false;
    }
    if (!protect) {
        faults_end(u, rb, offset, len);
    }
    return true;
}

bool uffd_protects_untouched(const Uffd *u)
{
    return u->extras.wp_unpopulated;
}

uint64_t uffd_buffer_bytes(const Uffd *u)
{
    return u->buffer_bytes;
}

uint8_t *uffd_buffer(Uffd *u, unsigned channel)
{
    return u->buffers + channel * u->buffer_bytes;
}

/* ---- the fault thread ---- */

static bool find_fault(Uffd *u, const struct uffd_msg *msg, UffdFault *fault)
{
    uint64_t flags = msg->arg.pagefault.flags;

    for (unsigned i = 0; i < u->blocks.num; i++) {
        RamBlock *rb = u->blocks.rb[i];
        uint64_t offset = msg->arg.pagefault.address - (uintptr_t)rb->host;

        if (offset < rb->backing.size) {
            *fault = (UffdFault) {
                .rb = rb,
                .offset = offset - offset % rb->page_size,
                .mode = flags & UFFD_PAGEFAULT_FLAG_WP ? UFFD_WP
                    : flags & UFFD_PAGEFAULT_FLAG_MINOR ? UFFD_MINOR
                    : UFFD_MISSING,
                .write = flags & (UFFD_PAGEFAULT_FLAG_WRITE |
                                  UFFD_PAGEFAULT_FLAG_WP),
                .tid = msg->arg.pagefault.feat.ptid,
            };
            return true;
        }
    }
    return false;
}

static bool serve(Uffd *u, const struct uffd_msg *msg, Error **errp)
{
    UffdFault fault;

    if (msg->event != UFFD_EVENT_PAGEFAULT) {
        error_setg(errp, "userfaultfd reports event 0x%x, which nobody asked "
                   "for", msg->event);
        return false;
    }
    if (!find_fault(u, msg, &fault)) {
        error_setg(errp, "userfaultfd reports a fault at 0x%" PRIx64 ", which "
                   "is no guest memory", (uint64_t)msg->arg.pagefault.address);
        return false;
    }
    trace_uffd_fault(fault.rb->id, fault.offset, fault.mode, fault.write,
                     fault.tid);
    fault_begins(u, &fault);
    return u->handler->fault(u->opaque, u, &fault, errp);
}

static bool read_and_serve(Uffd *u, Error **errp)
{
    struct uffd_msg msg[MESSAGES];
    ssize_t n = read(u->fd, msg, sizeof(msg));

    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        error_setg_errno(errp, errno, "reading from userfaultfd");
        return false;
    }
    for (ssize_t i = 0; i < n / (ssize_t)sizeof(msg[0]); i++) {
        u->unserved = n / sizeof(msg[0]) - i - 1;
        if (!serve(u, &msg[i], errp)) {
            return false;
        }
    }
    return true;
}

bool uffd_has_more(Uffd *u)
{
    struct pollfd fd = { .fd = u->fd, .events = POLLIN };

    return u->unserved > 0 || poll(&fd, 1, 0) > 0;
}

static gpointer fault_main(gpointer opaque)
{
    Uffd *u = opaque;
    Error *err = NULL;
    bool ok = true;

    while (ok) {
        struct pollfd fds[2] = {
            { .fd = u->fd, .events = POLLIN },
            { .fd = u->stop_fd, .events = POLLIN },
        };

        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            error_setg_errno(&err, errno, "waiting for page faults");
            break;
        }
        if (fds[1].revents) {
            return NULL;
        }
        ok = read_and_serve(u, &err);
    }
    u->handler->failed(u->opaque, u, err);
    return NULL;
}

/* ---- beginning and end ---- */

bool uffd_empty(const RamBlock *rb, uint64_t offset, uint64_t len,
                Error **errp)
{
    int res;

    g_assert(is_range_ok(rb, offset, len));

    if (rb->backing.fd >= 0) {
        res = fallocate(rb->backing.fd,
                        FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        rb->backing.fd_offset + offset, len);
    } else {
        res = madvise(rb->host + offset, len,
                      rb->backing.share ? MADV_REMOVE : MADV_DONTNEED);
    }
    if (res < 0) {
        error_setg_errno(errp, errno, "RAM block '%s': emptying 0x%" PRIx64
                         " bytes at 0x%" PRIx64, rb->id, len, offset);
        return false;
    }
    return true;
}

static bool register_block(Uffd *u, const RamBlock *rb, Error **errp)
{
    struct uffdio_register reg = {
        .range = { (uintptr_t)rb->host, rb->backing.size },
    };
    uint64_t need = UINT64_C(1) << _UFFDIO_WAKE;

    if (u->modes & UFFD_MISSING) {
        reg.mode |= UFFDIO_REGISTER_MODE_MISSING;
        need |= UINT64_C(1) << _UFFDIO_COPY;
    }
    if (u->modes & UFFD_MINOR) {
        reg.mode |= UFFDIO_REGISTER_MODE_MINOR;
        need |= UINT64_C(1) << _UFFDIO_CONTINUE;
    }
    if (u->modes & UFFD_WP) {
        reg.mode |= UFFDIO_REGISTER_MODE_WP;
        need |= UINT64_C(1) << _UFFDIO_WRITEPROTECT;
    }
    if (u->sys->ioctl(u->sys, u->fd, UFFDIO_REGISTER, &reg) < 0) {
        error_setg_errno(errp, errno, "RAM block '%s': userfaultfd does not "
                         "take its %" PRIu64 " bytes", rb->id,
                         rb->backing.size);
        return false;
    }
    u->registered++;
    if (need & ~(uint64_t)reg.ioctls) {
        error_setg(errp, "RAM block '%s': userfaultfd lacks operations 0x%"
                   PRIx64 " for it", rb->id, need & ~(uint64_t)reg.ioctls);
        return false;
    }
    u->can_zero[rb->index] = reg.ioctls & (UINT64_C(1) << _UFFDIO_ZEROPAGE);
    trace_uffd_register(rb->id, rb->backing.size, u->modes, reg.ioctls);
    return true;
}

void uffd_release(Uffd *u)
{
    unsigned registered = __atomic_exchange_n(&u->registered, 0,
                                              __ATOMIC_ACQ_REL);

    for (unsigned i = 0; i < registered; i++) {
        const RamBlock *rb = u->blocks.rb[i];
        struct uffdio_range range = { (uintptr_t)rb->host, rb->backing.size };

        if (u->sys->ioctl(u->sys, u->fd, UFFDIO_UNREGISTER, &range) < 0) {
            warn_report("RAM block '%s': giving it back from userfaultfd: %s",
                        rb->id, g_strerror(errno));
        }
        /* By itself the kernel wakes those alone who wait for contents. */
        wake(u, rb->host, rb->backing.size);
    }
}

/* A buffer for each channel, and one of zeros, which nobody writes. */
static bool make_buffers(Uffd *u, unsigned channels, Error **errp)
{
    u->buffer_bytes = BUFFER_BYTES;
    for (unsigned i = 0; i < u->blocks.num; i++) {
        u->buffer_bytes = MAX(u->buffer_bytes, u->blocks.rb[i]->page_size);
    }
    u->mapped_bytes = u->buffer_bytes * (channels + 2);
    u->buffers = mmap(NULL, u->mapped_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (u->buffers == MAP_FAILED) {
        u->buffers = NULL;
        error_setg_errno(errp, errno, "no address space for %u buffers of %"
                         PRIu64 " bytes", channels + 2, u->buffer_bytes);
        return false;
    }
    return true;
}

static bool set_up(Uffd *u, unsigned channels, bool keep, Error **errp)
{
    u->fd = uffd_open(u->sys, &u->blocks, u->modes, &u->extras, errp);
    if (u->fd < 0) {
        return false;
    }
    u->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (u->stop_fd < 0) {
        error_setg_errno(errp, errno, "serving page faults: eventfd");
        return false;
    }
    if (!make_buffers(u, channels, errp)) {
        return false;
    }
    for (unsigned i = 0; i < u->blocks.num; i++) {
        const RamBlock *rb = u->blocks.rb[i];

        if ((u->modes & UFFD_MISSING && !keep &&
             !uffd_empty(rb, 0, rb->backing.size, errp)) ||
            !register_block(u, rb, errp)) {
            return false;
        }
    }
    u->thread = thread_start(u->modes == UFFD_WP ? "mig/src/fault"
                                                 : "mig/dst/fault",
                             fault_main, u);
    return true;
}

Uffd *uffd_setup_incoming(const UffdIncoming *incoming,
                          const UffdHandler *handler, unsigned channels,
                          Error **errp)
{
    Uffd *u = g_new0(Uffd, 1);

    g_assert(channels <= UFFD_CHANNELS_MAX);
    u->sys = incoming->sys;
    u->clock = incoming->clock;
    u->blocks = incoming->blocks;
    u->modes = incoming->modes;
    u->handler = handler;
    u->opaque = handler->opaque;
    u->fd = u->stop_fd = -1;
    g_mutex_init(&u->lock);
    if (!set_up(u, channels, incoming->keep, errp)) {
        error_prepend(errp, "serving page faults: ");
        uffd_free(u);
        return NULL;
    }
    return u;
}

void uffd_free(Uffd *u)
{
    uint64_t one = 1;

    if (!u) {
        return;
    }
    if (u->thread) {
        if (write(u->stop_fd, &one, sizeof(one)) < 0) {
            g_assert(errno == EAGAIN);
        }
        g_thread_join(u->thread);
    }
    uffd_release(u);
    if (u->fd >= 0) {
        u->sys->close(u->sys, u->fd);
    }
    if (u->stop_fd >= 0) {
        close(u->stop_fd);
    }
    if (u->buffers) {
        munmap(u->buffers, u->mapped_bytes);
    }
    g_mutex_clear(&u->lock);
    g_free(u);
}
