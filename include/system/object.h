/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What -object and object-add make: things with an id that are no devices.
 * Memory back ends, secrets and sources of random numbers are system's; an
 * upper floor hands down an ObjectClass of its own (system/object-classes.c
 * lists them). Main loop, big lock.
 */
#ifndef GODWIT_SYSTEM_OBJECT_H
#define GODWIT_SYSTEM_OBJECT_H

#include "qapi/qapi-types-objects.h"
#include "system/memory.h"
#include "system/vm.h"

typedef struct Object Object;

/* What makes the objects of one type; constant. */
typedef struct ObjectClass {
    ObjectType type;
    const char *help;           /* one line */
    /*
     * Makes @obj what obj->options say, and sets obj->state. On error it
     * leaves nothing behind; the id is put in front of the message.
     */
    bool (*create)(Object *obj, Error **errp);
    /* NULL: there is nothing to undo. */
    void (*destroy)(Object *obj);
} ObjectClass;

struct Object {
    const ObjectClass *cls;
    Vm *vm;
    ObjectOptions *options;     /* what it was made of, id included */
    unsigned holders;           /* while not 0, it cannot be deleted */
    void *state;                /* its class's */
};

/* One for every type of the schema; ends in NULL. */
extern const ObjectClass *const object_classes[];

/*
 * Makes what @options say and keeps it under its id. Error: the id is taken or
 * malformed, or what the class says.
 */
bool object_add(Vm *vm, const ObjectOptions *options, Error **errp);

/* Error: there is none of that id, or somebody holds it. */
bool object_del(Vm *vm, const char *id, Error **errp);

/* The object called @id, or NULL. */
Object *object_find(Vm *vm, const char *id);
const char *object_id(const Object *obj);
ObjectType object_type(const Object *obj);

/* All of them, in order of creation. @fn must not make or delete any. */
void object_foreach(Vm *vm, void (*fn)(Object *obj, void *data), void *data);

/* While somebody holds it, it cannot be deleted. */
void object_hold(Object *obj);
void object_release(Object *obj);

/* Whether an object's type is one of the memory back ends. */
bool object_is_memory(const Object *obj);

/*
 * The RAM block of memory back end @id, called as the object is. Once: it is
 * held from then on. Error: there is none of that id, it is something else,
 * in use already, or what memory_ram_new() says.
 */
RamBlock *object_take_memory(Vm *vm, const char *id, Error **errp);

/*
 * The bytes of secret @id, which stay the object's. NULL and errp: there is no
 * such secret.
 */
const uint8_t *object_secret(Vm *vm, const char *id, size_t *len,
                             Error **errp);

/* Whether it is a source of random numbers. */
bool object_is_rng(const Object *obj);

/*
 * Random bytes from such a source into @buf; returns how many there are now,
 * without a wait for more: @len unless the source is a file that ran dry.
 */
size_t object_random(Object *obj, void *buf, size_t len);

#endif
