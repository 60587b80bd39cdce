/* harmless.h: which of the descriptors that a local user hands over can't keep us. Room
 * daemon/smtp.
 *
 * A file may lie on a file system that its owner serves himself (FUSE, a server of his own): to
 * read it, to look at it, even to close it waits for him, for ever if he likes. Harmless is what
 * lies in memory or where the administrator decides what is mounted: beside the spool, in /var/tmp
 * and in /tmp; and a local socket. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HARMLESS_PLACES 3

struct harmless {
	struct harmless_place {
		uint64_t device, mount;
	} places[HARMLESS_PLACES];
	size_t count;
};

/* Finds out where files may lie. `state` as in the configuration. */
void harmless_init(struct harmless *harmless, const char *state);

/* Never waits for the file system that it asks about. */
bool harmless_descriptor(const struct harmless *harmless, int fd);
