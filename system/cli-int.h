/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Options of system that live in files of their own; private to system/. */
#ifndef GODWIT_SYSTEM_CLI_INT_H
#define GODWIT_SYSTEM_CLI_INT_H

#include "system/cli.h"

bool cli_parse_smp(Vm *vm, const char *argument, Error **errp);
bool cli_parse_rtc(Vm *vm, const char *argument, Error **errp);
extern const CliKey cli_smp_keys[];
extern const CliKey cli_rtc_keys[];

extern const VmModule system_module;
extern const VmModule chardev_module;
extern const VmModule object_module;
extern const VmModule process_module;
extern const VmModule qtest_module;

#endif
