/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices as a user asks for them: the keys of -device, and its help. Main
 * loop, big lock.
 */
#include <string.h>

#include "hw/core/machine.h"
#include "util/json.h"

/* As everywhere in the field: a letter, then letters, digits, '-', '.', '_'. */
static bool id_wellformed(const char *id)
{
    if (!g_ascii_isalpha(*id)) {
        return false;
    }
    for (const char *c = id + 1; *c; c++) {
        if (!g_ascii_isalnum(*c) && !strchr("-._", *c)) {
            return false;
        }
    }
    return true;
}

/* The text of the scalar @value; NULL: it is none. */
static char *scalar_text(json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_boolean:
        return g_strdup(json_object_get_boolean(value) ? "on" : "off");
    case json_type_int:
    case json_type_double:
    case json_type_string:
        return g_strdup(json_object_get_string(value));
    default:
        return NULL;
    }
}

/* *@text is the string at @key, or NULL without one. */
static bool string_key(json_object *options, const char *key, const char **text,
                       Error **errp)
{
    json_object *value;

    *text = NULL;
    if (!json_object_object_get_ex(options, key, &value)) {
        return true;
    }
    if (!json_object_is_type(value, json_type_string)) {
        error_setg(errp, "device: key '%s' must be a string", key);
        return false;
    }
    *text = json_object_get_string(value);
    return true;
}

static const DeviceType *user_type(const char *driver, Error **errp)
{
    const DeviceType *type = device_type_find(driver);

    if (!type) {
        error_setg(errp, "'%s' is not a device; '-device help' lists them",
                   driver);
        return NULL;
    }
    if (!type->user_creatable) {
        error_setg(errp, "device '%s' is part of the board and cannot be added "
                   "by -device", driver);
        return NULL;
    }
    return type;
}

static bool set_properties(Device *dev, json_object *options, Error **errp)
{
    json_object_object_foreach(options, key, value) {
        g_autofree char *text = NULL;

        if (g_str_equal(key, "driver") || g_str_equal(key, "id") ||
            g_str_equal(key, "bus")) {
            continue;
        }
        text = scalar_text(value);
        if (!text) {
            error_setg(errp, "device '%s': property '%s' must be a string, a "
                       "number or a boolean", device_name(dev), key);
            return false;
        }
        if (!device_set_property(dev, key, text, errp)) {
            return false;
        }
    }
    return true;
}

Device *device_add(Vm *vm, json_object *options, Error **errp)
{
    const char *driver, *id, *bus_name;
    const DeviceType *type;
    Bus *bus = NULL;
    Device *dev;

    if (!string_key(options, "driver", &driver, errp) ||
        !string_key(options, "id", &id, errp) ||
        !string_key(options, "bus", &bus_name, errp)) {
        return NULL;
    }
    if (!driver) {
        error_setg(errp, "device: key 'driver' is missing; '-device help' "
                   "lists its values");
        return NULL;
    }
    type = user_type(driver, errp);
    if (!type) {
        return NULL;
    }
    if (id && !id_wellformed(id)) {
        error_setg(errp, "device '%s': id '%s' is not a letter followed by "
                   "letters, digits, '-', '.' and '_'", driver, id);
        return NULL;
    }
    if (id && device_find(vm, id)) {
        error_setg(errp, "device '%s': there is another device with id '%s'",
                   driver, id);
        return NULL;
    }
    if (bus_name) {
        bus = bus_find(vm, bus_name);
        if (!bus) {
            error_setg(errp, "device '%s': this machine has no bus '%s'",
                       id ? id : driver, bus_name);
            return NULL;
        }
    }
    dev = device_new(vm, type, id, errp);
    if (!dev) {
        return NULL;
    }
    if (!set_properties(dev, options, errp) ||
        !device_realize(dev, bus, errp)) {
        device_free(dev);
        return NULL;
    }
    return dev;
}

void device_help(GString *out)
{
    size_t count;
    g_autofree const DeviceType **types = device_type_list(&count);

    for (size_t i = 0; i < count; i++) {
        if (types[i]->user_creatable) {
            g_string_append_printf(out, "name \"%s\", bus %s, desc \"%s\"\n",
                                   types[i]->name, types[i]->bus,
                                   types[i]->description);
        }
    }
}

static void property_help(const Property *p, GString *out)
{
    g_string_append_printf(out, "  %s=<%s>", p->name,
                           property_kind_name(p->kind));
    if (p->help) {
        g_string_append_printf(out, " - %s", p->help);
    }
    if (p->preset) {
        g_string_append_printf(out, " (default: %s)", p->preset);
    }
    g_string_append_c(out, '\n');
}

void device_type_help(const DeviceType *type, GString *out)
{
    g_string_append_printf(out, "%s options:\n", type->name);
    for (; type; type = type->inner) {
        for (const Property *p = type->properties; p && p->name; p++) {
            property_help(p, out);
        }
    }
}
