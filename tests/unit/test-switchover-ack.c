/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acknowledgements owed before a switchover: the account. */
#include <limits.h>

#include "migration/ack.h"

static const char a, b;

static void test_once(void)
{
    MigAcks acks;

    mig_acks_init(&acks);
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 0);
    mig_acks_owe(&acks, &a);
    mig_acks_owe(&acks, &b);
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 2);
    mig_acks_mark(&acks, &b);
    g_assert_true(mig_acks_answer(&acks));
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 1);
    g_assert_true(mig_acks_debtor(&acks) == &a);
    mig_acks_mark(&acks, &a);
    g_assert_true(mig_acks_answer(&acks));
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 0);
    g_assert_null(mig_acks_debtor(&acks));
    mig_acks_clear(&acks);
}

/* Section 6: again at each REINIT, before or after the mark has left. */
static void test_again(void)
{
    MigAcks acks;

    mig_acks_init(&acks);
    mig_acks_owe(&acks, &a);
    mig_acks_mark(&acks, &a);
    mig_acks_owe(&acks, &a);
    g_assert_true(mig_acks_answer(&acks));
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 1);
    /* One mark stands for all that came up before it. */
    mig_acks_owe(&acks, &a);
    mig_acks_mark(&acks, &a);
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 2);
    g_assert_true(mig_acks_answer(&acks));
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 0);
    mig_acks_clear(&acks);
}

/* Two marks under way settle what came up before each, no more. */
static void test_under_way(void)
{
    MigAcks acks;

    mig_acks_init(&acks);
    mig_acks_owe(&acks, &a);
    mig_acks_mark(&acks, &a);
    mig_acks_owe(&acks, &b);
    mig_acks_mark(&acks, &b);
    mig_acks_owe(&acks, &a);
    mig_acks_mark(&acks, &a);
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 3);
    for (unsigned left = 3; left-- > 0; ) {
        g_assert_true(mig_acks_answer(&acks));
        g_assert_cmpuint(mig_acks_owed(&acks), ==, left);
    }
    mig_acks_clear(&acks);
}

/* An answer to nothing, and one too many. */
static void test_surplus(void)
{
    MigAcks acks;

    mig_acks_init(&acks);
    g_assert_false(mig_acks_answer(&acks));
    mig_acks_owe(&acks, &a);
    g_assert_false(mig_acks_answer(&acks));
    g_assert_cmpuint(mig_acks_owed(&acks), ==, 1);
    mig_acks_mark(&acks, &a);
    g_assert_true(mig_acks_answer(&acks));
    g_assert_false(mig_acks_answer(&acks));
    mig_acks_clear(&acks);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/spec-6/ack/once", test_once);
    g_test_add_func("/migration/spec-6/ack/again", test_again);
    g_test_add_func("/migration/spec-6/ack/under-way", test_under_way);
    g_test_add_func("/migration/spec-6/ack/surplus", test_surplus);
    return g_test_run();
}
