/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the programs of tests/guest/isa, each on harts of its own without a
 * board. Arguments: NAME:HARTS:IMAGE for each; none where there was no
 * compiler for them.
 */
#include <stdlib.h>
#include <string.h>

#include "riscv-harness.h"

/* What a program writes when all is well; else the failed check is on top. */
#define PASSED 0x5555

static void test_image(gconstpointer data)
{
    g_auto(GStrv) parts = g_strsplit(data, ":", 3);
    unsigned harts = (unsigned)atoi(parts[1]);
    Harness *harness = harness_new(harts);
    uint32_t result;

    g_assert_true(harness_load(harness, parts[2]));
    result = harness_run(harness, 60);
    if (result != PASSED) {
        for (unsigned n = 0; n < harts; n++) {
            Cpu *cpu = hart_cpu(harness_hart(harness, n));
            GString *dump = g_string_new(NULL);

            cpu->ops->dump(cpu, dump);
            g_test_message("hart %u\n%s", n, dump->str);
            g_string_free(dump, TRUE);
        }
        g_test_message("%s: %s, check %u, trap %u", parts[0],
                       result ? "failed" : "hangs", result >> 16 & 0xff,
                       result >> 24);
        g_test_fail();
    }
    harness_free(harness);
}

static void test_nothing(void)
{
    g_test_skip("no compiler for RV64 was found when this was built");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (int n = 1; n < argc; n++) {
        g_autofree char *path = NULL;
        const char *colon = strchr(argv[n], ':');

        if (!colon) {
            continue;
        }
        path = g_strdup_printf("/riscv/isa/%.*s", (int)(colon - argv[n]),
                               argv[n]);
        g_test_add_data_func(path, argv[n], test_image);
    }
    if (argc == 1) {
        g_test_add_func("/riscv/isa", test_nothing);
    }
    return g_test_run();
}
