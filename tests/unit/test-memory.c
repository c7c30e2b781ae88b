/* SPDX-License-Identifier: GPL-2.0-or-later */
/* RAM blocks, I/O regions and the accessors of devices. */
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "system/memory.h"

#define MIB (UINT64_C(1) << 20)
#define RAM_BASE UINT64_C(0x80000000)

static RamBlock *new_ram(Memory *mem, const char *id, uint64_t size)
{
    RamBacking backing = { .size = size, .fd = -1, .huge = true };
    RamBlock *rb = memory_ram_new(mem, id, &backing, NULL);

    g_assert_nonnull(rb);
    return rb;
}

static void expect_no_ram(Memory *mem, const char *id,
                          const RamBacking *backing, const char *word)
{
    g_autoptr(Error) err = NULL;

    g_assert_null(memory_ram_new(mem, id, backing, &err));
    g_assert_nonnull(strstr(err->message, word));
}

static void test_lookup(void)
{
    Memory *mem = memory_new();
    RamBlock *ram = new_ram(mem, "ram", 4 * MIB);
    RamBlock *rom = new_ram(mem, "rom", MIB);
    RamBlock *found;
    uint64_t offset;

    g_assert_true(memory_map_ram(mem, ram, RAM_BASE, NULL));
    g_assert_true(memory_map_ram(mem, rom, 0x1000, NULL));

    g_assert_true(memory_ram_by_index(mem, 0) == ram);
    g_assert_true(memory_ram_by_index(mem, 1) == rom);
    g_assert_null(memory_ram_by_index(mem, 2));
    g_assert_true(memory_ram_by_id(mem, "rom") == rom);
    g_assert_null(memory_ram_by_id(mem, "ro"));

    g_assert_true(memory_ram_at(mem, RAM_BASE, &found, &offset) == ram->host);
    g_assert_true(found == ram);
    g_assert_cmpuint(offset, ==, 0);
    g_assert_true(memory_ram_at(mem, RAM_BASE + 4 * MIB - 1, &found, &offset)
                  == ram->host + 4 * MIB - 1);
    g_assert_null(memory_ram_at(mem, RAM_BASE + 4 * MIB, NULL, NULL));
    g_assert_null(memory_ram_at(mem, RAM_BASE - 1, NULL, NULL));
    g_assert_null(memory_ram_at(mem, UINT64_MAX, NULL, NULL));
    g_assert_null(memory_ram_at(mem, 0, NULL, NULL));
    g_assert_true(memory_ram_at(mem, 0x1000, &found, NULL) == rom->host);
    /* Fresh RAM reads as zeros. */
    g_assert_cmpint(ram->host[12345], ==, 0);
    memory_free(mem);
}

static void test_map_errors(void)
{
    Memory *mem = memory_new();
    RamBlock *a = new_ram(mem, "a", MIB);
    RamBlock *b = new_ram(mem, "b", MIB);
    static const hwaddr wrong[] = {
        RAM_BASE + 1, RAM_BASE + 0x800, RAM_BASE, RAM_BASE + MIB - 0x1000,
        RAM_BASE - 0x1000, UINT64_C(1) << 56, (UINT64_C(1) << 56) - 0x1000,
        UINT64_MAX - 0xfff,
    };

    g_assert_true(memory_map_ram(mem, a, RAM_BASE, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(Error) err = NULL;

        g_assert_false(memory_map_ram(mem, b, wrong[i], &err));
        g_assert_nonnull(err);
        g_assert_false(b->mapped);
    }
    g_assert_true(memory_map_ram(mem, b, RAM_BASE + MIB, NULL));
    memory_free(mem);
}

static void test_ram_errors(void)
{
    Memory *mem = memory_new();
    g_autofree char *long_id = g_strnfill(256, 'x');
    RamBacking backing = { .size = MIB, .fd = -1 };

    new_ram(mem, "a", MIB);
    expect_no_ram(mem, "a", &backing, "'a'");
    expect_no_ram(mem, "", &backing, "name");
    expect_no_ram(mem, long_id, &backing, "256");
    long_id[255] = 0;
    new_ram(mem, long_id, MIB);
    backing.size = 0;
    expect_no_ram(mem, "b", &backing, "size 0");
    backing.size = MIB + 1;
    expect_no_ram(mem, "b", &backing, "1048577");
    backing.size = UINT64_MAX & ~UINT64_C(4095);
    expect_no_ram(mem, "b", &backing, "size");
    backing.size = MIB;
    for (unsigned i = 2; i < RAM_BLOCKS_MAX; i++) {
        g_autofree char *id = g_strdup_printf("block%u", i);

        new_ram(mem, id, GUEST_PAGE_SIZE);
    }
    expect_no_ram(mem, "b", &backing, "64");
    memory_free(mem);
}

/* A terabyte is address space alone until it is touched. */
static void test_terabyte(void)
{
#ifdef __SANITIZE_THREAD__
    g_test_skip("the thread sanitizer leaves no terabyte of address space");
#else
    Memory *mem = memory_new();
    RamBlock *rb = new_ram(mem, "ram", UINT64_C(1) << 40);
    DirtyLog *log;

    g_assert_true(memory_map_ram(mem, rb, RAM_BASE, NULL));
    log = dirty_log_start(mem, "test", NULL);
    g_assert_nonnull(log);
    memory_st64(mem, RAM_BASE + (UINT64_C(1) << 40) - 8, 42);
    g_assert_cmpint(rb->host[(UINT64_C(1) << 40) - 8], ==, 42);
    dirty_log_stop(log);
    memory_free(mem);
#endif
}

static int memfd(uint64_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, size), ==, 0);
    return fd;
}

static void test_file(void)
{
    Memory *mem = memory_new();
    int fd = memfd(2 * MIB);
    int mine = dup(fd);
    RamBacking backing = {
        .size = MIB, .fd = fd, .fd_offset = MIB, .share = true,
    };
    RamBlock *rb = memory_ram_new(mem, "file", &backing, NULL);
    uint64_t val = 0;

    g_assert_nonnull(rb);
    g_assert_true(memory_map_ram(mem, rb, 0, NULL));
    g_assert_cmpint(memory_st64(mem, 0x2000, UINT64_C(0x1122334455667788)), ==,
                    MEM_OK);
    g_assert_cmpint(pread(mine, &val, 8, MIB + 0x2000), ==, 8);
    g_assert_cmphex(val, ==, UINT64_C(0x1122334455667788));

    /* Private: the file stays as it is. */
    backing.fd = dup(mine);
    backing.share = false;
    rb = memory_ram_new(mem, "private", &backing, NULL);
    g_assert_nonnull(rb);
    g_assert_cmpint(rb->host[0x2000], ==, 0x88);
    rb->host[0x2000] = 1;
    g_assert_cmpint(pread(mine, &val, 1, MIB + 0x2000), ==, 1);
    g_assert_cmphex(val & 0xff, ==, 0x88);

    /* Too small, and an offset inside a page. */
    backing.fd = dup(mine);
    backing.size = MIB + GUEST_PAGE_SIZE;
    expect_no_ram(mem, "small", &backing, "2097152");
    backing.fd = dup(mine);
    backing.size = MIB / 2;
    backing.fd_offset = 2048;
    expect_no_ram(mem, "odd", &backing, "2048");
    backing.fd = dup(mine);
    backing.fd_offset = UINT64_MAX & ~UINT64_C(4095);
    expect_no_ram(mem, "wrap", &backing, "offset");
    close(mine);
    memory_free(mem);
}

static void test_read_only_file(void)
{
    Memory *mem = memory_new();
    int fd = memfd(MIB);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    RamBacking backing = { .size = MIB, .share = true };
    RamBlock *rb;

    backing.fd = open(path, O_RDONLY | O_CLOEXEC);
    g_assert_cmpint(backing.fd, >=, 0);
    expect_no_ram(mem, "ro", &backing, "reading only");
    backing.fd = open(path, O_RDONLY | O_CLOEXEC);
    backing.readonly = true;
    rb = memory_ram_new(mem, "ro", &backing, NULL);
    g_assert_nonnull(rb);
    g_assert_true(memory_map_ram(mem, rb, 0, NULL));
    g_assert_cmpint(memory_st32(mem, 0, 1), ==, MEM_DEVICE_ERROR);
    close(fd);
    memory_free(mem);
}

static void test_prealloc(void)
{
    Memory *mem = memory_new();
    RamBacking backing = { .size = MIB, .fd = -1, .prealloc = true };
    RamBlock *rb = memory_ram_new(mem, "now", &backing, NULL);
    uint8_t resident[256];
    RamBlock *later = new_ram(mem, "later", MIB);

    g_assert_nonnull(rb);
    g_assert_cmpint(mincore(rb->host, MIB, resident), ==, 0);
    for (size_t i = 0; i < sizeof(resident); i++) {
        g_assert_true(resident[i] & 1);
    }
    g_assert_cmpint(mincore(later->host, MIB, resident), ==, 0);
    g_assert_false(resident[7] & 1);
    memory_free(mem);
}

static void test_access(void)
{
    Memory *mem = memory_new();
    RamBlock *low = new_ram(mem, "low", GUEST_PAGE_SIZE);
    RamBlock *high = new_ram(mem, "high", GUEST_PAGE_SIZE);
    RamBacking rom_backing = {
        .size = GUEST_PAGE_SIZE, .fd = -1, .readonly = true,
    };
    RamBlock *rom = memory_ram_new(mem, "rom", &rom_backing, NULL);
    uint8_t buf[64], back[64];
    uint64_t len, v64 = 0;
    uint32_t v32 = 0;
    uint16_t v16 = 0;
    uint8_t *host;

    /* low, high and rom one after the other, then nothing. */
    g_assert_true(memory_map_ram(mem, high, 0x2000, NULL));
    g_assert_true(memory_map_ram(mem, low, 0x1000, NULL));
    g_assert_true(memory_map_ram(mem, rom, 0x3000, NULL));
    memset(buf, 0xa5, sizeof(buf));
    g_assert_cmpint(memory_write(mem, 0x2000 - 10, buf, 64), ==, MEM_OK);
    g_assert_cmpint(low->host[4095], ==, 0xa5);
    g_assert_cmpint(high->host[53], ==, 0xa5);
    g_assert_cmpint(high->host[54], ==, 0);
    g_assert_cmpint(memory_read(mem, 0x2000 - 10, back, 64), ==, MEM_OK);
    g_assert_cmpmem(buf, 64, back, 64);

    /* All or nothing. */
    memset(buf, 0x11, sizeof(buf));
    g_assert_cmpint(memory_write(mem, 0x3000 - 10, buf, 64), ==,
                    MEM_DEVICE_ERROR);
    g_assert_cmpint(high->host[4095], ==, 0);
    g_assert_cmpint(memory_read(mem, 0x4000 - 10, back, 64), ==,
                    MEM_DECODE_ERROR);
    g_assert_cmpmem(back, 1, "\xa5", 1);
    g_assert_cmpint(memory_read(mem, 0xff8, back, 16), ==, MEM_DECODE_ERROR);
    g_assert_cmpint(memory_read(mem, UINT64_MAX - 3, back, 16), ==,
                    MEM_DECODE_ERROR);
    g_assert_cmpint(memory_write(mem, 0x1000, buf, 0), ==, MEM_OK);

    /* Values are little-endian; one may straddle blocks. */
    g_assert_cmpint(memory_st32(mem, 0x1100, 0x01020304), ==, MEM_OK);
    g_assert_cmpint(low->host[0x100], ==, 4);
    g_assert_cmpint(memory_ld16(mem, 0x1102, &v16), ==, MEM_OK);
    g_assert_cmphex(v16, ==, 0x0102);
    g_assert_cmpint(memory_st64(mem, 0x1ffc, 0x8877665544332211), ==, MEM_OK);
    g_assert_cmphex(high->host[3], ==, 0x88);
    g_assert_cmpint(memory_ld64(mem, 0x1ffc, &v64), ==, MEM_OK);
    g_assert_cmphex(v64, ==, 0x8877665544332211);
    g_assert_cmpint(memory_st16(mem, 0x3000, 1), ==, MEM_DEVICE_ERROR);
    g_assert_cmpint(memory_ld32(mem, 0x3000, &v32), ==, MEM_OK);
    g_assert_cmpint(memory_ld32(mem, 0x4000, &v32), ==, MEM_DECODE_ERROR);

    len = 0x1800;
    host = memory_map(mem, 0x1800, &len, true);
    g_assert_true(host == low->host + 0x800);
    g_assert_cmpuint(len, ==, 0x800);
    memory_unmap(mem, host, 0);
    g_assert_null(memory_map(mem, 0x3000, &len, true));
    len = 4;
    g_assert_nonnull(memory_map(mem, 0x3000, &len, false));
    g_assert_cmpuint(len, ==, 4);
    g_assert_null(memory_map(mem, 0x4000, &len, false));
    memory_free(mem);
}

typedef struct FakeDevice {
    IoRegion io;
    hwaddr addr;
    unsigned size;
    uint64_t val;
} FakeDevice;

static MemResult fake_read(void *opaque, hwaddr addr, unsigned size,
                           uint64_t *val)
{
    FakeDevice *dev = opaque;

    dev->addr = addr;
    dev->size = size;
    *val = dev->val;
    return MEM_OK;
}

static MemResult fake_write(void *opaque, hwaddr addr, unsigned size,
                            uint64_t val)
{
    FakeDevice *dev = opaque;

    dev->addr = addr;
    dev->size = size;
    dev->val = val;
    return addr == 0x40 ? MEM_DEVICE_ERROR : MEM_OK;
}

static const IoOps fake_ops = {
    .read = fake_read, .write = fake_write, .min_size = 2, .max_size = 4,
};
static const IoOps any_ops = { .read = fake_read };

static void test_io(void)
{
    Memory *mem = memory_new();
    FakeDevice a = { .val = 0xaa }, b = { .val = 0xbb };
    uint64_t val = 0;

    memory_io_init(&a.io, "a", &fake_ops, &a, 0x100);
    memory_io_init(&b.io, "b", &any_ops, &b, 0x10);
    g_assert_cmpint(memory_io_read(mem, 0x1000, 4, &val), ==,
                    MEM_DECODE_ERROR);
    memory_io_map(mem, &a.io, 0x1000);
    memory_io_map(mem, &b.io, 0x1080);

    g_assert_cmpint(memory_io_read(mem, 0x1004, 4, &val), ==, MEM_OK);
    g_assert_cmphex(val, ==, 0xaa);
    g_assert_cmphex(a.addr, ==, 4);
    g_assert_cmpuint(a.size, ==, 4);
    g_assert_cmpint(memory_io_write(mem, 0x1006, 2, 7), ==, MEM_OK);
    g_assert_cmpuint(a.val, ==, 7);
    /* Refused by the device; its width; its alignment. */
    a.size = 99;
    g_assert_cmpint(memory_io_write(mem, 0x1041, 1, 7), ==, MEM_DEVICE_ERROR);
    g_assert_cmpint(memory_io_write(mem, 0x1020, 8, 7), ==, MEM_DEVICE_ERROR);
    g_assert_cmpint(memory_io_write(mem, 0x1022, 4, 7), ==, MEM_DEVICE_ERROR);
    g_assert_cmpint(memory_io_read(mem, 0x1020, 3, &val), ==,
                    MEM_DEVICE_ERROR);
    g_assert_cmpuint(a.size, ==, 99);
    g_assert_cmpint(memory_io_write(mem, 0x1040, 4, 7), ==, MEM_DEVICE_ERROR);
    g_assert_cmpuint(a.size, ==, 4);

    /* The later wins; no width declared is any width; no write is refused. */
    g_assert_cmpint(memory_io_read(mem, 0x1080, 8, &val), ==, MEM_OK);
    g_assert_cmphex(val, ==, 0xbb);
    g_assert_cmpint(memory_io_read(mem, 0x108f, 1, &val), ==, MEM_OK);
    g_assert_cmpint(memory_io_write(mem, 0x1080, 8, 1), ==, MEM_DEVICE_ERROR);
    g_assert_cmpint(memory_io_read(mem, 0x1090, 4, &val), ==, MEM_OK);
    g_assert_cmphex(val, ==, 7);

    /* It moves, and what it covered is back. */
    memory_io_map(mem, &b.io, 0x2000);
    g_assert_cmpint(memory_io_read(mem, 0x1080, 4, &val), ==, MEM_OK);
    g_assert_cmphex(val, ==, 7);
    g_assert_cmpint(memory_io_read(mem, 0x2008, 8, &val), ==, MEM_OK);
    memory_io_unmap(mem, &b.io);
    memory_io_unmap(mem, &b.io);
    g_assert_cmpint(memory_io_read(mem, 0x2008, 8, &val), ==,
                    MEM_DECODE_ERROR);
    g_assert_cmpint(memory_io_read(mem, 0xfff, 2, &val), ==,
                    MEM_DECODE_ERROR);
    g_assert_cmpint(memory_io_read(mem, 0x1100, 2, &val), ==,
                    MEM_DECODE_ERROR);
    memory_free(mem);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/memory/lookup", test_lookup);
    g_test_add_func("/memory/map-errors", test_map_errors);
    g_test_add_func("/memory/ram-errors", test_ram_errors);
    g_test_add_func("/memory/terabyte", test_terabyte);
    g_test_add_func("/memory/file", test_file);
    g_test_add_func("/memory/read-only-file", test_read_only_file);
    g_test_add_func("/memory/prealloc", test_prealloc);
    g_test_add_func("/memory/access", test_access);
    g_test_add_func("/memory/io", test_io);
    return g_test_run();
}
