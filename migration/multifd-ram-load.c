/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages of multifd's packets to their place. What the packet's head says has
 * been checked by itself (multifd-packet.c); here it meets the machine.
 * Entered by the receiving threads, several at a time; the list of blocks is
 * complete and does not change. No lock.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/multifd-ram.h"
#include "migration/ram-int.h"

void multifd_loader_init(MultiFDLoader *l, const MultiFDMethod *method,
                         void *unpacker, const PagePresence *presence)
{
    *l = (MultiFDLoader) {
        .method = method,
        .unpacker = unpacker,
        .presence = page_presence_new_shared(presence),
    };
}

void multifd_loader_clear(MultiFDLoader *l)
{
    if (l->unpacker) {
        l->method->recv_free(l->unpacker);
    }
    page_presence_free(l->presence);
    g_free(l->compared);
}

static const RamBlock *packet_block(Ram *ram, const MultiFDHead *head,
                                    Error **errp)
{
    const RamBlock *rb = memory_ram_by_id(ram->vm->memory, head->block);

    if (!rb || !rb->migratable || !ram->listed[rb->index]) {
        g_autofree char *text = g_strescape(head->block, NULL);

        error_setg(errp, "RAM block '%s', which this machine does not have",
                   text);
        return NULL;
    }
    return multifd_head_check_block(head, rb->backing.size, errp) ? rb : NULL;
}

static bool differs(const RamBlock *rb, uint64_t offset, Error **errp)
{
    error_setg(errp, "RAM block '%s' cannot be written here, and its page at "
               "0x%" PRIx64 " differs", rb->id, offset);
    return false;
}

/* What cannot be written must be the same already. */
static bool compare_pages(MultiFDLoader *l, const RamBlock *rb, IoChannel *ch,
                          const MultiFDHead *head, Error **errp)
{
    uint8_t *page[MULTIFD_PAGES];

    if (!l->compared) {
        l->compared = g_malloc(MULTIFD_PAGES * GUEST_PAGE_SIZE);
    }
    for (uint32_t i = 0; i < head->normal_pages; i++) {
        page[i] = l->compared + i * GUEST_PAGE_SIZE;
    }
    if (!l->method->unpack(l->unpacker, ch, head->payload_bytes, page,
                           head->normal_pages, errp)) {
        return false;
    }
    for (uint32_t i = 0; i < head->normal_pages; i++) {
        if (memcmp(page[i], rb->host + head->offset[i], GUEST_PAGE_SIZE)) {
            return differs(rb, head->offset[i], errp);
        }
    }
    return true;
}

static bool load_normal(MultiFDLoader *l, const RamBlock *rb, IoChannel *ch,
                        const MultiFDHead *head, Error **errp)
{
    uint8_t *page[MULTIFD_PAGES];

    if (head->normal_pages == 0) {
        return true;
    }
    if (ram_block_is_unwritable(rb)) {
        return compare_pages(l, rb, ch, head, errp);
    }
    for (uint32_t i = 0; i < head->normal_pages; i++) {
        page[i] = rb->host + head->offset[i];
        page_presence_written(l->presence, rb,
                              head->offset[i] / GUEST_PAGE_SIZE);
    }
    return l->method->unpack(l->unpacker, ch, head->payload_bytes, page,
                             head->normal_pages, errp);
}

static bool load_zero(MultiFDLoader *l, const RamBlock *rb, uint64_t offset,
                      Error **errp)
{
    if (page_presence_absent(l->presence, rb, offset / GUEST_PAGE_SIZE) ||
        page_is_zero(rb->host + offset)) {
        return true;
    }
    if (ram_block_is_unwritable(rb)) {
        return differs(rb, offset, errp);
    }
    memset(rb->host + offset, 0, GUEST_PAGE_SIZE);
    return true;
}

bool multifd_load_packet(Ram *ram, MultiFDLoader *l, IoChannel *ch,
                         const MultiFDHead *head, Error **errp)
{
    const RamBlock *rb = packet_block(ram, head, errp);
    uint32_t pages = multifd_head_pages(head);

    if (!rb || !load_normal(l, rb, ch, head, errp)) {
        return false;
    }
    for (uint32_t i = head->normal_pages; i < pages; i++) {
        if (!load_zero(l, rb, head->offset[i], errp)) {
            return false;
        }
    }
    __atomic_fetch_add(&ram->multifd_normal_pages, head->normal_pages,
                       __ATOMIC_RELAXED);
    __atomic_fetch_add(&ram->multifd_zero_pages, head->zero_pages,
                       __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < pages && memory_dirty_logging(ram->vm->memory);
         i++) {
        memory_mark_dirty((RamBlock *)rb, head->offset[i], GUEST_PAGE_SIZE);
    }
    return true;
}
