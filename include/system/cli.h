/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line: a walk over the options that the modules declare
 * (CliOption in system/module.h), and what their parse functions share. All
 * of it runs on the main thread before anything else does. The conventions
 * for option texts are in docs/devel/command-line.rst.
 *
 * Errors: one line that names the value and what would be accepted. A parse
 * function does not name its option; cli_parse() puts that in front.
 */
#ifndef GODWIT_SYSTEM_CLI_H
#define GODWIT_SYSTEM_CLI_H

#include "system/module.h"
#include "util/visitor.h"

/*
 * Hands each option of @argv (from 1 on; "-name" and "--name" are the same)
 * to the parse function of the module that declares it.
 */
bool cli_parse(Vm *vm, const VmModule *const *modules, int argc, char **argv,
               Error **errp);

/* What -help prints: every option of every module. */
char *cli_help_text(const VmModule *const *modules);

/* One key of an option such as "-smp cpus=4,cores=2". Arrays end in NULL. */
typedef struct CliKey {
    const char *name;
    /* For help: "N", "on|off"; see cli_key_kind(). */
    const char *values;
    /*
     * Error: names the value and what would do; the key is put in front. NULL
     * in a table that an option with a parser of its own has for others.
     */
    bool (*set)(Vm *vm, const char *value, Error **errp);
} CliKey;

/*
 * Reads @text ("key=value,..." or JSON with scalar values; true and false are
 * "on" and "off") and calls the set of each key in its order. Where the first
 * item is a bare value it belongs to key @implied (NULL: none). The item
 * "help" prints the keys and exits. Unknown keys go to @other, if there is
 * one; else they are errors.
 */
bool cli_parse_keys(Vm *vm, const char *text, const char *implied,
                    const CliKey *keys,
                    bool (*other)(Vm *vm, const char *key, const char *value,
                                  Error **errp),
                    Error **errp);

/*
 * What a key's value is: "on|off", and what of it is possible here, is a
 * boolean, "N" a number, "SIZE" a number of bytes, all else text.
 */
MemberKind cli_key_kind(const CliKey *key);

/* Error for a key called @name: it is not one of @keys, which are named. */
void cli_unknown_key(const CliKey *keys, const char *name, Error **errp);

/* Prints @keys, and ends the process with status 0: "help" as argument. */
G_NORETURN void cli_exit_keys(const CliKey *keys);

/* on, yes, true / off, no, false. */
bool cli_parse_bool(const char *value, bool *res, Error **errp);

/* For what is there in one way only: error unless @value is @accepted. */
bool cli_parse_only(const char *value, const char *accepted, Error **errp);

/* The one of @names (NULL-ended) that @word was meant to be, or NULL. */
const char *cli_nearest(const char *word, const char *const *names);

/* Replaces *@where by a copy of @value. */
void cli_set_text(char **where, const char *value);

/* Prints @text and ends the process with status 0: the help of an option. */
G_NORETURN void cli_exit_help(const char *text);

#endif
