/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Character devices over files and named pipes, and null. Main loop. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "chardev/char-int.h"

static size_t null_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    (void)chr;
    (void)buf;
    return len;
}

static const ChardevOps null_ops = {
    .write = null_write,
};

Chardev *chardev_new_null(Chardevs *set, const ChardevOptions *options,
                          Error **errp)
{
    Chardev *chr = chardev_alloc(set, sizeof(*chr), &null_ops, options->id,
                                 "null");

    (void)errp;
    chr->connected = true;
    return chr;
}

static const ChardevOps stream_ops = { .write = NULL };

/* Non-blocking from then on; what is no file may have another end. */
static int open_path(Chardevs *set, const char *path, int flags, Error **errp)
{
    int fd = set->host->open(set->opaque, path, flags, 0666, errp);

    if (fd >= 0) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    return fd;
}

Chardev *chardev_new_file(Chardevs *set, const ChardevOptions *options,
                          Error **errp)
{
    const ChardevFileOptions *file = &options->u.file;
    bool append = file->has_append && file->append;
    int in = -1, out;
    Chardev *chr;

    out = open_path(set, file->path,
                    O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), errp);
    if (out < 0) {
        return NULL;
    }
    if (file->input_path) {
        in = open_path(set, file->input_path, O_RDONLY, errp);
        if (in < 0) {
            close(out);
            return NULL;
        }
    }
    chr = chardev_alloc(set, sizeof(*chr), &stream_ops, options->id, "file");
    chr->keeps_out = true;
    chardev_stream_open(chr, in, out);
    return chr;
}

Chardev *chardev_new_pipe(Chardevs *set, const ChardevOptions *options,
                          Error **errp)
{
    const char *path = options->u.pipe.path;
    g_autofree char *in_path = g_strconcat(path, ".in", NULL);
    g_autofree char *out_path = g_strconcat(path, ".out", NULL);
    bool two = access(in_path, F_OK) == 0 && access(out_path, F_OK) == 0;
    int in, out;
    Chardev *chr;

    /* Both ends of each are held, so that a peer may come and go. */
    in = open_path(set, two ? in_path : path, O_RDWR, errp);
    if (in < 0) {
        error_append(errp, " ('%s' and '%s' would do too)", in_path,
                     out_path);
        return NULL;
    }
    out = two ? open_path(set, out_path, O_RDWR, errp) : in;
    if (out < 0) {
        close(in);
        return NULL;
    }
    chr = chardev_alloc(set, sizeof(*chr), &stream_ops, options->id, "pipe");
    chardev_stream_open(chr, in, out);
    return chr;
}
