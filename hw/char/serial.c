/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 16550A UART, after the data sheet of the PC16550D: registers, 16-byte FIFOs,
 * the interrupts and their priorities, loopback, break. Line speed is obeyed
 * only where it can be seen, in the character timeout; bytes go out as fast as
 * the chardev takes them, and input waits in the chardev until there is room.
 *
 * Entered from the main loop (chardev, timer) and by vCPUs; big lock.
 */
#include <string.h>

#include "hw/char/serial.h"
#include "hw/core/machine.h"
#include "system/runstate.h"
#include "system/timer.h"
#include "trace/trace-hw-char.h"

/* Registers; RBR, THR and IER give way to the divisor while LCR.DLAB is set. */
enum {
    REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR
};

enum {
    IER_RDI = 0x01, IER_THRI = 0x02, IER_RLSI = 0x04, IER_MSI = 0x08,
    IER_MASK = 0x0f,

    IIR_NONE = 0x01, IIR_MSI = 0x00, IIR_THRI = 0x02, IIR_RDI = 0x04,
    IIR_RLSI = 0x06, IIR_CTI = 0x0c, IIR_ID = 0x0f, IIR_FIFO = 0xc0,

    FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04,
    FCR_KEPT = 0xc9,

    LCR_WORD = 0x03, LCR_STOP = 0x04, LCR_PARITY = 0x08, LCR_DLAB = 0x80,

    MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08,
    MCR_LOOP = 0x10, MCR_MASK = 0x1f,

    LSR_DR = 0x01, LSR_OE = 0x02, LSR_BI = 0x10, LSR_ERRORS = 0x1e,
    LSR_THRE = 0x20, LSR_TEMT = 0x40,

    MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80,
    MSR_DELTAS = 0x0f, MSR_TERI = 0x04,
};

#define FIFO_BYTES 16
#define DIVIDER_PRESET 0x0c

typedef struct Fifo {
    uint8_t data[FIFO_BYTES];
    uint32_t head;              /* < FIFO_BYTES */
    uint32_t num;               /* <= FIFO_BYTES */
} Fifo;

typedef struct SerialState {
    Device dev;
    IoRegion io;
    hwaddr base;
    Irq irq;
    Chardev *chr;

    uint16_t divider;
    uint8_t rbr, thr, tsr;
    uint8_t ier, iir, lcr, mcr, lsr, msr, scr;
    uint8_t fcr;
    int32_t thr_ipending;       /* the "holding register empty" interrupt */
    int32_t timeout_ipending;   /* the character timeout interrupt */
    uint32_t tsr_retry;         /* 1: tsr waits for the chardev; else 0 */
    Fifo recv_fifo, xmit_fifo;
    VmTimer *timeout;
    unsigned runstate_id;
} SerialState;

static void fifo_push(Fifo *fifo, uint8_t byte)
{
    fifo->data[(fifo->head + fifo->num++) % FIFO_BYTES] = byte;
}

static uint8_t fifo_pop(Fifo *fifo)
{
    uint8_t byte = fifo->data[fifo->head];

    fifo->head = (fifo->head + 1) % FIFO_BYTES;
    fifo->num--;
    return byte;
}

static bool fifo_on(const SerialState *s)
{
    return s->fcr & FCR_ENABLE;
}

static unsigned trigger_level(const SerialState *s)
{
    static const uint8_t levels[] = { 1, 4, 8, 14 };

    return levels[s->fcr >> 6];
}

/* Section 8.6.3 of the data sheet: the sources by falling priority. */
static void update_irq(SerialState *s)
{
    uint8_t id = IIR_NONE;

    if ((s->ier & IER_RLSI) && (s->lsr & LSR_ERRORS)) {
        id = IIR_RLSI;
    } else if ((s->ier & IER_RDI) && s->timeout_ipending) {
        id = IIR_CTI;
    } else if ((s->ier & IER_RDI) && (s->lsr & LSR_DR) &&
               (!fifo_on(s) || s->recv_fifo.num >= trigger_level(s))) {
        id = IIR_RDI;
    } else if ((s->ier & IER_THRI) && s->thr_ipending) {
        id = IIR_THRI;
    } else if ((s->ier & IER_MSI) && (s->msr & MSR_DELTAS)) {
        id = IIR_MSI;
    }
    s->iir = id | (fifo_on(s) ? IIR_FIFO : 0);
    irq_set(&s->irq, id != IIR_NONE);
}

/* Four characters' time at the line speed the guest has set. */
static int64_t timeout_ns(const SerialState *s)
{
    unsigned bits = 1 + 5 + (s->lcr & LCR_WORD) + 1 +
                    ((s->lcr & LCR_STOP) != 0) + ((s->lcr & LCR_PARITY) != 0);
    uint64_t divider = s->divider ? s->divider : 1;

    return (int64_t)(4 * bits * divider * 16 * 1000000000 / SERIAL_CLOCK_HZ);
}

static void restart_timeout(SerialState *s)
{
    s->timeout_ipending = 0;
    if (fifo_on(s) && s->recv_fifo.num) {
        vm_timer_mod(s->timeout, vm_clock_ns(s->dev.vm, VM_CLOCK_VIRTUAL) +
                     timeout_ns(s));
    } else {
        vm_timer_del(s->timeout);
    }
}

static void timeout_fired(void *opaque)
{
    SerialState *s = opaque;

    if (s->recv_fifo.num) {
        s->timeout_ipending = 1;
        update_irq(s);
    }
}

/* Into FIFO or receiver buffer; what does not fit is lost, and noted. */
static void receive_byte(SerialState *s, uint8_t byte)
{
    if (fifo_on(s)) {
        if (s->recv_fifo.num < FIFO_BYTES) {
            fifo_push(&s->recv_fifo, byte);
        } else {
            s->lsr |= LSR_OE;
        }
        restart_timeout(s);
    } else {
        if (s->lsr & LSR_DR) {
            s->lsr |= LSR_OE;
        }
        s->rbr = byte;
    }
    s->lsr |= LSR_DR;
}

static size_t serial_can_read(void *opaque)
{
    SerialState *s = opaque;

    /* In loopback the receiver is cut off from the line. */
    if (s->mcr & MCR_LOOP) {
        return 0;
    }
    if (fifo_on(s)) {
        return FIFO_BYTES - s->recv_fifo.num;
    }
    return s->lsr & LSR_DR ? 0 : 1;
}

static void serial_read_line(void *opaque, const uint8_t *buf, size_t len)
{
    SerialState *s = opaque;

    trace_serial_receive(len);
    for (size_t i = 0; i < len; i++) {
        receive_byte(s, buf[i]);
    }
    update_irq(s);
}

static void serial_event(void *opaque, ChardevEvent event)
{
    SerialState *s = opaque;

    if (event == CHARDEV_BREAK && !(s->mcr & MCR_LOOP)) {
        receive_byte(s, 0);
        s->lsr |= LSR_BI;
        update_irq(s);
    }
}

/* Whether the byte in tsr has left. */
static bool send_tsr(SerialState *s)
{
    if (s->mcr & MCR_LOOP) {
        receive_byte(s, s->tsr);
        return true;
    }
    return !s->chr || chardev_write(s->chr, &s->tsr, 1) == 1;
}

/* Moves bytes from FIFO or holding register to the chardev while it takes. */
static void transmit(SerialState *s)
{
    for (;;) {
        if (!s->tsr_retry) {
            if (fifo_on(s) && s->xmit_fifo.num) {
                s->tsr = fifo_pop(&s->xmit_fifo);
            } else if (!fifo_on(s) && !(s->lsr & LSR_THRE)) {
                s->tsr = s->thr;
            } else {
                s->lsr |= LSR_TEMT;
                return;
            }
            s->lsr &= (uint8_t)~LSR_TEMT;
            if (!fifo_on(s) || !s->xmit_fifo.num) {
                s->lsr |= LSR_THRE;
                s->thr_ipending = 1;
            }
        }
        s->tsr_retry = !send_tsr(s);
        if (s->tsr_retry) {
            return;
        }
    }
}

static void serial_can_write(void *opaque)
{
    SerialState *s = opaque;

    transmit(s);
    update_irq(s);
}

static const ChardevFront serial_front = {
    .can_read = serial_can_read,
    .read = serial_read_line,
    .event = serial_event,
    .can_write = serial_can_write,
};

static void write_thr(SerialState *s, uint8_t byte)
{
    s->thr = byte;
    if (fifo_on(s)) {
        if (s->xmit_fifo.num == FIFO_BYTES) {
            fifo_pop(&s->xmit_fifo);    /* overwritten, as on the chip */
        }
        fifo_push(&s->xmit_fifo, byte);
    }
    s->thr_ipending = 0;
    s->lsr &= (uint8_t)~(LSR_THRE | LSR_TEMT);
    transmit(s);
}

static void write_ier(SerialState *s, uint8_t value)
{
    uint8_t risen = value & ~s->ier & IER_MASK;

    s->ier = value & IER_MASK;
    /* Enabling it while the register is empty raises it. */
    if ((risen & IER_THRI) && (s->lsr & LSR_THRE)) {
        s->thr_ipending = 1;
    }
}

static void accept_input(SerialState *s)
{
    if (s->chr && serial_can_read(s)) {
        chardev_accept_input(s->chr);
    }
}

static void write_fcr(SerialState *s, uint8_t value)
{
    bool changed = (value ^ s->fcr) & FCR_ENABLE;

    /* The other bits count only together with FCR_ENABLE. */
    if (!(value & FCR_ENABLE)) {
        value = 0;
    }
    if (changed || (value & FCR_CLEAR_RX)) {
        s->recv_fifo = (Fifo){ 0 };
        s->lsr &= (uint8_t)~(LSR_DR | LSR_BI);
    }
    if (changed || (value & FCR_CLEAR_TX)) {
        s->xmit_fifo = (Fifo){ 0 };
        s->lsr |= LSR_THRE;
        s->thr_ipending = 1;
    }
    s->fcr = value & FCR_KEPT;
    restart_timeout(s);
    accept_input(s);
}

/* The modem lines: what MCR drives in loopback, else a ready modem. */
static void update_msr(SerialState *s)
{
    uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD;
    uint8_t changed;

    if (s->mcr & MCR_LOOP) {
        lines = (uint8_t)((s->mcr & MCR_RTS ? MSR_CTS : 0) |
                          (s->mcr & MCR_DTR ? MSR_DSR : 0) |
                          (s->mcr & MCR_OUT1 ? MSR_RI : 0) |
                          (s->mcr & MCR_OUT2 ? MSR_DCD : 0));
    }
    changed = (s->msr ^ lines) & 0xf0;
    /* The ring indicator counts when it goes away. */
    if (lines & MSR_RI) {
        changed &= (uint8_t)~MSR_RI;
    }
    s->msr = lines | (s->msr & MSR_DELTAS) | changed >> 4;
}

static MemResult serial_write(void *opaque, hwaddr addr, unsigned size,
                              uint64_t val)
{
    SerialState *s = opaque;
    uint8_t byte = (uint8_t)val;

    (void)size;
    trace_serial_write(addr, byte);
    switch (addr) {
    case REG_DATA:
        if (s->lcr & LCR_DLAB) {
            s->divider = (uint16_t)((s->divider & 0xff00) | byte);
        } else {
            write_thr(s, byte);
        }
        break;
    case REG_IER:
        if (s->lcr & LCR_DLAB) {
            s->divider = (uint16_t)((s->divider & 0x00ff) | byte << 8);
        } else {
            write_ier(s, byte);
        }
        break;
    case REG_IIR_FCR:
        write_fcr(s, byte);
        break;
    case REG_LCR:
        s->lcr = byte;
        break;
    case REG_MCR:
        s->mcr = byte & MCR_MASK;
        update_msr(s);
        transmit(s);
        accept_input(s);
        break;
    case REG_SCR:
        s->scr = byte;
        break;
    default:
        break;                  /* LSR and MSR: factory tests only */
    }
    update_irq(s);
    return MEM_OK;
}

static uint8_t read_rbr(SerialState *s)
{
    if (fifo_on(s)) {
        if (s->recv_fifo.num) {
            s->rbr = fifo_pop(&s->recv_fifo);
        }
        restart_timeout(s);
    }
    if (!fifo_on(s) || !s->recv_fifo.num) {
        s->lsr &= (uint8_t)~LSR_DR;
    }
    accept_input(s);
    return s->rbr;
}

static MemResult serial_read(void *opaque, hwaddr addr, unsigned size,
                             uint64_t *val)
{
    SerialState *s = opaque;

    (void)size;
    switch (addr) {
    case REG_DATA:
        *val = s->lcr & LCR_DLAB ? s->divider & 0xff : read_rbr(s);
        break;
    case REG_IER:
        *val = s->lcr & LCR_DLAB ? s->divider >> 8 : s->ier;
        break;
    case REG_IIR_FCR:
        *val = s->iir;
        if ((s->iir & IIR_ID) == IIR_THRI) {
            s->thr_ipending = 0;
        }
        break;
    case REG_LCR:
        *val = s->lcr;
        break;
    case REG_MCR:
        *val = s->mcr;
        break;
    case REG_LSR:
        *val = s->lsr;
        s->lsr &= (uint8_t)~LSR_ERRORS;
        break;
    case REG_MSR:
        *val = s->msr;
        s->msr &= (uint8_t)~MSR_DELTAS;
        break;
    default:
        *val = s->scr;
        break;
    }
    update_irq(s);
    trace_serial_read(addr, (uint8_t)*val);
    return MEM_OK;
}

static const IoOps serial_ops = {
    .read = serial_read,
    .write = serial_write,
    .max_size = 1,
};

static void serial_reset(Device *dev)
{
    SerialState *s = (SerialState *)dev;

    s->divider = DIVIDER_PRESET;
    s->rbr = s->thr = s->tsr = 0;
    s->ier = s->lcr = s->mcr = s->scr = s->fcr = 0;
    s->lsr = LSR_THRE | LSR_TEMT;
    s->msr = MSR_DCD | MSR_DSR | MSR_CTS;
    s->thr_ipending = s->timeout_ipending = 0;
    s->tsr_retry = 0;
    s->recv_fifo = s->xmit_fifo = (Fifo){ 0 };
    vm_timer_del(s->timeout);
    update_irq(s);
    accept_input(s);
}

/* A byte that waited when the machine was saved is tried again here. */
static void runstate_changed(void *opaque, bool running, RunState state)
{
    SerialState *s = opaque;

    (void)state;
    if (running && s->tsr_retry) {
        transmit(s);
        update_irq(s);
    }
}

static bool serial_realize(Device *dev, Error **errp)
{
    SerialState *s = (SerialState *)dev;

    if (s->chr && !chardev_attach(s->chr, &serial_front, s, errp)) {
        return false;
    }
    s->timeout = vm_timer_new(dev->vm, VM_CLOCK_VIRTUAL, timeout_fired, s);
    memory_io_init(&s->io, "serial", &serial_ops, s, SERIAL_REGISTERS);
    memory_io_map(dev->vm->memory, &s->io, s->base);
    s->runstate_id = runstate_add_handler(dev->vm, 0, runstate_changed, s);
    return true;
}

static void serial_unrealize(Device *dev)
{
    SerialState *s = (SerialState *)dev;

    runstate_remove_handler(dev->vm, s->runstate_id);
    memory_io_unmap(dev->vm->memory, &s->io);
    vm_timer_free(s->timeout);
    if (s->chr) {
        chardev_detach(s->chr);
    }
}

/*
 * The stream's layout is QEMU's "serial" of version 3, where much travels only
 * if it cannot be told from the registers.
 */
static bool thr_ipending_needed(void *opaque)
{
    SerialState *s = opaque;

    return s->thr_ipending != ((s->iir & IIR_ID) == IIR_THRI);
}

static bool tsr_needed(void *opaque)
{
    return ((SerialState *)opaque)->tsr_retry != 0;
}

static bool recv_fifo_needed(void *opaque)
{
    return ((SerialState *)opaque)->recv_fifo.num != 0;
}

static bool xmit_fifo_needed(void *opaque)
{
    return ((SerialState *)opaque)->xmit_fifo.num != 0;
}

static bool timeout_needed(void *opaque)
{
    return vm_timer_pending(((SerialState *)opaque)->timeout);
}

static bool timeout_ipending_needed(void *opaque)
{
    return ((SerialState *)opaque)->timeout_ipending != 0;
}

static bool serial_pre_load(void *opaque, Error **errp)
{
    SerialState *s = opaque;

    (void)errp;
    s->thr_ipending = -1;       /* not in the stream: see post_load */
    s->timeout_ipending = 0;
    s->tsr_retry = 0;
    s->recv_fifo = s->xmit_fifo = (Fifo){ 0 };
    vm_timer_del(s->timeout);
    return true;
}

static bool serial_post_load(void *opaque, int version_id, Error **errp)
{
    SerialState *s = opaque;

    (void)version_id;
    if ((s->tsr_retry != 0) == ((s->lsr & LSR_TEMT) != 0)) {
        error_setg(errp, "serial: line status 0x%02x contradicts a transmitter "
                   "with %u bytes", s->lsr, s->tsr_retry != 0);
        return false;
    }
    if (s->thr_ipending == -1) {
        s->thr_ipending = (s->iir & IIR_ID) == IIR_THRI;
    }
    s->tsr_retry = s->tsr_retry != 0;
    s->ier &= IER_MASK;
    s->mcr &= MCR_MASK;
    s->fcr = s->fcr & FCR_ENABLE ? s->fcr & FCR_KEPT : 0;
    update_irq(s);
    accept_input(s);
    return true;
}

static const VMStateDescription vmstate_fifo = {
    .name = "Fifo8",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_BUFFER(data, Fifo),
        VMSTATE_UINT32_LIMIT(head, Fifo, FIFO_BYTES - 1),
        VMSTATE_UINT32_LIMIT(num, Fifo, FIFO_BYTES),
        VMSTATE_END_OF_LIST()
    },
};

#define SERIAL_SUBSECTION(var, suffix, is_needed, ...)                  \
    static const VMStateDescription var = {                             \
        .name = "serial/" suffix,                                       \
        .version_id = 1,                                                \
        .minimum_version_id = 1,                                        \
        .needed = is_needed,                                            \
        .fields = (const VMStateField[]) {                              \
            __VA_ARGS__,                                                \
            VMSTATE_END_OF_LIST()                                       \
        },                                                              \
    }

SERIAL_SUBSECTION(vmstate_thr_ipending, "thr_ipending", thr_ipending_needed,
                  VMSTATE_INT32(thr_ipending, SerialState));
SERIAL_SUBSECTION(vmstate_tsr, "tsr", tsr_needed,
                  VMSTATE_UINT32(tsr_retry, SerialState),
                  VMSTATE_UINT8(thr, SerialState),
                  VMSTATE_UINT8(tsr, SerialState));
SERIAL_SUBSECTION(vmstate_recv_fifo, "recv_fifo", recv_fifo_needed,
                  VMSTATE_STRUCT(recv_fifo, SerialState, vmstate_fifo, Fifo));
SERIAL_SUBSECTION(vmstate_xmit_fifo, "xmit_fifo", xmit_fifo_needed,
                  VMSTATE_STRUCT(xmit_fifo, SerialState, vmstate_fifo, Fifo));
SERIAL_SUBSECTION(vmstate_timeout, "fifo_timeout_timer", timeout_needed,
                  VMSTATE_TIMER_PTR(timeout, SerialState));
SERIAL_SUBSECTION(vmstate_timeout_ipending, "timeout_ipending",
                  timeout_ipending_needed,
                  VMSTATE_INT32(timeout_ipending, SerialState));

static const VMStateDescription vmstate_serial = {
    .name = "serial",
    .version_id = 3,
    .minimum_version_id = 2,
    .pre_load = serial_pre_load,
    .post_load = serial_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT16(divider, SerialState),
        VMSTATE_UINT8(rbr, SerialState),
        VMSTATE_UINT8(ier, SerialState),
        VMSTATE_UINT8(iir, SerialState),
        VMSTATE_UINT8(lcr, SerialState),
        VMSTATE_UINT8(mcr, SerialState),
        VMSTATE_UINT8(lsr, SerialState),
        VMSTATE_UINT8(msr, SerialState),
        VMSTATE_UINT8(scr, SerialState),
        VMSTATE_UINT8_V(fcr, SerialState, 3),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription *const[]) {
        &vmstate_thr_ipending,
        &vmstate_tsr,
        &vmstate_recv_fifo,
        &vmstate_xmit_fifo,
        &vmstate_timeout,
        &vmstate_timeout_ipending,
        NULL
    },
};

static const DeviceType serial_type = {
    .name = "serial-mm",
    .bus = "sysbus",
    .description = "16550A UART",
    .instance_size = sizeof(SerialState),
    .vmsd = &vmstate_serial,
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .reset = serial_reset,
};
DEVICE_TYPE(serial_type);

bool serial_create(Vm *vm, hwaddr base, Irq irq, Chardev *chr, Error **errp)
{
    Device *dev = device_new(vm, &serial_type, NULL, errp);
    SerialState *s = (SerialState *)dev;

    if (!dev) {
        return false;
    }
    s->base = base;
    s->irq = irq;
    s->chr = chr;
    return machine_device_realize(vm, dev, errp);
}
