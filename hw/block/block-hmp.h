/* SPDX-License-Identifier: GPL-2.0-or-later */
/* "info block", for the module's table. Main loop, big lock. */
#ifndef HW_BLOCK_BLOCK_HMP_H
#define HW_BLOCK_BLOCK_HMP_H

#include "system/vm.h"

void hmp_info_block(Vm *vm, char **args, GString *out);

#endif
