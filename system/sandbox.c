/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * -sandbox: system calls that a machine monitor has no use for are taken away
 * from all threads by a seccomp filter. Main thread, once, when the machine is
 * built.
 *
 * Calls in the table kill the process: who makes them is not us any more. A
 * new process (spawn) is refused with EPERM instead, because "exec:" is
 * something management may ask for and is to be told about.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>

#include "system/process.h"

typedef enum SandboxSet {
    SET_ALWAYS = 1 << 0,
    SET_OBSOLETE = 1 << 1,
    SET_PRIVILEGES = 1 << 2,
    SET_RESOURCES = 1 << 3,
} SandboxSet;

typedef struct DeniedCall {
    const char *name;           /* unknown to this architecture: skipped */
    SandboxSet set;
} DeniedCall;

static const DeniedCall denied[] = {
    { "reboot", SET_ALWAYS },
    { "kexec_load", SET_ALWAYS },
    { "kexec_file_load", SET_ALWAYS },
    { "swapon", SET_ALWAYS },
    { "swapoff", SET_ALWAYS },
    { "syslog", SET_ALWAYS },
    { "mount", SET_ALWAYS },
    { "umount2", SET_ALWAYS },
    { "pivot_root", SET_ALWAYS },
    { "move_mount", SET_ALWAYS },
    { "open_tree", SET_ALWAYS },
    { "init_module", SET_ALWAYS },
    { "finit_module", SET_ALWAYS },
    { "delete_module", SET_ALWAYS },
    { "ptrace", SET_ALWAYS },
    { "process_vm_readv", SET_ALWAYS },
    { "process_vm_writev", SET_ALWAYS },
    { "bpf", SET_ALWAYS },
    { "acct", SET_ALWAYS },
    { "settimeofday", SET_ALWAYS },
    { "clock_settime", SET_ALWAYS },
    { "adjtimex", SET_ALWAYS },
    { "clock_adjtime", SET_ALWAYS },
    { "sethostname", SET_ALWAYS },
    { "setdomainname", SET_ALWAYS },
    { "quotactl", SET_ALWAYS },
    { "iopl", SET_ALWAYS },
    { "ioperm", SET_ALWAYS },
    { "vhangup", SET_ALWAYS },
    { "add_key", SET_ALWAYS },
    { "request_key", SET_ALWAYS },
    { "keyctl", SET_ALWAYS },

    { "_sysctl", SET_OBSOLETE },
    { "bdflush", SET_OBSOLETE },
    { "create_module", SET_OBSOLETE },
    { "get_kernel_syms", SET_OBSOLETE },
    { "query_module", SET_OBSOLETE },
    { "nfsservctl", SET_OBSOLETE },
    { "readdir", SET_OBSOLETE },
    { "sgetmask", SET_OBSOLETE },
    { "ssetmask", SET_OBSOLETE },
    { "sysfs", SET_OBSOLETE },
    { "uselib", SET_OBSOLETE },
    { "ustat", SET_OBSOLETE },

    { "setuid", SET_PRIVILEGES },
    { "setgid", SET_PRIVILEGES },
    { "setreuid", SET_PRIVILEGES },
    { "setregid", SET_PRIVILEGES },
    { "setresuid", SET_PRIVILEGES },
    { "setresgid", SET_PRIVILEGES },
    { "setfsuid", SET_PRIVILEGES },
    { "setfsgid", SET_PRIVILEGES },
    { "setgroups", SET_PRIVILEGES },
    { "capset", SET_PRIVILEGES },

    { "setpriority", SET_RESOURCES },
    { "sched_setscheduler", SET_RESOURCES },
    { "sched_setparam", SET_RESOURCES },
    { "sched_setattr", SET_RESOURCES },
    { "sched_setaffinity", SET_RESOURCES },
    { "ioprio_set", SET_RESOURCES },
    { "set_mempolicy", SET_RESOURCES },
    { "mbind", SET_RESOURCES },
    { "migrate_pages", SET_RESOURCES },
    { "move_pages", SET_RESOURCES },
};

/*
 * No new process, but new threads. What clone3 is asked for lies in memory,
 * where a filter cannot look; without it the C library goes back to clone.
 */
static int deny_spawn(scmp_filter_ctx ctx)
{
    static const char *const calls[] = { "fork", "vfork", "execve",
                                         "execveat" };
    int ret = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
                               0);

    if (ret == 0) {
        ret = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
    }
    for (size_t i = 0; ret == 0 && i < G_N_ELEMENTS(calls); i++) {
        int nr = seccomp_syscall_resolve_name(calls[i]);

        if (nr != __NR_SCMP_ERROR) {
            ret = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
        }
    }
    return ret;
}

static unsigned wanted_sets(const ProcessConfig *process)
{
    unsigned sets = SET_ALWAYS;

    if (process->deny_obsolete) {
        sets |= SET_OBSOLETE;
    }
    if (process->privileges == PRIVILEGES_DENY) {
        sets |= SET_PRIVILEGES;
    }
    if (process->deny_resource_control) {
        sets |= SET_RESOURCES;
    }
    return sets;
}

static int fill(scmp_filter_ctx ctx, const ProcessConfig *process)
{
    unsigned sets = wanted_sets(process);
    int ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);

    /* libseccomp would set no_new_privs; whether it may be set is asked. */
    if (ret == 0 && process->privileges == PRIVILEGES_ALLOW &&
        prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0) {
        ret = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
    }
    for (size_t i = 0; ret == 0 && i < G_N_ELEMENTS(denied); i++) {
        int nr = seccomp_syscall_resolve_name(denied[i].name);

        if (nr != __NR_SCMP_ERROR && (denied[i].set & sets)) {
            ret = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, nr, 0);
        }
    }
    if (ret == 0 && process->deny_spawn) {
        ret = deny_spawn(ctx);
    }
    return ret;
}

bool sandbox_apply(const ProcessConfig *process, Error **errp)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int ret = ctx ? fill(ctx, process) : -ENOMEM;

    if (ret == 0) {
        ret = seccomp_load(ctx);
        if (ret == -EACCES || ret == -EPERM) {
            /* Without privileges a filter needs no_new_privs. */
            seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 1);
            ret = seccomp_load(ctx);
        }
    }
    if (ctx) {
        seccomp_release(ctx);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot install the filter of -sandbox");
        return false;
    }
    return true;
}
