/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chains of capabilities behind an answer of VFIO. Any thread. */
#ifndef GODWIT_HW_VFIO_CAPS_H
#define GODWIT_HW_VFIO_CAPS_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/*
 * The capability @id of the answer @info of @size bytes, of which the first
 * @header are no capability; @first is where the chain begins, 0: it is empty.
 * *room: bytes from the capability on to the answer's end. NULL without errp:
 * there is none. Error: the chain leaves the answer, or has more links than
 * fit. Older kernels align capabilities to 4 bytes only: to be copied out.
 */
const uint8_t *
vfio_find_cap(const void *info, size_t size, size_t header, uint32_t first,
              uint16_t id, size_t *room, Error **errp);

#endif
