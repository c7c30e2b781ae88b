/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest memory as a module: its registration and its numbers. Entered by the
 * main loop under the big lock; the statistics by any thread. No lock of its
 * own.
 */
#include "migration/multifd-recv.h"
#include "migration/multifd-send.h"
#include "migration/ram-int.h"

/* Only channels beside the stream can keep anybody waiting. */
static void ram_interrupt(void *opaque)
{
    Ram *ram = opaque;

    if (ram->options.multifd_send) {
        multifd_send_interrupt(ram->options.multifd_send);
    }
    if (ram->options.multifd_recv) {
        Error *err = NULL;

        error_setg(&err, "multifd: the channels were told to stop");
        multifd_recv_fail(ram->options.multifd_recv, err);
    }
}

static const SaveVMHandlers ram_handlers = {
    .save_setup = ram_save_setup,
    .save_cleanup = ram_save_cleanup,
    .save_query_pending = ram_save_query_pending,
    .save_live_iterate = ram_save_iterate,
    .save_postcopy = ram_save_postcopy,
    .save_complete = ram_save_complete,
    .interrupt = ram_interrupt,
    .load_setup = ram_load_setup,
    .load_state = ram_load,
    .load_complete = ram_load_complete,
    .load_cleanup = ram_load_cleanup,
};

Ram *ram_new(Vm *vm, Clock *clock)
{
    Ram *ram = g_new0(Ram, 1);

    ram->vm = vm;
    ram->clock = clock;
    ram->options.detect_zero_pages = true;
    g_mutex_init(&ram->requests.lock);
    g_mutex_init(&ram->dirty_lock);
    savevm_register_live(vm, "ram", 0, RAM_SAVE_VERSION, &ram_handlers, ram);
    return ram;
}

void ram_free(Ram *ram)
{
    if (!ram) {
        return;
    }
    savevm_unregister_live(ram->vm, "ram", ram);
    ram_save_cleanup(ram);
    ram_load_cleanup(ram);
    g_mutex_clear(&ram->requests.lock);
    g_mutex_clear(&ram->dirty_lock);
    g_free(ram);
}

void ram_set_options(Ram *ram, const RamOptions *options)
{
    ram->options = *options;
}

void ram_set_snapshot(Ram *ram, struct Snapshot *snapshot)
{
    ram->snapshot = snapshot;
}

#define LOAD_STAT(_name) \
    stats->_name = __atomic_load_n(&ram->stats._name, __ATOMIC_RELAXED)

void ram_get_stats(Ram *ram, RamStats *stats)
{
    LOAD_STAT(total_bytes);
    LOAD_STAT(sent_bytes);
    LOAD_STAT(normal_pages);
    LOAD_STAT(zero_pages);
    LOAD_STAT(dirty_pages_rate);
    LOAD_STAT(period_dirty_bytes);
    LOAD_STAT(period_sent_bytes);
    LOAD_STAT(period_ns);
    LOAD_STAT(syncs);
    LOAD_STAT(postcopy_requests);
    LOAD_STAT(multifd_bytes);
    stats->remaining_bytes = dirty_count(&ram->dirty) * GUEST_PAGE_SIZE;
}

void ram_get_load_stats(Ram *ram, uint64_t *normal_pages,
                        uint64_t *zero_pages)
{
    *normal_pages =
        __atomic_load_n(&ram->loaded_normal_pages, __ATOMIC_RELAXED) +
        __atomic_load_n(&ram->multifd_normal_pages, __ATOMIC_RELAXED);
    *zero_pages =
        __atomic_load_n(&ram->loaded_zero_pages, __ATOMIC_RELAXED) +
        __atomic_load_n(&ram->multifd_zero_pages, __ATOMIC_RELAXED);
}
