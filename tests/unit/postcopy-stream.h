/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams that go into postcopy, written by hand: a machine "none" with one
 * block "mem" and no devices but the clock, and what can be wrong with each.
 */
#ifndef GODWIT_TESTS_POSTCOPY_STREAM_H
#define GODWIT_TESTS_POSTCOPY_STREAM_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct PostcopyCase {
    const char *name;
    /* The connection until it ends, and then another one, for memory of @pages */
    void (*build)(GByteArray *first, GByteArray *second, uint64_t pages);
    const char *message;        /* glob of why; NULL: all is well */
    bool runs;                  /* the guest runs by then, and is paused */
} PostcopyCase;

/*
 * Of those whose guest runs: how much of the first connection it takes. What
 * follows must not come earlier.
 */
uint64_t postcopy_running_length(uint64_t pages);

/* Ends with a NULL name. */
extern const PostcopyCase postcopy_cases[];

#endif
