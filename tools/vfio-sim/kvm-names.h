/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How KVM is told of VFIO descriptors, on every architecture (the kernel's
 * virt/kvm documentation, device "vfio"). KVM's own header exists only where
 * KVM does.
 */
#ifndef VFIO_SIM_KVM_NAMES_H
#define VFIO_SIM_KVM_NAMES_H

#include <linux/ioctl.h>
#include <linux/types.h>

struct sim_kvm_device_attr {
    __u32 flags;
    __u32 group;
    __u64 attr;
    __u64 addr; /* of an __s32 descriptor, in group SIM_KVM_VFIO_FILE */
};

#define SIM_KVM_SET_DEVICE_ATTR _IOW(0xae, 0xe1, struct sim_kvm_device_attr)
#define SIM_KVM_VFIO_FILE 1
#define SIM_KVM_VFIO_FILE_ADD 1
#define SIM_KVM_VFIO_FILE_DEL 2

#endif
