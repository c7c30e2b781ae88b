/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Zero pages. Entered by the migration threads; no lock.
 *
 * The test reads as fast as memory delivers: most pages with something in them
 * show it in one of three words, and for the rest the next lines are asked
 * for while these are looked at. Wider vectors are used where the CPU has
 * them; the code is the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

#include "migration/zero-page.h"

/* ---- reading ---- */

typedef uint64_t Vec __attribute__((vector_size(32), may_alias));

#define VECS_PER_PAGE (GUEST_PAGE_SIZE / sizeof(Vec))
#define VECS_PER_STEP 8
#define PREFETCH_BYTES 1024

static inline __attribute__((always_inline)) bool
all_zero(const uint8_t *page)
{
    const Vec *v = (const Vec *)page;

    for (unsigned i = 0; i < VECS_PER_PAGE; i += VECS_PER_STEP) {
        Vec any = v[i];

        /* Beyond the page's end too: the next page is looked at next. */
        __builtin_prefetch(page + i * sizeof(Vec) + PREFETCH_BYTES);
        __builtin_prefetch(page + i * sizeof(Vec) + PREFETCH_BYTES + 64);
        __builtin_prefetch(page + i * sizeof(Vec) + PREFETCH_BYTES + 128);
        __builtin_prefetch(page + i * sizeof(Vec) + PREFETCH_BYTES + 192);
        for (unsigned k = 1; k < VECS_PER_STEP; k++) {
            any |= v[i + k];
        }
        if (any[0] | any[1] | any[2] | any[3]) {
            return false;
        }
    }
    return true;
}

static bool all_zero_baseline(const uint8_t *page)
{
    return all_zero(page);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static bool all_zero_avx2(const uint8_t *page)
{
    return all_zero(page);
}
#endif

static uint64_t word_at(const uint8_t *page, size_t offset)
{
    uint64_t word;

    memcpy(&word, page + offset, sizeof(word));
    return word;
}

bool page_is_zero(const uint8_t *page)
{
    if (word_at(page, 0) |
        word_at(page, GUEST_PAGE_SIZE / 2 + 64) |
        word_at(page, GUEST_PAGE_SIZE - sizeof(uint64_t))) {
        return false;
    }
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        return all_zero_avx2(page);
    }
#endif
    return all_zero_baseline(page);
}

/* ---- knowing without reading ---- */

#define WINDOW_PAGES 512
#define WINDOW_WORDS (WINDOW_PAGES / BITMAP_WORD_BITS)

/* Of an entry of /proc/PID/pagemap (the kernel's admin-guide/mm/pagemap) */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)

struct PagePresence {
    int pagemap;                /* -1: cannot be had; all may be there */
    bool shared;                /* it is another's */
    const RamBlock *rb;         /* whose window is known; NULL: none */
    uint64_t window;
    uint64_t there[WINDOW_WORDS];
};

PagePresence *page_presence_new(void)
{
    PagePresence *p = g_new0(PagePresence, 1);

    p->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    return p;
}

PagePresence *page_presence_new_shared(const PagePresence *owner)
{
    PagePresence *p = g_new0(PagePresence, 1);

    p->pagemap = owner->pagemap;
    p->shared = true;
    return p;
}

void page_presence_free(PagePresence *p)
{
    if (p) {
        if (p->pagemap >= 0 && !p->shared) {
            close(p->pagemap);
        }
        g_free(p);
    }
}

void page_presence_forget(PagePresence *p)
{
    p->rb = NULL;
}

/* Private anonymous memory: neither mapped nor in swap is not there. */
static void window_of_pagemap(PagePresence *p, const RamBlock *rb,
                              uint64_t first, uint64_t count)
{
    uint64_t entry[WINDOW_PAGES];
    uint64_t page = (uintptr_t)rb->host / GUEST_PAGE_SIZE + first;
    ssize_t len = count * sizeof(entry[0]);

    if (p->pagemap < 0 ||
        pread(p->pagemap, entry, len, page * sizeof(entry[0])) != len) {
        bitmap_set_range(p->there, 0, WINDOW_PAGES);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (entry[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)) {
            bitmap_set(p->there, i);
        }
    }
}

/* Memory shared through a file: what is not in a hole is there. */
static void window_of_file(PagePresence *p, const RamBlock *rb, uint64_t first,
                           uint64_t count)
{
    off_t base = rb->backing.fd_offset + first * GUEST_PAGE_SIZE;
    off_t end = base + count * GUEST_PAGE_SIZE;
    off_t at = base;

    while (at < end) {
        off_t data = lseek(rb->backing.fd, at, SEEK_DATA);
        off_t hole;

        if (data < 0 || data >= end) {
            /* ENXIO says that nothing follows; whatever else, be careful. */
            if (data < 0 && errno != ENXIO) {
                bitmap_set_range(p->there, 0, WINDOW_PAGES);
            }
            return;
        }
        hole = lseek(rb->backing.fd, data, SEEK_HOLE);
        if (hole <= data || hole > end) {
            hole = end;
        }
        data = (data - base) / GUEST_PAGE_SIZE;
        bitmap_set_range(p->there, data,
                         (hole - base + GUEST_PAGE_SIZE - 1) / GUEST_PAGE_SIZE -
                         data);
        at = hole;
    }
}

static void look_at_window(PagePresence *p, const RamBlock *rb,
                           uint64_t window)
{
    uint64_t first = window * WINDOW_PAGES;
    uint64_t pages = rb->backing.size / GUEST_PAGE_SIZE;
    uint64_t count = MIN(pages - first, WINDOW_PAGES);

    p->rb = rb;
    p->window = window;
    memset(p->there, 0, sizeof(p->there));
    if (rb->backing.fd < 0 && !rb->backing.share) {
        window_of_pagemap(p, rb, first, count);
    } else if (rb->backing.fd >= 0 && rb->backing.share) {
        window_of_file(p, rb, first, count);
    } else {
        bitmap_set_range(p->there, 0, WINDOW_PAGES);
    }
}

bool page_presence_absent(PagePresence *p, const RamBlock *rb, uint64_t page)
{
    uint64_t window = page / WINDOW_PAGES;

    if (p->rb != rb || p->window != window) {
        look_at_window(p, rb, window);
    }
    return !bitmap_test(p->there, page % WINDOW_PAGES);
}

void page_presence_written(PagePresence *p, const RamBlock *rb, uint64_t page)
{
    if (p->rb == rb && p->window == page / WINDOW_PAGES) {
        bitmap_set(p->there, page % WINDOW_PAGES);
    }
}
