/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams that nobody should have written: each is refused, with its place,
 * and does no harm.
 */
#include <string.h>

#include "savevm-machine.h"

static void hostile_prefix(GByteArray *b, uint32_t id, const char *idstr,
                           uint32_t instance, uint32_t version)
{
    put_header(b);
    put_start(b, 0x04, id, idstr, instance, version);
}

static void put_dev(GByteArray *b, uint32_t val)
{
    put32(b, val);
    put8(b, 0);
}

static void h_empty(GByteArray *b)
{
    (void)b;
}

static void h_magic(GByteArray *b)
{
    put32(b, 0x12345678);
    put32(b, 3);
}

static void h_version(GByteArray *b)
{
    put32(b, 0x5145564d);
    put32(b, 2);
}

static void h_no_configuration(GByteArray *b)
{
    put32(b, 0x5145564d);
    put32(b, 3);
    put8(b, 0x01);
}

static void h_machine_len(GByteArray *b)
{
    put32(b, 0x5145564d);
    put32(b, 3);
    put8(b, 0x07);
    put32(b, 0xffffffff);
}

static void h_capabilities(GByteArray *b)
{
    put_header(b);
    put8(b, 0x05);
    put_str(b, "configuration/capabilities");
    put32(b, 1);
    put32(b, 0x10000000);
}

static void h_type(GByteArray *b)
{
    put_header(b);
    put8(b, 0x55);
}

static void h_unknown_section(GByteArray *b)
{
    hostile_prefix(b, 1, "toaster", 0, 1);
}

static void h_unknown_instance(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 2, 2);
}

static void h_newer(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 0, 3);
}

static void h_newest(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 0, 0xffffffff);
}

static void h_older(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 0, 1);
}

static void h_name_empty(GByteArray *b)
{
    hostile_prefix(b, 1, "", 0, 1);
}

static void h_name_zero(GByteArray *b)
{
    put_header(b);
    put8(b, 0x04);
    put32(b, 1);
    put8(b, 4);
    g_byte_array_append(b, (const guint8 *)"dev\0", 4);
}

static void h_name_cut(GByteArray *b)
{
    put_header(b);
    put8(b, 0x04);
    put32(b, 1);
    put8(b, 255);
    g_byte_array_append(b, (const guint8 *)"dev", 3);
}

static void h_live_as_full(GByteArray *b)
{
    hostile_prefix(b, 1, "ram", 0, 4);
}

static void h_device_as_start(GByteArray *b)
{
    put_header(b);
    put_start(b, 0x01, 1, "dev", 0, 2);
}

static void h_part_first(GByteArray *b)
{
    put_header(b);
    put8(b, 0x02);
    put32(b, 0);
}

static void h_id_twice(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 0, 2);
    put_dev(b, 1);
    put_footer(b, 1);
    put_start(b, 0x04, 1, "dev", 1, 2);
}

static void h_section_twice(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 0, 2);
    put_dev(b, 1);
    put_footer(b, 1);
    put_start(b, 0x04, 2, "dev", 0, 2);
}

static void h_part_of_device(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 0, 2);
    put_dev(b, 1);
    put_footer(b, 1);
    put8(b, 0x02);
    put32(b, 1);
}

static void h_footer_missing(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 0, 2);
    put_dev(b, 1);
    put8(b, 0x00);
}

static void h_footer_id(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 0, 2);
    put_dev(b, 1);
    put_footer(b, 2);
}

static void h_payload_long(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 0, 2);
    put_dev(b, 1);
    put32(b, 0);
    put_footer(b, 1);
}

static void h_count(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 0, 2);
    put32(b, 1);
    put8(b, 5);
}

static void h_post_load(GByteArray *b)
{
    hostile_prefix(b, 1, "dev", 0, 2);
    put_dev(b, 0xdead);
    put_footer(b, 1);
}

static void h_end_at_once(GByteArray *b)
{
    put_header(b);
    put8(b, 0x00);
}

static void h_ram_without_end(GByteArray *b)
{
    put_header(b);
    put_start(b, 0x01, 0, "ram", 0, 4);
    put64(b, 4 * GUEST_PAGE_SIZE | 0x04);
    put_str(b, "ram0");
    put64(b, 4 * GUEST_PAGE_SIZE);
    put64(b, 0x10);
    put_footer(b, 0);
    put8(b, 0x00);
}

static void h_command_unknown(GByteArray *b)
{
    put_header(b);
    put8(b, 0x08);
    put16(b, 0xffff);
    put16(b, 0);
}

static void h_command_zero(GByteArray *b)
{
    put_header(b);
    put8(b, 0x08);
    put16(b, 0);
    put16(b, 0);
}

static void h_command_refused(GByteArray *b)
{
    put_header(b);
    put8(b, 0x08);
    put16(b, 7);
    put16(b, 4);
    put32(b, 0xffffffff);
}

static void h_command_len(GByteArray *b)
{
    put_header(b);
    put8(b, 0x08);
    put16(b, 2);
    put16(b, 0xffff);
}

static void h_command_cut(GByteArray *b)
{
    put_header(b);
    put8(b, 0x08);
    put16(b, 2);
    put16(b, 4);
    put16(b, 0);
}

typedef struct Hostile {
    const char *name;
    void (*write)(GByteArray *b);
    const char *pattern;
} Hostile;

static const Hostile hostile[] = {
    { "empty", h_empty, "*'header'*offset 0*ended 0 bytes into*" },
    { "magic", h_magic, "*offset 8*0x12345678*" },
    { "stream-version", h_version, "*stream version 2; 3 is accepted" },
    { "no-configuration", h_no_configuration, "*0x01 where the config*" },
    { "machine-len", h_machine_len, "*'configuration'*4294967295 entries*" },
    { "capabilities", h_capabilities, "*268435456 entries, at most 64*" },
    { "section-type", h_type, "*offset 18: unknown section type 0x55" },
    { "unknown-section", h_unknown_section, "*unknown section 'toaster'*" },
    { "unknown-instance", h_unknown_instance, "*unknown instance 2 of 'dev'*" },
    { "newer-version", h_newer, "*'dev' instance 0*3 is newer than 2*" },
    { "newest-version", h_newest, "*4294967295 is newer than 2*" },
    { "older-version", h_older, "*version 1 of 'dev'; 2 to 2*" },
    { "name-empty", h_name_empty, "*an empty name*" },
    { "name-with-zero", h_name_zero, "*4 bytes with a zero byte*" },
    { "name-cut", h_name_cut, "*3 bytes into a value of 255" },
    { "live-as-full", h_live_as_full, "*'ram'*0x04; *must be 0x01" },
    { "device-as-start", h_device_as_start, "*'dev'*0x01; *must be 0x04" },
    { "part-first", h_part_first, "*0x02 with id 0, which no START*" },
    { "id-twice", h_id_twice, "*section id 1 is used twice" },
    { "section-twice", h_section_twice, "*comes twice, as ids 1 and 2" },
    { "part-of-device", h_part_of_device, "*0x02 after the section's end" },
    { "footer-missing", h_footer_missing, "*'dev'*0x00 where the section's*" },
    { "footer-id", h_footer_id, "*footer is that of section id 2, not of 1" },
    { "payload-long", h_payload_long, "*'dev' instance 0*0x00 where*" },
    { "count-beyond", h_count, "*'list' has 5 entries, at most 4*" },
    { "post-load", h_post_load, "*'dev' instance 0, offset *a dead device" },
    { "end-at-once", h_end_at_once, "*ends without any of section 'ram'*" },
    { "ram-without-end", h_ram_without_end, "*without the end of*'ram'*" },
    { "command-unknown", h_command_unknown, "*unknown command 65535" },
    { "command-zero", h_command_zero, "*unknown command 0" },
    { "command-refused", h_command_refused, "*7 (packaged) is not possible*" },
    { "command-length", h_command_len, "*2 (ping) with 65535 bytes*it has 4" },
    { "command-cut", h_command_cut, "*'command'*2 bytes into a value of 4" },
};

static void test_hostile(gconstpointer opaque)
{
    const Hostile *h = opaque;
    g_autoptr(GByteArray) bytes = g_byte_array_new();
    g_autofree char *pattern = g_strconcat("migration stream, section *",
                                           h->pattern, NULL);
    Machine m;

    machine_init(&m);
    h->write(bytes);
    test_load_fails(&m.t, bytes->data, bytes->len, pattern);
    machine_clear(&m);
}

/* A device of the destination that the stream does not have. */
static void test_missing_device(void)
{
    Machine src, dst;
    Dev more = { 0 }, optional = { 0 };
    g_autoptr(GByteArray) bytes = NULL;
    Error *err = NULL;

    machine_init(&src);
    machine_init(&dst);
    bytes = test_save(&src.t, &test_config);
    vm_lock(dst.t.vm);
    reg(&dst.t, "opt", &vmstate_optional, &optional);
    vm_unlock(dst.t.vm);
    test_load(&dst.t, &test_config, bytes->data, bytes->len, &err);
    g_assert_no_error(err);
    vm_lock(dst.t.vm);
    reg(&dst.t, "more", &vmstate_dev, &more);
    vm_unlock(dst.t.vm);
    test_load_fails(&dst.t, bytes->data, bytes->len,
                    "*ends without any of section 'more' instance 0");
    machine_clear(&src);
    machine_clear(&dst);
}

static void test_description_hostile(void)
{
    Machine m;
    g_autoptr(GByteArray) bytes = NULL;
    guint eof;

    machine_init(&m);
    bytes = test_save(&m.t, &test_config);
    for (eof = bytes->len - 1; memcmp(bytes->data + eof, "\0\6", 2); eof--) {
    }
    bytes->data[eof + 1] = 0x04;
    test_load_fails(&m.t, bytes->data, bytes->len,
                    "*'description'*0x04 after the end*");
    bytes->data[eof + 1] = 0x06;
    bytes->data[eof + 2] = 0x7f;
    test_load_fails(&m.t, bytes->data, bytes->len,
                    "*'description'*at most * are accepted");
    machine_clear(&m);
}

/* Cut after every byte: an error with its place, and no wait. */
static void test_truncated(void)
{
    Machine src, dst;
    g_autoptr(GByteArray) bytes = NULL;
    guint len, whole;

    machine_init(&src);
    machine_init(&dst);
    machine_fill(&src);
    bytes = test_save(&src.t, &test_config);
    /* Without the description all is there already. */
    whole = bytes->len - 1;
    while (memcmp(bytes->data + whole, "\0\6", 2)) {
        whole--;
    }
    for (len = 0; len < bytes->len; len++) {
        if (len == whole + 1) {
            g_assert_true(test_load(&dst.t, &test_config, bytes->data, len,
                                    NULL));
        } else {
            test_load_fails(&dst.t, bytes->data, len, "migration stream, "
                            "section '*' instance *, offset *");
        }
    }
    machine_clear(&src);
    machine_clear(&dst);
}

/* Every byte changed: loads or says where it failed; never worse. */
static void test_flipped(void)
{
    Machine src, dst;
    g_autoptr(GByteArray) bytes = NULL;
    unsigned loaded = 0;

    machine_init(&src);
    machine_init(&dst);
    machine_fill(&src);
    bytes = test_save(&src.t, &test_config);
    for (guint i = 0; i < bytes->len; i++) {
        static const uint8_t flips[] = { 0x01, 0x80, 0xff };

        for (size_t k = 0; k < G_N_ELEMENTS(flips); k++) {
            Error *err = NULL;

            bytes->data[i] ^= flips[k];
            if (test_load(&dst.t, &test_config, bytes->data, bytes->len,
                          &err)) {
                loaded++;
            } else {
                g_assert_true(g_str_has_prefix(err->message,
                                               "migration stream, section '"));
                g_error_free(err);
            }
            bytes->data[i] ^= flips[k];
        }
    }
    g_assert_cmpuint(loaded, >, 0);     /* contents of pages and fields */
    machine_clear(&src);
    machine_clear(&dst);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++) {
        g_autofree char *path = g_strconcat("/savevm/section8/hostile/",
                                            hostile[i].name, NULL);

        g_test_add_data_func(path, &hostile[i], test_hostile);
    }
    g_test_add_func("/savevm/section8/missing-device", test_missing_device);
    g_test_add_func("/savevm/section8/description", test_description_hostile);
    g_test_add_func("/savevm/section8/truncated", test_truncated);
    g_test_add_func("/savevm/section8/flipped", test_flipped);
    return g_test_run();
}
