/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of a device: registry of types, properties, realize, its section in
 * the migration stream, reset, unrealize. Main loop, big lock.
 */
#include <string.h>

#include "hw/core/machine.h"
#include "hw/core/property.h"
#include "system/runstate.h"
#include "trace/trace-hw-core.h"

/*
 * The linker puts the pointers of all DEVICE_TYPE() here. Weak: a program
 * without a single type has no such section.
 */
extern const DeviceType *const __start_device_types[] __attribute__((weak));
extern const DeviceType *const __stop_device_types[] __attribute__((weak));

static size_t type_count(void)
{
    return (size_t)(__stop_device_types - __start_device_types);
}

static int compare_types(const void *a, const void *b)
{
    return strcmp((*(const DeviceType *const *)a)->name,
                  (*(const DeviceType *const *)b)->name);
}

const DeviceType **device_type_list(size_t *count)
{
    const DeviceType **list = g_new0(const DeviceType *, type_count() + 1);

    *count = type_count();
    if (*count) {
        memcpy(list, __start_device_types, *count * sizeof(*list));
        qsort(list, *count, sizeof(*list), compare_types);
    }
    return list;
}

const DeviceType *device_type_find(const char *name)
{
    for (size_t i = 0; i < type_count(); i++) {
        if (g_str_equal(__start_device_types[i]->name, name)) {
            return __start_device_types[i];
        }
    }
    return NULL;
}

const char *device_name(const Device *dev)
{
    return dev->id ? dev->id : dev->type->name;
}

static const Property *find_property(const DeviceType *type, const char *name)
{
    for (const Property *p = type->properties; p && p->name; p++) {
        if (g_str_equal(p->name, name)) {
            return p;
        }
    }
    return NULL;
}

bool device_set_property(Device *dev, const char *name, const char *value,
                         Error **errp)
{
    const Property *prop = find_property(dev->type, name);

    g_assert(!dev->realized);
    if (!prop && dev->inner && find_property(dev->inner->type, name)) {
        return device_set_property(dev->inner, name, value, errp);
    }
    if (!prop) {
        error_setg(errp, "device '%s' has no property '%s'; '-device %s,help' "
                   "lists them", device_name(dev), name, dev->type->name);
        return false;
    }
    return property_set(dev, prop, value, errp);
}

static bool apply_globals(Device *dev, Error **errp)
{
    GPtrArray *globals = dev->vm->config ? dev->vm->config->globals : NULL;

    for (guint i = 0; globals && i < globals->len; i++) {
        const GlobalProperty *global = g_ptr_array_index(globals, i);

        if (g_str_equal(global->driver, dev->type->name) &&
            !device_set_property(dev, global->property, global->value, errp)) {
            error_prepend(errp, "-global %s.%s=%s: ", global->driver,
                          global->property, global->value);
            return false;
        }
    }
    return true;
}

Device *device_new(Vm *vm, const DeviceType *type, const char *id,
                   Error **errp)
{
    Device *dev = g_malloc0(type->instance_size);

    dev->type = type;
    dev->vm = vm;
    dev->id = g_strdup(id);
    for (const Property *p = type->properties; p && p->name; p++) {
        property_preset(dev, p);
    }
    if (type->inner) {
        dev->inner = device_new(vm, type->inner, NULL, errp);
        if (!dev->inner) {
            device_free(dev);
            return NULL;
        }
    }
    if (!apply_globals(dev, errp)) {
        device_free(dev);
        return NULL;
    }
    return dev;
}

static bool register_vmstate(Device *dev, Error **errp)
{
    const VMStateDescription *vmsd = dev->type->vmsd;
    g_autofree char *path = NULL;

    if (!vmsd) {
        return true;
    }
    if (dev->bus->child_path) {
        path = dev->bus->child_path(dev->bus, dev);
    }
    dev->stream_id = path ? g_strdup_printf("%s/%s", path, vmsd->name)
                          : g_strdup(vmsd->name);
    if (!vmstate_register(dev->vm, dev->stream_id, SAVEVM_INSTANCE_ANY, vmsd,
                          dev, &dev->instance_id, errp)) {
        g_clear_pointer(&dev->stream_id, g_free);
        return false;
    }
    return true;
}

static void device_reset(void *opaque)
{
    Device *dev = opaque;

    dev->type->reset(dev);
}

static bool choose_bus(Device *dev, Bus *bus, Error **errp)
{
    if (!bus) {
        bus = bus_find_kind(dev->vm, dev->type->bus);
        if (!bus) {
            error_setg(errp, "device '%s': this machine has no bus of kind "
                       "'%s' with room for it", device_name(dev),
                       dev->type->bus);
            return false;
        }
    } else if (!g_str_equal(bus->kind, dev->type->bus)) {
        error_setg(errp, "device '%s' needs a bus of kind '%s', and '%s' is of "
                   "kind '%s'", device_name(dev), dev->type->bus, bus->name,
                   bus->kind);
        return false;
    } else if (bus->max_children && bus->children->len >= bus->max_children) {
        error_setg(errp, "device '%s': bus '%s' is full, it has room for %u",
                   device_name(dev), bus->name, bus->max_children);
        return false;
    }
    dev->bus = bus;
    return true;
}

/* The boot index of @dev, or -1. */
static int32_t boot_index(const Device *dev)
{
    for (const Property *p = dev->type->properties; p && p->name; p++) {
        if (p->kind == PROP_BOOT_INDEX) {
            return *(const int32_t *)((const char *)dev + p->offset);
        }
    }
    return -1;
}

static bool boot_index_is_free(const Device *dev, Error **errp)
{
    GPtrArray *devices = dev->vm->machine->devices;
    int32_t index = boot_index(dev);

    for (guint i = 0; index >= 0 && i < devices->len; i++) {
        const Device *other = g_ptr_array_index(devices, i);

        if (boot_index(other) == index) {
            error_setg(errp, "device '%s': property 'bootindex': %d is that "
                       "of device '%s', expected is one of its own",
                       device_name(dev), index, device_name(other));
            return false;
        }
    }
    return true;
}

bool device_realize(Device *dev, Bus *bus, Error **errp)
{
    g_assert(!dev->realized);
    if (!boot_index_is_free(dev, errp) || !choose_bus(dev, bus, errp)) {
        return false;
    }
    if (dev->type->realize && !dev->type->realize(dev, errp)) {
        dev->bus = NULL;
        return false;
    }
    if (!register_vmstate(dev, errp)) {
        if (dev->type->unrealize) {
            dev->type->unrealize(dev);
        }
        dev->bus = NULL;
        return false;
    }
    if (dev->type->reset) {
        vm_add_reset_handler(dev->vm, device_reset, dev);
    }
    g_ptr_array_add(dev->bus->children, dev);
    g_ptr_array_add(dev->vm->machine->devices, dev);
    dev->realized = true;
    trace_device_realize(dev->type->name, dev->id ? dev->id : "",
                         dev->stream_id ? dev->stream_id : "");
    return true;
}

void device_unrealize(Device *dev)
{
    trace_device_unrealize(dev->type->name, dev->id ? dev->id : "");
    dev->realized = false;
    g_ptr_array_remove(dev->vm->machine->devices, dev);
    g_ptr_array_remove(dev->bus->children, dev);
    if (dev->type->reset) {
        vm_remove_reset_handler(dev->vm, device_reset, dev);
    }
    if (dev->stream_id) {
        vmstate_unregister(dev->vm, dev->type->vmsd, dev);
    }
    if (dev->type->unrealize) {
        dev->type->unrealize(dev);
    }
    dev->bus = NULL;
}

void device_free(Device *dev)
{
    if (!dev) {
        return;
    }
    if (dev->realized) {
        device_unrealize(dev);
    }
    device_free(dev->inner);
    for (const Property *p = dev->type->properties; p && p->name; p++) {
        property_clear(dev, p);
    }
    g_free(dev->stream_id);
    g_free(dev->id);
    g_free(dev);
}

Device *device_find(Vm *vm, const char *id)
{
    GPtrArray *devices = vm->machine->devices;

    for (guint i = 0; i < devices->len; i++) {
        Device *dev = g_ptr_array_index(devices, i);

        if (dev->id && g_str_equal(dev->id, id)) {
            return dev;
        }
    }
    return NULL;
}
