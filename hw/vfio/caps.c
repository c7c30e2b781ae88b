/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chains of capabilities behind an answer of VFIO. Any thread. */
#include <string.h>

#include "hw/vfio/vfio-uapi.h"
#include "vfio-caps.h"

const uint8_t *
vfio_find_cap(const void *info, size_t size, size_t header, uint32_t first,
              uint16_t id, size_t *room, Error **errp)
{
    size_t links = size / sizeof(struct vfio_info_cap_header);
    uint32_t at = first;

    while (at) {
        struct vfio_info_cap_header cap;

        if (at < header || at % 4 || at > size || size - at < sizeof(cap)) {
            error_setg(errp, "a capability at %u of an answer of %zu bytes",
                       at, size);
            return NULL;
        }
        if (links-- == 0) {
            error_setg(errp, "its capabilities form a loop");
            return NULL;
        }
        memcpy(&cap, (const uint8_t *)info + at, sizeof(cap));
        if (cap.id == id) {
            *room = size - at;
            return (const uint8_t *)info + at;
        }
        at = cap.next;
    }
    return NULL;
}
