/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A QMP session without a transport, for tests. See qmp-world.h. */
#include <string.h>

#include "qmp-world.h"

typedef struct Call {
    void (*fn)(void *data);
    void *data;
} Call;

static size_t world_write(void *opaque, const void *buf, size_t len)
{
    World *world = opaque;
    size_t take = MIN(len, world->window);

    g_string_append_len(world->got, buf, (gssize)take);
    world->window -= take;
    return take;
}

static void world_resume(void *opaque)
{
    ((World *)opaque)->resumed++;
}

static void world_call_soon(void *opaque, void (*fn)(void *data), void *data)
{
    Call *call = g_new0(Call, 1);

    call->fn = fn;
    call->data = data;
    g_queue_push_tail(&((World *)opaque)->calls, call);
}

static void world_cancel_soon(void *opaque, void (*fn)(void *data), void *data)
{
    GQueue *calls = &((World *)opaque)->calls;

    for (GList *link = calls->head; link; link = link->next) {
        Call *call = link->data;

        if (call->fn == fn && call->data == data) {
            g_queue_delete_link(calls, link);
            g_free(call);
            return;
        }
    }
    g_assert_not_reached();
}

static const SessionOps world_ops = {
    .write = world_write,
    .resume_input = world_resume,
    .call_soon = world_call_soon,
    .cancel_soon = world_cancel_soon,
};

void main_loop(World *world)
{
    Call *call;

    while ((call = g_queue_pop_head(&world->calls))) {
        call->fn(call->data);
        g_free(call);
    }
}

void feed(World *world, const char *text)
{
    qmp_session_input(world->session, text, strlen(text));
}

char *take(World *world)
{
    char *text = g_strdup(world->got->str);

    g_string_truncate(world->got, 0);
    return text;
}

void expect(World *world, const char *text, const char *expected)
{
    g_autofree char *lines = g_strconcat(expected, *expected ? "\r\n" : "",
                                         NULL);
    g_autofree char *got = NULL;

    feed(world, text);
    main_loop(world);
    got = take(world);
    g_assert_cmpstr(got, ==, lines);
}

void expect_error(World *world, const char *text, const char *class,
                         const char *part)
{
    g_autofree char *start = g_strdup_printf(
        "{\"error\":{\"class\":\"%s\",\"desc\":\"", class);
    g_autofree char *got = NULL;

    feed(world, text);
    main_loop(world);
    got = take(world);
    if (!g_str_has_prefix(got, start) || !g_str_has_suffix(got, "}\r\n") ||
        !strstr(got, part)) {
        g_error("expected %s...%s, got %s", start, part, got);
    }
    /* One reply, not two. */
    g_assert_true(strchr(got, '\n') == got + strlen(got) - 1);
}

void world_open(World *world, Vm *vm, const QmpCommand *commands, bool oob)
{
    memset(world, 0, sizeof(*world));
    world->got = g_string_new(NULL);
    world->window = SIZE_MAX;
    g_queue_init(&world->calls);
    world->session = qmp_session_new(vm, commands, oob, false, &world_ops,
                                     world);
    qmp_session_opened(world->session);
}

void world_negotiate(World *world, bool oob)
{
    g_free(take(world));
    expect(world, oob ? "{\"execute\":\"qmp_capabilities\",\"arguments\":"
                        "{\"enable\":[\"oob\"]}}"
                      : "{\"execute\":\"qmp_capabilities\"}",
           "{\"return\":{}}");
}

bool world_capabilities(Vm *vm, MonitorSession *session, json_object *args,
                        json_object **ret, Error **errp)
{
    json_object *enable;

    (void)vm;
    (void)ret;
    return qmp_session_negotiate(
        session, json_object_object_get_ex(args, "enable", &enable), errp);
}

bool world_echo(Vm *vm, MonitorSession *session, json_object *args,
                json_object **ret, Error **errp)
{
    (void)vm;
    (void)session;
    (void)errp;
    *ret = json_object_get(args);
    return true;
}

void world_close(World *world)
{
    qmp_session_kill(world->session);
    main_loop(world);
    qmp_session_unref(world->session);
    g_string_free(world->got, TRUE);
}
