/* plan.h: the promise: which staged files get which names. Room daemon/courier; plan_read is
 * fuzzed.
 *
 * A plan is a text file, checksummed, named <key>.<job>.<life> in spool/publishing. Once it is
 * durable its delivery is rolled forward by whoever comes next; when every part is visible the same
 * file is renamed into spool/done and is the mark of the delivery: one step, so plan and mark
 * cannot disagree. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/courier/share.h"
#include "daemon/courier/witness.h"
#include "daemon/digest.h"
#include "policy/place.h"

#define PLAN_KEY_SIZE  DIGEST_HEX
#define PLAN_JOB_SIZE  9  /* 8 hex digits and NUL */
#define PLAN_LIFE_SIZE 17 /* 16 hex digits and NUL */
#define PLAN_NAME_SIZE (PLAN_KEY_SIZE + PLAN_JOB_SIZE + PLAN_LIFE_SIZE)
#define PLAN_BYTES_MAX (32u << 20) /* octets of a plan */
#define PLAN_PARTS_MAX 65536       /* files of a plan, over all routes */

struct plan_share {
	char *path; /* as configured */
	char id[SHARE_ID_SIZE];
	char staging[WITNESS_SIZE]; /* of the folder in which its parts are staged; "": unknown */
};

struct plan_part {
	char *staged; /* name in the staging folder of the plan's life */
	size_t share; /* index into shares */
	char *folder; /* below the share */
	struct share_owner folder_owner;
	struct place_name name; /* wished */
};

/* How long nobody forgets that it may have been delivered unheard. */
enum plan_doubt {
	PLAN_DOUBT_LONG,
	PLAN_DOUBT_SHORT, /* the message had neither Message-ID nor Date */
	PLAN_DOUBT_RETRY, /* it was put aside: as long as it is there */
	PLAN_DOUBT_COUNT
};

struct plan {
	char key[PLAN_KEY_SIZE];
	char job[PLAN_JOB_SIZE];
	uint64_t clock_s; /* of the spool's clock when the plan was made */
	enum plan_doubt doubt;
	struct plan_share *shares;
	size_t shares_count;
	struct plan_part *parts;
	size_t parts_count;
};

/* Could it be read back? A plan with more files or longer text must not become a promise. */
bool plan_fits(const struct plan *plan);

/* Writes the text into `fd` (not synced). 0 or -errno. */
int plan_write(const struct plan *plan, int fd);

/* Reads one; the caller ends it with plan_done. 0; -EBADMSG: torn or not a plan; or -errno. */
int plan_read(int fd, struct plan *plan_out);

/* The same from text. False: torn or not a plan. */
bool plan_parse(const char *text, size_t size, struct plan *plan_out);

void plan_done(struct plan *plan);

/* <key>.<job>.<life> and back. */
void plan_name(const char *key, const char *job, const char *life, char name[PLAN_NAME_SIZE]);
bool plan_name_parse(const char *name, char key[PLAN_KEY_SIZE], char job[PLAN_JOB_SIZE],
		     char life[PLAN_LIFE_SIZE]);
