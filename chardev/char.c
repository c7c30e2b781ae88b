/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all character devices do: reading a stream when the front end has room,
 * writing without ever blocking, events, attaching.
 *
 * Input and all callbacks belong to the thread of chr->context. Any thread may
 * write; "lock" protects the stream's descriptors against that. No callback is
 * called with it held.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <glib-unix.h>

#include "chardev/char-int.h"
#include "util/log.h"

typedef struct InSource {
    GSource parent;
    Chardev *chr;
    int fd;
    gpointer tag;               /* of the descriptor while it is polled */
} InSource;

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

static void drop_source(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
        *source = NULL;
    }
}

static size_t room(const Chardev *chr)
{
    size_t n;

    if (!chr->front || !chr->opened_sent) {
        return 0;
    }
    n = chr->front->can_read ? chr->front->can_read(chr->opaque)
                             : CHARDEV_READ_MAX;
    return MIN(n, CHARDEV_READ_MAX);
}

/*
 * A descriptor that is not to be read must not be polled at all, or a peer
 * that hung up would keep the loop awake.
 */
static gboolean in_prepare(GSource *source, gint *timeout)
{
    InSource *in = (InSource *)source;
    Chardev *chr = in->chr;
    bool want = chr->disconnecting || room(chr) > 0;

    *timeout = -1;
    if (want && !in->tag) {
        in->tag = g_source_add_unix_fd(source, in->fd, G_IO_IN | G_IO_HUP);
    } else if (!want && in->tag) {
        g_source_remove_unix_fd(source, in->tag);
        in->tag = NULL;
    }
    return FALSE;
}

static gboolean in_check(GSource *source)
{
    InSource *in = (InSource *)source;

    return in->tag && g_source_query_unix_fd(source, in->tag);
}

static void drop_fds(Chardev *chr)
{
    while (chr->fd_count) {
        close(chr->fds[--chr->fd_count]);
    }
}

static void take_control(Chardev *chr, struct msghdr *msg)
{
    for (struct cmsghdr *cm = CMSG_FIRSTHDR(msg); cm;
         cm = CMSG_NXTHDR(msg, cm)) {
        size_t n;

        if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(fd));
            if (chr->fd_count < CHARDEV_FDS_MAX) {
                chr->fds[chr->fd_count++] = fd;
            } else {
                close(fd);
            }
        }
    }
}

static ssize_t receive(Chardev *chr, void *buf, size_t len)
{
    union {
        char bytes[CMSG_SPACE(CHARDEV_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { buf, len };
    struct msghdr msg = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t got;

    if (!chr->passes_fds) {
        return read(chr->in_fd, buf, len);
    }
    got = recvmsg(chr->in_fd, &msg, MSG_CMSG_CLOEXEC);
    if (got >= 0) {
        take_control(chr, &msg);
    }
    return got;
}

static void input_ended(Chardev *chr)
{
    if (chr->keeps_out) {
        g_mutex_lock(&chr->lock);
        close_fd(&chr->in_fd);
        g_mutex_unlock(&chr->lock);
        drop_source(&chr->in_source);
        return;
    }
    chardev_stream_close(chr);
    if (chr->ops->hangup) {
        chr->ops->hangup(chr);
    }
}

static gboolean in_dispatch(GSource *source, GSourceFunc fn, gpointer data)
{
    Chardev *chr = ((InSource *)source)->chr;
    uint8_t buf[CHARDEV_READ_MAX];
    size_t len = room(chr);
    ssize_t got;

    (void)fn;
    (void)data;
    if (chr->disconnecting) {
        input_ended(chr);
        return G_SOURCE_CONTINUE;
    }
    if (len == 0) {
        return G_SOURCE_CONTINUE;
    }
    got = receive(chr, buf, len);
    if (got > 0) {
        if (chr->front->read) {
            chr->front->read(chr->opaque, buf, (size_t)got);
        }
        drop_fds(chr);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        input_ended(chr);
    }
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs in_funcs = {
    .prepare = in_prepare,
    .check = in_check,
    .dispatch = in_dispatch,
};

static void watch_input(Chardev *chr)
{
    drop_source(&chr->in_source);
    if (chr->in_fd >= 0) {
        chr->in_source = g_source_new(&in_funcs, sizeof(InSource));
        ((InSource *)chr->in_source)->chr = chr;
        ((InSource *)chr->in_source)->fd = chr->in_fd;
        /*
         * Nobody iterates a context from within a dispatch. Saying so keeps
         * glib from no longer polling the descriptor while it dispatches, which
         * would cost two wake-ups and a second poll for each message.
         */
        g_source_set_can_recurse(chr->in_source, TRUE);
        g_source_attach(chr->in_source, chr->context);
    }
}

static gboolean send_opened(gpointer opaque)
{
    Chardev *chr = opaque;

    drop_source(&chr->event_source);
    if (chr->front && chr->connected && !chr->opened_sent) {
        chr->opened_sent = true;
        chardev_send_event(chr, CHARDEV_OPENED);
    }
    return G_SOURCE_REMOVE;
}

static void schedule_opened(Chardev *chr)
{
    drop_source(&chr->event_source);
    if (chr->front && chr->connected && !chr->opened_sent) {
        chr->event_source = g_idle_source_new();
        g_source_set_priority(chr->event_source, G_PRIORITY_HIGH);
        g_source_set_callback(chr->event_source, send_opened, chr, NULL);
        g_source_attach(chr->event_source, chr->context);
    }
}

void chardev_send_event(Chardev *chr, ChardevEvent event)
{
    if (chr->front && chr->front->event && chr->opened_sent) {
        chr->front->event(chr->opaque, event);
    }
}

void chardev_stream_open(Chardev *chr, int in_fd, int out_fd)
{
    g_mutex_lock(&chr->lock);
    chr->in_fd = in_fd;
    chr->out_fd = out_fd;
    chr->connected = true;
    chr->disconnecting = false;
    chr->write_failed = false;
    g_mutex_unlock(&chr->lock);
    watch_input(chr);
    schedule_opened(chr);
}

void chardev_stream_close(Chardev *chr)
{
    drop_source(&chr->in_source);
    g_mutex_lock(&chr->lock);
    drop_source(&chr->out_source);
    if (chr->out_fd == chr->in_fd) {
        chr->out_fd = -1;
    }
    close_fd(&chr->in_fd);
    close_fd(&chr->out_fd);
    chr->connected = false;
    chr->disconnecting = false;
    g_mutex_unlock(&chr->lock);
    drop_fds(chr);
    chardev_send_event(chr, CHARDEV_CLOSED);
    chr->opened_sent = false;
}

void chardev_set_connected(Chardev *chr, bool connected)
{
    g_mutex_lock(&chr->lock);
    chr->connected = connected;
    g_mutex_unlock(&chr->lock);
    if (connected) {
        schedule_opened(chr);
    } else {
        chardev_send_event(chr, CHARDEV_CLOSED);
        chr->opened_sent = false;
    }
}

static gboolean has_room(gint fd, GIOCondition condition, gpointer opaque)
{
    Chardev *chr = opaque;

    (void)fd;
    (void)condition;
    g_mutex_lock(&chr->lock);
    drop_source(&chr->out_source);
    g_mutex_unlock(&chr->lock);
    if (chr->front && chr->front->can_write) {
        chr->front->can_write(chr->opaque);
    }
    return G_SOURCE_REMOVE;
}

/* Under the lock. */
static void wait_for_room(Chardev *chr)
{
    if (!chr->out_source) {
        chr->out_source = g_unix_fd_source_new(chr->out_fd,
                                               G_IO_OUT | G_IO_HUP);
        g_source_set_callback(chr->out_source, G_SOURCE_FUNC(has_room), chr,
                              NULL);
        g_source_attach(chr->out_source, chr->context);
    }
}

/* Under the lock. What a peer that is gone does not get counts as taken. */
static size_t stream_write(Chardev *chr, const uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t put = write(chr->out_fd, buf + done, len - done);

        if (put > 0) {
            done += (size_t)put;
        } else if (put < 0 && errno == EINTR) {
            continue;
        } else if (put < 0 && errno == EAGAIN) {
            wait_for_room(chr);
            break;
        } else {
            if (!chr->write_failed && errno != EPIPE && errno != ECONNRESET &&
                errno != EIO) {
                chr->write_failed = true;
                warn_report("chardev '%s': output is lost: %s", chr->id,
                            g_strerror(errno));
            }
            return len;
        }
    }
    return done;
}

static void write_log(const Chardev *chr, const uint8_t *buf, size_t len)
{
    while (len) {
        ssize_t put = write(chr->log_fd, buf, len);

        if (put <= 0 && errno != EINTR) {
            return;
        }
        if (put > 0) {
            buf += put;
            len -= (size_t)put;
        }
    }
}

size_t chardev_write(Chardev *chr, const void *buf, size_t len)
{
    size_t taken = len;

    if (chr->ops->write) {
        taken = chr->ops->write(chr, buf, len);
    } else {
        g_mutex_lock(&chr->lock);
        if (chr->connected && chr->out_fd >= 0) {
            taken = stream_write(chr, buf, len);
        }
        g_mutex_unlock(&chr->lock);
    }
    if (chr->log_fd >= 0) {
        write_log(chr, buf, taken);
    }
    return taken;
}

void chardev_accept_input(Chardev *chr)
{
    if (chr->ops->accept_input) {
        chr->ops->accept_input(chr);
    } else {
        /* The loop asks can_read() again before it polls. */
        g_main_context_wakeup(chr->context);
    }
}

bool chardev_attach(Chardev *chr, const ChardevFront *front, void *opaque,
                    Error **errp)
{
    if (chr->front) {
        error_setg(errp, "chardev '%s' is in use already", chr->id);
        return false;
    }
    chr->front = front;
    chr->opaque = opaque;
    chr->opened_sent = false;
    if (chr->ops->attached) {
        chr->ops->attached(chr);
    }
    schedule_opened(chr);
    return true;
}

void chardev_detach(Chardev *chr)
{
    drop_source(&chr->event_source);
    g_mutex_lock(&chr->lock);
    drop_source(&chr->out_source);
    g_mutex_unlock(&chr->lock);
    chr->front = NULL;
    chr->opaque = NULL;
    chr->opened_sent = false;
    if (chr->ops->attached) {
        chr->ops->attached(chr);
    }
}

bool chardev_is_attached(const Chardev *chr)
{
    return chr->front != NULL;
}

/* Has chr->context serve it instead of whatever did. */
static void serve(Chardev *chr)
{
    if (chr->ops->context_changed) {
        chr->ops->context_changed(chr);
    }
    watch_input(chr);
    g_mutex_lock(&chr->lock);
    if (chr->out_source) {
        drop_source(&chr->out_source);
        wait_for_room(chr);
    }
    g_mutex_unlock(&chr->lock);
    schedule_opened(chr);
}

typedef struct Move {
    Chardev *chr;
    GMutex lock;
    GCond cond;
    bool done;                  /* under lock */
} Move;

static gboolean serve_there(gpointer opaque)
{
    Move *move = opaque;

    serve(move->chr);
    g_mutex_lock(&move->lock);
    move->done = true;
    g_cond_signal(&move->cond);
    g_mutex_unlock(&move->lock);
    return G_SOURCE_REMOVE;
}

/* The context's thread does it: who did it here would race with it. */
static void serve_in_its_thread(Chardev *chr)
{
    GSource *source = g_idle_source_new();
    Move move = { .chr = chr };

    g_mutex_init(&move.lock);
    g_cond_init(&move.cond);
    g_source_set_priority(source, G_PRIORITY_HIGH);
    g_source_set_callback(source, serve_there, &move, NULL);
    g_source_attach(source, chr->context);
    g_mutex_lock(&move.lock);
    while (!move.done) {
        g_cond_wait(&move.cond, &move.lock);
    }
    g_mutex_unlock(&move.lock);
    g_source_unref(source);
    g_mutex_clear(&move.lock);
    g_cond_clear(&move.cond);
}

void chardev_set_context(Chardev *chr, GMainContext *context)
{
    if (chr->ops->main_only) {
        return;
    }
    chr->context = context ? context : chr->set->context;
    if (g_main_context_acquire(chr->context)) {
        serve(chr);
        g_main_context_release(chr->context);
    } else {
        serve_in_its_thread(chr);
    }
}

int chardev_take_fd(Chardev *chr)
{
    int fd = -1;

    if (chr->fd_count) {
        fd = chr->fds[0];
        chr->fd_count--;
        memmove(chr->fds, chr->fds + 1, chr->fd_count * sizeof(chr->fds[0]));
    }
    return fd;
}

void chardev_disconnect(Chardev *chr)
{
    g_mutex_lock(&chr->lock);
    if (chr->connected && chr->is_socket) {
        chr->disconnecting = true;
        /* What is polled wakes up, whoever polls it. */
        shutdown(chr->in_fd, SHUT_RDWR);
    }
    g_mutex_unlock(&chr->lock);
    g_main_context_wakeup(chr->context);
}

const char *chardev_id(const Chardev *chr)
{
    return chr->id;
}

char *chardev_filename(const Chardev *chr)
{
    return chr->ops->filename ? chr->ops->filename(chr)
                              : g_strdup(chr->filename);
}

bool chardev_is_connected(const Chardev *chr)
{
    return __atomic_load_n(&chr->connected, __ATOMIC_RELAXED);
}

bool chardev_is_tty(const Chardev *chr)
{
    return chr->is_tty;
}

bool chardev_wants_monitor(const Chardev *chr)
{
    return chr->wants_monitor;
}

void chardev_set_wants_monitor(Chardev *chr)
{
    chr->wants_monitor = true;
}

void *chardev_alloc(Chardevs *set, size_t size, const ChardevOps *ops,
                    const char *id, const char *filename)
{
    Chardev *chr = g_malloc0(size);

    chr->ops = ops;
    chr->set = set;
    chr->id = g_strdup(id);
    chr->filename = g_strdup(filename);
    chr->context = set->context;
    chr->log_fd = chr->in_fd = chr->out_fd = -1;
    g_mutex_init(&chr->lock);
    return chr;
}

void chardev_destroy(Chardev *chr)
{
    chr->front = NULL;
    drop_source(&chr->event_source);
    chardev_stream_close(chr);
    if (chr->ops->free) {
        chr->ops->free(chr);
    }
    close_fd(&chr->log_fd);
    g_mutex_clear(&chr->lock);
    g_free(chr->filename);
    g_free(chr->id);
    g_free(chr);
}
