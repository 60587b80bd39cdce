/* signer.h: who signed the message, where that decides where it goes. Room daemon/courier. */
#pragma once
#include "daemon/courier/job.h"

/* Asks the prover, if a route wants to know that could still take the message; the facts take what
 * it says. To be called when all else that the header says is known. REASON_NONE; or the reason,
 * told: it can't be known now, or nobody can look at this message without dying of it. Blocks for
 * as long as somebody waits for the message, or SIGNER_MS. */
enum reason signer_ask(struct job *job);
