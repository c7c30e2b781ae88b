/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * All character devices of a machine. chardev knows no machine: what it needs
 * of one is handed to it as ChardevHost. Main loop.
 */
#ifndef GODWIT_CHARDEV_CHARDEVS_H
#define GODWIT_CHARDEV_CHARDEVS_H

#include <sys/types.h>

#include <glib.h>

#include "chardev/char.h"
#include "qapi/qapi-types-chardev.h"
#include "qapi/qapi-types-sockets.h"

typedef struct Chardevs Chardevs;

typedef struct ChardevHost {
    /* As open(2), close-on-exec, with paths of descriptor sets. */
    int (*open)(void *opaque, const char *path, int flags, mode_t mode,
                Error **errp);
    /* Turns the name in an address of type fd into a number that is ours. */
    bool (*resolve)(void *opaque, SocketAddress *addr, Error **errp);
    /*
     * A descriptor that is readable when waiting for a peer while the machine
     * is set up is to end; -1 or NULL: there is none.
     */
    int (*cancel_fd)(void *opaque);
    /* Somebody typed Ctrl-a x. */
    void (*quit)(void *opaque);
} ChardevHost;

Chardevs *chardevs_new(GMainContext *context, const ChardevHost *host,
                       void *opaque);
/* Gives terminals back as they were, removes sockets and links. */
void chardevs_free(Chardevs *set);

/* The standard streams are not ours any more (-daemonize). */
void chardevs_forbid_stdio(Chardevs *set);

/* Opens it. Error: the id is taken, or what the kind of device says. */
Chardev *chardevs_add(Chardevs *set, const ChardevOptions *options,
                      Error **errp);

/* Keeps @options (taken over) until chardevs_open_wanted() opens them all. */
void chardevs_want(Chardevs *set, ChardevOptions *options);
bool chardevs_open_wanted(Chardevs *set, Error **errp);

Chardev *chardevs_find(Chardevs *set, const char *id);
void chardevs_foreach(Chardevs *set, void (*fn)(Chardev *chr, void *data),
                      void *data);

/* -chardev's text, or JSON. Only reads it. */
ChardevOptions *chardev_parse(const char *text, Error **errp);

/*
 * The short form: see chardev_new_from_short(). *@monitor: "mon:" stood in
 * front. "chardev:ID" is not for here.
 */
ChardevOptions *chardev_parse_short(const char *id, const char *text,
                                    bool *monitor, Error **errp);
void chardev_set_wants_monitor(Chardev *chr);

#endif
