/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dirty logs: which pages of guest RAM were written since a reader last asked.
 * Marking is done by any thread and takes no lock; docs/devel/architecture.rst
 * says why no write is lost. Memory.log_lock serializes who starts and stops
 * logs, and is held across the vCPU barrier that this takes.
 */
#include <inttypes.h>
#include <sys/mman.h>

#include "system/memory-int.h"
#include "trace/trace-system.h"
#include "util/log.h"

void dirty_init(Memory *mem)
{
    g_mutex_init(&mem->log_lock);
    mem->sources = g_array_new(FALSE, FALSE, sizeof(DirtySource));
    for (unsigned i = 0; i < DIRTY_LOGS_MAX; i++) {
        mem->log[i].memory = mem;
        mem->log[i].slot = i;
    }
}

static uint64_t block_pages(const RamBlock *rb)
{
    return rb->backing.size / GUEST_PAGE_SIZE;
}

void dirty_cleanup(Memory *mem)
{
    g_assert(mem->active_logs == 0);
    for (unsigned i = 0; i < DIRTY_LOGS_MAX; i++) {
        for (unsigned j = 0; j < mem->blocks; j++) {
            bitmap_free(mem->log[i].map[j], block_pages(mem->block[j]));
        }
    }
    g_assert(mem->sources->len == 0);
    g_array_unref(mem->sources);
    g_mutex_clear(&mem->log_lock);
}

void memory_mark_dirty(RamBlock *rb, uint64_t offset, uint64_t len)
{
    Memory *mem = rb->memory;
    uint64_t first = offset / GUEST_PAGE_SIZE;
    uint32_t active;

    if (len == 0) {
        return;
    }
    /*
     * The caller's store before the look at who is interested; the other half
     * is in dirty_log_start().
     */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    active = __atomic_load_n(&mem->active_logs, __ATOMIC_ACQUIRE);
    while (active) {
        unsigned slot = __builtin_ctz(active);
        uint64_t *map = __atomic_load_n(&mem->log[slot].map[rb->index],
                                        __ATOMIC_ACQUIRE);

        /* NULL: the log began after @active was read, for fewer blocks. */
        if (map) {
            bitmap_set_range_atomic(map, first,
                                    (offset + len - 1) / GUEST_PAGE_SIZE -
                                        first + 1);
        }
        active &= active - 1;
    }
}

bool memory_dirty_logging(Memory *mem)
{
    return __atomic_load_n(&mem->active_logs, __ATOMIC_ACQUIRE) != 0;
}

void memory_set_vcpu_barrier(Memory *mem, void (*barrier)(void *opaque),
                             void *opaque)
{
    mem->vcpu_barrier = barrier;
    mem->vcpu_opaque = opaque;
}

static void vcpu_barrier(Memory *mem)
{
    if (mem->vcpu_barrier) {
        mem->vcpu_barrier(mem->vcpu_opaque);
    }
}

/* A bitmap for every block, all clear. Memory.log_lock. */
static bool prepare_maps(DirtyLog *log, Error **errp)
{
    Memory *mem = log->memory;
    RamBlock *rb;

    for (unsigned i = 0; (rb = memory_ram_by_index(mem, i)); i++) {
        uint64_t *map;

        if (log->map[i]) {
            continue;
        }
        map = bitmap_new(block_pages(rb));
        if (!map) {
            error_setg(errp, "dirty log '%s': no address space for the bitmap "
                       "of RAM block '%s' (%" PRIu64 " pages)", log->name,
                       rb->id, block_pages(rb));
            return false;
        }
        __atomic_store_n(&log->map[i], map, __ATOMIC_RELEASE);
    }
    return true;
}

/* Gives the memory of the bitmaps back, which also clears them. */
static void empty_maps(DirtyLog *log)
{
    Memory *mem = log->memory;
    RamBlock *rb;

    for (unsigned i = 0; (rb = memory_ram_by_index(mem, i)); i++) {
        if (log->map[i]) {
            madvise(log->map[i],
                    bitmap_words(block_pages(rb)) * sizeof(uint64_t),
                    MADV_DONTNEED);
        }
    }
}

/* ---- who writes without marking ---- */

/* Memory.log_lock, for all of these. */
static void start_sources(Memory *mem)
{
    for (guint i = 0; i < mem->sources->len; i++) {
        DirtySource *src = &g_array_index(mem->sources, DirtySource, i);

        src->warned = false;
        src->ops->start(src->opaque);
    }
}

static void stop_sources(Memory *mem)
{
    for (guint i = 0; i < mem->sources->len; i++) {
        DirtySource *src = &g_array_index(mem->sources, DirtySource, i);

        src->ops->stop(src->opaque);
    }
}

static void mark_all(Memory *mem)
{
    RamBlock *rb;

    for (unsigned i = 0; (rb = memory_ram_by_index(mem, i)); i++) {
        if (rb->mapped && !rb->backing.readonly) {
            memory_mark_dirty(rb, 0, rb->backing.size);
        }
    }
}

static void sync_source(Memory *mem, DirtySource *src)
{
    Error *err = NULL;
    bool ok = src->ops->sync(src->opaque, &err);

    trace_dirty_source_sync(src->name, ok);
    if (ok) {
        return;
    }
    mark_all(mem);
    if (!src->warned) {
        src->warned = true;
        error_prepend(&err, "%s: all of the guest's memory counts as written, "
                      "because it is not known which pages were: ", src->name);
        warn_report_err(err);
    } else {
        g_error_free(err);
    }
}

void dirty_log_sync(DirtyLog *log)
{
    Memory *mem = log->memory;

    g_mutex_lock(&mem->log_lock);
    for (guint i = 0; i < mem->sources->len; i++) {
        sync_source(mem, &g_array_index(mem->sources, DirtySource, i));
    }
    g_mutex_unlock(&mem->log_lock);
}

void memory_add_dirty_source(Memory *mem, const char *name,
                             const DirtySourceOps *ops, void *opaque)
{
    DirtySource src = { .name = name, .ops = ops, .opaque = opaque };

    g_mutex_lock(&mem->log_lock);
    g_array_append_val(mem->sources, src);
    if (memory_dirty_logging(mem)) {
        ops->start(opaque);
    }
    g_mutex_unlock(&mem->log_lock);
}

void memory_remove_dirty_source(Memory *mem, void *opaque)
{
    g_mutex_lock(&mem->log_lock);
    for (guint i = 0; i < mem->sources->len; i++) {
        DirtySource *src = &g_array_index(mem->sources, DirtySource, i);

        if (src->opaque == opaque) {
            if (memory_dirty_logging(mem)) {
                src->ops->stop(opaque);
            }
            g_array_remove_index(mem->sources, i);
            break;
        }
    }
    g_mutex_unlock(&mem->log_lock);
}

DirtyLog *dirty_log_start(Memory *mem, const char *name, Error **errp)
{
    DirtyLog *log = NULL;

    g_mutex_lock(&mem->log_lock);
    for (unsigned i = 0; i < DIRTY_LOGS_MAX && !log; i++) {
        if (!mem->log[i].active) {
            log = &mem->log[i];
        }
    }
    if (!log) {
        error_setg(errp, "dirty log '%s': %d are active already, which is the "
                   "most", name, DIRTY_LOGS_MAX);
        g_mutex_unlock(&mem->log_lock);
        return NULL;
    }
    log->name = g_strdup(name);
    empty_maps(log);
    if (!prepare_maps(log, errp)) {
        g_clear_pointer(&log->name, g_free);
        g_mutex_unlock(&mem->log_lock);
        return NULL;
    }
    /* A device may write from here on, and the first copy comes later. */
    if (!memory_dirty_logging(mem)) {
        start_sources(mem);
    }
    log->active = true;
    __atomic_fetch_or(&mem->active_logs, 1u << log->slot, __ATOMIC_SEQ_CST);
    /*
     * A device that found no log to mark in stored before this fence, and the
     * reader sees the store; harts start to mark at the barrier.
     */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    vcpu_barrier(mem);
    g_mutex_unlock(&mem->log_lock);
    return log;
}

void dirty_log_stop(DirtyLog *log)
{
    Memory *mem = log->memory;

    g_mutex_lock(&mem->log_lock);
    g_assert(log->active);
    __atomic_fetch_and(&mem->active_logs, ~(1u << log->slot),
                       __ATOMIC_SEQ_CST);
    vcpu_barrier(mem);
    if (!memory_dirty_logging(mem)) {
        stop_sources(mem);
    }
    empty_maps(log);
    log->active = false;
    g_clear_pointer(&log->name, g_free);
    g_mutex_unlock(&mem->log_lock);
}

uint64_t dirty_log_take(DirtyLog *log, const RamBlock *rb, uint64_t *bitmap)
{
    return bitmap_take_atomic(bitmap, log->map[rb->index], block_pages(rb));
}

void dirty_log_barrier(DirtyLog *log)
{
    vcpu_barrier(log->memory);
}
