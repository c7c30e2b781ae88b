/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seccomp filter: all ioctls of VFIO's and iommufd's type, one of KVM's,
 * and what reads, writes, duplicates or asks about a descriptor in the range of
 * the slots; and all that names a path, if there are paths. Runs before there
 * are threads.
 */
#include "supervisor-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/vfio/vfio-uapi.h"
#include "kvm-names.h"

static int add_rules(Supervisor *s, scmp_filter_ctx ctx)
{
    static const int by_slot[] = {
        SCMP_SYS(read),    SCMP_SYS(write),   SCMP_SYS(pread64),
        SCMP_SYS(pwrite64), SCMP_SYS(readv),  SCMP_SYS(writev),
        SCMP_SYS(preadv),  SCMP_SYS(pwritev), SCMP_SYS(preadv2),
        SCMP_SYS(pwritev2), SCMP_SYS(dup),    SCMP_SYS(fstat),
        SCMP_SYS(newfstatat), SCMP_SYS(statx),
    };
    const uint64_t mask = 0xffffffff & ~(uint64_t)(SIM_SLOTS - 1);
    int ret;

    ret = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 1,
                           SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00,
                                   (uint64_t)VFIO_TYPE << 8));
    if (!ret) {
        ret = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(ioctl), 1,
                               SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff,
                                       SIM_KVM_SET_DEVICE_ATTR));
    }
    for (size_t i = 0; !ret && i < G_N_ELEMENTS(by_slot); i++) {
        ret = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, by_slot[i], 1,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, mask, s->base));
    }
    for (int i = 0; !ret && i < 2; i++) {
        ret = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, SCMP_SYS(fcntl), 2,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, mask, s->base),
                               SCMP_A1(SCMP_CMP_EQ,
                                       i ? F_DUPFD_CLOEXEC : F_DUPFD));
    }
    for (unsigned i = 0; !ret && s->nodes->len &&
                         supervisor_path_call(i) >= 0; i++) {
        ret = seccomp_rule_add(ctx, SCMP_ACT_NOTIFY, supervisor_path_call(i),
                               0);
    }
    return ret;
}

/* The program as the kernel takes it: libseccomp 2.5 cannot load it with
 * SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV. */
static int export(Supervisor *s, scmp_filter_ctx ctx)
{
    int fd = memfd_create("filter", MFD_CLOEXEC);
    struct stat st;
    int ret;

    if (fd < 0) {
        return -errno;
    }
    ret = seccomp_export_bpf(ctx, fd);
    if (!ret && fstat(fd, &st)) {
        ret = -errno;
    }
    if (!ret) {
        s->program.len = st.st_size / sizeof(struct sock_filter);
        s->program.filter = g_malloc(st.st_size);
        if (pread(fd, s->program.filter, st.st_size, 0) != st.st_size) {
            ret = -EIO;
        }
    }
    close(fd);
    return ret;
}

bool supervisor_make_filter(Supervisor *s, Error **errp)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int ret = ctx ? 0 : -ENOMEM;

    if (!ret) {
        ret = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
    }
    if (!ret) {
        ret = add_rules(s, ctx);
    }
    if (!ret) {
        ret = export(s, ctx);
    }
    if (ctx) {
        seccomp_release(ctx);
    }
    if (ret) {
        error_setg_errno(errp, -ret, "making the filter of system calls");
        return false;
    }
    return true;
}
