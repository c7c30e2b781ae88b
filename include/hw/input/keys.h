/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What keys are called: a QKeyCode and a number in the monitor, a code of
 * evdev (KEY_A, ...) in the guest. Any thread, no lock.
 */
#ifndef GODWIT_HW_INPUT_KEYS_H
#define GODWIT_HW_INPUT_KEYS_H

#include "qapi/qapi-types-ui.h"

/* The greatest code is below this. */
#define KEY_CODES 256

/* The code of @qcode; every one has some. */
uint16_t key_from_qcode(QKeyCode qcode);

/* The code of the key with @number (of a client, unchecked), or 0. */
uint16_t key_from_number(int64_t number);

/* Whether a key has @code. */
bool key_exists(uint16_t code);

#endif
