/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Things that only one side of a migration holds. Big lock. */
#include "system/holdings.h"

struct Holdings {
    GPtrArray *holders;         /* of const HolderOps * */
    bool given;
};

static struct Holdings *holdings(Vm *vm)
{
    if (!vm->holdings) {
        vm->holdings = g_new0(struct Holdings, 1);
        vm->holdings->holders = g_ptr_array_new();
    }
    return vm->holdings;
}

void holdings_add(Vm *vm, const HolderOps *ops)
{
    g_ptr_array_add(holdings(vm)->holders, (void *)ops);
}

bool holdings_held(const Vm *vm)
{
    return !vm->holdings || !vm->holdings->given;
}

bool holdings_take(Vm *vm, Error **errp)
{
    GPtrArray *holders = holdings(vm)->holders;

    if (!vm->holdings->given) {
        return true;
    }
    for (unsigned i = 0; i < holders->len; i++) {
        const HolderOps *ops = g_ptr_array_index(holders, i);

        if (!ops->take(vm, errp)) {
            /* All or nothing: the other side may still have to go on. */
            while (i-- > 0) {
                ops = g_ptr_array_index(holders, i);
                ops->give(vm);
            }
            return false;
        }
    }
    vm->holdings->given = false;
    return true;
}

void holdings_give(Vm *vm)
{
    GPtrArray *holders = holdings(vm)->holders;

    for (unsigned i = 0; i < holders->len && !vm->holdings->given; i++) {
        const HolderOps *ops = g_ptr_array_index(holders, i);

        ops->give(vm);
    }
    vm->holdings->given = true;
}

void holdings_wait(Vm *vm)
{
    holdings(vm)->given = true;
}

void holdings_free(Vm *vm)
{
    if (vm->holdings) {
        g_ptr_array_free(vm->holdings->holders, TRUE);
        g_clear_pointer(&vm->holdings, g_free);
    }
}
