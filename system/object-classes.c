/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which classes of objects there are. Those of upper floors are declared here
 * and not included. Constant.
 */
#include "system/object-int.h"

extern const ObjectClass iommufd_class;

const ObjectClass *const object_classes[] = {
    &iommufd_class,
    &memory_backend_file_class,
    &memory_backend_memfd_class,
    &memory_backend_ram_class,
    &rng_builtin_class,
    &rng_random_class,
    &secret_class,
    NULL
};
