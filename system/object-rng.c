/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sources of random numbers for the guest. Main loop, big lock. */
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "system/fds.h"
#include "system/object-int.h"

static bool builtin_create(Object *obj, Error **errp)
{
    (void)errp;
    obj->state = GINT_TO_POINTER(-1);
    return true;
}

static bool random_create(Object *obj, Error **errp)
{
    const char *path = obj->options->u.rng_random.filename;
    int fd = fd_store_open(obj->vm->fds, path ? path : "/dev/urandom",
                           O_RDONLY | O_NONBLOCK, 0, errp);

    obj->state = GINT_TO_POINTER(fd);
    return fd >= 0;
}

static void random_destroy(Object *obj)
{
    close(GPOINTER_TO_INT(obj->state));
}

bool object_is_rng(const Object *obj)
{
    return obj->cls == &rng_builtin_class || obj->cls == &rng_random_class;
}

size_t object_random(Object *obj, void *buf, size_t len)
{
    int fd = GPOINTER_TO_INT(obj->state);
    size_t done = 0;

    while (done < len) {
        uint8_t *to = (uint8_t *)buf + done;
        ssize_t n = fd < 0 ? getrandom(to, len - done, 0)
                           : read(fd, to, len - done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        done += (size_t)n;
    }
    return done;
}

const ObjectClass rng_builtin_class = {
    .type = OBJECT_TYPE_RNG_BUILTIN,
    .help = "random numbers from the host's kernel",
    .create = builtin_create,
};

const ObjectClass rng_random_class = {
    .type = OBJECT_TYPE_RNG_RANDOM,
    .help = "random numbers from a file",
    .create = random_create,
    .destroy = random_destroy,
};
