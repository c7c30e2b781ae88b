/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmaps of any length, as arrays of 64-bit words; bit n is bit n % 64 of
 * word n / 64. Indices and lengths are in bits. The functions whose name has
 * "atomic" may race with each other; the others need the caller's lock.
 */
#ifndef GODWIT_UTIL_BITMAP_H
#define GODWIT_UTIL_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BITMAP_WORD_BITS 64

static inline size_t bitmap_words(uint64_t nbits)
{
    return (size_t)(nbits / BITMAP_WORD_BITS + (nbits % BITMAP_WORD_BITS != 0));
}

/*
 * A bitmap of @nbits zero bits that occupies memory only where bits are set
 * (a private anonymous mapping, not counted against overcommit): a bitmap of
 * a terabyte's pages costs nothing until used. NULL if @nbits is 0 or address
 * space ran out. Freed by bitmap_free() with the same @nbits.
 */
uint64_t *bitmap_new(uint64_t nbits);
void bitmap_free(uint64_t *map, uint64_t nbits);

static inline bool bitmap_test(const uint64_t *map, uint64_t bit)
{
    return map[bit / BITMAP_WORD_BITS] >> (bit % BITMAP_WORD_BITS) & 1;
}

static inline void bitmap_set(uint64_t *map, uint64_t bit)
{
    map[bit / BITMAP_WORD_BITS] |= UINT64_C(1) << (bit % BITMAP_WORD_BITS);
}

/* Clears @bit; returns whether it was set. */
static inline bool bitmap_test_and_clear(uint64_t *map, uint64_t bit)
{
    uint64_t mask = UINT64_C(1) << (bit % BITMAP_WORD_BITS);
    uint64_t *word = &map[bit / BITMAP_WORD_BITS];
    bool was_set = *word & mask;

    *word &= ~mask;
    return was_set;
}

/* Sets or clears the @count bits from @start. */
void bitmap_set_range(uint64_t *map, uint64_t start, uint64_t count);
void bitmap_clear_range(uint64_t *map, uint64_t start, uint64_t count);

/* The first set (clear) bit at or after @from and below @nbits, or @nbits. */
uint64_t bitmap_find_next(const uint64_t *map, uint64_t nbits, uint64_t from);
uint64_t bitmap_find_next_zero(const uint64_t *map, uint64_t nbits,
                               uint64_t from);

/* How many of the first @nbits bits are set. */
uint64_t bitmap_count(const uint64_t *map, uint64_t nbits);

/* Sets a bit that others may set or take at the same time; full barrier. */
static inline void bitmap_set_atomic(uint64_t *map, uint64_t bit)
{
    uint64_t mask = UINT64_C(1) << (bit % BITMAP_WORD_BITS);

    __atomic_fetch_or(&map[bit / BITMAP_WORD_BITS], mask, __ATOMIC_SEQ_CST);
}

void bitmap_set_range_atomic(uint64_t *map, uint64_t start, uint64_t count);

/*
 * Moves the first @nbits bits of @src, which others may set at the same time,
 * into @dst by OR, and clears them in @src. Returns how many bits of @dst this
 * turned from 0 to 1.
 */
uint64_t bitmap_take_atomic(uint64_t *dst, uint64_t *src, uint64_t nbits);

#endif
