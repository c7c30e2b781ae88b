/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acknowledgements owed before a switchover: see ack.h. No thread, no lock. */
#include <limits.h>

#include "migration/ack.h"

void mig_acks_init(MigAcks *acks)
{
    acks->debts = g_array_new(FALSE, FALSE, sizeof(MigDebt));
    acks->marks = g_array_new(FALSE, FALSE, sizeof(MigDebt));
}

void mig_acks_clear(MigAcks *acks)
{
    g_clear_pointer(&acks->debts, g_array_unref);
    g_clear_pointer(&acks->marks, g_array_unref);
}

static MigDebt *find(const MigAcks *acks, const void *module)
{
    for (guint i = 0; i < acks->debts->len; i++) {
        MigDebt *debt = &g_array_index(acks->debts, MigDebt, i);

        if (debt->module == module) {
            return debt;
        }
    }
    return NULL;
}

void mig_acks_owe(MigAcks *acks, const void *module)
{
    MigDebt *debt = find(acks, module);
    MigDebt fresh = { module, 1 };

    if (!debt) {
        g_array_append_val(acks->debts, fresh);
    } else if (debt->count < UINT_MAX) {
        debt->count++;
    }
}

void mig_acks_mark(MigAcks *acks, const void *module)
{
    MigDebt *debt = find(acks, module);
    MigDebt mark = { module, debt ? debt->count : 0 };

    for (guint i = 0; i < acks->marks->len; i++) {
        MigDebt *before = &g_array_index(acks->marks, MigDebt, i);

        if (before->module == module) {
            mark.count -= MIN(before->count, mark.count);
        }
    }
    g_array_append_val(acks->marks, mark);
}

bool mig_acks_answer(MigAcks *acks)
{
    MigDebt mark, *debt;

    if (acks->marks->len == 0) {
        return false;
    }
    mark = g_array_index(acks->marks, MigDebt, 0);
    g_array_remove_index(acks->marks, 0);
    debt = find(acks, mark.module);
    if (debt) {
        debt->count -= MIN(mark.count, debt->count);
    }
    return true;
}

unsigned mig_acks_owed(const MigAcks *acks)
{
    unsigned sum = 0;

    for (guint i = 0; i < acks->debts->len; i++) {
        unsigned count = g_array_index(acks->debts, MigDebt, i).count;

        sum = count > UINT_MAX - sum ? UINT_MAX : sum + count;
    }
    return sum;
}

const void *mig_acks_debtor(const MigAcks *acks)
{
    for (guint i = 0; i < acks->debts->len; i++) {
        MigDebt *debt = &g_array_index(acks->debts, MigDebt, i);

        if (debt->count) {
            return debt->module;
        }
    }
    return NULL;
}
