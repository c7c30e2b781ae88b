/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device tree of board "virt" is QEMU's, but for the differences listed
 * here. data/virt-fdt.txt has QEMU's, a property a line.
 */
#include <string.h>

#include <libfdt.h>

#include "hw-test.h"
#include "hw/riscv/virt.h"

/* Nodes of devices that this machine does not have. */
static const char *const absent[] = {
    "/platform-bus@4000000:", "/pmu:", "/fw-cfg@10100000:",
    "/flash@20000000:",
};

/* Properties that say what our hart is, not what QEMU's is; or random. */
static const char *const other_value[] = {
    "riscv,isa", "riscv,isa-extensions", "mmu-type", "rng-seed",
};

/* There only if the hart has the extension. */
static const char *const optional[] = {
    "riscv,cbom-block-size", "riscv,cboz-block-size", "riscv,cbop-block-size",
};

static bool listed(const char *const *list, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (g_str_equal(list[i], name)) {
            return true;
        }
    }
    return false;
}

static bool is_absent(const char *line)
{
    for (size_t i = 0; i < G_N_ELEMENTS(absent); i++) {
        if (g_str_has_prefix(line, absent[i])) {
            return true;
        }
    }
    return false;
}

/* Whether the @len bytes are printable strings, none empty. */
static bool is_text(const char *data, int len)
{
    if (len < 2 || data[len - 1] || !data[0]) {
        return false;
    }
    for (int i = 0; i < len; i++) {
        if (data[i] ? !g_ascii_isprint(data[i]) : i && !data[i - 1]) {
            return false;
        }
    }
    return true;
}

static char *value_text(const char *data, int len)
{
    GString *text = g_string_new(NULL);

    if (is_text(data, len)) {
        for (const char *s = data; s < data + len; s += strlen(s) + 1) {
            g_string_append_printf(text, "%s\"%s\"", text->len ? " " : "", s);
        }
    } else {
        for (int i = 0; i < len; i++) {
            g_string_append_printf(text, "%02x", (uint8_t)data[i]);
        }
    }
    return g_string_free(text, false);
}

/* "PATH:NAME" -> value */
static GHashTable *flatten(const void *fdt)
{
    GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                              g_free);

    for (int node = 0; node >= 0; node = fdt_next_node(fdt, node, NULL)) {
        char path[256];
        int prop;

        g_assert_cmpint(fdt_get_path(fdt, node, path, sizeof(path)), ==, 0);
        fdt_for_each_property_offset(prop, fdt, node) {
            const char *name;
            int len;
            const void *data = fdt_getprop_by_offset(fdt, prop, &name, &len);

            g_assert_true(g_hash_table_insert(
                table, g_strdup_printf("%s:%s", path, name),
                value_text(data, len)));
        }
    }
    return table;
}

static GHashTable *build(Vm *vm, unsigned harts, uint64_t ram_size)
{
    VirtBoard board = {
        .harts = harts,
        .high_mmio_base = UINT64_C(0x400000000),
        .boot = { .ram_base = VIRT_DRAM_BASE, .ram_size = ram_size },
    };
    Error *err = NULL;
    size_t size;
    void *fdt;
    GHashTable *table;

    if (vm->config->initrd) {
        board.boot.initrd_start = UINT64_C(0x90000000);
        board.boot.initrd_end = UINT64_C(0x90001234);
    }
    fdt = virt_fdt_build(vm, &board, &size, &err);
    g_assert_no_error(err);
    g_assert_cmpint(fdt_check_full(fdt, size), ==, 0);
    table = flatten(fdt);
    g_free(fdt);
    return table;
}

static void test_compare(void)
{
    g_autofree char *file = g_test_build_filename(G_TEST_DIST, "data",
                                                  "virt-fdt.txt", NULL);
    Vm *vm = hw_test_new();
    GHashTable *ours = build(vm, 2, UINT64_C(512) << 20);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    unsigned compared = 0;
    GHashTableIter iter;
    gpointer key;

    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) parts = NULL;
        const char *name, *value;

        if (!**line || **line == '#' || is_absent(*line)) {
            continue;
        }
        parts = g_strsplit(*line, " ", 2);
        name = strrchr(parts[0], ':') + 1;
        value = g_hash_table_lookup(ours, parts[0]);
        if (!value && listed(optional, G_N_ELEMENTS(optional), name)) {
            continue;
        }
        if (!value) {
            g_test_message("%s is missing", parts[0]);
        }
        g_assert_nonnull(value);
        if (!listed(other_value, G_N_ELEMENTS(other_value), name) &&
            !g_str_equal(value, parts[1] ? parts[1] : "")) {
            g_test_message("%s is %s, not %s", parts[0], value, parts[1]);
            g_test_fail();
        }
        g_hash_table_remove(ours, parts[0]);
        compared++;
    }
    g_assert_cmpuint(compared, >, 100);
    g_hash_table_iter_init(&iter, ours);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        g_test_message("%s is not in QEMU's tree", (const char *)key);
        g_test_fail();
    }
    g_hash_table_unref(ours);
    hw_test_free(vm);
}

static void test_harts(void)
{
    for (unsigned harts = 1; harts <= HARTS_MAX; harts++) {
        Vm *vm = hw_test_new();
        GHashTable *tree = build(vm, harts, UINT64_C(1) << 40);
        const char *plic = g_hash_table_lookup(
            tree, "/soc/interrupt-controller@c000000:interrupts-extended");

        g_assert_cmpuint(strlen(plic), ==, harts * 4 * 8);
        g_assert_cmpstr(g_hash_table_lookup(tree, "/memory@80000000:reg"), ==,
                        "00000000800000000000010000000000");
        for (unsigned i = 0; i < harts; i++) {
            g_autofree char *reg = g_strdup_printf("/cpus/cpu@%u:reg", i);
            g_autofree char *phandle = g_strdup_printf("/cpus/cpu@%u:phandle",
                                                       i);
            g_autofree char *core = g_strdup_printf(
                "/cpus/cpu-map/cluster0/core%u:cpu", i);
            g_autofree char *number = g_strdup_printf("%08x", i);

            g_assert_cmpstr(g_hash_table_lookup(tree, reg), ==, number);
            g_assert_cmpstr(g_hash_table_lookup(tree, core), ==,
                            g_hash_table_lookup(tree, phandle));
        }
        g_hash_table_unref(tree);
        hw_test_free(vm);
    }
}

static void test_chosen(void)
{
    Vm *vm = hw_test_new();
    GHashTable *first, *second;
    Error *err = NULL;
    VirtBoard board = { .harts = 1 };
    size_t size;

    vm->config->append = g_strdup("console=ttyS0 root=\"/dev/vda\"");
    vm->config->initrd = g_strdup("initrd");
    first = build(vm, 1, UINT64_C(1) << 30);
    second = build(vm, 1, UINT64_C(1) << 30);
    g_assert_cmpstr(g_hash_table_lookup(first, "/chosen:bootargs"), ==,
                    "\"console=ttyS0 root=\"/dev/vda\"\"");
    g_assert_cmpstr(g_hash_table_lookup(first, "/chosen:linux,initrd-start"),
                    ==, "0000000090000000");
    g_assert_cmpstr(g_hash_table_lookup(first, "/chosen:linux,initrd-end"),
                    ==, "0000000090001234");
    g_assert_cmpuint(strlen(g_hash_table_lookup(first, "/chosen:rng-seed")),
                     ==, 64);
    g_assert_cmpstr(g_hash_table_lookup(first, "/chosen:rng-seed"), !=,
                    g_hash_table_lookup(second, "/chosen:rng-seed"));
    g_hash_table_unref(first);
    g_hash_table_unref(second);
    g_free(vm->config->append);
    vm->config->append = g_strnfill(4096, 'x');
    g_assert_null(virt_fdt_build(vm, &board, &size, &err));
    g_assert_nonnull(strstr(err->message, "4096 bytes, at most 4095"));
    g_error_free(err);
    hw_test_free(vm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virt-fdt/compare", test_compare);
    g_test_add_func("/virt-fdt/harts", test_harts);
    g_test_add_func("/virt-fdt/chosen", test_chosen);
    return g_test_run();
}
