/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Properties of devices: text to field, and back. A table of readers by kind;
 * nothing here knows a device. Main loop, big lock.
 */
#include <errno.h>
#include <string.h>

#include "hw/core/machine.h"
#include "hw/core/property.h"
#include "util/keyval.h"

static bool read_bool(const char *text, bool *value)
{
    static const char *const words[2][4] = {
        { "off", "no", "false", "n" },
        { "on", "yes", "true", "y" },
    };

    for (unsigned i = 0; i < 8; i++) {
        if (g_str_equal(text, words[i / 4][i % 4])) {
            *value = i / 4;
            return true;
        }
    }
    return false;
}

/* Hexadecimal digits of @text up to @end, at most @digits of them. */
static bool read_hex(const char **text, unsigned digits, unsigned *value)
{
    unsigned count = 0;

    for (*value = 0; count < digits && g_ascii_isxdigit(**text); count++) {
        *value = *value * 16 + (unsigned)g_ascii_xdigit_value(*(*text)++);
    }
    return count > 0;
}

static bool read_mac(const char *text, uint8_t mac[6])
{
    uint8_t bytes[6];

    for (unsigned i = 0; i < 6; i++) {
        unsigned byte;

        if (i && *text != ':' && *text != '-') {
            return false;
        }
        text += i != 0;
        if (!read_hex(&text, 2, &byte)) {
            return false;
        }
        bytes[i] = (uint8_t)byte;
    }
    if (*text) {
        return false;
    }
    memcpy(mac, bytes, 6);
    return true;
}

/* "slot[.function]", both hexadecimal, as lspci prints them. */
static bool read_pci_slot(const char *text, int32_t *devfn)
{
    unsigned slot, function = 0;

    if (g_str_has_prefix(text, "0x")) {
        text += 2;
    }
    if (!read_hex(&text, 2, &slot) || slot > 31) {
        return false;
    }
    if (*text == '.' && (text++, !read_hex(&text, 1, &function))) {
        return false;
    }
    if (*text || function > 7) {
        return false;
    }
    *devfn = (int32_t)(slot << 3 | function);
    return true;
}

/* A place in the order of booting, or -1 for none. */
static bool read_boot_index(const char *text, int32_t *index)
{
    uint64_t value;

    if (g_str_equal(text, "-1")) {
        *index = -1;
        return true;
    }
    if (!keyval_parse_uint64(text, &value) || value > INT32_MAX) {
        return false;
    }
    *index = (int32_t)value;
    return true;
}

static unsigned number_width(PropertyKind kind)
{
    switch (kind) {
    case PROP_U8:
        return 1;
    case PROP_U16:
        return 2;
    case PROP_U32:
        return 4;
    default:
        return 8;
    }
}

static uint64_t number_max(const Property *prop)
{
    unsigned bits = number_width(prop->kind) * 8;

    if (prop->min || prop->max) {
        return prop->max;
    }
    return bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

static bool read_number(const Property *prop, const char *text, void *field)
{
    uint64_t value;
    bool ok = prop->kind == PROP_SIZE ? keyval_parse_size(text, &value)
                                      : keyval_parse_uint64(text, &value);

    if (!ok || value < prop->min || value > number_max(prop)) {
        return false;
    }
    /* The host is little-endian: the low bytes come first. */
    memcpy(field, &value, number_width(prop->kind));
    return true;
}

static char *expected(const Property *prop)
{
    switch (prop->kind) {
    case PROP_BOOL:
        return g_strdup("'on' or 'off'");
    case PROP_U8: case PROP_U16: case PROP_U32: case PROP_U64:
        return g_strdup_printf("a number from %" G_GUINT64_FORMAT " to %"
                               G_GUINT64_FORMAT, prop->min, number_max(prop));
    case PROP_SIZE:
        return g_strdup_printf("a size in bytes (suffixes K, M, G, T) from %"
                               G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT,
                               prop->min, number_max(prop));
    case PROP_MAC:
        return g_strdup("six bytes as 52:54:00:12:34:56");
    case PROP_PCI_SLOT:
        return g_strdup("SLOT or SLOT.FUNCTION, in hexadecimal, from 0.0 to "
                        "1f.7");
    case PROP_ON_OFF_AUTO:
        return g_strdup("'on', 'off' or 'auto'");
    case PROP_BOOT_INDEX:
        return g_strdup_printf("-1 or a number from 0 to %d", INT32_MAX);
    default:
        return NULL;
    }
}

static bool set_reference(Device *dev, const Property *prop, const char *text,
                          void **field, Error **errp)
{
    const PropertyLookup *lookup = &dev->vm->machine->lookups[prop->kind];
    void *found = lookup->find ? lookup->find(dev->vm, text) : NULL;

    if (!found) {
        error_setg(errp, "device '%s': property '%s': there is no %s with id "
                   "'%s'", device_name(dev), prop->name,
                   lookup->made_by ? lookup->made_by
                                   : property_kind_name(prop->kind), text);
        return false;
    }
    *field = found;
    return true;
}

bool property_set(Device *dev, const Property *prop, const char *text,
                  Error **errp)
{
    void *field = (char *)dev + prop->offset;
    bool on = false;
    bool ok = false;

    switch (prop->kind) {
    case PROP_BOOL:
        ok = read_bool(text, field);
        break;
    case PROP_U8: case PROP_U16: case PROP_U32: case PROP_U64: case PROP_SIZE:
        ok = read_number(prop, text, field);
        break;
    case PROP_STRING:
        g_free(*(char **)field);
        *(char **)field = g_strdup(text);
        return true;
    case PROP_MAC:
        ok = read_mac(text, field);
        break;
    case PROP_PCI_SLOT:
        ok = read_pci_slot(text, field);
        break;
    case PROP_ON_OFF_AUTO:
        ok = g_str_equal(text, "auto") || read_bool(text, &on);
        if (ok) {
            *(int *)field = g_str_equal(text, "auto") ? -1 : on;
        }
        break;
    case PROP_BOOT_INDEX:
        ok = read_boot_index(text, field);
        break;
    case PROP_BLOCK: case PROP_NET: case PROP_CHARDEV: case PROP_OBJECT:
        return set_reference(dev, prop, text, field, errp);
    case PROP_KINDS:
        g_assert_not_reached();
    }
    if (!ok) {
        g_autofree char *accepted = expected(prop);

        error_setg(errp, "device '%s': property '%s': '%s' is not %s",
                   device_name(dev), prop->name, text, accepted);
    }
    return ok;
}

void property_preset(Device *dev, const Property *prop)
{
    void *field = (char *)dev + prop->offset;
    bool ok = true;

    if (prop->kind == PROP_PCI_SLOT || prop->kind == PROP_BOOT_INDEX) {
        *(int32_t *)field = -1;
    } else if (prop->kind == PROP_ON_OFF_AUTO) {
        *(int *)field = -1;
    }
    if (prop->preset) {
        ok = property_set(dev, prop, prop->preset, NULL);
    }
    g_assert(ok);
}

void property_clear(Device *dev, const Property *prop)
{
    if (prop->kind == PROP_STRING) {
        g_clear_pointer((char **)((char *)dev + prop->offset), g_free);
    }
}

char *device_get_property(const Device *dev, const Property *prop)
{
    const void *field = (const char *)dev + prop->offset;
    const uint8_t *mac = field;
    uint64_t number = 0;

    switch (prop->kind) {
    case PROP_BOOL:
        return g_strdup(*(const bool *)field ? "on" : "off");
    case PROP_U8: case PROP_U16: case PROP_U32: case PROP_U64: case PROP_SIZE:
        memcpy(&number, field, number_width(prop->kind));
        return g_strdup_printf("%" G_GUINT64_FORMAT, number);
    case PROP_STRING:
        return g_strdup(*(char *const *)field);
    case PROP_MAC:
        return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1],
                               mac[2], mac[3], mac[4], mac[5]);
    case PROP_PCI_SLOT: {
        int32_t devfn = *(const int32_t *)field;

        return devfn < 0 ? NULL
                         : g_strdup_printf("%02x.%x", devfn >> 3, devfn & 7);
    }
    case PROP_ON_OFF_AUTO: {
        int value = *(const int *)field;

        return g_strdup(value < 0 ? "auto" : value ? "on" : "off");
    }
    case PROP_BOOT_INDEX:
        return g_strdup_printf("%d", *(const int32_t *)field);
    default:
        return NULL;
    }
}

const char *property_kind_name(PropertyKind kind)
{
    static const char *const names[PROP_KINDS] = {
        [PROP_BOOL] = "bool",       [PROP_U8] = "uint8",
        [PROP_U16] = "uint16",      [PROP_U32] = "uint32",
        [PROP_U64] = "uint64",      [PROP_SIZE] = "size",
        [PROP_STRING] = "str",      [PROP_MAC] = "macaddr",
        [PROP_PCI_SLOT] = "pci-slot", [PROP_BLOCK] = "drive",
        [PROP_NET] = "netdev",      [PROP_CHARDEV] = "chardev",
        [PROP_ON_OFF_AUTO] = "OnOffAuto", [PROP_OBJECT] = "object",
        [PROP_BOOT_INDEX] = "int32",
    };

    return names[kind];
}

void property_set_lookup(Vm *vm, PropertyKind kind,
                         const PropertyLookup *lookup)
{
    /* Who owns back ends is set up before the board is. */
    machine_create(vm);
    vm->machine->lookups[kind] = *lookup;
}
