/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads and stores. What the TLB has is a host access, misaligned or not as
 * long as it stays in its page; anything else goes through mmu.c. Hart thread.
 */
#include "exec.h"
#include "fpu.h"

/* Guest memory of any alignment. */
typedef struct { uint8_t v; } __attribute__((packed, may_alias)) Mem8;
typedef struct { uint16_t v; } __attribute__((packed, may_alias)) Mem16;
typedef struct { uint32_t v; } __attribute__((packed, may_alias)) Mem32;
typedef struct { uint64_t v; } __attribute__((packed, may_alias)) Mem64;

#define TLB_ENTRY(va) (&h->tlb[(va) >> PAGE_BITS & (TLB_SIZE - 1)])
/* The page of the last byte, so that an access across two pages never hits. */
#define TLB_TAG(va, bytes) (((va) + (bytes) - 1) & PAGE_MASK)

/* Defines the slow way of a load: a function of InsnFn's type. */
#define LOAD_SLOW(name, LENGTH, bits, set)                                     \
    static __attribute__((noinline)) Insn *name##_slow(Hart *h, Insn *i,       \
                                                       uint64_t n)             \
    {                                                                          \
        uint64_t val;                                                          \
        h->instret = n;                                                        \
        if (!mmu_load(h, RS1 + IMM, bits / 8, &val)) {                         \
            return exec_fault(h, i, n);                                        \
        }                                                                      \
        set;                                                                   \
        LEAVE(i + LENGTH);                                                     \
    }

#define LOAD_LENGTH(which, LENGTH, name, bits, set)                            \
    LOAD_SLOW(name##_##LENGTH, LENGTH, bits, set)                              \
    GUEST_ACCESS OP_##which(name,                                              \
        uint64_t va = RS1 + IMM;                                               \
        TlbEntry *e = TLB_ENTRY(va);                                           \
        if (unlikely(TLB_TAG(va, bits / 8) != e->rtag)) {                      \
            CALL(name##_##LENGTH##_slow);                                      \
        }                                                                      \
        uint64_t val = ((const volatile Mem##bits *)(va + e->addend))->v;      \
        set;                                                                   \
        NEXT(i + LEN);)

#define STORE_SLOW(name, LENGTH, bits, value)                                  \
    static __attribute__((noinline)) Insn *name##_slow(Hart *h, Insn *i,       \
                                                       uint64_t n)             \
    {                                                                          \
        h->instret = n;                                                        \
        if (!mmu_store(h, RS1 + IMM, bits / 8, value)) {                       \
            return exec_fault(h, i, n);                                        \
        }                                                                      \
        LEAVE(i + LENGTH);                                                     \
    }

#define STORE_LENGTH(which, LENGTH, name, bits, value)                         \
    STORE_SLOW(name##_##LENGTH, LENGTH, bits, value)                           \
    GUEST_ACCESS OP_##which(name,                                              \
        uint64_t va = RS1 + IMM;                                               \
        TlbEntry *e = TLB_ENTRY(va);                                           \
        if (unlikely(TLB_TAG(va, bits / 8) != e->wtag)) {                      \
            CALL(name##_##LENGTH##_slow);                                      \
        }                                                                      \
        ((volatile Mem##bits *)(va + e->addend))->v = value;                   \
        NEXT(i + LEN);)

#define LOAD_LONG(...) LOAD_LENGTH(LONG, LEN_4, __VA_ARGS__)
#define LOAD_BOTH(...) LOAD_LONG(__VA_ARGS__) LOAD_LENGTH(SHORT, LEN_2, __VA_ARGS__)
#define STORE_LONG(...) STORE_LENGTH(LONG, LEN_4, __VA_ARGS__)
#define STORE_BOTH(...)                                                        \
    STORE_LONG(__VA_ARGS__) STORE_LENGTH(SHORT, LEN_2, __VA_ARGS__)

LOAD_LONG(lb, 8, RD = (int64_t)(int8_t)val)
LOAD_LONG(lbu, 8, RD = val)
LOAD_LONG(lh, 16, RD = (int64_t)(int16_t)val)
LOAD_LONG(lhu, 16, RD = val)
LOAD_BOTH(lw, 32, RD = SEXT_W(val))
LOAD_LONG(lwu, 32, RD = val)
LOAD_BOTH(ld, 64, RD = val)

STORE_LONG(sb, 8, RS2)
STORE_LONG(sh, 16, RS2)
STORE_BOTH(sw, 32, RS2)
STORE_BOTH(sd, 64, RS2)

/*
 * Floating point: with FS off these are illegal, and a load makes it dirty.
 * The first test is for both at once.
 */
static inline bool fs_dirty(const Hart *h)
{
    return likely(!(~h->mstatus & MSTATUS_FS));
}

#define FP_LOAD_LENGTH(which, LENGTH, name, bits, set)                         \
    static __attribute__((noinline)) Insn *name##_##LENGTH##_slow(             \
        Hart *h, Insn *i, uint64_t n)                                          \
    {                                                                          \
        uint64_t val;                                                          \
        h->instret = n;                                                        \
        if (!(h->mstatus & MSTATUS_FS)) {                                      \
            return exec_illegal(h, i, n);                                      \
        }                                                                      \
        if (!mmu_load(h, RS1 + IMM, bits / 8, &val)) {                         \
            return exec_fault(h, i, n);                                        \
        }                                                                      \
        h->mstatus |= MSTATUS_FS;                                              \
        set;                                                                   \
        LEAVE(i + LENGTH);                                                     \
    }                                                                          \
    GUEST_ACCESS OP_##which(name,                                              \
        uint64_t va = RS1 + IMM;                                               \
        TlbEntry *e = TLB_ENTRY(va);                                           \
        if (unlikely(TLB_TAG(va, bits / 8) != e->rtag || !fs_dirty(h))) {      \
            CALL(name##_##LENGTH##_slow);                                      \
        }                                                                      \
        uint64_t val = ((const volatile Mem##bits *)(va + e->addend))->v;      \
        set;                                                                   \
        NEXT(i + LEN);)

#define FP_STORE_LENGTH(which, LENGTH, name, bits)                             \
    static __attribute__((noinline)) Insn *name##_##LENGTH##_slow(             \
        Hart *h, Insn *i, uint64_t n)                                          \
    {                                                                          \
        h->instret = n;                                                        \
        if (!(h->mstatus & MSTATUS_FS)) {                                      \
            return exec_illegal(h, i, n);                                      \
        }                                                                      \
        if (!mmu_store(h, RS1 + IMM, bits / 8, h->f[i->rs2])) {                \
            return exec_fault(h, i, n);                                        \
        }                                                                      \
        LEAVE(i + LENGTH);                                                     \
    }                                                                          \
    GUEST_ACCESS OP_##which(name,                                              \
        uint64_t va = RS1 + IMM;                                               \
        TlbEntry *e = TLB_ENTRY(va);                                           \
        if (unlikely(TLB_TAG(va, bits / 8) != e->wtag ||                       \
                     !(h->mstatus & MSTATUS_FS))) {                            \
            CALL(name##_##LENGTH##_slow);                                      \
        }                                                                      \
        ((volatile Mem##bits *)(va + e->addend))->v = h->f[i->rs2];            \
        NEXT(i + LEN);)

FP_LOAD_LENGTH(LONG, LEN_4, flw, 32, h->f[i->rd] = fpu_box_s(val))
FP_LOAD_LENGTH(LONG, LEN_4, fld, 64, h->f[i->rd] = val)
FP_LOAD_LENGTH(SHORT, LEN_2, fld, 64, h->f[i->rd] = val)
FP_STORE_LENGTH(LONG, LEN_4, fsw, 32)
FP_STORE_LENGTH(LONG, LEN_4, fsd, 64)
FP_STORE_LENGTH(SHORT, LEN_2, fsd, 64)
