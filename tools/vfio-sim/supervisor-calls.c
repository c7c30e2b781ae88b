/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One trapped call: whose descriptor it is about, and access to the memory
 * and descriptors of the caller. Worker threads; files_lock for the table of
 * files.
 */
#include "supervisor-priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "kvm-names.h"

#define ALIVE_CHECK_NS 100000000

bool sim_call_alive(SimCall *call)
{
    return !ioctl(call->supervisor->listener, SECCOMP_IOCTL_NOTIF_ID_VALID,
                  &call->cookie);
}

int sim_call_get(SimCall *call, uint64_t addr, void *buf, size_t len)
{
    struct iovec local = {buf, len}, remote = {(void *)(uintptr_t)addr, len};

    if (!len) {
        return 0;
    }
    /* The number may have passed to another process: that is no caller. */
    if (process_vm_readv(call->tid, &local, 1, &remote, 1, 0) !=
            (ssize_t)len || !sim_call_alive(call)) {
        return -EFAULT;
    }
    return 0;
}

int sim_call_put(SimCall *call, uint64_t addr, const void *buf, size_t len)
{
    struct iovec local = {(void *)buf, len};
    struct iovec remote = {(void *)(uintptr_t)addr, len};

    if (!len) {
        return 0;
    }
    return sim_call_alive(call) &&
           process_vm_writev(call->tid, &local, 1, &remote, 1, 0) ==
               (ssize_t)len ? 0 : -EFAULT;
}

pid_t sim_call_process(SimCall *call)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/status", call->tid);
    g_autofree char *text = NULL;
    const char *line;

    if (!g_file_get_contents(path, &text, NULL, NULL) ||
        !(line = strstr(text, "\nTgid:"))) {
        return 0;
    }
    return atoi(line + strlen("\nTgid:"));
}

int sim_call_take_fd(SimCall *call, int fd)
{
    int process = syscall(SYS_pidfd_open, sim_call_process(call), 0);
    int copy;

    if (process < 0) {
        return -errno;
    }
    copy = syscall(SYS_pidfd_getfd, process, fd, 0);
    if (copy < 0) {
        copy = -errno;
    }
    close(process);
    if (copy >= 0 && !sim_call_alive(call)) {
        close(copy);
        return -ESRCH;
    }
    return copy;
}

SimFile *sim_call_find(SimCall *call, int fd)
{
    Supervisor *s = call->supervisor;
    SimFile *found = NULL;
    struct stat st;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", call->tid, fd);
    if (stat(path, &st) || !sim_call_alive(call)) {
        return NULL;
    }
    g_mutex_lock(&s->files_lock);
    for (guint i = 0; i < s->files->len && !found; i++) {
        SimFile *file = g_ptr_array_index(s->files, i);

        if (file->ino == st.st_ino && file->dev == st.st_dev) {
            found = file;
        }
    }
    g_mutex_unlock(&s->files_lock);
    return found;
}

/* Puts our descriptor @fd into a free slot of the caller. */
static int plant(SimCall *call, int fd, bool cloexec)
{
    Supervisor *s = call->supervisor;
    struct seccomp_notif_addfd add = {
        .id = call->cookie,
        .flags = SECCOMP_ADDFD_FLAG_SETFD,
        .srcfd = fd,
        .newfd_flags = cloexec ? O_CLOEXEC : 0,
    };
    int ret = -EMFILE;

    /* Two workers must not choose the same slot. */
    g_mutex_lock(&s->files_lock);
    for (int slot = s->base; slot < s->base + SIM_SLOTS; slot++) {
        struct stat st;
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/fd/%d", call->tid, slot);
        if (!lstat(path, &st)) {
            continue;
        }
        add.newfd = slot;
        ret = ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
        ret = ret < 0 ? -errno : ret;
        break;
    }
    g_mutex_unlock(&s->files_lock);
    return ret;
}

int sim_call_plant(SimCall *call, SimFile *file, bool keep)
{
    int number = plant(call, file->fd, true);

    if (number >= 0 && !keep) {
        /* Known by its inode from here on. */
        close(file->fd);
        file->fd = -1;
    }
    return number;
}

bool sim_call_has_file(SimCall *call, const SimFile *file)
{
    g_autofree char *path =
        g_strdup_printf("/proc/%d/fd", sim_call_process(call));
    DIR *folder = opendir(path);
    const struct dirent *entry;
    bool found = false;
    struct stat st;

    while (folder && !found && (entry = readdir(folder))) {
        found = !fstatat(dirfd(folder), entry->d_name, &st, 0) &&
                st.st_ino == file->ino && st.st_dev == file->dev;
    }
    if (folder) {
        closedir(folder);
    }
    return found && sim_call_alive(call);
}

bool sim_call_sleep(SimCall *call, int64_t until_ns)
{
    while (sim_now_ns() < until_ns) {
        int64_t next = MIN(until_ns, sim_now_ns() + ALIVE_CHECK_NS);
        struct timespec ts = {next / 1000000000, next % 1000000000};

        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
        if (next < until_ns && !sim_call_alive(call)) {
            return false;
        }
    }
    return true;
}

void supervisor_log(SimCall *call, const char *file, const char *what,
                    uint64_t arg, int64_t ret)
{
    int fd = call->supervisor->log_fd;

    if (fd >= 0) {
        int64_t now = sim_now_ns();

        dprintf(fd, "%" G_GINT64_FORMAT ".%06d %d %s %s 0x%"
                G_GINT64_MODIFIER "x = %" G_GINT64_FORMAT "\n",
                now / 1000000000, (int)(now % 1000000000 / 1000), call->tid,
                file, what, arg, ret);
    }
}

/* KVM is to know of a descriptor that is none of VFIO's. */
static int64_t answer_kvm(SimCall *call, int device_fd, uint64_t arg)
{
    struct sim_kvm_device_attr attr;
    char path[64], target[64] = "";
    int32_t fd;

    snprintf(path, sizeof(path), "/proc/%d/fd/%d", call->tid, device_fd);
    if (readlink(path, target, sizeof(target) - 1) < 0 ||
        strcmp(target, "anon_inode:kvm-vfio") ||
        sim_call_get(call, arg, &attr, sizeof(attr)) ||
        attr.group != SIM_KVM_VFIO_FILE ||
        (attr.attr != SIM_KVM_VFIO_FILE_ADD &&
         attr.attr != SIM_KVM_VFIO_FILE_DEL) ||
        sim_call_get(call, attr.addr, &fd, sizeof(fd)) ||
        !sim_call_find(call, fd)) {
        return SIM_CONTINUE;
    }
    return 0;
}

static int64_t answer_dup(SimCall *call, int fd, bool cloexec)
{
    int copy = sim_call_take_fd(call, fd);
    int number;

    if (copy < 0) {
        return copy;
    }
    number = plant(call, copy, cloexec);
    close(copy);
    return number;
}

/* readv() and its kin: as many vectors as one call can take. */
static int64_t answer_vector(SimCall *call, SimFile *file, bool is_write,
                             uint64_t addr, uint64_t count, int64_t offset)
{
    const SimFileOps *ops = &call->supervisor->ops[file->kind];
    struct iovec iov[16];
    int64_t done = 0, n;

    count = MIN(count, G_N_ELEMENTS(iov));
    if (sim_call_get(call, addr, iov, count * sizeof(iov[0]))) {
        return -EFAULT;
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t base = (uintptr_t)iov[i].iov_base;
        int64_t at = offset < 0 ? offset : offset + done;

        n = is_write ? ops->write(call, file, base, iov[i].iov_len, at)
                     : ops->read(call, file, base, iov[i].iov_len, at);
        if (n < 0) {
            return done ? done : n;
        }
        done += n;
        if ((uint64_t)n < iov[i].iov_len) {
            break;
        }
    }
    return done;
}

static int64_t answer(SimCall *call, int nr, const uint64_t *args)
{
    const SimFileOps *ops;
    SimFile *file;
    const char *what;
    int64_t ret;

    ret = supervisor_answer_path(call, nr, args);
    if (ret != SIM_CONTINUE) {
        return ret;
    }
    file = sim_call_find(call, args[0]);
    if (!file) {
        return nr == SYS_ioctl && (uint32_t)args[1] == SIM_KVM_SET_DEVICE_ATTR
                   ? answer_kvm(call, args[0], args[2])
                   : SIM_CONTINUE;
    }
    ops = &call->supervisor->ops[file->kind];
    switch (nr) {
    case SYS_ioctl:
        what = sim_call_name(file->kind, args[1]);
        what = what ? what : "ioctl";
        ret = ops->ioctl(call, file, args[1], args[2]);
        break;
    case SYS_read:
    case SYS_pread64:
        what = "read";
        ret = ops->read(call, file, args[1], args[2],
                        nr == SYS_read ? -1 : (int64_t)args[3]);
        break;
    case SYS_write:
    case SYS_pwrite64:
        what = "write";
        ret = ops->write(call, file, args[1], args[2],
                         nr == SYS_write ? -1 : (int64_t)args[3]);
        break;
    case SYS_readv:
    case SYS_preadv:
    case SYS_preadv2:
        what = "readv";
        ret = answer_vector(call, file, false, args[1], args[2],
                            nr == SYS_readv ? -1 : (int64_t)args[3]);
        break;
    case SYS_writev:
    case SYS_pwritev:
    case SYS_pwritev2:
        what = "writev";
        ret = answer_vector(call, file, true, args[1], args[2],
                            nr == SYS_writev ? -1 : (int64_t)args[3]);
        break;
    case SYS_dup:
    case SYS_fcntl:
        what = "dup";
        ret = answer_dup(call, args[0],
                         nr == SYS_fcntl && args[1] == F_DUPFD_CLOEXEC);
        break;
    case SYS_fstat:
    case SYS_newfstatat:
    case SYS_statx:
        what = "stat";
        ret = supervisor_answer_fstat(call, file, nr, args);
        if (ret == SIM_CONTINUE) {
            return ret;
        }
        break;
    default:
        return SIM_CONTINUE;
    }
    supervisor_log(call, sim_file_kind_name(file->kind), what,
                   nr == SYS_ioctl ? args[1] : args[2], ret);
    return ret;
}

void supervisor_answer(Supervisor *s, const struct seccomp_notif *req,
                       struct seccomp_notif_resp *resp)
{
    SimCall call = {s, req->id, req->pid};
    uint64_t args[6];
    int64_t ret;

    for (int i = 0; i < 6; i++) {
        args[i] = req->data.args[i];
    }
    ret = answer(&call, req->data.nr, args);
    if (ret == SIM_CONTINUE) {
        resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    } else if (ret < 0) {
        resp->error = ret;
    } else {
        resp->val = ret;
    }
}
