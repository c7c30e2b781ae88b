/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mappings of one address space. Locks: its owner's. */
#include "guest-map.h"

#include <errno.h>
#include <sys/uio.h>

#include "page-set.h"
#include "util/checked.h"

/* 48 bits, without the window below 1 TiB that HyperTransport keeps: it is one
 * that no board has memory in. */
const SimMapRange sim_map_ranges[SIM_MAP_RANGES] = {
    {0, 0xfcffffffff},
    {0x10000000000, (1ULL << 48) - 1},
};

typedef struct Mapping {
    uint64_t iova, length, user_va;
    pid_t pid;
} Mapping;

void sim_map_init(SimGuestMap *map)
{
    map->maps = g_array_new(false, false, sizeof(Mapping));
}

void sim_map_destroy(SimGuestMap *map)
{
    g_array_unref(map->maps);
}

unsigned sim_map_count(const SimGuestMap *map)
{
    return map->maps->len;
}

static const Mapping *at_index(const SimGuestMap *map, guint i)
{
    return &g_array_index(map->maps, Mapping, i);
}

int sim_map_add(SimGuestMap *map, uint64_t iova, uint64_t length,
                uint64_t user_va, pid_t pid)
{
    Mapping mapping = {iova, length, user_va, pid};
    bool inside = false;
    uint64_t end;

    if (!length || (iova | length | user_va) % SIM_PAGE ||
        !checked_add_u64(iova, length, &end)) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < SIM_MAP_RANGES; i++) {
        inside |= iova >= sim_map_ranges[i].start &&
                  end - 1 <= sim_map_ranges[i].last;
    }
    if (!inside) {
        return -EINVAL;
    }
    for (guint i = 0; i < map->maps->len; i++) {
        const Mapping *old = at_index(map, i);

        if (iova < old->iova + old->length && old->iova < end) {
            return -EEXIST;
        }
    }
    if (map->maps->len == SIM_MAP_MAX) {
        return -ENOSPC;
    }
    g_array_append_val(map->maps, mapping);
    return 0;
}

bool sim_map_is_cut(const SimGuestMap *map, uint64_t iova, uint64_t last)
{
    for (guint i = 0; i < map->maps->len; i++) {
        const Mapping *m = at_index(map, i);
        uint64_t m_last = m->iova + m->length - 1;

        if ((m->iova < iova && m_last >= iova) ||
            (m->iova <= last && m_last > last)) {
            return true;
        }
    }
    return false;
}

uint64_t sim_map_remove(SimGuestMap *map, uint64_t iova, uint64_t last,
                        bool *cut)
{
    uint64_t gone = 0;

    *cut = sim_map_is_cut(map, iova, last);
    for (guint i = map->maps->len; i-- > 0;) {
        const Mapping *m = at_index(map, i);

        if (m->iova >= iova && m->iova + m->length - 1 <= last) {
            gone += m->length;
            g_array_remove_index_fast(map->maps, i);
        }
    }
    return gone;
}

/* The mapping that @iova is in, or NULL. */
static const Mapping *find(const SimGuestMap *map, uint64_t iova)
{
    for (guint i = 0; i < map->maps->len; i++) {
        const Mapping *m = at_index(map, i);

        if (iova >= m->iova && iova - m->iova < m->length) {
            return m;
        }
    }
    return NULL;
}

bool sim_map_covers(const SimGuestMap *map, uint64_t iova, uint64_t length)
{
    uint64_t end, at = iova;

    if (!checked_add_u64(iova, length, &end)) {
        return false;
    }
    while (at < end) {
        const Mapping *m = find(map, at);

        if (!m) {
            return false;
        }
        at = m->iova + m->length;
    }
    return true;
}

bool sim_map_write(const SimGuestMap *map, uint64_t iova, const void *buf,
                   size_t len)
{
    const Mapping *m = find(map, iova);
    struct iovec local = {(void *)buf, len}, remote = {NULL, len};

    if (!m || !range_fits_u64(iova - m->iova, len, m->length)) {
        return false;
    }
    remote.iov_base = (void *)(uintptr_t)(m->user_va + (iova - m->iova));
    return process_vm_writev(m->pid, &local, 1, &remote, 1, 0) == (ssize_t)len;
}
