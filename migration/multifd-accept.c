/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which connection is what: the main stream and the channels of multifd come
 * to the same address in any order, and say by their first bytes what they
 * are. The thread "mig/dst/accept" looks, until all are there. The main
 * stream's bytes stay where they are; a channel's introduction is taken.
 *
 * Entered by that thread, by the incoming one that waits for the main
 * connection, and by their owner. Lock: MultiFDAccept.lock, a leaf.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/socket.h"
#include "migration/multifd-recv.h"
#include "migration/savevm.h"
#include "util/thread.h"

/* After so long a connection that has sent less than a magic is asked again. */
#define PARTIAL_MS 10

/* A connection that has not said yet what it is. */
typedef struct Stranger {
    int fd;
    bool partial;               /* has begun to, with less than four bytes */
    bool is_channel;
    size_t have;                /* of the introduction */
    uint8_t init[MULTIFD_INIT_BYTES];
} Stranger;

struct MultiFDAccept {
    /* Constant */
    MultiFDRecv *r;
    GThread *thread;
    int cancel_fd;              /* the caller's */
    int quit_fd;                /* eventfd */

    /* The thread */
    int listen_fd;
    unsigned num;
    Stranger stranger[MULTIFD_CHANNELS_MAX + 1];

    GMutex lock;
    GCond changed;
    /* Under lock */
    bool found;                 /* the main connection was */
    int main_fd;                /* ... until it is asked for; or -1 */
    Error *error;
    bool over;
};

static void forget(MultiFDAccept *a, unsigned i)
{
    a->stranger[i] = a->stranger[--a->num];
}

static bool found_main(MultiFDAccept *a, unsigned i, Error **errp)
{
    bool ok;

    g_mutex_lock(&a->lock);
    ok = !a->found;
    if (ok) {
        a->found = true;
        a->main_fd = a->stranger[i].fd;
        g_cond_signal(&a->changed);
    }
    g_mutex_unlock(&a->lock);
    if (!ok) {
        error_setg(errp, "a second connection begins a migration stream; one "
                   "is accepted");
        return false;
    }
    forget(a, i);
    return true;
}

static bool found_channel(MultiFDAccept *a, unsigned i, Error **errp)
{
    const MultiFDRecvConfig *config = multifd_recv_config(a->r);
    g_autofree char *name = NULL;
    MultiFDInit init;
    IoChannel *ch;
    int fd;

    if (!multifd_init_get(a->stranger[i].init, config->uuid, config->channels,
                          &init, errp)) {
        error_prepend(errp, "beginning of a multifd channel: ");
        return false;
    }
    fd = a->stranger[i].fd;
    forget(a, i);
    name = g_strdup_printf("multifd channel %u", init.id);
    ch = io_channel_new_fd(fd, name, errp);
    return ch && multifd_recv_add(a->r, ch, &init, errp);
}

/* Takes what there is of a channel's introduction. */
static bool read_init(MultiFDAccept *a, unsigned i, Error **errp)
{
    Stranger *s = &a->stranger[i];
    ssize_t got = recv(s->fd, s->init + s->have, sizeof(s->init) - s->have,
                       MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (got <= 0) {
        error_setg_errno(errp, got ? errno : ECONNRESET, "a multifd channel "
                         "ended after %zu of the %d bytes of its beginning",
                         s->have, MULTIFD_INIT_BYTES);
        return false;
    }
    s->have += got;
    return s->have < sizeof(s->init) || found_channel(a, i, errp);
}

static bool ended_early(int err, Error **errp)
{
    error_setg_errno(errp, err, "a connection ended before it said what it "
                     "was");
    return false;
}

static bool look_at(MultiFDAccept *a, unsigned i, Error **errp)
{
    Stranger *s = &a->stranger[i];
    uint32_t magic;
    ssize_t got;

    if (s->is_channel) {
        return read_init(a, i, errp);
    }
    got = recv(s->fd, &magic, sizeof(magic), MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (got <= 0) {
        return ended_early(got ? errno : ECONNRESET, errp);
    }
    s->partial = (size_t)got < sizeof(magic);
    if (s->partial) {
        return true;
    }
    magic = GUINT32_FROM_BE(magic);
    if (magic == QEMU_VM_FILE_MAGIC) {
        return found_main(a, i, errp);
    }
    if (magic != MULTIFD_MAGIC) {
        error_setg(errp, "a connection begins with 0x%08" PRIx32 "; 0x%08x "
                   "(migration stream) or 0x%08" PRIx32 " (multifd channel) "
                   "is expected", magic, QEMU_VM_FILE_MAGIC, MULTIFD_MAGIC);
        return false;
    }
    s->is_channel = true;
    return read_init(a, i, errp);
}

static bool accept_one(MultiFDAccept *a, Error **errp)
{
    Error *err = NULL;
    int fd = io_socket_accept(a->listen_fd, &err);

    if (err) {
        error_propagate(errp, err);
        return false;
    }
    if (fd >= 0) {
        io_socket_set_nodelay(fd, true);
        a->stranger[a->num++] = (Stranger) { .fd = fd };
    }
    return true;
}

static bool all_there(MultiFDAccept *a)
{
    bool found;

    g_mutex_lock(&a->lock);
    found = a->found;
    g_mutex_unlock(&a->lock);
    return found && multifd_recv_is_complete(a->r);
}

enum { POLL_CANCEL, POLL_QUIT, POLL_LISTEN, POLL_STRANGERS };

/* One round: until somebody may have something to say. */
static bool wait_for_some(MultiFDAccept *a, struct pollfd *fds, Error **errp)
{
    unsigned room = multifd_recv_config(a->r)->channels + 1 - a->num;
    int timeout = -1;

    fds[POLL_CANCEL] = (struct pollfd) { a->cancel_fd, POLLIN, 0 };
    fds[POLL_QUIT] = (struct pollfd) { a->quit_fd, POLLIN, 0 };
    fds[POLL_LISTEN] = (struct pollfd) { room ? a->listen_fd : -1, POLLIN, 0 };
    for (unsigned i = 0; i < a->num; i++) {
        Stranger *s = &a->stranger[i];

        fds[POLL_STRANGERS + i] = (struct pollfd) {
            s->fd, s->partial ? POLLRDHUP : POLLIN, 0,
        };
        timeout = s->partial ? PARTIAL_MS : timeout;
    }
    if (poll(fds, POLL_STRANGERS + a->num, timeout) < 0 && errno != EINTR) {
        error_setg_errno(errp, errno, "waiting for a migration");
        return false;
    }
    if (fds[POLL_CANCEL].revents || fds[POLL_QUIT].revents) {
        error_setg(errp, "waiting for a migration was cancelled");
        return false;
    }
    return true;
}

static bool sort_connections(MultiFDAccept *a, Error **errp)
{
    struct pollfd fds[POLL_STRANGERS + MULTIFD_CHANNELS_MAX + 1];

    while (!all_there(a)) {
        if (!wait_for_some(a, fds, errp)) {
            return false;
        }
        /* From the last one on: whoever has been sorted leaves a gap. */
        for (unsigned i = a->num; i-- > 0;) {
            short seen = fds[POLL_STRANGERS + i].revents;

            if (a->stranger[i].partial && seen) {
                return ended_early(ECONNRESET, errp);
            }
            if ((seen || a->stranger[i].partial) && !look_at(a, i, errp)) {
                return false;
            }
        }
        if (fds[POLL_LISTEN].revents && !accept_one(a, errp)) {
            return false;
        }
    }
    return true;
}

static gpointer accept_thread(gpointer opaque)
{
    MultiFDAccept *a = opaque;
    Error *err = NULL;

    /* Why comes before the source is told by connections that end. */
    if (!sort_connections(a, &err)) {
        multifd_recv_fail(a->r, g_error_copy(err));
    }
    close(a->listen_fd);
    for (unsigned i = 0; i < a->num; i++) {
        close(a->stranger[i].fd);
    }
    g_mutex_lock(&a->lock);
    a->error = err;
    a->over = true;
    g_cond_signal(&a->changed);
    g_mutex_unlock(&a->lock);
    return NULL;
}

MultiFDAccept *multifd_accept_start(MultiFDRecv *r, int listen_fd,
                                    int cancel_fd, Error **errp)
{
    int quit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    MultiFDAccept *a;

    if (quit_fd < 0) {
        error_setg_errno(errp, errno, "waiting for multifd: eventfd");
        close(listen_fd);
        return NULL;
    }
    a = g_new0(MultiFDAccept, 1);
    a->r = r;
    a->listen_fd = listen_fd;
    a->cancel_fd = cancel_fd;
    a->main_fd = -1;
    a->quit_fd = quit_fd;
    g_mutex_init(&a->lock);
    g_cond_init(&a->changed);
    a->thread = thread_start("mig/dst/accept", accept_thread, a);
    return a;
}

int multifd_accept_main(MultiFDAccept *a, Error **errp)
{
    int fd;

    g_mutex_lock(&a->lock);
    while (!a->found && !a->over) {
        g_cond_wait(&a->changed, &a->lock);
    }
    fd = a->main_fd;
    a->main_fd = -1;
    if (fd < 0) {
        error_propagate(errp, g_error_copy(a->error));
    }
    g_mutex_unlock(&a->lock);
    return fd;
}

void multifd_accept_free(MultiFDAccept *a)
{
    uint64_t one = 1;

    if (!a) {
        return;
    }
    if (write(a->quit_fd, &one, sizeof(one)) < 0) {
        g_assert(errno == EAGAIN);
    }
    g_thread_join(a->thread);
    close(a->quit_fd);
    if (a->main_fd >= 0) {
        close(a->main_fd);
    }
    g_clear_error(&a->error);
    g_cond_clear(&a->changed);
    g_mutex_clear(&a->lock);
    g_free(a);
}
