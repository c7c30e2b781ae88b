/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The second number of a thread's schedstat, see proc(5). No lock. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "migration/run-delay.h"

void run_delay_open(RunDelay *rd)
{
    rd->fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
}

void run_delay_close(RunDelay *rd)
{
    if (rd->fd >= 0) {
        close(rd->fd);
        rd->fd = -1;
    }
}

uint64_t run_delay_ns(const RunDelay *rd)
{
    char text[64] = "";
    uint64_t ran, waited;

    if (rd->fd < 0 || pread(rd->fd, text, sizeof(text) - 1, 0) <= 0 ||
        sscanf(text, "%" SCNu64 " %" SCNu64, &ran, &waited) != 2) {
        return 0;
    }
    return waited;
}
