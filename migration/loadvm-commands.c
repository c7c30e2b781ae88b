/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of a stream that is being loaded: their lengths, what each
 * needs to be possible, and the package that postcopy starts from. What they
 * do is LoadVMOps'.
 *
 * Entered by the incoming thread, big lock not held. No lock of its own.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/loadvm-int.h"
#include "trace/trace-migration.h"

#define COMMAND_DATA_MAX POSTCOPY_DISCARD_BYTES

/* The data of a command: @len bytes, as many as the table below allows. */
typedef struct CommandData {
    uint16_t len;
    uint8_t bytes[COMMAND_DATA_MAX];
} CommandData;

static bool run_open_return_path(LoadVM *lv, const CommandData *data,
                                 Error **errp)
{
    (void)data;
    return lv->ops->open_return_path(lv->opaque, errp);
}

static bool run_ping(LoadVM *lv, const CommandData *data, Error **errp)
{
    uint32_t raw;

    memcpy(&raw, data->bytes, sizeof(raw));
    return lv->ops->ping(lv->opaque, GUINT32_FROM_BE(raw), errp);
}

static bool run_switchover_start(LoadVM *lv, const CommandData *data,
                                 Error **errp)
{
    (void)data;
    return lv->ops->switchover_start(lv->opaque, errp);
}

/* ---- postcopy ---- */

static bool run_advise(LoadVM *lv, const CommandData *data, Error **errp)
{
    PostcopyAdvise advise = postcopy_get_advise(data->bytes);

    return lv->ops->postcopy_advise(lv->opaque, &advise, errp);
}

static bool run_discard(LoadVM *lv, const CommandData *data, Error **errp)
{
    PostcopyDiscard discard;

    return postcopy_get_discard(data->bytes, data->len, &discard, errp) &&
           lv->ops->postcopy_discard(lv->opaque, &discard, errp);
}

static bool run_listen(LoadVM *lv, const CommandData *data, Error **errp)
{
    uint32_t stream_id;

    (void)data;
    if (!lv->package) {
        error_setg(errp, "postcopy-listen outside of a package");
        return false;
    }
    return loadvm_postcopy_section(lv, &stream_id, errp) &&
           lv->ops->postcopy_listen(lv->opaque, stream_id, errp);
}

static bool run_run(LoadVM *lv, const CommandData *data, Error **errp)
{
    uint8_t more;

    (void)data;
    if (!lv->package) {
        error_setg(errp, "postcopy-run outside of a package");
        return false;
    }
    if (!lv->ops->postcopy_run(lv->opaque, errp)) {
        return false;
    }
    if (mig_stream_peek(lv->s, 0, &more)) {
        error_setg(errp, "0x%02x after postcopy-run, which is the last in a "
                   "package", more);
        return false;
    }
    lv->ran = true;
    return true;
}

/* All of it is taken off the connection before its first byte is looked at. */
static MigStream *get_package(LoadVM *lv, uint32_t len, Error **errp)
{
    g_autoptr(IoChannel) memory = io_channel_new_buffer();
    uint8_t part[4096];

    while (len > 0) {
        uint32_t n = MIN(len, sizeof(part));

        if (!mig_get_buffer(lv->s, part, n, errp) ||
            !io_channel_write_all(memory, part, n, errp)) {
            return NULL;
        }
        len -= n;
    }
    return mig_stream_new_input(memory);
}

static bool run_packaged(LoadVM *lv, const CommandData *data, Error **errp)
{
    uint32_t raw, len;

    memcpy(&raw, data->bytes, sizeof(raw));
    len = GUINT32_FROM_BE(raw);
    if (lv->package) {
        error_setg(errp, "a package in a package");
        return false;
    }
    if (len == 0 || len > POSTCOPY_PACKAGE_MAX) {
        error_setg(errp, "a package of %" PRIu32 " bytes; 1 to %u are "
                   "accepted", len, POSTCOPY_PACKAGE_MAX);
        return false;
    }
    lv->package = get_package(lv, len, errp);
    if (!lv->package) {
        return false;
    }
    lv->s = lv->package;
    return loadvm_sections(lv, errp);
}

/* ---- the table ---- */

/* What the field knows; without a length and a handler it is refused. */
typedef struct LoadCommand {
    const char *name;
    uint16_t len;               /* bytes of data, at most COMMAND_DATA_MAX, */
    uint16_t more;              /* ... and how many more there may be */
    size_t op;                  /* offset of the LoadVMOps member it needs */
    bool (*run)(LoadVM *lv, const CommandData *data, Error **errp);
} LoadCommand;

static const LoadCommand load_commands[] = {
    [MIG_CMD_OPEN_RETURN_PATH] = {
        "open-return-path", 0, 0, offsetof(LoadVMOps, open_return_path),
        run_open_return_path },
    [MIG_CMD_PING] = { "ping", 4, 0, offsetof(LoadVMOps, ping), run_ping },
    [MIG_CMD_POSTCOPY_ADVISE] = {
        "postcopy-advise", POSTCOPY_ADVISE_BYTES, 0,
        offsetof(LoadVMOps, postcopy_advise), run_advise },
    [MIG_CMD_POSTCOPY_LISTEN] = {
        "postcopy-listen", 0, 0, offsetof(LoadVMOps, postcopy_listen),
        run_listen },
    [MIG_CMD_POSTCOPY_RUN] = {
        "postcopy-run", 0, 0, offsetof(LoadVMOps, postcopy_run), run_run },
    [MIG_CMD_POSTCOPY_RAM_DISCARD] = {
        "postcopy-ram-discard", 3, POSTCOPY_DISCARD_BYTES - 3,
        offsetof(LoadVMOps, postcopy_discard), run_discard },
    [MIG_CMD_PACKAGED] = {
        "packaged", 4, 0, offsetof(LoadVMOps, postcopy_listen),
        run_packaged },
    [MIG_CMD_ENABLE_COLO] = { .name = "enable-colo" },
    [MIG_CMD_POSTCOPY_RESUME] = { .name = "postcopy-resume" },
    [MIG_CMD_RECV_BITMAP] = { .name = "recv-bitmap" },
    [MIG_CMD_SWITCHOVER_START] = {
        "switchover-start", 0, 0, offsetof(LoadVMOps, switchover_start),
        run_switchover_start },
};

bool loadvm_command(LoadVM *lv, Error **errp)
{
    const LoadCommand *c = NULL;
    uint16_t number, len;
    CommandData data;

    mig_stream_set_section(lv->s, "command", 0);
    if (!mig_get_be16(lv->s, &number, errp) ||
        !mig_get_be16(lv->s, &len, errp)) {
        return false;
    }
    if (number < G_N_ELEMENTS(load_commands)) {
        c = &load_commands[number];
    }
    if (!c || !c->name) {
        error_setg(errp, "unknown command %u", number);
        return false;
    }
    if (!c->run || !*(void **)((char *)lv->ops + c->op)) {
        error_setg(errp, "command %u (%s) is not possible in this migration",
                   number, c->name);
        return false;
    }
    if (len < c->len || len - c->len > c->more) {
        g_autofree char *most = c->more
            ? g_strdup_printf(" to %u", c->len + c->more) : g_strdup("");

        error_setg(errp, "command %u (%s) with %u bytes of data; it has %u%s",
                   number, c->name, len, c->len, most);
        return false;
    }
    data.len = len;
    if (!mig_get_buffer(lv->s, data.bytes, len, errp)) {
        return false;
    }
    trace_loadvm_command(c->name, len);
    return c->run(lv, &data, errp);
}

