/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A legacy container (TYPE1v2): one address space that the groups in it share.
 * Locks: its own, taken inside that of a device.
 */
#ifndef VFIO_SIM_VFIO_CONTAINER_H
#define VFIO_SIM_VFIO_CONTAINER_H

#include "supervisor.h"

typedef struct SimContainer SimContainer;

/* @fault is as in iommufd.h. */
SimContainer *sim_container_new(int (*fault)(void *opaque, const char *name),
                                void *opaque);
void sim_container_free(SimContainer *c);

/* Answers an ioctl; any worker. */
int64_t sim_container_ioctl(SimContainer *c, SimCall *call, uint32_t cmd,
                            uint64_t arg);

/* A group comes or goes. @can_track: the IOMMU in front of its device knows
 * what DMA has written; the container does if it is so for all. */
void sim_container_add_group(SimContainer *c, bool can_track);
void sim_container_remove_group(SimContainer *c, bool can_track);

/* True once VFIO_SET_IOMMU has been called. */
bool sim_container_is_ready(SimContainer *c);

/* As sim_iommu_write(). */
bool sim_container_write(SimContainer *c, uint64_t iova, const void *buf,
                         size_t len);

#endif
