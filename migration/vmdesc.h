/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The stream's closing description record: JSON that says which device wrote
 * which fields, so that a tool can take a stream apart without the program
 * that wrote it. Keys and nesting are QEMU's. One thread.
 */
#ifndef GODWIT_MIGRATION_VMDESC_H
#define GODWIT_MIGRATION_VMDESC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <glib.h>

typedef struct VMDesc VMDesc;

VMDesc *vmdesc_new(void);
void vmdesc_free(VMDesc *desc);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VMDesc, vmdesc_free)

/* @name is NULL for elements of an array and for the outermost object. */
void vmdesc_object(VMDesc *desc, const char *name);
void vmdesc_array(VMDesc *desc, const char *name);
void vmdesc_end(VMDesc *desc);
void vmdesc_string(VMDesc *desc, const char *name, const char *val);
void vmdesc_int(VMDesc *desc, const char *name, int64_t val);

/* The text so far; the record's. All objects are closed by now. */
const char *vmdesc_text(VMDesc *desc, size_t *len);

#endif
