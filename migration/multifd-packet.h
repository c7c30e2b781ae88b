/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What multifd's channels carry, as bytes and as structs: the layout is in
 * docs/interop/migration-stream.rst. Pure functions: any thread, no lock.
 */
#ifndef GODWIT_MIGRATION_MULTIFD_PACKET_H
#define GODWIT_MIGRATION_MULTIFD_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

/* The wire's numbers. */
#define MULTIFD_MAGIC UINT32_C(0x11223344)
#define MULTIFD_VERSION 1
#define MULTIFD_INIT_BYTES 64
#define MULTIFD_HEAD_BYTES 1344
#define MULTIFD_PAGES 128           /* of a packet, at most */
#define MULTIFD_CHANNELS_MAX 255
#define MULTIFD_NAME_BYTES 256      /* of a block's name, terminator included */

#define MULTIFD_FLAG_SYNC UINT32_C(1)
#define MULTIFD_FLAG_METHOD (UINT32_C(0x1f) << 1)
#define MULTIFD_METHOD_NONE UINT32_C(0)
#define MULTIFD_METHOD_ZLIB (UINT32_C(1) << 1)
#define MULTIFD_METHOD_ZSTD (UINT32_C(2) << 1)

/* How a channel introduces itself. */
typedef struct MultiFDInit {
    uint8_t uuid[16];
    uint8_t id;
} MultiFDInit;

void multifd_init_put(uint8_t bytes[MULTIFD_INIT_BYTES],
                      const MultiFDInit *init);

/*
 * Reads and checks it: magic, version, @uuid, and an id below @channels (1 to
 * MULTIFD_CHANNELS_MAX).
 */
bool multifd_init_get(const uint8_t bytes[MULTIFD_INIT_BYTES],
                      const uint8_t uuid[16], unsigned channels,
                      MultiFDInit *init, Error **errp);

/* The head of a packet. */
typedef struct MultiFDHead {
    uint32_t flags;
    uint32_t normal_pages;
    uint32_t zero_pages;
    uint32_t payload_bytes;     /* next_packet_size; 0 without normal pages */
    uint64_t packet_num;
    char block[MULTIFD_NAME_BYTES];
    /* In bytes: of the normal pages, then of the zero pages */
    uint64_t offset[MULTIFD_PAGES];
} MultiFDHead;

void multifd_head_put(uint8_t bytes[MULTIFD_HEAD_BYTES],
                      const MultiFDHead *head);

/*
 * Reads and checks all that can be checked without the machine: magic, version,
 * flags, the counts against each other and against MULTIFD_PAGES, the
 * terminator of the name. @method is the only one to be accepted. The payload's
 * size is for the method to check, the offsets for multifd_head_check_block().
 */
bool multifd_head_get(const uint8_t bytes[MULTIFD_HEAD_BYTES],
                      uint32_t method, MultiFDHead *head, Error **errp);

/* Whether each offset is that of a page within a block of @size bytes. */
bool multifd_head_check_block(const MultiFDHead *head, uint64_t size,
                              Error **errp);

static inline uint32_t multifd_head_pages(const MultiFDHead *head)
{
    return head->normal_pages + head->zero_pages;
}

#endif
