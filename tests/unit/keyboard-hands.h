/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people do to a machine's keyboards, for tests. Big lock held. */
#ifndef GODWIT_TESTS_UNIT_KEYBOARD_HANDS_H
#define GODWIT_TESTS_UNIT_KEYBOARD_HANDS_H

#include <linux/input-event-codes.h>
#include <string.h>

#include "hw/input/keyboard.h"
#include "hw/input/keys.h"
#include "system/runstate.h"

static const KeyStroke stroke_a = { { KEY_A }, 1, 100 };

/* Strikes A, which fails with @why in the message. */
static inline void expect_refused(Vm *vm, const char *why)
{
    g_autoptr(Error) err = NULL;

    g_assert_false(keyboards_strike(vm, &stroke_a, &err));
    g_assert_nonnull(strstr(err->message, why));
}

/* The power button, as a monitor presses it. */
static inline void push_button(Vm *vm)
{
    vm_request_powerdown(vm);
    vm_unlock(vm);
    vm_main_loop_iterate(vm, false);
    vm_lock(vm);
}

#endif
