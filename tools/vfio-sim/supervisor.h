/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers system calls of another process: starts COMMAND under a seccomp
 * filter with user notification, hands it descriptors, and calls back, from
 * several worker threads, for each trapped call on one of them.
 */
#ifndef VFIO_SIM_SUPERVISOR_H
#define VFIO_SIM_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "call-names.h"
#include "util/error.h"

/*
 * Planted descriptors have numbers in [base, base + SIM_SLOTS), so that the
 * filter knows by the number which reads and writes to trap. Below that the
 * VMM's own descriptors cost nothing.
 */
#define SIM_SLOTS 128

/* The exit status that says that vfio-sim itself failed. */
#define SIM_EXIT_FAILED 125

typedef struct Supervisor Supervisor;

/* What a planted descriptor stands for; lives as long as the supervisor. */
typedef struct SimFile {
    SimFileKind kind;
    void *opaque;     /* the device or the iommufd */
    unsigned session; /* SIM_FILE_DATA: which data stream */
    int slot;         /* in which COMMAND inherits it; -1: it does not */
    int fd;           /* our own; -1 once it is only the caller's */
    uint64_t rdev;    /* what fstat() says: a device of that number; 0: no */
    uint64_t dev, ino;
} SimFile;

/* One trapped call, valid during a callback and in its thread. */
typedef struct SimCall {
    Supervisor *supervisor;
    uint64_t cookie;
    pid_t tid; /* the calling thread */
} SimCall;

/*
 * Called by worker threads, several at once, without locks; may sleep. Each
 * returns what the system call returns, or -errno.
 */
typedef struct SimFileOps {
    int64_t (*ioctl)(SimCall *call, SimFile *file, uint32_t cmd, uint64_t arg);
    /* @offset is -1 for calls that have none. */
    int64_t (*read)(SimCall *call, SimFile *file, uint64_t addr, uint64_t len,
                    int64_t offset);
    int64_t (*write)(SimCall *call, SimFile *file, uint64_t addr, uint64_t len,
                     int64_t offset);
} SimFileOps;

/* @ops: indexed by SimFileKind. @log: lines of calls go there, or -1. */
Supervisor *supervisor_new(const SimFileOps *ops, int log_fd, Error **errp);

/* A file that can be planted; @size bytes of (sparse) shared memory. */
SimFile *supervisor_add_file(Supervisor *s, SimFileKind kind, void *opaque,
                             uint64_t size, Error **errp);

/*
 * COMMAND inherits a descriptor of @file: its number there, the same each time;
 * -1 with @errp set if they are too many. Before supervisor_start().
 */
int supervisor_hand_on(Supervisor *s, SimFile *file, Error **errp);

/*
 * Adds a path that exists for COMMAND: a character device @rdev, opening which
 * calls @open in a worker (a descriptor's number, or -errno), or a folder, if
 * both are 0. Before supervisor_start(); calls about paths are only trapped if
 * there is such a path.
 */
void supervisor_add_node(Supervisor *s, const char *path, uint64_t rdev,
                         int64_t (*open)(SimCall *call, void *opaque),
                         void *opaque);

/*
 * Starts COMMAND (@argv ends with NULL) and the workers. With @exec this
 * process becomes COMMAND, and the call returns in a new one, which is not its
 * child. While there is one thread.
 */
bool supervisor_start(Supervisor *s, char **argv, bool exec, Error **errp);

/*
 * Waits until COMMAND ends; forwards signals. Returns its exit status; 0 with
 * @exec, where it is somebody else's to know.
 */
int supervisor_wait(Supervisor *s);

/* Stops and joins the workers. */
void supervisor_stop(Supervisor *s);

/* Memory of the caller: 0 or -EFAULT. All of it or nothing counts. */
int sim_call_get(SimCall *call, uint64_t addr, void *buf, size_t len);
int sim_call_put(SimCall *call, uint64_t addr, const void *buf, size_t len);

/* The process that the calling thread belongs to; 0 if it is gone. */
pid_t sim_call_process(SimCall *call);

/* A copy of the caller's descriptor @fd, or -errno. */
int sim_call_take_fd(SimCall *call, int fd);

/* The planted file behind the caller's descriptor @fd, or NULL. */
SimFile *sim_call_find(SimCall *call, int fd);

/* True if the caller's process has a descriptor of @file. */
bool sim_call_has_file(SimCall *call, const SimFile *file);

/*
 * Gives the caller a descriptor of @file: its number, or -errno. With @keep it
 * can be given again, else our own is closed.
 */
int sim_call_plant(SimCall *call, SimFile *file, bool keep);

/* False once the caller is gone: nobody waits for an answer. */
bool sim_call_alive(SimCall *call);

/* Sleeps until @until_ns of CLOCK_MONOTONIC; false if the caller went away. */
bool sim_call_sleep(SimCall *call, int64_t until_ns);

int64_t sim_now_ns(void);

#endif
