/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RAM blocks: where guest memory comes from and where it is mapped, and the
 * accessors of devices to it. Blocks are made and mapped by the main thread
 * before the vCPUs run; everything else may be called by any thread and takes
 * no lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "system/memory-int.h"
#include "util/checked.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  /* Linux 5.14 */
#endif

/* What transparent huge pages are aligned to on the hosts there are. */
#define HUGE_PAGE_SIZE (UINT64_C(2) << 20)

/* The id travels with a length of one byte. */
#define RAM_ID_MAX 255

Memory *memory_new(void)
{
    Memory *mem = g_new0(Memory, 1);

    mem->io = g_ptr_array_new();
    dirty_init(mem);
    return mem;
}

static uint64_t round_up(uint64_t n, uint64_t step)
{
    return (n + step - 1) / step * step;
}

/* What was mapped for a block: its bytes and a guard page behind them. */
static uint64_t mapping_size(const RamBlock *rb)
{
    return round_up(rb->backing.size, rb->page_size) + rb->page_size;
}

static void block_free(RamBlock *rb)
{
    if (rb->host) {
        munmap(rb->host, mapping_size(rb));
    }
    if (rb->backing.fd >= 0) {
        close(rb->backing.fd);
    }
    g_free(rb->id);
    g_free(rb);
}

void memory_set_pager(Memory *mem, void (*release)(void *opaque),
                      void *opaque)
{
    mem->pager_release = release;
    mem->pager_opaque = opaque;
}

void memory_free(Memory *mem)
{
    if (mem->pager_release) {
        mem->pager_release(mem->pager_opaque);
    }
    dirty_cleanup(mem);
    for (unsigned i = 0; i < mem->blocks; i++) {
        block_free(mem->block[i]);
    }
    g_ptr_array_unref(mem->io);
    g_free(mem);
}

static bool check_id(Memory *mem, const char *id, Error **errp)
{
    size_t len = strlen(id);

    if (len == 0 || len > RAM_ID_MAX) {
        error_setg(errp, "RAM block: its name '%.64s' has %zu bytes; 1 to %d "
                   "are possible", id, len, RAM_ID_MAX);
        return false;
    }
    if (memory_ram_by_id(mem, id)) {
        error_setg(errp, "RAM block '%s': there is one of that name already",
                   id);
        return false;
    }
    if (mem->blocks == RAM_BLOCKS_MAX) {
        error_setg(errp, "RAM block '%s': there are %d already, which is the "
                   "most", id, RAM_BLOCKS_MAX);
        return false;
    }
    return true;
}

/* Finds the page size of @rb's backing, and whether the file is large enough */
static bool check_backing(RamBlock *rb, Error **errp)
{
    const RamBacking *backing = &rb->backing;
    struct statfs fs;
    struct stat st;
    uint64_t end;

    rb->page_size = sysconf(_SC_PAGESIZE);
    if (backing->fd >= 0) {
        if (fstatfs(backing->fd, &fs) < 0 || fstat(backing->fd, &st) < 0) {
            error_setg_errno(errp, errno, "RAM block '%s': looking at its "
                             "file", rb->id);
            return false;
        }
        if (fs.f_type == HUGETLBFS_MAGIC) {
            rb->page_size = fs.f_bsize;
        }
        if (S_ISREG(st.st_mode) &&
            (!checked_add_u64(backing->fd_offset, backing->size, &end) ||
             end > (uint64_t)st.st_size)) {
            error_setg(errp, "RAM block '%s': its file has %" PRIu64 " bytes; "
                       "%" PRIu64 " from offset %" PRIu64 " are needed",
                       rb->id, (uint64_t)st.st_size, backing->size,
                       backing->fd_offset);
            return false;
        }
        if (backing->fd_offset % rb->page_size) {
            error_setg(errp, "RAM block '%s': offset %" PRIu64 " of its file "
                       "is not a multiple of the page size %" PRIu64,
                       rb->id, backing->fd_offset, rb->page_size);
            return false;
        }
    }
    if (backing->size == 0 || backing->size % GUEST_PAGE_SIZE ||
        (rb->page_size > HUGE_PAGE_SIZE / 2 &&
         backing->size % rb->page_size)) {
        error_setg(errp, "RAM block '%s': size %" PRIu64 " is not a multiple "
                   "of the page size %" PRIu64, rb->id, backing->size,
                   MAX(rb->page_size, GUEST_PAGE_SIZE));
        return false;
    }
    if (backing->size > UINT64_C(1) << (GUEST_PHYS_BITS - 8)) {
        error_setg(errp, "RAM block '%s': size %" PRIu64 " is more than any "
                   "host can map", rb->id, backing->size);
        return false;
    }
    return true;
}

/*
 * Address space first, then the bytes into an aligned part of it: huge pages
 * need the alignment, and what lies behind the block must not be somebody
 * else's memory.
 */
static bool map_backing(RamBlock *rb, Error **errp)
{
    const RamBacking *backing = &rb->backing;
    uint64_t align = MAX(rb->page_size, HUGE_PAGE_SIZE);
    uint64_t need = mapping_size(rb);
    bool hugetlb = rb->page_size > (uint64_t)sysconf(_SC_PAGESIZE);
    int prot = PROT_READ | PROT_WRITE;
    int flags = MAP_FIXED;
    uint8_t *space, *host;

    space = mmap(NULL, need + align, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) {
        error_setg_errno(errp, errno, "RAM block '%s': no address space for "
                         "%" PRIu64 " bytes", rb->id, backing->size);
        return false;
    }
    host = (uint8_t *)round_up((uintptr_t)space, align);
    if (host > space) {
        munmap(space, host - space);
    }
    munmap(host + need, align - (host - space));

    flags |= backing->share ? MAP_SHARED : MAP_PRIVATE;
    flags |= backing->fd < 0 ? MAP_ANONYMOUS : 0;
    /* Without a reservation a huge page that is missing kills the guest. */
    flags |= hugetlb ? 0 : MAP_NORESERVE;
    if (backing->fd >= 0 && backing->share &&
        (fcntl(backing->fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
        prot = PROT_READ;
    }
    if (prot == PROT_READ && !backing->readonly) {
        error_setg(errp, "RAM block '%s': its file is open for reading only "
                   "and shared; the guest needs to write it", rb->id);
        munmap(host, need);
        return false;
    }
    if (mmap(host, round_up(backing->size, rb->page_size), prot, flags,
             backing->fd, backing->fd_offset) == MAP_FAILED) {
        error_setg_errno(errp, errno, "RAM block '%s': cannot map %" PRIu64
                         " bytes", rb->id, backing->size);
        munmap(host, need);
        return false;
    }
    rb->host = host;

    /* Advice: a kernel that does not take it runs the guest as well. */
    madvise(host, backing->size, MADV_DONTFORK);
    if (backing->huge && !hugetlb) {
        madvise(host, backing->size, MADV_HUGEPAGE);
    }
    if (backing->merge) {
        madvise(host, backing->size, MADV_MERGEABLE);
    }
    if (backing->no_dump) {
        madvise(host, backing->size, MADV_DONTDUMP);
    }
    return true;
}

static bool preallocate(RamBlock *rb, Error **errp)
{
    int err = 0;

    if (madvise(rb->host, rb->backing.size, MADV_POPULATE_WRITE) < 0) {
        err = errno;
    }
    if (err == EINVAL) {
        /* A kernel before 5.14. */
        for (uint64_t at = 0; at < rb->backing.size; at += rb->page_size) {
            volatile uint8_t *byte = rb->host + at;

            *byte = *byte;
        }
        err = 0;
    }
    if (err) {
        error_setg_errno(errp, err, "RAM block '%s': allocating its %" PRIu64
                         " bytes beforehand", rb->id, rb->backing.size);
    }
    return err == 0;
}

RamBlock *memory_ram_new(Memory *mem, const char *id, const RamBacking *backing,
                         Error **errp)
{
    RamBlock *rb = g_new0(RamBlock, 1);

    g_assert(__atomic_load_n(&mem->active_logs, __ATOMIC_RELAXED) == 0);
    rb->id = g_strdup(id);
    rb->backing = *backing;
    rb->memory = mem;
    rb->migratable = true;
    rb->index = mem->blocks;
    if (!check_id(mem, id, errp) || !check_backing(rb, errp) ||
        !map_backing(rb, errp) ||
        (backing->prealloc && !preallocate(rb, errp))) {
        block_free(rb);
        return NULL;
    }
    mem->block[mem->blocks] = rb;
    __atomic_store_n(&mem->blocks, mem->blocks + 1, __ATOMIC_RELEASE);
    return rb;
}

bool memory_map_ram(Memory *mem, RamBlock *rb, hwaddr gpa, Error **errp)
{
    unsigned at = mem->mapped_count;

    g_assert(!rb->mapped);
    if (gpa % GUEST_PAGE_SIZE ||
        !range_fits_u64(gpa, rb->backing.size,
                        UINT64_C(1) << GUEST_PHYS_BITS)) {
        error_setg(errp, "RAM block '%s': %" PRIu64 " bytes do not fit at "
                   "0x%" PRIx64 "; it takes a multiple of %" PRIu64 " below "
                   "2^%d", rb->id, rb->backing.size, gpa, GUEST_PAGE_SIZE,
                   GUEST_PHYS_BITS);
        return false;
    }
    for (unsigned i = 0; i < mem->mapped_count; i++) {
        const RamBlock *other = mem->mapped[i];

        if (gpa < other->gpa + other->backing.size &&
            other->gpa < gpa + rb->backing.size) {
            error_setg(errp, "RAM block '%s': it overlaps block '%s' at "
                       "0x%" PRIx64, rb->id, other->id, other->gpa);
            return false;
        }
    }
    while (at > 0 && mem->mapped[at - 1]->gpa > gpa) {
        mem->mapped[at] = mem->mapped[at - 1];
        at--;
    }
    rb->gpa = gpa;
    rb->mapped = true;
    mem->mapped[at] = rb;
    __atomic_store_n(&mem->mapped_count, mem->mapped_count + 1,
                     __ATOMIC_RELEASE);
    return true;
}

bool ram_block_is_unwritable(const RamBlock *rb)
{
    return rb->backing.readonly && rb->backing.fd >= 0 && rb->backing.share;
}

RamBlock *memory_ram_by_index(Memory *mem, unsigned index)
{
    unsigned blocks = __atomic_load_n(&mem->blocks, __ATOMIC_ACQUIRE);

    return index < blocks ? mem->block[index] : NULL;
}

RamBlock *memory_ram_by_id(Memory *mem, const char *id)
{
    RamBlock *rb;

    for (unsigned i = 0; (rb = memory_ram_by_index(mem, i)); i++) {
        if (strcmp(rb->id, id) == 0) {
            return rb;
        }
    }
    return NULL;
}

uint8_t *memory_ram_at(Memory *mem, hwaddr gpa, RamBlock **rb,
                       uint64_t *offset)
{
    unsigned count = __atomic_load_n(&mem->mapped_count, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < count; i++) {
        RamBlock *block = mem->mapped[i];
        uint64_t at = gpa - block->gpa;     /* wraps below the block */

        if (at < block->backing.size) {
            if (rb) {
                *rb = block;
            }
            if (offset) {
                *offset = at;
            }
            return block->host + at;
        }
    }
    return NULL;
}

/* Whether all of [@addr, @addr + @len) is RAM that may be accessed so. */
static MemResult check_range(Memory *mem, hwaddr addr, uint64_t len, bool write)
{
    while (len > 0) {
        uint64_t offset, part;
        RamBlock *rb;

        if (!memory_ram_at(mem, addr, &rb, &offset)) {
            return MEM_DECODE_ERROR;
        }
        if (write && rb->backing.readonly) {
            return MEM_DEVICE_ERROR;
        }
        part = MIN(len, rb->backing.size - offset);
        len -= part;
        addr += part;
    }
    return MEM_OK;
}

MemResult memory_read(Memory *mem, hwaddr addr, void *buf, uint64_t len)
{
    MemResult result = check_range(mem, addr, len, false);
    uint8_t *to = buf;

    while (result == MEM_OK && len > 0) {
        const uint8_t *host;
        uint64_t offset, part;
        RamBlock *rb;

        host = memory_ram_at(mem, addr, &rb, &offset);
        g_assert(host);
        part = MIN(len, rb->backing.size - offset);
        memcpy(to, host, part);
        to += part;
        addr += part;
        len -= part;
    }
    return result;
}

MemResult memory_write(Memory *mem, hwaddr addr, const void *buf,
                       uint64_t len)
{
    MemResult result = check_range(mem, addr, len, true);
    const uint8_t *from = buf;

    while (result == MEM_OK && len > 0) {
        uint64_t offset, part;
        uint8_t *host;
        RamBlock *rb;

        host = memory_ram_at(mem, addr, &rb, &offset);
        g_assert(host);
        part = MIN(len, rb->backing.size - offset);
        memcpy(host, from, part);
        memory_mark_dirty(rb, offset, part);
        from += part;
        addr += part;
        len -= part;
    }
    return result;
}

void *memory_map(Memory *mem, hwaddr addr, uint64_t *len, bool write)
{
    uint64_t offset;
    RamBlock *rb;
    uint8_t *host = memory_ram_at(mem, addr, &rb, &offset);

    if (!host || (write && rb->backing.readonly)) {
        return NULL;
    }
    *len = MIN(*len, rb->backing.size - offset);
    return host;
}

void memory_unmap(Memory *mem, void *host, uint64_t written)
{
    RamBlock *rb;

    if (written == 0) {
        return;
    }
    for (unsigned i = 0; (rb = memory_ram_by_index(mem, i)); i++) {
        uint64_t offset = (uintptr_t)host - (uintptr_t)rb->host;

        if (offset < rb->backing.size) {
            g_assert(written <= rb->backing.size - offset);
            memory_mark_dirty(rb, offset, written);
            return;
        }
    }
    g_assert_not_reached();
}

/*
 * One aligned value cannot cross a block's end, so it is one access; any other
 * is a copy of bytes.
 */
#define DEFINE_LD_ST(bits)                                              \
    MemResult memory_ld##bits(Memory *mem, hwaddr addr,                 \
                              uint##bits##_t *val)                      \
    {                                                                   \
        uint8_t *host;                                                  \
                                                                        \
        if (addr % sizeof(*val)) {                                      \
            return memory_read(mem, addr, val, sizeof(*val));           \
        }                                                               \
        host = memory_ram_at(mem, addr, NULL, NULL);                    \
        if (!host) {                                                    \
            return MEM_DECODE_ERROR;                                    \
        }                                                               \
        *val = __atomic_load_n((uint##bits##_t *)(void *)host,          \
                               __ATOMIC_ACQUIRE);                       \
        return MEM_OK;                                                  \
    }                                                                   \
                                                                        \
    MemResult memory_st##bits(Memory *mem, hwaddr addr,                 \
                              uint##bits##_t val)                       \
    {                                                                   \
        uint64_t offset;                                                \
        uint8_t *host;                                                  \
        RamBlock *rb;                                                   \
                                                                        \
        if (addr % sizeof(val)) {                                       \
            return memory_write(mem, addr, &val, sizeof(val));          \
        }                                                               \
        host = memory_ram_at(mem, addr, &rb, &offset);                  \
        if (!host) {                                                    \
            return MEM_DECODE_ERROR;                                    \
        }                                                               \
        if (rb->backing.readonly) {                                     \
            return MEM_DEVICE_ERROR;                                    \
        }                                                               \
        __atomic_store_n((uint##bits##_t *)(void *)host, val,           \
                         __ATOMIC_RELEASE);                             \
        memory_mark_dirty(rb, offset, sizeof(val));                     \
        return MEM_OK;                                                  \
    }

DEFINE_LD_ST(16)
DEFINE_LD_ST(32)
DEFINE_LD_ST(64)
