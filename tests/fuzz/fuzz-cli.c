/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command lines, a word a line, as far as they are read: every module's
 * options but those of the process, which reach outside of it, and the
 * properties of the devices that are asked for. What is only read must change
 * nothing but the machine's own state, and an error is set if and only if
 * something was refused.
 */
#include <stdint.h>
#include <string.h>

#include "hw/core/machine.h"
#include "io/socket.h"
#include "system/cli-int.h"
#include "system/startup.h"
#include "util/json.h"

/* More words than that show nothing new. */
#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const VmModule **modules_but_process(void)
{
    const VmModule **list = g_new0(const VmModule *, 64);
    size_t n = 0;

    for (const VmModule *const *m = vm_modules; *m; m++) {
        if (*m != &process_module) {
            g_assert(n < 63);
            list[n++] = *m;
        }
    }
    return list;
}

/* As device_add() does it, as far as nothing has to be there. */
static void set_properties(Vm *vm, json_object *options)
{
    const DeviceType *type = NULL;
    json_object *driver;
    Device *dev;

    if (json_object_object_get_ex(options, "driver", &driver)) {
        type = device_type_find(json_object_get_string(driver));
    }
    dev = type && type->user_creatable ? device_new(vm, type, NULL, NULL)
                                       : NULL;
    if (!dev) {
        return;
    }
    json_object_object_foreach(options, key, value) {
        g_autoptr(Error) err = NULL;
        const char *text = json_object_get_string(value);
        bool ok = device_set_property(dev, key, text ? text : "", &err);

        g_assert_true(ok == !err);
    }
    for (const Property *p = type->properties; p && p->name; p++) {
        g_free(device_get_property(dev, p));
    }
    device_free(dev);
}

static void read_line(const VmModule *const *modules, int argc, char **argv)
{
    g_autoptr(Error) err = NULL;
    Vm *vm = vm_new();
    bool ok = true;

    for (const VmModule *const *m = modules; *m && ok; m++) {
        ok = !(*m)->create || (*m)->create(vm, NULL);
    }
    g_assert_true(ok);
    ok = cli_parse(vm, modules, argc, argv, &err);
    g_assert_true(ok == !err);
    g_assert_true(!err || *err->message);
    vm_lock(vm);
    for (guint i = 0; i < vm->machine->device_options->len; i++) {
        set_properties(vm, vm->machine->device_options->pdata[i]);
    }
    vm_unlock(vm);
    vm_shut_down(vm, modules);
    vm_free(vm);
}

static void read_address(const char *text)
{
    g_autoptr(Error) err = NULL;
    g_autoptr(SocketAddress) addr = io_socket_parse(text, &err);

    g_assert_true(!addr == !!err);
    if (addr) {
        g_autofree char *back = io_socket_text(addr);

        g_assert_nonnull(back);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    g_auto(GStrv) words = g_strsplit(text, "\n", WORDS_MAX);
    g_autofree const VmModule **modules = NULL;
    g_autoptr(GPtrArray) argv = NULL;

    /* Help prints and exits. */
    if (strstr(text, "help") || strchr(text, '?')) {
        return 0;
    }
    read_address(text);
    modules = modules_but_process();
    argv = g_ptr_array_new();
    g_ptr_array_add(argv, (char *)"godwit");
    for (char **word = words; *word; word++) {
        if (**word) {
            g_ptr_array_add(argv, *word);
        }
    }
    read_line(modules, (int)argv->len, (char **)argv->pdata);
    return 0;
}
