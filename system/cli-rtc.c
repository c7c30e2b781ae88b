/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -rtc: what the board's clock shows when the machine starts, as a difference
 * to the host's clock, and which clock it follows. Main thread; no lock.
 */
#include "system/cli-int.h"
#include "system/machine.h"

/* About 200 years, so that it can be counted in nanoseconds. */
#define SHIFT_MAX_S INT64_C(6300000000)

static bool set_base(Vm *vm, const char *value, Error **errp)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) base = NULL;
    g_autofree char *midnight = NULL;
    int64_t shift;

    if (g_str_equal(value, "utc")) {
        vm->config->rtc_shift_s = 0;
        return true;
    }
    if (g_str_equal(value, "localtime")) {
        g_autoptr(GDateTime) local = g_date_time_new_now_local();

        vm->config->rtc_shift_s = g_date_time_get_utc_offset(local) /
                                  G_TIME_SPAN_SECOND;
        return true;
    }
    base = g_date_time_new_from_iso8601(value, utc);
    if (!base) {
        midnight = g_strconcat(value, "T00:00:00", NULL);
        base = g_date_time_new_from_iso8601(midnight, utc);
    }
    if (!base) {
        error_setg(errp, "'%s' is no time: expected is utc, localtime, "
                   "2006-06-17T16:01:21 or 2006-06-17", value);
        return false;
    }
    shift = g_date_time_to_unix(base) - g_date_time_to_unix(now);
    if (shift < -SHIFT_MAX_S || shift > SHIFT_MAX_S) {
        error_setg(errp, "'%s' is too far from now", value);
        return false;
    }
    vm->config->rtc_shift_s = shift;
    return true;
}

static bool set_clock(Vm *vm, const char *value, Error **errp)
{
    if (g_str_equal(value, "host")) {
        vm->config->rtc_clock = RTC_CLOCK_HOST;
    } else if (g_str_equal(value, "rt")) {
        vm->config->rtc_clock = RTC_CLOCK_REALTIME;
    } else if (g_str_equal(value, "vm")) {
        vm->config->rtc_clock = RTC_CLOCK_VIRTUAL;
    } else {
        error_setg(errp, "there is no clock '%s', only: host, rt, vm", value);
        return false;
    }
    return true;
}

static bool set_driftfix(Vm *vm, const char *value, Error **errp)
{
    (void)vm;
    return cli_parse_only(value, "none", errp);
}

const CliKey cli_rtc_keys[] = {
    { "base", "utc|localtime|DATETIME", set_base },
    { "clock", "host|rt|vm", set_clock },
    { "driftfix", "none", set_driftfix },
    { NULL, NULL, NULL }
};

bool cli_parse_rtc(Vm *vm, const char *argument, Error **errp)
{
    return cli_parse_keys(vm, argument, NULL, cli_rtc_keys, NULL, errp);
}
