/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A simulated VFIO PCI device as a VMM sees it through its descriptor.
 *
 * Lock order: stream_lock (one read or write of the data descriptor at a time,
 * held while it is paced), lock (everything else), the iommufd's.
 */
#ifndef VFIO_SIM_VFIO_DEVICE_H
#define VFIO_SIM_VFIO_DEVICE_H

#include <glib.h>

#include "guest-map.h"
#include "iommufd.h"
#include "page-set.h"
#include "sim-mig.h"
#include "supervisor.h"
#include "vfio-container.h"

/* Groups and cdevs have numbers from here on, which no host reaches. */
#define SIM_NUMBER_BASE 1000

#define SIM_MSIX_VECTORS 4
#define SIM_IRQS (VFIO_PCI_REQ_IRQ_INDEX + 1)
#define SIM_REGION_SHIFT 40

/* The file is as long as the regions are apart. */
#define SIM_DEVICE_FILE_BYTES ((uint64_t)VFIO_PCI_NUM_REGIONS \
                               << SIM_REGION_SHIFT)

/* Registers at the start of the first trapped BAR. */
enum {
    SIM_REG_ID = 0,        /* device id above vendor id */
    SIM_REG_DOORBELL = 4,  /* a write counts and raises an interrupt */
    SIM_REG_COUNT = 8,     /* how often it was written */
    SIM_REG_SCRATCH = 12,  /* keeps what is written */
    SIM_REG_BYTES = 16,
};

typedef struct SimDevice {
    SimOptions *options; /* rates and faults: guarded by lock */
    Supervisor *supervisor;
    unsigned number; /* of its group and cdev */
    char *address;   /* as of PCI: its name */
    SimFile *file;   /* its memory: BARs at their region offsets */
    SimFile *group;

    GMutex stream_lock;
    uint8_t *stream_buf; /* SIM_STREAM_CHUNK bytes */

    GMutex lock;
    SimMig *mig;
    SimIommu *iommu; /* when bound */
    uint32_t iommu_id;
    SimContainer *container; /* of its group, the legacy way; or NULL */
    bool bound; /* or opened by way of its group */
    uint8_t config[SIM_CONFIG_BYTES], writable[SIM_CONFIG_BYTES];
    int eventfd[SIM_IRQS][SIM_MSIX_VECTORS];
    uint8_t intx_masked;
    bool intx_pending;
    int intx_unmask_fd; /* of the VMM: readable when INTx is to be unmasked */
    uint32_t attached; /* to this address space or page table; 0: none */

    /* DMA; guarded by lock but for the thread and its wake_fd */
    bool dma_logging;
    GArray *dma_ranges; /* of SimMapRange: what is logged */
    SimPageSet dma_log;
    uint64_t dma_next, dma_pages;
    int dma_wake_fd;
    bool dma_stop;
    GThread *dma_thread;

    uint64_t doorbells, interrupts;
    uint64_t calls[SIM_FILE_KINDS]; /* answered, by what they were on */
} SimDevice;

#define SIM_STREAM_CHUNK (1 << 20)

/* Takes @options. @index: which of the devices it is, from 0. */
SimDevice *sim_device_new(Supervisor *s, SimOptions *options, unsigned index,
                          Error **errp);
void sim_device_free(SimDevice *d);

/* Opening its cdev: a descriptor's number or -errno. A worker, no locks. */
int64_t sim_device_open(SimCall *call, void *device);

/* With the lock held: it is opened anew, nothing is left of its last user. */
void sim_device_begin(SimDevice *d);

/* Reading or writing what cannot be: -EINVAL. */
int64_t sim_file_no_access(SimCall *call, SimFile *file, uint64_t addr,
                           uint64_t len, int64_t offset);

/* vfio-group.c: opening its group, as sim_device_open(); and its calls. */
int64_t sim_group_open(SimCall *call, void *device);
extern const SimFileOps sim_group_ops;

/* pci-config.c; with the lock held. */
void sim_config_reset(SimDevice *d);
int64_t sim_config_access(SimDevice *d, uint64_t offset, void *buf,
                          uint64_t len, bool is_write);
bool sim_device_has_msix(const SimDevice *d);

/* vfio-irq.c; with the lock held. */
int64_t sim_irq_info(SimDevice *d, SimCall *call, uint64_t arg);
int64_t sim_irq_set(SimDevice *d, SimCall *call, uint64_t arg);
void sim_irq_raise(SimDevice *d);
void sim_irq_release(SimDevice *d);
/* The device runs: an interrupt that came with its state is raised. */
void sim_irq_resume(SimDevice *d);
/* Looks whether intx_unmask_fd is readable. */
void sim_irq_check_unmask(SimDevice *d);

/* vfio-dma.c. From start to stop a thread writes guest memory, raises
 * interrupts, and waits for intx_unmask_fd. */
void sim_dma_start(SimDevice *d);
void sim_dma_stop(SimDevice *d);
/* With the lock held: there is another descriptor to wait for. */
void sim_dma_wake(SimDevice *d);
/* The three of DMA logging; with the lock held. */
int64_t sim_dma_log_start(
    SimDevice *d, SimCall *call,
    const struct vfio_device_feature_dma_logging_control *c);
void sim_dma_log_stop(SimDevice *d);
int64_t sim_dma_log_report(
    SimDevice *d, SimCall *call,
    const struct vfio_device_feature_dma_logging_report *r);

/* vfio-memory.c: what the guest has written, for the model. */
extern const SimMemoryOps sim_device_memory;

/* vfio-feature.c; without locks. */
int64_t sim_device_feature(SimDevice *d, SimCall *call, uint64_t arg);

/* vfio-stream.c: the data descriptor; without locks. */
extern const SimFileOps sim_data_ops;

/* vfio-device.c */
extern const SimFileOps sim_device_ops;

/* -errno if a fault makes call @name fail now, else 0. Takes the lock. */
int sim_device_fault(SimDevice *d, const char *name);

#endif
