/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one query of all modules. Asked by the migration thread; the record is
 * read by any. Owns MigPending.lock, a leaf under which nothing is called.
 */
#include "migration/pending.h"
#include "trace/trace-migration.h"

struct MigPending {
    /* Constant */
    Clock *clock;

    /* The migration thread */
    MigPendingSource source;    /* NULL: nobody to ask */
    void *opaque;
    GArray *scratch;            /* filled by the next query, then swapped in */

    GMutex lock;
    /* Written by the migration thread under lock; read by it without */
    MigRecord record;
};

static GArray *modules_new(void)
{
    return g_array_new(FALSE, FALSE, sizeof(SaveVMModule));
}

void mig_record_clear(MigRecord *rec)
{
    if (rec->modules) {
        g_array_unref(rec->modules);
        rec->modules = NULL;
    }
}

MigPending *mig_pending_new(Clock *clock)
{
    MigPending *p = g_new0(MigPending, 1);

    p->clock = clock;
    p->scratch = modules_new();
    p->record.modules = modules_new();
    g_mutex_init(&p->lock);
    return p;
}

void mig_pending_free(MigPending *p)
{
    if (!p) {
        return;
    }
    g_array_unref(p->scratch);
    mig_record_clear(&p->record);
    g_mutex_clear(&p->lock);
    g_free(p);
}

void mig_pending_begin(MigPending *p, MigPendingSource source, void *opaque)
{
    GArray *modules = p->record.modules;

    p->source = source;
    p->opaque = opaque;
    g_mutex_lock(&p->lock);
    g_array_set_size(modules, 0);
    p->record = (MigRecord) {
        .modules = modules, .synced_ns = clock_now_ns(p->clock),
    };
    g_mutex_unlock(&p->lock);
}

void mig_pending_end(MigPending *p)
{
    p->source = NULL;
}

static MigPendingData sum_up(GArray *modules)
{
    MigPendingData sum = { 0 };

    for (guint i = 0; i < modules->len; i++) {
        SaveVMModule *m = &g_array_index(modules, SaveVMModule, i);

        /* Whatever a module wrote there: the total is the core's alone. */
        m->pending.total_bytes =
            sat_add_u64(sat_add_u64(m->pending.precopy_bytes,
                                    m->pending.postcopy_bytes),
                        m->pending.stopcopy_bytes);
        mig_pending_add(&sum, m->pending.precopy_bytes,
                        m->pending.postcopy_bytes, m->pending.stopcopy_bytes);
        sum.total_bytes = sat_add_u64(sum.total_bytes, m->pending.total_bytes);
    }
    return sum;
}

const MigRecord *mig_pending_query(MigPending *p, bool exact)
{
    int64_t start = clock_now_ns(p->clock);
    MigRecord rec = { .valid = p->source != NULL, .exact = exact };

    g_array_set_size(p->scratch, 0);
    if (p->source) {
        p->source(p->opaque, exact, p->scratch);
    }
    rec.total = sum_up(p->scratch);
    rec.time_ns = clock_now_ns(p->clock);
    rec.query_ns = rec.time_ns - start;
    rec.synced_ns = exact ? start : p->record.synced_ns;
    rec.modules = p->scratch;

    g_mutex_lock(&p->lock);
    p->scratch = p->record.modules;
    p->record = rec;
    g_mutex_unlock(&p->lock);

    trace_migration_pending(exact, rec.total.precopy_bytes,
                            rec.total.postcopy_bytes,
                            rec.total.stopcopy_bytes, rec.total.total_bytes,
                            rec.query_ns);
    return &p->record;
}

void mig_pending_read(MigPending *p, bool modules, MigRecord *copy)
{
    GArray *array = modules ? modules_new() : NULL;

    g_mutex_lock(&p->lock);
    *copy = p->record;
    if (array) {
        g_array_append_vals(array, p->record.modules->data,
                            p->record.modules->len);
    }
    g_mutex_unlock(&p->lock);
    copy->modules = array;
}
