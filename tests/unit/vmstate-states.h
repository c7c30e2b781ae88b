/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * States for the tests of tables: one with a field of every kind, and a small
 * one whose bytes can be counted. The test's thread; timers want the big lock.
 */
#ifndef GODWIT_TESTS_VMSTATE_STATES_H
#define GODWIT_TESTS_VMSTATE_STATES_H

#include "migration/vmdesc.h"
#include "migration/vmstate.h"
#include "system/timer.h"

/* One struct with a field of every kind. */
typedef struct Inner {
    uint16_t a;
    uint32_t only_if_a_odd;
} Inner;

typedef struct State {
    bool b;
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    uint32_t since_v2;
    uint32_t if_b;
    uint64_t must_equal;
    uint8_t small;              /* at most 20 */
    uint32_t arr[5];
    uint8_t matrix[2][3];
    Inner inner;
    Inner inners[3];
    Inner *inner_ptr;
    uint8_t buf[7];
    uint8_t n_in;               /* of fixed, at most 4 */
    uint16_t fixed[4];
    uint32_t n_ptr;             /* of room, at most 6 */
    uint64_t *room;
    uint16_t n_alloc;           /* of fresh, at most 1000 */
    uint32_t *fresh;
    uint32_t blob_len;          /* of blob, at most 300 */
    uint8_t *blob;
    uint32_t n_structs;         /* at most 10 */
    Inner *structs;
    uint32_t extra;             /* subsection if not 0 */
    VmTimer *timer;
    int loads;
} State;

/* Version 2, with subsection "all/extra"; must_equal is 77 in a new one. */
extern const VMStateDescription vmstate_all;
State *state_new(Vm *vm);
void state_free(State *st);
void state_randomise(State *st);
void state_assert_equal(const State *a, const State *b);

typedef struct Small {
    bool flag;
    uint16_t n;
    uint32_t list[3];
    int32_t neg;
} Small;

/* Version 4, and 3 is accepted. */
extern const VMStateDescription vmstate_small;

/* @opaque as bytes; the description in *desc (may be NULL). */
GByteArray *state_save(const VMStateDescription *vmsd, void *opaque,
                       VMDesc *desc);

/* Loads; *used (may be NULL) is how many bytes that took. */
bool state_load(const VMStateDescription *vmsd, void *opaque, int version,
                const GByteArray *bytes, uint64_t *used, Error **errp);

/* Loading fails with a message that has @message in it. */
void state_load_fails(const VMStateDescription *vmsd, void *opaque,
                      int version, const GByteArray *bytes,
                      const char *message);

#endif
