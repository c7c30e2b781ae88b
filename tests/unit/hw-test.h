/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of devices without a CPU: a machine with nothing in it, its guest
 * clock moved by hand, whose big lock the test holds.
 */
#ifndef GODWIT_TESTS_HW_TEST_H
#define GODWIT_TESTS_HW_TEST_H

#include "hw/core/irq.h"
#include "hw/core/machine.h"
#include "system/memory.h"
#include "system/timer.h"

Vm *hw_test_new(void);
void hw_test_free(Vm *vm);

/* One access that must succeed. */
uint64_t hw_read(Vm *vm, hwaddr addr, unsigned size);
void hw_write(Vm *vm, hwaddr addr, unsigned size, uint64_t val);

/* A line whose level is kept in lines[n]. */
Irq hw_test_line(bool *lines, unsigned n);

/* Resets every device, in their order. */
void hw_test_reset(Vm *vm);

/* The realized device of type @type. */
Device *hw_test_device(Vm *vm, const char *type);

/* What the device's vmstate writes; and into another's. */
GByteArray *hw_test_save(Device *dev);
bool hw_test_load(Device *dev, const GByteArray *state, Error **errp);

/*
 * Saves @from, loads that into @to, saves it there: the bytes must be the
 * same.
 */
void hw_test_round_trip(Device *from, Device *to);

#endif
