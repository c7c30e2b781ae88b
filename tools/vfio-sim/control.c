/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands of the control socket. The control thread; one device lock at a
 * time.
 */
#include "control.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/json.h"

#define CLIENTS 8
#define LINE_MAX_BYTES 65536

typedef struct Client {
    int fd; /* -1: none */
    GString *text;
} Client;

struct SimControl {
    char *path;
    GPtrArray *devices;
    int listener, stop_fd;
    GThread *thread;
    Client clients[CLIENTS]; /* the thread's */
};

static void put_u64(json_object *to, const char *key, uint64_t value)
{
    json_object_object_add(to, key, json_object_new_uint64(value));
}

static json_object *moves_of(const SimMig *m)
{
    json_object *list = json_object_new_array();

    for (guint i = 0; i < m->moves->len; i++) {
        const SimMove *move = &g_array_index(m->moves, SimMove, i);
        json_object *o = json_object_new_object();

        put_u64(o, "time-ns", move->at_ns);
        json_object_object_add(
            o, "from", json_object_new_string(sim_mig_state_name(move->from)));
        json_object_object_add(
            o, "to", json_object_new_string(sim_mig_state_name(move->to)));
        if (move->err) {
            json_object_object_add(o, "errno", json_object_new_int(move->err));
        }
        json_object_array_add(list, o);
    }
    return list;
}

/* With the lock of the device held. */
static json_object *query(SimDevice *d)
{
    json_object *o = json_object_new_object();
    json_object *faults = json_object_new_array();
    SimMig *m = d->mig;
    SimSizes sizes;
    uint64_t digest;

    sim_mig_run(m, sim_now_ns());
    sim_state_sizes(m->state, &sizes);
    json_object_object_add(
        o, "state", json_object_new_string(sim_mig_state_name(m->current)));
    put_u64(o, "initial-bytes", sizes.initial);
    put_u64(o, "dirty-bytes", sizes.dirty);
    put_u64(o, "stop-copy-bytes", sizes.total);
    put_u64(o, "stream-offset", sim_state_offset(m->state));
    put_u64(o, "device-calls", d->calls[SIM_FILE_DEVICE]);
    put_u64(o, "data-calls", d->calls[SIM_FILE_DATA]);
    put_u64(o, "precopy-queries", m->queries);
    put_u64(o, "irq-rate", d->options->irq_rate);
    put_u64(o, "dma-pages", d->dma_pages);
    put_u64(o, "dma-rate", d->options->dma_rate);
    put_u64(o, "doorbells", d->doorbells);
    put_u64(o, "interrupts", d->interrupts);
    put_u64(o, "dirty-rate", d->options->dirty_rate);
    put_u64(o, "read-rate", d->options->read_rate);
    put_u64(o, "write-rate", d->options->write_rate);
    put_u64(o, "transition-ms", d->options->transition_ms);
    for (guint i = 0; i < d->options->faults->len; i++) {
        const SimFault *f = g_ptr_array_index(d->options->faults, i);

        json_object_array_add(faults, json_object_new_string(f->text));
    }
    json_object_object_add(o, "faults", faults);
    if (sim_state_digest(m->state, &digest)) {
        g_autofree char *text = g_strdup_printf("%016" PRIx64, digest);

        json_object_object_add(o, "digest", json_object_new_string(text));
    }
    if (m->refusal) {
        json_object_object_add(o, "refusal",
                               json_object_new_string(m->refusal));
    }
    json_object_object_add(o, "moves", moves_of(m));
    return o;
}

/* With the lock held: every member but "command" and "id" is a key to set. */
static bool set(SimDevice *d, json_object *request, Error **errp)
{
    json_object_object_foreach(request, key, value) {
        if (!strcmp(key, "command") || !strcmp(key, "id")) {
            continue;
        }
        /* What has become dirty so far did so at the old rate. */
        sim_mig_run(d->mig, sim_now_ns());
        if (!sim_options_set(d->options, key, json_object_get_string(value),
                             errp)) {
            return false;
        }
    }
    return true;
}

static const char *text_of(json_object *request, const char *key)
{
    json_object *value = NULL;

    return json_object_object_get_ex(request, key, &value) &&
           json_object_is_type(value, json_type_string)
               ? json_object_get_string(value) : NULL;
}

/* The device that a request names; it need not where there is one alone. */
static SimDevice *find_device(SimControl *c, json_object *request,
                              Error **errp)
{
    const char *id = text_of(request, "id");

    if (!id && c->devices->len == 1) {
        return g_ptr_array_index(c->devices, 0);
    }
    for (guint i = 0; id && i < c->devices->len; i++) {
        SimDevice *d = g_ptr_array_index(c->devices, i);

        if (!strcmp(id, d->options->id)) {
            return d;
        }
    }
    error_setg(errp, "'id': expected the id of a device, not '%s'",
               id ? id : "");
    return NULL;
}

static json_object *answer(SimControl *c, json_object *request, Error **errp)
{
    const char *command;
    json_object *result = NULL;
    SimDevice *d;

    if (!json_object_is_type(request, json_type_object)) {
        error_setg(errp, "expected a JSON object");
        return NULL;
    }
    command = text_of(request, "command");
    d = find_device(c, request, errp);
    if (!d) {
        return NULL;
    }
    g_mutex_lock(&d->lock);
    if (!g_strcmp0(command, "query")) {
        result = query(d);
    } else if (!g_strcmp0(command, "set")) {
        result = set(d, request, errp) ? json_object_new_object() : NULL;
    } else if (!g_strcmp0(command, "reinit")) {
        sim_mig_run(d->mig, sim_now_ns());
        sim_mig_reinit(d->mig);
        result = json_object_new_object();
    } else if (!g_strcmp0(command, "irq")) {
        sim_irq_raise(d);
        result = json_object_new_object();
    } else {
        error_setg(errp, "'command': expected query, set, reinit or irq, not "
                   "'%s'", command ? command : "");
    }
    g_mutex_unlock(&d->lock);
    return result;
}

static void answer_line(SimControl *c, int fd, const char *line, size_t len)
{
    json_object *reply = json_object_new_object();
    g_autoptr(JsonObject) request = NULL;
    g_autoptr(Error) err = NULL;
    g_autofree char *text = NULL, *out = NULL;
    json_object *result = NULL;

    if (json_parse(line, len, &request, &err)) {
        result = answer(c, request, &err);
    }
    if (result) {
        json_object_object_add(reply, "return", result);
    } else {
        json_object_object_add(reply, "error",
                               json_object_new_string(err->message));
    }
    text = json_to_text(reply);
    json_object_put(reply);
    out = g_strconcat(text, "\n", NULL);
    /* Who does not read its answers loses them. */
    if (send(fd, out, strlen(out), MSG_NOSIGNAL) < 0) {
        return;
    }
}

static void drop(Client *client)
{
    close(client->fd);
    client->fd = -1;
    g_string_free(client->text, true);
}

static void serve(SimControl *c, Client *client)
{
    char buf[4096];
    ssize_t n = recv(client->fd, buf, sizeof(buf), 0);
    const char *end;

    if (n <= 0) {
        drop(client);
        return;
    }
    g_string_append_len(client->text, buf, n);
    while ((end = memchr(client->text->str, '\n', client->text->len))) {
        size_t len = end - client->text->str;

        answer_line(c, client->fd, client->text->str, len);
        g_string_erase(client->text, 0, len + 1);
    }
    if (client->text->len > LINE_MAX_BYTES) {
        drop(client);
    }
}

static void accept_client(SimControl *c)
{
    int fd = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC);

    for (int i = 0; fd >= 0 && i < CLIENTS; i++) {
        if (c->clients[i].fd < 0) {
            c->clients[i] = (Client){fd, g_string_new(NULL)};
            return;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void *control_thread(void *opaque)
{
    SimControl *c = opaque;
    struct pollfd fds[CLIENTS + 2];

    for (;;) {
        for (int i = 0; i < CLIENTS; i++) {
            fds[i] = (struct pollfd){c->clients[i].fd, POLLIN, 0};
        }
        fds[CLIENTS] = (struct pollfd){c->listener, POLLIN, 0};
        fds[CLIENTS + 1] = (struct pollfd){c->stop_fd, POLLIN, 0};
        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0) {
            continue;
        }
        if (fds[CLIENTS + 1].revents) {
            break;
        }
        for (int i = 0; i < CLIENTS; i++) {
            if (fds[i].revents) {
                serve(c, &c->clients[i]);
            }
        }
        if (fds[CLIENTS].revents) {
            accept_client(c);
        }
    }
    return NULL;
}

SimControl *sim_control_new(const char *path, GPtrArray *devices,
                            Error **errp)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    SimControl *c;

    if (strlen(path) >= sizeof(addr.sun_path)) {
        error_setg(errp, "control socket '%s': a path has at most %zu bytes",
                   path, sizeof(addr.sun_path) - 1);
        return NULL;
    }
    strcpy(addr.sun_path, path);
    c = g_new0(SimControl, 1);
    c->devices = devices;
    for (int i = 0; i < CLIENTS; i++) {
        c->clients[i].fd = -1;
    }
    c->stop_fd = eventfd(0, EFD_CLOEXEC);
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(c->listener, (struct sockaddr *)&addr, sizeof(addr)) ||
        listen(c->listener, CLIENTS)) {
        error_setg_errno(errp, errno, "listening at control socket '%s'",
                         path);
        sim_control_free(c);
        return NULL;
    }
    c->path = g_strdup(path);
    return c;
}

void sim_control_start(SimControl *c)
{
    c->thread = g_thread_new("control", control_thread, c);
}

void sim_control_free(SimControl *c)
{
    static const uint64_t one = 1;

    if (!c) {
        return;
    }
    if (c->thread && write(c->stop_fd, &one, sizeof(one)) == sizeof(one)) {
        g_thread_join(c->thread);
    }
    for (int i = 0; i < CLIENTS; i++) {
        if (c->clients[i].fd >= 0) {
            drop(&c->clients[i]);
        }
    }
    if (c->path) {
        unlink(c->path);
    }
    close(c->listener);
    close(c->stop_fd);
    g_free(c->path);
    g_free(c);
}
