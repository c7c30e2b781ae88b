/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An interrupt line: whoever raises it holds an Irq, whoever listens gave it
 * out. Levels, not edges: setting the level it has already is harmless.
 * Big lock.
 */
#ifndef GODWIT_HW_CORE_IRQ_H
#define GODWIT_HW_CORE_IRQ_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Irq {
    void (*set)(void *opaque, unsigned n, bool level); /* NULL: not wired */
    void *opaque;
    unsigned n;
} Irq;

static inline void irq_set(const Irq *irq, bool level)
{
    if (irq->set) {
        irq->set(irq->opaque, irq->n, level);
    }
}

#endif
