/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest-physical memory: RAM blocks, I/O regions, and who dirtied what.
 *
 * RAM blocks are created and mapped before the first vCPU runs and stay where
 * they are until the machine is freed; so looking up RAM takes no lock, from
 * any thread. I/O regions may come, move (a PCI BAR) and go at any time under
 * the big lock, and looking them up needs it.
 *
 * Dirty logging. A DirtyLog is one reader's view of "written since I last
 * asked"; there may be several, each unharmed by the others. Writers mark
 * after they wrote: devices by memory_write()/memory_unmap(), harts when they
 * first store to a page through their TLB. A reader takes the bits
 * (dirty_log_take()) and then raises a barrier (dirty_log_barrier()): after
 * it, every store to a page whose bit was taken is either visible in memory or
 * will set the bit again. So the reader may send the page, and the guest never
 * stops for it.
 */
#ifndef GODWIT_SYSTEM_MEMORY_H
#define GODWIT_SYSTEM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bitmap.h"
#include "util/error.h"

typedef uint64_t hwaddr;
typedef struct Memory Memory;
typedef struct DirtyLog DirtyLog;

/* The unit of dirty logging and of the migration stream, in bytes. */
#define GUEST_PAGE_BITS 12
#define GUEST_PAGE_SIZE (UINT64_C(1) << GUEST_PAGE_BITS)

/* RISC-V: physical addresses have 56 bits (privileged ISA, Sv39 and up). */
#define GUEST_PHYS_BITS 56

/* At most this many RAM blocks and dirty logs in one machine. */
#define RAM_BLOCKS_MAX 64
#define DIRTY_LOGS_MAX 4

typedef enum MemResult {
    MEM_OK,
    MEM_DECODE_ERROR,   /* nothing answers at that address */
    MEM_DEVICE_ERROR,   /* what is there refuses width, alignment or access */
} MemResult;

/* Where a RAM block's bytes come from. */
typedef struct RamBacking {
    uint64_t size;          /* bytes, a multiple of GUEST_PAGE_SIZE, not 0 */
    int fd;                 /* -1: anonymous; else mapped, and closed at the end */
    uint64_t fd_offset;     /* bytes; multiple of the page size of the file */
    bool share;             /* MAP_SHARED */
    bool prealloc;          /* touch every page now */
    bool huge;              /* ask for transparent huge pages */
    bool merge;             /* let the host share pages of equal content */
    bool no_dump;           /* leave it out of core dumps */
    bool readonly;          /* a ROM: the guest cannot store to it */
} RamBacking;

/* All fields are constant once the block is mapped. */
typedef struct RamBlock {
    char *id;               /* its name in the migration stream, < 256 bytes */
    unsigned index;         /* 0 .. RAM_BLOCKS_MAX - 1, in order of creation */
    uint8_t *host;
    hwaddr gpa;             /* valid if mapped */
    bool mapped;
    bool migratable;
    uint64_t page_size;     /* of the backing, bytes */
    RamBacking backing;
    Memory *memory;
} RamBlock;

Memory *memory_new(void);
void memory_free(Memory *mem);

/*
 * Who fills pages when they are touched (a load that the guest does not wait
 * for): memory_free() calls @release before anything is unmapped, when nobody
 * can be waiting for a page any more. NULL: there is nobody. Incoming thread,
 * or the main thread at the end.
 */
void memory_set_pager(Memory *mem, void (*release)(void *opaque),
                      void *opaque);

/*
 * A new block called @id. Memory is reserved when touched, not now, unless
 * prealloc or the file is one of huge pages. Main thread, before the vCPUs
 * run. backing->fd is the block's, also if it could not be made. It is
 * migratable unless the caller says otherwise. NULL and errp: no address
 * space, the file is too small or cannot be mapped, the name is taken.
 */
RamBlock *memory_ram_new(Memory *mem, const char *id, const RamBacking *backing,
                         Error **errp);

/*
 * Makes @rb appear at @gpa, once. Error: not a multiple of the guest page,
 * overlaps RAM, or beyond the address space.
 */
bool memory_map_ram(Memory *mem, RamBlock *rb, hwaddr gpa, Error **errp);

/*
 * Whether nobody here can write to @rb, the program included: a shared mapping
 * of a file that is open for reading. Any thread.
 */
bool ram_block_is_unwritable(const RamBlock *rb);

/* Blocks by index (NULL past the last), and by name (NULL if none). */
RamBlock *memory_ram_by_index(Memory *mem, unsigned index);
RamBlock *memory_ram_by_id(Memory *mem, const char *id);

/*
 * The RAM at @gpa: host address, and in *rb, *offset (may be NULL) the block
 * and the byte in it. NULL: no RAM there. Valid up to the block's end. Any
 * thread, no lock, no system call: this is what fills a TLB.
 */
uint8_t *memory_ram_at(Memory *mem, hwaddr gpa, RamBlock **rb,
                       uint64_t *offset);

/*
 * What a device answers. @size is 1, 2, 4 or 8, @addr counts from the region's
 * start and is a multiple of it; the bus has checked both against the limits
 * below. Called with the big lock held.
 */
typedef struct IoOps {
    MemResult (*read)(void *opaque, hwaddr addr, unsigned size, uint64_t *val);
    MemResult (*write)(void *opaque, hwaddr addr, unsigned size, uint64_t val);
    unsigned min_size;      /* bytes; 0 means 1 */
    unsigned max_size;      /* bytes; 0 means 8 */
} IoOps;

/* Embedded in the device; all fields are set by memory_io_init(). */
typedef struct IoRegion {
    const char *name;
    const IoOps *ops;
    void *opaque;
    uint64_t size;
    hwaddr base;
    bool mapped;
} IoRegion;

void memory_io_init(IoRegion *io, const char *name, const IoOps *ops,
                    void *opaque, uint64_t size);

/*
 * Maps @io at @base, or moves it there. Where regions overlap the one that was
 * mapped last answers; RAM always wins over I/O. Big lock.
 */
void memory_io_map(Memory *mem, IoRegion *io, hwaddr base);
void memory_io_unmap(Memory *mem, IoRegion *io);

/* One access to whatever answers at @addr that is not RAM. Big lock. */
MemResult memory_io_read(Memory *mem, hwaddr addr, unsigned size,
                         uint64_t *val);
MemResult memory_io_write(Memory *mem, hwaddr addr, unsigned size,
                          uint64_t val);

/*
 * The one accessor of devices to guest RAM (rule 9). Copies @len bytes; a
 * write marks them dirty. Nothing is copied unless the whole range is RAM (and
 * none of it ROM, for a write: MEM_DEVICE_ERROR). Any thread, no lock.
 */
MemResult memory_read(Memory *mem, hwaddr addr, void *buf, uint64_t len);
MemResult memory_write(Memory *mem, hwaddr addr, const void *buf,
                       uint64_t len);

/*
 * Borrows the RAM at @addr for I/O in place: *len (bytes) is cut to what is
 * contiguous on the host. NULL: no RAM there, or ROM and @write. Given back by
 * memory_unmap(), whose @written bytes from @host on are marked dirty.
 */
void *memory_map(Memory *mem, hwaddr addr, uint64_t *len, bool write);
void memory_unmap(Memory *mem, void *host, uint64_t written);

/*
 * Little-endian loads and stores of one 16/32/64-bit value by a device. One
 * that is aligned is a single access (acquire, release) to those who share it.
 */
MemResult memory_ld16(Memory *mem, hwaddr addr, uint16_t *val);
MemResult memory_ld32(Memory *mem, hwaddr addr, uint32_t *val);
MemResult memory_ld64(Memory *mem, hwaddr addr, uint64_t *val);
MemResult memory_st16(Memory *mem, hwaddr addr, uint16_t val);
MemResult memory_st32(Memory *mem, hwaddr addr, uint32_t val);
MemResult memory_st64(Memory *mem, hwaddr addr, uint64_t val);

/*
 * Marks [@offset, @offset + @len) of @rb as written in every active log. Call
 * after the store. Any thread, no lock. Cheap when no log is active.
 */
void memory_mark_dirty(RamBlock *rb, uint64_t offset, uint64_t len);

/* Whether any log is active. Any thread. */
bool memory_dirty_logging(Memory *mem);

/*
 * Starts a log over all RAM blocks; all bits clear, so take your first copy of
 * everything after this. @name is for traces. NULL and errp: DIRTY_LOGS_MAX
 * are active, or no memory for the bitmaps (1 bit a page, occupied as pages
 * are dirtied). Any thread but a vCPU's; takes the memory's log lock. No block
 * may be added while a log is active.
 */
DirtyLog *dirty_log_start(Memory *mem, const char *name, Error **errp);
void dirty_log_stop(DirtyLog *log);

/*
 * Moves the marks of @rb into @bitmap (1 bit a guest page, by OR). Returns how
 * many bits of @bitmap became set. One reader thread per log.
 */
uint64_t dirty_log_take(DirtyLog *log, const RamBlock *rb, uint64_t *bitmap);

/* See the top of this file. Returns within microseconds to milliseconds. */
void dirty_log_barrier(DirtyLog *log);

/*
 * Who writes guest memory past the harts and memory_write(): a device's DMA,
 * which something else logs. It is told when the first log starts and the last
 * one ends, and asked before marks are taken. Called with the memory's log
 * lock held, by any thread but a vCPU's, big lock or not: so it takes neither
 * the big lock nor starts or stops logs.
 */
typedef struct DirtySourceOps {
    /* Begin to note what is written. It cannot fail: see sync(). */
    void (*start)(void *opaque);
    void (*stop)(void *opaque);
    /*
     * Marks (memory_mark_dirty()) what has been written since start() or the
     * last call. False: it cannot say, and all mapped RAM counts as written.
     */
    bool (*sync)(void *opaque, Error **errp);
} DirtySourceOps;

/*
 * @name is for messages; it and @ops must outlive the source. Main thread, big
 * lock. If logs are active it is started, or stopped, here.
 */
void memory_add_dirty_source(Memory *mem, const char *name,
                             const DirtySourceOps *ops, void *opaque);
void memory_remove_dirty_source(Memory *mem, void *opaque);

/*
 * Has all sources mark what was written, in every active log. Before
 * dirty_log_take(). Any thread but a vCPU's.
 */
void dirty_log_sync(DirtyLog *log);

/*
 * How the accelerator takes part: it is called on start, stop and barrier of
 * any log, and must make every vCPU forget which pages it may store to without
 * marking, and wait until each has. Set once by the accelerator.
 */
void memory_set_vcpu_barrier(Memory *mem, void (*barrier)(void *opaque),
                             void *opaque);

#endif
