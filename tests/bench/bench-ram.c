/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast guest memory moves, against what the machine can do, in one run:
 *
 * - incompressible memory over tcp loopback, through the module "ram" and the
 *   real loader, against a plain sender and receiver of the same bytes from
 *   the same memory into equally prepared memory;
 * - zero memory through the sender, against reading the same memory once.
 *
 * bench-ram [MIB]   default 2048. Prints a table, then JSON on one line.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/channel.h"
#include "migration/ram.h"
#include "migration/savevm.h"
#include "migration/stream-owner.h"
#include "util/thread.h"

#define ROUNDS 5
#define RATIO_WANTED 0.8        /* of the plain sender and receiver */
#define ZERO_RATIO_WANTED 0.7   /* of reading once */
#define RAW_CHUNK (2 * 1024 * 1024)

static const SaveVMConfig config = { .machine = "bench" };
static const LoadVMOps load_ops = { 0 };

static double now_s(void)
{
    return clock_now_ns(clock_host()) / 1e9;
}

static void die(const char *what, Error *err)
{
    fprintf(stderr, "bench-ram: %s: %s\n", what, err ? err->message : "failed");
    exit(1);
}

/* A connected pair over 127.0.0.1. */
static void tcp_pair(int fds[2])
{
    struct sockaddr_in addr = { .sin_family = AF_INET };
    socklen_t len = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener < 0 || bind(listener, (void *)&addr, len) ||
        listen(listener, 1) || getsockname(listener, (void *)&addr, &len)) {
        die("tcp listener", NULL);
    }
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fds[0], (void *)&addr, len)) {
        die("tcp connect", NULL);
    }
    fds[1] = accept(listener, NULL, NULL);
    close(listener);
}

typedef struct Guest {
    Vm *vm;
    RamBlock *rb;
    Ram *ram;
} Guest;

static Guest guest_new(uint64_t bytes)
{
    RamBacking backing = { .size = bytes, .fd = -1 };
    Error *err = NULL;
    Guest g = { .vm = vm_new() };

    g.rb = memory_ram_new(g.vm->memory, "ram", &backing, &err);
    if (!g.rb) {
        die("guest memory", err);
    }
    vm_lock(g.vm);
    g.ram = ram_new(g.vm, clock_host());
    vm_unlock(g.vm);
    return g;
}

/*
 * A destination whose memory is there: whether a page's first touch costs the
 * clearing of a page, or a fault in whatever hypervisor this host runs under as
 * well, is decided by who had that memory last, and not the same for two runs.
 */
static Guest prepared_guest_new(uint64_t bytes)
{
    Guest g = guest_new(bytes);

    memset(g.rb->host, 1, bytes);
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

/* ---- the sender's and the loader's side of a migration ---- */

static void save_all(Guest *g, IoChannel *ch)
{
    MigStream *s = mig_stream_new_output(ch, clock_host());
    SaveVM *sv = savevm_new(g->vm, s, &config);
    MigIterate res = MIG_ITERATE_MORE;
    Error *err = NULL;

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
        !savevm_write_description(sv, &err)) {
        die("saving", err);
    }
    savevm_cleanup(sv);
    vm_unlock(g->vm);
    savevm_free(sv);
    mig_stream_free(s);
}

typedef struct Receiver {
    Guest *guest;
    IoChannel *ch;
    uint8_t *raw;               /* or: plain bytes to here */
    uint64_t raw_bytes;
    int fd;
} Receiver;

static gpointer load_thread(gpointer opaque)
{
    Receiver *r = opaque;
    MigStream *s = mig_stream_new_input(r->ch);
    LoadVM *lv = loadvm_new(r->guest->vm, s, &config, &load_ops, NULL);
    Error *err = NULL;

    if (!loadvm_run(lv, &err)) {
        die("loading", err);
    }
    vm_lock(r->guest->vm);
    loadvm_free(lv);
    vm_unlock(r->guest->vm);
    mig_stream_free(s);
    return NULL;
}

static gpointer raw_thread(gpointer opaque)
{
    Receiver *r = opaque;

    for (uint64_t at = 0; at < r->raw_bytes;) {
        ssize_t n = recv(r->fd, r->raw + at,
                         MIN(RAW_CHUNK, r->raw_bytes - at), 0);

        if (n <= 0) {
            die("raw receive", NULL);
        }
        at += n;
    }
    return NULL;
}

static double bench_migration(Guest *src, uint64_t bytes)
{
    Guest dst = prepared_guest_new(bytes);
    Error *err = NULL;
    IoChannel *out, *in;
    Receiver r = { .guest = &dst };
    GThread *thread;
    double start, took;
    int fds[2];

    tcp_pair(fds);
    out = io_channel_new_fd(fds[0], "src", &err);
    in = io_channel_new_fd(fds[1], "dst", &err);
    r.ch = in;
    start = now_s();
    thread = thread_start("load", load_thread, &r);
    save_all(src, out);
    g_thread_join(thread);
    took = now_s() - start;
    if (memcmp(src->rb->host, dst.rb->host, bytes) != 0) {
        die("comparing", NULL);
    }
    io_channel_unref(out);
    io_channel_unref(in);
    guest_free(&dst);
    return bytes / took;
}

static double bench_raw(Guest *src, uint64_t bytes)
{
    Guest dst = prepared_guest_new(bytes);
    Receiver r = { .raw = dst.rb->host, .raw_bytes = bytes };
    GThread *thread;
    double start, took;
    int fds[2];

    tcp_pair(fds);
    r.fd = fds[1];
    start = now_s();
    thread = thread_start("raw", raw_thread, &r);
    for (uint64_t at = 0; at < bytes;) {
        ssize_t n = send(fds[0], src->rb->host + at,
                         MIN(RAW_CHUNK, bytes - at), 0);

        if (n <= 0) {
            die("raw send", NULL);
        }
        at += n;
    }
    g_thread_join(thread);
    took = now_s() - start;
    close(fds[0]);
    close(fds[1]);
    guest_free(&dst);
    return bytes / took;
}

/* ---- zero memory ---- */

static double bench_zero_save(Guest *src, uint64_t bytes)
{
    Error *err = NULL;
    IoChannel *ch = io_channel_new_file("/dev/null", O_WRONLY, 0, &err);
    double start = now_s();
    double took;

    if (!ch) {
        die("/dev/null", err);
    }
    save_all(src, ch);
    took = now_s() - start;
    io_channel_unref(ch);
    return bytes / took;
}

/* Every word once, four sums at a time so that the adder is no limit. */
static double bench_read(const uint8_t *p, uint64_t bytes)
{
    typedef uint64_t V __attribute__((vector_size(32)));
    const V *v = (const V *)p;
    V a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
    double start = now_s();

    for (uint64_t i = 0; i < bytes / sizeof(V); i += 4) {
        a += v[i];
        b += v[i + 1];
        c += v[i + 2];
        d += v[i + 3];
    }
    a += b + c + d;
    __asm__ volatile("" : : "m"(a));
    return bytes / (now_s() - start);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *v)
{
    qsort(v, ROUNDS, sizeof(*v), compare_doubles);
    return v[ROUNDS / 2];
}

/* Of each round by itself: what else runs on the host comes and goes. */
static double median_ratio(const double *v, const double *reference)
{
    double ratio[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        ratio[i] = v[i] / reference[i];
    }
    return median(ratio);
}

int main(int argc, char **argv)
{
    uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 2048;
    uint64_t bytes = MAX(mib, 1) * 1024 * 1024;
    double raw[ROUNDS], moved[ROUNDS], read_bw[ROUNDS], zero[ROUNDS];
    Guest src = guest_new(bytes);
    double raw_m, moved_m, read_m, zero_m, moved_ratio, zero_ratio;

    fill_random(src.rb->host, bytes);
    for (int i = 0; i < ROUNDS; i++) {
        raw[i] = bench_raw(&src, bytes);
        moved[i] = bench_migration(&src, bytes);
    }
    memset(src.rb->host, 0, bytes);
    for (int i = 0; i < ROUNDS; i++) {
        read_bw[i] = bench_read(src.rb->host, bytes);
        zero[i] = bench_zero_save(&src, bytes);
    }
    guest_free(&src);

    moved_ratio = median_ratio(moved, raw);
    zero_ratio = median_ratio(zero, read_bw);
    raw_m = median(raw);
    moved_m = median(moved);
    read_m = median(read_bw);
    zero_m = median(zero);
    printf("%-44s %10s %8s %8s\n", "RAM", "MB/s", "ratio", "wanted");
    printf("%-44s %10.0f\n", "tcp loopback, plain send and receive",
           raw_m / 1e6);
    printf("%-44s %10.0f %8.2f %8.2f\n", "tcp loopback, migration",
           moved_m / 1e6, moved_ratio, RATIO_WANTED);
    printf("%-44s %10.0f\n", "reading memory once", read_m / 1e6);
    printf("%-44s %10.0f %8.2f %8.2f\n", "zero memory, sender",
           zero_m / 1e6, zero_ratio, ZERO_RATIO_WANTED);
    printf("{\"bench\": \"ram\", \"mib\": %" PRIu64 ", \"raw_bps\": %.0f, "
           "\"migration_bps\": %.0f, \"migration_ratio\": %.3f, "
           "\"read_bps\": %.0f, \"zero_bps\": %.0f, \"zero_ratio\": %.3f}\n",
           mib, raw_m, moved_m, moved_ratio, read_m, zero_m, zero_ratio);
    return moved_ratio >= RATIO_WANTED &&
           zero_ratio >= ZERO_RATIO_WANTED ? 0 : 1;
}
