/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest may do to a virtio device: registers, rings and the bytes in
 * them, kicks, time that passes, and what comes from the other side of the
 * back end meanwhile; at the end, if the input says so, the device moves to
 * another machine, with its state changed on the way.
 *
 * The first byte says which device (low two bits, or KEYBOARD), whether a
 * driver has set it up already, and with which features. Then come operations,
 * each a byte and its operands, little-endian; see run().
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit/virtio-rig.h"
#include "chardev/chardevs.h"
#include "hw/block/block.h"
#include "hw/input/keyboard.h"
#include "hw/input/keys.h"
#include "hw/net/net.h"
#include "qapi/qapi-types-net.h"
#include "system/runstate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define IMAGE_BYTES     (64 * 1024)
#define SLOT_BYTES      0x200
#define QUEUES          2

enum { KIND_RNG, KIND_BLK, KIND_NET, KIND_SERIAL, KIND_MASK = 3,
       KIND_KEYBOARD,
       /* of the first byte */
       DRIVEN = 4, ALL_FEATURES = 8, READ_ONLY = 16, KEYBOARD = 32 };

typedef struct Input {
    const uint8_t *data;
    size_t left;
} Input;

typedef struct World {
    Rig rig;
    int kind;
    int peer;                   /* the other side of net and serial, or -1 */
} World;

static uint64_t take(Input *in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && in->left; i++, in->left--) {
        value |= (uint64_t)*in->data++ << (8 * i);
    }
    return value;
}

/* The length of bytes that follow in the input. */
static size_t take_length(Input *in)
{
    size_t len = take(in, 1);

    return MIN(len, in->left);
}

static void *find_block(Vm *vm, const char *id)
{
    return block_find(vm, id);
}

static void *find_net(Vm *vm, const char *id)
{
    return net_find(vm, id);
}

static void *find_chardev(Vm *vm, const char *id)
{
    return chardev_find(vm, id);
}

static const PropertyLookup lookups[] = {
    [KIND_BLK] = { find_block, "-blockdev" },
    [KIND_NET] = { find_net, "-netdev" },
    [KIND_SERIAL] = { find_chardev, "-chardev" },
};

/* The image is one for all inputs: what is in it decides nothing. */
static const char *image_path(void)
{
    static char *path;

    if (!path) {
        int fd = memfd_create("fuzz-image", MFD_CLOEXEC);

        g_assert_cmpint(ftruncate(fd, IMAGE_BYTES), ==, 0);
        path = g_strdup_printf("/proc/self/fd/%d", fd);
    }
    return path;
}

static bool resolve_number(void *opaque, SocketAddress *addr, Error **errp)
{
    (void)opaque;
    (void)addr;
    (void)errp;
    return true;
}

static const ChardevHost chardev_host = { .resolve = resolve_number };

static int socket_pair(World *w)
{
    int ends[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                    ==, 0);
    w->peer = ends[1];
    return ends[0];
}

static void plug_blk(World *w, bool read_only)
{
    const BlockOptions options = {
        .node_name = "d0", .drive_id = "", .driver = "file",
        .filename = image_path(), .read_only = read_only, .discard = true,
        .writeback = true,
    };

    property_set_lookup(w->rig.vm, PROP_BLOCK, &lookups[KIND_BLK]);
    g_assert_nonnull(block_new(w->rig.vm, &options, NULL));
    rig_plug(&w->rig, "virtio-blk-device", "drive", "d0", "serial", "S1",
             NULL);
}

static void plug_net(World *w)
{
    Netdev options = { .id = (char *)"n0", .type = NET_CLIENT_DRIVER_SOCKET };
    g_autofree char *fd = g_strdup_printf("%d", socket_pair(w));

    options.u.socket.fd = fd;
    property_set_lookup(w->rig.vm, PROP_NET, &lookups[KIND_NET]);
    g_assert_nonnull(net_new(w->rig.vm, &options, NULL));
    rig_plug(&w->rig, "virtio-net-device", "netdev", "n0", NULL);
}

static void plug_serial(World *w)
{
    g_autofree char *text = g_strdup_printf("socket,id=c0,fd=%d",
                                            socket_pair(w));
    g_autoptr(ChardevOptions) options = chardev_parse(text, NULL);
    Vm *vm = w->rig.vm;
    Device *port;

    vm->chardevs = chardevs_new(vm->context, &chardev_host, vm);
    property_set_lookup(vm, PROP_CHARDEV, &lookups[KIND_SERIAL]);
    g_assert_nonnull(chardevs_add(vm->chardevs, options, NULL));
    rig_plug(&w->rig, "virtio-serial-device", NULL);
    port = device_new(vm, device_type_find("virtconsole"), NULL, NULL);
    g_assert_true(device_set_property(port, "chardev", "c0", NULL));
    g_assert_true(device_realize(port, NULL, NULL));
}

static int kind_of(uint8_t flags)
{
    return flags & KEYBOARD ? KIND_KEYBOARD : flags & KIND_MASK;
}

static void world_begin(World *w, uint8_t flags)
{
    w->kind = kind_of(flags);
    w->peer = -1;
    rig_begin(&w->rig);
    switch (w->kind) {
    case KIND_RNG:
        rig_plug(&w->rig, "virtio-rng-device", "max-bytes", "64", "period",
                 "1000", NULL);
        break;
    case KIND_BLK:
        plug_blk(w, flags & READ_ONLY);
        break;
    case KIND_NET:
        plug_net(w);
        break;
    case KIND_KEYBOARD:
        rig_plug(&w->rig, "virtio-keyboard-device", "serial", "S1", NULL);
        vm_start(w->rig.vm);
        break;
    default:
        plug_serial(w);
    }
}

static void main_loop(World *w)
{
    vm_unlock(w->rig.vm);
    for (int i = 0; i < 3; i++) {
        vm_main_loop_iterate(w->rig.vm, false);
    }
    vm_lock(w->rig.vm);
}

/* All requests done: what a stop of the machine waits for. */
static void settle(World *w)
{
    if (w->kind == KIND_BLK) {
        block_drain(block_find(w->rig.vm, "d0"));
    }
}

static void world_end(World *w)
{
    Vm *vm = w->rig.vm;

    settle(w);
    machine_destroy(vm);
    block_free_all(vm);
    net_free_all(vm);
    g_clear_pointer(&vm->chardevs, chardevs_free);
    machine_create(vm);
    rig_end(&w->rig);
    if (w->peer >= 0) {
        close(w->peer);
    }
}

/* What the other side has not read is thrown away, so that there is room. */
static void drain_peer(World *w)
{
    char buf[4096];

    while (w->peer >= 0 &&
           recv(w->peer, buf, sizeof(buf), MSG_DONTWAIT) > 0) {
    }
}

static void set_descriptor(World *w, Input *in)
{
    unsigned queue = take(in, 1) % QUEUES;
    unsigned index = take(in, 1) % RIG_QUEUE_SIZE;
    uint32_t addr = take(in, 3), len = take(in, 2);
    uint8_t flags = take(in, 1), next = take(in, 1);

    /* The top bits of flags make what no driver would write. */
    rig_set_desc(&w->rig, queue, index,
                 RIG_RAM + addr + (flags & 0x80 ? UINT64_MAX << 40 : 0),
                 len << (flags & 0x40 ? 16 : 0), flags & 0x3f, next);
}

static void write_memory(World *w, Input *in)
{
    uint32_t at = take(in, 3) % RIG_RAM_BYTES;
    size_t len = take_length(in);

    len = MIN(len, RIG_RAM_BYTES - at);
    memcpy(w->rig.ram->host + at, in->data, len);
    in->data += len;
    in->left -= len;
}

/* The other side of a keyboard: no bytes is the button. */
static void press_keys(World *w, const uint8_t *numbers, size_t count)
{
    KeyStroke stroke = { .hold_ms = 100 };
    g_autoptr(Error) err = NULL;

    for (size_t i = 0; i < count && stroke.count < STROKE_KEYS_MAX; i++) {
        uint16_t code = key_from_number(numbers[i]);

        if (code) {
            stroke.keys[stroke.count++] = code;
        }
    }
    if (stroke.count) {
        keyboards_strike(w->rig.vm, &stroke, &err);
    } else {
        vm_request_powerdown(w->rig.vm);
    }
}

static void peer_sends(World *w, Input *in)
{
    size_t len = take_length(in);
    uint32_t frame = GUINT32_TO_BE(len);

    if (w->kind == KIND_KEYBOARD) {
        press_keys(w, in->data, len);
    } else if (w->peer >= 0) {
        if (w->kind == KIND_NET) {
            send(w->peer, &frame, 4, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        send(w->peer, in->data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    in->data += len;
    in->left -= len;
}

static void access_slot(World *w, Input *in, bool write, unsigned size)
{
    Memory *mem = w->rig.vm->memory;
    hwaddr addr = RIG_SLOT + take(in, 2) % (SLOT_BYTES - size + 1);
    uint64_t value = 0;

    if (write) {
        memory_io_write(mem, addr, size, take(in, size));
    } else {
        memory_io_read(mem, addr, size, &value);
    }
}

/* Saves the device, changes bytes of that, and has another load and use it. */
static void move(World *w, uint8_t flags, Input *in)
{
    GByteArray *state;
    World other;

    settle(w);
    state = hw_test_save(w->rig.dev);
    while (in->left && state->len) {
        uint16_t at = take(in, 2);

        state->data[at % state->len] ^= take(in, 1);
    }
    world_begin(&other, flags);
    memcpy(other.rig.ram->host, w->rig.ram->host, RIG_RAM_BYTES);
    if (hw_test_load(other.rig.dev, state, NULL)) {
        for (unsigned n = 0; n < QUEUES; n++) {
            other.rig.avail[n] = w->rig.avail[n];
            rig_offer(&other.rig, n, 0);
        }
        main_loop(&other);
        vm_clock_step(other.rig.vm, INT64_C(1100000000));
    }
    world_end(&other);
    g_byte_array_unref(state);
}

static void run(World *w, uint8_t flags, Input *in)
{
    while (in->left) {
        uint8_t op = take(in, 1);
        unsigned n;

        switch (op % 16) {
        case 0:
            access_slot(w, in, true, 4);
            break;
        case 1:
            access_slot(w, in, true, 1 << (op >> 4) % 4);
            break;
        case 2:
            access_slot(w, in, false, 1 << (op >> 4) % 4);
            break;
        case 3:
        case 4:
            set_descriptor(w, in);
            break;
        case 5:
        case 6:
            n = take(in, 1);
            rig_offer(&w->rig, n % QUEUES, n / QUEUES);
            break;
        case 7:
            write_memory(w, in);
            break;
        case 8:
            vm_clock_step(w->rig.vm, take(in, 2) * INT64_C(1000000));
            break;
        case 9:
            peer_sends(w, in);
            break;
        case 10:
            drain_peer(w);
            break;
        case 11:
            main_loop(w);
            break;
        case 12:
            rig_drive(&w->rig, op & 0x10 ? UINT64_MAX : 0, 1);
            break;
        case 13:
            hw_test_reset(w->rig.vm);
            break;
        case 14:
            settle(w);
            break;
        default:
            move(w, flags, in);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input in = { data, size };
    uint8_t flags;
    World w;

    flags = take(&in, 1);
    world_begin(&w, flags);
    if (flags & DRIVEN) {
        rig_drive(&w.rig, flags & ALL_FEATURES ? UINT64_MAX : 0,
                  kind_of(flags) < KIND_NET ? 1 : 2);
    }
    run(&w, flags, &in);
    main_loop(&w);
    world_end(&w);
    return 0;
}
