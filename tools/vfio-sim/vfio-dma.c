/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the device does by itself: a thread that writes guest memory and raises
 * interrupts at a rate, and the log of the pages that it has written. The
 * thread holds the lock of the device while it writes, so that a device that
 * has left a running state is quiet.
 */
#include "vfio-device.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "bitmap-call.h"
#include "util/checked.h"

/* As the kernel: what fits into a page of ranges. */
#define LOG_RANGES_MAX 256

#define TICK_MS 10
#define NS_PER_S 1e9

/* A device in a P2P state starts no DMA of its own. */
static bool may_write(const SimDevice *d)
{
    return (d->attached || (d->container && d->bound)) &&
           (d->mig->current == VFIO_DEVICE_STATE_RUNNING ||
            d->mig->current == VFIO_DEVICE_STATE_PRE_COPY);
}

static void log_page(SimDevice *d, uint64_t at)
{
    for (guint i = 0; d->dma_logging && i < d->dma_ranges->len; i++) {
        const SimMapRange *r = &g_array_index(d->dma_ranges, SimMapRange, i);

        if (at >= r->start && at <= r->last) {
            sim_page_set_add(&d->dma_log, at);
        }
    }
}

static void write_page(SimDevice *d)
{
    uint64_t words[SIM_DMA_PAGE / 8];
    uint64_t page = d->dma_next;
    uint64_t at = d->options->dma_start + page * SIM_DMA_PAGE;

    d->dma_next = (page + 1) % (d->options->dma_length / SIM_DMA_PAGE);
    for (unsigned i = 0; i < G_N_ELEMENTS(words); i++) {
        words[i] = (d->dma_pages + 1) * 0x9e3779b97f4a7c15ULL + i;
    }
    if (d->attached ? sim_iommu_write(d->iommu, d->attached, at, words,
                                      sizeof(words))
                    : sim_container_write(d->container, at, words,
                                          sizeof(words))) {
        d->dma_pages++;
        log_page(d, at);
    }
}

/* What has to be done at @now, since @last. With the lock held. */
static void tick(SimDevice *d, int64_t last, int64_t now, double *credit,
                 double *irqs)
{
    *credit += (now - last) / NS_PER_S * d->options->dma_rate;
    /* What it could not write in time, or all of it once, is lost. */
    *credit = MIN(*credit, (double)d->options->dma_length);
    for (; *credit >= SIM_DMA_PAGE; *credit -= SIM_DMA_PAGE) {
        if (may_write(d)) {
            write_page(d);
        }
    }
    *irqs += (now - last) / NS_PER_S * d->options->irq_rate;
    if (*irqs >= 1) {
        *irqs -= 1;
        if (may_write(d)) {
            sim_irq_raise(d);
        }
    }
    sim_irq_check_unmask(d);
}

static void *dma_thread(void *opaque)
{
    SimDevice *d = opaque;
    int64_t last = sim_now_ns();
    double credit = 0, irqs = 0;
    bool stop = false;

    while (!stop) {
        struct pollfd fds[2] = {{d->dma_wake_fd, POLLIN, 0}, {-1, POLLIN, 0}};
        int64_t now;
        uint64_t count;

        g_mutex_lock(&d->lock);
        /* Our copy: the VMM may set another one while this is waited for. */
        if (d->intx_unmask_fd >= 0) {
            fds[1].fd = fcntl(d->intx_unmask_fd, F_DUPFD_CLOEXEC, 0);
        }
        g_mutex_unlock(&d->lock);
        poll(fds, G_N_ELEMENTS(fds), TICK_MS);
        if (fds[1].fd >= 0) {
            close(fds[1].fd);
        }
        if (fds[0].revents &&
            read(d->dma_wake_fd, &count, sizeof(count)) != sizeof(count)) {
            g_warn_if_reached();
        }
        g_mutex_lock(&d->lock);
        now = sim_now_ns();
        tick(d, last, now, &credit, &irqs);
        stop = d->dma_stop;
        g_mutex_unlock(&d->lock);
        last = now;
    }
    return NULL;
}

void sim_dma_start(SimDevice *d)
{
    g_autofree char *name = g_strdup_printf("dma-%s", d->options->id);

    d->dma_thread = g_thread_new(name, dma_thread, d);
}

void sim_dma_wake(SimDevice *d)
{
    static const uint64_t one = 1;

    /* A full counter wakes as well. */
    if (write(d->dma_wake_fd, &one, sizeof(one)) < 0) {
        return;
    }
}

void sim_dma_stop(SimDevice *d)
{
    g_mutex_lock(&d->lock);
    d->dma_stop = true;
    sim_dma_wake(d);
    g_mutex_unlock(&d->lock);
    g_thread_join(d->dma_thread);
}

/* Reads the ranges of a DMA_LOGGING_START: whole pages, none twice. */
static int64_t read_ranges(SimCall *call, uint64_t addr, unsigned count,
                           uint64_t page_size, GArray *ranges)
{
    struct vfio_device_feature_dma_logging_range given;
    SimMapRange range;

    for (unsigned i = 0; i < count; i++) {
        if (sim_call_get(call, addr + i * sizeof(given), &given,
                         sizeof(given))) {
            return -EFAULT;
        }
        if (!given.length || (given.iova | given.length) & (page_size - 1)) {
            return -EINVAL;
        }
        range.start = given.iova;
        if (!checked_add_u64(given.iova, given.length - 1, &range.last)) {
            return -EOVERFLOW;
        }
        for (guint k = 0; k < ranges->len; k++) {
            const SimMapRange *other = &g_array_index(ranges, SimMapRange, k);

            if (range.start <= other->last && other->start <= range.last) {
                return -EINVAL;
            }
        }
        g_array_append_val(ranges, range);
    }
    return 0;
}

int64_t sim_dma_log_start(
    SimDevice *d, SimCall *call,
    const struct vfio_device_feature_dma_logging_control *c)
{
    int64_t ret;

    if (!c->num_ranges || !sim_call_is_bitmap_page(c->page_size) ||
        d->dma_logging) {
        return -EINVAL;
    }
    if (c->num_ranges > LOG_RANGES_MAX) {
        return -E2BIG;
    }
    g_array_set_size(d->dma_ranges, 0);
    ret = read_ranges(call, c->ranges, c->num_ranges, c->page_size,
                      d->dma_ranges);
    d->dma_logging = !ret;
    sim_page_set_clear(&d->dma_log);
    return ret;
}

void sim_dma_log_stop(SimDevice *d)
{
    d->dma_logging = false;
    sim_page_set_clear(&d->dma_log);
}

int64_t sim_dma_log_report(
    SimDevice *d, SimCall *call,
    const struct vfio_device_feature_dma_logging_report *r)
{
    uint64_t last;

    if (!d->dma_logging || !r->length ||
        !sim_call_is_bitmap_page(r->page_size)) {
        return -EINVAL;
    }
    if (!checked_add_u64(r->iova, r->length - 1, &last)) {
        return -EOVERFLOW;
    }
    return sim_call_put_pages(call, r->bitmap, &d->dma_log, r->iova, r->length,
                              r->page_size, true);
}
