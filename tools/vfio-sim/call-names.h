/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The names by which faults, the log and the counters call what a VMM asks
 * for. Pure.
 */
#ifndef VFIO_SIM_CALL_NAMES_H
#define VFIO_SIM_CALL_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* What the descriptor of a call stands for. */
typedef enum SimFileKind {
    SIM_FILE_IOMMUFD,
    SIM_FILE_DEVICE,
    SIM_FILE_DATA,
    SIM_FILE_CONTAINER,
    SIM_FILE_GROUP,
    SIM_FILE_KINDS
} SimFileKind;

/* "iommufd", "device", "data", "container", "group". */
const char *sim_file_kind_name(SimFileKind kind);

/* The name of an ioctl on a file of @kind; NULL if it is not known there. */
const char *sim_call_name(SimFileKind kind, uint32_t cmd);

/* The name of a VFIO_DEVICE_FEATURE_*; NULL if it is not offered. */
const char *sim_feature_name(uint32_t feature);

/* True if @name is one that the two above may give. */
bool sim_call_is_known(const char *name);

#endif
