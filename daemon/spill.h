/* spill.h: the message while it arrives: in memory up to 1 MB, then in a nameless file. Ground
 * of daemon.
 *
 * A crash frees it wherever it lies. What goes wrong is remembered and told at the end, since a
 * device must be heard out before it can be answered. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPILL_MEMORY (1024 * 1024) /* octets kept in memory */

struct spill {
	int fd;        /* -1: none yet */
	int folder_fd; /* borrowed; -1: memory only */
	bool on_disk;
	bool too_big;
	int error;      /* -errno of the first write that failed; 0 */
	uint64_t bytes; /* octets of the message, counted on when they are no longer kept */
	uint64_t max;   /* octets kept at most */
};

/* `expected`: octets announced, 0: unknown. A message that will be big goes to disk at once. */
void spill_init(struct spill *spill, int folder_fd, uint64_t max, uint64_t expected);
void spill_done(struct spill *spill);

/* The folder where temporary files go, to be closed by the caller; -1: there is none. */
int spill_open_temporary(void);

/* Appends. Once the message is too big or a write failed, only counts. */
void spill_add(struct spill *spill, const char *bytes, size_t size);

/* The same file, opened anew so that it can only be read; the caller's. 0 or -errno. */
int spill_open(struct spill *spill, int *fd_out);
