/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The descriptors that management handed to a machine. Any thread; "lock"
 * protects all of it and is never held while anything could block.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "system/fds.h"
#include "util/keyval.h"

#define FDSET_PREFIX "/dev/fdset/"

typedef struct SetFd {
    int fd;
    char *opaque;
} SetFd;

typedef struct FdSet {
    int64_t id;
    GPtrArray *fds;             /* of SetFd */
} FdSet;

struct FdStore {
    GMutex lock;
    GHashTable *names;          /* char * -> GINT_TO_POINTER(fd) */
    GList *sets;                /* of FdSet, by id, ascending */
};

static void set_fd_free(gpointer opaque)
{
    SetFd *entry = opaque;

    close(entry->fd);
    g_free(entry->opaque);
    g_free(entry);
}

static void set_free(gpointer opaque)
{
    FdSet *set = opaque;

    g_ptr_array_unref(set->fds);
    g_free(set);
}

static void close_pointer(gpointer fd)
{
    close(GPOINTER_TO_INT(fd));
}

FdStore *fd_store_new(void)
{
    FdStore *store = g_new0(FdStore, 1);

    g_mutex_init(&store->lock);
    store->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                         close_pointer);
    return store;
}

void fd_store_free(FdStore *store)
{
    if (!store) {
        return;
    }
    g_hash_table_unref(store->names);
    g_list_free_full(store->sets, set_free);
    g_mutex_clear(&store->lock);
    g_free(store);
}

bool fd_store_name(FdStore *store, const char *name, int fd, Error **errp)
{
    if (!name[0] || g_ascii_isdigit(name[0])) {
        error_setg(errp, "a descriptor cannot be named '%s': a name does not "
                   "begin with a digit", name);
        close(fd);
        return false;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    g_mutex_lock(&store->lock);
    g_hash_table_replace(store->names, g_strdup(name), GINT_TO_POINTER(fd));
    g_mutex_unlock(&store->lock);
    return true;
}

/* Takes it out of the table; -1 and errp if it is not there. */
static int steal(FdStore *store, const char *name, Error **errp)
{
    gpointer key, value = GINT_TO_POINTER(-1);

    g_mutex_lock(&store->lock);
    if (g_hash_table_steal_extended(store->names, name, &key, &value)) {
        g_free(key);
    } else {
        error_setg(errp, "File descriptor named '%s' not found", name);
        value = GINT_TO_POINTER(-1);
    }
    g_mutex_unlock(&store->lock);
    return GPOINTER_TO_INT(value);
}

bool fd_store_close(FdStore *store, const char *name, Error **errp)
{
    int fd = steal(store, name, errp);

    if (fd < 0) {
        return false;
    }
    close(fd);
    return true;
}

int fd_store_take(FdStore *store, const char *text, Error **errp)
{
    uint64_t number;

    if (!g_ascii_isdigit(text[0])) {
        return steal(store, text, errp);
    }
    if (!keyval_parse_uint64(text, &number) || number > INT_MAX) {
        error_setg(errp, "'%s' is no descriptor: a number or a name given "
                   "with getfd is expected", text);
        return -1;
    }
    if (fcntl((int)number, F_GETFD) < 0) {
        error_setg_errno(errp, errno, "descriptor %s is not open", text);
        return -1;
    }
    fcntl((int)number, F_SETFD, FD_CLOEXEC);
    return (int)number;
}

bool fd_store_resolve(FdStore *store, SocketAddress *addr, Error **errp)
{
    int fd;

    if (addr->type != SOCKET_ADDRESS_TYPE_FD) {
        return true;
    }
    fd = fd_store_take(store, addr->u.fd.str, errp);
    if (fd < 0) {
        return false;
    }
    g_free(addr->u.fd.str);
    addr->u.fd.str = g_strdup_printf("%d", fd);
    return true;
}

static FdSet *find_set(FdStore *store, int64_t id)
{
    for (GList *l = store->sets; l; l = l->next) {
        FdSet *set = l->data;

        if (set->id == id) {
            return set;
        }
    }
    return NULL;
}

static gint compare_sets(gconstpointer a, gconstpointer b)
{
    const FdSet *sa = a, *sb = b;

    return sa->id < sb->id ? -1 : sa->id > sb->id;
}

static int64_t first_free_id(FdStore *store)
{
    int64_t id = 0;

    for (GList *l = store->sets; l && ((FdSet *)l->data)->id == id;
         l = l->next) {
        id++;
    }
    return id;
}

bool fd_store_set_add(FdStore *store, int64_t *id, int fd, const char *opaque,
                      Error **errp)
{
    SetFd *entry;
    FdSet *set;

    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "descriptor %d is not open", fd);
        return false;
    }
    entry = g_new0(SetFd, 1);
    entry->fd = fd;
    entry->opaque = g_strdup(opaque);

    g_mutex_lock(&store->lock);
    if (*id < 0) {
        *id = first_free_id(store);
    }
    set = find_set(store, *id);
    if (!set) {
        set = g_new0(FdSet, 1);
        set->id = *id;
        set->fds = g_ptr_array_new_with_free_func(set_fd_free);
        store->sets = g_list_insert_sorted(store->sets, set, compare_sets);
    }
    g_ptr_array_add(set->fds, entry);
    g_mutex_unlock(&store->lock);
    return true;
}

bool fd_store_set_remove(FdStore *store, int64_t id, int64_t fd, Error **errp)
{
    bool found = false;
    FdSet *set;

    g_mutex_lock(&store->lock);
    set = find_set(store, id);
    for (guint i = set ? set->fds->len : 0; i-- > 0;) {
        SetFd *entry = g_ptr_array_index(set->fds, i);

        if (fd < 0 || entry->fd == fd) {
            g_ptr_array_remove_index(set->fds, i);
            found = true;
        }
    }
    if (set && set->fds->len == 0) {
        store->sets = g_list_remove(store->sets, set);
        set_free(set);
    }
    g_mutex_unlock(&store->lock);

    if (found) {
        return true;
    }
    if (fd >= 0) {
        error_setg(errp, "File descriptor named 'fdset-id:%" PRId64
                   ", fd:%" PRId64 "' not found", id, fd);
    } else {
        error_setg(errp, "File descriptor named 'fdset-id:%" PRId64
                   "' not found", id);
    }
    return false;
}

void fd_store_set_foreach(FdStore *store, FdStoreFn fn, void *data)
{
    g_mutex_lock(&store->lock);
    for (GList *l = store->sets; l; l = l->next) {
        FdSet *set = l->data;

        for (guint i = 0; i < set->fds->len; i++) {
            SetFd *entry = g_ptr_array_index(set->fds, i);

            fn(set->id, entry->fd, entry->opaque, data);
        }
    }
    g_mutex_unlock(&store->lock);
}

static const char *access_name(int flags)
{
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return "reading";
    case O_WRONLY:
        return "writing";
    default:
        return "reading and writing";
    }
}

/* A copy of the set's descriptor of that access; -1 with errno. */
static int copy_of(FdStore *store, int64_t id, int flags)
{
    FdSet *set;
    int fd = -1;

    g_mutex_lock(&store->lock);
    set = find_set(store, id);
    errno = set ? EACCES : ENOENT;
    for (guint i = 0; set && i < set->fds->len; i++) {
        SetFd *entry = g_ptr_array_index(set->fds, i);
        int has = fcntl(entry->fd, F_GETFL);

        if (has >= 0 && (has & O_ACCMODE) == (flags & O_ACCMODE)) {
            fd = fcntl(entry->fd, F_DUPFD_CLOEXEC, 0);
            break;
        }
    }
    g_mutex_unlock(&store->lock);
    return fd;
}

static int open_set(FdStore *store, const char *path, int flags, Error **errp)
{
    const char *number = path + strlen(FDSET_PREFIX);
    int64_t id;
    int fd;

    if (!g_ascii_isdigit(number[0]) || !keyval_parse_int64(number, &id)) {
        error_setg(errp, "cannot open '%s': the number of a descriptor set "
                   "is expected after %s", path, FDSET_PREFIX);
        return -1;
    }
    fd = copy_of(store, id, flags);
    if (fd < 0) {
        if (errno == EACCES) {
            error_setg(errp, "cannot open '%s': the set has no descriptor "
                       "open for %s", path, access_name(flags));
        } else {
            error_setg_errno(errp, errno, "cannot open '%s'", path);
        }
        return -1;
    }
    if (flags & O_APPEND) {
        int has = fcntl(fd, F_GETFL);

        fcntl(fd, F_SETFL, has | O_APPEND);
    }
    if ((flags & O_TRUNC) && ftruncate(fd, 0) < 0 && errno != EINVAL) {
        error_setg_errno(errp, errno, "cannot truncate '%s'", path);
        close(fd);
        return -1;
    }
    return fd;
}

int fd_store_open(FdStore *store, const char *path, int flags, mode_t mode,
                  Error **errp)
{
    int fd;

    if (g_str_has_prefix(path, FDSET_PREFIX)) {
        return open_set(store, path, flags, errp);
    }
    fd = open(path, flags | O_CLOEXEC, mode);
    if (fd < 0) {
        error_setg_errno(errp, errno, "cannot open '%s' for %s", path,
                         access_name(flags));
    }
    return fd;
}
