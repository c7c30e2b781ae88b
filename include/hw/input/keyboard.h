/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keyboards of a machine, which of them hears of a key, and the power
 * button that is on them. All of it under the big lock.
 */
#ifndef GODWIT_HW_INPUT_KEYBOARD_H
#define GODWIT_HW_INPUT_KEYBOARD_H

#include "hw/core/device.h"

/* The most keys of a stroke, which is what libvirt sends. */
#define STROKE_KEYS_MAX         16
#define STROKE_HOLD_MS_DEFAULT  100
#define STROKE_HOLD_MS_MAX      60000

/* Keys that are pressed in this order, held, let go of in reverse. */
typedef struct KeyStroke {
    uint16_t keys[STROKE_KEYS_MAX]; /* codes of hw/input/keys.h, all other */
    uint8_t count;                  /* 1 .. STROKE_KEYS_MAX */
    uint32_t hold_ms;               /* of guest time, <= STROKE_HOLD_MS_MAX */
} KeyStroke;

/* What a keyboard does. Main loop, big lock. */
typedef struct KeyboardOps {
    /* Whether the guest has a driver that takes its keys. */
    bool (*is_ready)(Device *dev);
    /* Takes a stroke, for now or for later. Error: too many wait already. */
    bool (*strike)(Device *dev, const KeyStroke *stroke, Error **errp);
    /* Presses KEY_POWER and lets go of it, before what waits. */
    void (*press_power)(Device *dev);
} KeyboardOps;

/* From realize and unrealize of a keyboard. */
void keyboard_add(Device *dev, const KeyboardOps *ops);
void keyboard_remove(Device *dev);

/*
 * Hands @stroke to the first keyboard with a driver. Error: there is no
 * keyboard, none with a driver, or it takes no more; or the guest is being
 * moved or has gone.
 */
bool keyboards_strike(Vm *vm, const KeyStroke *stroke, Error **errp);

/* "sendkey" of the human monitor; see HmpCommand. */
void hmp_sendkey(Vm *vm, char **args, GString *out);
char **hmp_sendkey_complete(Vm *vm, const char *prefix);

#endif
