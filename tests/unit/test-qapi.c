/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What scripts/qapi makes of a schema with everything in it
 * (tests/unit/data/qapi): values from and to JSON, from option texts, their
 * errors, commands, events and introspection.
 */
#include <string.h>

#include "tests/unit/test-qapi-commands-test.h"
#include "tests/unit/test-qapi-commands.h"
#include "tests/unit/test-qapi-events-test.h"
#include "tests/unit/test-qapi-introspect.h"
#include "tests/unit/test-qapi-visit-test.h"
#include "util/json.h"
#include "util/keyval.h"

static json_object *parse(const char *text)
{
    json_object *value;
    Error *err = NULL;

    json_parse(text, strlen(text), &value, &err);
    g_assert_no_error(err);
    return value;
}

static void expect_text(json_object *value, const char *expected)
{
    g_autofree char *text = json_to_text(value);

    g_assert_cmpstr(text, ==, expected);
    json_object_put(value);
}

/* Reads @text as @type and writes it again: as @expected, or the error. */
#define ROUND(type, text, expected)                                            \
    do {                                                                       \
        g_autoptr(JsonObject) in_ = parse(text);                               \
        Error *err_ = NULL;                                                    \
        g_autoptr(type) obj_ = qapi_##type##_from_json(in_, false, &err_);     \
                                                                               \
        if (obj_) {                                                            \
            g_autoptr(type) copy_ = qapi_clone_##type(obj_);                   \
                                                                               \
            g_assert_no_error(err_);                                           \
            expect_text(qapi_##type##_to_json(obj_), expected);                \
            expect_text(qapi_##type##_to_json(copy_), expected);               \
        } else {                                                               \
            g_assert_nonnull(err_);                                            \
            g_assert_cmpstr(err_->message, ==, expected);                      \
            g_error_free(err_);                                                \
        }                                                                      \
    } while (0)

#define SAME(type, text) ROUND(type, text, text)

/* The same for an option text. */
#define KEYVAL(type, text, expected)                                           \
    do {                                                                       \
        Error *err_ = NULL;                                                    \
        g_autoptr(JsonObject) in_ = keyval_parse(text, NULL, NULL, &err_);     \
        g_autoptr(type) obj_ =                                                 \
            in_ ? qapi_##type##_from_json(in_, true, &err_) : NULL;            \
                                                                               \
        if (obj_) {                                                            \
            expect_text(qapi_##type##_to_json(obj_), expected);                \
        } else {                                                               \
            g_assert_cmpstr(err_->message, ==, expected);                      \
            g_error_free(err_);                                                \
        }                                                                      \
    } while (0)

static void test_names(void)
{
    g_assert_cmpint(COLOUR_RED, ==, 0);
    g_assert_cmpint(COLOUR_2D, ==, 3);
    g_assert_cmpint(COLOUR__MAX, ==, 4);
    g_assert_cmpint(PFX_A_B, ==, 0);
    g_assert_cmpint(PFX_KEPT, ==, 1);
    g_assert_cmpint(PFX__MAX, ==, 2);
    g_assert_cmpstr(Colour_str(COLOUR_DARK_BLUE), ==, "dark-blue");
    g_assert_cmpint(qapi_enum_parse(&Colour_lookup, "unix", -1, NULL), ==,
                    COLOUR_UNIX);
    g_assert_cmpint(qapi_enum_parse(&Colour_lookup, NULL, 2, NULL), ==, 2);
}

static void test_enum_error(void)
{
    Error *err = NULL;

    g_assert_cmpint(qapi_enum_parse(&Colour_lookup, "pink", 7, &err), ==, 7);
    g_assert_cmpstr(err->message, ==, "Invalid value 'pink', expected one of: "
                    "red, dark-blue, unix, 2d");
    g_error_free(err);
}

static void test_scalars(void)
{
    SAME(Scalars, "{}");
    SAME(Scalars, "{\"i\":-9223372036854775808,\"i8\":-128,\"i16\":-32768,"
         "\"i32\":-2147483648,\"i64\":-9223372036854775808,\"u8\":255,"
         "\"u16\":65535,\"u32\":4294967295,\"u64\":18446744073709551615,"
         "\"size\":18446744073709551615,\"number\":-2.5,\"bool\":false,"
         "\"str\":\"\",\"colour\":\"2d\"}");
    SAME(Scalars, "{\"i\":9223372036854775807,\"i8\":127,\"i16\":32767,"
         "\"i32\":2147483647,\"u8\":0,\"u16\":0,\"u32\":0,\"u64\":0,"
         "\"bool\":true,\"str\":\"\xc3\xa4/\\\"\"}");
    /* An integer is a number, but not the other way round. */
    ROUND(Scalars, "{\"number\":3}", "{\"number\":3.0}");
    ROUND(Scalars, "{\"i\":3.0}",
          "Invalid parameter type for 'i', expected: integer");
}

static void test_ranges(void)
{
    ROUND(Scalars, "{\"i\":9223372036854775808}",
          "Parameter 'i' expects a number from -2^63 to 2^63-1, "
          "not '9223372036854775808'");
    ROUND(Scalars, "{\"u64\":-1}",
          "Parameter 'u64' expects a number from 0 to 2^64-1, not '-1'");
    ROUND(Scalars, "{\"size\":-1}",
          "Parameter 'size' expects a number from 0 to 2^64-1, not '-1'");
    ROUND(Scalars, "{\"i8\":128}",
          "Parameter 'i8' expects a number from -128 to 127, not 128");
    ROUND(Scalars, "{\"i8\":-129}",
          "Parameter 'i8' expects a number from -128 to 127, not -129");
    ROUND(Scalars, "{\"i16\":32768}",
          "Parameter 'i16' expects a number from -32768 to 32767, not 32768");
    ROUND(Scalars, "{\"u8\":256}",
          "Parameter 'u8' expects a number from 0 to 255, not 256");
    ROUND(Scalars, "{\"u16\":65536}",
          "Parameter 'u16' expects a number from 0 to 65535, not 65536");
    ROUND(Scalars, "{\"u32\":4294967296}",
          "Parameter 'u32' expects a number from 0 to 4294967295, "
          "not 4294967296");
}

static void test_types(void)
{
    ROUND(Scalars, "[]",
          "Invalid parameter type for 'arguments', expected: object");
    ROUND(Scalars, "{\"i\":\"1\"}",
          "Invalid parameter type for 'i', expected: integer");
    ROUND(Scalars, "{\"bool\":1}",
          "Invalid parameter type for 'bool', expected: boolean");
    ROUND(Scalars, "{\"str\":null}",
          "Invalid parameter type for 'str', expected: string");
    ROUND(Scalars, "{\"number\":\"1\"}",
          "Invalid parameter type for 'number', expected: number");
    ROUND(Scalars, "{\"colour\":3}",
          "Invalid parameter type for 'colour', expected: string");
    ROUND(Scalars, "{\"colour\":\"pink\"}",
          "Parameter 'colour' does not accept value 'pink', expected one of: "
          "red, dark-blue, unix, 2d");
    ROUND(Scalars, "{\"str\":\"a\\u0000b\"}",
          "Parameter 'str' has a zero character in it");
    ROUND(Scalars, "{\"gone\":1}", "Parameter 'gone' is unexpected");
}

static void test_structs(void)
{
    SAME(Derived, "{\"kind\":\"red\",\"name\":\"n\",\"default\":1}");
    SAME(Derived, "{\"kind\":\"red\",\"name\":\"n\",\"default\":1,"
         "\"sub\":{\"n\":2},\"many\":[{\"n\":3},{\"n\":4}],\"texts\":[],"
         "\"anything\":{\"a\":[null,1.5]},\"nothing\":null}");
    ROUND(Derived, "{\"name\":\"n\",\"default\":1}",
          "Parameter 'kind' is missing");
    ROUND(Derived, "{\"kind\":\"red\",\"name\":\"n\",\"default\":1,"
          "\"many\":[{\"n\":1},{\"m\":1}]}",
          "Parameter 'many[1].n' is missing");
    ROUND(Derived, "{\"kind\":\"red\",\"name\":\"n\",\"default\":1,"
          "\"many\":[{\"n\":1},{\"n\":1,\"m\":1}]}",
          "Parameter 'many[1].m' is unexpected");
    ROUND(Derived, "{\"kind\":\"red\",\"name\":\"n\",\"default\":1,"
          "\"texts\":[\"a\",1]}",
          "Invalid parameter type for 'texts[1]', expected: string");
    ROUND(Derived, "{\"kind\":\"red\",\"name\":\"n\",\"default\":1,"
          "\"texts\":{}}",
          "Invalid parameter type for 'texts', expected: array");
    ROUND(Derived, "{\"kind\":\"red\",\"name\":\"n\",\"default\":1,"
          "\"nothing\":0}",
          "Invalid parameter type for 'nothing', expected: null");
}

static void test_lists(void)
{
    SubIntList *list = NULL, **tail = &list;
    Derived obj = { .name = (char *)"n", .q_default = 1 };
    int i;

    for (i = 0; i < 3; i++) {
        SubInt *sub = g_new0(SubInt, 1);

        sub->n = i;
        QAPI_LIST_APPEND(tail, sub);
    }
    QAPI_LIST_PREPEND(list, g_new0(SubInt, 1));
    expect_text(qapi_SubIntList_to_json(list),
                "[{\"n\":0},{\"n\":0},{\"n\":1},{\"n\":2}]");

    /* A list is there if it has elements, or if it is said to be there. */
    obj.many = list;
    expect_text(qapi_Derived_to_json(&obj),
                "{\"kind\":\"red\",\"name\":\"n\",\"default\":1,\"many\":"
                "[{\"n\":0},{\"n\":0},{\"n\":1},{\"n\":2}]}");
    obj.many = NULL;
    obj.has_many = true;
    expect_text(qapi_Derived_to_json(&obj),
                "{\"kind\":\"red\",\"name\":\"n\",\"default\":1,\"many\":[]}");
    qapi_free_SubIntList(list);
    qapi_free_SubIntList(NULL);
}

static void test_unions(void)
{
    SAME(Shape, "{\"kind\":\"red\",\"name\":\"n\",\"radius\":4}");
    SAME(Shape, "{\"kind\":\"dark-blue\",\"name\":\"n\"}");
    SAME(Shape, "{\"kind\":\"unix\",\"name\":\"n\",\"which\":\"a-b\",\"n\":1}");
    SAME(Shape, "{\"kind\":\"unix\",\"name\":\"n\",\"which\":\"kept\"}");
    ROUND(Shape, "{\"kind\":\"2d\",\"name\":\"n\",\"radius\":4}",
          "Parameter 'radius' is unexpected");
    ROUND(Shape, "{\"kind\":\"red\",\"name\":\"n\"}",
          "Parameter 'radius' is missing");
    ROUND(Shape, "{\"name\":\"n\",\"radius\":4}",
          "Parameter 'kind' is missing");
    ROUND(Shape, "{\"kind\":\"unix\",\"name\":\"n\",\"which\":\"gone\"}",
          "Parameter 'which' does not accept value 'gone', expected one of: "
          "a-b, kept");
}

static void test_alternates(void)
{
    SAME(Choices, "{\"one\":\"x\",\"all\":[\"x\",true,-1,{\"n\":1},[1,2],[],"
         "null]}");
    ROUND(Choices, "{\"one\":1.5}",
          "Invalid parameter type for 'one', expected: integer");
    ROUND(Choices, "{\"one\":{\"m\":1}}", "Parameter 'one.n' is missing");
    ROUND(Choices, "{\"one\":{\"n\":1,\"m\":1}}",
          "Parameter 'one.m' is unexpected");
    ROUND(Choices, "{\"other\":\"x\"}",
          "Invalid parameter type for 'other', expected: number or boolean");
    ROUND(Choices, "{\"all\":[1,[1,\"x\"]]}",
          "Invalid parameter type for 'all[1][1]', expected: integer");
}

static void test_keyval(void)
{
    KEYVAL(Scalars, "i=-1,u64=0xffffffffffffffff,size=1.5G,number=2.5,bool=on,"
           "str=a,,b=c,colour=unix",
           "{\"i\":-1,\"u64\":18446744073709551615,\"size\":1610612736,"
           "\"number\":2.5,\"bool\":true,\"str\":\"a,b=c\","
           "\"colour\":\"unix\"}");
    KEYVAL(Scalars, "bool,str=", "{\"bool\":true,\"str\":\"\"}");
    KEYVAL(Scalars, "bool=no", "{\"bool\":false}");
    KEYVAL(Scalars, "bool=maybe",
           "Parameter 'bool' expects 'on' or 'off', not 'maybe'");
    KEYVAL(Scalars, "u64=-1",
           "Parameter 'u64' expects a number from 0 to 2^64-1, not '-1'");
    KEYVAL(Scalars, "i=1x",
           "Parameter 'i' expects a number from -2^63 to 2^63-1, not '1x'");
    KEYVAL(Scalars, "number=nan",
           "Parameter 'number' expects a finite number, not 'nan'");
    KEYVAL(Scalars, "i.x=1",
           "Invalid parameter type for 'i', expected: integer");
    KEYVAL(Derived, "kind=red,name=n,default=1,sub.n=2,many.0.n=3,many.1.n=4,"
           "texts.0=a",
           "{\"kind\":\"red\",\"name\":\"n\",\"default\":1,\"sub\":{\"n\":2},"
           "\"many\":[{\"n\":3},{\"n\":4}],\"texts\":[\"a\"]}");
    KEYVAL(Derived, "kind=red,name=n,default=1,many.1.n=4",
           "A list's element 0 is missing");
    KEYVAL(Shape, "kind=unix,name=n,which=a-b,n=5",
           "{\"kind\":\"unix\",\"name\":\"n\",\"which\":\"a-b\",\"n\":5}");
    KEYVAL(Choices, "one=5,other=5", "{\"one\":\"5\",\"other\":5}");
    KEYVAL(Choices, "other=off", "{\"other\":false}");
    KEYVAL(Choices, "one.n=5", "{\"one\":{\"n\":5}}");
}

/* Commands */

static unsigned nothings;

bool qmp_do_nothing(Vm *vm, Error **errp)
{
    nothings++;
    if (vm) {
        error_set_class(errp, ERROR_CLASS_DEVICE_NOT_ACTIVE, "no");
        return false;
    }
    return true;
}

bool qmp_add_up(Vm *vm, int64_t a, bool has_b, int8_t b, const char *text,
                SubInt *sub, bool has_list, intList *list, int64_t *ret,
                Error **errp)
{
    (void)vm;
    (void)errp;
    *ret = a + (has_b ? b : 0) + (text ? (int64_t)strlen(text) : 0) +
           (sub ? sub->n : 0) + has_list;
    for (; list; list = list->next) {
        *ret += list->value;
    }
    return true;
}

bool qmp_boxed(Vm *vm, Shape *arg, Shape **ret, Error **errp)
{
    (void)vm;
    (void)errp;
    *ret = qapi_clone_Shape(arg);
    return true;
}

bool qmp_unboxed(Vm *vm, struct MonitorSession *session, Colour kind,
                 const char *name, int64_t q_default, SubInt *sub,
                 bool has_many, SubIntList *many, bool has_texts,
                 strList *texts, json_object *anything, QNull *nothing,
                 strList **ret, Error **errp)
{
    (void)vm;
    (void)q_default;
    (void)sub;
    (void)has_many;
    (void)many;
    (void)has_texts;
    (void)texts;
    (void)anything;
    (void)nothing;
    (void)errp;
    g_assert_cmpint(kind, ==, COLOUR_RED);
    g_assert_true(session == (void *)0x5e);
    *ret = g_new0(strList, 1);
    (*ret)->value = g_strdup(name);
    return true;
}

bool qmp_raw(Vm *vm, json_object *args, json_object **ret, Error **errp)
{
    (void)vm;
    (void)errp;
    *ret = json_object_get(args);
    return true;
}

static const QmpCommand *find(const char *name)
{
    const QmpCommand *command;

    for (command = test_qmp_commands; command->name; command++) {
        if (g_str_equal(command->name, name)) {
            return command;
        }
    }
    return NULL;
}

static void call(const char *name, const char *args, const char *expected)
{
    g_autoptr(JsonObject) value = parse(args);
    json_object *ret = NULL;
    Error *err = NULL;

    if (find(name)->run(NULL, (void *)0x5e, value, &ret, &err)) {
        g_assert_no_error(err);
        if (expected) {
            expect_text(ret, expected);
        } else {
            g_assert_null(ret);
        }
    } else {
        g_assert_null(ret);
        g_assert_cmpstr(err->message, ==, expected);
        g_error_free(err);
    }
}

static void test_commands(void)
{
    json_object *ret = NULL;
    g_autoptr(JsonObject) empty = parse("{}");
    Error *err = NULL;

    g_assert_null(find("never"));
    g_assert_cmpuint(find("do-nothing")->flags, ==, 0);
    g_assert_cmpuint(find("add-up")->flags, ==,
                     QMP_ALLOW_OOB | QMP_ALLOW_PRECONFIG);
    call("do-nothing", "{}", NULL);
    call("do-nothing", "{\"x\":1}", "Parameter 'x' is unexpected");
    g_assert_cmpuint(nothings, ==, 1);
    g_assert_false(find("do-nothing")->run((Vm *)&nothings, NULL, empty, &ret,
                                           &err));
    g_assert_cmpstr(error_class_name(err), ==, "DeviceNotActive");
    g_error_free(err);

    call("add-up", "{\"a\":1}", "1");
    call("add-up", "{\"a\":1,\"b\":-2,\"text\":\"abc\",\"sub\":{\"n\":10},"
         "\"list\":[100,200]}", "313");
    call("add-up", "{\"a\":1,\"list\":[]}", "2");
    call("add-up", "{\"b\":1}", "Parameter 'a' is missing");
    call("add-up", "{\"a\":1,\"sub\":{\"n\":1},\"list\":[1,{}]}",
         "Invalid parameter type for 'list[1]', expected: integer");
    call("boxed", "{\"kind\":\"red\",\"name\":\"n\",\"radius\":4}",
         "{\"kind\":\"red\",\"name\":\"n\",\"radius\":4}");
    call("boxed", "{\"kind\":\"red\",\"name\":\"n\",\"radius\":-1}",
         "Parameter 'radius' expects a number from 0 to 2^64-1, not '-1'");
    call("unboxed", "{\"kind\":\"red\",\"name\":\"n\",\"default\":4}",
         "[\"n\"]");
    call("raw", "{\"y\":2}", "{\"y\":2}");
}

/* Events */

static GString *sent;

void vm_emit_event(Vm *vm, const char *name, struct json_object *data)
{
    g_autofree char *text = data ? json_to_text(data) : NULL;

    (void)vm;
    g_string_append_printf(sent, "%s %s|", name, text ? text : "-");
    json_object_put(data);
}

static void test_events(void)
{
    SubInt sub = { .n = 5 };
    SubIntList list = { .value = &sub };
    Shape shape = { .kind = COLOUR_RED, .name = (char *)"n",
                    .u.red.radius = 7 };

    sent = g_string_new(NULL);
    qapi_event_send_bare(NULL);
    qapi_event_send_full_one(NULL, false, 0, NULL, false, NULL);
    qapi_event_send_full_one(NULL, true, 1, "t", true, &list);
    qapi_event_send_boxed_one(NULL, &shape);
    g_assert_cmpstr(sent->str, ==,
                    "BARE -|FULL_ONE {}|"
                    "FULL_ONE {\"a\":1,\"text\":\"t\",\"list\":[{\"n\":5}]}|"
                    "BOXED_ONE {\"kind\":\"red\",\"name\":\"n\","
                    "\"radius\":7}|");
    g_string_free(sent, TRUE);
}

/* Introspection */

/* The entity called @name. */
static json_object *entity(json_object *schema, const char *name)
{
    size_t i;

    for (i = 0; i < json_object_array_length(schema); i++) {
        json_object *info = json_object_array_get_idx(schema, i);
        json_object *value;

        json_object_object_get_ex(info, "name", &value);
        if (g_str_equal(json_object_get_string(value), name)) {
            return info;
        }
    }
    return NULL;
}

/* The entity that member @key of @info names. */
static json_object *follow(json_object *schema, json_object *info,
                           const char *key)
{
    json_object *value;

    g_assert_true(json_object_object_get_ex(info, key, &value));
    return entity(schema, json_object_get_string(value));
}

static void expect_member(json_object *info, const char *key,
                          const char *expected)
{
    json_object *value = NULL;

    g_assert_true(json_object_object_get_ex(info, key, &value) ==
                  (expected != NULL));
    if (expected) {
        expect_text(json_object_get(value), expected);
    }
}

static void test_introspection(void)
{
    g_autoptr(JsonObject) schema = parse(test_qmp_schema_json);
    json_object *info, *arg;

    g_assert_null(entity(schema, "never"));
    g_assert_null(entity(schema, "Scalars"));
    info = entity(schema, "do-nothing");
    expect_member(info, "meta-type", "\"command\"");
    expect_member(info, "allow-oob", NULL);
    arg = follow(schema, info, "arg-type");
    expect_member(arg, "meta-type", "\"object\"");
    expect_member(arg, "members", "[]");

    info = entity(schema, "add-up");
    expect_member(info, "allow-oob", "true");
    expect_member(info, "ret-type", "\"int\"");
    arg = follow(schema, info, "arg-type");
    json_object_object_get_ex(arg, "members", &arg);
    expect_text(json_object_get(json_object_array_get_idx(arg, 0)),
                "{\"name\":\"a\",\"type\":\"int\"}");
    expect_text(json_object_get(json_object_array_get_idx(arg, 1)),
                "{\"name\":\"b\",\"type\":\"int\",\"default\":null}");
    expect_text(json_object_get(json_object_array_get_idx(arg, 4)),
                "{\"name\":\"list\",\"type\":\"[int]\",\"default\":null}");
    expect_member(entity(schema, "[int]"), "element-type", "\"int\"");

    arg = follow(schema, entity(schema, "boxed"), "arg-type");
    expect_member(arg, "tag", "\"kind\"");
    json_object_object_get_ex(arg, "variants", &info);
    g_assert_cmpuint(json_object_array_length(info), ==, 4);
    info = follow(schema, json_object_array_get_idx(info, 0), "type");
    expect_member(info, "members",
                  "[{\"name\":\"radius\",\"type\":\"int\"}]");

    arg = follow(schema, entity(schema, "unboxed"), "arg-type");
    expect_member(arg, "features", "[\"unstable\"]");
    json_object_object_get_ex(arg, "members", &arg);
    info = follow(schema, json_object_array_get_idx(arg, 0), "type");
    expect_member(info, "values",
                  "[\"red\",\"dark-blue\",\"unix\",\"2d\"]");
    expect_member(info, "members",
                  "[{\"name\":\"red\"},{\"name\":\"dark-blue\",\"features\":"
                  "[\"deprecated\"]},{\"name\":\"unix\"},{\"name\":\"2d\"}]");

    info = entity(schema, "BARE");
    expect_member(info, "meta-type", "\"event\"");
    g_assert_nonnull(follow(schema, info, "arg-type"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/names", test_names);
    g_test_add_func("/qapi/enum-error", test_enum_error);
    g_test_add_func("/qapi/scalars", test_scalars);
    g_test_add_func("/qapi/ranges", test_ranges);
    g_test_add_func("/qapi/types", test_types);
    g_test_add_func("/qapi/structs", test_structs);
    g_test_add_func("/qapi/lists", test_lists);
    g_test_add_func("/qapi/unions", test_unions);
    g_test_add_func("/qapi/alternates", test_alternates);
    g_test_add_func("/qapi/keyval", test_keyval);
    g_test_add_func("/qapi/commands", test_commands);
    g_test_add_func("/qapi/events", test_events);
    g_test_add_func("/qapi/introspection", test_introspection);
    return g_test_run();
}
