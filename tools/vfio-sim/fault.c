/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults: how they are written, and when they strike. Pure; the lists belong
 * to a device and are guarded by its lock.
 */
#include "device-options.h"

#include <errno.h>
#include <string.h>

#include "call-names.h"
#include "mig-state.h"

#define ALLOW(action) (1u << (action))

typedef struct PointInfo {
    const char *name;
    unsigned actions; /* which it may have */
    const char *accepts;
} PointInfo;

#define SIZE_ACTIONS \
    (ALLOW(SIM_ACT_VALUE) | ALLOW(SIM_ACT_UNDER) | ALLOW(SIM_ACT_WILD))
#define DATA_ACTIONS \
    (ALLOW(SIM_ACT_ERRNO) | ALLOW(SIM_ACT_SHORT) | ALLOW(SIM_ACT_STALL))

static const PointInfo points[] = {
    [SIM_FAULT_STOP_SIZE] = {"stop-size", SIZE_ACTIONS,
                             "a size, 2^N, max, under or wild"},
    [SIM_FAULT_INITIAL_SIZE] = {"initial-size", SIZE_ACTIONS,
                                "a size, 2^N, max, under or wild"},
    [SIM_FAULT_DIRTY_SIZE] = {"dirty-size", SIZE_ACTIONS,
                              "a size, 2^N, max, under or wild"},
    [SIM_FAULT_READ] = {"read", DATA_ACTIONS, "an errno, short or stall"},
    [SIM_FAULT_WRITE] = {"write", DATA_ACTIONS, "an errno, short or stall"},
    [SIM_FAULT_STATE] = {"state", ALLOW(SIM_ACT_ERRNO) | ALLOW(SIM_ACT_LAND),
                         "an errno or error"},
    [SIM_FAULT_REINIT] = {"reinit",
                          ALLOW(SIM_ACT_AFTER_MS) | ALLOW(SIM_ACT_EVERY) |
                              ALLOW(SIM_ACT_P2P) | ALLOW(SIM_ACT_STOP_COPY),
                          "Nms, everyN, pre-copy-p2p or stop-copy"},
    [SIM_FAULT_REFUSE] = {"refuse",
                          ALLOW(SIM_ACT_VERSION) | ALLOW(SIM_ACT_TRUNCATED) |
                              ALLOW(SIM_ACT_TOO_LONG),
                          "version, truncated or too-long"},
};

static const struct {
    const char *name;
    SimFaultAction action;
} words[] = {
    {"under", SIM_ACT_UNDER},         {"wild", SIM_ACT_WILD},
    {"short", SIM_ACT_SHORT},         {"stall", SIM_ACT_STALL},
    {"error", SIM_ACT_LAND},          {"stop-copy", SIM_ACT_STOP_COPY},
    {"pre-copy-p2p", SIM_ACT_P2P},    {"version", SIM_ACT_VERSION},
    {"truncated", SIM_ACT_TRUNCATED},
    {"too-long", SIM_ACT_TOO_LONG},
};

static const struct {
    const char *name;
    int value;
} errnos[] = {
    {"EPERM", EPERM},   {"ENOENT", ENOENT}, {"EINTR", EINTR},
    {"EIO", EIO},       {"ENXIO", ENXIO},   {"EAGAIN", EAGAIN},
    {"ENOMEM", ENOMEM}, {"EACCES", EACCES}, {"EFAULT", EFAULT},
    {"EBUSY", EBUSY},   {"ENODEV", ENODEV}, {"EINVAL", EINVAL},
    {"ENOTTY", ENOTTY}, {"ENOSPC", ENOSPC}, {"EPIPE", EPIPE},
    {"ENOSYS", ENOSYS}, {"ENOMSG", ENOMSG}, {"ETIMEDOUT", ETIMEDOUT},
    {"EOPNOTSUPP", EOPNOTSUPP},             {"ECANCELED", ECANCELED},
};

static bool parse_action(SimFault *f, const char *text)
{
    uint64_t number;

    for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
        if (!strcmp(text, words[i].name)) {
            f->action = words[i].action;
            return true;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(errnos); i++) {
        if (!strcmp(text, errnos[i].name)) {
            f->action = SIM_ACT_ERRNO;
            f->err = errnos[i].value;
            return true;
        }
    }
    if (!strcmp(text, "max")) {
        f->action = SIM_ACT_VALUE;
        f->value = UINT64_MAX;
        return true;
    }
    if (g_str_has_prefix(text, "2^")) {
        f->action = SIM_ACT_VALUE;
        if (!g_ascii_string_to_unsigned(text + 2, 10, 0, 63, &number, NULL)) {
            return false;
        }
        f->value = 1ULL << number;
        return true;
    }
    if (g_str_has_prefix(text, "every")) {
        f->action = SIM_ACT_EVERY;
        return g_ascii_string_to_unsigned(text + 5, 10, 1, UINT32_MAX,
                                          &f->value, NULL);
    }
    if (g_str_has_suffix(text, "ms")) {
        g_autofree char *digits = g_strndup(text, strlen(text) - 2);

        f->action = SIM_ACT_AFTER_MS;
        return g_ascii_string_to_unsigned(digits, 10, 0, UINT32_MAX, &f->value,
                                          NULL);
    }
    f->action = SIM_ACT_VALUE;
    return sim_parse_size(text, &f->value, NULL);
}

static bool parse_point(SimFault *f, const char *name, const char **accepts,
                        unsigned *actions)
{
    for (size_t i = 0; i < G_N_ELEMENTS(points); i++) {
        if (points[i].name && !strcmp(name, points[i].name)) {
            f->point = i;
            *accepts = points[i].accepts;
            *actions = points[i].actions;
            return true;
        }
    }
    f->point = SIM_FAULT_CALL;
    f->call = g_strdup(name);
    *accepts = "an errno";
    *actions = ALLOW(SIM_ACT_ERRNO);
    return sim_call_is_known(name);
}

static bool parse_place(SimFault *f, const char *text)
{
    f->has_at = true;
    if (f->point != SIM_FAULT_STATE) {
        return sim_parse_size(text, &f->at, NULL);
    }
    for (unsigned s = 0; s < SIM_MIG_STATES; s++) {
        if (!strcmp(text, sim_mig_state_name(s))) {
            f->at = s;
            return true;
        }
    }
    return false;
}

SimFault *sim_fault_parse(const char *text, Error **errp)
{
    g_autofree char *copy = g_strdup(text);
    char *action = strchr(copy, ':');
    SimFault *f = g_new0(SimFault, 1);
    const char *accepts;
    char *count, *place;
    unsigned actions;

    f->text = g_strdup(text);
    f->left = UINT64_MAX;
    if (!action) {
        error_setg(errp, "fault '%s': expected POINT:WHAT[*COUNT][@PLACE]",
                   text);
        goto fail;
    }
    *action++ = '\0';
    if ((place = strchr(action, '@'))) {
        *place++ = '\0';
    }
    if ((count = strchr(action, '*'))) {
        *count++ = '\0';
    }
    if (!parse_point(f, copy, &accepts, &actions)) {
        error_setg(errp, "fault '%s': '%s' is neither the name of a call nor "
                   "stop-size, initial-size, dirty-size, read, write, state, "
                   "reinit or refuse", text, copy);
        goto fail;
    }
    if (!parse_action(f, action) || !(actions & ALLOW(f->action))) {
        error_setg(errp, "fault '%s': '%s' takes %s, not '%s'", text, copy,
                   accepts, action);
        goto fail;
    }
    if (count && !g_ascii_string_to_unsigned(count, 10, 1, UINT32_MAX,
                                             &f->left, NULL)) {
        error_setg(errp, "fault '%s': count '%s' is not a number from 1 to "
                   "4294967295", text, count);
        goto fail;
    }
    if (place && !parse_place(f, place)) {
        error_setg(errp, "fault '%s': '%s' is not %s", text, place,
                   f->point == SIM_FAULT_STATE ? "a migration state"
                                               : "a number");
        goto fail;
    }
    return f;
fail:
    sim_fault_free(f);
    return NULL;
}

void sim_fault_free(SimFault *fault)
{
    g_free(fault->text);
    g_free(fault->call);
    g_free(fault);
}

SimFault *sim_fault_strike(GPtrArray *faults, SimFaultPoint point,
                           const char *call, uint64_t at)
{
    for (guint i = 0; i < faults->len; i++) {
        SimFault *f = g_ptr_array_index(faults, i);

        if (f->point != point || !f->left ||
            (point == SIM_FAULT_CALL && strcmp(f->call, call)) ||
            (f->has_at && (point == SIM_FAULT_STATE ? at != f->at
                                                    : at < f->at))) {
            continue;
        }
        if (f->left != UINT64_MAX) {
            f->left--;
        }
        return f;
    }
    return NULL;
}

/* From one byte to 2^63, each order of magnitude as likely; the same sequence
 * in each run. */
static uint64_t wild_size(SimFault *f)
{
    uint64_t x = f->value += 0x9e3779b97f4a7c15ULL;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return (x ^ (x >> 31)) >> (x % 64);
}

uint64_t sim_fault_size(GPtrArray *faults, SimFaultPoint point, uint64_t truth)
{
    SimFault *f = sim_fault_strike(faults, point, NULL, 0);

    if (!f) {
        return truth;
    }
    switch (f->action) {
    case SIM_ACT_UNDER:
        return truth / 10;
    case SIM_ACT_WILD:
        return wild_size(f);
    default:
        return f->value;
    }
}
