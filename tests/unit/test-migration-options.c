/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Settings: ranges, all or nothing, what may change while a migration runs;
 * that the schema and the table name the same; and the
 * throttle that three of them steer.
 */
#include <string.h>

#include "migration/options.h"
#include "migration/throttle.h"

static void refuse_text(MigOptions *o, const char *name, const char *value,
                        bool running)
{
    MigOptions before = *o;
    Error *err = NULL;

    g_assert_false(mig_options_set_param_text(o, name, value, running, &err));
    g_assert_nonnull(strstr(err->message, name));
    g_clear_error(&err);
    g_assert_cmpmem(o->params, sizeof(o->params), before.params,
                    sizeof(before.params));
}

static uint64_t set_text(MigOptions *o, const char *name, const char *value,
                         bool running, MigParam param)
{
    Error *err = NULL;

    mig_options_set_param_text(o, name, value, running, &err);
    g_assert_no_error(err);
    return o->params[param];
}

static void test_defaults(void)
{
    MigOptions o;

    mig_options_init(&o);
    g_assert_cmpuint(o.params[MIG_PARAM_DOWNTIME_LIMIT], ==, 300);
    g_assert_cmpuint(o.params[MIG_PARAM_MAX_BANDWIDTH], ==, 128 << 20);
    g_assert_cmpuint(o.params[MIG_PARAM_AVAIL_SWITCHOVER_BANDWIDTH], ==, 0);
    for (int i = 0; i < MIG_PARAM__MAX; i++) {
        g_assert_cmpuint(o.params[i], >=, mig_param_info[i].min);
        g_assert_cmpuint(o.params[i], <=, mig_param_info[i].max);
        g_assert_nonnull(mig_param_info[i].help);
    }
    for (int i = 0; i < MIGRATION_CAPABILITY__MAX; i++) {
        g_assert_false(o.caps[i]);
        g_assert_nonnull(mig_cap_info[i].help);
    }
}

static void test_texts(void)
{
    MigOptions o;

    mig_options_init(&o);
    g_assert_cmpuint(set_text(&o, "max-bandwidth", "3", true,
                              MIG_PARAM_MAX_BANDWIDTH), ==, 3 << 20);
    g_assert_cmpuint(set_text(&o, "max-bandwidth", "2K", true,
                              MIG_PARAM_MAX_BANDWIDTH), ==, 2048);
    g_assert_cmpuint(set_text(&o, "downtime-limit", "2000000", true,
                              MIG_PARAM_DOWNTIME_LIMIT), ==, 2000000);
    g_assert_cmpuint(set_text(&o, "cpu-throttle-tailslow", "on", true,
                              MIG_PARAM_CPU_THROTTLE_TAILSLOW), ==, 1);
    g_assert_cmpuint(set_text(&o, "zero-page-detection", "none", false,
                              MIG_PARAM_ZERO_PAGE_DETECTION), ==,
                     ZERO_PAGE_DETECTION_NONE);
    refuse_text(&o, "zero-page-detection", "legacy", true);
    refuse_text(&o, "zero-page-detection", "sometimes", false);
    refuse_text(&o, "downtime-limit", "2000001", false);
    refuse_text(&o, "downtime-limit", "-1", false);
    refuse_text(&o, "downtime-limit", "18446744073709551616", false);
    refuse_text(&o, "downtime-limit", "", false);
    refuse_text(&o, "cpu-throttle-initial", "0", false);
    refuse_text(&o, "cpu-throttle-initial", "100", false);
    refuse_text(&o, "cpu-throttle-tailslow", "maybe", false);
    refuse_text(&o, "no-such-thing", "1", false);
}

/* What belongs together is checked together, and set whole or not at all. */
static void test_all_or_nothing(void)
{
    MigOptions o, before;
    MigrationParameters in = {
        .has_downtime_limit = true, .downtime_limit = 5,
        .has_max_cpu_throttle = true, .max_cpu_throttle = 30,
        .has_cpu_throttle_initial = true, .cpu_throttle_initial = 40,
    };

    mig_options_init(&o);
    before = o;
    g_assert_false(mig_options_set_params(&o, &in, false, NULL));
    g_assert_cmpmem(o.params, sizeof(o.params), before.params,
                    sizeof(before.params));
    in.cpu_throttle_initial = 30;
    g_assert_true(mig_options_set_params(&o, &in, false, NULL));
    g_assert_cmpuint(o.params[MIG_PARAM_DOWNTIME_LIMIT], ==, 5);
    g_assert_cmpuint(o.params[MIG_PARAM_MAX_CPU_THROTTLE], ==, 30);
}

/* Every scalar reads back exactly. */
static void test_schema_agrees(void)
{
    MigOptions o, back;
    MigrationParameters *params;

    mig_options_init(&o);
    o.params[MIG_PARAM_MAX_BANDWIDTH] = UINT64_C(9223372036853727232);
    o.params[MIG_PARAM_CPU_THROTTLE_TAILSLOW] = 1;
    params = mig_options_get_params(&o);
    mig_options_init(&back);
    g_assert_true(mig_options_set_params(&back, params, false, NULL));
    g_assert_cmpmem(o.params, sizeof(o.params), back.params,
                    sizeof(back.params));
    qapi_free_MigrationParameters(params);
}

static void test_globals(void)
{
    MigOptions o;

    mig_options_init(&o);
    g_assert_true(mig_options_set_global(&o, "x-events", "on", NULL));
    g_assert_true(o.caps[MIGRATION_CAPABILITY_EVENTS]);
    g_assert_true(mig_options_set_global(&o, "downtime-limit", "7", NULL));
    g_assert_cmpuint(o.params[MIG_PARAM_DOWNTIME_LIMIT], ==, 7);
    g_assert_false(mig_options_set_global(&o, "x-nothing", "1", NULL));
    g_assert_false(mig_options_set_global(&o, "x-events", "1x", NULL));
}

static void test_caps_while_running(void)
{
    MigOptions o;

    mig_options_init(&o);
    g_assert_false(mig_options_set_cap_text(&o, "events", "on", true, NULL));
    g_assert_true(mig_options_set_cap_text(&o, "events", "off", true, NULL));
    g_assert_true(mig_options_set_cap_text(&o, "events", "on", false, NULL));
    g_assert_false(mig_options_set_cap_text(&o, "xbzrle", "on", false,
                                            NULL));
}

/* ---- the throttle ---- */

static void test_throttle(void)
{
    MigThrottle t = { 0 };
    MigOptions o;
    unsigned last = 0;

    mig_options_init(&o);
    /* Half of what was sent may be written. */
    g_assert_cmpuint(mig_throttle_update(&t, &o, 50, 100), ==, 0);
    /* Once is an accident. */
    g_assert_cmpuint(mig_throttle_update(&t, &o, 51, 100), ==, 0);
    g_assert_cmpuint(mig_throttle_update(&t, &o, 50, 100), ==, 0);
    g_assert_cmpuint(mig_throttle_update(&t, &o, 51, 100), ==, 0);
    g_assert_cmpuint(mig_throttle_update(&t, &o, 51, 100), ==, 20);
    for (int i = 0; i < 40; i++) {
        unsigned now = mig_throttle_update(&t, &o, UINT64_MAX, 1);

        g_assert_cmpuint(now, >=, last);
        g_assert_cmpuint(now, <=, 99);
        last = now;
    }
    g_assert_cmpuint(last, ==, 99);
}

/* switchover-ack needs somebody to answer, whichever is set first. */
static void test_switchover_ack(void)
{
    MigOptions o;
    Error *err = NULL;

    mig_options_init(&o);
    g_assert_false(mig_options_set_cap_text(&o, "switchover-ack", "on", false,
                                            &err));
    g_assert_nonnull(strstr(err->message, "return-path"));
    g_clear_error(&err);
    g_assert_false(o.caps[MIGRATION_CAPABILITY_SWITCHOVER_ACK]);
    g_assert_true(mig_options_set_cap_text(&o, "return-path", "on", false,
                                           NULL));
    g_assert_true(mig_options_set_cap_text(&o, "switchover-ack", "on", false,
                                           NULL));
    g_assert_false(mig_options_set_cap_text(&o, "return-path", "off", false,
                                            NULL));
    g_assert_true(o.caps[MIGRATION_CAPABILITY_RETURN_PATH]);
}

static void test_throttle_tailslow(void)
{
    MigThrottle t = { .percent = 20, .hits = 1 };
    MigOptions o;

    mig_options_init(&o);
    o.params[MIG_PARAM_CPU_THROTTLE_TAILSLOW] = 1;
    /* 4 % too much: of the 80 % that it has, 4 % are taken. */
    g_assert_cmpuint(mig_throttle_update(&t, &o, 52, 100), ==, 24);
}

/* Pairs that cannot be on together, whichever comes first. */
static void test_exclusive(void)
{
    static const char *const pairs[][2] = {
        { "background-snapshot", "auto-converge" },
        { "background-snapshot", "return-path" },
        { "background-snapshot", "pause-before-switchover" },
        { "background-snapshot", "postcopy-ram" },
        { "background-snapshot", "multifd" },
        { "multifd", "postcopy-ram" },
    };

    for (guint i = 0; i < 2 * G_N_ELEMENTS(pairs); i++) {
        const char *first = pairs[i / 2][i % 2];
        const char *second = pairs[i / 2][1 - i % 2];
        Error *err = NULL;
        MigOptions o;

        mig_options_init(&o);
        mig_options_set_cap_text(&o, first, "on", false, &err);
        g_assert_no_error(err);
        g_assert_false(mig_options_set_cap_text(&o, second, "on", false,
                                                &err));
        g_assert_nonnull(strstr(err->message, first));
        g_assert_nonnull(strstr(err->message, second));
        g_clear_error(&err);
        mig_options_set_cap_text(&o, first, "off", false, &err);
        g_assert_no_error(err);
        mig_options_set_cap_text(&o, second, "on", false, &err);
        g_assert_no_error(err);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/migration/options/defaults", test_defaults);
    g_test_add_func("/migration/options/texts", test_texts);
    g_test_add_func("/migration/options/all-or-nothing", test_all_or_nothing);
    g_test_add_func("/migration/options/schema-agrees", test_schema_agrees);
    g_test_add_func("/migration/options/globals", test_globals);
    g_test_add_func("/migration/options/caps-while-running",
                    test_caps_while_running);
    g_test_add_func("/migration/options/switchover-ack", test_switchover_ack);
    g_test_add_func("/migration/options/exclusive", test_exclusive);
    g_test_add_func("/migration/throttle/steps", test_throttle);
    g_test_add_func("/migration/throttle/tailslow", test_throttle_tailslow);
    return g_test_run();
}
