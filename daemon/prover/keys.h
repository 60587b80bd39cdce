/* keys.h: public keys that are in a file instead of the DNS. Room daemon/prover; pure, fuzzed.
 *
 * A line is NAME RECORD, such as `sel._domainkey.example.org v=DKIM1; k=rsa; p=...`; empty lines
 * and those that start with # say nothing. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define KEYS_MAX (1u << 20) /* octets of a file */

/* The first line that is none of these, from 1; 0: all are. */
unsigned keys_find_fault(const char *text);

/* The record of a name (blind to case), copied into `room` octets. False: it has none, or one that
 * does not fit. */
bool keys_find(const char *text, const char *name, char *record_out, size_t room);
