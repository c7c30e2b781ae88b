/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tree of objects looks like from outside. There is no such tree
 * within: accelerators, boards, devices and back ends have tables of their
 * own, and this is the view of them under the names that clients look for.
 * Main loop, big lock.
 */
#include <string.h>

#include "accel/accel.h"
#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "monitor/schema-objects.h"
#include "qapi/qapi-commands-qom.h"
#include "qapi/qapi-introspect.h"
#include "system/machine.h"

/* Types */

typedef struct TypeWalk {
    ObjectTypeInfoList *list;
    const char *implements; /* NULL: any */
    bool abstract;
} TypeWalk;

/* A type that is a kind of @parent, whose own parent is "object". */
static void add_type(TypeWalk *walk, char *name, const char *parent,
                     bool abstract)
{
    const char *wanted = walk->implements;
    ObjectTypeInfo *info;

    if ((abstract && !walk->abstract) ||
        (wanted && !g_str_equal(wanted, name) &&
         !g_str_equal(wanted, parent) && !g_str_equal(wanted, "object"))) {
        g_free(name);
        return;
    }
    info = g_new0(ObjectTypeInfo, 1);
    info->name = name;
    info->has_abstract = abstract;
    info->abstract = abstract;
    info->parent = g_strdup(parent);
    QAPI_LIST_PREPEND(walk->list, info);
}

static void add_object_type(const char *name, const char *type, void *opaque)
{
    (void)type;
    add_type(opaque, g_strdup(name), "object", false);
}

static json_object *own_schema(void)
{
    json_object *schema = NULL;

    json_parse(qmp_schema_json, strlen(qmp_schema_json), &schema, NULL);
    return schema;
}

bool qmp_qom_list_types(Vm *vm, const char *implements, bool has_abstract,
                        bool abstract, ObjectTypeInfoList **ret,
                        Error **errp)
{
    TypeWalk walk = { .implements = implements,
                      .abstract = has_abstract && abstract };
    const MachineType *const *machine;
    const DeviceType *const *device;
    const AccelOps *const *accel;
    g_autoptr(JsonObject) schema = own_schema();
    size_t count, i;

    (void)vm;
    (void)errp;
    schema_object_types(schema, add_object_type, &walk);
    add_type(&walk, g_strdup("accel"), "object", true);
    add_type(&walk, g_strdup("machine"), "object", true);
    add_type(&walk, g_strdup("device"), "object", true);
    for (accel = accel_all; *accel; accel++) {
        add_type(&walk, g_strconcat((*accel)->name, "-accel", NULL), "accel",
                 false);
    }
    for (machine = machine_types; *machine; machine++) {
        add_type(&walk, g_strconcat((*machine)->name, "-machine", NULL),
                 "machine", false);
    }
    device = device_type_list(&count);
    for (i = 0; i < count; i++) {
        add_type(&walk, g_strdup(device[i]->name), "device", false);
    }
    *ret = walk.list;
    return true;
}

/* Properties */

static void add_property(ObjectPropertyInfoList **list, const char *name,
                         char *type, const char *description)
{
    ObjectPropertyInfo *info = g_new0(ObjectPropertyInfo, 1);

    info->name = g_strdup(name);
    info->type = type;
    info->description = g_strdup(description);
    QAPI_LIST_PREPEND(*list, info);
}

static const char *property_type(PropertyKind kind)
{
    switch (kind) {
    case PROP_BOOL:
        return "bool";
    case PROP_U8:
        return "uint8";
    case PROP_U16:
        return "uint16";
    case PROP_U32:
        return "uint32";
    case PROP_U64:
        return "uint64";
    case PROP_SIZE:
        return "size";
    case PROP_ON_OFF_AUTO:
        return "OnOffAuto";
    case PROP_BOOT_INDEX:
        return "int32";
    default:
        return "str";
    }
}

static void device_properties(const DeviceType *type,
                              ObjectPropertyInfoList **list)
{
    const Property *property;

    /* What is set on a device may belong to the one inside it. */
    for (; type; type = type->inner) {
        for (property = type->properties; property && property->name;
             property++) {
            add_property(list, property->name,
                         g_strdup(property_type(property->kind)),
                         property->help);
        }
    }
}

bool qmp_device_list_properties(Vm *vm, const char *type_name,
                                ObjectPropertyInfoList **ret, Error **errp)
{
    const DeviceType *type = device_type_find(type_name);

    (void)vm;
    if (!type) {
        error_set_class(errp, ERROR_CLASS_DEVICE_NOT_FOUND,
                        "Device '%s' not found", type_name);
        return false;
    }
    device_properties(type, ret);
    return true;
}

static const MachineType *find_machine(const char *type_name)
{
    const MachineType *const *machine;

    for (machine = machine_types; *machine; machine++) {
        g_autofree char *name = g_strconcat((*machine)->name, "-machine",
                                            NULL);

        if (g_str_equal(name, type_name)) {
            return *machine;
        }
    }
    return NULL;
}

static void machine_properties(const MachineType *machine,
                               ObjectPropertyInfoList **list)
{
    /* What every machine takes, besides what its table says. */
    static const char *const common[] = { "accel", "memory-backend" };
    const char *const *option;
    guint i;

    for (i = 0; i < G_N_ELEMENTS(common); i++) {
        add_property(list, common[i], g_strdup("string"), NULL);
    }
    for (option = machine->options; option && *option; option++) {
        add_property(list, *option, g_strdup("string"), NULL);
    }
}

static bool find_accel(const char *type_name)
{
    const AccelOps *const *accel;

    for (accel = accel_all; *accel; accel++) {
        g_autofree char *name = g_strconcat((*accel)->name, "-accel", NULL);

        if (g_str_equal(name, type_name)) {
            return true;
        }
    }
    return false;
}

static void add_object_property(const char *name, const char *type,
                                void *opaque)
{
    add_property(opaque, name, g_strdup(type), NULL);
}

bool qmp_qom_list_properties(Vm *vm, const char *type_name,
                             ObjectPropertyInfoList **ret, Error **errp)
{
    static const char *const abstract[] = { "object", "accel", "machine",
                                            "device", NULL };
    const MachineType *machine = find_machine(type_name);
    const DeviceType *device = device_type_find(type_name);
    g_autoptr(JsonObject) schema = own_schema();

    (void)vm;
    if (schema_object_properties(schema, type_name, add_object_property,
                                 ret)) {
        return true;
    }
    if (machine) {
        machine_properties(machine, ret);
        return true;
    }
    if (device) {
        device_properties(device, ret);
        return true;
    }
    if (find_accel(type_name) || g_strv_contains(abstract, type_name)) {
        return true;
    }
    error_set_class(errp, ERROR_CLASS_DEVICE_NOT_FOUND,
                    "Class '%s' not found", type_name);
    return false;
}

/* Paths */

static void add_child(ObjectPropertyInfoList **list, const char *name,
                      const DeviceType *type)
{
    add_property(list, name, g_strdup_printf("child<%s>", type->name), NULL);
}

static bool is_inner(const Device *dev)
{
    return dev->bus && dev->bus->owner && dev->bus->owner->inner == dev;
}

/* The devices with an id, or those without, as children. */
static void list_devices(Vm *vm, bool named, ObjectPropertyInfoList **list)
{
    GPtrArray *devices = vm->machine ? vm->machine->devices : NULL;
    guint i;

    for (i = 0; devices && i < devices->len; i++) {
        const Device *dev = devices->pdata[i];
        g_autofree char *number = g_strdup_printf("device[%u]", i);

        if (named == (dev->id != NULL) && !is_inner(dev)) {
            add_child(list, named ? dev->id : number, dev->type);
        }
    }
}

/* What @path, below /machine/peripheral/, leads to; NULL: nothing. */
static const Device *find_peripheral(Vm *vm, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, "/", 3);
    const Device *dev = names[0] && vm->machine ? device_find(vm, names[0])
                                                : NULL;

    if (!dev || !names[1]) {
        return dev;
    }
    return !names[2] && g_str_equal(names[1], DEVICE_INNER_NAME) ? dev->inner
                                                                 : NULL;
}

/* Its properties (they include what it passes on), and what it has inside. */
static void list_device(const Device *dev, ObjectPropertyInfoList **list)
{
    device_properties(dev->type, list);
    if (dev->inner) {
        add_child(list, DEVICE_INNER_NAME, dev->inner->type);
    }
}

bool qmp_qom_list(Vm *vm, const char *path, ObjectPropertyInfoList **ret,
                  Error **errp)
{
    static const char peripheral[] = "/machine/peripheral/";
    const Device *dev = NULL;

    if (g_str_has_prefix(path, peripheral)) {
        dev = find_peripheral(vm, path + strlen(peripheral));
    }
    if (dev) {
        list_device(dev, ret);
    } else if (g_str_equal(path, "/")) {
        add_property(ret, "machine", g_strdup_printf(
            "child<%s-machine>", vm->config->type ? vm->config->type
                                                  : "none"), NULL);
    } else if (g_str_equal(path, "/machine")) {
        add_property(ret, "peripheral", g_strdup("child<container>"), NULL);
        add_property(ret, "unattached", g_strdup("child<container>"), NULL);
    } else if (g_str_equal(path, "/machine/peripheral")) {
        list_devices(vm, true, ret);
    } else if (g_str_equal(path, "/machine/unattached")) {
        list_devices(vm, false, ret);
    } else {
        error_set_class(errp, ERROR_CLASS_DEVICE_NOT_FOUND,
                        "Device '%s' not found", path);
        return false;
    }
    return true;
}
