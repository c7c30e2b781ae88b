/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast memory gets into a file with fixed places and out of it again,
 * against plain writing and reading of the same bytes, in the same run and
 * the same folder. Incompressible memory. Writing counts from the first byte
 * until the file is closed and, on a disk, on it; each time into a new file.
 * Reading is of a file that the host has just written, so from its cache,
 * into memory that has not been touched, which is what a load has.
 *
 * The ratio of CPU time beside that of wall-clock time tells a slow program
 * from a busy machine.
 *
 * bench-mapped-ram [-m MIB] [FOLDER ...]   default 1024, /dev/shm and ".".
 * Prints a table, then JSON on one line.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/channel.h"
#include "migration/ram.h"
#include "migration/savevm.h"
#include "migration/stream-owner.h"

#define ROUNDS 5
#define RAW_CHUNK (1024 * 1024)

static const char *const capabilities[] = { "mapped-ram" };
static const SaveVMConfig config = {
    .machine = "bench", .capabilities = capabilities, .num_capabilities = 1,
};
static const LoadVMOps load_ops = { 0 };

/* What something took, seconds. */
typedef struct Cost {
    double wall, cpu;
} Cost;

static Cost cost_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (Cost) { clock_now_ns(clock_host()) / 1e9,
                    ts.tv_sec + ts.tv_nsec / 1e9 };
}

static Cost cost_since(Cost start)
{
    Cost now = cost_now();

    return (Cost) { now.wall - start.wall, now.cpu - start.cpu };
}

G_NORETURN static void die(const char *what, Error *err)
{
    fprintf(stderr, "bench-mapped-ram: %s: %s\n", what,
            err ? err->message : "failed");
    exit(1);
}

typedef struct Guest {
    Vm *vm;
    RamBlock *rb;
    Ram *ram;
} Guest;

static Guest guest_new(uint64_t bytes)
{
    RamBacking backing = { .size = bytes, .fd = -1, .huge = true };
    RamOptions options = { .detect_zero_pages = true, .mapped_ram = true };
    Error *err = NULL;
    Guest g = { .vm = vm_new() };

    g.rb = memory_ram_new(g.vm->memory, "ram", &backing, &err);
    if (!g.rb) {
        die("guest memory", err);
    }
    vm_lock(g.vm);
    g.ram = ram_new(g.vm, clock_host());
    ram_set_options(g.ram, &options);
    vm_unlock(g.vm);
    return g;
}

static void guest_free(Guest *g)
{
    vm_lock(g->vm);
    ram_free(g->ram);
    savevm_destroy(g->vm);
    vm_unlock(g->vm);
    vm_free(g->vm);
}

static void fill_random(uint8_t *p, uint64_t bytes)
{
    uint64_t x = 88172645463325252;

    for (uint64_t i = 0; i < bytes; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(p + i, &x, 8);
    }
}

/* ---- a migration into the file, and out of it ---- */

static Cost bench_save(Guest *g, const char *path)
{
    Error *err = NULL;
    Cost start = cost_now();
    IoChannel *ch = io_channel_new_file(path, O_WRONLY | O_CREAT | O_TRUNC,
                                        0600, &err);
    MigIterate res = MIG_ITERATE_MORE;
    MigStream *s;
    SaveVM *sv;

    if (!ch) {
        die("creating", err);
    }
    s = mig_stream_new_output(ch, clock_host());
    sv = savevm_new(g->vm, s, &config);
    vm_lock(g->vm);
    if (!savevm_write_header(sv, &err) || !savevm_setup(sv, &err)) {
        die("set-up", err);
    }
    vm_unlock(g->vm);
    while (res == MIG_ITERATE_MORE) {
        res = savevm_iterate(sv, &err);
    }
    vm_lock(g->vm);
    if (res == MIG_ITERATE_ERROR || !savevm_complete_live(sv, &err) ||
        !savevm_save_devices(sv, NULL, &err) || !savevm_write_end(sv, &err) ||
        !io_channel_close(ch, &err)) {
        die("saving", err);
    }
    savevm_cleanup(sv);
    vm_unlock(g->vm);
    savevm_free(sv);
    mig_stream_free(s);
    io_channel_unref(ch);
    return cost_since(start);
}

static Cost bench_load(Guest *g, const char *path, uint64_t bytes)
{
    Guest dst = guest_new(bytes);
    Error *err = NULL;
    Cost start = cost_now();
    IoChannel *ch = io_channel_new_file(path, O_RDONLY, 0, &err);
    MigStream *s;
    LoadVM *lv;
    Cost took;

    if (!ch) {
        die("opening", err);
    }
    s = mig_stream_new_input(ch);
    lv = loadvm_new(dst.vm, s, &config, &load_ops, NULL);
    if (!loadvm_run(lv, &err)) {
        die("loading", err);
    }
    took = cost_since(start);
    vm_lock(dst.vm);
    loadvm_free(lv);
    vm_unlock(dst.vm);
    mig_stream_free(s);
    io_channel_unref(ch);
    if (memcmp(g->rb->host, dst.rb->host, bytes) != 0) {
        die("comparing", NULL);
    }
    guest_free(&dst);
    return took;
}

/* ---- the same bytes, plainly ---- */

static Cost plain_write(Guest *g, const char *path, uint64_t bytes)
{
    Cost start = cost_now();
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    for (uint64_t at = 0; at < bytes; at += RAW_CHUNK) {
        if (write(fd, g->rb->host + at, RAW_CHUNK) != RAW_CHUNK) {
            die("plain write", NULL);
        }
    }
    if (fdatasync(fd) < 0 || close(fd) < 0) {
        die("plain write", NULL);
    }
    return cost_since(start);
}

static Cost plain_read(const char *path, uint64_t bytes)
{
    Guest dst = guest_new(bytes);
    Cost start = cost_now(), took;
    int fd = open(path, O_RDONLY);

    for (uint64_t at = 0; at < bytes; at += RAW_CHUNK) {
        if (read(fd, dst.rb->host + at, RAW_CHUNK) != RAW_CHUNK) {
            die("plain read", NULL);
        }
    }
    close(fd);
    took = cost_since(start);
    guest_free(&dst);
    return took;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of each of the two. */
static Cost median(const Cost *cost)
{
    double wall[ROUNDS], cpu[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        wall[i] = cost[i].wall;
        cpu[i] = cost[i].cpu;
    }
    qsort(wall, ROUNDS, sizeof(*wall), compare_doubles);
    qsort(cpu, ROUNDS, sizeof(*cpu), compare_doubles);
    return (Cost) { wall[ROUNDS / 2], cpu[ROUNDS / 2] };
}

/* One row of the table and its part of the JSON. */
static void report(GString *json, const char *folder, const char *what,
                   Cost plain, Cost ours, uint64_t bytes)
{
    printf("%-24.24s %-6s %10.0f %10.0f %8.2f %8.2f %8.2f\n", folder, what,
           bytes / plain.wall / 1e6, bytes / ours.wall / 1e6,
           plain.wall / ours.wall, plain.cpu / ours.cpu, 0.8);
    g_string_append_printf(json, "%s{\"folder\": \"%s\", \"what\": \"%s\", "
                           "\"plain_bps\": %.0f, \"mapped_bps\": %.0f, "
                           "\"ratio\": %.3f, \"cpu_ratio\": %.3f}",
                           json->len ? ", " : "", folder, what,
                           bytes / plain.wall, bytes / ours.wall,
                           plain.wall / ours.wall, plain.cpu / ours.cpu);
}

static void bench_folder(Guest *g, const char *folder, uint64_t bytes,
                         GString *json)
{
    g_autofree char *ours = g_strdup_printf("%s/bench-mapped-ram.%d", folder,
                                            getpid());
    g_autofree char *plain = g_strconcat(ours, ".plain", NULL);
    Cost saved[ROUNDS], written[ROUNDS], loaded[ROUNDS], got[ROUNDS];

    /* Whoever comes second finds the host's memory as the first left it. */
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 2) {
            saved[i] = bench_save(g, ours);
            unlink(ours);
        }
        written[i] = plain_write(g, plain, bytes);
        unlink(plain);
        if (i % 2 == 0) {
            saved[i] = bench_save(g, ours);
            unlink(ours);
        }
    }
    bench_save(g, ours);
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 2) {
            loaded[i] = bench_load(g, ours, bytes);
        }
        got[i] = plain_read(ours, bytes);
        if (i % 2 == 0) {
            loaded[i] = bench_load(g, ours, bytes);
        }
    }
    unlink(ours);
    report(json, folder, "save", median(written), median(saved), bytes);
    report(json, folder, "load", median(got), median(loaded), bytes);
}

int main(int argc, char **argv)
{
    static const char *const folders[] = { "/dev/shm", "." };
    GString *json = g_string_new(NULL);
    uint64_t mib = 1024, bytes;
    int first = 1;
    Guest src;

    if (argc > 2 && strcmp(argv[1], "-m") == 0) {
        mib = CLAMP(strtoull(argv[2], NULL, 10), 1, 1 << 20);
        first = 3;
    }
    bytes = mib * 1024 * 1024;
    src = guest_new(bytes);
    fill_random(src.rb->host, bytes);
    printf("%-24s %-6s %10s %10s %8s %8s %8s\n", "folder", "", "plain MB/s",
           "ours MB/s", "ratio", "cpu", "wanted");
    for (int i = 0; i < (first < argc ? argc - first : 2); i++) {
        bench_folder(&src, first < argc ? argv[first + i] : folders[i], bytes,
                     json);
    }
    guest_free(&src);
    printf("{\"bench\": \"mapped-ram\", \"mib\": %" PRIu64 ", \"rows\": [%s]}"
           "\n", mib, json->str);
    g_string_free(json, TRUE);
    return 0;
}
