/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Option arguments of the command line: "key=value,key.sub=value,list.0=x".
 * Any thread; no lock.
 */
#ifndef GODWIT_UTIL_KEYVAL_H
#define GODWIT_UTIL_KEYVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"
#include "util/json.h"

/*
 * Reads @text into a JSON object whose scalars are all strings, for
 * visitor_input_new(value, true).
 *
 * - A comma within a value is doubled.
 * - Where @implied is not NULL and the first item has no "=", it is the value
 *   of key @implied. Elsewhere an item "key" means "key=on", and "nokey" is
 *   not treated specially.
 * - A dot in a key leads into an object; components that are all numbers,
 *   0 to n-1, make a list. At most KEYVAL_MAX_DEPTH components, of letters,
 *   digits, '-' and '_'.
 * - A key given twice: the last one counts.
 * - "help" or "?" as an item of its own: *@help is set (it may be NULL, then
 *   these are items as any other).
 */
json_object *keyval_parse(const char *text, const char *implied, bool *help,
                          Error **errp);

#define KEYVAL_MAX_DEPTH 32

/*
 * As keyval_parse(), except that a text which starts with '{' is JSON; then
 * *@keyval is false, which is also what visitor_input_new() is to be told.
 */
json_object *keyval_or_json_parse(const char *text, const char *implied,
                                  bool *keyval, Error **errp);

/* Numbers as C writes them (0x..., 0...); false if out of range or no number. */
bool keyval_parse_int64(const char *text, int64_t *res);
bool keyval_parse_uint64(const char *text, uint64_t *res);

/*
 * A size in bytes: a number, or a number with fraction and one of the binary
 * suffixes B, K, M, G, T, P, E (either case). @default_suffix is what a number
 * without suffix counts in: 'B', or 'M' for -m.
 */
bool keyval_parse_size(const char *text, uint64_t *res);
bool keyval_parse_size_suffix(const char *text, char default_suffix,
                              uint64_t *res);

#endif
