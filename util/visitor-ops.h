/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a visitor implements; see include/util/visitor.h for the meaning. */
#ifndef GODWIT_UTIL_VISITOR_OPS_H
#define GODWIT_UTIL_VISITOR_OPS_H

#include "util/visitor.h"

typedef enum VisitorKind {
    VISITOR_INPUT,
    VISITOR_OUTPUT,
    VISITOR_DEALLOC,
} VisitorKind;

/* A member may be NULL where the visitor has nothing to do. */
typedef struct VisitorOps {
    VisitorKind kind;
    bool (*start_struct)(Visitor *v, const char *name, void **obj, size_t size,
                         Error **errp);
    bool (*check_struct)(Visitor *v, Error **errp);
    void (*end_struct)(Visitor *v, void **obj);
    bool (*start_list)(Visitor *v, const char *name, GenericList **list,
                       size_t size, Error **errp);
    GenericList *(*next_list)(Visitor *v, GenericList *tail, size_t size);
    void (*end_list)(Visitor *v);
    bool (*start_alternate)(Visitor *v, const char *name,
                            GenericAlternate **obj, size_t size,
                            unsigned accepts, Error **errp);
    void (*end_alternate)(Visitor *v, void **obj);
    bool (*optional)(Visitor *v, const char *name, bool *present);
    bool (*type_int64)(Visitor *v, const char *name, int64_t *obj,
                       Error **errp);
    bool (*type_uint64)(Visitor *v, const char *name, uint64_t *obj,
                        Error **errp);
    bool (*type_size)(Visitor *v, const char *name, uint64_t *obj,
                      Error **errp);
    bool (*type_bool)(Visitor *v, const char *name, bool *obj, Error **errp);
    bool (*type_str)(Visitor *v, const char *name, char **obj, Error **errp);
    bool (*type_number)(Visitor *v, const char *name, double *obj,
                        Error **errp);
    bool (*type_any)(Visitor *v, const char *name, json_object **obj,
                     Error **errp);
    bool (*type_null)(Visitor *v, const char *name, QNull **obj, Error **errp);
    char *(*path)(Visitor *v, const char *name);
    void (*free)(Visitor *v);
} VisitorOps;

struct Visitor {
    const VisitorOps *ops;
};

#endif
