/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glib's mutexes, conditions and thread pools once more, over pthreads, and its
 * sources with what they order made known. Only with the thread sanitizer:
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

/*
 * A pool of threads of its own, which all start at once: what there is of pools
 * in this program. Jobs are done in their order.
 */
typedef struct Pool {
    GThreadPool base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    GQueue jobs;                /* under lock, as is: */
    gboolean ending;            /* when there are no more */
    guint num_threads;
    pthread_t threads[];
} Pool;

static gpointer next_job(Pool *pool)
{
    gpointer job;

    pthread_mutex_lock(&pool->lock);
    while (g_queue_is_empty(&pool->jobs) && !pool->ending) {
        pthread_cond_wait(&pool->changed, &pool->lock);
    }
    job = g_queue_pop_head(&pool->jobs);
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void *pool_main(void *opaque)
{
    Pool *pool = opaque;
    gpointer job;

    while ((job = next_job(pool))) {
        pool->base.func(job, pool->base.user_data);
    }
    return NULL;
}

GThreadPool *g_thread_pool_new(GFunc func, gpointer user_data,
                               gint max_threads, gboolean exclusive,
                               GError **error)
{
    Pool *pool = g_malloc0(sizeof(Pool) + max_threads * sizeof(pthread_t));

    (void)error;
    g_assert(exclusive && max_threads > 0);
    pool->base = (GThreadPool) { func, user_data, exclusive };
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    g_queue_init(&pool->jobs);
    for (; pool->num_threads < (guint)max_threads; pool->num_threads++) {
        if (pthread_create(&pool->threads[pool->num_threads], NULL, pool_main,
                           pool) != 0) {
            g_error("no thread for a pool");
        }
    }
    return &pool->base;
}

gboolean g_thread_pool_push(GThreadPool *base, gpointer data, GError **error)
{
    Pool *pool = (Pool *)base;

    (void)error;
    pthread_mutex_lock(&pool->lock);
    g_queue_push_tail(&pool->jobs, data);
    pthread_cond_signal(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    return TRUE;
}

void g_thread_pool_free(GThreadPool *base, gboolean immediate, gboolean wait)
{
    Pool *pool = (Pool *)base;

    g_assert(!immediate && wait);
    pthread_mutex_lock(&pool->lock);
    pool->ending = TRUE;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (guint i = 0; i < pool->num_threads; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->changed);
    g_free(pool);
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
