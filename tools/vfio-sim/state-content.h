/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a simulated device's state is made of: blocks of pseudo-random content
 * that follows from a seed, the block's number and its generation (how often
 * it has changed), and the digests by which two sides compare. Pure.
 */
#ifndef VFIO_SIM_STATE_CONTENT_H
#define VFIO_SIM_STATE_CONTENT_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of a block; state sizes are multiples of it. */
#define SIM_BLOCK 65536

typedef struct SimContent {
    uint64_t seed;
    uint64_t pool[SIM_BLOCK / 8];
} SimContent;

void sim_content_init(SimContent *content, uint64_t seed);

/* Writes block @number in its @generation to @data (SIM_BLOCK bytes). */
void sim_content_fill(const SimContent *content, uint32_t number,
                      uint32_t generation, void *data);

/* The digest of part @number with @len bytes of @data, a multiple of 64. */
uint64_t sim_digest(uint32_t number, const void *data, size_t len);

/* The digest of a sequence: @sum of what came before, and the next @digest. */
uint64_t sim_digest_fold(uint64_t sum, uint64_t digest);

#endif
