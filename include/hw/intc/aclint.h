/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core-local interruptor in the layout of sifive,clint0 (RISC-V ACLINT
 * specification, "Backward Compatibility With SiFive CLINT"): software
 * interrupts, timers and the machine's time. Big lock, but for
 * aclint_time_read() and aclint_deadline_ns().
 */
#ifndef GODWIT_HW_INTC_ACLINT_H
#define GODWIT_HW_INTC_ACLINT_H

#include "hw/core/device.h"
#include "hw/core/irq.h"
#include "system/memory.h"

#define ACLINT_SIZE 0x10000     /* bytes of its registers */
#define ACLINT_HARTS_MAX 8
#define ACLINT_TIMEBASE_HZ 10000000

typedef struct AclintState AclintState;

/* What the machine's time jumps under: called after mtime was written. */
typedef void (*AclintTimeChanged)(void *opaque);

/*
 * At @base on the board's bus; software[n] and timer[n] are the lines of hart
 * n. @harts: 1 .. ACLINT_HARTS_MAX. @changed may be NULL.
 */
AclintState *aclint_create(Vm *vm, hwaddr base, unsigned harts,
                           const Irq *software, const Irq *timer,
                           AclintTimeChanged changed, void *opaque,
                           Error **errp);

/*
 * mtime in ticks, and the nanosecond of VM_CLOCK_VIRTUAL at which it reaches
 * @ticks (INT64_MAX: never; in the past if it has). Any thread, no lock.
 */
uint64_t aclint_time_read(void *aclint);
int64_t aclint_deadline_ns(void *aclint, uint64_t ticks);

#endif
