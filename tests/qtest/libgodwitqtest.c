/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See the header. One thread a machine; no lock. */
#include "libgodwitqtest.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/patience.h"

#define ANSWER_SECONDS  60
#define MIGRATION_SECONDS 120

typedef struct Line {
    int fd;
    GString *buffer;
} Line;

struct QtsMachine {
    pid_t pid;
    char *dir;
    char *stderr_path;
    Line qtest;
    Line qmp;
    int next_fd;                /* -1: none */
    GQueue events;              /* of json_object * */
};

/* --- sockets and lines --- */

static int listen_at(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(fd, 1) < 0) {
        g_error("cannot listen at %s: %s", path, g_strerror(errno));
    }
    return fd;
}

char *qts_stderr(const QtsMachine *m)
{
    char *text = NULL;

    g_file_get_contents(m->stderr_path, &text, NULL, NULL);
    return text ? text : g_strdup("");
}

static void die_of(QtsMachine *m, const char *what)
{
    g_autofree char *said = qts_stderr(m);

    g_error("process %d: %s; it said: %s", m->pid, what, said);
}

static void wait_readable(QtsMachine *m, int fd, const char *what)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };

    for (int tenths = 0; tenths < test_patience(ANSWER_SECONDS * 10); tenths++) {
        if (poll(&pfd, 1, 100) > 0) {
            return;
        }
        if (waitpid(m->pid, NULL, WNOHANG | __WALL) == m->pid) {
            die_of(m, "ended");
        }
    }
    die_of(m, what);
}

static int accept_at(QtsMachine *m, int listener, const char *what)
{
    int fd;

    wait_readable(m, listener, what);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    close(listener);
    return fd;
}

static char *read_line(QtsMachine *m, Line *line)
{
    for (;;) {
        char *end = memchr(line->buffer->str, '\n', line->buffer->len);
        char chunk[65536];
        ssize_t n;

        if (end) {
            size_t len = end - line->buffer->str;
            char *text = g_strndup(line->buffer->str, len);

            g_string_erase(line->buffer, 0, len + 1);
            return text;
        }
        wait_readable(m, line->fd, "does not answer");
        n = read(line->fd, chunk, sizeof(chunk));
        if (n <= 0) {
            die_of(m, "closed its socket");
        }
        g_string_append_len(line->buffer, chunk, n);
    }
}

static void send_text(QtsMachine *m, Line *line, const char *text, size_t len)
{
    while (len > 0) {
        struct iovec iov = { .iov_base = (void *)text, .iov_len = len };
        char control[CMSG_SPACE(sizeof(int))] = { 0 };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (line == &m->qmp && m->next_fd >= 0) {
            struct cmsghdr *cmsg;

            msg.msg_control = control;
            msg.msg_controllen = sizeof(control);
            cmsg = CMSG_FIRSTHDR(&msg);
            cmsg->cmsg_level = SOL_SOCKET;
            cmsg->cmsg_type = SCM_RIGHTS;
            cmsg->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(cmsg), &m->next_fd, sizeof(int));
            m->next_fd = -1;
        }
        n = sendmsg(line->fd, &msg, MSG_NOSIGNAL);
        if (n < 0) {
            die_of(m, "takes no commands");
        }
        text += n;
        len -= n;
    }
}

/* --- life --- */

static QtsMachine *start(bool run_guest, const char *args)
{
    const char *binary = g_getenv("GODWIT_BINARY");
    QtsMachine *m = g_new0(QtsMachine, 1);
    g_autofree char *qtest = NULL, *qmp = NULL, *command = NULL;
    int qtest_listener, qmp_listener;

    if (!binary) {
        g_error("GODWIT_BINARY is not set");
    }
    m->dir = qts_tmpdir();
    m->next_fd = -1;
    m->stderr_path = g_strdup_printf("%s/stderr", m->dir);
    qtest = g_strdup_printf("%s/qtest", m->dir);
    qmp = g_strdup_printf("%s/qmp", m->dir);
    qtest_listener = listen_at(qtest);
    qmp_listener = listen_at(qmp);
    command = g_strdup_printf(
        "exec %s -qtest unix:%s -qtest-log /dev/null "
        "-chardev socket,path=%s,id=char0 -mon chardev=char0,mode=control "
        "-display none -audio none -run-with exit-with-parent=on %s%s "
        "2>%s", binary, qtest, qmp, args, run_guest ? "" : " -accel qtest",
        m->stderr_path);

    m->pid = fork();
    if (m->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl("/bin/sh", "sh", "-c", command, NULL);
        _exit(127);
    }
    m->qtest = (Line) { accept_at(m, qtest_listener, "opens no qtest socket"),
                        g_string_new(NULL) };
    m->qmp = (Line) { accept_at(m, qmp_listener, "opens no QMP socket"),
                      g_string_new(NULL) };
    g_free(read_line(m, &m->qmp));      /* the greeting */
    qts_qmp_do(m, "qmp_capabilities", NULL);
    return m;
}

QtsMachine *qts_start(const char *args, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, args);
    text = g_strdup_vprintf(args, ap);
    va_end(ap);
    return start(false, text);
}

QtsMachine *qts_start_running(const char *args, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, args);
    text = g_strdup_vprintf(args, ap);
    va_end(ap);
    return start(true, text);
}

static void destroy(QtsMachine *m)
{
    close(m->qtest.fd);
    close(m->qmp.fd);
    g_string_free(m->qtest.buffer, TRUE);
    g_string_free(m->qmp.buffer, TRUE);
    while (!g_queue_is_empty(&m->events)) {
        json_object_put(g_queue_pop_head(&m->events));
    }
    qts_tmpdir_remove(m->dir);
    g_free(m->stderr_path);
    g_free(m);
}

/* Its exit status, or 128 and the signal that ended it. */
static int await_end(QtsMachine *m)
{
    int status = 0;

    for (int i = 0; i < test_patience(ANSWER_SECONDS * 100); i++) {
        if (waitpid(m->pid, &status, WNOHANG) == m->pid) {
            return WIFEXITED(status) ? WEXITSTATUS(status)
                                     : 128 + WTERMSIG(status);
        }
        g_usleep(10000);
    }
    die_of(m, "does not end");
    return -1;
}

int qts_wait_exit(QtsMachine *m)
{
    int status = await_end(m);

    destroy(m);
    return status;
}

void qts_quit(QtsMachine *m)
{
    if (m) {
        kill(m->pid, SIGTERM);
        if (await_end(m) != 0) {
            die_of(m, "ended with an error");
        }
        destroy(m);
    }
}

void qts_kill(QtsMachine *m)
{
    if (m) {
        kill(m->pid, SIGKILL);
        waitpid(m->pid, NULL, 0);
        destroy(m);
    }
}

pid_t qts_pid(const QtsMachine *m)
{
    return m->pid;
}

/* --- QMP --- */

static json_object *read_message(QtsMachine *m)
{
    g_autofree char *line = read_line(m, &m->qmp);
    json_object *message = json_tokener_parse(line);

    if (!message) {
        g_error("process %d: not JSON: %s", m->pid, line);
    }
    return message;
}

static json_object *qmp_va(QtsMachine *m, const char *command,
                           const char *json_args, va_list ap)
{
    g_autofree char *args = json_args ? g_strdup_vprintf(json_args, ap) : NULL;
    g_autofree char *text = g_strdup_printf(
        "{\"execute\": \"%s\"%s%s}\n", command, args ? ", \"arguments\": " : "",
        args ? args : "");

    send_text(m, &m->qmp, text, strlen(text));
    for (;;) {
        json_object *message = read_message(m);

        if (!json_object_object_get_ex(message, "event", NULL)) {
            return message;
        }
        g_queue_push_tail(&m->events, message);
    }
}

json_object *qts_qmp(QtsMachine *m, const char *command, const char *json_args,
                     ...)
{
    json_object *reply;
    va_list ap;

    va_start(ap, json_args);
    reply = qmp_va(m, command, json_args, ap);
    va_end(ap);
    return reply;
}

json_object *qts_qmp_ok(QtsMachine *m, const char *command,
                        const char *json_args, ...)
{
    json_object *reply, *value;
    va_list ap;

    va_start(ap, json_args);
    reply = qmp_va(m, command, json_args, ap);
    va_end(ap);
    if (!json_object_object_get_ex(reply, "return", &value)) {
        g_error("%s: %s", command, json_object_to_json_string(reply));
    }
    json_object_get(value);
    json_object_put(reply);
    return value;
}

char *qts_qmp_error(QtsMachine *m, const char *command, const char *json_args,
                    ...)
{
    json_object *reply, *desc;
    char *text;
    va_list ap;

    va_start(ap, json_args);
    reply = qmp_va(m, command, json_args, ap);
    va_end(ap);
    desc = qts_get(reply, "error.desc");
    if (!desc) {
        g_error("%s: expected an error, got %s", command,
                json_object_to_json_string(reply));
    }
    text = g_strdup(json_object_get_string(desc));
    json_object_put(reply);
    return text;
}

void qts_send_fd(QtsMachine *m, int fd)
{
    m->next_fd = fd;
}

static bool is_event(json_object *message, const char *name)
{
    json_object *event = qts_get(message, "event");

    return event && g_str_equal(json_object_get_string(event), name);
}

static GList *find_event(QtsMachine *m, const char *name)
{
    for (GList *l = m->events.head; l; l = l->next) {
        if (is_event(l->data, name)) {
            return l;
        }
    }
    return NULL;
}

json_object *qts_wait_event(QtsMachine *m, const char *name)
{
    GList *found;

    while (!(found = find_event(m, name))) {
        json_object *message = read_message(m);

        if (!qts_get(message, "event")) {
            g_error("an answer that nobody asked for: %s",
                    json_object_to_json_string(message));
        }
        g_queue_push_tail(&m->events, message);
    }
    json_object *event = found->data;

    g_queue_delete_link(&m->events, found);
    return event;
}

unsigned qts_count_events(QtsMachine *m, const char *name)
{
    unsigned count = 0;

    for (GList *l = m->events.head; l; l = l->next) {
        count += is_event(l->data, name);
    }
    return count;
}

json_object *qts_get(json_object *obj, const char *path)
{
    g_auto(GStrv) names = g_strsplit(path, ".", -1);

    for (char **name = names; *name && obj; name++) {
        json_object *member = NULL;

        if (json_object_is_type(obj, json_type_object)) {
            json_object_object_get_ex(obj, *name, &member);
        }
        obj = member;
    }
    return obj;
}

/* --- qtest --- */

static char *qtest_command(QtsMachine *m, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);

/* What follows "OK" (and a blank) in the answer. */
static char *qtest_command(QtsMachine *m, const char *fmt, ...)
{
    g_autofree char *text = NULL, *answer = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    send_text(m, &m->qtest, text, strlen(text));
    answer = read_line(m, &m->qtest);
    if (!g_str_has_prefix(answer, "OK")) {
        g_error("qtest: %.60s -> %s", text, answer);
    }
    return g_strdup(answer[2] ? answer + 3 : "");
}

static uint64_t qtest_read(QtsMachine *m, char width, uint64_t addr)
{
    g_autofree char *value = qtest_command(m, "read%c 0x%" PRIx64 "\n", width,
                                           addr);

    return g_ascii_strtoull(value, NULL, 16);
}

static void qtest_write(QtsMachine *m, char width, uint64_t addr, uint64_t val)
{
    g_free(qtest_command(m, "write%c 0x%" PRIx64 " 0x%" PRIx64 "\n", width,
                         addr, val));
}

uint8_t qts_readb(QtsMachine *m, uint64_t addr)
{
    return qtest_read(m, 'b', addr);
}

uint16_t qts_readw(QtsMachine *m, uint64_t addr)
{
    return qtest_read(m, 'w', addr);
}

uint32_t qts_readl(QtsMachine *m, uint64_t addr)
{
    return qtest_read(m, 'l', addr);
}

uint64_t qts_readq(QtsMachine *m, uint64_t addr)
{
    return qtest_read(m, 'q', addr);
}

void qts_writeb(QtsMachine *m, uint64_t addr, uint8_t val)
{
    qtest_write(m, 'b', addr, val);
}

void qts_writew(QtsMachine *m, uint64_t addr, uint16_t val)
{
    qtest_write(m, 'w', addr, val);
}

void qts_writel(QtsMachine *m, uint64_t addr, uint32_t val)
{
    qtest_write(m, 'l', addr, val);
}

void qts_writeq(QtsMachine *m, uint64_t addr, uint64_t val)
{
    qtest_write(m, 'q', addr, val);
}

void qts_memread(QtsMachine *m, uint64_t addr, void *buf, size_t len)
{
    g_autofree char *hex = qtest_command(m, "read 0x%" PRIx64 " 0x%zx\n", addr,
                                         len);

    if (strlen(hex) != 2 + 2 * len) {
        g_error("qtest: read of %zu bytes gave %zu digits", len, strlen(hex));
    }
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)buf)[i] = g_ascii_xdigit_value(hex[2 + 2 * i]) << 4 |
                              g_ascii_xdigit_value(hex[3 + 2 * i]);
    }
}

void qts_memwrite(QtsMachine *m, uint64_t addr, const void *buf, size_t len)
{
    GString *hex = g_string_sized_new(2 * len + 1);

    for (size_t i = 0; i < len; i++) {
        g_string_append_printf(hex, "%02x", ((const uint8_t *)buf)[i]);
    }
    g_free(qtest_command(m, "write 0x%" PRIx64 " 0x%zx 0x%s\n", addr, len,
                         hex->str));
    g_string_free(hex, TRUE);
}

int64_t qts_clock_step(QtsMachine *m, int64_t ns)
{
    g_autofree char *now = qtest_command(m, "clock_step %" PRId64 "\n", ns);

    return g_ascii_strtoll(now, NULL, 10);
}

/* --- migration --- */

json_object *qts_wait_migration(QtsMachine *m, const char *const *statuses)
{
    const char *status = "none";

    for (int i = 0; i < test_patience(MIGRATION_SECONDS * 100); i++) {
        json_object *info = qts_qmp_ok(m, "query-migrate", NULL);
        json_object *value = qts_get(info, "status");

        status = value ? json_object_get_string(value) : "none";
        if (g_strv_contains(statuses, status)) {
            return info;
        }
        if (g_str_equal(status, "failed")) {
            g_error("the migration failed: %s",
                    json_object_to_json_string(info));
        }
        json_object_put(info);
        g_usleep(10000);
    }
    g_error("the migration did not get to '%s' in time", statuses[0]);
}

uint64_t qts_check_pattern(QtsMachine *m, uint64_t start_offset,
                           uint64_t bytes)
{
    uint64_t high = 0, low = 0;
    bool dropped = false;

    for (uint64_t at = 0; at < bytes; at += QTS_PAGE) {
        uint64_t addr = QTS_RAM_BASE + start_offset + at;
        uint64_t first = qts_readq(m, addr);
        uint64_t last = qts_readq(m, addr + QTS_PAGE - 8);
        bool torn = last != ~first;

        /* Untouched pages are all zero; the page in work may be half done. */
        if (torn && !(first == 0 && last == 0) && last != ~(first - 1) &&
            !(first == 1 && last == 0)) {
            g_error("page 0x%" PRIx64 ": counters %" PRIu64 " and ~%" PRIu64,
                    addr, first, ~last);
        }
        if (at == 0) {
            high = low = first;
        } else if (first != low) {
            if (dropped || first != high - 1) {
                g_error("page 0x%" PRIx64 ": counter %" PRIu64 ", expected "
                        "%" PRIu64 "%s", addr, first, low,
                        dropped ? "" : " or one less");
            }
            dropped = true;
            low = first;
        }
    }
    return low;
}

/* --- files --- */

char *qts_tmpdir(void)
{
    GError *err = NULL;
    char *dir = g_dir_make_tmp("godwit-qtest-XXXXXX", &err);

    if (!dir) {
        g_error("%s", err->message);
    }
    return dir;
}

void qts_tmpdir_remove(char *dir)
{
    GDir *list = g_dir_open(dir, 0, NULL);
    const char *name;

    while (list && (name = g_dir_read_name(list))) {
        g_autofree char *path = g_build_filename(dir, name, NULL);

        g_unlink(path);
    }
    if (list) {
        g_dir_close(list);
    }
    g_rmdir(dir);
    g_free(dir);
}

bool qts_pattern_image(const char *path, uint64_t area_bytes,
                       uint64_t pages_per_second, uint64_t print_ms,
                       bool noise)
{
    const uint64_t params[] = {
        1 << 20, area_bytes, pages_per_second, print_ms, noise, 0,
    };
    const char *source = g_getenv("GODWIT_PATTERN");
    g_autofree char *image = NULL;
    gsize len;

    if (!source || !g_file_get_contents(source, &image, &len, NULL)) {
        return false;
    }
    g_assert_cmpuint(len, >=, 16 + sizeof(params));
    g_assert_true(memcmp(image + 8, "GWPATTRN", 8) == 0);
    memcpy(image + 16, params, sizeof(params));
    g_assert_true(g_file_set_contents(path, image, len, NULL));
    return true;
}
