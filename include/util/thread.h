/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads with a name, joined by their owner (rule 8 of the house). A GThread
 * whose name reaches the kernel; glib's own cuts nothing and may not set it.
 */
#ifndef GODWIT_UTIL_THREAD_H
#define GODWIT_UTIL_THREAD_H

#include <glib.h>
#include <sys/types.h>

/*
 * Starts @fn(@data) on a thread called @name (15 characters are shown). All
 * signals are blocked in it: they belong to the main loop. Aborts where the
 * host has no thread to give. The owner joins it by g_thread_join().
 */
GThread *thread_start(const char *name, GThreadFunc fn, gpointer data);

/* The kernel's id of the calling thread, as query-cpus-fast reports it. */
pid_t thread_current_tid(void);

#endif
