/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QMP session with a client and a main loop that are the test's own hands.
 * One thread, but for what a test starts itself.
 */
#ifndef GODWIT_TESTS_UNIT_QMP_WORLD_H
#define GODWIT_TESTS_UNIT_QMP_WORLD_H

#include "monitor/session.h"

/* The outside, as the session sees it. */
typedef struct World {
    MonitorSession *session;
    GString *got;       /* what the client has been sent */
    size_t window;      /* bytes that the client still reads */
    GQueue calls;       /* of Call *: what waits for the main loop */
    unsigned resumed;
} World;

/*
 * A client of a session of @vm (or NULL, if no command needs it) has just come.
 * @oob: as of qmp_session_new().
 */
void world_open(World *world, Vm *vm, const QmpCommand *commands, bool oob);
/* ... and speaks: needs a command qmp_capabilities. */
void world_negotiate(World *world, bool oob);
void world_close(World *world);

/* For the table of commands: qmp_capabilities, */
bool world_capabilities(Vm *vm, MonitorSession *session, json_object *args,
                        json_object **ret, Error **errp);
/* ... and one that returns its arguments. */
bool world_echo(Vm *vm, MonitorSession *session, json_object *args,
                json_object **ret, Error **errp);

/* Carries out what waits for the main loop. */
void main_loop(World *world);
/* The client sends @text. */
void feed(World *world, const char *text);
/* What the client has been sent, and forgets it. The caller frees it. */
char *take(World *world);
/* Sends @text, lets the main loop run, and expects exactly @expected. */
void expect(World *world, const char *text, const char *expected);
/* As expect(), for an error of @class whose text has @part in it. */
void expect_error(World *world, const char *text, const char *class,
                  const char *part);

#endif
