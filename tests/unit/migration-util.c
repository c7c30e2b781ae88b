/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "migration-util.h"

const SaveVMConfig test_config = { .machine = "virt" };

static bool count_open(void *opaque, Error **errp)
{
    (void)errp;
    if (opaque) {
        ((unsigned *)opaque)[0]++;
    }
    return true;
}

static bool count_ping(void *opaque, uint32_t value, Error **errp)
{
    (void)errp;
    if (opaque) {
        ((unsigned *)opaque)[1] = value;
    }
    return true;
}

const LoadVMOps test_load_ops = {
    .open_return_path = count_open,
    .ping = count_ping,
};

void test_vm_init(TestVm *t, uint64_t ram_pages)
{
    memset(t, 0, sizeof(*t));
    t->vm = vm_new();
    if (ram_pages > 0) {
        RamBacking backing = { .size = ram_pages * GUEST_PAGE_SIZE, .fd = -1 };

        t->rb = memory_ram_new(t->vm->memory, "ram0", &backing, NULL);
        g_assert_nonnull(t->rb);
        vm_lock(t->vm);
        t->ram = ram_new(t->vm, clock_host());
        vm_unlock(t->vm);
    }
}

void test_vm_clear(TestVm *t)
{
    vm_lock(t->vm);
    ram_free(t->ram);
    savevm_destroy(t->vm);
    vm_unlock(t->vm);
    vm_free(t->vm);
}

IoChannel *test_channel(const uint8_t *bytes, size_t len)
{
    IoChannel *ch = io_channel_new_buffer();
    bool ok = io_channel_write_all(ch, bytes, len, NULL);

    g_assert_true(ok);
    return ch;
}

void test_save_to(TestVm *t, const SaveVMConfig *config, IoChannel *ch)
{
    MigStream *s = mig_stream_new_output(ch, clock_host());
    SaveVM *sv = savevm_new(t->vm, s, config);
    MigIterate res = MIG_ITERATE_MORE;
    Error *err = NULL;
    bool ok;

    vm_lock(t->vm);
    ok = savevm_write_header(sv, &err) && savevm_setup(sv, &err);
    g_assert_no_error(err);
    g_assert_true(ok);
    vm_unlock(t->vm);
    while (res == MIG_ITERATE_MORE) {
        res = savevm_iterate(sv, &err);
    }
    g_assert_no_error(err);
    vm_lock(t->vm);
    ok = savevm_complete_live(sv, &err) &&
         savevm_save_devices(sv, NULL, &err) && savevm_write_end(sv, &err) &&
         savevm_write_description(sv, &err);
    g_assert_no_error(err);
    g_assert_true(ok);
    savevm_cleanup(sv);
    vm_unlock(t->vm);
    savevm_free(sv);
    mig_stream_free(s);
}

GByteArray *test_save(TestVm *t, const SaveVMConfig *config)
{
    IoChannel *ch = io_channel_new_buffer();
    GByteArray *bytes = g_byte_array_new();
    const uint8_t *data;
    size_t len;

    test_save_to(t, config, ch);
    data = io_channel_buffer_data(ch, &len);
    g_byte_array_append(bytes, data, len);
    io_channel_unref(ch);
    return bytes;
}

bool test_load_from(TestVm *t, const SaveVMConfig *config, IoChannel *ch,
                    Error **errp)
{
    MigStream *s = mig_stream_new_input(ch);
    LoadVM *lv = loadvm_new(t->vm, s, config, &test_load_ops, NULL);
    bool ok = loadvm_run(lv, errp) && loadvm_read_description(lv, errp);

    vm_lock(t->vm);
    loadvm_free(lv);
    vm_unlock(t->vm);
    mig_stream_free(s);
    return ok;
}

bool test_load(TestVm *t, const SaveVMConfig *config, const uint8_t *bytes,
               size_t len, Error **errp)
{
    IoChannel *ch = test_channel(bytes, len);
    bool ok = test_load_from(t, config, ch, errp);

    io_channel_unref(ch);
    return ok;
}

void test_load_fails(TestVm *t, const uint8_t *bytes, size_t len,
                     const char *pattern)
{
    Error *err = NULL;
    bool ok = test_load(t, &test_config, bytes, len, &err);

    g_assert_false(ok);
    g_assert_nonnull(err);
    if (!g_pattern_match_simple(pattern, err->message)) {
        g_test_message("'%s' does not match '%s'", err->message, pattern);
        g_test_fail();
    }
    g_error_free(err);
}

void put8(GByteArray *b, uint8_t val)
{
    g_byte_array_append(b, &val, 1);
}

void put16(GByteArray *b, uint16_t val)
{
    put8(b, val >> 8);
    put8(b, val);
}

void put32(GByteArray *b, uint32_t val)
{
    put16(b, val >> 16);
    put16(b, val);
}

void put64(GByteArray *b, uint64_t val)
{
    put32(b, val >> 32);
    put32(b, val);
}

void put_str(GByteArray *b, const char *str)
{
    put8(b, strlen(str));
    g_byte_array_append(b, (const guint8 *)str, strlen(str));
}

void put_header(GByteArray *b)
{
    put32(b, 0x5145564d);
    put32(b, 3);
    put8(b, 0x07);
    put32(b, 4);
    g_byte_array_append(b, (const guint8 *)"virt", 4);
}

void put_start(GByteArray *b, uint8_t type, uint32_t id, const char *idstr,
               uint32_t instance, uint32_t version)
{
    put8(b, type);
    put32(b, id);
    put_str(b, idstr);
    put32(b, instance);
    put32(b, version);
}

void put_footer(GByteArray *b, uint32_t id)
{
    put8(b, 0x7e);
    put32(b, id);
}

GByteArray *multifd_main_stream(const char *id, uint64_t bytes,
                                unsigned flushes)
{
    GByteArray *b = g_byte_array_new();

    put_header(b);
    put_start(b, 0x01, 1, "ram", 0, 4);
    put64(b, bytes | RAM_SAVE_FLAG_MEM_SIZE);
    put_str(b, id);
    put64(b, bytes);
    for (unsigned i = 0; i < flushes; i++) {
        put64(b, RAM_SAVE_FLAG_MULTIFD_FLUSH);
    }
    put64(b, RAM_SAVE_FLAG_EOS);
    put_footer(b, 1);
    put8(b, 0x03);
    put32(b, 1);
    put64(b, RAM_SAVE_FLAG_EOS);
    put_footer(b, 1);
    put8(b, 0x00);
    return b;
}
