/* child.h: a role as the boss keeps it: what it is, when it may start again, and what lacks without
 * it. Ground of daemon. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/ask.h"
#include "daemon/role.h"
#include "daemon/source.h"
#include "daemon/status.h"

#define CHILD_LIVED_MS 10000 /* who lived so long did not fail at the start */

enum child_state { CHILD_WANTED, CHILD_RUNNING, CHILD_DRAINING };

struct child {
	enum role role;
	struct source *source;         /* NULL for a courier, and once it drains */
	char name[ASK_SOURCE_MAX + 1]; /* of its source; "": none */
	enum child_state state;
	pid_t pid;
	int64_t started_ms, start_at_ms;
	int64_t backoff_ms;
	bool keeps; /* the courier that tidies and takes no questions */
	bool keys;  /* who has the private keys and logins of listeners */
	bool looks; /* the courier that looks at the shares, for the window */
};

/* As the log calls it. */
const char *child_name(const struct child *child);

/* Does it pull? Is it the local door? */
bool child_is_puller(const struct child *child);
bool child_is_door(const struct child *child);

/* It is to start again, each time later; `meant`: it ended of its own accord. */
void child_delay(struct child *child, bool meant);

/* How the gateway stands, and in words what is wrong; "" for nothing. Who pulls says for himself
 * that he is down. */
enum status_state child_judge(const struct child *children, size_t count,
			      char why_out[STATUS_ERROR_MAX]);
