/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Migration into and out of a file, from an offset on: what is before it is
 * not touched. Main loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration/channel.h"
#include "system/fds.h"

static bool file_open(Vm *vm, const MigrationAddress *addr, int flags,
                      MigEnd *end, Error **errp)
{
    const FileMigrationArgs *file = &addr->u.file;
    struct stat st;
    int fd;

    if (file->offset > INT64_MAX) {
        error_setg(errp, "file '%s': offset %" PRIu64 " is beyond what a file "
                   "can have, %" PRId64, file->filename, file->offset,
                   INT64_MAX);
        return false;
    }
    fd = fd_store_open(vm->fds, file->filename, flags, 0600, errp);
    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &st) < 0 ||
        /* What an earlier, longer migration left behind would follow ours. */
        (flags & O_CREAT && S_ISREG(st.st_mode) &&
         ftruncate(fd, file->offset) < 0) ||
        /* A descriptor of a set may stand anywhere. */
        (S_ISREG(st.st_mode) && lseek(fd, file->offset, SEEK_SET) < 0)) {
        error_setg_errno(errp, errno, "file '%s': going to offset %" PRIu64,
                         file->filename, file->offset);
        close(fd);
        return false;
    }
    if (!S_ISREG(st.st_mode) && file->offset) {
        error_setg(errp, "file '%s' is not a regular file and has no offset "
                   "%" PRIu64, file->filename, file->offset);
        close(fd);
        return false;
    }
    end->ch = io_channel_new_fd(fd, file->filename, errp);
    return end->ch != NULL;
}

static bool file_open_output(Vm *vm, MigrationAddress **addr, MigEnd *end,
                             Error **errp)
{
    return file_open(vm, *addr, O_WRONLY | O_CREAT, end, errp);
}

static bool file_open_input(Vm *vm, MigrationAddress **addr, MigEnd *end,
                            Error **errp)
{
    return file_open(vm, *addr, O_RDONLY, end, errp);
}

const MigTransport mig_transport_file = {
    .open_output = file_open_output,
    .open_input = file_open_input,
};
