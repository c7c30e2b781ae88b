/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An object; private to system/. */
#ifndef GODWIT_SYSTEM_OBJECT_INT_H
#define GODWIT_SYSTEM_OBJECT_INT_H

#include "system/object.h"

struct Object {
    ObjectOptions *options;
    bool in_use;

    /* Memory back ends: what is mapped when taken; -1: anonymous */
    int fd;

    /* Secrets */
    uint8_t *secret;
    size_t secret_len;
};

/* Opens the file or makes the memfd. */
bool object_memory_init(Object *obj, Error **errp);
void object_memory_free(Object *obj);

#endif
