/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VFIO device's part in migrations, as the files mig-*.c and migration.c
 * share it. docs/devel/vfio-migration.rst has the whole of it.
 *
 * Lock order: big lock, then VfioMigration.lock, a leaf that is held for a few
 * stores. The device is read and written without either.
 */
#ifndef GODWIT_HW_VFIO_MIG_INT_H
#define GODWIT_HW_VFIO_MIG_INT_H

#include <glib.h>

#include "mig-state.h"
#include "migration/register.h"
#include "vfio-migration.h"

/* ---- the wire's numbers: be64 in front of each record ---- */

#define VFIO_MIG_FLAG_END_OF_STATE UINT64_C(0xffffffffef100001)
#define VFIO_MIG_FLAG_DEV_CONFIG_STATE UINT64_C(0xffffffffef100002)
#define VFIO_MIG_FLAG_DEV_SETUP_STATE UINT64_C(0xffffffffef100003)
#define VFIO_MIG_FLAG_DEV_DATA_STATE UINT64_C(0xffffffffef100004)
#define VFIO_MIG_FLAG_DEV_INIT_DATA_SENT UINT64_C(0xffffffffef100005)

/* The most data of one record, and of one read or write of the device. */
#define VFIO_MIG_CHUNK_BYTES (UINT64_C(1) << 20)

/* What is assumed of a device that does not say how much state it has. */
#define VFIO_MIG_UNKNOWN_BYTES (UINT64_C(100) << 30)

/* What the driver has said it has, less what has been read since. */
typedef struct VfioSizes {
    uint64_t init;              /* precopy_init_size */
    uint64_t dirty;             /* precopy_dirty_size */
    uint64_t stop;              /* stopcopy_size: all of it */
} VfioSizes;

/* How the pages that the device writes are found. */
typedef enum VfioDirtyMode {
    VFIO_DIRTY_OFF,             /* no log is active */
    VFIO_DIRTY_DEVICE,          /* the device logs */
    VFIO_DIRTY_IOMMU,           /* what translates its addresses does */
    VFIO_DIRTY_ALL,             /* nobody: all of them */
    VFIO_DIRTY_AT_END,          /* all of them, once the guest has stopped */
} VfioDirtyMode;

struct VfioMigration {
    /* Constant */
    VfioDevice *vdev;
    VfioMigrationOptions options;
    uint32_t features;          /* VFIO_MIGRATION_*; 0: it cannot migrate */
    char *section;              /* name in the stream */
    unsigned run_handler, p2p_handler;

    /* Big lock */
    unsigned blocker;           /* of this device alone */
    unsigned postcopy_blocker;
    bool saving;                /* from save_setup() to save_cleanup() */
    bool loaded;                /* has taken what was loaded */

    /* Atomic; written with the big lock */
    unsigned state;

    /* The thread that saves or loads */
    uint8_t *buf;               /* VFIO_MIG_CHUNK_BYTES; NULL: neither */
    bool acks_wanted;
    bool mark_due;              /* its first data are not all sent yet */
    bool size_warned, info_warned;

    GMutex lock;
    /* Under lock */
    bool info_v2;               /* vfio_precopy_info.flags means something */
    int data_fd;                /* -1: none */
    int doomed_fd;              /* to be closed by who uses it now; or -1 */
    bool busy;                  /* somebody uses the descriptor */
    bool interrupted;           /* nobody may, until the next set-up */
    bool init_known;            /* sizes.init comes from the driver */
    bool reinit_at_end;         /* seen after the guest was stopped */
    VfioSizes sizes;
    char *error;                /* why this migration must fail, or NULL */

    /* Under the memory's log lock */
    VfioDirtyMode dirty_mode;
    bool dirty_warned;
};

static inline unsigned vfio_mig_state(const VfioMigration *m)
{
    return __atomic_load_n(&m->state, __ATOMIC_ACQUIRE);
}

/* ---- mig-io.c: the data descriptor ---- */

/* Makes it @fd (-1: none); the old one is closed when nobody uses it. */
void vfio_mig_io_set_fd(VfioMigration *m, int fd);

/* A new migration: forgets errors and interrupts. */
void vfio_mig_io_begin(VfioMigration *m);

/*
 * One read of up to @len bytes, which may block: big lock not held. Bytes; 0:
 * the end, in a device that is stopped; -ENOMSG: nothing at the moment; or
 * another -errno (-ECANCELED: interrupted).
 */
ssize_t vfio_mig_io_read(VfioMigration *m, void *buf, size_t len);
/* One write; may block, may be short. Bytes, or -errno. */
ssize_t vfio_mig_io_write(VfioMigration *m, const void *buf, size_t len);
/* An ioctl of the descriptor: 0 or -errno. */
int vfio_mig_io_ioctl(VfioMigration *m, unsigned long request, void *arg);

/* What makes the migration fail that is under way; the first one stays. */
void vfio_mig_fail(VfioMigration *m, Error *err);
/* False, and errp a copy, if there is one. */
bool vfio_mig_check(VfioMigration *m, Error **errp);

/* SaveVMHandlers.interrupt */
void vfio_mig_interrupt(void *opaque);

/* ---- mig-size.c: how much there is ---- */

/* Both: what is left, from the cache. Any thread. */
void vfio_mig_get_sizes(VfioMigration *m, VfioSizes *sizes);
/* @n bytes have been read. */
void vfio_mig_sizes_read(VfioMigration *m, uint64_t n);
/* The device has nothing at the moment, or, with @all, ever. */
void vfio_mig_sizes_drained(VfioMigration *m, bool all);
/* Asks the driver. @at_end: the guest has stopped, it is the last time. */
void vfio_mig_query_sizes(VfioMigration *m, bool at_end);
/* Whether all of the first data have been read, as far as one can know. */
bool vfio_mig_init_read(VfioMigration *m);
/* SaveVMHandlers.save_query_pending */
void vfio_mig_query_pending(void *opaque, MigPendingData *pending, bool exact);

/* Tells the driver that the flags are looked at, if it knows them. */
void vfio_mig_enable_info_v2(VfioMigration *m);

/* ---- mig-save.c, mig-load.c ---- */

extern const SaveVMHandlers vfio_mig_handlers;

bool vfio_mig_load_setup(void *opaque, Error **errp);
bool vfio_mig_load_state(MigStream *s, void *opaque, int version_id,
                         Error **errp);
bool vfio_mig_load_complete(void *opaque, Error **errp);
bool vfio_mig_load_take_over(void *opaque, Error **errp);
void vfio_mig_load_give_up(void *opaque);
void vfio_mig_load_cleanup(void *opaque);

/* ---- mig-dirty.c ---- */

void vfio_mig_dirty_init(VfioMigration *m);
void vfio_mig_dirty_cleanup(VfioMigration *m);

/* ---- mig-run.c: the guest stops and starts ---- */

void vfio_mig_run_init(VfioMigration *m);
void vfio_mig_run_cleanup(VfioMigration *m);

#endif
