/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Atomics, by those of the host on guest memory itself, which other harts and
 * devices use at the same moment. All are sequentially consistent, whatever aq
 * and rl say. Hart thread.
 *
 * LR notes address and value; SC succeeds if it is at that address and the
 * value is still there, in one compare-and-swap. So SC also succeeds when the
 * value was changed and changed back in between (ABA), where the architecture
 * has it fail. Sequences of LR, computation and SC, which is what the
 * architecture promises progress for, cannot tell: what they decide upon is
 * the value. The store is of the width of the LR, as SC must be.
 */
#include "exec.h"

static Insn *misaligned(Hart *h, Insn *i, uint64_t n, uint64_t cause)
{
    return exec_trap(h, i, n, cause, RS1);
}

#define LOAD_RESERVED(name, type, extend)                                      \
    GUEST_ACCESS OP_LONG(name,                                                 \
        type *host;                                                            \
        h->instret = n;                                                        \
        if (RS1 & (sizeof(type) - 1)) {                                        \
            return misaligned(h, i, n, EXC_LOAD_MISALIGNED);                   \
        }                                                                      \
        host = (type *)mmu_atomic(h, RS1, sizeof(type), false);                \
        if (!host) {                                                           \
            return exec_fault(h, i, n);                                        \
        }                                                                      \
        h->res_value = __atomic_load_n(host, __ATOMIC_SEQ_CST);                \
        h->res_addr = (uintptr_t)host | (sizeof(type) == 8);                   \
        RD = extend(h->res_value);                                             \
        LEAVE(i + LEN);)

/* The low bit of res_addr tells the width: addresses are even. */
#define STORE_CONDITIONAL(name, type)                                          \
    GUEST_ACCESS OP_LONG(name,                                                 \
        uint64_t reserved = h->res_addr;                                       \
        bool done = false;                                                     \
        type *host;                                                            \
        h->instret = n;                                                        \
        if (RS1 & (sizeof(type) - 1)) {                                        \
            return misaligned(h, i, n, EXC_STORE_MISALIGNED);                  \
        }                                                                      \
        host = (type *)mmu_atomic(h, RS1, sizeof(type), true);                 \
        if (!host) {                                                           \
            return exec_fault(h, i, n);                                        \
        }                                                                      \
        if (reserved == ((uintptr_t)host | (sizeof(type) == 8))) {             \
            type expected = h->res_value;                                      \
            done = __atomic_compare_exchange_n(host, &expected, (type)RS2,     \
                                               false, __ATOMIC_SEQ_CST,        \
                                               __ATOMIC_SEQ_CST);              \
        }                                                                      \
        h->res_addr = TAG_NONE;                                                \
        RD = !done;                                                            \
        LEAVE(i + LEN);)

LOAD_RESERVED(lr_w, uint32_t, SEXT_W)
LOAD_RESERVED(lr_d, uint64_t, )
STORE_CONDITIONAL(sc_w, uint32_t)
STORE_CONDITIONAL(sc_d, uint64_t)

/* @stype: the type in whose order min and max compare. */
#define AMO(name, type, stype, extend, operation)                              \
    GUEST_ACCESS OP_LONG(name,                                                 \
        type *host;                                                            \
        stype old;                                                             \
        stype arg = RS2;                                                       \
        h->instret = n;                                                        \
        if (RS1 & (sizeof(type) - 1)) {                                        \
            return misaligned(h, i, n, EXC_STORE_MISALIGNED);                  \
        }                                                                      \
        host = (type *)mmu_atomic(h, RS1, sizeof(type), true);                 \
        if (!host) {                                                           \
            return exec_fault(h, i, n);                                        \
        }                                                                      \
        old = operation;                                                       \
        RD = extend(old);                                                      \
        LEAVE(i + LEN);)

#define FETCH_OP(what) __atomic_##what(host, arg, __ATOMIC_SEQ_CST)

/* What the host has no instruction for: swap in until nobody interfered. */
#define DEFINE_MINMAX(type, name, relation)                                    \
    GUEST_ACCESS static type fetch_##name##_##type(void *host, type arg)       \
    {                                                                          \
        type *p = host;                                                        \
        type old = __atomic_load_n(p, __ATOMIC_RELAXED);                       \
        while (!__atomic_compare_exchange_n(                                   \
            p, &old, old relation arg ? old : arg, false, __ATOMIC_SEQ_CST,    \
            __ATOMIC_RELAXED)) {                                               \
        }                                                                      \
        return old;                                                            \
    }

DEFINE_MINMAX(int32_t, min, <)
DEFINE_MINMAX(int32_t, max, >)
DEFINE_MINMAX(uint32_t, min, <)
DEFINE_MINMAX(uint32_t, max, >)
DEFINE_MINMAX(int64_t, min, <)
DEFINE_MINMAX(int64_t, max, >)
DEFINE_MINMAX(uint64_t, min, <)
DEFINE_MINMAX(uint64_t, max, >)

AMO(amoswap_w, uint32_t, uint32_t, SEXT_W, FETCH_OP(exchange_n))
AMO(amoadd_w, uint32_t, uint32_t, SEXT_W, FETCH_OP(fetch_add))
AMO(amoxor_w, uint32_t, uint32_t, SEXT_W, FETCH_OP(fetch_xor))
AMO(amoand_w, uint32_t, uint32_t, SEXT_W, FETCH_OP(fetch_and))
AMO(amoor_w, uint32_t, uint32_t, SEXT_W, FETCH_OP(fetch_or))
AMO(amomin_w, uint32_t, int32_t, SEXT_W, fetch_min_int32_t(host, arg))
AMO(amomax_w, uint32_t, int32_t, SEXT_W, fetch_max_int32_t(host, arg))
AMO(amominu_w, uint32_t, uint32_t, SEXT_W, fetch_min_uint32_t(host, arg))
AMO(amomaxu_w, uint32_t, uint32_t, SEXT_W, fetch_max_uint32_t(host, arg))

AMO(amoswap_d, uint64_t, uint64_t, , FETCH_OP(exchange_n))
AMO(amoadd_d, uint64_t, uint64_t, , FETCH_OP(fetch_add))
AMO(amoxor_d, uint64_t, uint64_t, , FETCH_OP(fetch_xor))
AMO(amoand_d, uint64_t, uint64_t, , FETCH_OP(fetch_and))
AMO(amoor_d, uint64_t, uint64_t, , FETCH_OP(fetch_or))
AMO(amomin_d, uint64_t, int64_t, , fetch_min_int64_t(host, arg))
AMO(amomax_d, uint64_t, int64_t, , fetch_max_int64_t(host, arg))
AMO(amominu_d, uint64_t, uint64_t, , fetch_min_uint64_t(host, arg))
AMO(amomaxu_d, uint64_t, uint64_t, , fetch_max_uint64_t(host, arg))
