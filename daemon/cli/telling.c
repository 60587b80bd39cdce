/* telling.c: objects, times, and what was said, line by line. Never asks anybody. */
#define _GNU_SOURCE
#include "daemon/cli/telling.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "daemon/keep.h"
#include "daemon/log.h"
#include "policy/sender.h"

void telling_json(struct json *json)
{
	auto_free char *line = json_line(json);
	json_free(json);
	puts(line);
}

/* One line, in either form. */
static void tell(const struct dialogue *dialogue, int64_t at_ms, const char *who, const char *text,
		 bool as_json)
{
	char peer[46], clock[STANDING_TIME_MAX] = "-", shown[4 * DIALOGUE_LINE_MAX + 8];
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm time;
	standing_peer(dialogue, peer);
	if (as_json) {
		struct json *json = json_object_new();
		json_put_text(json, "time", standing_time(at_ms, clock));
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

void telling_lines(const struct dialogue *dialogue, const char *text, bool json)
{
	char copy[STANDING_LINE_MAX];
	struct dialogue_line line;
	if (dialogue->missed > 0) {
		snprintf(copy, sizeof copy, "(%" PRIu32 " lines or more were missed here)",
			 dialogue->missed);
		tell(dialogue, dialogue->began_ms, "note", copy, json);
	}
	for (size_t at = 0, size; (size = dialogue_next(text + at, dialogue->size - at, &line)) > 0;
	     at += size) {
		standing_line(&line, copy);
		tell(dialogue, dialogue->began_ms + line.at_ms, standing_voice(&line), copy, json);
	}
}

void telling_end(const struct dialogue *dialogue, int64_t at_ms, bool json)
{
	tell(dialogue, at_ms, dialogue->outcome == DIALOGUE_WELL ? "ended" : "failed",
	     dialogue->diagnosis, json);
}
