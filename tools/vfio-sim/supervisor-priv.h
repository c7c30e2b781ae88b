/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to supervisor*.c. */
#ifndef VFIO_SIM_SUPERVISOR_PRIV_H
#define VFIO_SIM_SUPERVISOR_PRIV_H

#include <pthread.h>

#include <glib.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "supervisor.h"

/* At first; more come when all are busy: each of COMMAND's threads can wait
 * for an answer, and none of them for the others. */
#define SIM_WORKERS 4
#define SIM_WORKERS_MAX 256

/* The answer to a call that is not about ours: the kernel does it. */
#define SIM_CONTINUE INT64_MIN

typedef struct SimNode {
    char *path;
    uint64_t rdev;
    int64_t (*open)(SimCall *call, void *opaque);
    void *opaque;
} SimNode;

struct Supervisor {
    const SimFileOps *ops;
    int log_fd;
    int base; /* number of the first slot */
    int handed_on; /* how many slots COMMAND has from the start */
    GPtrArray *nodes; /* of SimNode */

    /* set while there is one thread */
    struct sock_fprog program;
    struct seccomp_notif_sizes sizes;
    int listener, stop_fd, pid_fd;
    pid_t pid;
    bool exec; /* COMMAND is not our child */

    /* One worker at a time waits for the next call, with this lock; it guards
     * the list of them. */
    GMutex receive_lock;
    GThread *workers[SIM_WORKERS_MAX];
    unsigned n_workers;
    int busy; /* how many answer; atomic */

    /* guarded by files_lock, which is taken last */
    GMutex files_lock;
    GPtrArray *files; /* of SimFile */
};

/* supervisor-filter.c: which calls are trapped. */
bool supervisor_make_filter(Supervisor *s, Error **errp);

/* supervisor-calls.c: answers one call. */
void supervisor_answer(Supervisor *s, const struct seccomp_notif *req,
                       struct seccomp_notif_resp *resp);

/* A line of the log: what was called on which file, or kind of file. */
void supervisor_log(SimCall *call, const char *file, const char *what,
                    uint64_t arg, int64_t ret);

/* supervisor-paths.c: calls that name a path, or ask what a file is. */
void supervisor_free_node(void *node);
/* The number of the @i-th call that names a path; -1 behind the last. */
int supervisor_path_call(unsigned i);
int64_t supervisor_answer_path(SimCall *call, int nr, const uint64_t *args);
int64_t supervisor_answer_fstat(SimCall *call, const SimFile *file, int nr,
                                const uint64_t *args);

#endif
