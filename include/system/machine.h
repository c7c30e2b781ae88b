/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the command line asked of the machine, collected before there is one,
 * and the boards there are. -machine, -cpu, -smp, -m, -kernel and their kin
 * write here (system/), the board reads it (hw/).
 */
#ifndef GODWIT_SYSTEM_MACHINE_H
#define GODWIT_SYSTEM_MACHINE_H

#include "system/vm.h"

/* The most harts any board takes. */
#define MACHINE_CPUS_MAX 8

/* One -global: applies to every device of type @driver that is made. */
typedef struct GlobalProperty {
    char *driver;               /* a DeviceType's name, or "migration" */
    char *property;
    char *value;
} GlobalProperty;

typedef struct MachineConfig {
    char *type;                 /* -machine: name of a MachineType */
    char *memory_backend;       /* -machine memory-backend=: id, or NULL */
    GHashTable *options;        /* other -machine keys: char * -> char * */
    bool no_core_dump;          /* -machine dump-guest-core=off */
    bool mem_merge;             /* -machine mem-merge=on */
    char *accel;                /* the names to try in order, "a:b", or NULL */
    char *cpu_type;             /* -cpu: "rv64", or NULL */
    unsigned cpus;              /* 1 .. MACHINE_CPUS_MAX */
    unsigned sockets, clusters, cores, threads; /* their product is cpus */
    uint64_t ram_size;          /* bytes, whole guest pages; 0: not said */
    int64_t rtc_shift_s;        /* -rtc base=: seconds to add to the host's */
    enum { RTC_CLOCK_HOST, RTC_CLOCK_REALTIME, RTC_CLOCK_VIRTUAL } rtc_clock;
    char *bios;                 /* NULL: default; "none" */
    char *kernel;
    char *initrd;
    char *append;
    bool no_defaults;           /* -nodefaults */
    bool nographic;
    bool start_paused;          /* -S */
    bool no_reboot;
    bool no_shutdown;
    char *incoming;             /* -incoming: URI or "defer", or NULL */
    char *incoming_channels;    /* -incoming JSON */
    GPtrArray *serial;          /* -serial, each a chardev id or "none" */
    GPtrArray *globals;         /* of GlobalProperty *, or NULL; kept by hw */
} MachineConfig;

typedef struct MachineType {
    const char *name;
    const char *description;
    unsigned cpu_max;
    const char *default_ram_id; /* NULL: the board has no RAM */
    const char *default_cpu;    /* NULL: the board has no CPU */
    uint64_t default_ram_size;  /* bytes */
    const char *const *options; /* keys it knows beside the common; NULL-ended */
    /* Builds the board into @vm. Main thread, big lock. */
    bool (*init)(Vm *vm, Error **errp);
} MachineType;

/*
 * What holds where nothing was asked for: 1 CPU, nothing else. Set as
 * vm->config by system's module; a test that builds a board by hand makes its
 * own. NULL is fine to free.
 */
MachineConfig *machine_config_new(void);
void machine_config_free(MachineConfig *config);

/* Ends in NULL; in hw/machine-types.c. */
extern const MachineType *const machine_types[];

/* The type called @name, or NULL. */
const MachineType *machine_type_find(const char *name);

#endif
