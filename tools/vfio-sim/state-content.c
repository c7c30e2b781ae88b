/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Content and digests, fast enough not to be what limits a migration: both are
 * loops over words that a compiler turns into vector code or keeps in several
 * independent chains. Pure functions: any thread, no locks.
 */
#include "state-content.h"

#include <string.h>

#define GOLDEN 0x9e3779b97f4a7c15ULL

/* The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

void sim_content_init(SimContent *content, uint64_t seed)
{
    content->seed = seed;
    for (unsigned i = 0; i < SIM_BLOCK / 8; i++) {
        content->pool[i] = mix(seed + (i + 1) * GOLDEN);
    }
}

void sim_content_fill(const SimContent *content, uint32_t number,
                      uint32_t generation, void *data)
{
    uint64_t key = mix(mix(content->seed ^ ((uint64_t)number << 32)) +
                       generation);
    uint64_t *word = data;

    for (unsigned i = 0; i < SIM_BLOCK / 8; i++) {
        word[i] = content->pool[i] ^ (key + (uint64_t)i * i);
    }
}

uint64_t sim_digest(uint32_t number, const void *data, size_t len)
{
    enum { LANES = 8 };
    uint64_t lane[LANES], sum = mix(number + GOLDEN);
    const uint8_t *from = data;

    for (unsigned i = 0; i < LANES; i++) {
        lane[i] = (i + 1) * GOLDEN;
    }
    for (size_t at = 0; at < len; at += LANES * 8) {
        uint64_t word[LANES];

        memcpy(word, from + at, sizeof(word));
        for (unsigned i = 0; i < LANES; i++) {
            lane[i] = (lane[i] ^ word[i]) * 0xff51afd7ed558ccdULL;
            lane[i] ^= lane[i] >> 32;
        }
    }
    for (unsigned i = 0; i < LANES; i++) {
        sum = mix(sum ^ lane[i]);
    }
    return sum;
}

uint64_t sim_digest_fold(uint64_t sum, uint64_t digest)
{
    sum = (sum ^ digest) * 0x9fb21c651e98df25ULL;
    return sum ^ sum >> 35;
}
