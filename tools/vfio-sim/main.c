/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-sim: the command line, and what is told at the end. The main thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config-host.h"
#include "control.h"
#include "vfio-device.h"

#define EXIT_USAGE 125

typedef struct Arguments {
    GPtrArray *devices; /* of SimOptions */
    const char *log;
    const char *control; /* path of the socket */
    char **command;
} Arguments;

static void print_help(void)
{
    g_autoptr(GString) keys = g_string_new(NULL);

    sim_options_help(keys);
    printf("Usage: vfio-sim [OPTIONS] --device KEY=VALUE,... "
           "[--device ...] -- COMMAND [ARG...]\n"
           "Runs COMMAND as if the host had VFIO PCI devices that can "
           "migrate.\n"
           "In every ARG, @iommufd@ and @ID@ become descriptor numbers.\n\n"
           "Options:\n"
           "  --control unix:PATH  take commands there\n"
           "  --log FILE           write a line for each call answered\n"
           "  --help               this text\n"
           "  --version            the version\n\n"
           "Keys of --device, with their defaults:\n%s", keys->str);
}

static bool add_device(Arguments *a, const char *text, Error **errp)
{
    SimOptions *o = sim_options_parse(text, errp);

    if (!o) {
        error_prepend(errp, "--device %s: ", text);
        return false;
    }
    for (guint i = 0; i < a->devices->len; i++) {
        const SimOptions *other = g_ptr_array_index(a->devices, i);

        if (!strcmp(o->id, other->id)) {
            error_setg(errp, "--device %s: there is a device '%s' already",
                       text, o->id);
            sim_options_free(o);
            return false;
        }
    }
    if (!strcmp(o->id, "iommufd")) {
        error_setg(errp, "--device %s: 'iommufd' is no name for a device",
                   text);
        sim_options_free(o);
        return false;
    }
    g_ptr_array_add(a->devices, o);
    return true;
}

static bool parse(Arguments *a, int argc, char **argv, Error **errp)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help")) {
            print_help();
            exit(EXIT_SUCCESS);
        }
        if (!strcmp(argv[i], "--version")) {
            printf("vfio-sim (Godwit) %s\n", GODWIT_VERSION);
            exit(EXIT_SUCCESS);
        }
        if (!strcmp(argv[i], "--")) {
            a->command = argv + i + 1;
            break;
        }
        if (i + 1 < argc && !strcmp(argv[i], "--device")) {
            if (!add_device(a, argv[++i], errp)) {
                return false;
            }
        } else if (i + 1 < argc && !strcmp(argv[i], "--log")) {
            a->log = argv[++i];
        } else if (i + 1 < argc && !strcmp(argv[i], "--control")) {
            if (!g_str_has_prefix(argv[++i], "unix:")) {
                error_setg(errp, "--control %s: expected unix:PATH", argv[i]);
                return false;
            }
            a->control = argv[i] + strlen("unix:");
        } else {
            error_setg(errp, "unexpected argument '%s': see --help", argv[i]);
            return false;
        }
    }
    if (!a->devices->len || !a->command || !a->command[0]) {
        error_setg(errp, "expected --device KEY=VALUE,... -- COMMAND: see "
                   "--help");
        return false;
    }
    return true;
}

/* COMMAND's arguments with @iommufd@ and @ID@ replaced. */
static char **fill_in(char **command, Supervisor *s, const SimFile *iommufd,
                      GPtrArray *devices)
{
    char **argv = g_strdupv(command);

    for (unsigned i = 0; argv[i]; i++) {
        for (guint n = 0; n <= devices->len; n++) {
            const SimDevice *d =
                n ? g_ptr_array_index(devices, n - 1) : NULL;
            g_autofree char *name =
                g_strdup_printf("@%s@", d ? d->options->id : "iommufd");
            g_auto(GStrv) parts = g_strsplit(argv[i], name, -1);
            g_autofree char *number =
                g_strdup_printf("%d", supervisor_slot(s, d ? d->file
                                                           : iommufd));

            g_free(argv[i]);
            argv[i] = g_strjoinv(number, parts);
        }
    }
    return argv;
}

static void report(SimDevice *d)
{
    uint64_t digest;

    g_mutex_lock(&d->lock);
    fprintf(stderr, "vfio-sim: %s: state %s", d->options->id,
            sim_mig_state_name(d->mig->current));
    if (sim_state_digest(d->mig->state, &digest)) {
        fprintf(stderr, ", migrated with digest %016" PRIx64, digest);
    }
    if (d->mig->refusal) {
        fprintf(stderr, ", refused: %s", d->mig->refusal);
    }
    fputc('\n', stderr);
    g_mutex_unlock(&d->lock);
}

/* The iommufd belongs to all devices: a fault of any of them strikes. */
static int iommu_fault(void *opaque, const char *name)
{
    GPtrArray *devices = opaque;
    int ret = 0;

    for (guint i = 0; i < devices->len && !ret; i++) {
        ret = sim_device_fault(g_ptr_array_index(devices, i), name);
    }
    return ret;
}

static int64_t iommu_ioctl(SimCall *call, SimFile *file, uint32_t cmd,
                           uint64_t arg)
{
    return sim_iommu_ioctl(file->opaque, call, cmd, arg);
}

static int64_t iommu_access(SimCall *call, SimFile *file, uint64_t addr,
                            uint64_t len, int64_t offset)
{
    (void)call;
    (void)file;
    (void)addr;
    (void)len;
    (void)offset;
    return -EINVAL;
}

static int run(Arguments *a, int log_fd, Error **errp)
{
    const SimFileOps ops[] = {
        [SIM_FILE_IOMMUFD] = {iommu_ioctl, iommu_access, iommu_access},
        [SIM_FILE_DEVICE] = sim_device_ops,
        [SIM_FILE_DATA] = sim_data_ops,
    };
    g_autoptr(GPtrArray) devices = g_ptr_array_new();
    Supervisor *s = supervisor_new(ops, log_fd, errp);
    SimControl *control = NULL;
    SimIommu *iommu;
    SimFile *iommufd;
    int status = -1;

    if (!s) {
        return -1;
    }
    iommu = sim_iommu_new(iommu_fault, devices);
    iommufd = supervisor_add_file(s, SIM_FILE_IOMMUFD, iommu, 0, errp);
    while (iommufd && a->devices->len) {
        SimDevice *d = sim_device_new(
            s, g_ptr_array_steal_index(a->devices, 0), errp);

        if (!d) {
            goto out;
        }
        g_ptr_array_add(devices, d);
    }
    if (iommufd && a->control) {
        control = sim_control_new(a->control, devices, errp);
    }
    if (iommufd && !a->control == !control) {
        g_auto(GStrv) argv = fill_in(a->command, s, iommufd, devices);

        if (supervisor_start(s, argv, errp)) {
            if (control) {
                sim_control_start(control);
            }
            for (guint i = 0; i < devices->len; i++) {
                sim_dma_start(g_ptr_array_index(devices, i));
            }
            status = supervisor_wait(s);
            for (guint i = 0; i < devices->len; i++) {
                sim_dma_stop(g_ptr_array_index(devices, i));
            }
        }
    }
out:
    sim_control_free(control);
    supervisor_stop(s);
    for (guint i = 0; i < devices->len; i++) {
        SimDevice *d = g_ptr_array_index(devices, i);

        if (status >= 0) {
            report(d);
        }
        sim_device_free(d);
    }
    sim_iommu_free(iommu);
    return status;
}

int main(int argc, char **argv)
{
    Arguments a = {g_ptr_array_new_with_free_func(
        (GDestroyNotify)sim_options_free)};
    Error *err = NULL;
    int log_fd = -1, status = -1;

    if (parse(&a, argc, argv, &err)) {
        if (a.log) {
            log_fd = open(a.log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND |
                          O_CLOEXEC, 0644);
        }
        if (a.log && log_fd < 0) {
            error_setg_errno(&err, errno, "opening log '%s'", a.log);
        } else {
            status = run(&a, log_fd, &err);
        }
    }
    if (err) {
        fprintf(stderr, "vfio-sim: %s\n", err->message);
        g_error_free(err);
    }
    if (log_fd >= 0) {
        close(log_fd);
    }
    g_ptr_array_unref(a.devices);
    return status < 0 ? EXIT_USAGE : status;
}
