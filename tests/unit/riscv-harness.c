/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "riscv-harness.h"

#include "migration/savevm.h"
#include "system/timer.h"
#include "tests/patience.h"
#include "util/thread.h"

struct Harness {
    Vm *vm;
    unsigned harts;
    RamBlock *ram;
    IoRegion finisher, softint, lines, uart;
    GString *output;            /* big lock */
    uint32_t finished;          /* atomic */
    uint32_t stop;              /* atomic: the harts' threads are to end */
};

static MemResult read_nothing(void *opaque, hwaddr addr, unsigned size,
                              uint64_t *val)
{
    (void)opaque;
    (void)addr;
    (void)size;
    *val = 0;
    return MEM_OK;
}

static void kick_all(Harness *harness)
{
    for (unsigned n = 0; n < harness->harts; n++) {
        cpu_kick(g_ptr_array_index(harness->vm->cpus, n));
    }
}

static MemResult finisher_write(void *opaque, hwaddr addr, unsigned size,
                                uint64_t val)
{
    Harness *harness = opaque;

    (void)addr;
    (void)size;
    __atomic_store_n(&harness->finished, (uint32_t)val, __ATOMIC_SEQ_CST);
    __atomic_store_n(&harness->stop, 1, __ATOMIC_SEQ_CST);
    kick_all(harness);
    return MEM_OK;
}

static MemResult softint_write(void *opaque, hwaddr addr, unsigned size,
                               uint64_t val)
{
    Harness *harness = opaque;

    (void)size;
    if (addr / 4 < harness->harts) {
        hart_set_irq(harness_hart(harness, (unsigned)addr / 4), HART_IRQ_MSIP,
                     val & 1);
    }
    return MEM_OK;
}

static MemResult lines_write(void *opaque, hwaddr addr, unsigned size,
                             uint64_t val)
{
    static const uint8_t irqs[] = { HART_IRQ_SSIP, HART_IRQ_MSIP,
                                    HART_IRQ_MTIP, HART_IRQ_SEIP,
                                    HART_IRQ_MEIP };
    Harness *harness = opaque;

    (void)size;
    for (unsigned n = 0; n < sizeof(irqs) && addr / 4 < harness->harts; n++) {
        hart_set_irq(harness_hart(harness, (unsigned)addr / 4), irqs[n],
                     val >> irqs[n] & 1);
    }
    return MEM_OK;
}

static MemResult uart_write(void *opaque, hwaddr addr, unsigned size,
                            uint64_t val)
{
    Harness *harness = opaque;

    (void)size;
    if (addr == 0) {
        g_string_append_c(harness->output, (char)val);
    }
    return MEM_OK;
}

static const IoOps finisher_ops = { read_nothing, finisher_write, 4, 4 };
static const IoOps softint_ops = { read_nothing, softint_write, 4, 4 };
static const IoOps lines_ops = { read_nothing, lines_write, 4, 4 };
static const IoOps uart_ops = { read_nothing, uart_write, 1, 1 };

static void add_region(Harness *harness, IoRegion *region, const char *name,
                       const IoOps *ops, hwaddr base)
{
    memory_io_init(region, name, ops, harness, 0x1000);
    memory_io_map(harness->vm->memory, region, base);
}

Harness *harness_new(unsigned harts)
{
    RamBacking backing = { .size = HARNESS_RAM_SIZE, .fd = -1 };
    Harness *harness = g_new0(Harness, 1);

    harness->vm = vm_new();
    harness->harts = harts;
    harness->output = g_string_new(NULL);
    vm_lock(harness->vm);
    harness->ram = memory_ram_new(harness->vm->memory, "ram", &backing, NULL);
    g_assert_nonnull(harness->ram);
    g_assert_true(memory_map_ram(harness->vm->memory, harness->ram,
                                 HARNESS_RAM_BASE, NULL));
    add_region(harness, &harness->finisher, "finisher", &finisher_ops,
               0x100000);
    add_region(harness, &harness->softint, "softint", &softint_ops, 0x2000000);
    add_region(harness, &harness->lines, "lines", &lines_ops, 0x3000000);
    add_region(harness, &harness->uart, "uart", &uart_ops, 0x10000000);
    for (unsigned n = 0; n < harts; n++) {
        hart_new(harness->vm, n, HARNESS_RAM_BASE);
    }
    vm_clock_enable(harness->vm, true);
    vm_unlock(harness->vm);
    return harness;
}

void harness_free(Harness *harness)
{
    vm_lock(harness->vm);
    while (harness->vm->cpus->len) {
        unsigned last = harness->vm->cpus->len - 1;

        hart_free(harness_hart(harness, last));
    }
    vm_unlock(harness->vm);
    vm_lock(harness->vm);
    savevm_destroy(harness->vm);
    vm_unlock(harness->vm);
    vm_free(harness->vm);
    g_string_free(harness->output, TRUE);
    g_free(harness);
}

void harness_poke(Harness *harness, uint64_t addr, const void *data,
                  uint64_t len)
{
    g_assert_cmpint(memory_write(harness->vm->memory, addr, data, len), ==,
                    MEM_OK);
}

void harness_peek(Harness *harness, uint64_t addr, void *data, uint64_t len)
{
    g_assert_cmpint(memory_read(harness->vm->memory, addr, data, len), ==,
                    MEM_OK);
}

bool harness_load(Harness *harness, const char *path)
{
    g_autofree char *data = NULL;
    gsize len;

    if (!g_file_get_contents(path, &data, &len, NULL)) {
        return false;
    }
    harness_poke(harness, HARNESS_RAM_BASE, data, len);
    return true;
}

typedef struct HartThread {
    Harness *harness;
    Cpu *cpu;
} HartThread;

static gpointer hart_thread(gpointer data)
{
    HartThread *self = data;
    Cpu *cpu = self->cpu;

    cpu_enter_guest(cpu);
    while (!__atomic_load_n(&self->harness->stop, __ATOMIC_SEQ_CST)) {
        switch (cpu->ops->run(cpu)) {
        case CPU_EXIT_ATTENTION:
            __atomic_store_n(&cpu->attention, 0, __ATOMIC_SEQ_CST);
            cpu_safe_point(cpu);
            break;
        case CPU_EXIT_HALTED:
            cpu_leave_guest(cpu);
            while (!cpu->ops->has_work(cpu) &&
                   !__atomic_load_n(&cpu->attention, __ATOMIC_SEQ_CST)) {
                g_usleep(100);
            }
            cpu_enter_guest(cpu);
            break;
        }
    }
    cpu_leave_guest(cpu);
    return NULL;
}

uint32_t harness_run(Harness *harness, unsigned seconds)
{
    gint64 end = g_get_monotonic_time() +
                 test_patience((gint64)seconds * G_USEC_PER_SEC);
    HartThread threads[HARTS_MAX];
    GThread *handles[HARTS_MAX];

    __atomic_store_n(&harness->finished, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&harness->stop, 0, __ATOMIC_SEQ_CST);
    for (unsigned n = 0; n < harness->harts; n++) {
        threads[n].harness = harness;
        threads[n].cpu = g_ptr_array_index(harness->vm->cpus, n);
        handles[n] = thread_start("hart", hart_thread, &threads[n]);
    }
    while (!__atomic_load_n(&harness->stop, __ATOMIC_SEQ_CST) &&
           g_get_monotonic_time() < end) {
        /* Timers are the main loop's. */
        vm_main_loop_iterate(harness->vm, false);
        g_usleep(200);
    }
    __atomic_store_n(&harness->stop, 1, __ATOMIC_SEQ_CST);
    kick_all(harness);
    for (unsigned n = 0; n < harness->harts; n++) {
        g_thread_join(handles[n]);
    }
    return __atomic_load_n(&harness->finished, __ATOMIC_SEQ_CST);
}

Vm *harness_vm(Harness *harness)
{
    return harness->vm;
}

Hart *harness_hart(Harness *harness, unsigned n)
{
    return hart_from_cpu(g_ptr_array_index(harness->vm->cpus, n));
}

const char *harness_output(Harness *harness)
{
    return harness->output->str;
}
