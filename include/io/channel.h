/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Byte channels: what a migration (or anything else) reads from and writes to,
 * whether it is a socket, a file, a pipe to a command, memory, or a filter
 * over another channel that delays, limits or breaks it on purpose.
 *
 * A channel is reference-counted. One thread may read while another writes;
 * two readers, or two writers, need a lock of their own. io_channel_shutdown()
 * may be called by any thread at any time and makes every blocked and every
 * later read and write return at once: that is how a thread which is stuck in
 * I/O is told to stop.
 */
#ifndef GODWIT_IO_CHANNEL_H
#define GODWIT_IO_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/error.h"

typedef struct IoChannel IoChannel;

typedef enum IoFeature {
    IO_FEATURE_SEEKABLE = 1 << 0,   /* preadv, pwritev, seek work */
    IO_FEATURE_FD_PASS = 1 << 1,    /* descriptors can travel along */
} IoFeature;

typedef enum IoShutdown {
    IO_SHUTDOWN_READ = 1,
    IO_SHUTDOWN_WRITE = 2,
    IO_SHUTDOWN_BOTH = 3,
} IoShutdown;

/* What an implementation provides; io_channel_init() takes the table. */
typedef struct IoChannelOps {
    const char *name;               /* "socket", "file", ... */
    /*
     * Like readv/writev: at least one byte, or 0 at the end of the stream
     * (read only), or -1 and errp. Blocks until then or until shutdown, which
     * is an error "channel was shut down".
     */
    ssize_t (*readv)(IoChannel *ch, const struct iovec *iov, size_t n,
                     Error **errp);
    ssize_t (*writev)(IoChannel *ch, const struct iovec *iov, size_t n,
                      Error **errp);
    /*
     * At a position of the file, in bytes. Any number of threads at a time.
     * NULL: not seekable.
     */
    ssize_t (*preadv)(IoChannel *ch, const struct iovec *iov, size_t n,
                      uint64_t pos, Error **errp);
    ssize_t (*pwritev)(IoChannel *ch, const struct iovec *iov, size_t n,
                       uint64_t pos, Error **errp);
    bool (*seek)(IoChannel *ch, int64_t pos, int whence, uint64_t *now,
                 Error **errp);
    /*
     * As readv and writev, with descriptors that travel along; see
     * io_channel_readv_fds(). NULL without IO_FEATURE_FD_PASS.
     */
    ssize_t (*readv_fds)(IoChannel *ch, const struct iovec *iov, size_t n,
                         int *fds, size_t *nfds, Error **errp);
    ssize_t (*writev_fds)(IoChannel *ch, const struct iovec *iov, size_t n,
                          const int *fds, size_t nfds, Error **errp);
    /* Any thread, also while another closes. Must not block. */
    void (*shutdown)(IoChannel *ch, IoShutdown how);
    /*
     * Flushes what the kernel would report as an error only at close, then
     * closes. Waits for a command's end.
     */
    bool (*close)(IoChannel *ch, Error **errp);
    /* Frees what the ops own, not the struct. After close. */
    void (*finalize)(IoChannel *ch);
} IoChannelOps;

/* Embedded at the start of each implementation's struct, made by g_malloc. */
struct IoChannel {
    const IoChannelOps *ops;
    char *name;                     /* for messages and traces */
    unsigned features;              /* of IoFeature */
    int refs;                       /* atomic */
    bool closed;                    /* atomic */
};

void io_channel_init(IoChannel *ch, const IoChannelOps *ops, const char *name);
IoChannel *io_channel_ref(IoChannel *ch);
/*
 * NULL is fine. The last one closes a channel that was not closed, after a
 * shutdown: what was buffered may be lost, and a command is ended.
 */
void io_channel_unref(IoChannel *ch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IoChannel, io_channel_unref)

ssize_t io_channel_readv(IoChannel *ch, const struct iovec *iov, size_t n,
                         Error **errp);
ssize_t io_channel_writev(IoChannel *ch, const struct iovec *iov, size_t n,
                          Error **errp);

/*
 * All of it or an error. io_channel_read_all(): the stream's end before @len
 * bytes is an error that says how many came.
 */
bool io_channel_read_all(IoChannel *ch, void *buf, size_t len, Error **errp);
bool io_channel_write_all(IoChannel *ch, const void *buf, size_t len,
                          Error **errp);
/* As above; @iov may have any number of entries and is not changed. */
bool io_channel_writev_all(IoChannel *ch, const struct iovec *iov, size_t n,
                           Error **errp);
bool io_channel_pread_all(IoChannel *ch, void *buf, size_t len, uint64_t pos,
                          Error **errp);
bool io_channel_pwrite_all(IoChannel *ch, const void *buf, size_t len,
                           uint64_t pos, Error **errp);
bool io_channel_seek(IoChannel *ch, int64_t pos, int whence, uint64_t *now,
                     Error **errp);

/* At most this many descriptors go along with one write. */
#define IO_CHANNEL_FDS_MAX 16

/*
 * As io_channel_writev(), with @nfds (1 .. IO_CHANNEL_FDS_MAX) descriptors,
 * which stay the caller's, attached to the first byte. Error: the channel
 * cannot.
 */
ssize_t io_channel_writev_fds(IoChannel *ch, const struct iovec *iov, size_t n,
                              const int *fds, size_t nfds, Error **errp);
/*
 * As io_channel_readv(). Descriptors that came along are put to @fds, which
 * has room for *nfds, and are the caller's (close-on-exec); *nfds is then how
 * many. Those beyond the room are closed. A plain io_channel_readv() closes
 * all that come.
 */
ssize_t io_channel_readv_fds(IoChannel *ch, const struct iovec *iov, size_t n,
                             int *fds, size_t *nfds, Error **errp);

void io_channel_shutdown(IoChannel *ch, IoShutdown how);

/*
 * Once; a second close is fine and does nothing. No other thread may read or
 * write any more; shutdown may still be called. A command whose end does not
 * come is ended by a shutdown. Error: what was written may not have arrived.
 */
bool io_channel_close(IoChannel *ch, Error **errp);

/*
 * Implementations. A channel over @fd owns it from the call on (also when the
 * call fails) and sets it non-blocking and close-on-exec; regular files are
 * read at their present position, and what was written to one is on the disk
 * when close returns. The process ignores SIGPIPE.
 */
IoChannel *io_channel_new_fd(int fd, const char *name, Error **errp);
IoChannel *io_channel_new_file(const char *path, int flags, mode_t mode,
                               Error **errp);
/*
 * Runs "/bin/sh -c COMMAND"; @flags O_RDONLY (its output) or O_WRONLY. Its
 * other standard streams are /dev/null, but for stderr. Close fails if it ends
 * by a signal or with another status than 0; a shutdown ends it (SIGTERM, a
 * second later SIGKILL).
 */
IoChannel *io_channel_new_command(const char *command, int flags,
                                  Error **errp);
/* Memory: what is written can be read, from the start. For tests and records. */
IoChannel *io_channel_new_buffer(void);
const uint8_t *io_channel_buffer_data(IoChannel *ch, size_t *len);
/* Two connected ends in this process (a socket pair). */
bool io_channel_new_pair(IoChannel *ends[2], Error **errp);

/*
 * From here on what is read or written at a position goes past the host's
 * cache, if position, memory and length are multiples of IO_DIRECT_ALIGN;
 * everything else goes as before. Before other threads use the channel. Error:
 * no regular file, or its file system cannot.
 */
#define IO_DIRECT_ALIGN 4096
bool io_channel_set_direct(IoChannel *ch, Error **errp);

/* The descriptor below, or -1; it stays the channel's. */
int io_channel_fd(IoChannel *ch);

#endif
