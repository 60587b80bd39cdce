/* job.c: what a job's errors mean. Never acts on them. */
#include "daemon/courier/job.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "daemon/fdio.h"

enum reason job_fail(struct job *job, enum reason reason, const char *format, ...)
{
	if (job->reason != REASON_NONE)
		return reason;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(job->why, sizeof job->why, format, arguments);
	va_end(arguments);
	job->reason = reason;
	return reason;
}

bool job_has_time(const void *context)
{
	const struct job *job = context;
	int64_t deadline_ms = job->ask->head->deadline_ms;
	return !*job->courier->stopping && (deadline_ms <= 0 || monotonic_ms() <= deadline_ms);
}

void job_touch_seats(struct job *job)
{
	for (size_t i = 0; i < job->shares_count; i++)
		seat_touch(&job->shares[i].seat);
}

static bool is_full(int error)
{
	return error == -ENOSPC || error == -EDQUOT || error == -EFBIG;
}

enum reason job_share_reason(int error)
{
	if (is_full(error))
		return REASON_FULL;
	static const int disk[] = { EIO, ENOMEM, EMFILE, ENFILE, EINTR, EAGAIN };
	for (size_t i = 0; i < sizeof disk / sizeof disk[0]; i++) {
		if (error == -disk[i])
			return REASON_IO;
	}
	return REASON_SHARE;
}

enum reason job_spool_reason(int error)
{
	return is_full(error) || error == -EROFS ? REASON_SPOOL : REASON_IO;
}

enum reason job_fail_folder(struct job *job, const struct share *share, const char *path, int error)
{
	char why[SHARE_WHY_MAX];
	int found = share_reach(share, path, why);
	if (found)
		return job_fail(job, job_share_reason(error), "%s; %s", why, share_remedy(found));
	return job_fail(job, job_share_reason(error), "%.160s%s%.100s: %s; %s", share->rules->path,
			*path ? "/" : "", path, strerror(-error), share_remedy(error));
}
