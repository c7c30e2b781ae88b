/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The UART against the data sheet of the PC16550D, register by register. The
 * chardev is the test's own: what is sent lands in a string, and it takes only
 * as much as it is told to.
 */
#include <string.h>

#include "hw-test.h"
#include "hw/char/serial.h"

#define BASE 0x10000000

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = 2 };
enum { DR = 0x01, OE = 0x02, BI = 0x10, THRE = 0x20, TEMT = 0x40 };

typedef struct Uart {
    Vm *vm;
    bool irq[1];
    const ChardevFront *front;
    void *opaque;
    GString *sent;
    size_t room;                /* bytes that the other side still takes */
    unsigned accepts;
} Uart;

/* ---- the chardev ---- */

bool chardev_attach(Chardev *chr, const ChardevFront *front, void *opaque,
                    Error **errp)
{
    Uart *u = (Uart *)chr;

    (void)errp;
    u->front = front;
    u->opaque = opaque;
    return true;
}

void chardev_detach(Chardev *chr)
{
    ((Uart *)chr)->front = NULL;
}

size_t chardev_write(Chardev *chr, const void *buf, size_t len)
{
    Uart *u = (Uart *)chr;

    len = MIN(len, u->room);
    u->room -= len;
    g_string_append_len(u->sent, buf, (gssize)len);
    return len;
}

void chardev_accept_input(Chardev *chr)
{
    ((Uart *)chr)->accepts++;
}

/* ---- */

static Uart *uart_new(void)
{
    Uart *u = g_new0(Uart, 1);
    Error *err = NULL;

    u->vm = hw_test_new();
    u->sent = g_string_new(NULL);
    u->room = SIZE_MAX;
    serial_create(u->vm, BASE, hw_test_line(u->irq, 0), (Chardev *)u, &err);
    g_assert_no_error(err);
    hw_test_reset(u->vm);
    return u;
}

static void uart_free(Uart *u)
{
    hw_test_free(u->vm);
    g_assert_null(u->front);
    g_string_free(u->sent, true);
    g_free(u);
}

static unsigned in(Uart *u, unsigned reg)
{
    return (unsigned)hw_read(u->vm, BASE + reg, 1);
}

static void out(Uart *u, unsigned reg, unsigned val)
{
    hw_write(u->vm, BASE + reg, 1, val);
}

static void type(Uart *u, const char *text)
{
    size_t len = strlen(text);

    g_assert_cmpuint(u->front->can_read(u->opaque), >=, len);
    u->front->read(u->opaque, (const uint8_t *)text, len);
}

static void test_reset(void)
{
    Uart *u = uart_new();

    g_assert_cmphex(in(u, IER), ==, 0);
    g_assert_cmphex(in(u, IIR), ==, 0x01);
    g_assert_cmphex(in(u, LCR), ==, 0);
    g_assert_cmphex(in(u, MCR), ==, 0);
    g_assert_cmphex(in(u, LSR), ==, THRE | TEMT);
    g_assert_cmphex(in(u, MSR), ==, 0xb0);
    g_assert_false(u->irq[0]);
    uart_free(u);
}

static void test_registers(void)
{
    Uart *u = uart_new();
    uint64_t val;

    out(u, SCR, 0xa5);
    g_assert_cmphex(in(u, SCR), ==, 0xa5);
    out(u, IER, 0xff);
    g_assert_cmphex(in(u, IER), ==, 0x0f);
    out(u, LCR, 0x83);
    out(u, DATA, 0x34);
    out(u, IER, 0x12);
    g_assert_cmphex(in(u, DATA), ==, 0x34);
    g_assert_cmphex(in(u, IER), ==, 0x12);
    out(u, LCR, 0x03);
    g_assert_cmphex(in(u, IER), ==, 0x0f);
    g_assert_cmpstr(u->sent->str, ==, "");
    out(u, MCR, 0xff);
    g_assert_cmphex(in(u, MCR), ==, 0x1f);
    g_assert_cmpint(memory_io_read(u->vm->memory, BASE, 4, &val), ==,
                    MEM_DEVICE_ERROR);
    g_assert_cmpint(memory_io_read(u->vm->memory, BASE + 8, 1, &val), ==,
                    MEM_DECODE_ERROR);
    uart_free(u);
}

static void test_transmit(void)
{
    Uart *u = uart_new();

    out(u, IER, 0x02);
    g_assert_true(u->irq[0]);           /* empty: at once */
    g_assert_cmphex(in(u, IIR), ==, 0x02);
    g_assert_false(u->irq[0]);          /* the read has taken it */
    g_assert_cmphex(in(u, IIR), ==, 0x01);
    out(u, DATA, 'h');
    g_assert_true(u->irq[0]);
    out(u, DATA, 'i');
    g_assert_cmpstr(u->sent->str, ==, "hi");
    g_assert_cmphex(in(u, LSR), ==, THRE | TEMT);
    uart_free(u);
}

/* The other side takes nothing for a while: no byte is lost. */
static void test_transmit_blocked(void)
{
    Uart *u = uart_new();

    out(u, FCR, 0x01);
    u->room = 1;
    for (unsigned i = 0; i < 18; i++) {
        out(u, DATA, 'a' + i);
    }
    /* 'a' has left, 'b' is in the shift register, 16 fill the FIFO. */
    g_assert_cmpstr(u->sent->str, ==, "a");
    g_assert_cmphex(in(u, LSR) & (THRE | TEMT), ==, 0);
    u->room = 17;
    u->front->can_write(u->opaque);
    g_assert_cmpstr(u->sent->str, ==, "abcdefghijklmnopqr");
    g_assert_cmphex(in(u, LSR) & (THRE | TEMT), ==, THRE | TEMT);
    /* Without FIFO: one in the holding register, one on its way. */
    out(u, FCR, 0x00);
    u->room = 0;
    out(u, DATA, 'x');
    g_assert_cmphex(in(u, LSR) & (THRE | TEMT), ==, THRE);
    out(u, DATA, 'y');
    g_assert_cmphex(in(u, LSR) & (THRE | TEMT), ==, 0);
    u->room = 9;
    u->front->can_write(u->opaque);
    g_assert_true(g_str_has_suffix(u->sent->str, "rxy"));
    uart_free(u);
}

static void test_receive(void)
{
    Uart *u = uart_new();

    g_assert_cmpuint(u->front->can_read(u->opaque), ==, 1);
    out(u, IER, 0x01);
    type(u, "A");
    g_assert_true(u->irq[0]);
    g_assert_cmphex(in(u, IIR), ==, 0x04);
    g_assert_cmphex(in(u, LSR), ==, DR | THRE | TEMT);
    g_assert_cmpuint(u->front->can_read(u->opaque), ==, 0);
    u->accepts = 0;
    g_assert_cmphex(in(u, DATA), ==, 'A');
    g_assert_cmpuint(u->accepts, >, 0);
    g_assert_false(u->irq[0]);
    g_assert_cmphex(in(u, LSR), ==, THRE | TEMT);
    uart_free(u);
}

static void test_fifo_trigger(void)
{
    static const unsigned levels[] = { 1, 4, 8, 14 };
    Uart *u = uart_new();

    out(u, IER, 0x01);
    for (unsigned l = 0; l < 4; l++) {
        out(u, FCR, 0x07 | l << 6);
        g_assert_cmphex(in(u, IIR), ==, 0xc1);
        g_assert_cmpuint(u->front->can_read(u->opaque), ==, 16);
        for (unsigned n = 1; n <= 16; n++) {
            type(u, "z");
            g_assert_cmpint(u->irq[0], ==, n >= levels[l]);
        }
        g_assert_cmphex(in(u, IIR), ==, 0xc4);
        g_assert_cmpuint(u->front->can_read(u->opaque), ==, 0);
        for (unsigned n = 16; n > 0; n--) {
            g_assert_cmpint(u->irq[0], ==, n >= levels[l]);
            g_assert_cmphex(in(u, DATA), ==, 'z');
        }
        g_assert_cmphex(in(u, LSR) & DR, ==, 0);
    }
    uart_free(u);
}

/* Four characters' time after the last byte came or was read. */
static void test_character_timeout(void)
{
    /* 8 data bits, no parity, 1 stop: 10 bits of 16 cycles each. */
    const int64_t four_chars_ns = INT64_C(4) * 10 * 16 * 1000000000 /
                                  SERIAL_CLOCK_HZ;
    Uart *u = uart_new();

    out(u, LCR, 0x83);
    out(u, DATA, 1);
    out(u, IER, 0);
    out(u, LCR, 0x03);
    out(u, FCR, 0x81);
    out(u, IER, 0x01);
    type(u, "ab");
    g_assert_false(u->irq[0]);
    vm_clock_step(u->vm, four_chars_ns - 1000);
    g_assert_false(u->irq[0]);
    vm_clock_step(u->vm, 2000);
    g_assert_true(u->irq[0]);
    g_assert_cmphex(in(u, IIR), ==, 0xcc);
    g_assert_cmphex(in(u, DATA), ==, 'a');
    g_assert_false(u->irq[0]);
    vm_clock_step(u->vm, four_chars_ns + 1000);
    g_assert_true(u->irq[0]);
    g_assert_cmphex(in(u, DATA), ==, 'b');
    vm_clock_step(u->vm, 10 * four_chars_ns);
    g_assert_false(u->irq[0]);
    uart_free(u);
}

static void test_break(void)
{
    Uart *u = uart_new();

    out(u, IER, 0x04);
    u->front->event(u->opaque, CHARDEV_BREAK);
    g_assert_true(u->irq[0]);
    g_assert_cmphex(in(u, IIR), ==, 0x06);
    g_assert_cmphex(in(u, LSR), ==, DR | BI | THRE | TEMT);
    g_assert_false(u->irq[0]);          /* the read has taken it */
    g_assert_cmphex(in(u, LSR), ==, DR | THRE | TEMT);
    g_assert_cmphex(in(u, DATA), ==, 0);
    uart_free(u);
}

static void test_loopback(void)
{
    Uart *u = uart_new();

    out(u, MCR, 0x10);
    g_assert_cmphex(in(u, MSR), ==, 0x0b);      /* lines fell: 3 deltas */
    g_assert_cmphex(in(u, MSR), ==, 0x00);
    g_assert_cmpuint(u->front->can_read(u->opaque), ==, 0);
    out(u, IER, 0x08);
    out(u, MCR, 0x1a);                          /* RTS, OUT2 */
    g_assert_true(u->irq[0]);
    g_assert_cmphex(in(u, IIR), ==, 0x00);
    g_assert_cmphex(in(u, MSR), ==, 0x99);      /* DCD, CTS and their deltas */
    g_assert_false(u->irq[0]);
    out(u, MCR, 0x1e);
    g_assert_cmphex(in(u, MSR), ==, 0xd0);      /* RI rises: no delta */
    out(u, MCR, 0x1a);
    g_assert_cmphex(in(u, MSR), ==, 0x94);      /* it falls: TERI */
    out(u, DATA, 'q');
    g_assert_cmpstr(u->sent->str, ==, "");
    g_assert_cmphex(in(u, LSR) & DR, ==, DR);
    out(u, DATA, 'r');
    g_assert_cmphex(in(u, LSR) & OE, ==, OE);   /* overrun */
    g_assert_cmphex(in(u, DATA), ==, 'r');
    out(u, MCR, 0x08);
    g_assert_cmpuint(u->front->can_read(u->opaque), ==, 1);
    uart_free(u);
}

/* Section 8.6: line status, then data, then transmitter, then modem. */
static void test_priorities(void)
{
    Uart *u = uart_new();

    out(u, MCR, 0x10);
    out(u, MCR, 0x00);
    out(u, IER, 0x0f);
    u->front->event(u->opaque, CHARDEV_BREAK);
    g_assert_cmphex(in(u, IIR), ==, 0x06);
    in(u, LSR);
    g_assert_cmphex(in(u, IIR), ==, 0x04);
    in(u, DATA);
    g_assert_cmphex(in(u, IIR), ==, 0x02);
    g_assert_cmphex(in(u, IIR), ==, 0x00);
    in(u, MSR);
    g_assert_cmphex(in(u, IIR), ==, 0x01);
    uart_free(u);
}

static void test_fifo_clear(void)
{
    Uart *u = uart_new();

    out(u, FCR, 0x01);
    type(u, "abc");
    out(u, FCR, 0x03);
    g_assert_cmphex(in(u, LSR) & DR, ==, 0);
    u->room = 0;
    out(u, DATA, '1');
    out(u, DATA, '2');
    out(u, FCR, 0x05);
    u->room = 9;
    u->front->can_write(u->opaque);
    g_assert_cmpstr(u->sent->str, ==, "1");     /* '2' was cleared */
    /* without the enable bit the others are not looked at */
    out(u, FCR, 0x00);
    type(u, "d");
    out(u, FCR, 0x06);
    g_assert_cmphex(in(u, LSR) & DR, ==, DR);
    g_assert_cmphex(in(u, DATA), ==, 'd');
    uart_free(u);
}

/* Whatever the guest does, the state moves without loss. */
static void test_migrate(void)
{
    for (unsigned round = 0; round < 300; round++) {
        Uart *from = uart_new();
        Uart *to = uart_new();

        from->room = (size_t)g_test_rand_int_range(0, 60);
        for (unsigned i = 0; i < 60; i++) {
            unsigned reg = (unsigned)g_test_rand_int_range(0, 8);

            switch (g_test_rand_int_range(0, 4)) {
            case 0:
                in(from, reg);
                break;
            case 1:
                if (from->front->can_read(from->opaque)) {
                    type(from, "k");
                }
                break;
            default:
                out(from, reg, (unsigned)g_test_rand_int_range(0, 256));
            }
        }
        to->room = 0;
        hw_test_round_trip(hw_test_device(from->vm, "serial-mm"),
                           hw_test_device(to->vm, "serial-mm"));
        g_assert_cmpint(from->irq[0], ==, to->irq[0]);
        from->room = to->room = SIZE_MAX;
        g_string_truncate(from->sent, 0);
        from->front->can_write(from->opaque);
        to->front->can_write(to->opaque);
        g_assert_cmpstr(from->sent->str, ==, to->sent->str);
        for (unsigned reg = 8; reg-- > 0;) {
            g_assert_cmphex(in(from, reg), ==, in(to, reg));
        }
        uart_free(from);
        uart_free(to);
    }
}

static void test_migrate_hostile(void)
{
    Uart *u = uart_new();
    Device *dev = hw_test_device(u->vm, "serial-mm");
    GByteArray *state;
    Error *err = NULL;

    out(u, FCR, 0x01);
    type(u, "abc");
    state = hw_test_save(dev);
    for (guint i = 0; i < state->len; i++) {
        uint8_t keep = state->data[i];

        for (unsigned v = 0; v < 256; v += 5) {
            state->data[i] = (uint8_t)v;
            if (hw_test_load(dev, state, &err)) {
                for (unsigned reg = 0; reg < 8; reg++) {
                    in(u, reg);
                }
                g_assert_cmpuint(u->front->can_read(u->opaque), <=, 16);
            } else {
                g_assert_nonnull(err);
            }
            g_clear_error(&err);
        }
        state->data[i] = keep;
    }
    g_byte_array_unref(state);
    uart_free(u);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/serial/reset", test_reset);
    g_test_add_func("/serial/registers", test_registers);
    g_test_add_func("/serial/transmit", test_transmit);
    g_test_add_func("/serial/transmit-blocked", test_transmit_blocked);
    g_test_add_func("/serial/receive", test_receive);
    g_test_add_func("/serial/fifo-trigger", test_fifo_trigger);
    g_test_add_func("/serial/character-timeout", test_character_timeout);
    g_test_add_func("/serial/break", test_break);
    g_test_add_func("/serial/loopback", test_loopback);
    g_test_add_func("/serial/priorities", test_priorities);
    g_test_add_func("/serial/fifo-clear", test_fifo_clear);
    g_test_add_func("/serial/migrate", test_migrate);
    g_test_add_func("/serial/migrate-hostile", test_migrate_hostile);
    return g_test_run();
}
