/* name.h: names of messages in a Maildir. Room daemon/maildir; pure.
 *
 * <base>[:2,<flags>]: the base stays what it is when another program moves the message from new/ to
 * cur/ or changes its flags. Any octets may come, but NUL and the slash. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define NAME_SIZE 256 /* of the longest that a file can have, with its NUL */

/* May a file of this name be a message? Those with a leading dot are not. */
bool name_is_message(const char *name);

/* Octets of the base. */
size_t name_base_size(const char *name);

/* The base, NUL-terminated. `name` has less than NAME_SIZE octets, as all names of files. */
void name_base(const char *name, char base_out[NAME_SIZE]);

/* Is it one of the message with this base? */
bool name_has_base(const char *name, const char *base);

/* What a message is called in the cur/ of another Maildir: the same, with its flags or none. False:
 * it would be too long. */
bool name_for_cur(const char *name, char name_out[NAME_SIZE]);

/* A name that no other message has. `random`: so that it is. */
void name_fresh(long long seconds, unsigned long long random, char name_out[NAME_SIZE]);
