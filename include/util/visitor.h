/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Visitors: one walk over a value of a schema type, whose meaning the visitor
 * gives. What scripts/qapi generates for a type is that walk; reading JSON,
 * reading command line texts, writing JSON and freeing are four visitors.
 *
 * A visitor belongs to one thread and lives for one walk. Every function that
 * takes @errp returns false if and only if it sets it; after a failure the
 * visitor may only be freed. @name is the member's name, NULL for a list
 * element and for the root. docs/devel/qapi.rst has the whole picture.
 */
#ifndef GODWIT_UTIL_VISITOR_H
#define GODWIT_UTIL_VISITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/json.h"

typedef struct Visitor Visitor;

/* The kinds of JSON value, by which an alternate chooses its branch. */
typedef enum QType {
    QTYPE_NONE,
    QTYPE_QNULL,
    QTYPE_QNUM,
    QTYPE_QSTRING,
    QTYPE_QDICT,
    QTYPE_QLIST,
    QTYPE_QBOOL,
    QTYPE__MAX,
} QType;

/* The value of the built-in type 'null'; carries nothing. */
typedef struct QNull {
    char unused;
} QNull;

/* The names of an enumeration's values, indexed by value. */
typedef struct QEnumLookup {
    const char *const *array;
    int size;
} QEnumLookup;

/* What every generated list and alternate starts with. */
typedef struct GenericList {
    struct GenericList *next;
    char padding[];
} GenericList;

typedef struct GenericAlternate {
    QType type;
    char padding[];
} GenericAlternate;

/* Text of value @val, which must be one of the enumeration's. */
const char *qapi_enum_lookup(const QEnumLookup *lookup, int val);

/*
 * The value named @text. Where @text is NULL: @def, no error. An unknown
 * name: @def, and @errp says which names there are.
 */
int qapi_enum_parse(const QEnumLookup *lookup, const char *text, int def,
                    Error **errp);

/* Puts @element in front of @list (a TList *). */
#define QAPI_LIST_PREPEND(list, element)                                       \
    do {                                                                       \
        __typeof__(list) qapi_node_ = g_new0(__typeof__(*(list)), 1);          \
        qapi_node_->value = (element);                                         \
        qapi_node_->next = (list);                                             \
        (list) = qapi_node_;                                                   \
    } while (0)

/* Puts @element at the end; @tail is a TList ** that starts as &list. */
#define QAPI_LIST_APPEND(tail, element)                                        \
    do {                                                                       \
        *(tail) = g_new0(__typeof__(**(tail)), 1);                             \
        (*(tail))->value = (element);                                          \
        (tail) = &(*(tail))->next;                                             \
    } while (0)

/*
 * Reads @value, which it keeps a reference to. Everything in it must be asked
 * for by the walk. @keyval: @value comes from util/keyval.h, so each scalar
 * is a text: numbers in any C base, sizes with a suffix, on and off.
 */
Visitor *visitor_input_new(json_object *value, bool keyval);

/* Builds a value, which visitor_output_take() hands out once at the end. */
Visitor *visitor_output_new(void);
json_object *visitor_output_take(Visitor *v);

/* Frees what it visits. */
Visitor *visitor_dealloc_new(void);

/*
 * Calls @fn for each scalar or enumeration that is a member of the struct
 * visited, which must be zeroed but for the discriminator of a union, and may
 * have no alternate. Marks in it whatever is optional as present.
 */
typedef enum MemberKind {
    MEMBER_TEXT, /* also an enumeration */
    MEMBER_BOOL,
    MEMBER_NUMBER,
    MEMBER_SIZE,
} MemberKind;

typedef void VisitMemberFn(const char *name, MemberKind kind, void *opaque);

Visitor *visitor_members_new(VisitMemberFn *fn, void *opaque);

void visit_free(Visitor *v);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Visitor, visit_free)

bool visit_is_input(Visitor *v);
bool visit_is_dealloc(Visitor *v);

/*
 * Opens an object. @obj NULL: its members go into a struct that the caller
 * has; else an input visitor allocates @size zeroed bytes into *@obj.
 * visit_check_struct() then fails if a member was not asked for, and
 * visit_end_struct() closes it in any case, after success and failure alike.
 */
bool visit_start_struct(Visitor *v, const char *name, void **obj, size_t size,
                        Error **errp);
bool visit_check_struct(Visitor *v, Error **errp);
void visit_end_struct(Visitor *v, void **obj);

/* The same for a list, of nodes of @size bytes. */
bool visit_start_list(Visitor *v, const char *name, GenericList **list,
                      size_t size, Error **errp);
GenericList *visit_next_list(Visitor *v, GenericList *tail, size_t size);
void visit_end_list(Visitor *v);

/* @accepts: a bit 1 << QType for each kind of value that has a branch. */
bool visit_start_alternate(Visitor *v, const char *name,
                           GenericAlternate **obj, size_t size,
                           unsigned accepts, Error **errp);
void visit_end_alternate(Visitor *v, void **obj);

/* Is the optional member there? Input sets *@present, the others read it. */
bool visit_optional(Visitor *v, const char *name, bool *present);

bool visit_type_enum(Visitor *v, const char *name, int *obj,
                     const QEnumLookup *lookup, Error **errp);
bool visit_type_int(Visitor *v, const char *name, int64_t *obj, Error **errp);
bool visit_type_int8(Visitor *v, const char *name, int8_t *obj, Error **errp);
bool visit_type_int16(Visitor *v, const char *name, int16_t *obj,
                      Error **errp);
bool visit_type_int32(Visitor *v, const char *name, int32_t *obj,
                      Error **errp);
bool visit_type_int64(Visitor *v, const char *name, int64_t *obj,
                      Error **errp);
bool visit_type_uint8(Visitor *v, const char *name, uint8_t *obj,
                      Error **errp);
bool visit_type_uint16(Visitor *v, const char *name, uint16_t *obj,
                       Error **errp);
bool visit_type_uint32(Visitor *v, const char *name, uint32_t *obj,
                       Error **errp);
bool visit_type_uint64(Visitor *v, const char *name, uint64_t *obj,
                       Error **errp);
bool visit_type_size(Visitor *v, const char *name, uint64_t *obj,
                     Error **errp);
bool visit_type_bool(Visitor *v, const char *name, bool *obj, Error **errp);
bool visit_type_str(Visitor *v, const char *name, char **obj, Error **errp);
bool visit_type_number(Visitor *v, const char *name, double *obj,
                       Error **errp);
bool visit_type_any(Visitor *v, const char *name, json_object **obj,
                    Error **errp);
bool visit_type_null(Visitor *v, const char *name, QNull **obj, Error **errp);

/* Sets the error for a member that is of none of the kinds @expected. */
void visit_wrong_type(Visitor *v, const char *name, const char *expected,
                      Error **errp);

/*
 * The path of member @name of the object or list that is open, as an error
 * message should give it: "channels[1].addr.host". Freed by the caller.
 */
char *visit_path(Visitor *v, const char *name);

#endif
