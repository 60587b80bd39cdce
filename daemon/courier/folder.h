/* folder.h: one destination folder: its lock, and what is remembered of the names in it. Room
 * daemon/courier.
 *
 * A name that differs in case or normal form only is taken for an SMB client, so all names of a
 * folder have to be known before one is chosen. They are remembered, as hashes, in a file in
 * spool/folders that all couriers share and that is the folder's lock; it is trusted while the
 * folder's times are those that we left, and built anew else. Hashes that collide cost a number,
 * not a file: the rename itself never replaces. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "policy/place.h"

struct folder {
	int fd;        /* borrowed: the destination */
	int memory_fd; /* locked while >= 0 */
	struct folder_memory *memory;
	size_t mapped; /* octets */
};

#define FOLDER_INIT                       \
	{                                 \
		.fd = -1, .memory_fd = -1 \
	}

/* Takes the lock and brings the memory up to date. 0; -ETIMEDOUT: somebody holds the lock for too
 * long; or -errno. */
int folder_lock(int folders_fd, int fd, struct folder *folder_out);

/* The names of a folder as they are now, for a dry run: nobody's lock, shared with nobody; what is
 * added to it is not there. `fd` -1: a folder that does not exist has none. 0 or -errno. */
int folder_look(int fd, struct folder *folder_out);

/* Leaves the times behind and gives the lock back. */
void folder_unlock(struct folder *folder);

/* Is the name, or one that an SMB client can't tell from it, taken? */
bool folder_has(const struct folder *folder, const char *name);

/* A name has come to be. 0, or -errno: it could not be remembered. */
int folder_add(struct folder *folder, const char *name);

/* Where to start counting for this name, at least 1: all smaller numbers were found taken since the
 * memory was built. */
unsigned folder_first(const struct folder *folder, const struct place_name *name);
void folder_set_first(struct folder *folder, const struct place_name *name, unsigned number);

/* Forgets the folders that were not used for a day; one that is locked stays. Returns how many, or
 * -errno. */
int folder_tidy(int folders_fd);
