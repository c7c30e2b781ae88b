/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the channels over a descriptor share; private to io/. */
#ifndef GODWIT_IO_CHANNEL_FD_H
#define GODWIT_IO_CHANNEL_FD_H

#include "io/channel.h"

/* The command behind a pipe; see channel-command.c. */
typedef struct IoCommand IoCommand;

/*
 * A channel over the end @fd of a pipe to @command, both taken over. As
 * io_channel_new_fd(); if that fails the command has been ended.
 */
IoChannel *io_channel_new_fd_command(int fd, const char *name,
                                     IoCommand *command, Error **errp);

/*
 * Waits for the end of the command, or until @wake_fd is readable, whereupon
 * it is killed. Error: its status is not 0.
 */
bool io_command_wait(IoCommand *command, int wake_fd, Error **errp);
void io_command_free(IoCommand *command);

#endif
