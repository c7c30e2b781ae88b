/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the command line asked of the process and not of the machine in it:
 * going into the background, the pid file, privileges, the system calls that
 * are left. Main thread.
 */
#ifndef GODWIT_SYSTEM_PROCESS_H
#define GODWIT_SYSTEM_PROCESS_H

#include <sys/types.h>

#include "system/vm.h"

typedef struct ProcessConfig {
    bool daemonize;
    char *pidfile;
    int pidfile_fd;             /* -1 until it is written; holds its lock */
    int parent_fd;              /* who waits for us to listen; -1: nobody */

    int signal_fd;              /* signals that end us; -1: not watched yet */

    bool exit_with_parent;
    char *chroot_dir;
    bool user_set;
    uid_t user;
    gid_t group;
    char *user_name;            /* for the supplementary groups, or NULL */

    bool sandbox;
    bool deny_obsolete;
    enum { PRIVILEGES_ALLOW, PRIVILEGES_DENY, PRIVILEGES_CHILDREN } privileges;
    bool deny_spawn;
    bool deny_resource_control;

    enum { MEM_LOCK_OFF, MEM_LOCK_ON, MEM_LOCK_ON_FAULT } mem_lock;
    bool display_none;          /* -display none was given */
} ProcessConfig;

ProcessConfig *process_config_new(void);
/* Removes the pid file. */
void process_config_free(ProcessConfig *process);

/*
 * Forks if asked to: returns in the child, while the parent waits for
 * process_detach() and then exits 0, or 1 if the child ends before that.
 * Writes and locks the pid file. Before any thread is made.
 */
bool process_start(ProcessConfig *process, Error **errp);

/* Locks memory if asked to. Before RAM is made. */
bool process_lock_memory(ProcessConfig *process, Error **errp);

/*
 * When all files are open: changes root and user, takes away system calls.
 * Threads that exist are subject to it too.
 */
bool process_drop_privileges(ProcessConfig *process, Error **errp);

/*
 * When everything listens: lets the parent exit and lets go of the terminal
 * and the current folder.
 */
void process_detach(ProcessConfig *process);

/* Installs the filter for -sandbox in all threads; system/sandbox.c. */
bool sandbox_apply(const ProcessConfig *process, Error **errp);

#endif
