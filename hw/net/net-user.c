/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * User-mode networking: libslirp behind a card. Its sockets are polled by a
 * GSource of the machine's main loop; its connections travel with the guest
 * as far as they can (the host's sockets cannot: those are closed). Big lock.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <libslirp.h>
#include <stdio.h>

#include "hw/net/net.h"
#include "migration/vmstate.h"
#include "qapi/qapi-types-net.h"
#include "system/timer.h"
#include "util/log.h"

/* Version 4 of SlirpConfig and SlirpCb: what libslirp 4.7 knows. */
#define SLIRP_INTERFACE 4

typedef struct NetUser NetUser;

typedef struct SlirpSource {
    GSource source;
    NetUser *user;
    GArray *fds;                /* of GPollFD */
} SlirpSource;

struct NetUser {
    NetBackend net;
    Slirp *slirp;
    SlirpSource *source;
    VMStateDescription vmsd;    /* its version is the library's */
};

typedef struct SlirpTimer {
    VmTimer *timer;
    NetUser *user;
    SlirpTimerId id;
    void *opaque;
} SlirpTimer;

/* --- what libslirp asks of us --- */

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
    NetUser *user = opaque;

    net_backend_deliver(&user->net, buf, len);
    return len;
}

static void guest_error(const char *text, void *opaque)
{
    NetUser *user = opaque;

    warn_report("network back end '%s': %s", user->net.id, text);
}

static int64_t clock_get_ns(void *opaque)
{
    NetUser *user = opaque;

    return vm_clock_ns(user->net.vm, VM_CLOCK_VIRTUAL);
}

static void timer_fired(void *opaque)
{
    SlirpTimer *timer = opaque;

    slirp_handle_timer(timer->user->slirp, timer->id, timer->opaque);
}

static void *timer_new_opaque(SlirpTimerId id, void *timer_opaque,
                              void *opaque)
{
    NetUser *user = opaque;
    SlirpTimer *timer = g_new0(SlirpTimer, 1);

    timer->user = user;
    timer->id = id;
    timer->opaque = timer_opaque;
    timer->timer = vm_timer_new(user->net.vm, VM_CLOCK_VIRTUAL, timer_fired,
                                timer);
    return timer;
}

static void timer_free(void *opaque_timer, void *opaque)
{
    SlirpTimer *timer = opaque_timer;

    (void)opaque;
    vm_timer_free(timer->timer);
    g_free(timer);
}

static void timer_mod(void *opaque_timer, int64_t expire_ms, void *opaque)
{
    SlirpTimer *timer = opaque_timer;

    (void)opaque;
    vm_timer_mod(timer->timer, expire_ms * 1000000);
}

static void poll_fd_nothing(int fd, void *opaque)
{
    /* The descriptors are asked for before each poll. */
    (void)fd;
    (void)opaque;
}

static void notify(void *opaque)
{
    NetUser *user = opaque;

    g_main_context_wakeup(user->net.vm->context);
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = clock_get_ns,
    .timer_new_opaque = timer_new_opaque,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = poll_fd_nothing,
    .unregister_poll_fd = poll_fd_nothing,
    .notify = notify,
};

/* --- polling --- */

static const struct {
    int slirp;
    int glib;
} poll_bits[] = {
    { SLIRP_POLL_IN, G_IO_IN }, { SLIRP_POLL_OUT, G_IO_OUT },
    { SLIRP_POLL_PRI, G_IO_PRI }, { SLIRP_POLL_ERR, G_IO_ERR },
    { SLIRP_POLL_HUP, G_IO_HUP },
};

static int add_poll(int fd, int events, void *opaque)
{
    GArray *fds = opaque;
    GPollFD pfd = { .fd = fd };

    for (size_t i = 0; i < G_N_ELEMENTS(poll_bits); i++) {
        pfd.events |= events & poll_bits[i].slirp ? poll_bits[i].glib : 0;
    }
    g_array_append_val(fds, pfd);
    return fds->len - 1;
}

static int get_revents(int index, void *opaque)
{
    GArray *fds = opaque;
    int revents = g_array_index(fds, GPollFD, index).revents, events = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(poll_bits); i++) {
        events |= revents & poll_bits[i].glib ? poll_bits[i].slirp : 0;
    }
    return events;
}

static gboolean source_prepare(GSource *base, gint *timeout)
{
    SlirpSource *source = (SlirpSource *)base;
    uint32_t wait_ms = G_MAXINT;

    for (unsigned i = 0; i < source->fds->len; i++) {
        g_source_remove_poll(base, &g_array_index(source->fds, GPollFD, i));
    }
    g_array_set_size(source->fds, 0);
    slirp_pollfds_fill(source->user->slirp, &wait_ms, add_poll, source->fds);
    for (unsigned i = 0; i < source->fds->len; i++) {
        g_source_add_poll(base, &g_array_index(source->fds, GPollFD, i));
    }
    *timeout = wait_ms < G_MAXINT ? (gint)wait_ms : -1;
    return FALSE;
}

static gboolean source_check(GSource *base)
{
    (void)base;
    return TRUE;
}

static gboolean source_dispatch(GSource *base, GSourceFunc fn, gpointer data)
{
    SlirpSource *source = (SlirpSource *)base;

    (void)fn;
    (void)data;
    slirp_pollfds_poll(source->user->slirp, 0, get_revents, source->fds);
    return G_SOURCE_CONTINUE;
}

static void source_finalize(GSource *base)
{
    g_array_free(((SlirpSource *)base)->fds, TRUE);
}

static GSourceFuncs source_funcs = {
    .prepare = source_prepare,
    .check = source_check,
    .dispatch = source_dispatch,
    .finalize = source_finalize,
};

/* --- the card's side --- */

static bool user_send(NetBackend *net, const struct iovec *iov, unsigned count)
{
    NetUser *user = (NetUser *)net;
    uint8_t frame[NET_FRAME_MAX];
    size_t len = 0;

    for (unsigned i = 0; i < count; i++) {
        memcpy(frame + len, iov[i].iov_base, iov[i].iov_len);
        len += iov[i].iov_len;
    }
    slirp_input(user->slirp, frame, len);
    return true;
}

static void user_destroy(NetBackend *net)
{
    NetUser *user = (NetUser *)net;

    vmstate_unregister(net->vm, &user->vmsd, user);
    g_source_destroy(&user->source->source);
    g_source_unref(&user->source->source);
    slirp_cleanup(user->slirp);
    net_backend_cleanup(net);
    g_free((void *)user->vmsd.fields);
    g_free(user);
}

static char *user_describe(NetBackend *net)
{
    (void)net;
    return g_strdup("type=user (libslirp)");
}

static const NetBackendOps user_ops = {
    .type = "user",
    .send = user_send,
    .destroy = user_destroy,
    .describe = user_describe,
};

/* --- moving --- */

static ssize_t write_state(const void *buf, size_t len, void *opaque)
{
    mig_put_buffer(opaque, buf, len);
    return len;
}

static ssize_t read_state(void *buf, size_t len, void *opaque)
{
    return mig_get_buffer(opaque, buf, len, NULL) ? (ssize_t)len
                                                         : -1;
}

static void put_slirp(MigStream *s, const void *pv, size_t size,
                      const VMStateField *field)
{
    const NetUser *user = pv;

    (void)size;
    (void)field;
    slirp_state_save(user->slirp, write_state, s);
}

static bool get_slirp(MigStream *s, void *pv, size_t size,
                      const VMStateField *field, Error **errp)
{
    NetUser *user = pv;

    (void)size;
    (void)field;
    if (slirp_state_load(user->slirp, user->vmsd.version_id, read_state, s)) {
        error_setg(errp, "libslirp refuses the state of network back end '%s'",
                   user->net.id);
        return false;
    }
    return true;
}

static const VMStateInfo slirp_info = {
    .name = "slirp",
    .put = put_slirp,
    .get = get_slirp,
};

static void describe_state(NetUser *user)
{
    const VMStateField table[] = {
        { .name = "state", .size = sizeof(NetUser), .num = 1,
          .flags = VMS_BUFFER, .info = &slirp_info },
        VMSTATE_END_OF_LIST()
    };

    user->vmsd = (VMStateDescription) {
        .name = "slirp",
        .version_id = slirp_state_version(),
        .minimum_version_id = 1,
        .fields = g_memdup2(table, sizeof(table)),
    };
}

/* --- options --- */

static bool parse_ipv4(const char *key, const char *text, struct in_addr *res,
                       Error **errp)
{
    if (text && !inet_aton(text, res)) {
        error_setg(errp, "option '%s' is '%s'; expected an IPv4 address", key,
                   text);
        return false;
    }
    return true;
}

static bool parse_net(const char *text, SlirpConfig *cfg, Error **errp)
{
    g_auto(GStrv) parts = g_strsplit(text, "/", 2);
    guint64 prefix = 24;

    if (parts[1] && !g_ascii_string_to_unsigned(parts[1], 10, 4, 30, &prefix,
                                                NULL)) {
        error_setg(errp, "option 'net' is '%s'; expected ADDRESS/PREFIX with "
                   "a prefix of 4 to 30 bits", text);
        return false;
    }
    if (!parse_ipv4("net", parts[0], &cfg->vnetwork, errp)) {
        return false;
    }
    cfg->vnetmask.s_addr = htonl(UINT32_MAX << (32 - prefix));
    cfg->vnetwork.s_addr &= cfg->vnetmask.s_addr;
    return true;
}

static bool parse_config(const NetdevUserOptions *opt, SlirpConfig *cfg,
                         Error **errp)
{
    uint32_t base;

    *cfg = (SlirpConfig) {
        .version = SLIRP_INTERFACE,
        .restricted = opt->has_q_restrict && opt->q_restrict,
        .in_enabled = !opt->has_ipv4 || opt->ipv4,
        .in6_enabled = !opt->has_ipv6 || opt->ipv6,
        .vhostname = opt->hostname,
        .vdomainname = opt->domainname,
        .vprefix_len = 64,
    };
    if (!parse_net(opt->net ? opt->net : "10.0.2.0/24", cfg, errp)) {
        return false;
    }
    base = ntohl(cfg->vnetwork.s_addr);
    cfg->vhost.s_addr = htonl(base + 2);
    cfg->vnameserver.s_addr = htonl(base + 3);
    cfg->vdhcp_start.s_addr = htonl(base + 15);
    inet_pton(AF_INET6, "fec0::", &cfg->vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &cfg->vhost6);
    inet_pton(AF_INET6, "fec0::3", &cfg->vnameserver6);
    return parse_ipv4("host", opt->host, &cfg->vhost, errp) &&
           parse_ipv4("dns", opt->dns, &cfg->vnameserver, errp) &&
           parse_ipv4("dhcpstart", opt->dhcpstart, &cfg->vdhcp_start, errp);
}

/* "[tcp|udp]:[HOST]:PORT-[GUEST]:PORT" */
static bool add_forward(NetUser *user, const char *text, Error **errp)
{
    g_autoptr(GRegex) regex = g_regex_new(
        "^(tcp|udp|):([0-9.]*):([0-9]+)-([0-9.]*):([0-9]+)$", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    struct in_addr host = { .s_addr = INADDR_ANY }, guest = { 0 };
    guint64 ports[2];
    g_auto(GStrv) part = NULL;

    if (!g_regex_match(regex, text, 0, &match)) {
        goto malformed;
    }
    part = g_match_info_fetch_all(match);
    if ((*part[2] && !inet_aton(part[2], &host)) ||
        (*part[4] && !inet_aton(part[4], &guest)) ||
        !g_ascii_string_to_unsigned(part[3], 10, 0, 65535, &ports[0], NULL) ||
        !g_ascii_string_to_unsigned(part[5], 10, 1, 65535, &ports[1], NULL)) {
        goto malformed;
    }
    if (slirp_add_hostfwd(user->slirp, g_str_equal(part[1], "udp"), host,
                          ports[0], guest, ports[1]) < 0) {
        error_setg_errno(errp, errno, "cannot forward '%s'", text);
        return false;
    }
    return true;

malformed:
    error_setg(errp, "option 'hostfwd' is '%s'; expected "
               "[tcp|udp]:[HOST]:PORT-[GUEST]:PORT", text);
    return false;
}

NetBackend *net_user_new(Vm *vm, const Netdev *options, Error **errp)
{
    const NetdevUserOptions *opt = &options->u.user;
    NetUser *user = g_new0(NetUser, 1);
    SlirpConfig cfg;

    if (!parse_config(opt, &cfg, errp) ||
        !net_backend_init(&user->net, vm, &user_ops, options->id, errp)) {
        g_free(user);
        return NULL;
    }
    user->slirp = slirp_new(&cfg, &callbacks, user);
    user->source = (SlirpSource *)g_source_new(&source_funcs,
                                               sizeof(SlirpSource));
    user->source->user = user;
    user->source->fds = g_array_new(FALSE, TRUE, sizeof(GPollFD));
    g_source_attach(&user->source->source, vm->context);
    describe_state(user);
    if (!vmstate_register(vm, NULL, SAVEVM_INSTANCE_ANY, &user->vmsd, user,
                          NULL, errp)) {
        user_destroy(&user->net);
        return NULL;
    }
    for (StringList *fwd = opt->hostfwd; fwd; fwd = fwd->next) {
        if (!add_forward(user, fwd->value->str, errp)) {
            user_destroy(&user->net);
            return NULL;
        }
    }
    return &user->net;
}
