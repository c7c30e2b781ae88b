/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a RISC-V machine starts with: firmware at the beginning of RAM, the
 * kernel behind it, an initrd, the device tree, and the few instructions of
 * the reset vector. Main loop, big lock.
 */
#include <string.h>
#include <unistd.h>

#include "accel/accel.h"
#include "config-host.h"
#include "hw/core/machine.h"
#include "hw/riscv/virt.h"
#include "trace/trace-hw-riscv.h"
#include "util/checked.h"

#define MIB (UINT64_C(1) << 20)
/* Linux and OpenSBI map by megapages of this size. */
#define MEGAPAGE (2 * MIB)
/* The device tree and the initrd are reached early: below 3 GiB. */
#define LOW_END (UINT64_C(3) << 30)

/* Where distributions keep OpenSBI's generic fw_dynamic. */
static const char *const firmware_paths[] = {
    GODWIT_DATADIR "/fw_dynamic.bin",
    "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin",
    "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.elf",
    "/usr/share/opensbi/lp64/generic/firmware/fw_dynamic.bin",
};

/* The header of Linux' Image (Documentation/arch/riscv/boot-image-header). */
typedef struct ImageHeader {
    uint32_t code[2];
    uint64_t text_offset;       /* from a 2 MiB boundary */
    uint64_t image_size;        /* in memory, bytes */
    uint64_t flags;             /* bit 0: big-endian */
    uint32_t version;
    uint32_t reserved1;
    uint64_t reserved2;
    uint64_t magic;
    uint32_t magic2;
    uint32_t reserved3;
} ImageHeader;

G_STATIC_ASSERT(sizeof(ImageHeader) == 64);

#define IMAGE_MAGIC2 0x05435352 /* "RSC\x05" */

/* OpenSBI's struct fw_dynamic_info, version 2. */
typedef struct FwDynamicInfo {
    uint64_t magic;
    uint64_t version;
    uint64_t next_addr;
    uint64_t next_mode;         /* 1: supervisor */
    uint64_t options;
    uint64_t boot_hart;
} FwDynamicInfo;

#define FW_DYNAMIC_MAGIC 0x4942534f     /* "OSBI" */

static bool align_up(uint64_t value, uint64_t align, uint64_t *res)
{
    return checked_add_u64(value, align - 1, res) &&
           (*res &= ~(align - 1), true);
}

/* *@path: NULL if none is needed. */
static bool find_firmware(Vm *vm, const char **path, Error **errp)
{
    const MachineConfig *config = vm->config;

    if (config->bios && !g_str_equal(config->bios, "default")) {
        *path = config->bios;
        return true;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(firmware_paths); i++) {
        if (access(firmware_paths[i], R_OK) == 0) {
            *path = firmware_paths[i];
            return true;
        }
    }
    /* Where no hart runs, nobody misses it. */
    if (vm->accel == &accel_qtest) {
        *path = NULL;
        return true;
    }
    error_setg(errp, "cannot find OpenSBI for '-bios default' (looked for %s, "
               "among others): install the package opensbi, or say -bios FILE "
               "or -bios none", firmware_paths[1]);
    return false;
}

static bool add_raw(Loader *loader, const ImageFile *file, hwaddr gpa,
                    LoadedImage *loaded, Error **errp)
{
    *loaded = (LoadedImage){ gpa, gpa + file->size, gpa };
    return loader_add_file(loader, file, 0, file->size, gpa, file->size, errp);
}

static bool load_firmware(Vm *vm, BootPlan *plan, Error **errp)
{
    Loader *loader = vm->machine->loader;
    ImageFile file = { 0 };
    const char *path;
    bool ok;

    if (!find_firmware(vm, &path, errp)) {
        return false;
    }
    if (!path) {
        return true;
    }
    if (!image_file_open(&file, "firmware", path, errp)) {
        return false;
    }
    ok = image_file_is_elf(&file)
             ? loader_add_elf(loader, &file, plan->ram_base, &plan->firmware,
                              errp)
             : add_raw(loader, &file, plan->ram_base, &plan->firmware, errp);
    image_file_close(&file);
    plan->has_firmware = ok;
    return ok;
}

/* Whether @file has the header of Linux' Image; then *header is it. */
static bool read_image_header(const ImageFile *file, ImageHeader *header)
{
    return file->size >= sizeof(*header) &&
           image_file_read(file, 0, header, sizeof(*header), NULL) &&
           memcmp(&header->magic, "RISCV\0\0\0", 8) == 0;
}

static bool add_image(Loader *loader, const ImageFile *file,
                      const ImageHeader *header, hwaddr base,
                      LoadedImage *loaded, Error **errp)
{
    /* A file may be longer than its image (signatures), or shorter (bss). */
    uint64_t end = MAX(header->image_size, file->size);
    hwaddr gpa;

    if (header->magic2 != IMAGE_MAGIC2 || (header->flags & 1)) {
        error_setg(errp, "kernel image '%s': second magic 0x%x and flags 0x%"
                   G_GINT64_MODIFIER "x, they must be 0x%x and even: a "
                   "little-endian RISC-V kernel", file->path, header->magic2,
                   header->flags, IMAGE_MAGIC2);
        return false;
    }
    if (!checked_add_u64(base, header->text_offset, &gpa) ||
        !checked_add_u64(gpa, end, &end)) {
        error_setg(errp, "kernel image '%s': text offset 0x%" G_GINT64_MODIFIER
                   "x and size 0x%" G_GINT64_MODIFIER "x are beyond the "
                   "address space", file->path, header->text_offset,
                   header->image_size);
        return false;
    }
    *loaded = (LoadedImage){ gpa, end, gpa };
    /* The kernel clears the memory behind the file's end by itself. */
    return loader_add_file(loader, file, 0, file->size, gpa, file->size, errp);
}

/* The first megapage behind the firmware, or the beginning of RAM. */
static hwaddr kernel_base(const BootPlan *plan)
{
    hwaddr base = plan->ram_base;

    if (plan->has_firmware && !align_up(plan->firmware.end, MEGAPAGE, &base)) {
        g_assert_not_reached();     /* it was found to be in RAM */
    }
    return base;
}

static bool add_kernel(Vm *vm, const ImageFile *file, BootPlan *plan,
                       Error **errp)
{
    Loader *loader = vm->machine->loader;
    hwaddr base = kernel_base(plan);
    ImageHeader header;
    uint64_t room = plan->ram_base + plan->ram_size;

    if (image_file_is_elf(file)) {
        return loader_add_elf(loader, file, base, &plan->kernel, errp);
    }
    if (read_image_header(file, &header)) {
        /* text_offset counts from the beginning of RAM, where firmware is. */
        if (plan->has_firmware && header.text_offset < base - plan->ram_base) {
            header.text_offset = base - plan->ram_base;
        }
        if (!add_image(loader, file, &header, plan->ram_base, &plan->kernel,
                       errp)) {
            return false;
        }
    } else if (!add_raw(loader, file, base, &plan->kernel, errp)) {
        return false;
    }
    if (plan->kernel.end > room) {
        error_setg(errp, "kernel '%s' needs memory up to 0x%" G_GINT64_MODIFIER
                   "x, RAM ends at 0x%" G_GINT64_MODIFIER "x", file->path,
                   plan->kernel.end, room);
        return false;
    }
    return true;
}

static bool load_kernel(Vm *vm, BootPlan *plan, Error **errp)
{
    uint8_t start[2];
    ImageFile file = { 0 };
    bool ok;

    if (!image_file_open(&file, "kernel", vm->config->kernel, errp)) {
        return false;
    }
    if (image_file_read(&file, 0, start, sizeof(start), NULL) &&
        start[0] == 0x1f && start[1] == 0x8b) {
        error_setg(errp, "kernel '%s' is compressed by gzip: unpack it first",
                   file.path);
        ok = false;
    } else {
        ok = add_kernel(vm, &file, plan, errp);
    }
    image_file_close(&file);
    plan->has_kernel = ok;
    return ok;
}

/*
 * The highest address below which all must be that is reached early, less what
 * the device tree will need.
 */
static hwaddr low_end(const BootPlan *plan)
{
    hwaddr end = plan->ram_base + plan->ram_size;

    return plan->ram_base < LOW_END ? MIN(end, LOW_END) : end;
}

/*
 * Half of RAM (at most 512 MiB) behind the kernel's start, where a kernel that
 * unpacks itself does not reach; or directly behind the kernel, if RAM is
 * small. One megapage below the end is the device tree's.
 */
static bool load_initrd(Vm *vm, BootPlan *plan, Error **errp)
{
    hwaddr limit = low_end(plan) - MIN(plan->ram_size, MEGAPAGE);
    ImageFile file = { 0 };
    hwaddr start, after_kernel;
    bool ok;

    if (!image_file_open(&file, "initrd", vm->config->initrd, errp)) {
        return false;
    }
    start = plan->ram_base + MIN(plan->ram_size / 2, 512 * MIB);
    after_kernel = plan->ram_base;
    if (plan->has_kernel) {
        start += plan->kernel.start - plan->ram_base;
        after_kernel = (plan->kernel.end + MEGAPAGE - 1) & ~(MEGAPAGE - 1);
    }
    start &= ~(hwaddr)(GUEST_PAGE_SIZE - 1);
    if (start < after_kernel || start > limit || file.size > limit - start) {
        start = after_kernel;
    }
    ok = start <= limit && file.size <= limit - start;
    if (!ok) {
        error_setg(errp, "initrd '%s' of %" G_GUINT64_FORMAT " bytes does not "
                   "fit between the kernel's end 0x%" G_GINT64_MODIFIER "x and "
                   "0x%" G_GINT64_MODIFIER "x: give the machine more memory",
                   file.path, file.size, after_kernel, limit);
    } else {
        ok = loader_add_file(vm->machine->loader, &file, 0, file.size, start,
                             file.size, errp);
    }
    plan->initrd_start = start;
    plan->initrd_end = start + file.size;
    image_file_close(&file);
    return ok;
}

bool boot_load_images(Vm *vm, BootPlan *plan, Error **errp)
{
    const MachineConfig *config = vm->config;
    bool firmware = !config->bios || !g_str_equal(config->bios, "none");

    if (!config->kernel && (config->initrd || config->append)) {
        error_setg(errp, "-initrd and -append are for a kernel: say -kernel "
                   "FILE");
        return false;
    }
    return (!firmware || load_firmware(vm, plan, errp)) &&
           (!config->kernel || load_kernel(vm, plan, errp)) &&
           (!config->initrd || load_initrd(vm, plan, errp));
}

/* Instructions of the base ISA, by format. */
static uint32_t insn_i(uint32_t imm, unsigned rs1, unsigned funct3,
                       unsigned rd, unsigned opcode)
{
    return imm << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode;
}

enum { REG_ZERO = 0, REG_T0 = 5, REG_A0 = 10, REG_A1 = 11, REG_A2 = 12 };

/* Code first, then what it loads. All is little-endian, as the host. */
typedef struct ResetVector {
    uint32_t code[6];
    uint64_t start;
    uint64_t fdt;
    FwDynamicInfo info;
} ResetVector;

/*
 * Jumps with the hart's number in a0, the device tree in a1 and OpenSBI's
 * fw_dynamic_info in a2.
 */
static void fill_code(ResetVector *rv)
{
    const unsigned ld = 3, jalr = 0x67, load = 0x03, op_imm = 0x13;
    const unsigned system = 0x73, csrrs = 2, mhartid = 0xf14;

    rv->code[0] = REG_T0 << 7 | 0x17;       /* auipc t0, 0 */
    rv->code[1] = insn_i(offsetof(ResetVector, info), REG_T0, 0, REG_A2,
                         op_imm);
    rv->code[2] = insn_i(mhartid, REG_ZERO, csrrs, REG_A0, system);
    rv->code[3] = insn_i(offsetof(ResetVector, fdt), REG_T0, ld, REG_A1, load);
    rv->code[4] = insn_i(offsetof(ResetVector, start), REG_T0, ld, REG_T0,
                         load);
    rv->code[5] = insn_i(0, REG_T0, 0, REG_ZERO, jalr);
}

bool boot_finish(Vm *vm, BootPlan *plan, const void *fdt, size_t fdt_size,
                 hwaddr rom, Error **errp)
{
    Loader *loader = vm->machine->loader;
    hwaddr end = low_end(plan);
    ResetVector rv = {
        .start = plan->ram_base,
        .info = {
            .magic = FW_DYNAMIC_MAGIC,
            .version = 2,
            .next_mode = 1,
        },
    };

    if (fdt_size > end - plan->ram_base) {
        error_setg(errp, "the device tree of %zu bytes does not fit into "
                   "%" G_GUINT64_FORMAT " bytes of memory", fdt_size,
                   plan->ram_size);
        return false;
    }
    plan->fdt = (end - fdt_size) & ~(MEGAPAGE - 1);
    if (plan->fdt < plan->ram_base) {
        plan->fdt = (end - fdt_size) & ~UINT64_C(7);
    }
    if (plan->has_firmware) {
        rv.start = plan->firmware.entry;
    } else if (plan->has_kernel) {
        rv.start = plan->kernel.entry;
    }
    if (plan->has_kernel) {
        rv.info.next_addr = plan->kernel.entry;
    }
    rv.fdt = plan->fdt;
    fill_code(&rv);
    trace_boot_plan(rv.start, rv.info.next_addr, rv.fdt, plan->initrd_start);
    return loader_add_bytes(loader, "device tree", plan->fdt, fdt, fdt_size,
                            virt_fdt_new_seed, errp) &&
           loader_add_bytes(loader, "reset vector", rom, &rv, sizeof(rv), NULL,
                            errp);
}
