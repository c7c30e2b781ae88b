/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keys of --device as one table: name, kind, range, default, help. Pure;
 * an options object is guarded by the lock of the device that it belongs to.
 */
#include "device-options.h"

#include <inttypes.h>
#include <string.h>

#include "state-content.h"
#include "util/checked.h"

typedef enum KeyKind {
    KEY_TEXT,
    KEY_NUMBER,
    KEY_SIZE,
    KEY_ONOFF,
    KEY_FAULT,
} KeyKind;

typedef struct Key {
    const char *name;
    KeyKind kind;
    size_t offset;
    const char *def;
    uint64_t min, max;
    bool while_running; /* may be changed by sim_options_set() */
    const char *help;
} Key;

#define AT(field) offsetof(SimOptions, field)

/* A terabyte of state is four times what any device has today. */
#define STATE_MAX (1ULL << 40)

static const Key keys[] = {
    {"id", KEY_TEXT, AT(id), "vf0", 0, 0, false,
     "name, for @ID@ in the arguments of COMMAND"},
    {"vendor", KEY_NUMBER, AT(vendor), "0xfff1", 0, 0xfffe, false,
     "PCI vendor id"},
    {"device", KEY_NUMBER, AT(device), "0x6770", 0, 0xffff, false,
     "PCI device id"},
    {"bars", KEY_TEXT, AT(bars_text), "0:64K:trap+2:16M:map", 0, 0, false,
     "NUMBER:SIZE:trap or NUMBER:SIZE:map, joined by '+'"},
    {"seed", KEY_NUMBER, AT(seed), "1", 0, UINT64_MAX, false,
     "what the content of the state follows from"},
    {"state-size", KEY_SIZE, AT(state_size), "256M", SIM_BLOCK, STATE_MAX,
     false, "the whole state"},
    {"initial-size", KEY_SIZE, AT(initial_size), "1M", 0, STATE_MAX, false,
     "what must be sent first"},
    {"stop-size", KEY_SIZE, AT(stop_size), "16M", 0, STATE_MAX, false,
     "what can only be read when the device is stopped"},
    {"dirty-rate", KEY_SIZE, AT(dirty_rate), "0", 0, UINT64_MAX, true,
     "bytes/s of the state that become dirty again while running"},
    {"read-rate", KEY_SIZE, AT(read_rate), "0", 0, UINT64_MAX, true,
     "bytes/s at which it gives its state; 0: as fast as it is read"},
    {"write-rate", KEY_SIZE, AT(write_rate), "0", 0, UINT64_MAX, true,
     "bytes/s at which it takes its state; 0: as fast as it is written"},
    {"precopy", KEY_ONOFF, AT(precopy), "on", 0, 0, false,
     "offer the pre-copy states"},
    {"p2p", KEY_ONOFF, AT(p2p), "on", 0, 0, false,
     "offer the peer-to-peer states"},
    {"infov2", KEY_ONOFF, AT(infov2), "on", 0, 0, false,
     "offer PRECOPY_INFOv2, which tells of new initial data"},
    {"dirty", KEY_TEXT, AT(dirty_text), "device", 0, 0, false,
     "who logs its DMA: device, iommu or none"},
    {"dma-log", KEY_ONOFF, AT(dma_log), "on", 0, 0, false,
     "off: the device does not log its DMA, whatever 'dirty' says"},
    {"irq-rate", KEY_NUMBER, AT(irq_rate), "0", 0, 100, true,
     "interrupts a second that it raises while running"},
    {"dma-rate", KEY_SIZE, AT(dma_rate), "0", 0, UINT64_MAX, true,
     "bytes/s of guest memory that it writes, page by page, while running"},
    {"dma-range", KEY_TEXT, AT(dma_range_text), "0+1M", 0, 0, false,
     "START+LENGTH: which memory"},
    {"transition-ms", KEY_NUMBER, AT(transition_ms), "0", 0, 60000, true,
     "how long each move of the migration state takes"},
    {"fault", KEY_FAULT, 0, NULL, 0, 0, true,
     "POINT:WHAT[*COUNT][@PLACE]; may be repeated"},
};

bool sim_parse_size(const char *text, uint64_t *value, Error **errp)
{
    static const char suffixes[] = "KMGT";
    size_t len = strlen(text);
    const char *suffix = len ? strchr(suffixes, text[len - 1]) : NULL;
    unsigned shift = suffix ? 10 * (suffix - suffixes + 1) : 0;
    g_autofree char *digits = g_strndup(text, suffix ? len - 1 : len);
    uint64_t number;

    if (!g_ascii_string_to_unsigned(digits, 10, 0, UINT64_MAX, &number, NULL)
        || !checked_mul_u64(number, 1ULL << shift, value)) {
        error_setg(errp, "'%s' is not a size: expected a whole number up to "
                   "2^64-1, with K, M, G or T behind it or nothing", text);
        return false;
    }
    return true;
}

static bool set_key(SimOptions *o, const Key *key, const char *text,
                    Error **errp)
{
    char *field = (char *)o + key->offset;
    const char *digits = text;
    uint64_t number;
    SimFault *fault;

    switch (key->kind) {
    case KEY_TEXT:
        if (!*text) {
            error_setg(errp, "%s must not be empty", key->name);
            return false;
        }
        g_free(*(char **)field);
        *(char **)field = g_strdup(text);
        return true;
    case KEY_ONOFF:
        if (strcmp(text, "on") && strcmp(text, "off")) {
            error_setg(errp, "%s=%s: expected on or off", key->name, text);
            return false;
        }
        *(bool *)field = !strcmp(text, "on");
        return true;
    case KEY_FAULT:
        fault = sim_fault_parse(text, errp);
        if (!fault) {
            return false;
        }
        g_ptr_array_add(o->faults, fault);
        return true;
    case KEY_SIZE:
        if (!sim_parse_size(text, &number, errp)) {
            error_prepend(errp, "%s: ", key->name);
            return false;
        }
        break;
    case KEY_NUMBER:
        if (g_str_has_prefix(text, "0x")) {
            digits += 2;
        }
        if (!g_ascii_string_to_unsigned(digits, digits == text ? 10 : 16, 0,
                                        UINT64_MAX, &number, NULL)) {
            error_setg(errp, "%s=%s: expected a number", key->name, text);
            return false;
        }
        break;
    }
    if (number < key->min || number > key->max) {
        error_setg(errp, "%s=%s is out of range: expected %" PRIu64
                   " to %" PRIu64, key->name, text, key->min, key->max);
        return false;
    }
    *(uint64_t *)field = number;
    return true;
}

static const Key *find_key(const char *name, Error **errp)
{
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (!strcmp(keys[i].name, name)) {
            return &keys[i];
        }
    }
    error_setg(errp, "unknown key '%s'", name);
    return NULL;
}

static bool parse_bars(SimOptions *o, Error **errp)
{
    g_auto(GStrv) bars = g_strsplit(o->bars_text, "+", -1);

    for (unsigned i = 0; bars[i]; i++) {
        g_auto(GStrv) part = g_strsplit(bars[i], ":", -1);
        uint64_t number, size;

        if (g_strv_length(part) != 3 ||
            !g_ascii_string_to_unsigned(part[0], 10, 0, 5, &number, NULL) ||
            (strcmp(part[2], "trap") && strcmp(part[2], "map"))) {
            error_setg(errp, "bars: '%s': expected NUMBER:SIZE:trap or "
                       "NUMBER:SIZE:map with NUMBER from 0 to 5", bars[i]);
            return false;
        }
        if (!sim_parse_size(part[1], &size, errp)) {
            error_prepend(errp, "bars: ");
            return false;
        }
        if (size < 4096 || size > (1ULL << 30) || (size & (size - 1))) {
            error_setg(errp, "bars: '%s': the size must be a power of two "
                       "from 4K to 1G", bars[i]);
            return false;
        }
        if (o->bars[number].size) {
            error_setg(errp, "bars: BAR %" PRIu64 " is given twice", number);
            return false;
        }
        o->bars[number].size = size;
        o->bars[number].mappable = !strcmp(part[2], "map");
    }
    return true;
}

static bool parse_dma_range(SimOptions *o, Error **errp)
{
    g_auto(GStrv) part = g_strsplit(o->dma_range_text, "+", 2);
    uint64_t end;

    if (g_strv_length(part) != 2 ||
        !sim_parse_size(part[0], &o->dma_start, NULL) ||
        !sim_parse_size(part[1], &o->dma_length, NULL) || !o->dma_length ||
        (o->dma_start | o->dma_length) % SIM_DMA_PAGE ||
        o->dma_length > SIM_DMA_RANGE_MAX ||
        !checked_add_u64(o->dma_start, o->dma_length, &end)) {
        error_setg(errp, "dma-range=%s: expected START+LENGTH, both multiples "
                   "of 4K, LENGTH from 4K to 1T", o->dma_range_text);
        return false;
    }
    return true;
}

static bool parse_dirty(SimOptions *o, Error **errp)
{
    static const char *const words[] = {"device", "iommu", "none", NULL};

    if (!g_strv_contains(words, o->dirty_text)) {
        error_setg(errp, "dirty=%s: expected device, iommu or none",
                   o->dirty_text);
        return false;
    }
    o->dma_log &= !strcmp(o->dirty_text, "device");
    o->iommu_dirty = !strcmp(o->dirty_text, "iommu");
    return true;
}

static bool check(SimOptions *o, Error **errp)
{
    uint64_t *sizes[] = {&o->state_size, &o->initial_size, &o->stop_size};
    uint64_t parts;

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        *sizes[i] = (*sizes[i] + SIM_BLOCK - 1) & ~(uint64_t)(SIM_BLOCK - 1);
    }
    parts = o->initial_size + o->stop_size;
    if (parts > o->state_size) {
        error_setg(errp, "initial-size and stop-size together (%" PRIu64
                   ") exceed state-size (%" PRIu64 ")", parts, o->state_size);
        return false;
    }
    return parse_bars(o, errp) && parse_dma_range(o, errp) &&
           parse_dirty(o, errp);
}

SimOptions *sim_options_parse(const char *text, Error **errp)
{
    g_auto(GStrv) pairs = g_strsplit(text, ",", -1);
    g_autoptr(SimOptions) o = g_new0(SimOptions, 1);

    o->faults = g_ptr_array_new_with_free_func(
        (GDestroyNotify)sim_fault_free);
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (keys[i].def && !set_key(o, &keys[i], keys[i].def, errp)) {
            return NULL;
        }
    }
    for (unsigned i = 0; pairs[i]; i++) {
        char *value = strchr(pairs[i], '=');
        const Key *key;

        if (!value) {
            error_setg(errp, "'%s': expected KEY=VALUE", pairs[i]);
            return NULL;
        }
        *value++ = '\0';
        key = find_key(pairs[i], errp);
        if (!key || !set_key(o, key, value, errp)) {
            return NULL;
        }
    }
    if (!check(o, errp)) {
        return NULL;
    }
    return g_steal_pointer(&o);
}

void sim_options_free(SimOptions *o)
{
    if (!o) {
        return;
    }
    g_free(o->id);
    g_free(o->bars_text);
    g_free(o->dma_range_text);
    g_free(o->dirty_text);
    g_ptr_array_unref(o->faults);
    g_free(o);
}

bool sim_options_set(SimOptions *o, const char *name, const char *value,
                     Error **errp)
{
    const Key *key = find_key(name, errp);

    if (!key) {
        return false;
    }
    if (!key->while_running) {
        error_setg(errp, "%s cannot be changed while the device is there",
                   name);
        return false;
    }
    if (key->kind == KEY_FAULT && !strcmp(value, "none")) {
        g_ptr_array_set_size(o->faults, 0);
        return true;
    }
    return set_key(o, key, value, errp);
}

void sim_options_help(GString *out)
{
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_string_append_printf(out, "  %-14s %s", keys[i].name, keys[i].help);
        if (keys[i].def) {
            g_string_append_printf(out, " (%s)", keys[i].def);
        }
        g_string_append_c(out, '\n');
    }
}
