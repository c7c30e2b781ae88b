/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The qtest server: lines from a chardev (-qtest), the commands they are
 * (qtest-commands.c), the answers back, and a record of both (-qtest-log).
 * Main loop, big lock.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chardev/char.h"
#include "system/cli-int.h"
#include "system/qtest-int.h"

/* A line may carry so many bytes as hexadecimal digits, and a few words. */
#define LINE_MAX_BYTES (2 * QTEST_BYTES_MAX + 256)

/* No further command is read while so much waits to be sent. */
#define OUTPUT_HIGH_BYTES (1 << 20)

struct QtestServer {
    char *chardev;              /* -qtest */
    char *log_path;             /* -qtest-log; NULL: stderr, "none": no log */

    Chardev *chr;
    FILE *log;                  /* NULL: none */
    int64_t opened_ns;
    GString *input;             /* the line that is not complete yet */
    bool too_long;              /* its rest is dropped */
    GString *output;
    gsize sent;                 /* of output */
};

static void log_text(struct QtestServer *qtest, char kind, const char *text)
{
    if (qtest->log) {
        double s = (double)(clock_now_ns(clock_host()) - qtest->opened_ns) /
            1e9;

        fprintf(qtest->log, "[%c +%.6f] %s\n", kind, s, text);
        fflush(qtest->log);
    }
}

static void flush(void *opaque)
{
    struct QtestServer *qtest = ((Vm *)opaque)->qtest;

    while (qtest->sent < qtest->output->len) {
        size_t taken = chardev_write(qtest->chr,
                                     qtest->output->str + qtest->sent,
                                     qtest->output->len - qtest->sent);

        qtest->sent += taken;
        if (taken == 0) {
            return;
        }
    }
    g_string_truncate(qtest->output, 0);
    qtest->sent = 0;
    chardev_accept_input(qtest->chr);
}

static size_t can_read(void *opaque)
{
    struct QtestServer *qtest = ((Vm *)opaque)->qtest;

    return qtest->output->len - qtest->sent > OUTPUT_HIGH_BYTES ? 0 : 65536;
}

static void end_of_line(Vm *vm, struct QtestServer *qtest)
{
    gsize start = qtest->output->len;

    if (qtest->too_long) {
        g_string_append_printf(qtest->output, "FAIL a line has at most %"
                               G_GUINT64_FORMAT " bytes\n", LINE_MAX_BYTES);
    } else {
        log_text(qtest, 'R', qtest->input->str);
        qtest_execute(vm, qtest->input->str, qtest->output);
    }
    if (qtest->log) {
        g_autofree char *answer = g_strndup(qtest->output->str + start,
                                            qtest->output->len - start - 1);

        log_text(qtest, 'S', answer);
    }
    g_string_truncate(qtest->input, 0);
    qtest->too_long = false;
}

static void on_read(void *opaque, const uint8_t *buf, size_t len)
{
    Vm *vm = opaque;
    struct QtestServer *qtest = vm->qtest;

    while (len > 0) {
        const uint8_t *end = memchr(buf, '\n', len);
        size_t part = end ? (size_t)(end - buf) : len;

        if (qtest->input->len + part > LINE_MAX_BYTES) {
            qtest->too_long = true;
        }
        if (!qtest->too_long) {
            g_string_append_len(qtest->input, (const char *)buf,
                                (gssize)part);
        }
        if (end) {
            end_of_line(vm, qtest);
            part++;
        }
        buf += part;
        len -= part;
    }
    flush(vm);
}

static void on_event(void *opaque, ChardevEvent event)
{
    struct QtestServer *qtest = ((Vm *)opaque)->qtest;

    if (event == CHARDEV_OPENED) {
        qtest->opened_ns = clock_now_ns(clock_host());
        log_text(qtest, 'I', "OPENED");
    } else if (event == CHARDEV_CLOSED) {
        /* What the last client left unfinished is not the next one's. */
        g_string_truncate(qtest->input, 0);
        g_string_truncate(qtest->output, 0);
        qtest->sent = 0;
        qtest->too_long = false;
        log_text(qtest, 'I', "CLOSED");
    }
}

static const ChardevFront front = {
    .can_read = can_read,
    .read = on_read,
    .event = on_event,
    .can_write = flush,
};

static bool parse_qtest(Vm *vm, const char *argument, Error **errp)
{
    (void)errp;
    cli_set_text(&vm->qtest->chardev, argument);
    return true;
}

static bool parse_qtest_log(Vm *vm, const char *argument, Error **errp)
{
    (void)errp;
    cli_set_text(&vm->qtest->log_path, argument);
    return true;
}

static const CliOption options[] = {
    { "qtest", "DEV",
      "take commands of the qtest protocol from a character device\n"
      "(unix:PATH, chardev:ID, ...)",
      parse_qtest },
    { "qtest-log", "FILE|none",
      "where commands and answers are written down; default is stderr",
      parse_qtest_log },
    { NULL, NULL, NULL, NULL }
};

static bool qtest_create(Vm *vm, Error **errp)
{
    (void)errp;
    vm->qtest = g_new0(struct QtestServer, 1);
    vm->qtest->input = g_string_new(NULL);
    vm->qtest->output = g_string_new(NULL);
    return true;
}

static bool open_log(struct QtestServer *qtest, Error **errp)
{
    if (!qtest->log_path) {
        qtest->log = stderr;
    } else if (strcmp(qtest->log_path, "none")) {
        qtest->log = fopen(qtest->log_path, "we");
        if (!qtest->log) {
            error_setg_errno(errp, errno, "-qtest-log: cannot write '%s'",
                             qtest->log_path);
            return false;
        }
    }
    return true;
}

static bool qtest_configure(Vm *vm, Error **errp)
{
    struct QtestServer *qtest = vm->qtest;

    if (!qtest->chardev) {
        return true;
    }
    if (!open_log(qtest, errp)) {
        return false;
    }
    qtest->chr = chardev_new_from_short(vm, "qtest", qtest->chardev, errp);
    if (!qtest->chr || !chardev_attach(qtest->chr, &front, vm, errp)) {
        error_prepend(errp, "-qtest %s: ", qtest->chardev);
        qtest->chr = NULL;
        return false;
    }
    return true;
}

static void qtest_destroy(Vm *vm)
{
    struct QtestServer *qtest = vm->qtest;

    if (!qtest) {
        return;
    }
    if (qtest->chr) {
        chardev_detach(qtest->chr);
    }
    if (qtest->log && qtest->log != stderr) {
        fclose(qtest->log);
    }
    g_string_free(qtest->input, TRUE);
    g_string_free(qtest->output, TRUE);
    g_free(qtest->chardev);
    g_free(qtest->log_path);
    g_clear_pointer(&vm->qtest, g_free);
}

const VmModule qtest_module = {
    .name = "Tests",
    .options = options,
    .create = qtest_create,
    .configure = qtest_configure,
    .destroy = qtest_destroy,
};
