/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Batches as packets over connections: a carrier of multifd-send.h. */
#ifndef GODWIT_MIGRATION_MULTIFD_SOCKET_H
#define GODWIT_MIGRATION_MULTIFD_SOCKET_H

#include "io/channel.h"
#include "migration/multifd-method.h"
#include "migration/multifd-send.h"

extern const MultiFDCarrier multifd_socket_carrier;

/*
 * Introduces the connection @ch, which it takes over, as channel @init->id:
 * the state of that channel. @packet_num is the counter that all channels of
 * a migration share, and outlives them. NULL and errp: the other side has
 * gone, or the method cannot be had.
 */
void *multifd_socket_new(IoChannel *ch, const MultiFDInit *init,
                         const MultiFDMethod *method, int level,
                         uint64_t *packet_num, Error **errp);

#endif
