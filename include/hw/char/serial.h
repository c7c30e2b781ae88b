/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The 16550A UART. Main loop and vCPUs, big lock. */
#ifndef GODWIT_HW_CHAR_SERIAL_H
#define GODWIT_HW_CHAR_SERIAL_H

#include "chardev/char.h"
#include "hw/core/device.h"
#include "hw/core/irq.h"
#include "system/memory.h"

/* Its input clock in Hz; 16 cycles a bit at divisor 1. */
#define SERIAL_CLOCK_HZ 3686400
#define SERIAL_REGISTERS 8      /* bytes, a byte each */

/*
 * A UART of eight byte-wide registers at @base on the board's bus, talking to
 * @chr (NULL: to nobody), whose front end it becomes. Error: @chr is taken.
 */
bool serial_create(Vm *vm, hwaddr base, Irq irq, Chardev *chr, Error **errp);

#endif
