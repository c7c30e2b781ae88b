/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many guest instructions a hart carries out in a second: an integer loop,
 * a memory loop and a floating-point loop (loop.S), each for about a second.
 * A table on stderr, JSON on stdout.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../unit/riscv-harness.h"

static const char *const names[] = { "integer", "memory", "floating" };

/* Instructions a second of loop @which, in millions. */
static double measure(const char *image, uint64_t which, uint64_t rounds,
                      double *seconds)
{
    Harness *harness = harness_new(1);
    uint64_t before;
    gint64 start;
    double count;

    if (!harness_load(harness, image)) {
        fprintf(stderr, "cannot read %s\n", image);
        exit(77);
    }
    harness_poke(harness, HARNESS_RAM_BASE + 8, &which, sizeof(which));
    harness_poke(harness, HARNESS_RAM_BASE + 16, &rounds, sizeof(rounds));
    before = hart_instructions(harness_hart(harness, 0));
    start = g_get_monotonic_time();
    g_assert_cmphex(harness_run(harness, 120), ==, 0x5555);
    *seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
    count = (double)(hart_instructions(harness_hart(harness, 0)) - before);
    harness_free(harness);
    return count / *seconds / 1e6;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: bench-cpu IMAGE\n");
        return 1;
    }
    printf("{ \"bench\": \"cpu\", \"unit\": \"million instructions/s\"");
    fprintf(stderr, "%-10s %12s\n", "loop", "guest MIPS");
    for (unsigned which = 0; which < 3; which++) {
        double seconds;
        double guess = measure(argv[1], which, 1000000, &seconds);
        double mips = measure(argv[1], which,
                              (uint64_t)(1000000 / MAX(seconds, 0.002)),
                              &seconds);

        (void)guess;
        printf(", \"%s\": %.1f", names[which], mips);
        fprintf(stderr, "%-10s %12.1f\n", names[which], mips);
    }
    printf(" }\n");
    return 0;
}
