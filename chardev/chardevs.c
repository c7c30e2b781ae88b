/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The set of a machine's character devices. Main loop; no lock. */
#include <fcntl.h>
#include <unistd.h>

#include "chardev/char-int.h"

typedef Chardev *(*ChardevMaker)(Chardevs *set, const ChardevOptions *options,
                                 Error **errp);

static const ChardevMaker makers[CHARDEV_BACKEND_KIND__MAX] = {
    [CHARDEV_BACKEND_KIND_FILE] = chardev_new_file,
    [CHARDEV_BACKEND_KIND_PIPE] = chardev_new_pipe,
    [CHARDEV_BACKEND_KIND_SOCKET] = chardev_new_socket,
    [CHARDEV_BACKEND_KIND_PTY] = chardev_new_pty,
    [CHARDEV_BACKEND_KIND_NULL] = chardev_new_null,
    [CHARDEV_BACKEND_KIND_STDIO] = chardev_new_stdio,
};

static void free_options(gpointer options)
{
    qapi_free_ChardevOptions(options);
}

Chardevs *chardevs_new(GMainContext *context, const ChardevHost *host,
                       void *opaque)
{
    Chardevs *set = g_new0(Chardevs, 1);

    set->context = context;
    set->host = host;
    set->opaque = opaque;
    set->all = g_ptr_array_new();
    set->wanted = g_ptr_array_new_with_free_func(free_options);
    return set;
}

void chardevs_free(Chardevs *set)
{
    if (!set) {
        return;
    }
    /* A mux is younger than what it stands on. */
    while (set->all->len) {
        chardev_destroy(g_ptr_array_steal_index(set->all, set->all->len - 1));
    }
    g_ptr_array_unref(set->all);
    g_ptr_array_unref(set->wanted);
    g_free(set);
}

void chardevs_forbid_stdio(Chardevs *set)
{
    set->no_stdio = true;
}

static Chardev *find(Chardevs *set, const char *id)
{
    for (guint i = 0; i < set->all->len; i++) {
        Chardev *chr = g_ptr_array_index(set->all, i);

        if (g_str_equal(chr->id, id)) {
            return chr;
        }
    }
    return NULL;
}

Chardev *chardevs_find(Chardevs *set, const char *id)
{
    Chardev *chr = find(set, id);

    return chr && chr->ops->side ? chr->ops->side(chr) : chr;
}

void chardevs_foreach(Chardevs *set, void (*fn)(Chardev *chr, void *data),
                      void *data)
{
    for (guint i = 0; i < set->all->len; i++) {
        fn(g_ptr_array_index(set->all, i), data);
    }
}

static bool open_log(Chardev *chr, const ChardevOptions *options, Error **errp)
{
    bool append = options->has_logappend && options->logappend;

    if (!options->logfile) {
        return true;
    }
    chr->log_fd = chr->set->host->open(
        chr->set->opaque, options->logfile,
        O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), 0666, errp);
    return chr->log_fd >= 0;
}

Chardev *chardevs_add(Chardevs *set, const ChardevOptions *options,
                      Error **errp)
{
    bool mux = options->has_mux && options->mux;
    Chardev *chr;

    if (find(set, options->id)) {
        error_setg(errp, "there is a chardev '%s' already", options->id);
        return NULL;
    }
    chr = makers[options->backend](set, options, errp);
    if (!chr) {
        error_prepend(errp, "chardev '%s': ", options->id);
        return NULL;
    }
    if (!open_log(chr, options, errp)) {
        chardev_destroy(chr);
        return NULL;
    }
    if (mux) {
        g_autofree char *id = chr->id;

        chr->id = g_strconcat(id, "-base", NULL);
        g_ptr_array_add(set->all, chr);
        chr = chardev_new_mux(set, id, chr);
    }
    g_ptr_array_add(set->all, chr);
    return chr;
}

void chardevs_want(Chardevs *set, ChardevOptions *options)
{
    g_ptr_array_add(set->wanted, options);
}

bool chardevs_open_wanted(Chardevs *set, Error **errp)
{
    for (guint i = 0; i < set->wanted->len; i++) {
        if (!chardevs_add(set, g_ptr_array_index(set->wanted, i), errp)) {
            return false;
        }
    }
    g_ptr_array_set_size(set->wanted, 0);
    return true;
}
