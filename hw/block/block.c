/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw images over a thread pool. The big lock protects everything but the list
 * of finished requests, which the pool's threads fill under "done_lock"; lock
 * order: big lock, done_lock. Enters: main loop, vCPUs (submit), "blk-N" pool
 * threads (run_request only).
 */
#include "hw/block/block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/holdings.h"
#include "system/runstate.h"
#include "util/checked.h"

#define POOL_THREADS    4
/* Back ends stop after and start before the devices that use them. */
#define BACK_END_PRIORITY 10

typedef struct Request {
    BlockBackend *blk;
    BlockOp op;
    uint64_t offset;
    uint64_t len;
    const struct iovec *iov;
    unsigned iov_count;
    void (*done)(void *opaque, int status);
    void *opaque;
    int64_t started_ns;
    int status;
} Request;

struct BlockBackend {
    Vm *vm;
    BlockOptions options;       /* strings owned */
    char *user;
    bool layered;               /* the user is a node */
    int fd;
    uint64_t size;
    bool active;                /* ours to use, and locked if so asked */
    bool block_device;
    BlockCounters counters;
    unsigned runstate_handler;
    GThreadPool *pool;
    unsigned in_flight;         /* submitted, not delivered */

    /* under done_lock */
    GMutex done_lock;
    GCond done_cond;
    GQueue finished;            /* of Request * */
    bool delivery_queued;
};

struct BlockBackends {
    GPtrArray *all;
};

static const HolderOps image_holder;

static struct BlockBackends *backends(Vm *vm)
{
    if (!vm->blocks) {
        vm->blocks = g_new0(struct BlockBackends, 1);
        vm->blocks->all = g_ptr_array_new();
        holdings_add(vm, &image_holder);
    }
    return vm->blocks;
}

/* --- the pool's side --- */

/* All of it, however the kernel splits it; a read past the end gives zeros. */
static int transfer(Request *req)
{
    BlockBackend *blk = req->blk;
    uint64_t pos = blk->options.offset + req->offset, left = req->len;
    g_autofree struct iovec *iov = g_memdup2(req->iov, req->iov_count *
                                             sizeof(*iov));
    struct iovec *at = iov;
    unsigned count = req->iov_count;

    while (left > 0) {
        int n = MIN(count, 1024u);
        ssize_t moved = req->op == BLOCK_READ ? preadv(blk->fd, at, n, pos)
                                              : pwritev(blk->fd, at, n, pos);

        if (moved < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -errno;
        }
        if (moved == 0) {
            if (req->op == BLOCK_WRITE) {
                return -EIO;
            }
            for (; count > 0; at++, count--) {
                memset(at->iov_base, 0, at->iov_len);
            }
            return 0;
        }
        pos += moved;
        left -= moved;
        while (count > 0 && (size_t)moved >= at->iov_len) {
            moved -= at->iov_len;
            at++;
            count--;
        }
        if (count > 0) {
            at->iov_base = (uint8_t *)at->iov_base + moved;
            at->iov_len -= moved;
        }
    }
    return 0;
}

static int write_zeroes_by_hand(Request *req)
{
    static const uint8_t zeroes[64 * 1024];
    uint64_t pos = req->blk->options.offset + req->offset, left = req->len;

    while (left > 0) {
        ssize_t n = pwrite(req->blk->fd, zeroes, MIN(left, sizeof(zeroes)),
                           pos);

        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n > 0) {
            pos += n;
            left -= n;
        }
    }
    return 0;
}

static int punch(Request *req)
{
    BlockBackend *blk = req->blk;
    uint64_t pos = blk->options.offset + req->offset;

    if (blk->block_device) {
        uint64_t range[2] = { pos, req->len };
        unsigned long what = req->op == BLOCK_DISCARD ? BLKDISCARD
                                                      : BLKZEROOUT;

        return ioctl(blk->fd, what, range) < 0 ? -errno : 0;
    }
    return fallocate(blk->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, pos,
                     req->len) < 0 ? -errno : 0;
}

static int carry_out(Request *req)
{
    int status;

    switch (req->op) {
    case BLOCK_READ:
    case BLOCK_WRITE:
        return transfer(req);
    case BLOCK_FLUSH:
        if (req->blk->options.no_flush || req->blk->options.read_only) {
            return 0;
        }
        return fdatasync(req->blk->fd) < 0 ? -errno : 0;
    case BLOCK_DISCARD:
        if (!req->blk->options.discard) {
            return 0;
        }
        status = punch(req);
        /* A hint: where the host cannot, nothing is lost. */
        return status == -EOPNOTSUPP ? 0 : status;
    default:
        status = punch(req);
        return status == -EOPNOTSUPP ? write_zeroes_by_hand(req) : status;
    }
}

static void deliver_soon(void *opaque);

static void run_request(gpointer data, gpointer user_data)
{
    Request *req = data;
    BlockBackend *blk = user_data;
    bool queue;

    req->status = carry_out(req);
    g_mutex_lock(&blk->done_lock);
    g_queue_push_tail(&blk->finished, req);
    queue = !blk->delivery_queued;
    blk->delivery_queued = true;
    g_cond_signal(&blk->done_cond);
    if (queue) {
        vm_call_soon(blk->vm, deliver_soon, blk);
    }
    g_mutex_unlock(&blk->done_lock);
}

/* --- under the big lock --- */

static void deliver_one(BlockBackend *blk, Request *req)
{
    blk->counters.operations[req->op]++;
    blk->counters.total_time_ns[req->op] += clock_now_ns(blk->vm->host_clock) -
                                         req->started_ns;
    if (req->status < 0) {
        blk->counters.failed[req->op]++;
    } else {
        blk->counters.bytes[req->op] += req->len;
        if (req->op == BLOCK_WRITE || req->op == BLOCK_WRITE_ZEROES) {
            blk->counters.written_end =
                MAX(blk->counters.written_end, req->offset + req->len);
        }
    }
    blk->in_flight--;
    req->done(req->opaque, req->status);
    g_free(req);
}

static void deliver_finished(BlockBackend *blk)
{
    Request *req;

    g_mutex_lock(&blk->done_lock);
    while ((req = g_queue_pop_head(&blk->finished))) {
        g_mutex_unlock(&blk->done_lock);
        deliver_one(blk, req);
        g_mutex_lock(&blk->done_lock);
    }
    g_mutex_unlock(&blk->done_lock);
}

static void deliver_soon(void *opaque)
{
    BlockBackend *blk = opaque;

    g_mutex_lock(&blk->done_lock);
    blk->delivery_queued = false;
    g_mutex_unlock(&blk->done_lock);
    deliver_finished(blk);
}

void block_drain(BlockBackend *blk)
{
    while (blk->in_flight > 0) {
        g_mutex_lock(&blk->done_lock);
        while (g_queue_is_empty(&blk->finished)) {
            g_cond_wait(&blk->done_cond, &blk->done_lock);
        }
        g_mutex_unlock(&blk->done_lock);
        deliver_finished(blk);
    }
}

static int check_request(const BlockBackend *blk, BlockOp op, uint64_t offset,
                         uint64_t len)
{
    if (op == BLOCK_FLUSH) {
        return 0;
    }
    if (op != BLOCK_READ && blk->options.read_only) {
        return -EROFS;
    }
    return range_fits_u64(offset, len, blk->size) ? 0 : -EINVAL;
}

void block_submit(BlockBackend *blk, BlockOp op, uint64_t offset, uint64_t len,
                  const struct iovec *iov, unsigned iov_count,
                  void (*done)(void *opaque, int status), void *opaque)
{
    Request *req = g_new(Request, 1);

    *req = (Request) {
        .blk = blk, .op = op, .offset = offset, .len = len, .iov = iov,
        .iov_count = iov_count, .done = done, .opaque = opaque,
        .started_ns = clock_now_ns(blk->vm->host_clock),
        .status = check_request(blk, op, offset, len),
    };
    blk->in_flight++;
    if (req->status < 0) {
        deliver_one(blk, req);
        return;
    }
    g_thread_pool_push(blk->pool, req, NULL);
}

/* --- whose the image is --- */

/* An open-file-description lock: shared to read, exclusive to write. */
static bool lock_image(BlockBackend *blk, Error **errp)
{
    struct flock lock = {
        .l_type = blk->options.read_only ? F_RDLCK : F_WRLCK,
        .l_whence = SEEK_SET,
    };

    if (blk->options.lock && !blk->block_device &&
        fcntl(blk->fd, F_OFD_SETLK, &lock) < 0) {
        error_setg_errno(errp, errno, "cannot lock image '%s' to %s it; is "
                         "another process using it?", blk->options.filename,
                         blk->options.read_only ? "read" : "write");
        return false;
    }
    return true;
}

static void unlock_image(BlockBackend *blk)
{
    struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

    if (blk->options.lock && !blk->block_device) {
        fcntl(blk->fd, F_OFD_SETLK, &lock);
    }
}

static bool take_images(Vm *vm, Error **errp)
{
    for (unsigned i = 0; i < backends(vm)->all->len; i++) {
        BlockBackend *blk = g_ptr_array_index(vm->blocks->all, i);

        if (!blk->active) {
            if (blk->user && !lock_image(blk, errp)) {
                return false;
            }
            blk->active = true;
        }
    }
    return true;
}

static void give_images(Vm *vm)
{
    for (unsigned i = 0; i < backends(vm)->all->len; i++) {
        BlockBackend *blk = g_ptr_array_index(vm->blocks->all, i);

        if (blk->active) {
            unlock_image(blk);
            blk->active = false;
        }
    }
}

static const HolderOps image_holder = {
    .take = take_images,
    .give = give_images,
};

static void flush_done(void *opaque, int status)
{
    *(int *)opaque = status;
}

/* A stopped guest has nothing under way and nothing only in our caches. */
static void runstate_changed(void *opaque, bool running, RunState state)
{
    BlockBackend *blk = opaque;
    int status = 0;

    (void)state;
    block_drain(blk);
    if (!running && blk->active && !blk->layered && !blk->options.read_only) {
        block_submit(blk, BLOCK_FLUSH, 0, 0, NULL, 0, flush_done, &status);
        block_drain(blk);
    }
}

static bool open_image(BlockBackend *blk, Error **errp)
{
    const BlockOptions *opt = &blk->options;
    int flags = (opt->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC |
                (opt->direct ? O_DIRECT : 0);
    struct stat st;
    uint64_t bytes;

    blk->fd = open(opt->filename, flags);
    if (blk->fd < 0) {
        error_setg_errno(errp, errno, "cannot open image '%s'%s",
                         opt->filename, opt->read_only ? "" :
                         " for writing (read-only=on opens it to read)");
        return false;
    }
    if (fstat(blk->fd, &st) < 0) {
        error_setg_errno(errp, errno, "cannot look at '%s'", opt->filename);
        return false;
    }
    if (S_ISBLK(st.st_mode)) {
        blk->block_device = true;
        if (ioctl(blk->fd, BLKGETSIZE64, &bytes) < 0) {
            error_setg_errno(errp, errno, "cannot get the size of '%s'",
                             opt->filename);
            return false;
        }
    } else if (S_ISREG(st.st_mode)) {
        bytes = st.st_size;
    } else {
        error_setg(errp, "'%s' is neither a regular file nor a block device",
                   opt->filename);
        return false;
    }
    if (opt->offset > bytes ||
        (opt->size && !range_fits_u64(opt->offset, opt->size, bytes))) {
        error_setg(errp, "offset %" PRIu64 " and size %" PRIu64
                   " do not lie in '%s' of %" PRIu64 " bytes", opt->offset,
                   opt->size, opt->filename, bytes);
        return false;
    }
    blk->size = opt->size ? opt->size : bytes - opt->offset;
    return true;
}

static void destroy(BlockBackend *blk)
{
    if (blk->pool) {
        g_thread_pool_free(blk->pool, FALSE, TRUE);
    }
    if (blk->fd >= 0) {
        close(blk->fd);
    }
    vm_call_soon_cancel(blk->vm, deliver_soon, blk);
    g_mutex_clear(&blk->done_lock);
    g_cond_clear(&blk->done_cond);
    g_free((char *)blk->options.node_name);
    g_free((char *)blk->options.filename);
    g_free((char *)blk->options.drive_id);
    g_free(blk->user);
    g_free(blk);
}

/*
 * Threads of this back end alone: those that GLib shares among pools are given
 * their scheduling by a call that -sandbox resourcecontrol=deny forbids.
 */
static bool start_pool(BlockBackend *blk, Error **errp)
{
    g_autoptr(GError) err = NULL;

    blk->pool = g_thread_pool_new(run_request, blk, POOL_THREADS, TRUE, &err);
    if (err) {
        error_setg(errp, "cannot start %d threads for block node '%s': %s",
                   POOL_THREADS, blk->options.node_name, err->message);
        return false;
    }
    return true;
}

BlockBackend *block_new(Vm *vm, const BlockOptions *options, Error **errp)
{
    BlockBackend *blk;

    if (block_find(vm, options->node_name)) {
        error_setg(errp, "block node '%s' exists already",
                   options->node_name);
        return NULL;
    }
    blk = g_new0(BlockBackend, 1);
    blk->vm = vm;
    blk->fd = -1;
    blk->options = *options;
    blk->options.node_name = g_strdup(options->node_name);
    blk->options.filename = g_strdup(options->filename);
    blk->options.drive_id = g_strdup(options->drive_id);
    g_mutex_init(&blk->done_lock);
    g_cond_init(&blk->done_cond);
    g_queue_init(&blk->finished);

    blk->active = holdings_held(vm);
    if (!open_image(blk, errp)) {
        destroy(blk);
        return NULL;
    }
    if (!start_pool(blk, errp)) {
        destroy(blk);
        return NULL;
    }
    blk->runstate_handler = runstate_add_handler(vm, BACK_END_PRIORITY,
                                                 runstate_changed, blk);
    g_ptr_array_add(backends(vm)->all, blk);
    return blk;
}

void block_free(BlockBackend *blk)
{
    block_drain(blk);
    runstate_remove_handler(blk->vm, blk->runstate_handler);
    g_ptr_array_remove(blk->vm->blocks->all, blk);
    destroy(blk);
}

void block_free_all(Vm *vm)
{
    while (backends(vm)->all->len) {
        block_free(g_ptr_array_index(vm->blocks->all, 0));
    }
    g_ptr_array_free(vm->blocks->all, TRUE);
    g_clear_pointer(&vm->blocks, g_free);
}

BlockBackend *block_find(Vm *vm, const char *node_name)
{
    for (unsigned i = 0; i < backends(vm)->all->len; i++) {
        BlockBackend *blk = g_ptr_array_index(vm->blocks->all, i);

        if (g_str_equal(blk->options.node_name, node_name)) {
            return blk;
        }
    }
    return NULL;
}

void block_foreach(Vm *vm, void (*fn)(BlockBackend *blk, void *data),
                   void *data)
{
    for (unsigned i = 0; i < backends(vm)->all->len; i++) {
        fn(g_ptr_array_index(vm->blocks->all, i), data);
    }
}

const BlockOptions *block_options(const BlockBackend *blk)
{
    return &blk->options;
}

const BlockCounters *block_counters(const BlockBackend *blk)
{
    return &blk->counters;
}

uint64_t block_size(const BlockBackend *blk)
{
    return blk->size;
}

bool block_is_active(const BlockBackend *blk)
{
    return blk->active;
}

bool block_has_device(const BlockBackend *blk)
{
    return blk->user && !blk->layered;
}

const char *block_user(const BlockBackend *blk)
{
    return blk->user;
}

static bool check_free(const BlockBackend *blk, Error **errp)
{
    if (blk->user) {
        error_setg(errp, "block node '%s' is in use by '%s'",
                   blk->options.node_name, blk->user);
    }
    return !blk->user;
}

bool block_layer(BlockBackend *blk, const char *upper, Error **errp)
{
    if (!check_free(blk, errp)) {
        return false;
    }
    /* The node above takes the lock, on a descriptor of its own, and works. */
    blk->options.lock = false;
    g_thread_pool_free(g_steal_pointer(&blk->pool), FALSE, TRUE);
    blk->layered = true;
    blk->user = g_strdup(upper);
    return true;
}

bool block_claim(BlockBackend *blk, const char *user, Error **errp)
{
    if (!check_free(blk, errp)) {
        return false;
    }
    if (blk->active && !lock_image(blk, errp)) {
        return false;
    }
    blk->user = g_strdup(user);
    return true;
}

void block_release(BlockBackend *blk)
{
    unlock_image(blk);
    g_clear_pointer(&blk->user, g_free);
}
