/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a VFIO device can migrate, and what follows from it: its
 * registration, or a reason why the machine cannot. Big lock.
 */
#include <errno.h>

#include "migration/blocker.h"
#include "trace/trace-hw-vfio.h"
#include "util/log.h"
#include "vfio-mig-int.h"

/* The machine's devices that can migrate, as far as each goes by itself. */
struct VfioMigrations {
    GPtrArray *list;            /* of VfioMigration */
    unsigned blocker;           /* they cannot together; 0: they can */
};

/* ---- several of them ---- */

/* Of several, one that has no P2P states; NULL: all is well. */
static const VfioMigration *without_p2p(const struct VfioMigrations *all)
{
    for (guint i = 0; all->list->len > 1 && i < all->list->len; i++) {
        const VfioMigration *m = all->list->pdata[i];

        if (!(m->features & VFIO_MIGRATION_P2P)) {
            return m;
        }
    }
    return NULL;
}

/* Sets or takes away the reason. False: a migration is under way. */
static bool check_together(Vm *vm, Error **errp)
{
    struct VfioMigrations *all = vm->vfio_migrations;
    const VfioMigration *m = without_p2p(all);
    g_autofree char *reason = NULL;

    if (!m) {
        migration_del_blocker(vm, &all->blocker);
        return true;
    }
    if (all->blocker) {
        return true;
    }
    reason = g_strdup_printf("several VFIO devices can only migrate if all of "
                             "them can stop transfers to each other (P2P), "
                             "and %s cannot", m->vdev->name);
    return migration_add_blocker(vm, reason, &all->blocker, errp);
}

static bool join_others(VfioMigration *m, Error **errp)
{
    Vm *vm = m->vdev->vm;

    if (!vm->vfio_migrations) {
        vm->vfio_migrations = g_new0(struct VfioMigrations, 1);
        vm->vfio_migrations->list = g_ptr_array_new();
    }
    g_ptr_array_add(vm->vfio_migrations->list, m);
    return check_together(vm, errp);
}

static void leave_others(VfioMigration *m)
{
    Vm *vm = m->vdev->vm;
    struct VfioMigrations *all = vm->vfio_migrations;

    if (!all || !g_ptr_array_remove(all->list, m)) {
        return;
    }
    check_together(vm, NULL);
    if (all->list->len == 0) {
        g_ptr_array_free(all->list, TRUE);
        g_free(all);
        vm->vfio_migrations = NULL;
    }
}

/* ---- one of them ---- */

/* What it can do; the error says why it cannot migrate. */
static bool probe(VfioMigration *m, Error **errp)
{
    struct vfio_device_feature_migration arg = { 0 };
    VfioDevice *vdev = m->vdev;
    int ret;

    if (m->options.enable_migration == 0) {
        error_setg(errp, "VFIO device %s: migration is off "
                   "(enable-migration=off)", vdev->name);
        return false;
    }
    ret = vfio_device_feature(vdev, VFIO_DEVICE_FEATURE_GET |
                              VFIO_DEVICE_FEATURE_MIGRATION, &arg,
                              sizeof(arg));
    if (ret < 0) {
        error_setg_errno(errp, -ret, "VFIO device %s: its driver cannot "
                         "migrate it", vdev->name);
        return false;
    }
    if (!(arg.flags & VFIO_MIGRATION_STOP_COPY)) {
        error_setg(errp, "VFIO device %s: its driver cannot migrate it: of "
                   "the features 0x%llx, STOP_COPY (0x%x) is missing",
                   vdev->name, (unsigned long long)arg.flags,
                   VFIO_MIGRATION_STOP_COPY);
        return false;
    }
    m->features = arg.flags & (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
                               VFIO_MIGRATION_PRE_COPY);
    trace_vfio_mig_probe(vdev->name, m->features);
    return true;
}

static void register_all(VfioMigration *m)
{
    VfioDevice *vdev = m->vdev;

    m->section = g_strdup_printf("%s/vfio", vdev->stream_id);
    savevm_register_live(vdev->vm, m->section, SAVEVM_INSTANCE_ANY, 1,
                         &vfio_mig_handlers, m);
    vfio_mig_run_init(m);
    vfio_mig_dirty_init(m);
}

static void unregister_all(VfioMigration *m)
{
    if (m->section) {
        vfio_mig_dirty_cleanup(m);
        vfio_mig_run_cleanup(m);
        savevm_unregister_live(m->vdev->vm, m->section, m);
    }
}

/* It works, and the machine does not migrate while it is there. */
static bool block(VfioMigration *m, Error *why, Error **errp)
{
    bool ok;

    if (m->options.enable_migration == 1) {
        error_propagate(errp, why);
        return false;
    }
    ok = migration_add_blocker(m->vdev->vm, why->message, &m->blocker, errp);
    g_error_free(why);
    return ok;
}

/* Its DMA goes to pages that must be there, whether it migrates or not. */
static bool block_postcopy(VfioMigration *m, Error **errp)
{
    g_autofree char *reason = NULL;

    reason = g_strdup_printf("VFIO device %s reaches the guest's memory by "
                             "itself and cannot wait for a page "
                             "(postcopy-ram, background-snapshot)",
                             m->vdev->name);
    return migration_add_postcopy_blocker(m->vdev->vm, reason,
                                          &m->postcopy_blocker, errp);
}

bool vfio_migration_realize(VfioDevice *vdev,
                            const VfioMigrationOptions *options, Error **errp)
{
    VfioMigration *m = g_new0(VfioMigration, 1);
    Error *why = NULL;
    bool ok;

    m->vdev = vdev;
    m->options = *options;
    m->state = VFIO_DEVICE_STATE_RUNNING;
    m->data_fd = m->doomed_fd = -1;
    g_mutex_init(&m->lock);
    vdev->migration = m;
    if (probe(m, &why)) {
        ok = join_others(m, errp);
        if (ok && options->enable_migration == 1 &&
            vdev->vm->vfio_migrations->blocker) {
            error_setg(errp, "VFIO device %s: enable-migration=on, and not "
                       "all VFIO devices of the machine have the P2P states "
                       "that several need", vdev->name);
            ok = false;
        }
        if (ok) {
            vfio_mig_enable_info_v2(m);
            register_all(m);
        }
    } else {
        ok = block(m, why, errp);
    }
    ok = ok && block_postcopy(m, errp);
    if (!ok) {
        vfio_migration_unrealize(vdev);
    }
    return ok;
}

void vfio_migration_unrealize(VfioDevice *vdev)
{
    VfioMigration *m = vdev->migration;

    if (!m) {
        return;
    }
    unregister_all(m);
    leave_others(m);
    migration_del_blocker(vdev->vm, &m->blocker);
    migration_del_blocker(vdev->vm, &m->postcopy_blocker);
    vfio_mig_io_set_fd(m, -1);
    g_mutex_clear(&m->lock);
    g_free(m->error);
    g_free(m->section);
    g_free(m->buf);
    g_free(m);
    vdev->migration = NULL;
}

void vfio_migration_reset(VfioDevice *vdev)
{
    VfioMigration *m = vdev->migration;
    Error *err = NULL;

    if (!m || !m->features) {
        return;
    }
    if (m->saving && vfio_mig_state_has_data(vfio_mig_state(m))) {
        error_setg(&err, "VFIO device %s was reset while its state was being "
                   "saved", vdev->name);
        vfio_mig_fail(m, err);
    }
    vfio_mig_note_state(m, VFIO_DEVICE_STATE_RUNNING);
    vfio_mig_enable_info_v2(m);
}
