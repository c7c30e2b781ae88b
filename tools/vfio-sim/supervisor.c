/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting COMMAND under the filter, the worker threads that receive its
 * calls, and its end. The main thread starts and waits; workers only answer.
 */
#include "supervisor-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Exit statuses of a shell: found but not started, not found, a signal. */
#define EXIT_NOT_STARTED 126
#define EXIT_NOT_FOUND 127
#define EXIT_SIGNAL 128

int64_t sim_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

Supervisor *supervisor_new(const SimFileOps *ops, int log_fd, Error **errp)
{
    Supervisor *s = g_new0(Supervisor, 1);
    struct rlimit limit;

    s->ops = ops;
    s->log_fd = log_fd;
    s->listener = s->stop_fd = s->pid_fd = -1;
    s->files = g_ptr_array_new();
    s->nodes = g_ptr_array_new_with_free_func(supervisor_free_node);
    g_mutex_init(&s->receive_lock);
    g_mutex_init(&s->files_lock);
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < 4 * SIM_SLOTS) {
        error_setg(errp, "at most %lu open files are allowed here: at least "
                   "%d are needed (ulimit -n)", (unsigned long)limit.rlim_cur,
                   4 * SIM_SLOTS);
        goto fail;
    }
    s->base = (MIN(limit.rlim_cur, 1024) & ~(rlim_t)(SIM_SLOTS - 1)) -
              SIM_SLOTS;
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &s->sizes)) {
        error_setg_errno(errp, errno, "asking for seccomp user notification "
                         "(Linux 5.19 or newer is needed)");
        goto fail;
    }
    return s;
fail:
    supervisor_stop(s);
    return NULL;
}

SimFile *supervisor_add_file(Supervisor *s, SimFileKind kind, void *opaque,
                             uint64_t size, Error **errp)
{
    SimFile *file = g_new0(SimFile, 1);
    struct stat st;

    file->kind = kind;
    file->slot = -1;
    file->opaque = opaque;
    file->fd = memfd_create("vfio-sim", MFD_CLOEXEC);
    if (file->fd < 0 || ftruncate(file->fd, size) || fstat(file->fd, &st)) {
        error_setg_errno(errp, errno, "making a file of %" G_GUINT64_FORMAT
                         " bytes of shared memory", size);
        if (file->fd >= 0) {
            close(file->fd);
        }
        g_free(file);
        return NULL;
    }
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    g_mutex_lock(&s->files_lock);
    g_ptr_array_add(s->files, file);
    g_mutex_unlock(&s->files_lock);
    return file;
}

int supervisor_hand_on(Supervisor *s, SimFile *file, Error **errp)
{
    if (file->slot < 0 && s->handed_on == SIM_SLOTS / 2) {
        error_setg(errp, "at most %d descriptors can be handed on",
                   SIM_SLOTS / 2);
        return -1;
    }
    if (file->slot < 0) {
        file->slot = s->base + s->handed_on++;
    }
    return file->slot;
}

static void run_command(Supervisor *s, char **argv, const sigset_t *mask,
                        int report_fd, int go_fd)
{
    int listener;
    char go;

    for (guint i = 0; i < s->files->len; i++) {
        SimFile *file = g_ptr_array_index(s->files, i);

        if (file->slot >= 0 && dup2(file->fd, file->slot) < 0) {
            _exit(SIM_EXIT_FAILED);
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
        _exit(SIM_EXIT_FAILED);
    }
    listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                       SECCOMP_FILTER_FLAG_NEW_LISTENER |
                           SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
                       &s->program);
    if (listener < 0) {
        listener = -errno;
    }
    /* The supervisor takes its copy of the listener before it says go. */
    if (write(report_fd, &listener, sizeof(listener)) != sizeof(listener) ||
        listener < 0 || read(go_fd, &go, 1) != 1) {
        _exit(SIM_EXIT_FAILED);
    }
    close(listener);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(argv[0], argv);
    fprintf(stderr, "vfio-sim: starting '%s': %s\n", argv[0],
            strerror(errno));
    _exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_STARTED);
}

/* Takes a share of COMMAND's listener. */
static bool take_listener(Supervisor *s, int report_fd, Error **errp)
{
    int number;

    if (read(report_fd, &number, sizeof(number)) != sizeof(number)) {
        error_setg(errp, "the new process ended before its filter was there");
        return false;
    }
    if (number < 0) {
        error_setg_errno(errp, -number, "installing the filter of system "
                         "calls (EBUSY: another one listens already, EINVAL: "
                         "Linux 5.19 or newer is needed)");
        return false;
    }
    s->listener = syscall(SYS_pidfd_getfd, s->pid_fd, number, 0);
    if (s->listener < 0) {
        error_setg_errno(errp, errno, "taking a descriptor from the new "
                         "process (may this user trace its children?)");
        return false;
    }
    return true;
}

static void *worker(void *opaque);

/* With receive_lock held. */
static void add_worker(Supervisor *s)
{
    g_autofree char *name = g_strdup_printf("call-%u", s->n_workers);

    s->workers[s->n_workers] = g_thread_new(name, worker, s);
    s->n_workers++;
}

/* One call: received with the lock held, answered without. */
static bool serve(Supervisor *s, struct seccomp_notif *req,
                  struct seccomp_notif_resp *resp)
{
    struct pollfd fds[] = {{s->listener, POLLIN, 0}, {s->stop_fd, POLLIN, 0}};
    bool received = false, over;

    g_mutex_lock(&s->receive_lock);
    poll(fds, G_N_ELEMENTS(fds), -1);
    over = fds[1].revents || (fds[0].revents & POLLHUP);
    if (!over && (fds[0].revents & POLLIN)) {
        memset(req, 0, s->sizes.seccomp_notif);
        received = !ioctl(s->listener, SECCOMP_IOCTL_NOTIF_RECV, req);
    }
    /* Somebody must be left to take the next one. */
    if (received && g_atomic_int_add(&s->busy, 1) + 1 == (int)s->n_workers &&
        s->n_workers < SIM_WORKERS_MAX) {
        add_worker(s);
    }
    g_mutex_unlock(&s->receive_lock);
    if (received) {
        memset(resp, 0, s->sizes.seccomp_notif_resp);
        resp->id = req->id;
        supervisor_answer(s, req, resp);
        /* Fails if the caller is gone: then nobody minds. */
        ioctl(s->listener, SECCOMP_IOCTL_NOTIF_SEND, resp);
        g_atomic_int_add(&s->busy, -1);
    }
    return !over;
}

static void *worker(void *opaque)
{
    Supervisor *s = opaque;
    g_autofree void *req = g_malloc0(MAX(s->sizes.seccomp_notif,
                                         sizeof(struct seccomp_notif)));
    g_autofree void *resp = g_malloc0(MAX(s->sizes.seccomp_notif_resp,
                                          sizeof(struct seccomp_notif_resp)));

    while (serve(s, req, resp)) {
    }
    return NULL;
}

static void handled_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGQUIT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

/*
 * What COMMAND inherits is not ours to keep: locks on it would stay when
 * COMMAND is gone. All that is ours is closed on exec. Standard error is for
 * what is told at the end.
 */
static void close_inherited(void)
{
    GDir *dir = g_dir_open("/proc/self/fd", 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        int fd = atoi(name), flags = fcntl(fd, F_GETFD);

        if (fd > STDERR_FILENO && flags >= 0 && !(flags & FD_CLOEXEC)) {
            close(fd);
        }
    }
    if (dir) {
        g_dir_close(dir);
    }
}

/*
 * A new process to be the supervisor of this one. Returns like fork() to one
 * whose child is COMMAND: 0 in this process, its number in the new one. That is
 * a grandchild whose parent has gone, so that COMMAND has no child that it does
 * not know. @go: a pipe from the supervisor to COMMAND.
 */
static pid_t change_places(int go[2])
{
    pid_t command = getpid(), child = fork(), supervisor;
    int status;

    if (child > 0) {
        close(go[1]);
        go[1] = -1;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        if (read(go[0], &supervisor, sizeof(supervisor)) !=
            sizeof(supervisor)) {
            errno = EAGAIN;
            return -1;
        }
        /* Yama, where it is, lets only parents trace. */
        prctl(PR_SET_PTRACER, supervisor, 0, 0, 0);
        return 0;
    }
    if (child == 0) {
        if (fork() != 0) {
            _exit(0);
        }
        supervisor = getpid();
        if (write(go[1], &supervisor, sizeof(supervisor)) !=
            sizeof(supervisor)) {
            return -1;
        }
        close_inherited();
        return command;
    }
    return -1;
}

bool supervisor_start(Supervisor *s, char **argv, bool exec, Error **errp)
{
    int report[2] = {-1, -1}, go[2] = {-1, -1};
    sigset_t ours, before;
    bool ok = false;

    if (!supervisor_make_filter(s, errp)) {
        return false;
    }
    if (pipe2(report, O_CLOEXEC) || pipe2(go, O_CLOEXEC) ||
        (s->stop_fd = eventfd(0, EFD_CLOEXEC)) < 0) {
        error_setg_errno(errp, errno, "making pipes");
        goto out;
    }
    handled_signals(&ours);
    sigprocmask(SIG_BLOCK, &ours, &before);
    s->exec = exec;
    s->pid = exec ? change_places(go) : fork();
    if (s->pid == 0) {
        close(report[0]);
        if (go[1] >= 0) {
            close(go[1]);
        }
        run_command(s, argv, &before, report[1], go[0]);
    }
    if (s->pid < 0 ||
        (s->pid_fd = syscall(SYS_pidfd_open, s->pid, 0)) < 0) {
        error_setg_errno(errp, errno, "starting a process");
        goto out;
    }
    close(report[1]);
    report[1] = -1;
    if (!take_listener(s, report[0], errp)) {
        goto out;
    }
    g_mutex_lock(&s->receive_lock);
    while (s->n_workers < SIM_WORKERS) {
        add_worker(s);
    }
    g_mutex_unlock(&s->receive_lock);
    ok = write(go[1], "", 1) == 1;
    if (!ok) {
        error_setg_errno(errp, errno, "letting the process go");
    }
out:
    for (int i = 0; i < 2; i++) {
        if (report[i] >= 0) {
            close(report[i]);
        }
        if (go[i] >= 0) {
            close(go[i]);
        }
    }
    return ok;
}

int supervisor_wait(Supervisor *s)
{
    sigset_t ours;
    int signals, status;

    handled_signals(&ours);
    signals = signalfd(-1, &ours, SFD_CLOEXEC);
    for (;;) {
        struct pollfd fds[] = {{s->pid_fd, POLLIN, 0}, {signals, POLLIN, 0}};
        struct signalfd_siginfo info;

        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno != EINTR) {
            break;
        }
        if (fds[0].revents) {
            break;
        }
        if (fds[1].revents &&
            read(signals, &info, sizeof(info)) == sizeof(info) &&
            info.ssi_code != SI_KERNEL) {
            /* The terminal's signals reach COMMAND by themselves. */
            kill(s->pid, info.ssi_signo);
        }
    }
    if (signals >= 0) {
        close(signals);
    }
    if (s->exec) {
        return EXIT_SUCCESS;
    }
    while (waitpid(s->pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return EXIT_NOT_STARTED;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status)
                             : EXIT_SIGNAL + WTERMSIG(status);
}

void supervisor_stop(Supervisor *s)
{
    static const uint64_t one = 1;

    if (s->stop_fd >= 0) {
        while (write(s->stop_fd, &one, sizeof(one)) < 0 && errno == EINTR) {
        }
    }
    for (unsigned i = 0;; i++) {
        GThread *thread;

        /* One that is joined has added all that it ever will. */
        g_mutex_lock(&s->receive_lock);
        thread = i < s->n_workers ? s->workers[i] : NULL;
        g_mutex_unlock(&s->receive_lock);
        if (!thread) {
            break;
        }
        g_thread_join(thread);
    }
    for (guint i = 0; i < s->files->len; i++) {
        SimFile *file = g_ptr_array_index(s->files, i);

        if (file->fd >= 0) {
            close(file->fd);
        }
        g_free(file);
    }
    g_ptr_array_unref(s->files);
    g_ptr_array_unref(s->nodes);
    for (int i = 0; i < 3; i++) {
        int fd = i == 0 ? s->listener : i == 1 ? s->stop_fd : s->pid_fd;

        if (fd >= 0) {
            close(fd);
        }
    }
    g_free(s->program.filter);
    g_mutex_clear(&s->receive_lock);
    g_mutex_clear(&s->files_lock);
    g_free(s);
}
