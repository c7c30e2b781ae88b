/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the payload of a packet looks like: one back end a file
 * (multifd-none.c, multifd-zlib.c, multifd-zstd.c). A state belongs to one
 * channel and its thread.
 */
#ifndef GODWIT_MIGRATION_MULTIFD_METHOD_H
#define GODWIT_MIGRATION_MULTIFD_METHOD_H

#include <sys/uio.h>

#include "io/channel.h"
#include "migration/multifd-packet.h"

typedef struct MultiFDMethod {
    uint32_t flags;             /* in each head */

    /* All may be NULL: there is no state. Error: no memory, a bad level */
    void *(*send_new)(int level, Error **errp);
    void (*send_free)(void *state);
    void *(*recv_new)(Error **errp);
    void (*recv_free)(void *state);

    /*
     * Makes the payload of @num (1 to MULTIFD_PAGES) pages, which may change
     * meanwhile: at most MULTIFD_PAGES entries of @iov, *num_iov of them, in
     * all *bytes. They stay valid until the next call.
     */
    bool (*pack)(void *state, uint8_t *const *page, unsigned num,
                 struct iovec *iov, unsigned *num_iov, uint32_t *bytes,
                 Error **errp);

    /*
     * Takes a payload of @bytes, a number that is checked first, from @ch and
     * puts the contents of @num pages where @page says.
     */
    bool (*unpack)(void *state, IoChannel *ch, uint32_t bytes,
                   uint8_t *const *page, unsigned num, Error **errp);
} MultiFDMethod;

extern const MultiFDMethod multifd_method_none;
extern const MultiFDMethod multifd_method_zlib;
extern const MultiFDMethod multifd_method_zstd;

/* A compressed payload has 1 to so many bytes: twice that of its pages. */
#define MULTIFD_PAYLOAD_MAX (1024 * 1024)

/* Takes a compressed payload of @bytes, a number that is checked, to @buf. */
bool multifd_read_payload(IoChannel *ch, uint8_t buf[MULTIFD_PAYLOAD_MAX],
                          uint32_t bytes, Error **errp);

/* Pages that lie one behind the other as one entry each. Returns how many. */
unsigned multifd_pages_to_iov(uint8_t *const *page, unsigned num,
                              struct iovec iov[MULTIFD_PAGES]);

#endif
