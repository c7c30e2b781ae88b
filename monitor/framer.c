/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the messages in a stream of JSON. One thread; no lock. */
#include <string.h>

#include "monitor/framer.h"

typedef enum FramerState {
    BETWEEN,    /* nothing of a message has come */
    SCALAR,     /* a value that is no object or list, up to white space */
    MESSAGE,    /* within brackets */
    SKIP,       /* what is left of a message that was refused */
} FramerState;

struct Framer {
    FramerFn fn;
    void *opaque;
    FramerState state;
    bool in_string;
    bool escaped;
    size_t depth;
    size_t tokens;
    GString *text;
};

Framer *framer_new(FramerFn fn, void *opaque)
{
    Framer *framer = g_new0(Framer, 1);

    framer->fn = fn;
    framer->opaque = opaque;
    framer->text = g_string_new(NULL);
    return framer;
}

void framer_free(Framer *framer)
{
    if (framer) {
        g_string_free(framer->text, TRUE);
        g_free(framer);
    }
}

void framer_reset(Framer *framer)
{
    framer->state = BETWEEN;
    framer->in_string = false;
    framer->escaped = false;
    framer->depth = 0;
    framer->tokens = 0;
    g_string_truncate(framer->text, 0);
    if (framer->text->allocated_len > 1 << 20) {
        /* One long message does not cost its memory for ever. */
        g_string_free(framer->text, TRUE);
        framer->text = g_string_new(NULL);
    }
}

/* Hands out what has come, as a value or as the error that it is. */
static void finish(Framer *framer)
{
    json_object *value;
    Error *err = NULL;

    json_parse(framer->text->str, framer->text->len, &value, &err);
    framer_reset(framer);
    framer->fn(value, err, framer->opaque);
}

static void refuse(Framer *framer, FramerState next, const char *reason)
{
    Error *err = NULL;
    bool in_string = framer->in_string;
    bool escaped = framer->escaped;
    size_t depth = framer->depth;

    error_setg(&err, "Invalid JSON syntax: %s", reason);
    framer_reset(framer);
    if (next == SKIP) {
        framer->state = SKIP;
        framer->in_string = in_string;
        framer->escaped = escaped;
        framer->depth = depth;
    }
    framer->fn(NULL, err, framer->opaque);
}

/* Follows strings and brackets. Returns whether @c ends the outermost. */
static bool track(Framer *framer, char c)
{
    if (framer->in_string) {
        if (framer->escaped) {
            framer->escaped = false;
        } else if (c == '\\') {
            framer->escaped = true;
        } else if (c == '"') {
            framer->in_string = false;
        }
        return false;
    }
    switch (c) {
    case '"':
        framer->in_string = true;
        return false;
    case '{':
    case '[':
        framer->depth++;
        framer->tokens++;
        return false;
    case ',':
    case ':':
        framer->tokens++;
        return false;
    case '}':
    case ']':
        return framer->depth && --framer->depth == 0;
    default:
        return false;
    }
}

static void feed_message(Framer *framer, char c)
{
    bool end;

    if (framer->in_string && (unsigned char)c < 0x20) {
        refuse(framer, BETWEEN, "control character in a string");
        return;
    }
    g_string_append_c(framer->text, c);
    end = track(framer, c);
    if (framer->depth > JSON_MAX_NESTING) {
        refuse(framer, SKIP, "nested deeper than "
               G_STRINGIFY(JSON_MAX_NESTING) " levels");
    } else if (framer->text->len > FRAMER_MAX_BYTES) {
        refuse(framer, SKIP, "message longer than 64 MiB");
    } else if (framer->tokens > FRAMER_MAX_TOKENS) {
        refuse(framer, SKIP, "more than 2 Mi values in one message");
    } else if (end) {
        finish(framer);
    }
}

static void feed_between(Framer *framer, char c)
{
    if (strchr(" \t\r\n", c) && c) {
        return;
    }
    g_string_append_c(framer->text, c);
    track(framer, c);
    framer->state = framer->depth ? MESSAGE : SCALAR;
}

static void feed_scalar(Framer *framer, char c)
{
    /* A string at the top may have spaces in it. */
    if (c == '\n' || (!framer->in_string && strchr(" \t\r{[", c) && c)) {
        finish(framer);
        feed_between(framer, c);
        return;
    }
    g_string_append_c(framer->text, c);
    track(framer, c);
    if (framer->text->len > FRAMER_MAX_BYTES) {
        refuse(framer, SKIP, "message longer than 64 MiB");
    }
}

static void feed_skip(Framer *framer, char c)
{
    if (track(framer, c) || c == '\n') {
        framer_reset(framer);
    }
}

void framer_feed(Framer *framer, const char *data, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        char c = data[i];

        if ((unsigned char)c == 0xff) {
            if (framer->state == MESSAGE || framer->state == SCALAR) {
                refuse(framer, BETWEEN, "byte 0xFF");
            } else {
                framer_reset(framer);
            }
            continue;
        }
        switch (framer->state) {
        case BETWEEN:
            feed_between(framer, c);
            break;
        case SCALAR:
            feed_scalar(framer, c);
            break;
        case MESSAGE:
            feed_message(framer, c);
            break;
        case SKIP:
            feed_skip(framer, c);
            break;
        }
    }
}
