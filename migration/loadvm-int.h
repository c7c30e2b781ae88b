/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What loadvm.c (sections) and loadvm-commands.c share. Incoming thread. */
#ifndef GODWIT_MIGRATION_LOADVM_INT_H
#define GODWIT_MIGRATION_LOADVM_INT_H

#include "migration/savevm-int.h"
#include "migration/stream-owner.h"

/* How far a section has come. */
typedef enum LoadStep {
    LOAD_NOTHING,
    LOAD_STARTED,               /* START is loaded */
    LOAD_DONE,                  /* END, or a device's FULL, is loaded */
    LOAD_STATE,                 /* a live section's FULL, too */
} LoadStep;

typedef struct LoadSection {
    SaveEntry *entry;
    bool setup;                 /* load_setup() called */
    bool complete;              /* load_complete() was well */
    LoadStep step;
    uint32_t stream_id;         /* the number the source gave it */
    int version_id;             /* the source's */
} LoadSection;

struct LoadVM {
    /* Constant */
    Vm *vm;
    SaveState *registry;
    MigStream *s;
    ConfigSection *config;
    const LoadVMOps *ops;
    void *opaque;

    /* The incoming thread */
    GPtrArray *entries;         /* referenced while this lives */
    LoadSection *sections;      /* one for each entry */
    GHashTable *by_stream_id;   /* uint32_t -> LoadSection * */
    MigStream *package;         /* NULL: @s is the connection itself */
    bool ran;                   /* the package said RUN */
};

/* A command, from behind its type byte. */
bool loadvm_command(LoadVM *lv, Error **errp);

/* Which section, by the source's number, may go on after RUN. */
bool loadvm_postcopy_section(LoadVM *lv, uint32_t *stream_id, Error **errp);

/* Sections and commands until EOF, or RUN in a package. */
bool loadvm_sections(LoadVM *lv, Error **errp);

#endif
