/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Secrets: bytes that others find by an id. Main loop, big lock. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "system/fds.h"
#include "system/object-int.h"

/* Far more than any key or password. */
#define SECRET_MAX_BYTES 65536

static void wipe_and_free(GString *text)
{
    explicit_bzero(text->str, text->allocated_len);
    g_string_free(text, TRUE);
}

static GString *read_file(Vm *vm, const char *path, Error **errp)
{
    int fd = fd_store_open(vm->fds, path, O_RDONLY, 0, errp);
    GString *text;
    ssize_t n;

    if (fd < 0) {
        return NULL;
    }
    text = g_string_sized_new(SECRET_MAX_BYTES + 1);
    do {
        n = read(fd, text->str + text->len, SECRET_MAX_BYTES + 1 - text->len);
        if (n > 0) {
            text->len += (gsize)n;
        }
    } while ((n > 0 && text->len <= SECRET_MAX_BYTES) ||
             (n < 0 && errno == EINTR));
    if (n < 0) {
        error_setg_errno(errp, errno, "reading file '%s'", path);
    } else if (text->len > SECRET_MAX_BYTES) {
        error_setg(errp, "file '%s' has more than %d bytes", path,
                   SECRET_MAX_BYTES);
    } else {
        text->str[text->len] = 0;
        close(fd);
        return text;
    }
    close(fd);
    wipe_and_free(text);
    return NULL;
}

/* In place. */
static bool decode(GString *text, Error **errp)
{
    static const char digits[] = G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS "+/";
    size_t end;

    /* A file ends with a new line, mostly. */
    while (text->len && g_ascii_isspace(text->str[text->len - 1])) {
        g_string_truncate(text, text->len - 1);
    }
    end = strspn(text->str, digits);
    if (text->len % 4 || text->len - end > 2 ||
        strspn(text->str + end, "=") != text->len - end) {
        error_setg(errp, "what is given is not base64");
        return false;
    }
    if (text->len) {
        g_base64_decode_inplace(text->str, &text->len);
    }
    return true;
}

static bool secret_create(Object *obj, Error **errp)
{
    const SecretProperties *props = &obj->options->u.secret;
    GString *text;

    if (!props->data == !props->file) {
        error_setg(errp, "exactly one of 'data' and 'file' is needed");
        return false;
    }
    text = props->data ? g_string_new(props->data)
                       : read_file(obj->vm, props->file, errp);
    if (!text) {
        return false;
    }
    if (props->format == QCRYPTO_SECRET_FORMAT_BASE64 && props->has_format &&
        !decode(text, errp)) {
        wipe_and_free(text);
        return false;
    }
    obj->state = text;
    return true;
}

static void secret_destroy(Object *obj)
{
    wipe_and_free(obj->state);
}

const uint8_t *object_secret(Vm *vm, const char *id, size_t *len,
                             Error **errp)
{
    Object *obj = object_find(vm, id);
    GString *text;

    if (!obj || obj->cls != &secret_class) {
        error_setg(errp, "there is no secret '%s': -object secret,id=%s makes "
                   "it", id, id);
        return NULL;
    }
    text = obj->state;
    *len = text->len;
    return (const uint8_t *)text->str;
}

const ObjectClass secret_class = {
    .type = OBJECT_TYPE_SECRET,
    .help = "a secret, such as a password or a key",
    .create = secret_create,
    .destroy = secret_destroy,
};
