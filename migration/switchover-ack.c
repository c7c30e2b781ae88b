/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capability switchover-ack for modules: what they owe goes into the attempt's
 * account (ack.h) under Migration.lock. Any thread.
 */
#include "migration/migration-int.h"
#include "migration/switchover-ack.h"
#include "trace/trace-migration.h"

/* Lock held. */
static bool wanted(Migration *m)
{
    return m && m->out && !m->out->done &&
           m->out->caps[MIGRATION_CAPABILITY_SWITCHOVER_ACK];
}

bool switchover_ack_wanted(Vm *vm)
{
    Migration *m = vm->migration;
    bool res;

    if (!m) {
        return false;
    }
    g_mutex_lock(&m->lock);
    res = wanted(m);
    g_mutex_unlock(&m->lock);
    return res;
}

/* What @change does to the account, if there is one. */
static void update(Vm *vm, const void *module, const char *what,
                   void (*change)(MigAcks *acks, const void *module))
{
    Migration *m = vm->migration;
    unsigned owed = 0;

    if (!m) {
        return;
    }
    g_mutex_lock(&m->lock);
    if (wanted(m)) {
        change(&m->out->rp.acks, module);
        owed = mig_acks_owed(&m->out->rp.acks);
    }
    g_mutex_unlock(&m->lock);
    trace_migration_ack(what, owed);
}

void switchover_ack_owed(Vm *vm, const void *module)
{
    update(vm, module, "owed", mig_acks_owe);
}

void switchover_ack_marked(Vm *vm, const void *module)
{
    update(vm, module, "marked", mig_acks_mark);
}

void switchover_ack_loaded(Vm *vm)
{
    Migration *m = vm->migration;

    if (!m) {
        return;
    }
    g_mutex_lock(&m->lock);
    if (m->in) {
        m->in->acks_due++;
    }
    g_mutex_unlock(&m->lock);
}
