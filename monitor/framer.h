/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where one JSON message ends and the next begins in what a client sends.
 * A framer belongs to one thread.
 *
 * After bad input it finds its feet again: within a string at the first
 * control character, elsewhere at the line's end, and anywhere at a byte
 * 0xFF, which no JSON text contains and a client may send on purpose.
 */
#ifndef GODWIT_MONITOR_FRAMER_H
#define GODWIT_MONITOR_FRAMER_H

#include "util/error.h"
#include "util/json.h"

/* Longest message in bytes, and most values and members that it may have. */
#define FRAMER_MAX_BYTES (64u << 20)
#define FRAMER_MAX_TOKENS (2u << 20)

typedef struct Framer Framer;

/*
 * Called for each message with its value, or with what is wrong with it. Both
 * are the callback's; @value is NULL for a JSON null too.
 */
typedef void (*FramerFn)(json_object *value, Error *err, void *opaque);

Framer *framer_new(FramerFn fn, void *opaque);
void framer_free(Framer *framer);
void framer_feed(Framer *framer, const char *data, size_t len);
/* Forgets a message that is not complete. */
void framer_reset(Framer *framer);

#endif
