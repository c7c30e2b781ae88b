/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A bare-metal guest whose memory can be checked at any moment: it walks over
 * an area page by page, for ever, and raises a counter at the start of each
 * page and its complement at the end. So in a true copy of a stopped guest the
 * counters are n + 1 up to one page and n from there on (that one page may
 * have its first half done), and everything else never changes.
 *
 * M-mode, one hart, no interrupts taken.
 */
#include <stdint.h>

#define RAM_BASE        0x80000000UL
#define UART_THR        (*(volatile uint8_t *)0x10000000UL)
#define UART_LSR        (*(volatile uint8_t *)0x10000005UL)
#define MTIME           (*(volatile uint64_t *)0x0200bff8UL)
#define MTIMECMP        (*(volatile uint64_t *)0x02004000UL)
#define TICKS_PER_MS    10000UL
#define PAGE            4096UL

/* The layout is that of pattern-head.S. */
struct Params {
    uint64_t magic;
    uint64_t area_start;
    uint64_t area_bytes;
    uint64_t pages_per_second;
    uint64_t print_ms;
    uint64_t fill;
    uint64_t passes;
};

extern volatile struct Params params;
void pattern_main(void);

static uint64_t next_print;
static uint64_t lines;

static void put_char(char c)
{
    while (!(UART_LSR & 0x20)) {
        ;
    }
    UART_THR = c;
}

static void put_line(const char *text, uint64_t value)
{
    char digits[20];
    int n = 0;

    while (*text) {
        put_char(*text++);
    }
    do {
        digits[n++] = '0' + value % 10;
        value /= 10;
    } while (value);
    while (n) {
        put_char(digits[--n]);
    }
    put_char('\n');
}

static void print_when_due(void)
{
    if (params.print_ms && MTIME >= next_print) {
        next_print = MTIME + params.print_ms * TICKS_PER_MS;
        put_line("counter ", ++lines);
    }
}

/* Sleeps until @when; the timer interrupt wakes WFI without being taken. */
static void sleep_until(uint64_t when)
{
    while (MTIME < when) {
        uint64_t wake = when;

        if (params.print_ms && next_print < wake) {
            wake = next_print;
        }
        MTIMECMP = wake;
        __asm__ volatile("csrs mie, %0; wfi" :: "r"(1UL << 7) : "memory");
        print_when_due();
    }
}

/* Fills a page with noise that no compression shrinks (xorshift). */
static void fill_page(uint64_t *page)
{
    uint64_t x = (uint64_t)page * 0x9e3779b97f4a7c15UL | 1;

    for (unsigned i = 1; i < PAGE / 8 - 1; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        page[i] = x;
    }
}

void pattern_main(void)
{
    uint64_t start = RAM_BASE + params.area_start;
    uint64_t end = start + params.area_bytes;
    uint64_t began, written = 0;

    if (params.fill) {
        for (uint64_t at = start; at < end; at += PAGE) {
            fill_page((uint64_t *)at);
        }
    }
    put_line("pattern ", params.area_bytes / PAGE);
    began = MTIME;
    next_print = began;
    for (uint64_t pass = 1; !params.passes || pass <= params.passes; pass++) {
        for (uint64_t at = start; at < end; at += PAGE) {
            volatile uint64_t *first = (uint64_t *)at;
            volatile uint64_t *last = (uint64_t *)(at + PAGE - 8);

            *first = *first + 1;
            *last = ~*first;
            if (params.pages_per_second) {
                sleep_until(began + ++written * (1000 * TICKS_PER_MS) /
                            params.pages_per_second);
            }
            if (at % (64 * PAGE) == 0) {
                print_when_due();
            }
        }
    }
    put_line("passes ", params.passes);
    for (;;) {
        sleep_until(MTIME + 1000 * TICKS_PER_MS);
    }
}
