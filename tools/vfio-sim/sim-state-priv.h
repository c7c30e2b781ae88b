/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two directions of the stream share. Private to sim-state*.c. */
#ifndef VFIO_SIM_STATE_PRIV_H
#define VFIO_SIM_STATE_PRIV_H

#include "sim-state.h"

enum { FLAG_PENDING = 1, FLAG_INITIAL = 2, FLAG_LOADED = 4 };

struct SimState {
    const SimOptions *o;
    SimContent *content;
    uint32_t blocks, initial_blocks, precopy_blocks;
    uint32_t *generation;
    uint64_t *digest; /* of what was read or written last, a block */
    uint8_t *flags;

    /* running */
    bool running;
    int64_t ran_until_ns;
    double dirty_credit; /* bytes that are not yet a block */
    uint32_t dirty_next;

    /* saving */
    bool saving, stopped, begun, ended;
    uint32_t cursor, initial_left, dirty_left;

    /* what the guest has written */
    const SimMemoryOps *memory;
    void *memory_opaque;
    GArray *pages; /* of uint32_t: to be sent after STOP_COPY began */
    guint page_next;
    bool has_registers;     /* they were sent, or loaded */
    uint64_t memory_digest; /* of the records of both kinds, in their order */

    /* loading */
    bool loading, refused;
    GPtrArray *faults;
    uint64_t loaded_seed;

    /* the record that is being read or written */
    uint64_t sequence, offset;
    uint8_t *record;
    size_t record_len, record_at;
    bool record_initial;

    bool has_digest;
    uint64_t whole;
};

/* The digest of the state from those of its blocks. */
uint64_t sim_state_fold(const SimState *s);

#endif
