/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long a thread has been ready to run and had no CPU. Opened, asked and
 * closed by the thread itself; no lock.
 */
#ifndef GODWIT_MIGRATION_RUN_DELAY_H
#define GODWIT_MIGRATION_RUN_DELAY_H

#include <stdint.h>

typedef struct RunDelay {
    int fd;                     /* of schedstat, or -1: not to be had */
} RunDelay;

void run_delay_open(RunDelay *rd);
void run_delay_close(RunDelay *rd);

/* Nanoseconds since the thread began; 0 where the kernel does not say. */
uint64_t run_delay_ns(const RunDelay *rd);

#endif
