/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * I/O regions: which device answers at an address, and the check that width
 * and alignment are what it declared. All under the big lock. A machine has
 * some dozens of regions, so they are looked through from the last mapped to
 * the first, which is also their precedence.
 */
#include "system/memory-int.h"
#include "util/checked.h"

void memory_io_init(IoRegion *io, const char *name, const IoOps *ops,
                    void *opaque, uint64_t size)
{
    *io = (IoRegion){
        .name = name, .ops = ops, .opaque = opaque, .size = size,
    };
}

void memory_io_map(Memory *mem, IoRegion *io, hwaddr base)
{
    memory_io_unmap(mem, io);
    io->base = base;
    io->mapped = true;
    g_ptr_array_add(mem->io, io);
}

void memory_io_unmap(Memory *mem, IoRegion *io)
{
    if (io->mapped) {
        g_ptr_array_remove(mem->io, io);
        io->mapped = false;
    }
}

static MemResult find(Memory *mem, hwaddr addr, unsigned size, IoRegion **found)
{
    for (guint i = mem->io->len; i-- > 0;) {
        IoRegion *io = mem->io->pdata[i];
        unsigned min = io->ops->min_size ? io->ops->min_size : 1;
        unsigned max = io->ops->max_size ? io->ops->max_size : 8;
        uint64_t at = addr - io->base;      /* wraps below the region */

        if (at >= io->size) {
            continue;
        }
        if (size < min || size > max || (size & (size - 1)) || at % size ||
            !range_fits_u64(at, size, io->size)) {
            return MEM_DEVICE_ERROR;
        }
        *found = io;
        return MEM_OK;
    }
    return MEM_DECODE_ERROR;
}

MemResult memory_io_read(Memory *mem, hwaddr addr, unsigned size,
                         uint64_t *val)
{
    IoRegion *io;
    MemResult result = find(mem, addr, size, &io);

    if (result == MEM_OK && !io->ops->read) {
        result = MEM_DEVICE_ERROR;
    }
    if (result == MEM_OK) {
        result = io->ops->read(io->opaque, addr - io->base, size, val);
    }
    return result;
}

MemResult memory_io_write(Memory *mem, hwaddr addr, unsigned size,
                          uint64_t val)
{
    IoRegion *io;
    MemResult result = find(mem, addr, size, &io);

    if (result == MEM_OK && !io->ops->write) {
        result = MEM_DEVICE_ERROR;
    }
    if (result == MEM_OK) {
        result = io->ops->write(io->opaque, addr - io->base, size, val);
    }
    return result;
}
