/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Character devices: a named two-way byte stream (-chardev) between a back end
 * (socket, file, pty, stdio, null ...) and one front end (a UART, a monitor, a
 * virtio console).
 *
 * All functions run on the main loop under the big lock, except where it says
 * otherwise. Nothing here ever blocks, but for a server with wait=on while the
 * machine is set up. The functions that take a Vm are in system/chardevs.c.
 */
#ifndef GODWIT_CHARDEV_CHAR_H
#define GODWIT_CHARDEV_CHAR_H

#include <stdint.h>
#include "util/error.h"

typedef struct Vm Vm;
typedef struct Chardev Chardev;

typedef enum ChardevEvent {
    CHARDEV_OPENED,             /* the other side is there (again) */
    CHARDEV_CLOSED,             /* it went away */
    CHARDEV_BREAK,
    CHARDEV_MUX_IN,             /* of several front ends on one terminal, */
    CHARDEV_MUX_OUT,            /* this one has the keyboard, or lost it */
} ChardevEvent;

/* What a front end gives. Any member may be NULL. */
typedef struct ChardevFront {
    /* How many bytes it takes now (0: wait until chardev_accept_input()). */
    size_t (*can_read)(void *opaque);
    /* At most that many have come. */
    void (*read)(void *opaque, const uint8_t *buf, size_t len);
    void (*event)(void *opaque, ChardevEvent event);
    /* There is room again after chardev_write() took less than all. */
    void (*can_write)(void *opaque);
} ChardevFront;

/*
 * A back end from -chardev's text ("socket,id=c,path=P,server=on" or JSON) or
 * from the short form of -serial/-monitor/-qmp ("stdio", "unix:P,server",
 * "tcp:H:P", "file:P", "pty", "null", "mon:stdio", "chardev:ID"; @id is the
 * name then). Error: names value and what would do.
 */
Chardev *chardev_new_from_text(Vm *vm, const char *text, Error **errp);
Chardev *chardev_new_from_short(Vm *vm, const char *id, const char *text,
                                Error **errp);
/*
 * NULL if there is none. Of one with mux=on each call gives a side that no
 * front end has yet: attach before the next call.
 */
Chardev *chardev_find(Vm *vm, const char *id);
const char *chardev_id(const Chardev *chr);
/* As query-chardev reports it: "pty:/dev/pts/3", "unix:/path,server=on". */
char *chardev_filename(const Chardev *chr);
bool chardev_is_connected(const Chardev *chr);
/* Whether there is a terminal with a person at the other end. */
bool chardev_is_tty(const Chardev *chr);

/* All of them, in order of creation. */
void chardev_foreach(Vm *vm, void (*fn)(Chardev *chr, void *data), void *data);

/*
 * Takes the front end's side; error if another has it. Sends OPENED soon if
 * connected. Detaching forgets all callbacks.
 */
bool chardev_attach(Chardev *chr, const ChardevFront *front, void *opaque,
                    Error **errp);
void chardev_detach(Chardev *chr);
bool chardev_is_attached(const Chardev *chr);

/*
 * Which main context serves the chardev's input from now on; the default is
 * the Vm's. With another, callbacks come without the big lock (monitors).
 * Called by the thread of the context that has served it so far; waits for the
 * thread of the new one if that runs, which must not wait for the caller.
 */
void chardev_set_context(Chardev *chr, GMainContext *context);

/*
 * Writes up to @len bytes, returns how many were taken (0 .. @len): less means
 * that the other side does not read; can_write() comes when it does. With
 * nobody connected all bytes are taken and dropped. Any thread.
 */
size_t chardev_write(Chardev *chr, const void *buf, size_t len);

/* The front end can take input again. Any thread. */
void chardev_accept_input(Chardev *chr);

/*
 * Descriptors that came over a unix socket with the bytes read last, the
 * oldest first: one, now the caller's, or -1. Only from within read().
 */
int chardev_take_fd(Chardev *chr);

/*
 * Disconnects the present peer of a socket; a server listens on. CLOSED comes
 * when it has happened. Any thread.
 */
void chardev_disconnect(Chardev *chr);

/* Whether "mon:" asked for a human monitor beside what else is on it. */
bool chardev_wants_monitor(const Chardev *chr);

#endif
