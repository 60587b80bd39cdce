/* aside.h: what was put aside, as it lies there. Ground of daemon: couriers make entries
 * (daemon/courier/quarantine.h), verbs look at them and remove them.
 *
 *   state/quarantine/<id>/facts.json     what is known of it, one JSON object
 *   state/quarantine/<id>/message.eml    the message, or
 *   state/quarantine/<id>/part           one part of it
 *   state/quarantine/.new-<number>/      an entry that is being made, or removed
 *
 * Under its id an entry is whole and durable, or it is not there: it gets its id by a rename when
 * all of it is synced, and loses it by a rename before anything of it is removed. Whoever is at an
 * entry holds a lock (flock) on its folder; what is unfinished and held by nobody belongs to the
 * dead, and is removed by the next courier. */
#pragma once
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include "daemon/ask.h"
#include "daemon/json.h"

#define ASIDE_ID_SIZE    17 /* 16 hex digits and NUL */
#define ASIDE_FACTS      "facts.json"
#define ASIDE_MESSAGE    "message.eml"
#define ASIDE_PART       "part"
#define ASIDE_UNFINISHED ".new-"
#define ASIDE_NAME_SIZE  24 /* of a folder in the quarantine, with its NUL */

/* An entry. */
struct aside {
	char id[ASIDE_ID_SIZE];
	const char *file;   /* ASIDE_MESSAGE or ASIDE_PART; NULL: somebody took it away */
	uint64_t bytes;     /* octets of that file */
	int64_t time_ms;    /* wall clock: received, or where that is not known, put aside */
	struct json *facts; /* owned; empty where they can't be understood */
};

/* Is it the name of an entry that is whole? */
bool aside_is_id(const char *name);

/* How many entries there are in the quarantine, from its beginning; `names` NULL: 0. */
int64_t aside_count(DIR *names);

/* The only id that starts with `prefix`. 0; -ENOENT: none does; -ENOTUNIQ: several do; or -errno.
 */
int aside_find(int quarantine_fd, const char *prefix, char id_out[ASIDE_ID_SIZE]);

/* Reads an entry; the caller ends it with aside_done. 0; -ENOENT: it is not there (any more); or
 * -errno. */
int aside_read(int quarantine_fd, const char *id, struct aside *aside_out);
void aside_done(struct aside *aside);

/* Opens and locks the folder of an entry. 0; -ENOENT; -EWOULDBLOCK: somebody else is at it; or
 * -errno. */
int aside_hold(int quarantine_fd, const char *id, int *entry_fd_out);

/* Removes an entry that is held, durably. 0, or -errno: it may still be there, and whole. */
int aside_remove(int quarantine_fd, const char *id, int entry_fd);

/* --- for those who make and tidy -------------------------------------------------------------- */

/* A new name for an unfinished entry. 0 or -errno. */
int aside_name_unfinished(char name[ASIDE_NAME_SIZE]);

/* Is the folder that was opened still the one of that name? */
bool aside_is_at(int quarantine_fd, const char *name, int entry_fd);

/* Removes what is left of an unfinished entry, as far as it goes. */
void aside_clear(int quarantine_fd, const char *name);

/* --- the question that it came with ----------------------------------------------------------- */

/* Adds what was asked about a message to its facts, which hold its `key`. */
void aside_put_question(struct json *facts, const struct ask *ask);

/* The same question as an ASK_RETRY, without `bytes` and deadline. Its texts are borrowed from the
 * facts, its head is `head_out`. False: the facts do not say enough; both are untouched. */
bool aside_take_question(const struct json *facts, struct ask_head *head_out, struct ask *ask_out);
