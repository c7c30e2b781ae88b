/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How system/modules.c finds the monitors. */
#ifndef GODWIT_MONITOR_MODULE_H
#define GODWIT_MONITOR_MODULE_H

#include "system/module.h"

extern const VmModule monitor_module;

#endif
