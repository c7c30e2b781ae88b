/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The base of all filters; private to io/. A filter embeds IoFilter and says
 * in one hook what happens before a call goes down.
 */
#ifndef GODWIT_IO_FILTER_BASE_H
#define GODWIT_IO_FILTER_BASE_H

#include "io/filter.h"

enum { FILTER_READ, FILTER_WRITE, FILTER_DIRECTIONS };

typedef struct IoFilter IoFilter;

typedef struct IoFilterOps {
    /*
     * Before a call in direction @dir that wants to move *len bytes (> 0):
     * may wait by io_filter_wait_ns(), lower *len, or fail. 1: go on; 0: the
     * stream ends here; -1: error. Called with "lock" held.
     */
    int (*before)(IoFilter *f, int dir, size_t *len, Error **errp);
    /* May change bytes that were read or (in a copy) are to be written. */
    bool (*touches)(IoFilter *f, int dir, size_t len);
    void (*touch)(IoFilter *f, int dir, uint8_t *bytes, size_t len);
    /* After @len bytes have moved. "lock" held. NULL: not interested. */
    void (*after)(IoFilter *f, int dir, size_t len);
} IoFilterOps;

struct IoFilter {
    IoChannel parent;
    const IoFilterOps *filter;  /* constant */
    IoChannel *below;           /* constant */

    GMutex lock;                /* never held while calling below */
    GCond changed;              /* a setting or "shut" has */
    unsigned shut;              /* of IoShutdown */
};

/* Takes @below over. */
void io_filter_init(IoFilter *f, const IoFilterOps *ops, IoChannel *below,
                    const char *name);

/*
 * Sleeps @ns nanoseconds (UINT64_MAX: for ever), or until something changes.
 * False: shut down. "lock" is held, and dropped meanwhile.
 */
bool io_filter_wait_ns(IoFilter *f, int dir, uint64_t ns, Error **errp);

#endif
