/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The platform-level interrupt controller (RISC-V PLIC specification 1.0.0).
 * Main loop and vCPUs, big lock.
 */
#ifndef GODWIT_HW_INTC_PLIC_H
#define GODWIT_HW_INTC_PLIC_H

#include "hw/core/device.h"
#include "hw/core/irq.h"
#include "system/memory.h"

#define PLIC_SOURCES 96         /* source 0 means "none" */
#define PLIC_SIZE 0x600000      /* bytes of its registers */
#define PLIC_HARTS_MAX 8

typedef struct PlicState PlicState;

/*
 * A PLIC at @base on the board's bus with two contexts a hart: 2n is hart n's
 * machine mode, 2n + 1 its supervisor mode; @outputs[context] is the line that
 * it drives. @harts: 1 .. PLIC_HARTS_MAX.
 */
PlicState *plic_create(Vm *vm, hwaddr base, unsigned harts,
                       const Irq *outputs, Error **errp);

/* The line of @source, 1 .. PLIC_SOURCES - 1. */
Irq plic_source(PlicState *plic, unsigned source);

#endif
