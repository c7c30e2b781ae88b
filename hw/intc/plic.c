/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PLIC. Every source is level-triggered: its gateway forwards one request when
 * the line is high, and no other until the handler has completed that one. A
 * request that was forwarded stays pending even if the line falls.
 *
 * Entered by vCPUs and by whoever raises a line; big lock.
 */
#include <string.h>

#include "hw/core/machine.h"
#include "hw/intc/plic.h"
#include "trace/trace-hw-intc.h"

#define WORDS (PLIC_SOURCES / 32)
#define CONTEXTS_MAX (2 * PLIC_HARTS_MAX)
/* Priorities and thresholds are 0 .. 7, WARL. */
#define PRIORITY_MASK 7

/* The register map: specification 1.0.0, chapter 3. */
#define PENDING_BASE 0x1000
#define ENABLE_BASE 0x2000
#define ENABLE_STRIDE 0x80
#define CONTEXT_BASE 0x200000
#define CONTEXT_STRIDE 0x1000
#define CONTEXT_THRESHOLD 0
#define CONTEXT_CLAIM 4

struct PlicState {
    Device dev;
    IoRegion io;
    hwaddr base;
    Irq outputs[CONTEXTS_MAX];
    uint32_t sources;           /* PLIC_SOURCES, for the vmstate */
    uint32_t contexts;
    uint32_t words;             /* of a bitmap of sources */
    uint32_t enable_words;      /* of all contexts */

    uint32_t level[WORDS];      /* the lines; devices say them after a load */
    uint32_t pending[WORDS];    /* requests that wait to be claimed */
    uint32_t claimed[WORDS];    /* requests being handled */
    uint32_t priority[PLIC_SOURCES];
    uint32_t threshold[CONTEXTS_MAX];
    uint32_t enable[CONTEXTS_MAX * WORDS];
};

static bool bit_get(const uint32_t *map, unsigned n)
{
    return map[n / 32] >> (n % 32) & 1;
}

static void bit_put(uint32_t *map, unsigned n, bool value)
{
    map[n / 32] = (map[n / 32] & ~(UINT32_C(1) << (n % 32))) |
                  (uint32_t)value << (n % 32);
}

/* The source that @context would get now, of priority above @floor; or 0. */
static unsigned best_source(const PlicState *s, unsigned context,
                            uint32_t floor)
{
    unsigned best = 0;

    for (unsigned w = 0; w < WORDS; w++) {
        uint32_t bits = s->pending[w] & s->enable[context * WORDS + w];

        while (bits) {
            unsigned source = w * 32 + (unsigned)__builtin_ctz(bits);

            /* Equal priorities: the lowest number wins. */
            if (s->priority[source] > floor) {
                best = source;
                floor = s->priority[source];
            }
            bits &= bits - 1;
        }
    }
    return best;
}

static void update_outputs(PlicState *s)
{
    for (unsigned c = 0; c < s->contexts; c++) {
        irq_set(&s->outputs[c], best_source(s, c, s->threshold[c]) != 0);
    }
}

static void set_source(void *opaque, unsigned source, bool level)
{
    PlicState *s = opaque;

    if (bit_get(s->level, source) == level) {
        return;
    }
    trace_plic_source(source, level);
    bit_put(s->level, source, level);
    if (level && !bit_get(s->claimed, source)) {
        bit_put(s->pending, source, true);
        update_outputs(s);
    }
}

Irq plic_source(PlicState *plic, unsigned source)
{
    g_assert(source > 0 && source < PLIC_SOURCES);
    return (Irq){ set_source, plic, source };
}

static uint32_t claim(PlicState *s, unsigned context)
{
    unsigned source = best_source(s, context, 0);

    if (source) {
        bit_put(s->pending, source, false);
        bit_put(s->claimed, source, true);
        update_outputs(s);
    }
    trace_plic_claim(context, source);
    return source;
}

/* Of a source that the context has not enabled: ignored. */
static void complete(PlicState *s, unsigned context, uint32_t source)
{
    trace_plic_complete(context, source);
    if (source == 0 || source >= PLIC_SOURCES ||
        !bit_get(&s->enable[context * WORDS], source)) {
        return;
    }
    bit_put(s->claimed, source, false);
    if (bit_get(s->level, source)) {
        bit_put(s->pending, source, true);
    }
    update_outputs(s);
}

static MemResult plic_read(void *opaque, hwaddr addr, unsigned size,
                           uint64_t *val)
{
    PlicState *s = opaque;

    (void)size;
    *val = 0;                   /* reserved registers */
    if (addr < PENDING_BASE) {
        if (addr / 4 < PLIC_SOURCES) {
            *val = s->priority[addr / 4];
        }
    } else if (addr < ENABLE_BASE) {
        if ((addr - PENDING_BASE) / 4 < WORDS) {
            *val = s->pending[(addr - PENDING_BASE) / 4];
        }
    } else if (addr < CONTEXT_BASE) {
        hwaddr context = (addr - ENABLE_BASE) / ENABLE_STRIDE;
        hwaddr word = (addr - ENABLE_BASE) % ENABLE_STRIDE / 4;

        if (context < s->contexts && word < WORDS) {
            *val = s->enable[context * WORDS + word];
        }
    } else {
        hwaddr context = (addr - CONTEXT_BASE) / CONTEXT_STRIDE;
        hwaddr reg = (addr - CONTEXT_BASE) % CONTEXT_STRIDE;

        if (context < s->contexts && reg == CONTEXT_THRESHOLD) {
            *val = s->threshold[context];
        } else if (context < s->contexts && reg == CONTEXT_CLAIM) {
            *val = claim(s, (unsigned)context);
        }
    }
    return MEM_OK;
}

static MemResult plic_write(void *opaque, hwaddr addr, unsigned size,
                            uint64_t val)
{
    PlicState *s = opaque;

    (void)size;
    if (addr < PENDING_BASE) {
        if (addr && addr / 4 < PLIC_SOURCES) {
            s->priority[addr / 4] = val & PRIORITY_MASK;
            update_outputs(s);
        }
    } else if (addr < ENABLE_BASE) {
        /* Pending bits are read-only. */
    } else if (addr < CONTEXT_BASE) {
        hwaddr context = (addr - ENABLE_BASE) / ENABLE_STRIDE;
        hwaddr word = (addr - ENABLE_BASE) % ENABLE_STRIDE / 4;

        if (context < s->contexts && word < WORDS) {
            /* Source 0 does not exist. */
            s->enable[context * WORDS + word] =
                (uint32_t)val & (word ? UINT32_MAX : ~UINT32_C(1));
            update_outputs(s);
        }
    } else {
        hwaddr context = (addr - CONTEXT_BASE) / CONTEXT_STRIDE;
        hwaddr reg = (addr - CONTEXT_BASE) % CONTEXT_STRIDE;

        if (context < s->contexts && reg == CONTEXT_THRESHOLD) {
            s->threshold[context] = val & PRIORITY_MASK;
            update_outputs(s);
        } else if (context < s->contexts && reg == CONTEXT_CLAIM) {
            complete(s, (unsigned)context, (uint32_t)val);
        }
    }
    return MEM_OK;
}

static const IoOps plic_ops = {
    .read = plic_read,
    .write = plic_write,
    .min_size = 4,
    .max_size = 4,
};

static void plic_reset(Device *dev)
{
    PlicState *s = (PlicState *)dev;

    /* What is held high by its device asks again. */
    memcpy(s->pending, s->level, sizeof(s->pending));
    memset(s->claimed, 0, sizeof(s->claimed));
    memset(s->priority, 0, sizeof(s->priority));
    memset(s->threshold, 0, sizeof(s->threshold));
    memset(s->enable, 0, sizeof(s->enable));
    update_outputs(s);
}

static bool plic_realize(Device *dev, Error **errp)
{
    PlicState *s = (PlicState *)dev;

    (void)errp;
    memory_io_init(&s->io, "plic", &plic_ops, s, PLIC_SIZE);
    memory_io_map(dev->vm->memory, &s->io, s->base);
    return true;
}

static void plic_unrealize(Device *dev)
{
    memory_io_unmap(dev->vm->memory, &((PlicState *)dev)->io);
}

static bool plic_post_load(void *opaque, int version_id, Error **errp)
{
    PlicState *s = opaque;

    (void)version_id;
    for (unsigned i = 0; i < PLIC_SOURCES; i++) {
        if (s->priority[i] > PRIORITY_MASK || (i == 0 && s->priority[0])) {
            error_setg(errp, "plic: source %u has priority %u, the highest is "
                       "%u, and that of source 0 is 0", i, s->priority[i],
                       PRIORITY_MASK);
            return false;
        }
    }
    for (unsigned c = 0; c < s->contexts; c++) {
        s->threshold[c] &= PRIORITY_MASK;
        s->enable[c * WORDS] &= ~UINT32_C(1);
    }
    s->pending[0] &= ~UINT32_C(1);
    s->claimed[0] &= ~UINT32_C(1);
    update_outputs(s);
    return true;
}

#define PLIC_ARRAY(field, count, max)                                   \
    VMSTATE_VARRAY(field, PlicState, count, max, 0, vmstate_info_uint32, \
                   uint32_t)

/* QEMU's layout: arrays without their counts, which the board fixes. */
static const VMStateDescription vmstate_plic = {
    .name = "riscv_sifive_plic",
    .version_id = 1,
    .minimum_version_id = 1,
    .priority = MIG_PRI_IRQCHIP,
    .post_load = plic_post_load,
    .fields = (const VMStateField[]) {
        PLIC_ARRAY(priority, sources, PLIC_SOURCES),
        PLIC_ARRAY(threshold, contexts, CONTEXTS_MAX),
        PLIC_ARRAY(pending, words, WORDS),
        PLIC_ARRAY(claimed, words, WORDS),
        PLIC_ARRAY(enable, enable_words, CONTEXTS_MAX * WORDS),
        VMSTATE_END_OF_LIST()
    },
};

static const DeviceType plic_type = {
    .name = "riscv.sifive.plic",
    .bus = "sysbus",
    .description = "platform-level interrupt controller",
    .instance_size = sizeof(PlicState),
    .vmsd = &vmstate_plic,
    .realize = plic_realize,
    .unrealize = plic_unrealize,
    .reset = plic_reset,
};
DEVICE_TYPE(plic_type);

PlicState *plic_create(Vm *vm, hwaddr base, unsigned harts,
                       const Irq *outputs, Error **errp)
{
    Device *dev = device_new(vm, &plic_type, NULL, errp);
    PlicState *s = (PlicState *)dev;

    g_assert(harts > 0 && harts <= PLIC_HARTS_MAX);
    if (!dev) {
        return NULL;
    }
    s->base = base;
    s->sources = PLIC_SOURCES;
    s->contexts = 2 * harts;
    s->words = WORDS;
    s->enable_words = s->contexts * WORDS;
    memcpy(s->outputs, outputs, s->contexts * sizeof(*outputs));
    return machine_device_realize(vm, dev, errp) ? s : NULL;
}
