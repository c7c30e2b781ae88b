/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commands of the qtest protocol: one line in, one line out (see
 * docs/interop/qtest.rst). Guest memory and devices are reached as a device
 * would reach them; where nothing answers, reads give zeros and writes are
 * dropped, as on a bus. Main loop, big lock.
 */
#include <string.h>

#include "system/memory.h"
#include "system/qtest-int.h"
#include "system/timer.h"
#include "util/keyval.h"

/* No command has more words; one more is read, to see that it is too many. */
#define WORDS_MAX 4

typedef struct Command {
    const char *name;
    unsigned min_args, max_args;
    /* @args: its arguments, NULL where there are fewer. Appends the answer. */
    void (*run)(Vm *vm, char *const *args, GString *out);
} Command;

static bool parse_number(const char *text, uint64_t *res, GString *out)
{
    if (!keyval_parse_uint64(text, res)) {
        g_string_append_printf(out, "FAIL '%.40s' is no 64-bit number\n",
                               text);
        return false;
    }
    return true;
}

/* An address and a length, which must not wrap nor need too much room. */
static bool parse_range(char *const *args, uint64_t *addr, uint64_t *len,
                        uint64_t most, GString *out)
{
    if (!parse_number(args[0], addr, out) ||
        !parse_number(args[1], len, out)) {
        return false;
    }
    if (*len > most) {
        g_string_append_printf(out, "FAIL %" G_GUINT64_FORMAT " bytes are "
                               "more than %" G_GUINT64_FORMAT "\n", *len,
                               most);
        return false;
    }
    if (*addr + *len < *addr) {
        g_string_append(out, "FAIL the range ends beyond 2^64\n");
        return false;
    }
    return true;
}

/*
 * The next access to a device at @addr, of at most @len bytes: the widest that
 * is aligned and that the device takes. 0: it takes none.
 */
static unsigned io_read(Vm *vm, hwaddr addr, uint64_t len, uint64_t *val)
{
    for (unsigned size = 8; size > 0; size /= 2) {
        if (size <= len && addr % size == 0 &&
            memory_io_read(vm->memory, addr, size, val) == MEM_OK) {
            return size;
        }
    }
    return 0;
}

static unsigned io_write(Vm *vm, hwaddr addr, uint64_t len, const uint8_t *buf)
{
    for (unsigned size = 8; size > 0; size /= 2) {
        uint64_t val = 0;

        if (size > len || addr % size) {
            continue;
        }
        memcpy(&val, buf, size);
        if (memory_io_write(vm->memory, addr, size, val) == MEM_OK) {
            return size;
        }
    }
    return 0;
}

/* How many of @len bytes from @addr on are one piece of RAM; 0: it is none. */
static uint64_t ram_part(Vm *vm, hwaddr addr, uint64_t len)
{
    uint64_t offset;
    RamBlock *rb;

    if (!memory_ram_at(vm->memory, addr, &rb, &offset)) {
        return 0;
    }
    return MIN(len, rb->backing.size - offset);
}

static void read_bytes(Vm *vm, hwaddr addr, uint8_t *buf, uint64_t len)
{
    while (len > 0) {
        uint64_t part = ram_part(vm, addr, len);

        if (part) {
            memory_read(vm->memory, addr, buf, part);
        } else {
            uint64_t val = 0;

            part = io_read(vm, addr, len, &val);
            part = part ? part : 1;
            memcpy(buf, &val, part);
        }
        addr += part;
        buf += part;
        len -= part;
    }
}

static void write_bytes(Vm *vm, hwaddr addr, const uint8_t *buf, uint64_t len)
{
    while (len > 0) {
        uint64_t part = ram_part(vm, addr, len);

        if (part) {
            memory_write(vm->memory, addr, buf, part);
        } else {
            part = io_write(vm, addr, len, buf);
            part = part ? part : 1;
        }
        addr += part;
        buf += part;
        len -= part;
    }
}

static void read_value(Vm *vm, char *const *args, unsigned size, GString *out)
{
    uint64_t addr, val = 0;

    if (!parse_number(args[0], &addr, out)) {
        return;
    }
    if (memory_read(vm->memory, addr, &val, size) != MEM_OK &&
        memory_io_read(vm->memory, addr, size, &val) != MEM_OK) {
        val = 0;
    }
    g_string_append_printf(out, "OK 0x%016" G_GINT64_MODIFIER "x\n", val);
}

static void write_value(Vm *vm, char *const *args, unsigned size, GString *out)
{
    uint64_t addr, val;

    if (!parse_number(args[0], &addr, out) ||
        !parse_number(args[1], &val, out)) {
        return;
    }
    if (memory_write(vm->memory, addr, &val, size) == MEM_DECODE_ERROR) {
        memory_io_write(vm->memory, addr, size, val);
    }
    g_string_append(out, "OK\n");
}

#define DEFINE_VALUE(suffix, size)                                         \
    static void read_##suffix(Vm *vm, char *const *args, GString *out)     \
    {                                                                      \
        read_value(vm, args, size, out);                                   \
    }                                                                      \
                                                                           \
    static void write_##suffix(Vm *vm, char *const *args, GString *out)    \
    {                                                                      \
        write_value(vm, args, size, out);                                  \
    }

DEFINE_VALUE(b, 1)
DEFINE_VALUE(w, 2)
DEFINE_VALUE(l, 4)
DEFINE_VALUE(q, 8)

static void read_hex(Vm *vm, char *const *args, GString *out)
{
    static const char digits[] = "0123456789abcdef";
    g_autofree uint8_t *buf = NULL;
    uint64_t addr, len;
    gsize start;

    if (!parse_range(args, &addr, &len, QTEST_BYTES_MAX, out)) {
        return;
    }
    buf = g_malloc(len + 1);
    read_bytes(vm, addr, buf, len);
    g_string_append(out, "OK 0x");
    start = out->len;
    g_string_set_size(out, start + 2 * len);
    for (uint64_t i = 0; i < len; i++) {
        out->str[start + 2 * i] = digits[buf[i] >> 4];
        out->str[start + 2 * i + 1] = digits[buf[i] & 15];
    }
    g_string_append_c(out, '\n');
}

/* Hexadecimal after "0x" into @len bytes; what is missing is zeros. */
static bool parse_hex(const char *text, uint8_t *buf, uint64_t len)
{
    uint64_t digits;

    if (text[0] != '0' || text[1] != 'x') {
        return false;
    }
    text += 2;
    digits = strlen(text);
    if (digits > 2 * len || digits % 2) {
        return false;
    }
    memset(buf, 0, len);
    for (uint64_t i = 0; i < digits; i++) {
        int value = g_ascii_xdigit_value(text[i]);

        if (value < 0) {
            return false;
        }
        buf[i / 2] = (uint8_t)(buf[i / 2] << 4 | value);
    }
    return true;
}

static void write_hex(Vm *vm, char *const *args, GString *out)
{
    g_autofree uint8_t *buf = NULL;
    uint64_t addr, len;

    if (!parse_range(args, &addr, &len, QTEST_BYTES_MAX, out)) {
        return;
    }
    buf = g_malloc(len + 1);
    if (!parse_hex(args[2], buf, len)) {
        g_string_append_printf(out, "FAIL '%.40s...' is not 0x and at most %"
                               G_GUINT64_FORMAT " pairs of digits\n", args[2],
                               len);
        return;
    }
    write_bytes(vm, addr, buf, len);
    g_string_append(out, "OK\n");
}

static void read_base64(Vm *vm, char *const *args, GString *out)
{
    g_autofree uint8_t *buf = NULL;
    g_autofree char *text = NULL;
    uint64_t addr, len;

    if (!parse_range(args, &addr, &len, QTEST_BYTES_MAX, out)) {
        return;
    }
    buf = g_malloc(len + 1);
    read_bytes(vm, addr, buf, len);
    text = g_base64_encode(buf, len);
    g_string_append_printf(out, "OK %s\n", text);
}

static void write_base64(Vm *vm, char *const *args, GString *out)
{
    g_autofree uint8_t *buf = NULL;
    uint64_t addr, len;
    gsize have;

    if (!parse_range(args, &addr, &len, QTEST_BYTES_MAX, out)) {
        return;
    }
    buf = g_base64_decode(args[2], &have);
    if (have != len) {
        g_string_append_printf(out, "FAIL %zu bytes are given, %"
                               G_GUINT64_FORMAT " announced\n", (size_t)have,
                               len);
        return;
    }
    write_bytes(vm, addr, buf, len);
    g_string_append(out, "OK\n");
}

static void set_bytes(Vm *vm, char *const *args, GString *out)
{
    uint64_t addr, len, value;
    uint8_t buf[65536];

    if (!parse_range(args, &addr, &len, UINT64_MAX, out) ||
        !parse_number(args[2], &value, out)) {
        return;
    }
    memset(buf, (int)value, sizeof(buf));
    while (len > 0) {
        uint64_t part = MIN(len, sizeof(buf));

        /* Byte by byte to devices, which must end some time. */
        if (!ram_part(vm, addr, part) && len > QTEST_BYTES_MAX) {
            g_string_append(out, "FAIL that is not all RAM\n");
            return;
        }
        write_bytes(vm, addr, buf, part);
        addr += part;
        len -= part;
    }
    g_string_append(out, "OK\n");
}

static void endianness(Vm *vm, char *const *args, GString *out)
{
    (void)vm;
    (void)args;
    g_string_append(out, "OK little\n");
}

/* The answer to what moves the clock: where it is now. */
static void answer_clock(Vm *vm, GString *out)
{
    g_string_append_printf(out, "OK %" G_GINT64_FORMAT "\n",
                           vm_clock_ns(vm, VM_CLOCK_VIRTUAL));
}

static void step(Vm *vm, int64_t ns, GString *out)
{
    if (!vm_clock_is_by_hand(vm)) {
        g_string_append(out, "FAIL guest time moves by itself; it is stepped "
                        "under -accel qtest only\n");
        return;
    }
    vm_clock_step(vm, MAX(ns, 0));
    answer_clock(vm, out);
}

/* By so many nanoseconds, or to the next timer. */
static void clock_step(Vm *vm, char *const *args, GString *out)
{
    int64_t now = vm_clock_ns(vm, VM_CLOCK_VIRTUAL);
    uint64_t ns;

    if (!args[0]) {
        step(vm, vm_clock_next_deadline(vm) - now, out);
    } else if (parse_number(args[0], &ns, out)) {
        step(vm, (int64_t)MIN(ns, (uint64_t)INT64_MAX), out);
    }
}

/* To a time; guest time never goes back. */
static void clock_set(Vm *vm, char *const *args, GString *out)
{
    int64_t now = vm_clock_ns(vm, VM_CLOCK_VIRTUAL);
    uint64_t ns;

    if (parse_number(args[0], &ns, out)) {
        step(vm, (int64_t)MIN(ns, (uint64_t)INT64_MAX) - now, out);
    }
}

static const Command commands[] = {
    { "endianness", 0, 0, endianness },
    { "readb", 1, 1, read_b }, { "writeb", 2, 2, write_b },
    { "readw", 1, 1, read_w }, { "writew", 2, 2, write_w },
    { "readl", 1, 1, read_l }, { "writel", 2, 2, write_l },
    { "readq", 1, 1, read_q }, { "writeq", 2, 2, write_q },
    { "read", 2, 2, read_hex }, { "write", 3, 3, write_hex },
    { "b64read", 2, 2, read_base64 }, { "b64write", 3, 3, write_base64 },
    { "memset", 3, 3, set_bytes },
    { "clock_step", 0, 1, clock_step }, { "clock_set", 1, 1, clock_set },
};

void qtest_execute(Vm *vm, char *line, GString *out)
{
    char *words[WORDS_MAX + 1] = { NULL };
    unsigned count = 0;
    char *rest = NULL;

    for (char *word = strtok_r(line, " \t\r", &rest);
         word && count <= WORDS_MAX; word = strtok_r(NULL, " \t\r", &rest)) {
        words[count++] = word;
    }
    if (count == 0) {
        g_string_append(out, "FAIL there is no command\n");
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
        const Command *command = &commands[i];

        if (strcmp(command->name, words[0])) {
            continue;
        }
        if (count - 1 < command->min_args || count - 1 > command->max_args) {
            g_string_append_printf(out, "FAIL '%s' takes %u to %u arguments\n",
                                   command->name, command->min_args,
                                   command->max_args);
            return;
        }
        command->run(vm, words + 1, out);
        return;
    }
    g_string_append_printf(out, "FAIL Unknown command '%.40s'\n", words[0]);
}
