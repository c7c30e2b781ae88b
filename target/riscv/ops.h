/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The names of all operations of the interpreter: each is a function
 * op_NAME_4, and those that have a compressed form also op_NAME_2, unless they
 * never go on behind themselves. Which instruction becomes which is said in
 * decode.c.
 */
#ifndef TARGET_RISCV_OPS_H
#define TARGET_RISCV_OPS_H

/* exec-int.c */
#define OPS_INT_BOTH(X)                                                        \
    X(li) X(mv) X(addi) X(addiw) X(andi) X(slli) X(srli) X(srai)               \
    X(add) X(sub) X(xor) X(or) X(and) X(addw) X(subw)
#define OPS_INT_LONG(X)                                                        \
    X(auipc) X(slti) X(sltiu) X(xori) X(ori) X(slliw) X(srliw) X(sraiw)        \
    X(sll) X(srl) X(sra) X(slt) X(sltu) X(sllw) X(srlw) X(sraw)                \
    X(mul) X(mulh) X(mulhsu) X(mulhu) X(div) X(divu) X(rem) X(remu)            \
    X(mulw) X(divw) X(divuw) X(remw) X(remuw)

/* exec-bit.c */
#define OPS_BIT_LONG(X)                                                        \
    X(add_uw) X(sh1add) X(sh2add) X(sh3add) X(sh1add_uw) X(sh2add_uw)          \
    X(sh3add_uw) X(slli_uw)                                                    \
    X(andn) X(orn) X(xnor) X(clz) X(clzw) X(ctz) X(ctzw) X(cpop) X(cpopw)      \
    X(max) X(maxu) X(min) X(minu) X(sext_b) X(sext_h) X(zext_h)                \
    X(rol) X(rolw) X(ror) X(rori) X(roriw) X(rorw) X(orc_b) X(rev8)            \
    X(bclr) X(bclri) X(bext) X(bexti) X(binv) X(binvi) X(bset) X(bseti)

/* exec-branch.c; _far: the target is in another page */
#define OPS_BRANCH_BOTH(X)                                                     \
    X(beqz) X(beqz_far) X(bnez) X(bnez_far) X(jalr)
#define OPS_BRANCH_LONG(X)                                                     \
    X(j) X(j_far) X(jr)                                                        \
    X(beq) X(beq_far) X(bne) X(bne_far) X(blt) X(blt_far) X(bge) X(bge_far)    \
    X(bltu) X(bltu_far) X(bgeu) X(bgeu_far) X(jal) X(jal_far)

/* exec-mem.c */
#define OPS_MEM_BOTH(X) X(lw) X(ld) X(sw) X(sd) X(fld) X(fsd)
#define OPS_MEM_LONG(X)                                                        \
    X(lb) X(lbu) X(lh) X(lhu) X(lwu) X(sb) X(sh) X(flw) X(fsw)

/* exec-amo.c */
#define OPS_AMO_LONG(X)                                                        \
    X(lr_w) X(lr_d) X(sc_w) X(sc_d)                                            \
    X(amoswap_w) X(amoadd_w) X(amoxor_w) X(amoand_w) X(amoor_w) X(amomin_w)    \
    X(amomax_w) X(amominu_w) X(amomaxu_w)                                      \
    X(amoswap_d) X(amoadd_d) X(amoxor_d) X(amoand_d) X(amoor_d) X(amomin_d)    \
    X(amomax_d) X(amominu_d) X(amomaxu_d)

/* exec-fp.c */
#define OPS_FP_LONG(X)                                                         \
    X(fadd_s) X(fsub_s) X(fmul_s) X(fdiv_s) X(fsqrt_s)                         \
    X(fadd_d) X(fsub_d) X(fmul_d) X(fdiv_d) X(fsqrt_d)                         \
    X(fmadd_s) X(fmsub_s) X(fnmsub_s) X(fnmadd_s)                              \
    X(fmadd_d) X(fmsub_d) X(fnmsub_d) X(fnmadd_d)                              \
    X(fsgnj_s) X(fsgnjn_s) X(fsgnjx_s) X(fmin_s) X(fmax_s)                     \
    X(fsgnj_d) X(fsgnjn_d) X(fsgnjx_d) X(fmin_d) X(fmax_d)                     \
    X(feq_s) X(flt_s) X(fle_s) X(feq_d) X(flt_d) X(fle_d)                      \
    X(fclass_s) X(fclass_d) X(fmv_x_w) X(fmv_w_x) X(fmv_x_d) X(fmv_d_x)
#define OPS_FP_CVT_LONG(X)                                                     \
    X(fcvt_w_s) X(fcvt_wu_s) X(fcvt_l_s) X(fcvt_lu_s)                          \
    X(fcvt_w_d) X(fcvt_wu_d) X(fcvt_l_d) X(fcvt_lu_d)                          \
    X(fcvt_s_w) X(fcvt_s_wu) X(fcvt_s_l) X(fcvt_s_lu)                          \
    X(fcvt_d_w) X(fcvt_d_wu) X(fcvt_d_l) X(fcvt_d_lu)                          \
    X(fcvt_s_d) X(fcvt_d_s)

/* exec-sys.c */
#define OPS_SYS_LONG(X)                                                        \
    X(ebreak) X(illegal)                                                       \
    X(nop) X(pause) X(fence) X(fence_full) X(fence_i) X(ecall) X(mret) X(sret) \
    X(wfi) X(sfence_vma) X(csrrw) X(csrrs) X(csrrc) X(csrrwi) X(csrrsi)        \
    X(csrrci) X(cbo_inval) X(cbo_clean) X(cbo_flush) X(cbo_zero)

#define OPS_BOTH(X)                                                            \
    OPS_INT_BOTH(X) OPS_BRANCH_BOTH(X) OPS_MEM_BOTH(X)
#define OPS_LONG(X)                                                            \
    OPS_INT_LONG(X) OPS_BIT_LONG(X) OPS_BRANCH_LONG(X) OPS_MEM_LONG(X)         \
    OPS_AMO_LONG(X) OPS_FP_LONG(X) OPS_FP_CVT_LONG(X) OPS_SYS_LONG(X)

#define DECLARE_LONG(name) InsnFn op_##name##_4;
#define DECLARE_BOTH(name) InsnFn op_##name##_4, op_##name##_2;
OPS_BOTH(DECLARE_BOTH)
OPS_LONG(DECLARE_LONG)
#undef DECLARE_LONG
#undef DECLARE_BOTH

/* exec-page.c; op_page_end is in exec-branch.c */
InsnFn op_undecoded, op_careful, op_page_end;

#endif
