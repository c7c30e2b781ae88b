/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Option texts for the schema's types; the reader itself is in util/. */
#ifndef GODWIT_QAPI_KEYVAL_H
#define GODWIT_QAPI_KEYVAL_H

#include "util/keyval.h"

#endif
