/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting for a CPU is told from running and from sleeping. */
#include <sched.h>

#include <glib.h>

#include "migration/run-delay.h"
#include "tests/patience.h"
#include "util/thread.h"

#define NS_PER_MS INT64_C(1000000)
#define SPINNERS 2

static int64_t now_ns(void)
{
    return g_get_monotonic_time() * 1000;
}

/* Until it has waited for 20 ms, which takes at least as long. */
static gpointer spin(gpointer opaque)
{
    int64_t start = now_ns(), end = start + test_patience(20000) * NS_PER_MS;
    int *done = opaque;
    uint64_t first;
    RunDelay rd;

    run_delay_open(&rd);
    first = run_delay_ns(&rd);
    while (run_delay_ns(&rd) - first < 20 * NS_PER_MS) {
        g_assert_cmpint(now_ns(), <, end);
    }
    g_assert_cmpint(now_ns() - start, >=, 20 * NS_PER_MS);
    __atomic_fetch_add(done, 1, __ATOMIC_SEQ_CST);
    /* The others wait for us until they are done. */
    while (__atomic_load_n(done, __ATOMIC_SEQ_CST) < SPINNERS) {
    }
    run_delay_close(&rd);
    return NULL;
}

/* Two on one CPU: each waits while the other runs. */
static void test_two_on_one(void)
{
    GThread *threads[SPINNERS];
    cpu_set_t all, one;
    int done = 0;

    g_assert_cmpint(sched_getaffinity(0, sizeof(all), &all), ==, 0);
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
        }
    }
    g_assert_cmpint(sched_setaffinity(0, sizeof(one), &one), ==, 0);
    for (int i = 0; i < SPINNERS; i++) {
        threads[i] = thread_start("spinner", spin, &done);
    }
    for (int i = 0; i < SPINNERS; i++) {
        g_thread_join(threads[i]);
    }
    g_assert_cmpint(sched_setaffinity(0, sizeof(all), &all), ==, 0);
}

/* Sleep is not counted, however long. */
static void test_sleep(void)
{
    RunDelay rd;
    uint64_t before;
    int64_t start = now_ns();

    run_delay_open(&rd);
    before = run_delay_ns(&rd);
    g_usleep(300000);
    /* A millisecond for the clock's grain. */
    g_assert_cmpint((int64_t)(run_delay_ns(&rd) - before), <=,
                    now_ns() - start - 299 * NS_PER_MS);
    run_delay_close(&rd);
}

static void test_not_there(void)
{
    RunDelay rd = { .fd = -1 };

    g_assert_cmpuint(run_delay_ns(&rd), ==, 0);
    run_delay_close(&rd);
}

int main(int argc, char **argv)
{
    g_autofree char *text = NULL;

    g_test_init(&argc, &argv, NULL);
    if (g_file_get_contents("/proc/thread-self/schedstat", &text, NULL, NULL)) {
        g_test_add_func("/run-delay/two-on-one", test_two_on_one);
        g_test_add_func("/run-delay/sleep", test_sleep);
    }
    g_test_add_func("/run-delay/not-there", test_not_there);
    return g_test_run();
}
