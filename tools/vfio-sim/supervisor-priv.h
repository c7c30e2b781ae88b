/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to supervisor*.c. */
#ifndef VFIO_SIM_SUPERVISOR_PRIV_H
#define VFIO_SIM_SUPERVISOR_PRIV_H

#include <pthread.h>

#include <glib.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "supervisor.h"

#define SIM_WORKERS 6

struct Supervisor {
    const SimFileOps *ops;
    int log_fd;
    int base; /* number of the first slot */

    /* set while there is one thread */
    struct sock_fprog program;
    struct seccomp_notif_sizes sizes;
    int listener, stop_fd, pid_fd;
    pid_t pid;
    GThread *workers[SIM_WORKERS];
    unsigned n_workers;

    /* One worker at a time waits for the next call. */
    GMutex receive_lock;

    /* guarded by files_lock, which is taken last */
    GMutex files_lock;
    GPtrArray *files; /* of SimFile */
};

/* supervisor-filter.c: which calls are trapped. */
bool supervisor_make_filter(Supervisor *s, Error **errp);

/* supervisor-calls.c: answers one call. */
void supervisor_answer(Supervisor *s, const struct seccomp_notif *req,
                       struct seccomp_notif_resp *resp);

#endif
