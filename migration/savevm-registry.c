/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who has state to move. Entries come and go on the main loop under the big
 * lock; the thread that saves or loads walks them without it. So the list has
 * a lock of its own, and an entry is referenced while somebody looks at it and
 * marked while one of its hooks runs.
 */
#include <string.h>

#include "migration/savevm-int.h"

struct SaveState {
    Vm *vm;
    GMutex lock;                /* a leaf: no hook is called under it */
    GCond left_hook;

    /* Under lock */
    GPtrArray *live;            /* of SaveEntry *, by registration */
    GPtrArray *devices;         /* by priority, then registration */
    uint32_t next_section_id;
};

SaveState *savevm_state(Vm *vm)
{
    SaveState *ss = __atomic_load_n(&vm->savevm, __ATOMIC_ACQUIRE);

    if (!ss) {
        ss = g_new0(SaveState, 1);
        ss->vm = vm;
        g_mutex_init(&ss->lock);
        g_cond_init(&ss->left_hook);
        ss->live = g_ptr_array_new();
        ss->devices = g_ptr_array_new();
        /* QEMU's loader takes 0 for any section that has not started. */
        ss->next_section_id = 1;
        __atomic_store_n(&vm->savevm, ss, __ATOMIC_RELEASE);
    }
    return ss;
}

static void entry_unref(SaveEntry *e)
{
    if (--e->refs == 0) {
        g_free(e);
    }
}

static void drop_all(GPtrArray *list)
{
    for (guint i = 0; i < list->len; i++) {
        entry_unref(list->pdata[i]);
    }
    g_ptr_array_free(list, TRUE);
}

void savevm_destroy(Vm *vm)
{
    SaveState *ss = vm->savevm;

    if (!ss) {
        return;
    }
    vm->savevm = NULL;
    drop_all(ss->live);
    drop_all(ss->devices);
    g_mutex_clear(&ss->lock);
    g_cond_clear(&ss->left_hook);
    g_free(ss);
}

/* ---- coming ---- */

/*
 * Whether @instance of @idstr is taken in @list; *next is raised to be greater
 * than every instance of that name.
 */
static bool instance_taken(GPtrArray *list, const char *idstr,
                           uint32_t instance, uint32_t *next)
{
    bool taken = false;

    for (guint i = 0; i < list->len; i++) {
        SaveEntry *e = list->pdata[i];

        if (strcmp(e->idstr, idstr) == 0) {
            taken |= e->instance == instance;
            *next = MAX(*next, e->instance + 1);
        }
    }
    return taken;
}

/* Where a device of @priority goes: behind all that are as urgent or more. */
static guint device_position(SaveState *ss, MigrationPriority priority)
{
    guint i = 0;

    while (i < ss->devices->len) {
        SaveEntry *e = ss->devices->pdata[i];

        if (e->vmsd->priority < priority) {
            break;
        }
        i++;
    }
    return i;
}

/* Registers @e, a prototype without a number, under the lock. */
static bool add_entry(SaveState *ss, const SaveEntry *proto,
                      uint32_t *assigned, Error **errp)
{
    uint32_t next = 0;
    bool live_taken, device_taken;
    SaveEntry *e;

    if (strlen(proto->idstr) == 0 || strlen(proto->idstr) > UINT8_MAX) {
        error_setg(errp, "the section name '%s' has %zu bytes; 1 to 255 are "
                   "possible", proto->idstr, strlen(proto->idstr));
        return false;
    }
    /* Both: each moves next past what it holds. */
    live_taken =
        instance_taken(ss->live, proto->idstr, proto->instance, &next);
    device_taken =
        instance_taken(ss->devices, proto->idstr, proto->instance, &next);
    if (live_taken || device_taken) {
        error_setg(errp, "section '%s' instance %u is registered already",
                   proto->idstr, proto->instance);
        return false;
    }
    e = g_memdup2(proto, sizeof(*proto));
    e->idstr = g_intern_string(proto->idstr);
    e->refs = 1;
    e->section_id = ss->next_section_id++;
    if (e->instance == SAVEVM_INSTANCE_ANY) {
        e->instance = next;
    }
    if (assigned) {
        *assigned = e->instance;
    }
    if (e->ops) {
        g_ptr_array_add(ss->live, e);
    } else {
        g_ptr_array_insert(ss->devices,
                           device_position(ss, e->vmsd->priority), e);
    }
    return true;
}

void savevm_register_live(Vm *vm, const char *idstr, uint32_t instance,
                          int version_id, const SaveVMHandlers *handlers,
                          void *opaque)
{
    SaveState *ss = savevm_state(vm);
    SaveEntry proto = {
        .idstr = idstr, .instance = instance, .version_id = version_id,
        .ops = handlers, .opaque = opaque,
    };
    bool ok;

    g_mutex_lock(&ss->lock);
    ok = add_entry(ss, &proto, NULL, NULL);
    g_mutex_unlock(&ss->lock);
    g_assert(ok);       /* names of modules are not anybody's input */
}

bool vmstate_register(Vm *vm, const char *idstr, uint32_t instance,
                      const VMStateDescription *vmsd, void *opaque,
                      uint32_t *assigned, Error **errp)
{
    SaveState *ss = savevm_state(vm);
    SaveEntry proto = {
        .idstr = idstr ? idstr : vmsd->name, .instance = instance,
        .version_id = vmsd->version_id, .vmsd = vmsd, .opaque = opaque,
    };
    bool ok;

    g_mutex_lock(&ss->lock);
    ok = add_entry(ss, &proto, assigned, errp);
    g_mutex_unlock(&ss->lock);
    return ok;
}

/* ---- going ---- */

/*
 * Waits until no hook of @e runs but one that unregisters itself. Lock held;
 * the big lock is dropped, because the hook may be waiting for it.
 */
static void wait_until_left(SaveState *ss, SaveEntry *e)
{
    bool relock;

    if (e->in_hook == 0 || e->hook_thread == g_thread_self()) {
        return;
    }
    relock = vm_locked(ss->vm);
    if (relock) {
        vm_unlock(ss->vm);
    }
    while (e->in_hook > 0) {
        g_cond_wait(&ss->left_hook, &ss->lock);
    }
    if (relock) {
        /* The order is big lock first. */
        g_mutex_unlock(&ss->lock);
        vm_lock(ss->vm);
        g_mutex_lock(&ss->lock);
    }
}

static void remove_entry(SaveState *ss, GPtrArray *list, SaveEntry *e)
{
    g_ptr_array_remove(list, e);
    e->gone = true;
    wait_until_left(ss, e);
    entry_unref(e);
}

void savevm_unregister_live(Vm *vm, const char *idstr, void *opaque)
{
    SaveState *ss = vm->savevm;

    if (!ss) {
        return;
    }
    g_mutex_lock(&ss->lock);
    for (guint i = 0; i < ss->live->len; i++) {
        SaveEntry *e = ss->live->pdata[i];

        if (e->opaque == opaque && strcmp(e->idstr, idstr) == 0) {
            remove_entry(ss, ss->live, e);
            break;
        }
    }
    g_mutex_unlock(&ss->lock);
}

void vmstate_unregister(Vm *vm, const VMStateDescription *vmsd, void *opaque)
{
    SaveState *ss = vm->savevm;

    if (!ss) {
        return;
    }
    g_mutex_lock(&ss->lock);
    for (guint i = 0; i < ss->devices->len; i++) {
        SaveEntry *e = ss->devices->pdata[i];

        if (e->opaque == opaque && e->vmsd == vmsd) {
            remove_entry(ss, ss->devices, e);
            break;
        }
    }
    g_mutex_unlock(&ss->lock);
}

/* ---- walking ---- */

static void ref_all(GPtrArray *entries, GPtrArray *list)
{
    for (guint i = 0; i < list->len; i++) {
        SaveEntry *e = list->pdata[i];

        e->refs++;
        g_ptr_array_add(entries, e);
    }
}

void savevm_entries_get(SaveState *ss, GPtrArray *entries, bool live,
                        bool devices)
{
    g_mutex_lock(&ss->lock);
    if (live) {
        ref_all(entries, ss->live);
    }
    if (devices) {
        ref_all(entries, ss->devices);
    }
    g_mutex_unlock(&ss->lock);
}

void savevm_entries_put(SaveState *ss, GPtrArray *entries)
{
    g_mutex_lock(&ss->lock);
    for (guint i = 0; i < entries->len; i++) {
        entry_unref(entries->pdata[i]);
    }
    g_mutex_unlock(&ss->lock);
    g_ptr_array_set_size(entries, 0);
}

bool savevm_entry_enter(SaveState *ss, SaveEntry *e)
{
    bool ok;

    g_mutex_lock(&ss->lock);
    ok = !e->gone;
    if (ok) {
        e->in_hook++;
        e->hook_thread = g_thread_self();
    }
    g_mutex_unlock(&ss->lock);
    return ok;
}

void savevm_entry_leave(SaveState *ss, SaveEntry *e)
{
    g_mutex_lock(&ss->lock);
    if (--e->in_hook == 0) {
        g_cond_broadcast(&ss->left_hook);
    }
    g_mutex_unlock(&ss->lock);
}

bool savevm_check_migratable(Vm *vm, Error **errp)
{
    SaveState *ss = savevm_state(vm);
    bool ok = true;

    g_mutex_lock(&ss->lock);
    for (guint i = 0; i < ss->devices->len && ok; i++) {
        SaveEntry *e = ss->devices->pdata[i];

        if (e->vmsd->unmigratable) {
            error_setg(errp, "State blocked by non-migratable device '%s'",
                       e->idstr);
            ok = false;
        }
    }
    g_mutex_unlock(&ss->lock);
    return ok;
}
