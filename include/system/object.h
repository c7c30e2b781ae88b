/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What -object and object-add make: things with an id that are no devices.
 * Main loop, big lock.
 */
#ifndef GODWIT_SYSTEM_OBJECT_H
#define GODWIT_SYSTEM_OBJECT_H

#include "qapi/qapi-types-objects.h"
#include "system/memory.h"
#include "system/vm.h"

typedef struct Object Object;

/*
 * Makes what @options say and keeps it under its id. Error: the id is taken,
 * a file cannot be opened, a size is none.
 */
bool object_add(Vm *vm, const ObjectOptions *options, Error **errp);

/* Error: there is none of that id, or it is in use. */
bool object_del(Vm *vm, const char *id, Error **errp);

/* The object called @id, or NULL. */
Object *object_find(Vm *vm, const char *id);
const char *object_id(const Object *obj);
ObjectType object_type(const Object *obj);

/* All of them, in order of creation. */
void object_foreach(Vm *vm, void (*fn)(Object *obj, void *data), void *data);

/* Whether an object's type is one of the memory back ends. */
bool object_is_memory(const Object *obj);

/*
 * The RAM block of memory back end @id, called as the object is. Once: it is
 * in use from then on. Error: there is none of that id, it is something else,
 * in use already, or what memory_ram_new() says.
 */
RamBlock *object_take_memory(Vm *vm, const char *id, Error **errp);

/*
 * The bytes of secret @id, which stay the object's. NULL and errp: there is no
 * such secret.
 */
const uint8_t *object_secret(Vm *vm, const char *id, size_t *len,
                             Error **errp);

#endif
