/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of calls: a table. Pure functions: any thread, no locks. */
#include "call-names.h"

#include <string.h>

#include <glib.h>

#include "hw/vfio/vfio-uapi.h"

static const struct {
    SimFileKind kind;
    uint32_t cmd;
    const char *name;
} calls[] = {
    {SIM_FILE_IOMMUFD, IOMMU_DESTROY, "iommu-destroy"},
    {SIM_FILE_IOMMUFD, IOMMU_IOAS_ALLOC, "ioas-alloc"},
    {SIM_FILE_IOMMUFD, IOMMU_IOAS_IOVA_RANGES, "ioas-iova-ranges"},
    {SIM_FILE_IOMMUFD, IOMMU_IOAS_MAP, "ioas-map"},
    {SIM_FILE_IOMMUFD, IOMMU_IOAS_UNMAP, "ioas-unmap"},
    {SIM_FILE_IOMMUFD, IOMMU_HWPT_ALLOC, "hwpt-alloc"},
    {SIM_FILE_IOMMUFD, IOMMU_GET_HW_INFO, "hw-info"},
    {SIM_FILE_IOMMUFD, IOMMU_HWPT_SET_DIRTY_TRACKING, "set-dirty-tracking"},
    {SIM_FILE_IOMMUFD, IOMMU_HWPT_GET_DIRTY_BITMAP, "get-dirty-bitmap"},
    {SIM_FILE_DEVICE, VFIO_DEVICE_BIND_IOMMUFD, "bind"},
    {SIM_FILE_DEVICE, VFIO_DEVICE_ATTACH_IOMMUFD_PT, "attach"},
    {SIM_FILE_DEVICE, VFIO_DEVICE_DETACH_IOMMUFD_PT, "detach"},
    {SIM_FILE_DEVICE, VFIO_DEVICE_GET_INFO, "device-info"},
    {SIM_FILE_DEVICE, VFIO_DEVICE_GET_REGION_INFO, "region-info"},
    {SIM_FILE_DEVICE, VFIO_DEVICE_GET_IRQ_INFO, "irq-info"},
    {SIM_FILE_DEVICE, VFIO_DEVICE_SET_IRQS, "set-irqs"},
    {SIM_FILE_DEVICE, VFIO_DEVICE_RESET, "reset"},
    {SIM_FILE_DEVICE, VFIO_DEVICE_FEATURE, "feature"},
    {SIM_FILE_DATA, VFIO_MIG_GET_PRECOPY_INFO, "precopy-info"},
    {SIM_FILE_CONTAINER, VFIO_GET_API_VERSION, "api-version"},
    {SIM_FILE_CONTAINER, VFIO_CHECK_EXTENSION, "check-extension"},
    {SIM_FILE_CONTAINER, VFIO_SET_IOMMU, "set-iommu"},
    {SIM_FILE_CONTAINER, VFIO_IOMMU_GET_INFO, "iommu-info"},
    {SIM_FILE_CONTAINER, VFIO_IOMMU_MAP_DMA, "map-dma"},
    {SIM_FILE_CONTAINER, VFIO_IOMMU_UNMAP_DMA, "unmap-dma"},
    {SIM_FILE_CONTAINER, VFIO_IOMMU_DIRTY_PAGES, "dirty-pages"},
    {SIM_FILE_GROUP, VFIO_GROUP_GET_STATUS, "group-status"},
    {SIM_FILE_GROUP, VFIO_GROUP_SET_CONTAINER, "set-container"},
    {SIM_FILE_GROUP, VFIO_GROUP_UNSET_CONTAINER, "unset-container"},
    {SIM_FILE_GROUP, VFIO_GROUP_GET_DEVICE_FD, "get-device-fd"},
};

static const struct {
    uint32_t feature;
    const char *name;
} features[] = {
    {VFIO_DEVICE_FEATURE_MIGRATION, "migration"},
    {VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, "mig-state"},
    {VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, "mig-data-size"},
    {VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2, "infov2"},
    {VFIO_DEVICE_FEATURE_DMA_LOGGING_START, "dma-start"},
    {VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, "dma-stop"},
    {VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, "dma-report"},
};

const char *sim_file_kind_name(SimFileKind kind)
{
    static const char *const names[] = {
        [SIM_FILE_IOMMUFD] = "iommufd",
        [SIM_FILE_DEVICE] = "device",
        [SIM_FILE_DATA] = "data",
        [SIM_FILE_CONTAINER] = "container",
        [SIM_FILE_GROUP] = "group",
    };

    return names[kind];
}

const char *sim_call_name(SimFileKind kind, uint32_t cmd)
{
    for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
        if (calls[i].kind == kind && calls[i].cmd == cmd) {
            return calls[i].name;
        }
    }
    return NULL;
}

const char *sim_feature_name(uint32_t feature)
{
    for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
        if (features[i].feature == feature) {
            return features[i].name;
        }
    }
    return NULL;
}

bool sim_call_is_known(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(calls); i++) {
        if (!strcmp(calls[i].name, name)) {
            return true;
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
        if (!strcmp(features[i].name, name)) {
            return true;
        }
    }
    return false;
}
