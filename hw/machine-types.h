/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the folders of boards give to machine-types.c. */
#ifndef GODWIT_HW_MACHINE_TYPES_H
#define GODWIT_HW_MACHINE_TYPES_H

#include "system/machine.h"

extern const MachineType machine_virt;

#endif
