/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The objects of a machine: the list of them, -object, object-add and
 * object-del, secrets. What is memory is in object-memory.c. Main loop, big
 * lock.
 */
#include <string.h>

#include "qapi/qapi-commands-objects.h"
#include "qapi/qapi-visit-objects.h"
#include "system/cli-int.h"
#include "system/object-int.h"
#include "util/keyval.h"

/* More than any key or passphrase has. */
#define SECRET_MAX 65536

struct Objects {
    GPtrArray *all;             /* of Object, in order of creation */
    GPtrArray *wanted;          /* of ObjectOptions, of the command line */
};

static void wipe(uint8_t *bytes, size_t len)
{
    if (bytes) {
        explicit_bzero(bytes, len);
        g_free(bytes);
    }
}

static void object_free(gpointer opaque)
{
    Object *obj = opaque;

    object_memory_free(obj);
    wipe(obj->secret, obj->secret_len);
    qapi_free_ObjectOptions(obj->options);
    g_free(obj);
}

static bool read_secret(const SecretProperties *secret, char **text,
                        size_t *len, Error **errp)
{
    if (!secret->data == !secret->file) {
        error_setg(errp, "a secret is given by one of 'data' and 'file'");
        return false;
    }
    if (secret->data) {
        *text = g_strdup(secret->data);
        *len = strlen(*text);
        return true;
    }
    return g_file_get_contents(secret->file, text, len, errp);
}

static bool secret_init(Object *obj, Error **errp)
{
    const SecretProperties *secret = &obj->options->u.secret;
    char *text = NULL;
    size_t len = 0;

    if (!read_secret(secret, &text, &len, errp)) {
        return false;
    }
    if (len > SECRET_MAX) {
        error_setg(errp, "a secret of %zu bytes is too long: at most %d are "
                   "expected", len, SECRET_MAX);
        wipe((uint8_t *)text, len);
        return false;
    }
    if (secret->has_format &&
        secret->format == QCRYPTO_SECRET_FORMAT_BASE64) {
        obj->secret = g_base64_decode(text, &obj->secret_len);
        wipe((uint8_t *)text, len);
        if (!obj->secret_len && len) {
            error_setg(errp, "the secret is not in Base64");
            return false;
        }
        return true;
    }
    obj->secret = (uint8_t *)text;
    obj->secret_len = len;
    return true;
}

bool object_add(Vm *vm, const ObjectOptions *options, Error **errp)
{
    Object *obj;
    bool ok;

    if (!options->id[0]) {
        error_setg(errp, "an object needs an id");
        return false;
    }
    if (object_find(vm, options->id)) {
        error_setg(errp, "there is an object '%s' already", options->id);
        return false;
    }
    obj = g_new0(Object, 1);
    obj->fd = -1;
    obj->options = qapi_clone_ObjectOptions(options);
    ok = object_is_memory(obj) ? object_memory_init(obj, errp)
                               : secret_init(obj, errp);
    if (!ok) {
        error_prepend(errp, "object '%s': ", options->id);
        object_free(obj);
        return false;
    }
    g_ptr_array_add(vm->objects->all, obj);
    return true;
}

bool object_del(Vm *vm, const char *id, Error **errp)
{
    Object *obj = object_find(vm, id);

    if (!obj) {
        error_setg(errp, "there is no object '%s'", id);
        return false;
    }
    if (obj->in_use) {
        error_setg(errp, "object '%s' is in use", id);
        return false;
    }
    g_ptr_array_remove(vm->objects->all, obj);
    return true;
}

Object *object_find(Vm *vm, const char *id)
{
    for (guint i = 0; vm->objects && i < vm->objects->all->len; i++) {
        Object *obj = g_ptr_array_index(vm->objects->all, i);

        if (g_str_equal(obj->options->id, id)) {
            return obj;
        }
    }
    return NULL;
}

const char *object_id(const Object *obj)
{
    return obj->options->id;
}

ObjectType object_type(const Object *obj)
{
    return obj->options->qom_type;
}

void object_foreach(Vm *vm, void (*fn)(Object *obj, void *data), void *data)
{
    for (guint i = 0; vm->objects && i < vm->objects->all->len; i++) {
        fn(g_ptr_array_index(vm->objects->all, i), data);
    }
}

const uint8_t *object_secret(Vm *vm, const char *id, size_t *len,
                             Error **errp)
{
    Object *obj = object_find(vm, id);

    if (!obj || object_type(obj) != OBJECT_TYPE_SECRET) {
        error_setg(errp, "there is no secret '%s': -object secret,id=%s makes "
                   "it", id, id);
        return NULL;
    }
    *len = obj->secret_len;
    return obj->secret;
}

bool qmp_object_add(Vm *vm, ObjectOptions *options, Error **errp)
{
    return object_add(vm, options, errp);
}

bool qmp_object_del(Vm *vm, const char *id, Error **errp)
{
    return object_del(vm, id, errp);
}

static void print_types(void)
{
    g_autoptr(GString) out = g_string_new("List of user creatable objects:\n");

    for (int i = 0; i < OBJECT_TYPE__MAX; i++) {
        g_string_append_printf(out, "  %s\n", ObjectType_str(i));
    }
    cli_exit_help(out->str);
}

static bool parse_object(Vm *vm, const char *argument, Error **errp)
{
    g_autoptr(JsonObject) value = NULL;
    ObjectOptions *options;
    bool keyval;

    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        print_types();
    }
    value = keyval_or_json_parse(argument, "qom-type", &keyval, errp);
    if (!value) {
        return false;
    }
    options = qapi_ObjectOptions_from_json(value, keyval, errp);
    if (!options) {
        return false;
    }
    g_ptr_array_add(vm->objects->wanted, options);
    return true;
}

static void free_options(gpointer options)
{
    qapi_free_ObjectOptions(options);
}

static bool objects_create(Vm *vm, Error **errp)
{
    (void)errp;
    vm->objects = g_new0(struct Objects, 1);
    vm->objects->all = g_ptr_array_new_with_free_func(object_free);
    vm->objects->wanted = g_ptr_array_new_with_free_func(free_options);
    return true;
}

static bool objects_configure(Vm *vm, Error **errp)
{
    GPtrArray *wanted = vm->objects->wanted;

    for (guint i = 0; i < wanted->len; i++) {
        if (!object_add(vm, g_ptr_array_index(wanted, i), errp)) {
            error_prepend(errp, "-object: ");
            return false;
        }
    }
    return true;
}

static void objects_destroy(Vm *vm)
{
    if (vm->objects) {
        g_ptr_array_unref(vm->objects->all);
        g_ptr_array_unref(vm->objects->wanted);
        g_clear_pointer(&vm->objects, g_free);
    }
}

static const CliOption options[] = {
    { "object", "TYPE,id=ID[,KEY=VALUE...]",
      "an object that others refer to; 'help' lists the types\n"
      "memory-backend-ram    size=SIZE[,share=on|off][,prealloc=on|off]\n"
      "memory-backend-file   mem-path=FILE[,offset=N][,readonly=on|off]\n"
      "memory-backend-memfd  [hugetlb=on|off][,hugetlbsize=SIZE]\n"
      "secret                file=FILE|data=TEXT[,format=raw|base64]",
      parse_object },
    { NULL, NULL, NULL, NULL }
};

const VmModule object_module = {
    .name = "Object",
    .create = objects_create,
    .options = options,
    .configure = objects_configure,
    .destroy = objects_destroy,
};
