/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The objects of a machine: -object, object-add and object-del. Main loop,
 * big lock.
 */
#include <string.h>

#include "qapi/qapi-commands-objects.h"
#include "qapi/qapi-visit-objects.h"
#include "system/cli-int.h"
#include "system/object-int.h"
#include "util/keyval.h"

struct Objects {
    GPtrArray *wanted;          /* of ObjectOptions: -object, in order */
    GPtrArray *list;            /* of Object, in order of creation */
};

static const ObjectClass *class_of(ObjectType type)
{
    const ObjectClass *const *cls = object_classes;

    while (*cls && (*cls)->type != type) {
        cls++;
    }
    return *cls;
}

Object *object_find(Vm *vm, const char *id)
{
    GPtrArray *list = vm->objects ? vm->objects->list : NULL;

    for (guint i = 0; list && i < list->len; i++) {
        Object *obj = list->pdata[i];

        if (g_str_equal(object_id(obj), id)) {
            return obj;
        }
    }
    return NULL;
}

void object_foreach(Vm *vm, void (*fn)(Object *obj, void *data), void *data)
{
    for (guint i = 0; vm->objects && i < vm->objects->list->len; i++) {
        fn(vm->objects->list->pdata[i], data);
    }
}

const char *object_id(const Object *obj)
{
    return obj->options->id;
}

ObjectType object_type(const Object *obj)
{
    return obj->cls->type;
}

/* As everywhere in the field: a letter, then letters, digits, '-', '.', '_'. */
static bool id_wellformed(const char *id)
{
    return g_ascii_isalpha(*id) &&
        id[strspn(id, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "-._")] == 0;
}

static bool check_id(Vm *vm, const char *id, Error **errp)
{
    if (!id_wellformed(id)) {
        error_setg(errp, "object '%.64s': its id has to be a letter, followed "
                   "by letters, digits, '-', '.' and '_'", id);
        return false;
    }
    if (object_find(vm, id)) {
        error_setg(errp, "object '%s': there is one of that id already", id);
        return false;
    }
    return true;
}

bool object_add(Vm *vm, const ObjectOptions *options, Error **errp)
{
    const ObjectClass *cls = class_of(options->qom_type);
    Object *obj;

    /* A test sees to it that every type of the schema has its class. */
    g_assert(cls);
    if (!check_id(vm, options->id, errp)) {
        return false;
    }
    obj = g_new0(Object, 1);
    obj->vm = vm;
    obj->cls = cls;
    obj->options = qapi_clone_ObjectOptions(options);
    if (!cls->create(obj, errp)) {
        error_prepend(errp, "object '%s': ", options->id);
        qapi_free_ObjectOptions(obj->options);
        g_free(obj);
        return false;
    }
    g_ptr_array_add(vm->objects->list, obj);
    return true;
}

static void destroy(Object *obj)
{
    if (obj->cls->destroy) {
        obj->cls->destroy(obj);
    }
    qapi_free_ObjectOptions(obj->options);
    g_free(obj);
}

bool object_del(Vm *vm, const char *id, Error **errp)
{
    Object *obj = object_find(vm, id);

    if (!obj) {
        error_setg(errp, "object '%s' not found", id);
        return false;
    }
    if (obj->holders) {
        error_setg(errp, "object '%s' is in use, can not be deleted", id);
        return false;
    }
    g_ptr_array_remove(vm->objects->list, obj);
    destroy(obj);
    return true;
}

void object_hold(Object *obj)
{
    obj->holders++;
}

void object_release(Object *obj)
{
    g_assert(obj->holders > 0);
    obj->holders--;
}

bool qmp_object_add(Vm *vm, ObjectOptions *arg, Error **errp)
{
    return object_add(vm, arg, errp);
}

bool qmp_object_del(Vm *vm, const char *id, Error **errp)
{
    return object_del(vm, id, errp);
}

static void print_classes(void)
{
    g_autoptr(GString) out = g_string_new("Types of objects are:\n");

    for (const ObjectClass *const *cls = object_classes; *cls; cls++) {
        g_string_append_printf(out, "  %-22s %s\n", ObjectType_str((*cls)->type),
                               (*cls)->help);
    }
    cli_exit_help(out->str);
}

static void free_options(gpointer options)
{
    qapi_free_ObjectOptions(options);
}

static bool parse_object(Vm *vm, const char *argument, Error **errp)
{
    g_autoptr(JsonObject) json = NULL;
    ObjectOptions *options;
    bool keyval;

    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        print_classes();
    }
    json = keyval_or_json_parse(argument, "qom-type", &keyval, errp);
    if (!json) {
        return false;
    }
    options = qapi_ObjectOptions_from_json(json, keyval, errp);
    if (!options) {
        return false;
    }
    g_ptr_array_add(vm->objects->wanted, options);
    return true;
}

static const CliOption options[] = {
    { "object", "TYPE,id=ID[,KEY=VALUE...]",
      "an object that others refer to; 'help' lists the types\n"
      "memory-backend-ram    size=SIZE[,share=on|off][,prealloc=on|off]\n"
      "memory-backend-file   mem-path=FILE[,offset=N][,readonly=on|off]\n"
      "memory-backend-memfd  [hugetlb=on|off][,hugetlbsize=SIZE]\n"
      "iommufd               [fd=FD]\n"
      "rng-builtin, rng-random [filename=FILE]\n"
      "secret                file=FILE|data=TEXT[,format=raw|base64]",
      parse_object },
    { NULL, NULL, NULL, NULL }
};

static bool objects_create(Vm *vm, Error **errp)
{
    (void)errp;
    vm->objects = g_new0(struct Objects, 1);
    vm->objects->wanted = g_ptr_array_new_with_free_func(free_options);
    vm->objects->list = g_ptr_array_new();
    return true;
}

static bool objects_configure(Vm *vm, Error **errp)
{
    GPtrArray *wanted = vm->objects->wanted;

    for (guint i = 0; i < wanted->len; i++) {
        if (!object_add(vm, wanted->pdata[i], errp)) {
            error_prepend(errp, "-object: ");
            return false;
        }
    }
    return true;
}

static void objects_destroy(Vm *vm)
{
    GPtrArray *list;

    if (!vm->objects) {
        return;
    }
    /* Later ones may use earlier ones. */
    list = vm->objects->list;
    while (list->len) {
        destroy(g_ptr_array_steal_index(list, list->len - 1));
    }
    g_ptr_array_unref(list);
    g_ptr_array_unref(vm->objects->wanted);
    g_clear_pointer(&vm->objects, g_free);
}

const VmModule object_module = {
    .name = "Object",
    .options = options,
    .create = objects_create,
    .configure = objects_configure,
    .destroy = objects_destroy,
};
