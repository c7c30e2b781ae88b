/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The settings of migrations: one table of capabilities, one of parameters,
 * and everything that monitors and the command line do with them. A MigOptions
 * is plain data; its owner has the lock.
 */
#ifndef GODWIT_MIGRATION_OPTIONS_H
#define GODWIT_MIGRATION_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "qapi/qapi-types-migration.h"
#include "util/error.h"

typedef enum MigParam {
    MIG_PARAM_CPU_THROTTLE_INITIAL,
    MIG_PARAM_CPU_THROTTLE_INCREMENT,
    MIG_PARAM_CPU_THROTTLE_TAILSLOW,
    MIG_PARAM_MAX_CPU_THROTTLE,
    MIG_PARAM_THROTTLE_TRIGGER_THRESHOLD,
    MIG_PARAM_MAX_BANDWIDTH,
    MIG_PARAM_MAX_POSTCOPY_BANDWIDTH,
    MIG_PARAM_AVAIL_SWITCHOVER_BANDWIDTH,
    MIG_PARAM_DOWNTIME_LIMIT,
    MIG_PARAM_MODE,
    MIG_PARAM_MULTIFD_CHANNELS,
    MIG_PARAM_MULTIFD_COMPRESSION,
    MIG_PARAM_MULTIFD_ZLIB_LEVEL,
    MIG_PARAM_MULTIFD_ZSTD_LEVEL,
    MIG_PARAM_ZERO_PAGE_DETECTION,
    MIG_PARAM_DIRECT_IO,
    MIG_PARAM__MAX
} MigParam;

typedef enum MigParamType {
    MIG_PARAM_NUMBER,
    MIG_PARAM_SIZE,             /* bytes (a second) */
    MIG_PARAM_BOOL,
    MIG_PARAM_ENUM,
} MigParamType;

typedef struct MigParamInfo {
    const char *name;           /* as in QMP and HMP */
    MigParamType type;
    uint64_t min, max, def;     /* of the value; booleans are 0 and 1 */
    const QEnumLookup *lookup;  /* of an ENUM */
    /* Takes effect when set; else it may be set between migrations only */
    bool live;
    const char *unit;           /* "ms", or NULL */
    const char *help;
} MigParamInfo;

extern const MigParamInfo mig_param_info[MIG_PARAM__MAX];

typedef struct MigCapInfo {
    bool def;
    const char *help;
} MigCapInfo;

extern const MigCapInfo mig_cap_info[MIGRATION_CAPABILITY__MAX];

typedef struct MigOptions {
    bool caps[MIGRATION_CAPABILITY__MAX];
    uint64_t params[MIG_PARAM__MAX];
} MigOptions;

void mig_options_init(MigOptions *o);

/*
 * Sets all that are present, or none and errp. @running: a migration is under
 * way, so that only live ones may be set.
 */
bool mig_options_set_params(MigOptions *o, const MigrationParameters *params,
                            bool running, Error **errp);
bool mig_options_set_caps(MigOptions *o,
                          const MigrationCapabilityStatusList *caps,
                          bool running, Error **errp);

/* From a text, as HMP has it: a bandwidth without suffix counts in MiB. */
bool mig_options_set_param_text(MigOptions *o, const char *name,
                                const char *value, bool running,
                                Error **errp);
bool mig_options_set_cap_text(MigOptions *o, const char *name,
                              const char *value, bool running, Error **errp);

/* -global migration.NAME=VALUE: a parameter or capability, "x-" or not. */
bool mig_options_set_global(MigOptions *o, const char *name,
                            const char *value, Error **errp);

/* New objects: free with qapi_free_*(). */
MigrationParameters *mig_options_get_params(const MigOptions *o);
MigrationCapabilityStatusList *mig_options_get_caps(const MigOptions *o);

/* "128", "on", "legacy": freed by the caller. */
char *mig_options_param_text(const MigOptions *o, MigParam param);

/* Names that start with @prefix, NULL-ended, for completion. */
char **mig_options_complete(const char *prefix, bool params);

#endif
