/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capabilities and parameters: two tables, and what follows from them. Plain
 * data, no lock; the owner of a MigOptions has one.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/multifd-packet.h"
#include "migration/options.h"
#include "qapi/qapi-visit-migration.h"
#include "system/cli.h"
#include "util/json.h"
#include "util/keyval.h"
#include "util/visitor.h"

#define MIB (UINT64_C(1) << 20)

const MigCapInfo mig_cap_info[MIGRATION_CAPABILITY__MAX] = {
    [MIGRATION_CAPABILITY_AUTO_CONVERGE] = {
        false, "slow the guest down if it writes faster than can be sent" },
    [MIGRATION_CAPABILITY_EVENTS] = {
        false, "send events MIGRATION and MIGRATION_PASS" },
    [MIGRATION_CAPABILITY_RETURN_PATH] = {
        false, "let the destination answer the source (sockets only)" },
    [MIGRATION_CAPABILITY_PAUSE_BEFORE_SWITCHOVER] = {
        false, "stop at pre-switchover and wait for migrate-continue" },
    [MIGRATION_CAPABILITY_VALIDATE_UUID] = {
        false, "have the destination compare the guest's UUID" },
    [MIGRATION_CAPABILITY_SWITCHOVER_ACK] = {
        false, "wait until devices' first data are loaded (needs return-path)" },
    [MIGRATION_CAPABILITY_MAPPED_RAM] = {
        false, "give each page of memory a fixed place in a file" },
    [MIGRATION_CAPABILITY_MULTIFD] = {
        false, "send memory over several connections, or to a file by threads" },
    [MIGRATION_CAPABILITY_POSTCOPY_RAM] = {
        false, "run the guest at the destination before its memory is there" },
    [MIGRATION_CAPABILITY_BACKGROUND_SNAPSHOT] = {
        false, "save one moment of the guest while it runs on" },
    [MIGRATION_CAPABILITY_POSTCOPY_BLOCKTIME] = {
        false, "count for how long page faults keep the harts waiting" },
    [MIGRATION_CAPABILITY_POSTCOPY_PREEMPT] = {
        false, "send pages that are waited for by a connection of their own" },
};

const MigParamInfo mig_param_info[MIG_PARAM__MAX] = {
    [MIG_PARAM_CPU_THROTTLE_INITIAL] = {
        "cpu-throttle-initial", MIG_PARAM_NUMBER, 1, 99, 20, NULL, true, "%",
        "time that auto-converge takes from the guest at first" },
    [MIG_PARAM_CPU_THROTTLE_INCREMENT] = {
        "cpu-throttle-increment", MIG_PARAM_NUMBER, 1, 99, 10, NULL, true,
        "%", "what is added when that does not help" },
    [MIG_PARAM_CPU_THROTTLE_TAILSLOW] = {
        "cpu-throttle-tailslow", MIG_PARAM_BOOL, 0, 1, 0, NULL, true, NULL,
        "add less towards the end" },
    [MIG_PARAM_MAX_CPU_THROTTLE] = {
        "max-cpu-throttle", MIG_PARAM_NUMBER, 1, 99, 99, NULL, true, "%",
        "the most that auto-converge takes; not below cpu-throttle-initial" },
    [MIG_PARAM_THROTTLE_TRIGGER_THRESHOLD] = {
        "throttle-trigger-threshold", MIG_PARAM_NUMBER, 1, 100, 50, NULL,
        true, "%", "bytes written over bytes sent that call for a throttle" },
    [MIG_PARAM_MAX_BANDWIDTH] = {
        "max-bandwidth", MIG_PARAM_SIZE, 0, UINT64_MAX, 128 * MIB, NULL, true,
        "bytes/second", "what may be sent while the guest runs; 0: no limit" },
    [MIG_PARAM_MAX_POSTCOPY_BANDWIDTH] = {
        "max-postcopy-bandwidth", MIG_PARAM_SIZE, 0, UINT64_MAX, 0, NULL, true,
        "bytes/second", "what may be sent in postcopy beside the pages that "
        "are waited for; 0: no limit" },
    [MIG_PARAM_AVAIL_SWITCHOVER_BANDWIDTH] = {
        "avail-switchover-bandwidth", MIG_PARAM_SIZE, 0, UINT64_MAX, 0, NULL,
        true, "bytes/second",
        "what to count on during switchover; 0: what is measured" },
    [MIG_PARAM_DOWNTIME_LIMIT] = {
        "downtime-limit", MIG_PARAM_NUMBER, 0, 2000000, 300, NULL, true, "ms",
        "how long the guest may stand still" },
    [MIG_PARAM_MODE] = {
        "mode", MIG_PARAM_ENUM, 0, MIG_MODE__MAX - 1, MIG_MODE_NORMAL,
        &MigMode_lookup, false, NULL, "kind of migration" },
    [MIG_PARAM_MULTIFD_CHANNELS] = {
        "multifd-channels", MIG_PARAM_NUMBER, 1, MULTIFD_CHANNELS_MAX, 2, NULL,
        false, NULL, "connections that capability multifd sends memory over" },
    [MIG_PARAM_MULTIFD_COMPRESSION] = {
        "multifd-compression", MIG_PARAM_ENUM, 0,
        MULTI_FD_COMPRESSION__MAX - 1, MULTI_FD_COMPRESSION_NONE,
        &MultiFDCompression_lookup, false, NULL,
        "how multifd's connections carry pages" },
    [MIG_PARAM_MULTIFD_ZLIB_LEVEL] = {
        "multifd-zlib-level", MIG_PARAM_NUMBER, 0, 9, 1, NULL, false, NULL,
        "multifd-compression zlib: 1 is fastest, 9 smallest, 0 as it is" },
    [MIG_PARAM_MULTIFD_ZSTD_LEVEL] = {
        "multifd-zstd-level", MIG_PARAM_NUMBER, 0, 20, 1, NULL, false, NULL,
        "multifd-compression zstd: 1 is fastest, 20 smallest, 0 is zstd's own "
        "choice" },
    [MIG_PARAM_ZERO_PAGE_DETECTION] = {
        "zero-page-detection", MIG_PARAM_ENUM, 0, ZERO_PAGE_DETECTION__MAX - 1,
        ZERO_PAGE_DETECTION_MULTIFD, &ZeroPageDetection_lookup, false, NULL,
        "who looks for pages that are all zero" },
    [MIG_PARAM_DIRECT_IO] = {
        "direct-io", MIG_PARAM_BOOL, 0, 1, 0, NULL, false, NULL,
        "mapped-ram: pages go past the host's cache" },
};

void mig_options_init(MigOptions *o)
{
    for (int i = 0; i < MIGRATION_CAPABILITY__MAX; i++) {
        o->caps[i] = mig_cap_info[i].def;
    }
    for (int i = 0; i < MIG_PARAM__MAX; i++) {
        o->params[i] = mig_param_info[i].def;
    }
}

/* ---- checks ---- */

static bool find_param(const char *name, MigParam *param, Error **errp)
{
    for (int i = 0; i < MIG_PARAM__MAX; i++) {
        if (strcmp(mig_param_info[i].name, name) == 0) {
            *param = i;
            return true;
        }
    }
    error_setg(errp, "Invalid parameter '%s'", name);
    return false;
}

static bool set_one(MigOptions *o, MigParam param, uint64_t val, bool running,
                    Error **errp)
{
    const MigParamInfo *info = &mig_param_info[param];

    if (running && !info->live && val != o->params[param]) {
        error_setg(errp, "parameter '%s' cannot be changed while a migration "
                   "is in progress", info->name);
        return false;
    }
    if (val < info->min || val > info->max) {
        error_setg(errp, "Parameter '%s' expects a value from %" PRIu64
                   " to %" PRIu64 "%s%s, not %" PRIu64, info->name, info->min,
                   info->max, info->unit ? " " : "",
                   info->unit ? info->unit : "", val);
        return false;
    }
    o->params[param] = val;
    return true;
}

/* What one value alone cannot tell. */
static bool check_together(const MigOptions *o, Error **errp)
{
    uint64_t initial = o->params[MIG_PARAM_CPU_THROTTLE_INITIAL];
    uint64_t max = o->params[MIG_PARAM_MAX_CPU_THROTTLE];

    if (max < initial) {
        error_setg(errp, "Parameter 'max-cpu-throttle' (%" PRIu64 ") expects "
                   "a value not below 'cpu-throttle-initial' (%" PRIu64 ")",
                   max, initial);
        return false;
    }
    return true;
}

/* ---- texts and JSON ---- */

static bool parse_enum(const MigParamInfo *info, const char *text,
                       uint64_t *val, Error **errp)
{
    Error *err = NULL;
    int res = qapi_enum_parse(info->lookup, text, 0, &err);

    if (err) {
        error_prepend(&err, "Parameter '%s': ", info->name);
        error_propagate(errp, err);
        return false;
    }
    *val = res;
    return true;
}

static bool parse_text(const MigParamInfo *info, const char *text,
                       uint64_t *val, Error **errp)
{
    bool flag = false;

    switch (info->type) {
    case MIG_PARAM_ENUM:
        return parse_enum(info, text, val, errp);
    case MIG_PARAM_BOOL:
        if (!cli_parse_bool(text, &flag, errp)) {
            error_prepend(errp, "Parameter '%s': ", info->name);
            return false;
        }
        *val = flag;
        return true;
    case MIG_PARAM_SIZE:
        if (keyval_parse_size_suffix(text, 'M', val)) {
            return true;
        }
        break;
    case MIG_PARAM_NUMBER:
        if (keyval_parse_uint64(text, val)) {
            return true;
        }
        break;
    }
    error_setg(errp, "Parameter '%s' expects %s, not '%s'", info->name,
               info->type == MIG_PARAM_SIZE ? "a size, such as 64M"
                                            : "a number", text);
    return false;
}

/* The types have been checked by the schema. */
static bool parse_json(const MigParamInfo *info, json_object *json,
                       uint64_t *val, Error **errp)
{
    if (info->type == MIG_PARAM_ENUM) {
        return parse_enum(info, json_object_get_string(json), val, errp);
    }
    if (info->type == MIG_PARAM_BOOL) {
        *val = json_object_get_boolean(json);
        return true;
    }
    return json_get_uint64(json, val);
}

static json_object *param_json(const MigOptions *o, MigParam param)
{
    const MigParamInfo *info = &mig_param_info[param];
    uint64_t val = o->params[param];

    switch (info->type) {
    case MIG_PARAM_ENUM:
        return json_object_new_string(qapi_enum_lookup(info->lookup, val));
    case MIG_PARAM_BOOL:
        return json_object_new_boolean(val);
    default:
        return json_object_new_uint64(val);
    }
}

char *mig_options_param_text(const MigOptions *o, MigParam param)
{
    const MigParamInfo *info = &mig_param_info[param];
    uint64_t val = o->params[param];

    switch (info->type) {
    case MIG_PARAM_ENUM:
        return g_strdup(qapi_enum_lookup(info->lookup, val));
    case MIG_PARAM_BOOL:
        return g_strdup(val ? "on" : "off");
    default:
        return g_strdup_printf("%" PRIu64, val);
    }
}

/* ---- setting ---- */

bool mig_options_set_params(MigOptions *o, const MigrationParameters *params,
                            bool running, Error **errp)
{
    MigrationParameters *in = (MigrationParameters *)params;
    Visitor *v = visitor_output_new();
    g_autoptr(JsonObject) json = NULL;
    MigOptions res = *o;

    /* The schema's struct as a set of names and values, as the table has. */
    visit_type_MigrationParameters(v, NULL, &in, NULL);
    json = visitor_output_take(v);
    visit_free(v);
    json_object_object_foreach(json, name, item) {
        MigParam param;
        uint64_t val;

        if (!find_param(name, &param, errp) ||
            !parse_json(&mig_param_info[param], item, &val, errp) ||
            !set_one(&res, param, val, running, errp)) {
            return false;
        }
    }
    if (!check_together(&res, errp)) {
        return false;
    }
    *o = res;
    return true;
}

static bool set_cap(MigOptions *o, MigrationCapability cap, bool on,
                    bool running, Error **errp)
{
    if (running && on != o->caps[cap]) {
        error_setg(errp, "There's a migration process in progress: capability "
                   "'%s' cannot be changed", MigrationCapability_str(cap));
        return false;
    }
    o->caps[cap] = on;
    return true;
}

/* Which cannot be on both. A guest that is saved stays, and nobody answers. */
static const MigrationCapability exclusive[][2] = {
#define CAP(name) MIGRATION_CAPABILITY_##name
    { CAP(BACKGROUND_SNAPSHOT), CAP(AUTO_CONVERGE) },
    { CAP(BACKGROUND_SNAPSHOT), CAP(RETURN_PATH) },
    { CAP(BACKGROUND_SNAPSHOT), CAP(PAUSE_BEFORE_SWITCHOVER) },
    { CAP(BACKGROUND_SNAPSHOT), CAP(POSTCOPY_RAM) },
    { CAP(BACKGROUND_SNAPSHOT), CAP(MULTIFD) },
    { CAP(MULTIFD), CAP(POSTCOPY_RAM) },
#undef CAP
};

static bool check_exclusive(const MigOptions *o, Error **errp)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(exclusive); i++) {
        if (o->caps[exclusive[i][0]] && o->caps[exclusive[i][1]]) {
            error_setg(errp, "capability '%s' cannot be on together with '%s'",
                       MigrationCapability_str(exclusive[i][0]),
                       MigrationCapability_str(exclusive[i][1]));
            return false;
        }
    }
    return true;
}

/* What one capability alone cannot tell. */
static bool check_caps(const MigOptions *o, Error **errp)
{
    if (o->caps[MIGRATION_CAPABILITY_SWITCHOVER_ACK] &&
        !o->caps[MIGRATION_CAPABILITY_RETURN_PATH]) {
        error_setg(errp, "capability 'switchover-ack' requires capability "
                   "'return-path', which is off");
        return false;
    }
    if (o->caps[MIGRATION_CAPABILITY_POSTCOPY_PREEMPT] &&
        !o->caps[MIGRATION_CAPABILITY_POSTCOPY_RAM]) {
        error_setg(errp, "capability 'postcopy-preempt' requires capability "
                   "'postcopy-ram', which is off");
        return false;
    }
    return check_exclusive(o, errp);
}

bool mig_options_set_caps(MigOptions *o,
                          const MigrationCapabilityStatusList *caps,
                          bool running, Error **errp)
{
    MigOptions res = *o;

    for (; caps; caps = caps->next) {
        if (!set_cap(&res, caps->value->capability, caps->value->state,
                     running, errp)) {
            return false;
        }
    }
    if (!check_caps(&res, errp)) {
        return false;
    }
    *o = res;
    return true;
}

bool mig_options_set_param_text(MigOptions *o, const char *name,
                                const char *value, bool running, Error **errp)
{
    MigOptions res = *o;
    MigParam param;
    uint64_t val;

    if (!find_param(name, &param, errp) ||
        !parse_text(&mig_param_info[param], value, &val, errp) ||
        !set_one(&res, param, val, running, errp) ||
        !check_together(&res, errp)) {
        return false;
    }
    *o = res;
    return true;
}

bool mig_options_set_cap_text(MigOptions *o, const char *name,
                              const char *value, bool running, Error **errp)
{
    MigOptions res = *o;
    Error *err = NULL;
    int cap = qapi_enum_parse(&MigrationCapability_lookup, name, -1, &err);
    bool on = false;

    if (err) {
        error_propagate(errp, err);
        return false;
    }
    if (!cli_parse_bool(value, &on, errp) ||
        !set_cap(&res, cap, on, running, errp) || !check_caps(&res, errp)) {
        return false;
    }
    *o = res;
    return true;
}

bool mig_options_set_global(MigOptions *o, const char *name, const char *value,
                            Error **errp)
{
    const char *plain = g_str_has_prefix(name, "x-") ? name + 2 : name;
    MigParam param;

    if (find_param(plain, &param, NULL)) {
        return mig_options_set_param_text(o, plain, value, false, errp);
    }
    if (qapi_enum_parse(&MigrationCapability_lookup, plain, -1, NULL) >= 0) {
        return mig_options_set_cap_text(o, plain, value, false, errp);
    }
    error_setg(errp, "migration has neither a parameter nor a capability "
               "'%s'", plain);
    return false;
}

/* ---- getting ---- */

MigrationParameters *mig_options_get_params(const MigOptions *o)
{
    g_autoptr(JsonObject) json = json_object_new_object();
    MigrationParameters *params = NULL;
    Visitor *v;

    for (int i = 0; i < MIG_PARAM__MAX; i++) {
        json_object_object_add(json, mig_param_info[i].name,
                               param_json(o, i));
    }
    v = visitor_input_new(json, false);
    if (!visit_type_MigrationParameters(v, NULL, &params, NULL)) {
        g_error("migration parameters: table and schema do not agree");
    }
    visit_free(v);
    return params;
}

MigrationCapabilityStatusList *mig_options_get_caps(const MigOptions *o)
{
    MigrationCapabilityStatusList *list = NULL, **tail = &list;

    for (int i = 0; i < MIGRATION_CAPABILITY__MAX; i++) {
        MigrationCapabilityStatus *st = g_new0(MigrationCapabilityStatus, 1);

        st->capability = i;
        st->state = o->caps[i];
        QAPI_LIST_APPEND(tail, st);
    }
    return list;
}

char **mig_options_complete(const char *prefix, bool params)
{
    GPtrArray *names = g_ptr_array_new();
    int count = params ? (int)MIG_PARAM__MAX : (int)MIGRATION_CAPABILITY__MAX;

    for (int i = 0; i < count; i++) {
        const char *name = params ? mig_param_info[i].name
                                  : MigrationCapability_str(i);

        if (g_str_has_prefix(name, prefix)) {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
    g_ptr_array_add(names, NULL);
    return (char **)g_ptr_array_free(names, FALSE);
}
