/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The goldfish RTC, on guest time that the test moves. */
#include <time.h>

#include "hw-test.h"
#include "hw/rtc/goldfish.h"

#define BASE 0x101000

enum {
    TIME_LOW = 0x00, TIME_HIGH = 0x04, ALARM_LOW = 0x08, ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10, CLEAR_ALARM = 0x14, ALARM_STATUS = 0x18,
    CLEAR_INTERRUPT = 0x1c,
};

#define START_NS INT64_C(1700000000123456789)

typedef struct Test {
    Vm *vm;
    bool irq[1];
} Test;

static Test *test_new(bool wall_clock)
{
    Test *t = g_new0(Test, 1);
    Error *err = NULL;

    t->vm = hw_test_new();
    if (!wall_clock) {
        vm_clock_set_host_base(t->vm, VM_CLOCK_VIRTUAL, START_NS);
    }
    goldfish_rtc_create(t->vm, BASE, hw_test_line(t->irq, 0), &err);
    g_assert_no_error(err);
    hw_test_reset(t->vm);
    return t;
}

static void test_free(Test *t)
{
    hw_test_free(t->vm);
    g_free(t);
}

static uint32_t get(Test *t, unsigned reg)
{
    return (uint32_t)hw_read(t->vm, BASE + reg, 4);
}

static void put(Test *t, unsigned reg, uint32_t val)
{
    hw_write(t->vm, BASE + reg, 4, val);
}

static int64_t now(Test *t)
{
    uint32_t low = get(t, TIME_LOW);

    return (int64_t)((uint64_t)get(t, TIME_HIGH) << 32 | low);
}

static void set_alarm(Test *t, int64_t ns)
{
    put(t, ALARM_HIGH, (uint32_t)((uint64_t)ns >> 32));
    put(t, ALARM_LOW, (uint32_t)ns);
}

static void test_wall_clock(void)
{
    Test *t = test_new(true);
    int64_t seconds = time(NULL);

    g_assert_cmpint(now(t) / 1000000000, >=, seconds);
    g_assert_cmpint(now(t) / 1000000000, <=, seconds + 60);
    test_free(t);
}

static void test_time(void)
{
    Test *t = test_new(false);
    uint32_t low;

    g_assert_cmpint(now(t), ==, START_NS);
    /* the high half belongs to the low half that was read before it */
    low = get(t, TIME_LOW);
    vm_clock_step(t->vm, INT64_C(1) << 33);
    g_assert_cmpint((int64_t)get(t, TIME_HIGH), ==, START_NS >> 32);
    g_assert_cmpuint(low, ==, (uint32_t)START_NS);
    g_assert_cmpint(now(t), ==, START_NS + (INT64_C(1) << 33));
    put(t, TIME_HIGH, 0x01020304);
    put(t, TIME_LOW, 0x05060708);
    g_assert_cmphex((uint64_t)now(t), ==, UINT64_C(0x0102030405060708));
    hw_test_reset(t->vm);                       /* the battery holds */
    g_assert_cmphex((uint64_t)now(t), ==, UINT64_C(0x0102030405060708));
    test_free(t);
}

static void test_alarm(void)
{
    Test *t = test_new(false);

    put(t, IRQ_ENABLED, 1);
    set_alarm(t, START_NS + 1000);
    g_assert_cmpuint(get(t, ALARM_STATUS), ==, 1);
    vm_clock_step(t->vm, 999);
    g_assert_false(t->irq[0]);
    vm_clock_step(t->vm, 1);
    g_assert_true(t->irq[0]);
    g_assert_cmpuint(get(t, ALARM_STATUS), ==, 0);
    put(t, CLEAR_INTERRUPT, 1);
    g_assert_false(t->irq[0]);
    /* one that has passed rings at once; masked, it waits */
    put(t, IRQ_ENABLED, 0);
    set_alarm(t, START_NS);
    g_assert_false(t->irq[0]);
    put(t, IRQ_ENABLED, 1);
    g_assert_true(t->irq[0]);
    put(t, CLEAR_INTERRUPT, 1);
    /* cleared before its time */
    set_alarm(t, START_NS + 5000);
    put(t, CLEAR_ALARM, 1);
    g_assert_cmpuint(get(t, ALARM_STATUS), ==, 0);
    vm_clock_step(t->vm, 10000);
    g_assert_false(t->irq[0]);
    /* the time is set past it */
    set_alarm(t, now(t) + (INT64_C(1) << 34));
    put(t, TIME_HIGH, 0x7fffffff);
    g_assert_true(t->irq[0]);
    test_free(t);
}

static void test_migrate(void)
{
    for (unsigned round = 0; round < 100; round++) {
        Test *from = test_new(false);
        Test *to = test_new(false);

        for (unsigned i = 0; i < 20; i++) {
            unsigned reg = (unsigned)g_test_rand_int_range(0, 8) * 4;

            if (g_test_rand_bit()) {
                put(from, reg, (uint32_t)g_test_rand_int());
            } else {
                get(from, reg);
            }
            vm_clock_step(from->vm, g_test_rand_int_range(0, 1000000));
        }
        vm_clock_step(to->vm, vm_clock_ns(from->vm, VM_CLOCK_VIRTUAL));
        hw_test_round_trip(hw_test_device(from->vm, "goldfish_rtc"),
                           hw_test_device(to->vm, "goldfish_rtc"));
        for (unsigned step = 0; step < 2; step++) {
            g_assert_cmpint(from->irq[0], ==, to->irq[0]);
            g_assert_cmpuint(get(from, TIME_HIGH), ==, get(to, TIME_HIGH));
            g_assert_cmpint(now(from), ==, now(to));
            for (unsigned reg = 0; reg <= CLEAR_INTERRUPT; reg += 4) {
                g_assert_cmpuint(get(from, reg), ==, get(to, reg));
            }
            vm_clock_step(from->vm, INT64_C(1) << 31);
            vm_clock_step(to->vm, INT64_C(1) << 31);
        }
        test_free(from);
        test_free(to);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/goldfish-rtc/wall-clock", test_wall_clock);
    g_test_add_func("/goldfish-rtc/time", test_time);
    g_test_add_func("/goldfish-rtc/alarm", test_alarm);
    g_test_add_func("/goldfish-rtc/migrate", test_migrate);
    return g_test_run();
}
