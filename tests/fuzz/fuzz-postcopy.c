/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A destination that can go into postcopy, whole: what it may be sent by a
 * first connection, and by a second one if the first leaves it paused. The
 * first two bytes say how long the first is.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migration/migration-int.h"
#include "system/runstate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM_PAGES 6

static void do_not_leave(uint64_t pages)
{
    (void)pages;
}

static MigrationStatus status(Vm *vm)
{
    return migration_status(vm->migration, &vm->migration->in_status);
}

/* A guest is not taken over from a source that hangs up: not at once. */
#define PATIENCE 40

static bool has_settled(Vm *vm)
{
    MigrationStatus now = status(vm);

    return now == MIGRATION_STATUS_FAILED ||
           now == MIGRATION_STATUS_COMPLETED ||
           now == MIGRATION_STATUS_POSTCOPY_PAUSED;
}

/* Sends, reads what is answered, until something has come of it. */
static void talk(Vm *vm, int fd, const uint8_t *data, size_t size)
{
    char scrap[4096];
    unsigned idle = 0;
    size_t sent = 0;

    while (sent < size || !has_settled(vm)) {
        ssize_t n = sent < size
            ? send(fd, data + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT)
            : 0;

        if (n > 0) {
            sent += n;
        } else if (n < 0 && errno != EAGAIN) {
            sent = size;
        }
        if (sent == size && ++idle == PATIENCE) {
            shutdown(fd, SHUT_WR);
        }
        if (recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT) <= 0) {
            g_usleep(50);
        }
    }
    close(fd);
}

static IoChannel *connect_pair(int *other)
{
    int fds[2];

    g_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    *other = fds[1];
    return io_channel_new_fd(fds[0], "source", NULL);
}

static void first(Vm *vm, const uint8_t *data, size_t size)
{
    MigEnd end = { .two_way = true, .listen_fd = -1 };
    int fd;

    end.ch = connect_pair(&fd);
    vm_lock(vm);
    g_assert(incoming_start(vm->migration, &end, false, NULL));
    vm_unlock(vm);
    talk(vm, fd, data, size);
}

static void second(Vm *vm, const uint8_t *data, size_t size)
{
    MigEnd end = { .two_way = true, .listen_fd = -1 };
    int fd;

    end.ch = connect_pair(&fd);
    g_assert(incoming_recover(vm->migration, &end, NULL));
    while (status(vm) == MIGRATION_STATUS_POSTCOPY_PAUSED) {
        g_usleep(50);
    }
    talk(vm, fd, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RamBacking ram = { .size = RAM_PAGES * GUEST_PAGE_SIZE, .fd = -1 };
    size_t len;
    Vm *vm;

    if (size < 2) {
        return 0;
    }
    len = MIN(((size_t)data[0] << 8) + data[1], size - 2);
    vm = vm_new();
    vm_lock(vm);
    memory_ram_new(vm->memory, "mem", &ram, NULL);
    migration_new(vm, clock_host());
    vm->migration->leave = do_not_leave;
    vm->migration->options.caps[MIGRATION_CAPABILITY_POSTCOPY_RAM] = true;
    runstate_set(vm, RUN_STATE_INMIGRATE);
    vm_unlock(vm);
    first(vm, data + 2, len);
    if (status(vm) == MIGRATION_STATUS_POSTCOPY_PAUSED && len < size - 2) {
        second(vm, data + 2 + len, size - 2 - len);
    }
    vm_lock(vm);
    if (runstate_is_running(vm)) {
        vm_stop(vm, RUN_STATE_PAUSED);
    }
    migration_free(vm->migration);
    savevm_destroy(vm);
    vm_unlock(vm);
    vm_free(vm);
    return 0;
}
