/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The character device over standard input and output. A terminal is put into
 * raw mode and given back as it was found. Main loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "chardev/char-int.h"

typedef struct StdioChardev {
    Chardev parent;
    int flags[2];               /* of the descriptors, as they were */
    bool mode_saved;
    struct termios mode;
} StdioChardev;

static void stdio_free(Chardev *chr)
{
    StdioChardev *s = (StdioChardev *)chr;

    if (s->mode_saved) {
        tcsetattr(STDIN_FILENO, TCSANOW, &s->mode);
    }
    for (int fd = 0; fd < 2; fd++) {
        fcntl(fd, F_SETFL, s->flags[fd]);
    }
    chr->set->stdio = NULL;
}

static const ChardevOps stdio_ops = {
    .free = stdio_free,
};

/* Each key at once, and to us; output still turns \n into \r\n. */
static void make_raw(StdioChardev *s, bool signals)
{
    struct termios raw;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &s->mode) < 0) {
        return;
    }
    s->mode_saved = true;
    raw = s->mode;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR |
                               IGNCR | ICRNL | IXON);
    raw.c_oflag |= OPOST;
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals) {
        raw.c_lflag &= ~(tcflag_t)ISIG;
    }
    raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    raw.c_cflag |= CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

Chardev *chardev_new_stdio(Chardevs *set, const ChardevOptions *options,
                           Error **errp)
{
    const ChardevStdioOptions *stdio = &options->u.stdio;
    StdioChardev *s;
    int in, out;

    if (set->no_stdio) {
        error_setg(errp, "standard input and output cannot be used with "
                   "-daemonize");
        return NULL;
    }
    if (set->stdio) {
        error_setg(errp, "standard input and output are in use by '%s'; "
                   "mux=on lets several share them", set->stdio->id);
        return NULL;
    }
    in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
    out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (in < 0 || out < 0) {
        error_setg_errno(errp, errno, "standard %s cannot be used",
                         in < 0 ? "input" : "output");
        if (in >= 0) {
            close(in);
        }
        return NULL;
    }
    s = chardev_alloc(set, sizeof(*s), &stdio_ops, options->id, "stdio");
    for (int fd = 0; fd < 2; fd++) {
        s->flags[fd] = fcntl(fd, F_GETFL);
    }
    fcntl(in, F_SETFL, s->flags[0] | O_NONBLOCK);
    fcntl(out, F_SETFL, s->flags[1] | O_NONBLOCK);
    make_raw(s, !stdio->has_signal || stdio->signal);
    s->parent.is_tty = s->mode_saved;
    s->parent.keeps_out = true;
    set->stdio = &s->parent;
    chardev_stream_open(&s->parent, in, out);
    return &s->parent;
}
