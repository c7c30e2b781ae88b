/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program: one machine, from its command line to its end. */
#include <signal.h>
#include <stdlib.h>

#include "system/startup.h"
#include "util/log.h"

int main(int argc, char **argv)
{
    Error *err = NULL;
    int status = EXIT_FAILURE;
    Vm *vm;

    log_set_program("godwit-system-riscv64");
    /* A peer that went away is an error where it is written to. */
    signal(SIGPIPE, SIG_IGN);

    vm = vm_new();
    if (vm_start_up(vm, vm_modules, argc, argv, &err)) {
        status = vm_main_loop(vm);
    } else {
        error_report_err(err);
    }
    vm_shut_down(vm, vm_modules);
    vm_free(vm);
    return status;
}
