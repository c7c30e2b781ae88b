/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The model of vfio-sim's device: states, content, stream, paces, faults. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "guest-map.h"
#include "page-set.h"
#include "sim-mig.h"

#define S(name) VFIO_DEVICE_STATE_##name
#define ALL_FEATURES \
    (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY)
#define SECOND 1000000000LL

/* The ways that the kernel's documentation lists, as one letter a state. */
static char letter(unsigned state)
{
    return "EsrcRpqQ"[state];
}

static char *way(unsigned from, unsigned to, unsigned features)
{
    GString *text = g_string_new(NULL);

    g_string_append_c(text, letter(from));
    while (from != to && from != S(ERROR) && text->len < 10) {
        from = sim_mig_next_state(from, to, features);
        g_string_append_c(text, letter(from));
    }
    return g_string_free(text, false);
}

static void check_ways(const char *const *expected, unsigned features)
{
    for (unsigned i = 0; expected[i]; i++) {
        const char *text = expected[i];
        unsigned from = strchr("EsrcRpqQ", text[0]) - "EsrcRpqQ";
        unsigned to = strchr("EsrcRpqQ", text[strlen(text) - 1]) - "EsrcRpqQ";
        g_autofree char *found = way(from, to, features);

        g_assert_cmpstr(found, ==, text);
    }
}

static void test_ways(void)
{
    static const char *const full[] = {
        /* s stop, r running, c stop-copy, R resuming, p running-p2p,
         * q pre-copy, Q pre-copy-p2p */
        "qQc", "qrp", "qrps", "qrpsR", "qr", "qQ", "Qq", "Qp", "Qpr", "Qps",
        "QpsR", "Qc", "Rs", "Rspr", "Rsp", "Rsprq", "RspQ", "Rsc", "rq", "rp",
        "rpQ", "rps", "rpsR", "rpsc", "pr", "prq", "pQ", "ps", "psR", "psc",
        "sR", "sp", "spr", "sprq", "spQ", "sc", "cs", "csR", "csp", "cspr",
        NULL};
    static const char *const plain[] = {"rs",  "rsc", "rsR", "sr", "sc", "sR",
                                        "csr", "csR", "Rsr", "Rsc", NULL};
    static const char *const no_p2p[] = {"qc", "qrs", "rq", "rsc", "srq",
                                         "qrsR", "Rsrq", NULL};

    check_ways(full, ALL_FEATURES);
    check_ways(plain, VFIO_MIGRATION_STOP_COPY);
    check_ways(no_p2p, VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_PRE_COPY);
}

static void test_no_ways(void)
{
    unsigned features = VFIO_MIGRATION_STOP_COPY;

    g_assert_cmpint(sim_mig_next_state(S(STOP_COPY), S(PRE_COPY),
                                       ALL_FEATURES), ==, S(ERROR));
    g_assert_cmpint(sim_mig_next_state(S(STOP_COPY), S(PRE_COPY_P2P),
                                       ALL_FEATURES), ==, S(ERROR));
    g_assert_cmpint(sim_mig_next_state(S(RUNNING), S(PRE_COPY), features), ==,
                    S(ERROR));
    g_assert_cmpint(sim_mig_next_state(S(RUNNING), S(RUNNING_P2P), features),
                    ==, S(ERROR));
    for (unsigned s = 1; s < SIM_MIG_STATES; s++) {
        g_assert_cmpint(sim_mig_next_state(S(ERROR), s, ALL_FEATURES), ==,
                        S(ERROR));
        g_assert_cmpint(sim_mig_next_state(s, 8, ALL_FEATURES), ==, S(ERROR));
        g_assert_cmpint(sim_mig_next_state(9, s, ALL_FEATURES), ==, S(ERROR));
    }
}

/* The memory of a device that has four pages, from number 7 on. */
#define FAKE_FIRST 7
#define FAKE_PAGES 4

typedef struct Fake {
    bool touched[FAKE_PAGES];
    uint8_t page[FAKE_PAGES][SIM_PAGE];
    SimRegisters registers;
} Fake;

static void fake_list(void *opaque, GArray *pages)
{
    Fake *f = opaque;

    for (uint32_t i = 0; i < FAKE_PAGES; i++) {
        uint32_t number = FAKE_FIRST + i;

        if (f->touched[i]) {
            g_array_append_val(pages, number);
        }
    }
}

static bool fake_has_page(void *opaque, uint32_t page)
{
    (void)opaque;
    return page >= FAKE_FIRST && page < FAKE_FIRST + FAKE_PAGES;
}

static void fake_read(void *opaque, uint32_t page, void *data)
{
    Fake *f = opaque;

    memcpy(data, f->page[page - FAKE_FIRST], SIM_PAGE);
}

static bool fake_write(void *opaque, uint32_t page, const void *data,
                       Error **errp)
{
    Fake *f = opaque;

    (void)errp;
    f->touched[page - FAKE_FIRST] = true;
    memcpy(f->page[page - FAKE_FIRST], data, SIM_PAGE);
    return true;
}

static void fake_clear(void *opaque)
{
    Fake *f = opaque;

    memset(f->touched, 0, sizeof(f->touched));
    memset(f->page, 0, sizeof(f->page));
}

static void fake_get(void *opaque, SimRegisters *registers)
{
    Fake *f = opaque;

    *registers = f->registers;
}

static bool fake_set(void *opaque, const SimRegisters *registers, Error **errp)
{
    Fake *f = opaque;

    if (registers->doorbells == 666) {
        error_setg(errp, "not these");
        return false;
    }
    f->registers = *registers;
    return true;
}

static const SimMemoryOps fake_ops = {fake_list, fake_has_page, fake_read,
                                      fake_write, fake_clear, fake_get,
                                      fake_set};

static SimMig *new_mig_with(const char *keys, SimOptions **o, Fake *fake)
{
    Error *err = NULL;

    *o = sim_options_parse(keys, &err);
    g_assert_no_error(err);
    return sim_mig_new(*o, &fake_ops, fake, 0);
}

/* A device that no guest has touched. */
static SimMig *new_mig(const char *keys, SimOptions **o)
{
    static Fake untouched;

    return new_mig_with(keys, o, &untouched);
}

static void go(SimMig *m, unsigned to, int64_t now_ns)
{
    while (m->current != to) {
        unsigned next = sim_mig_next_state(m->current, to, m->features);

        g_assert_cmpint(sim_mig_move(m, next, now_ns), ==, 0);
    }
}

static void test_moves_are_refused(void)
{
    SimOptions *o;
    SimMig *m = new_mig("id=a,state-size=1M,stop-size=0,initial-size=0", &o);

    g_assert_cmpint(sim_mig_move(m, S(STOP_COPY), 0), ==, -EINVAL);
    g_assert_cmpint(sim_mig_move(m, 77, 0), ==, -EINVAL);
    g_assert_cmpint(m->current, ==, S(RUNNING));
    sim_mig_free(m);
    sim_options_free(o);
}

/* From one device to another, through buffers of @chunk bytes. */
static void copy(SimMig *from, SimMig *to, size_t chunk, int64_t now_ns)
{
    g_autofree uint8_t *buf = g_malloc(chunk);
    int64_t until;
    ssize_t n;

    while ((n = sim_mig_read(from, buf, chunk, now_ns, &until)) > 0) {
        g_assert_cmpint(sim_mig_write(to, buf, n, now_ns, &until), ==, n);
    }
    g_assert_true(n == 0 || n == -ENOMSG);
}

/* A state travels a -> b -> c, and is the same in all. */
static void test_chain(void)
{
    static const char keys[] =
        "id=a,state-size=4M,stop-size=1M,initial-size=1M,dirty-rate=1M,seed=%d";
    static const size_t chunks[] = {1, 4096, SIM_BLOCK_BYTES, 1 << 20};

    for (unsigned i = 0; i < G_N_ELEMENTS(chunks); i++) {
        SimOptions *o[3];
        SimMig *m[3];
        uint64_t sent, taken;
        int64_t now = 0;

        for (int k = 0; k < 3; k++) {
            g_autofree char *text = g_strdup_printf(keys, k + 1);

            m[k] = new_mig(text, &o[k]);
        }
        for (int k = 0; k < 2; k++) {
            go(m[k], S(PRE_COPY), now);
            go(m[k + 1], S(RESUMING), now);
            copy(m[k], m[k + 1], chunks[i], now);
            copy(m[k], m[k + 1], chunks[i], now += SECOND);
            go(m[k], S(STOP_COPY), now += SECOND);
            copy(m[k], m[k + 1], chunks[i], now);
            go(m[k + 1], S(STOP), now);
            g_assert_true(sim_state_digest(m[k]->state, &sent));
            g_assert_true(sim_state_digest(m[k + 1]->state, &taken));
            g_assert_cmphex(sent, ==, taken);
            go(m[k + 1], S(RUNNING), now);
        }
        for (int k = 0; k < 3; k++) {
            sim_mig_free(m[k]);
            sim_options_free(o[k]);
        }
    }
}

/* Copies until the source has no more; the reason if it is refused. */
static char *copy_stopped(SimMig *from, SimMig *to)
{
    uint8_t buf[4096];
    int64_t until;
    ssize_t n;

    go(to, S(RESUMING), 0);
    while ((n = sim_mig_read(from, buf, sizeof(buf), 0, &until)) > 0) {
        if (sim_mig_write(to, buf, n, 0, &until) != n) {
            return to->refusal;
        }
    }
    g_assert_cmpint(n, ==, 0);
    return sim_mig_move(to, S(STOP), 0) ? to->refusal : NULL;
}

/* What the guest has written comes with STOP_COPY, and is counted. */
static void test_memory(void)
{
    static const char keys[] =
        "id=a,state-size=1M,stop-size=0,initial-size=0";
    g_autofree Fake *a = g_new0(Fake, 1), *b = g_new0(Fake, 1);
    SimOptions *ao, *bo;
    SimMig *am = new_mig_with(keys, &ao, a), *bm = new_mig_with(keys, &bo, b);
    uint64_t blocks = 16 * SIM_BLOCK_BYTES + SIM_BEGIN_BYTES + SIM_END_BYTES;
    uint64_t touched = SIM_REGISTERS_BYTES + 2 * SIM_PAGE_BYTES;
    uint64_t sent, taken, other;

    g_assert_cmpuint(sim_mig_stop_size(am, 0), ==,
                     blocks + SIM_REGISTERS_BYTES);
    a->touched[1] = a->touched[3] = true;
    a->page[1][17] = 0xaa;
    a->page[3][SIM_PAGE - 1] = 0xbb;
    a->registers.doorbells = 5;
    b->touched[0] = true;
    b->page[0][0] = 1;
    g_assert_cmpuint(sim_mig_stop_size(am, 0), ==, blocks + touched);
    go(am, S(PRE_COPY), 0);
    g_assert_cmpuint(sim_mig_stop_size(am, 0), ==, blocks + touched);
    go(am, S(STOP_COPY), 0);
    g_assert_cmpuint(sim_mig_stop_size(am, 0), ==, blocks + touched);
    g_assert_null(copy_stopped(am, bm));
    g_assert_cmpuint(sim_state_offset(am->state), ==, blocks + touched);
    g_assert_cmpuint(sim_mig_stop_size(am, 0), ==, 0);
    g_assert_cmpmem(a->page, sizeof(a->page), b->page, sizeof(b->page));
    g_assert_cmpmem(a->touched, sizeof(a->touched), b->touched,
                    sizeof(b->touched));
    g_assert_cmpuint(b->registers.doorbells, ==, 5);
    g_assert_true(sim_state_digest(am->state, &sent));
    g_assert_true(sim_state_digest(bm->state, &taken));
    g_assert_cmphex(sent, ==, taken);

    /* Another byte, another digest. */
    go(am, S(STOP), 0);
    go(am, S(STOP_COPY), 0);
    a->page[1][17] = 0xab;
    g_assert_null(copy_stopped(am, bm));
    g_assert_true(sim_state_digest(am->state, &other));
    g_assert_cmphex(sent, !=, other);

    /* A device that has not these registers. */
    go(am, S(STOP), 0);
    go(am, S(STOP_COPY), 0);
    a->registers.doorbells = 666;
    g_assert_nonnull(strstr(copy_stopped(am, bm), "not these"));
    sim_mig_free(am);
    sim_mig_free(bm);
    sim_options_free(ao);
    sim_options_free(bo);
}

/* What becomes dirty is rate times time, and never more than there is. */
static void test_dirty_rate(void)
{
    SimOptions *o;
    SimMig *m = new_mig("id=a,state-size=64M,stop-size=0,initial-size=0,"
                        "dirty-rate=16M", &o);
    g_autofree uint8_t *buf = g_malloc(1 << 20);
    uint64_t initial, dirty;
    uint32_t flags = 0xff;
    int64_t until;

    go(m, S(PRE_COPY), 0);
    while (sim_mig_read(m, buf, 1 << 20, 0, &until) > 0) {
    }
    g_assert_cmpint(sim_mig_precopy_info(m, &initial, &dirty, &flags, SECOND),
                    ==, 0);
    g_assert_cmpuint(initial, ==, 0);
    g_assert_cmpuint(dirty, ==, 256 * SIM_BLOCK_BYTES);
    g_assert_cmphex(flags, ==, 0xff); /* nobody asked for them */
    sim_mig_precopy_info(m, &initial, &dirty, &flags, 1000 * SECOND);
    g_assert_cmpuint(dirty, ==, 1024 * SIM_BLOCK_BYTES);
    sim_mig_free(m);
    sim_options_free(o);
}

/* Late by less than the window: made up for. By more: all of it is lost. */
static void test_pace(void)
{
    SimOptions *o;
    SimMig *m = new_mig("id=a,state-size=64M,stop-size=0,initial-size=0,"
                        "read-rate=1000000", &o);
    uint8_t buf[1000];
    int64_t until;

    go(m, S(PRE_COPY), 100 * SECOND);
    sim_mig_read(m, buf, sizeof(buf), 100 * SECOND, &until);
    g_assert_cmpint(until, ==, 100 * SECOND + 1000000);
    sim_mig_read(m, buf, sizeof(buf), until + 5000000, &until);
    g_assert_cmpint(until, ==, 100 * SECOND + 2000000);
    sim_mig_read(m, buf, sizeof(buf), until + SIM_CATCH_UP_NS, &until);
    g_assert_cmpint(until, ==, 100 * SECOND + 3000000);
    sim_mig_read(m, buf, sizeof(buf), until + SIM_CATCH_UP_NS + 1, &until);
    g_assert_cmpint(until, ==,
                    100 * SECOND + 4000000 + SIM_CATCH_UP_NS + 1);
    sim_mig_read(m, buf, sizeof(buf), 200 * SECOND, &until);
    g_assert_cmpint(until, ==, 200 * SECOND + 1000000);
    sim_mig_free(m);
    sim_options_free(o);
}

static void test_sizes_of_state(void)
{
    SimOptions *o;
    SimMig *m = new_mig("id=a,state-size=1M,stop-size=512K,initial-size=64K",
                        &o);
    uint64_t initial, dirty, all = 16 * SIM_BLOCK_BYTES + SIM_BEGIN_BYTES +
                                   SIM_REGISTERS_BYTES + SIM_END_BYTES;
    uint32_t flags;

    g_assert_cmpuint(sim_mig_stop_size(m, 0), ==, all);
    g_assert_cmpint(sim_mig_precopy_info(m, &initial, &dirty, &flags, 0), ==,
                    -EINVAL);
    go(m, S(PRE_COPY), 0);
    g_assert_cmpuint(sim_mig_stop_size(m, 0), ==, all);
    g_assert_cmpint(sim_mig_precopy_info(m, &initial, &dirty, &flags, 0), ==,
                    0);
    g_assert_cmpuint(initial, ==, SIM_BLOCK_BYTES + SIM_BEGIN_BYTES);
    g_assert_cmpuint(dirty, ==, 7 * SIM_BLOCK_BYTES);
    go(m, S(STOP_COPY), 0);
    g_assert_cmpuint(sim_mig_stop_size(m, 0), ==, all);
    sim_mig_free(m);
    sim_options_free(o);
}

/* New initial data at a time, and at every n-th query. */
static void test_reinit(void)
{
    SimOptions *o;
    SimMig *m = new_mig("id=a,state-size=1M,stop-size=0,initial-size=64K,"
                        "fault=reinit:500ms,fault=reinit:every3*1", &o);
    uint64_t initial, dirty;
    uint32_t flags;
    g_autofree uint8_t *buf = g_malloc(2 << 20);
    int64_t until;

    m->infov2 = true;
    go(m, S(PRE_COPY), SECOND);
    sim_mig_read(m, buf, 2 << 20, SECOND, &until);
    for (int i = 1; i <= 4; i++) {
        g_assert_cmpint(sim_mig_precopy_info(m, &initial, &dirty, &flags,
                                             SECOND), ==, 0);
        g_assert_cmphex(flags, ==, i == 3 ? VFIO_PRECOPY_INFO_REINIT : 0);
        g_assert_cmpuint(initial, ==, i >= 3 ? SIM_BLOCK_BYTES : 0);
    }
    sim_mig_read(m, buf, 2 << 20, SECOND, &until);
    sim_mig_precopy_info(m, &initial, &dirty, &flags, SECOND + SECOND / 2 - 1);
    g_assert_cmphex(flags, ==, 0);
    g_assert_cmpuint(initial, ==, 0);
    sim_mig_precopy_info(m, &initial, &dirty, &flags, SECOND + SECOND / 2);
    g_assert_cmphex(flags, ==, VFIO_PRECOPY_INFO_REINIT);
    g_assert_cmpuint(initial, ==, SIM_BLOCK_BYTES);
    sim_mig_precopy_info(m, &initial, &dirty, &flags, 2 * SECOND);
    g_assert_cmphex(flags, ==, 0);
    sim_mig_free(m);
    sim_options_free(o);
}

static void test_options_set(void)
{
    SimOptions *o = sim_options_parse("id=a", NULL);
    Error *err = NULL;

    g_assert_true(sim_options_set(o, "read-rate", "2G", NULL));
    g_assert_cmpuint(o->read_rate, ==, 2ULL << 30);
    g_assert_true(sim_options_set(o, "fault", "read:EIO@64M", NULL));
    g_assert_cmpuint(o->faults->len, ==, 1);
    g_assert_true(sim_options_set(o, "fault", "none", NULL));
    g_assert_cmpuint(o->faults->len, ==, 0);
    g_assert_false(sim_options_set(o, "state-size", "1G", &err));
    g_assert_nonnull(strstr(err->message, "cannot be changed"));
    g_error_free(err);
    sim_options_free(o);
}

static void test_faults_refused(void)
{
    static const char *const bad[] = {
        "", "read", "read:", "read:EWHAT", "read:max", "stop-size:EIO",
        "stop-size:2^64", "read:EIO*0", "read:EIO*x", "read:EIO@x",
        "state:error@nowhere", "colour:EIO", "refuse:EIO", "reinit:everyx",
        "reinit:1s", "bind:max"};

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        Error *err = NULL;

        g_assert_null(sim_fault_parse(bad[i], &err));
        g_assert_nonnull(err);
        g_error_free(err);
    }
}

static void test_fault_counts(void)
{
    SimOptions *o = sim_options_parse("id=a,fault=read:EIO*2@100", NULL);

    g_assert_null(sim_fault_strike(o->faults, SIM_FAULT_READ, NULL, 99));
    g_assert_null(sim_fault_strike(o->faults, SIM_FAULT_WRITE, NULL, 200));
    g_assert_nonnull(sim_fault_strike(o->faults, SIM_FAULT_READ, NULL, 100));
    g_assert_nonnull(sim_fault_strike(o->faults, SIM_FAULT_READ, NULL, 300));
    g_assert_null(sim_fault_strike(o->faults, SIM_FAULT_READ, NULL, 400));
    sim_options_free(o);
}

/* A bitmap of few words, and how many words may still be taken. */
typedef struct Words {
    uint64_t word[4];
    unsigned left;
} Words;

static bool take_word(void *opaque, uint64_t index, uint64_t bits)
{
    Words *w = opaque;

    g_assert_cmpuint(index, <, G_N_ELEMENTS(w->word));
    if (!w->left) {
        return false;
    }
    w->left--;
    w->word[index] |= bits;
    return true;
}

static void test_page_set(void)
{
    const uint64_t high = UINT64_MAX & ~(uint64_t)0xfff, base = 1ULL << 40;
    SimPageSet set;
    Words w = {{0}, 100};

    sim_page_set_init(&set);
    sim_page_set_add(&set, base);
    sim_page_set_add(&set, base + 0x1fff);
    sim_page_set_add(&set, base + 64 * SIM_PAGE);
    sim_page_set_add(&set, base + 128 * SIM_PAGE);
    sim_page_set_add(&set, high);
    /* The bitmap begins where the range does, and ends with it. */
    g_assert_true(sim_page_set_report(&set, base + SIM_PAGE, 127 * SIM_PAGE,
                                      SIM_PAGE, false, take_word, &w));
    g_assert_cmphex(w.word[0], ==, 1 | 1ULL << 63);
    g_assert_cmphex(w.word[1], ==, 0);
    /* A bit for two pages. */
    w = (Words){{0}, 100};
    g_assert_true(sim_page_set_report(&set, base, 256 * SIM_PAGE, 2 * SIM_PAGE,
                                      false, take_word, &w));
    g_assert_cmphex(w.word[0], ==, 1 | 1ULL << 32);
    g_assert_cmphex(w.word[1], ==, 1);
    /* What nobody took stays; what was taken leaves. */
    w = (Words){{0}, 1};
    g_assert_false(sim_page_set_report(&set, base, 256 * SIM_PAGE, SIM_PAGE,
                                       true, take_word, &w));
    w.left = 100;
    g_assert_true(sim_page_set_report(&set, base, 256 * SIM_PAGE, SIM_PAGE,
                                      true, take_word, &w));
    g_assert_cmphex(w.word[0], ==, 3);
    g_assert_cmphex(w.word[1], ==, 1);
    g_assert_cmphex(w.word[2], ==, 1);
    w = (Words){{0}, 0};
    g_assert_true(sim_page_set_report(&set, base, 256 * SIM_PAGE, SIM_PAGE,
                                      true, take_word, &w));
    /* The last page of all. */
    w.left = 1;
    g_assert_true(sim_page_set_report(&set, high, SIM_PAGE, SIM_PAGE, false,
                                      take_word, &w));
    g_assert_cmphex(w.word[0], ==, 1);
    sim_page_set_remove(&set, high, SIM_PAGE);
    g_assert_cmpuint(g_hash_table_size(set.chunks), ==, 0);
    sim_page_set_destroy(&set);
}

static void test_guest_map(void)
{
    static uint8_t memory[4 * SIM_PAGE] __attribute__((aligned(SIM_PAGE)));
    const uint64_t va = (uintptr_t)memory, hole = sim_map_ranges[0].last + 1;
    SimGuestMap map;
    bool cut;

    sim_map_init(&map);
    g_assert_cmpint(sim_map_add(&map, 0x10000, 2 * SIM_PAGE, va, getpid()), ==,
                    0);
    g_assert_cmpint(sim_map_add(&map, 0x12000, 2 * SIM_PAGE,
                                va + 2 * SIM_PAGE, getpid()), ==, 0);
    g_assert_cmpint(sim_map_add(&map, 0x13000, SIM_PAGE, va, 1), ==, -EEXIST);
    g_assert_cmpint(sim_map_add(&map, 0, 0, va, 1), ==, -EINVAL);
    g_assert_cmpint(sim_map_add(&map, 1, SIM_PAGE, va, 1), ==, -EINVAL);
    g_assert_cmpint(sim_map_add(&map, hole, SIM_PAGE, va, 1), ==, -EINVAL);
    g_assert_cmpint(sim_map_add(&map, hole - SIM_PAGE, 2 * SIM_PAGE, va, 1),
                    ==, -EINVAL);
    g_assert_cmpint(sim_map_add(&map, -(uint64_t)SIM_PAGE, 2 * SIM_PAGE, va,
                                1), ==, -EINVAL);
    g_assert_true(sim_map_covers(&map, 0x11000, 3 * SIM_PAGE));
    g_assert_false(sim_map_covers(&map, 0x11000, 4 * SIM_PAGE));
    g_assert_true(sim_map_write(&map, 0x11008, "abc", 3));
    g_assert_cmpmem(memory + 0x1008, 3, "abc", 3);
    g_assert_false(sim_map_write(&map, 0x14000, "abc", 3));
    g_assert_true(sim_map_is_cut(&map, 0x11000, 0x13fff));
    g_assert_cmpuint(sim_map_remove(&map, 0x11000, 0x13fff, &cut), ==,
                     2 * SIM_PAGE);
    g_assert_true(cut);
    g_assert_cmpuint(sim_map_count(&map), ==, 1);
    g_assert_cmpuint(sim_map_remove(&map, 0, UINT64_MAX, &cut), ==,
                     2 * SIM_PAGE);
    g_assert_false(cut);
    sim_map_destroy(&map);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/vfio-sim/states/ways", test_ways);
    g_test_add_func("/vfio-sim/states/no-ways", test_no_ways);
    g_test_add_func("/vfio-sim/states/moves-are-refused",
                    test_moves_are_refused);
    g_test_add_func("/vfio-sim/stream/chain", test_chain);
    g_test_add_func("/vfio-sim/stream/sizes", test_sizes_of_state);
    g_test_add_func("/vfio-sim/stream/memory", test_memory);
    g_test_add_func("/vfio-sim/dirty-rate", test_dirty_rate);
    g_test_add_func("/vfio-sim/pace", test_pace);
    g_test_add_func("/vfio-sim/reinit", test_reinit);
    g_test_add_func("/vfio-sim/page-set", test_page_set);
    g_test_add_func("/vfio-sim/guest-map", test_guest_map);
    g_test_add_func("/vfio-sim/options/set", test_options_set);
    g_test_add_func("/vfio-sim/faults/refused", test_faults_refused);
    g_test_add_func("/vfio-sim/faults/counts", test_fault_counts);
    return g_test_run();
}
