/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Descriptors that management handed to a machine: single ones by name
 * (getfd), and sets of copies of one file opened in several ways (add-fd), of
 * which "/dev/fdset/N" as a path picks one. All functions: any thread; the
 * store has a lock of its own. Every descriptor is close-on-exec.
 */
#ifndef GODWIT_SYSTEM_FDS_H
#define GODWIT_SYSTEM_FDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "qapi/qapi-types-sockets.h"
#include "util/error.h"

typedef struct FdStore FdStore;

FdStore *fd_store_new(void);
/* Closes all that is left; NULL is fine. */
void fd_store_free(FdStore *store);

/*
 * Keeps @fd, which is the store's from the call on also on error, as @name;
 * a descriptor of that name is replaced and closed. Error: @name is empty or
 * starts with a digit, which would make it a number to fd_store_take().
 */
bool fd_store_name(FdStore *store, const char *name, int fd, Error **errp);

/* Error: "File descriptor named 'NAME' not found". */
bool fd_store_close(FdStore *store, const char *name, Error **errp);

/*
 * What "fd:TEXT" means: the number of a descriptor the process has (inherited;
 * the caller's now) or a name, which is then free again. -1 and errp: neither.
 */
int fd_store_take(FdStore *store, const char *text, Error **errp);

/*
 * Resolves an address of type fd: afterwards its str is a number that is the
 * caller's. Other types are left as they are.
 */
bool fd_store_resolve(FdStore *store, SocketAddress *addr, Error **errp);

/*
 * Adds @fd (taken over, also on error) to set *@set, or to a new one if *@set
 * is negative; *@set is then which. @opaque: any text to tell it by, or NULL.
 */
bool fd_store_set_add(FdStore *store, int64_t *set, int fd, const char *opaque,
                      Error **errp);

/* Closes descriptor @fd of the set, or all if @fd is negative. */
bool fd_store_set_remove(FdStore *store, int64_t set, int64_t fd,
                         Error **errp);

/* Each descriptor of each set, sets by number. @fn must not call the store. */
typedef void (*FdStoreFn)(int64_t set, int fd, const char *opaque, void *data);
void fd_store_set_foreach(FdStore *store, FdStoreFn fn, void *data);

/*
 * As open(2), close-on-exec; but "/dev/fdset/N" gives a copy of the set's
 * descriptor with the access mode of @flags (O_APPEND and O_TRUNC of @flags
 * are carried out on it). -1 and errp naming @path.
 */
int fd_store_open(FdStore *store, const char *path, int flags, mode_t mode,
                  Error **errp);

#endif
