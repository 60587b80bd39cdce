/* telling.c: objects, times, and what was said, line by line. Never asks anybody. */
#define _GNU_SOURCE
#include "daemon/cli/telling.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "daemon/keep.h"
#include "daemon/log.h"
#include "policy/sender.h"

static const char *const voices[] = {
	[DIALOGUE_DEVICE] = "device",
	[DIALOGUE_ANSWER] = "answer",
	[DIALOGUE_NOTE] = "note",
};

void telling_json(struct json *json)
{
	auto_free char *line = json_line(json);
	json_free(json);
	puts(line);
}

void telling_peer(const struct dialogue *dialogue, char *peer_out)
{
	struct facts_peer peer = { .known = dialogue->peer_known };
	memcpy(peer.address, dialogue->peer, sizeof peer.address);
	network_print(&peer, peer_out);
}

const char *telling_time(int64_t ms, char text[TELLING_TIME_MAX])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm time;
	if (ms <= 0 || !localtime_r(&seconds, &time) ||
	    !strftime(text, TELLING_TIME_MAX, "%Y-%m-%dT%H:%M:%S%z", &time))
		return NULL;
	return text;
}

/* One line, in either form. */
static void tell(const struct dialogue *dialogue, int64_t at_ms, const char *who, const char *text,
		 bool as_json)
{
	char peer[46], clock[TELLING_TIME_MAX] = "-", shown[4 * DIALOGUE_LINE_MAX + 8];
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm time;
	telling_peer(dialogue, peer);
	if (as_json) {
		struct json *json = json_object_new();
		json_put_text(json, "time", telling_time(at_ms, clock));
		json_put_text(json, "source", dialogue->source);
		json_put_text(json, "peer", peer);
		json_put_number(json, "session", (int64_t)dialogue->session);
		json_put_text(json, "who", who);
		json_put_text(json, "text", text);
		telling_json(json);
		return;
	}
	if (localtime_r(&seconds, &time))
		strftime(clock, sizeof clock, "%H:%M:%S", &time);
	log_escape(text, shown, sizeof shown);
	printf("%s.%03d  %s  %s  #%" PRIu64 "  %-6s  %s\n", clock, (int)(at_ms % 1000),
	       dialogue->source, peer, dialogue->session, who, shown);
}

/* As a text that ends: a NUL is none. */
static void copy_line(const struct dialogue_line *line, char text[DIALOGUE_LINE_MAX + 8])
{
	for (size_t i = 0; i < line->size; i++)
		text[i] = line->text[i] ? line->text[i] : '?';
	strcpy(text + line->size, line->cut ? " ..." : "");
}

void telling_lines(const struct dialogue *dialogue, const char *text, bool json)
{
	char copy[DIALOGUE_LINE_MAX + 8];
	struct dialogue_line line;
	if (dialogue->missed > 0) {
		snprintf(copy, sizeof copy, "(%" PRIu32 " lines or more were missed here)",
			 dialogue->missed);
		tell(dialogue, dialogue->began_ms, "note", copy, json);
	}
	for (size_t at = 0, size; (size = dialogue_next(text + at, dialogue->size - at, &line)) > 0;
	     at += size) {
		copy_line(&line, copy);
		tell(dialogue, dialogue->began_ms + line.at_ms, voices[line.voice], copy, json);
	}
}

void telling_end(const struct dialogue *dialogue, int64_t at_ms, bool json)
{
	tell(dialogue, at_ms, dialogue->outcome == DIALOGUE_WELL ? "ended" : "failed",
	     dialogue->diagnosis, json);
}

static int compare_failed(const void *a, const void *b)
{
	const struct telling_failed *left = a, *right = b;
	return (left->dialogue.began_ms < right->dialogue.began_ms) -
	       (left->dialogue.began_ms > right->dialogue.began_ms);
}

size_t telling_read_failed(int sources_fd, const char *source,
			   struct telling_failed failed_out[FAILURES_MAX])
{
	auto_close int fd = openat(sources_fd, source, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	size_t count = 0;
	for (size_t i = 0; i < FAILURES_MAX; i++)
		count += failures_read(fd, i, &failed_out[count].dialogue, failed_out[count].text);
	qsort(failed_out, count, sizeof *failed_out, compare_failed);
	return count;
}

struct json *telling_failure(const struct dialogue *dialogue, const char *text)
{
	char peer[46], time[TELLING_TIME_MAX], copy[DIALOGUE_LINE_MAX + 32];
	struct json *json = json_object_new(), *lines = json_array_new();
	struct dialogue_line line;
	telling_peer(dialogue, peer);
	json_put_text(json, "peer", peer);
	json_put_text(json, "time", telling_time(dialogue->began_ms, time));
	json_put_text(json, "diagnosis", dialogue->diagnosis);
	json_put_text(json, "delivered_since", telling_time(dialogue->since_ms, time));
	for (size_t at = 0, size; (size = dialogue_next(text + at, dialogue->size - at, &line)) > 0;
	     at += size) {
		int used = snprintf(copy, 24, "%s: ", voices[line.voice]);
		copy_line(&line, copy + used);
		json_put_text(lines, NULL, copy);
	}
	json_put(json, "dialogue", lines);
	return json;
}
