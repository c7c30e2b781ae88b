/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Named threads. Any thread; no lock. */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "util/thread.h"

typedef struct ThreadStart {
    char name[16];
    GThreadFunc fn;
    gpointer data;
} ThreadStart;

static gpointer thread_main(gpointer opaque)
{
    g_autofree ThreadStart *start = opaque;

    pthread_setname_np(pthread_self(), start->name);
    return start->fn(start->data);
}

GThread *thread_start(const char *name, GThreadFunc fn, gpointer data)
{
    ThreadStart *start = g_new0(ThreadStart, 1);
    sigset_t all, old;
    GThread *thread;

    g_strlcpy(start->name, name, sizeof(start->name));
    start->fn = fn;
    start->data = data;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    thread = g_thread_new(start->name, thread_main, start);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return thread;
}

pid_t thread_current_tid(void)
{
    return gettid();
}
