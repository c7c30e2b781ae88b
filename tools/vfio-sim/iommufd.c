/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers of iommufd. Worker threads; one lock guards the objects.
 */
#include "iommufd.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "bitmap-call.h"
#include "guest-map.h"
#include "hw/vfio/vfio-uapi.h"
#include "util/checked.h"

typedef enum ObjectType { OBJECT_IOAS, OBJECT_HWPT, OBJECT_DEVICE } ObjectType;

typedef struct Object {
    ObjectType type;
    SimGuestMap map; /* OBJECT_IOAS */

    /* OBJECT_HWPT */
    uint32_t ioas; /* what it translates */
    bool can_track, tracks;
    SimPageSet dirty;

    /* OBJECT_DEVICE */
    bool device_can_track;
    uint32_t attached; /* to this; 0: nothing */
} Object;

struct SimIommu {
    int (*fault)(void *opaque, const char *name);
    void *opaque;

    GMutex lock;
    GHashTable *objects; /* by id */
    uint32_t next_id;
};

static void free_object(void *opaque)
{
    Object *object = opaque;

    if (object->type == OBJECT_IOAS) {
        sim_map_destroy(&object->map);
    } else if (object->type == OBJECT_HWPT) {
        sim_page_set_destroy(&object->dirty);
    }
    g_free(object);
}

SimIommu *sim_iommu_new(int (*fault)(void *opaque, const char *name),
                        void *opaque)
{
    SimIommu *iommu = g_new0(SimIommu, 1);

    iommu->fault = fault;
    iommu->opaque = opaque;
    g_mutex_init(&iommu->lock);
    iommu->next_id = 1;
    iommu->objects = g_hash_table_new_full(NULL, NULL, NULL, free_object);
    return iommu;
}

void sim_iommu_free(SimIommu *iommu)
{
    g_hash_table_unref(iommu->objects);
    g_mutex_clear(&iommu->lock);
    g_free(iommu);
}

/* With the lock held: a new object, and its id. */
static Object *add(SimIommu *iommu, ObjectType type, uint32_t *id)
{
    Object *object = g_new0(Object, 1);

    object->type = type;
    if (type == OBJECT_IOAS) {
        sim_map_init(&object->map);
    } else if (type == OBJECT_HWPT) {
        sim_page_set_init(&object->dirty);
    }
    *id = iommu->next_id++;
    g_hash_table_insert(iommu->objects, GUINT_TO_POINTER(*id), object);
    return object;
}

static Object *find(SimIommu *iommu, uint32_t id)
{
    return g_hash_table_lookup(iommu->objects, GUINT_TO_POINTER(id));
}

static Object *find_type(SimIommu *iommu, uint32_t id, ObjectType type)
{
    Object *object = find(iommu, id);

    return object && object->type == type ? object : NULL;
}

uint32_t sim_iommu_add_device(SimIommu *iommu, bool can_track)
{
    uint32_t id;

    g_mutex_lock(&iommu->lock);
    add(iommu, OBJECT_DEVICE, &id)->device_can_track = can_track;
    g_mutex_unlock(&iommu->lock);
    return id;
}

void sim_iommu_remove_device(SimIommu *iommu, uint32_t id)
{
    g_mutex_lock(&iommu->lock);
    g_hash_table_remove(iommu->objects, GUINT_TO_POINTER(id));
    g_mutex_unlock(&iommu->lock);
}

int sim_iommu_attach(SimIommu *iommu, uint32_t device, uint32_t id)
{
    Object *object, *of;
    int ret = 0;

    g_mutex_lock(&iommu->lock);
    object = find(iommu, id);
    of = find_type(iommu, device, OBJECT_DEVICE);
    if (!of || (id && (!object || object->type == OBJECT_DEVICE))) {
        ret = -ENOENT;
    } else if (id && object->type == OBJECT_HWPT && object->can_track &&
               !of->device_can_track) {
        ret = -EINVAL;
    } else {
        of->attached = id;
    }
    g_mutex_unlock(&iommu->lock);
    return ret;
}

bool sim_iommu_write(SimIommu *iommu, uint32_t id, uint64_t iova,
                     const void *buf, size_t len)
{
    Object *ioas, *hwpt;
    bool ok;

    /* With the lock: what is unmapped is not written any more. */
    g_mutex_lock(&iommu->lock);
    hwpt = find_type(iommu, id, OBJECT_HWPT);
    ioas = find_type(iommu, hwpt ? hwpt->ioas : id, OBJECT_IOAS);
    ok = ioas && sim_map_write(&ioas->map, iova, buf, len);
    if (ok && hwpt && hwpt->tracks) {
        sim_page_set_add(&hwpt->dirty, iova);
    }
    g_mutex_unlock(&iommu->lock);
    return ok;
}

static int64_t destroy(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_destroy *d = arg;
    const Object *object = find(iommu, d->id);
    GHashTableIter iter;
    gpointer value;

    (void)call;
    if (!object) {
        return -ENOENT;
    }
    if (object->type == OBJECT_DEVICE) {
        return -EBUSY;
    }
    g_hash_table_iter_init(&iter, iommu->objects);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Object *user = value;

        if ((user->type == OBJECT_HWPT && user->ioas == d->id) ||
            (user->type == OBJECT_DEVICE && user->attached == d->id)) {
            return -EBUSY;
        }
    }
    g_hash_table_remove(iommu->objects, GUINT_TO_POINTER(d->id));
    return 0;
}

static int64_t ioas_alloc(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_ioas_alloc *a = arg;

    (void)call;
    if (a->flags) {
        return -EOPNOTSUPP;
    }
    add(iommu, OBJECT_IOAS, &a->out_ioas_id);
    return 0;
}

static int64_t iova_ranges(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_ioas_iova_ranges *r = arg;
    uint32_t room = r->num_iovas;

    if (!find_type(iommu, r->ioas_id, OBJECT_IOAS)) {
        return -ENOENT;
    }
    r->num_iovas = SIM_MAP_RANGES;
    r->out_iova_alignment = SIM_PAGE;
    if (sim_call_put(call, r->allowed_iovas, sim_map_ranges,
                     MIN(room, SIM_MAP_RANGES) * sizeof(SimMapRange))) {
        return -EFAULT;
    }
    return room < r->num_iovas ? -EMSGSIZE : 0;
}

static int64_t map(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_ioas_map *m = arg;
    Object *ioas = find_type(iommu, m->ioas_id, OBJECT_IOAS);

    if (!ioas) {
        return -ENOENT;
    }
    if (!(m->flags & IOMMU_IOAS_MAP_FIXED_IOVA)) {
        return -EOPNOTSUPP;
    }
    return sim_map_add(&ioas->map, m->iova, m->length, m->user_va,
                       sim_call_process(call));
}

static int64_t unmap(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_ioas_unmap *u = arg;
    Object *ioas = find_type(iommu, u->ioas_id, OBJECT_IOAS);
    bool all = !u->iova && u->length == UINT64_MAX, cut;
    uint64_t end;

    (void)call;
    if (!ioas) {
        return -ENOENT;
    }
    if (all) {
        u->length = sim_map_remove(&ioas->map, 0, UINT64_MAX, &cut);
        return 0;
    }
    if (!u->length || !checked_add_u64(u->iova, u->length - 1, &end)) {
        return -EOVERFLOW;
    }
    if (sim_map_is_cut(&ioas->map, u->iova, end)) {
        return -ENOENT;
    }
    u->length = sim_map_remove(&ioas->map, u->iova, end, &cut);
    return u->length ? 0 : -ENOENT;
}

static int64_t hwpt_alloc(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_hwpt_alloc *a = arg;
    Object *device = find_type(iommu, a->dev_id, OBJECT_DEVICE);
    bool can_track = a->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
    Object *hwpt;

    (void)call;
    if (!device || !find_type(iommu, a->pt_id, OBJECT_IOAS)) {
        return -ENOENT;
    }
    if ((a->flags & ~(uint32_t)IOMMU_HWPT_ALLOC_DIRTY_TRACKING) ||
        (can_track && !device->device_can_track) || a->data_type ||
        a->data_len || a->__reserved) {
        return -EOPNOTSUPP;
    }
    hwpt = add(iommu, OBJECT_HWPT, &a->out_hwpt_id);
    hwpt->ioas = a->pt_id;
    hwpt->can_track = can_track;
    return 0;
}

/* An IOMMU of no known type, which may know what DMA has written. */
static int64_t hw_info(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_hw_info *info = arg;
    Object *device = find_type(iommu, info->dev_id, OBJECT_DEVICE);

    (void)call;
    if (!device) {
        return -ENOENT;
    }
    info->data_len = 0;
    info->out_data_type = 0;
    info->__reserved = 0;
    info->out_capabilities =
        device->device_can_track ? IOMMU_HW_CAP_DIRTY_TRACKING : 0;
    return 0;
}

static int64_t set_tracking(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_hwpt_set_dirty_tracking *t = arg;
    Object *hwpt = find_type(iommu, t->hwpt_id, OBJECT_HWPT);
    bool on = t->flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE;

    (void)call;
    if ((t->flags & ~(uint32_t)IOMMU_HWPT_DIRTY_TRACKING_ENABLE) ||
        t->__reserved) {
        return -EOPNOTSUPP;
    }
    if (!hwpt) {
        return -ENOENT;
    }
    if (!hwpt->can_track) {
        return -EOPNOTSUPP;
    }
    if (on && !hwpt->tracks) {
        sim_page_set_clear(&hwpt->dirty);
    }
    hwpt->tracks = on;
    return 0;
}

static int64_t get_bitmap(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_hwpt_get_dirty_bitmap *b = arg;
    Object *hwpt = find_type(iommu, b->hwpt_id, OBJECT_HWPT);
    bool keep = b->flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
    uint64_t last;

    if ((b->flags & ~(uint32_t)IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) ||
        b->__reserved) {
        return -EOPNOTSUPP;
    }
    if (!hwpt) {
        return -ENOENT;
    }
    if (!hwpt->can_track) {
        return -EOPNOTSUPP;
    }
    if (!b->length || !checked_add_u64(b->iova, b->length - 1, &last)) {
        return -EOVERFLOW;
    }
    if (!hwpt->tracks || !sim_call_is_bitmap_page(b->page_size) ||
        (b->iova | b->length) & (b->page_size - 1) ||
        !sim_map_covers(&find(iommu, hwpt->ioas)->map, b->iova, b->length)) {
        return -EINVAL;
    }
    return sim_call_put_pages(call, b->data, &hwpt->dirty, b->iova, b->length,
                              b->page_size, !keep);
}

typedef struct Command {
    uint32_t cmd;
    size_t min, size;
    int64_t (*answer)(SimIommu *iommu, SimCall *call, void *arg);
} Command;

#define COMMAND(cmd, type, last, fn)                                   \
    {cmd, offsetof(struct type, last) + sizeof(((struct type *)0)->last), \
     sizeof(struct type), fn}

static const Command commands[] = {
    COMMAND(IOMMU_DESTROY, iommu_destroy, id, destroy),
    COMMAND(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id, ioas_alloc),
    COMMAND(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges,
            out_iova_alignment, iova_ranges),
    COMMAND(IOMMU_IOAS_MAP, iommu_ioas_map, iova, map),
    COMMAND(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, length, unmap),
    COMMAND(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, __reserved, hwpt_alloc),
    COMMAND(IOMMU_GET_HW_INFO, iommu_hw_info, __reserved, hw_info),
    COMMAND(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking,
            __reserved, set_tracking),
    COMMAND(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, data,
            get_bitmap),
};

int64_t sim_iommu_ioctl(SimIommu *iommu, SimCall *call, uint32_t cmd,
                        uint64_t arg)
{
    union {
        uint32_t size;
        uint8_t bytes[128];
    } buf = {0};
    const Command *c = NULL;
    uint32_t size;
    int64_t ret;

    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        if (commands[i].cmd == cmd) {
            c = &commands[i];
        }
    }
    if (!c) {
        return -ENOTTY;
    }
    ret = iommu->fault(iommu->opaque, sim_call_name(SIM_FILE_IOMMUFD, cmd));
    if (ret) {
        return ret;
    }
    if (sim_call_get(call, arg, &size, sizeof(size))) {
        return -EFAULT;
    }
    if (size < c->min) {
        return -EINVAL;
    }
    size = MIN(size, c->size);
    if (sim_call_get(call, arg, &buf, size)) {
        return -EFAULT;
    }
    g_mutex_lock(&iommu->lock);
    ret = c->answer(iommu, call, &buf);
    g_mutex_unlock(&iommu->lock);
    /* The size stays as the caller gave it. */
    if ((!ret || ret == -EMSGSIZE) &&
        sim_call_put(call, arg + sizeof(size), buf.bytes + sizeof(size),
                     size - sizeof(size))) {
        return -EFAULT;
    }
    return ret;
}
