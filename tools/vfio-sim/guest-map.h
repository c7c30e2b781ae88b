/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which memory of a VMM a device sees where: the mappings of one address space,
 * as iommufd and a legacy container have them. Locks: its owner's.
 */
#ifndef VFIO_SIM_GUEST_MAP_H
#define VFIO_SIM_GUEST_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <glib.h>

/* The addresses that the simulated IOMMU translates: see sim_map_ranges. */
typedef struct SimMapRange {
    uint64_t start, last;
} SimMapRange;

#define SIM_MAP_RANGES 2
extern const SimMapRange sim_map_ranges[SIM_MAP_RANGES];

/* The most mappings that an address space can have, as the kernel's default. */
#define SIM_MAP_MAX 65535

typedef struct SimGuestMap {
    GArray *maps;
} SimGuestMap;

void sim_map_init(SimGuestMap *map);
void sim_map_destroy(SimGuestMap *map);

/* How many mappings there are. */
unsigned sim_map_count(const SimGuestMap *map);

/*
 * Maps [@iova, @iova + @length) to @user_va of process @pid. 0, -EINVAL for
 * what is not whole pages or outside of the ranges, -EEXIST for what overlaps,
 * -ENOSPC for one too many.
 */
int sim_map_add(SimGuestMap *map, uint64_t iova, uint64_t length,
                uint64_t user_va, pid_t pid);

/*
 * Removes the mappings that lie wholly in [@iova, @last]; how many bytes they
 * had. @cut is set if another lies there with a part of it.
 */
uint64_t sim_map_remove(SimGuestMap *map, uint64_t iova, uint64_t last,
                        bool *cut);

/* True if a mapping lies across either end of [@iova, @last]. */
bool sim_map_is_cut(const SimGuestMap *map, uint64_t iova, uint64_t last);

/* True if all of [@iova, @iova + @length) is mapped. */
bool sim_map_covers(const SimGuestMap *map, uint64_t iova, uint64_t length);

/* Writes @len bytes at @iova: false if they are not mapped as one, or gone. */
bool sim_map_write(const SimGuestMap *map, uint64_t iova, const void *buf,
                   size_t len);

#endif
