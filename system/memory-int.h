/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of Memory, shared by memory.c, memory-io.c and dirty.c. */
#ifndef GODWIT_SYSTEM_MEMORY_INT_H
#define GODWIT_SYSTEM_MEMORY_INT_H

#include <glib.h>

#include "system/memory.h"

struct DirtyLog {
    Memory *memory;
    char *name;                 /* under Memory.log_lock */
    unsigned slot;              /* constant */
    bool active;                /* under Memory.log_lock */
    /*
     * By block index; made when the slot is first used and kept until the
     * memory goes, so that a writer which looks a moment too late at a log
     * that ended does no harm. Atomic pointers and atomic words.
     */
    uint64_t *map[RAM_BLOCKS_MAX];
};

typedef struct DirtySource {
    const char *name;
    const DirtySourceOps *ops;
    void *opaque;
    bool warned;                /* since the first log started */
} DirtySource;

struct Memory {
    /* Written by the main thread before the vCPUs run; atomic count. */
    RamBlock *block[RAM_BLOCKS_MAX];
    unsigned blocks;
    RamBlock *mapped[RAM_BLOCKS_MAX];   /* in order of gpa */
    unsigned mapped_count;

    /* Big lock */
    GPtrArray *io;              /* of IoRegion, in order of mapping */

    /* Constant once the accelerator is there */
    void (*vcpu_barrier)(void *opaque);
    void *vcpu_opaque;

    /* The incoming thread while there is one, then the main thread */
    void (*pager_release)(void *opaque);
    void *pager_opaque;

    /* Atomic: bit n is set while log[n] is active */
    uint32_t active_logs;

    GMutex log_lock;            /* who starts and stops logs; a leaf but for
                                   what the vCPU barrier takes */
    DirtyLog log[DIRTY_LOGS_MAX];
    GArray *sources;            /* of DirtySource; under log_lock */
};

void dirty_init(Memory *mem);
void dirty_cleanup(Memory *mem);

#endif
