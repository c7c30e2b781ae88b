/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was asked of the machine: made and freed. Main thread; no lock. */
#include "system/machine.h"

MachineConfig *machine_config_new(void)
{
    MachineConfig *config = g_new0(MachineConfig, 1);

    config->options = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                            g_free);
    config->cpus = 1;
    config->sockets = config->clusters = config->cores = config->threads = 1;
    config->serial = g_ptr_array_new_with_free_func(g_free);
    return config;
}

void machine_config_free(MachineConfig *config)
{
    if (!config) {
        return;
    }
    g_hash_table_unref(config->options);
    g_ptr_array_unref(config->serial);
    g_free(config->type);
    g_free(config->memory_backend);
    g_free(config->accel);
    g_free(config->cpu_type);
    g_free(config->bios);
    g_free(config->kernel);
    g_free(config->initrd);
    g_free(config->append);
    g_free(config->incoming);
    g_free(config->incoming_channels);
    g_free(config);
}
