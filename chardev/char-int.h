/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kinds of character device share; private to chardev/. */
#ifndef GODWIT_CHARDEV_CHAR_INT_H
#define GODWIT_CHARDEV_CHAR_INT_H

#include "chardev/chardevs.h"

/* Most bytes handed to a front end at a time. */
#define CHARDEV_READ_MAX 16384
/* Most descriptors that are taken with one read. */
#define CHARDEV_FDS_MAX 16

typedef struct ChardevOps {
    /* Instead of the stream's out_fd. Any thread. */
    size_t (*write)(Chardev *chr, const uint8_t *buf, size_t len);
    /* The stream ended and is closed; CLOSED was sent. Context's thread. */
    void (*hangup)(Chardev *chr);
    /* Moves sources of its own to chr->context. NULL: has none. */
    void (*context_changed)(Chardev *chr);
    /* The front end was attached (or detached), or can take input again. */
    void (*attached)(Chardev *chr);
    void (*accept_input)(Chardev *chr);
    /* NULL: chr->filename. */
    char *(*filename)(const Chardev *chr);
    /* mux: a side that nobody has. */
    Chardev *(*side)(Chardev *chr);
    /* Callbacks come from the set's context whatever the front end asks. */
    bool main_only;
    /* Frees what the kind has, not the struct. The stream is closed. */
    void (*free)(Chardev *chr);
} ChardevOps;

/*
 * Embedded at the start of each kind's struct. Input is read on the thread of
 * "context", which is also where all callbacks come from; any thread writes.
 */
struct Chardev {
    /* Constant once made */
    const ChardevOps *ops;
    Chardevs *set;
    char *id;
    char *filename;
    int log_fd;                 /* copy of the output; -1: none */
    bool is_tty;
    bool is_socket;
    bool passes_fds;            /* a unix socket */
    bool keeps_out;             /* the end of input is not that of output */
    bool wants_monitor;

    /* Main thread while set up, then the context's */
    GMainContext *context;      /* not a reference */
    const ChardevFront *front;
    void *opaque;
    GSource *in_source;
    GSource *event_source;
    bool opened_sent;
    int fds[CHARDEV_FDS_MAX];
    size_t fd_count;

    GMutex lock;
    /* Under lock for writing; the context's thread reads without */
    int in_fd, out_fd;          /* -1: none; may be the same */
    bool connected;
    bool disconnecting;
    bool write_failed;          /* said so once */
    GSource *out_source;        /* waits for room */
};

struct Chardevs {
    GMainContext *context;
    const ChardevHost *host;
    void *opaque;
    GPtrArray *all;             /* of Chardev, in order of creation */
    GPtrArray *wanted;          /* of ChardevOptions, not opened yet */
    bool no_stdio;
    Chardev *stdio;             /* who has the standard streams, or NULL */
};

/* A struct of @size bytes that starts with a Chardev. Not in the set yet. */
void *chardev_alloc(Chardevs *set, size_t size, const ChardevOps *ops,
                    const char *id, const char *filename);
void chardev_destroy(Chardev *chr);

/*
 * A stream over descriptors that are taken over (-1: that direction is not
 * there), and its end. Main thread while set up, or the context's.
 */
void chardev_stream_open(Chardev *chr, int in_fd, int out_fd);
void chardev_stream_close(Chardev *chr);

/* For kinds without a stream: whether the other side is there. */
void chardev_set_connected(Chardev *chr, bool connected);

/* Tells the front end, if there is one and it has heard of OPENED. */
void chardev_send_event(Chardev *chr, ChardevEvent event);

/* Each kind: opened, or NULL and errp. */
Chardev *chardev_new_null(Chardevs *set, const ChardevOptions *options,
                          Error **errp);
Chardev *chardev_new_file(Chardevs *set, const ChardevOptions *options,
                          Error **errp);
Chardev *chardev_new_pipe(Chardevs *set, const ChardevOptions *options,
                          Error **errp);
Chardev *chardev_new_pty(Chardevs *set, const ChardevOptions *options,
                         Error **errp);
Chardev *chardev_new_stdio(Chardevs *set, const ChardevOptions *options,
                           Error **errp);
Chardev *chardev_new_socket(Chardevs *set, const ChardevOptions *options,
                            Error **errp);

/* Over @below, which is in the set and has no front end. Cannot fail. */
Chardev *chardev_new_mux(Chardevs *set, const char *id, Chardev *below);

#endif
