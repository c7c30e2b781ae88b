/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A channel over a file that is opened by its path. Any thread; no lock. */
#include <errno.h>
#include <fcntl.h>

#include "io/channel.h"

IoChannel *io_channel_new_file(const char *path, int flags, mode_t mode,
                               Error **errp)
{
    /* O_NONBLOCK: the other end of a FIFO is not waited for. */
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, mode);
    g_autofree char *name = g_strdup_printf("file '%s'", path);

    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot open '%s' for %s", path,
                         (flags & O_ACCMODE) == O_RDONLY ? "reading"
                                                         : "writing");
        return NULL;
    }
    return io_channel_new_fd(fd, name, errp);
}
