/* signer.c: asks who signed a message. Never looks at the message itself. */
#include "daemon/courier/signer.h"
#include <stdio.h>
#include <string.h>
#include "daemon/fdio.h"

#define SIGNER_MS 45000 /* for a message that nobody waits for */
#define TRIES     2     /* of a message that brings down who looks at it */

static struct prove_question question_of(const struct job *job, unsigned wanted)
{
	int64_t deadline_ms = job->ask->head->deadline_ms, most_ms = monotonic_ms() + SIGNER_MS;
	struct prove_question question = {
		.kind = PROVE_MESSAGE,
		.relaxed = (wanted & PROOF_DKIM_RELATED) != 0,
		.bytes = job->bytes,
		.deadline_ms = deadline_ms > 0 && deadline_ms < most_ms ? deadline_ms : most_ms,
	};
	snprintf(question.domain, sizeof question.domain, "%s", strrchr(job->facts.from, '@') + 1);
	return question;
}

/* What it proves; a domain that is the very one is also one of the same owner. */
static unsigned proofs_of(const struct prove_answer *answer)
{
	static const unsigned proofs[] = {
		[PROVE_NOTHING] = 0,
		[PROVE_RELATED] = PROOF_DKIM_RELATED,
		[PROVE_SIGNED] = PROOF_DKIM | PROOF_DKIM_RELATED,
		[PROVE_DIED] = 0,
	};
	return proofs[answer->verdict];
}

/* What is not known may send it elsewhere: to the next route, or to nobody. */
static enum reason take_answer(struct job *job, const struct prove_answer *answer)
{
	memcpy(job->dkim, answer->text, sizeof job->dkim);
	job->facts.proofs |= proofs_of(answer);
	if (answer->unsure && decide_proofs_wanted(job_rules(job), &job->facts) != 0)
		return job_fail(job, REASON_DNS, "%s", answer->text);
	return REASON_NONE;
}

/* A courier that is told to end has no prover any more. */
static enum reason give_up(struct job *job, enum reason reason, const struct prove_answer *answer)
{
	if (*job->courier->stopping)
		return job_fail(job, REASON_SHUTDOWN, "the gateway is ending");
	return job_fail(job, reason, "%s", answer->text);
}

enum reason signer_ask(struct job *job)
{
	unsigned wanted = decide_proofs_wanted(job_rules(job), &job->facts);
	enum prove_result result = PROVE_CRASHED;
	struct prove_answer answer;
	job->dkim[0] = '\0';
	if (!wanted)
		return REASON_NONE;
	const struct prove_question question = question_of(job, wanted);
	for (int i = 0; result == PROVE_CRASHED && i < TRIES; i++)
		result = prove_ask(job->courier->prover_fd, &question, job->message_fd,
				   job->courier->stopping, &answer);
	switch (result) {
	case PROVE_ANSWERED: return take_answer(job, &answer);
	case PROVE_CRASHED: return give_up(job, REASON_CRASH, &answer);
	case PROVE_KILLED: return give_up(job, REASON_IO, &answer);
	case PROVE_LATE: return give_up(job, REASON_DEADLINE, &answer);
	}
	return REASON_IO;
}
