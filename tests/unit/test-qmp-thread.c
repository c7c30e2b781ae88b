/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which thread of a QMP monitor carries out a command that any may: the one
 * that has read it, unless something speaks against it.
 */
#include "qmp-world.h"
#include "system/vm.h"
#include "util/thread.h"

/* Wants the big lock, no matter whose. */
static bool run_any(Vm *vm, MonitorSession *session, json_object *args,
                    json_object **ret, Error **errp)
{
    (void)session;
    (void)args;
    (void)ret;
    if (!vm_locked(vm)) {
        error_setg(errp, "without the big lock");
        return false;
    }
    return true;
}

static const QmpCommand commands[] = {
    { "qmp_capabilities", world_capabilities, 0 },
    { "any", run_any, QMP_ANY_THREAD },
    { "echo", world_echo, 0 },
    { "echo-oob", world_echo, QMP_ALLOW_OOB },
    { NULL },
};

#define ANY(id) "{\"execute\":\"any\",\"id\":" #id "}"
#define ANSWER(id) "{\"return\":{},\"id\":" #id "}"

/* Sends @text; @now is what comes at once and @later from the main loop. */
static void expect_split(World *world, Vm *vm, const char *text,
                         const char *now, const char *later)
{
    g_autofree char *got = NULL;

    feed(world, text);
    got = take(world);
    g_assert_cmpstr(got, ==, now);
    vm_lock(vm);
    expect(world, "", later);
    vm_unlock(vm);
}

/* What any thread may run does not wait for the main loop. */
static void test_any_thread(void)
{
    Vm *vm = vm_new();
    World world;

    world_open(&world, vm, commands, true);
    g_free(take(&world));
    /* Not too early, and the lock is back. */
    expect_error(&world, ANY(0), "CommandNotFound", "negotiation");
    world_negotiate(&world, false);
    expect_split(&world, vm, ANY(1), ANSWER(1) "\r\n", "");
    expect_split(&world, vm, ANY(2), ANSWER(2) "\r\n", "");
    /* Replies keep their order. */
    expect_split(&world, vm, "{\"execute\":\"echo\",\"id\":3}" ANY(4), "",
                 ANSWER(3) "\r\n" ANSWER(4));
    /* The main loop has its turn between two that came together. */
    expect_split(&world, vm, ANY(5) ANY(6), ANSWER(5) "\r\n", ANSWER(6));
    world_close(&world);

    /* Input without a thread of its own is read by the main loop. */
    world_open(&world, vm, commands, false);
    world_negotiate(&world, false);
    expect_split(&world, vm, ANY(7), "", ANSWER(7));
    world_close(&world);
    vm_free(vm);
}

/* Another thread, which holds the big lock for a while. */
typedef struct Holder {
    Vm *vm;
    GMutex lock;
    GCond changed;
    /* Protected by lock */
    bool has;           /* the big lock */
    bool enough;        /* may give it back */
} Holder;

static gpointer hold(gpointer opaque)
{
    Holder *holder = opaque;

    vm_lock(holder->vm);
    g_mutex_lock(&holder->lock);
    holder->has = true;
    g_cond_signal(&holder->changed);
    while (!holder->enough) {
        g_cond_wait(&holder->changed, &holder->lock);
    }
    g_mutex_unlock(&holder->lock);
    vm_unlock(holder->vm);
    return NULL;
}

static GThread *holder_start(Holder *holder)
{
    GThread *thread = thread_start("holder", hold, holder);

    g_mutex_lock(&holder->lock);
    while (!holder->has) {
        g_cond_wait(&holder->changed, &holder->lock);
    }
    g_mutex_unlock(&holder->lock);
    return thread;
}

static void holder_end(Holder *holder, GThread *thread)
{
    g_mutex_lock(&holder->lock);
    holder->enough = true;
    g_cond_signal(&holder->changed);
    g_mutex_unlock(&holder->lock);
    g_thread_join(thread);
}

/* ... unless somebody has the big lock: input never waits for that. */
static void test_any_thread_busy(void)
{
    Holder holder = { .vm = vm_new() };
    g_autofree char *got = NULL;
    GThread *thread;
    World world;

    g_mutex_init(&holder.lock);
    g_cond_init(&holder.changed);
    world_open(&world, holder.vm, commands, true);
    world_negotiate(&world, true);
    thread = holder_start(&holder);
    feed(&world, ANY(1));
    feed(&world, "{\"exec-oob\":\"echo-oob\",\"id\":2}");
    got = take(&world);
    g_assert_cmpstr(got, ==, ANSWER(2) "\r\n");
    holder_end(&holder, thread);
    vm_lock(holder.vm);
    expect(&world, "", ANSWER(1));
    /* Whoever reads with the lock has a main loop's turn ahead. */
    feed(&world, ANY(3));
    g_assert_cmpuint(world.calls.length, ==, 1);
    expect(&world, "", ANSWER(3));
    vm_unlock(holder.vm);
    world_close(&world);
    g_mutex_clear(&holder.lock);
    g_cond_clear(&holder.changed);
    vm_free(holder.vm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp-thread/any", test_any_thread);
    g_test_add_func("/qmp-thread/any-busy", test_any_thread_busy);
    return g_test_run();
}
