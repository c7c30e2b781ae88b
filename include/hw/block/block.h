/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Block back ends: raw images that a disk of the guest reads and writes.
 *
 * Requests are asynchronous: a pool of threads per back end does the system
 * calls, completions come on the main loop under the big lock, in any order.
 * All functions here need the big lock.
 *
 * A guest that arrives by migration may share its image with the source, which
 * still uses it: a back end is *inactive* (nothing is read, written or locked)
 * while the machine does not hold what is its own (system/holdings.h).
 */
#ifndef GODWIT_HW_BLOCK_BLOCK_H
#define GODWIT_HW_BLOCK_BLOCK_H

#include <inttypes.h>
#include <sys/uio.h>

#include "system/vm.h"

typedef struct BlockBackend BlockBackend;

/* What the back end is made of: -blockdev or -drive. */
typedef struct BlockOptions {
    const char *node_name;      /* its id, unique */
    const char *drive_id;       /* of -drive; "" if it came otherwise */
    const char *driver;         /* "file", "host_device", "raw"; constant */
    const char *filename;
    bool read_only;
    bool discard;               /* pass discards on ("unmap"); else ignore */
    bool direct;                /* O_DIRECT */
    bool no_flush;              /* cache.no-flush: flushes do nothing */
    bool writeback;             /* report a volatile cache to the guest */
    bool lock;                  /* refuse an image another writer has open */
    uint64_t offset;            /* of the image in the file, bytes */
    uint64_t size;              /* of the image; 0: to the file's end */
} BlockOptions;

typedef enum BlockOp {
    BLOCK_READ,
    BLOCK_WRITE,
    BLOCK_FLUSH,
    BLOCK_DISCARD,
    BLOCK_WRITE_ZEROES,
    BLOCK_OPS
} BlockOp;

/* What a back end has done; for query-blockstats. */
typedef struct BlockCounters {
    uint64_t operations[BLOCK_OPS];
    uint64_t bytes[BLOCK_OPS];
    uint64_t total_time_ns[BLOCK_OPS];
    uint64_t failed[BLOCK_OPS];
    uint64_t written_end;       /* first byte behind all that was written */
} BlockCounters;

/* Error: cannot be opened, is no regular file or block device, name taken. */
BlockBackend *block_new(Vm *vm, const BlockOptions *options, Error **errp);
/* Waits for what is under way. */
void block_free(BlockBackend *blk);

void block_free_all(Vm *vm);

BlockBackend *block_find(Vm *vm, const char *node_name);
const BlockOptions *block_options(const BlockBackend *blk);
const BlockCounters *block_counters(const BlockBackend *blk);
uint64_t block_size(const BlockBackend *blk);           /* bytes */
bool block_is_active(const BlockBackend *blk);
/* Whether a device of the guest uses it, rather than nobody or another node. */
bool block_has_device(const BlockBackend *blk);
/* The device that uses it, or NULL. One at a time; false: it has one. */
const char *block_user(const BlockBackend *blk);
bool block_claim(BlockBackend *blk, const char *user, Error **errp);
void block_release(BlockBackend *blk);
/* Has node @upper use it instead of a device: no lock is taken for it then. */
bool block_layer(BlockBackend *blk, const char *upper, Error **errp);
void block_foreach(Vm *vm, void (*fn)(BlockBackend *blk, void *data),
                   void *data);

/*
 * Starts @op on [@offset, @offset + @len) of the image; reads and writes move
 * exactly that from or to @iov, which must live until @done(@opaque, status):
 * 0 or a negative errno. A range beyond the end ends in -EINVAL, a write to a
 * read-only image in -EROFS. A flush covers every write completed before it
 * was submitted.
 */
void block_submit(BlockBackend *blk, BlockOp op, uint64_t offset, uint64_t len,
                  const struct iovec *iov, unsigned iov_count,
                  void (*done)(void *opaque, int status), void *opaque);

/* Until nothing is under way; completions are delivered from within. */
void block_drain(BlockBackend *blk);

#endif
