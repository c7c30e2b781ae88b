/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How the folders above system take part in starting a machine without system
 * including them: each has one constant VmModule, and system/modules.c lists
 * them in the order in which they are set up (and, backwards, torn down).
 */
#ifndef GODWIT_SYSTEM_MODULE_H
#define GODWIT_SYSTEM_MODULE_H

#include "system/vm.h"
#include "util/visitor.h"

/* One option of the command line. Arrays of these end in a NULL name. */
typedef struct CliOption {
    const char *name;           /* without the dash */
    const char *argument;       /* as -help shows it; NULL: takes none */
    const char *help;           /* one line or more */
    /*
     * Called in the order of the command line with the argument's text (NULL
     * if none). Checks and remembers; does nothing that another option could
     * still change. An argument "help" prints and exits where the option has
     * a list to show. Error: names value and what would do.
     */
    bool (*parse)(Vm *vm, const char *argument, Error **errp);
} CliOption;

/*
 * What is known of the argument of an option, for management. Arrays of these
 * end in a NULL option.
 */
typedef struct CliParameters {
    const char *option;         /* the CliOption's name */
    const char *group;          /* what management calls it; NULL: the same */
    const struct CliKey *keys;  /* what it is parsed by, or NULL */
    /* NULL, or: visits the schema type that it is read as, zeroed. */
    void (*visit)(Visitor *v);
} CliParameters;

/* One command of the human monitor. Arrays of these end in a NULL name. */
typedef struct HmpCommand {
    const char *name;           /* "migrate"; "info migrate" for info's */
    const char *params;         /* as help shows them: "[-d] uri" */
    const char *help;           /* one line */
    /*
     * @args: the rest of the line, split as a shell splits words (NULL-ended;
     * may be empty). Appends what is to be printed to @out. On error appends
     * "Error: ..." by hmp_error(). Main loop, big lock.
     */
    void (*run)(Vm *vm, char **args, GString *out);
    /*
     * Candidates for the word that starts with @prefix, or NULL. Frees with
     * g_strfreev().
     */
    char **(*complete)(Vm *vm, const char *prefix);
} HmpCommand;

/* Appends "Error: MESSAGE\n" if there is one; frees it. Returns whether so. */
bool hmp_error(GString *out, Error *err);

typedef struct VmModule {
    const char *name;

    /* Before the command line is read: the module's own state of this Vm. */
    bool (*create)(Vm *vm, Error **errp);

    const CliOption *options;
    const CliParameters *parameters;    /* of those options that have some */
    const HmpCommand *hmp;

    /*
     * After the whole command line is read, module by module, big lock held:
     * makes what was asked for. The machine and its devices exist after hw's.
     */
    bool (*configure)(Vm *vm, Error **errp);

    /* When all are configured and the monitor listens; the guest not yet. */
    bool (*ready)(Vm *vm, Error **errp);

    /*
     * Backwards, when the main loop has ended: ends and joins those threads of
     * the module that stop or start the guest. Harts still exist. Big lock
     * held; may be dropped and taken again.
     */
    void (*quiesce)(Vm *vm);

    /* Backwards. Harts have been joined. Undoes create and configure. */
    void (*destroy)(Vm *vm);
} VmModule;

/* Ends in NULL. */
extern const VmModule *const vm_modules[];

#endif
