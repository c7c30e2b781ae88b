/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Machines, saved streams and loaded bytes for the tests of the stream. */
#ifndef GODWIT_TESTS_MIGRATION_UTIL_H
#define GODWIT_TESTS_MIGRATION_UTIL_H

#include "io/channel.h"
#include "migration/ram.h"
#include "migration/savevm.h"
#include "migration/stream-owner.h"
#include "migration/vmstate.h"

/* A machine with nothing but memory and what the test registers. */
typedef struct TestVm {
    Vm *vm;
    Ram *ram;                   /* NULL: none wanted */
    RamBlock *rb;
} TestVm;

/* @ram_pages 0: no guest memory and no section "ram". */
void test_vm_init(TestVm *t, uint64_t ram_pages);
void test_vm_clear(TestVm *t);

/* Machine type "virt", no UUID. */
extern const SaveVMConfig test_config;

/* Return-path and ping are accepted and counted in an unsigned[2]. */
extern const LoadVMOps test_load_ops;

/* All steps of an outgoing migration; asserts that each works. */
void test_save_to(TestVm *t, const SaveVMConfig *config, IoChannel *ch);
/* ... into memory. */
GByteArray *test_save(TestVm *t, const SaveVMConfig *config);

/* Loads what comes, the description included. */
bool test_load_from(TestVm *t, const SaveVMConfig *config, IoChannel *ch,
                    Error **errp);
bool test_load(TestVm *t, const SaveVMConfig *config, const uint8_t *bytes,
               size_t len, Error **errp);

/* As above; fails with a message that matches the glob @pattern. */
void test_load_fails(TestVm *t, const uint8_t *bytes, size_t len,
                     const char *pattern);

/* A channel from which @bytes can be read. */
IoChannel *test_channel(const uint8_t *bytes, size_t len);

/* Bytes of a stream written by hand. */
void put8(GByteArray *b, uint8_t val);
void put16(GByteArray *b, uint16_t val);
void put32(GByteArray *b, uint32_t val);
void put64(GByteArray *b, uint64_t val);
void put_str(GByteArray *b, const char *str);
void put_header(GByteArray *b);                 /* magic .. configuration */
void put_start(GByteArray *b, uint8_t type, uint32_t id, const char *idstr,
               uint32_t instance, uint32_t version);
void put_footer(GByteArray *b, uint32_t id);

/*
 * A main stream whose pages, if there are any, come by other channels: the list
 * of one block, @flushes flushes, and the end.
 */
GByteArray *multifd_main_stream(const char *id, uint64_t bytes,
                                unsigned flushes);

#endif
