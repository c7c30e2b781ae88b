/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keyboards of a machine and its power button; see docs/devel/devices.rst.
 * Main loop, big lock.
 */
#include "hw/input/keyboard.h"

#include "system/runstate.h"
#include "trace/trace-hw-input.h"

typedef struct Keyboard {
    Device *dev;
    const KeyboardOps *ops;
} Keyboard;

struct Keyboards {
    GArray *list;               /* of Keyboard, in the order of adding */
};

/* The one that hears of a key, or NULL. */
static const Keyboard *listener(Vm *vm)
{
    GArray *list = vm->keyboards->list;

    for (guint i = 0; i < list->len; i++) {
        const Keyboard *keyboard = &g_array_index(list, Keyboard, i);

        if (keyboard->ops->is_ready(keyboard->dev)) {
            return keyboard;
        }
    }
    return NULL;
}

static void power_button_pressed(void *opaque)
{
    Vm *vm = opaque;
    const Keyboard *keyboard = listener(vm);

    if (!keyboard) {
        trace_power_button_unheard(vm->keyboards->list->len);
        return;
    }
    trace_power_button(device_name(keyboard->dev));
    keyboard->ops->press_power(keyboard->dev);
}

void keyboard_add(Device *dev, const KeyboardOps *ops)
{
    const Keyboard keyboard = { dev, ops };
    Vm *vm = dev->vm;

    g_assert(vm_locked(vm));
    if (!vm->keyboards) {
        vm->keyboards = g_new0(struct Keyboards, 1);
        vm->keyboards->list = g_array_new(FALSE, FALSE, sizeof(Keyboard));
        vm_set_powerdown_handler(vm, power_button_pressed, vm);
    }
    g_array_append_val(vm->keyboards->list, keyboard);
}

void keyboard_remove(Device *dev)
{
    Vm *vm = dev->vm;
    GArray *list = vm->keyboards->list;

    g_assert(vm_locked(vm));
    for (guint i = 0; i < list->len; i++) {
        if (g_array_index(list, Keyboard, i).dev == dev) {
            g_array_remove_index(list, i);
            break;
        }
    }
    if (list->len == 0) {
        vm_set_powerdown_handler(vm, NULL, NULL);
        g_array_unref(list);
        g_clear_pointer(&vm->keyboards, g_free);
    }
}

/* Whether what is done to a keyboard reaches this guest, now or later. */
static bool guest_is_here(RunState state)
{
    switch (state) {
    case RUN_STATE_RUNNING:
    case RUN_STATE_PAUSED:
    case RUN_STATE_PRELAUNCH:
    case RUN_STATE_SUSPENDED:
    case RUN_STATE_IO_ERROR:
    case RUN_STATE_DEBUG:
    case RUN_STATE_WATCHDOG:
        return true;
    default:
        return false;
    }
}

bool keyboards_strike(Vm *vm, const KeyStroke *stroke, Error **errp)
{
    RunState state = runstate_get(vm);
    const Keyboard *keyboard;

    g_assert(stroke->count >= 1 && stroke->count <= STROKE_KEYS_MAX &&
             stroke->hold_ms <= STROKE_HOLD_MS_MAX);
    if (!vm->keyboards) {
        error_setg(errp, "this machine has no keyboard; -device "
                   "virtio-keyboard-pci or virtio-keyboard-device is one");
        return false;
    }
    if (!guest_is_here(state)) {
        error_setg(errp, "keys do not reach a guest in state '%s'",
                   RunState_str(state));
        return false;
    }
    keyboard = listener(vm);
    if (!keyboard) {
        error_setg(errp, "the guest has no driver for its keyboard yet");
        return false;
    }
    trace_key_stroke(device_name(keyboard->dev), stroke->keys[0],
                     stroke->count, stroke->hold_ms);
    return keyboard->ops->strike(keyboard->dev, stroke, errp);
}
