/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine with memory and devices for the tests of sections. */
#ifndef GODWIT_TESTS_SAVEVM_MACHINE_H
#define GODWIT_TESTS_SAVEVM_MACHINE_H

#include "migration-util.h"

typedef struct Dev {
    uint32_t val;               /* 0xdead: does not load */
    uint8_t n;
    uint16_t list[4];
    uint32_t extra;             /* a subsection if not 0 */
    GString *log;               /* who was loaded, in order */
    char tag;
} Dev;

extern const VMStateDescription vmstate_dev;        /* versions 2 to 2 */
extern const VMStateDescription vmstate_irqchip;
extern const VMStateDescription vmstate_cpu;
extern const VMStateDescription vmstate_optional;   /* is never sent */
extern const VMStateDescription vmstate_stuck;      /* cannot migrate */

/* A machine with memory and four devices, two of one kind. */
typedef struct Machine {
    TestVm t;
    Dev dev[2], cpu, irqchip;
} Machine;

/* Registers @opaque; big lock. */
void reg(TestVm *t, const char *id, const VMStateDescription *vmsd,
         void *opaque);

void machine_init(Machine *m);
void machine_fill(Machine *m);
void machine_clear(Machine *m);

#endif
