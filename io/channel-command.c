/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command behind a pipe: started in a process group of its own, so that
 * all of a shell's pipeline can be ended, and reaped by whoever closes the
 * channel. No lock: used by one thread at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/channel-fd.h"

/* How long a command has to end by itself after SIGTERM, in ms. */
#define TERM_WAIT_MS 1000

extern char **environ;

struct IoCommand {
    char *text;
    pid_t pid;                  /* also the process group's; 0: reaped */
    int pidfd;
};

/* Whether it ended within @timeout_ms (-1: however long) or before a wake. */
static bool wait_end(IoCommand *command, int wake_fd, int timeout_ms)
{
    struct pollfd fds[2] = {
        { .fd = command->pidfd, .events = POLLIN },
        { .fd = wake_fd, .events = POLLIN },
    };
    int n;

    do {
        n = poll(fds, 2, timeout_ms);
    } while (n < 0 && errno == EINTR);
    return fds[0].revents != 0;
}

bool io_command_wait(IoCommand *command, int wake_fd, Error **errp)
{
    int status = 0;
    pid_t pid;

    if (!wait_end(command, wake_fd, -1)) {
        kill(-command->pid, SIGTERM);
        if (!wait_end(command, -1, TERM_WAIT_MS)) {
            kill(-command->pid, SIGKILL);
        }
    }
    do {
        pid = waitpid(command->pid, &status, 0);
    } while (pid < 0 && errno == EINTR);
    command->pid = 0;
    if (WIFSIGNALED(status)) {
        error_setg(errp, "command '%s' was ended by signal %d (%s)",
                   command->text, WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
        return false;
    }
    if (WEXITSTATUS(status) != 0) {
        error_setg(errp, "command '%s' ended with status %d", command->text,
                   WEXITSTATUS(status));
        return false;
    }
    return true;
}

void io_command_free(IoCommand *command)
{
    if (!command) {
        return;
    }
    close(command->pidfd);
    g_free(command->text);
    g_free(command);
}

/* The child: our pipe end as its @std, /dev/null as the other, clean signals. */
static int spawn_shell(const char *text, int pipe_fd, int std, pid_t *pid)
{
    char *const argv[] = { (char *)"sh", (char *)"-c", (char *)text, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t set;
    int err;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_fd, std);
    posix_spawn_file_actions_addopen(
        &actions, std == STDIN_FILENO ? STDOUT_FILENO : STDIN_FILENO,
        "/dev/null", O_RDWR, 0);

    posix_spawnattr_init(&attr);
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attr, &set);
    sigaddset(&set, SIGPIPE);
    posix_spawnattr_setsigdefault(&attr, &set);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF |
                                        POSIX_SPAWN_SETPGROUP);
    err = posix_spawn(pid, "/bin/sh", &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

IoChannel *io_channel_new_command(const char *text, int flags, Error **errp)
{
    bool reading = (flags & O_ACCMODE) == O_RDONLY;
    g_autofree char *name = g_strdup_printf("command '%s'", text);
    IoCommand *command;
    pid_t pid;
    int fds[2], err;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "cannot make a pipe for %s", name);
        return NULL;
    }
    err = spawn_shell(text, fds[reading ? 1 : 0],
                      reading ? STDOUT_FILENO : STDIN_FILENO, &pid);
    close(fds[reading ? 1 : 0]);
    if (err) {
        close(fds[reading ? 0 : 1]);
        error_setg_errno(errp, err, "cannot run %s", name);
        return NULL;
    }
    command = g_new0(IoCommand, 1);
    command->text = g_strdup(text);
    command->pid = pid;
    command->pidfd = pidfd_open(pid, 0);
    if (command->pidfd < 0) {
        error_setg_errno(errp, errno, "cannot watch %s", name);
        close(fds[reading ? 0 : 1]);
        kill(-pid, SIGKILL);
        waitpid(pid, NULL, 0);
        g_free(command->text);
        g_free(command);
        return NULL;
    }
    return io_channel_new_fd_command(fds[reading ? 0 : 1], name, command,
                                     errp);
}
