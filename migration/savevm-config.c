/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration section: what both sides must agree on before a byte of
 * state moves. Entered by the thread that saves or loads; no lock.
 */
#include <inttypes.h>
#include <string.h>

#include "migration/savevm-int.h"
#include "system/memory.h"
#include "util/log.h"

#define UUID_BYTES 16
#define MACHINE_NAME_MAX 255
#define CAPABILITIES_MAX 64

typedef struct CapabilityName {
    char name[MIG_COUNTED_STRING_SIZE];
} CapabilityName;

/* One side's configuration. */
typedef struct Config {
    uint32_t machine_len;
    uint8_t *machine;           /* without terminator */
    uint32_t num_capabilities;
    CapabilityName *capabilities;
    uint32_t page_bits;
    uint8_t uuid[UUID_BYTES];
    bool have_uuid;
    bool send_uuid;
} Config;

struct ConfigSection {
    Config ours;
};

/* ---- the table ---- */

static void put_capability(MigStream *s, const void *pv, size_t size,
                           const VMStateField *field)
{
    const CapabilityName *cap = pv;

    (void)size;
    (void)field;
    mig_put_counted_string(s, cap->name);
}

static bool get_capability(MigStream *s, void *pv, size_t size,
                           const VMStateField *field, Error **errp)
{
    CapabilityName *cap = pv;

    (void)size;
    (void)field;
    return mig_get_counted_string(s, cap->name, errp);
}

static const VMStateInfo info_capability = {
    .name = "capability", .put = put_capability, .get = get_capability,
};

static bool capabilities_needed(void *opaque)
{
    Config *c = opaque;

    return c->num_capabilities > 0;
}

static const VMStateDescription vmstate_capabilities = {
    .name = "configuration/capabilities",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = capabilities_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(num_capabilities, Config),
        VMSTATE_VARRAY_ALLOC(capabilities, Config, num_capabilities,
                             CAPABILITIES_MAX, 1, info_capability,
                             CapabilityName),
        VMSTATE_END_OF_LIST()
    },
};

/* Sent only by targets whose page size varies; this one's does not. */
static bool page_bits_needed(void *opaque)
{
    (void)opaque;
    return false;
}

static const VMStateDescription vmstate_page_bits = {
    .name = "configuration/target-page-bits",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = page_bits_needed,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32_EQUAL(page_bits, Config),
        VMSTATE_END_OF_LIST()
    },
};

static bool uuid_needed(void *opaque)
{
    Config *c = opaque;

    return c->send_uuid;
}

static bool uuid_post_load(void *opaque, int version_id, Error **errp)
{
    Config *c = opaque;

    (void)version_id;
    (void)errp;
    c->have_uuid = true;
    return true;
}

static const VMStateDescription vmstate_uuid = {
    .name = "configuration/uuid",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = uuid_needed,
    .post_load = uuid_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT8_ARRAY_V(uuid, Config, UUID_BYTES, 1),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_configuration = {
    .name = "configuration",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(machine_len, Config),
        VMSTATE_VBUFFER_ALLOC(machine, Config, machine_len, MACHINE_NAME_MAX,
                              0),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription *const[]) {
        &vmstate_page_bits,
        &vmstate_capabilities,
        &vmstate_uuid,
        NULL
    },
};

/* ---- ours and theirs ---- */

static void config_clear(Config *c)
{
    g_free(c->machine);
    g_free(c->capabilities);
}

ConfigSection *config_section_new(const SaveVMConfig *config)
{
    ConfigSection *cs = g_new0(ConfigSection, 1);
    Config *c = &cs->ours;

    c->machine_len = strlen(config->machine);
    c->machine = (uint8_t *)g_strdup(config->machine);
    c->page_bits = GUEST_PAGE_BITS;
    c->num_capabilities = config->num_capabilities;
    c->capabilities = g_new0(CapabilityName, config->num_capabilities);
    for (unsigned i = 0; i < config->num_capabilities; i++) {
        g_strlcpy(c->capabilities[i].name, config->capabilities[i],
                  sizeof(c->capabilities[i].name));
    }
    if (config->uuid) {
        memcpy(c->uuid, config->uuid, UUID_BYTES);
        c->have_uuid = true;
        c->send_uuid = config->validate_uuid;
    }
    return cs;
}

void config_section_free(ConfigSection *cs)
{
    if (cs) {
        config_clear(&cs->ours);
        g_free(cs);
    }
}

bool config_section_save(ConfigSection *cs, MigStream *s, VMDesc *desc,
                         Error **errp)
{
    return vmstate_save(s, &vmstate_configuration, &cs->ours, desc, errp);
}

static bool has_capability(const Config *c, const char *name)
{
    for (uint32_t i = 0; i < c->num_capabilities; i++) {
        if (strcmp(c->capabilities[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether @here has all the capabilities that @there has on. */
static bool check_capabilities(const Config *there, const Config *here,
                               const char *side, Error **errp)
{
    for (uint32_t i = 0; i < there->num_capabilities; i++) {
        const char *name = there->capabilities[i].name;

        if (!has_capability(here, name)) {
            error_setg(errp, "capability '%s' is off at the %s, and on at the "
                       "other side; both must agree", name, side);
            return false;
        }
    }
    return true;
}

static char *uuid_text(const uint8_t *u)
{
    return g_strdup_printf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
                           "%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
                           u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11],
                           u[12], u[13], u[14], u[15]);
}

static bool check_uuid(const Config *theirs, const Config *ours, Error **errp)
{
    g_autofree char *their_text = uuid_text(theirs->uuid);
    g_autofree char *our_text = uuid_text(ours->uuid);

    if (!theirs->have_uuid) {
        return true;
    }
    if (!ours->have_uuid) {
        warn_report("the source has UUID %s, this machine has none to compare",
                    their_text);
        return true;
    }
    if (memcmp(theirs->uuid, ours->uuid, UUID_BYTES) != 0) {
        error_setg(errp, "the source has UUID %s, this machine %s", their_text,
                   our_text);
        return false;
    }
    return true;
}

static bool check_agreement(const Config *theirs, const Config *ours,
                            Error **errp)
{
    if (theirs->machine_len != ours->machine_len ||
        memcmp(theirs->machine, ours->machine, ours->machine_len) != 0) {
        g_autofree char *raw = g_strndup((const char *)theirs->machine,
                                         theirs->machine_len);
        g_autofree char *text = g_strescape(raw, NULL);

        error_setg(errp, "the source's machine type is '%s', this machine's "
                   "'%s'", text, (const char *)ours->machine);
        return false;
    }
    return check_capabilities(theirs, ours, "destination", errp) &&
           check_capabilities(ours, theirs, "source", errp) &&
           check_uuid(theirs, ours, errp);
}

bool config_section_load(ConfigSection *cs, MigStream *s, Error **errp)
{
    Config theirs = { .page_bits = GUEST_PAGE_BITS };
    bool ok = vmstate_load(s, &vmstate_configuration, &theirs,
                           vmstate_configuration.version_id, errp) &&
              check_agreement(&theirs, &cs->ours, errp);

    config_clear(&theirs);
    return ok;
}
