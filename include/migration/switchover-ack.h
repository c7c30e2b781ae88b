/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capability switchover-ack, as a module takes part in it: while it owes an
 * acknowledgement the guest is not switched over. The module puts a mark of
 * its own into its stream behind the data that must be loaded first; the
 * destination's module says when it has come to the mark.
 *
 * A module is named by the address that it was registered with. Any thread,
 * any lock, unless said otherwise.
 */
#ifndef GODWIT_MIGRATION_SWITCHOVER_ACK_H
#define GODWIT_MIGRATION_SWITCHOVER_ACK_H

#include "system/vm.h"

/* Whether the outgoing migration, whose set-up runs, is to wait for them. */
bool switchover_ack_wanted(Vm *vm);

/* Source: @module owes one more. Ignored unless it is wanted. */
void switchover_ack_owed(Vm *vm, const void *module);

/*
 * Source: @module has just put its mark into the stream. The answer to this
 * mark settles what it owes now, and nothing that comes to owe later.
 */
void switchover_ack_marked(Vm *vm, const void *module);

/*
 * Destination: a mark has been loaded. The answer leaves once the section in
 * which it was has been loaded whole. From load_state().
 */
void switchover_ack_loaded(Vm *vm);

#endif
