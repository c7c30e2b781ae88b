/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitors of a machine: each a chardev with a QMP or a human session on
 * it. QMP input is read on a thread of its own, so that a command which is
 * executed out of band does not wait for the main loop; all else runs on the
 * main loop. Monitors.lock protects the list, which events walk from any
 * thread.
 */
#include "monitor/module.h"
#include "monitor/monitor.h"
#include "qapi/qapi-commands.h"
#include "qapi/qapi-visit-control.h"
#include "system/cli.h"
#include "trace/trace-monitor.h"
#include "util/json.h"
#include "util/thread.h"

/* How long destroy waits for clients to read their last replies. */
#define LAST_WORDS_US (100 * 1000)

/* Human output that waits for the terminal; more is dropped. */
#define HMP_OUTPUT_MAX (1u << 20)

/* QMP over a chardev */

static size_t chr_write(void *opaque, const void *buf, size_t len)
{
    return chardev_write(((Monitor *)opaque)->chr, buf, len);
}

static void chr_resume(void *opaque)
{
    chardev_accept_input(((Monitor *)opaque)->chr);
}

static void chr_call_soon(void *opaque, void (*fn)(void *data), void *data)
{
    vm_call_soon(((Monitor *)opaque)->vm, fn, data);
}

static void chr_cancel_soon(void *opaque, void (*fn)(void *data), void *data)
{
    vm_call_soon_cancel(((Monitor *)opaque)->vm, fn, data);
}

static const SessionOps session_ops = {
    .write = chr_write,
    .resume_input = chr_resume,
    .call_soon = chr_call_soon,
    .cancel_soon = chr_cancel_soon,
};

static size_t qmp_can_read(void *opaque)
{
    return qmp_session_room(((Monitor *)opaque)->qmp);
}

static void qmp_read(void *opaque, const uint8_t *buf, size_t len)
{
    Monitor *monitor = opaque;
    int fd;

    while ((fd = chardev_take_fd(monitor->chr)) >= 0) {
        qmp_session_add_fd(monitor->qmp, fd);
    }
    qmp_session_input(monitor->qmp, buf, len);
}

static void qmp_event(void *opaque, ChardevEvent event)
{
    Monitor *monitor = opaque;

    if (event == CHARDEV_OPENED) {
        qmp_session_opened(monitor->qmp);
    } else if (event == CHARDEV_CLOSED) {
        qmp_session_closed(monitor->qmp);
    }
}

static void qmp_can_write(void *opaque)
{
    qmp_session_flush(((Monitor *)opaque)->qmp);
}

static const ChardevFront qmp_front = {
    .can_read = qmp_can_read,
    .read = qmp_read,
    .event = qmp_event,
    .can_write = qmp_can_write,
};

static void *io_thread(void *opaque)
{
    Monitors *monitors = opaque;

    /*
     * Waits while the main thread has the context, to hand a chardev over. So
     * it is not made this thread's default one, which would be refused then.
     */
    g_main_loop_run(monitors->loop);
    return NULL;
}

static void start_io_thread(Monitors *monitors)
{
    if (!monitors->thread) {
        monitors->context = g_main_context_new();
        monitors->loop = g_main_loop_new(monitors->context, FALSE);
        monitors->thread = thread_start("mon_iothread", io_thread, monitors);
    }
}

/* The human monitor over a chardev */

static size_t hmp_can_read(void *opaque)
{
    (void)opaque;
    return 256;
}

static void hmp_read(void *opaque, const uint8_t *buf, size_t len)
{
    hmp_session_input(((Monitor *)opaque)->hmp, buf, len);
}

static void hmp_event(void *opaque, ChardevEvent event)
{
    if (event == CHARDEV_OPENED) {
        hmp_session_opened(((Monitor *)opaque)->hmp);
    }
}

static void hmp_flush(Monitor *monitor)
{
    size_t taken = chardev_write(monitor->chr, monitor->hmp_output->str,
                                 monitor->hmp_output->len);

    g_string_erase(monitor->hmp_output, 0, (gssize)taken);
}

static void hmp_can_write(void *opaque)
{
    hmp_flush(opaque);
}

static void hmp_write(void *opaque, const char *text, size_t len)
{
    Monitor *monitor = opaque;

    if (monitor->hmp_output->len + len <= HMP_OUTPUT_MAX) {
        g_string_append_len(monitor->hmp_output, text, (gssize)len);
    }
    hmp_flush(monitor);
}

static const ChardevFront hmp_front = {
    .can_read = hmp_can_read,
    .read = hmp_read,
    .event = hmp_event,
    .can_write = hmp_can_write,
};

/* All of them */

static void monitor_free(gpointer data)
{
    Monitor *monitor = data;

    if (monitor->qmp) {
        qmp_session_kill(monitor->qmp);
        qmp_session_unref(monitor->qmp);
    }
    hmp_session_free(monitor->hmp);
    g_string_free(monitor->hmp_output, TRUE);
    g_free(monitor);
}

bool monitor_add(Vm *vm, Chardev *chr, bool qmp, bool pretty, Error **errp)
{
    Monitors *monitors = vm->monitors;
    Monitor *monitor = g_new0(Monitor, 1);

    monitor->vm = vm;
    monitor->chr = chr;
    monitor->hmp_output = g_string_new(NULL);
    if (qmp) {
        start_io_thread(monitors);
        monitor->qmp = qmp_session_new(vm, qmp_commands, true, pretty,
                                       &session_ops, monitor);
    } else {
        monitor->hmp = hmp_session_new(vm, chardev_is_tty(chr), hmp_write,
                                       monitor);
    }
    if (!chardev_attach(chr, qmp ? &qmp_front : &hmp_front, monitor, errp)) {
        monitor_free(monitor);
        return false;
    }
    if (qmp) {
        chardev_set_context(chr, monitors->context);
    }
    g_mutex_lock(&monitors->lock);
    g_ptr_array_add(monitors->monitors, monitor);
    g_mutex_unlock(&monitors->lock);
    return true;
}

/* Takes @data. Any thread. */
static void send_event(Vm *vm, const char *name, json_object *data)
{
    Monitors *monitors = vm->monitors;
    gint64 now = g_get_real_time();
    json_object *event = json_object_new_object();
    json_object *stamp = json_object_new_object();
    g_autofree char *text = NULL;
    unsigned dropped = 0;
    guint i;

    json_object_object_add(stamp, "seconds",
                           json_object_new_int64(now / G_USEC_PER_SEC));
    json_object_object_add(stamp, "microseconds",
                           json_object_new_int64(now % G_USEC_PER_SEC));
    json_object_object_add(event, "timestamp", stamp);
    json_object_object_add(event, "event", json_object_new_string(name));
    if (data) {
        json_object_object_add(event, "data", data);
    }
    text = json_to_text(event);
    json_object_put(event);

    g_mutex_lock(&monitors->lock);
    for (i = 0; i < monitors->monitors->len; i++) {
        Monitor *monitor = monitors->monitors->pdata[i];

        if (monitor->qmp) {
            dropped += !qmp_session_send_event(monitor->qmp, text);
        }
    }
    trace_monitor_event(name, monitors->monitors->len, dropped);
    g_mutex_unlock(&monitors->lock);
}

static bool create(Vm *vm, Error **errp)
{
    Monitors *monitors = g_new0(Monitors, 1);

    (void)errp;
    g_mutex_init(&monitors->lock);
    monitors->monitors = g_ptr_array_new_with_free_func(monitor_free);
    monitors->wanted =
        g_ptr_array_new_with_free_func(monitor_wanted_free);
    vm->monitors = monitors;
    vm_set_event_sink(vm, send_event);
    return true;
}

/* Has all clients read what was meant for them? */
static bool all_sent(Monitors *monitors)
{
    bool sent = true;
    guint i;

    for (i = 0; i < monitors->monitors->len; i++) {
        Monitor *monitor = monitors->monitors->pdata[i];

        if (monitor->qmp) {
            qmp_session_flush(monitor->qmp);
            sent = qmp_session_idle(monitor->qmp) && sent;
        }
    }
    return sent;
}

static void destroy(Vm *vm)
{
    Monitors *monitors = vm->monitors;
    gint64 end = g_get_monotonic_time() + LAST_WORDS_US;
    guint i;

    if (!monitors) {
        return;
    }
    while (!all_sent(monitors) && g_get_monotonic_time() < end) {
        g_usleep(1000);
    }
    vm_set_event_sink(vm, NULL);
    if (monitors->thread) {
        g_main_loop_quit(monitors->loop);
        g_thread_join(monitors->thread);
    }
    for (i = 0; i < monitors->monitors->len; i++) {
        chardev_detach(((Monitor *)monitors->monitors->pdata[i])->chr);
    }
    g_ptr_array_free(monitors->monitors, TRUE);
    g_ptr_array_free(monitors->wanted, TRUE);
    g_clear_pointer(&monitors->loop, g_main_loop_unref);
    g_clear_pointer(&monitors->context, g_main_context_unref);
    g_mutex_clear(&monitors->lock);
    g_free(monitors);
    vm->monitors = NULL;
}

static const CliOption options[] = {
    { "mon", "[chardev=]ID[,mode=readline|control][,pretty=on|off]",
      "put a monitor on a character device", monitor_parse_mon },
    { "monitor", "DEV", "put a human monitor on DEV, which is as for -serial",
      monitor_parse_monitor },
    { "qmp", "DEV", "put a QMP monitor on DEV, which is as for -serial",
      monitor_parse_qmp },
    { "qmp-pretty", "DEV", "as -qmp, with replies for people to read",
      monitor_parse_qmp_pretty },
    { NULL },
};

static void visit_mon(Visitor *v)
{
    MonitorOptions none = { 0 };
    MonitorOptions *obj = &none;

    visit_type_MonitorOptions(v, NULL, &obj, NULL);
}

static const CliParameters parameters[] = {
    { "mon", NULL, NULL, visit_mon },
    { NULL, NULL, NULL, NULL }
};

const VmModule monitor_module = {
    .name = "Monitor",
    .create = create,
    .options = options,
    .parameters = parameters,
    .hmp = monitor_hmp_commands,
    .configure = monitor_configure,
    .destroy = destroy,
};
