/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The visitor that tells which scalars a struct of the schema has: it takes
 * what is optional for present, and looks at no value. One thread; no lock.
 */
#include "util/visitor-ops.h"

typedef struct MembersVisitor {
    Visitor base;
    VisitMemberFn *fn;
    void *opaque;
} MembersVisitor;

static bool members_optional(Visitor *v, const char *name, bool *present)
{
    (void)v;
    (void)name;
    *present = true;
    return true;
}

#define MEMBERS_SCALAR(function, type, kind)                                   \
    static bool function(Visitor *v, const char *name, type *obj,              \
                         Error **errp)                                         \
    {                                                                          \
        MembersVisitor *members = (MembersVisitor *)v;                         \
                                                                               \
        (void)obj;                                                             \
        (void)errp;                                                            \
        members->fn(name, kind, members->opaque);                              \
        return true;                                                           \
    }

MEMBERS_SCALAR(members_int64, int64_t, MEMBER_NUMBER)
MEMBERS_SCALAR(members_uint64, uint64_t, MEMBER_NUMBER)
MEMBERS_SCALAR(members_size, uint64_t, MEMBER_SIZE)
MEMBERS_SCALAR(members_bool, bool, MEMBER_BOOL)
MEMBERS_SCALAR(members_str, char *, MEMBER_TEXT)
MEMBERS_SCALAR(members_number, double, MEMBER_NUMBER)

static void members_free(Visitor *v)
{
    g_free(v);
}

static const VisitorOps members_ops = {
    .kind = VISITOR_OUTPUT,
    .optional = members_optional,
    .type_int64 = members_int64,
    .type_uint64 = members_uint64,
    .type_size = members_size,
    .type_bool = members_bool,
    .type_str = members_str,
    .type_number = members_number,
    .free = members_free,
};

Visitor *visitor_members_new(VisitMemberFn *fn, void *opaque)
{
    MembersVisitor *v = g_new0(MembersVisitor, 1);

    v->base.ops = &members_ops;
    v->fn = fn;
    v->opaque = opaque;
    return &v->base;
}
