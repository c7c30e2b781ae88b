/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glib's mutexes and conditions once more, over pthreads, and its thread pools
 * with what they order made known. Only in builds with the thread sanitizer:
 * it sees what pthreads order, but not the futexes of the glib of the system,
 * which is not built with it. What links this code gets these functions
 * instead of glib's. Any thread.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include <glib.h>
#include <sanitizer/tsan_interface.h>

/* What GMutex and GCond have room for: a pointer, made at the first use. */
static void *made(gpointer *slot, size_t size, void (*init)(void *))
{
    void *now = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    void *fresh;

    if (now) {
        return now;
    }
    fresh = g_malloc0(size);
    init(fresh);
    if (__atomic_compare_exchange_n(slot, &now, fresh, FALSE, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        return fresh;
    }
    g_free(fresh);
    return now;
}

static void mutex_make(void *mutex)
{
    pthread_mutex_init(mutex, NULL);
}

static void cond_make(void *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static pthread_mutex_t *mutex_of(GMutex *mutex)
{
    return made(&mutex->p, sizeof(pthread_mutex_t), mutex_make);
}

static pthread_cond_t *cond_of(GCond *cond)
{
    return made(&cond->p, sizeof(pthread_cond_t), cond_make);
}

void g_mutex_init(GMutex *mutex)
{
    mutex->p = NULL;
}

void g_mutex_clear(GMutex *mutex)
{
    if (mutex->p) {
        pthread_mutex_destroy(mutex->p);
        g_clear_pointer(&mutex->p, g_free);
    }
}

void (g_mutex_lock)(GMutex *mutex)
{
    pthread_mutex_lock(mutex_of(mutex));
}

gboolean (g_mutex_trylock)(GMutex *mutex)
{
    return pthread_mutex_trylock(mutex_of(mutex)) == 0;
}

void (g_mutex_unlock)(GMutex *mutex)
{
    pthread_mutex_unlock(mutex_of(mutex));
}

void g_cond_init(GCond *cond)
{
    cond->p = NULL;
}

void g_cond_clear(GCond *cond)
{
    if (cond->p) {
        pthread_cond_destroy(cond->p);
        g_clear_pointer(&cond->p, g_free);
    }
}

void g_cond_wait(GCond *cond, GMutex *mutex)
{
    pthread_cond_wait(cond_of(cond), mutex_of(mutex));
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end_time)
{
    struct timespec end = {
        .tv_sec = end_time / G_USEC_PER_SEC,
        .tv_nsec = end_time % G_USEC_PER_SEC * 1000,
    };

    return pthread_cond_timedwait(cond_of(cond), mutex_of(mutex), &end) !=
        ETIMEDOUT;
}

void g_cond_signal(GCond *cond)
{
    pthread_cond_signal(cond_of(cond));
}

void g_cond_broadcast(GCond *cond)
{
    pthread_cond_broadcast(cond_of(cond));
}

/* A pool's own function and data. */
typedef struct Pool {
    GFunc fn;
    gpointer data;
} Pool;

static void pool_run(gpointer job, gpointer opaque)
{
    Pool *pool = opaque;

    __tsan_acquire(job);
    pool->fn(job, pool->data);
}

GThreadPool *g_thread_pool_new(GFunc func, gpointer user_data,
                               gint max_threads, gboolean exclusive,
                               GError **error)
{
    GThreadPool *(*of_glib)(GFunc, gpointer, gint, gboolean, GError **) =
        dlsym(RTLD_NEXT, "g_thread_pool_new");
    Pool *pool = g_new(Pool, 1);

    *pool = (Pool) { func, user_data };
    __tsan_release(pool);
    return of_glib(pool_run, pool, max_threads, exclusive, error);
}

gboolean g_thread_pool_push(GThreadPool *pool, gpointer data, GError **error)
{
    gboolean (*of_glib)(GThreadPool *, gpointer, GError **) =
        dlsym(RTLD_NEXT, "g_thread_pool_push");

    __tsan_release(data);
    return of_glib(pool, data, error);
}

/* Nobody here frees a pool without waiting for what it does. */
void g_thread_pool_free(GThreadPool *pool, gboolean immediate, gboolean wait)
{
    void (*of_glib)(GThreadPool *, gboolean, gboolean) =
        dlsym(RTLD_NEXT, "g_thread_pool_free");
    Pool *own = pool->user_data;

    of_glib(pool, immediate, wait);
    g_free(own);
}

/*
 * Sources: what was done before one was attached, and what glib does for that,
 * is known when it is dispatched, whichever thread runs the context and however
 * soon. Each kind of source gets a copy of its functions for that, of which
 * there are but a few. A lock for each source would be the thing; one for some
 * of them orders little more.
 */
#define SOURCE_KINDS_MAX 64
#define SOURCE_LOCKS 61

typedef struct SourceKind {
    GSourceFuncs funcs;
    const GSourceFuncs *of_glib;
} SourceKind;

static pthread_mutex_t source_locks[SOURCE_LOCKS] = {
    [0 ... SOURCE_LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER,
};

static pthread_mutex_t *lock_of(const GSource *source)
{
    return &source_locks[(uintptr_t)source / 16 % SOURCE_LOCKS];
}

/* glib holds no lock of its own here, and we none while it dispatches. */
static gboolean source_dispatch(GSource *source, GSourceFunc fn, gpointer data)
{
    const SourceKind *kind;

    pthread_mutex_lock(lock_of(source));
    kind = (const SourceKind *)source->source_funcs;
    pthread_mutex_unlock(lock_of(source));
    __tsan_acquire(g_source_get_context(source));
    return kind->of_glib->dispatch(source, fn, data);
}

static const GSourceFuncs *known_kind(const GSourceFuncs *funcs)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static SourceKind kinds[SOURCE_KINDS_MAX];
    static unsigned count;
    const GSourceFuncs *found = funcs;

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < count && found == funcs; i++) {
        if (kinds[i].of_glib == funcs) {
            found = &kinds[i].funcs;
        }
    }
    if (found == funcs && funcs->dispatch != source_dispatch &&
        count < SOURCE_KINDS_MAX) {
        kinds[count] = (SourceKind) { .funcs = *funcs, .of_glib = funcs };
        kinds[count].funcs.dispatch = source_dispatch;
        found = &kinds[count++].funcs;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

guint g_source_attach(GSource *source, GMainContext *context)
{
    guint (*of_glib)(GSource *, GMainContext *) =
        dlsym(RTLD_NEXT, "g_source_attach");
    guint id;

    pthread_mutex_lock(lock_of(source));
    source->source_funcs = (GSourceFuncs *)known_kind(source->source_funcs);
    id = of_glib(source, context);
    pthread_mutex_unlock(lock_of(source));
    return id;
}

/* What was done while a thread had the context is known to the next one. */
void g_main_context_release(GMainContext *context)
{
    void (*of_glib)(GMainContext *) =
        dlsym(RTLD_NEXT, "g_main_context_release");

    __tsan_release(context);
    of_glib(context);
}
