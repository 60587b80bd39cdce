/* standing.c: puts objects together. Never asks anybody, and never decides what is well. */
#define _GNU_SOURCE
#include "daemon/standing.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "policy/sender.h"

const char *standing_time(int64_t ms, char text[STANDING_TIME_MAX])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm time;
	if (ms <= 0 || !localtime_r(&seconds, &time) ||
	    !strftime(text, STANDING_TIME_MAX, "%Y-%m-%dT%H:%M:%S%z", &time))
		return NULL;
	return text;
}

/* --- sessions --------------------------------------------------------------------------------- */

void standing_peer(const struct dialogue *dialogue, char *peer_out)
{
	struct facts_peer peer = { .known = dialogue->peer_known };
	memcpy(peer.address, dialogue->peer, sizeof peer.address);
	network_print(&peer, peer_out);
}

const char *standing_voice(const struct dialogue_line *line)
{
	static const char *const voices[] = {
		[DIALOGUE_DEVICE] = "device",
		[DIALOGUE_ANSWER] = "answer",
		[DIALOGUE_NOTE] = "note",
	};
	return voices[line->voice];
}

void standing_line(const struct dialogue_line *line, char text[STANDING_LINE_MAX])
{
	for (size_t i = 0; i < line->size; i++)
		text[i] = line->text[i] ? line->text[i] : '?';
	strcpy(text + line->size, line->cut ? " ..." : "");
}

static int compare_failed(const void *a, const void *b)
{
	const struct standing_failed *left = a, *right = b;
	return (left->dialogue.began_ms < right->dialogue.began_ms) -
	       (left->dialogue.began_ms > right->dialogue.began_ms);
}

size_t standing_read_failed(int fd, struct standing_failed failed_out[FAILURES_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < FAILURES_MAX; i++)
		count += failures_read(fd, i, &failed_out[count].dialogue, failed_out[count].text);
	qsort(failed_out, count, sizeof *failed_out, compare_failed);
	return count;
}

struct json *standing_failure(const struct dialogue *dialogue, const char *text)
{
	char peer[46], time[STANDING_TIME_MAX], copy[STANDING_LINE_MAX + 24];
	struct json *json = json_object_new(), *lines = json_array_new();
	struct dialogue_line line;
	standing_peer(dialogue, peer);
	json_put_text(json, "peer", peer);
	json_put_text(json, "time", standing_time(dialogue->began_ms, time));
	json_put_text(json, "diagnosis", dialogue->diagnosis);
	json_put_text(json, "delivered_since", standing_time(dialogue->since_ms, time));
	for (size_t at = 0, size; (size = dialogue_next(text + at, dialogue->size - at, &line)) > 0;
	     at += size) {
		int used = snprintf(copy, 24, "%s: ", standing_voice(&line));
		standing_line(&line, copy + used);
		json_put_text(lines, NULL, copy);
	}
	json_put(json, "dialogue", lines);
	return json;
}

struct json *standing_failures(int fd)
{
	static struct standing_failed failed[FAILURES_MAX];
	struct json *list = json_array_new();
	size_t count = standing_read_failed(fd, failed);
	for (size_t i = 0; i < count; i++)
		json_put(list, NULL, standing_failure(&failed[i].dialogue, failed[i].text));
	return list;
}

/* --- the rows of `status` --------------------------------------------------------------------- */

const char *standing_word(enum status_state state)
{
	static const char *const words[] = {
		[STATUS_DOWN] = "down",
		[STATUS_UP] = "up",
		[STATUS_WAITING] = "waiting",
	};
	return words[state];
}

/* Something else lies there, or the disk gives nothing: whoever has to write there can't be started
 * either. */
static bool is_unreadable(int fd)
{
	char octet;
	return fd >= 0 && pread(fd, &octet, sizeof octet, 0) < 0;
}

struct status standing_status(int fd, const char *kind)
{
	struct status status;
	bool pulls = strcmp(kind, "imap") == 0 || strcmp(kind, "maildir") == 0;
	if (is_unreadable(fd)) {
		status = (struct status){ .state = STATUS_DOWN };
		snprintf(status.error, sizeof status.error, "its state can't be read: %s",
			 strerror(errno));
		return status;
	}
	if (!status_read_at(fd, &status))
		status = (struct status){ .state = pulls ? STATUS_DOWN : STATUS_UP };
	if (status.state != STATUS_UP)
		return status;
	if (strcmp(kind, "maildir") == 0 && status.until_ms > 0 && status.until_ms < wall_ms()) {
		status.state = STATUS_DOWN;
		snprintf(status.error, sizeof status.error,
			 "its folder gives no answer: does its server hang?");
	}
	status.until_ms = 0;
	return status;
}

struct json *standing_source(const char *name, const char *kind, const struct status *status,
			     struct json *failed)
{
	struct json *json = json_object_new();
	char text[STANDING_TIME_MAX];
	json_put_text(json, "source", name);
	json_put_text(json, "kind", kind);
	json_put_text(json, "state", standing_word(status->state));
	json_put_text(json, "since", standing_time(status->since_ms, text));
	json_put_text(json, "last_contact", standing_time(status->contact_ms, text));
	json_put_text(json, "last_delivery", standing_time(status->delivery_ms, text));
	json_put_text(json, "last_error", *status->error ? status->error : NULL);
	json_put_number(json, "waiting", status->waiting);
	json_put_text(json, "next_try", standing_time(status->until_ms, text));
	if (failed)
		json_put(json, "failed", failed);
	return json;
}

struct json *standing_share(const char *name, const char *path, const char *state,
			    int64_t free_bytes, const char *why)
{
	struct json *json = json_object_new();
	json_put_text(json, "share", name);
	json_put_text(json, "path", path);
	json_put_text(json, "state", state);
	if (free_bytes >= 0)
		json_put_number(json, "free_bytes", free_bytes);
	else
		json_put_text(json, "free_bytes", NULL);
	json_put_text(json, "last_error", *why ? why : NULL);
	return json;
}

struct json *standing_aside(int64_t count)
{
	struct json *json = json_object_new();
	json_put_number(json, "held", 0);
	json_put_number(json, "quarantined", count);
	return json;
}
