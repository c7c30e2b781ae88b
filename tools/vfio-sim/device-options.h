/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What --device says: one table of keys, and the faults. Pure; an options
 * object belongs to one device, which guards it with its own lock.
 */
#ifndef VFIO_SIM_DEVICE_OPTIONS_H
#define VFIO_SIM_DEVICE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "util/error.h"

/* What DMA writes at a time, and the most memory that it can be spread over. */
#define SIM_DMA_PAGE 4096
#define SIM_DMA_RANGE_MAX (1ULL << 40)

/* Where a fault strikes. */
typedef enum SimFaultPoint {
    SIM_FAULT_STOP_SIZE,    /* the size that MIG_DATA_SIZE reports */
    SIM_FAULT_INITIAL_SIZE, /* initial_bytes of GET_PRECOPY_INFO */
    SIM_FAULT_DIRTY_SIZE,   /* dirty_bytes of GET_PRECOPY_INFO */
    SIM_FAULT_READ,         /* reading the data descriptor */
    SIM_FAULT_WRITE,        /* writing it */
    SIM_FAULT_STATE,        /* a change of the migration state */
    SIM_FAULT_REINIT,       /* new initial data */
    SIM_FAULT_REFUSE,       /* the destination's verdict */
    SIM_FAULT_CALL,         /* an ioctl, by name */
} SimFaultPoint;

typedef enum SimFaultAction {
    SIM_ACT_ERRNO,     /* fail with .err */
    SIM_ACT_VALUE,     /* report .value */
    SIM_ACT_UNDER,     /* report a tenth of the truth */
    SIM_ACT_WILD,      /* report something else each time */
    SIM_ACT_SHORT,     /* transfer at most one byte */
    SIM_ACT_STALL,     /* transfer nothing until the fault is cleared */
    SIM_ACT_LAND,      /* fail, and end in state ERROR */
    SIM_ACT_AFTER_MS,  /* .value ms after PRE_COPY began */
    SIM_ACT_EVERY,     /* at each .value-th query */
    SIM_ACT_P2P,       /* when PRE_COPY_P2P is entered */
    SIM_ACT_STOP_COPY, /* when STOP_COPY is entered */
    SIM_ACT_VERSION,
    SIM_ACT_TRUNCATED,
    SIM_ACT_TOO_LONG,
} SimFaultAction;

typedef struct SimFault {
    char *text; /* as it was given */
    SimFaultPoint point;
    SimFaultAction action;
    char *call; /* SIM_FAULT_CALL: which */
    int err;
    uint64_t value;
    uint64_t at; /* stream offset, number of calls before, or target state */
    bool has_at;
    uint64_t left; /* how often it strikes still; UINT64_MAX: always */
} SimFault;

typedef struct SimBar {
    uint64_t size; /* a power of two, at least 4 KiB; 0: no such BAR */
    bool mappable; /* shared memory; else every access is trapped */
} SimBar;

typedef struct SimOptions {
    char *id;
    uint64_t vendor, device, seed;
    char *bars_text;
    SimBar bars[6]; /* all 32 bits wide */
    uint64_t state_size, initial_size, stop_size; /* multiples of SIM_BLOCK */
    uint64_t dirty_rate, read_rate, write_rate;   /* bytes/s; pace 0: none */
    uint64_t transition_ms;
    uint64_t irq_rate; /* interrupts a second */
    uint64_t dma_rate; /* bytes/s of guest memory that it writes */
    char *dma_range_text;
    uint64_t dma_start, dma_length; /* where: IO virtual addresses, pages */
    bool precopy, p2p, infov2;
    char *dirty_text;
    bool dma_log;     /* the device logs its DMA */
    bool iommu_dirty; /* the IOMMU does */
    GPtrArray *faults; /* of SimFault */
} SimOptions;

/* Parses "KEY=VALUE,..."; NULL with @errp set. Free with sim_options_free(). */
SimOptions *sim_options_parse(const char *text, Error **errp);
void sim_options_free(SimOptions *o);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SimOptions, sim_options_free)

/* Sets one key of a device that is there already: rates and faults. */
bool sim_options_set(SimOptions *o, const char *key, const char *value,
                     Error **errp);

/* Appends one line a key to @out, for --help. */
void sim_options_help(GString *out);

/* "64K", "1.9" is no number; 0 to 2^64-1, suffix K, M, G or T. */
bool sim_parse_size(const char *text, uint64_t *value, Error **errp);

/* Parses one fault; NULL with @errp set. */
SimFault *sim_fault_parse(const char *text, Error **errp);
void sim_fault_free(SimFault *fault);

/*
 * The fault that strikes at @point now, or NULL; counts it. @call: the name of
 * the ioctl for SIM_FAULT_CALL. @at: offset, target state or number of calls
 * made so far; a fault with a place strikes when @at has reached it, or, for
 * SIM_FAULT_STATE, is equal to it.
 */
SimFault *sim_fault_strike(GPtrArray *faults, SimFaultPoint point,
                           const char *call, uint64_t at);

/* A size as it is reported: @truth, or what a fault at @point makes of it. */
uint64_t sim_fault_size(GPtrArray *faults, SimFaultPoint point, uint64_t truth);

#endif
