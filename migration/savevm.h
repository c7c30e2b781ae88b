/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has state to move, and the order in which it goes into a stream and
 * comes out of it. The format is in docs/interop/migration-stream.rst.
 *
 * The registry belongs to the Vm (vm->savevm) and has a lock of its own: a
 * leaf, under which no hook is called. An entry that is
 * inside a hook is kept until the hook returns; unregistering it waits for
 * that (big lock dropped), unless it is the hook itself that unregisters.
 *
 * Outgoing, in this order (SaveVM; migration thread):
 *
 *   savevm_new, savevm_write_header, [savevm_send_*], savevm_setup,
 *   { savevm_query_pending | savevm_iterate }*,
 *   -- guest stopped -- savevm_query_pending(exact), savevm_complete_live,
 *   savevm_save_devices, savevm_write_end,
 *   -- destination may run -- savevm_write_description, savevm_cleanup,
 *   savevm_free
 *
 * savevm_cleanup() may come at any point and must come before savevm_free().
 * The same order is checked: what comes too early is a bug and aborts.
 */
#ifndef GODWIT_MIGRATION_SAVEVM_H
#define GODWIT_MIGRATION_SAVEVM_H

#include "migration/postcopy-wire.h"
#include "migration/register.h"
#include "migration/run-delay.h"
#include "migration/stream.h"
#include "system/vm.h"

/* ---- the wire's numbers ---- */

#define QEMU_VM_FILE_MAGIC 0x5145564d   /* "QEVM" */
#define QEMU_VM_FILE_VERSION 3

enum {
    QEMU_VM_EOF = 0x00,
    QEMU_VM_SECTION_START = 0x01,
    QEMU_VM_SECTION_PART = 0x02,
    QEMU_VM_SECTION_END = 0x03,
    QEMU_VM_SECTION_FULL = 0x04,
    QEMU_VM_SUBSECTION = 0x05,
    QEMU_VM_VMDESCRIPTION = 0x06,
    QEMU_VM_CONFIGURATION = 0x07,
    QEMU_VM_COMMAND = 0x08,
    QEMU_VM_SECTION_FOOTER = 0x7e,
};

enum {
    MIG_CMD_INVALID = 0,
    MIG_CMD_OPEN_RETURN_PATH = 1,
    MIG_CMD_PING = 2,
    MIG_CMD_POSTCOPY_ADVISE = 3,
    MIG_CMD_POSTCOPY_LISTEN = 4,
    MIG_CMD_POSTCOPY_RUN = 5,
    MIG_CMD_POSTCOPY_RAM_DISCARD = 6,
    MIG_CMD_PACKAGED = 7,
    MIG_CMD_ENABLE_COLO = 8,
    MIG_CMD_POSTCOPY_RESUME = 9,
    MIG_CMD_RECV_BITMAP = 10,
    MIG_CMD_SWITCHOVER_START = 11,
};

/* ---- the registry ---- */

/*
 * Frees vm->savevm (made by the first registration) and sets it to NULL. By
 * then no migration is under way. Main thread, big lock.
 */
void savevm_destroy(Vm *vm);

/*
 * Which registered device must not move: the error names it. True if all may.
 * Big lock.
 */
bool savevm_check_migratable(Vm *vm, Error **errp);

/* ---- what both sides must agree on ---- */

typedef struct SaveVMConfig {
    const char *machine;        /* name of the machine type, "virt" */
    const uint8_t *uuid;        /* 16 bytes; NULL: the machine has none */
    bool validate_uuid;         /* send it; one that is received is compared
                                   whenever there is one here */
    /*
     * Names of the capabilities that are on and that the other side must have
     * on too (QEMU: "mapped-ram", "x-ignore-shared"); may be NULL.
     */
    const char *const *capabilities;
    unsigned num_capabilities;
} SaveVMConfig;

/* ---- outgoing ---- */

typedef struct SaveVM SaveVM;

/*
 * @s must live until savevm_free(); @config is copied. Sends every registered
 * device and module as it is registered when its step comes.
 */
SaveVM *savevm_new(Vm *vm, MigStream *s, const SaveVMConfig *config);
void savevm_free(SaveVM *sv);

/* Magic, version, configuration. */
bool savevm_write_header(SaveVM *sv, Error **errp);

/* Commands to the other side, between two sections; each flushes. */
bool savevm_send_open_return_path(SaveVM *sv, Error **errp);
bool savevm_send_ping(SaveVM *sv, uint32_t value, Error **errp);
bool savevm_send_switchover_start(SaveVM *sv, Error **errp);

/* save_setup() of all modules, each in a START section. Big lock held. */
bool savevm_setup(SaveVM *sv, Error **errp);

/*
 * save_live_iterate() of the modules in turn, each in a PART section, until
 * the stream's rate is exceeded, or one has sent so much (MIG_WINDOW_MIN_BYTES)
 * that its rate can be told. DONE: every module has answered DONE and nothing
 * was cut short. Big lock not held.
 */
MigIterate savevm_iterate(SaveVM *sv, Error **errp);
/*
 * Has the time without a CPU told apart from that of the modules: @rd is the
 * migration thread's own, and must outlive @sv.
 */
void savevm_set_run_delay(SaveVM *sv, const RunDelay *rd);
/* How much that was in all savevm_iterate() so far; ns. */
uint64_t savevm_delayed_ns(const SaveVM *sv);
/* Whether the next savevm_iterate() need not begin with the same module. */
bool savevm_turn_ended(const SaveVM *sv);

/* What a module said and what it has cost. */
typedef struct SaveVMModule {
    const char *idstr;          /* valid for ever */
    uint32_t instance;
    MigModuleKind kind;
    bool postcopy;              /* it can go on after the switchover */
    MigPendingData pending;     /* of the query; total_bytes is filled */
    uint64_t sent_bytes;        /* of all its sections */
    int64_t iterate_ns;         /* time inside save_live_iterate(), with a CPU
                                   if savevm_set_run_delay() */
    uint64_t complete_bytes;    /* of those that savevm_complete_live() sent, */
    int64_t complete_ns;        /* ... and the time they took */
} SaveVMModule;

/*
 * Asks all modules (see register.h for @exact and locks). *modules, an array
 * of SaveVMModule, is cut to nothing and filled with one entry a module in the
 * order of sending; an entry that is not set up or is gone gives zeros. No
 * allocation once the array has grown. Migration thread.
 */
void savevm_query_pending(SaveVM *sv, bool exact, GArray *modules);

/* save_switchover() of all modules. Guest stopped, big lock held. */
bool savevm_check_switchover(SaveVM *sv, Error **errp);

/*
 * save_complete() of all modules, each in an END section; flushes, so that the
 * time of a module is that of its bytes too. Guest stopped, big lock held.
 */
bool savevm_complete_live(SaveVM *sv, Error **errp);

/*
 * The state of all devices that have a vmstate, then save_state() of the
 * modules, FULL sections. Collected in
 * memory first: the stream sees nothing until all have been saved, and the
 * lock is not dropped in between. Guest stopped, big lock held. *bytes (may be
 * NULL) is their size.
 */
bool savevm_save_devices(SaveVM *sv, uint64_t *bytes, Error **errp);

/*
 * The first half of savevm_save_devices(), at any time after savevm_setup():
 * collects the states in memory, for it to send later, when the guest may be
 * running again. Guest stopped, big lock held.
 */
bool savevm_collect_devices(SaveVM *sv, Error **errp);

/* EOF, then flushes: the destination has all that it needs to run. */
bool savevm_write_end(SaveVM *sv, Error **errp);

/*
 * The description record, at once after the end and before waiting for an
 * answer: QEMU reads it before it starts the guest. Godwit starts first, so an
 * error here (a destination that does not read on) says nothing about the
 * migration.
 */
bool savevm_write_description(SaveVM *sv, Error **errp);

/* ---- outgoing, in postcopy: savevm-postcopy.c ---- */

/* After savevm_write_header(): what both sides must have alike. */
bool savevm_send_postcopy_advise(SaveVM *sv, Error **errp);

/* savevm_complete_live() leaves out who has save_postcopy(). */
void savevm_set_postcopy(SaveVM *sv);

/* Of the command's ranges; does not flush. */
void savevm_put_discard(SaveVM *sv, const PostcopyDiscard *discard);

/*
 * Instead of savevm_save_devices() and savevm_write_end(). The first collects
 * one PACKAGED in memory: LISTEN, the states, PING @loaded, PING @taken and
 * RUN, and the second sends it. Guest stopped, big lock held.
 */
bool savevm_make_package(SaveVM *sv, uint32_t loaded, uint32_t taken,
                         Error **errp);
bool savevm_send_package(SaveVM *sv, Error **errp);

/*
 * save_postcopy() of who has it, a PART section each; flushes. Big lock not
 * held. Then, after DONE, the ENDs and EOF.
 */
MigIterate savevm_postcopy(SaveVM *sv, Error **errp);
bool savevm_end_postcopy(SaveVM *sv, Error **errp);

/* Goes on by another connection, of which it says nothing by itself. */
void savevm_set_stream(SaveVM *sv, MigStream *s);
bool savevm_send_recv_bitmap(SaveVM *sv, const char *block, Error **errp);
bool savevm_send_postcopy_resume(SaveVM *sv, Error **errp);

/* interrupt() of all modules, whatever they do. Main loop, big lock. */
void savevm_interrupt(Vm *vm);

/* save_cleanup() of those whose save_setup() was called. Big lock held. */
void savevm_cleanup(SaveVM *sv);

/* ---- incoming ---- */

typedef struct LoadVM LoadVM;

/*
 * What the stream may ask for. NULL: such a command is refused. Incoming
 * thread, big lock not held.
 */
typedef struct LoadVMOps {
    bool (*open_return_path)(void *opaque, Error **errp);
    bool (*ping)(void *opaque, uint32_t value, Error **errp);
    bool (*switchover_start)(void *opaque, Error **errp);
    /*
     * Postcopy, in this order; the last two in the package, after which
     * loadvm_run() returns. @stream_id: the section that goes on behind the
     * package, on the connection, which is the hook's from then on.
     */
    bool (*postcopy_advise)(void *opaque, const PostcopyAdvise *advise,
                            Error **errp);
    bool (*postcopy_discard)(void *opaque, const PostcopyDiscard *discard,
                             Error **errp);
    bool (*postcopy_listen)(void *opaque, uint32_t stream_id, Error **errp);
    bool (*postcopy_run)(void *opaque, Error **errp);
    /* After each section, whole; may be NULL */
    bool (*section_loaded)(void *opaque, Error **errp);
} LoadVMOps;

/* @s, @ops and @opaque must live until loadvm_free(); @config is copied. */
LoadVM *loadvm_new(Vm *vm, MigStream *s, const SaveVMConfig *config,
                   const LoadVMOps *ops, void *opaque);

/* load_cleanup() where needed, then frees. Big lock held. */
void loadvm_free(LoadVM *lv);

/*
 * load_take_over() of all modules. Big lock held. Whether it fails or what
 * comes after it does, loadvm_give_up() undoes it.
 */
bool loadvm_take_over(LoadVM *lv, Error **errp);
void loadvm_give_up(LoadVM *lv);

/*
 * From the magic to EOF: all state is loaded, and every registered device and
 * module has got its own. Incoming thread, big lock not held. An error names
 * section and offset; the machine must not be run then.
 */
bool loadvm_run(LoadVM *lv, Error **errp);

/*
 * Reads (and drops) the description record, if there is one, so that the
 * source can write it. After the guest runs; may block. An error says nothing
 * about the migration.
 */
bool loadvm_read_description(LoadVM *lv, Error **errp);

#endif
