/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks a QMP monitor for query-migrate and measures how long each answer
 * takes: a client that costs next to nothing, so that what is measured is the
 * server.
 *
 *   ask-migrate SOCKET PER-SECOND COUNT
 *   ask-migrate SOCKET
 *
 * The first is the client: it negotiates, says "ready" and waits for a line on
 * stdin. Then it asks PER-SECOND times a second, or without a pause if 0, until
 * COUNT answers have come, or if 0 until the migration has ended. The times are
 * printed as a JSON list of nanoseconds. An answer ends with the line; events in
 * between are not counted.
 *
 * The second is a server to compare with: it says "ready", and answers whatever
 * it is asked with as many bytes and no thought, one client after the other.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SEC INT64_C(1000000000)
#define QUERIES_MAX 1000000
#define LINE_MAX_BYTES (1u << 20)
/* Of what query-migrate says of a guest without devices. */
#define ANSWER_BYTES 660

typedef struct Client {
    int fd;
    size_t used;        /* bytes of buf that were received */
    size_t line;        /* bytes of buf that are the line in hand */
    char buf[LINE_MAX_BYTES];
} Client;

static Client client;
static uint32_t times_ns[QUERIES_MAX];

static void die(const char *what)
{
    fprintf(stderr, "ask-migrate: %s: %s\n", what,
            errno ? strerror(errno) : "not as expected");
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

static void sleep_until(int64_t when_ns)
{
    struct timespec ts = { when_ns / NS_PER_SEC, when_ns % NS_PER_SEC };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) ==
           EINTR) {
    }
}

/* A socket of its own kind, connected to @path or listening there. */
static int open_socket(const char *path, bool server)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(addr.sun_path)) {
        errno = ENAMETOOLONG;
        die(path);
    }
    strcpy(addr.sun_path, path);
    if (fd < 0 ||
        (server ? bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
                  listen(fd, 1) < 0
                : connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)) {
        die(path);
    }
    return fd;
}

static void answer(int fd)
{
    static char request[4096], reply[ANSWER_BYTES];
    static const char greeting[] = "{\"QMP\": {}}\r\n";
    ssize_t ok = write(fd, greeting, sizeof(greeting) - 1);

    memset(reply, ' ', sizeof(reply));
    memcpy(reply, "{\"return\": {", 12);
    memcpy(reply + sizeof(reply) - 4, "}}\r\n", 4);
    while (ok > 0 && read(fd, request, sizeof(request)) > 0) {
        ok = write(fd, reply, sizeof(reply));
    }
    close(fd);
}

/* Until it is killed. */
static void serve(const char *path)
{
    int listener = open_socket(path, true);
    int fd;

    puts("ready");
    fflush(stdout);
    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        answer(fd);
    }
    die(path);
}

/* The next line: NUL-ended and without its CR LF, until the next call. */
static const char *read_line(Client *c)
{
    char *end;

    c->used -= c->line;
    memmove(c->buf, c->buf + c->line, c->used);
    while (!(end = memchr(c->buf, '\n', c->used))) {
        ssize_t got = read(c->fd, c->buf + c->used,
                           sizeof(c->buf) - c->used);

        if (got <= 0) {
            errno = got ? errno : ECONNRESET;
            die("reading from the monitor");
        }
        c->used += (size_t)got;
    }
    c->line = (size_t)(end - c->buf) + 1;
    if (c->line < 2 || end[-1] != '\r') {
        errno = 0;
        die("the end of a line");
    }
    end[-1] = '\0';
    return c->buf;
}

static const char *ask(Client *c, const char *request)
{
    const char *line;

    if (write(c->fd, request, strlen(request)) != (ssize_t)strlen(request)) {
        die("writing to the monitor");
    }
    do {
        line = read_line(c);
    } while (strncmp(line, "{\"timestamp\"", 12) == 0);
    if (strncmp(line, "{\"return\"", 9) != 0) {
        errno = 0;
        die(line);
    }
    return line;
}

static bool has_ended(const char *line)
{
    return strstr(line, "\"status\":\"completed\"") ||
           strstr(line, "\"status\":\"failed\"");
}

static long number(const char *text, long max)
{
    char *end;
    long res = strtol(text, &end, 10);

    if (end == text || *end || res < 0 || res > max) {
        errno = ERANGE;
        die(text);
    }
    return res;
}

int main(int argc, char **argv)
{
    int64_t pause_ns, next_ns, begin_ns;
    long per_second, count, done = 0;
    bool ended = false;

    if (argc == 2) {
        serve(argv[1]);
    }
    if (argc != 4) {
        fputs("usage: ask-migrate SOCKET [PER-SECOND COUNT]\n", stderr);
        return 1;
    }
    per_second = number(argv[2], NS_PER_SEC);
    count = number(argv[3], QUERIES_MAX);
    pause_ns = per_second ? NS_PER_SEC / per_second : 0;

    client.fd = open_socket(argv[1], false);
    if (strncmp(read_line(&client), "{\"QMP\"", 6) != 0) {
        errno = 0;
        die("the greeting");
    }
    ask(&client, "{\"execute\":\"qmp_capabilities\"}\n");
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF) {
        return 1;
    }

    next_ns = now_ns();
    while (!ended && done < QUERIES_MAX) {
        const char *line;
        int64_t took_ns;

        begin_ns = now_ns();
        line = ask(&client, "{\"execute\":\"query-migrate\"}\n");
        took_ns = now_ns() - begin_ns;
        times_ns[done++] = (uint32_t)(took_ns < UINT32_MAX ? took_ns
                                                           : UINT32_MAX);
        ended = count ? done == count : has_ended(line);
        if (pause_ns) {
            /* Who falls behind does not make up for it. */
            next_ns += pause_ns;
            if (next_ns < begin_ns + took_ns) {
                next_ns = begin_ns + took_ns;
            }
            sleep_until(next_ns);
        }
    }
    for (long i = 0; i < done; i++) {
        printf("%s%u", i ? "," : "[", times_ns[i]);
    }
    puts("]");
    return 0;
}
