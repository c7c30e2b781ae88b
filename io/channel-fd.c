/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Channels over descriptors: sockets, pipes, terminals, regular files.
 *
 * The descriptor is non-blocking; who has to wait polls it together with an
 * eventfd of its direction, which a shutdown makes readable for ever. So a
 * shutdown ends a wait on anything that can be polled, not just on sockets.
 *
 * One reader, one writer and any number of threads in shutdown. "lock" keeps
 * the descriptors open while a shutdown uses them; nothing is called with it
 * held that could block.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/channel-fd.h"

enum { WAKE_READ, WAKE_WRITE, WAKE_COUNT };

typedef struct FdChannel {
    IoChannel parent;

    /* Constant after creation */
    bool is_socket;
    bool is_file;               /* never blocks for long; has positions */
    bool writable;
    IoCommand *command;         /* or NULL */
    int direct_fd;              /* the same file past the cache, or -1 */

    /* Atomic: of IoShutdown */
    unsigned shut;

    GMutex lock;
    /* Under lock: -1 once closed. Reader and writer need no lock to use it. */
    int fd;
    int wake[WAKE_COUNT];
} FdChannel;

static bool is_shut(FdChannel *c, IoShutdown how)
{
    return __atomic_load_n(&c->shut, __ATOMIC_ACQUIRE) & how;
}

static ssize_t fail_shut(FdChannel *c, const char *doing, Error **errp)
{
    error_setg(errp, "cannot %s %s: channel was shut down", doing,
               c->parent.name);
    return -1;
}

/* Waits for @events of the descriptor or a shutdown of that direction. */
static void wait_for(FdChannel *c, short events, int wake)
{
    struct pollfd fds[2] = {
        { .fd = c->fd, .events = events },
        { .fd = c->wake[wake], .events = POLLIN },
    };

    /* Whatever it says, the caller tries again and sees for itself. */
    poll(fds, 2, -1);
}

/*
 * Descriptors that came with @msg: to @fds, which has room for *nfds. Those
 * for which there is no room are closed, or they would leak.
 */
static void collect_fds(struct msghdr *msg, int *fds, size_t *nfds)
{
    size_t room = *nfds, count = 0;

    for (struct cmsghdr *cm = CMSG_FIRSTHDR(msg); cm;
         cm = CMSG_NXTHDR(msg, cm)) {
        size_t n;

        if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
            if (count < room) {
                fds[count++] = fd;
            } else {
                close(fd);
            }
        }
    }
    *nfds = count;
}

static ssize_t receive(FdChannel *c, const struct iovec *iov, size_t n,
                       int *fds, size_t *nfds)
{
    union {
        char bytes[CMSG_SPACE(IO_CHANNEL_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr msg = {
        .msg_iov = (struct iovec *)iov,
        .msg_iovlen = n,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    size_t none = 0;
    ssize_t got = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);

    if (got >= 0) {
        collect_fds(&msg, fds, nfds ? nfds : &none);
    }
    return got;
}

static ssize_t do_read(FdChannel *c, const struct iovec *iov, size_t n,
                       int *fds, size_t *nfds, Error **errp)
{
    for (;;) {
        ssize_t got;

        if (is_shut(c, IO_SHUTDOWN_READ)) {
            return fail_shut(c, "read from", errp);
        }
        if (c->parent.features & IO_FEATURE_FD_PASS) {
            got = receive(c, iov, n, fds, nfds);
        } else {
            got = readv(c->fd, iov, (int)n);
        }
        /* shutdown(2) makes a socket end; that end is not the stream's. */
        if (got > 0 || (got == 0 && !is_shut(c, IO_SHUTDOWN_READ))) {
            return got;
        }
        if (got < 0 && errno == EAGAIN) {
            wait_for(c, POLLIN, WAKE_READ);
        } else if (got < 0 && errno != EINTR &&
                   !is_shut(c, IO_SHUTDOWN_READ)) {
            error_setg_errno(errp, errno, "cannot read from %s",
                             c->parent.name);
            return -1;
        }
    }
}

static ssize_t send_fds(FdChannel *c, const struct iovec *iov, size_t n,
                        const int *fds, size_t nfds)
{
    union {
        char bytes[CMSG_SPACE(IO_CHANNEL_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };

    if (nfds) {
        struct cmsghdr *cm = &control.align;

        memset(&control, 0, sizeof(control));
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        cm->cmsg_level = SOL_SOCKET;
        cm->cmsg_type = SCM_RIGHTS;
        cm->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(cm), fds, nfds * sizeof(int));
    }
    return sendmsg(c->fd, &msg, MSG_NOSIGNAL);
}

static ssize_t do_write(FdChannel *c, const struct iovec *iov, size_t n,
                        const int *fds, size_t nfds, Error **errp)
{
    for (;;) {
        ssize_t put;

        if (is_shut(c, IO_SHUTDOWN_WRITE)) {
            return fail_shut(c, "write to", errp);
        }
        if (c->is_socket) {
            put = send_fds(c, iov, n, fds, nfds);
        } else {
            put = writev(c->fd, iov, (int)n);
        }
        if (put >= 0) {
            return put;
        }
        if (errno == EAGAIN) {
            wait_for(c, POLLOUT, WAKE_WRITE);
        } else if (errno != EINTR && !is_shut(c, IO_SHUTDOWN_WRITE)) {
            error_setg_errno(errp, errno, "cannot write to %s",
                             c->parent.name);
            return -1;
        }
    }
}

static ssize_t fd_readv(IoChannel *ch, const struct iovec *iov, size_t n,
                        Error **errp)
{
    return do_read((FdChannel *)ch, iov, n, NULL, NULL, errp);
}

static ssize_t fd_readv_fds(IoChannel *ch, const struct iovec *iov, size_t n,
                            int *fds, size_t *nfds, Error **errp)
{
    return do_read((FdChannel *)ch, iov, n, fds, nfds, errp);
}

static ssize_t fd_writev(IoChannel *ch, const struct iovec *iov, size_t n,
                         Error **errp)
{
    return do_write((FdChannel *)ch, iov, n, NULL, 0, errp);
}

static ssize_t fd_writev_fds(IoChannel *ch, const struct iovec *iov, size_t n,
                             const int *fds, size_t nfds, Error **errp)
{
    return do_write((FdChannel *)ch, iov, n, fds, nfds, errp);
}

static bool position_ok(FdChannel *c, uint64_t pos, IoShutdown how,
                        const char *doing, Error **errp)
{
    if (is_shut(c, how)) {
        fail_shut(c, doing, errp);
        return false;
    }
    if (pos > INT64_MAX) {
        error_setg(errp, "cannot %s %s: offset %" PRIu64
                   " is beyond any file", doing, c->parent.name, pos);
        return false;
    }
    return true;
}

/* Which descriptor takes this: past the cache all has to be aligned. */
static int fd_for(const FdChannel *c, const struct iovec *iov, size_t n,
                  uint64_t pos)
{
    uint64_t all = pos;

    for (size_t i = 0; i < n; i++) {
        all |= (uintptr_t)iov[i].iov_base | iov[i].iov_len;
    }
    return c->direct_fd >= 0 && all % IO_DIRECT_ALIGN == 0 ? c->direct_fd
                                                           : c->fd;
}

static ssize_t fd_preadv(IoChannel *ch, const struct iovec *iov, size_t n,
                         uint64_t pos, Error **errp)
{
    FdChannel *c = (FdChannel *)ch;
    ssize_t got;

    if (!position_ok(c, pos, IO_SHUTDOWN_READ, "read from", errp)) {
        return -1;
    }
    do {
        got = preadv(fd_for(c, iov, n, pos), iov, (int)n, (off_t)pos);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        error_setg_errno(errp, errno, "cannot read from %s at offset %" PRIu64,
                         ch->name, pos);
    }
    return got;
}

static ssize_t fd_pwritev(IoChannel *ch, const struct iovec *iov, size_t n,
                          uint64_t pos, Error **errp)
{
    FdChannel *c = (FdChannel *)ch;
    ssize_t put;

    if (!position_ok(c, pos, IO_SHUTDOWN_WRITE, "write to", errp)) {
        return -1;
    }
    do {
        put = pwritev(fd_for(c, iov, n, pos), iov, (int)n, (off_t)pos);
    } while (put < 0 && errno == EINTR);
    if (put < 0) {
        error_setg_errno(errp, errno, "cannot write to %s at offset %" PRIu64,
                         ch->name, pos);
    }
    return put;
}

static bool fd_seek(IoChannel *ch, int64_t pos, int whence, uint64_t *now,
                    Error **errp)
{
    FdChannel *c = (FdChannel *)ch;
    off_t at = lseek(c->fd, pos, whence);

    if (at < 0) {
        error_setg_errno(errp, errno, "cannot seek in %s to %" PRId64,
                         ch->name, pos);
        return false;
    }
    if (now) {
        *now = (uint64_t)at;
    }
    return true;
}

static void fd_shutdown(IoChannel *ch, IoShutdown how)
{
    FdChannel *c = (FdChannel *)ch;
    uint64_t one = 1;

    g_mutex_lock(&c->lock);
    __atomic_or_fetch(&c->shut, how, __ATOMIC_SEQ_CST);
    for (int i = 0; i < WAKE_COUNT; i++) {
        bool wanted = how & (i == WAKE_READ ? IO_SHUTDOWN_READ
                                            : IO_SHUTDOWN_WRITE);

        /* The counter cannot be full; if it were it would be readable. */
        if (wanted && c->wake[i] >= 0 &&
            write(c->wake[i], &one, sizeof(one)) < 0) {
            g_assert(errno == EAGAIN);
        }
    }
    if (c->is_socket && c->fd >= 0) {
        shutdown(c->fd, how == IO_SHUTDOWN_BOTH   ? SHUT_RDWR
                        : how == IO_SHUTDOWN_READ ? SHUT_RD
                                                  : SHUT_WR);
    }
    g_mutex_unlock(&c->lock);
}

static bool fd_close(IoChannel *ch, Error **errp)
{
    FdChannel *c = (FdChannel *)ch;
    int fd = c->fd, err = 0;

    if (c->is_file && c->writable && !is_shut(c, IO_SHUTDOWN_WRITE) &&
        fdatasync(fd) < 0 && errno != EINVAL && errno != EROFS) {
        err = errno;
    }
    g_mutex_lock(&c->lock);
    c->fd = -1;
    g_mutex_unlock(&c->lock);
    /* Linux has released the descriptor even where this says EINTR. */
    if (close(fd) < 0 && !err && errno != EINTR) {
        err = errno;
    }
    if (err) {
        error_setg_errno(errp, err, "cannot complete writing to %s",
                         ch->name);
    }
    if (c->command) {
        Error *local = NULL;

        if (!io_command_wait(c->command,
                             c->wake[c->writable ? WAKE_WRITE : WAKE_READ],
                             err ? NULL : &local)) {
            error_propagate(errp, local);
            return false;
        }
    }
    return err == 0;
}

static void fd_finalize(IoChannel *ch)
{
    FdChannel *c = (FdChannel *)ch;

    for (int i = 0; i < WAKE_COUNT; i++) {
        close(c->wake[i]);
    }
    if (c->direct_fd >= 0) {
        close(c->direct_fd);
    }
    io_command_free(c->command);
    g_mutex_clear(&c->lock);
}

static const IoChannelOps fd_ops = {
    .name = "fd",
    .readv = fd_readv,
    .writev = fd_writev,
    .readv_fds = fd_readv_fds,
    .writev_fds = fd_writev_fds,
    .preadv = fd_preadv,
    .pwritev = fd_pwritev,
    .seek = fd_seek,
    .shutdown = fd_shutdown,
    .close = fd_close,
    .finalize = fd_finalize,
};

/* Learns what @fd is and makes it fit for us. */
static bool prepare(FdChannel *c, int fd, Error **errp)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    struct stat st;
    int flags, one = 1;

    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &st) < 0) {
        error_setg_errno(errp, errno, "descriptor %d for %s cannot be used",
                         fd, c->parent.name);
        return false;
    }
    c->is_socket = S_ISSOCK(st.st_mode);
    c->is_file = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
    c->writable = (flags & O_ACCMODE) != O_RDONLY;
    if (c->is_file) {
        c->parent.features |= IO_FEATURE_SEEKABLE;
    }
    if (c->is_socket && getsockname(fd, (struct sockaddr *)&addr, &len) == 0 &&
        addr.ss_family == AF_UNIX) {
        c->parent.features |= IO_FEATURE_FD_PASS;
    }
    if (ioctl(fd, FIONBIO, &one) < 0 && !c->is_file) {
        error_setg_errno(errp, errno, "descriptor %d for %s cannot be made "
                         "non-blocking", fd, c->parent.name);
        return false;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return true;
}

IoChannel *io_channel_new_fd_command(int fd, const char *name,
                                     IoCommand *command, Error **errp)
{
    FdChannel *c = g_new0(FdChannel, 1);

    io_channel_init(&c->parent, &fd_ops, name);
    g_mutex_init(&c->lock);
    c->fd = fd;
    c->direct_fd = -1;
    c->command = command;
    c->wake[WAKE_READ] = c->wake[WAKE_WRITE] = -1;
    if (!prepare(c, fd, errp)) {
        io_channel_unref(&c->parent);
        return NULL;
    }
    for (int i = 0; i < WAKE_COUNT; i++) {
        c->wake[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (c->wake[i] < 0) {
            error_setg_errno(errp, errno, "no descriptors left for %s", name);
            io_channel_unref(&c->parent);
            return NULL;
        }
    }
    return &c->parent;
}

IoChannel *io_channel_new_fd(int fd, const char *name, Error **errp)
{
    return io_channel_new_fd_command(fd, name, NULL, errp);
}

bool io_channel_new_pair(IoChannel *ends[2], Error **errp)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        error_setg_errno(errp, errno, "cannot make a socket pair");
        return false;
    }
    ends[0] = io_channel_new_fd(fds[0], "socket pair", errp);
    if (!ends[0]) {
        close(fds[1]);
        return false;
    }
    ends[1] = io_channel_new_fd(fds[1], "socket pair", errp);
    if (!ends[1]) {
        io_channel_unref(ends[0]);
        return false;
    }
    return true;
}

bool io_channel_set_direct(IoChannel *ch, Error **errp)
{
    FdChannel *c = (FdChannel *)ch;
    g_autofree char *path = NULL;

    if (ch->ops != &fd_ops || !c->is_file) {
        error_setg(errp, "direct I/O needs a regular file, which %s is not",
                   ch->name);
        return false;
    }
    if (c->direct_fd >= 0) {
        return true;
    }
    /* A descriptor of its own: what is not aligned still goes by the other. */
    path = g_strdup_printf("/proc/self/fd/%d", c->fd);
    c->direct_fd = open(path, (fcntl(c->fd, F_GETFL) & O_ACCMODE) | O_DIRECT |
                        O_CLOEXEC);
    if (c->direct_fd < 0) {
        error_setg_errno(errp, errno, "cannot open %s for direct I/O",
                         ch->name);
        return false;
    }
    return true;
}

int io_channel_fd(IoChannel *ch)
{
    return ch->ops == &fd_ops ? ((FdChannel *)ch)->fd : -1;
}
