/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What QMP and HMP tell of the block back ends. Main loop, big lock. */
#include <sys/stat.h>

#include "hw/block/block.h"
#include "hw/block/block-hmp.h"
#include "qapi/qapi-commands-block.h"

static BlockDeviceInfo *node_info(const BlockBackend *blk)
{
    const BlockOptions *opt = block_options(blk);
    BlockDeviceInfo *info = g_new0(BlockDeviceInfo, 1);
    struct stat st;

    info->file = g_strdup(opt->filename);
    info->node_name = g_strdup(opt->node_name);
    info->ro = opt->read_only;
    info->drv = g_strdup(opt->driver);
    info->active = block_is_active(blk);
    info->image = g_new0(ImageInfo, 1);
    info->image->filename = g_strdup(opt->filename);
    info->image->format = g_strdup("raw");
    info->image->virtual_size = block_size(blk);
    if (stat(opt->filename, &st) == 0) {
        info->image->has_actual_size = true;
        info->image->actual_size = (int64_t)st.st_blocks * 512;
    }
    info->cache = g_new0(BlockdevCacheInfo, 1);
    info->cache->writeback = opt->writeback;
    info->cache->direct = opt->direct;
    info->cache->no_flush = opt->no_flush;
    return info;
}

static void add_node_info(BlockBackend *blk, void *opaque)
{
    BlockDeviceInfoList ***tail = opaque;

    QAPI_LIST_APPEND(*tail, node_info(blk));
}

bool qmp_query_named_block_nodes(Vm *vm, bool has_flat, bool flat,
                                 BlockDeviceInfoList **ret, Error **errp)
{
    BlockDeviceInfoList **tail = ret;

    (void)has_flat;
    (void)flat;
    (void)errp;
    *ret = NULL;
    block_foreach(vm, add_node_info, &tail);
    return true;
}

static void add_disk(BlockBackend *blk, void *opaque)
{
    BlockInfoList ***tail = opaque;
    BlockInfo *info;

    if (!block_has_device(blk)) {
        return;
    }
    info = g_new0(BlockInfo, 1);
    info->device = g_strdup(block_options(blk)->drive_id);
    info->qdev = g_strdup(block_user(blk));
    info->type = g_strdup("unknown");
    info->inserted = node_info(blk);
    QAPI_LIST_APPEND(*tail, info);
}

bool qmp_query_block(Vm *vm, BlockInfoList **ret, Error **errp)
{
    BlockInfoList **tail = ret;

    (void)errp;
    *ret = NULL;
    block_foreach(vm, add_disk, &tail);
    return true;
}

typedef struct StatsQuery {
    bool nodes;
    BlockStatsList **tail;
} StatsQuery;

static void add_stats(BlockBackend *blk, void *opaque)
{
    const BlockCounters *c = block_counters(blk);
    StatsQuery *query = opaque;
    BlockDeviceStats *s;
    BlockStats *entry;

    if (!query->nodes && !block_has_device(blk)) {
        return;
    }
    entry = g_new0(BlockStats, 1);
    entry->node_name = g_strdup(block_options(blk)->node_name);
    if (!query->nodes) {
        entry->device = g_strdup(block_options(blk)->drive_id);
        entry->qdev = g_strdup(block_user(blk));
    }
    entry->stats = s = g_new0(BlockDeviceStats, 1);
    s->rd_bytes = c->bytes[BLOCK_READ];
    s->wr_bytes = c->bytes[BLOCK_WRITE] + c->bytes[BLOCK_WRITE_ZEROES];
    s->unmap_bytes = c->bytes[BLOCK_DISCARD];
    s->rd_operations = c->operations[BLOCK_READ];
    s->wr_operations = c->operations[BLOCK_WRITE] +
                       c->operations[BLOCK_WRITE_ZEROES];
    s->flush_operations = c->operations[BLOCK_FLUSH];
    s->unmap_operations = c->operations[BLOCK_DISCARD];
    s->rd_total_time_ns = c->total_time_ns[BLOCK_READ];
    s->wr_total_time_ns = c->total_time_ns[BLOCK_WRITE] +
                          c->total_time_ns[BLOCK_WRITE_ZEROES];
    s->flush_total_time_ns = c->total_time_ns[BLOCK_FLUSH];
    s->unmap_total_time_ns = c->total_time_ns[BLOCK_DISCARD];
    s->failed_rd_operations = c->failed[BLOCK_READ];
    s->failed_wr_operations = c->failed[BLOCK_WRITE] +
                              c->failed[BLOCK_WRITE_ZEROES];
    s->failed_flush_operations = c->failed[BLOCK_FLUSH];
    s->failed_unmap_operations = c->failed[BLOCK_DISCARD];
    s->wr_highest_offset = c->written_end;
    s->account_failed = true;
    QAPI_LIST_APPEND(query->tail, entry);
}

bool qmp_query_blockstats(Vm *vm, bool has_query_nodes, bool query_nodes,
                          BlockStatsList **ret, Error **errp)
{
    StatsQuery query = { has_query_nodes && query_nodes, ret };

    (void)errp;
    *ret = NULL;
    block_foreach(vm, add_stats, &query);
    return true;
}

static void print_node(BlockBackend *blk, void *opaque)
{
    const BlockOptions *opt = block_options(blk);

    g_string_append_printf(opaque, "%s: %s (%s%s), %s\n", opt->node_name,
                           opt->filename, opt->driver,
                           opt->read_only ? ", read-only" : "",
                           block_user(blk) ? block_user(blk) : "unused");
}

void hmp_info_block(Vm *vm, char **args, GString *out)
{
    (void)args;
    block_foreach(vm, print_node, out);
}
