/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device state described as tables: which fields of a struct travel, in which
 * order and width. One table saves, loads and documents itself (the stream's
 * closing description record is made from it).
 *
 * On the wire every field is what QEMU writes for the macro of the same name:
 * integers big-endian in their own width, a bool one byte (0 or 1), a buffer
 * its bytes, an array its elements one after the other without a count, a
 * struct its fields, a timer its deadline (docs/interop/migration-stream.rst).
 *
 * Everything that is loaded is hostile. The macros that take a maximum refuse
 * what is greater before it is used; for the rest post_load() is the place to
 * check. How to describe a device: docs/devel/vmstate.rst.
 *
 * All hooks run with the big lock held and the vCPUs stopped.
 */
#ifndef GODWIT_MIGRATION_VMSTATE_H
#define GODWIT_MIGRATION_VMSTATE_H

#include <stddef.h>
#include <stdint.h>

#include "migration/register.h"
#include "migration/stream.h"
#include "system/timer.h"
#include "system/vm.h"

typedef struct VMStateDescription VMStateDescription;
typedef struct VMStateField VMStateField;
typedef struct VMStateInfo VMStateInfo;

/* Writes the stream's description record; see migration/vmdesc.h. */
typedef struct VMDesc VMDesc;

/*
 * In which order the device states are saved and loaded: higher first, equal
 * ones in the order of their registration. What others need at post_load comes
 * before them.
 */
typedef enum MigrationPriority {
    MIG_PRI_DEFAULT = 0,
    MIG_PRI_CPU,                /* harts, before what asks for their state */
    MIG_PRI_IRQCHIP,            /* interrupt controllers */
    MIG_PRI_BUS,                /* buses, before what sits on them */
    MIG_PRI_TIMER,              /* the guest's clock, before all timers */
    MIG_PRI_MAX,
} MigrationPriority;

/*
 * How one value of a kind is written and read. @pv points to it, it has @size
 * bytes, and @field is the entry that names it. put() reports by the stream's
 * sticky error; get() returns false with errp set, and leaves *pv alone then
 * or sets it.
 */
struct VMStateInfo {
    const char *name;           /* "type" in the description record */
    void (*put)(MigStream *s, const void *pv, size_t size,
                const VMStateField *field);
    bool (*get)(MigStream *s, void *pv, size_t size, const VMStateField *field,
                Error **errp);
};

typedef enum VMStateFlags {
    VMS_POINTER = 1 << 0,       /* the struct holds a pointer to the value(s) */
    VMS_ARRAY_OF_POINTER = 1 << 1, /* an array of pointers to values */
    VMS_ALLOC = 1 << 2,         /* ... which loading allocates (with POINTER) */
    VMS_VARRAY = 1 << 3,        /* count_offset, count_size and limit count */
    VMS_STRUCT = 1 << 4,        /* vmsd describes the value */
    VMS_BUFFER = 1 << 5,        /* info takes all of size as one value */
    VMS_LIMIT = 1 << 6,         /* an integer that may be at most limit */
} VMStateFlags;

/* Made by the macros below only. */
struct VMStateField {
    const char *name;
    size_t offset;              /* bytes from the struct's start */
    size_t size;                /* of one value, bytes */
    unsigned flags;             /* of VMStateFlags */
    uint32_t num;               /* values; 1 for a single one */
    size_t count_offset;        /* VARRAY: of the field that counts */
    uint8_t count_size;         /* VARRAY: its width in bytes */
    uint64_t limit;             /* VARRAY: most values; LIMIT: greatest value */
    const VMStateInfo *info;    /* if not a struct */
    const VMStateDescription *vmsd; /* if a struct */
    int version_id;             /* first version of the table that has it */
    /* NULL: whenever the version has it. Asked on both sides. */
    bool (*field_exists)(void *opaque, int version_id);
};

struct VMStateDescription {
    const char *name;           /* at most 255 bytes */
    int version_id;             /* what is saved */
    int minimum_version_id;     /* oldest that can be loaded */
    MigrationPriority priority;
    bool unmigratable;          /* the machine cannot move while this exists */

    /* Makes the fields say what they must. Error: migration fails. */
    bool (*pre_save)(void *opaque, Error **errp);
    /* After the fields are written, whatever came of it. */
    void (*post_save)(void *opaque);
    /* Before the first field is loaded. */
    bool (*pre_load)(void *opaque, Error **errp);
    /*
     * After fields and subsections of version @version_id are loaded: checks
     * what no limit in the table has checked, and makes the device agree.
     * Inner structs and subsections first.
     */
    bool (*post_load)(void *opaque, int version_id, Error **errp);
    /* Of a subsection or a whole device: whether it is sent. NULL: always. */
    bool (*needed)(void *opaque);

    const VMStateField *fields;         /* ends in VMSTATE_END_OF_LIST() */
    const VMStateDescription *const *subsections; /* NULL, or ends in NULL */
};

/*
 * Registers a device's state as a section of its own. @idstr: the section's
 * name, at most 255 bytes, copied; NULL: the vmsd's name. @instance: its number
 * among those of the same name, or SAVEVM_INSTANCE_ANY for the next free one;
 * *assigned (may be NULL) is what it got. Error: the name is too long or
 * taken. Big lock. @vmsd must outlive the registration.
 */
bool vmstate_register(Vm *vm, const char *idstr, uint32_t instance,
                      const VMStateDescription *vmsd, void *opaque,
                      uint32_t *assigned, Error **errp);

/* Takes away what was registered with this pair; nothing if there is none. */
void vmstate_unregister(Vm *vm, const VMStateDescription *vmsd, void *opaque);

/*
 * Saves @opaque at version_id. @desc (may be NULL) gets the description. An
 * error is one of a hook, or the stream's.
 */
bool vmstate_save(MigStream *s, const VMStateDescription *vmsd, void *opaque,
                  VMDesc *desc, Error **errp);

/*
 * Loads @opaque from what vmstate_save() of version @version_id wrote. Refuses
 * versions outside minimum_version_id..version_id. On error the device is in
 * no particular state, but every count is within its maximum.
 */
bool vmstate_load(MigStream *s, const VMStateDescription *vmsd, void *opaque,
                  int version_id, Error **errp);

/* Whether vmsd->needed lets @opaque be sent. */
static inline bool vmstate_needed(const VMStateDescription *vmsd, void *opaque)
{
    return !vmsd->needed || vmsd->needed(opaque);
}

extern const VMStateInfo vmstate_info_bool;
extern const VMStateInfo vmstate_info_int8;
extern const VMStateInfo vmstate_info_int16;
extern const VMStateInfo vmstate_info_int32;
extern const VMStateInfo vmstate_info_int64;
extern const VMStateInfo vmstate_info_uint8;
extern const VMStateInfo vmstate_info_uint16;
extern const VMStateInfo vmstate_info_uint32;
extern const VMStateInfo vmstate_info_uint64;
/* Loading refuses a value that differs from the one that is there. */
extern const VMStateInfo vmstate_info_uint8_equal;
extern const VMStateInfo vmstate_info_uint16_equal;
extern const VMStateInfo vmstate_info_uint32_equal;
extern const VMStateInfo vmstate_info_uint64_equal;
extern const VMStateInfo vmstate_info_buffer;
extern const VMStateInfo vmstate_info_unused_buffer;
extern const VMStateInfo vmstate_info_timer;    /* of a VmTimer */

/* ---- what the macros are made of; not for use elsewhere ---- */

/* 0, and a compile-time error unless the field has exactly that type. */
#define vmstate_check(_type, _state, _field)                            \
    (sizeof(char[__builtin_types_compatible_p(                          \
        __typeof__(((_state *)0)->_field), _type) ? 1 : -1]) - 1)

#define vmstate_offset(_state, _field, _type)                           \
    (offsetof(_state, _field) + vmstate_check(_type, _state, _field))

#define vmstate_num(_state, _field)                                     \
    (sizeof(((_state *)0)->_field) / sizeof(((_state *)0)->_field[0]))

/* An array of any length of _type. */
#define vmstate_offset_array(_state, _field, _type)                     \
    (offsetof(_state, _field) +                                         \
     vmstate_check(_type, _state, _field[0]))

#define vmstate_count(_state, _count, _max)                             \
    .count_offset = offsetof(_state, _count),                           \
    .count_size = sizeof(((_state *)0)->_count), .limit = (_max)

/* ---- single values ---- */

#define VMSTATE_SINGLE_TEST(_f, _s, _test, _version, _info, _type)      \
    { .name = #_f, .offset = vmstate_offset(_s, _f, _type),             \
      .size = sizeof(_type), .num = 1, .info = &(_info),                \
      .version_id = (_version), .field_exists = (_test) }
#define VMSTATE_SINGLE(_f, _s, _version, _info, _type)                  \
    VMSTATE_SINGLE_TEST(_f, _s, NULL, _version, _info, _type)

#define VMSTATE_BOOL_V(_f, _s, _v)                                      \
    VMSTATE_SINGLE(_f, _s, _v, vmstate_info_bool, bool)
#define VMSTATE_INT8_V(_f, _s, _v)                                      \
    VMSTATE_SINGLE(_f, _s, _v, vmstate_info_int8, int8_t)
#define VMSTATE_INT16_V(_f, _s, _v)                                     \
    VMSTATE_SINGLE(_f, _s, _v, vmstate_info_int16, int16_t)
#define VMSTATE_INT32_V(_f, _s, _v)                                     \
    VMSTATE_SINGLE(_f, _s, _v, vmstate_info_int32, int32_t)
#define VMSTATE_INT64_V(_f, _s, _v)                                     \
    VMSTATE_SINGLE(_f, _s, _v, vmstate_info_int64, int64_t)
#define VMSTATE_UINT8_V(_f, _s, _v)                                     \
    VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint8, uint8_t)
#define VMSTATE_UINT16_V(_f, _s, _v)                                    \
    VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint16, uint16_t)
#define VMSTATE_UINT32_V(_f, _s, _v)                                    \
    VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint32, uint32_t)
#define VMSTATE_UINT64_V(_f, _s, _v)                                    \
    VMSTATE_SINGLE(_f, _s, _v, vmstate_info_uint64, uint64_t)

#define VMSTATE_BOOL(_f, _s) VMSTATE_BOOL_V(_f, _s, 0)
#define VMSTATE_INT8(_f, _s) VMSTATE_INT8_V(_f, _s, 0)
#define VMSTATE_INT16(_f, _s) VMSTATE_INT16_V(_f, _s, 0)
#define VMSTATE_INT32(_f, _s) VMSTATE_INT32_V(_f, _s, 0)
#define VMSTATE_INT64(_f, _s) VMSTATE_INT64_V(_f, _s, 0)
#define VMSTATE_UINT8(_f, _s) VMSTATE_UINT8_V(_f, _s, 0)
#define VMSTATE_UINT16(_f, _s) VMSTATE_UINT16_V(_f, _s, 0)
#define VMSTATE_UINT32(_f, _s) VMSTATE_UINT32_V(_f, _s, 0)
#define VMSTATE_UINT64(_f, _s) VMSTATE_UINT64_V(_f, _s, 0)

/* Present if _test(opaque, version_id). */
#define VMSTATE_BOOL_TEST(_f, _s, _test)                                \
    VMSTATE_SINGLE_TEST(_f, _s, _test, 0, vmstate_info_bool, bool)
#define VMSTATE_INT8_TEST(_f, _s, _test)                                \
    VMSTATE_SINGLE_TEST(_f, _s, _test, 0, vmstate_info_int8, int8_t)
#define VMSTATE_INT16_TEST(_f, _s, _test)                               \
    VMSTATE_SINGLE_TEST(_f, _s, _test, 0, vmstate_info_int16, int16_t)
#define VMSTATE_INT32_TEST(_f, _s, _test)                               \
    VMSTATE_SINGLE_TEST(_f, _s, _test, 0, vmstate_info_int32, int32_t)
#define VMSTATE_INT64_TEST(_f, _s, _test)                               \
    VMSTATE_SINGLE_TEST(_f, _s, _test, 0, vmstate_info_int64, int64_t)
#define VMSTATE_UINT8_TEST(_f, _s, _test)                               \
    VMSTATE_SINGLE_TEST(_f, _s, _test, 0, vmstate_info_uint8, uint8_t)
#define VMSTATE_UINT16_TEST(_f, _s, _test)                              \
    VMSTATE_SINGLE_TEST(_f, _s, _test, 0, vmstate_info_uint16, uint16_t)
#define VMSTATE_UINT32_TEST(_f, _s, _test)                              \
    VMSTATE_SINGLE_TEST(_f, _s, _test, 0, vmstate_info_uint32, uint32_t)
#define VMSTATE_UINT64_TEST(_f, _s, _test)                              \
    VMSTATE_SINGLE_TEST(_f, _s, _test, 0, vmstate_info_uint64, uint64_t)

/* A property of the machine that must be the same on both sides. */
#define VMSTATE_UINT8_EQUAL(_f, _s)                                     \
    VMSTATE_SINGLE(_f, _s, 0, vmstate_info_uint8_equal, uint8_t)
#define VMSTATE_UINT16_EQUAL(_f, _s)                                    \
    VMSTATE_SINGLE(_f, _s, 0, vmstate_info_uint16_equal, uint16_t)
#define VMSTATE_UINT32_EQUAL(_f, _s)                                    \
    VMSTATE_SINGLE(_f, _s, 0, vmstate_info_uint32_equal, uint32_t)
#define VMSTATE_UINT64_EQUAL(_f, _s)                                    \
    VMSTATE_SINGLE(_f, _s, 0, vmstate_info_uint64_equal, uint64_t)

/* An index or count: loading refuses what is greater than _max. */
#define VMSTATE_LIMIT_SINGLE(_f, _s, _max, _info, _type)                \
    { .name = #_f, .offset = vmstate_offset(_s, _f, _type),             \
      .size = sizeof(_type), .num = 1, .info = &(_info),                \
      .flags = VMS_LIMIT, .limit = (_max) }
#define VMSTATE_UINT8_LIMIT(_f, _s, _max)                               \
    VMSTATE_LIMIT_SINGLE(_f, _s, _max, vmstate_info_uint8, uint8_t)
#define VMSTATE_UINT16_LIMIT(_f, _s, _max)                              \
    VMSTATE_LIMIT_SINGLE(_f, _s, _max, vmstate_info_uint16, uint16_t)
#define VMSTATE_UINT32_LIMIT(_f, _s, _max)                              \
    VMSTATE_LIMIT_SINGLE(_f, _s, _max, vmstate_info_uint32, uint32_t)
#define VMSTATE_UINT64_LIMIT(_f, _s, _max)                              \
    VMSTATE_LIMIT_SINGLE(_f, _s, _max, vmstate_info_uint64, uint64_t)

/* A VmTimer *: its deadline, -1 if it is not pending. */
#define VMSTATE_TIMER_PTR_V(_f, _s, _v)                                 \
    { .name = #_f, .offset = vmstate_offset(_s, _f, VmTimer *),         \
      .size = sizeof(VmTimer *), .num = 1, .flags = VMS_POINTER,        \
      .info = &vmstate_info_timer, .version_id = (_v) }
#define VMSTATE_TIMER_PTR(_f, _s) VMSTATE_TIMER_PTR_V(_f, _s, 0)
#define VMSTATE_TIMER_PTR_ARRAY(_f, _s, _num)                           \
    { .name = #_f, .offset = vmstate_offset_array(_s, _f, VmTimer *),   \
      .size = sizeof(VmTimer *), .num = (_num),                         \
      .flags = VMS_ARRAY_OF_POINTER, .info = &vmstate_info_timer }

/* ---- arrays of fixed length ---- */

/* The first _num elements from _start on of the array _f. */
#define VMSTATE_SUB_ARRAY(_f, _s, _start, _num, _v, _info, _type)       \
    { .name = #_f,                                                      \
      .offset = vmstate_offset_array(_s, _f, _type) +                   \
                (_start) * sizeof(_type),                               \
      .size = sizeof(_type), .num = (_num), .info = &(_info),           \
      .version_id = (_v) }
/* All of an array that has exactly _num elements. */
#define VMSTATE_ARRAY(_f, _s, _num, _v, _info, _type)                   \
    { .name = #_f,                                                      \
      .offset = offsetof(_s, _f) +                                      \
                vmstate_check(_type[_num], _s, _f),                     \
      .size = sizeof(_type), .num = (_num), .info = &(_info),           \
      .version_id = (_v) }
#define VMSTATE_ARRAY_TEST(_f, _s, _num, _test, _info, _type)           \
    { .name = #_f,                                                      \
      .offset = offsetof(_s, _f) +                                      \
                vmstate_check(_type[_num], _s, _f),                     \
      .size = sizeof(_type), .num = (_num), .info = &(_info),           \
      .field_exists = (_test) }
/* Rows first, as they lie in memory. */
#define VMSTATE_2DARRAY(_f, _s, _n1, _n2, _v, _info, _type)             \
    { .name = #_f,                                                      \
      .offset = offsetof(_s, _f) +                                      \
                vmstate_check(_type[_n1][_n2], _s, _f),                 \
      .size = sizeof(_type), .num = (_n1) * (_n2), .info = &(_info),    \
      .version_id = (_v) }

#define VMSTATE_BOOL_ARRAY_V(_f, _s, _n, _v)                            \
    VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_bool, bool)
#define VMSTATE_INT32_ARRAY_V(_f, _s, _n, _v)                           \
    VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_int32, int32_t)
#define VMSTATE_INT64_ARRAY_V(_f, _s, _n, _v)                           \
    VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_int64, int64_t)
#define VMSTATE_UINT8_ARRAY_V(_f, _s, _n, _v)                           \
    VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_uint8, uint8_t)
#define VMSTATE_UINT16_ARRAY_V(_f, _s, _n, _v)                          \
    VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_uint16, uint16_t)
#define VMSTATE_UINT32_ARRAY_V(_f, _s, _n, _v)                          \
    VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_uint32, uint32_t)
#define VMSTATE_UINT64_ARRAY_V(_f, _s, _n, _v)                          \
    VMSTATE_ARRAY(_f, _s, _n, _v, vmstate_info_uint64, uint64_t)

#define VMSTATE_BOOL_ARRAY(_f, _s, _n) VMSTATE_BOOL_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_INT32_ARRAY(_f, _s, _n) VMSTATE_INT32_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_INT64_ARRAY(_f, _s, _n) VMSTATE_INT64_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_UINT8_ARRAY(_f, _s, _n) VMSTATE_UINT8_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_UINT16_ARRAY(_f, _s, _n)                                \
    VMSTATE_UINT16_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_UINT32_ARRAY(_f, _s, _n)                                \
    VMSTATE_UINT32_ARRAY_V(_f, _s, _n, 0)
#define VMSTATE_UINT64_ARRAY(_f, _s, _n)                                \
    VMSTATE_UINT64_ARRAY_V(_f, _s, _n, 0)

#define VMSTATE_UINT8_SUB_ARRAY(_f, _s, _start, _n)                     \
    VMSTATE_SUB_ARRAY(_f, _s, _start, _n, 0, vmstate_info_uint8, uint8_t)
#define VMSTATE_UINT32_SUB_ARRAY(_f, _s, _start, _n)                    \
    VMSTATE_SUB_ARRAY(_f, _s, _start, _n, 0, vmstate_info_uint32, uint32_t)
#define VMSTATE_UINT64_SUB_ARRAY(_f, _s, _start, _n)                    \
    VMSTATE_SUB_ARRAY(_f, _s, _start, _n, 0, vmstate_info_uint64, uint64_t)

#define VMSTATE_UINT8_2DARRAY(_f, _s, _n1, _n2)                         \
    VMSTATE_2DARRAY(_f, _s, _n1, _n2, 0, vmstate_info_uint8, uint8_t)
#define VMSTATE_UINT32_2DARRAY(_f, _s, _n1, _n2)                        \
    VMSTATE_2DARRAY(_f, _s, _n1, _n2, 0, vmstate_info_uint32, uint32_t)
#define VMSTATE_UINT64_2DARRAY(_f, _s, _n1, _n2)                        \
    VMSTATE_2DARRAY(_f, _s, _n1, _n2, 0, vmstate_info_uint64, uint64_t)

/* ---- as many as another field says ----
 *
 * _count is an unsigned field of 1, 2, 4 or 8 bytes that stands in the table
 * before this entry (or is constant). If it is greater than _max, saving and
 * loading fail before a byte is touched, and loading sets it to 0.
 */

/* An array inside the struct, of at least _max elements. */
#define VMSTATE_VARRAY(_f, _s, _count, _max, _v, _info, _type)          \
    { .name = #_f,                                                      \
      .offset = vmstate_offset_array(_s, _f, _type) +                   \
                sizeof(char[vmstate_num(_s, _f) >= (_max) ? 1 : -1]) - 1, \
      .size = sizeof(_type), .flags = VMS_VARRAY,                       \
      vmstate_count(_s, _count, _max), .info = &(_info),                \
      .version_id = (_v) }
/* VmTimer pointers; those that count are all made. */
#define VMSTATE_TIMER_PTR_VARRAY(_f, _s, _count, _max)                  \
    { .name = #_f,                                                      \
      .offset = vmstate_offset_array(_s, _f, VmTimer *) +               \
                sizeof(char[vmstate_num(_s, _f) >= (_max) ? 1 : -1]) - 1, \
      .size = sizeof(VmTimer *),                                        \
      .flags = VMS_VARRAY | VMS_ARRAY_OF_POINTER,                       \
      vmstate_count(_s, _count, _max), .info = &vmstate_info_timer }
/* A pointer to memory that has room for _max elements already. */
#define VMSTATE_VARRAY_PTR(_f, _s, _count, _max, _v, _info, _type)      \
    { .name = #_f, .offset = vmstate_offset(_s, _f, _type *),           \
      .size = sizeof(_type), .flags = VMS_VARRAY | VMS_POINTER,         \
      vmstate_count(_s, _count, _max), .info = &(_info),                \
      .version_id = (_v) }
/* A pointer (NULL or from g_malloc) that loading makes point to new memory. */
#define VMSTATE_VARRAY_ALLOC(_f, _s, _count, _max, _v, _info, _type)    \
    { .name = #_f, .offset = vmstate_offset(_s, _f, _type *),           \
      .size = sizeof(_type),                                            \
      .flags = VMS_VARRAY | VMS_POINTER | VMS_ALLOC,                    \
      vmstate_count(_s, _count, _max), .info = &(_info),                \
      .version_id = (_v) }

/* ---- structs ---- */

#define VMSTATE_STRUCT_TEST_V(_f, _s, _test, _v, _vmsd, _type)          \
    { .name = #_f, .offset = vmstate_offset(_s, _f, _type),             \
      .size = sizeof(_type), .num = 1, .flags = VMS_STRUCT,             \
      .vmsd = &(_vmsd), .version_id = (_v), .field_exists = (_test) }
#define VMSTATE_STRUCT_TEST(_f, _s, _test, _vmsd, _type)                \
    VMSTATE_STRUCT_TEST_V(_f, _s, _test, 0, _vmsd, _type)
#define VMSTATE_STRUCT_V(_f, _s, _v, _vmsd, _type)                      \
    VMSTATE_STRUCT_TEST_V(_f, _s, NULL, _v, _vmsd, _type)
#define VMSTATE_STRUCT(_f, _s, _vmsd, _type)                            \
    VMSTATE_STRUCT_TEST_V(_f, _s, NULL, 0, _vmsd, _type)
/* A pointer to a struct that exists on both sides. */
#define VMSTATE_STRUCT_POINTER(_f, _s, _vmsd, _type)                    \
    { .name = #_f, .offset = vmstate_offset(_s, _f, _type *),           \
      .size = sizeof(_type), .num = 1,                                  \
      .flags = VMS_STRUCT | VMS_POINTER, .vmsd = &(_vmsd) }

#define VMSTATE_STRUCT_SUB_ARRAY(_f, _s, _start, _num, _v, _vmsd, _type) \
    { .name = #_f,                                                      \
      .offset = vmstate_offset_array(_s, _f, _type) +                   \
                (_start) * sizeof(_type),                               \
      .size = sizeof(_type), .num = (_num), .flags = VMS_STRUCT,        \
      .vmsd = &(_vmsd), .version_id = (_v) }
#define VMSTATE_STRUCT_ARRAY(_f, _s, _num, _v, _vmsd, _type)            \
    { .name = #_f,                                                      \
      .offset = offsetof(_s, _f) +                                      \
                vmstate_check(_type[_num], _s, _f),                     \
      .size = sizeof(_type), .num = (_num), .flags = VMS_STRUCT,        \
      .vmsd = &(_vmsd), .version_id = (_v) }
/* As VMSTATE_VARRAY, _PTR and _ALLOC. */
#define VMSTATE_STRUCT_VARRAY(_f, _s, _count, _max, _v, _vmsd, _type)   \
    { .name = #_f,                                                      \
      .offset = vmstate_offset_array(_s, _f, _type) +                   \
                sizeof(char[vmstate_num(_s, _f) >= (_max) ? 1 : -1]) - 1, \
      .size = sizeof(_type), .flags = VMS_VARRAY | VMS_STRUCT,          \
      vmstate_count(_s, _count, _max), .vmsd = &(_vmsd),                \
      .version_id = (_v) }
#define VMSTATE_STRUCT_VARRAY_PTR(_f, _s, _count, _max, _v, _vmsd, _type) \
    { .name = #_f, .offset = vmstate_offset(_s, _f, _type *),           \
      .size = sizeof(_type),                                            \
      .flags = VMS_VARRAY | VMS_STRUCT | VMS_POINTER,                   \
      vmstate_count(_s, _count, _max), .vmsd = &(_vmsd),                \
      .version_id = (_v) }
#define VMSTATE_STRUCT_VARRAY_ALLOC(_f, _s, _count, _max, _v, _vmsd, _type) \
    { .name = #_f, .offset = vmstate_offset(_s, _f, _type *),           \
      .size = sizeof(_type),                                            \
      .flags = VMS_VARRAY | VMS_STRUCT | VMS_POINTER | VMS_ALLOC,       \
      vmstate_count(_s, _count, _max), .vmsd = &(_vmsd),                \
      .version_id = (_v) }

/* ---- buffers ---- */

/* The first _size bytes of the uint8_t array _f. */
#define VMSTATE_PARTIAL_BUFFER(_f, _s, _size)                           \
    { .name = #_f,                                                      \
      .offset = vmstate_offset_array(_s, _f, uint8_t) +                 \
                sizeof(char[vmstate_num(_s, _f) >= (_size) ? 1 : -1]) - 1, \
      .size = (_size), .num = 1, .flags = VMS_BUFFER,                   \
      .info = &vmstate_info_buffer }
#define VMSTATE_BUFFER_V(_f, _s, _v)                                    \
    { .name = #_f, .offset = vmstate_offset_array(_s, _f, uint8_t),     \
      .size = sizeof(((_s *)0)->_f), .num = 1, .flags = VMS_BUFFER,     \
      .info = &vmstate_info_buffer, .version_id = (_v) }
#define VMSTATE_BUFFER(_f, _s) VMSTATE_BUFFER_V(_f, _s, 0)
/* A uint8_t * to _count bytes: room for _max is there; or loading makes it. */
#define VMSTATE_VBUFFER(_f, _s, _count, _max, _v)                       \
    { .name = #_f, .offset = vmstate_offset(_s, _f, uint8_t *),         \
      .size = 1, .flags = VMS_BUFFER | VMS_VARRAY | VMS_POINTER,        \
      vmstate_count(_s, _count, _max), .info = &vmstate_info_buffer,    \
      .version_id = (_v) }
#define VMSTATE_VBUFFER_ALLOC(_f, _s, _count, _max, _v)                 \
    { .name = #_f, .offset = vmstate_offset(_s, _f, uint8_t *),         \
      .size = 1,                                                        \
      .flags = VMS_BUFFER | VMS_VARRAY | VMS_POINTER | VMS_ALLOC,       \
      vmstate_count(_s, _count, _max), .info = &vmstate_info_buffer,    \
      .version_id = (_v) }

/* _size bytes that mean nothing any more: zeros out, anything in. */
#define VMSTATE_UNUSED_V(_v, _size)                                     \
    { .name = "unused", .size = (_size), .num = 1, .flags = VMS_BUFFER, \
      .info = &vmstate_info_unused_buffer, .version_id = (_v) }
#define VMSTATE_UNUSED(_size) VMSTATE_UNUSED_V(0, _size)

#define VMSTATE_END_OF_LIST() { .name = NULL }

#endif
