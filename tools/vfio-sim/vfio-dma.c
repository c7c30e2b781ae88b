/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the device does by itself: a thread that writes guest memory and raises
 * interrupts at a rate, and the log of the pages that it has written. The thread holds the lock of the device
 * while it writes, so that a device that has left a running state is quiet.
 */
#include "vfio-device.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TICK_MS 10
#define NS_PER_S 1e9

/* A device in a P2P state starts no DMA of its own. */
static bool may_write(const SimDevice *d)
{
    return d->attached && (d->mig->current == VFIO_DEVICE_STATE_RUNNING ||
                           d->mig->current == VFIO_DEVICE_STATE_PRE_COPY);
}

static void write_page(SimDevice *d)
{
    uint64_t words[SIM_DMA_PAGE / 8];
    uint64_t page = d->dma_next;

    d->dma_next = (page + 1) % (d->options->dma_length / SIM_DMA_PAGE);
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        words[i] = (d->dma_pages + 1) * 0x9e3779b97f4a7c15ULL + i;
    }
    if (sim_iommu_write(d->iommu, d->attached,
                        d->options->dma_start + page * SIM_DMA_PAGE, words,
                        sizeof(words))) {
        d->dma_pages++;
        d->dma_dirty[page] = d->dma_logging;
    }
}

static void *dma_thread(void *opaque)
{
    SimDevice *d = opaque;
    struct pollfd stop = {d->dma_stop_fd, POLLIN, 0};
    int64_t last = sim_now_ns();
    double credit = 0, irqs = 0;

    while (poll(&stop, 1, TICK_MS) <= 0) {
        int64_t now = sim_now_ns();

        g_mutex_lock(&d->lock);
        credit += (now - last) / NS_PER_S * d->options->dma_rate;
        /* What it could not write in time, or all of it once, is lost. */
        credit = MIN(credit, (double)d->options->dma_length);
        for (; credit >= SIM_DMA_PAGE; credit -= SIM_DMA_PAGE) {
            if (may_write(d)) {
                write_page(d);
            }
        }
        irqs += (now - last) / NS_PER_S * d->options->irq_rate;
        if (irqs >= 1) {
            irqs -= 1;
            if (may_write(d)) {
                sim_irq_raise(d);
            }
        }
        g_mutex_unlock(&d->lock);
        last = now;
    }
    return NULL;
}

void sim_dma_start(SimDevice *d)
{
    g_autofree char *name = g_strdup_printf("dma-%s", d->options->id);

    d->dma_stop_fd = eventfd(0, EFD_CLOEXEC);
    d->dma_thread = g_thread_new(name, dma_thread, d);
}

void sim_dma_stop(SimDevice *d)
{
    static const uint64_t one = 1;

    if (write(d->dma_stop_fd, &one, sizeof(one)) == sizeof(one)) {
        g_thread_join(d->dma_thread);
    }
    close(d->dma_stop_fd);
}

int64_t sim_dma_report(SimDevice *d, SimCall *call,
                       const struct vfio_device_feature_dma_logging_report *r)
{
    uint64_t pages = d->options->dma_length / SIM_DMA_PAGE;

    if (!d->dma_logging || !r->length || r->page_size < SIM_DMA_PAGE ||
        (r->page_size & (r->page_size - 1)) ||
        r->iova + r->length < r->iova) {
        return -EINVAL;
    }
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t at = d->options->dma_start + i * SIM_DMA_PAGE;
        uint64_t bit = (at - r->iova) / r->page_size, word, where;

        if (!d->dma_dirty[i] || at < r->iova || at - r->iova >= r->length) {
            continue;
        }
        where = r->bitmap + bit / 64 * sizeof(word);
        if (sim_call_get(call, where, &word, sizeof(word))) {
            return -EFAULT;
        }
        word |= 1ULL << (bit % 64);
        if (sim_call_put(call, where, &word, sizeof(word))) {
            return -EFAULT;
        }
        d->dma_dirty[i] = 0;
    }
    return 0;
}
