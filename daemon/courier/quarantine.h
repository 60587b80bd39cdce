/* quarantine.h: what must not vanish: messages and parts put aside, whole and durable. Room
 * daemon/courier.
 *
 *   state/quarantine/<id>/facts.json     what is known of it, one JSON object
 *   state/quarantine/<id>/message.eml    the message, or
 *   state/quarantine/<id>/part           one part of it
 *
 * An entry appears under its id only when all of it is durable. The id is made from what the entry
 * is, so that the retry of a message that was cut off makes no second one. */
#pragma once
#include <stdint.h>
#include "daemon/config.h"
#include "daemon/courier/plan.h"
#include "daemon/json.h"

#define QUARANTINE_ID_SIZE 17 /* 16 hex digits and NUL */

/* Puts a file aside under `name` ("message.eml" or "part") with its facts (borrowed). `what`: its
 * identity, in any words; what is there under it already stays as it is, and that is success. 0;
 * -ENOSPC: `quarantine_bytes` is used up; or -errno. Nothing is left behind on failure. */
int quarantine_keep(int quarantine_fd, uint64_t max_bytes, const char *what,
		    const struct json *facts, const char *name, int fd,
		    char id_out[QUARANTINE_ID_SIZE]);

/* Removes what those left who died while they made an entry; who is at it holds a lock. Done by
 * each quarantine_keep too. */
void quarantine_tidy(int quarantine_fd);

/* Puts the staged files of a plan aside that its file system refuses. 0 or -errno. */
int quarantine_keep_plan(int quarantine_fd, const struct config *config, int shares_fd,
			 const struct plan *plan, const char *life, int error);
