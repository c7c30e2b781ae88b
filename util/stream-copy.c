/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A copy that nobody reads again soon; see util/stream-copy.h. */
#include <glib.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "util/stream-copy.h"

#define LINE 64

void stream_copy(void *to, const void *from, size_t bytes)
{
    g_assert(((uintptr_t)to | (uintptr_t)from | bytes) % LINE == 0);
#ifdef __SSE2__
    __m128i *out = to;
    const __m128i *in = from;

    for (size_t i = 0; i < bytes / LINE; i++, in += 4, out += 4) {
        __m128i a = _mm_load_si128(in);
        __m128i b = _mm_load_si128(in + 1);
        __m128i c = _mm_load_si128(in + 2);
        __m128i d = _mm_load_si128(in + 3);

        _mm_stream_si128(out, a);
        _mm_stream_si128(out + 1, b);
        _mm_stream_si128(out + 2, c);
        _mm_stream_si128(out + 3, d);
    }
    /* Such stores are ordered by nothing else. */
    _mm_sfence();
#else
    memcpy(to, from, bytes);
#endif
}
