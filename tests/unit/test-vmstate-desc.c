/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The description record that ends a stream: it accounts for every byte. */
#include <json-c/json.h>
#include <string.h>

#include "vmstate-states.h"

/* Bytes that the fields and subsections of @vmsd say they have. */
static uint64_t described_bytes(struct json_object *vmsd)
{
    struct json_object *list, *val;
    uint64_t bytes = 0;

    g_assert_true(json_object_object_get_ex(vmsd, "fields", &list));
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *field = json_object_array_get_idx(list, i);
        uint64_t times = 1;

        if (json_object_object_get_ex(field, "array_len", &val)) {
            times = json_object_get_uint64(val);
        }
        g_assert_true(json_object_object_get_ex(field, "size", &val));
        bytes += times * json_object_get_uint64(val);
        if (json_object_object_get_ex(field, "struct", &val)) {
            struct json_object *size;

            g_assert_true(json_object_object_get_ex(field, "size", &size));
            g_assert_cmpuint(described_bytes(val), ==,
                             json_object_get_uint64(size));
        }
    }
    if (json_object_object_get_ex(vmsd, "subsections", &list)) {
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            struct json_object *sub = json_object_array_get_idx(list, i);

            g_assert_true(json_object_object_get_ex(sub, "vmsd_name", &val));
            bytes += 1 + 1 + json_object_get_string_len(val) + 4 +
                     described_bytes(sub);
        }
    }
    return bytes;
}

/* The record accounts for every byte, whatever was saved. */
static void test_description(void)
{
    Vm *vm = vm_new();

    vm_lock(vm);
    for (int i = 0; i < 200; i++) {
        State *a = state_new(vm);
        g_autoptr(VMDesc) desc = vmdesc_new();
        g_autoptr(GByteArray) bytes = NULL;
        struct json_object *json;
        size_t len;

        state_randomise(a);
        vmdesc_object(desc, NULL);
        bytes = state_save(&vmstate_all, a, desc);
        vmdesc_end(desc);
        json = json_tokener_parse(vmdesc_text(desc, &len));
        g_assert_nonnull(json);
        g_assert_cmpuint(described_bytes(json), ==, bytes->len);
        json_object_put(json);
        state_free(a);
    }
    vm_unlock(vm);
    vm_free(vm);
}

static void test_description_text(void)
{
    Small s = { .n = 2, .list = { 1, 2 } };
    g_autoptr(VMDesc) desc = vmdesc_new();
    g_autoptr(GByteArray) bytes = NULL;
    size_t len;

    vmdesc_object(desc, NULL);
    vmdesc_string(desc, "name", "a\"b\\c\n");
    bytes = state_save(&vmstate_small, &s, desc);
    vmdesc_end(desc);
    g_assert_cmpstr(vmdesc_text(desc, &len), ==,
        "{\"name\": \"a\\\"b\\\\c\\u000a\", \"vmsd_name\": \"small\", "
        "\"version\": 4, \"fields\": ["
        "{\"name\": \"flag\", \"type\": \"bool\", \"size\": 1}, "
        "{\"name\": \"n\", \"type\": \"uint16\", \"size\": 2}, "
        "{\"name\": \"list\", \"array_len\": 2, \"type\": \"uint32\", "
        "\"size\": 4}, "
        "{\"name\": \"neg\", \"type\": \"int32\", \"size\": 4}]}");
    g_assert_cmpuint(len, ==, strlen(vmdesc_text(desc, &len)));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vmstate/description", test_description);
    g_test_add_func("/vmstate/description-text", test_description_text);
    return g_test_run();
}
