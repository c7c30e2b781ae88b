/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The register by which a guest powers off or resets. Big lock. */
#ifndef GODWIT_HW_MISC_SIFIVE_TEST_H
#define GODWIT_HW_MISC_SIFIVE_TEST_H

#include "hw/core/device.h"
#include "system/memory.h"

/* What the low 16 bits of the register mean. */
#define SIFIVE_TEST_FAIL 0x3333     /* power off; status in the high 16 bits */
#define SIFIVE_TEST_PASS 0x5555     /* power off */
#define SIFIVE_TEST_RESET 0x7777

/* At @base on the board's bus, of 0x1000 bytes. */
bool sifive_test_create(Vm *vm, hwaddr base, Error **errp);

#endif
