/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtio devices as a driver meets them (virtio 1.2), a driver that breaks the
 * rules, and their state on the move.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/block/block.h"
#include "hw/net/net.h"
#include "qapi/qapi-types-net.h"
#include "virtio-rig.h"

enum { MAGIC = 0x00, VERSION = 0x04, DEVICE_ID = 0x08, QUEUE_NUM_MAX = 0x34,
       QUEUE_SEL = 0x30, ISR = 0x60, ISR_ACK = 0x64, STATUS = 0x70,
       CONFIG = 0x100 };
#define NEEDS_RESET 64

/* --- the transport and the queues, over the entropy device --- */

static void rng_begin(Rig *rig, uint64_t features)
{
    rig_begin(rig);
    rig_plug(rig, "virtio-rng-device", NULL);
    rig_drive(rig, features, 1);
}

static void test_identity(void)
{
    Rig rig;

    rng_begin(&rig, 0);
    g_assert_cmphex(rig_read(&rig, MAGIC), ==, 0x74726976);
    g_assert_cmpuint(rig_read(&rig, VERSION), ==, 2);
    g_assert_cmpuint(rig_read(&rig, DEVICE_ID), ==, VIRTIO_ID_RNG);
    rig_write(&rig, QUEUE_SEL, 1);
    g_assert_cmpuint(rig_read(&rig, QUEUE_NUM_MAX), ==, 0);
    rig_end(&rig);
}

/* 2.1.2, 3.1.1: a driver that does not take VERSION_1 is told so. */
static void test_legacy_driver(void)
{
    Rig rig;

    rig_begin(&rig);
    rig_plug(&rig, "virtio-rng-device", NULL);
    rig_write(&rig, STATUS, 3);
    rig_write(&rig, STATUS, 11);
    g_assert_cmpuint(rig_read(&rig, STATUS), ==, 3);
    rig_end(&rig);
}

static void test_chain(gconstpointer features)
{
    uint8_t *data;
    unsigned zeroes = 0;
    Rig rig;

    rng_begin(&rig, GPOINTER_TO_SIZE(features));
    data = rig.ram->host + (RIG_DATA - RIG_RAM);
    rig_set_desc(&rig, 0, 2, RIG_DATA, 100, RIG_WRITE | RIG_NEXT, 5);
    rig_set_desc(&rig, 0, 5, RIG_DATA + 200, 56, RIG_WRITE, 0);
    for (int round = 1; round <= 3 * RIG_QUEUE_SIZE; round++) {
        rig_offer(&rig, 0, 2);
        g_assert_cmpuint(rig_used_index(&rig, 0), ==, round);
        g_assert_cmpuint(rig_used_len(&rig, 0, round - 1), ==, 156);
    }
    for (int i = 0; i < 256; i++) {
        if (i >= 100 && i < 200) {
            g_assert_cmpuint(data[i], ==, 0);
        } else {
            zeroes += data[i] == 0;
        }
    }
    g_assert_cmpuint(zeroes, <, 20);
    g_assert_true(rig.lines[0]);
    g_assert_cmpuint(rig_read(&rig, ISR), ==, 1);
    rig_write(&rig, ISR_ACK, 1);
    g_assert_false(rig.lines[0]);
    rig_end(&rig);
}

static void test_indirect(void)
{
    Rig rig;

    rng_begin(&rig, 1 << VIRTIO_F_INDIRECT_DESC);
    /* The table itself lies in the data area; made through queue 0's macro. */
    rig_set_desc(&rig, 0, 0, RIG_DATA, 32, RIG_WRITE, 0);
    memcpy(rig.ram->host + (RIG_DATA + 0x1000 - RIG_RAM),
           rig.ram->host + (RIG_DESC(0) - RIG_RAM), 16);
    rig_set_desc(&rig, 0, 0, RIG_DATA + 0x1000, 16, RIG_INDIRECT, 0);
    rig_offer(&rig, 0, 0);
    g_assert_cmpuint(rig_used_len(&rig, 0, 0), ==, 32);
    rig_end(&rig);
}

/* 2.7.7.2: with EVENT_IDX the driver says from which entry on. */
static void test_event_index(void)
{
    Rig rig;

    rng_begin(&rig, 1 << VIRTIO_F_EVENT_IDX);
    rig_set_desc(&rig, 0, 0, RIG_DATA, 16, RIG_WRITE, 0);
    rig_offer(&rig, 0, 0);              /* the first is always told */
    rig_write(&rig, ISR_ACK, 1);
    memory_st16(rig.vm->memory, RIG_AVAIL(0) + 4 + 2 * RIG_QUEUE_SIZE, 3);
    rig_offer(&rig, 0, 0);
    rig_offer(&rig, 0, 0);
    g_assert_false(rig.lines[0]);
    rig_offer(&rig, 0, 0);
    g_assert_true(rig.lines[0]);
    rig_end(&rig);
}

typedef struct BadChain {
    const char *what;
    hwaddr addr;
    uint32_t len;
    uint16_t flags, next;
    unsigned head;
} BadChain;

static const BadChain bad_chains[] = {
    { "buffer outside of RAM", 0x1000, 16, RIG_WRITE, 0, 0 },
    { "buffer over the end", RIG_RAM + RIG_RAM_BYTES - 8, 16, RIG_WRITE, 0, 0 },
    { "address that wraps", UINT64_MAX - 7, 16, RIG_WRITE, 0, 0 },
    { "empty buffer", RIG_DATA, 0, RIG_WRITE, 0, 0 },
    { "head beyond the table", RIG_DATA, 16, RIG_WRITE, 0, RIG_QUEUE_SIZE },
    { "next beyond the table", RIG_DATA, 16, RIG_WRITE | RIG_NEXT, 99, 0 },
    { "chain that never ends", RIG_DATA, 16, RIG_WRITE | RIG_NEXT, 0, 0 },
    { "indirect, not negotiated", RIG_DATA, 16, RIG_INDIRECT, 0, 0 },
};

/* The device stops, says so, and works again after a reset. */
static void test_bad_chain(gconstpointer data)
{
    const BadChain *bad = data;
    Rig rig;

    rng_begin(&rig, 0);
    rig_set_desc(&rig, 0, 0, bad->addr, bad->len, bad->flags, bad->next);
    rig_offer(&rig, 0, bad->head);
    g_assert_cmpuint(rig_used_index(&rig, 0), ==, 0);
    g_assert_cmpuint(rig_read(&rig, STATUS) & NEEDS_RESET, ==, NEEDS_RESET);
    rig_drive(&rig, 0, 1);
    rig_set_desc(&rig, 0, 0, RIG_DATA, 16, RIG_WRITE, 0);
    rig_offer(&rig, 0, 0);
    g_assert_cmpuint(rig_used_index(&rig, 0), ==, 1);
    rig_end(&rig);
}

static void test_runaway_index(void)
{
    Rig rig;

    rng_begin(&rig, 0);
    rig.avail[0] = RIG_QUEUE_SIZE;      /* one more than there is room for */
    rig_offer(&rig, 0, 0);
    g_assert_cmpuint(rig_read(&rig, STATUS) & NEEDS_RESET, ==, NEEDS_RESET);
    rig_end(&rig);
}

static void test_rng_quota(void)
{
    Rig rig;

    rig_begin(&rig);
    rig_plug(&rig, "virtio-rng-device", "max-bytes", "24", "period", "1000",
             NULL);
    rig_drive(&rig, 0, 1);
    rig_set_desc(&rig, 0, 0, RIG_DATA, 16, RIG_WRITE, 0);
    rig_offer(&rig, 0, 0);
    rig_offer(&rig, 0, 0);
    rig_offer(&rig, 0, 0);
    g_assert_cmpuint(rig_used_index(&rig, 0), ==, 2);
    g_assert_cmpuint(rig_used_len(&rig, 0, 1), ==, 8);
    vm_clock_step(rig.vm, INT64_C(1000000000));
    g_assert_cmpuint(rig_used_index(&rig, 0), ==, 3);
    rig_end(&rig);
}

/* --- block --- */

#define IMAGE_BYTES (64 * 1024)
enum { BLK_IN = 0, BLK_OUT = 1, BLK_FLUSH = 4, BLK_GET_ID = 8,
       BLK_DISCARD = 11, BLK_ZEROES = 13 };

static void *find_block(Vm *vm, const char *id)
{
    return block_find(vm, id);
}

static const PropertyLookup lookup = { find_block, "-blockdev" };

static char *image_new(void)
{
    g_autofree uint8_t *bytes = g_malloc(IMAGE_BYTES);
    char *path = NULL;
    int fd = g_file_open_tmp("godwit-image-XXXXXX", &path, NULL);

    for (int i = 0; i < IMAGE_BYTES; i++) {
        bytes[i] = i / 512 + 1;
    }
    g_assert_cmpint(write(fd, bytes, IMAGE_BYTES), ==, IMAGE_BYTES);
    close(fd);
    return path;
}

static void blk_begin_cache(Rig *rig, const char *path, bool read_only,
                            uint64_t features, bool writeback,
                            const char *write_cache)
{
    const BlockOptions options = {
        .node_name = "d0", .drive_id = "", .driver = "file", .filename = path,
        .read_only = read_only, .discard = true, .writeback = writeback,
        .lock = true,
    };

    rig_begin(rig);
    property_set_lookup(rig->vm, PROP_BLOCK, &lookup);
    g_assert_nonnull(block_new(rig->vm, &options, NULL));
    rig_plug(rig, "virtio-blk-device", "drive", "d0", "serial", "S1",
             "write-cache", write_cache, NULL);
    rig_drive(rig, features, 1);
}

static void blk_begin(Rig *rig, const char *path, bool read_only,
                      uint64_t features)
{
    blk_begin_cache(rig, path, read_only, features, true, "auto");
}

static void blk_end(Rig *rig)
{
    Vm *vm = rig->vm;

    machine_destroy(vm);
    block_free_all(vm);
    machine_create(vm);
    rig_end(rig);
}

/* One request; its status byte. @data_flags 0: out, RIG_WRITE: in. */
static uint8_t blk_request(Rig *rig, uint32_t type, uint64_t sector,
                           uint32_t len, uint16_t data_flags)
{
    uint16_t used = rig_used_index(rig, 0);
    hwaddr header = RIG_DATA, data = RIG_DATA + 0x1000;
    hwaddr status = RIG_DATA + 0x800;
    uint8_t value = 0xff;

    memory_st32(rig->vm->memory, header, type);
    memory_st32(rig->vm->memory, header + 4, 0);
    memory_st64(rig->vm->memory, header + 8, sector);
    memory_write(rig->vm->memory, status, &value, 1);
    rig_set_desc(rig, 0, 0, header, 16, RIG_NEXT, len ? 1 : 2);
    rig_set_desc(rig, 0, 1, data, len, data_flags | RIG_NEXT, 2);
    rig_set_desc(rig, 0, 2, status, 1, RIG_WRITE, 0);
    rig_offer(rig, 0, 0);
    rig_await_used(rig, 0, used + 1);
    memory_read(rig->vm->memory, status, &value, 1);
    return value;
}

static uint8_t *blk_data(Rig *rig)
{
    return rig->ram->host + (RIG_DATA + 0x1000 - RIG_RAM);
}

static void test_blk_transfer(void)
{
    g_autofree char *path = image_new();
    g_autofree char *bytes = NULL;
    gsize len;
    Rig rig;

    blk_begin(&rig, path, false, UINT64_MAX);
    g_assert_cmpuint(rig_read(&rig, CONFIG), ==, IMAGE_BYTES / 512);
    g_assert_cmpint(blk_request(&rig, BLK_IN, 3, 1024, RIG_WRITE), ==, 0);
    g_assert_cmpuint(rig_used_len(&rig, 0, 0), ==, 1025);
    g_assert_cmpuint(blk_data(&rig)[0], ==, 4);
    g_assert_cmpuint(blk_data(&rig)[1023], ==, 5);
    memset(blk_data(&rig), 0xaa, 512);
    g_assert_cmpint(blk_request(&rig, BLK_OUT, 127, 512, 0), ==, 0);
    g_assert_cmpint(blk_request(&rig, BLK_FLUSH, 0, 0, 0), ==, 0);
    g_file_get_contents(path, &bytes, &len, NULL);
    g_assert_cmpuint(len, ==, IMAGE_BYTES);
    g_assert_cmpuint((uint8_t)bytes[127 * 512 - 1], ==, 127);
    g_assert_cmpuint((uint8_t)bytes[127 * 512], ==, 0xaa);
    g_assert_cmpint(blk_request(&rig, BLK_GET_ID, 0, 20, RIG_WRITE), ==, 0);
    g_assert_cmpstr((char *)blk_data(&rig), ==, "S1");
    blk_end(&rig);
    unlink(path);
}

static void test_blk_refused(void)
{
    g_autofree char *path = image_new();
    Rig rig;

    blk_begin(&rig, path, false, UINT64_MAX);
    g_assert_cmpint(blk_request(&rig, BLK_IN, 128, 512, RIG_WRITE), ==, 1);
    g_assert_cmpint(blk_request(&rig, BLK_IN, 127, 1024, RIG_WRITE), ==, 1);
    g_assert_cmpint(blk_request(&rig, BLK_IN, UINT64_MAX, 512, RIG_WRITE), ==,
                    1);
    g_assert_cmpint(blk_request(&rig, BLK_OUT, UINT64_MAX / 512, 512, 0), ==,
                    1);
    g_assert_cmpint(blk_request(&rig, BLK_IN, 0, 100, RIG_WRITE), ==, 1);
    g_assert_cmpint(blk_request(&rig, 77, 0, 512, RIG_WRITE), ==, 2);
    g_assert_cmpint(blk_request(&rig, BLK_IN, 0, 512, RIG_WRITE), ==, 0);
    blk_end(&rig);
    unlink(path);
}

static void test_blk_discard(void)
{
    g_autofree char *path = image_new();
    const struct { uint64_t sector; uint32_t sectors, flags; } range = {
        8, 16, 0
    }, far = { 120, 16, 0 };
    struct stat before, after;
    Rig rig;

    blk_begin(&rig, path, false, UINT64_MAX);
    stat(path, &before);
    memcpy(blk_data(&rig), &range, 16);
    g_assert_cmpint(blk_request(&rig, BLK_DISCARD, 0, 16, 0), ==, 0);
    stat(path, &after);
    g_assert_cmpint(after.st_size, ==, before.st_size);
    g_assert_cmpint(blk_request(&rig, BLK_IN, 8, 512, RIG_WRITE), ==, 0);
    g_assert_cmpuint(blk_data(&rig)[0], ==, 0);
    memcpy(blk_data(&rig), &far, 16);
    g_assert_cmpint(blk_request(&rig, BLK_ZEROES, 0, 16, 0), ==, 1);
    blk_end(&rig);
    unlink(path);
}

static void test_blk_read_only(void)
{
    g_autofree char *path = image_new();
    Rig rig;

    blk_begin(&rig, path, true, UINT64_MAX);
    g_assert_cmphex(rig_features(&rig) & 1 << 5, ==, 1 << 5);
    g_assert_cmpint(blk_request(&rig, BLK_OUT, 0, 512, 0), ==, 1);
    g_assert_cmpint(blk_request(&rig, BLK_IN, 0, 512, RIG_WRITE), ==, 0);
    blk_end(&rig);
    unlink(path);
}

/* An image is written by one machine at a time. */
/* The byte at CONFIG_WCE that a driver finds, chooses, and finds again. */
static void test_blk_cache(void)
{
    static const struct {
        bool back_end;
        const char *property;
        unsigned found;
    } cases[] = {
        { true, "auto", 1 }, { false, "auto", 0 }, { true, "off", 0 },
        { false, "on", 1 },
    };
    const hwaddr cache = RIG_SLOT + 0x100 + 32;
    g_autofree char *path = image_new();
    Rig rig;

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        blk_begin_cache(&rig, path, false, UINT64_MAX, cases[i].back_end,
                        cases[i].property);
        g_assert_cmphex(rig_features(&rig) & 1 << 11, ==, 1 << 11);
        g_assert_cmpuint(hw_read(rig.vm, cache, 1), ==, cases[i].found);
        hw_write(rig.vm, cache, 1, !cases[i].found);
        g_assert_cmpuint(hw_read(rig.vm, cache, 1), ==, !cases[i].found);
        rig_write(&rig, STATUS, 0);
        g_assert_cmpuint(hw_read(rig.vm, cache, 1), ==, cases[i].found);
        blk_end(&rig);
    }
    unlink(path);
}

static void test_blk_lock(void)
{
    g_autofree char *path = image_new();
    const BlockOptions options = {
        .node_name = "d0", .drive_id = "", .driver = "file", .filename = path,
        .lock = true,
    };
    Error *err = NULL;
    Rig rig, other;

    blk_begin(&rig, path, false, 0);
    rig_begin(&other);
    g_assert_false(block_claim(block_new(other.vm, &options, NULL), "x",
                               &err));
    g_assert_nonnull(strstr(err->message, path));
    g_error_free(err);
    block_free_all(other.vm);
    rig_end(&other);
    blk_end(&rig);
    unlink(path);
}

/* --- net --- */

static void *find_net(Vm *vm, const char *id)
{
    return net_find(vm, id);
}

static const PropertyLookup net_prop_lookup = { find_net, "-netdev" };

static void test_net_socket(void)
{
    Netdev options = { .id = (char *)"n0", .type = NET_CLIENT_DRIVER_SOCKET };
    g_autofree char *text = NULL;
    uint8_t frame[4 + 60] = { 0, 0, 0, 60, 1, 2, 3 }, back[64];
    int ends[2];
    Rig rig;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    text = g_strdup_printf("%d", ends[0]);
    options.u.socket.fd = text;
    rig_begin(&rig);
    property_set_lookup(rig.vm, PROP_NET, &net_prop_lookup);
    g_assert_nonnull(net_new(rig.vm, &options, NULL));
    rig_plug(&rig, "virtio-net-device", "netdev", "n0", NULL);
    rig_drive(&rig, 0, 2);

    /* A frame that comes before there is a buffer waits for it. */
    g_assert_cmpint(write(ends[1], frame, sizeof(frame)), ==, sizeof(frame));
    vm_unlock(rig.vm);
    vm_main_loop_iterate(rig.vm, false);
    vm_lock(rig.vm);
    rig_set_desc(&rig, 0, 0, RIG_DATA, 2048, RIG_WRITE, 0);
    rig_offer(&rig, 0, 0);
    rig_await_used(&rig, 0, 1);
    g_assert_cmpuint(rig_used_len(&rig, 0, 0), ==, 12 + 60);
    g_assert_cmpmem(rig.ram->host + (RIG_DATA + 12 - RIG_RAM), 60, frame + 4,
                    60);

    /* And one the other way, header and data apart. */
    memset(rig.ram->host + (RIG_DATA - RIG_RAM), 0, 12);
    rig_set_desc(&rig, 1, 0, RIG_DATA, 12, RIG_NEXT, 1);
    rig_set_desc(&rig, 1, 1, RIG_DATA + 12, 60, 0, 0);
    rig_offer(&rig, 1, 0);
    rig_await_used(&rig, 1, 1);
    g_assert_cmpint(read(ends[1], back, sizeof(back)), ==, 64);
    g_assert_cmpmem(back, 64, frame, 64);

    machine_destroy(rig.vm);
    net_free_all(rig.vm);
    machine_create(rig.vm);
    rig_end(&rig);
    close(ends[1]);
}

/* --- on the move --- */

static void test_move(void)
{
    GByteArray *state;
    Rig from, to;

    rng_begin(&from, UINT64_MAX);
    rig_begin(&to);
    rig_plug(&to, "virtio-rng-device", NULL);
    rig_set_desc(&from, 0, 0, RIG_DATA, 16, RIG_WRITE, 0);
    for (int i = 0; i < 11; i++) {
        rig_offer(&from, 0, 0);
    }
    memcpy(to.ram->host, from.ram->host, RIG_RAM_BYTES);
    state = hw_test_save(from.dev);
    g_assert_true(hw_test_load(to.dev, state, NULL));
    g_assert_true(to.lines[0]);
    to.avail[0] = from.avail[0];
    rig_offer(&to, 0, 0);
    g_assert_cmpuint(rig_used_index(&to, 0), ==, 12);
    g_byte_array_unref(state);
    rig_end(&from);
    rig_end(&to);
}

/* A driver that broke its device cannot keep the machine from moving. */
static void test_move_broken(void)
{
    g_autofree char *path = image_new();
    GByteArray *state;
    Rig from, to;

    blk_begin(&from, path, false, 0);
    rig_set_desc(&from, 0, 0, RIG_DATA, 8, 0, 0);
    rig_offer(&from, 0, 0);             /* half a header, no status */
    g_assert_cmpuint(rig_read(&from, STATUS) & NEEDS_RESET, ==, NEEDS_RESET);
    state = hw_test_save(from.dev);
    blk_end(&from);
    blk_begin(&to, path, false, 0);
    g_assert_true(hw_test_load(to.dev, state, NULL));
    g_assert_cmpuint(rig_read(&to, STATUS) & NEEDS_RESET, ==, NEEDS_RESET);
    blk_end(&to);
    g_byte_array_unref(state);
    unlink(path);
}

/* Nor can one that writes nonsense into its rings: they travel as they are. */
static void test_move_bad_ring(void)
{
    GByteArray *state;
    Rig from, to;

    rng_begin(&from, 0);
    rig_begin(&to);
    rig_plug(&to, "virtio-rng-device", NULL);
    memory_st16(from.vm->memory, RIG_AVAIL(0) + 2, 1000);
    memcpy(to.ram->host, from.ram->host, RIG_RAM_BYTES);
    state = hw_test_save(from.dev);
    g_assert_true(hw_test_load(to.dev, state, NULL));
    g_assert_cmpuint(rig_read(&to, STATUS) & NEEDS_RESET, ==, NEEDS_RESET);
    g_byte_array_unref(state);
    rig_end(&from);
    rig_end(&to);
}

/* A driver's random doings: features, chains, acknowledgements, a mistake. */
static void drive_at_random(Rig *rig, unsigned queues)
{
    unsigned offers = g_test_rand_int_range(0, 3 * RIG_QUEUE_SIZE);

    rig_drive(rig, g_test_rand_int() | (uint64_t)g_test_rand_int() << 32,
              queues);
    for (unsigned i = 0; i < offers; i++) {
        unsigned queue = g_test_rand_int_range(0, queues);
        uint16_t used = rig_used_index(rig, queue);

        rig_set_desc(rig, queue, 0, RIG_DATA, 64, queue ? 0 : RIG_WRITE, 0);
        rig_offer(rig, queue, 0);
        if (rig_used_index(rig, queue) == used) {
            break;      /* nobody takes it: it waits, and travels so */
        }
        if (g_test_rand_bit()) {
            rig_write(rig, ISR_ACK, rig_read(rig, ISR));
        }
    }
    if (g_test_rand_int_range(0, 4) == 0) {
        rig_offer(rig, 0, RIG_QUEUE_SIZE);
    }
}

static void check_round_trip(const char *type, unsigned queues)
{
    for (int round = 0; round < 30; round++) {
        Rig from, to;

        rig_begin(&from);
        rig_plug(&from, type, NULL);
        rig_begin(&to);
        rig_plug(&to, type, NULL);
        drive_at_random(&from, queues);
        memcpy(to.ram->host, from.ram->host, RIG_RAM_BYTES);
        hw_test_round_trip(from.dev, to.dev);
        g_assert_cmpint(to.lines[0], ==, from.lines[0]);
        g_assert_cmphex(rig_read(&to, STATUS), ==, rig_read(&from, STATUS));
        rig_end(&from);
        rig_end(&to);
    }
}

static void test_round_trips(void)
{
    check_round_trip("virtio-rng-device", 1);
    check_round_trip("virtio-net-device", 2);
    check_round_trip("virtio-serial-device", 2);
}

static void test_blk_round_trip(void)
{
    g_autofree char *one = image_new();
    g_autofree char *two = image_new();

    for (int round = 0; round < 20; round++) {
        Rig from, to;

        blk_begin(&from, one, false, g_test_rand_int() | UINT64_C(1) << 32);
        blk_begin(&to, two, false, 0);
        for (int i = g_test_rand_int_range(0, 12); i > 0; i--) {
            blk_request(&from, BLK_IN, g_test_rand_int_range(0, 200), 512,
                        RIG_WRITE);
        }
        memcpy(to.ram->host, from.ram->host, RIG_RAM_BYTES);
        hw_test_round_trip(from.dev, to.dev);
        to.avail[0] = from.avail[0];
        g_assert_cmpint(blk_request(&to, BLK_IN, 3, 512, RIG_WRITE), ==, 0);
        blk_end(&from);
        blk_end(&to);
    }
    unlink(one);
    unlink(two);
}

/* A disk of another size is another disk. */
static void test_blk_other_size(void)
{
    g_autofree char *one = image_new();
    g_autofree char *two = image_new();
    GByteArray *state;
    Error *err = NULL;
    Rig from, to;

    g_assert_cmpint(truncate(two, IMAGE_BYTES / 2), ==, 0);
    blk_begin(&from, one, false, 0);
    blk_begin(&to, two, false, 0);
    state = hw_test_save(from.dev);
    g_assert_false(hw_test_load(to.dev, state, &err));
    g_assert_nonnull(strstr(err->message, "128 sectors there, 64 here"));
    g_error_free(err);
    g_byte_array_unref(state);
    blk_end(&from);
    blk_end(&to);
    unlink(one);
    unlink(two);
}

/* Whatever a byte of the state is changed to: refused, or taken; no crash. */
static void test_hostile_state(void)
{
    GByteArray *state;
    Rig from, to;

    rng_begin(&from, UINT64_MAX);
    rig_begin(&to);
    rig_plug(&to, "virtio-rng-device", NULL);
    rig_set_desc(&from, 0, 0, RIG_DATA, 16, RIG_WRITE, 0);
    rig_offer(&from, 0, 0);
    memcpy(to.ram->host, from.ram->host, RIG_RAM_BYTES);
    state = hw_test_save(from.dev);
    for (guint i = 0; i < state->len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            Error *err = NULL;

            state->data[i] ^= 1 << bit;
            if (hw_test_load(to.dev, state, &err)) {
                rig_offer(&to, 0, 0);
            }
            g_clear_error(&err);
            state->data[i] ^= 1 << bit;
        }
    }
    g_byte_array_unref(state);
    rig_end(&from);
    rig_end(&to);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio/mmio/identity", test_identity);
    g_test_add_func("/virtio/mmio/legacy-driver", test_legacy_driver);
    g_test_add_data_func("/virtio/queue/chain", GSIZE_TO_POINTER(0),
                         test_chain);
    g_test_add_data_func("/virtio/queue/chain-all-features",
                         GSIZE_TO_POINTER(1 << VIRTIO_F_INDIRECT_DESC),
                         test_chain);
    g_test_add_func("/virtio/queue/indirect", test_indirect);
    g_test_add_func("/virtio/queue/event-index", test_event_index);
    for (size_t i = 0; i < G_N_ELEMENTS(bad_chains); i++) {
        g_autofree char *name = g_strdup_printf("/virtio/queue/bad/%s",
                                                bad_chains[i].what);

        g_test_add_data_func(name, &bad_chains[i], test_bad_chain);
    }
    g_test_add_func("/virtio/queue/bad/runaway index", test_runaway_index);
    g_test_add_func("/virtio/rng/quota", test_rng_quota);
    g_test_add_func("/virtio/blk/transfer", test_blk_transfer);
    g_test_add_func("/virtio/blk/refused", test_blk_refused);
    g_test_add_func("/virtio/blk/discard", test_blk_discard);
    g_test_add_func("/virtio/blk/read-only", test_blk_read_only);
    g_test_add_func("/virtio/blk/cache", test_blk_cache);
    g_test_add_func("/virtio/blk/lock", test_blk_lock);
    g_test_add_func("/virtio/net/socket", test_net_socket);
    g_test_add_func("/virtio/move", test_move);
    g_test_add_func("/virtio/round-trip", test_round_trips);
    g_test_add_func("/virtio/blk/round-trip", test_blk_round_trip);
    g_test_add_func("/virtio/blk/other-size", test_blk_other_size);
    g_test_add_func("/virtio/move-broken", test_move_broken);
    g_test_add_func("/virtio/move-bad-ring", test_move_bad_ring);
    g_test_add_func("/virtio/hostile-state", test_hostile_state);
    return g_test_run();
}
