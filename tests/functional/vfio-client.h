/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the smallest VMM share; one thread. */
#ifndef TESTS_VFIO_CLIENT_H
#define TESTS_VFIO_CLIENT_H

#include <stdint.h>

#include "hw/vfio/vfio-uapi.h"

#define RAM_BYTES (4 << 20)

typedef struct Vmm {
    int device;
    int iommufd, container, group; /* -1: not this way */
    uint32_t page_table;
    int can_track; /* the IOMMU knows what DMA has written */
    uint8_t *ram;
    int32_t event;
} Vmm;

extern Vmm vmm;

/* Prints a line of output. */
void say(const char *what, uint64_t value);

/* Ends the program unless @ret says that @what went well; returns @ret. */
int64_t must(const char *what, int64_t ret);

/* VFIO_DEVICE_FEATURE with @len bytes of @data. */
int64_t feature(uint32_t flags, void *data, size_t len);

/* Changes the migration state, or ends the program. */
void set_state(unsigned state, int *data_fd);

/*
 * vfio-client-realize.c: opens the device that argv[1] and argv[2] tell, and
 * maps all of RAM at 0.
 */
void realize(char **argv);

/* vfio-client-dma.c */
void dma(void);
void tracking(void);
void container_limits(void);

/* vfio-client-calls.c */
void single_calls(void);
void crowd(void);
void start_signals(void);
void stop_signals(void);
void outlive(void);

#endif
