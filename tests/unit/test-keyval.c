/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Option texts, sizes and JSON texts. */
#include <string.h>

#include "util/json.h"
#include "util/keyval.h"

/* @text read with implied key @implied gives @expected or that error. */
static void check(const char *text, const char *implied, const char *expected)
{
    Error *err = NULL;
    g_autoptr(JsonObject) value = keyval_parse(text, implied, NULL, &err);
    g_autofree char *got = value ? json_to_text(value) : NULL;

    if (value) {
        g_assert_no_error(err);
        g_assert_cmpstr(got, ==, expected);
    } else {
        g_assert_cmpstr(err->message, ==, expected);
        g_error_free(err);
    }
}

static void test_parse(void)
{
    check("", NULL, "{}");
    check("a=b", NULL, "{\"a\":\"b\"}");
    check("a=b,c=d", NULL, "{\"a\":\"b\",\"c\":\"d\"}");
    check("a=b,", NULL, "{\"a\":\"b\"}");
    check("a=,c=", NULL, "{\"a\":\"\",\"c\":\"\"}");
    check("a=b,a=c", NULL, "{\"a\":\"c\"}");
    check("a=x=y", NULL, "{\"a\":\"x=y\"}");
    check("a=1,,2,,,b=3", NULL, "{\"a\":\"1,2,\",\"b\":\"3\"}");
    check("first,a=b", "k", "{\"k\":\"first\",\"a\":\"b\"}");
    check("fi,,rst,a", "k", "{\"k\":\"fi,rst\",\"a\":\"on\"}");
    check("a=b,c", "k", "{\"a\":\"b\",\"c\":\"on\"}");
    check("a", NULL, "{\"a\":\"on\"}");
    check("a.b.c=1,a.d=2", NULL, "{\"a\":{\"b\":{\"c\":\"1\"},\"d\":\"2\"}}");
    check("a.0=x,a.1=y", NULL, "{\"a\":[\"x\",\"y\"]}");
    check("a.1=y,a.0=x", NULL, "{\"a\":[\"x\",\"y\"]}");
    check("a.0.b=x,a.1.b=y", NULL, "{\"a\":[{\"b\":\"x\"},{\"b\":\"y\"}]}");
}

static void test_errors(void)
{
    g_autofree char *dots = g_strnfill(100, '.');
    g_autofree char *deep = g_strconcat("a", dots, "=1", NULL);

    check("a.b=1,a=2", NULL, "Key 'a' is used with and without sub-keys");
    check("a=2,a.b=1", NULL, "Key 'a' is used with and without sub-keys");
    check("a..b=1", NULL, "Invalid key 'a..b': expected letters, digits, '-' "
          "and '_' between dots");
    check("=1", NULL, "Key '' must have 1 to 32 components");
    check("a b=1", NULL, "Invalid key 'a b': expected letters, digits, '-' "
          "and '_' between dots");
    check(deep, NULL, "Key 'a........................................"
          "............................................................' "
          "must have 1 to 32 components");
    check("a.1=1", NULL, "A list's element 0 is missing");
    check("a.0=1,a.b=1", NULL, "A key mixes list elements, of which 1 would "
          "come next, with others");
    check("a.00=1", NULL, "A list's element 0 is missing");
}

static void test_help(void)
{
    bool help;

    json_object_put(keyval_parse("help", "k", &help, NULL));
    g_assert_true(help);
    json_object_put(keyval_parse("virt,help", "k", &help, NULL));
    g_assert_true(help);
    json_object_put(keyval_parse("virt,a=help", "k", &help, NULL));
    g_assert_false(help);
}

static void test_json_or_keyval(void)
{
    Error *err = NULL;
    json_object *value;
    bool keyval;

    value = keyval_or_json_parse("{\"a\":1}", "k", &keyval, &err);
    g_assert_no_error(err);
    g_assert_false(keyval);
    g_assert_cmpstr(json_object_to_json_string_ext(value, 0), ==,
                    "{\"a\":1}");
    json_object_put(value);
    value = keyval_or_json_parse("x", "k", &keyval, &err);
    g_assert_true(keyval);
    json_object_put(value);
    g_assert_null(keyval_or_json_parse("{\"a\":", "k", &keyval, &err));
    g_assert_nonnull(err);
    g_error_free(err);
}

static void test_size(void)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t size;
    } cases[] = {
        { "0", true, 0 },
        { "1", true, 1 },
        { "1B", true, 1 },
        { "1k", true, 1024 },
        { "1.5K", true, 1536 },
        { "512M", true, 512 << 20 },
        { "2G", true, 2ULL << 30 },
        { "1T", true, 1ULL << 40 },
        { "1P", true, 1ULL << 50 },
        { "15E", true, 15ULL << 60 },
        { "18446744073709551615", true, UINT64_MAX },
        { "0x10", true, 16 },
        { "0xE", true, 14 },
        { "16E", false, 0 },
        { "18446744073709551616", false, 0 },
        { "-1", false, 0 },
        { "", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1KB", false, 0 },
        { "1x", false, 0 },
        { "1.5", false, 0 },
        { "M", false, 0 },
        { "0x10M", false, 0 },
        { "0x", false, 0 },
    };
    uint64_t size;
    guint i;

    for (i = 0; i < G_N_ELEMENTS(cases); i++) {
        size = 0;
        g_test_message("'%s'", cases[i].text);
        g_assert_true(keyval_parse_size(cases[i].text, &size) == cases[i].ok);
        g_assert_cmpuint(size, ==, cases[i].size);
    }
    g_assert_true(keyval_parse_size_suffix("128", 'M', &size));
    g_assert_cmpuint(size, ==, 128 << 20);
    g_assert_true(keyval_parse_size_suffix("128K", 'M', &size));
    g_assert_cmpuint(size, ==, 128 << 10);
}

static void test_numbers(void)
{
    int64_t i;
    uint64_t u;

    g_assert_true(keyval_parse_int64("-9223372036854775808", &i));
    g_assert_cmpint(i, ==, INT64_MIN);
    g_assert_false(keyval_parse_int64("9223372036854775808", &i));
    g_assert_false(keyval_parse_int64("", &i));
    g_assert_false(keyval_parse_int64("1 ", &i));
    g_assert_true(keyval_parse_uint64("0x10", &u));
    g_assert_cmpuint(u, ==, 16);
    g_assert_false(keyval_parse_uint64("-1", &u));
    g_assert_false(keyval_parse_uint64("18446744073709551616", &u));
}

static void check_json(const char *text, const char *expected)
{
    json_object *value;
    Error *err = NULL;
    g_autofree char *got = NULL;

    if (!json_parse(text, strlen(text), &value, &err)) {
        g_assert_nonnull(err);
        g_assert_null(expected);
        g_error_free(err);
        return;
    }
    got = json_to_text(value);
    g_assert_cmpstr(got, ==, expected);
    json_object_put(value);
}

static void test_json(void)
{
    check_json("null", "null");
    check_json(" 12 ", "12");
    check_json("12", "12");
    check_json("-12", "-12");
    check_json("18446744073709551615", "18446744073709551615");
    check_json("-9223372036854775808", "-9223372036854775808");
    check_json("18446744073709551616", NULL);
    check_json("-9223372036854775809", NULL);
    check_json("1e400", NULL);
    check_json("[1,\"99999999999999999999\"]",
               "[1,\"99999999999999999999\"]");
    check_json("[\"\\\\\",99999999999999999999]", NULL);
    check_json("NaN", NULL);
    check_json("-Infinity", NULL);
    check_json("[1,]", NULL);
    check_json("{\"a\":1,}", NULL);
    check_json("[01]", NULL);
    check_json("[1] x", NULL);
    check_json("\"a", NULL);
    check_json("", NULL);
    check_json("tru", NULL);
    check_json("'a'", NULL);
    check_json("[1 // no\n]", NULL);
    check_json("\"\xff\"", NULL);
    check_json("\"\\u00e4/\"", "\"\xc3\xa4/\"");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keyval/parse", test_parse);
    g_test_add_func("/keyval/errors", test_errors);
    g_test_add_func("/keyval/help", test_help);
    g_test_add_func("/keyval/json-or-keyval", test_json_or_keyval);
    g_test_add_func("/keyval/size", test_size);
    g_test_add_func("/keyval/numbers", test_numbers);
    g_test_add_func("/keyval/json", test_json);
    return g_test_run();
}
