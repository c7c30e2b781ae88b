/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between device.c and property.c. Main loop, big lock. */
#ifndef GODWIT_CORE_PROPERTY_H
#define GODWIT_CORE_PROPERTY_H

#include "hw/core/device.h"

/* Sets one field from @text; the error names device, property and value. */
bool property_set(Device *dev, const Property *prop, const char *text,
                  Error **errp);

/* Sets the default; that it is valid is the device's promise (aborts). */
void property_preset(Device *dev, const Property *prop);

/* Frees what the field owns. */
void property_clear(Device *dev, const Property *prop);

#endif
