/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a vfio-pci moves beside the device's own state. The stream is hostile. */
#include <string.h>

#include "io/channel.h"
#include "migration/stream-owner.h"
#include "vfio-rig.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX

static GByteArray *save(VfioPci *vp)
{
    IoChannel *ch = io_channel_new_buffer();
    MigStream *s = mig_stream_new_output(ch, clock_host());
    GByteArray *state = g_byte_array_new();
    const uint8_t *bytes;
    Error *err = NULL;
    size_t len;

    vp->vdev.ops->save_config(&vp->vdev, s, &err);
    g_assert_no_error(err);
    g_assert_true(mig_stream_flush(s, NULL));
    bytes = io_channel_buffer_data(ch, &len);
    g_byte_array_append(state, bytes, (guint)len);
    mig_stream_free(s);
    io_channel_unref(ch);
    return state;
}

static bool load(VfioPci *vp, const GByteArray *state, Error **errp)
{
    IoChannel *ch = io_channel_new_buffer();
    MigStream *s;
    bool ok;

    g_assert_true(io_channel_write_all(ch, state->data, state->len, NULL));
    s = mig_stream_new_input(ch);
    ok = vp->vdev.ops->load_config(&vp->vdev, s, errp);
    mig_stream_free(s);
    io_channel_unref(ch);
    return ok;
}

/* The version, then configuration space, then the levels of four pins. */
#define STATE_CONFIG 4
#define STATE_PINS (STATE_CONFIG + PCI_CONFIG_SIZE)

static void test_move(VfioRig *rig, gconstpointer data)
{
    VfioPci *from = vfio_rig_plug(rig, 0), *to = vfio_rig_plug(rig, 1);
    g_autoptr(GByteArray) state = NULL;
    KernelDevice *d = &rig->k->devices[1];
    Error *err = NULL;

    (void)data;
    vfio_rig_place(from);
    /* It fires as it stops: nobody has seen it when the state is taken. */
    fake_kernel_raise(rig->k, 0, VFIO_PCI_INTX_IRQ_INDEX);
    /* What is the device's own differs, and is not what is compared. */
    d->bytes[CONFIG][0xf0] = 0x77;
    state = save(from);
    g_assert_cmpuint(state->len, ==, STATE_PINS + 16);
    load(to, state, &err);
    g_assert_no_error(err);
    g_assert_cmphex(vfio_rig_get(to, 0x10, 4), ==, RIG_BAR0);
    g_assert_cmphex(vfio_rig_get(to, 0x04, 2), ==,
                    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    g_assert_cmphex(d->bytes[CONFIG][4], ==,
                    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    g_assert_cmphex(vfio_rig_get(to, 0xf0, 1), ==, 0x77);
    g_assert_true(rig->lines[2]);
    g_assert_true(d->masked);
    /* Served, it goes on as any other. */
    vfio_intx_served(to);
    g_assert_false(rig->lines[2]);
    g_assert_false(d->masked);
}

static void test_hostile_state(VfioRig *rig, gconstpointer data)
{
    static const struct {
        unsigned at;
        uint8_t val;
        const char *message;
    } cases[] = {
        { STATE_CONFIG + 0x00, 0x87, "the devices differ" },
        { STATE_CONFIG + 0x0a, 0x01, "the devices differ" },
        { STATE_CONFIG + 0x50, 0x11, "the devices differ" },
        { STATE_CONFIG + 0x41, 0x50, "the devices differ" },
        { STATE_PINS + 3, 2, "has level 2" },
        { STATE_PINS + 7, 1, "interrupt pin 2 is raised" },
    };
    VfioPci *vp = vfio_rig_plug(rig, 0);
    g_autoptr(GByteArray) state = save(vp);

    (void)data;
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Error) err = NULL;
        uint8_t saved = state->data[cases[i].at];

        state->data[cases[i].at] = cases[i].val;
        g_assert_false(load(vp, state, &err));
        g_assert_nonnull(strstr(err->message, cases[i].message));
        state->data[cases[i].at] = saved;
    }
    for (guint len = 0; len < state->len; len++) {
        GByteArray cut = { state->data, len };

        g_assert_false(load(vp, &cut, NULL));
    }
    g_assert_true(load(vp, state, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) \
    g_test_add("/vfio-pci/" name, VfioRig, NULL, vfio_rig_set_up, fn, \
               vfio_rig_tear_down)
    ADD("state/move", test_move);
    ADD("state/hostile", test_hostile_state);
    return g_test_run();
}
