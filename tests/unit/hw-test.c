/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hw-test.h"
#include "io/channel.h"
#include "migration/savevm.h"
#include "migration/stream-owner.h"

Vm *hw_test_new(void)
{
    Vm *vm = vm_new();

    vm->config = machine_config_new();
    vm_lock(vm);
    vm_clock_set_by_hand(vm);
    vm_clock_enable(vm, true);
    machine_create(vm);
    return vm;
}

void hw_test_free(Vm *vm)
{
    machine_destroy(vm);
    savevm_destroy(vm);
    machine_config_free(vm->config);
    vm->config = NULL;
    vm_unlock(vm);
    vm_free(vm);
}

uint64_t hw_read(Vm *vm, hwaddr addr, unsigned size)
{
    uint64_t val = 0;

    g_assert_cmpint(memory_io_read(vm->memory, addr, size, &val), ==, MEM_OK);
    return val;
}

void hw_write(Vm *vm, hwaddr addr, unsigned size, uint64_t val)
{
    g_assert_cmpint(memory_io_write(vm->memory, addr, size, val), ==, MEM_OK);
}

static void line_set(void *opaque, unsigned n, bool level)
{
    bool *lines = opaque;

    lines[n] = level;
}

Irq hw_test_line(bool *lines, unsigned n)
{
    return (Irq){ line_set, lines, n };
}

void hw_test_reset(Vm *vm)
{
    GPtrArray *devices = vm->machine->devices;

    for (guint i = 0; i < devices->len; i++) {
        Device *dev = g_ptr_array_index(devices, i);

        if (dev->type->reset) {
            dev->type->reset(dev);
        }
    }
}

Device *hw_test_device(Vm *vm, const char *type)
{
    GPtrArray *devices = vm->machine->devices;

    for (guint i = 0; i < devices->len; i++) {
        Device *dev = g_ptr_array_index(devices, i);

        if (g_str_equal(dev->type->name, type)) {
            return dev;
        }
    }
    g_assert_not_reached();
}

GByteArray *hw_test_save(Device *dev)
{
    IoChannel *ch = io_channel_new_buffer();
    MigStream *s = mig_stream_new_output(ch, clock_host());
    GByteArray *state = g_byte_array_new();
    const uint8_t *data;
    Error *err = NULL;
    size_t len;

    vmstate_save(s, dev->type->vmsd, dev, NULL, &err);
    g_assert_no_error(err);
    mig_stream_flush(s, &err);
    g_assert_no_error(err);
    data = io_channel_buffer_data(ch, &len);
    g_byte_array_append(state, data, (guint)len);
    mig_stream_free(s);
    io_channel_unref(ch);
    return state;
}

bool hw_test_load(Device *dev, const GByteArray *state, Error **errp)
{
    IoChannel *ch = io_channel_new_buffer();
    MigStream *s;
    bool ok;

    g_assert_true(io_channel_write_all(ch, state->data, state->len, NULL));
    s = mig_stream_new_input(ch);
    ok = vmstate_load(s, dev->type->vmsd, dev, dev->type->vmsd->version_id,
                      errp);
    mig_stream_free(s);
    io_channel_unref(ch);
    return ok;
}

void hw_test_round_trip(Device *from, Device *to)
{
    GByteArray *saved = hw_test_save(from);
    GByteArray *again;
    Error *err = NULL;

    hw_test_load(to, saved, &err);
    g_assert_no_error(err);
    again = hw_test_save(to);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    g_byte_array_unref(saved);
    g_byte_array_unref(again);
}
