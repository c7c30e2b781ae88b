/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control and status registers: one table. Numbers and fields are those of the
 * privileged architecture, "Control and Status Registers (CSRs)", of the
 * unprivileged specification ("F", "Zicntr and Zihpm"), of Sstc and of the
 * cache-block extensions. Hart thread.
 */
#include "hart.h"

typedef struct Csr {
    uint16_t first, last;
    bool moves_code;
    const char *name;
    /* Without hooks: a 64-bit field of the hart, of which @mask is writable */
    uint16_t offset;
    uint64_t mask;
    /* NULL: always, given the privilege that is part of the number */
    bool (*allowed)(const Hart *h, unsigned num);
    uint64_t (*read)(Hart *h, unsigned num);
    /* What setting and clearing bits starts from; NULL: what read() says */
    uint64_t (*stored)(Hart *h, unsigned num);
    void (*write)(Hart *h, unsigned num, uint64_t val);
} Csr;

/* WARL fields that have one legal value */
static uint64_t read_zero(Hart *h, unsigned num)
{
    (void)h;
    (void)num;
    return 0;
}

static void write_ignored(Hart *h, unsigned num, uint64_t val)
{
    (void)h;
    (void)num;
    (void)val;
}

/* Floating point */
static bool fp_allowed(const Hart *h, unsigned num)
{
    (void)num;
    return h->mstatus & MSTATUS_FS;
}

static uint64_t read_fcsr(Hart *h, unsigned num)
{
    switch (num) {
    case 1:
        return h->fflags;
    case 2:
        return h->frm;
    }
    return h->frm << 5 | h->fflags;
}

static void write_fcsr(Hart *h, unsigned num, uint64_t val)
{
    h->mstatus |= MSTATUS_FS;
    if (num == 2) {
        h->frm = val & 7;
        return;
    }
    h->fflags = val & 31;
    if (num == 3) {
        h->frm = val >> 5 & 7;
    }
}

/* Counters */
static bool counter_allowed(const Hart *h, unsigned num)
{
    uint32_t bit = UINT32_C(1) << (num & 31);

    if (h->priv < PRV_M && !(h->mcounteren & bit)) {
        return false;
    }
    return h->priv != PRV_U || (h->scounteren & bit);
}

static uint64_t read_counter(Hart *h, unsigned num)
{
    bool instret = num & 2;
    uint64_t base = instret ? h->minstret_base : h->mcycle_base;
    uint32_t bit = instret ? COUNTER_IR : COUNTER_CY;

    return h->mcountinhibit & bit ? base : base + h->instret;
}

static void write_counter(Hart *h, unsigned num, uint64_t val)
{
    bool instret = num & 2;
    uint32_t bit = instret ? COUNTER_IR : COUNTER_CY;

    /* This instruction itself is not to be added. */
    if (!(h->mcountinhibit & bit)) {
        val -= h->instret + 1;
    }
    if (instret) {
        h->minstret_base = val;
    } else {
        h->mcycle_base = val;
    }
}

static uint64_t read_countinhibit(Hart *h, unsigned num)
{
    (void)num;
    return h->mcountinhibit;
}

static void write_countinhibit(Hart *h, unsigned num, uint64_t val)
{
    uint32_t inhibit = val & (COUNTER_CY | COUNTER_IR);
    uint32_t changed = inhibit ^ h->mcountinhibit;
    uint64_t count = h->instret + 1;

    (void)num;
    if (changed & COUNTER_CY) {
        h->mcycle_base += inhibit & COUNTER_CY ? count : -count;
    }
    if (changed & COUNTER_IR) {
        h->minstret_base += inhibit & COUNTER_IR ? count : -count;
    }
    h->mcountinhibit = inhibit;
}

static uint64_t read_counteren(Hart *h, unsigned num)
{
    return num == 0x106 ? h->scounteren : h->mcounteren;
}

static void write_counteren(Hart *h, unsigned num, uint64_t val)
{
    if (num == 0x106) {
        h->scounteren = (uint32_t)val;
    } else {
        h->mcounteren = (uint32_t)val;
    }
}

static uint64_t read_time(Hart *h, unsigned num)
{
    (void)num;
    return sstc_time(h);
}

/* Status */
static uint64_t with_sd(uint64_t status)
{
    return (status & MSTATUS_FS) == MSTATUS_FS ? status | MSTATUS_SD : status;
}

static uint64_t read_mstatus(Hart *h, unsigned num)
{
    (void)num;
    return with_sd(h->mstatus | MSTATUS_UXL_64 | MSTATUS_SXL_64);
}

static void set_mstatus(Hart *h, uint64_t mask, uint64_t val)
{
    uint64_t old = h->mstatus;

    if ((val & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT == 2) {
        mask &= ~MSTATUS_MPP;
    }
    h->mstatus = (old & ~mask) | (val & mask);
    if ((old ^ h->mstatus) & MSTATUS_MXR) {
        tlb_flush_translated(h);
    }
    tlb_select(h);
}

static void write_mstatus(Hart *h, unsigned num, uint64_t val)
{
    (void)num;
    set_mstatus(h, MSTATUS_WRITABLE, val);
}

static uint64_t read_sstatus(Hart *h, unsigned num)
{
    (void)num;
    return with_sd((h->mstatus & SSTATUS_WRITABLE) | MSTATUS_UXL_64);
}

static void write_sstatus(Hart *h, unsigned num, uint64_t val)
{
    (void)num;
    set_mstatus(h, SSTATUS_WRITABLE, val);
}

static uint64_t read_misa(Hart *h, unsigned num)
{
    (void)h;
    (void)num;
    return HART_MISA;
}

/* Interrupts */
static uint64_t read_mip(Hart *h, unsigned num)
{
    (void)num;
    return hart_mip(h);
}

static uint64_t stored_mip(Hart *h, unsigned num)
{
    (void)num;
    return h->mip_soft;
}

static void set_mip(Hart *h, uint64_t mask, uint64_t val)
{
    uint64_t soft = (h->mip_soft & ~mask) | (val & mask);

    __atomic_store_n(&h->mip_soft, soft, __ATOMIC_RELEASE);
    if (mask & MIP_SSIP) {
        /* A line may have set it: it is the software's to clear. */
        __atomic_fetch_and(&h->irq_lines, ~MIP_SSIP, __ATOMIC_ACQ_REL);
    }
}

static void write_mip(Hart *h, unsigned num, uint64_t val)
{
    uint64_t mask = MIP_SSIP | MIP_SEIP;

    (void)num;
    if (!(h->menvcfg & MENVCFG_STCE)) {
        mask |= MIP_STIP;
    }
    set_mip(h, mask, val);
}

static uint64_t read_sip(Hart *h, unsigned num)
{
    (void)num;
    return hart_mip(h) & h->mideleg;
}

static void write_sip(Hart *h, unsigned num, uint64_t val)
{
    (void)num;
    set_mip(h, MIP_SSIP & h->mideleg, val);
}

static void set_mie(Hart *h, uint64_t mask, uint64_t val)
{
    __atomic_store_n(&h->mie, (h->mie & ~mask) | (val & mask),
                     __ATOMIC_RELEASE);
}

static void write_mie(Hart *h, unsigned num, uint64_t val)
{
    (void)num;
    set_mie(h, MIP_ALL, val);
}

static uint64_t read_sie(Hart *h, unsigned num)
{
    (void)num;
    return h->mie & h->mideleg;
}

static void write_sie(Hart *h, unsigned num, uint64_t val)
{
    (void)num;
    set_mie(h, h->mideleg, val);
}

/* Environment, timer */
static void write_menvcfg(Hart *h, unsigned num, uint64_t val)
{
    uint64_t mask = MENVCFG_WRITABLE;
    uint64_t old = h->menvcfg;

    (void)num;
    if ((val & ENVCFG_CBIE) == 2 << 4) {
        mask &= ~ENVCFG_CBIE;
    }
    sstc_store(h, &h->menvcfg, (old & ~mask) | (val & mask));
    if ((old ^ h->menvcfg) & MENVCFG_ADUE) {
        tlb_flush_translated(h);
    }
    if ((old ^ h->menvcfg) & MENVCFG_STCE) {
        h->mip_soft &= ~MIP_STIP;
    }
}

static void write_senvcfg(Hart *h, unsigned num, uint64_t val)
{
    uint64_t mask = SENVCFG_WRITABLE;

    (void)num;
    if ((val & ENVCFG_CBIE) == 2 << 4) {
        mask &= ~ENVCFG_CBIE;
    }
    h->senvcfg = (h->senvcfg & ~mask) | (val & mask);
}

static bool stimecmp_allowed(const Hart *h, unsigned num)
{
    (void)num;
    return h->priv == PRV_M ||
           ((h->menvcfg & MENVCFG_STCE) && (h->mcounteren & COUNTER_TM));
}

static void write_stimecmp(Hart *h, unsigned num, uint64_t val)
{
    (void)num;
    sstc_store(h, &h->stimecmp, val);
}

/* Translation and protection */
static bool satp_allowed(const Hart *h, unsigned num)
{
    (void)num;
    return h->priv != PRV_S || !(h->mstatus & MSTATUS_TVM);
}

static void write_satp(Hart *h, unsigned num, uint64_t val)
{
    unsigned mode = val >> SATP_MODE_SHIFT;

    (void)num;
    if (mode != SATP_MODE_BARE && mode != SATP_MODE_SV39 &&
        mode != SATP_MODE_SV48) {
        return;
    }
    if (val != h->satp) {
        /* Entries carry no ASID. */
        h->satp = val;
        tlb_flush_translated(h);
    }
}

static uint64_t read_pmpcfg(Hart *h, unsigned num)
{
    unsigned first = (num & 15) * 4;
    uint64_t val = 0;

    for (unsigned n = 0; n < 8; n++) {
        val |= (uint64_t)h->pmpcfg[first + n] << (8 * n);
    }
    return val;
}

static void write_pmpcfg(Hart *h, unsigned num, uint64_t val)
{
    unsigned first = (num & 15) * 4;

    for (unsigned n = 0; n < 8; n++) {
        uint8_t cfg = val >> (8 * n) & PMPCFG_WRITABLE;

        if ((cfg & (PMP_R | PMP_W)) == PMP_W) {
            cfg &= (uint8_t)~PMP_W;
        }
        if (!(h->pmpcfg[first + n] & PMP_L)) {
            h->pmpcfg[first + n] = cfg;
        }
    }
    pmp_update(h);
}

static uint64_t read_pmpaddr(Hart *h, unsigned num)
{
    return h->pmpaddr[num & 15];
}

static void write_pmpaddr(Hart *h, unsigned num, uint64_t val)
{
    unsigned n = num & 15;

    if (h->pmpcfg[n] & PMP_L) {
        return;
    }
    /* The start of a locked range. */
    if (n + 1 < PMP_ENTRIES && (h->pmpcfg[n + 1] & PMP_L) &&
        (h->pmpcfg[n + 1] & PMP_A) == PMP_A_TOR) {
        return;
    }
    h->pmpaddr[n] = val & PMPADDR_WRITABLE;
    pmp_update(h);
}

#define ONE(num, called) .first = num, .last = num, .name = called
#define RANGE(from, to, called) .first = from, .last = to, .name = called
#define FIELD(field, writable)                                                 \
    .offset = offsetof(struct Hart, field), .mask = writable

/* In ascending order. */
static const Csr csrs[] = {
    { RANGE(0x001, 0x003, "fflags, frm, fcsr"), .allowed = fp_allowed,
      .read = read_fcsr, .write = write_fcsr },
    { ONE(0x100, "sstatus"), .read = read_sstatus, .write = write_sstatus },
    { ONE(0x104, "sie"), .read = read_sie, .write = write_sie },
    { ONE(0x105, "stvec"), FIELD(stvec, ~UINT64_C(2)) },
    { ONE(0x106, "scounteren"), .read = read_counteren,
      .write = write_counteren },
    { ONE(0x10a, "senvcfg"), FIELD(senvcfg, 0), .write = write_senvcfg },
    { ONE(0x140, "sscratch"), FIELD(sscratch, UINT64_MAX) },
    { ONE(0x141, "sepc"), FIELD(sepc, ~UINT64_C(1)) },
    { ONE(0x142, "scause"), FIELD(scause, UINT64_MAX) },
    { ONE(0x143, "stval"), FIELD(stval, UINT64_MAX) },
    { ONE(0x144, "sip"), .read = read_sip, .stored = stored_mip,
      .write = write_sip },
    { ONE(0x14d, "stimecmp"), FIELD(stimecmp, 0), .allowed = stimecmp_allowed,
      .write = write_stimecmp },
    { ONE(0x180, "satp"), FIELD(satp, 0), .allowed = satp_allowed,
      .write = write_satp, .moves_code = true },
    { ONE(0x300, "mstatus"), .read = read_mstatus, .write = write_mstatus },
    { ONE(0x301, "misa"), .read = read_misa, .write = write_ignored },
    { ONE(0x302, "medeleg"), FIELD(medeleg, MEDELEG_WRITABLE) },
    { ONE(0x303, "mideleg"), FIELD(mideleg, MIP_S_BITS) },
    { ONE(0x304, "mie"), FIELD(mie, 0), .write = write_mie },
    { ONE(0x305, "mtvec"), FIELD(mtvec, ~UINT64_C(2)) },
    { ONE(0x306, "mcounteren"), .read = read_counteren,
      .write = write_counteren },
    { ONE(0x30a, "menvcfg"), FIELD(menvcfg, 0), .write = write_menvcfg },
    { ONE(0x320, "mcountinhibit"), .read = read_countinhibit,
      .write = write_countinhibit },
    { RANGE(0x323, 0x33f, "mhpmevent3..31"), .read = read_zero,
      .write = write_ignored },
    { ONE(0x340, "mscratch"), FIELD(mscratch, UINT64_MAX) },
    { ONE(0x341, "mepc"), FIELD(mepc, ~UINT64_C(1)) },
    { ONE(0x342, "mcause"), FIELD(mcause, UINT64_MAX) },
    { ONE(0x343, "mtval"), FIELD(mtval, UINT64_MAX) },
    { ONE(0x344, "mip"), .read = read_mip, .stored = stored_mip,
      .write = write_mip },
    { ONE(0x3a0, "pmpcfg0"), .read = read_pmpcfg, .write = write_pmpcfg,
      .moves_code = true },
    { ONE(0x3a2, "pmpcfg2"), .read = read_pmpcfg, .write = write_pmpcfg,
      .moves_code = true },
    { RANGE(0x3b0, 0x3bf, "pmpaddr0..15"), .read = read_pmpaddr,
      .write = write_pmpaddr, .moves_code = true },
    { ONE(0xb00, "mcycle"), .read = read_counter, .write = write_counter },
    { ONE(0xb02, "minstret"), .read = read_counter, .write = write_counter },
    { RANGE(0xb03, 0xb1f, "mhpmcounter3..31"), .read = read_zero,
      .write = write_ignored },
    { ONE(0xc00, "cycle"), .allowed = counter_allowed, .read = read_counter },
    { ONE(0xc01, "time"), .allowed = counter_allowed, .read = read_time },
    { ONE(0xc02, "instret"), .allowed = counter_allowed, .read = read_counter },
    { RANGE(0xc03, 0xc1f, "hpmcounter3..31"), .allowed = counter_allowed,
      .read = read_zero },
    { RANGE(0xf11, 0xf13, "mvendorid, marchid, mimpid"), .read = read_zero },
    { ONE(0xf14, "mhartid"), FIELD(hartid, 0) },
    { ONE(0xf15, "mconfigptr"), .read = read_zero },
};

/* What decoded instructions carry: the row and the number. */
#define CSR_NUM(csr) ((unsigned)(csr) & 0xfff)
#define CSR_ROW(csr) (&csrs[(csr) >> 12])

int csr_find(unsigned num)
{
    unsigned low = 0, high = G_N_ELEMENTS(csrs);

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (num > csrs[middle].last) {
            low = middle + 1;
        } else if (num < csrs[middle].first) {
            high = middle;
        } else {
            return (int)(middle << 12 | num);
        }
    }
    return -1;
}

static uint64_t *csr_field(Hart *h, const Csr *row)
{
    return (uint64_t *)((char *)h + row->offset);
}

bool csr_read(Hart *h, int csr, bool write, uint64_t *val)
{
    const Csr *row = CSR_ROW(csr);
    unsigned num = CSR_NUM(csr);

    /* Bits 9:8 are the lowest privilege, 11:10 all set mean read-only. */
    if (h->priv < (num >> 8 & 3) || (write && num >> 10 == 3) ||
        (row->allowed && !row->allowed(h, num))) {
        return false;
    }
    *val = row->read ? row->read(h, num) : *csr_field(h, row);
    return true;
}

void csr_write(Hart *h, int csr, uint64_t mask, uint64_t val)
{
    const Csr *row = CSR_ROW(csr);
    unsigned num = CSR_NUM(csr);
    uint64_t old;

    if (!row->write) {
        uint64_t *field = csr_field(h, row);

        mask &= row->mask;
        *field = (*field & ~mask) | (val & mask);
        return;
    }
    if (row->stored) {
        old = row->stored(h, num);
    } else {
        old = row->read ? row->read(h, num) : *csr_field(h, row);
    }
    row->write(h, num, (old & ~mask) | (val & mask));
}

bool csr_moves_code(int csr)
{
    return CSR_ROW(csr)->moves_code;
}
