/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads pages of mapped-ram by several threads, "mig/dst/read_N". The incoming
 * thread hands out places that have been checked; each thread has one at a
 * time. Lock: MultiFDRead.lock, a leaf; whoever waits on it has dropped the big
 * lock.
 */
#include "migration/multifd-file.h"
#include "util/thread.h"

typedef struct Reader {
    /* Constant */
    MultiFDRead *r;
    GThread *thread;

    GCond work;
    /* Under lock: NULL: it has nothing to do */
    RamBlock *rb;
    uint64_t offset, len, pos;
} Reader;

struct MultiFDRead {
    /* Constant */
    Vm *vm;
    IoChannel *ch;
    unsigned threads;

    GMutex lock;
    GCond idle;
    /* Under lock */
    bool stop;
    Error *error;

    Reader reader[];
};

static gpointer read_main(gpointer opaque)
{
    Reader *t = opaque;
    MultiFDRead *r = t->r;

    g_mutex_lock(&r->lock);
    while (!r->stop || t->rb) {
        Error *err = NULL;

        if (!t->rb) {
            g_cond_wait(&t->work, &r->lock);
            continue;
        }
        g_mutex_unlock(&r->lock);
        if (io_channel_pread_all(r->ch, t->rb->host + t->offset, t->len,
                                 t->pos, &err) &&
            memory_dirty_logging(t->rb->memory)) {
            memory_mark_dirty(t->rb, t->offset, t->len);
        }
        g_mutex_lock(&r->lock);
        t->rb = NULL;
        if (err && r->error) {
            g_error_free(err);
        } else if (err) {
            r->error = err;
        }
        g_cond_signal(&r->idle);
    }
    g_mutex_unlock(&r->lock);
    return NULL;
}

MultiFDRead *multifd_read_new(Vm *vm, IoChannel *ch, unsigned threads)
{
    MultiFDRead *r = g_malloc0(sizeof(*r) + threads * sizeof(r->reader[0]));

    r->vm = vm;
    r->ch = ch;
    r->threads = threads;
    g_mutex_init(&r->lock);
    g_cond_init(&r->idle);
    for (unsigned i = 0; i < threads; i++) {
        g_autofree char *name = g_strdup_printf("mig/dst/read_%u", i);

        r->reader[i].r = r;
        g_cond_init(&r->reader[i].work);
        r->reader[i].thread = thread_start(name, read_main, &r->reader[i]);
    }
    return r;
}

/* Lock held. */
static Reader *find_idle(MultiFDRead *r)
{
    for (unsigned i = 0; i < r->threads; i++) {
        if (!r->reader[i].rb) {
            return &r->reader[i];
        }
    }
    return NULL;
}

bool multifd_read_pages(MultiFDRead *r, RamBlock *rb, uint64_t offset,
                        uint64_t len, uint64_t pos)
{
    bool dropped = false, ok;
    Reader *t;

    g_mutex_lock(&r->lock);
    while (!r->error && !(t = find_idle(r))) {
        if (vm_locked(r->vm)) {
            vm_unlock(r->vm);
            dropped = true;
        }
        g_cond_wait(&r->idle, &r->lock);
    }
    ok = !r->error;
    if (ok) {
        t->rb = rb;
        t->offset = offset;
        t->len = len;
        t->pos = pos;
        g_cond_signal(&t->work);
    }
    g_mutex_unlock(&r->lock);
    if (dropped) {
        vm_lock(r->vm);
    }
    return ok;
}

bool multifd_read_end(MultiFDRead *r, Error **errp)
{
    bool relock = vm_locked(r->vm);
    Error *err;

    if (relock) {
        vm_unlock(r->vm);
    }
    g_mutex_lock(&r->lock);
    r->stop = true;
    for (unsigned i = 0; i < r->threads; i++) {
        g_cond_signal(&r->reader[i].work);
    }
    g_mutex_unlock(&r->lock);
    for (unsigned i = 0; i < r->threads; i++) {
        g_thread_join(r->reader[i].thread);
    }
    for (unsigned i = 0; i < r->threads; i++) {
        g_cond_clear(&r->reader[i].work);
    }
    if (relock) {
        vm_lock(r->vm);
    }
    err = r->error;
    g_cond_clear(&r->idle);
    g_mutex_clear(&r->lock);
    g_free(r);
    error_propagate(errp, err);
    return !err;
}
