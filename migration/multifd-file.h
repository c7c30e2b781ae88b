/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages of mapped-ram to their places in the file and from there, by several
 * threads: a carrier of multifd-send.h, and readers.
 */
#ifndef GODWIT_MIGRATION_MULTIFD_FILE_H
#define GODWIT_MIGRATION_MULTIFD_FILE_H

#include "io/channel.h"
#include "migration/multifd-send.h"
#include "migration/ram.h"

extern const MultiFDCarrier multifd_file_carrier;

/*
 * The state of one thread that writes @ram's pages to @ch, which is seekable;
 * both outlive it. The layout is there before the first batch.
 */
void *multifd_file_new(Ram *ram, IoChannel *ch);

/* ---- reading; the incoming thread ---- */

typedef struct MultiFDRead MultiFDRead;

/*
 * Starts @threads (1 to MULTIFD_CHANNELS_MAX) that read from @ch, which is
 * seekable and outlives them.
 */
MultiFDRead *multifd_read_new(Vm *vm, IoChannel *ch, unsigned threads);

/*
 * Has bytes [@offset, @offset + @len) of @rb read from byte @pos of the file;
 * waits for a thread, the big lock dropped meanwhile. Dirty logs hear of it.
 * False: an earlier one has failed; multifd_read_end() says why.
 */
bool multifd_read_pages(MultiFDRead *r, RamBlock *rb, uint64_t offset,
                        uint64_t len, uint64_t pos);

/* Waits for all, ends the threads and frees; the big lock as above. */
bool multifd_read_end(MultiFDRead *r, Error **errp);

#endif
