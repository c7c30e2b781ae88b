/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program for a Linux guest that works on memory and can tell whether any of
 * it was lost: "workload MIB PAGES_PER_SECOND LINE_MS" owns MIB of memory,
 * each page holding its own number and generation, rewrites that many pages a
 * second in a fixed order, checking each before it changes it, and prints
 *
 *     counter N pages P errors E
 *
 * every LINE_MS milliseconds. A hole in N, or an E that is not 0, would be the
 * migration's fault.
 *
 * No C library, so that any riscv64 compiler builds it.
 */
#include <stdint.h>

#define SYS_WRITE           64
#define SYS_EXIT            93
#define SYS_NANOSLEEP       101
#define SYS_CLOCK_GETTIME   113
#define SYS_MMAP            222
#define PAGE_WORDS          512

struct timespec64 {
    int64_t sec;
    int64_t nsec;
};

static long syscall6(long number, long a, long b, long c, long d, long e,
                     long f)
{
    register long a7 __asm__("a7") = number;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    register long a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e;
    register long a5 __asm__("a5") = f;

    __asm__ volatile("ecall" : "+r"(a0)
                     : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
                     : "memory");
    return a0;
}

static int64_t now_ns(void)
{
    struct timespec64 ts;

    syscall6(SYS_CLOCK_GETTIME, 1, (long)&ts, 0, 0, 0, 0);
    return ts.sec * 1000000000 + ts.nsec;
}

static void sleep_ns(int64_t ns)
{
    struct timespec64 ts = { ns / 1000000000, ns % 1000000000 };

    syscall6(SYS_NANOSLEEP, (long)&ts, 0, 0, 0, 0, 0);
}

static char *put_text(char *at, const char *text)
{
    while (*text) {
        *at++ = *text++;
    }
    return at;
}

static char *put_number(char *at, uint64_t value)
{
    char digits[20];
    int n = 0;

    do {
        digits[n++] = '0' + value % 10;
        value /= 10;
    } while (value);
    while (n) {
        *at++ = digits[--n];
    }
    return at;
}

static uint64_t parse_number(const char *text)
{
    uint64_t value = 0;

    while (*text >= '0' && *text <= '9') {
        value = value * 10 + (*text++ - '0');
    }
    return value;
}

static void print_state(uint64_t line, uint64_t pages, uint64_t errors)
{
    char text[96], *at = text;

    at = put_text(at, "counter ");
    at = put_number(at, line);
    at = put_text(at, " pages ");
    at = put_number(at, pages);
    at = put_text(at, " errors ");
    at = put_number(at, errors);
    *at++ = '\n';
    syscall6(SYS_WRITE, 1, (long)text, at - text, 0, 0, 0);
}

static uint64_t word_of(uint64_t page, uint64_t generation, unsigned i)
{
    return (page * 0x9e3779b97f4a7c15UL ^ generation * 0xd6e8feb86659fd93UL) +
           i * 0xbf58476d1ce4e5b9UL;
}

static void work(uint64_t mib, uint64_t pages_per_second, uint64_t line_ms)
{
    uint64_t count = mib << 8, done = 0, errors = 0, line = 0;
    uint64_t *area = (uint64_t *)syscall6(SYS_MMAP, 0, mib << 20, 3, 0x22, -1,
                                          0);
    int64_t began, next_line;

    for (uint64_t page = 0; page < count; page++) {
        for (unsigned i = 0; i < PAGE_WORDS; i++) {
            area[page * PAGE_WORDS + i] = word_of(page, 0, i);
        }
    }
    began = now_ns();
    next_line = began;
    for (;;) {
        int64_t now = now_ns();
        uint64_t due = (uint64_t)(now - began) / 1000 * pages_per_second /
                       1000000;

        /* Not more at once than lets the lines come in time. */
        for (unsigned n = 0; done < due && n < 64; n++, done++) {
            uint64_t page = done % count, generation = done / count;
            uint64_t *words = area + page * PAGE_WORDS;

            for (unsigned i = 0; i < PAGE_WORDS; i++) {
                errors += words[i] != word_of(page, generation, i);
                words[i] = word_of(page, generation + 1, i);
            }
        }
        if (now >= next_line) {
            print_state(++line, done, errors);
            next_line += (int64_t)line_ms * 1000000;
        }
        if (done >= due) {
            sleep_ns(1000000);
        }
    }
}

/* Entered by _start with the initial stack: argc, then argv. */
__attribute__((used)) static void entry(long *stack)
{
    char **argv = (char **)(stack + 1);

    if (stack[0] != 4) {
        const char usage[] = "usage: workload MIB PAGES_PER_SECOND LINE_MS\n";

        syscall6(SYS_WRITE, 2, (long)usage, sizeof(usage) - 1, 0, 0, 0);
        syscall6(SYS_EXIT, 2, 0, 0, 0, 0, 0);
    }
    work(parse_number(argv[1]), parse_number(argv[2]), parse_number(argv[3]));
}

__asm__(".globl _start\n"
        "_start:\n"
        "    mv a0, sp\n"
        "    andi sp, sp, -16\n"
        "    j entry\n");
