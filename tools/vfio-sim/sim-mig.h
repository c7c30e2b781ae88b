/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The migration side of a simulated device: its state machine, data stream,
 * paces and size reports, with their faults. Pure, on injected time (ns, of
 * any monotonic clock). All functions are called with the device's lock held;
 * none of them sleeps: whoever has to wait is told until when.
 */
#ifndef VFIO_SIM_MIG_H
#define VFIO_SIM_MIG_H

#include "mig-state.h"
#include "sim-state.h"

/*
 * Who comes late by up to so much, by the host's scheduling, finds made what
 * would have been made by then. Who comes later was not waiting for it: a device
 * makes nothing ahead.
 */
#define SIM_CATCH_UP_NS 10000000

typedef struct SimMove {
    int64_t at_ns;
    unsigned from, to;
    int err; /* errno of a move that failed */
} SimMove;

typedef struct SimMig {
    SimOptions *o;
    SimState *state;
    unsigned features; /* VFIO_MIGRATION_* */
    unsigned current;
    unsigned session; /* counts the data descriptors: who has which */
    bool infov2;      /* the VMM looks at flags */
    bool reinit;      /* to be told of at the next query */
    bool reinit_timer_done;
    int64_t precopy_since_ns;
    uint64_t queries;
    int64_t ready_ns; /* when the device has given or taken all so far */
    GArray *moves;    /* of SimMove, the last SIM_MOVES_MAX */
    char *refusal;    /* why the last state was refused, or NULL */
} SimMig;

#define SIM_MOVES_MAX 4096

/* @memory is asked, with @opaque, for what the guest has written. */
SimMig *sim_mig_new(SimOptions *options, const SimMemoryOps *memory,
                    void *opaque, int64_t now_ns);
void sim_mig_free(SimMig *m);

/* As VFIO_DEVICE_RESET does: running, whatever it was. */
void sim_mig_reset(SimMig *m, int64_t now_ns);

/*
 * Makes one move to @to, which must be one move away. Returns 0 or -errno: the
 * state is the old one then, or ERROR. A new data descriptor exists when
 * .session has changed.
 */
int sim_mig_move(SimMig *m, unsigned to, int64_t now_ns);

/* Time has passed: state becomes dirty, new initial data may appear. */
void sim_mig_run(SimMig *m, int64_t now_ns);

/* New initial data appear now. */
void sim_mig_reinit(SimMig *m);

/* What VFIO_DEVICE_FEATURE_MIG_DATA_SIZE reports. */
uint64_t sim_mig_stop_size(SimMig *m, int64_t now_ns);

/* VFIO_MIG_GET_PRECOPY_INFO: 0, or -EINVAL in a state that has no pre-copy. */
int sim_mig_precopy_info(SimMig *m, uint64_t *initial, uint64_t *dirty,
                         uint32_t *flags, int64_t now_ns);

/* What to do with a read or write that a fault makes wait. */
#define SIM_STALLED (-10000)

/*
 * Reads or writes the data stream. Number of bytes, -errno, or SIM_STALLED.
 * *@until_ns: when the device is done with it, at its pace.
 */
ssize_t sim_mig_read(SimMig *m, void *buf, size_t len, int64_t now_ns,
                     int64_t *until_ns);
ssize_t sim_mig_write(SimMig *m, const void *buf, size_t len, int64_t now_ns,
                      int64_t *until_ns);

#endif
