/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From options to network back ends: -netdev, netdev_add, netdev_del. Main
 * thread, big lock.
 */
#include "hw/core/device.h"
#include "hw/net/net.h"
#include "qapi/qapi-commands-net.h"
#include "qapi/qapi-types-net.h"
#include "qapi/qapi-visit-net.h"
#include "system/module.h"
#include "util/keyval.h"
#include "util/visitor.h"

typedef struct NetModule {
    GPtrArray *wanted;          /* of Netdev * */
} NetModule;

/*
 * "hostfwd" may be given any number of times, which is no key of a keyval
 * text: they become the list that the schema has.
 */
static char *list_forwards(const char *argument)
{
    g_auto(GStrv) items = g_strsplit(argument, ",", -1);
    GString *out = g_string_new(NULL);
    unsigned forwards = 0;

    for (char **item = items; *item; item++) {
        g_string_append(out, out->len ? "," : "");
        if (g_str_has_prefix(*item, "hostfwd=")) {
            g_string_append_printf(out, "hostfwd.%u.str=%s", forwards++,
                                   *item + strlen("hostfwd="));
        } else {
            g_string_append(out, *item);
        }
    }
    return g_string_free(out, FALSE);
}

/* What @argument says, or NULL; the caller's. */
static Netdev *read_netdev(const char *argument, Error **errp)
{
    g_autofree char *text = argument[0] == '{' ? g_strdup(argument)
                                               : list_forwards(argument);
    g_autoptr(JsonObject) json = NULL;
    Netdev *opt = NULL;
    Visitor *v;
    bool keyval;

    json = keyval_or_json_parse(text, "type", &keyval, errp);
    if (!json) {
        return NULL;
    }
    v = visitor_input_new(json, keyval);
    visit_type_Netdev(v, NULL, &opt, errp);
    visit_free(v);
    return opt;
}

static bool parse_netdev(Vm *vm, const char *argument, Error **errp)
{
    Netdev *opt = read_netdev(argument, errp);

    if (!opt) {
        return false;
    }
    g_ptr_array_add(vm->net_options->wanted, opt);
    return true;
}

bool qmp_netdev_add(Vm *vm, Netdev *options, Error **errp)
{
    return net_new(vm, options, errp) != NULL;
}

bool qmp_netdev_del(Vm *vm, const char *id, Error **errp)
{
    NetBackend *net = net_find(vm, id);

    if (!net) {
        error_setg(errp, "there is no network back end '%s'", id);
        return false;
    }
    if (net->card) {
        error_setg(errp, "a card uses network back end '%s'", id);
        return false;
    }
    net_free(net);
    return true;
}

static void free_netdev(gpointer opaque)
{
    qapi_free_Netdev(opaque);
}

static void *find_net(Vm *vm, const char *id)
{
    return net_find(vm, id);
}

static const PropertyLookup net_lookup = {
    .find = find_net,
    .made_by = "-netdev",
};

static bool net_create(Vm *vm, Error **errp)
{
    (void)errp;
    vm->net_options = g_new0(NetModule, 1);
    vm->net_options->wanted = g_ptr_array_new_with_free_func(free_netdev);
    return true;
}

static bool net_configure(Vm *vm, Error **errp)
{
    GPtrArray *wanted = vm->net_options->wanted;

    property_set_lookup(vm, PROP_NET, &net_lookup);
    for (unsigned i = 0; i < wanted->len; i++) {
        if (!net_new(vm, g_ptr_array_index(wanted, i), errp)) {
            error_prepend(errp, "-netdev: ");
            return false;
        }
    }
    return true;
}

static void net_destroy(Vm *vm)
{
    net_free_all(vm);
    g_ptr_array_free(vm->net_options->wanted, TRUE);
    g_clear_pointer(&vm->net_options, g_free);
}

static void describe(NetBackend *net, void *data)
{
    g_autofree char *text = net->ops->describe(net);

    g_string_append_printf(data, "%s: %s%s\n", net->id, text,
                           net->card ? "" : ", no card");
}

static void hmp_info_network(Vm *vm, char **args, GString *out)
{
    (void)args;
    net_foreach(vm, describe, out);
}

static void hmp_netdev_add(Vm *vm, char **args, GString *out)
{
    g_autoptr(Netdev) opt = NULL;
    Error *err = NULL;

    if (!args[0] || args[1]) {
        g_string_append(out, "Error: one argument is expected, as of "
                        "-netdev\n");
        return;
    }
    opt = read_netdev(args[0], &err);
    if (opt) {
        qmp_netdev_add(vm, opt, &err);
    }
    hmp_error(out, err);
}

static void hmp_netdev_del(Vm *vm, char **args, GString *out)
{
    Error *err = NULL;

    if (!args[0] || args[1]) {
        g_string_append(out, "Error: one argument is expected, the id\n");
        return;
    }
    qmp_netdev_del(vm, args[0], &err);
    hmp_error(out, err);
}

static const CliOption net_options_table[] = {
    { "netdev", "user,id=ID[,hostfwd=RULE]... | socket,id=ID,fd=FD",
      "network back end: a network of its own behind the host (user:\n"
      "hostname, restrict, ipv4, ipv6, net, host, dhcpstart, dns,\n"
      "domainname, hostfwd=[tcp|udp]:[HOST]:PORT-[GUEST]:PORT), or frames\n"
      "over a connected socket; also as JSON", parse_netdev },
    { NULL }
};

static const HmpCommand net_hmp[] = {
    { "info network", "", "show the network back ends", hmp_info_network,
      NULL },
    { "netdev_add", "TYPE,id=ID[,KEY=VALUE...]",
      "make a network back end, as -netdev does", hmp_netdev_add, NULL },
    { "netdev_del", "ID", "take a network back end away", hmp_netdev_del,
      NULL },
    { NULL }
};

/* Before the devices that use what it makes: system/modules.c. */
const VmModule net_module = {
    .name = "Network",
    .create = net_create,
    .options = net_options_table,
    .hmp = net_hmp,
    .configure = net_configure,
    .destroy = net_destroy,
};
