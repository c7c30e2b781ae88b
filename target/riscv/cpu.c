/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hart as a vCPU: making one, resetting it, running it, its interrupt
 * lines. See include/target/riscv/cpu.h and system/cpu.h for who calls what.
 */
#include <inttypes.h>
#include <string.h>

#include "exec.h"

Cpu *hart_cpu(Hart *h)
{
    return &h->cpu;
}

Hart *hart_from_cpu(Cpu *cpu)
{
    return (Hart *)((char *)cpu - offsetof(Hart, cpu));
}

void hart_state_changed(Hart *h)
{
    pmp_update(h);
    tlb_select(h);
    code_reset(h);
    sstc_update(h);
}

static void hart_reset(Cpu *cpu)
{
    Hart *h = hart_from_cpu(cpu);

    memset(h->x, 0, sizeof(h->x));
    memset(h->f, 0, sizeof(h->f));
    h->pc = h->reset_pc;
    h->priv = PRV_M;
    h->halted = false;
    h->mstatus = 0;
    h->fflags = h->frm = 0;
    h->mip_soft = 0;
    h->mie = h->mideleg = h->medeleg = 0;
    h->mtvec = h->mscratch = h->mepc = h->mcause = h->mtval = 0;
    h->stvec = h->sscratch = h->sepc = h->scause = h->stval = h->satp = 0;
    h->menvcfg = MENVCFG_ADUE;
    h->senvcfg = 0;
    h->mcounteren = h->scounteren = h->mcountinhibit = 0;
    h->stimecmp = 0;
    h->minstret_base = h->mcycle_base = -h->instret;
    h->res_addr = TAG_NONE;
    memset(h->pmpcfg, 0, sizeof(h->pmpcfg));
    memset(h->pmpaddr, 0, sizeof(h->pmpaddr));
    hart_state_changed(h);
}

static bool hart_has_work(Cpu *cpu)
{
    Hart *h = hart_from_cpu(cpu);

    return hart_mip(h) & __atomic_load_n(&h->mie, __ATOMIC_RELAXED);
}

static CpuExit hart_run(Cpu *cpu)
{
    Hart *h = hart_from_cpu(cpu);

    for (;;) {
        int irq;

        if (__atomic_load_n(&cpu->attention, __ATOMIC_ACQUIRE)) {
            return CPU_EXIT_ATTENTION;
        }
        if (h->halted) {
            if (!hart_has_work(cpu)) {
                return CPU_EXIT_HALTED;
            }
            h->halted = false;
        }
        irq = trap_pending_irq(h);
        if (irq >= 0) {
            trap_take(h, CAUSE_INTERRUPT | (unsigned)irq, 0);
        }
        exec_run(h);
    }
}

static void hart_flush_writes(Cpu *cpu)
{
    tlb_flush_writes(hart_from_cpu(cpu));
}

static const char *const x_names[] = {
    "zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
    "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
    "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
};

static const char *const f_names[] = {
    "ft0", "ft1", "ft2",  "ft3",  "ft4", "ft5", "ft6",  "ft7",
    "fs0", "fs1", "fa0",  "fa1",  "fa2", "fa3", "fa4",  "fa5",
    "fa6", "fa7", "fs2",  "fs3",  "fs4", "fs5", "fs6",  "fs7",
    "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
};

static const struct {
    const char *name;
    unsigned num;
} dumped_csrs[] = {
    { "mhartid", 0xf14 },  { "mstatus", 0x300 },  { "mip", 0x344 },
    { "mie", 0x304 },      { "mideleg", 0x303 },  { "medeleg", 0x302 },
    { "mtvec", 0x305 },    { "stvec", 0x105 },    { "mepc", 0x341 },
    { "sepc", 0x141 },     { "mcause", 0x342 },   { "scause", 0x142 },
    { "mtval", 0x343 },    { "stval", 0x143 },    { "mscratch", 0x340 },
    { "sscratch", 0x140 }, { "satp", 0x180 },
};

static void hart_dump(Cpu *cpu, GString *out)
{
    Hart *h = hart_from_cpu(cpu);
    uint32_t priv = h->priv;

    g_string_append_printf(out, " %-8s %016" PRIx64 "\n", "pc", h->pc);
    /* What M may see, whatever runs. */
    h->priv = PRV_M;
    for (unsigned n = 0; n < G_N_ELEMENTS(dumped_csrs); n++) {
        uint64_t val = 0;

        csr_read(h, csr_find(dumped_csrs[n].num), false, &val);
        g_string_append_printf(out, " %-8s %016" PRIx64 "\n",
                               dumped_csrs[n].name, val);
    }
    h->priv = priv;
    for (unsigned n = 0; n < 32; n++) {
        g_string_append_printf(out, " x%u/%-*s %016" PRIx64 "%s", n,
                               n < 10 ? 5 : 4, x_names[n], h->x[n],
                               n % 4 == 3 ? "\n" : "");
    }
    for (unsigned n = 0; n < 32; n++) {
        g_string_append_printf(out, " f%u/%-*s %016" PRIx64 "%s", n,
                               n < 10 ? 5 : 4, f_names[n], h->f[n],
                               n % 4 == 3 ? "\n" : "");
    }
}

static const CpuOps hart_cpu_ops = {
    .reset = hart_reset,
    .run = hart_run,
    .has_work = hart_has_work,
    .flush_writes = hart_flush_writes,
    .dump = hart_dump,
};

Hart *hart_new(Vm *vm, unsigned index, uint64_t reset_pc)
{
    Hart *h = g_new0(Hart, 1);

    g_assert(index < HARTS_MAX && index == vm->cpus->len);
    cpu_init(&h->cpu, vm, index, &hart_cpu_ops);
    h->memory = vm->memory;
    h->hartid = index;
    h->reset_pc = reset_pc;
    code_init(h);
    sstc_init(h);
    hart_reset(&h->cpu);
    g_ptr_array_add(vm->cpus, &h->cpu);
    hart_register_vmstate(h);
    return h;
}

void hart_free(Hart *h)
{
    hart_unregister_vmstate(h);
    g_ptr_array_remove(h->cpu.vm->cpus, &h->cpu);
    sstc_free(h);
    code_free(h);
    g_free(h);
}

void hart_set_irq(Hart *h, unsigned irq, bool level)
{
    uint64_t bit = UINT64_C(1) << irq;

    if (!level) {
        __atomic_fetch_and(&h->irq_lines, ~bit, __ATOMIC_ACQ_REL);
    } else if (!(__atomic_fetch_or(&h->irq_lines, bit, __ATOMIC_ACQ_REL) &
                 bit)) {
        cpu_kick(&h->cpu);
    }
}

const char *hart_isa_string(void)
{
    return "rv64imafdc_zicbom_zicboz_zicntr_zicsr_zifencei_zihintpause_zihpm_"
           "zba_zbb_zbs_sstc_svadu";
}

const char *const *hart_isa_extensions(void)
{
    static const char *const extensions[] = {
        "i",     "m",        "a",           "f",     "d",   "c",   "zicbom",
        "zicboz", "zicntr",  "zicsr",       "zifencei", "zihintpause",
        "zihpm", "zba",      "zbb",         "zbs",   "sstc", "svadu",
        NULL,
    };

    return extensions;
}

const char *hart_mmu_type(void)
{
    return "riscv,sv48";
}

uint64_t hart_instructions(Hart *h)
{
    return __atomic_load_n(&h->instret, __ATOMIC_RELAXED);
}

uint64_t hart_get_x(Hart *h, unsigned n)
{
    g_assert(n < 32);
    return n ? h->x[n] : 0;
}

void hart_set_x(Hart *h, unsigned n, uint64_t val)
{
    g_assert(n < 32);
    if (n) {
        h->x[n] = val;
    }
}

uint64_t hart_get_pc(Hart *h)
{
    return h->pc;
}

void hart_set_pc(Hart *h, uint64_t pc)
{
    h->pc = pc;
}
