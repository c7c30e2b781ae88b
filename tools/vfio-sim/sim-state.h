/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state of a simulated device as blocks: which of them are still to be
 * sent, and the device's own data stream in both directions. Pure, on injected
 * time (ns); guarded by the lock of the device.
 *
 * The stream is a BEGIN record, BLOCK records, what the guest has written (a
 * REGISTERS record and PAGE records), and an END record. A record is a header
 * (struct SimRecord, little-endian) and its payload: BEGIN carries what the
 * state belongs to, BLOCK and PAGE their content, END the number of records
 * before it and the digest of the whole state.
 */
#ifndef VFIO_SIM_STATE_H
#define VFIO_SIM_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "device-memory.h"
#include "device-options.h"
#include "state-content.h"

#define SIM_RECORD_MAGIC 0x56535447 /* "GTSV" */
#define SIM_STREAM_VERSION 2

enum {
    SIM_RECORD_BEGIN = 1,
    SIM_RECORD_BLOCK,
    SIM_RECORD_END,
    SIM_RECORD_REGISTERS,
    SIM_RECORD_PAGE,
    SIM_RECORD_TYPES
};

typedef struct SimRecord {
    uint32_t magic;
    uint16_t type;
    uint16_t version;
    uint64_t sequence; /* from 0, without gaps */
    uint32_t block; /* or page */
    uint32_t generation;
    uint64_t digest; /* of the payload of BLOCK, REGISTERS or PAGE */
} SimRecord;

typedef struct SimBegin {
    uint64_t seed;
    uint64_t state_size;
    uint32_t vendor, device;
    uint32_t block_size;
    uint32_t zero;
} SimBegin;

typedef struct SimEnd {
    uint64_t records; /* before this one */
    uint64_t digest;  /* of the whole state */
} SimEnd;

#define SIM_BEGIN_BYTES (sizeof(SimRecord) + sizeof(SimBegin))
#define SIM_BLOCK_BYTES (sizeof(SimRecord) + SIM_BLOCK)
#define SIM_END_BYTES (sizeof(SimRecord) + sizeof(SimEnd))
#define SIM_REGISTERS_BYTES (sizeof(SimRecord) + sizeof(SimRegisters))
#define SIM_PAGE_BYTES (sizeof(SimRecord) + SIM_PAGE)

typedef struct SimState SimState;

SimState *sim_state_new(const SimOptions *options, const SimMemoryOps *memory,
                        void *memory_opaque);
void sim_state_free(SimState *s);

/*
 * The state changes by itself from here to the next call (running), or not.
 * @dirty_rate in bytes/s counts for the time since the last call.
 */
void sim_state_run(SimState *s, bool running, uint64_t dirty_rate,
                   int64_t now_ns);

/* A stream to read begins: everything is to be sent. */
void sim_state_save_begin(SimState *s);

/* The device has stopped: the stream goes on to its END. */
void sim_state_save_stopped(SimState *s);

/* The reader goes away, or has read all that it wants. */
void sim_state_save_end(SimState *s);

/* New initial data. @flagged: it may be told of, else it counts as dirty. */
void sim_state_reinit(SimState *s, bool flagged);

/* What is left to be read, in bytes of the stream. */
typedef struct SimSizes {
    uint64_t initial, dirty, total;
} SimSizes;
void sim_state_sizes(const SimState *s, SimSizes *sizes);

/*
 * Reads up to @len bytes of the stream. Returns their number; 0 at the end of
 * a stopped device's stream; -ENOMSG when there is nothing at the moment.
 */
ssize_t sim_state_read(SimState *s, void *buf, size_t len);

/* A stream to write begins. */
void sim_state_load_begin(SimState *s, GPtrArray *faults);

/*
 * Takes @len bytes of it. False if they are refused, with the reason in @errp;
 * all that follows is refused as well.
 */
bool sim_state_write(SimState *s, const void *buf, size_t len, Error **errp);

/* The stream is over: false if it was not whole. The device takes its state. */
bool sim_state_load_end(SimState *s, Error **errp);

/*
 * The digest of the state as it was when it was last wholly read or written;
 * false if that has not happened since the last stream began.
 */
bool sim_state_digest(const SimState *s, uint64_t *digest);

/* Bytes of the stream read or written so far. */
uint64_t sim_state_offset(const SimState *s);

#endif
