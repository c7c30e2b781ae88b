/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "savevm-machine.h"

static bool dev_post_load(void *opaque, int version_id, Error **errp)
{
    Dev *d = opaque;

    (void)version_id;
    if (d->val == 0xdead) {
        error_setg(errp, "a dead device");
        return false;
    }
    if (d->log) {
        g_string_append_c(d->log, d->tag);
    }
    return true;
}

static bool dev_extra_needed(void *opaque)
{
    return ((Dev *)opaque)->extra != 0;
}

static const VMStateDescription vmstate_dev_extra = {
    .name = "dev/extra",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = dev_extra_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(extra, Dev),
        VMSTATE_END_OF_LIST()
    },
};

#define DEV_FIELDS                                                      \
    .post_load = dev_post_load,                                         \
    .fields = (const VMStateField[]) {                                  \
        VMSTATE_UINT32(val, Dev),                                       \
        VMSTATE_UINT8(n, Dev),                                          \
        VMSTATE_VARRAY(list, Dev, n, 4, 0, vmstate_info_uint16,         \
                       uint16_t),                                       \
        VMSTATE_END_OF_LIST()                                           \
    },                                                                  \
    .subsections = (const VMStateDescription *const[]) {                \
        &vmstate_dev_extra,                                             \
        NULL                                                            \
    }

const VMStateDescription vmstate_dev = {
    .name = "dev", .version_id = 2, .minimum_version_id = 2, DEV_FIELDS
};

const VMStateDescription vmstate_irqchip = {
    .name = "irqchip", .version_id = 1, .priority = MIG_PRI_IRQCHIP, DEV_FIELDS
};

const VMStateDescription vmstate_cpu = {
    .name = "cpu", .version_id = 1, .priority = MIG_PRI_CPU, DEV_FIELDS
};

static bool not_needed(void *opaque)
{
    (void)opaque;
    return false;
}

const VMStateDescription vmstate_optional = {
    .name = "optional", .version_id = 1, .needed = not_needed, DEV_FIELDS
};

const VMStateDescription vmstate_stuck = {
    .name = "stuck", .version_id = 1, .unmigratable = true, DEV_FIELDS
};

void reg(TestVm *t, const char *id, const VMStateDescription *vmsd,
         void *opaque)
{
    Error *err = NULL;

    vmstate_register(t->vm, id, SAVEVM_INSTANCE_ANY, vmsd, opaque, NULL, &err);
    g_assert_no_error(err);
}

void machine_init(Machine *m)
{
    memset(m, 0, sizeof(*m));
    test_vm_init(&m->t, 4);
    vm_lock(m->t.vm);
    reg(&m->t, NULL, &vmstate_dev, &m->dev[0]);
    reg(&m->t, NULL, &vmstate_dev, &m->dev[1]);
    reg(&m->t, NULL, &vmstate_cpu, &m->cpu);
    reg(&m->t, "soc/irqchip", &vmstate_irqchip, &m->irqchip);
    vm_unlock(m->t.vm);
}

void machine_fill(Machine *m)
{
    m->dev[0] = (Dev) { .val = 1, .n = 4, .list = { 1, 2, 3, 4 } };
    m->dev[1] = (Dev) { .val = 2, .n = 1, .list = { 9 }, .extra = 0x55 };
    m->cpu = (Dev) { .val = 3 };
    m->irqchip = (Dev) { .val = 4, .n = 2, .list = { 5, 6 } };
    memset(m->t.rb->host + GUEST_PAGE_SIZE, 0x5a, 32);
}

void machine_clear(Machine *m)
{
    test_vm_clear(&m->t);
}
