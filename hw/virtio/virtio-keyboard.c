/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Input device (virtio 1.2, section 5.8) that is a keyboard with a power
 * button. What is pressed is kept until the guest has buffers for it and runs;
 * see docs/devel/devices.rst. Main loop and harts, big lock.
 */
#include <linux/input.h>
#include <string.h>

#include "hw/input/keyboard.h"
#include "hw/input/keys.h"
#include "hw/virtio/virtio-types.h"
#include "system/runstate.h"
#include "system/timer.h"
#include "trace/trace-hw-virtio.h"

#define QUEUE_SIZE  64
enum { QUEUE_EVENT, QUEUE_STATUS };

/* Configuration space, 5.8.4 */
enum { CFG_SELECT = 0, CFG_SUBSEL = 1, CFG_SIZE = 2, CFG_DATA = 8,
       CFG_DATA_BYTES = 128, CFG_BYTES = CFG_DATA + CFG_DATA_BYTES };
enum { SELECT_ID_NAME = 0x01, SELECT_ID_SERIAL = 0x02, SELECT_ID_DEVIDS = 0x03,
       SELECT_EV_BITS = 0x11 };

/* In both queues, little-endian; 5.8.6 */
typedef struct InputEvent {
    uint16_t type, code;
    uint32_t value;
} InputEvent;

G_STATIC_ASSERT(sizeof(InputEvent) == 8);

/* The numbers by which this field's guests know such a keyboard. */
static const struct {
    uint16_t bus, vendor, product, version;
} identity = { BUS_VIRTUAL, 0x0627, 0x0001, 0x0001 };

static const char name[] = "Godwit Virtio Keyboard";

#define STROKES_MAX 32

/* What the button still owes the guest. */
enum { POWER_IDLE, POWER_RELEASE, POWER_PRESS };

typedef struct VirtioKeyboard {
    VirtioDevice vdev;
    VmTimer *timer;             /* when held keys come up */
    /* property */
    char *serial;
    /* a reset forgets the rest, and it travels */
    uint8_t power;              /* POWER_* */
    /*
     * How many reports of the first stroke have gone out: one for each key
     * that went down, then one for each that came up.
     */
    uint8_t step;
    /* all keys of the first stroke are down until then, in guest time */
    uint64_t release_ns;
    uint32_t stroke_count;
    KeyStroke strokes[STROKES_MAX];
} VirtioKeyboard;

/* Configuration space */

static size_t put_bit(uint8_t *bitmap, unsigned bit)
{
    bitmap[bit / 8] |= 1 << bit % 8;
    return bit / 8 + 1;
}

/* The codes of an event type that may come; returns the bitmap's bytes. */
static size_t put_event_bits(uint8_t *bitmap, uint8_t type)
{
    size_t size = 0;

    if (type == EV_KEY) {
        for (unsigned code = 1; code < KEY_CODES; code++) {
            if (key_exists(code)) {
                size = put_bit(bitmap, code);
            }
        }
    } else if (type == EV_REP) {
        /* Keys that are held repeat; the guest sees to that. */
        put_bit(bitmap, REP_DELAY);
        size = put_bit(bitmap, REP_PERIOD);
    }
    return size;
}

static size_t put_text(uint8_t *to, const char *text)
{
    size_t len = strlen(text);

    memcpy(to, text, len);
    return len;
}

/* What select and subsel ask for; size 0 where there is no such thing. */
static void fill_config(VirtioKeyboard *s)
{
    uint8_t *config = s->vdev.config, *data = config + CFG_DATA;
    uint8_t subsel = config[CFG_SUBSEL];
    size_t size = 0;

    memset(config + CFG_SIZE, 0, CFG_BYTES - CFG_SIZE);
    switch (config[CFG_SELECT]) {
    case SELECT_ID_NAME:
        size = subsel == 0 ? put_text(data, name) : 0;
        break;
    case SELECT_ID_SERIAL:
        size = subsel == 0 && s->serial ? put_text(data, s->serial) : 0;
        break;
    case SELECT_ID_DEVIDS:
        if (subsel == 0) {
            size = sizeof(identity);
            memcpy(data, &identity, size);
        }
        break;
    case SELECT_EV_BITS:
        size = put_event_bits(data, subsel);
        break;
    }
    config[CFG_SIZE] = (uint8_t)size;
}

static void keyboard_config_written(VirtioDevice *vdev, unsigned offset,
                                    unsigned size)
{
    (void)offset;
    (void)size;
    /* Only the selectors are the driver's to write; the rest comes back. */
    fill_config((VirtioKeyboard *)vdev);
}

/* Keys */

/* Sends key @code with the EV_SYN behind it; false if there is no room. */
static bool send_report(VirtioKeyboard *s, uint16_t code, bool down)
{
    VirtQueue *vq = &s->vdev.queues[QUEUE_EVENT];
    const InputEvent events[] = {
        { EV_KEY, code, down }, { EV_SYN, SYN_REPORT, 0 },
    };
    VirtioElement *elements[G_N_ELEMENTS(events)];

    for (unsigned i = 0; i < G_N_ELEMENTS(events); i++) {
        elements[i] = virtqueue_pop(vq);
        if (elements[i] && elements[i]->in_bytes < sizeof(events[i])) {
            virtio_error(&s->vdev, "event buffer of %" PRIu64 " bytes; "
                         "expected at least %zu", elements[i]->in_bytes,
                         sizeof(events[i]));
            virtqueue_discard(vq, elements[i]);
            elements[i] = NULL;
        }
        if (!elements[i]) {
            while (i-- > 0) {
                virtqueue_unpop(vq, elements[i]);
            }
            return false;
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(events); i++) {
        iov_from_buf_at(elements[i]->in, elements[i]->in_count, 0, &events[i],
                        sizeof(events[i]));
        virtqueue_push(vq, elements[i], sizeof(events[i]));
    }
    trace_virtio_keyboard_report(code, down);
    return true;
}

/* The next report, if it is time for one. */
static bool next_report(VirtioKeyboard *s, uint16_t *code, bool *down)
{
    const KeyStroke *first = &s->strokes[0];

    if (s->power != POWER_IDLE) {
        *code = KEY_POWER;
        *down = s->power == POWER_PRESS;
        return true;
    }
    if (s->stroke_count == 0) {
        return false;
    }
    *down = s->step < first->count;
    if (s->step == first->count &&
        (uint64_t)vm_clock_ns(s->vdev.parent.vm, VM_CLOCK_VIRTUAL) <
        s->release_ns) {
        vm_timer_mod(s->timer, (int64_t)s->release_ns);
        return false;
    }
    *code = first->keys[*down ? s->step : 2 * first->count - 1 - s->step];
    return true;
}

/* The report that next_report() gave has gone out. */
static void report_sent(VirtioKeyboard *s)
{
    const KeyStroke *first = &s->strokes[0];

    if (s->power != POWER_IDLE) {
        s->power--;
        return;
    }
    s->step++;
    if (s->step == first->count) {
        s->release_ns = (uint64_t)vm_clock_ns(s->vdev.parent.vm,
                                              VM_CLOCK_VIRTUAL) +
                        first->hold_ms * UINT64_C(1000000);
    } else if (s->step == 2 * first->count) {
        s->step = 0;
        s->stroke_count--;
        memmove(s->strokes, s->strokes + 1,
                s->stroke_count * sizeof(s->strokes[0]));
    }
}

/* Sends what can be sent now. A guest that stands still is not touched. */
static void advance(VirtioKeyboard *s)
{
    bool any = false, down;
    uint16_t code;

    if (!runstate_is_running(s->vdev.parent.vm)) {
        return;
    }
    while (next_report(s, &code, &down)) {
        if (!send_report(s, code, down)) {
            trace_virtio_keyboard_waits(s->stroke_count, s->power);
            break;
        }
        report_sent(s);
        any = true;
    }
    if (any) {
        virtqueue_interrupt(&s->vdev.queues[QUEUE_EVENT]);
    }
}

static void keys_come_up(void *opaque)
{
    advance(opaque);
}

static bool keyboard_is_ready(Device *dev)
{
    return virtio_is_started((VirtioDevice *)dev);
}

static bool keyboard_strike(Device *dev, const KeyStroke *stroke, Error **errp)
{
    VirtioKeyboard *s = (VirtioKeyboard *)dev;

    if (s->stroke_count == STROKES_MAX) {
        error_setg(errp, "the guest has not taken the %d key strokes that "
                   "were sent before", STROKES_MAX);
        return false;
    }
    s->strokes[s->stroke_count++] = *stroke;
    advance(s);
    return true;
}

static void keyboard_press_power(Device *dev)
{
    VirtioKeyboard *s = (VirtioKeyboard *)dev;

    /* A press of which the guest has not heard the end yet is one press. */
    if (s->power == POWER_IDLE) {
        s->power = POWER_PRESS;
    }
    advance(s);
}

static const KeyboardOps keyboard_ops = {
    .is_ready = keyboard_is_ready,
    .strike = keyboard_strike,
    .press_power = keyboard_press_power,
};

/* The virtio device */

/*
 * Takes what the driver says of lamps and repetition. There are no lamps and
 * nothing here repeats, so it is told to nobody but the trace.
 */
static void take_status(VirtioKeyboard *s)
{
    VirtQueue *vq = &s->vdev.queues[QUEUE_STATUS];
    VirtioElement *element;
    bool any = false;

    while ((element = virtqueue_pop(vq))) {
        InputEvent event;

        if (element->out_bytes < sizeof(event)) {
            virtio_error(&s->vdev, "status of %" PRIu64 " bytes; expected at "
                         "least %zu", element->out_bytes, sizeof(event));
            virtqueue_discard(vq, element);
            break;
        }
        iov_to_buf_at(element->out, element->out_count, 0, &event,
                      sizeof(event));
        trace_virtio_keyboard_status(event.type, event.code, event.value);
        virtqueue_push(vq, element, 0);
        any = true;
    }
    if (any) {
        virtqueue_interrupt(vq);
    }
}

static void keyboard_notify(VirtioDevice *vdev, unsigned queue)
{
    VirtioKeyboard *s = (VirtioKeyboard *)vdev;

    if (queue == QUEUE_EVENT) {
        advance(s);
    } else {
        take_status(s);
    }
}

static void keyboard_started(VirtioDevice *vdev)
{
    VirtioKeyboard *s = (VirtioKeyboard *)vdev;

    take_status(s);
    advance(s);
}

static void forget_strokes(VirtioKeyboard *s)
{
    s->power = POWER_IDLE;
    s->step = 0;
    s->release_ns = 0;
    s->stroke_count = 0;
    vm_timer_del(s->timer);
}

static void keyboard_reset(VirtioDevice *vdev)
{
    VirtioKeyboard *s = (VirtioKeyboard *)vdev;

    if (s->stroke_count || s->power != POWER_IDLE) {
        trace_virtio_keyboard_forgets(s->stroke_count, s->power);
    }
    forget_strokes(s);
    memset(vdev->config, 0, CFG_BYTES);
}

static const VirtioDeviceOps keyboard_virtio_ops = {
    .device_id = VIRTIO_ID_INPUT,
    .stream_name = "virtio-input",
    .config_bytes = CFG_BYTES,
    .config_written = keyboard_config_written,
    .queue_notify = keyboard_notify,
    .started = keyboard_started,
    .reset = keyboard_reset,
};

static bool keyboard_realize(Device *dev, Error **errp)
{
    VirtioKeyboard *s = (VirtioKeyboard *)dev;

    if (s->serial && strlen(s->serial) > CFG_DATA_BYTES) {
        error_setg(errp, "property 'serial' has %zu characters; expected at "
                   "most %d", strlen(s->serial), CFG_DATA_BYTES);
        return false;
    }
    virtio_init(&s->vdev, &keyboard_virtio_ops);
    virtio_add_queue(&s->vdev, QUEUE_SIZE);
    virtio_add_queue(&s->vdev, QUEUE_SIZE);
    s->timer = vm_timer_new(dev->vm, VM_CLOCK_VIRTUAL, keys_come_up, s);
    keyboard_add(dev, &keyboard_ops);
    return true;
}

static void keyboard_unrealize(Device *dev)
{
    VirtioKeyboard *s = (VirtioKeyboard *)dev;

    keyboard_remove(dev);
    vm_timer_free(s->timer);
    virtio_cleanup(&s->vdev);
}

static const Property keyboard_properties[] = {
    { .name = "serial", .kind = PROP_STRING,
      .offset = offsetof(VirtioKeyboard, serial),
      .help = "serial number, up to 128 characters" },
    { .name = NULL }
};

/* State on the move */

static bool stroke_post_load(void *opaque, int version_id, Error **errp)
{
    const KeyStroke *stroke = opaque;

    (void)version_id;
    if (stroke->count == 0) {
        error_setg(errp, "a key stroke without a key");
        return false;
    }
    for (unsigned i = 0; i < stroke->count; i++) {
        if (!key_exists(stroke->keys[i])) {
            error_setg(errp, "no key has code %u", stroke->keys[i]);
            return false;
        }
    }
    return true;
}

static const VMStateDescription vmstate_stroke = {
    .name = "key-stroke",
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = stroke_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT8_LIMIT(count, KeyStroke, STROKE_KEYS_MAX),
        VMSTATE_UINT16_ARRAY(keys, KeyStroke, STROKE_KEYS_MAX),
        VMSTATE_UINT32_LIMIT(hold_ms, KeyStroke, STROKE_HOLD_MS_MAX),
        VMSTATE_END_OF_LIST()
    },
};

static bool strokes_needed(void *opaque)
{
    VirtioKeyboard *s = opaque;

    return s->stroke_count || s->power != POWER_IDLE;
}

static bool strokes_post_load(void *opaque, int version_id, Error **errp)
{
    VirtioKeyboard *s = opaque;
    unsigned steps = s->stroke_count ? 2 * s->strokes[0].count : 1;

    (void)version_id;
    if (s->step >= steps) {
        error_setg(errp, "%u reports of a key stroke have been sent; expected "
                   "at most %u", s->step, steps - 1);
        return false;
    }
    return true;
}

static const VMStateDescription vmstate_strokes = {
    .name = "virtio-input/strokes",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = strokes_needed,
    .post_load = strokes_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT8_LIMIT(power, VirtioKeyboard, POWER_PRESS),
        VMSTATE_UINT8(step, VirtioKeyboard),
        VMSTATE_UINT64_LIMIT(release_ns, VirtioKeyboard, VM_CLOCK_VIRTUAL_MAX),
        VMSTATE_UINT32(stroke_count, VirtioKeyboard),
        VMSTATE_STRUCT_VARRAY(strokes, VirtioKeyboard, stroke_count,
                              STROKES_MAX, 0, vmstate_stroke, KeyStroke),
        VMSTATE_END_OF_LIST()
    },
};

static bool keyboard_pre_load(void *opaque, Error **errp)
{
    (void)errp;
    forget_strokes(opaque);
    return true;
}

static bool keyboard_post_load(void *opaque, int version_id, Error **errp)
{
    (void)version_id;
    (void)errp;
    fill_config(opaque);
    return true;
}

static const VMStateDescription vmstate_keyboard = {
    .name = "virtio-input",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_load = keyboard_pre_load,
    .post_load = keyboard_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_VIRTIO_DEVICE(vdev, VirtioKeyboard),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription *const[]) {
        &vmstate_strokes,
        NULL
    },
};

VIRTIO_DEVICE_TYPES(keyboard, "keyboard", VirtioKeyboard,
                    "virtio keyboard, with a power button")
