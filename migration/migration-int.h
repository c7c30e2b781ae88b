/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One machine's migrations, as the files of their life cycle share them:
 * migration.c (the object, settings, statuses), outgoing.c with its loop and
 * its blackout in outgoing-loop.c and outgoing-switch.c, return-path.c,
 * incoming.c, and what answers monitors.
 *
 * Lock order: big lock, Migration.status_lock, Migration.lock. The last is a
 * leaf, held for copies only; waits are on it, through Migration.changed.
 */
#ifndef GODWIT_MIGRATION_MIGRATION_INT_H
#define GODWIT_MIGRATION_MIGRATION_INT_H

#include "migration/ack.h"
#include "migration/blocktime.h"
#include "migration/channel.h"
#include "migration/clockstate.h"
#include "migration/fast-load.h"
#include "migration/give-way.h"
#include "migration/globalstate.h"
#include "migration/iterate.h"
#include "migration/multifd-recv.h"
#include "migration/multifd-send.h"
#include "migration/options.h"
#include "migration/page-set.h"
#include "migration/pending.h"
#include "migration/postcopy.h"
#include "migration/predict.h"
#include "migration/ram.h"
#include "migration/run-delay.h"
#include "migration/savevm.h"
#include "migration/snapshot.h"
#include "migration/stats.h"
#include "migration/stream-owner.h"
#include "migration/switchover.h"
#include "migration/throttle.h"
#include "qapi/qapi-types-run-state.h"
#include "system/module.h"
#include "system/vm.h"

typedef struct Migration Migration;
typedef struct MigOut MigOut;
typedef struct MigUrgent MigUrgent;
typedef struct MigIn MigIn;

struct Migration {
    /* Constant */
    Vm *vm;
    Clock *clock;
    Ram *ram;
    GlobalState *globalstate;
    ClockState *clockstate;
    MigPending *pending;
    MigPredictor *predictor;
    const UffdSys *uffd_sys;    /* the host's, unless a test has its own */
    /*
     * Ends the process, whose guest waits for @pages that cannot come. A test
     * may return: who waits is given zeros then.
     */
    void (*leave)(uint64_t pages);
    void (*yield)(void);        /* give-way.h; the host's, unless a test's */
    int64_t multifd_missing_ns; /* MULTIFD_MISSING_NS, unless it is shorter */

    /* Big lock */
    MigOut *out;                /* the present attempt, or the last; or NULL */
    MigIn *in;
    GArray *blockers;           /* of MigBlocker */
    unsigned last_blocker;

    GMutex status_lock;         /* a status and its event, in one order */

    GMutex lock;
    GCond changed;
    /* Under lock */
    MigOptions options;
    MigrationStatus out_status;
    MigrationStatus in_status;
    uint64_t kicks;             /* what may cut a wait short happened */
};

/*
 * So many PINGs may be out at a time: two each behind memory and a device that
 * comes right after it, and as many again before the first is answered.
 */
#define MIG_PINGS_MAX 8

/* What the source knows of the other side's answers; under Migration.lock. */
typedef struct MigReturn {
    bool opened;
    GThread *thread;            /* big lock, or the outgoing thread */
    bool ended;                 /* nothing more will come */
    char *error;                /* why it ended, if that was wrong; or NULL */
    bool taken_over;            /* SHUT said so */
    int64_t taken_over_ns;
    MigAcks acks;               /* owed before the switchover */
    bool answered;              /* a PONG has come: the other side is there */
    /* PINGs have numbers from 1; those behind last_pong are out */
    uint32_t last_ping, last_pong;
    MigBurst bursts[MIG_PINGS_MAX]; /* before number n: [n % MIG_PINGS_MAX];
                                       no bytes: a round trip */
    MigBurst blackout;          /* before the PING of MIG_PING_MODULES */
    RunDelay run_delay;         /* the return path's thread */
    int64_t late_ns;            /* from when a message was there until it ran */
    /* The answers of the blackout; 0: not yet */
    int64_t modules_loaded_ns;
    int64_t states_loaded_ns;
    /* Postcopy */
    bool finished;              /* SHUT said so: it has all pages */
    const RamBlock *want;       /* whose bitmap is asked for; or NULL */
    uint64_t *bitmap;           /* ... the return path's thread's until then */
    bool resumed;               /* RESUME_ACK */
    char *last_id;              /* block of the last REQ_PAGES; its thread */
} MigReturn;

/* Values of the PINGs whose answers mean something of their own. */
#define MIG_PING_FIRST 1
#define MIG_PING_MODULES UINT32_C(0x80000001)
#define MIG_PING_STATES UINT32_C(0x80000002)
#define MIG_PING_TAKEN UINT32_C(0x80000003)     /* postcopy: it runs there */

struct MigOut {
    /* Constant once the thread runs */
    Migration *m;
    GThread *thread;
    int cancel_fd;              /* eventfd: ends a connect */
    int64_t start_ns;
    bool caps[MIGRATION_CAPABILITY__MAX]; /* as they were at the start */

    /* The outgoing thread */
    MigEnd end;
    SaveVM *sv;
    RunDelay run_delay;
    MigThrottle throttle;
    int64_t throttle_period_ns; /* RamStats.period_ns that was looked at */
    MultiFDSend *multifd;       /* NULL: there is but the stream */
    bool guest_stopped;         /* by this migration */
    bool gave_holdings;
    RunState old_state;         /* what the guest did before */

    /* The outgoing thread writes, under lock; it reads without */
    MigStream *stream;          /* NULL before and after */
    IoChannel *ch;              /* what a cancel shuts down */
    MigUrgent *urgent;          /* NULL: urgent pages go by the stream, too */
    MigSwitchover so;
    Snapshot *snapshot;         /* background-snapshot, while memory is saved */

    /* Under lock */
    bool has_snapshot_stats;
    SnapshotStats snapshot_stats;       /* when that is over */
    bool cancelled;
    bool continued;             /* migrate-continue */
    bool end_sent;              /* the destination may take over from here */
    bool start_postcopy;        /* migrate-start-postcopy */
    bool postcopy;              /* the switchover is one into postcopy */
    bool sends_rest;            /* ... and has been */
    bool eof_sent;              /* ... and nothing is left to send */
    bool runs_there;            /* ... and the guest is the destination's */
    bool pause_asked;           /* migrate-pause, of this connection */
    bool resume_asked;          /* migrate with resume, by resume_end */
    MigEnd resume_end;
    MigStreamCounters former;   /* of the connections before this one */
    bool done;                  /* the thread does nothing more */
    char *error;                /* why it failed, or NULL */
    MigReturn rp;
    int64_t setup_ns;           /* -1: not yet */
    int64_t total_ns;           /* -1: runs */
    MigStreamCounters counters; /* last known */
    uint64_t precopy_bytes;     /* sent before the blackout; once it began */
    uint64_t switched_bytes;    /* ... and before postcopy; 0: none so far */

    /* The outgoing thread writes, any reads: atomics, or with some within */
    uint64_t delayed_ns;        /* without a CPU, while it iterated */
    uint64_t multifd_packets;   /* on all channels */
    MigLoop loop;
    MigStats stats;
};

struct MigIn {
    /* Constant once the thread runs */
    Migration *m;
    GThread *thread;
    int cancel_fd;              /* eventfd: ends an accept */
    bool exit_on_error;

    /* The incoming thread */
    MigEnd end;
    MigStream *stream;
    bool rp_open;               /* the source wants answers */
    MultiFDRecv *multifd;       /* NULL: there is but the stream */
    MultiFDAccept *accept;      /* ... or that is there already */

    /* The incoming thread writes, under lock; it reads without */
    FastLoad *fast;             /* pages come when touched; or NULL */
    PostcopyIn *pc;             /* ... over a connection; or NULL */

    /* Under lock */
    bool pages_follow;          /* the guest runs, and fast or pc is needed */
    bool has_pc_stats;
    PostcopyInStats pc_stats;   /* when it is over */
    Blocktime *blocktime;       /* ... NULL: not counted */
    bool pause_asked;           /* migrate-pause, of this connection */
    bool recover_asked;         /* migrate-recover, by recover_end */
    bool accepts;               /* ... which the listening thread waits at */
    MigEnd recover_end;
    bool has_fast_stats;
    FastLoadStats fast_stats;   /* when it is over */
    IoChannel *ch;
    SocketAddress *local;       /* where it listens */
    unsigned acks_due;          /* marks loaded, not yet answered */
    bool cancelled;
    bool done;
    char *error;
};

/* ---- migration.c ---- */

/* The Vm's; made by the module, or by a test. Main thread, big lock. */
Migration *migration_new(Vm *vm, Clock *clock);
/* Cancels and joins what runs. Big lock held; dropped while it waits. */
void migration_stop(Migration *m);
/* As above, then frees. */
void migration_free(Migration *m);

/*
 * Moves a status (&m->out_status or &m->in_status) and sends the event. False:
 * it is not @from, or the table does not have the move. Locks not held.
 */
bool migration_set(Migration *m, MigrationStatus *status,
                   MigrationStatus from, MigrationStatus to);
/* As above, from whatever it is. */
bool migration_set_any(Migration *m, MigrationStatus *status,
                       MigrationStatus to);
MigrationStatus migration_status(Migration *m, const MigrationStatus *status);

/* As they are now. */
MigOptions migration_options(Migration *m);
uint64_t migration_param(Migration *m, MigParam param);
bool migration_cap(Migration *m, MigrationCapability cap);

/* Settings have changed: what runs takes notice. */
void migration_kick(Migration *m);

/* The first reason not to migrate out now. Big lock. */
bool migration_check_possible(Migration *m, Error **errp);

/* What both sides must agree on; valid while the Vm lives. */
SaveVMConfig migration_savevm_config(Migration *m);
/* What the settings mean for guest memory. */
RamOptions migration_ram_options(Migration *m);
/*
 * Whether the capabilities that are on can do with @end, which is made as the
 * parameters want it. Big lock.
 */
bool migration_prepare_end(Migration *m, MigEnd *end, bool incoming,
                           Error **errp);
/*
 * Takes @next for the settings, if the host can do what is new in it. Main
 * loop, big lock.
 */
bool migration_set_options(Migration *m, const MigOptions *next,
                           Error **errp);

/* ---- outgoing.c ---- */

/*
 * Starts to send to @end (whose contents are taken over). The status is setup
 * when it returns. Big lock.
 */
bool outgoing_start(Migration *m, MigEnd *end, Error **errp);
/* Error: the guest runs at the destination. @end: the program ends, do it. */
bool outgoing_cancel(MigOut *out, bool end, Error **errp);
/* Opens out->end, makes the stream. Its thread. */
bool outgoing_connect(MigOut *out, Error **errp);
/* Ends the channel, and joins the return path's thread. */
void outgoing_end_return_path(MigOut *out);
/* Joins the thread; @out may be NULL. Main thread. */
void outgoing_join(MigOut *out);
/* As above for a thread that has done its work, then frees. Big lock. */
void outgoing_reap(Migration *m);
void outgoing_free(MigOut *out);

/* Whether it has been told to stop, or the other side has. */
bool outgoing_stopped(MigOut *out);
bool outgoing_is_stopped(const MigOut *out);    /* lock held */
/* Waits on m->changed until @deadline_ns of the host's clock. Lock held. */
bool outgoing_wait(MigOut *out, int64_t deadline_ns);

/* ---- multifd-setup.c ---- */

/* Whether capability multifd, if it is on, can do with @end. Big lock. */
bool multifd_check_end(Migration *m, const MigEnd *end, Error **errp);
/* How many connections a listening socket is to keep waiting. Big lock. */
int multifd_backlog(Migration *m);
/* Opens the channels, if there are any. Outgoing thread, before set-up. */
bool outgoing_open_multifd(MigOut *out, Error **errp);
/* @ok: the migration is complete. Outgoing thread; guest runs or is gone. */
void outgoing_close_multifd(MigOut *out, bool ok);
/* Waits for the main connection; channels come then, too. Incoming thread. */
bool incoming_accept_multifd(MigIn *in, Error **errp);
/* How many threads read pages from a file; 0: the incoming one. */
unsigned incoming_read_threads(MigIn *in);
/* False, and why, if a channel has failed. Incoming thread. */
bool incoming_check_multifd(MigIn *in, Error **errp);
void incoming_close_multifd(MigIn *in);

/* ---- outgoing-loop.c ---- */

extern const MigLoopOps outgoing_loop_ops;

/* What has left by all connections. Lock held, or its thread. */
void outgoing_sent(MigOut *out, MigStreamCounters *counters);
/* ... with the time spent sending it. */
void outgoing_counters(MigOut *out, MigStreamCounters *counters);

/* ---- outgoing-switch.c ---- */

/* The blackout, up to the moment at which the destination has taken over. */
bool outgoing_switch_over(MigOut *out, Error **errp);
/* The destination has: closes the account of the blackout. */
void outgoing_switched_over(MigOut *out);
/* Lets the guest go on here, as it did before. Big lock. */
void outgoing_resume_guest(MigOut *out);
/* Without answers: all that was written must have arrived. */
bool outgoing_close_channel(MigOut *out, Error **errp);

/* ---- outgoing-postcopy.c ---- */

/* The package has left: sends pages until the destination has them all. */
bool outgoing_postcopy(MigOut *out, Error **errp);
/*
 * migrate with resume: takes the contents of @end over. Big lock. Error: the
 * migration is not paused.
 */
bool outgoing_resume(MigOut *out, MigEnd *end, Error **errp);
/* migrate-pause. Any thread. False, and no error: this side is not in it. */
bool outgoing_pause(Migration *m);

/* ---- outgoing-urgent.c: capability postcopy-preempt; its thread ---- */

/* A second connection, to where out->end leads; nothing without the cap. */
bool outgoing_urgent_open(MigOut *out, Error **errp);
/* Whether the destination still has it. */
bool outgoing_urgent_check(MigOut *out, Error **errp);
/* What is asked for goes by it from here on. */
void outgoing_urgent_start(MigOut *out);
/* All has been sent: tells the destination. */
bool outgoing_urgent_finish(MigOut *out, Error **errp);
/* Closes it, also if it was never opened. */
void outgoing_urgent_drop(MigOut *out);
/* Migration.lock held, or its thread. */
void outgoing_urgent_counters(const MigUrgent *u, MigStreamCounters *counters);

/* ---- return-path.c ---- */

enum {
    MIG_RP_MSG_INVALID = 0,
    MIG_RP_MSG_SHUT = 1,
    MIG_RP_MSG_PONG = 2,
    MIG_RP_MSG_REQ_PAGES_ID = 3,
    MIG_RP_MSG_REQ_PAGES = 4,
    MIG_RP_MSG_RECV_BITMAP = 5,
    MIG_RP_MSG_RESUME_ACK = 6,
    MIG_RP_MSG_SWITCHOVER_ACK = 7,
};

/* Source: reads until SHUT, the end or an error, on a thread of its own. */
void return_path_start(MigOut *out);
/* Called soon when the other side has gone away: for clean-up to take back. */
void return_path_interrupt(void *opaque);
/*
 * Source: sends a PING behind @burst, whose ping_ns is not set yet; NULL:
 * nothing is in front of it. The answer is timed. *@sent is false if so many
 * are out that none was sent.
 */
bool return_path_ping(MigOut *out, const MigBurst *burst, bool *sent,
                      Error **errp);
/* Destination: sends a message, with @value if it has one. One at a time. */
bool return_path_send(IoChannel *ch, uint16_t type, uint32_t value,
                      Error **errp);
/* REQ_PAGES for bytes of @rb; @named: with its name. Allocates nothing. */
bool return_path_send_request(IoChannel *ch, const RamBlock *rb,
                              uint64_t offset, uint32_t len, bool named,
                              Error **errp);
/* RECV_BITMAP of @rb. */
bool return_path_send_bitmap(IoChannel *ch, const RamBlock *rb,
                             const PageSet *received, Error **errp);

/* ---- incoming.c ---- */

bool incoming_start(Migration *m, MigEnd *end, bool exit_on_error,
                    Error **errp);
/* Makes it fail soon. */
void incoming_cancel(MigIn *in);
void incoming_join(MigIn *in);
void incoming_free(MigIn *in);          /* joined */

/* ---- postcopy-listen.c ---- */

/* migrate-pause. Any thread. False, and no error: this side is not in it. */
bool incoming_pause(Migration *m);
/* Nobody is waited for any more at an address of before. Any thread. */
void incoming_forget_recover(Migration *m);
/*
 * migrate-recover: takes the contents of @end over. Any thread. Error: the
 * migration is not paused.
 */
bool incoming_recover(Migration *m, MigEnd *end, Error **errp);

strList *migration_blocked_reasons(Migration *m);

/* ---- migration-qmp.c, migration-info.c, migration-hmp.c ---- */

/* What query-migrate answers. Any thread that holds the big lock. */
MigrationInfo *migration_info(Migration *m);

extern const HmpCommand migration_hmp_commands[];

/* Takes @addr over; for -incoming too. Big lock. */
bool migration_start_incoming(Migration *m, MigrationAddress *addr,
                              bool exit_on_error, Error **errp);

#endif
