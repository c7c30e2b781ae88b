/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the functions of exec-*.c hand over to one another. Where the compiler
 * turns a call in tail position into a jump, each jumps to the next; elsewhere
 * (no optimisation, thread sanitizer) each returns the next to the loop of
 * exec_run(). Whatever is not short and frequent returns in either case: a
 * function with a local whose address is taken has no tail calls.
 */
#ifndef TARGET_RISCV_EXEC_H
#define TARGET_RISCV_EXEC_H

#include "config-host.h"
#include "hart.h"
#include "ops.h"

#if defined(__clang__) && defined(__has_attribute)
#if __has_attribute(musttail)
#define EXEC_TAIL __attribute__((musttail)) return
#endif
#elif defined(GODWIT_SIBLING_CALLS) && defined(__OPTIMIZE__) &&               \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define EXEC_TAIL return
#endif

/* Goes on with @to, having retired this instruction. */
#ifdef EXEC_TAIL
#define NEXT(to)                                                               \
    do {                                                                       \
        Insn *to_ = (to);                                                      \
        EXEC_TAIL to_->fn(h, to_, n + 1);                                      \
    } while (0)
#else
#define EXEC_TAIL return
#define NEXT(to) LEAVE(to)
#endif
#define CALL(fn) EXEC_TAIL fn(h, i, n)

/* The same by way of the loop. */
#define LEAVE(to)                                                              \
    do {                                                                       \
        h->instret = n + 1;                                                    \
        return (to);                                                           \
    } while (0)

/* Halfwords of a 32-bit and of a 16-bit instruction. */
#define LEN_4 2
#define LEN_2 1

/* Defines op_NAME_4; BOTH also op_NAME_2, for the compressed form. */
#define OP_LONG(name, ...)                                                     \
    Insn *op_##name##_4(Hart *h, Insn *i, uint64_t n)                          \
    {                                                                          \
        enum { LEN = LEN_4 };                                                  \
        __VA_ARGS__                                                            \
    }
#define OP_SHORT(name, ...)                                                    \
    Insn *op_##name##_2(Hart *h, Insn *i, uint64_t n)                          \
    {                                                                          \
        enum { LEN = LEN_2 };                                                  \
        __VA_ARGS__                                                            \
    }
#define OP_BOTH(name, ...)                                                     \
    OP_LONG(name, __VA_ARGS__)                                                 \
    OP_SHORT(name, __VA_ARGS__)

/* Never goes on behind itself, and has no need to know its length. */
#define OP_AWAY(name, ...)                                                     \
    Insn *op_##name##_4(Hart *h, Insn *i, uint64_t n)                          \
    {                                                                          \
        __VA_ARGS__                                                            \
    }

/* Guest memory is where harts and devices race, as the guest wants them to. */
#define GUEST_ACCESS __attribute__((no_sanitize("thread")))
#if defined(__SANITIZE_THREAD__)
#define SANITIZES_THREADS 1
#elif defined(__has_feature)
#define SANITIZES_THREADS __has_feature(thread_sanitizer)
#else
#define SANITIZES_THREADS 0
#endif

#define RS1 (h->x[i->rs1])
#define RS2 (h->x[i->rs2])
#define RD (h->x[i->rd])
#define IMM ((int64_t)i->imm)

/* Sign extension of the low half. */
#define SEXT_W(v) ((uint64_t)(int64_t)(int32_t)(v))

/*
 * Takes a trap at @i, whose number is not yet counted, and finds where to go
 * on. As the last thing of a function that returns.
 */
Insn *exec_trap(Hart *h, Insn *i, uint64_t n, uint64_t cause, uint64_t tval);
/* The same for what a memory helper left in exc_cause and exc_tval. */
Insn *exec_fault(Hart *h, Insn *i, uint64_t n);
Insn *exec_illegal(Hart *h, Insn *i, uint64_t n);

/* Goes on at @pc, in whichever page that is; @n counts this instruction. */
Insn *exec_enter(Hart *h, uint64_t pc, uint64_t n);

/* Runs until an instruction asks for hart_run()'s attention. */
void exec_run(Hart *h);

#endif
