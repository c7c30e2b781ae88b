/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The options that concern the process: help, background, pid file, logs,
 * privileges, inherited descriptors; and those for pictures and sound, which
 * are not there. Main thread; no lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "config-host.h"
#include "system/cli-int.h"
#include "system/fds.h"
#include "system/process.h"
#include "util/keyval.h"
#include "util/log.h"
#include "util/trace.h"

static bool parse_help(Vm *vm, const char *argument, Error **errp)
{
    g_autofree char *text = cli_help_text(vm_modules);

    (void)vm;
    (void)argument;
    (void)errp;
    cli_exit_help(text);
}

static bool parse_version(Vm *vm, const char *argument, Error **errp)
{
    (void)vm;
    (void)argument;
    (void)errp;
    cli_exit_help("Godwit " GODWIT_VERSION ", interfaces of QEMU 11.1.0\n");
}

static bool parse_daemonize(Vm *vm, const char *argument, Error **errp)
{
    (void)argument;
    (void)errp;
    vm->process->daemonize = true;
    return true;
}

static bool parse_pidfile(Vm *vm, const char *argument, Error **errp)
{
    (void)errp;
    cli_set_text(&vm->process->pidfile, argument);
    return true;
}

static bool parse_log_file(Vm *vm, const char *argument, Error **errp)
{
    (void)vm;
    return log_set_file(argument, errp);
}

static bool set_timestamp(Vm *vm, const char *value, Error **errp)
{
    bool on;

    (void)vm;
    if (!cli_parse_bool(value, &on, errp)) {
        return false;
    }
    log_set_timestamp(on);
    return true;
}

static bool set_msg_name(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    return cli_parse_only(value, "off", errp);
}

static const CliKey msg_keys[] = {
    { "timestamp", "on|off", set_timestamp },
    { "guest-name", "off", set_msg_name },
    { NULL, NULL, NULL }
};

static bool parse_msg(Vm *vm, const char *argument, Error **errp)
{
    return cli_parse_keys(vm, argument, NULL, msg_keys, NULL, errp);
}

static bool set_trace_enable(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    return trace_enable(value, errp);
}

/* A pattern a line; empty lines and those that begin with # are skipped. */
static bool set_trace_events(Vm *vm, const char *value, Error **errp)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    (void)vm;
    if (!g_file_get_contents(value, &text, NULL, errp)) {
        return false;
    }
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_strstrip(*line);
        if (**line && **line != '#' && !trace_enable(*line, errp)) {
            return false;
        }
    }
    return true;
}

static bool set_trace_file(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    return log_set_file(value, errp);
}

static const CliKey trace_keys[] = {
    { "enable", "PATTERN", set_trace_enable },
    { "events", "FILE", set_trace_events },
    { "file", "FILE", set_trace_file },
    { NULL, NULL, NULL }
};

static bool parse_trace(Vm *vm, const char *argument, Error **errp)
{
    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        g_autoptr(GString) out = g_string_new("");

        for (TraceEvent *const *ev = trace_event_all; *ev; ev++) {
            g_string_append_printf(out, "%s\n", (*ev)->name);
        }
        cli_exit_help(out->str);
    }
    return cli_parse_keys(vm, argument, "enable", trace_keys, NULL, errp);
}

/* "allow" or "deny". */
static bool parse_deny(const char *value, bool *deny, Error **errp)
{
    if (!g_str_equal(value, "allow") && !g_str_equal(value, "deny")) {
        error_setg(errp, "'%s' is neither allow nor deny", value);
        return false;
    }
    *deny = g_str_equal(value, "deny");
    return true;
}

static bool set_sandbox(Vm *vm, const char *value, Error **errp)
{
    vm->process->deny_obsolete = true;
    return cli_parse_bool(value, &vm->process->sandbox, errp);
}

static bool set_obsolete(Vm *vm, const char *value, Error **errp)
{
    return parse_deny(value, &vm->process->deny_obsolete, errp);
}

static bool set_privileges(Vm *vm, const char *value, Error **errp)
{
    bool deny;

    if (g_str_equal(value, "children")) {
        vm->process->privileges = PRIVILEGES_CHILDREN;
        return true;
    }
    if (!parse_deny(value, &deny, NULL)) {
        error_setg(errp, "'%s' is none of allow, deny, children", value);
        return false;
    }
    vm->process->privileges = deny ? PRIVILEGES_DENY : PRIVILEGES_ALLOW;
    return true;
}

static bool set_spawn(Vm *vm, const char *value, Error **errp)
{
    return parse_deny(value, &vm->process->deny_spawn, errp);
}

static bool set_resource_control(Vm *vm, const char *value, Error **errp)
{
    return parse_deny(value, &vm->process->deny_resource_control, errp);
}

static const CliKey sandbox_keys[] = {
    { "enable", "on|off", set_sandbox },
    { "obsolete", "allow|deny", set_obsolete },
    { "elevateprivileges", "allow|deny|children", set_privileges },
    { "spawn", "allow|deny", set_spawn },
    { "resourcecontrol", "allow|deny", set_resource_control },
    { NULL, NULL, NULL }
};

static bool parse_sandbox(Vm *vm, const char *argument, Error **errp)
{
    return cli_parse_keys(vm, argument, "enable", sandbox_keys, NULL, errp);
}

static bool set_exit_with_parent(Vm *vm, const char *value, Error **errp)
{
    return cli_parse_bool(value, &vm->process->exit_with_parent, errp);
}

static bool set_async_teardown(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    return cli_parse_only(value, "off", errp);
}

static bool set_chroot(Vm *vm, const char *value, Error **errp)
{
    (void)errp;
    cli_set_text(&vm->process->chroot_dir, value);
    return true;
}

/* UID:GID in numbers, or the name of a user. */
static bool set_user(Vm *vm, const char *value, Error **errp)
{
    ProcessConfig *process = vm->process;
    g_auto(GStrv) parts = g_strsplit(value, ":", 2);
    struct passwd *user = getpwnam(value);
    uint64_t uid, gid;

    if (user) {
        process->user = user->pw_uid;
        process->group = user->pw_gid;
        cli_set_text(&process->user_name, value);
    } else if (parts[0] && parts[1] && keyval_parse_uint64(parts[0], &uid) &&
               keyval_parse_uint64(parts[1], &gid) && uid < UINT32_MAX &&
               gid < UINT32_MAX) {
        process->user = (uid_t)uid;
        process->group = (gid_t)gid;
        g_clear_pointer(&process->user_name, g_free);
    } else {
        error_setg(errp, "'%s' is no user: a name or UID:GID is expected",
                   value);
        return false;
    }
    process->user_set = true;
    return true;
}

static const CliKey run_with_keys[] = {
    { "exit-with-parent", "on|off", set_exit_with_parent },
    { "async-teardown", "off", set_async_teardown },
    { "chroot", "DIR", set_chroot },
    { "user", "NAME|UID:GID", set_user },
    { NULL, NULL, NULL }
};

static bool parse_run_with(Vm *vm, const char *argument, Error **errp)
{
    return cli_parse_keys(vm, argument, NULL, run_with_keys, NULL, errp);
}

static bool set_mem_lock(Vm *vm, const char *value, Error **errp)
{
    bool on;

    if (g_str_equal(value, "on-fault")) {
        vm->process->mem_lock = MEM_LOCK_ON_FAULT;
        return true;
    }
    if (!cli_parse_bool(value, &on, NULL)) {
        error_setg(errp, "'%s' is none of on, off, on-fault", value);
        return false;
    }
    vm->process->mem_lock = on ? MEM_LOCK_ON : MEM_LOCK_OFF;
    return true;
}

static bool set_cpu_pm(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    return cli_parse_only(value, "off", errp);
}

static const CliKey overcommit_keys[] = {
    { "mem-lock", "on|off|on-fault", set_mem_lock },
    { "cpu-pm", "off", set_cpu_pm },
    { NULL, NULL, NULL }
};

static bool parse_overcommit(Vm *vm, const char *argument, Error **errp)
{
    return cli_parse_keys(vm, argument, NULL, overcommit_keys, NULL, errp);
}

/* A number that has to be there. */
static bool get_number(json_object *object, const char *key, int64_t min,
                       int64_t *number, Error **errp)
{
    json_object *value = json_object_object_get(object, key);
    const char *text = value ? json_object_get_string(value) : NULL;

    if (!text) {
        error_setg(errp, "'%s' is missing", key);
        return false;
    }
    if (!keyval_parse_int64(text, number) || *number < min ||
        *number > INT32_MAX) {
        error_setg(errp, "'%s': '%s' is not a number from %d on", key, text,
                   (int)min);
        return false;
    }
    json_object_object_del(object, key);
    return true;
}

static const CliKey add_fd_keys[] = {
    { "fd", "N", NULL },
    { "set", "N", NULL },
    { "opaque", "TEXT", NULL },
    { NULL, NULL, NULL }
};

/*
 * The descriptor is copied, so that one can be in several sets; ours, which
 * all have close-on-exec, cannot be meant.
 */
static bool add_fd(Vm *vm, json_object *object, Error **errp)
{
    json_object *text = NULL;
    g_autofree char *opaque = NULL;
    int64_t set, fd;
    int flags, copy;

    if (!get_number(object, "set", 0, &set, errp) ||
        !get_number(object, "fd", 3, &fd, errp)) {
        return false;
    }
    if (json_object_object_get_ex(object, "opaque", &text)) {
        opaque = g_strdup(json_object_get_string(text));
        json_object_object_del(object, "opaque");
    }
    json_object_object_foreach(object, key, value) {
        (void)value;
        cli_unknown_key(add_fd_keys, key, errp);
        return false;
    }
    flags = fcntl((int)fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC)) {
        error_setg(errp, "descriptor %d was not inherited", (int)fd);
        return false;
    }
    copy = fcntl((int)fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) {
        error_setg_errno(errp, errno, "cannot copy descriptor %d", (int)fd);
        return false;
    }
    return fd_store_set_add(vm->fds, &set, copy, opaque, errp);
}

static bool parse_add_fd(Vm *vm, const char *argument, Error **errp)
{
    g_autoptr(JsonObject) object = NULL;
    bool help = false;

    object = keyval_parse(argument, NULL, &help, errp);
    if (!object) {
        return false;
    }
    if (help) {
        g_clear_pointer(&object, json_object_put);
        cli_exit_help("fd=N\nset=N\nopaque=TEXT\n");
    }
    return add_fd(vm, object, errp);
}

static bool parse_display(Vm *vm, const char *argument, Error **errp)
{
    if (g_str_equal(argument, "help") || g_str_equal(argument, "?")) {
        cli_exit_help("Available display back ends:\nnone\n");
    }
    vm->process->display_none = true;
    return cli_parse_only(argument, "none", errp);
}

static bool set_audio_driver(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    return cli_parse_only(value, "none", errp);
}

static bool set_audio_id(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    (void)value;
    (void)errp;
    return true;
}

static const CliKey audio_keys[] = {
    { "driver", "none", set_audio_driver },
    { "id", "ID", set_audio_id },
    { NULL, NULL, NULL }
};

static bool parse_audio(Vm *vm, const char *argument, Error **errp)
{
    return cli_parse_keys(vm, argument, "driver", audio_keys, NULL, errp);
}

static const CliOption options[] = {
    { "help", NULL, "this text", parse_help },
    { "h", NULL, "the same as -help", parse_help },
    { "version", NULL, "the program's version", parse_version },
    { "daemonize", NULL,
      "go to the background; the program that was started exits with\n"
      "status 0 when everything listens", parse_daemonize },
    { "pidfile", "FILE", "write the process id there, removed at the end",
      parse_pidfile },
    { "D", "FILE", "log and trace lines go there instead of stderr",
      parse_log_file },
    { "msg", "timestamp=on|off", "whether messages begin with the time",
      parse_msg },
    { "trace", "[enable=]PATTERN[,events=FILE][,file=FILE]",
      "print trace events; 'help' lists them, '-PATTERN' disables",
      parse_trace },
    { "sandbox", "on|off[,obsolete=allow|deny]"
      "[,elevateprivileges=allow|deny|children]"
      "[,spawn=allow|deny][,resourcecontrol=allow|deny]",
      "take away system calls that are not needed", parse_sandbox },
    { "run-with", "[exit-with-parent=on|off][,chroot=DIR]"
      "[,user=NAME|UID:GID]",
      "end with the parent process; give up privileges when started",
      parse_run_with },
    { "overcommit", "mem-lock=on|off|on-fault",
      "whether memory is locked: all at once, or as it is touched",
      parse_overcommit },
    { "add-fd", "fd=N,set=N[,opaque=TEXT]",
      "put an inherited descriptor into set N: /dev/fdset/N as a path",
      parse_add_fd },
    { "display", "none", "no display", parse_display },
    { "audio", "none", "no sound", parse_audio },
    { "audiodev", "none,id=ID", "no sound", parse_audio },
    { NULL, NULL, NULL, NULL }
};

static const CliParameters parameters[] = {
    { "msg", NULL, msg_keys, NULL },
    { "trace", NULL, trace_keys, NULL },
    { "sandbox", NULL, sandbox_keys, NULL },
    { "run-with", NULL, run_with_keys, NULL },
    { "overcommit", NULL, overcommit_keys, NULL },
    { "add-fd", NULL, add_fd_keys, NULL },
    { "audio", NULL, audio_keys, NULL },
    { "audiodev", NULL, audio_keys, NULL },
    { NULL, NULL, NULL, NULL }
};

static bool process_create(Vm *vm, Error **errp)
{
    (void)errp;
    vm->process = process_config_new();
    return true;
}

static void process_destroy(Vm *vm)
{
    g_clear_pointer(&vm->process, process_config_free);
}

const VmModule process_module = {
    .name = "Process",
    .create = process_create,
    .options = options,
    .parameters = parameters,
    .destroy = process_destroy,
};
