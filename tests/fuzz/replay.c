/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a fuzz target over files without a fuzzer: each argument is a file or a
 * folder of files. So the seeds, and every input that once did harm, are tests
 * of the ordinary build.
 */
#include <stdint.h>
#include <stdio.h>

#include <glib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned run_file(const char *path)
{
    g_autofree char *data = NULL;
    g_autoptr(GError) err = NULL;
    gsize len;

    if (!g_file_get_contents(path, &data, &len, &err)) {
        g_error("%s", err->message);
    }
    printf("# %s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput((const uint8_t *)data, len);
    return 1;
}

static unsigned run_path(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;
    unsigned count = 0;

    if (!dir) {
        return run_file(path);
    }
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *inside = g_build_filename(path, name, NULL);

        count += run_path(inside);
    }
    g_dir_close(dir);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;

    for (int i = 1; i < argc; i++) {
        count += run_path(argv[i]);
    }
    printf("1..1\n%s 1 %u inputs\n", count ? "ok" : "not ok", count);
    return count ? 0 : 1;
}
