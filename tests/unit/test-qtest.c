/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands of the qtest protocol. */
#include <string.h>

#include "system/memory.h"
#include "system/qtest-int.h"
#include "system/timer.h"

#define MIB (UINT64_C(1) << 20)

typedef struct Fixture {
    Vm *vm;
    IoRegion io;
    uint64_t reg;
} Fixture;

static MemResult reg_read(void *opaque, hwaddr addr, unsigned size,
                          uint64_t *val)
{
    (void)addr;
    (void)size;
    *val = ((Fixture *)opaque)->reg;
    return MEM_OK;
}

static MemResult reg_write(void *opaque, hwaddr addr, unsigned size,
                           uint64_t val)
{
    (void)addr;
    (void)size;
    ((Fixture *)opaque)->reg = val;
    return MEM_OK;
}

static const IoOps reg_ops = {
    .read = reg_read, .write = reg_write, .min_size = 4, .max_size = 4,
};

static void set_up(Fixture *f, gconstpointer data)
{
    RamBacking backing = { .size = 2 * MIB, .fd = -1 };
    RamBlock *rb;

    (void)data;
    f->vm = vm_new();
    vm_lock(f->vm);
    rb = memory_ram_new(f->vm->memory, "ram", &backing, NULL);
    g_assert_true(memory_map_ram(f->vm->memory, rb, 0x80000000, NULL));
    memory_io_init(&f->io, "reg", &reg_ops, f, 4);
    memory_io_map(f->vm->memory, &f->io, 0x1000);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    vm_unlock(f->vm);
    vm_free(f->vm);
}

static void expect(Fixture *f, const char *command, const char *answer)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *line = g_strdup(command);

    qtest_execute(f->vm, line, out);
    g_assert_cmpstr(out->str, ==, answer);
}

/* The answer is one line that says why not. */
static void expect_fail(Fixture *f, const char *command)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *line = g_strdup(command);

    qtest_execute(f->vm, line, out);
    g_assert_true(g_str_has_prefix(out->str, "FAIL "));
    g_assert_true(strchr(out->str, '\n') == out->str + out->len - 1);
}

static void test_values(Fixture *f, gconstpointer data)
{
    (void)data;
    expect(f, "endianness", "OK little\n");
    expect(f, "writeq 0x80000000 0x1122334455667788", "OK\n");
    expect(f, "readq 0x80000000", "OK 0x1122334455667788\n");
    expect(f, "readb 0x80000000", "OK 0x0000000000000088\n");
    expect(f, "readw 0x80000001\r", "OK 0x0000000000006677\n");
    expect(f, "  readl  2147483652 ", "OK 0x0000000011223344\n");
    expect(f, "writew 0x80000000 0xabcd1234", "OK\n");
    expect(f, "writeb 0x80000002 255", "OK\n");
    expect(f, "writel 0x80000004 1", "OK\n");
    expect(f, "readq 0x80000000", "OK 0x0000000155ff1234\n");
}

static void test_bytes(Fixture *f, gconstpointer data)
{
    (void)data;
    expect(f, "write 0x80000100 4 0x0a0b0c0d", "OK\n");
    expect(f, "read 0x80000100 4", "OK 0x0a0b0c0d\n");
    expect(f, "write 0x80000100 4 0xff", "OK\n");
    expect(f, "read 0x80000100 5", "OK 0xff00000000\n");
    expect(f, "memset 0x80000101 3 0xee", "OK\n");
    expect(f, "read 0x80000100 5", "OK 0xffeeeeee00\n");
    expect(f, "b64write 0x80000100 5 aGVsbG8=", "OK\n");
    expect(f, "b64read 0x80000100 5", "OK aGVsbG8=\n");
    expect(f, "read 0x80000100 5", "OK 0x68656c6c6f\n");
    expect(f, "memset 0x80000000 0x200000 0x5a", "OK\n");
    expect(f, "read 0x801fffff 1", "OK 0x5a\n");
    /* What is not there reads as zeros. */
    expect(f, "read 0x801ffffe 4", "OK 0x5a5a0000\n");
    expect(f, "write 0x801ffffe 4 0x01020304", "OK\n");
    expect(f, "read 0x801ffffe 4", "OK 0x01020000\n");
    expect(f, "readq 0x40000000", "OK 0x0000000000000000\n");
}

static void test_device(Fixture *f, gconstpointer data)
{
    (void)data;
    expect(f, "writel 0x1000 0xdeadbeef", "OK\n");
    g_assert_cmphex(f->reg, ==, 0xdeadbeef);
    expect(f, "readl 0x1000", "OK 0x00000000deadbeef\n");
    /* The device takes 32 bits alone. */
    expect(f, "writeb 0x1000 1", "OK\n");
    expect(f, "readb 0x1000", "OK 0x0000000000000000\n");
    expect(f, "read 0x1000 4", "OK 0xefbeadde\n");
    expect(f, "write 0x1000 4 0x01020304", "OK\n");
    g_assert_cmphex(f->reg, ==, 0x04030201);
}

static void test_dirty(Fixture *f, gconstpointer data)
{
    DirtyLog *log = dirty_log_start(f->vm->memory, "test", NULL);
    uint64_t *map = bitmap_new(512);

    (void)data;
    expect(f, "write 0x80003fff 2 0x0102", "OK\n");
    g_assert_cmpuint(dirty_log_take(
        log, memory_ram_by_index(f->vm->memory, 0), map), ==, 2);
    g_assert_true(bitmap_test(map, 3) && bitmap_test(map, 4));
    dirty_log_stop(log);
    bitmap_free(map, 512);
}

static void test_errors(Fixture *f, gconstpointer data)
{
    static const char *const wrong[] = {
        "", "   ", "inb 0x80", "readb", "readb 0x80000000 1", "readb zero",
        "readb 0x10000000000000000", "readb -1x", "writeb 1", "read 0x1000",
        "read 0x80000000 0x4000001", "read 0x80000000 0xffffffffffffffff",
        "read 0xfffffffffffffff0 0x20", "write 0x80000000 4 0102",
        "write 0x80000000 4 0x0102030405", "write 0x80000000 4 0x010",
        "write 0x80000000 4 0x01zz", "write 0x80000000 4 0x01 02",
        "b64write 0x80000000 4 aGVsbG8=", "memset 0 0xffffffffffff 1",
        "clock_step", "clock_step 1", "clock_set 1",
        "irq_intercept_in ioapic",
    };

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        expect_fail(f, wrong[i]);
    }
    expect(f, "readq 0x80000000", "OK 0x0000000000000000\n");
}

static void fired(void *opaque)
{
    ++*(int *)opaque;
}

static void test_clock(Fixture *f, gconstpointer data)
{
    int count = 0;
    VmTimer *timer = vm_timer_new(f->vm, VM_CLOCK_VIRTUAL, fired, &count);

    (void)data;
    vm_clock_set_by_hand(f->vm);
    vm_clock_enable(f->vm, true);
    vm_timer_mod(timer, 1000);
    expect(f, "clock_step 400", "OK 400\n");
    g_assert_cmpint(count, ==, 0);
    expect(f, "clock_step", "OK 1000\n");
    g_assert_cmpint(count, ==, 1);
    expect(f, "clock_step", "OK 1000\n");
    expect(f, "clock_set 5000", "OK 5000\n");
    expect(f, "clock_set 4000", "OK 5000\n");
    vm_timer_free(timer);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) \
    g_test_add("/qtest/" name, Fixture, NULL, set_up, fn, tear_down)
    ADD("values", test_values);
    ADD("bytes", test_bytes);
    ADD("device", test_device);
    ADD("dirty", test_dirty);
    ADD("errors", test_errors);
    ADD("clock", test_clock);
    return g_test_run();
}
