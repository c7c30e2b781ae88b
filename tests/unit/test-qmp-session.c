/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One QMP client against a session: negotiation, ids, errors, order, input
 * that is malformed, deep or long, a client that does not read, out of band
 * execution. The commands are the test's own.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "qmp-world.h"
#include "util/json.h"

/* The commands */

static bool run_fail(Vm *vm, MonitorSession *session, json_object *args,
                     json_object **ret, Error **errp)
{
    (void)vm;
    (void)session;
    (void)args;
    (void)ret;
    error_set_class(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "no \"such\" thing");
    return false;
}

static bool run_event(Vm *vm, MonitorSession *session, json_object *args,
                      json_object **ret, Error **errp)
{
    (void)vm;
    (void)args;
    (void)ret;
    (void)errp;
    qmp_session_send_event(session, "{\"event\":\"X\"}");
    return true;
}

static bool run_big(Vm *vm, MonitorSession *session, json_object *args,
                    json_object **ret, Error **errp)
{
    g_autofree char *text = g_strnfill(100000, 'x');

    (void)vm;
    (void)session;
    (void)args;
    (void)errp;
    *ret = json_object_new_object();
    json_object_object_add(*ret, "x", json_object_new_string(text));
    return true;
}

static bool run_takefd(Vm *vm, MonitorSession *session, json_object *args,
                       json_object **ret, Error **errp)
{
    int fd = qmp_session_take_fd(session);

    (void)vm;
    (void)args;
    if (fd < 0) {
        error_setg(errp, "no descriptor");
        return false;
    }
    *ret = json_object_new_object();
    json_object_object_add(*ret, "fd", json_object_new_int(fd));
    close(fd);
    return true;
}

static const QmpCommand commands[] = {
    { "qmp_capabilities", world_capabilities, 0 },
    { "echo", world_echo, 0 },
    { "echo-oob", world_echo, QMP_ALLOW_OOB },
    { "fail", run_fail, 0 },
    { "event", run_event, 0 },
    { "big", run_big, 0 },
    { "takefd", run_takefd, 0 },
    { NULL },
};

static void expect_alive(World *world)
{
    expect(world, "{\"execute\":\"echo\",\"id\":7}\n",
           "{\"return\":{},\"id\":7}");
}

static void open_world(World *world)
{
    world_open(world, NULL, commands, true);
}


/* The tests */

/* A request whose turn never comes holds nothing back. */
static void test_end_with_request(void)
{
    World world;

    open_world(&world);
    world_negotiate(&world, false);
    feed(&world, "{\"execute\":\"qmp_capabilities\"}");
    g_assert_cmpuint(world.calls.length, ==, 1);
    qmp_session_ref(world.session);
    qmp_session_kill(world.session);
    g_assert_cmpuint(world.calls.length, ==, 0);
    qmp_session_unref(world.session);
    world_close(&world);
}

static void test_greeting(void)
{
    g_autofree char *got = NULL;
    json_object *greeting, *qmp, *part;
    World world;

    open_world(&world);
    got = take(&world);
    g_assert_true(g_str_has_suffix(got, "}\r\n"));
    g_assert_true(json_parse(got, strlen(got), &greeting, NULL));
    g_assert_true(json_object_object_get_ex(greeting, "QMP", &qmp));
    g_assert_true(json_object_object_get_ex(qmp, "version", &part));
    g_assert_true(json_object_object_get_ex(qmp, "capabilities", &part));
    g_assert_cmpstr(json_object_to_json_string_ext(part, 0), ==, "[\"oob\"]");
    json_object_put(greeting);

    expect_error(&world, "{\"execute\":\"echo\"}", "CommandNotFound",
                 "Expecting capabilities negotiation");
    /* Before negotiation there are no events. */
    g_assert_true(qmp_session_send_event(world.session, "{}"));
    g_assert_cmpuint(world.got->len, ==, 0);
    world_negotiate(&world, false);
    expect_error(&world, "{\"execute\":\"qmp_capabilities\"}",
                 "CommandNotFound", "already complete");

    /* A client that comes back begins anew. */
    qmp_session_closed(world.session);
    qmp_session_opened(world.session);
    g_free(take(&world));
    expect_error(&world, "{\"execute\":\"echo\"}", "CommandNotFound",
                 "Expecting capabilities negotiation");
    world_close(&world);
}

static void test_requests(void)
{
    World world;

    open_world(&world);
    world_negotiate(&world, false);
    expect(&world, "{\"execute\":\"echo\",\"arguments\":{\"a\":[1,null]}}",
           "{\"return\":{\"a\":[1,null]}}");
    expect(&world, "{\"execute\":\"echo\",\"id\":{\"x\":[\"y\"]}}",
           "{\"return\":{},\"id\":{\"x\":[\"y\"]}}");
    expect(&world, "{\"execute\":\"echo\",\"id\":null}",
           "{\"return\":{},\"id\":null}");
    expect(&world, "{\"execute\":\"fail\",\"id\":\"i\"}",
           "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":"
           "\"no \\\"such\\\" thing\"},\"id\":\"i\"}");
    expect(&world, "{\"execute\":\"event\"}",
           "{\"event\":\"X\"}\r\n{\"return\":{}}");
    /* In pieces, and two at once. */
    expect(&world, "  \r\n {\"exec", "");
    expect(&world, "ute\":\"ec", "");
    expect(&world, "ho\"}{\"execute\":\"echo\",\"id\":1}",
           "{\"return\":{}}\r\n{\"return\":{},\"id\":1}");
    world_close(&world);
}

static void test_bad_requests(void)
{
    World world;

    open_world(&world);
    world_negotiate(&world, false);
    expect_error(&world, "{\"execute\":\"nope\",\"id\":1}",
                 "CommandNotFound", "The command nope has not been found");
    expect_error(&world, "[]", "GenericError",
                 "QMP input must be a JSON object");
    expect_error(&world, "12\n", "GenericError",
                 "QMP input must be a JSON object");
    expect_error(&world, "\"a b\"\n", "GenericError",
                 "QMP input must be a JSON object");
    expect_error(&world, "{}", "GenericError",
                 "QMP input lacks member 'execute'");
    expect_error(&world, "{\"execute\":1}", "GenericError",
                 "QMP input member 'execute' must be a string");
    expect_error(&world, "{\"execute\":\"echo\",\"arguments\":[]}",
                 "GenericError",
                 "QMP input member 'arguments' must be an object");
    expect_error(&world, "{\"execute\":\"echo\",\"x\":1}", "GenericError",
                 "QMP input member 'x' is unexpected");
    expect_error(&world, "{\"exec-oob\":\"echo-oob\"}", "GenericError",
                 "QMP input member 'exec-oob' is unexpected");
    expect_alive(&world);
    world_close(&world);
}

static void test_malformed(void)
{
    static const char *const inputs[] = {
        "{\"execute\": oops}\n",
        "{\"execute\" \"echo\"}\n",
        "{]\n",
        "[}\n",
        "garbage\n",
        "\"unterminated\n",
        "{\"execute\":\"echo\n",            /* a line's end in a string */
        "{\"execute\":\"ech\377",           /* resynchronisation */
        "{\"execute\":\"\xc3\x28\"}\n",     /* not UTF-8 */
        "{\"execute\":\"echo\",\"id\":99999999999999999999}\n",
        "{\"execute\":\"echo\",\"id\":1e999}\n",
        "{\"execute\":\"echo\",\"id\":NaN}\n",
        "{\"execute\":\"echo\" /* c */}\n",
        "{'execute':'echo'}\n",
        "}\n",
    };
    World world;
    guint i;

    open_world(&world);
    world_negotiate(&world, false);
    for (i = 0; i < G_N_ELEMENTS(inputs); i++) {
        g_test_message("%s", inputs[i]);
        expect_error(&world, inputs[i], "GenericError", "JSON");
        expect_alive(&world);
    }
    /* The resynchronisation byte alone says nothing. */
    expect(&world, "\377\377", "");
    expect_alive(&world);
    world_close(&world);
}

static char *nested(unsigned depth, bool closed)
{
    g_autofree char *open = g_strnfill(depth, '[');
    g_autofree char *close = g_strnfill(depth, ']');

    return g_strconcat(open, closed ? close : "", "\n", NULL);
}

static void test_deep(void)
{
    g_autofree char *fits = nested(JSON_MAX_NESTING, true);
    g_autofree char *deep = nested(JSON_MAX_NESTING + 1, true);
    g_autofree char *far = nested(200000, true);
    g_autofree char *open = nested(200000, false);
    World world;

    open_world(&world);
    world_negotiate(&world, false);
    expect_error(&world, fits, "GenericError", "must be a JSON object");
    expect_error(&world, deep, "GenericError", "nested deeper");
    expect_alive(&world);
    expect_error(&world, far, "GenericError", "nested deeper");
    expect_alive(&world);
    expect_error(&world, open, "GenericError", "nested deeper");
    expect_alive(&world);
    world_close(&world);
}

static void test_long(void)
{
    g_autofree char *chunk = g_strnfill(1 << 20, 'x');
    g_autofree char *commas = g_strnfill(3 << 20, ',');
    World world;
    int i;

    open_world(&world);
    world_negotiate(&world, false);
    feed(&world, "{\"execute\":\"");
    for (i = 0; i < 70; i++) {
        feed(&world, chunk);
    }
    expect_error(&world, "\"}\n", "GenericError", "longer than 64 MiB");
    expect_alive(&world);
    for (i = 0; i < 70; i++) {
        feed(&world, chunk);
    }
    expect_error(&world, "\n", "GenericError", "longer than 64 MiB");
    expect_alive(&world);
    feed(&world, "[");
    feed(&world, commas);
    expect_error(&world, "]\n", "GenericError", "more than");
    expect_alive(&world);
    world_close(&world);
}

static void test_slow_reader(void)
{
    World world;
    unsigned kept = 0;
    g_autofree char *event = g_strnfill(1 << 20, 'e');

    open_world(&world);
    world_negotiate(&world, false);
    g_assert_cmpuint(qmp_session_room(world.session), >, 0);

    /* Replies that are not read hold input back, and nothing is lost. */
    world.window = 10;
    feed(&world, "{\"execute\":\"big\"}");
    main_loop(&world);
    g_assert_cmpuint(world.got->len, ==, 10);
    g_assert_cmpuint(qmp_session_room(world.session), ==, 0);
    world.window = SIZE_MAX;
    qmp_session_flush(world.session);
    g_assert_cmpuint(world.resumed, ==, 1);
    g_assert_cmpuint(qmp_session_room(world.session), >, 0);
    g_assert_cmpuint(world.got->len, >, 100000);
    g_assert_true(g_str_has_suffix(world.got->str, "}\r\n"));
    g_free(take(&world));

    /* Events are kept up to a bound, then dropped, whole ones. */
    world.window = 0;
    while (kept < 1000 && qmp_session_send_event(world.session, event)) {
        kept++;
    }
    g_assert_cmpuint(kept, >=, 4);
    g_assert_cmpuint(kept, <=, SESSION_OUTPUT_MAX >> 20);
    world.window = SIZE_MAX;
    qmp_session_flush(world.session);
    g_assert_cmpuint(world.got->len, ==, kept * ((1 << 20) + 2));
    g_assert_true(qmp_session_send_event(world.session, event));
    g_free(take(&world));
    expect_alive(&world);
    world_close(&world);
}

static void test_many_requests(void)
{
    World world;
    int i, lines = 0;
    const char *p;

    open_world(&world);
    world_negotiate(&world, false);
    for (i = 0; i < SESSION_MAX_REQUESTS; i++) {
        g_assert_cmpuint(qmp_session_room(world.session), >, 0);
        feed(&world, "{\"execute\":\"echo\"}");
    }
    g_assert_cmpuint(qmp_session_room(world.session), ==, 0);
    main_loop(&world);
    g_assert_cmpuint(world.resumed, ==, 1);
    for (p = world.got->str; (p = strchr(p, '\n')); p++) {
        lines++;
    }
    g_assert_cmpint(lines, ==, SESSION_MAX_REQUESTS);
    g_free(take(&world));

    /* A client that goes takes its requests along. */
    feed(&world, "{\"execute\":\"event\"}");
    qmp_session_closed(world.session);
    qmp_session_opened(world.session);
    g_free(take(&world));
    main_loop(&world);
    g_assert_cmpuint(world.got->len, ==, 0);
    world_close(&world);
}

static void test_oob(void)
{
    World world;
    g_autofree char *got = NULL;

    open_world(&world);
    world_negotiate(&world, true);
    /* Overtakes what waits for the main loop. */
    feed(&world, "{\"execute\":\"echo\",\"id\":1}");
    feed(&world, "{\"exec-oob\":\"echo-oob\",\"id\":2}");
    got = take(&world);
    g_assert_cmpstr(got, ==, "{\"return\":{},\"id\":2}\r\n");
    expect(&world, "", "{\"return\":{},\"id\":1}");
    expect(&world, "{\"execute\":\"echo-oob\"}", "{\"return\":{}}");
    expect_error(&world, "{\"exec-oob\":\"echo\"}", "GenericError",
                 "The command echo does not support OOB");
    expect_error(&world, "{\"exec-oob\":\"echo-oob\",\"execute\":\"echo\"}",
                 "GenericError", "both");
    world_close(&world);
}

static void test_no_oob(void)
{
    World world;
    g_autofree char *got = NULL;

    world_open(&world, NULL, commands, false);
    got = take(&world);
    g_assert_nonnull(strstr(got, "\"capabilities\":[]"));
    expect_error(&world, "{\"execute\":\"qmp_capabilities\",\"arguments\":"
                 "{\"enable\":[\"oob\"]}}", "GenericError", "oob");
    world_close(&world);
}

static void test_descriptors(void)
{
    g_autofree char *reply = NULL;
    World world;
    int fds[2];

    open_world(&world);
    world_negotiate(&world, false);
    expect_error(&world, "{\"execute\":\"takefd\"}", "GenericError",
                 "no descriptor");
    g_assert_cmpint(pipe(fds), ==, 0);
    qmp_session_add_fd(world.session, fds[0]);
    reply = g_strdup_printf("{\"return\":{\"fd\":%d}}", fds[0]);
    expect(&world, "{\"execute\":\"takefd\"}", reply);
    /* One that nobody takes is closed when the client goes. */
    qmp_session_add_fd(world.session, fds[1]);
    g_assert_cmpint(fcntl(fds[1], F_GETFD), >=, 0);
    qmp_session_closed(world.session);
    g_assert_cmpint(fcntl(fds[1], F_GETFD), <, 0);
    world_close(&world);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp-session/greeting", test_greeting);
    g_test_add_func("/qmp-session/requests", test_requests);
    g_test_add_func("/qmp-session/bad-requests", test_bad_requests);
    g_test_add_func("/qmp-session/malformed", test_malformed);
    g_test_add_func("/qmp-session/deep", test_deep);
    g_test_add_func("/qmp-session/long", test_long);
    g_test_add_func("/qmp-session/slow-reader", test_slow_reader);
    g_test_add_func("/qmp-session/many-requests", test_many_requests);
    g_test_add_func("/qmp-session/oob", test_oob);
    g_test_add_func("/qmp-session/no-oob", test_no_oob);
    g_test_add_func("/qmp-session/descriptors", test_descriptors);
    g_test_add_func("/qmp-session/end-with-request", test_end_with_request);
    return g_test_run();
}
