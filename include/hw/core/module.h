/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices' part in starting a machine; listed in system/modules.c. */
#ifndef GODWIT_HW_CORE_MODULE_H
#define GODWIT_HW_CORE_MODULE_H

#include "system/module.h"

extern const VmModule hw_module;

#endif
