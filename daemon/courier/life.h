/* life.h: the lives of couriers: their locks, their staging folders, and what becomes of the dead.
 * Room daemon/courier.
 *
 * A courier works in a life: the file spool/lives/<life>, locked while it lives, and the folder
 * .letterchute/<life> on each share that it writes to. Nobody touches a life whose lock he can't
 * take. Whoever can adopts it: rolls its plans forward, drops what no plan promises, and removes
 * it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/config.h"
#include "daemon/courier/marks.h"
#include "daemon/courier/plan.h"

struct life {
	char name[PLAN_LIFE_SIZE];
	int lock_fd; /* -1: none */
};

/* The spool as a courier has it; descriptors of folders. */
struct spool {
	int lives_fd, publishing_fd, done_fd, tries_fd, folders_fd, shares_fd, quarantine_fd,
		root_fd, kept_fd;
};

/* A message that spoiled so many couriers, and a plan that failed in so many lives, is put aside.
 */
#define LIFE_TRIES_MAX 3

#define LIFE_RUN_SIZE 40     /* with its NUL */
#define LIFE_RUN_NONE "none" /* a courier of its own, without a boss */

/* Begins a life: durable before anything is done in it. `run` says which run of a boss it belongs
 * to. 0 or -errno. */
int life_begin(const struct spool *spool, const char *run, struct life *life_out);

/* Ends it: its staging folders, which are empty, and its file. What can't be removed is left to be
 * adopted. */
void life_end(const struct spool *spool, const struct config *config, struct life *life);

/* Leaves it as it is, for whoever adopts it. */
void life_abandon(struct life *life);

/* The key of the job in hand, so that who adopts a dead life knows what it died on. "" : none. */
void life_set_current(const struct life *life, const char *key);

/* Opens (makes) the staging folder of a life on a share. Without `make` -ENOENT says that somebody
 * removed it. */
int life_open_staging(const struct share *share, const char *life, bool make, int *fd_out);

/* Adopts one life. 0: adopted; -EWOULDBLOCK: it lives; other -errno: a plan of it can't be rolled
 * forward now, and it stays as it is. The message that its courier had in hand is counted as tried
 * if the courier died within our `run`, or had no boss. */
int life_adopt(const struct spool *spool, const struct config *config, const char *run,
	       const char *name);

/* Adopts all that are dead. Returns how many had to stay, or -errno. */
int life_adopt_all(const struct spool *spool, const struct config *config, const char *run);

/* Removes staging folders on the shares that no life of this spool knows and that nobody has
 * touched for a day: left by a state that was thrown away. */
void life_sweep(const struct spool *spool, const struct config *config);

/* How often a message spoiled its courier. */
unsigned life_tries(const struct spool *spool, const char *key);
/* It came to its end. */
void life_forget_tries(const struct spool *spool, const char *key);

/* Forgets the tries of messages that did not come again for a month. */
void life_age_tries(const struct spool *spool);
