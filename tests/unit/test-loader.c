/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Firmware, kernel, initrd and device tree into memory: what is right, where
 * it lands, and every number of a file that can be wrong.
 */
#include <elf.h>
#include <string.h>
#include <unistd.h>

#include "hw-test.h"
#include "hw/riscv/virt.h"
#include "system/runstate.h"

#define RAM_BASE VIRT_DRAM_BASE
#define RAM_SIZE (UINT64_C(64) << 20)
#define ROM_BASE VIRT_MROM_BASE

typedef struct Test {
    Vm *vm;
    BootPlan plan;
    GPtrArray *files;
} Test;

/* Stands for a device tree: as long as the header of one, which it has not. */
static const char fdt[64] = "fdt";

static Test *test_new(void)
{
    const RamBacking ram = { .size = RAM_SIZE, .fd = -1 };
    const RamBacking rom = { .size = VIRT_MROM_SIZE, .fd = -1,
                             .readonly = true };
    Test *t = g_new0(Test, 1);
    Memory *mem;

    t->vm = hw_test_new();
    t->files = g_ptr_array_new_with_free_func(g_free);
    t->plan.ram_base = RAM_BASE;
    t->plan.ram_size = RAM_SIZE;
    mem = t->vm->memory;
    g_assert_true(memory_map_ram(mem, memory_ram_new(mem, "ram", &ram, NULL),
                                 RAM_BASE, NULL));
    g_assert_true(memory_map_ram(mem, memory_ram_new(mem, "rom", &rom, NULL),
                                 ROM_BASE, NULL));
    t->vm->machine->loader = loader_new(t->vm);
    return t;
}

static void test_free(Test *t)
{
    hw_test_free(t->vm);
    for (guint i = 0; i < t->files->len; i++) {
        unlink(g_ptr_array_index(t->files, i));
    }
    g_ptr_array_unref(t->files);
    g_free(t);
}

/* The path of a file with that in it; the path is the test's. */
static const char *file(Test *t, const void *data, size_t len)
{
    char *path;
    int fd = g_file_open_tmp("godwit-test-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, len), ==, (ssize_t)len);
    close(fd);
    g_ptr_array_add(t->files, path);
    return path;
}

static void use(char **field, const char *path)
{
    g_free(*field);
    *field = g_strdup(path);
}

static void check_memory(Test *t, hwaddr gpa, const void *data, size_t len)
{
    g_autofree void *there = g_malloc(len);

    g_assert_cmpint(memory_read(t->vm->memory, gpa, there, len), ==, MEM_OK);
    g_assert_cmpmem(there, len, data, len);
}

static void refused(Test *t, const char *message)
{
    Error *err = NULL;

    g_assert_false(boot_load_images(t->vm, &t->plan, &err));
    if (!strstr(err->message, message)) {
        g_test_message("got: %s", err->message);
    }
    g_assert_nonnull(strstr(err->message, message));
    g_error_free(err);
}

/* ---- ELF ---- */

typedef struct TestElf {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[2];
    char code[16];
} TestElf;

static const TestElf good_elf = {
    .eh = {
        .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
        .e_type = ET_EXEC,
        .e_machine = EM_RISCV,
        .e_version = 1,
        .e_entry = 0xffffffff80000004,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 2,
    },
    .ph = {
        { .p_type = PT_LOAD, .p_offset = offsetof(TestElf, code),
          .p_vaddr = 0xffffffff80000000, .p_paddr = RAM_BASE + 0x1000,
          .p_filesz = 16, .p_memsz = 32 },
        { .p_type = PT_NOTE, .p_offset = 1 << 30, .p_filesz = 1 << 30 },
    },
    .code = "0123456789abcde",
};

static void test_elf(void)
{
    static const char zeros[16];
    Test *t = test_new();
    Error *err = NULL;

    use(&t->vm->config->bios, "none");
    use(&t->vm->config->kernel, file(t, &good_elf, sizeof(good_elf)));
    memset(memory_ram_at(t->vm->memory, RAM_BASE, NULL, NULL), 0xee, 0x2000);
    boot_load_images(t->vm, &t->plan, &err);
    g_assert_no_error(err);
    g_assert_cmphex(t->plan.kernel.start, ==, RAM_BASE + 0x1000);
    g_assert_cmphex(t->plan.kernel.end, ==, RAM_BASE + 0x1020);
    g_assert_cmphex(t->plan.kernel.entry, ==, RAM_BASE + 0x1004);
    loader_load(t->vm->machine->loader);
    check_memory(t, RAM_BASE + 0x1000, good_elf.code, 16);
    check_memory(t, RAM_BASE + 0x1010, zeros, 16);
    check_memory(t, RAM_BASE + 0x1020, "\xee", 1);
    check_memory(t, RAM_BASE + 0x0fff, "\xee", 1);
    test_free(t);
}

typedef struct ElfFault {
    size_t offset, size;        /* of the field */
    uint64_t value;
    const char *message;
} ElfFault;

#define EH(field) offsetof(TestElf, eh.field), sizeof(good_elf.eh.field)
#define PH(field) offsetof(TestElf, ph[0].field), sizeof(good_elf.ph[0].field)

static void test_elf_faults(void)
{
    static const ElfFault faults[] = {
        { EI_CLASS, 1, ELFCLASS32, "class is 1" },
        { EI_DATA, 1, ELFDATA2MSB, "byte order is 2" },
        { EH(e_machine), EM_X86_64, "machine is 62" },
        { EH(e_type), ET_REL, "type is 1" },
        { EH(e_version), 2, "version is 2" },
        { EH(e_phentsize), 32, "program header size is 32" },
        { EH(e_phnum), 0, "0 program headers" },
        { EH(e_phnum), 65535, "65535 program headers" },
        { EH(e_phnum), 100, "beyond the end" },
        { EH(e_phoff), UINT64_MAX, "beyond the end" },
        { EH(e_phoff), UINT64_MAX - 60, "beyond the end" },
        { EH(e_entry), 0x1234, "entry point 0x1234" },
        { PH(p_type), PT_NOTE, "nothing to load" },
        { PH(p_offset), UINT64_MAX, "beyond the end" },
        { PH(p_offset), sizeof(TestElf) - 8, "beyond the end" },
        { PH(p_filesz), UINT64_MAX, "only 32" },
        { PH(p_filesz), 33, "only 32" },
        { PH(p_memsz), UINT64_MAX, "do not fit into RAM" },
        { PH(p_memsz), RAM_SIZE, "do not fit into RAM" },
        { PH(p_paddr), 0, "0x0 is not in RAM" },
        { PH(p_paddr), UINT64_MAX, "is not in RAM" },
        { PH(p_paddr), RAM_BASE + RAM_SIZE - 16, "do not fit into RAM" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        TestElf elf = good_elf;
        Test *t = test_new();

        memcpy((char *)&elf + faults[i].offset, &faults[i].value,
               faults[i].size);
        use(&t->vm->config->bios, "none");
        use(&t->vm->config->kernel, file(t, &elf, sizeof(elf)));
        refused(t, faults[i].message);
        test_free(t);
    }
}

/* A position-independent firmware goes to the beginning of RAM. */
static void test_elf_pie(void)
{
    TestElf elf = good_elf;
    Test *t = test_new();
    Error *err = NULL;

    elf.eh.e_type = ET_DYN;
    elf.eh.e_entry = 8;
    elf.ph[0].p_paddr = elf.ph[0].p_vaddr = 0;
    use(&t->vm->config->bios, file(t, &elf, sizeof(elf)));
    boot_load_images(t->vm, &t->plan, &err);
    g_assert_no_error(err);
    g_assert_cmphex(t->plan.firmware.entry, ==, RAM_BASE + 8);
    test_free(t);
}

static void test_elf_overlap(void)
{
    TestElf elf = good_elf;
    Test *t = test_new();

    elf.ph[1] = elf.ph[0];
    elf.ph[1].p_paddr += 31;
    use(&t->vm->config->bios, "none");
    use(&t->vm->config->kernel, file(t, &elf, sizeof(elf)));
    refused(t, "overlaps");
    test_free(t);
}

/* ---- Linux' Image, raw binaries, initrd ---- */

typedef struct TestImage {
    uint32_t code[2];
    uint64_t text_offset, image_size, flags;
    uint32_t version, res1;
    uint64_t res2, magic;
    uint32_t magic2, res3;
    char text[64];
} TestImage;

static const TestImage good_image = {
    .text_offset = 0x200000,
    .image_size = 0x400000,
    .version = 2,
    .magic = 0x5643534952,      /* "RISCV" */
    .magic2 = 0x05435352,
    .text = "kernel",
};

static void test_image(void)
{
    Test *t = test_new();
    Error *err = NULL;

    use(&t->vm->config->bios, file(t, "firmware", 8));
    use(&t->vm->config->kernel, file(t, &good_image, sizeof(good_image)));
    use(&t->vm->config->initrd, file(t, "initrd", 6));
    boot_load_images(t->vm, &t->plan, &err);
    g_assert_no_error(err);
    g_assert_cmphex(t->plan.firmware.entry, ==, RAM_BASE);
    g_assert_cmphex(t->plan.kernel.entry, ==, RAM_BASE + 0x200000);
    g_assert_cmphex(t->plan.kernel.end, ==, RAM_BASE + 0x600000);
    g_assert_cmphex(t->plan.initrd_start, >=, RAM_BASE + 0x600000);
    g_assert_cmphex(t->plan.initrd_end, ==, t->plan.initrd_start + 6);
    boot_finish(t->vm, &t->plan, fdt, sizeof(fdt), ROM_BASE, &err);
    g_assert_no_error(err);
    g_assert_cmphex(t->plan.fdt % 8, ==, 0);
    g_assert_cmphex(t->plan.fdt, >=, t->plan.initrd_end);
    loader_load(t->vm->machine->loader);
    check_memory(t, RAM_BASE, "firmware", 8);
    check_memory(t, RAM_BASE + 0x200000, &good_image, sizeof(good_image));
    check_memory(t, t->plan.initrd_start, "initrd", 6);
    check_memory(t, t->plan.fdt, fdt, sizeof(fdt));
    /* what the guest did to it is undone by the next reset */
    memory_write(t->vm->memory, RAM_BASE, "xxxxxxxx", 8);
    loader_load(t->vm->machine->loader);
    check_memory(t, RAM_BASE, "firmware", 8);
    test_free(t);
}

static void test_image_faults(void)
{
    static const struct {
        size_t offset, size;
        uint64_t value;
        const char *message;
    } faults[] = {
        { offsetof(TestImage, magic2), 4, 7, "second magic 0x7" },
        { offsetof(TestImage, flags), 8, 1, "flags 0x1" },
        { offsetof(TestImage, text_offset), 8, UINT64_MAX,
          "beyond the address space" },
        { offsetof(TestImage, text_offset), 8, RAM_SIZE, "not in RAM" },
        { offsetof(TestImage, image_size), 8, UINT64_MAX,
          "beyond the address space" },
        { offsetof(TestImage, image_size), 8, RAM_SIZE, "RAM ends at" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        TestImage image = good_image;
        Test *t = test_new();

        memcpy((char *)&image + faults[i].offset, &faults[i].value,
               faults[i].size);
        use(&t->vm->config->bios, "none");
        use(&t->vm->config->kernel, file(t, &image, sizeof(image)));
        refused(t, faults[i].message);
        test_free(t);
    }
}

static void test_raw(void)
{
    static const uint8_t reset_vector[24] = {
        0x97, 0x02, 0x00, 0x00,         /* auipc t0, 0 */
        0x13, 0x86, 0x82, 0x02,         /* addi a2, t0, 40 */
        0x73, 0x25, 0x40, 0xf1,         /* csrr a0, mhartid */
        0x83, 0xb5, 0x02, 0x02,         /* ld a1, 32(t0) */
        0x83, 0xb2, 0x82, 0x01,         /* ld t0, 24(t0) */
        0x67, 0x80, 0x02, 0x00,         /* jr t0 */
    };
    Test *t = test_new();
    Error *err = NULL;
    uint64_t word;

    use(&t->vm->config->bios, "none");
    use(&t->vm->config->kernel, file(t, "raw", 3));
    boot_load_images(t->vm, &t->plan, &err);
    g_assert_no_error(err);
    boot_finish(t->vm, &t->plan, fdt, sizeof(fdt), ROM_BASE, &err);
    g_assert_no_error(err);
    loader_load(t->vm->machine->loader);
    check_memory(t, RAM_BASE, "raw", 3);
    check_memory(t, ROM_BASE, reset_vector, sizeof(reset_vector));
    memory_ld64(t->vm->memory, ROM_BASE + 24, &word);
    g_assert_cmphex(word, ==, RAM_BASE);
    memory_ld64(t->vm->memory, ROM_BASE + 32, &word);
    g_assert_cmphex(word, ==, t->plan.fdt);
    memory_ld64(t->vm->memory, ROM_BASE + 40, &word);
    g_assert_cmphex(word, ==, 0x4942534f);
    memory_ld64(t->vm->memory, ROM_BASE + 48, &word);
    g_assert_cmphex(word, ==, 2);
    memory_ld64(t->vm->memory, ROM_BASE + 56, &word);
    g_assert_cmphex(word, ==, RAM_BASE);
    memory_ld64(t->vm->memory, ROM_BASE + 64, &word);
    g_assert_cmphex(word, ==, 1);
    test_free(t);
}

static void test_files(void)
{
    g_autofree void *big = g_malloc0(RAM_SIZE + 1);
    Test *t = test_new();

    use(&t->vm->config->bios, "/nonexistent/fw");
    refused(t, "cannot open firmware '/nonexistent/fw'");
    use(&t->vm->config->bios, "/dev/null");
    refused(t, "is not a regular file");
    use(&t->vm->config->bios, file(t, "", 0));
    refused(t, "is not a regular file with something in it");
    use(&t->vm->config->bios, file(t, big, RAM_SIZE + 1));
    refused(t, "do not fit into RAM");
    use(&t->vm->config->bios, "none");
    use(&t->vm->config->append, "x");
    refused(t, "say -kernel FILE");
    use(&t->vm->config->kernel, file(t, "\x1f\x8b\x08", 3));
    refused(t, "compressed by gzip");
    use(&t->vm->config->kernel, file(t, "raw", 3));
    use(&t->vm->config->initrd, file(t, big, RAM_SIZE - (1 << 20)));
    refused(t, "more memory");
    test_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loader/elf", test_elf);
    g_test_add_func("/loader/elf-faults", test_elf_faults);
    g_test_add_func("/loader/elf-pie", test_elf_pie);
    g_test_add_func("/loader/elf-overlap", test_elf_overlap);
    g_test_add_func("/loader/image", test_image);
    g_test_add_func("/loader/image-faults", test_image_faults);
    g_test_add_func("/loader/raw", test_raw);
    g_test_add_func("/loader/files", test_files);
    return g_test_run();
}
