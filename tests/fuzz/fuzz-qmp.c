/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a QMP client may send: framing, JSON, requests, and the arguments of
 * commands that have been generated from the schema. The first byte says in
 * pieces of which size the rest arrives, and how much the client reads.
 */
#include <stdint.h>
#include <string.h>

#include "monitor/session.h"
#include "qapi/qapi-visit-migration.h"
#include "qapi/qapi-visit-sockets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Call {
    void (*fn)(void *data);
    void *data;
} Call;

typedef struct World {
    GQueue calls;
    size_t window;
} World;

static size_t world_write(void *opaque, const void *buf, size_t len)
{
    World *world = opaque;
    size_t take = MIN(len, world->window);

    (void)buf;
    world->window -= take;
    return take;
}

static void world_resume(void *opaque)
{
    (void)opaque;
}

static void world_call_soon(void *opaque, void (*fn)(void *data), void *data)
{
    Call *call = g_new0(Call, 1);

    call->fn = fn;
    call->data = data;
    g_queue_push_tail(&((World *)opaque)->calls, call);
}

static const SessionOps ops = {
    .write = world_write,
    .resume_input = world_resume,
    .call_soon = world_call_soon,
};

static bool run_capabilities(Vm *vm, MonitorSession *session,
                             json_object *args, json_object **ret,
                             Error **errp)
{
    json_object *enable;

    (void)vm;
    (void)ret;
    return qmp_session_negotiate(
        session, json_object_object_get_ex(args, "enable", &enable), errp);
}

/* Reads the arguments as types of the schema and writes them back. */
static bool run_parameters(Vm *vm, MonitorSession *session,
                           json_object *args, json_object **ret,
                           Error **errp)
{
    g_autoptr(MigrationParameters) value = NULL;

    (void)vm;
    (void)session;
    value = qapi_MigrationParameters_from_json(args, false, errp);
    if (value) {
        *ret = qapi_MigrationParameters_to_json(value);
    }
    return value != NULL;
}

static bool run_channel(Vm *vm, MonitorSession *session, json_object *args,
                        json_object **ret, Error **errp)
{
    g_autoptr(MigrationChannel) value = NULL;

    (void)vm;
    (void)session;
    value = qapi_MigrationChannel_from_json(args, false, errp);
    if (value) {
        *ret = qapi_MigrationChannel_to_json(value);
    }
    return value != NULL;
}

static bool run_info(Vm *vm, MonitorSession *session, json_object *args,
                     json_object **ret, Error **errp)
{
    g_autoptr(MigrationInfo) value = NULL;

    (void)vm;
    (void)session;
    value = qapi_MigrationInfo_from_json(args, false, errp);
    if (value) {
        *ret = qapi_MigrationInfo_to_json(value);
    }
    return value != NULL;
}

static const QmpCommand commands[] = {
    { "qmp_capabilities", run_capabilities, 0 },
    { "p", run_parameters, 0 },
    { "channel", run_channel, 0 },
    { "info", run_info, QMP_ALLOW_OOB },
    { NULL },
};

static void main_loop(World *world)
{
    Call *call;

    while ((call = g_queue_pop_head(&world->calls))) {
        call->fn(call->data);
        g_free(call);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char hello[] = "{\"execute\":\"qmp_capabilities\","
                                "\"arguments\":{\"enable\":[\"oob\"]}}";
    World world = { .window = SIZE_MAX };
    MonitorSession *session;
    size_t piece, len;

    if (size < 1) {
        return 0;
    }
    piece = (data[0] & 0x3f) + 1;
    data++;
    size--;
    g_queue_init(&world.calls);
    session = qmp_session_new(NULL, commands, true, false, &ops, &world);
    qmp_session_opened(session);
    if (data[-1] & 0x40) {
        qmp_session_input(session, hello, strlen(hello));
        main_loop(&world);
    }
    if (data[-1] & 0x80) {
        world.window = 100;
    }
    for (; size; data += len, size -= len) {
        len = MIN(size, piece);
        qmp_session_input(session, data, len);
        if (qmp_session_room(session) == 0) {
            main_loop(&world);
        }
    }
    main_loop(&world);
    qmp_session_kill(session);
    main_loop(&world);
    qmp_session_unref(session);
    return 0;
}
