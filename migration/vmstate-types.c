/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How each kind of value stands in the stream. Called by vmstate.c on the
 * thread that saves or loads, big lock held.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/vmstate.h"

static void put_bool(MigStream *s, const void *pv, size_t size,
                     const VMStateField *field)
{
    (void)size;
    (void)field;
    mig_put_u8(s, *(const bool *)pv);
}

static bool get_bool(MigStream *s, void *pv, size_t size,
                     const VMStateField *field, Error **errp)
{
    uint8_t val;

    (void)size;
    if (!mig_get_u8(s, &val, errp)) {
        return false;
    }
    if (val > 1) {
        mig_stream_fail(s, errp, "field '%s': %u is no bool, which is 0 or 1",
                        field->name, val);
        return false;
    }
    *(bool *)pv = val;
    return true;
}

const VMStateInfo vmstate_info_bool = {
    .name = "bool", .put = put_bool, .get = get_bool,
};

/* Integers: what a two's complement number looks like does not depend on its
 * sign, so signed and unsigned share their functions. */

static void put_int(MigStream *s, const void *pv, size_t size,
                    const VMStateField *field)
{
    (void)field;
    switch (size) {
    case 1:
        mig_put_u8(s, *(const uint8_t *)pv);
        break;
    case 2:
        mig_put_be16(s, *(const uint16_t *)pv);
        break;
    case 4:
        mig_put_be32(s, *(const uint32_t *)pv);
        break;
    case 8:
        mig_put_be64(s, *(const uint64_t *)pv);
        break;
    default:
        g_assert_not_reached();
    }
}

static bool get_int(MigStream *s, void *pv, size_t size,
                    const VMStateField *field, Error **errp)
{
    (void)field;
    switch (size) {
    case 1:
        return mig_get_u8(s, pv, errp);
    case 2:
        return mig_get_be16(s, pv, errp);
    case 4:
        return mig_get_be32(s, pv, errp);
    case 8:
        return mig_get_be64(s, pv, errp);
    default:
        g_assert_not_reached();
    }
}

static uint64_t int_value(const void *pv, size_t size)
{
    uint64_t val = 0;

    memcpy(&val, pv, size); /* little-endian hosts only: see meson.build */
    return val;
}

static bool get_int_equal(MigStream *s, void *pv, size_t size,
                          const VMStateField *field, Error **errp)
{
    uint64_t val = 0;

    if (!get_int(s, &val, size, field, errp)) {
        return false;
    }
    if (val != int_value(pv, size)) {
        mig_stream_fail(s, errp, "field '%s': the source has %" PRIu64
                        ", which must equal %" PRIu64 " here", field->name,
                        val, int_value(pv, size));
        return false;
    }
    return true;
}

#define DEFINE_INT_INFO(_kind)                          \
    const VMStateInfo vmstate_info_##_kind = {          \
        .name = #_kind, .put = put_int, .get = get_int, \
    }
#define DEFINE_EQUAL_INFO(_kind)                                        \
    const VMStateInfo vmstate_info_##_kind##_equal = {                  \
        .name = #_kind " equal", .put = put_int, .get = get_int_equal,  \
    }

DEFINE_INT_INFO(int8);
DEFINE_INT_INFO(int16);
DEFINE_INT_INFO(int32);
DEFINE_INT_INFO(int64);
DEFINE_INT_INFO(uint8);
DEFINE_INT_INFO(uint16);
DEFINE_INT_INFO(uint32);
DEFINE_INT_INFO(uint64);
DEFINE_EQUAL_INFO(uint8);
DEFINE_EQUAL_INFO(uint16);
DEFINE_EQUAL_INFO(uint32);
DEFINE_EQUAL_INFO(uint64);

static void put_bytes(MigStream *s, const void *pv, size_t size,
                      const VMStateField *field)
{
    (void)field;
    mig_put_buffer(s, pv, size);
}

static bool get_bytes(MigStream *s, void *pv, size_t size,
                      const VMStateField *field, Error **errp)
{
    (void)field;
    return mig_get_buffer(s, pv, size, errp);
}

const VMStateInfo vmstate_info_buffer = {
    .name = "buffer", .put = put_bytes, .get = get_bytes,
};

static void put_unused(MigStream *s, const void *pv, size_t size,
                       const VMStateField *field)
{
    (void)pv;
    (void)field;
    while (size-- > 0) {
        mig_put_u8(s, 0);
    }
}

static bool get_unused(MigStream *s, void *pv, size_t size,
                       const VMStateField *field, Error **errp)
{
    (void)pv;
    (void)field;
    return mig_skip(s, size, errp);
}

const VMStateInfo vmstate_info_unused_buffer = {
    .name = "unused_buffer", .put = put_unused, .get = get_unused,
};

#define TIMER_NOT_PENDING (-1)

static void put_timer(MigStream *s, const void *pv, size_t size,
                      const VMStateField *field)
{
    VmTimer *timer = (VmTimer *)pv;
    int64_t deadline = vm_timer_deadline(timer);

    (void)size;
    (void)field;
    /* Due before time began is due at once, as 0 is. */
    mig_put_be64(s, vm_timer_pending(timer) ? MAX(deadline, 0)
                                            : TIMER_NOT_PENDING);
}

static bool get_timer(MigStream *s, void *pv, size_t size,
                      const VMStateField *field, Error **errp)
{
    uint64_t raw;
    int64_t deadline;

    (void)size;
    if (!mig_get_be64(s, &raw, errp)) {
        return false;
    }
    deadline = (int64_t)raw;
    if (deadline < TIMER_NOT_PENDING) {
        mig_stream_fail(s, errp, "timer '%s': deadline %" PRId64 " ns; -1 and "
                        "what is not negative are accepted", field->name,
                        deadline);
        return false;
    }
    if (deadline == TIMER_NOT_PENDING) {
        vm_timer_del(pv);
    } else {
        vm_timer_mod(pv, deadline);
    }
    return true;
}

const VMStateInfo vmstate_info_timer = {
    .name = "timer", .put = put_timer, .get = get_timer,
};
