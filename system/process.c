/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of the process: background, pid file, privileges. Main thread, at
 * start and end; no lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/process.h"

ProcessConfig *process_config_new(void)
{
    ProcessConfig *process = g_new0(ProcessConfig, 1);

    process->pidfile_fd = -1;
    process->parent_fd = -1;
    process->signal_fd = -1;
    return process;
}

void process_config_free(ProcessConfig *process)
{
    if (!process) {
        return;
    }
    if (process->pidfile_fd >= 0) {
        unlink(process->pidfile);
        close(process->pidfile_fd);
    }
    if (process->parent_fd >= 0) {
        close(process->parent_fd);
    }
    if (process->signal_fd >= 0) {
        close(process->signal_fd);
    }
    g_free(process->pidfile);
    g_free(process->chroot_dir);
    g_free(process->user_name);
    g_free(process);
}

/* In the parent: until the child says that it listens, or ends. */
G_NORETURN static void wait_for_child(int fd)
{
    char byte;
    ssize_t got;

    do {
        got = read(fd, &byte, 1);
    } while (got < 0 && errno == EINTR);
    /* The child has said why it did not get that far. */
    _exit(got == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static bool go_to_background(ProcessConfig *process, Error **errp)
{
    int fds[2];
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "cannot make a pipe for -daemonize");
        return false;
    }
    pid = fork();
    if (pid < 0) {
        error_setg_errno(errp, errno, "cannot fork for -daemonize");
        close(fds[0]);
        close(fds[1]);
        return false;
    }
    if (pid > 0) {
        close(fds[1]);
        wait_for_child(fds[0]);
    }
    close(fds[0]);
    process->parent_fd = fds[1];
    setsid();
    umask(027);
    return true;
}

/* A file that another one replaced meanwhile is not ours to lock. */
static bool same_file(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat(path, &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool write_pidfile(ProcessConfig *process, Error **errp)
{
    const char *path = process->pidfile;
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    char text[32];
    int fd, len;

    for (;;) {
        fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0644);
        if (fd < 0) {
            error_setg_errno(errp, errno, "cannot create pid file '%s'", path);
            return false;
        }
        if (fcntl(fd, F_SETLK, &lock) < 0) {
            error_setg(errp, "pid file '%s' belongs to a process that runs",
                       path);
            close(fd);
            return false;
        }
        if (same_file(fd, path)) {
            break;
        }
        close(fd);
    }
    len = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)len) != len) {
        error_setg_errno(errp, errno, "cannot write pid file '%s'", path);
        unlink(path);
        close(fd);
        return false;
    }
    process->pidfile_fd = fd;
    return true;
}

bool process_start(ProcessConfig *process, Error **errp)
{
    if (process->exit_with_parent && process->daemonize) {
        error_setg(errp, "-run-with exit-with-parent=on and -daemonize "
                   "exclude each other");
        return false;
    }
    if (process->exit_with_parent) {
        pid_t parent = getppid();

        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) {
            error_setg(errp, "the parent process has ended");
            return false;
        }
    }
    if (process->daemonize && !go_to_background(process, errp)) {
        return false;
    }
    if (process->pidfile) {
        /* It is to be found at the end, from whatever folder. */
        char *path = g_canonicalize_filename(process->pidfile, NULL);

        g_free(process->pidfile);
        process->pidfile = path;
        return write_pidfile(process, errp);
    }
    return true;
}

bool process_lock_memory(ProcessConfig *process, Error **errp)
{
    int flags = MCL_CURRENT | MCL_FUTURE;

    if (process->mem_lock == MEM_LOCK_OFF) {
        return true;
    }
    if (process->mem_lock == MEM_LOCK_ON_FAULT) {
        flags |= MCL_ONFAULT;
    }
    if (mlockall(flags) < 0) {
        error_setg_errno(errp, errno, "cannot lock memory for -overcommit "
                         "mem-lock");
        return false;
    }
    return true;
}

bool process_drop_privileges(ProcessConfig *process, Error **errp)
{
    if (process->chroot_dir &&
        (chroot(process->chroot_dir) < 0 || chdir("/") < 0)) {
        error_setg_errno(errp, errno, "cannot change root to '%s'",
                         process->chroot_dir);
        return false;
    }
    if (process->user_set) {
        bool groups = process->user_name
                          ? initgroups(process->user_name, process->group) == 0
                          : setgroups(1, &process->group) == 0;

        if (!groups || setgid(process->group) < 0 ||
            setuid(process->user) < 0) {
            error_setg_errno(errp, errno, "cannot become user %u, group %u",
                             process->user, process->group);
            return false;
        }
        if (process->user != 0 && setuid(0) == 0) {
            error_setg(errp, "user %u could become root again",
                       process->user);
            return false;
        }
    }
    return !process->sandbox || sandbox_apply(process, errp);
}

void process_detach(ProcessConfig *process)
{
    int null;

    if (process->parent_fd < 0) {
        return;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    }
    if (chdir("/") < 0 || write(process->parent_fd, "", 1) != 1) {
        /* The parent sees the end of the pipe and reports failure. */
        exit(EXIT_FAILURE);
    }
    close(process->parent_fd);
    process->parent_fd = -1;
}
