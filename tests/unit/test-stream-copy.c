/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The copy that goes past the caches: all of it, and nothing beside it. */
#include <glib.h>
#include <stdint.h>
#include <string.h>

#include "util/stream-copy.h"

static void test_copy(void)
{
    static _Alignas(64) uint8_t from[8192], to[8192 + 128];

    for (unsigned i = 0; i < sizeof(from); i++) {
        from[i] = i * 7 + i / 256;
    }
    for (size_t bytes = 0; bytes <= sizeof(from); bytes += 64) {
        memset(to, 0xee, sizeof(to));
        stream_copy(to + 64, from, bytes);
        g_assert_cmpmem(to + 64, bytes, from, bytes);
        g_assert_cmpuint(to[63], ==, 0xee);
        g_assert_cmpuint(to[64 + bytes], ==, 0xee);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/stream-copy", test_copy);
    return g_test_run();
}
