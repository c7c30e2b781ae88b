/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sparse set of pages. Pure; guarded by its owner's lock. */
#include "page-set.h"

#define PAGE_SHIFT 12
#define CHUNK_SHIFT 9 /* pages in a chunk */
#define CHUNK_PAGES (1u << CHUNK_SHIFT)
#define CHUNK_WORDS (CHUNK_PAGES / 64)

static guint hash_number(gconstpointer key)
{
    return g_int64_hash(key);
}

void sim_page_set_init(SimPageSet *set)
{
    set->chunks = g_hash_table_new_full(hash_number, g_int64_equal, g_free,
                                        g_free);
}

void sim_page_set_destroy(SimPageSet *set)
{
    g_hash_table_unref(set->chunks);
}

void sim_page_set_clear(SimPageSet *set)
{
    g_hash_table_remove_all(set->chunks);
}

void sim_page_set_add(SimPageSet *set, uint64_t at)
{
    uint64_t page = at >> PAGE_SHIFT, number = page >> CHUNK_SHIFT;
    unsigned bit = page % CHUNK_PAGES;
    uint64_t *words = g_hash_table_lookup(set->chunks, &number);

    if (!words) {
        words = g_new0(uint64_t, CHUNK_WORDS);
        g_hash_table_insert(set->chunks, g_memdup2(&number, sizeof(number)),
                            words);
    }
    words[bit / 64] |= 1ULL << (bit % 64);
}

/* Which range is reported, and to whom. */
typedef struct Report {
    uint64_t start, last, page_size;
    bool clear;
    SimPageWord *word;
    void *opaque;
} Report;

/* The pages of one word of a chunk, the first of which is @page. */
static bool report_word(const Report *r, uint64_t page, uint64_t *pages)
{
    uint64_t taken = 0, bits = 0, index = 0;

    for (unsigned i = 0; i < 64; i++) {
        uint64_t at = (page + i) << PAGE_SHIFT, bit;

        if (!(*pages >> i & 1) || at < r->start || at > r->last) {
            continue;
        }
        bit = (at - r->start) / r->page_size;
        if (bits && bit / 64 != index) {
            if (!r->word(r->opaque, index, bits)) {
                return false;
            }
            bits = 0;
            *pages &= ~(r->clear ? taken : 0);
            taken = 0;
        }
        index = bit / 64;
        bits |= 1ULL << (bit % 64);
        taken |= 1ULL << i;
    }
    if (bits && !r->word(r->opaque, index, bits)) {
        return false;
    }
    *pages &= ~(r->clear ? taken : 0);
    return true;
}

bool sim_page_set_report(SimPageSet *set, uint64_t start, uint64_t length,
                         uint64_t page_size, bool clear, SimPageWord *word,
                         void *opaque)
{
    Report r = {start, start + length - 1, page_size, clear, word, opaque};
    GHashTableIter iter;
    gpointer key, value;

    if (!length) {
        return true;
    }
    g_hash_table_iter_init(&iter, set->chunks);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        uint64_t page = *(uint64_t *)key << CHUNK_SHIFT;
        uint64_t *pages = value, any = 0;

        for (unsigned i = 0; i < CHUNK_WORDS; i++) {
            if (pages[i] && !report_word(&r, page + i * 64, &pages[i])) {
                return false;
            }
            any |= pages[i];
        }
        if (!any) {
            g_hash_table_iter_remove(&iter);
        }
    }
    return true;
}

static bool drop_word(void *opaque, uint64_t index, uint64_t bits)
{
    (void)opaque;
    (void)index;
    (void)bits;
    return true;
}

void sim_page_set_remove(SimPageSet *set, uint64_t start, uint64_t length)
{
    sim_page_set_report(set, start, length, SIM_PAGE, true, drop_word, NULL);
}
