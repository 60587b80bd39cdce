/* quarantine.h: what must not vanish: messages and parts put aside, whole and durable. Room
 * daemon/courier.
 *
 * How an entry lies there: daemon/aside.h. Its id is made from what it is, so that the retry of a
 * message that was cut off makes no second one. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/aside.h"
#include "daemon/config.h"
#include "daemon/courier/plan.h"
#include "daemon/json.h"

/* Puts a file aside under `name` (ASIDE_MESSAGE or ASIDE_PART) with its facts (borrowed). `what`:
 * its identity, in any words; what is there under it already stays as it is, and that is success.
 * 0; -ENOSPC: `quarantine_bytes` is used up; or -errno. Nothing is left behind on failure. */
int quarantine_keep(int quarantine_fd, uint64_t max_bytes, const char *what,
		    const struct json *facts, const char *name, int fd, char id_out[ASIDE_ID_SIZE]);

/* The same for a message, whose identity is its key. */
int quarantine_keep_message(int quarantine_fd, uint64_t max_bytes, const char *key,
			    const struct json *facts, int fd, char id_out[ASIDE_ID_SIZE]);

/* Is the message of this key there? */
bool quarantine_has_message(int quarantine_fd, const char *key);

/* Removes what those left who died while they made an entry; who is at it holds a lock. Done by
 * each quarantine_keep too. */
void quarantine_tidy(int quarantine_fd);

/* Puts the staged files of a plan aside that its file system refuses. 0 or -errno. */
int quarantine_keep_plan(int quarantine_fd, const struct config *config, int shares_fd,
			 const struct plan *plan, const char *life, int error);
