/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices. A device is one file: its state struct (whose first member is a
 * Device, or a bus's device that starts with one), its ops, its vmstate, its
 * properties, and at the bottom its DeviceType with DEVICE_TYPE().
 *
 * Life: device_new() -> properties -> device_realize() -> reset ... save/load
 * ... -> device_unrealize() -> freed. All of it on the main loop under the big
 * lock, unless a hook says otherwise.
 */
#ifndef GODWIT_HW_CORE_DEVICE_H
#define GODWIT_HW_CORE_DEVICE_H

#include "migration/vmstate.h"
#include "system/vm.h"

typedef struct Device Device;
typedef struct DeviceType DeviceType;
typedef struct Bus Bus;

/* What a device's inner one is called in the tree that qom-list shows. */
#define DEVICE_INNER_NAME "virtio-backend"

/* What a property's text must be. */
typedef enum PropertyKind {
    PROP_BOOL,                  /* bool: on/off, yes/no, true/false */
    PROP_U8, PROP_U16, PROP_U32, PROP_U64, /* with C's prefixes */
    PROP_SIZE,                  /* uint64_t: bytes, suffixes K M G T */
    PROP_STRING,                /* char *, owned */
    PROP_MAC,                   /* uint8_t[6] */
    PROP_PCI_SLOT,              /* int32_t: "slot[.function]", -1: any */
    PROP_BLOCK,                 /* struct BlockBackend *: -drive/-blockdev id */
    PROP_NET,                   /* struct NetBackend *: -netdev id */
    PROP_CHARDEV,               /* struct Chardev *: -chardev id */
    PROP_ON_OFF_AUTO,           /* int: -1 auto, 0 off, 1 on */
    PROP_OBJECT,                /* struct Object *: -object id */
    PROP_BOOT_INDEX,            /* int32_t: one device's alone; -1: none */
    PROP_KINDS
} PropertyKind;

/*
 * How PROP_BLOCK, PROP_NET, PROP_CHARDEV and PROP_OBJECT find what an id
 * stands for. Set by whoever owns the back ends, before the command line is
 * carried out; a kind that nobody set has no back ends.
 */
typedef struct PropertyLookup {
    void *(*find)(Vm *vm, const char *id);
    const char *made_by;        /* for messages: "-chardev" */
} PropertyLookup;

void property_set_lookup(Vm *vm, PropertyKind kind,
                         const PropertyLookup *lookup);

/* The kind as help shows it: "bool", "uint32", "size", "str", ... */
const char *property_kind_name(PropertyKind kind);

typedef struct Property {
    const char *name;           /* arrays end in a NULL name */
    PropertyKind kind;
    size_t offset;              /* of the field in the instance */
    uint64_t min, max;          /* of numbers; 0, 0: what the kind holds */
    const char *preset;         /* default, as text; NULL: zero */
    const char *help;
} Property;

struct DeviceType {
    const char *name;           /* -device NAME */
    const char *bus;            /* kind of bus it sits on: "pci",
                                   "virtio-bus", "sysbus" (board only) */
    const char *description;
    size_t instance_size;
    const Property *properties; /* NULL: none */
    const VMStateDescription *vmsd; /* NULL: nothing to save */

    /* Makes it work: claims back ends, maps regions. Undoes all on error. */
    bool (*realize)(Device *dev, Error **errp);
    void (*unrealize)(Device *dev);
    /* To power-on state. vCPUs stopped. */
    void (*reset)(Device *dev);
    /* Whether a user may create it by -device. */
    bool user_creatable;
    /*
     * NULL, or the type of a device that each of these has inside: it is made
     * and freed with the outer one, and its properties are set through it; the
     * outer one's realize and unrealize do the same to it.
     */
    const DeviceType *inner;
};

struct Device {
    const DeviceType *type;
    Vm *vm;
    char *id;                   /* of the user, or NULL */
    Bus *bus;                   /* where it sits, or NULL */
    Device *inner;              /* of type->inner, owned, or NULL */
    uint32_t instance_id;       /* its number in the migration stream */
    char *stream_id;            /* its section's name in the stream */
    bool realized;
};

/* A place for devices: the PCI root, a virtio transport, the board itself. */
struct Bus {
    Vm *vm;
    char *name;                 /* "pcie.0" */
    const char *kind;           /* matched with DeviceType.bus */
    Device *owner;              /* whose bus it is, or NULL */
    GPtrArray *children;        /* of realized Device * */
    unsigned max_children;      /* 0: no limit */
    /*
     * The section name prefix of a child in the stream, e.g. the address
     * "0000:00:01.0" on PCI; NULL: none. Caller frees.
     */
    char *(*child_path)(Bus *bus, Device *dev);
};

/* Files a type under its name at link time; order does not matter. */
#define DEVICE_TYPE(type)                                               \
    static const DeviceType *const device_type_entry_##type             \
        __attribute__((used, section("device_types"))) = &(type)

/*
 * The type called @name, or NULL; all types, sorted by name, NULL-ended (the
 * array is the caller's).
 */
const DeviceType *device_type_find(const char *name);
const DeviceType **device_type_list(size_t *count);

/* A device of @type with its presets and -global values. Error: a -global. */
Device *device_new(Vm *vm, const DeviceType *type, const char *id,
                   Error **errp);

/*
 * Sets property @name from text. Errors name device, property, value and what
 * would be accepted. Before realize only.
 */
bool device_set_property(Device *dev, const char *name, const char *value,
                         Error **errp);

/*
 * Puts @dev on @bus (NULL: the first that is of its kind and has room), calls
 * realize, registers reset and vmstate, makes it visible in the device tree.
 * On error the device is as before; the caller frees it.
 */
bool device_realize(Device *dev, Bus *bus, Error **errp);

/* Undoes device_realize(). */
void device_unrealize(Device *dev);

/* Unrealizes if realized, and frees. NULL is allowed. */
void device_free(Device *dev);

/* The value of property @prop of @dev as text, or NULL if it has none. */
char *device_get_property(const Device *dev, const Property *prop);

/* The user's device called @id, or NULL. */
Device *device_find(Vm *vm, const char *id);

/* What messages call @dev: its id, or its type. */
const char *device_name(const Device *dev);

/*
 * Creates and realizes a device from the keys of -device: "driver", "id",
 * "bus" and the properties; scalars of any JSON type. Errors name the key.
 */
struct json_object;
Device *device_add(Vm *vm, struct json_object *options, Error **errp);

/* One line per type as "-device help" shows it; a type's properties. */
void device_help(GString *out);
void device_type_help(const DeviceType *type, GString *out);

/*
 * @bus is embedded in its owner. It is found by -device bus=@name and by kind
 * until bus_destroy(), which must find it empty.
 */
void bus_init(Bus *bus, Vm *vm, const char *name, const char *kind,
              Device *owner);
void bus_destroy(Bus *bus);

/* The bus called @name, or NULL; a bus of @kind with room, or NULL. */
Bus *bus_find(Vm *vm, const char *name);
Bus *bus_find_kind(Vm *vm, const char *kind);

#endif
