/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What executes where there is no decoded instruction: decoding, instructions
 * that lie across the end of a page, and the loop around it all. Hart thread.
 */
#include <string.h>

#include "exec.h"

void exec_run(Hart *h)
{
    Insn *i = code_enter(h);

    while (i) {
        i = i->fn(h, i, h->instret);
    }
}

Insn *exec_trap(Hart *h, Insn *i, uint64_t n, uint64_t cause, uint64_t tval)
{
    h->instret = n;
    h->pc = insn_pc(h, i);
    trap_take(h, cause, tval);
    return code_enter(h);
}

Insn *exec_fault(Hart *h, Insn *i, uint64_t n)
{
    return exec_trap(h, i, n, h->exc_cause, h->exc_tval);
}

/*
 * Reads what is at @off now, and remembers it as what the slot was made of. A
 * halfword is read at once: another hart may be writing it.
 */
static uint16_t take_half(CodePage *page, unsigned off)
{
    uint16_t half = __atomic_load_n((const uint16_t *)(page->host + off),
                                    __ATOMIC_RELAXED);

    memcpy(page->copy + off, &half, sizeof(half));
    return half;
}

Insn *op_undecoded(Hart *h, Insn *i, uint64_t n)
{
    CodePage *page = h->page;
    unsigned off = (i - page->insn) * 2;
    uint32_t bits = take_half(page, off);

    if ((bits & 3) == 3) {
        if (off + 2 == PAGE_SIZE) {
            page->careful_fn = NULL;
            i->fn = op_careful;
            h->instret = n;
            return i;
        }
        bits |= (uint32_t)take_half(page, off + 2) << 16;
    }
    decode_insn(i, bits, off);
    h->instret = n;
    return i;
}

/*
 * For where one fetch is not like the next: an instruction whose second half
 * is in the next page, which may be another one each time, and pages that PMP
 * splits. Checks, reads and decodes each time.
 */
Insn *op_careful(Hart *h, Insn *i, uint64_t n)
{
    CodePage *page = h->page;
    unsigned off = (i - page->insn) * 2;

    h->instret = n;
    if (!mmu_fetch_careful(h, insn_pc(h, i))) {
        return exec_fault(h, i, n);
    }
    if (!page->careful_fn || page->careful_bits != h->fetched ||
        page->careful_off != off) {
        decode_insn(i, h->fetched, off);
        page->careful_fn = i->fn;
        page->careful_bits = h->fetched;
        page->careful_off = off;
        i->fn = op_careful;
    }
    EXEC_TAIL page->careful_fn(h, i, n);
}

Insn *exec_illegal(Hart *h, Insn *i, uint64_t n)
{
    unsigned off = (i - h->page->insn) * 2;
    const uint8_t *copy = h->page->copy + off;
    uint64_t bits = copy[0] | copy[1] << 8;

    if (i->fn == op_careful) {
        bits = h->fetched;
    } else if ((bits & 3) == 3) {
        bits |= (uint64_t)copy[2] << 16 | (uint64_t)copy[3] << 24;
    }
    return exec_trap(h, i, n, EXC_ILLEGAL, bits);
}
