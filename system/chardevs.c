/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The character devices of a machine: -chardev and -serial, and what chardev/
 * needs of a machine it does not know. Main loop, big lock.
 */
#include <string.h>
#include <unistd.h>

#include "chardev/chardevs.h"
#include "qapi/qapi-visit-chardev.h"
#include "system/cli-int.h"
#include "system/fds.h"
#include "system/machine.h"
#include "system/process.h"
#include "util/log.h"

/* As many as a board could have. */
#define SERIAL_MAX 4

static int host_open(void *opaque, const char *path, int flags, mode_t mode,
                     Error **errp)
{
    return fd_store_open(((Vm *)opaque)->fds, path, flags, mode, errp);
}

static bool host_resolve(void *opaque, SocketAddress *addr, Error **errp)
{
    return fd_store_resolve(((Vm *)opaque)->fds, addr, errp);
}

static int host_cancel_fd(void *opaque)
{
    return ((Vm *)opaque)->process->signal_fd;
}

static void host_quit(void *opaque)
{
    vm_request_exit(opaque, 0);
}

static const ChardevHost host = {
    .open = host_open,
    .resolve = host_resolve,
    .cancel_fd = host_cancel_fd,
    .quit = host_quit,
};

Chardev *chardev_new_from_text(Vm *vm, const char *text, Error **errp)
{
    g_autoptr(ChardevOptions) options = chardev_parse(text, errp);

    return options ? chardevs_add(vm->chardevs, options, errp) : NULL;
}

Chardev *chardev_new_from_short(Vm *vm, const char *id, const char *text,
                                Error **errp)
{
    g_autoptr(ChardevOptions) options = NULL;
    bool monitor;
    Chardev *chr;

    if (g_str_has_prefix(text, "chardev:")) {
        chr = chardev_find(vm, text + strlen("chardev:"));
        if (!chr) {
            error_setg(errp, "there is no chardev '%s': -chardev makes them",
                       text + strlen("chardev:"));
        }
        return chr;
    }
    options = chardev_parse_short(id, text, &monitor, errp);
    if (!options) {
        return NULL;
    }
    chr = chardevs_add(vm->chardevs, options, errp);
    if (chr && monitor) {
        chardev_set_wants_monitor(chr);
    }
    return chr ? chardev_find(vm, id) : NULL;
}

Chardev *chardev_find(Vm *vm, const char *id)
{
    return vm->chardevs ? chardevs_find(vm->chardevs, id) : NULL;
}

void chardev_foreach(Vm *vm, void (*fn)(Chardev *chr, void *data), void *data)
{
    if (vm->chardevs) {
        chardevs_foreach(vm->chardevs, fn, data);
    }
}

static bool parse_chardev(Vm *vm, const char *argument, Error **errp)
{
    ChardevOptions *options;

    if (g_str_equal(argument, "?")) {
        argument = "help";
    }
    options = chardev_parse(argument, errp);
    if (!options) {
        return false;
    }
    chardevs_want(vm->chardevs, options);
    return true;
}

static bool parse_serial(Vm *vm, const char *argument, Error **errp)
{
    g_autoptr(ChardevOptions) options = NULL;
    bool monitor;

    if (vm->config->serial->len == SERIAL_MAX) {
        error_setg(errp, "there are at most %d serial ports", SERIAL_MAX);
        return false;
    }
    if (!g_str_equal(argument, "none") &&
        !g_str_has_prefix(argument, "chardev:")) {
        options = chardev_parse_short("serial", argument, &monitor, errp);
        if (!options) {
            return false;
        }
    }
    g_ptr_array_add(vm->config->serial, g_strdup(argument));
    return true;
}

static const CliOption options[] = {
    { "chardev", "KIND,id=ID[,mux=on|off][,logfile=FILE][,KEY=VALUE...]",
      "a character device; 'help' lists the kinds\n"
      "socket  path=PATH | host=HOST,port=PORT | fd=N\n"
      "        [,server=on|off][,wait=on|off][,reconnect-ms=N][,nodelay=on]\n"
      "file    path=FILE[,append=on|off][,input-path=FILE]\n"
      "pipe    path=PATH   pty [path=LINK]   stdio [signal=on|off]   null",
      parse_chardev },
    { "serial", "DEV",
      "what the serial port is: stdio, pty, null, none, file:FILE,\n"
      "pipe:PATH, unix:PATH[,server=on][,wait=off], tcp:HOST:PORT,\n"
      "chardev:ID, or mon: in front of one of them for a monitor too",
      parse_serial },
    { NULL, NULL, NULL, NULL }
};

/* Of every kind: which one it is, is a parameter too. */
static void visit_chardev(Visitor *v)
{
    for (int kind = 0; kind < CHARDEV_BACKEND_KIND__MAX; kind++) {
        ChardevOptions none = { .backend = kind };
        ChardevOptions *obj = &none;

        visit_type_ChardevOptions(v, NULL, &obj, NULL);
    }
}

static const CliParameters parameters[] = {
    { "chardev", NULL, NULL, visit_chardev },
    { NULL, NULL, NULL, NULL }
};

static bool chardev_create(Vm *vm, Error **errp)
{
    (void)errp;
    vm->chardevs = chardevs_new(vm->context, &host, vm);
    return true;
}

/* -nographic, and nobody said what the serial port is. */
static void add_default_serial(Vm *vm)
{
    MachineConfig *config = vm->config;

    if (config->no_defaults || config->serial->len ||
        g_strcmp0(config->type, "none") == 0) {
        return;
    }
    if (config->nographic) {
        g_ptr_array_add(config->serial, g_strdup("mon:stdio"));
    } else if (!vm->process->display_none && isatty(STDOUT_FILENO)) {
        info_report("no display is there: -nographic shows the serial port "
                    "and a monitor here");
    }
}

/* Opens what -serial says; the text becomes the id. */
static bool open_serial(Vm *vm, guint i, Error **errp)
{
    char **text = (char **)&g_ptr_array_index(vm->config->serial, i);
    g_autofree char *id = g_strdup_printf("serial%u", i);
    Chardev *chr;

    if (g_str_equal(*text, "none")) {
        return true;
    }
    chr = chardev_new_from_short(vm, id, *text, errp);
    if (!chr) {
        error_prepend(errp, "-serial %s: ", *text);
        return false;
    }
    cli_set_text(text, chardev_id(chr));
    return true;
}

static bool chardev_configure(Vm *vm, Error **errp)
{
    if (vm->process->daemonize) {
        chardevs_forbid_stdio(vm->chardevs);
    }
    if (!chardevs_open_wanted(vm->chardevs, errp)) {
        return false;
    }
    add_default_serial(vm);
    for (guint i = 0; i < vm->config->serial->len; i++) {
        if (!open_serial(vm, i, errp)) {
            return false;
        }
    }
    return true;
}

static void chardev_module_destroy(Vm *vm)
{
    g_clear_pointer(&vm->chardevs, chardevs_free);
}

const VmModule chardev_module = {
    .name = "Character device",
    .create = chardev_create,
    .options = options,
    .parameters = parameters,
    .configure = chardev_configure,
    .destroy = chardev_module_destroy,
};
