/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The registry (savevm-registry.c), as savevm.c and loadvm.c walk it. */
#ifndef GODWIT_MIGRATION_SAVEVM_INT_H
#define GODWIT_MIGRATION_SAVEVM_INT_H

#include "io/channel.h"
#include "migration/savevm.h"
#include "migration/vmdesc.h"
#include "migration/vmstate.h"

typedef struct SaveState SaveState;

/* One section: a live module (ops) or a device (vmsd). */
typedef struct SaveEntry {
    /* Constant */
    const char *idstr;          /* interned */
    uint32_t instance;
    uint32_t section_id;
    int version_id;
    const SaveVMHandlers *ops;
    const VMStateDescription *vmsd;
    void *opaque;

    /* Registry lock */
    unsigned refs;
    unsigned in_hook;           /* calls under way */
    GThread *hook_thread;       /* who made the last of them */
    bool gone;                  /* unregistered: call no hook any more */

    /* The thread that saves */
    bool saving;                /* save_setup() called, save_cleanup() not */
    uint64_t sent_bytes;
    int64_t iterate_ns;
    bool hungry;                /* the last iterate said MORE */
    int64_t turn_ns;            /* what it has had of the modules' time */
    uint64_t complete_bytes;
    int64_t complete_ns;
} SaveEntry;

/* The registry of @vm, made if there is none. */
SaveState *savevm_state(Vm *vm);

/*
 * Fills @entries (no free function) with a reference to each entry that is
 * registered now: live modules first if @live, then devices if @devices, each
 * kind in the order of saving. savevm_entries_put() drops them. Any thread.
 */
void savevm_entries_get(SaveState *ss, GPtrArray *entries, bool live,
                        bool devices);
void savevm_entries_put(SaveState *ss, GPtrArray *entries);

/*
 * Around each call of a hook of an entry that is referenced. False: it has
 * been unregistered, call nothing. Any thread, no registry lock held.
 */
bool savevm_entry_enter(SaveState *ss, SaveEntry *e);
void savevm_entry_leave(SaveState *ss, SaveEntry *e);

/* The configuration section, which is a vmstate of its own. */
typedef struct ConfigSection ConfigSection;
ConfigSection *config_section_new(const SaveVMConfig *config);
void config_section_free(ConfigSection *cs);
bool config_section_save(ConfigSection *cs, MigStream *s, VMDesc *desc,
                         Error **errp);
/* Loads the other side's and refuses what does not agree with ours. */
bool config_section_load(ConfigSection *cs, MigStream *s, Error **errp);

/* ---- savevm.c and savevm-postcopy.c ---- */

typedef enum SaveStep {
    STEP_NEW,
    STEP_HEADER,                /* the header is written */
    STEP_LIVE,                  /* all modules are set up */
    STEP_COMPLETE,              /* modules have sent all */
    STEP_DEVICES,               /* devices, too */
    STEP_END,                   /* EOF is written */
} SaveStep;

struct SaveVM {
    /* Constant */
    Vm *vm;
    SaveState *registry;
    MigStream *s;
    ConfigSection *config;

    /* The migration thread */
    SaveStep step;
    VMDesc *desc;
    IoChannel *states;          /* of devices, saved and not sent; or NULL */
    IoChannel *package;         /* made, not yet sent; or NULL */
    GPtrArray *entries;         /* scratch of a walk; empty between walks */
    bool postcopy;              /* what can follows after the switchover */
    guint next;                 /* where savevm_iterate() goes on, */
    int64_t turn_ns;            /* ... and what that one has had of its turn, */
    uint64_t turn_bytes;        /* ... and sent in it */
    const RunDelay *run_delay;  /* see savevm_set_run_delay() */
    uint64_t delayed_ns;        /* without a CPU, while modules iterated */
};

void savevm_put_command(MigStream *s, uint16_t command, const void *data,
                        uint16_t len);
bool savevm_send_command(SaveVM *sv, uint16_t command, const void *data,
                         uint16_t len, Error **errp);

void savevm_put_header(MigStream *s, const SaveEntry *e, uint8_t type);
void savevm_put_footer(MigStream *s, const SaveEntry *e);

/* The states of all devices, then the rest of the modules, to @s. */
bool savevm_put_states(SaveVM *sv, MigStream *s, Error **errp);

/* Calls @step for each live module that is still there, until one fails. */
bool savevm_for_each_live(SaveVM *sv,
                          bool (*step)(SaveVM *sv, SaveEntry *e, Error **errp),
                          Error **errp);

#endif
