/* courier.h: one question, from taking it to answering it. Room daemon/courier. */
#pragma once
#include "daemon/courier/job.h"

/* Answers one question. `fds` are those that came with it; they are the caller's to close.
 * `ask` is well-formed (daemon/ask.h) with its origin filled in. */
void courier_answer(struct courier *courier, const struct ask *ask, const int *fds,
		    size_t fds_count);
