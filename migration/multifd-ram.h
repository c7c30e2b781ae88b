/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory through the channels of multifd: the walk over dirty pages at
 * the source, packets to their place at the destination.
 */
#ifndef GODWIT_MIGRATION_MULTIFD_RAM_H
#define GODWIT_MIGRATION_MULTIFD_RAM_H

#include "migration/multifd-method.h"
#include "migration/ram.h"
#include "migration/zero-page.h"

/* ---- multifd-ram.c: the outgoing thread, with RamOptions.multifd_send ---- */

/* Behind the list of blocks. */
void multifd_ram_save_setup(Ram *ram, MigStream *s);
/*
 * What ram_save_iterate() and ram_save_complete() do: pages until nothing is
 * dirty, the stream fails, or (iterate only) the rate is used up or it is
 * @end_ns. Without mapped-ram the end of the section's payload, too.
 */
void multifd_ram_iterate(Ram *ram, MigStream *s, int64_t end_ns);
void multifd_ram_complete(Ram *ram, MigStream *s);

/* ---- multifd-ram-load.c: the receiving threads ---- */

/* What one thread needs to load; its own. */
typedef struct MultiFDLoader {
    const MultiFDMethod *method;
    void *unpacker;             /* the method's, or NULL */
    PagePresence *presence;
    uint8_t *compared;          /* pages that cannot be written; or NULL */
} MultiFDLoader;

/* @unpacker is the loader's from here on; @presence outlives it. */
void multifd_loader_init(MultiFDLoader *l, const MultiFDMethod *method,
                         void *unpacker, const PagePresence *presence);
void multifd_loader_clear(MultiFDLoader *l);

/*
 * Loads the pages of a packet with @head, as multifd_head_get() has let it
 * pass, whose payload comes next from @ch. The list of blocks has been loaded.
 * Error: a block or an offset that is not there, or a bad payload.
 */
bool multifd_load_packet(Ram *ram, MultiFDLoader *l, IoChannel *ch,
                         const MultiFDHead *head, Error **errp);

#endif
