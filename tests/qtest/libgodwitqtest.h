/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qtest library: starts the program, drives its devices and memory by the
 * qtest protocol and everything else by QMP. Whatever goes wrong in talking to
 * it aborts the test with a message; errors that a test expects are returned.
 *
 * A QtsMachine belongs to one thread.
 */
#ifndef LIBGODWITQTEST_H
#define LIBGODWITQTEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <glib.h>
#include <json-c/json.h>

typedef struct QtsMachine QtsMachine;

/* RAM of board virt starts here, bytes. */
#define QTS_RAM_BASE UINT64_C(0x80000000)
#define QTS_PAGE     UINT64_C(4096)

/*
 * Starts $GODWIT_BINARY (it may be a wrapper) through "sh -c exec", with two
 * sockets that it connects to, qtest first, and the options of @args (printf).
 * Returns when QMP capabilities are negotiated.
 */
QtsMachine *qts_start(const char *args, ...) G_GNUC_PRINTF(1, 2);

/* As qts_start(), without the qtest accelerator: the guest runs. */
QtsMachine *qts_start_running(const char *args, ...) G_GNUC_PRINTF(1, 2);

/* Sends SIGTERM, expects status 0, frees. NULL is fine. */
void qts_quit(QtsMachine *m);

/* SIGKILL, frees. */
void qts_kill(QtsMachine *m);

/* Waits (60 s) until it ends by itself; its exit status; frees. */
int qts_wait_exit(QtsMachine *m);

pid_t qts_pid(const QtsMachine *m);
/* What it wrote to standard error so far; caller frees. */
char *qts_stderr(const QtsMachine *m);

/* --- QMP --- */

/*
 * Executes @command with the arguments @json_args (printf; JSON text of an
 * object, or NULL). Returns the whole reply; events that came first are kept.
 * json_object_put() it.
 */
json_object *qts_qmp(QtsMachine *m, const char *command, const char *json_args,
                     ...) G_GNUC_PRINTF(3, 4);

/* The same; aborts on an error reply; returns the "return" member, owned. */
json_object *qts_qmp_ok(QtsMachine *m, const char *command,
                        const char *json_args, ...) G_GNUC_PRINTF(3, 4);

/* The same; aborts unless it is an error; "desc", caller frees. */
char *qts_qmp_error(QtsMachine *m, const char *command, const char *json_args,
                    ...) G_GNUC_PRINTF(3, 4);

/* As qts_qmp_ok() for nothing to look at. */
#define qts_qmp_do(...) json_object_put(qts_qmp_ok(__VA_ARGS__))

/* Has @fd sent along with the next command. */
void qts_send_fd(QtsMachine *m, int fd);

/* The oldest event @name not taken yet; waits up to 60 s. Owned. */
json_object *qts_wait_event(QtsMachine *m, const char *name);
/* How many events @name have come and were not taken. Does not wait. */
unsigned qts_count_events(QtsMachine *m, const char *name);

/* Member of @obj by a path "ram.remaining"; NULL if there is none. Borrowed. */
json_object *qts_get(json_object *obj, const char *path);

/* --- qtest --- */

uint8_t qts_readb(QtsMachine *m, uint64_t addr);
uint16_t qts_readw(QtsMachine *m, uint64_t addr);
uint32_t qts_readl(QtsMachine *m, uint64_t addr);
uint64_t qts_readq(QtsMachine *m, uint64_t addr);
void qts_writeb(QtsMachine *m, uint64_t addr, uint8_t val);
void qts_writew(QtsMachine *m, uint64_t addr, uint16_t val);
void qts_writel(QtsMachine *m, uint64_t addr, uint32_t val);
void qts_writeq(QtsMachine *m, uint64_t addr, uint64_t val);
void qts_memread(QtsMachine *m, uint64_t addr, void *buf, size_t len);
void qts_memwrite(QtsMachine *m, uint64_t addr, const void *buf, size_t len);
/* Guest time, when it is stepped by hand; nanoseconds; the new time. */
int64_t qts_clock_step(QtsMachine *m, int64_t ns);

/* --- migration --- */

/*
 * Polls query-migrate until its status is one of @statuses (NULL-ended);
 * aborts after 120 s, or at "failed" if that was not asked for. The answer,
 * owned.
 */
json_object *qts_wait_migration(QtsMachine *m, const char *const *statuses);
#define qts_wait_status(m, ...)                                         \
    qts_wait_migration((m), (const char *const[]) { __VA_ARGS__, NULL })

/*
 * Checks the memory of a stopped pattern guest (tests/guest/pattern.c) whose
 * area is [@start, @start + @bytes) from the start of RAM: aborts at the first
 * page that no true copy could have. Returns the lowest counter.
 */
uint64_t qts_check_pattern(QtsMachine *m, uint64_t start, uint64_t bytes);

/* A folder of the test's own, removed by qts_tmpdir_remove(). */
char *qts_tmpdir(void);
void qts_tmpdir_remove(char *dir);

/*
 * Writes a copy of the pattern guest to @path with these parameters (see
 * tests/guest/README.rst). False if there is none: g_test_skip() then.
 */
bool qts_pattern_image(const char *path, uint64_t area_bytes,
                       uint64_t pages_per_second, uint64_t print_ms,
                       bool noise);

#endif
