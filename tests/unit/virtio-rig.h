/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtio device behind a virtio-mmio slot in a machine without a hart, and
 * the little of a driver that the tests need to talk to it.
 */
#ifndef GODWIT_TESTS_VIRTIO_RIG_H
#define GODWIT_TESTS_VIRTIO_RIG_H

#include "hw-test.h"
#include "hw/virtio/virtio.h"

#define RIG_RAM         UINT64_C(0x80000000)
#define RIG_RAM_BYTES   (UINT64_C(4) << 20)
#define RIG_SLOT        UINT64_C(0x10001000)
#define RIG_QUEUE_SIZE  8
/* Where the rings of queue n lie, and where tests may put their buffers. */
#define RIG_RING(n)     (RIG_RAM + 0x10000 * ((n) + 1))
#define RIG_DESC(n)     RIG_RING(n)
#define RIG_AVAIL(n)    (RIG_RING(n) + 0x1000)
#define RIG_USED(n)     (RIG_RING(n) + 0x2000)
#define RIG_DATA        (RIG_RAM + 0x100000)

/* Descriptor flags */
enum { RIG_NEXT = 1, RIG_WRITE = 2, RIG_INDIRECT = 4 };

typedef struct Rig {
    Vm *vm;
    RamBlock *ram;
    Device *dev;
    bool lines[1];              /* the slot's interrupt */
    uint16_t avail[VIRTIO_QUEUES_MAX];
} Rig;

/*
 * A machine with a device of @type, whose properties are the NULL-ended pairs
 * that follow. Back ends that they name are made in between: rig_begin(), then
 * rig_plug().
 */
void rig_begin(Rig *rig);
void rig_plug(Rig *rig, const char *type, ...) G_GNUC_NULL_TERMINATED;
void rig_end(Rig *rig);

uint32_t rig_read(Rig *rig, unsigned reg);
void rig_write(Rig *rig, unsigned reg, uint32_t val);

/* Reset to DRIVER_OK with those features of @wanted that are offered. */
void rig_drive(Rig *rig, uint64_t wanted, unsigned queues);
/* The features that are offered. */
uint64_t rig_features(Rig *rig);

void rig_set_desc(Rig *rig, unsigned queue, unsigned index, hwaddr addr,
                  uint32_t len, uint16_t flags, uint16_t next);
/* Makes the chain from @head on available and kicks. */
void rig_offer(Rig *rig, unsigned queue, unsigned head);
uint16_t rig_used_index(Rig *rig, unsigned queue);
/* The bytes written of used entry @index. */
uint32_t rig_used_len(Rig *rig, unsigned queue, unsigned index);
/* Runs the main loop until the used index is @index (10 s at most). */
void rig_await_used(Rig *rig, unsigned queue, uint16_t index);

#endif
