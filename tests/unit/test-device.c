/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices: registry, properties of every kind, realize, -device's keys. */
#include <string.h>

#include "hw-test.h"
#include "util/json.h"

typedef struct Thing {
    Device dev;
    bool flag;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64, size, ranged;
    char *text;
    uint8_t mac[6];
    int32_t slot;
    int tristate;
    int32_t boot;
    void *chardev;
    bool fail, realized, unrealized;
    uint32_t state;
} Thing;

static const Property thing_properties[] = {
    { "flag", PROP_BOOL, offsetof(Thing, flag), 0, 0, "on", NULL },
    { "u8", PROP_U8, offsetof(Thing, u8), 0, 0, NULL, NULL },
    { "u16", PROP_U16, offsetof(Thing, u16), 0, 0, NULL, NULL },
    { "u32", PROP_U32, offsetof(Thing, u32), 0, 0, "7", NULL },
    { "u64", PROP_U64, offsetof(Thing, u64), 0, 0, NULL, NULL },
    { "size", PROP_SIZE, offsetof(Thing, size), 0, 0, NULL, NULL },
    { "ranged", PROP_U64, offsetof(Thing, ranged), 5, 10, "5", NULL },
    { "text", PROP_STRING, offsetof(Thing, text), 0, 0, "a", "some text" },
    { "mac", PROP_MAC, offsetof(Thing, mac), 0, 0, NULL, NULL },
    { "slot", PROP_PCI_SLOT, offsetof(Thing, slot), 0, 0, NULL, NULL },
    { "tristate", PROP_ON_OFF_AUTO, offsetof(Thing, tristate), 0, 0, NULL,
      NULL },
    { "chardev", PROP_CHARDEV, offsetof(Thing, chardev), 0, 0, NULL, NULL },
    { "boot", PROP_BOOT_INDEX, offsetof(Thing, boot), 0, 0, NULL, NULL },
    { "fail", PROP_BOOL, offsetof(Thing, fail), 0, 0, NULL, NULL },
    { .name = NULL },
};

static const VMStateDescription vmstate_thing = {
    .name = "thing",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(state, Thing),
        VMSTATE_END_OF_LIST()
    },
};

static bool thing_realize(Device *dev, Error **errp)
{
    Thing *t = (Thing *)dev;

    if (t->fail) {
        error_setg(errp, "as asked for");
        return false;
    }
    t->realized = true;
    return true;
}

static const DeviceType thing_type = {
    .name = "thing",
    .bus = "test-bus",
    .description = "for this test",
    .instance_size = sizeof(Thing),
    .properties = thing_properties,
    .vmsd = &vmstate_thing,
    .realize = thing_realize,
    .user_creatable = true,
};
DEVICE_TYPE(thing_type);

static const DeviceType board_thing_type = {
    .name = "board-thing",
    .bus = "sysbus",
    .description = "not for users",
    .instance_size = sizeof(Thing),
};
DEVICE_TYPE(board_thing_type);

static char *path_of(Bus *bus, Device *dev)
{
    (void)bus;
    return g_strdup_printf("place-%s", dev->id);
}

static void *find_chardev(Vm *vm, const char *id)
{
    return g_str_equal(id, "c0") ? vm : NULL;
}

static void test_registry(void)
{
    size_t count;
    const DeviceType **list = device_type_list(&count);

    g_assert_true(device_type_find("thing") == &thing_type);
    g_assert_null(device_type_find("thin"));
    g_assert_cmpuint(count, >=, 2);
    for (size_t i = 1; i < count; i++) {
        g_assert_cmpstr(list[i - 1]->name, <, list[i]->name);
    }
    g_assert_null(list[count]);
    g_free(list);
}

typedef struct Value {
    const char *name, *text;
    const char *result;         /* as read back; NULL: refused */
    const char *message;        /* a part of the error's */
} Value;

static const Value values[] = {
    { "flag", "off", "off", NULL }, { "flag", "true", "on", NULL },
    { "flag", "yes", "on", NULL }, { "flag", "maybe", NULL, "'on' or 'off'" },
    { "flag", "", NULL, "'on' or 'off'" },
    { "u8", "255", "255", NULL }, { "u8", "0x10", "16", NULL },
    { "u8", "256", NULL, "from 0 to 255" },
    { "u8", "-1", NULL, "from 0 to 255" }, { "u8", "1x", NULL, "'1x'" },
    { "u8", "", NULL, "from 0 to 255" },
    { "u16", "65535", "65535", NULL }, { "u16", "65536", NULL, "65535" },
    { "u32", "4294967295", "4294967295", NULL },
    { "u32", "4294967296", NULL, "4294967295" },
    { "u64", "18446744073709551615", "18446744073709551615", NULL },
    { "u64", "18446744073709551616", NULL, "18446744073709551615" },
    { "size", "4K", "4096", NULL }, { "size", "2G", "2147483648", NULL },
    { "size", "17179869184G", NULL, "suffixes" },
    { "size", "4Q", NULL, "suffixes" },
    { "ranged", "10", "10", NULL }, { "ranged", "11", NULL, "from 5 to 10" },
    { "ranged", "4", NULL, "from 5 to 10" },
    { "text", "", "", NULL }, { "text", "x,y", "x,y", NULL },
    { "mac", "52:54:00:12:34:56", "52:54:00:12:34:56", NULL },
    { "mac", "52:54:00:12:34", NULL, "six bytes" },
    { "mac", "52:54:00:12:34:56:78", NULL, "six bytes" },
    { "mac", "52:54:00:12:34:5g", NULL, "six bytes" },
    { "mac", "525400123456", NULL, "six bytes" },
    { "slot", "1f.7", "1f.7", NULL }, { "slot", "2", "02.0", NULL },
    { "slot", "0x3", "03.0", NULL }, { "slot", "20", NULL, "1f.7" },
    { "slot", "1.8", NULL, "1f.7" }, { "slot", "1.", NULL, "1f.7" },
    { "slot", "", NULL, "1f.7" },
    { "tristate", "auto", "auto", NULL }, { "tristate", "on", "on", NULL },
    { "tristate", "1", NULL, "'auto'" },
    { "boot", "0", "0", NULL }, { "boot", "2147483647", "2147483647", NULL },
    { "boot", "-1", "-1", NULL }, { "boot", "-2", NULL, "2147483647" },
    { "boot", "2147483648", NULL, "-1 or" }, { "boot", "", NULL, "-1 or" },
    { "chardev", "c1", NULL, "-chardev with id 'c1'" },
    { "nothing", "1", NULL, "thing,help" },
};

static void test_values(void)
{
    const PropertyLookup lookup = { find_chardev, "-chardev" };
    Vm *vm = hw_test_new();
    Device *dev = device_new(vm, &thing_type, "t0", NULL);

    property_set_lookup(vm, PROP_CHARDEV, &lookup);
    for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
        const Value *v = &values[i];
        const Property *prop = thing_properties;
        g_autofree char *before = NULL;
        g_autofree char *after = NULL;
        Error *err = NULL;
        bool ok;

        while (prop->name && !g_str_equal(prop->name, v->name)) {
            prop++;
        }
        before = prop->name ? device_get_property(dev, prop) : NULL;
        ok = device_set_property(dev, v->name, v->text, &err);
        after = prop->name ? device_get_property(dev, prop) : NULL;
        g_assert_cmpint(ok, ==, v->result != NULL);
        if (ok) {
            g_assert_no_error(err);
            g_assert_cmpstr(after, ==, v->result);
        } else {
            g_assert_nonnull(strstr(err->message, v->message));
            g_assert_nonnull(strstr(err->message, "'t0'"));
            g_assert_nonnull(strstr(err->message, v->name));
            g_assert_cmpstr(after, ==, before);
            g_error_free(err);
        }
    }
    g_assert_true(device_set_property(dev, "chardev", "c0", NULL));
    g_assert_true(((Thing *)dev)->chardev == vm);
    device_free(dev);
    hw_test_free(vm);
}

static void test_presets(void)
{
    Vm *vm = hw_test_new();
    Thing *t = (Thing *)device_new(vm, &thing_type, NULL, NULL);

    g_assert_true(t->flag);
    g_assert_cmpuint(t->u32, ==, 7);
    g_assert_cmpuint(t->ranged, ==, 5);
    g_assert_cmpstr(t->text, ==, "a");
    g_assert_cmpint(t->slot, ==, -1);
    g_assert_cmpint(t->tristate, ==, -1);
    g_assert_cmpint(t->boot, ==, -1);
    device_free(&t->dev);
    hw_test_free(vm);
}

static void test_globals(void)
{
    GlobalProperty good = { (char *)"thing", (char *)"u8", (char *)"9" };
    GlobalProperty other = { (char *)"xyz", (char *)"u8", (char *)"8" };
    GlobalProperty bad = { (char *)"thing", (char *)"u9", (char *)"1" };
    GPtrArray *globals = g_ptr_array_new();
    Vm *vm = hw_test_new();
    Error *err = NULL;
    Device *dev;

    g_ptr_array_add(globals, &good);
    g_ptr_array_add(globals, &other);
    vm->config->globals = globals;
    dev = device_new(vm, &thing_type, NULL, NULL);
    g_assert_cmpuint(((Thing *)dev)->u8, ==, 9);
    device_free(dev);
    g_ptr_array_add(globals, &bad);
    g_assert_null(device_new(vm, &thing_type, NULL, &err));
    g_assert_nonnull(strstr(err->message, "-global thing.u9=1"));
    g_error_free(err);
    vm->config->globals = NULL;
    g_ptr_array_unref(globals);
    hw_test_free(vm);
}

static Device *add(Vm *vm, const char *json, Error **errp)
{
    json_object *options = NULL;
    Device *dev;

    g_assert_true(json_parse(json, strlen(json), &options, NULL));
    dev = device_add(vm, options, errp);
    json_object_put(options);
    return dev;
}

typedef struct Refusal {
    const char *json, *message;
} Refusal;

static void test_device_add(void)
{
    static const Refusal refusals[] = {
        { "{}", "'driver' is missing" },
        { "{\"driver\": 1}", "must be a string" },
        { "{\"driver\": \"x\"}", "'x' is not a device" },
        { "{\"driver\": \"board-thing\"}", "part of the board" },
        { "{\"driver\": \"thing\", \"id\": \"1a\"}", "'1a'" },
        { "{\"driver\": \"thing\", \"id\": \"\"}", "''" },
        { "{\"driver\": \"thing\", \"id\": \"t0\"}", "another device" },
        { "{\"driver\": \"thing\", \"bus\": \"b1\"}", "no bus 'b1'" },
        { "{\"driver\": \"thing\", \"bus\": \"main-system-bus\"}", "kind" },
        { "{\"driver\": \"thing\", \"u8\": []}", "'u8' must be" },
        { "{\"driver\": \"thing\", \"u8\": 300}", "255" },
        { "{\"driver\": \"thing\", \"fail\": true}", "as asked for" },
        { "{\"driver\": \"thing\", \"boot\": 1}", "that of device 't0'" },
    };
    Vm *vm = hw_test_new();
    Error *err = NULL;
    Device *dev;
    Bus bus;

    g_assert_null(add(vm, "{\"driver\": \"thing\"}", &err));
    g_assert_nonnull(strstr(err->message, "no bus of kind 'test-bus'"));
    g_clear_error(&err);
    bus_init(&bus, vm, "b0", "test-bus", NULL);
    bus.child_path = path_of;
    bus.max_children = 3;
    dev = add(vm, "{\"driver\": \"thing\", \"id\": \"t0\", \"bus\": \"b0\","
              "\"u8\": 3, \"flag\": false, \"text\": \"hello\","
              "\"boot\": 1}", &err);
    g_assert_no_error(err);
    g_assert_true(device_find(vm, "t0") == dev);
    g_assert_true(dev->realized && ((Thing *)dev)->realized);
    g_assert_cmpuint(((Thing *)dev)->u8, ==, 3);
    g_assert_cmpstr(((Thing *)dev)->text, ==, "hello");
    g_assert_cmpstr(dev->stream_id, ==, "place-t0/thing");
    for (size_t i = 0; i < G_N_ELEMENTS(refusals); i++) {
        g_assert_null(add(vm, refusals[i].json, &err));
        g_assert_nonnull(strstr(err->message, refusals[i].message));
        g_clear_error(&err);
        g_assert_cmpuint(bus.children->len, ==, 1);
    }
    bus.child_path = NULL;
    for (unsigned i = 0; i < 2; i++) {
        dev = add(vm, "{\"driver\": \"thing\"}", &err);
        g_assert_no_error(err);
        g_assert_cmpstr(dev->stream_id, ==, "thing");
        g_assert_cmpuint(dev->instance_id, ==, i);
    }
    g_assert_null(add(vm, "{\"driver\": \"thing\", \"bus\": \"b0\"}", &err));
    g_assert_nonnull(strstr(err->message, "is full"));
    g_clear_error(&err);
    while (bus.children->len) {
        device_free(g_ptr_array_index(bus.children, 0));
    }
    g_assert_null(device_find(vm, "t0"));
    bus_destroy(&bus);
    hw_test_free(vm);
}

static void test_help(void)
{
    GString *text = g_string_new(NULL);

    device_help(text);
    g_assert_nonnull(strstr(text->str, "name \"thing\", bus test-bus, desc "
                                       "\"for this test\"\n"));
    g_assert_null(strstr(text->str, "board-thing"));
    g_string_truncate(text, 0);
    device_type_help(&thing_type, text);
    g_assert_true(g_str_has_prefix(text->str, "thing options:\n"));
    g_assert_nonnull(strstr(text->str, "  text=<str> - some text "
                                       "(default: a)\n"));
    g_string_free(text, true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/device/registry", test_registry);
    g_test_add_func("/device/property/values", test_values);
    g_test_add_func("/device/property/presets", test_presets);
    g_test_add_func("/device/property/globals", test_globals);
    g_test_add_func("/device/add", test_device_add);
    g_test_add_func("/device/help", test_help);
    return g_test_run();
}
