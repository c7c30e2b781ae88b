/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Section "globalstate", as QEMU has it: 100 bytes after the size. */
#include <string.h>

#include "migration/globalstate.h"
#include "migration/vmstate.h"

#define RUNSTATE_BYTES 32
#define UNUSED_BYTES 66

struct GlobalState {
    Vm *vm;

    /* On the wire */
    uint32_t size;              /* of the text, its terminator included */
    uint8_t runstate[RUNSTATE_BYTES];
    uint8_t has_was_suspended;
    uint8_t was_suspended;
    uint8_t unused[UNUSED_BYTES];

    bool received;
    RunState state;
};

static bool globalstate_needed(void *opaque)
{
    (void)opaque;
    return true;
}

static bool globalstate_post_load(void *opaque, int version_id, Error **errp)
{
    GlobalState *gs = opaque;
    g_autofree char *text = NULL;
    Error *err = NULL;
    int state;

    (void)version_id;
    if (!memchr(gs->runstate, '\0', sizeof(gs->runstate))) {
        error_setg(errp, "a run state of more than %d bytes",
                   RUNSTATE_BYTES - 1);
        return false;
    }
    text = g_strescape((const char *)gs->runstate, NULL);
    state = qapi_enum_parse(&RunState_lookup, text, 0, &err);
    if (err) {
        error_prepend(&err, "the source's run state: ");
        error_propagate(errp, err);
        return false;
    }
    gs->state = state;
    gs->received = true;
    return true;
}

static const VMStateDescription vmstate_globalstate = {
    .name = "globalstate",
    .version_id = 1,
    .minimum_version_id = 1,
    /* A source that has none runs its guest. */
    .needed = globalstate_needed,
    .post_load = globalstate_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(size, GlobalState),
        VMSTATE_BUFFER(runstate, GlobalState),
        VMSTATE_UINT8(has_was_suspended, GlobalState),
        VMSTATE_UINT8(was_suspended, GlobalState),
        VMSTATE_BUFFER(unused, GlobalState),
        VMSTATE_END_OF_LIST()
    },
};

GlobalState *globalstate_new(Vm *vm)
{
    GlobalState *gs = g_new0(GlobalState, 1);
    bool ok;

    gs->vm = vm;
    ok = vmstate_register(vm, NULL, 0, &vmstate_globalstate, gs, NULL, NULL);
    g_assert(ok);       /* the name is nobody's input */
    return gs;
}

void globalstate_free(GlobalState *gs)
{
    if (gs) {
        vmstate_unregister(gs->vm, &vmstate_globalstate, gs);
        g_free(gs);
    }
}

void globalstate_store(GlobalState *gs, RunState state)
{
    const char *text = RunState_str(state);

    memset(gs->runstate, 0, sizeof(gs->runstate));
    memset(gs->unused, 0, sizeof(gs->unused));
    memcpy(gs->runstate, text, strlen(text));
    gs->size = strlen(text) + 1;
    gs->has_was_suspended = 1;
    gs->was_suspended = state == RUN_STATE_SUSPENDED;
}

void globalstate_forget(GlobalState *gs)
{
    gs->received = false;
}

RunState globalstate_received(const GlobalState *gs)
{
    return gs->received ? gs->state : RUN_STATE_RUNNING;
}
