/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Misaligned loads and stores, within a page and across two. */
#include "isa.h"

.macro TRY num, base, offset
        la      s0, \base
        li      s1, 0x8877665544332211
        sd      s1, \offset(s0)
        ld      a0, \offset(s0)
        CHECK_REG \num, a0, s1
        lw      a0, \offset(s0)
        CHECK   \num, a0, 0x44332211
        lw      a0, \offset + 4(s0)
        CHECK   \num, a0, -0x778899ab
        lhu     a0, \offset + 1(s0)
        CHECK   \num, a0, 0x3322
        lh      a0, \offset + 6(s0)
        CHECK   \num, a0, -0x7789
        lbu     a0, \offset + 7(s0)
        CHECK   \num, a0, 0x88
        lbu     a0, \offset(s0)
        CHECK   \num, a0, 0x11
        li      a1, -1
        sh      a1, \offset + 3(s0)
        ld      a0, \offset(s0)
        CHECK   \num, a0, 0x887766ffff332211
        sw      x0, \offset + 1(s0)
        ld      a0, \offset(s0)
        CHECK   \num, a0, 0x8877660000000011
        fld     fa0, \offset(s0)
        fmv.x.d a0, fa0
        CHECK   \num, a0, 0x8877660000000011
        fmv.d.x fa1, s1
        fsd     fa1, \offset(s0)
        ld      a0, \offset(s0)
        CHECK_REG \num, a0, s1
.endm

BEGIN
        li      t0, MSTATUS_FS
        csrs    mstatus, t0
        TRY 1, data, 1
        TRY 2, data, 2
        TRY 3, data, 3
        TRY 4, data, 4
        TRY 5, data, 5
        TRY 6, data, 7
        TRY 11, edge, -1
        TRY 12, edge, -2
        TRY 13, edge, -3
        TRY 14, edge, -4
        TRY 15, edge, -5
        TRY 16, edge, -6
        TRY 17, edge, -7
        TRY 18, edge, -1
        la      s0, edge        /* nothing beside was touched */
        lbu     a0, -8(s0)
        CHECK   20, a0, 0xee
        lbu     a0, 7(s0)
        CHECK   21, a0, 0xee
END
        .data
        .balign 4096
data:   .space  4088
        .byte   0xee
        .space  7
edge:   .space  7
        .byte   0xee
        .space  4088
