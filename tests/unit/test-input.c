/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What keys are called, against data/keys.txt: what QEMU sends for each; and
 * which keyboard hears of one.
 */
#include <linux/input-event-codes.h>
#include <stdlib.h>
#include <string.h>

#include "hw-test.h"
#include "keyboard-hands.h"

typedef struct Line {
    QKeyCode qcode;
    uint16_t code;
    char **numbers;
} Line;

static void line_clear(gpointer data)
{
    g_strfreev(((Line *)data)->numbers);
}

/* The lines of the file, of Line. */
static GArray *read_lines(void)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data",
                                                  "keys.txt", NULL);
    GArray *lines = g_array_new(FALSE, FALSE, sizeof(Line));
    g_auto(GStrv) texts = NULL;
    g_autofree char *all = NULL;
    GError *err = NULL;

    g_array_set_clear_func(lines, line_clear);
    g_file_get_contents(path, &all, NULL, &err);
    g_assert_no_error(err);
    texts = g_strsplit(all, "\n", -1);
    for (char **text = texts; *text; text++) {
        g_auto(GStrv) words = NULL;
        Line line;
        int qcode;

        if (!**text || **text == '#') {
            continue;
        }
        words = g_strsplit(*text, " ", -1);
        g_assert_cmpuint(g_strv_length(words), ==, 3);
        qcode = qapi_enum_parse(&QKeyCode_lookup, words[0], -1, NULL);
        g_assert_cmpint(qcode, >=, 0);
        line.qcode = (QKeyCode)qcode;
        line.code = (uint16_t)atoi(words[1]);
        line.numbers = g_strsplit(words[2], ",", -1);
        g_array_append_val(lines, line);
    }
    return lines;
}

static void test_names(void)
{
    g_autoptr(GArray) lines = read_lines();
    bool seen[Q_KEY_CODE__MAX] = { false };

    for (guint i = 0; i < lines->len; i++) {
        const Line *line = &g_array_index(lines, Line, i);

        g_assert_cmpuint(key_from_qcode(line->qcode), ==, line->code);
        g_assert_false(seen[line->qcode]);
        seen[line->qcode] = true;
    }
    for (unsigned i = 0; i < Q_KEY_CODE__MAX; i++) {
        g_assert_true(seen[i]);
    }
}

static void test_numbers(void)
{
    static const int64_t none[] = { INT64_MIN, -1, 0, 256, 286, 65566,
                                    INT64_MAX };
    g_autoptr(GArray) lines = read_lines();
    uint16_t want[256] = { 0 };

    for (guint i = 0; i < lines->len; i++) {
        const Line *line = &g_array_index(lines, Line, i);

        for (char **number = line->numbers; *number; number++) {
            want[atoi(*number)] = line->code;
        }
    }
    for (int i = 0; i < 256; i++) {
        g_assert_cmpuint(key_from_number(i), ==, want[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(none); i++) {
        g_assert_cmpuint(key_from_number(none[i]), ==, 0);
    }
}

static void test_codes(void)
{
    g_autoptr(GArray) lines = read_lines();
    bool want[KEY_CODES] = { false };

    for (guint i = 0; i < lines->len; i++) {
        want[g_array_index(lines, Line, i).code] = true;
    }
    for (unsigned code = 0; code < KEY_CODES; code++) {
        g_assert_cmpint(key_exists(code), ==, want[code]);
    }
    g_assert_false(key_exists(KEY_CODES + 1));
    g_assert_false(key_exists(UINT16_MAX));
}

/* --- which one hears of it --- */

typedef struct Fake {
    Device dev;
    bool ready, full;
    unsigned strokes, presses;
} Fake;

static bool fake_is_ready(Device *dev)
{
    return ((Fake *)dev)->ready;
}

static bool fake_strike(Device *dev, const KeyStroke *stroke, Error **errp)
{
    Fake *fake = (Fake *)dev;

    g_assert_cmpuint(stroke->keys[0], ==, KEY_A);
    if (fake->full) {
        error_setg(errp, "full");
        return false;
    }
    fake->strokes++;
    return true;
}

static void fake_press_power(Device *dev)
{
    ((Fake *)dev)->presses++;
}

static const KeyboardOps fake_ops = {
    fake_is_ready, fake_strike, fake_press_power
};

static void test_first_that_listens(void)
{
    static const DeviceType type = { .name = "fake" };
    Vm *vm = hw_test_new();
    Fake one = { .dev = { .type = &type, .vm = vm } }, two = one;

    expect_refused(vm, "no keyboard");
    push_button(vm);
    keyboard_add(&one.dev, &fake_ops);
    keyboard_add(&two.dev, &fake_ops);
    expect_refused(vm, "no driver");
    push_button(vm);
    two.ready = true;
    push_button(vm);
    g_assert_true(keyboards_strike(vm, &stroke_a, NULL));
    g_assert_cmpuint(two.presses, ==, 1);
    g_assert_cmpuint(two.strokes, ==, 1);
    one.ready = true;
    push_button(vm);
    g_assert_true(keyboards_strike(vm, &stroke_a, NULL));
    one.full = true;
    expect_refused(vm, "full");         /* and not the other one instead */
    g_assert_cmpuint(one.presses, ==, 1);
    g_assert_cmpuint(one.strokes, ==, 1);
    keyboard_remove(&one.dev);
    push_button(vm);
    g_assert_cmpuint(two.presses, ==, 2);
    g_assert_cmpuint(two.strokes, ==, 1);
    keyboard_remove(&two.dev);
    push_button(vm);
    expect_refused(vm, "no keyboard");
    hw_test_free(vm);
}

static void test_guest_elsewhere(void)
{
    static const DeviceType type = { .name = "fake" };
    Vm *vm = hw_test_new();
    Fake one = { .dev = { .type = &type, .vm = vm }, .ready = true };

    keyboard_add(&one.dev, &fake_ops);
    vm_start(vm);
    vm_stop(vm, RUN_STATE_PAUSED);
    g_assert_true(keyboards_strike(vm, &stroke_a, NULL));
    vm_stop(vm, RUN_STATE_FINISH_MIGRATE);
    expect_refused(vm, "'finish-migrate'");
    push_button(vm);
    g_assert_cmpuint(one.presses, ==, 0);
    runstate_set(vm, RUN_STATE_POSTMIGRATE);
    expect_refused(vm, "'postmigrate'");
    push_button(vm);
    g_assert_cmpuint(one.presses, ==, 1);
    keyboard_remove(&one.dev);
    hw_test_free(vm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keys/names", test_names);
    g_test_add_func("/keys/numbers", test_numbers);
    g_test_add_func("/keys/codes", test_codes);
    g_test_add_func("/keyboards/first-that-listens", test_first_that_listens);
    g_test_add_func("/keyboards/guest-elsewhere", test_guest_elsewhere);
    return g_test_run();
}
