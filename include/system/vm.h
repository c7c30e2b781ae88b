/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One virtual machine. There is no other root: whatever belongs to a machine
 * hangs from its Vm, so that two of them can live in one process.
 *
 * The big lock of a Vm protects its devices, its run state and whatever else
 * says so. The main loop holds it while it dispatches and drops it to poll; a
 * vCPU takes it for each access to a device; other threads take it where they
 * must. Lock order: big lock, then any lock inside a device or a back end.
 */
#ifndef GODWIT_SYSTEM_VM_H
#define GODWIT_SYSTEM_VM_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "util/clock.h"
#include "util/error.h"

struct json_object;

typedef struct Vm Vm;
struct json_object;

struct Vm {
    /* Set by vm_new(), never changed */
    struct VmLoop *loop;        /* what only the main loop needs */
    GMainContext *context;      /* what vm_main_loop() runs */
    Clock *host_clock;
    struct VmLock *lock;        /* the big lock */
    struct Memory *memory;      /* system/memory.h */
    struct VmTimers *timers;    /* system/timer.h */
    struct CpuControl *cpu_control; /* system/cpu.h */
    struct RunStateCtl *runstate; /* system/runstate.h */
    struct Holdings *holdings;  /* system/holdings.h; NULL: none yet */
    struct FdStore *fds;        /* system/fds.h: getfd names and fd sets */

    /* Set while the command line is carried out, then never changed */
    char *name;                 /* -name, or NULL */
    uint8_t uuid[16];           /* -uuid */
    bool uuid_set;
    const struct AccelOps *accel;
    struct MachineConfig *config; /* system/machine.h: what was asked for */
    struct ProcessConfig *process; /* system/process.h; NULL in tests */
    GPtrArray *cpus;            /* of Cpu *, by index; system/cpu.h */

    /*
     * What a folder above system keeps for this machine: each is created and
     * freed by its module (system/module.h) and opaque to everybody else.
     */
    struct Chardevs *chardevs;
    struct Objects *objects;    /* system/object.h: -object */
    struct Machine *machine;    /* hw/core/machine.h */
    struct BlockBackends *blocks;
    struct BlockModule *block_options;
    struct NetBackends *nets;
    struct Keyboards *keyboards; /* hw/input; NULL: none */
    struct NetModule *net_options;
    struct VfioHost *vfio;      /* hw/vfio; NULL: no such device */
    struct Migration *migration;
    struct SaveState *savevm;   /* registered save handlers */
    struct VfioMigrations *vfio_migrations; /* hw/vfio; NULL: no device */
    struct Monitors *monitors;
    struct QtestServer *qtest;
};

/* A machine with nothing in it. Main thread. Never NULL. */
Vm *vm_new(void);

/* Stops every thread of the machine, destroys it. Main thread, unlocked. */
void vm_free(Vm *vm);

/* The big lock. Recursive taking is an error (aborts): know what you hold. */
void vm_lock(Vm *vm);
void vm_unlock(Vm *vm);
bool vm_locked(Vm *vm);         /* by the calling thread */

/* Takes it if nobody has it. False: somebody has. Else as vm_lock(). */
bool vm_trylock(Vm *vm);

/*
 * Runs the machine's main loop, big lock held around every dispatch, until
 * vm_request_exit(). Returns the exit status. Main thread, big lock not held.
 */
int vm_main_loop(Vm *vm);

/*
 * One round of it; with @may_block waits for something to do. Main thread, big
 * lock not held; not from within a dispatch.
 */
void vm_main_loop_iterate(Vm *vm, bool may_block);

/*
 * Makes vm_main_loop() return @status (0..255) at the end of its round; the
 * first call wins. Any thread, signal-safe.
 */
void vm_request_exit(Vm *vm, int status);

/*
 * Has @fn(@opaque) called once from the main loop under the big lock, soon.
 * In the order of the calls. Any thread, any lock.
 */
void vm_call_soon(Vm *vm, void (*fn)(void *opaque), void *opaque);

/*
 * Takes all calls of @fn(@opaque) back that have not begun. Whoever frees
 * @opaque does this first. Big lock: so none of them is running.
 */
void vm_call_soon_cancel(Vm *vm, void (*fn)(void *opaque), void *opaque);

/*
 * Sends a QMP event to every monitor that negotiated. @data (a json_object,
 * or NULL) is taken over. Called by the generated qapi_event_send_*(). Any
 * thread; never blocks on a client. Without a sink it is dropped.
 */
void vm_emit_event(Vm *vm, const char *name, struct json_object *data);

/* Where events go: set once by the monitor's module. */
typedef void (*VmEventSink)(Vm *vm, const char *name, struct json_object *data);
void vm_set_event_sink(Vm *vm, VmEventSink sink);

#endif
