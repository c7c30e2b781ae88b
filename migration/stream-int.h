/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stream.c (reading) and stream-out.c (writing) share. */
#ifndef GODWIT_MIGRATION_STREAM_INT_H
#define GODWIT_MIGRATION_STREAM_INT_H

#include "migration/stream.h"
#include "migration/stream-owner.h"

#define KIB 1024
#define SECTION_NAME_SIZE 256

struct MigStream {
    /* Constant */
    IoChannel *ch;
    Clock *clock;               /* output */
    size_t buf_size;

    /* The stream's thread */
    Vm *release;                /* whose big lock not to hold while blocked */
    char section[SECTION_NAME_SIZE];
    uint32_t instance;
    Error *error;               /* sticky */
    uint64_t offset;            /* bytes queued, or read */
    uint64_t placed_bytes;      /* output: of these, not in the stream itself */
    uint8_t *buf;
    size_t pos, end;            /* what of buf is valid; output: end only */

    /* The stream's thread; output */
    struct iovec *iov;          /* what is queued, in order */
    unsigned num_iov;
    int64_t window_start_ns;
    uint64_t window_offset;     /* stream offset up to which is paid for */

    /* Atomic */
    uint64_t sent_bytes;
    uint64_t send_ns;
    uint64_t rate_limit;        /* bytes a second; 0: none */
};

MigStream *mig_stream_alloc(IoChannel *ch, size_t buffer_bytes);

/* Makes @err, which it takes, the sticky error unless there is one. False. */
bool mig_stream_take_error(MigStream *s, Error *err, Error **errp);

/* Whether the big lock was held and has been dropped. */
bool mig_stream_drop_lock(MigStream *s);

#endif
