/* quarantine.h: what must not vanish: messages and parts put aside, whole and durable. Room
 * daemon/courier.
 *
 *   state/quarantine/<id>/facts.json     what is known of it, one JSON object
 *   state/quarantine/<id>/message.eml    the message, or
 *   state/quarantine/<id>/part           one part of it
 *
 * An entry appears under its id only when all of it is durable. */
#pragma once
#include <stdint.h>
#include "daemon/config.h"
#include "daemon/courier/plan.h"
#include "daemon/json.h"

#define QUARANTINE_ID_SIZE 17 /* 16 hex digits and NUL */

/* Puts a file aside under `name` ("message.eml" or "part") with its facts (borrowed). 0; -ENOSPC:
 * `quarantine_bytes` is used up; or -errno. Nothing is left behind on failure. */
int quarantine_keep(int quarantine_fd, uint64_t max_bytes, const struct json *facts,
		    const char *name, int fd, char id_out[QUARANTINE_ID_SIZE]);

/* Takes an entry away again: the message it belongs to will come once more. */
void quarantine_drop(int quarantine_fd, const char *id);

/* Puts the staged files of a plan aside that its file system refuses. 0 or -errno. */
int quarantine_keep_plan(int quarantine_fd, const struct config *config, int shares_fd,
			 const struct plan *plan, const char *life, int error);
