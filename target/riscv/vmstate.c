/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hart's state in a migration stream: sections "cpu_common" and "cpu" with
 * the fields, widths and versions that QEMU 11 has there for RV64. What this
 * hart does not have (the hypervisor extension, AIA, event counters) travels
 * as at reset. Big lock; the harts are stopped.
 */
#include <inttypes.h>
#include <string.h>

#include "hart.h"
#include "migration/vmstate.h"

#define COUNTERS 32
#define PRIV_VERSION_1_12 2
#define MXL_RV64 2

typedef struct CounterState {
    uint64_t mhpmcounter_val;
    uint64_t mhpmcounter_prev;
} CounterState;

typedef struct PmpEntry {
    uint64_t addr_reg;
    uint8_t cfg_reg;
} PmpEntry;

/* The names are those of the description that QEMU puts into a stream. */
typedef struct HartSaved {
    Hart *hart;
    uint32_t halted;
    uint32_t interrupt_request;
    struct {
        uint64_t gpr[32], fpr[32];
        uint8_t miprio[64], siprio[64];
        uint64_t pc, load_res, load_val;
        uint8_t frm;
        uint64_t badaddr, guest_phys_fault_addr;
        uint32_t priv_ver, vext_ver, misa_mxl, misa_ext, misa_ext_mask;
        uint8_t priv;
        bool virt_enabled;
        uint64_t resetvec, mhartid, mstatus, mip, miclaim, mie, mvien, mvip;
        uint64_t sie, mideleg, satp, stval, medeleg, stvec, sepc, scause;
        uint64_t mtvec, mepc, mcause, mtval, miselect, siselect;
        uint32_t scounteren, mcounteren, scountinhibit, mcountinhibit;
        CounterState pmu_ctrs[COUNTERS];
        uint64_t mhpmevent_val[COUNTERS];
        uint64_t sscratch, mscratch, stimecmp;
        struct {
            PmpEntry pmp[PMP_ENTRIES];
        } pmp_state;
        uint64_t menvcfg, senvcfg, henvcfg;
        VmTimer *stimer, *vstimer;
    } env;
    /* What QEMU has no field for */
    uint8_t fflags;
    uint64_t mip_soft;
} HartSaved;

#define LINE_BITS (MIP_MSIP | MIP_MTIP | MIP_SEIP | MIP_MEIP)

static uint32_t misa_extensions(void)
{
    return (uint32_t)(HART_MISA & ((UINT32_C(1) << 26) - 1));
}

static uint64_t counter_value(const Hart *h, uint64_t base, uint32_t bit)
{
    return h->mcountinhibit & bit ? base : base + h->instret;
}

static bool hart_pre_save(void *opaque, Error **errp)
{
    HartSaved *s = opaque;
    Hart *h = s->hart;

    (void)errp;
    memset(&s->env, 0, offsetof(__typeof__(s->env), stimer));
    memcpy(s->env.gpr, h->x, sizeof(s->env.gpr));
    s->env.gpr[0] = 0;
    memcpy(s->env.fpr, h->f, sizeof(s->env.fpr));
    s->env.pc = h->pc;
    /* A reservation is an address of this process: it ends here. */
    s->env.load_res = UINT64_MAX;
    s->env.frm = (uint8_t)h->frm;
    s->env.priv_ver = PRIV_VERSION_1_12;
    s->env.misa_mxl = MXL_RV64;
    s->env.misa_ext = s->env.misa_ext_mask = misa_extensions();
    s->env.priv = (uint8_t)h->priv;
    s->env.resetvec = h->reset_pc;
    s->env.mhartid = h->hartid;
    s->env.mstatus = h->mstatus | MSTATUS_UXL_64 | MSTATUS_SXL_64;
    s->env.mip = hart_mip(h);
    s->env.mie = h->mie;
    s->env.mideleg = h->mideleg;
    s->env.medeleg = h->medeleg;
    s->env.satp = h->satp;
    s->env.stval = h->stval;
    s->env.stvec = h->stvec;
    s->env.sepc = h->sepc;
    s->env.scause = h->scause;
    s->env.sscratch = h->sscratch;
    s->env.mtvec = h->mtvec;
    s->env.mepc = h->mepc;
    s->env.mcause = h->mcause;
    s->env.mtval = h->mtval;
    s->env.mscratch = h->mscratch;
    s->env.scounteren = h->scounteren;
    s->env.mcounteren = h->mcounteren;
    s->env.mcountinhibit = h->mcountinhibit;
    s->env.pmu_ctrs[0].mhpmcounter_val =
        counter_value(h, h->mcycle_base, COUNTER_CY);
    s->env.pmu_ctrs[2].mhpmcounter_val =
        counter_value(h, h->minstret_base, COUNTER_IR);
    s->env.stimecmp = h->stimecmp;
    s->env.menvcfg = h->menvcfg;
    s->env.senvcfg = h->senvcfg;
    for (unsigned n = 0; n < PMP_ENTRIES; n++) {
        s->env.pmp_state.pmp[n].addr_reg = h->pmpaddr[n];
        s->env.pmp_state.pmp[n].cfg_reg = h->pmpcfg[n];
    }
    s->fflags = (uint8_t)h->fflags;
    s->mip_soft = h->mip_soft;
    return true;
}

/* A stream without the subsection that says them. */
static bool hart_pre_load(void *opaque, Error **errp)
{
    HartSaved *s = opaque;

    (void)errp;
    s->fflags = 0;
    s->mip_soft = UINT64_MAX;
    memset(s->env.pmp_state.pmp, 0, sizeof(s->env.pmp_state.pmp));
    s->env.menvcfg = MENVCFG_ADUE;
    s->env.senvcfg = 0;
    return true;
}

/* What no guest could have brought a hart into. */
static bool hart_check(const HartSaved *s, Error **errp)
{
    const Hart *h = s->hart;
    unsigned satp_mode = s->env.satp >> SATP_MODE_SHIFT;

    if (s->env.mhartid != h->hartid) {
        error_setg(errp, "loading hart %" PRIu64 ": the state is that of hart"
                   " %" PRIu64, h->hartid, s->env.mhartid);
        return false;
    }
    if (s->env.misa_mxl != MXL_RV64 ||
        (s->env.misa_ext & ~misa_extensions())) {
        error_setg(errp, "loading hart %" PRIu64 ": misa has MXL %u and"
                   " extensions 0x%x, accepted are MXL %u and 0x%x", h->hartid,
                   s->env.misa_mxl, s->env.misa_ext, MXL_RV64,
                   misa_extensions());
        return false;
    }
    if (s->env.priv > PRV_M || s->env.priv == 2 || s->env.virt_enabled) {
        error_setg(errp, "loading hart %" PRIu64 ": privilege %u%s, accepted"
                   " are 0, 1 and 3, not virtual", h->hartid, s->env.priv,
                   s->env.virt_enabled ? " (virtual)" : "");
        return false;
    }
    if ((s->env.mstatus & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT == 2) {
        error_setg(errp, "loading hart %" PRIu64 ": mstatus.MPP is 2, accepted"
                   " are 0, 1 and 3", h->hartid);
        return false;
    }
    if (satp_mode != SATP_MODE_BARE && satp_mode != SATP_MODE_SV39 &&
        satp_mode != SATP_MODE_SV48) {
        error_setg(errp, "loading hart %" PRIu64 ": satp has mode %u, accepted"
                   " are %u, %u and %u", h->hartid, satp_mode, SATP_MODE_BARE,
                   SATP_MODE_SV39, SATP_MODE_SV48);
        return false;
    }
    return true;
}

static bool hart_post_load(void *opaque, int version_id, Error **errp)
{
    HartSaved *s = opaque;
    Hart *h = s->hart;
    uint64_t soft;

    (void)version_id;
    if (!hart_check(s, errp)) {
        return false;
    }
    memcpy(h->x, s->env.gpr, sizeof(s->env.gpr));
    h->x[0] = 0;
    memcpy(h->f, s->env.fpr, sizeof(h->f));
    h->pc = s->env.pc & ~UINT64_C(1);
    h->res_addr = TAG_NONE;
    h->frm = s->env.frm & 7;
    h->fflags = s->fflags & 31;
    h->priv = s->env.priv;
    h->mstatus = s->env.mstatus & MSTATUS_WRITABLE;
    /* STIP is compared anew; the lines keep their level until told anew. */
    soft = s->mip_soft == UINT64_MAX ? s->env.mip & (MIP_SSIP | MIP_STIP)
                                     : s->mip_soft & MIP_S_BITS;
    if (s->env.menvcfg & MENVCFG_STCE) {
        soft &= ~MIP_STIP;
    }
    h->mip_soft = soft;
    __atomic_store_n(&h->irq_lines, s->env.mip & LINE_BITS & ~soft,
                     __ATOMIC_RELEASE);
    h->mie = s->env.mie & MIP_ALL;
    h->mideleg = s->env.mideleg & MIP_S_BITS;
    h->medeleg = s->env.medeleg & MEDELEG_WRITABLE;
    h->satp = s->env.satp;
    h->stval = s->env.stval;
    h->stvec = s->env.stvec & ~UINT64_C(2);
    h->sepc = s->env.sepc & ~UINT64_C(1);
    h->scause = s->env.scause;
    h->sscratch = s->env.sscratch;
    h->mtvec = s->env.mtvec & ~UINT64_C(2);
    h->mepc = s->env.mepc & ~UINT64_C(1);
    h->mcause = s->env.mcause;
    h->mtval = s->env.mtval;
    h->mscratch = s->env.mscratch;
    h->scounteren = s->env.scounteren;
    h->mcounteren = s->env.mcounteren;
    h->mcountinhibit = s->env.mcountinhibit & (COUNTER_CY | COUNTER_IR);
    h->mcycle_base = s->env.pmu_ctrs[0].mhpmcounter_val;
    if (!(h->mcountinhibit & COUNTER_CY)) {
        h->mcycle_base -= h->instret;
    }
    h->minstret_base = s->env.pmu_ctrs[2].mhpmcounter_val;
    if (!(h->mcountinhibit & COUNTER_IR)) {
        h->minstret_base -= h->instret;
    }
    h->stimecmp = s->env.stimecmp;
    h->menvcfg = s->env.menvcfg & MENVCFG_WRITABLE;
    h->senvcfg = s->env.senvcfg & SENVCFG_WRITABLE;
    for (unsigned n = 0; n < PMP_ENTRIES; n++) {
        h->pmpaddr[n] = s->env.pmp_state.pmp[n].addr_reg & PMPADDR_WRITABLE;
        h->pmpcfg[n] = s->env.pmp_state.pmp[n].cfg_reg & PMPCFG_WRITABLE;
    }
    vm_timer_del(s->env.vstimer);
    hart_state_changed(h);
    return true;
}

static const VMStateDescription vmstate_pmp_entry = {
    .name = "cpu/pmp/entry",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(addr_reg, PmpEntry),
        VMSTATE_UINT8(cfg_reg, PmpEntry),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_pmp = {
    .name = "cpu/pmp",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STRUCT_ARRAY(env.pmp_state.pmp, HartSaved, PMP_ENTRIES, 0,
                             vmstate_pmp_entry, PmpEntry),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_envcfg = {
    .name = "cpu/envcfg",
    .version_id = 2,
    .minimum_version_id = 2,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(env.menvcfg, HartSaved),
        VMSTATE_UINT64(env.senvcfg, HartSaved),
        VMSTATE_UINT64(env.henvcfg, HartSaved),
        VMSTATE_END_OF_LIST()
    },
};

/* The deadline of Sstc's timer; post_load compares stimecmp itself. */
static const VMStateDescription vmstate_timer = {
    .name = "cpu/timer",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_TIMER_PTR(env.stimer, HartSaved),
        VMSTATE_TIMER_PTR(env.vstimer, HartSaved),
        VMSTATE_END_OF_LIST()
    },
};

/* fflags, and which bits of mip are software's and which a line's. */
static const VMStateDescription vmstate_soft = {
    .name = "cpu/soft",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT8(fflags, HartSaved),
        VMSTATE_UINT64(mip_soft, HartSaved),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_counter = {
    .name = "cpu/pmu",
    .version_id = 3,
    .minimum_version_id = 3,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(mhpmcounter_val, CounterState),
        VMSTATE_UINT64(mhpmcounter_prev, CounterState),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_cpu = {
    .name = "cpu",
    .version_id = 11,
    .minimum_version_id = 11,
    .priority = MIG_PRI_CPU,
    .pre_save = hart_pre_save,
    .pre_load = hart_pre_load,
    .post_load = hart_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64_ARRAY(env.gpr, HartSaved, 32),
        VMSTATE_UINT64_ARRAY(env.fpr, HartSaved, 32),
        VMSTATE_UINT8_ARRAY(env.miprio, HartSaved, 64),
        VMSTATE_UINT8_ARRAY(env.siprio, HartSaved, 64),
        VMSTATE_UINT64(env.pc, HartSaved),
        VMSTATE_UINT64(env.load_res, HartSaved),
        VMSTATE_UINT64(env.load_val, HartSaved),
        VMSTATE_UINT8(env.frm, HartSaved),
        VMSTATE_UINT64(env.badaddr, HartSaved),
        VMSTATE_UINT64(env.guest_phys_fault_addr, HartSaved),
        VMSTATE_UINT32(env.priv_ver, HartSaved),
        VMSTATE_UINT32(env.vext_ver, HartSaved),
        VMSTATE_UINT32(env.misa_mxl, HartSaved),
        VMSTATE_UINT32(env.misa_ext, HartSaved),
        VMSTATE_UNUSED(4),
        VMSTATE_UINT32(env.misa_ext_mask, HartSaved),
        VMSTATE_UINT8(env.priv, HartSaved),
        VMSTATE_BOOL(env.virt_enabled, HartSaved),
        VMSTATE_UINT64(env.resetvec, HartSaved),
        VMSTATE_UINT64(env.mhartid, HartSaved),
        VMSTATE_UINT64(env.mstatus, HartSaved),
        VMSTATE_UINT64(env.mip, HartSaved),
        VMSTATE_UINT64(env.miclaim, HartSaved),
        VMSTATE_UINT64(env.mie, HartSaved),
        VMSTATE_UINT64(env.mvien, HartSaved),
        VMSTATE_UINT64(env.mvip, HartSaved),
        VMSTATE_UINT64(env.sie, HartSaved),
        VMSTATE_UINT64(env.mideleg, HartSaved),
        VMSTATE_UINT64(env.satp, HartSaved),
        VMSTATE_UINT64(env.stval, HartSaved),
        VMSTATE_UINT64(env.medeleg, HartSaved),
        VMSTATE_UINT64(env.stvec, HartSaved),
        VMSTATE_UINT64(env.sepc, HartSaved),
        VMSTATE_UINT64(env.scause, HartSaved),
        VMSTATE_UINT64(env.mtvec, HartSaved),
        VMSTATE_UINT64(env.mepc, HartSaved),
        VMSTATE_UINT64(env.mcause, HartSaved),
        VMSTATE_UINT64(env.mtval, HartSaved),
        VMSTATE_UINT64(env.miselect, HartSaved),
        VMSTATE_UINT64(env.siselect, HartSaved),
        VMSTATE_UINT32(env.scounteren, HartSaved),
        VMSTATE_UINT32(env.mcounteren, HartSaved),
        VMSTATE_UINT32(env.scountinhibit, HartSaved),
        VMSTATE_UINT32(env.mcountinhibit, HartSaved),
        VMSTATE_STRUCT_ARRAY(env.pmu_ctrs, HartSaved, COUNTERS, 0,
                             vmstate_counter, CounterState),
        VMSTATE_UINT64_ARRAY(env.mhpmevent_val, HartSaved, COUNTERS),
        VMSTATE_UINT64(env.sscratch, HartSaved),
        VMSTATE_UINT64(env.mscratch, HartSaved),
        VMSTATE_UINT64(env.stimecmp, HartSaved),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription *const[]) {
        &vmstate_pmp,
        &vmstate_envcfg,
        &vmstate_timer,
        &vmstate_soft,
        NULL
    },
};

static bool common_pre_save(void *opaque, Error **errp)
{
    HartSaved *s = opaque;

    (void)errp;
    s->halted = s->hart->halted;
    s->interrupt_request = 0;
    return true;
}

static bool common_post_load(void *opaque, int version_id, Error **errp)
{
    HartSaved *s = opaque;

    (void)version_id;
    (void)errp;
    s->hart->halted = s->halted;
    return true;
}

static const VMStateDescription vmstate_cpu_common = {
    .name = "cpu_common",
    .version_id = 1,
    .minimum_version_id = 1,
    .priority = MIG_PRI_CPU,
    .pre_save = common_pre_save,
    .post_load = common_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32_LIMIT(halted, HartSaved, 1),
        VMSTATE_UINT32(interrupt_request, HartSaved),
        VMSTATE_END_OF_LIST()
    },
};

static void no_vs_timer(void *opaque)
{
    (void)opaque;
}

void hart_register_vmstate(Hart *h)
{
    HartSaved *s = g_new0(HartSaved, 1);
    Vm *vm = h->cpu.vm;

    s->hart = h;
    s->env.stimer = h->stimer;
    s->env.vstimer = vm_timer_new(vm, VM_CLOCK_VIRTUAL, no_vs_timer, NULL);
    h->saved = s;
    /* Each hart has its number as instance: nobody can have taken it. */
    g_assert_true(vmstate_register(vm, NULL, (uint32_t)h->hartid,
                                   &vmstate_cpu_common, s, NULL, NULL));
    g_assert_true(vmstate_register(vm, NULL, (uint32_t)h->hartid, &vmstate_cpu,
                                   s, NULL, NULL));
}

void hart_unregister_vmstate(Hart *h)
{
    HartSaved *s = h->saved;

    vmstate_unregister(h->cpu.vm, &vmstate_cpu, s);
    vmstate_unregister(h->cpu.vm, &vmstate_cpu_common, s);
    vm_timer_free(s->env.vstimer);
    g_free(s);
    h->saved = NULL;
}
