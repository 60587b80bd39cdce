/* job.h: one message in the hands of a courier. Room daemon/courier; plain data.
 *
 * A job lives from the question to the answer. Its parts are staged on every share that its routes
 * lead to, one copy for each route, and never held in memory. */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include "daemon/ask.h"
#include "daemon/config.h"
#include "daemon/courier/checkpoint.h"
#include "daemon/courier/life.h"
#include "daemon/courier/plan.h"
#include "daemon/courier/seat.h"
#include "daemon/courier/share.h"
#include "daemon/digest.h"
#include "daemon/extractor.h"
#include "daemon/prove.h"
#include "policy/decide.h"
#include "policy/place.h"

/* What a courier has for all its jobs. */
struct courier {
	struct config config;
	struct spool spool;
	struct life life;
	char run[LIFE_RUN_SIZE]; /* of our boss */
	struct extractor extractor;
	int64_t started_ms; /* monotonic */
	uint64_t revision;  /* of the rules (config_revision) */
	unsigned seats;     /* of each share; 0: no need for them */
	uint64_t clock_s;   /* the spool's clock at clock_ms */
	int64_t clock_ms;   /* monotonic */
	bool life_spoilt;   /* a plan could not be published: the life is left to be adopted */
	bool share_denied;  /* the jail does not let us at a share: a new process may see it */
	int prover_fd;      /* questions who signed a message (daemon/prove.h) */
	int tally_fd;       /* where messages are counted (daemon/tally.h) */
	const volatile sig_atomic_t *stopping; /* SIGTERM came: no new promise */
};

/* A share that the job writes to. */
struct job_share {
	struct share share;
	int staging_fd;
	struct seat seat; /* only where it has seats */
};

/* One of the routes that the message goes to. */
struct job_route {
	uint16_t route;
	const char *to;
	struct place place;
	size_t share;  /* index into job->shares */
	int folder_fd; /* the destination; -1 until it is needed */
	unsigned made; /* how many folders of its path were made for this job */
	size_t kept, quarantined;
};

/* A part on one route. */
struct job_copy {
	int fd;          /* the staged file; -1: none, or closed meanwhile */
	unsigned number; /* of its name, <job>.<number>; 0: not staged */
	struct decide_part decision;
};

struct job_part {
	struct facts_part facts; /* points into the texts below */
	char *name;              /* owned; NULL: none */
	char declared[FRAME_TYPE_MAX], mime[FRAME_TYPE_MAX];
	const char *extension; /* canonical */
	uint8_t sha256[DIGEST_SIZE];
	bool attachment;          /* of the message; else its text, or what `body` adds */
	struct job_copy copies[]; /* one a route */
};

struct job {
	struct courier *courier;
	const struct ask *ask;
	int message_fd, answer_fd, report_fd; /* borrowed; report_fd -1: deliver */
	int64_t started_ms;                   /* monotonic */
	char id[PLAN_JOB_SIZE], key[PLAN_KEY_SIZE];
	uint64_t bytes;
	uint8_t sha256[DIGEST_SIZE]; /* of the message, where somebody needs it; else zero */

	struct facts facts;
	struct checkpoint_texts texts;
	char source[ASK_SOURCE_MAX + 1];
	const char *recipients[FACTS_RECIPIENTS_MAX];
	char *addresses[FACTS_RECIPIENTS_MAX]; /* owned: To and Cc */
	size_t addresses_count;

	struct job_route routes[DECIDE_ROUTES_MAX];
	size_t routes_count;
	struct job_share shares[DECIDE_ROUTES_MAX];
	size_t shares_count;

	struct job_part **parts; /* owned */
	size_t parts_count, parts_room;
	unsigned attachments;  /* of the message so far */
	unsigned staged;       /* names given */
	unsigned open_files;   /* staged files kept open until they are finished */
	struct job_part *part; /* the one being received */
	struct digest digest;  /* of it */
	uint64_t unpacked;     /* octets of all parts so far */
	struct frame_done done;

	char dkim[PROVE_TEXT_MAX + 1]; /* by whom it is signed, or what is wrong; "": not asked */

	enum reason reason; /* what the answer will be; REASON_NONE: delivered */
	char why[448];      /* for the log, in more words than the panel gets; "" : none */
	unsigned stored;    /* files written */
	bool doubt;         /* answered from a mark */
	bool unknown;       /* ASK_RECALL, and it was not delivered */
	bool known;         /* answered from the ledger of what stays at its source */
};

/* The first reason counts. Always returns `reason`. */
enum reason job_fail(struct job *job, enum reason reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same, for what failed in a folder below a share: says what is wrong with that, and what
 * helps. */
enum reason job_fail_folder(struct job *job, const struct share *share, const char *path,
			    int error);

/* Somebody still waits for its answer, and the gateway is not ending. `job`: a struct job; for
 * those who are told what to ask now and then. */
bool job_has_time(const void *job);

static inline const struct rules *job_rules(const struct job *job)
{
	return &job->courier->config.rules;
}

/* It waits at its source, which asks again: nobody stands there and waits. */
static inline bool job_is_pulled(const struct job *job)
{
	return job->ask->head->origin.kind >= ASK_SOURCE_IMAP;
}

/* Work on its shares goes on. */
void job_touch_seats(struct job *job);

/* What an errno of the share, or of the spool, means to the sender. */
enum reason job_share_reason(int error);
enum reason job_spool_reason(int error);
