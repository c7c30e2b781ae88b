/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A virtio keyboard as a driver meets it (virtio 1.2, section 5.8). */
#include <linux/input.h>

#include "keyboard-hands.h"
#include "virtio-rig.h"

enum { DEVICE_ID = 0x08, STATUS = 0x70, CONFIG = 0x100 };
#define NEEDS_RESET 64
#define MS INT64_C(1000000)

enum { EVENTS, LAMPS };         /* the queues */

static void kbd_plug(Rig *rig)
{
    rig_begin(rig);
    rig_plug(rig, "virtio-keyboard-device", "serial", "S1", NULL);
}

static void kbd_begin(Rig *rig)
{
    kbd_plug(rig);
    vm_start(rig->vm);
    rig_drive(rig, UINT64_MAX, 2);
}

/* Gives it @count buffers for events, of 8 bytes each. */
static void offer(Rig *rig, unsigned count)
{
    while (count--) {
        unsigned slot = rig->avail[EVENTS] % RIG_QUEUE_SIZE;

        rig_set_desc(rig, EVENTS, slot, RIG_DATA + 8 * slot, 8, RIG_WRITE, 0);
        rig_offer(rig, EVENTS, slot);
    }
}

/*
 * Events that have come from used entry @from on, as "+30 -30" for the key and
 * its end; each must have its EV_SYN behind it.
 */
static char *heard(Rig *rig, unsigned from)
{
    GString *text = g_string_new(NULL);
    unsigned end = rig_used_index(rig, EVENTS);

    g_assert_cmpuint((end - from) % 2, ==, 0);
    for (; from != end; from++) {
        const uint8_t *at = rig->ram->host + (RIG_DATA - RIG_RAM) +
                            8 * (from % RIG_QUEUE_SIZE);
        uint16_t type, code;
        uint32_t value;

        memcpy(&type, at, 2);
        memcpy(&code, at + 2, 2);
        memcpy(&value, at + 4, 4);
        g_assert_cmpuint(rig_used_len(rig, EVENTS, from), ==, 8);
        if (from % 2 == 0) {
            g_assert_cmpuint(type, ==, EV_KEY);
            g_assert_cmpuint(value, <=, 1);
            g_string_append_printf(text, "%s%c%u", text->len ? " " : "",
                                   value ? '+' : '-', code);
        } else {
            g_assert_true(type == EV_SYN && code == SYN_REPORT && value == 0);
        }
    }
    return g_string_free(text, false);
}

static void expect_heard(Rig *rig, unsigned from, const char *want)
{
    g_autofree char *text = heard(rig, from);

    g_assert_cmpstr(text, ==, want);
}

static void strike(Rig *rig, uint16_t one, uint16_t two, uint32_t hold_ms)
{
    const KeyStroke stroke = { { one, two }, two ? 2 : 1, hold_ms };
    Error *err = NULL;

    keyboards_strike(rig->vm, &stroke, &err);
    g_assert_no_error(err);
}

static void select_config(Rig *rig, uint8_t select, uint8_t subsel)
{
    hw_write(rig->vm, RIG_SLOT + CONFIG, 1, select);
    hw_write(rig->vm, RIG_SLOT + CONFIG + 1, 1, subsel);
}

static uint8_t config(Rig *rig, unsigned offset)
{
    return hw_read(rig->vm, RIG_SLOT + CONFIG + offset, 1);
}

static void expect_text(Rig *rig, uint8_t select, const char *want)
{
    select_config(rig, select, 0);
    g_assert_cmpuint(config(rig, 2), ==, strlen(want));
    for (unsigned i = 0; want[i]; i++) {
        g_assert_cmpuint(config(rig, 8 + i), ==, want[i]);
    }
}

/* Bits of an event type, and nothing behind the last of them. */
static void expect_bits(Rig *rig, uint8_t type, const uint16_t *codes,
                        size_t count)
{
    uint8_t want[128] = { 0 };
    unsigned size = 0;

    for (size_t i = 0; i < count; i++) {
        want[codes[i] / 8] |= 1 << codes[i] % 8;
        size = MAX(size, codes[i] / 8 + 1u);
    }
    select_config(rig, 0x11, type);
    g_assert_cmpuint(config(rig, 2), ==, size);
    for (unsigned i = 0; i < sizeof(want); i++) {
        g_assert_cmphex(config(rig, 8 + i), ==, want[i]);
    }
}

static void test_config(void)
{
    static const uint16_t repeat[] = { REP_DELAY, REP_PERIOD };
    static const uint8_t nothing[][2] = {
        { 0, 0 }, { 1, 1 }, { 2, 1 }, { 3, 9 }, { 0x10, 0 }, { 0x12, 0 },
        { 0x11, EV_SYN }, { 0x11, EV_REL }, { 0x11, EV_LED }, { 0x11, 0xff },
        { 0xff, 0 },
    };
    static const uint8_t ids[] = { 6, 0, 0x27, 6, 1, 0, 1, 0 };
    g_autoptr(GArray) codes = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    Rig rig;

    kbd_plug(&rig);
    g_assert_cmpuint(rig_read(&rig, DEVICE_ID), ==, 18);
    expect_text(&rig, 1, "Godwit Virtio Keyboard");
    expect_text(&rig, 2, "S1");
    select_config(&rig, 3, 0);
    g_assert_cmpuint(config(&rig, 2), ==, sizeof(ids));
    for (unsigned i = 0; i < sizeof(ids); i++) {
        g_assert_cmpuint(config(&rig, 8 + i), ==, ids[i]);
    }
    for (uint16_t code = 0; code < KEY_CODES; code++) {
        if (key_exists(code)) {
            g_array_append_val(codes, code);
        }
    }
    g_assert_cmpuint(codes->len, >, 150);
    expect_bits(&rig, EV_KEY, (uint16_t *)(void *)codes->data, codes->len);
    expect_bits(&rig, EV_REP, repeat, 2);
    for (size_t i = 0; i < G_N_ELEMENTS(nothing); i++) {
        expect_text(&rig, 1, "Godwit Virtio Keyboard");
        select_config(&rig, nothing[i][0], nothing[i][1]);
        for (unsigned at = 2; at < 136; at++) {
            g_assert_cmphex(config(&rig, at), ==, 0);
        }
    }

    /* What is not the driver's to write stays, in whatever width. */
    select_config(&rig, 1, 0);
    hw_write(rig.vm, RIG_SLOT + CONFIG, 4, 0xffffff02);
    hw_write(rig.vm, RIG_SLOT + CONFIG + 8, 4, UINT32_MAX);
    g_assert_cmphex(config(&rig, 1), ==, 0xff);
    g_assert_cmpuint(config(&rig, 2), ==, 0);
    hw_write(rig.vm, RIG_SLOT + CONFIG + 1, 1, 0);
    g_assert_cmpuint(config(&rig, 2), ==, 2);
    g_assert_cmpuint(config(&rig, 8), ==, 'S');
    g_assert_cmpuint(config(&rig, 10), ==, 0);
    rig_write(&rig, STATUS, 0);
    g_assert_cmpuint(config(&rig, 0), ==, 0);
    g_assert_cmpuint(config(&rig, 2), ==, 0);
    rig_end(&rig);
}

static void test_stroke(void)
{
    Rig rig;

    kbd_begin(&rig);
    offer(&rig, 8);
    strike(&rig, KEY_LEFTCTRL, KEY_A, 50);
    expect_heard(&rig, 0, "+29 +30");
    g_assert_true(rig.lines[0]);
    strike(&rig, KEY_B, 0, 1);          /* waits for its turn */
    vm_clock_step(rig.vm, 50 * MS - 1);
    expect_heard(&rig, 0, "+29 +30");
    vm_clock_step(rig.vm, 1);
    expect_heard(&rig, 0, "+29 +30 -30 -29");
    offer(&rig, 8);
    expect_heard(&rig, 8, "+48");
    vm_clock_step(rig.vm, MS);
    expect_heard(&rig, 8, "+48 -48");
    vm_clock_step(rig.vm, 1000 * MS);
    expect_heard(&rig, 8, "+48 -48");
    rig_end(&rig);
}

/* "SHOULD NOT drop individual events of a sequence": nor send half of one. */
static void test_never_half_a_report(void)
{
    Rig rig;

    kbd_begin(&rig);
    strike(&rig, KEY_A, 0, 50);
    offer(&rig, 1);
    g_assert_cmpuint(rig_used_index(&rig, EVENTS), ==, 0);
    offer(&rig, 1);
    expect_heard(&rig, 0, "+30");
    offer(&rig, 1);
    vm_clock_step(rig.vm, 1000 * MS);   /* held longer, for want of a buffer */
    g_assert_cmpuint(rig_used_index(&rig, EVENTS), ==, 2);
    offer(&rig, 1);
    expect_heard(&rig, 0, "+30 -30");
    rig_end(&rig);
}

static void test_power(void)
{
    Rig rig;

    kbd_begin(&rig);
    strike(&rig, KEY_A, 0, 50);
    push_button(rig.vm);
    push_button(rig.vm);                /* of this the guest hears once */
    offer(&rig, 2);
    push_button(rig.vm);
    expect_heard(&rig, 0, "+116");
    offer(&rig, 4);
    expect_heard(&rig, 0, "+116 -116 +30");
    offer(&rig, 2);
    push_button(rig.vm);                /* while a key is held */
    expect_heard(&rig, 6, "+116");
    offer(&rig, 2);
    expect_heard(&rig, 6, "+116 -116");
    offer(&rig, 2);
    vm_clock_step(rig.vm, 50 * MS);
    expect_heard(&rig, 6, "+116 -116 -30");
    rig_end(&rig);
}

static void test_bounded(void)
{
    Rig rig;

    kbd_begin(&rig);
    for (unsigned i = 0; i < 32; i++) {
        strike(&rig, i ? KEY_B : KEY_A, 0, 1);
    }
    expect_refused(rig.vm, "has not taken the 32");
    push_button(rig.vm);                /* for the button there is room */
    offer(&rig, 4);
    expect_heard(&rig, 0, "+116 -116");
    offer(&rig, 4);
    vm_clock_step(rig.vm, MS);
    expect_heard(&rig, 4, "+30 -30");
    strike(&rig, KEY_C, 0, 1);
    expect_refused(rig.vm, "has not taken the 32");
    rig_end(&rig);
}

/* Guest memory stays as it is while the guest stands still. */
static void test_paused(void)
{
    Rig rig;

    kbd_begin(&rig);
    offer(&rig, 8);
    strike(&rig, KEY_A, 0, 50);
    vm_stop(rig.vm, RUN_STATE_PAUSED);
    push_button(rig.vm);
    strike(&rig, KEY_B, 0, 50);
    rig_write(&rig, 0x50, EVENTS);      /* not even for a kick */
    expect_heard(&rig, 0, "+30");
    vm_start(rig.vm);
    expect_heard(&rig, 0, "+30 +116 -116");
    vm_clock_step(rig.vm, 50 * MS);
    expect_heard(&rig, 0, "+30 +116 -116 -30");
    rig_end(&rig);
}

static void test_reset(void)
{
    Rig rig;

    kbd_begin(&rig);
    offer(&rig, 2);
    strike(&rig, KEY_A, 0, 50);
    strike(&rig, KEY_B, 0, 50);
    push_button(rig.vm);
    hw_test_reset(rig.vm);
    expect_refused(rig.vm, "no driver");
    push_button(rig.vm);
    rig_drive(&rig, UINT64_MAX, 2);
    offer(&rig, 8);
    vm_clock_step(rig.vm, 1000 * MS);
    expect_heard(&rig, 0, "");
    strike(&rig, KEY_C, 0, 1);
    expect_heard(&rig, 0, "+46");
    rig_end(&rig);
}

/* Status events are taken and given back. */
static void test_status(void)
{
    Rig rig;

    kbd_begin(&rig);
    for (unsigned i = 0; i < 20; i++) {
        rig_set_desc(&rig, LAMPS, 0, RIG_DATA, 8, 0, 0);
        rig_offer(&rig, LAMPS, 0);
        g_assert_cmpuint(rig_used_index(&rig, LAMPS), ==, i + 1);
        g_assert_cmpuint(rig_used_len(&rig, LAMPS, i), ==, 0);
    }
    g_assert_true(rig.lines[0]);
    rig_end(&rig);
}

typedef struct BadBuffer {
    const char *what;
    unsigned queue;
    uint32_t len;
    uint16_t flags;
} BadBuffer;

static const BadBuffer bad_buffers[] = {
    { "event of seven bytes", EVENTS, 7, RIG_WRITE },
    { "event to read", EVENTS, 8, 0 },
    { "status of seven bytes", LAMPS, 7, 0 },
    { "status to write", LAMPS, 8, RIG_WRITE },
};

/* The device stops, with nothing half done, and works after a reset. */
static void test_bad_buffer(gconstpointer data)
{
    const BadBuffer *bad = data;
    unsigned slot = bad->queue == EVENTS;
    Rig rig;

    kbd_begin(&rig);
    offer(&rig, slot);
    rig_set_desc(&rig, bad->queue, slot, RIG_DATA + 64, bad->len, bad->flags,
                 0);
    rig_offer(&rig, bad->queue, slot);
    if (bad->queue == EVENTS) {
        strike(&rig, KEY_A, 0, 1);
    }
    g_assert_cmpuint(rig_read(&rig, STATUS) & NEEDS_RESET, ==, NEEDS_RESET);
    g_assert_cmpuint(rig_used_index(&rig, bad->queue), ==, 0);
    expect_refused(rig.vm, "no driver");
    vm_clock_step(rig.vm, 1000 * MS);
    rig_drive(&rig, 0, 2);
    offer(&rig, 4);
    strike(&rig, KEY_A, 0, 1);
    expect_heard(&rig, 0, "+30");
    rig_end(&rig);
}

/* --- on the move --- */

/* Carries the state and the memory of @from to @to, which then runs. */
static void move(Rig *from, Rig *to)
{
    vm_stop(from->vm, RUN_STATE_FINISH_MIGRATE);
    kbd_plug(to);
    memcpy(to->ram->host, from->ram->host, RIG_RAM_BYTES);
    vm_clock_enable(to->vm, false);
    vm_clock_set_virtual(to->vm, vm_clock_ns(from->vm, VM_CLOCK_VIRTUAL));
    hw_test_round_trip(from->dev, to->dev);
    to->avail[EVENTS] = from->avail[EVENTS];
    rig_end(from);
    vm_start(to->vm);
}

/* No key sticks, none is lost or heard twice, wherever the guest is moved. */
static void test_move(void)
{
    static const char *const want[] = { "+29", "+30", "-30", "-29", "+116",
                                        "-116", "+48", "-48" };
    Rig rigs[2];

    for (unsigned at = 0; at < G_N_ELEMENTS(want); at++) {
        Rig *rig = &rigs[0];

        kbd_begin(rig);
        strike(rig, KEY_LEFTCTRL, KEY_A, 50);
        strike(rig, KEY_B, 0, 50);
        for (unsigned i = 0; i < G_N_ELEMENTS(want); i++) {
            if (i == 4) {
                push_button(rig->vm);
            }
            if (i == at) {
                move(rig, &rigs[1]);
                rig = &rigs[1];
            }
            if (i == 2 || i == 7) {
                vm_clock_step(rig->vm, 50 * MS - 1);
                offer(rig, 2);
                g_assert_cmpuint(rig_used_index(rig, EVENTS), ==, 2 * i);
                vm_clock_step(rig->vm, 1);
            } else {
                offer(rig, 2);
            }
            expect_heard(rig, 2 * i, want[i]);
        }
        rig_end(rig);
    }
}

/* The button alone, of which the guest has heard nothing yet, or half. */
static void test_move_button(void)
{
    Rig rig, other;

    kbd_begin(&rig);
    push_button(rig.vm);
    move(&rig, &other);
    offer(&other, 2);
    expect_heard(&other, 0, "+116");
    move(&other, &rig);
    offer(&rig, 4);
    expect_heard(&rig, 0, "+116 -116");
    rig_end(&rig);
}

/* Whatever a byte of the state is changed to: refused, or taken; no crash. */
static void test_hostile_state(void)
{
    unsigned refused = 0;
    GByteArray *state;
    Rig from, to;

    kbd_begin(&from);
    strike(&from, KEY_LEFTCTRL, KEY_A, 50);
    strike(&from, KEY_B, 0, 50);
    offer(&from, 4);
    push_button(from.vm);
    kbd_plug(&to);
    memcpy(to.ram->host, from.ram->host, RIG_RAM_BYTES);
    state = hw_test_save(from.dev);
    for (guint i = 0; i < state->len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            Error *err = NULL;

            state->data[i] ^= 1 << bit;
            if (hw_test_load(to.dev, state, &err)) {
                to.avail[EVENTS] = from.avail[EVENTS];
                vm_start(to.vm);
                offer(&to, 4);
                vm_clock_step(to.vm, 100 * MS);
                vm_stop(to.vm, RUN_STATE_PAUSED);
                memcpy(to.ram->host, from.ram->host, RIG_RAM_BYTES);
            } else {
                refused++;
            }
            g_clear_error(&err);
            state->data[i] ^= 1 << bit;
        }
    }
    g_assert_cmpuint(refused, >, 100);
    g_byte_array_unref(state);
    rig_end(&from);
    rig_end(&to);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-keyboard/config", test_config);
    g_test_add_func("/virtio-keyboard/stroke", test_stroke);
    g_test_add_func("/virtio-keyboard/never-half-a-report",
                    test_never_half_a_report);
    g_test_add_func("/virtio-keyboard/power", test_power);
    g_test_add_func("/virtio-keyboard/bounded", test_bounded);
    g_test_add_func("/virtio-keyboard/paused", test_paused);
    g_test_add_func("/virtio-keyboard/reset", test_reset);
    g_test_add_func("/virtio-keyboard/status", test_status);
    for (size_t i = 0; i < G_N_ELEMENTS(bad_buffers); i++) {
        g_autofree char *name = g_strdup_printf("/virtio-keyboard/bad/%s",
                                                bad_buffers[i].what);

        g_test_add_data_func(name, &bad_buffers[i], test_bad_buffer);
    }
    g_test_add_func("/virtio-keyboard/move", test_move);
    g_test_add_func("/virtio-keyboard/move-button", test_move_button);
    g_test_add_func("/virtio-keyboard/hostile-state", test_hostile_state);
    return g_test_run();
}
