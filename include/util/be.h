/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Big-endian numbers at any place in memory, as the migration's wire formats
 * have them where they are not read from a stream. All are pure.
 */
#ifndef GODWIT_UTIL_BE_H
#define GODWIT_UTIL_BE_H

#include <glib.h>
#include <stdint.h>
#include <string.h>

static inline void be_put16(void *at, uint16_t val)
{
    val = GUINT16_TO_BE(val);
    memcpy(at, &val, sizeof(val));
}

static inline void be_put32(void *at, uint32_t val)
{
    val = GUINT32_TO_BE(val);
    memcpy(at, &val, sizeof(val));
}

static inline void be_put64(void *at, uint64_t val)
{
    val = GUINT64_TO_BE(val);
    memcpy(at, &val, sizeof(val));
}

static inline uint32_t be_get32(const void *at)
{
    uint32_t val;

    memcpy(&val, at, sizeof(val));
    return GUINT32_FROM_BE(val);
}

static inline uint64_t be_get64(const void *at)
{
    uint64_t val;

    memcpy(&val, at, sizeof(val));
    return GUINT64_FROM_BE(val);
}

#endif
