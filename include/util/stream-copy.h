/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A copy that nobody reads again soon: where the processor can, it goes past
 * the caches, which costs half the traffic on the way to memory and leaves
 * what others have in them. Any thread; no lock.
 */
#ifndef GODWIT_UTIL_STREAM_COPY_H
#define GODWIT_UTIL_STREAM_COPY_H

#include <stddef.h>

/*
 * As memcpy(). @to and @from are aligned to 64 bytes, and @bytes is a multiple
 * of it. What is written is there for whoever synchronizes with this thread
 * afterwards, as with ordinary stores.
 */
void stream_copy(void *to, const void *from, size_t bytes);

#endif
