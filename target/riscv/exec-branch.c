/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Jumps and branches. A target in the same page is a distance between two
 * Insns; any other is looked up by its address. Each that is taken looks at
 * the hart's attention, so no loop escapes it. Hart thread.
 */
#include "exec.h"

static inline bool attention(Hart *h)
{
    return unlikely(__atomic_load_n(&h->cpu.attention, __ATOMIC_RELAXED));
}

static __attribute__((noinline)) Insn *pause_at(Hart *h, Insn *i, uint64_t n)
{
    h->pc = insn_pc(h, i);
    h->instret = n;
    return NULL;
}

static __attribute__((noinline)) Insn *enter(Hart *h, Insn *i, uint64_t n)
{
    (void)i;
    h->instret = n;
    return code_enter(h);
}

Insn *exec_enter(Hart *h, uint64_t pc, uint64_t n)
{
    h->pc = pc;
    h->instret = n;
    return code_enter(h);
}

/* To the target in this page that imm is the distance to. */
#define GOTO_NEAR                                                              \
    do {                                                                       \
        Insn *target_ = (Insn *)((char *)i + i->imm);                          \
        if (attention(h)) {                                                    \
            EXEC_TAIL pause_at(h, target_, n + 1);                               \
        }                                                                      \
        NEXT(target_);                                                         \
    } while (0)

/* To @dest, anywhere. */
#define GOTO_FAR(dest)                                                         \
    do {                                                                       \
        uint64_t dest_ = (dest);                                               \
        FetchEntry *entry_ = &h->fetch[dest_ >> PAGE_BITS & (TLB_SIZE - 1)];   \
        if (likely(entry_->tag == (dest_ & PAGE_MASK) && !attention(h))) {     \
            CodePage *page_ = entry_->page;                                    \
            h->page = page_;                                                   \
            h->page_va = entry_->tag;                                          \
            NEXT(&page_->insn[(dest_ & ~PAGE_MASK) >> 1]);                     \
        }                                                                      \
        h->pc = dest_;                                                         \
        EXEC_TAIL enter(h, i, n + 1);                                            \
    } while (0)

#define BRANCH(which, name, cond)                                              \
    OP_##which(name,                                                           \
        if (cond) {                                                            \
            GOTO_NEAR;                                                         \
        }                                                                      \
        NEXT(i + LEN);)                                                        \
    OP_##which(name##_far,                                                     \
        if (cond) {                                                            \
            GOTO_FAR(h->page_va + IMM);                                        \
        }                                                                      \
        NEXT(i + LEN);)

BRANCH(BOTH, beqz, RS1 == 0)
BRANCH(BOTH, bnez, RS1 != 0)
BRANCH(LONG, beq, RS1 == RS2)
BRANCH(LONG, bne, RS1 != RS2)
BRANCH(LONG, blt, (int64_t)RS1 < (int64_t)RS2)
BRANCH(LONG, bge, (int64_t)RS1 >= (int64_t)RS2)
BRANCH(LONG, bltu, RS1 < RS2)
BRANCH(LONG, bgeu, RS1 >= RS2)

OP_AWAY(j, GOTO_NEAR;)
OP_AWAY(j_far, GOTO_FAR(h->page_va + IMM);)

OP_LONG(jal,
    RD = insn_pc(h, i) + 4;
    GOTO_NEAR;)
OP_LONG(jal_far,
    RD = insn_pc(h, i) + 4;
    GOTO_FAR(h->page_va + IMM);)

OP_AWAY(jr, GOTO_FAR((RS1 + IMM) & ~UINT64_C(1));)
OP_BOTH(jalr,
    uint64_t dest = (RS1 + IMM) & ~UINT64_C(1);
    RD = insn_pc(h, i) + 2 * LEN;
    GOTO_FAR(dest);)

/* The slots behind a page's last instruction. */
Insn *op_page_end(Hart *h, Insn *i, uint64_t n)
{
    /* Not an instruction: n is not to count it. */
    n--;
    GOTO_FAR(insn_pc(h, i));
}
