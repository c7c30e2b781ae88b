/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The goldfish real-time clock. Main loop and vCPUs, big lock. */
#ifndef GODWIT_HW_RTC_GOLDFISH_H
#define GODWIT_HW_RTC_GOLDFISH_H

#include "hw/core/device.h"
#include "hw/core/irq.h"
#include "system/memory.h"

/* At @base on the board's bus, of 0x24 bytes. It shows VM_CLOCK_HOST. */
bool goldfish_rtc_create(Vm *vm, hwaddr base, Irq irq, Error **errp);

#endif
