/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query-command-line-options: what the tables of the modules say of the
 * options that take an argument. Main loop, big lock.
 */
#include "qapi/qapi-commands-misc.h"
#include "system/cli.h"

typedef struct Parameters {
    CommandLineParameterInfoList **tail;
    GHashTable *seen; /* names; a union has some in several branches */
} Parameters;

static void add_parameter(Parameters *to, const char *name,
                          CommandLineParameterType type, const char *help)
{
    CommandLineParameterInfo *info;

    if (!g_hash_table_add(to->seen, g_strdup(name))) {
        return;
    }
    info = g_new0(CommandLineParameterInfo, 1);
    info->name = g_strdup(name);
    info->type = type;
    info->help = g_strdup(help);
    QAPI_LIST_APPEND(to->tail, info);
}

static CommandLineParameterType parameter_type(MemberKind kind)
{
    switch (kind) {
    case MEMBER_BOOL:
        return COMMAND_LINE_PARAMETER_TYPE_BOOLEAN;
    case MEMBER_NUMBER:
        return COMMAND_LINE_PARAMETER_TYPE_NUMBER;
    case MEMBER_SIZE:
        return COMMAND_LINE_PARAMETER_TYPE_SIZE;
    case MEMBER_TEXT:
        break;
    }
    return COMMAND_LINE_PARAMETER_TYPE_STRING;
}

static void add_member(const char *name, MemberKind kind, void *opaque)
{
    add_parameter(opaque, name, parameter_type(kind), NULL);
}

static void add_parameters(const CliParameters *row,
                           CommandLineParameterInfoList **list)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal,
                                                       g_free, NULL);
    Parameters to = { list, seen };

    for (const CliKey *key = row->keys; key && key->name; key++) {
        add_parameter(&to, key->name, parameter_type(cli_key_kind(key)),
                      key->values);
    }
    if (row->visit) {
        g_autoptr(Visitor) v = visitor_members_new(add_member, &to);

        row->visit(v);
    }
}

static const CliParameters *find_parameters(const VmModule *module,
                                            const char *option)
{
    const CliParameters *row = module->parameters;

    for (; row && row->option; row++) {
        if (g_str_equal(row->option, option)) {
            return row;
        }
    }
    return NULL;
}

bool qmp_query_command_line_options(Vm *vm, const char *option,
                                    CommandLineOptionInfoList **ret,
                                    Error **errp)
{
    CommandLineOptionInfoList *list = NULL, **tail = &list;
    const VmModule *const *module;
    const CliOption *known;

    (void)vm;
    for (module = vm_modules; *module; module++) {
        for (known = (*module)->options; known && known->name; known++) {
            const CliParameters *row = find_parameters(*module, known->name);
            const char *name = row && row->group ? row->group : known->name;
            CommandLineOptionInfo *info;

            if (!known->argument || (option && !g_str_equal(option, name))) {
                continue;
            }
            info = g_new0(CommandLineOptionInfo, 1);
            info->option = g_strdup(name);
            if (row) {
                add_parameters(row, &info->parameters);
            }
            QAPI_LIST_APPEND(tail, info);
        }
    }
    if (option && !list) {
        error_setg(errp, "There is no option '%s' that takes an argument",
                   option);
        return false;
    }
    *ret = list;
    return true;
}
