/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest has written into a device, as the model sees it: memory behind
 * BARs in pages, and registers. It belongs to the state that migrates, and is
 * what only STOP_COPY gives. Whoever owns the memory implements the table; all
 * of it is called with the lock of the device held.
 */
#ifndef VFIO_SIM_DEVICE_MEMORY_H
#define VFIO_SIM_DEVICE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "page-set.h"
#include "util/error.h"

#define SIM_CONFIG_BYTES 256

/* As in the stream, little-endian; a multiple of 64 bytes. */
typedef struct SimRegisters {
    uint8_t config[SIM_CONFIG_BYTES];
    uint64_t doorbells;  /* how often the doorbell was written */
    uint64_t interrupts; /* how many were raised */
    uint64_t dma_pages;  /* how many pages DMA has written */
    uint64_t dma_next;   /* which of dma-range is next */
    uint32_t intx_pending;
    uint32_t zero[7];
} SimRegisters;

typedef struct SimMemoryOps {
    /* Appends the numbers (uint32_t) of the pages that were ever touched. */
    void (*list)(void *opaque, GArray *pages);
    bool (*has_page)(void *opaque, uint32_t page);
    /* SIM_PAGE bytes of a page that was listed. */
    void (*read)(void *opaque, uint32_t page, void *data);
    /* SIM_PAGE bytes for a page that it has. */
    bool (*write)(void *opaque, uint32_t page, const void *data, Error **errp);
    /* All pages are as if never touched. */
    void (*clear)(void *opaque);
    void (*get_registers)(void *opaque, SimRegisters *registers);
    /* False if they are those of another device. */
    bool (*set_registers)(void *opaque, const SimRegisters *registers,
                          Error **errp);
} SimMemoryOps;

#endif
