/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Section 6: what of a VFIO device goes into the stream, and what a stream may
 * do to one.
 */
#include <errno.h>
#include <string.h>

#include "migration/migration-int.h"
#include "timing.h"
#include "vfio-mig-rig.h"

#define S(name) VFIO_DEVICE_STATE_##name
#define KEYS "id=g,state-size=3M,initial-size=1M,stop-size=1M"
#define ANY UINT64_MAX

static uint64_t digest(VfioRig *rig)
{
    uint64_t val = 0;

    g_assert_true(sim_state_digest(rig->mig->state, &val));
    return val;
}

static GByteArray *save(VfioRig *rig)
{
    GByteArray *bytes;

    vm_unlock(rig->t.vm);
    bytes = test_save(&rig->t, &test_config);
    vm_lock(rig->t.vm);
    return bytes;
}

static bool load(VfioRig *rig, const GByteArray *bytes, Error **errp)
{
    bool ok;

    vm_unlock(rig->t.vm);
    ok = test_load(&rig->t, &test_config, bytes->data, bytes->len, errp);
    vm_lock(rig->t.vm);
    return ok;
}

/* Whole, with reads and writes of any length: the same state comes out. */
static void test_there(void)
{
    static const char *const faults[] = {
        "", ",fault=read:short*5000", ",precopy=off", ",p2p=off",
        ",dirty-rate=1M",
    };

    for (guint i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autofree char *keys = g_strconcat(KEYS, faults[i], NULL);
        g_autoptr(GByteArray) bytes = NULL;
        VfioRig src, dst;
        Error *err = NULL;
        uint64_t sent;

        /* One big lock at a time. */
        rig_init(&src, keys, 16);
        rig_realize(&src);
        bytes = save(&src);
        g_assert_cmpuint(vfio_mig_state(src.vdev.migration), ==, S(STOP));
        sent = digest(&src);
        rig_clear(&src);
        rig_init(&dst, KEYS ",fault=write:short*3000", 16);
        rig_realize(&dst);
        load(&dst, bytes, &err);
        g_assert_no_error(err);
        g_assert_cmpuint(vfio_mig_state(dst.vdev.migration), ==, S(STOP));
        g_assert_cmpuint(digest(&dst), ==, sent);
        rig_clear(&dst);
    }
}

/* The payload of the device's sections, in order, from the whole stream. */
static uint64_t get64(const GByteArray *b, size_t at)
{
    uint64_t val;

    g_assert_cmpuint(at + 8, <=, b->len);
    memcpy(&val, b->data + at, 8);
    return GUINT64_FROM_BE(val);
}

/* Where the first record @flag at or behind @from is; 0: nowhere. */
static size_t find_flag(const GByteArray *b, size_t from, uint64_t flag)
{
    uint64_t raw = GUINT64_TO_BE(flag);
    uint8_t *hit = memmem(b->data + from, b->len - from, &raw, 8);

    return hit ? hit - b->data : 0;
}

/* Driven by bytes, records are full: 3 MiB are not thousands of records. */
static void test_records(void)
{
    g_autoptr(GByteArray) bytes = NULL;
    unsigned records = 0;
    uint64_t sum = 0;
    VfioRig rig;
    size_t at;

    rig_init(&rig, KEYS ",fault=read:short*200000", 16);
    rig_realize(&rig);
    bytes = save(&rig);
    at = find_flag(bytes, 0, VFIO_MIG_FLAG_DEV_SETUP_STATE);
    g_assert_cmpuint(get64(bytes, at + 8), ==, VFIO_MIG_FLAG_END_OF_STATE);
    while ((at = find_flag(bytes, at + 1, VFIO_MIG_FLAG_DEV_DATA_STATE))) {
        records++;
        g_assert_cmpuint(get64(bytes, at + 8), <=, VFIO_MIG_CHUNK_BYTES);
        sum += get64(bytes, at + 8);
    }
    g_assert_cmpuint(sum, ==, sim_state_offset(rig.mig->state));
    /* 10 ms of single bytes each, at worst. */
    if (TIMING_COUNTS) {
        g_assert_cmpuint(records, <, 60);
    }
    rig_clear(&rig);
}

/* ---- a device that fails, at the source ---- */

typedef struct SaveCase {
    const char *fault;
    int read_errno;
    const char *message;
} SaveCase;

static const SaveCase save_cases[] = {
    { ",fault=read:EIO@64K", 0, "Input/output error" },
    { ",fault=read:EIO@2900K", 0, "Input/output error" },
    { ",fault=state:EIO@stop-copy", 0, "stop-copy" },
    { "", EAGAIN, "temporarily" },
    /* There is no "nothing at the moment" in a device that is stopped. */
    { ",precopy=off", ENOMSG, "No message" },
};

static bool save_fails(VfioRig *rig, Error **errp)
{
    g_autoptr(IoChannel) ch = io_channel_new_buffer();
    MigStream *s = mig_stream_new_output(ch, clock_host());
    SaveVM *sv = savevm_new(rig->t.vm, s, &test_config);
    MigIterate res = MIG_ITERATE_MORE;
    bool ok;

    ok = savevm_write_header(sv, NULL) && savevm_setup(sv, errp);
    vm_unlock(rig->t.vm);
    while (ok && res == MIG_ITERATE_MORE) {
        res = savevm_iterate(sv, errp);
    }
    vm_lock(rig->t.vm);
    ok = ok && res == MIG_ITERATE_DONE && savevm_check_switchover(sv, errp) &&
         savevm_complete_live(sv, errp);
    savevm_cleanup(sv);
    savevm_free(sv);
    mig_stream_free(s);
    return !ok;
}

static void test_save_fails(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(save_cases); i++) {
        const SaveCase *c = &save_cases[i];
        g_autofree char *keys = g_strconcat(KEYS, c->fault, NULL);
        Error *err = NULL;
        VfioRig rig;

        rig_init(&rig, keys, 16);
        rig.read_errno = c->read_errno;
        rig_realize(&rig);
        g_assert_true(save_fails(&rig, &err));
        g_assert_nonnull(err);
        g_test_message("%s", err->message);
        g_assert_nonnull(strstr(err->message, "rig"));
        g_assert_nonnull(strstr(err->message, c->message));
        g_clear_error(&err);
        g_assert_cmpint(rig.open_fd, <, 0);
        rig_clear(&rig);
    }
}

/* A driver that says it has moved more than it was asked to. */
static void test_beyond(void)
{
    g_autoptr(GByteArray) bytes = NULL;
    Error *err = NULL;
    VfioRig rig;

    rig_init(&rig, KEYS, 16);
    rig_realize(&rig);
    bytes = save(&rig);
    rig_clear(&rig);
    rig_init(&rig, KEYS, 16);
    rig_realize(&rig);
    rig.read_beyond = true;
    g_assert_true(save_fails(&rig, &err));
    g_assert_nonnull(strstr(err->message, "Input/output error"));
    g_clear_error(&err);
    rig_clear(&rig);
    rig_init(&rig, KEYS, 16);
    rig_realize(&rig);
    rig.write_beyond = true;
    g_assert_false(load(&rig, bytes, &err));
    g_assert_nonnull(strstr(err->message, "Input/output error"));
    g_clear_error(&err);
    rig_clear(&rig);
}

/* ---- a stream that is wrong, at the destination ---- */

typedef struct LoadCase {
    uint64_t words[6];          /* up to the first 0 */
    const char *message;
} LoadCase;

#define F(name) VFIO_MIG_FLAG_##name
static const LoadCase load_cases[] = {
    { { 0x1234 }, "unknown record 0x1234" },
    { { F(DEV_INIT_DATA_SENT) + 1 }, "unknown record" },
    { { F(DEV_DATA_STATE), VFIO_MIG_CHUNK_BYTES + 1 }, "1048577 bytes" },
    { { F(DEV_DATA_STATE), ANY }, "at most 1048576" },
    { { F(DEV_DATA_STATE), UINT64_C(1) << 63 }, "at most 1048576" },
    { { F(DEV_SETUP_STATE), F(DEV_DATA_STATE) }, "behind the set-up" },
    { { F(DEV_CONFIG_STATE), 1 }, "configuration 0x0" },
    { { F(DEV_DATA_STATE), 40, 7, 7, 7, 7 }, "32 bytes into a value of 40" },
};

static void test_load_hostile(void)
{
    for (guint i = 0; i < G_N_ELEMENTS(load_cases); i++) {
        const LoadCase *c = &load_cases[i];
        g_autoptr(GByteArray) b = g_byte_array_new();
        Error *err = NULL;
        VfioRig rig;

        rig_init(&rig, KEYS, 0);
        rig_realize(&rig);
        put_header(b);
        put_start(b, QEMU_VM_SECTION_START, 1, "0000:00:01.0/vfio", 0, 1);
        for (guint j = 0; j < G_N_ELEMENTS(c->words) && c->words[j]; j++) {
            put64(b, c->words[j]);
        }
        g_assert_false(load(&rig, b, &err));
        g_test_message("%s", err->message);
        g_assert_nonnull(strstr(err->message, "0000:00:01.0/vfio"));
        g_assert_nonnull(strstr(err->message, c->message));
        g_clear_error(&err);
        /* What came of it is nobody's state. */
        g_assert_cmpuint(rig.resets, ==, 1);
        g_assert_cmpuint(vfio_mig_state(rig.vdev.migration), ==, S(RUNNING));
        rig_clear(&rig);
    }
}

/* Every byte of a good stream cut off or changed: an error, or all is well. */
static void test_load_mangled(void)
{
    static const char small[] = "id=g,state-size=128K,initial-size=64K,"
                                "stop-size=64K";
    g_autoptr(GByteArray) good = NULL;
    uint64_t sent;
    VfioRig src;

    rig_init(&src, small, 0);
    rig_realize(&src);
    good = save(&src);
    sent = digest(&src);
    rig_clear(&src);
    for (size_t at = 0; at < good->len; at += at < 400 ? 1 : 4099) {
        for (int cut = 0; cut < 2; cut++) {
            g_autoptr(GByteArray) bad = g_byte_array_new();
            VfioRig dst;
            bool ok;

            g_byte_array_append(bad, good->data, cut ? at : good->len);
            if (!cut) {
                bad->data[at] ^= 0x41;
            }
            rig_init(&dst, small, 0);
            rig_realize(&dst);
            ok = load(&dst, bad, NULL);
            g_assert_true(dst.vdev.migration->loaded || !ok);
            g_assert_cmpuint(vfio_mig_state(dst.vdev.migration), ==,
                             dst.vdev.migration->loaded ? S(STOP)
                                                        : S(RUNNING));
            if (dst.vdev.migration->loaded) {
                g_assert_cmpuint(digest(&dst), ==, sent);
            }
            rig_clear(&dst);
        }
    }
}

static void test_load_device_fails(void)
{
    static const struct {
        const char *fault;
        int write_errno;
        bool nothing;
        const char *message;
    } cases[] = {
        { "", ENOSPC, false, "No space left" },
        { "", 0, true, "refuses its state" },
        { ",fault=write:EIO@70K", 0, false, "Input/output error" },
        { ",fault=refuse:version", 0, false, "rig" },
        { ",fault=refuse:truncated", 0, false, "not accepted" },
        { ",fault=state:EIO*1@resuming", 0, false, "resuming" },
    };
    g_autoptr(GByteArray) good = NULL;
    VfioRig src;

    rig_init(&src, KEYS, 0);
    rig_realize(&src);
    good = save(&src);
    rig_clear(&src);
    for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *keys = g_strconcat(KEYS, cases[i].fault, NULL);
        Error *err = NULL;
        VfioRig dst;

        rig_init(&dst, keys, 0);
        dst.write_errno = cases[i].write_errno;
        dst.write_nothing = cases[i].nothing;
        rig_realize(&dst);
        g_assert_false(load(&dst, good, &err));
        g_test_message("%s", err->message);
        g_assert_nonnull(strstr(err->message, cases[i].message));
        g_clear_error(&err);
        g_assert_cmpuint(vfio_mig_state(dst.vdev.migration), ==, S(RUNNING));
        rig_clear(&dst);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add_func("/migration/spec-6/vfio/" name, fn)
    ADD("stream/there", test_there);
    ADD("stream/records", test_records);
    ADD("stream/save-fails", test_save_fails);
    ADD("stream/beyond", test_beyond);
    ADD("stream/load-hostile", test_load_hostile);
    ADD("stream/load-mangled", test_load_mangled);
    ADD("stream/load-device-fails", test_load_device_fails);
    return g_test_run();
}
