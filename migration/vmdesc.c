/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes the description record as it grows: the text may name thousands of
 * fields, so no tree of objects is built for it. One thread; no lock.
 */
#include "migration/vmdesc.h"

#define DEPTH_MAX 64

struct VMDesc {
    GString *text;
    unsigned depth;
    struct {
        char closing;           /* '}' or ']' */
        bool has_members;
    } level[DEPTH_MAX];
};

VMDesc *vmdesc_new(void)
{
    VMDesc *desc = g_new0(VMDesc, 1);

    desc->text = g_string_new(NULL);
    return desc;
}

void vmdesc_free(VMDesc *desc)
{
    if (desc) {
        g_string_free(desc->text, TRUE);
        g_free(desc);
    }
}

static void put_quoted(VMDesc *desc, const char *str)
{
    g_string_append_c(desc->text, '"');
    for (; *str; str++) {
        unsigned char c = *str;

        if (c == '"' || c == '\\') {
            g_string_append_c(desc->text, '\\');
            g_string_append_c(desc->text, c);
        } else if (c < 0x20) {
            g_string_append_printf(desc->text, "\\u%04x", c);
        } else {
            g_string_append_c(desc->text, c);
        }
    }
    g_string_append_c(desc->text, '"');
}

static void put_name(VMDesc *desc, const char *name)
{
    if (desc->depth > 0) {
        if (desc->level[desc->depth - 1].has_members) {
            g_string_append(desc->text, ", ");
        }
        desc->level[desc->depth - 1].has_members = true;
    }
    if (name) {
        put_quoted(desc, name);
        g_string_append(desc->text, ": ");
    }
}

static void open_level(VMDesc *desc, const char *name, char opening,
                       char closing)
{
    g_assert(desc->depth < DEPTH_MAX);
    put_name(desc, name);
    g_string_append_c(desc->text, opening);
    desc->level[desc->depth].closing = closing;
    desc->level[desc->depth].has_members = false;
    desc->depth++;
}

void vmdesc_object(VMDesc *desc, const char *name)
{
    open_level(desc, name, '{', '}');
}

void vmdesc_array(VMDesc *desc, const char *name)
{
    open_level(desc, name, '[', ']');
}

void vmdesc_end(VMDesc *desc)
{
    g_assert(desc->depth > 0);
    g_string_append_c(desc->text, desc->level[--desc->depth].closing);
}

void vmdesc_string(VMDesc *desc, const char *name, const char *val)
{
    put_name(desc, name);
    put_quoted(desc, val);
}

void vmdesc_int(VMDesc *desc, const char *name, int64_t val)
{
    put_name(desc, name);
    g_string_append_printf(desc->text, "%" G_GINT64_FORMAT, val);
}

const char *vmdesc_text(VMDesc *desc, size_t *len)
{
    g_assert(desc->depth == 0);
    *len = desc->text->len;
    return desc->text->str;
}
