/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PLIC against its specification, version 1.0.0. */
#include <string.h>

#include "hw-test.h"
#include "hw/intc/plic.h"

#define BASE 0xc000000
#define HARTS 2

typedef struct Test {
    Vm *vm;
    PlicState *plic;
    bool out[2 * PLIC_HARTS_MAX];
} Test;

static Test *test_new(unsigned harts)
{
    Test *t = g_new0(Test, 1);
    Irq outputs[2 * PLIC_HARTS_MAX];
    Error *err = NULL;

    t->vm = hw_test_new();
    for (unsigned i = 0; i < 2 * harts; i++) {
        outputs[i] = hw_test_line(t->out, i);
    }
    t->plic = plic_create(t->vm, BASE, harts, outputs, &err);
    g_assert_no_error(err);
    hw_test_reset(t->vm);
    return t;
}

static void test_free(Test *t)
{
    hw_test_free(t->vm);
    g_free(t);
}

static uint32_t get(Test *t, hwaddr reg)
{
    return (uint32_t)hw_read(t->vm, BASE + reg, 4);
}

static void put(Test *t, hwaddr reg, uint32_t val)
{
    hw_write(t->vm, BASE + reg, 4, val);
}

static void priority(Test *t, unsigned source, uint32_t val)
{
    put(t, 4 * source, val);
}

static void enable(Test *t, unsigned context, unsigned source)
{
    hwaddr reg = 0x2000 + 0x80 * context + source / 32 * 4;

    put(t, reg, get(t, reg) | UINT32_C(1) << (source % 32));
}

static uint32_t pending(Test *t, unsigned source)
{
    return get(t, 0x1000 + source / 32 * 4) >> (source % 32) & 1;
}

static uint32_t claim(Test *t, unsigned context)
{
    return get(t, 0x200004 + 0x1000 * context);
}

static void complete(Test *t, unsigned context, uint32_t source)
{
    put(t, 0x200004 + 0x1000 * context, source);
}

static void line(Test *t, unsigned source, bool level)
{
    Irq irq = plic_source(t->plic, source);

    irq_set(&irq, level);
}

static void test_registers(void)
{
    Test *t = test_new(HARTS);
    uint64_t val;

    priority(t, 0, 7);
    g_assert_cmpuint(get(t, 0), ==, 0);         /* source 0 is none */
    priority(t, 95, 0xffffffff);
    g_assert_cmpuint(get(t, 4 * 95), ==, 7);    /* WARL: 3 bits */
    priority(t, 96, 7);
    g_assert_cmpuint(get(t, 4 * 96), ==, 0);
    put(t, 0x2000, 0xffffffff);
    g_assert_cmphex(get(t, 0x2000), ==, 0xfffffffe);
    put(t, 0x2008, 0xffffffff);
    g_assert_cmphex(get(t, 0x2008), ==, 0xffffffff);
    put(t, 0x200c, 0xffffffff);
    g_assert_cmphex(get(t, 0x200c), ==, 0);
    put(t, 0x2000 + 0x80 * 4, 0xffffffff);      /* of a hart that is not */
    g_assert_cmphex(get(t, 0x2000 + 0x80 * 4), ==, 0);
    put(t, 0x200000, 0xff);
    g_assert_cmphex(get(t, 0x200000), ==, 7);
    put(t, 0x1000, 0xffffffff);                 /* pending: read-only */
    g_assert_cmphex(get(t, 0x1000), ==, 0);
    g_assert_cmphex(get(t, 0x5ffffc), ==, 0);
    g_assert_cmpint(memory_io_read(t->vm->memory, BASE, 8, &val), ==,
                    MEM_DEVICE_ERROR);
    g_assert_cmpint(memory_io_read(t->vm->memory, BASE, 1, &val), ==,
                    MEM_DEVICE_ERROR);
    test_free(t);
}

static void test_claim_complete(void)
{
    Test *t = test_new(HARTS);

    g_assert_cmpuint(claim(t, 1), ==, 0);
    line(t, 10, true);
    g_assert_cmpuint(pending(t, 10), ==, 1);
    g_assert_false(t->out[1]);
    priority(t, 10, 1);
    g_assert_false(t->out[1]);
    enable(t, 1, 10);
    g_assert_true(t->out[1]);
    g_assert_false(t->out[0] || t->out[2] || t->out[3]);
    g_assert_cmpuint(claim(t, 1), ==, 10);
    g_assert_cmpuint(pending(t, 10), ==, 0);
    g_assert_false(t->out[1]);
    g_assert_cmpuint(claim(t, 1), ==, 0);
    /* High all the time: no second request before the first is complete. */
    line(t, 10, false);
    line(t, 10, true);
    g_assert_cmpuint(pending(t, 10), ==, 0);
    complete(t, 1, 10);
    g_assert_cmpuint(pending(t, 10), ==, 1);
    g_assert_true(t->out[1]);
    g_assert_cmpuint(claim(t, 1), ==, 10);
    line(t, 10, false);
    complete(t, 1, 10);
    g_assert_cmpuint(pending(t, 10), ==, 0);
    g_assert_false(t->out[1]);
    test_free(t);
}

/* A request once made is not withdrawn by the line. */
static void test_request_stays(void)
{
    Test *t = test_new(HARTS);

    priority(t, 3, 1);
    enable(t, 0, 3);
    line(t, 3, true);
    line(t, 3, false);
    g_assert_true(t->out[0]);
    g_assert_cmpuint(claim(t, 0), ==, 3);
    complete(t, 0, 3);
    g_assert_false(t->out[0]);
    test_free(t);
}

static void test_priorities(void)
{
    Test *t = test_new(HARTS);

    for (unsigned source = 1; source < PLIC_SOURCES; source++) {
        priority(t, source, 2);
        enable(t, 0, source);
        line(t, source, true);
    }
    priority(t, 70, 5);
    priority(t, 33, 0);                 /* never interrupts */
    g_assert_cmpuint(claim(t, 0), ==, 70);
    for (unsigned source = 1; source < PLIC_SOURCES; source++) {
        if (source != 70 && source != 33) {
            /* equal priorities: the lowest number first */
            g_assert_cmpuint(claim(t, 0), ==, source);
        }
    }
    g_assert_cmpuint(claim(t, 0), ==, 0);
    test_free(t);
}

/* The threshold masks the line; a claim does not look at it. */
static void test_threshold(void)
{
    Test *t = test_new(HARTS);

    priority(t, 5, 3);
    enable(t, 2, 5);
    put(t, 0x200000 + 0x1000 * 2, 3);
    line(t, 5, true);
    g_assert_false(t->out[2]);
    put(t, 0x200000 + 0x1000 * 2, 2);
    g_assert_true(t->out[2]);
    put(t, 0x200000 + 0x1000 * 2, 7);
    g_assert_false(t->out[2]);
    g_assert_cmpuint(claim(t, 2), ==, 5);
    test_free(t);
}

static void test_complete_ignored(void)
{
    Test *t = test_new(HARTS);

    priority(t, 5, 3);
    enable(t, 0, 5);
    line(t, 5, true);
    g_assert_cmpuint(claim(t, 0), ==, 5);
    complete(t, 1, 5);                  /* not enabled there */
    g_assert_cmpuint(pending(t, 5), ==, 0);
    complete(t, 0, 0);
    complete(t, 0, 96);
    complete(t, 0, 0xffffffff);
    g_assert_cmpuint(pending(t, 5), ==, 0);
    complete(t, 0, 5);
    g_assert_cmpuint(pending(t, 5), ==, 1);
    test_free(t);
}

/* Several contexts see the request, one gets it. */
static void test_contexts(void)
{
    Test *t = test_new(PLIC_HARTS_MAX);

    priority(t, 32, 1);
    for (unsigned c = 0; c < 2 * PLIC_HARTS_MAX; c++) {
        enable(t, c, 32);
    }
    line(t, 32, true);
    for (unsigned c = 0; c < 2 * PLIC_HARTS_MAX; c++) {
        g_assert_true(t->out[c]);
    }
    g_assert_cmpuint(claim(t, 15), ==, 32);
    for (unsigned c = 0; c < 2 * PLIC_HARTS_MAX; c++) {
        g_assert_false(t->out[c]);
        g_assert_cmpuint(claim(t, c), ==, 0);
    }
    test_free(t);
}

static void test_reset(void)
{
    Test *t = test_new(HARTS);

    priority(t, 9, 4);
    enable(t, 3, 9);
    line(t, 9, true);
    g_assert_true(t->out[3]);
    hw_test_reset(t->vm);
    g_assert_false(t->out[3]);
    g_assert_cmpuint(get(t, 4 * 9), ==, 0);
    g_assert_cmpuint(pending(t, 9), ==, 1);     /* its line is still high */
    test_free(t);
}

static void test_migrate(void)
{
    for (unsigned round = 0; round < 100; round++) {
        Test *from = test_new(4);
        Test *to = test_new(4);

        for (unsigned i = 0; i < 400; i++) {
            unsigned source = (unsigned)g_test_rand_int_range(1, 96);
            unsigned context = (unsigned)g_test_rand_int_range(0, 8);

            switch (g_test_rand_int_range(0, 6)) {
            case 0:
                priority(from, source, (uint32_t)g_test_rand_int());
                break;
            case 1:
                enable(from, context, source);
                break;
            case 2:
                put(from, 0x200000 + 0x1000 * context,
                    (uint32_t)g_test_rand_int_range(0, 3));
                break;
            case 3:
                claim(from, context);
                break;
            case 4:
                complete(from, context, source);
                break;
            default: {
                bool level = g_test_rand_bit();

                line(from, source, level);
                line(to, source, level);
            }
            }
        }
        hw_test_round_trip(hw_test_device(from->vm, "riscv.sifive.plic"),
                           hw_test_device(to->vm, "riscv.sifive.plic"));
        for (unsigned c = 0; c < 8; c++) {
            g_assert_cmpint(from->out[c], ==, to->out[c]);
        }
        for (unsigned i = 0; i < 300; i++) {
            unsigned context = (unsigned)g_test_rand_int_range(0, 8);
            uint32_t source = claim(from, context);

            g_assert_cmpuint(claim(to, context), ==, source);
            source = (uint32_t)g_test_rand_int_range(1, 96);
            complete(from, context, source);
            complete(to, context, source);
        }
        test_free(from);
        test_free(to);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/plic/registers", test_registers);
    g_test_add_func("/plic/claim-complete", test_claim_complete);
    g_test_add_func("/plic/request-stays", test_request_stays);
    g_test_add_func("/plic/priorities", test_priorities);
    g_test_add_func("/plic/threshold", test_threshold);
    g_test_add_func("/plic/complete-ignored", test_complete_ignored);
    g_test_add_func("/plic/contexts", test_contexts);
    g_test_add_func("/plic/reset", test_reset);
    g_test_add_func("/plic/migrate", test_migrate);
    return g_test_run();
}
