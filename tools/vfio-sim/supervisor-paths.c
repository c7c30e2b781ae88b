/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Paths that are there for COMMAND alone: opening them gives it a descriptor
 * of ours, and what asks about them is answered. Nodes are added while there
 * is one thread; workers only look.
 */
#include "supervisor-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Longer than any path of a node. */
#define PATH_BYTES 128

void supervisor_add_node(Supervisor *s, const char *path, uint64_t rdev,
                         int64_t (*open)(SimCall *call, void *opaque),
                         void *opaque)
{
    SimNode *node = g_new0(SimNode, 1);

    g_assert(strlen(path) < PATH_BYTES);
    node->path = g_strdup(path);
    node->rdev = rdev;
    node->open = open;
    node->opaque = opaque;
    g_ptr_array_add(s->nodes, node);
}

void supervisor_free_node(void *opaque)
{
    SimNode *node = opaque;

    g_free(node->path);
    g_free(node);
}

/* The text at @addr of the caller; false if it is longer than any node's. */
static bool get_path(SimCall *call, uint64_t addr, char *path)
{
    const uint64_t page = 4096;
    size_t done = 0;

    /* What lies behind the end of the text may not be there. */
    while (done < PATH_BYTES) {
        size_t n = MIN(PATH_BYTES - done, page - (addr + done) % page);

        if (sim_call_get(call, addr + done, path + done, n)) {
            return false;
        }
        if (memchr(path + done, '\0', n)) {
            return true;
        }
        done += n;
    }
    return false;
}

static const SimNode *find_node(SimCall *call, uint64_t addr)
{
    Supervisor *s = call->supervisor;
    char path[PATH_BYTES];

    if (!s->nodes->len || !get_path(call, addr, path)) {
        return NULL;
    }
    for (guint i = 0; i < s->nodes->len; i++) {
        const SimNode *node = g_ptr_array_index(s->nodes, i);

        if (!strcmp(node->path, path)) {
            return node;
        }
    }
    return NULL;
}

static uint32_t mode_of(uint64_t rdev)
{
    return rdev ? S_IFCHR | 0666 : S_IFDIR | 0755;
}

static int64_t put_stat(SimCall *call, uint64_t addr, uint64_t rdev)
{
    struct stat st = {.st_mode = mode_of(rdev), .st_nlink = 1,
                      .st_rdev = rdev, .st_ino = rdev + 1,
                      .st_blksize = 4096};

    return sim_call_put(call, addr, &st, sizeof(st));
}

static int64_t put_statx(SimCall *call, uint64_t addr, uint64_t rdev)
{
    struct statx st = {.stx_mask = STATX_TYPE | STATX_MODE | STATX_NLINK |
                                   STATX_INO,
                       .stx_mode = mode_of(rdev), .stx_nlink = 1,
                       .stx_rdev_major = major(rdev),
                       .stx_rdev_minor = minor(rdev), .stx_ino = rdev + 1,
                       .stx_blksize = 4096};

    return sim_call_put(call, addr, &st, sizeof(st));
}

/* Which argument is the path, and what is done with it. */
typedef enum PathCall { OPEN, STAT, STATX, READLINK, ACCESS } PathCall;

static const struct {
    int nr;
    PathCall what;
    unsigned path, arg; /* arguments: the path; buffer or mode */
} calls[] = {
    {SYS_openat, OPEN, 1, 0},
    {SYS_openat2, OPEN, 1, 0},
    {SYS_newfstatat, STAT, 1, 2},
    {SYS_statx, STATX, 1, 4},
    {SYS_readlinkat, READLINK, 1, 0},
    {SYS_faccessat, ACCESS, 1, 2},
    {SYS_faccessat2, ACCESS, 1, 2},
#ifdef SYS_open
    {SYS_open, OPEN, 0, 0},
#endif
#ifdef SYS_stat
    {SYS_stat, STAT, 0, 1},
    {SYS_lstat, STAT, 0, 1},
#endif
#ifdef SYS_readlink
    {SYS_readlink, READLINK, 0, 0},
#endif
#ifdef SYS_access
    {SYS_access, ACCESS, 0, 1},
#endif
};

int supervisor_path_call(unsigned i)
{
    return i < G_N_ELEMENTS(calls) ? calls[i].nr : -1;
}

static int64_t answer(SimCall *call, const SimNode *node, PathCall what,
                      uint64_t arg)
{
    switch (what) {
    case OPEN:
        return node->open ? node->open(call, node->opaque) : SIM_CONTINUE;
    case STAT:
        return put_stat(call, arg, node->rdev);
    case STATX:
        return put_statx(call, arg, node->rdev);
    case READLINK:
        return -EINVAL;
    default:
        return arg & X_OK && node->rdev ? -EACCES : 0;
    }
}

int64_t supervisor_answer_path(SimCall *call, int nr, const uint64_t *args)
{
    static const char *const names[] = {
        [OPEN] = "open", [STAT] = "stat", [STATX] = "statx",
        [READLINK] = "readlink", [ACCESS] = "access"};
    const SimNode *node;
    uint64_t arg;
    int64_t ret;
    size_t i = 0;

    while (i < G_N_ELEMENTS(calls) && calls[i].nr != nr) {
        i++;
    }
    if (i == G_N_ELEMENTS(calls) ||
        !(node = find_node(call, args[calls[i].path]))) {
        return SIM_CONTINUE;
    }
    arg = args[calls[i].arg];
    ret = answer(call, node, calls[i].what, arg);
    if (ret != SIM_CONTINUE) {
        supervisor_log(call, node->path, names[calls[i].what], arg, ret);
    }
    return ret;
}

/* fstat() and its kin: is it said of a descriptor alone? */
int64_t supervisor_answer_fstat(SimCall *call, const SimFile *file, int nr,
                                const uint64_t *args)
{
    char first = '\0';

    if (!file->rdev) {
        return SIM_CONTINUE;
    }
    if (nr == SYS_fstat) {
        return put_stat(call, args[1], file->rdev);
    }
    if (args[1] && sim_call_get(call, args[1], &first, 1)) {
        return -EFAULT;
    }
    if (first) {
        return SIM_CONTINUE;
    }
    return nr == SYS_statx ? put_statx(call, args[4], file->rdev)
                           : put_stat(call, args[2], file->rdev);
}
