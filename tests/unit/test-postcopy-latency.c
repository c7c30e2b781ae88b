/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What keeps a page that is waited for from waiting long in postcopy. */
#include <stdio.h>
#include <sys/socket.h>

#include "migration-postcopy.h"
#include "migration/postcopy-queue.h"

/* ---- what is under way ---- */

static void test_queue_limits(void)
{
    /* What is asked for comes behind it. */
    g_assert_true(postcopy_limits_queue(false, 0));
    g_assert_true(postcopy_limits_queue(false, 100000));
    /* It may be in there; but a far destination would be slow altogether. */
    g_assert_true(postcopy_limits_queue(true, 0));
    g_assert_true(postcopy_limits_queue(true, POSTCOPY_NEAR_US));
    g_assert_false(postcopy_limits_queue(true, POSTCOPY_NEAR_US + 1));
}

/* The kernel says twice what it was told. */
static void check_queue(Side *s)
{
    Migration *m = s->vm->migration;
    socklen_t len = sizeof(int);
    int bytes[2] = { 0 }, fd;

    g_mutex_lock(&m->lock);
    fd = io_channel_fd(m->out ? m->out->ch : m->in->ch);
    g_mutex_unlock(&m->lock);
    g_assert_cmpint(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes[0], &len),
                    ==, 0);
    g_assert_cmpint(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes[1], &len),
                    ==, 0);
    g_assert_cmpint(bytes[0], ==, 2 * POSTCOPY_QUEUE_BYTES);
    g_assert_cmpint(bytes[1], ==, 2 * POSTCOPY_QUEUE_BYTES);
}

static void test_queue(gconstpointer preempt)
{
    Pair pair = { .preempt = preempt != NULL };

    pair_begin(&pair);
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 8 * MIB);
    pair_to_postcopy(&pair);
    check_queue(pair.src);
    check_queue(pair.dst);
    pair_set_param(pair.src, MIG_PARAM_MAX_POSTCOPY_BANDWIDTH, 0);
    pair_finish(&pair);
    pair_end(&pair);
}

/* ---- the CPU ---- */

static unsigned given[2];       /* atomic: by source and destination */

static void yield_src(void)
{
    __atomic_fetch_add(&given[0], 1, __ATOMIC_RELAXED);
}

static void yield_dst(void)
{
    __atomic_fetch_add(&given[1], 1, __ATOMIC_RELAXED);
}

/* Those who move the stream let others run, and not all the time. */
static void test_gives_way(gconstpointer preempt)
{
    Pair pair = { .preempt = preempt != NULL };
    int64_t start, times;

    pair_begin(&pair);
    pair.src->vm->migration->yield = yield_src;
    pair.dst->vm->migration->yield = yield_dst;
    given[0] = given[1] = 0;
    start = g_get_monotonic_time();
    pair_to_postcopy(&pair);
    pair_finish(&pair);
    times = (g_get_monotonic_time() - start) / (GIVE_WAY_NS / 1000) + 1;
    for (unsigned i = 0; i < 2; i++) {
        unsigned n = __atomic_load_n(&given[i], __ATOMIC_RELAXED);

        g_assert_cmpuint(n, >, 1);
        g_assert_cmpuint(n, <=, times);
    }
    pair_end(&pair);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!pair_can_run()) {
        printf("1..0 # SKIP no userfaultfd\n");
        return 77;
    }
    g_test_add_func("/migration/postcopy/latency/queue-limits",
                    test_queue_limits);
    g_test_add_data_func("/migration/postcopy/latency/queue", NULL,
                         test_queue);
    g_test_add_data_func("/migration/postcopy/latency/queue/preempt", "",
                         test_queue);
    g_test_add_data_func("/migration/postcopy/latency/gives-way", NULL,
                         test_gives_way);
    g_test_add_data_func("/migration/postcopy/latency/gives-way/preempt", "",
                         test_gives_way);
    return g_test_run();
}
