/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory behind the BARs and the registers, as the model takes and gives
 * them. Called with the lock of the device held.
 */
#include "vfio-device.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define REGION_PAGES ((1ULL << SIM_REGION_SHIFT) / SIM_PAGE)

G_STATIC_ASSERT(SIM_DEVICE_FILE_BYTES / SIM_PAGE <= UINT32_MAX);
G_STATIC_ASSERT(sizeof(SimRegisters) % 64 == 0);

/* The file is sparse: what was never touched is a hole. */
static void list(void *opaque, GArray *pages)
{
    SimDevice *d = opaque;
    off_t at = 0, end;

    while ((at = lseek(d->file->fd, at, SEEK_DATA)) >= 0 &&
           (end = lseek(d->file->fd, at, SEEK_HOLE)) >= 0) {
        for (; at < end; at += SIM_PAGE) {
            uint32_t page = at / SIM_PAGE;

            g_array_append_val(pages, page);
        }
    }
}

static bool has_page(void *opaque, uint32_t page)
{
    SimDevice *d = opaque;
    uint64_t index = page / REGION_PAGES;

    return index <= VFIO_PCI_BAR5_REGION_INDEX &&
           page % REGION_PAGES < d->options->bars[index].size / SIM_PAGE;
}

static void read_page(void *opaque, uint32_t page, void *data)
{
    SimDevice *d = opaque;

    /* A page of a file in memory that is there: nothing can be missing. */
    if (pread(d->file->fd, data, SIM_PAGE, (off_t)page * SIM_PAGE) !=
        SIM_PAGE) {
        memset(data, 0, SIM_PAGE);
    }
}

static bool write_page(void *opaque, uint32_t page, const void *data,
                       Error **errp)
{
    SimDevice *d = opaque;

    if (pwrite(d->file->fd, data, SIM_PAGE, (off_t)page * SIM_PAGE) !=
        SIM_PAGE) {
        error_setg_errno(errp, errno, "writing page %u of the BARs", page);
        return false;
    }
    return true;
}

static void clear(void *opaque)
{
    SimDevice *d = opaque;

    if (fallocate(d->file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                  SIM_DEVICE_FILE_BYTES)) {
        g_warning("clearing the BARs of %s: %s", d->options->id,
                  g_strerror(errno));
    }
}

static void get_registers(void *opaque, SimRegisters *r)
{
    SimDevice *d = opaque;

    memset(r, 0, sizeof(*r));
    memcpy(r->config, d->config, sizeof(r->config));
    r->doorbells = d->doorbells;
    r->interrupts = d->interrupts;
    r->dma_pages = d->dma_pages;
    r->dma_next = d->dma_next;
    r->intx_pending = d->intx_pending;
}

static bool set_registers(void *opaque, const SimRegisters *r, Error **errp)
{
    SimDevice *d = opaque;

    for (unsigned i = 0; i < SIM_CONFIG_BYTES; i++) {
        uint8_t fixed = ~d->writable[i];

        if ((d->config[i] ^ r->config[i]) & fixed) {
            error_setg(errp, "byte 0x%x of the configuration space is 0x%02x, "
                       "and 0x%02x in this device", i, r->config[i],
                       d->config[i]);
            return false;
        }
    }
    memcpy(d->config, r->config, sizeof(d->config));
    d->doorbells = r->doorbells;
    d->interrupts = r->interrupts;
    d->dma_pages = r->dma_pages;
    d->dma_next = r->dma_next % (d->options->dma_length / SIM_DMA_PAGE);
    d->intx_pending = r->intx_pending;
    return true;
}

const SimMemoryOps sim_device_memory = {
    list, has_page, read_page, write_page, clear, get_registers, set_registers,
};
