/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers of iommufd. Worker threads; one lock guards the objects.
 */
#include "iommufd.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/uio.h>

#include <glib.h>

#include "hw/vfio/vfio-uapi.h"
#include "util/checked.h"

#define PAGE 4096

/* Addresses that the simulated IOMMU translates: 48 bits, without the window
 * that x86 keeps for interrupt messages. */
static const struct iommu_iova_range ranges[] = {
    {0, 0xfedfffff},
    {0xfef00000, (1ULL << 48) - 1},
};

typedef struct Mapping {
    uint64_t iova, length, user_va;
    pid_t pid;
} Mapping;

typedef enum ObjectType { OBJECT_IOAS, OBJECT_HWPT, OBJECT_DEVICE } ObjectType;

typedef struct Object {
    ObjectType type;
    GArray *maps; /* of Mapping; OBJECT_IOAS */
    uint32_t ioas; /* OBJECT_HWPT: what it translates */
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

    if (object->maps) {
        g_array_unref(object->maps);
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

/* With the lock held. */
static uint32_t add(SimIommu *iommu, ObjectType type)
{
    Object *object = g_new0(Object, 1);

    object->type = type;
    if (type == OBJECT_IOAS) {
        object->maps = g_array_new(false, false, sizeof(Mapping));
    }
    g_hash_table_insert(iommu->objects, GUINT_TO_POINTER(iommu->next_id),
                        object);
    return iommu->next_id++;
}

static Object *find(SimIommu *iommu, uint32_t id)
{
    return g_hash_table_lookup(iommu->objects, GUINT_TO_POINTER(id));
}

static Object *find_ioas(SimIommu *iommu, uint32_t id)
{
    Object *object = find(iommu, id);

    return object && object->type == OBJECT_IOAS ? object : NULL;
}

uint32_t sim_iommu_add_device(SimIommu *iommu)
{
    uint32_t id;

    g_mutex_lock(&iommu->lock);
    id = add(iommu, OBJECT_DEVICE);
    g_mutex_unlock(&iommu->lock);
    return id;
}

bool sim_iommu_can_attach(SimIommu *iommu, uint32_t id)
{
    const Object *object;
    bool ok;

    g_mutex_lock(&iommu->lock);
    object = find(iommu, id);
    ok = object && object->type != OBJECT_DEVICE;
    g_mutex_unlock(&iommu->lock);
    return ok;
}

bool sim_iommu_write(SimIommu *iommu, uint32_t id, uint64_t iova,
                     const void *buf, size_t len)
{
    struct iovec local = {(void *)buf, len}, remote = {NULL, len};
    const Object *object;
    pid_t pid = 0;

    g_mutex_lock(&iommu->lock);
    object = find(iommu, id);
    if (object && object->type == OBJECT_HWPT) {
        object = find(iommu, object->ioas);
    }
    for (guint i = 0; object && object->maps && i < object->maps->len; i++) {
        const Mapping *m = &g_array_index(object->maps, Mapping, i);

        if (iova >= m->iova && range_fits_u64(iova - m->iova, len, m->length)) {
            remote.iov_base =
                (void *)(uintptr_t)(m->user_va + (iova - m->iova));
            pid = m->pid;
        }
    }
    /* With the lock: what is unmapped is not written any more. */
    if (pid && process_vm_writev(pid, &local, 1, &remote, 1, 0) !=
                   (ssize_t)len) {
        pid = 0;
    }
    g_mutex_unlock(&iommu->lock);
    return pid;
}

static int64_t destroy(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_destroy *d = arg;

    (void)call;
    return g_hash_table_remove(iommu->objects, GUINT_TO_POINTER(d->id))
               ? 0 : -ENOENT;
}

static int64_t ioas_alloc(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_ioas_alloc *a = arg;

    (void)call;
    if (a->flags) {
        return -EOPNOTSUPP;
    }
    a->out_ioas_id = add(iommu, OBJECT_IOAS);
    return 0;
}

static int64_t iova_ranges(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_ioas_iova_ranges *r = arg;
    uint32_t room = r->num_iovas;

    if (!find_ioas(iommu, r->ioas_id)) {
        return -ENOENT;
    }
    r->num_iovas = G_N_ELEMENTS(ranges);
    r->out_iova_alignment = PAGE;
    if (sim_call_put(call, r->allowed_iovas, ranges,
                     MIN(room, r->num_iovas) * sizeof(ranges[0]))) {
        return -EFAULT;
    }
    return room < r->num_iovas ? -EMSGSIZE : 0;
}

static int64_t map(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_ioas_map *m = arg;
    Object *ioas = find_ioas(iommu, m->ioas_id);
    Mapping mapping = {m->iova, m->length, m->user_va,
                       sim_call_process(call)};
    uint64_t end, top = ranges[G_N_ELEMENTS(ranges) - 1].last + 1;

    if (!ioas) {
        return -ENOENT;
    }
    if (!(m->flags & IOMMU_IOAS_MAP_FIXED_IOVA)) {
        return -EOPNOTSUPP;
    }
    if (!m->length || (m->iova | m->length | m->user_va) % PAGE ||
        !checked_add_u64(m->iova, m->length, &end) || end > top) {
        return -EINVAL;
    }
    for (guint i = 0; i < ioas->maps->len; i++) {
        const Mapping *old = &g_array_index(ioas->maps, Mapping, i);

        if (m->iova < old->iova + old->length && old->iova < end) {
            return -EEXIST;
        }
    }
    g_array_append_val(ioas->maps, mapping);
    return 0;
}

static int64_t unmap(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_ioas_unmap *u = arg;
    Object *ioas = find_ioas(iommu, u->ioas_id);
    bool all = !u->iova && u->length == UINT64_MAX;
    uint64_t end = sat_add_u64(u->iova, u->length), gone = 0;

    (void)call;
    if (!ioas) {
        return -ENOENT;
    }
    for (guint i = ioas->maps->len; i-- > 0;) {
        const Mapping *m = &g_array_index(ioas->maps, Mapping, i);

        if (all || (m->iova >= u->iova && m->iova + m->length <= end)) {
            gone += m->length;
            g_array_remove_index_fast(ioas->maps, i);
        }
    }
    u->length = gone;
    return gone || all ? 0 : -ENOENT;
}

static int64_t hwpt_alloc(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_hwpt_alloc *a = arg;
    Object *device = find(iommu, a->dev_id);

    (void)call;
    if (!device || device->type != OBJECT_DEVICE ||
        !find_ioas(iommu, a->pt_id)) {
        return -ENOENT;
    }
    if (a->flags || a->data_type || a->data_len) {
        return -EOPNOTSUPP;
    }
    a->out_hwpt_id = add(iommu, OBJECT_HWPT);
    find(iommu, a->out_hwpt_id)->ioas = a->pt_id;
    return 0;
}

/* An IOMMU of no known type and without abilities of its own. */
static int64_t hw_info(SimIommu *iommu, SimCall *call, void *arg)
{
    struct iommu_hw_info *info = arg;
    Object *device = find(iommu, info->dev_id);

    (void)call;
    if (!device || device->type != OBJECT_DEVICE) {
        return -ENOENT;
    }
    info->data_len = 0;
    info->out_data_type = 0;
    info->__reserved = 0;
    info->out_capabilities = 0;
    return 0;
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
