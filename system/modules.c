/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of the program in the order in which they are set up. Those above
 * system are declared here and not included: nothing down here knows more of
 * them than that they are modules. Constant.
 */
#include "system/cli-int.h"

extern const VmModule accel_module;
extern const VmModule block_module;
extern const VmModule cpus_module;
extern const VmModule drives_module;
extern const VmModule hw_module;
extern const VmModule migration_module;
extern const VmModule monitor_module;
extern const VmModule net_module;

const VmModule *const vm_modules[] = {
    &process_module,
    &system_module,
    &accel_module,
    &cpus_module,
    &object_module,
    &chardev_module,
    &qtest_module,
    &block_module,
    &net_module,
    &hw_module,         /* the board, and what -device asks for */
    &drives_module,     /* disks that no -device was given for */
    &migration_module,
    &monitor_module,
    NULL
};
