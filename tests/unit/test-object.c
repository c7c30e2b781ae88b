/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects: ids and life, memory back ends, secrets, random numbers. */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qapi/qapi-commands-objects.h"
#include "qapi/qapi-visit-objects.h"
#include "system/machine.h"
#include "system/module.h"
#include "system/object.h"
#include "util/json.h"
#include "util/keyval.h"

extern const VmModule object_module;

typedef struct Fixture {
    Vm *vm;
    char *dir;
} Fixture;

static void set_up(Fixture *f, gconstpointer data)
{
    (void)data;
    f->vm = vm_new();
    f->vm->config = machine_config_new();
    f->dir = g_dir_make_tmp("godwit-object-XXXXXX", NULL);
    vm_lock(f->vm);
    g_assert_true(object_module.create(f->vm, NULL));
}

static void tear_down(Fixture *f, gconstpointer data)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", f->dir);

    (void)data;
    object_module.destroy(f->vm);
    vm_unlock(f->vm);
    machine_config_free(g_steal_pointer(&f->vm->config));
    vm_free(f->vm);
    g_assert_cmpint(system(command), ==, 0);
    g_free(f->dir);
}

/* As -object reads it. */
static Object *try_add(Fixture *f, const char *text, Error **errp)
{
    g_autoptr(JsonObject) json = NULL;
    g_autoptr(ObjectOptions) options = NULL;
    bool keyval;

    json = keyval_or_json_parse(text, "qom-type", &keyval, errp);
    options = json ? qapi_ObjectOptions_from_json(json, keyval, errp) : NULL;
    if (!options || !object_add(f->vm, options, errp)) {
        return NULL;
    }
    return object_find(f->vm, options->id);
}

static Object *add(Fixture *f, const char *text)
{
    g_autoptr(Error) err = NULL;
    Object *obj = try_add(f, text, &err);

    g_assert_no_error(err);
    g_assert_nonnull(obj);
    return obj;
}

static void refuse(Fixture *f, const char *text, const char *word)
{
    g_autoptr(Error) err = NULL;

    g_assert_null(try_add(f, text, &err));
    g_assert_nonnull(err);
    if (!strstr(err->message, word)) {
        g_error("'%s' does not say '%s'", err->message, word);
    }
}

static RamBlock *use(Fixture *f, const char *id)
{
    g_autoptr(Error) err = NULL;
    RamBlock *rb = object_take_memory(f->vm, id, &err);

    g_assert_no_error(err);
    return rb;
}

static void count(Object *obj, void *data)
{
    (void)obj;
    ++*(int *)data;
}

static void test_life(Fixture *f, gconstpointer data)
{
    g_autoptr(Error) err = NULL;
    Object *obj;
    int objects = 0;

    (void)data;
    obj = add(f, "rng-builtin,id=rng0");
    add(f, "{\"qom-type\": \"secret\", \"id\": \"s\", \"data\": \"x\"}");
    g_assert_true(object_find(f->vm, "rng0") == obj);
    g_assert_null(object_find(f->vm, "rng"));
    object_foreach(f->vm, count, &objects);
    g_assert_cmpint(objects, ==, 2);

    refuse(f, "rng-builtin,id=rng0", "rng0");
    refuse(f, "rng-builtin,id=0rng", "letter");
    refuse(f, "rng-builtin,id=a/b", "letter");
    refuse(f, "rng-builtin,id=", "letter");
    refuse(f, "rng-builtin", "id");
    refuse(f, "can-bus,id=c", "can-bus");
    refuse(f, "rng-builtin,id=r,filename=x", "filename");

    object_hold(obj);
    g_assert_false(object_del(f->vm, "rng0", &err));
    g_assert_cmpstr(err->message, ==,
                    "object 'rng0' is in use, can not be deleted");
    g_clear_error(&err);
    object_release(obj);
    g_assert_true(qmp_object_del(f->vm, "rng0", NULL));
    g_assert_false(qmp_object_del(f->vm, "rng0", &err));
    g_assert_cmpstr(err->message, ==, "object 'rng0' not found");
    add(f, "rng-builtin,id=rng0");
}

static void test_ram(Fixture *f, gconstpointer data)
{
    g_autoptr(Error) err = NULL;
    RamBlock *rb;

    (void)data;
    add(f, "memory-backend-ram,id=mig.mem,size=150M,share=off");
    add(f, "memory-backend-ram,id=shared,size=64k,share=on,prealloc=on");
    rb = use(f, "mig.mem");
    g_assert_cmpstr(rb->id, ==, "mig.mem");
    g_assert_cmpuint(rb->backing.size, ==, 150 << 20);
    g_assert_false(rb->backing.share);
    g_assert_null(object_take_memory(f->vm, "mig.mem", &err));
    g_assert_nonnull(strstr(err->message, "in use"));
    g_clear_error(&err);
    g_assert_false(object_del(f->vm, "mig.mem", NULL));
    rb = use(f, "shared");
    g_assert_true(rb->backing.share && rb->backing.prealloc);
    g_assert_cmpint(rb->backing.fd, >=, 0);

    g_assert_null(object_take_memory(f->vm, "nobody", &err));
    g_assert_nonnull(strstr(err->message, "nobody"));
    g_clear_error(&err);
    add(f, "rng-builtin,id=rng0");
    g_assert_null(object_take_memory(f->vm, "rng0", &err));
    refuse(f, "memory-backend-ram,id=m,size=0", "size");
    refuse(f, "memory-backend-ram,id=m,size=4097", "4097");
    refuse(f, "memory-backend-ram,id=m", "size");
    refuse(f, "memory-backend-ram,id=m,size=1M,mem-path=/tmp", "mem-path");
}

static void test_file(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "mem", NULL);
    g_autofree char *text = g_strdup_printf(
        "memory-backend-file,id=file,size=1M,mem-path=%s,share=on", path);
    g_autofree char *twice = g_strdup_printf(
        "memory-backend-file,id=again,size=1M,offset=1M,mem-path=%s,share=on",
        path);
    g_autofree char *read_only = g_strdup_printf(
        "memory-backend-file,id=ro,size=1M,mem-path=%s,readonly=on", path);
    g_autofree char *nowhere = g_strdup_printf(
        "%s,id=no,share=on,rom=off", read_only);
    g_autofree char *private = g_strdup_printf(
        "%s,id=private,rom=off", read_only);
    g_autofree char *folder = g_strdup_printf(
        "memory-backend-file,id=folder,size=1M,mem-path=%s", f->dir);
    g_autofree char *missing = g_strdup_printf(
        "memory-backend-file,id=no,size=1M,mem-path=%s/no/file", f->dir);
    g_autoptr(Error) err = NULL;
    RamBlock *rb;
    GStatBuf st;
    char byte = 0;
    int fd;

    (void)data;
    add(f, text);
    rb = use(f, "file");
    g_assert_cmpint(g_stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 1 << 20);
    rb->host[4096] = 0x5a;
    fd = open(path, O_RDONLY);
    g_assert_cmpint(pread(fd, &byte, 1, 4096), ==, 1);
    g_assert_cmpint(byte, ==, 0x5a);
    close(fd);

    /* What is there already must be large enough; it is not extended. */
    add(f, twice);
    g_assert_null(object_take_memory(f->vm, "again", &err));
    g_assert_nonnull(strstr(err->message, "1048576"));

    add(f, read_only);
    rb = use(f, "ro");
    g_assert_true(rb->backing.readonly);
    g_assert_cmpint(rb->host[4096], ==, 0x5a);
    refuse(f, nowhere, "readonly");
    add(f, private);
    rb = use(f, "private");
    rb->host[4096] = 1;
    g_assert_cmpint(g_stat(path, &st), ==, 0);

    add(f, folder);
    rb = use(f, "folder");
    rb->host[0] = 1;
    refuse(f, missing, "no/file");
}

static void test_memfd(Fixture *f, gconstpointer data)
{
    RamBlock *rb;

    (void)data;
    add(f, "memory-backend-memfd,id=memfd,size=1M");
    rb = use(f, "memfd");
    g_assert_true(rb->backing.share);
    g_assert_cmpint(rb->backing.fd, >=, 0);
    g_assert_cmpint(fcntl(rb->backing.fd, F_GET_SEALS) & F_SEAL_SHRINK, !=, 0);
    add(f, "memory-backend-memfd,id=loose,size=1M,seal=off,share=off");
    rb = use(f, "loose");
    g_assert_false(rb->backing.share);
    g_assert_cmpint(fcntl(rb->backing.fd, F_GET_SEALS), ==, 0);
    refuse(f, "memory-backend-memfd,id=h,size=2M,hugetlbsize=2M", "hugetlb");
    refuse(f, "memory-backend-memfd,id=h,size=2M,hugetlb=on,hugetlbsize=3M",
           "power of two");
}

static void expect_secret(Fixture *f, const char *id, const char *want)
{
    size_t len = 0;
    const uint8_t *bytes = object_secret(f->vm, id, &len, NULL);

    g_assert_nonnull(bytes);
    g_assert_cmpmem(bytes, len, want, strlen(want));
}

static void test_secret(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "key", NULL);
    g_autofree char *raw = g_strdup_printf(
        "secret,id=masterKey0,format=raw,file=%s", path);
    g_autofree char *base64 = g_strdup_printf(
        "secret,id=decoded,format=base64,file=%s", path);
    g_autofree char *both = g_strdup_printf(
        "secret,id=both,data=x,file=%s", path);
    g_autofree char *missing = g_strdup_printf("secret,id=no,file=%s.no",
                                               path);
    g_autofree char *long_path = g_strconcat(path, ".long", NULL);
    g_autofree char *too_long = g_strdup_printf("secret,id=long,file=%s",
                                                long_path);
    g_autofree char *long_text = g_strnfill(65537, 'x');
    g_autoptr(Error) err = NULL;
    size_t len;

    (void)data;
    g_assert_true(g_file_set_contents(path, "aGVsbG8=\n", -1, NULL));
    add(f, raw);
    expect_secret(f, "masterKey0", "aGVsbG8=\n");
    add(f, base64);
    expect_secret(f, "decoded", "hello");
    add(f, "secret,id=empty,format=base64,data=");
    expect_secret(f, "empty", "");
    refuse(f, both, "exactly one");
    refuse(f, "secret,id=none", "exactly one");
    refuse(f, missing, ".no");
    refuse(f, "secret,id=bad,format=base64,data=abc", "base64");
    refuse(f, "secret,id=bad,format=base64,data=ab!=", "base64");
    refuse(f, "secret,id=bad,format=base64,data=a===", "base64");
    g_assert_true(g_file_set_contents(long_path, long_text, -1, NULL));
    refuse(f, too_long, "65536");
    g_assert_null(object_secret(f->vm, "nobody", &len, &err));
    g_assert_nonnull(strstr(err->message, "nobody"));
}

static void test_rng(Fixture *f, gconstpointer data)
{
    g_autofree char *path = g_build_filename(f->dir, "dice", NULL);
    g_autofree char *text = g_strdup_printf("rng-random,id=dice,filename=%s",
                                            path);
    uint8_t zeros[64] = { 0 }, buf[64] = { 0 };

    (void)data;
    add(f, "rng-builtin,id=builtin");
    add(f, "rng-random,id=urandom");
    g_assert_cmpuint(object_random(object_find(f->vm, "builtin"), buf, 64), ==, 64);
    g_assert_cmpint(memcmp(buf, zeros, 64), !=, 0);
    g_assert_cmpuint(object_random(object_find(f->vm, "urandom"), buf, 64), ==, 64);
    g_assert_true(g_file_set_contents(path, "445", -1, NULL));
    add(f, text);
    g_assert_cmpuint(object_random(object_find(f->vm, "dice"), buf, 64), ==, 3);
    g_assert_cmpmem(buf, 3, "445", 3);
    g_assert_cmpuint(object_random(object_find(f->vm, "dice"), buf, 64), ==, 0);
    g_assert_true(object_is_rng(object_find(f->vm, "dice")));
    refuse(f, "rng-random,id=no,filename=/no/such/file", "/no/such/file");
}

/* The schema and the table of classes name the same types. */
static void test_classes(void)
{
    bool seen[OBJECT_TYPE__MAX] = { false };

    for (const ObjectClass *const *cls = object_classes; *cls; cls++) {
        g_assert_false(seen[(*cls)->type]);
        seen[(*cls)->type] = true;
    }
    for (int i = 0; i < OBJECT_TYPE__MAX; i++) {
        g_assert_true(seen[i]);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) \
    g_test_add("/object/" name, Fixture, NULL, set_up, fn, tear_down)
    g_test_add_func("/object/classes", test_classes);
    ADD("life", test_life);
    ADD("memory-ram", test_ram);
    ADD("memory-file", test_file);
    ADD("memory-memfd", test_memfd);
    ADD("secret", test_secret);
    ADD("rng", test_rng);
    return g_test_run();
}
