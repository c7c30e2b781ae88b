/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -blockdev and -drive: from options to block back ends. Options are kept
 * while the command line is read and carried out in configure(), since what a
 * machine that waits for a migration may open is known only then. Main thread.
 */
#include <errno.h>
#include <unistd.h>

#include "hw/block/block.h"
#include "hw/block/block-hmp.h"
#include "hw/core/device.h"
#include "qapi/qapi-types-block.h"
#include "qapi/qapi-visit-block.h"
#include "system/cli.h"
#include "util/keyval.h"
#include "util/visitor.h"

/* What one -drive asks for. */
typedef struct DriveRequest {
    BlockOptions options;       /* strings owned */
    bool attach;                /* if=virtio: make the disk too */
} DriveRequest;

typedef struct BlockModule {
    GPtrArray *nodes;           /* of BlockdevOptions *: -blockdev */
    GPtrArray *drives;          /* of DriveRequest *: -drive */
} BlockModule;

static BlockModule *block_module_of(Vm *vm)
{
    return vm->block_options;
}

static bool add_node(Vm *vm, const BlockdevOptions *opt, const char *name,
                     Error **errp);

/* What lies under a raw node: its own options win over the node's below. */
static bool add_raw(Vm *vm, const BlockdevOptions *opt, BlockOptions *res,
                    Error **errp)
{
    const BlockdevRef *ref = opt->u.raw.file;
    g_autofree char *inner = NULL;
    BlockBackend *below;

    if (ref->type == QTYPE_QDICT) {
        inner = g_strdup_printf("#%s.file", res->node_name);
        if (!add_node(vm, &ref->u.definition, inner, errp)) {
            return false;
        }
        below = block_find(vm, ref->u.definition.node_name
                               ? ref->u.definition.node_name : inner);
    } else {
        below = block_find(vm, ref->u.reference);
        if (!below) {
            error_setg(errp, "block node '%s': no block node '%s'",
                       res->node_name, ref->u.reference);
            return false;
        }
    }
    res->filename = block_options(below)->filename;
    res->read_only |= block_options(below)->read_only;
    res->direct |= block_options(below)->direct;
    res->no_flush |= block_options(below)->no_flush;
    res->discard &= block_options(below)->discard;
    res->lock = block_options(below)->lock;
    if (!block_layer(below, res->node_name, errp)) {
        return false;
    }
    res->offset = opt->u.raw.has_offset ? opt->u.raw.offset : 0;
    res->size = opt->u.raw.has_size ? opt->u.raw.size : 0;
    return true;
}

static bool add_node(Vm *vm, const BlockdevOptions *opt, const char *name,
                     Error **errp)
{
    BlockOptions res = {
        .node_name = opt->node_name ? opt->node_name : name,
        .drive_id = "",
        .driver = BlockdevDriver_str(opt->driver),
        .read_only = opt->has_read_only && opt->read_only,
        .discard = opt->has_discard &&
                   opt->discard == BLOCKDEV_DISCARD_OPTIONS_UNMAP,
        .direct = opt->cache && opt->cache->has_direct && opt->cache->direct,
        .no_flush = opt->cache && opt->cache->has_no_flush &&
                    opt->cache->no_flush,
        .writeback = true,
    };

    if (!res.node_name) {
        error_setg(errp, "a block node needs option 'node-name'");
        return false;
    }
    if (opt->driver == BLOCKDEV_DRIVER_RAW) {
        if (!add_raw(vm, opt, &res, errp)) {
            return false;
        }
    } else {
        const BlockdevOptionsFile *file = &opt->u.file;

        res.filename = file->filename;
        res.lock = !file->has_locking || file->locking != ON_OFF_AUTO_OFF;
    }
    if (!res.read_only && opt->has_auto_read_only && opt->auto_read_only &&
        access(res.filename, W_OK) < 0 && access(res.filename, R_OK) == 0) {
        res.read_only = true;
    }
    return block_new(vm, &res, errp) != NULL;
}

static bool parse_blockdev(Vm *vm, const char *argument, Error **errp)
{
    BlockdevOptions *opt = NULL;
    g_autoptr(JsonObject) json = NULL;
    Visitor *v;
    bool keyval;

    json = keyval_or_json_parse(argument, "driver", &keyval, errp);
    if (!json) {
        return false;
    }
    v = visitor_input_new(json, keyval);
    visit_type_BlockdevOptions(v, NULL, &opt, errp);
    visit_free(v);
    if (!opt) {
        return false;
    }
    g_ptr_array_add(block_module_of(vm)->nodes, opt);
    return true;
}

/* The keys of -drive that this program knows. */
typedef struct Drive {
    const char *file, *id, *interface, *format, *cache, *discard, *media;
    bool read_only;
} Drive;

static bool one_of(const char *key, const char *value,
                   const char *const *accepted, Error **errp)
{
    g_autofree char *list = NULL;

    if (!value || g_strv_contains(accepted, value)) {
        return true;
    }
    list = g_strjoinv(", ", (char **)accepted);
    error_setg(errp, "%s is '%s'; expected one of: %s", key, value, list);
    return false;
}

static const CliKey drive_keys[] = {
    { "file", "PATH", NULL },
    { "if", "virtio|none", NULL },
    { "id", "ID", NULL },
    { "format", "raw", NULL },
    { "readonly", "on|off", NULL },
    { "read-only", "on|off", NULL },
    { "cache", "writeback|writethrough|none|directsync|unsafe", NULL },
    { "discard", "ignore|unmap", NULL },
    { "media", "disk", NULL },
    { NULL, NULL, NULL }
};

static bool read_drive(JsonObject *json, Drive *drive, Error **errp)
{
    struct { const char *key; const char **to; } text[] = {
        { "file", &drive->file }, { "id", &drive->id },
        { "if", &drive->interface }, { "format", &drive->format },
        { "cache", &drive->cache }, { "discard", &drive->discard },
        { "media", &drive->media },
    };
    static const char *const interfaces[] = { "none", "virtio", NULL };
    static const char *const formats[] = { "raw", NULL };
    static const char *const caches[] = {
        "writeback", "writethrough", "none", "directsync", "unsafe", NULL
    };
    static const char *const discards[] = {
        "ignore", "off", "unmap", "on", NULL
    };
    static const char *const medias[] = { "disk", NULL };
    static const char *const on_off[] = { "on", "off", NULL };

    json_object_object_foreach(json, key, value) {
        const char *words = json_object_get_string(value);
        size_t i;

        for (i = 0; i < G_N_ELEMENTS(text); i++) {
            if (g_str_equal(key, text[i].key)) {
                *text[i].to = words;
                break;
            }
        }
        if (i < G_N_ELEMENTS(text)) {
            continue;
        }
        if (g_str_equal(key, "readonly") || g_str_equal(key, "read-only")) {
            if (!one_of(key, words, on_off, errp)) {
                return false;
            }
            drive->read_only = g_str_equal(words, "on");
            continue;
        }
        cli_unknown_key(drive_keys, key, errp);
        return false;
    }
    if (!drive->file) {
        error_setg(errp, "option 'file' is missing");
        return false;
    }
    return one_of("if", drive->interface, interfaces, errp) &&
           one_of("format", drive->format, formats, errp) &&
           one_of("cache", drive->cache, caches, errp) &&
           one_of("discard", drive->discard, discards, errp) &&
           one_of("media", drive->media, medias, errp);
}

static bool cache_is(const Drive *drive, const char *a, const char *b)
{
    return drive->cache && (g_str_equal(drive->cache, a) ||
                            g_str_equal(drive->cache, b));
}

static bool parse_drive(Vm *vm, const char *argument, Error **errp)
{
    BlockModule *module = block_module_of(vm);
    g_autoptr(JsonObject) json = keyval_parse(argument, "file", NULL, errp);
    Drive drive = { .interface = "virtio" };
    DriveRequest *req;

    if (!json) {
        return false;
    }
    if (!read_drive(json, &drive, errp)) {
        return false;
    }
    req = g_new0(DriveRequest, 1);
    req->attach = g_str_equal(drive.interface, "virtio");
    req->options = (BlockOptions) {
        .drive_id = g_strdup(drive.id ? drive.id : ""),
        .node_name = drive.id ? g_strdup(drive.id)
                              : g_strdup_printf("virtio%u",
                                                module->drives->len),
        .filename = g_strdup(drive.file),
        .driver = "raw",
        .read_only = drive.read_only,
        .discard = drive.discard && (g_str_equal(drive.discard, "unmap") ||
                                     g_str_equal(drive.discard, "on")),
        .direct = cache_is(&drive, "none", "directsync"),
        .no_flush = cache_is(&drive, "unsafe", "unsafe"),
        .writeback = !cache_is(&drive, "writethrough", "directsync"),
        .lock = true,
    };
    g_ptr_array_add(module->drives, req);
    return true;
}

static void free_drive(gpointer opaque)
{
    DriveRequest *req = opaque;

    g_free((char *)req->options.node_name);
    g_free((char *)req->options.filename);
    g_free((char *)req->options.drive_id);
    g_free(req);
}

static void free_node(gpointer opaque)
{
    qapi_free_BlockdevOptions(opaque);
}

static void *find_block(Vm *vm, const char *id)
{
    return block_find(vm, id);
}

static const PropertyLookup block_lookup = {
    .find = find_block,
    .made_by = "-drive or -blockdev",
};

static bool block_create(Vm *vm, Error **errp)
{
    BlockModule *module = g_new0(BlockModule, 1);

    (void)errp;
    module->nodes = g_ptr_array_new_with_free_func(free_node);
    module->drives = g_ptr_array_new_with_free_func(free_drive);
    vm->block_options = module;
    return true;
}

static bool block_configure(Vm *vm, Error **errp)
{
    BlockModule *module = block_module_of(vm);

    property_set_lookup(vm, PROP_BLOCK, &block_lookup);
    for (unsigned i = 0; i < module->nodes->len; i++) {
        if (!add_node(vm, g_ptr_array_index(module->nodes, i), NULL, errp)) {
            error_prepend(errp, "-blockdev: ");
            return false;
        }
    }
    for (unsigned i = 0; i < module->drives->len; i++) {
        DriveRequest *req = g_ptr_array_index(module->drives, i);

        if (!block_new(vm, &req->options, errp)) {
            error_prepend(errp, "-drive: ");
            return false;
        }
    }
    return true;
}

static void block_destroy(Vm *vm)
{
    BlockModule *module = block_module_of(vm);

    block_free_all(vm);
    g_ptr_array_free(module->nodes, TRUE);
    g_ptr_array_free(module->drives, TRUE);
    g_clear_pointer(&vm->block_options, g_free);
}

static const CliOption block_options_table[] = {
    { "blockdev", "driver=DRIVER,node-name=NAME,...",
      "block node: driver=file|host_device,filename=PATH[,read-only=on]\n"
      "[,discard=unmap][,cache.direct=on][,cache.no-flush=on] or\n"
      "driver=raw,file=NODE[,offset=BYTES][,size=BYTES]; also as JSON",
      parse_blockdev },
    { "drive", "file=PATH[,if=virtio|none][,id=ID][,format=raw]...",
      "disk with a raw image; more: readonly=on, discard=unmap,\n"
      "cache=writeback|writethrough|none|directsync|unsafe", parse_drive },
    { NULL }
};

static const HmpCommand block_hmp[] = {
    { "info block", "", "show the block nodes and who uses them",
      hmp_info_block, NULL },
    { NULL }
};

static const CliParameters block_parameters[] = {
    { "drive", NULL, drive_keys, NULL },
    { NULL, NULL, NULL, NULL }
};

/* Before the devices that use what it makes: system/modules.c. */
const VmModule block_module = {
    .name = "Disk",
    .create = block_create,
    .options = block_options_table,
    .parameters = block_parameters,
    .hmp = block_hmp,
    .configure = block_configure,
    .destroy = block_destroy,
};

/* The disks of -drive if=virtio; called when there is a bus to put them on. */
static bool drives_configure(Vm *vm, Error **errp)
{
    BlockModule *module = block_module_of(vm);

    for (unsigned i = 0; i < module->drives->len; i++) {
        DriveRequest *req = g_ptr_array_index(module->drives, i);
        g_autoptr(JsonObject) options = NULL;

        if (!req->attach) {
            continue;
        }
        options = json_object_new_object();
        json_object_object_add(options, "driver",
                               json_object_new_string("virtio-blk-pci"));
        json_object_object_add(options, "drive",
                               json_object_new_string(req->options.node_name));
        if (!device_add(vm, options, errp)) {
            error_prepend(errp, "-drive: ");
            return false;
        }
    }
    return true;
}

/* After the board. */
const VmModule drives_module = {
    .name = "Disks of -drive",
    .configure = drives_configure,
};
