/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bitmaps. Any thread, under the rules of the header; no lock of its own. */
#include <sys/mman.h>

#include "util/bitmap.h"

uint64_t *bitmap_new(uint64_t nbits)
{
    size_t bytes = bitmap_words(nbits) * sizeof(uint64_t);
    void *map;

    if (bytes == 0) {
        return NULL;
    }
    map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return map == MAP_FAILED ? NULL : map;
}

void bitmap_free(uint64_t *map, uint64_t nbits)
{
    if (map) {
        munmap(map, bitmap_words(nbits) * sizeof(uint64_t));
    }
}

/* The bits of word @index that lie in [start, end). */
static uint64_t word_mask(uint64_t index, uint64_t start, uint64_t end)
{
    uint64_t first = index * BITMAP_WORD_BITS;
    uint64_t mask = UINT64_MAX;

    if (start > first) {
        mask &= UINT64_MAX << (start - first);
    }
    if (end < first + BITMAP_WORD_BITS) {
        mask &= UINT64_MAX >> (first + BITMAP_WORD_BITS - end);
    }
    return mask;
}

void bitmap_set_range(uint64_t *map, uint64_t start, uint64_t count)
{
    uint64_t end = start + count;

    for (uint64_t i = start / BITMAP_WORD_BITS; i < bitmap_words(end); i++) {
        map[i] |= word_mask(i, start, end);
    }
}

void bitmap_clear_range(uint64_t *map, uint64_t start, uint64_t count)
{
    uint64_t end = start + count;

    for (uint64_t i = start / BITMAP_WORD_BITS; i < bitmap_words(end); i++) {
        map[i] &= ~word_mask(i, start, end);
    }
}

void bitmap_set_range_atomic(uint64_t *map, uint64_t start, uint64_t count)
{
    uint64_t end = start + count;

    for (uint64_t i = start / BITMAP_WORD_BITS; i < bitmap_words(end); i++) {
        __atomic_fetch_or(&map[i], word_mask(i, start, end), __ATOMIC_SEQ_CST);
    }
}

/* First bit at or after @from whose value differs from @flip's bits. */
static uint64_t find_next(const uint64_t *map, uint64_t nbits, uint64_t from,
                          uint64_t flip)
{
    uint64_t index = from / BITMAP_WORD_BITS;
    uint64_t word;

    if (from >= nbits) {
        return nbits;
    }
    word = (map[index] ^ flip) & UINT64_MAX << (from % BITMAP_WORD_BITS);
    while (word == 0) {
        if (++index >= bitmap_words(nbits)) {
            return nbits;
        }
        word = map[index] ^ flip;
    }
    from = index * BITMAP_WORD_BITS + __builtin_ctzll(word);
    return from < nbits ? from : nbits;
}

uint64_t bitmap_find_next(const uint64_t *map, uint64_t nbits, uint64_t from)
{
    return find_next(map, nbits, from, 0);
}

uint64_t bitmap_find_next_zero(const uint64_t *map, uint64_t nbits,
                               uint64_t from)
{
    return find_next(map, nbits, from, UINT64_MAX);
}

uint64_t bitmap_count(const uint64_t *map, uint64_t nbits)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < bitmap_words(nbits); i++) {
        count += __builtin_popcountll(map[i] & word_mask(i, 0, nbits));
    }
    return count;
}

uint64_t bitmap_take_atomic(uint64_t *dst, uint64_t *src, uint64_t nbits)
{
    uint64_t fresh = 0;

    for (uint64_t i = 0; i < bitmap_words(nbits); i++) {
        uint64_t taken;

        /* Most words are clean: look before paying for the exchange. */
        if (__atomic_load_n(&src[i], __ATOMIC_RELAXED) == 0) {
            continue;
        }
        taken = __atomic_exchange_n(&src[i], 0, __ATOMIC_SEQ_CST);
        taken &= word_mask(i, 0, nbits);
        fresh += __builtin_popcountll(taken & ~dst[i]);
        dst[i] |= taken;
    }
    return fresh;
}
