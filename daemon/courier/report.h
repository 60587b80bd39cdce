/* report.h: what a job tells: the log line, the answer, and the report of a dry run. Room
 * daemon/courier. */
#pragma once
#include "daemon/courier/job.h"
#include "daemon/json.h"

/* The one line of a message, at its end. */
void report_log(const struct job *job);

/* Sends FINAL to the source. False: it is gone, and not told. */
bool report_answer(const struct job *job);

/* What is known of the message; the caller's to free. Also what `body = json` stores. */
struct json *report_message(const struct job *job);

/* The object of `explain`, written to report_fd. */
void report_explain(const struct job *job);
