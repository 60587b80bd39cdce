/* prove.h: question and answer between a courier and the prover (daemon/prover). Ground of daemon.
 *
 * A question is one seqpacket message: a struct prove_question. With it travel, in this order, one
 * end of a fresh socket pair for the answer, and the message, read-only; with PROVE_LOOK only the
 * former. The questions of all couriers wait in one socket, which the boss holds: a prover that
 * died is started again and takes the next.
 *
 * The answer is one struct prove_answer. End of file without one: the prover is gone. */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROVE_DOMAIN_MAX 255 /* octets */
#define PROVE_TEXT_MAX   191

enum prove_kind {
	PROVE_MESSAGE = 1,
	PROVE_LOOK /* does whoever knows names answer? */
};

struct prove_question {
	uint32_t kind;                     /* enum prove_kind */
	uint32_t relaxed;                  /* signers of the same owner are of use, too */
	uint64_t bytes;                    /* octets of the message */
	int64_t deadline_ms;               /* monotonic; nobody waits longer for the answer */
	char domain[PROVE_DOMAIN_MAX + 1]; /* of the one address of From; NUL-terminated */
};

enum prove_verdict {
	PROVE_NOTHING = 1,
	PROVE_RELATED, /* signed by a domain of the same owner */
	PROVE_SIGNED,  /* by the domain itself */
	PROVE_DIED     /* who looked at it died: `status` */
};

struct prove_answer {
	uint32_t verdict;              /* enum prove_verdict */
	uint32_t unsure;               /* a key could not be looked up now: it may be more */
	int32_t status;                /* PROVE_DIED: as wait(2) tells */
	char text[PROVE_TEXT_MAX + 1]; /* in plain words: by whom, or what is wrong. ASCII */
};

/* Checks what came. */
bool prove_question_valid(const void *message, size_t size);
bool prove_answer_valid(const void *message, size_t size);

enum prove_result {
	PROVE_ANSWERED,
	PROVE_CRASHED, /* who looked at the message died of a fault or a limit: its own doing */
	PROVE_KILLED,  /* it, or the prover, was ended from outside, or does not run */
	PROVE_LATE     /* no answer by the deadline of the question */
};

/* Asks, and waits. `message_fd`: -1 with PROVE_LOOK. Where the prover is gone before it answers,
 * asks the next one, once. Once *stopping is set it waits no longer (PROVE_KILLED). But with
 * PROVE_ANSWERED `text` of the answer says why. */
enum prove_result prove_ask(int prover_fd, const struct prove_question *question, int message_fd,
			    const volatile sig_atomic_t *stopping, struct prove_answer *answer_out);
