/* body.c: stages texts, mails and descriptions as parts of their own. Never decides whether they
 * are wanted: the route says so. */
#define _GNU_SOURCE
#include "daemon/courier/body.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/courier/report.h"
#include "daemon/courier/stage.h"
#include "daemon/keep.h"
#include "policy/filetype.h"

static enum rules_body body_of(const struct job *job, size_t route)
{
	return job_rules(job)->routes[job->routes[route].route].body;
}

static bool dry(const struct job *job)
{
	return job->report_fd >= 0;
}

static bool is_text(const struct job *job, size_t route, const struct job_part *part)
{
	return part->facts.text_body && (dry(job) || part->copies[route].number > 0);
}

/* The text that a person would read: the first plain one, else the first. */
static size_t choose_text(const struct job *job, size_t route)
{
	size_t chosen = SIZE_MAX;
	for (size_t i = 0; i < job->parts_count; i++) {
		const struct job_part *part = job->parts[i];
		if (!is_text(job, route, part))
			continue;
		bool plain = !*part->declared || strcmp(part->declared, "text/plain") == 0;
		if (plain)
			return i;
		if (chosen == SIZE_MAX)
			chosen = i;
	}
	return chosen;
}

static void keep_one_text(struct job *job, size_t route)
{
	size_t chosen = choose_text(job, route);
	for (size_t i = 0; i < job->parts_count; i++) {
		struct job_part *part = job->parts[i];
		if (!is_text(job, route, part))
			continue;
		if (i != chosen) {
			stage_remove(job, route, &part->copies[route]);
			continue;
		}
		/* what libmagic makes of a text may be anything; what it was sent as is what it is
		 */
		bool html = strcmp(part->declared, "text/html") == 0;
		strcpy(part->mime, html ? "text/html" : "text/plain");
		part->extension = html ? "html" : "txt";
		if (dry(job))
			part->copies[route].number = ++job->staged;
	}
}

static struct job_part *add_part(struct job *job, const char *mime)
{
	struct job_part *part =
		calloc(1, sizeof *part + job->routes_count * sizeof part->copies[0]);
	struct job_part **parts = realloc(job->parts, (job->parts_count + 1) * sizeof *parts);
	if (!part || !parts)
		abort();
	for (size_t i = 0; i < job->routes_count; i++)
		part->copies[i].fd = -1;
	strcpy(part->mime, mime);
	part->extension = filetype_of_mime(mime)->extension;
	part->facts.mime = part->mime;
	part->facts.declared = part->declared;
	job->parts = parts;
	job->parts[job->parts_count++] = part;
	job->parts_room = job->parts_count;
	return part;
}

static enum reason write_mail(struct job *job, struct job_copy *copy)
{
	static char block[64 * 1024];
	for (uint64_t at = 0; at < job->bytes;) {
		ssize_t got = pread(job->message_fd, block, sizeof block, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return job_fail(job, REASON_IO, "the message can't be read: %s",
					strerror(got < 0 ? errno : EIO));
		enum reason reason = stage_write(job, copy, block, (size_t)got);
		if (reason)
			return reason;
		digest_add(&job->digest, block, (size_t)got);
		at += (uint64_t)got;
	}
	return REASON_NONE;
}

static enum reason write_text(struct job *job, struct job_copy *copy, const char *text)
{
	digest_add(&job->digest, text, strlen(text));
	return stage_write(job, copy, text, strlen(text));
}

/* `text`: what it holds; NULL: the mail itself. */
static enum reason stage_extra(struct job *job, size_t route, const char *mime, const char *text)
{
	struct job_part *part = add_part(job, mime);
	struct job_copy *copy = &part->copies[route];
	part->facts.size = text ? strlen(text) : job->bytes;
	if (dry(job)) {
		copy->number = ++job->staged;
		return REASON_NONE;
	}
	digest_init(&job->digest);
	enum reason reason = stage_open(job, route, copy);
	if (!reason)
		reason = text ? write_text(job, copy, text) : write_mail(job, copy);
	if (!reason)
		reason = stage_close(job, route, copy);
	digest_end(&job->digest, part->sha256);
	return reason;
}

static enum reason stage_description(struct job *job, size_t route)
{
	struct json *description = report_message(job);
	auto_free char *line = json_line(description);
	json_free(description);
	auto_free char *text = NULL;
	if (asprintf(&text, "%s\n", line) < 0)
		return job_fail(job, REASON_IO, "out of memory");
	return stage_extra(job, route, "application/json", text);
}

enum reason body_stage(struct job *job)
{
	enum reason reason = REASON_NONE;
	for (size_t i = 0; !reason && i < job->routes_count; i++) {
		enum rules_body body = body_of(job, i);
		if (body == RULES_BODY_TEXT)
			keep_one_text(job, i);
		else if (body == RULES_BODY_EML)
			reason = stage_extra(job, i, "message/rfc822", NULL);
		else if (body == RULES_BODY_JSON)
			reason = stage_description(job, i);
	}
	return reason;
}
