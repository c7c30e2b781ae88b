/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The types and properties of objects, out of an introspection. */
#include <string.h>

#include "monitor/schema-objects.h"

static const char text[] =
    "[{\"name\":\"object-add\",\"meta-type\":\"command\",\"arg-type\":\"1\"},"
    "{\"name\":\"1\",\"meta-type\":\"object\",\"members\":[],\"tag\":\"t\","
    "\"variants\":[{\"case\":\"x\",\"type\":\"2\"},"
    "{\"case\":\"y\",\"type\":\"3\"}]},"
    "{\"name\":\"2\",\"meta-type\":\"object\",\"members\":["
    "{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":\"str\"},"
    "{\"name\":\"c\",\"type\":\"4\"},{\"name\":\"d\",\"type\":\"3\"}]},"
    "{\"name\":\"3\",\"meta-type\":\"object\",\"members\":[]},"
    "{\"name\":\"4\",\"meta-type\":\"enum\",\"values\":[]},"
    "{\"name\":\"int\",\"meta-type\":\"builtin\",\"json-type\":\"int\"},"
    "{\"name\":\"str\",\"meta-type\":\"builtin\",\"json-type\":\"string\"}]";

static void note(const char *name, const char *type, void *opaque)
{
    g_string_append_printf(opaque, "%s:%s ", name, type ? type : "-");
}

static void test_schema_objects(void)
{
    g_autoptr(GString) got = g_string_new(NULL);
    json_object *schema;

    g_assert_true(json_parse(text, strlen(text), &schema, NULL));
    schema_object_types(schema, note, got);
    g_assert_cmpstr(got->str, ==, "x:- y:- ");
    g_string_truncate(got, 0);
    g_assert_true(schema_object_properties(schema, "x", note, got));
    g_assert_cmpstr(got->str, ==, "a:int b:string c:string d:struct ");
    g_string_truncate(got, 0);
    g_assert_true(schema_object_properties(schema, "y", note, got));
    g_assert_cmpstr(got->str, ==, "");
    g_assert_false(schema_object_properties(schema, "z", note, got));
    json_object_put(schema);
}

static void test_no_objects(void)
{
    g_autoptr(GString) got = g_string_new(NULL);
    json_object *schema;

    g_assert_true(json_parse("[]", 2, &schema, NULL));
    schema_object_types(schema, note, got);
    g_assert_cmpstr(got->str, ==, "");
    g_assert_false(schema_object_properties(schema, "x", note, got));
    json_object_put(schema);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/schema-objects/types", test_schema_objects);
    g_test_add_func("/schema-objects/none", test_no_objects);
    return g_test_run();
}
