/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Several front ends on one terminal. Output of all goes through; the keyboard
 * belongs to one of them, and Ctrl-a is the key to change that.
 *
 * Each front end has a side of the mux, a chardev of its own that is not in
 * the set. All of it runs on the main loop; other threads only write, and ask
 * for input again, under a side's lock.
 */
#include <string.h>

#include "chardev/char-int.h"

/* What waits for a front end that does not read. More is lost. */
#define SIDE_BUFFER 256
#define ESCAPE 0x01             /* Ctrl-a */

typedef struct Mux Mux;

typedef struct MuxSide {
    Chardev parent;
    Mux *mux;
    uint8_t buf[SIDE_BUFFER];   /* main loop */
    size_t len;
    gint wants_room;            /* atomic: a write was cut short */
    GSource *flush_source;      /* under parent.lock */
} MuxSide;

struct Mux {
    Chardev parent;
    Chardev *below;
    GPtrArray *sides;           /* of MuxSide */
    MuxSide *focus;             /* who has the keyboard, or NULL */
    bool escaped;               /* the last byte was Ctrl-a */
};

static const char help_text[] =
    "\r\n"
    "Ctrl-a h    this text\r\n"
    "Ctrl-a c    give the keyboard to the next: console, monitor\r\n"
    "Ctrl-a x    end the program\r\n"
    "Ctrl-a b    send a break\r\n"
    "Ctrl-a Ctrl-a  send a Ctrl-a\r\n";

/* Hands over what waits, as far as the front end takes it. */
static void deliver(MuxSide *side)
{
    Chardev *chr = &side->parent;

    while (side->len && chr->front && chr->opened_sent) {
        uint8_t part[SIDE_BUFFER];
        size_t n = chr->front->can_read ? chr->front->can_read(chr->opaque)
                                        : side->len;

        n = MIN(n, side->len);
        if (n == 0) {
            break;
        }
        memcpy(part, side->buf, n);
        side->len -= n;
        memmove(side->buf, side->buf + n, side->len);
        if (chr->front->read) {
            chr->front->read(chr->opaque, part, n);
        }
    }
}

static gboolean flush_side(gpointer opaque)
{
    MuxSide *side = opaque;

    g_mutex_lock(&side->parent.lock);
    g_clear_pointer(&side->flush_source, g_source_unref);
    g_mutex_unlock(&side->parent.lock);
    deliver(side);
    return G_SOURCE_REMOVE;
}

static void side_accept_input(Chardev *chr)
{
    MuxSide *side = (MuxSide *)chr;

    g_mutex_lock(&chr->lock);
    if (!side->flush_source) {
        side->flush_source = g_idle_source_new();
        g_source_set_priority(side->flush_source, G_PRIORITY_DEFAULT);
        g_source_set_callback(side->flush_source, flush_side, side, NULL);
        g_source_attach(side->flush_source, chr->context);
    }
    g_mutex_unlock(&chr->lock);
}

static size_t side_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    MuxSide *side = (MuxSide *)chr;
    size_t taken = chardev_write(side->mux->below, buf, len);

    if (taken < len) {
        g_atomic_int_set(&side->wants_room, 1);
    }
    return taken;
}

static void set_focus(Mux *mux, MuxSide *side)
{
    if (mux->focus == side) {
        return;
    }
    if (mux->focus) {
        chardev_send_event(&mux->focus->parent, CHARDEV_MUX_OUT);
    }
    mux->focus = side;
    if (side) {
        chardev_send_event(&side->parent, CHARDEV_MUX_IN);
        deliver(side);
    }
}

/* The next side after the one in focus that somebody has. */
static MuxSide *next_side(Mux *mux)
{
    guint count = mux->sides->len, at = 0;

    if (mux->focus) {
        g_ptr_array_find(mux->sides, mux->focus, &at);
    }
    for (guint i = 1; i <= count; i++) {
        MuxSide *side = g_ptr_array_index(mux->sides, (at + i) % count);

        if (side->parent.front) {
            return side;
        }
    }
    return NULL;
}

/* The first to come has the keyboard; who leaves, gives it away. */
static void side_attached(Chardev *chr)
{
    MuxSide *side = (MuxSide *)chr;
    Mux *mux = side->mux;

    side->len = 0;
    if (chr->front && !mux->focus) {
        set_focus(mux, side);
    } else if (!chr->front && mux->focus == side) {
        set_focus(mux, next_side(mux));
    }
}

static void side_free(Chardev *chr)
{
    MuxSide *side = (MuxSide *)chr;

    if (side->flush_source) {
        g_source_destroy(side->flush_source);
        g_source_unref(side->flush_source);
    }
}

static const ChardevOps side_ops = {
    .write = side_write,
    .attached = side_attached,
    .accept_input = side_accept_input,
    .main_only = true,
    .free = side_free,
};

/* The byte after Ctrl-a. */
static void command(Mux *mux, uint8_t byte)
{
    static const char bye[] = "\r\nended from the terminal\r\n";
    Chardevs *set = mux->parent.set;

    switch (byte) {
    case 'h':
    case '?':
        chardev_write(mux->below, help_text, strlen(help_text));
        break;
    case 'c':
        set_focus(mux, next_side(mux));
        break;
    case 'x':
        chardev_write(mux->below, bye, strlen(bye));
        set->host->quit(set->opaque);
        break;
    case 'b':
        if (mux->focus) {
            chardev_send_event(&mux->focus->parent, CHARDEV_BREAK);
        }
        break;
    default:
        break;
    }
}

static size_t mux_can_read(void *opaque)
{
    (void)opaque;
    /* Always: Ctrl-a x works also when nobody reads. */
    return SIDE_BUFFER;
}

static void mux_read(void *opaque, const uint8_t *buf, size_t len)
{
    Mux *mux = opaque;

    for (size_t i = 0; i < len; i++) {
        bool literal = mux->escaped && buf[i] == ESCAPE;

        if (mux->escaped && !literal) {
            mux->escaped = false;
            command(mux, buf[i]);
            continue;
        }
        if (buf[i] == ESCAPE && !literal) {
            mux->escaped = true;
            continue;
        }
        mux->escaped = false;
        if (mux->focus) {
            if (mux->focus->len == SIDE_BUFFER) {
                deliver(mux->focus);
            }
            if (mux->focus->len < SIDE_BUFFER) {
                mux->focus->buf[mux->focus->len++] = buf[i];
            }
        }
    }
    if (mux->focus) {
        deliver(mux->focus);
    }
}

static void mux_event(void *opaque, ChardevEvent event)
{
    Mux *mux = opaque;

    for (guint i = 0; i < mux->sides->len; i++) {
        Chardev *side = g_ptr_array_index(mux->sides, i);

        if (event == CHARDEV_OPENED || event == CHARDEV_CLOSED) {
            chardev_set_connected(side, event == CHARDEV_OPENED);
        }
    }
}

static void mux_can_write(void *opaque)
{
    Mux *mux = opaque;

    for (guint i = 0; i < mux->sides->len; i++) {
        MuxSide *side = g_ptr_array_index(mux->sides, i);

        if (g_atomic_int_exchange(&side->wants_room, 0) &&
            side->parent.front && side->parent.front->can_write) {
            side->parent.front->can_write(side->parent.opaque);
        }
    }
}

static const ChardevFront mux_front = {
    .can_read = mux_can_read,
    .read = mux_read,
    .event = mux_event,
    .can_write = mux_can_write,
};

static Chardev *mux_side(Chardev *chr)
{
    Mux *mux = (Mux *)chr;
    MuxSide *side;

    for (guint i = 0; i < mux->sides->len; i++) {
        Chardev *free_side = g_ptr_array_index(mux->sides, i);

        if (!free_side->front) {
            return free_side;
        }
    }
    side = chardev_alloc(chr->set, sizeof(*side), &side_ops, chr->id, "mux");
    side->mux = mux;
    side->parent.is_tty = mux->below->is_tty;
    side->parent.connected = mux->below->connected;
    g_ptr_array_add(mux->sides, side);
    return &side->parent;
}

static size_t mux_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    return chardev_write(((Mux *)chr)->below, buf, len);
}

static void mux_free(Chardev *chr)
{
    Mux *mux = (Mux *)chr;

    chardev_detach(mux->below);
    g_ptr_array_unref(mux->sides);
}

static const ChardevOps mux_ops = {
    .write = mux_write,
    .side = mux_side,
    .main_only = true,
    .free = mux_free,
};

static void free_side(gpointer side)
{
    chardev_destroy(side);
}

Chardev *chardev_new_mux(Chardevs *set, const char *id, Chardev *below)
{
    Mux *mux = chardev_alloc(set, sizeof(*mux), &mux_ops, id, "mux");

    mux->below = below;
    mux->sides = g_ptr_array_new_with_free_func(free_side);
    mux->parent.is_tty = below->is_tty;
    mux->parent.connected = true;
    chardev_attach(below, &mux_front, mux, NULL);
    return &mux->parent;
}
