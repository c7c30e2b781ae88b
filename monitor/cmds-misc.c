/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Commands that belong to no subsystem. Main loop, big lock. */
#include <unistd.h>

#include "chardev/char.h"
#include "monitor/hmp.h"
#include "monitor/session.h"
#include "qapi/qapi-commands-char.h"
#include "qapi/qapi-commands-job.h"
#include "qapi/qapi-commands-misc.h"
#include "system/fds.h"
#include "system/vm.h"

bool qmp_query_name(Vm *vm, NameInfo **ret, Error **errp)
{
    (void)errp;
    *ret = g_new0(NameInfo, 1);
    (*ret)->name = g_strdup(vm->name);
    return true;
}

bool qmp_query_iothreads(Vm *vm, IOThreadInfoList **ret, Error **errp)
{
    (void)vm;
    (void)errp;
    *ret = NULL;
    return true;
}

bool qmp_query_jobs(Vm *vm, JobInfoList **ret, Error **errp)
{
    (void)vm;
    (void)errp;
    *ret = NULL;
    return true;
}

bool qmp_human_monitor_command(Vm *vm, const char *command_line,
                               bool has_cpu_index, int64_t cpu_index,
                               char **ret, Error **errp)
{
    GString *out = g_string_new(NULL);

    (void)has_cpu_index;
    (void)cpu_index;
    (void)errp;
    hmp_run_line(vm, command_line, out);
    *ret = g_string_free(out, FALSE);
    return true;
}

/* The descriptor that came along, or -1 and @errp. */
static int take_fd(struct MonitorSession *session, Error **errp)
{
    int fd = qmp_session_take_fd(session);

    if (fd < 0) {
        error_setg(errp, "No file descriptor supplied via SCM_RIGHTS");
    }
    return fd;
}

bool qmp_getfd(Vm *vm, struct MonitorSession *session, const char *fdname,
               Error **errp)
{
    int fd = take_fd(session, errp);

    return fd >= 0 && fd_store_name(vm->fds, fdname, fd, errp);
}

bool qmp_closefd(Vm *vm, const char *fdname, Error **errp)
{
    return fd_store_close(vm->fds, fdname, errp);
}

bool qmp_add_fd(Vm *vm, struct MonitorSession *session, bool has_fdset_id,
                int64_t fdset_id, const char *opaque, AddfdInfo **ret,
                Error **errp)
{
    int64_t set = has_fdset_id ? fdset_id : -1;
    int fd = take_fd(session, errp);

    if (fd < 0) {
        return false;
    }
    if (has_fdset_id && fdset_id < 0) {
        error_setg(errp, "Parameter 'fdset-id' expects a number from 0, not "
                   "%" G_GINT64_FORMAT, fdset_id);
        close(fd);
        return false;
    }
    if (!fd_store_set_add(vm->fds, &set, fd, opaque, errp)) {
        return false;
    }
    *ret = g_new0(AddfdInfo, 1);
    (*ret)->fdset_id = set;
    (*ret)->fd = fd;
    return true;
}

bool qmp_remove_fd(Vm *vm, int64_t fdset_id, bool has_fd, int64_t fd,
                   Error **errp)
{
    if (has_fd && fd < 0) {
        error_setg(errp, "Parameter 'fd' expects a number from 0, not "
                   "%" G_GINT64_FORMAT, fd);
        return false;
    }
    return fd_store_set_remove(vm->fds, fdset_id, has_fd ? fd : -1, errp);
}

typedef struct FdsetWalk {
    FdsetInfoList **tail;
    FdsetInfo *set;
    FdsetFdInfoList **fds_tail;
} FdsetWalk;

static void add_fdset_fd(int64_t id, int fd, const char *opaque, void *data)
{
    FdsetWalk *walk = data;
    FdsetFdInfo *info = g_new0(FdsetFdInfo, 1);

    if (!walk->set || walk->set->fdset_id != id) {
        walk->set = g_new0(FdsetInfo, 1);
        walk->set->fdset_id = id;
        walk->fds_tail = &walk->set->fds;
        QAPI_LIST_APPEND(walk->tail, walk->set);
    }
    info->fd = fd;
    info->opaque = g_strdup(opaque);
    QAPI_LIST_APPEND(walk->fds_tail, info);
}

bool qmp_query_fdsets(Vm *vm, FdsetInfoList **ret, Error **errp)
{
    FdsetWalk walk = { .tail = ret };

    (void)errp;
    fd_store_set_foreach(vm->fds, add_fdset_fd, &walk);
    return true;
}

static void add_chardev(Chardev *chr, void *data)
{
    ChardevInfoList ***tail = data;
    ChardevInfo *info = g_new0(ChardevInfo, 1);

    info->label = g_strdup(chardev_id(chr));
    info->filename = chardev_filename(chr);
    info->frontend_open = chardev_is_attached(chr);
    QAPI_LIST_APPEND(*tail, info);
}

bool qmp_query_chardev(Vm *vm, ChardevInfoList **ret, Error **errp)
{
    ChardevInfoList **tail = ret;

    (void)errp;
    chardev_foreach(vm, add_chardev, &tail);
    return true;
}
