/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The classes of objects that system itself has. */
#ifndef GODWIT_SYSTEM_OBJECT_INT_H
#define GODWIT_SYSTEM_OBJECT_INT_H

#include "system/object.h"

extern const ObjectClass memory_backend_file_class;
extern const ObjectClass memory_backend_memfd_class;
extern const ObjectClass memory_backend_ram_class;
extern const ObjectClass rng_builtin_class;
extern const ObjectClass rng_random_class;
extern const ObjectClass secret_class;

#endif
