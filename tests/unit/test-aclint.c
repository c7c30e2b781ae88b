/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Software interrupts, timers and the time, in the layout of sifive,clint0. */
#include "hw-test.h"
#include "hw/intc/aclint.h"

#define BASE 0x2000000
#define MTIMECMP(hart) (BASE + 0x4000 + 8 * (hart))
#define MTIME (BASE + 0xbff8)

typedef struct Test {
    Vm *vm;
    AclintState *aclint;
    bool soft[ACLINT_HARTS_MAX], timer[ACLINT_HARTS_MAX];
    unsigned jumps;
} Test;

static void jumped(void *opaque)
{
    ((Test *)opaque)->jumps++;
}

static Test *test_new(void)
{
    Test *t = g_new0(Test, 1);
    Irq soft[ACLINT_HARTS_MAX], timer[ACLINT_HARTS_MAX];
    Error *err = NULL;

    t->vm = hw_test_new();
    for (unsigned i = 0; i < ACLINT_HARTS_MAX; i++) {
        soft[i] = hw_test_line(t->soft, i);
        timer[i] = hw_test_line(t->timer, i);
    }
    t->aclint = aclint_create(t->vm, BASE, 4, soft, timer, jumped, t, &err);
    g_assert_no_error(err);
    hw_test_reset(t->vm);
    return t;
}

static void test_free(Test *t)
{
    hw_test_free(t->vm);
    g_free(t);
}

static void test_msip(void)
{
    Test *t = test_new();
    uint64_t val;

    for (unsigned i = 0; i < 4; i++) {
        hw_write(t->vm, BASE + 4 * i, 4, 0xffffffff);
        g_assert_true(t->soft[i]);
        g_assert_cmphex(hw_read(t->vm, BASE + 4 * i, 4), ==, 1);
        hw_write(t->vm, BASE + 4 * i, 4, 0xfffffffe);
        g_assert_false(t->soft[i]);
        g_assert_cmphex(hw_read(t->vm, BASE + 4 * i, 4), ==, 0);
    }
    hw_write(t->vm, BASE + 4 * 4, 4, 1);        /* there is no hart 4 */
    g_assert_false(t->soft[4]);
    g_assert_cmphex(hw_read(t->vm, BASE + 4 * 4, 4), ==, 0);
    g_assert_cmpint(memory_io_read(t->vm->memory, BASE, 8, &val), ==,
                    MEM_DEVICE_ERROR);
    g_assert_cmpint(memory_io_read(t->vm->memory, BASE, 2, &val), ==,
                    MEM_DEVICE_ERROR);
    test_free(t);
}

static void test_time(void)
{
    Test *t = test_new();

    g_assert_cmpuint(hw_read(t->vm, MTIME, 8), ==, 0);
    vm_clock_step(t->vm, 1000000000);
    g_assert_cmpuint(hw_read(t->vm, MTIME, 8), ==, 10000000);
    g_assert_cmpuint(aclint_time_read(t->aclint), ==, 10000000);
    vm_clock_step(t->vm, 99);
    g_assert_cmpuint(hw_read(t->vm, MTIME, 8), ==, 10000000);
    vm_clock_step(t->vm, 1);
    g_assert_cmpuint(hw_read(t->vm, MTIME, 8), ==, 10000001);
    t->jumps = 0;
    hw_write(t->vm, MTIME, 8, UINT64_C(0x123456789));
    g_assert_cmpuint(t->jumps, ==, 1);
    g_assert_cmphex(hw_read(t->vm, MTIME, 4), ==, 0x23456789);
    g_assert_cmphex(hw_read(t->vm, MTIME + 4, 4), ==, 1);
    hw_write(t->vm, MTIME + 4, 4, 7);
    g_assert_cmphex(hw_read(t->vm, MTIME, 8), ==, UINT64_C(0x723456789));
    test_free(t);
}

static void test_timer(void)
{
    Test *t = test_new();

    for (unsigned i = 0; i < 4; i++) {
        g_assert_false(t->timer[i]);
    }
    hw_write(t->vm, MTIMECMP(2), 8, 1000);
    g_assert_cmphex(hw_read(t->vm, MTIMECMP(2), 8), ==, 1000);
    vm_clock_step(t->vm, 99999);
    g_assert_false(t->timer[2]);
    vm_clock_step(t->vm, 1);
    g_assert_true(t->timer[2]);
    g_assert_false(t->timer[0] || t->timer[1] || t->timer[3]);
    hw_write(t->vm, MTIMECMP(2), 8, 1001);
    g_assert_false(t->timer[2]);
    /* by halves, as 32-bit code does it */
    hw_write(t->vm, MTIMECMP(2) + 4, 4, 0xffffffff);
    vm_clock_step(t->vm, 1000);
    g_assert_false(t->timer[2]);
    hw_write(t->vm, MTIMECMP(2), 4, 5);
    hw_write(t->vm, MTIMECMP(2) + 4, 4, 0);
    g_assert_true(t->timer[2]);
    /* all ones: in a hundred thousand years */
    hw_write(t->vm, MTIMECMP(2), 8, UINT64_MAX);
    g_assert_false(t->timer[2]);
    g_assert_cmpint(aclint_deadline_ns(t->aclint, UINT64_MAX), ==, INT64_MAX);
    /* the time jumps over a comparator, and back */
    hw_write(t->vm, MTIMECMP(0), 8, UINT64_C(1) << 40);
    hw_write(t->vm, MTIME, 8, UINT64_C(1) << 40);
    g_assert_true(t->timer[0]);
    hw_write(t->vm, MTIME, 8, 0);
    g_assert_false(t->timer[0]);
    test_free(t);
}

static void test_deadline(void)
{
    Test *t = test_new();

    vm_clock_step(t->vm, 12345);
    hw_write(t->vm, MTIME, 8, 1000000);
    for (uint64_t ticks = 1000001; ticks < UINT64_C(1) << 50; ticks *= 3) {
        int64_t deadline = aclint_deadline_ns(t->aclint, ticks);
        int64_t now = vm_clock_ns(t->vm, VM_CLOCK_VIRTUAL);

        g_assert_cmpint(deadline, >, now);
        vm_clock_step(t->vm, deadline - now - 1);
        g_assert_cmpuint(aclint_time_read(t->aclint), ==, ticks - 1);
        vm_clock_step(t->vm, 1);
        g_assert_cmpuint(aclint_time_read(t->aclint), ==, ticks);
    }
    test_free(t);
}

static void test_migrate(void)
{
    for (unsigned round = 0; round < 100; round++) {
        Test *from = test_new();
        Test *to = test_new();

        vm_clock_step(from->vm, g_test_rand_int_range(0, INT32_MAX));
        hw_write(from->vm, MTIME, 8, (uint32_t)g_test_rand_int());
        for (unsigned i = 0; i < 4; i++) {
            hw_write(from->vm, BASE + 4 * i, 4, (uint64_t)g_test_rand_bit());
            hw_write(from->vm, MTIMECMP(i), 8,
                     (uint64_t)(uint32_t)g_test_rand_int() *
                         (uint64_t)g_test_rand_int_range(1, 1000));
        }
        vm_clock_step(to->vm, vm_clock_ns(from->vm, VM_CLOCK_VIRTUAL));
        to->jumps = 0;
        hw_test_round_trip(hw_test_device(from->vm, "riscv.aclint.mtimer"),
                           hw_test_device(to->vm, "riscv.aclint.mtimer"));
        g_assert_cmpuint(to->jumps, ==, 1);
        for (unsigned step = 0; step < 2; step++) {
            g_assert_cmpuint(hw_read(from->vm, MTIME, 8), ==,
                             hw_read(to->vm, MTIME, 8));
            for (unsigned i = 0; i < 4; i++) {
                g_assert_cmpint(from->soft[i], ==, to->soft[i]);
                g_assert_cmpint(from->timer[i], ==, to->timer[i]);
            }
            vm_clock_step(from->vm, 1000000000);
            vm_clock_step(to->vm, 1000000000);
        }
        test_free(from);
        test_free(to);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/aclint/msip", test_msip);
    g_test_add_func("/aclint/time", test_time);
    g_test_add_func("/aclint/timer", test_timer);
    g_test_add_func("/aclint/deadline", test_deadline);
    g_test_add_func("/aclint/migrate", test_migrate);
    return g_test_run();
}
