/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See postcopy-stream.h. */
#include "migration-util.h"
#include "postcopy-stream.h"

enum { RAM_ID = 1, CLOCK_ID = 2, FILL = 0x5a };

static void put_command(GByteArray *b, uint16_t command, uint16_t len)
{
    put8(b, 0x08);
    put16(b, command);
    put16(b, len);
}

static void put_page(GByteArray *b, uint64_t page, bool named)
{
    uint8_t bytes[GUEST_PAGE_SIZE];

    memset(bytes, FILL, sizeof(bytes));
    put64(b, page * GUEST_PAGE_SIZE | 0x08 | (named ? 0 : 0x20));
    if (named) {
        put_str(b, "mem");
    }
    g_byte_array_append(b, bytes, sizeof(bytes));
}

static void put_section(GByteArray *b, uint8_t type)
{
    put8(b, type);
    put32(b, RAM_ID);
}

static void end_section(GByteArray *b)
{
    put64(b, 0x10);
    put_footer(b, RAM_ID);
}

/* All pages but those from @first on, @count of them. */
static void put_zero_pages(GByteArray *b, uint64_t first, uint64_t end)
{
    for (uint64_t page = first; page < end; page++) {
        put64(b, page * GUEST_PAGE_SIZE | 0x02 | (page == first ? 0 : 0x20));
        if (page == first) {
            put_str(b, "mem");
        }
        put8(b, 0);
    }
}

static void put_begin(GByteArray *b)
{
    put32(b, 0x5145564d);
    put32(b, 3);
    put8(b, 0x07);
    put32(b, 4);
    g_byte_array_append(b, (const guint8 *)"none", 4);
    put_command(b, 1, 0);
}

static void put_advise_of(GByteArray *b, uint64_t sizes, uint64_t page)
{
    put_command(b, 3, 16);
    put64(b, sizes);
    put64(b, page);
}

static void put_ram_start(GByteArray *b, uint64_t pages)
{
    put_start(b, 0x01, RAM_ID, "ram", 0, 4);
    put64(b, pages * GUEST_PAGE_SIZE | 0x04);
    put_str(b, "mem");
    put64(b, pages * GUEST_PAGE_SIZE);
    end_section(b);
}

/* Up to the switchover: all of memory has come once. */
static void put_precopy(GByteArray *b, uint64_t pages)
{
    put_begin(b);
    put_advise_of(b, 4096, 4096);
    put_ram_start(b, pages);
    put_section(b, 0x02);
    put_zero_pages(b, 0, pages);
    end_section(b);
}

static void put_discard(GByteArray *b, uint64_t start, uint64_t len)
{
    put_command(b, 6, 3 + 3 + 16);
    put8(b, 0);
    put_str(b, "mem");
    put8(b, 0);
    put64(b, start);
    put64(b, len);
}

static void put_clock(GByteArray *b)
{
    put_start(b, 0x04, CLOCK_ID, "timer", 0, 2);
    put64(b, 0);
    put64(b, 0);
    put64(b, 1000);
    put_footer(b, CLOCK_ID);
}

static void put_package(GByteArray *b, const GByteArray *package)
{
    put_command(b, 7, 4);
    put32(b, package->len);
    g_byte_array_append(b, package->data, package->len);
}

static void put_run(GByteArray *b)
{
    g_autoptr(GByteArray) package = g_byte_array_new();

    put_command(package, 4, 0);
    put_clock(package);
    put_command(package, 2, 4);
    put32(package, 7);
    put_command(package, 5, 0);
    put_package(b, package);
}

/* Pages 1 and 2 are still to come, and the guest runs. */
static void put_running(GByteArray *b, uint64_t pages)
{
    put_precopy(b, pages);
    put_discard(b, GUEST_PAGE_SIZE, 2 * GUEST_PAGE_SIZE);
    put_run(b);
}

uint64_t postcopy_running_length(uint64_t pages)
{
    g_autoptr(GByteArray) b = g_byte_array_new();

    put_running(b, pages);
    return b->len;
}

static void put_rest(GByteArray *b)
{
    put_section(b, 0x02);
    put_page(b, 1, true);
    put_page(b, 2, false);
    end_section(b);
    put_section(b, 0x03);
    end_section(b);
    put8(b, 0x00);
}

#define CASE(_name) \
    static void _name(GByteArray *b, GByteArray *second, uint64_t pages)
#define UNUSED_SECOND (void)second

/* ---- well ---- */

CASE(well)
{
    UNUSED_SECOND;
    put_running(b, pages);
    put_rest(b);
}

CASE(well_in_two)
{
    put_running(b, pages);
    put_section(b, 0x02);
    put_page(b, 1, true);
    put_command(second, 10, 4);
    put_str(second, "mem");
    put_command(second, 9, 0);
    put_rest(second);
}

/* ---- before the guest runs ---- */

#define BEFORE(_name, ...) \
    CASE(_name) { UNUSED_SECOND; (void)pages; put_begin(b); __VA_ARGS__ }

BEFORE(advise_sizes, put_advise_of(b, 4096 | (2 << 20), 4096);)
BEFORE(advise_page, put_advise_of(b, 4096, 16384);)
BEFORE(advise_short, put_command(b, 3, 0);)
BEFORE(advise_twice, put_advise_of(b, 4096, 4096); put_advise_of(b, 4096, 4096);)
BEFORE(discard_alone, put_discard(b, 0, 4096);)
BEFORE(listen_alone, put_command(b, 4, 0);)
BEFORE(run_alone, put_command(b, 5, 0);)
BEFORE(package_empty, put_command(b, 7, 4); put32(b, 0);)
BEFORE(package_huge, put_command(b, 7, 4); put32(b, 0xffffffff);)
BEFORE(package_cut, put_command(b, 7, 4); put32(b, 100); put32(b, 1);)

#define DISCARD(_name, ...) \
    CASE(_name) { UNUSED_SECOND; put_precopy(b, pages); __VA_ARGS__ }

DISCARD(discard_short, put_command(b, 6, 2); put16(b, 0);)
DISCARD(discard_long, put_command(b, 6, 451);)
DISCARD(discard_version, put_command(b, 6, 22); put8(b, 1); put_str(b, "mem");
        put8(b, 0); put64(b, 0); put64(b, 4096);)
DISCARD(discard_name_long, put_command(b, 6, 3); put8(b, 0); put8(b, 200);
        put8(b, 0);)
DISCARD(discard_name_empty, put_command(b, 6, 19); put8(b, 0); put8(b, 0);
        put8(b, 0); put64(b, 0); put64(b, 4096);)
DISCARD(discard_no_nil, put_command(b, 6, 22); put8(b, 0); put_str(b, "mem");
        put8(b, 1); put64(b, 0); put64(b, 4096);)
DISCARD(discard_no_range, put_command(b, 6, 6); put8(b, 0); put_str(b, "mem");
        put8(b, 0);)
DISCARD(discard_half_range, put_command(b, 6, 14); put8(b, 0);
        put_str(b, "mem"); put8(b, 0); put64(b, 0);)
DISCARD(discard_block, put_command(b, 6, 22); put8(b, 0); put_str(b, "rom");
        put8(b, 0); put64(b, 0); put64(b, 4096);)
DISCARD(discard_beyond, put_discard(b, pages * GUEST_PAGE_SIZE, 4096);)
DISCARD(discard_wraps, put_discard(b, 4096, UINT64_MAX - 4095);)
DISCARD(discard_nothing, put_discard(b, 4096, 0);)
DISCARD(discard_odd, put_discard(b, 100, 4096);)

#define PACKAGE(_name, ...) \
    CASE(_name) \
    { \
        g_autoptr(GByteArray) p = g_byte_array_new(); \
        UNUSED_SECOND; \
        put_precopy(b, pages); \
        __VA_ARGS__ \
        put_package(b, p); \
    }

PACKAGE(package_no_listen, put_clock(p); put_command(p, 5, 0);)
PACKAGE(package_no_run, put_command(p, 4, 0); put_clock(p);)
PACKAGE(package_no_clock, put_command(p, 4, 0); put_command(p, 5, 0);)
PACKAGE(package_nested, put_command(p, 7, 4); put32(p, 10);)
PACKAGE(package_eof, put_command(p, 4, 0); put8(p, 0);)
PACKAGE(package_more, put_command(p, 4, 0); put_clock(p); put_command(p, 5, 0);
        put8(p, 0x55);)
PACKAGE(package_listen_twice, put_command(p, 4, 0); put_command(p, 4, 0);)
PACKAGE(package_discard, put_command(p, 4, 0); put_discard(p, 0, 4096);)
PACKAGE(package_pages, put_command(p, 4, 0); put_section(p, 0x02);
        put_page(p, 0, true); end_section(p);)

CASE(listen_without_ram)
{
    g_autoptr(GByteArray) p = g_byte_array_new();

    UNUSED_SECOND;
    (void)pages;
    put_begin(b);
    put_advise_of(b, 4096, 4096);
    put_command(p, 4, 0);
    put_package(b, p);
}

/* ---- afterwards ---- */

#define RUNNING(_name, ...) \
    CASE(_name) { UNUSED_SECOND; put_running(b, pages); __VA_ARGS__ }

RUNNING(type, put8(b, 0x04);)
RUNNING(other_section, put8(b, 0x02); put32(b, CLOCK_ID);)
RUNNING(other_footer, put_section(b, 0x02); put64(b, 0x10); put8(b, 0x7e);
        put32(b, 99);)
RUNNING(no_footer, put_section(b, 0x02); put64(b, 0x10); put8(b, 0x11);)
RUNNING(page_flags, put_section(b, 0x02); put64(b, 0x04);)
RUNNING(page_block, put_section(b, 0x02); put64(b, 0x08); put_str(b, "x");)
RUNNING(page_no_block, put_section(b, 0x02); put64(b, 0x28);)
RUNNING(page_beyond, put_section(b, 0x02);
        put64(b, pages * GUEST_PAGE_SIZE | 0x08); put_str(b, "mem");)
RUNNING(page_fill, put_section(b, 0x02); put64(b, 0x1002); put_str(b, "mem");
        put8(b, 1);)
RUNNING(command, put_command(b, 6, 22);)
RUNNING(command_length, put_command(b, 2, 8); put64(b, 0);)
RUNNING(bitmap_block, put_command(b, 10, 4); put_str(b, "rom");)
RUNNING(bitmap_name, put_command(b, 10, 4); put_str(b, "abcdef");)
RUNNING(resume_well, put_command(b, 9, 0);)
RUNNING(end_early, put8(b, 0x00);)

/* All pages have come before the connection breaks. */
CASE(end_without_resume)
{
    put_running(b, pages);
    put_section(b, 0x02);
    put_page(b, 1, true);
    put_page(b, 2, false);
    end_section(b);
    put8(second, 0x00);
}

const PostcopyCase postcopy_cases[] = {
#define C(_name, _message) { #_name, _name, _message, false },
#define R(_name, _message) { #_name, _name, _message, true },
    { "well", well, NULL, true },
    { "well_in_two", well_in_two, NULL, true },
    C(advise_sizes, "*pages of sizes*0x201000*0x1000*")
    C(advise_page, "*16384 bytes; 4096*")
    C(advise_short, "*postcopy-advise*0 bytes*16*")
    C(advise_twice, "*advise comes twice*")
    C(discard_alone, "*discard without*advise*")
    C(listen_alone, "*listen outside of a package*")
    C(run_alone, "*run outside of a package*")
    C(package_empty, "*package of 0 bytes*")
    C(package_huge, "*package of 4294967295 bytes*")
    C(package_cut, "*ended*")
    C(discard_short, "*2 bytes of data; it has 3 to 450*")
    C(discard_long, "*451 bytes of data; it has 3 to 450*")
    C(discard_version, "*version 1; 0*")
    C(discard_name_long, "*name of 200 bytes*")
    C(discard_name_empty, "*name of 0 bytes*")
    C(discard_no_nil, "*0x01 where the name's zero byte*")
    C(discard_no_range, "*0 bytes of ranges*")
    C(discard_half_range, "*8 bytes of ranges*")
    C(discard_block, "*RAM block 'rom'*does not have*")
    C(discard_beyond, "*0x1000 bytes at 0x*of RAM block 'mem'*")
    C(discard_wraps, "*at 0x1000 of RAM block 'mem'*")
    C(discard_nothing, "*0x0 bytes at 0x1000*")
    C(discard_odd, "*at 0x64 of*")
    C(package_no_listen, "*run without postcopy-listen*")
    C(package_no_run, "*package*ended*")
    C(package_no_clock, "*without any of section 'timer'*")
    C(package_nested, "*a package in a package*")
    C(package_eof, "*the end (0x00) in a package*")
    C(package_more, "*0x55 after postcopy-run*")
    C(package_listen_twice, "*listen comes twice*")
    C(package_discard, "*discard after postcopy-listen*")
    C(package_pages, "*pages are not accepted*")
    C(listen_without_ram, "*no section has begun*")
    R(type, "*section type 0x04; in postcopy*")
    R(other_section, "*section with id 2*")
    R(other_footer, "*footer with id 99*")
    R(no_footer, "*0x11 where the section's footer*")
    R(page_flags, "*flags 0x4 of a page in postcopy*")
    R(page_block, "*RAM block 'x'*does not have*")
    R(page_no_block, "*the first page names no RAM block*")
    R(page_beyond, "*a page at 0x*of RAM block 'mem'*")
    R(page_fill, "*filled with 0x01*")
    R(command, "*command 6 with 22 bytes*")
    R(command_length, "*command 2 with 8 bytes*")
    R(bitmap_block, "*RAM block 'rom'*does not have*")
    R(bitmap_name, "*name of 6 bytes in 4*")
    R(resume_well, "*postcopy-resume on a connection that is well*")
    R(end_early, "*the end, with 2 pages missing*")
    R(end_without_resume, "*ended before POSTCOPY_RESUME*")
    { NULL, NULL, NULL, false },
};
