/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of the qtest protocol, without the chardev they come by. */
#ifndef GODWIT_SYSTEM_QTEST_INT_H
#define GODWIT_SYSTEM_QTEST_INT_H

#include "system/vm.h"

/*
 * Carries out the command of @line (without its new line; it is changed) and
 * appends the whole answer, new line included, to @out. Big lock.
 */
void qtest_execute(Vm *vm, char *line, GString *out);

/* The longest answer is about twice this: reads are refused beyond, bytes. */
#define QTEST_BYTES_MAX (UINT64_C(64) << 20)

#endif
