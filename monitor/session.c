/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One QMP client. For threads and the lock see session.h. */
#include <string.h>
#include <unistd.h>

#include "config-host.h"
#include "monitor/framer.h"
#include "monitor/session.h"
#include "monitor/version.h"
#include "system/vm.h"
#include "trace/trace-monitor.h"

/* Descriptors that wait for getfd; more are closed. */
#define MAX_FDS 16

/* A request that waits for the main loop. */
typedef struct Request {
    json_object *value; /* what was sent, or NULL */
    Error *err;         /* what is wrong with it, or NULL */
} Request;

struct MonitorSession {
    /* Set by qmp_session_new(), never changed */
    Vm *vm;
    const QmpCommand *commands;
    bool may_oob;
    bool pretty;
    const SessionOps *ops;
    void *opaque;

    int refs; /* atomic */

    /* The input thread's */
    Framer *framer;
    bool ran_here;      /* a request of the input in hand */

    GMutex lock;
    /* Protected by lock */
    bool open;
    bool negotiated;
    bool oob;
    unsigned epoch;     /* counts the clients: a reply is for one of them */
    bool held_back;     /* room was 0 when last asked */
    bool scheduled;     /* run_request() is on its way */
    GQueue requests;    /* of Request * */
    GArray *fds;        /* of int, oldest first */
    GString *output;
    size_t sent;        /* bytes of output that are gone */
};

static void request_free(Request *request)
{
    json_object_put(request->value);
    g_clear_error(&request->err);
    g_free(request);
}

static void drop_fds(MonitorSession *session)
{
    guint i;

    for (i = 0; i < session->fds->len; i++) {
        close(g_array_index(session->fds, int, i));
    }
    g_array_set_size(session->fds, 0);
}

MonitorSession *qmp_session_ref(MonitorSession *session)
{
    g_atomic_int_inc(&session->refs);
    return session;
}

void qmp_session_unref(MonitorSession *session)
{
    if (!session || !g_atomic_int_dec_and_test(&session->refs)) {
        return;
    }
    qmp_session_closed(session);
    framer_free(session->framer);
    g_array_free(session->fds, TRUE);
    g_string_free(session->output, TRUE);
    g_mutex_clear(&session->lock);
    g_free(session);
}

static void run_request(void *data);

void qmp_session_kill(MonitorSession *session)
{
    bool owed; /* a call has a reference, and will never come */

    qmp_session_closed(session);
    g_mutex_lock(&session->lock);
    owed = session->scheduled && session->ops && session->ops->cancel_soon;
    if (owed) {
        session->ops->cancel_soon(session->opaque, run_request, session);
        session->scheduled = false;
    }
    session->ops = NULL;
    g_mutex_unlock(&session->lock);
    if (owed) {
        qmp_session_unref(session);
    }
}

/* Output */

static size_t waiting(MonitorSession *session)
{
    return session->output->len - session->sent;
}

/* Gives the transport what it takes. Lock held. */
static void flush_locked(MonitorSession *session)
{
    size_t left = waiting(session);

    if (left && session->ops) {
        session->sent += session->ops->write(
            session->opaque, session->output->str + session->sent, left);
    }
    if (session->sent == session->output->len) {
        g_string_truncate(session->output, 0);
        session->sent = 0;
    } else if (session->sent > session->output->len / 2) {
        g_string_erase(session->output, 0, (gssize)session->sent);
        session->sent = 0;
    }
}

static void send_text_locked(MonitorSession *session, const char *text)
{
    g_string_append(session->output, text);
    g_string_append(session->output, "\r\n");
    flush_locked(session);
}

static void send_locked(MonitorSession *session, json_object *message)
{
    g_autofree char *text = session->pretty ? json_to_pretty_text(message)
                                            : json_to_text(message);

    send_text_locked(session, text);
}

static bool has_room(MonitorSession *session)
{
    return session->open &&
           session->requests.length < SESSION_MAX_REQUESTS &&
           waiting(session) < SESSION_OUTPUT_HIGH;
}

/* Lets input go on if it was held back and need not be. Unlocks. */
static void unlock_and_resume(MonitorSession *session)
{
    const SessionOps *ops = session->ops;
    bool resume = session->held_back && has_room(session) && ops;

    if (resume) {
        session->held_back = false;
    }
    g_mutex_unlock(&session->lock);
    if (resume) {
        ops->resume_input(session->opaque);
    }
}

void qmp_session_flush(MonitorSession *session)
{
    g_mutex_lock(&session->lock);
    flush_locked(session);
    unlock_and_resume(session);
}

bool qmp_session_idle(MonitorSession *session)
{
    bool idle;

    g_mutex_lock(&session->lock);
    idle = !session->open || waiting(session) == 0;
    g_mutex_unlock(&session->lock);
    return idle;
}

bool qmp_session_send_event(MonitorSession *session, const char *event)
{
    bool kept = true;

    g_mutex_lock(&session->lock);
    if (session->open && session->negotiated) {
        kept = waiting(session) + strlen(event) <= SESSION_OUTPUT_MAX;
        if (kept) {
            send_text_locked(session, event);
        }
    }
    g_mutex_unlock(&session->lock);
    return kept;
}

json_object *qmp_error_object(Error *err)
{
    json_object *reply = json_object_new_object();
    json_object *error = json_object_new_object();

    json_object_object_add(error, "class",
                           json_object_new_string(error_class_name(err)));
    json_object_object_add(error, "desc",
                           json_object_new_string(err->message));
    json_object_object_add(reply, "error", error);
    g_error_free(err);
    return reply;
}

/*
 * The reply to @request of client @epoch: @ret (taken) or, if set, @err
 * (taken).
 */
static void reply(MonitorSession *session, unsigned epoch,
                  json_object *request, json_object *ret, Error *err)
{
    json_object *message, *id;

    if (err) {
        message = qmp_error_object(err);
    } else {
        message = json_object_new_object();
        json_object_object_add(message, "return",
                               ret ? ret : json_object_new_object());
    }
    if (json_object_is_type(request, json_type_object) &&
        json_object_object_get_ex(request, "id", &id)) {
        json_object_object_add(message, "id", json_object_get(id));
    }
    g_mutex_lock(&session->lock);
    if (session->open && session->epoch == epoch) {
        send_locked(session, message);
    }
    unlock_and_resume(session);
    json_object_put(message);
}

/* Requests */

/* Finds the parts of @request; @args is borrowed or NULL. */
static bool check_request(json_object *request, bool may_oob,
                          const char **name, json_object **args, bool *oob,
                          Error **errp)
{
    json_object *execute = NULL;

    *args = NULL;
    *oob = false;
    if (!json_object_is_type(request, json_type_object)) {
        error_setg(errp, "QMP input must be a JSON object");
        return false;
    }
    json_object_object_foreach(request, key, value) {
        if (g_str_equal(key, "execute") ||
            (g_str_equal(key, "exec-oob") && may_oob)) {
            if (execute) {
                error_setg(errp, "QMP input has both members 'execute' and "
                                 "'exec-oob'");
                return false;
            }
            if (!json_object_is_type(value, json_type_string)) {
                error_setg(errp, "QMP input member '%s' must be a string",
                           key);
                return false;
            }
            execute = value;
            *oob = g_str_equal(key, "exec-oob");
        } else if (g_str_equal(key, "arguments")) {
            if (!json_object_is_type(value, json_type_object)) {
                error_setg(errp, "QMP input member 'arguments' must be an "
                                 "object");
                return false;
            }
            *args = value;
        } else if (!g_str_equal(key, "id")) {
            error_setg(errp, "QMP input member '%s' is unexpected", key);
            return false;
        }
    }
    if (!execute) {
        error_setg(errp, "QMP input lacks member 'execute'");
        return false;
    }
    *name = json_object_get_string(execute);
    return true;
}

static const QmpCommand *find_command(MonitorSession *session,
                                      const char *name)
{
    const QmpCommand *command;

    for (command = session->commands; command->name; command++) {
        if (g_str_equal(command->name, name)) {
            return command;
        }
    }
    return NULL;
}

/* The command that may be run now, or NULL. */
static const QmpCommand *allowed_command(MonitorSession *session,
                                         bool negotiated, const char *name,
                                         bool oob, Error **errp)
{
    const QmpCommand *command = find_command(session, name);
    bool negotiates = g_str_equal(name, "qmp_capabilities");

    if (!negotiated && !negotiates) {
        error_set_class(errp, ERROR_CLASS_COMMAND_NOT_FOUND,
                        "Expecting capabilities negotiation with "
                        "'qmp_capabilities'");
        return NULL;
    }
    if (negotiated && negotiates) {
        error_set_class(errp, ERROR_CLASS_COMMAND_NOT_FOUND,
                        "Capabilities negotiation is already complete, "
                        "command ignored");
        return NULL;
    }
    if (!command) {
        error_set_class(errp, ERROR_CLASS_COMMAND_NOT_FOUND,
                        "The command %s has not been found", name);
        return NULL;
    }
    if (oob && !(command->flags & QMP_ALLOW_OOB)) {
        error_setg(errp, "The command %s does not support OOB", name);
        return NULL;
    }
    return command;
}

/* Carries @request out. @unlock: the big lock goes back before the reply. */
static void run(MonitorSession *session, json_object *request, bool unlock)
{
    const QmpCommand *command;
    json_object *args, *ret = NULL;
    const char *name;
    Error *err = NULL;
    bool negotiated, may_oob, oob;
    unsigned epoch;

    g_mutex_lock(&session->lock);
    negotiated = session->negotiated;
    may_oob = session->oob;
    epoch = session->epoch;
    g_mutex_unlock(&session->lock);
    if (check_request(request, may_oob, &name, &args, &oob, &err) &&
        (command = allowed_command(session, negotiated, name, oob, &err))) {
        args = args ? json_object_get(args) : json_object_new_object();
        command->run(session->vm, session, args, &ret, &err);
        json_object_put(args);
    }
    if (unlock) {
        vm_unlock(session->vm);
    }
    reply(session, epoch, request, ret, err);
}

static void run_request(void *data)
{
    MonitorSession *session = data;
    Request *request;
    unsigned epoch;
    bool more;

    g_mutex_lock(&session->lock);
    request = g_queue_pop_head(&session->requests);
    epoch = session->epoch;
    g_mutex_unlock(&session->lock);
    if (request) {
        if (request->err) {
            reply(session, epoch, NULL, NULL,
                  g_steal_pointer(&request->err));
        } else {
            run(session, request->value, false);
        }
        request_free(request);
    }

    /* One a turn of the main loop: others have their turn in between. */
    g_mutex_lock(&session->lock);
    more = session->requests.length && session->ops;
    session->scheduled = more;
    if (more) {
        session->ops->call_soon(session->opaque, run_request, session);
    }
    unlock_and_resume(session);
    if (!more) {
        qmp_session_unref(session);
    }
}

/* Is @request to be executed out of band? */
static bool wants_oob(MonitorSession *session, json_object *request)
{
    json_object *value;
    bool oob;

    g_mutex_lock(&session->lock);
    oob = session->oob;
    g_mutex_unlock(&session->lock);
    return oob && json_object_is_type(request, json_type_object) &&
           json_object_object_get_ex(request, "exec-oob", &value);
}

/* Is @request for a command that does not mind which thread runs it? */
static bool suits_any_thread(MonitorSession *session, json_object *request)
{
    const QmpCommand *command = NULL;
    json_object *value;

    if (json_object_is_type(request, json_type_object) &&
        json_object_object_get_ex(request, "execute", &value) &&
        json_object_is_type(value, json_type_string)) {
        command = find_command(session, json_object_get_string(value));
    }
    return command && command->flags & QMP_ANY_THREAD;
}

/*
 * Takes the big lock to run @request at once, on the thread that has read it,
 * which spares the main loop and the client a turn of it. Not if requests wait
 * that came before, if somebody has the lock (what is out of band must not wait
 * behind), or twice for the same input: the main loop has its turn in between.
 */
static bool may_run_here(MonitorSession *session, json_object *request)
{
    bool waits;

    if (!session->may_oob || session->ran_here ||
        !suits_any_thread(session, request) || vm_locked(session->vm)) {
        return false;
    }
    g_mutex_lock(&session->lock);
    waits = session->scheduled || !session->open || !session->ops;
    g_mutex_unlock(&session->lock);
    session->ran_here = !waits && vm_trylock(session->vm);
    trace_monitor_any_thread(waits, session->ran_here);
    return session->ran_here;
}

static void take_message(json_object *value, Error *err, void *opaque)
{
    MonitorSession *session = opaque;
    Request *request;

    if (!err && wants_oob(session, value)) {
        run(session, value, false);
        json_object_put(value);
        return;
    }
    if (!err && may_run_here(session, value)) {
        run(session, value, true);
        json_object_put(value);
        return;
    }
    request = g_new0(Request, 1);
    request->value = value;
    request->err = err;
    g_mutex_lock(&session->lock);
    if (session->open && session->ops) {
        g_queue_push_tail(&session->requests, request);
        request = NULL;
        if (!session->scheduled) {
            session->scheduled = true;
            session->ops->call_soon(session->opaque, run_request,
                                    qmp_session_ref(session));
        }
    }
    g_mutex_unlock(&session->lock);
    if (request) {
        request_free(request);
    }
}

size_t qmp_session_room(MonitorSession *session)
{
    bool room;

    g_mutex_lock(&session->lock);
    room = has_room(session);
    session->held_back = !room;
    g_mutex_unlock(&session->lock);
    return room ? 4096 : 0;
}

void qmp_session_input(MonitorSession *session, const void *buf, size_t len)
{
    session->ran_here = false;
    framer_feed(session->framer, buf, len);
}

void qmp_session_add_fd(MonitorSession *session, int fd)
{
    g_mutex_lock(&session->lock);
    if (!session->open || session->fds->len >= MAX_FDS) {
        close(fd);
    } else {
        g_array_append_val(session->fds, fd);
    }
    g_mutex_unlock(&session->lock);
}

int qmp_session_take_fd(MonitorSession *session)
{
    int fd = -1;

    g_mutex_lock(&session->lock);
    if (session->fds->len) {
        fd = g_array_index(session->fds, int, 0);
        g_array_remove_index(session->fds, 0);
    }
    g_mutex_unlock(&session->lock);
    return fd;
}

const QmpCommand *qmp_session_commands(MonitorSession *session)
{
    return session->commands;
}

/* Coming and going */

static json_object *greeting(MonitorSession *session)
{
    json_object *message = json_object_new_object();
    json_object *qmp = json_object_new_object();
    json_object *capabilities = json_object_new_array();

    if (session->may_oob) {
        json_object_array_add(capabilities, json_object_new_string("oob"));
    }
    json_object_object_add(qmp, "version", qmp_version_object());
    json_object_object_add(qmp, "capabilities", capabilities);
    json_object_object_add(message, "QMP", qmp);
    return message;
}

void qmp_session_opened(MonitorSession *session)
{
    json_object *message = greeting(session);

    qmp_session_closed(session);
    g_mutex_lock(&session->lock);
    session->open = true;
    session->epoch++;
    send_locked(session, message);
    unlock_and_resume(session);
    json_object_put(message);
}

void qmp_session_closed(MonitorSession *session)
{
    Request *request;

    framer_reset(session->framer);
    g_mutex_lock(&session->lock);
    session->open = false;
    session->negotiated = false;
    session->oob = false;
    while ((request = g_queue_pop_head(&session->requests))) {
        request_free(request);
    }
    drop_fds(session);
    g_string_truncate(session->output, 0);
    session->sent = 0;
    g_mutex_unlock(&session->lock);
}

bool qmp_session_negotiate(MonitorSession *session, bool oob, Error **errp)
{
    if (oob && !session->may_oob) {
        error_setg(errp, "Capability oob is not available: this monitor's "
                         "input has no thread of its own");
        return false;
    }
    g_mutex_lock(&session->lock);
    session->negotiated = true;
    session->oob = oob;
    g_mutex_unlock(&session->lock);
    return true;
}

MonitorSession *qmp_session_new(Vm *vm, const QmpCommand *commands,
                                bool oob, bool pretty, const SessionOps *ops,
                                void *opaque)
{
    MonitorSession *session = g_new0(MonitorSession, 1);

    session->vm = vm;
    session->commands = commands;
    session->may_oob = oob;
    session->pretty = pretty;
    session->ops = ops;
    session->opaque = opaque;
    session->refs = 1;
    session->framer = framer_new(take_message, session);
    g_mutex_init(&session->lock);
    g_queue_init(&session->requests);
    session->fds = g_array_new(FALSE, FALSE, sizeof(int));
    session->output = g_string_new(NULL);
    return session;
}
