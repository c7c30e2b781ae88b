/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hart's state in a stream: whatever state a hart is in arrives, in the
 * layout of QEMU's section "cpu", and what no hart can be in is refused.
 */
#include <string.h>

#include "migration-util.h"
#include "target/riscv/hart.h"

typedef struct Pair {
    TestVm vm[2];
    Hart *hart[2];
} Pair;

static void pair_init(Pair *pair)
{
    for (unsigned n = 0; n < 2; n++) {
        test_vm_init(&pair->vm[n], 0);
        pair->hart[n] = hart_new(pair->vm[n].vm, 0, 0x1000);
    }
}

static void pair_clear(Pair *pair)
{
    for (unsigned n = 0; n < 2; n++) {
        hart_free(pair->hart[n]);
        test_vm_clear(&pair->vm[n]);
    }
}

static uint64_t random64(void)
{
    return (uint64_t)g_test_rand_int() << 32 | (uint32_t)g_test_rand_int();
}

/* Any state that instructions and lines can bring a hart into. */
static void randomize(Hart *h)
{
    static const uint8_t privs[] = { PRV_U, PRV_S, PRV_M };
    static const uint8_t modes[] = { SATP_MODE_BARE, SATP_MODE_SV39,
                                     SATP_MODE_SV48 };

    for (unsigned n = 1; n < 32; n++) {
        h->x[n] = random64();
        h->f[n] = random64();
    }
    h->pc = random64() & ~UINT64_C(1);
    h->priv = privs[g_test_rand_int_range(0, 3)];
    h->halted = g_test_rand_bit();
    h->mstatus = random64() & MSTATUS_WRITABLE & ~MSTATUS_MPP;
    h->mstatus |= (uint64_t)privs[g_test_rand_int_range(0, 3)]
                  << MSTATUS_MPP_SHIFT;
    h->fflags = random64() & 31;
    h->frm = random64() & 7;
    h->menvcfg = random64() & MENVCFG_WRITABLE;
    h->senvcfg = random64() & SENVCFG_WRITABLE;
    h->mip_soft = random64() & MIP_S_BITS;
    if (h->menvcfg & MENVCFG_STCE) {
        h->mip_soft &= ~MIP_STIP;
    }
    h->irq_lines = random64() & (MIP_MSIP | MIP_MTIP | MIP_SEIP | MIP_MEIP) &
                   ~h->mip_soft;
    h->mie = random64() & MIP_ALL;
    h->mideleg = random64() & MIP_S_BITS;
    h->medeleg = random64() & MEDELEG_WRITABLE;
    h->mtvec = random64() & ~UINT64_C(2);
    h->stvec = random64() & ~UINT64_C(2);
    h->mepc = random64() & ~UINT64_C(1);
    h->sepc = random64() & ~UINT64_C(1);
    h->mscratch = random64();
    h->sscratch = random64();
    h->mcause = random64();
    h->scause = random64();
    h->mtval = random64();
    h->stval = random64();
    h->satp = (random64() & SATP_PPN) |
              (uint64_t)modes[g_test_rand_int_range(0, 3)] << SATP_MODE_SHIFT;
    h->mcounteren = (uint32_t)random64();
    h->scounteren = (uint32_t)random64();
    h->mcountinhibit = random64() & (COUNTER_CY | COUNTER_IR);
    h->stimecmp = random64() >> g_test_rand_int_range(0, 64);
    h->mcycle_base = random64();
    h->minstret_base = random64();
    h->instret = random64();
    for (unsigned n = 0; n < PMP_ENTRIES; n++) {
        h->pmpcfg[n] = random64() & PMPCFG_WRITABLE;
        h->pmpaddr[n] = random64() & PMPADDR_WRITABLE;
    }
    sstc_update(h);
}

/* What M reads there. */
static uint64_t csr(Hart *h, unsigned num)
{
    uint32_t priv = h->priv;
    uint64_t mstatus = h->mstatus, val = 0;

    h->priv = PRV_M;
    h->mstatus |= MSTATUS_FS;
    g_assert_true(csr_read(h, csr_find(num), false, &val));
    h->mstatus = mstatus;
    h->priv = priv;
    return num == 0x300 ? mstatus : val;
}

static void test_round_trip(void)
{
    static const uint16_t csrs[] = {
        0x003, 0x105, 0x106, 0x10a, 0x140, 0x141, 0x142, 0x143, 0x14d, 0x180,
        0x300, 0x302, 0x303, 0x304, 0x305, 0x306, 0x30a, 0x320, 0x340, 0x341,
        0x342, 0x343, 0x344, 0x3a0, 0x3a2, 0xb00, 0xb02,
    };
    Pair pair;

    pair_init(&pair);
    for (unsigned round = 0; round < 200; round++) {
        Hart *from = pair.hart[0], *to = pair.hart[1];
        g_autoptr(GByteArray) bytes = NULL;
        g_autoptr(GByteArray) again = NULL;
        Error *err = NULL;

        randomize(from);
        randomize(to);
        bytes = test_save(&pair.vm[0], &test_config);
        test_load(&pair.vm[1], &test_config, bytes->data, bytes->len, &err);
        g_assert_no_error(err);

        g_assert_cmpmem(from->x + 1, 31 * 8, to->x + 1, 31 * 8);
        g_assert_cmpuint(to->x[0], ==, 0);
        g_assert_cmpmem(from->f, sizeof(from->f), to->f, sizeof(to->f));
        g_assert_cmphex(from->pc, ==, to->pc);
        g_assert_cmpuint(from->priv, ==, to->priv);
        g_assert_cmpint(from->halted, ==, to->halted);
        g_assert_cmphex(from->mip_soft, ==, to->mip_soft);
        g_assert_cmphex(from->irq_lines, ==, to->irq_lines);
        for (unsigned n = 0; n < G_N_ELEMENTS(csrs); n++) {
            g_assert_cmphex(csr(from, csrs[n]), ==, csr(to, csrs[n]));
        }
        g_assert_cmpmem(from->pmpaddr, sizeof(from->pmpaddr), to->pmpaddr,
                        sizeof(to->pmpaddr));
        /* What was derived agrees too. */
        g_assert_cmpuint(from->stip, ==, to->stip);
        g_assert_true(to->tlb == to->tlbs[to->mmu_index]);
        again = test_save(&pair.vm[1], &test_config);
        g_assert_cmpmem(bytes->data, bytes->len, again->data, again->len);
    }
    pair_clear(&pair);
}

/* Where the first field of section "cpu" is in a stream. */
static size_t find_cpu(const GByteArray *bytes)
{
    /* its name, instance 0, version 11 */
    static const uint8_t head[] = { 3, 'c', 'p', 'u', 0, 0, 0, 0, 0, 0, 0, 11 };
    const uint8_t *found = memmem(bytes->data, bytes->len, head, sizeof(head));

    g_assert_nonnull(found);
    return (size_t)(found - bytes->data) + sizeof(head);
}

/* Offsets that follow from the widths of QEMU's fields, in their order. */
enum {
    OFF_PC = 32 * 8 * 2 + 64 * 2,
    OFF_FRM = OFF_PC + 3 * 8,
    OFF_MISA_MXL = OFF_FRM + 1 + 2 * 8 + 2 * 4,
    OFF_MISA_EXT = OFF_MISA_MXL + 4,
    OFF_PRIV = OFF_MISA_EXT + 4 + 4 + 4,
    OFF_VIRT = OFF_PRIV + 1,
    OFF_MHARTID = OFF_VIRT + 1 + 8,
    OFF_MSTATUS = OFF_MHARTID + 8,
    OFF_SATP = OFF_MSTATUS + 8 * 8,
    OFF_SCOUNTEREN = OFF_SATP + 8 * 12,
    OFF_COUNTERS = OFF_SCOUNTEREN + 4 * 4,
    OFF_STIMECMP = OFF_COUNTERS + 32 * 16 + 32 * 8 + 16,
};

static uint64_t get64(const uint8_t *p)
{
    uint64_t val = 0;

    for (unsigned n = 0; n < 8; n++) {
        val = val << 8 | p[n];
    }
    return val;
}

static void test_layout(void)
{
    g_autoptr(GByteArray) bytes = NULL;
    const uint8_t *cpu;
    Pair pair;
    Hart *h;

    pair_init(&pair);
    h = pair.hart[0];
    randomize(h);
    bytes = test_save(&pair.vm[0], &test_config);
    cpu = bytes->data + find_cpu(bytes);
    g_assert_cmphex(get64(cpu + 8), ==, h->x[1]);
    g_assert_cmphex(get64(cpu + 32 * 8), ==, h->f[0]);
    g_assert_cmphex(get64(cpu + OFF_PC), ==, h->pc);
    g_assert_cmpuint(cpu[OFF_FRM], ==, h->frm);
    g_assert_cmpuint(cpu[OFF_PRIV], ==, h->priv);
    g_assert_cmphex(get64(cpu + OFF_MSTATUS) & MSTATUS_WRITABLE, ==,
                    h->mstatus);
    g_assert_cmphex(get64(cpu + OFF_SATP), ==, h->satp);
    g_assert_cmphex(get64(cpu + OFF_STIMECMP), ==, h->stimecmp);
    pair_clear(&pair);
}

static void test_refused(void)
{
    static const struct {
        unsigned offset;
        uint8_t byte;
        const char *message;
    } cases[] = {
        { OFF_MHARTID + 7, 1, "*hart 0*that of hart 1*" },
        { OFF_MISA_MXL + 3, 1, "*MXL 1*" },
        { OFF_MISA_EXT + 3, 0xff, "*extensions*accepted*" },
        { OFF_PRIV, 2, "*privilege 2*accepted*" },
        { OFF_PRIV, 4, "*privilege 4*accepted*" },
        { OFF_VIRT, 1, "*virtual*" },
        { OFF_MSTATUS + 6, 0x10, "*MPP*" },
        { OFF_SATP, 0xa0, "*mode 10*accepted*" },
    };
    g_autoptr(GByteArray) bytes = NULL;
    Pair pair;
    size_t cpu;

    pair_init(&pair);
    bytes = test_save(&pair.vm[0], &test_config);
    cpu = find_cpu(bytes);
    for (unsigned n = 0; n < G_N_ELEMENTS(cases); n++) {
        g_autoptr(GByteArray) bad = g_byte_array_new();

        g_byte_array_append(bad, bytes->data, bytes->len);
        bad->data[cpu + cases[n].offset] = cases[n].byte;
        test_load_fails(&pair.vm[1], bad->data, bad->len, cases[n].message);
    }
    pair_clear(&pair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/riscv/vmstate/round-trip", test_round_trip);
    g_test_add_func("/riscv/vmstate/layout", test_layout);
    g_test_add_func("/riscv/vmstate/refused", test_refused);
    return g_test_run();
}
