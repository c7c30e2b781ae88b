/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The phases of starting and ending: create, read the command line, configure,
 * ready, run, destroy. Main thread; takes the big lock for the modules.
 *
 * SIGTERM, SIGINT and SIGHUP end the main loop, and with it the process with
 * status 0. They are taken from a signalfd by the main loop, so that nothing
 * runs in a signal handler; other threads have them blocked.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <glib-unix.h>

#include "system/accel-ops.h"
#include "system/cli.h"
#include "system/cpu.h"
#include "system/machine.h"
#include "system/process.h"
#include "system/runstate.h"
#include "system/startup.h"

static gboolean on_signal(gint fd, GIOCondition condition, gpointer opaque)
{
    struct signalfd_siginfo info;

    (void)condition;
    if (read(fd, &info, sizeof(info)) == sizeof(info)) {
        vm_request_shutdown(opaque, SHUTDOWN_CAUSE_HOST_SIGNAL);
    }
    return G_SOURCE_CONTINUE;
}

static bool watch_signals(Vm *vm, Error **errp)
{
    sigset_t set;
    GSource *source;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot watch for signals");
        return false;
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    vm->process->signal_fd = fd;
    source = g_unix_fd_source_new(fd, G_IO_IN);
    g_source_set_callback(source, G_SOURCE_FUNC(on_signal), vm, NULL);
    g_source_attach(source, vm->context);
    g_source_unref(source);
    return true;
}

static bool create(Vm *vm, const VmModule *const *modules, Error **errp)
{
    for (; *modules; modules++) {
        if ((*modules)->create && !(*modules)->create(vm, errp)) {
            return false;
        }
    }
    return true;
}

static bool configure(Vm *vm, const VmModule *const *modules, Error **errp)
{
    for (; *modules; modules++) {
        if ((*modules)->configure && !(*modules)->configure(vm, errp)) {
            return false;
        }
    }
    return true;
}

static bool ready(Vm *vm, const VmModule *const *modules, Error **errp)
{
    for (; *modules; modules++) {
        if ((*modules)->ready && !(*modules)->ready(vm, errp)) {
            return false;
        }
    }
    return true;
}

/* Whether somebody wants the program to end before it has begun. */
static bool interrupted(Vm *vm)
{
    struct pollfd fd = { .fd = vm->process->signal_fd, .events = POLLIN };

    return fd.fd >= 0 && poll(&fd, 1, 0) == 1;
}

/* The harts, which the modules have made, in their first state. */
static bool start_harts(Vm *vm, Error **errp)
{
    if (vm->accel->init && !vm->accel->init(vm, errp)) {
        return false;
    }
    cpus_start_threads(vm);
    vm_reset(vm, SHUTDOWN_CAUSE_NONE);
    return true;
}

/* An incoming migration starts the guest itself when it has come. */
static void run_guest(Vm *vm)
{
    const MachineConfig *config = vm->config;

    if (!config->start_paused && !config->incoming &&
        !config->incoming_channels) {
        vm_start(vm);
    }
}

bool vm_start_up(Vm *vm, const VmModule *const *modules, int argc,
                 char **argv, Error **errp)
{
    g_autoptr(Error) err = NULL;
    bool ok;

    if (!create(vm, modules, errp) ||
        !cli_parse(vm, modules, argc, argv, errp) ||
        !process_start(vm->process, errp) ||
        !process_lock_memory(vm->process, errp) ||
        !watch_signals(vm, errp)) {
        return false;
    }
    vm_lock(vm);
    ok = configure(vm, modules, &err) && start_harts(vm, &err) &&
         process_drop_privileges(vm->process, &err) &&
         ready(vm, modules, &err);
    if (ok) {
        process_detach(vm->process);
        run_guest(vm);
    }
    vm_unlock(vm);
    if (!ok && interrupted(vm)) {
        /* A wait for a peer has failed for this; it is no failure. */
        vm_request_exit(vm, 0);
        return true;
    }
    error_propagate(errp, g_steal_pointer(&err));
    return ok;
}

static void quiesce(Vm *vm, const VmModule *const *modules, size_t count)
{
    vm_lock(vm);
    while (count--) {
        if (modules[count]->quiesce) {
            modules[count]->quiesce(vm);
        }
    }
    vm_unlock(vm);
}

void vm_shut_down(Vm *vm, const VmModule *const *modules)
{
    size_t count = 0;

    while (modules[count]) {
        count++;
    }
    quiesce(vm, modules, count);
    cpus_join_threads(vm);
    vm_lock(vm);
    while (count--) {
        if (modules[count]->destroy) {
            modules[count]->destroy(vm);
        }
    }
    vm_unlock(vm);
}
