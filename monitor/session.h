/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One QMP client: what it has sent, what it is to be sent, and the order of
 * the two. Knows nothing of how bytes travel.
 *
 * Threads: the input thread (the monitor's I/O thread, or the main loop) calls
 * opened, closed, room, input; commands run on the main loop through
 * ops->call_soon(), those executed out of band on the input thread, and so do
 * those with QMP_ANY_THREAD while the big lock is free; events come from
 * anywhere. "lock" protects what they share and is taken last but for the
 * transport's own.
 */
#ifndef GODWIT_MONITOR_SESSION_H
#define GODWIT_MONITOR_SESSION_H

#include "qapi/command.h"

typedef struct MonitorSession MonitorSession;

/* How a session reaches the outside. */
typedef struct SessionOps {
    /* Takes up to @len bytes without blocking; returns how many. */
    size_t (*write)(void *opaque, const void *buf, size_t len);
    /* qmp_session_room() may be more than 0 again. */
    void (*resume_input)(void *opaque);
    /* Has @fn(@data) called once from the main loop under the big lock. */
    void (*call_soon)(void *opaque, void (*fn)(void *data), void *data);
    /*
     * Takes back a call that has not begun. NULL: the main loop makes those
     * calls even after the session was killed.
     */
    void (*cancel_soon)(void *opaque, void (*fn)(void *data), void *data);
} SessionOps;

/* Requests that wait for the main loop before input is held back. */
#define SESSION_MAX_REQUESTS 8
/* Bytes that wait for the client before input is held back ... */
#define SESSION_OUTPUT_HIGH (64u << 10)
/* ... and before events are dropped. */
#define SESSION_OUTPUT_MAX (8u << 20)

/*
 * @commands ends in a NULL name. @oob: whether input has its own thread.
 * @pretty: whether replies are spread over lines.
 */
MonitorSession *qmp_session_new(Vm *vm, const QmpCommand *commands,
                                bool oob, bool pretty, const SessionOps *ops,
                                void *opaque);
MonitorSession *qmp_session_ref(MonitorSession *session);
void qmp_session_unref(MonitorSession *session);

/* No callback of ops is used after this. Main loop, input thread ended. */
void qmp_session_kill(MonitorSession *session);

/* A client is there: greets it. It has gone: forgets its requests. */
void qmp_session_opened(MonitorSession *session);
void qmp_session_closed(MonitorSession *session);

/* How many bytes qmp_session_input() should be given now. */
size_t qmp_session_room(MonitorSession *session);
void qmp_session_input(MonitorSession *session, const void *buf, size_t len);

/* Descriptor @fd (taken) has come along with the bytes that follow. */
void qmp_session_add_fd(MonitorSession *session, int fd);

/* The transport takes bytes again. Any thread. */
void qmp_session_flush(MonitorSession *session);

/*
 * Sends the message @event, already text, if the client has negotiated. Any
 * thread. Returns false if it was dropped because the client does not read.
 */
bool qmp_session_send_event(MonitorSession *session, const char *event);

/* Whether the client has been given all output. Any thread. */
bool qmp_session_idle(MonitorSession *session);

/* What a command handler may ask of the session it came from. */

/* The oldest descriptor that the client has sent, now the caller's; or -1. */
int qmp_session_take_fd(MonitorSession *session);

/* The commands of this session, ended by a NULL name. */
const QmpCommand *qmp_session_commands(MonitorSession *session);

/* Ends negotiation. Error: a capability is not on offer. */
bool qmp_session_negotiate(MonitorSession *session, bool oob, Error **errp);

/* {"error": ...} for @err, which is freed. */
json_object *qmp_error_object(Error *err);

#endif
