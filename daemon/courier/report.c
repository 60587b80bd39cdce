/* report.c: puts into words what happened to a message. Never decides anything. */
#define _GNU_SOURCE
#include "daemon/courier/report.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "daemon/courier/publish.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/tally.h"
#include "policy/filename.h"

static const char *sender_of(const struct job *job)
{
	if (job->facts.sender)
		return job->facts.sender;
	return job->facts.from ? job->facts.from : "";
}

static void add_list(char *text, size_t size, const char *item)
{
	size_t used = strlen(text);
	snprintf(text + used, size - used, "%s%s", used ? "," : "", item);
}

/* What is pulled, or was put aside, may have been received days ago. */
static int64_t took_ms(const struct job *job)
{
	bool old = job_is_pulled(job) || job->ask->head->kind == ASK_RETRY;
	int64_t took =
		old ? monotonic_ms() - job->started_ms : wall_ms() - job->ask->head->received_ms;
	return took > 0 ? took : 0;
}

static void list_routes(const struct job *job, char *text, size_t size)
{
	text[0] = '\0';
	for (size_t i = 0; i < job->routes_count; i++)
		add_list(text, size, job_rules(job)->routes[job->routes[i].route].name);
	if (!*text)
		snprintf(text, size, "-");
}

/* For /metrics: what the log says. */
static void count(const struct job *job, int64_t took)
{
	struct tally tally = {
		.kind = TALLY_MESSAGE, .reason = job->reason, .bytes = job->bytes, .took_ms = took
	};
	list_routes(job, tally.route, sizeof tally.route);
	snprintf(tally.source, sizeof tally.source, "%s", job->source);
	tally_send(job->courier->tally_fd, &tally, sizeof tally);
}

void report_log(const struct job *job)
{
	const struct verdict_row *row = verdict_row(job->reason);
	struct log_line line;
	char peer[46], to[1500] = "", routes[1000];
	int64_t took = took_ms(job);
	network_print(&job->facts.peer, peer);
	list_routes(job, routes, sizeof routes);
	for (size_t i = 0; i < job->facts.recipients_count; i++)
		add_list(to, sizeof to, job->recipients[i]);
	log_start(&line, "");
	log_add(&line, "job", "%s", job->id);
	log_add(&line, "source", "%s", job->source);
	log_add(&line, "peer", "%s", peer);
	log_quote(&line, "from", sender_of(job));
	log_quote(&line, "to", to);
	log_add(&line, "route", "%s", routes);
	log_add(&line, "parts", "%u", job->reason ? job->attachments : job->stored);
	log_add(&line, "bytes", "%llu", (unsigned long long)job->bytes);
	log_add(&line, "outcome", "%s", verdict_outcome_name(row->outcome));
	if (job->reason)
		log_add(&line, "reason", "%s", row->name);
	if (job->reason)
		log_quote(&line, "text", *job->why ? job->why : row->words);
	if (job->doubt || job->known)
		log_add(&line, "known", "yes");
	log_add(&line, "took_ms", "%lld", (long long)took);
	log_send(job->reason ? LOG_WARNING : LOG_INFO, &line);
	count(job, took);
}

bool report_answer(const struct job *job)
{
	struct ask_answer answer = { .kind = job->unknown ? ASK_UNKNOWN : ASK_FINAL,
				     .reason = job->reason,
				     .parts = job->stored };
	memcpy(answer.job, job->id, sizeof job->id);
	if (job->reason)
		snprintf(answer.text, sizeof answer.text, "%s", verdict_row(job->reason)->words);
	else if (job->doubt || job->known)
		snprintf(answer.text, sizeof answer.text, "Stored before");
	else
		snprintf(answer.text, sizeof answer.text, "%u file%s stored", job->stored,
			 job->stored == 1 ? "" : "s");
	/* who does not read has gone away: he asks again */
	return pass_fds_now(job->answer_fd, &answer, sizeof answer, NULL, 0) == 0;
}

static void put_time(struct json *json, const char *key, const struct tm *time)
{
	char text[40];
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", time);
	json_put_text(json, key, text);
}

static struct json *recipients_of(const struct job *job)
{
	struct json *to = json_array_new();
	for (size_t i = 0; i < job->facts.recipients_count; i++)
		json_put_text(to, NULL, job->recipients[i]);
	return to;
}

static struct json *part_of(const struct job_part *part)
{
	struct json *json = json_object_new();
	char hex[DIGEST_HEX];
	digest_hex(part->sha256, hex);
	json_put_text(json, "name", part->name);
	json_put_text(json, "type", filetype_of_mime(part->mime)->name);
	json_put_number(json, "size", (int64_t)part->facts.size);
	json_put_text(json, "sha256", hex);
	return json;
}

struct json *report_message(const struct job *job)
{
	struct json *json = json_object_new();
	struct json *parts = json_array_new();
	char peer[46];
	network_print(&job->facts.peer, peer);
	put_time(json, "time", &job->facts.received);
	put_time(json, "date", &job->facts.date);
	json_put_text(json, "job", job->id);
	json_put_text(json, "key", job->key);
	json_put_text(json, "source", job->source);
	json_put_text(json, "peer", job->facts.peer.known ? peer : NULL);
	json_put_text(json, "login", job->facts.login);
	json_put_text(json, "sender", job->facts.sender);
	json_put_text(json, "from", job->facts.from);
	json_put(json, "to", recipients_of(job));
	json_put_text(json, "subject", job->facts.subject);
	json_put_text(json, "dkim", *job->dkim ? job->dkim : NULL);
	json_put_number(json, "bytes", (int64_t)job->bytes);
	json_put_number(json, "received_ms", job->ask->head->received_ms);
	for (size_t i = 0; i < job->parts_count; i++) {
		if (job->parts[i]->attachment)
			json_put(parts, NULL, part_of(job->parts[i]));
	}
	json_put(json, "parts", parts);
	return json;
}

/* --- explain ---------------------------------------------------------------------------------- */

static const char *const action_words[] = {
	[DECIDE_KEEP] = "keep",
	[DECIDE_SKIP] = "skip",
	[DECIDE_QUARANTINE] = "quarantine",
	[DECIDE_REFUSE] = "refuse",
};

/* The names in the folder of a route, and those that the parts before would get. */
struct preview {
	const struct place *place;
	struct folder folder;
};

/* A folder that can't be looked at, or is not there yet, has no names in it. */
static void look_at(const struct job *job, const struct place *place, struct folder *folder_out)
{
	const struct courier *courier = job->courier;
	struct share share;
	auto_close int fd = -1;
	char why[SHARE_WHY_MAX];
	if (share_open(&courier->config.rules.shares[place->share], courier->spool.shares_fd, false,
		       &share, why) == 0) {
		share_folder(&share, place->folder, NULL, &fd, NULL);
		share_close(&share);
	}
	if (folder_look(fd, folder_out) != 0 && folder_look(-1, folder_out) != 0)
		abort();
}

/* Routes may share a folder. */
static struct folder *find_preview(const struct job *job, struct preview *previews, size_t route)
{
	const struct place *place = &job->routes[route].place;
	for (size_t i = 0; i <= route; i++) {
		struct preview *preview = &previews[i];
		if (preview->place && preview->place->share == place->share &&
		    strcmp(preview->place->folder, place->folder) == 0)
			return &preview->folder;
	}
	previews[route].place = place;
	look_at(job, place, &previews[route].folder);
	return &previews[route].folder;
}

static void end_previews(struct preview *previews)
{
	for (size_t i = 0; i < DECIDE_ROUTES_MAX; i++) {
		if (previews[i].place)
			folder_unlock(&previews[i].folder);
	}
}

static const char *name_of(const struct job_part *part)
{
	return part->attachment ? part->name : "mail";
}

/* The path that the part would get if it came now. */
static char *path_of(const struct job *job, const struct job_route *route,
		     const struct job_part *part, struct folder *names)
{
	const struct rules *rules = job_rules(job);
	const char *folder = route->place.folder;
	struct place_name name;
	char text[FILENAME_MAX_BYTES + 1];
	char *path;
	place_name(rules, route->route, &job->facts, route->to, name_of(part),
		   part->facts.number ? part->facts.number : 1, part->extension, &name);
	publish_preview(names, &name, text);
	if (asprintf(&path, "%s/%s%s%s", rules->shares[route->place.share].path, folder,
		     *folder ? "/" : "", text) < 0)
		abort();
	return path;
}

static void put_part(const struct job *job, size_t route, const struct job_part *part,
		     struct preview *previews, struct json *parts)
{
	const struct decide_part *decision = &part->copies[route].decision;
	struct json *json = json_object_new();
	const char *why = part->attachment ? decision->why : "the route's `body`";
	auto_free char *path = decision->action == DECIDE_KEEP
				       ? path_of(job, &job->routes[route], part,
						 find_preview(job, previews, route))
				       : NULL;
	json_put_text(json, "route", job_rules(job)->routes[job->routes[route].route].name);
	json_put_text(json, "name", name_of(part));
	json_put_text(json, "type", filetype_of_mime(part->mime)->name);
	json_put_text(json, "declared", part->declared);
	json_put_number(json, "size", (int64_t)part->facts.size);
	json_put_text(json, "path", path);
	json_put_text(json, "decision", action_words[decision->action]);
	json_put_text(json, "why", why ? why : "");
	json_put(parts, NULL, json);
}

/* In the order in which they would be published: one route after the other. */
static struct json *explain_parts(const struct job *job)
{
	struct preview previews[DECIDE_ROUTES_MAX] = { 0 };
	struct json *parts = json_array_new();
	for (size_t i = 0; i < job->routes_count; i++) {
		for (size_t p = 0; p < job->parts_count; p++) {
			const struct job_part *part = job->parts[p];
			if (part->attachment || part->copies[i].number > 0)
				put_part(job, i, part, previews, parts);
		}
	}
	end_previews(previews);
	return parts;
}

void report_explain(const struct job *job)
{
	const struct verdict_row *row = verdict_row(job->reason);
	struct json *json = json_object_new(), *routes = json_array_new();
	char smtp[200];
	snprintf(smtp, sizeof smtp, "%d %s %s", row->code, row->enhanced, row->words);
	for (size_t i = 0; i < job->routes_count; i++)
		json_put_text(routes, NULL, job_rules(job)->routes[job->routes[i].route].name);
	json_put_text(json, "outcome", verdict_outcome_name(row->outcome));
	json_put_text(json, "reason", job->reason ? row->name : NULL);
	json_put_text(json, "text", *job->why ? job->why : row->words);
	json_put_text(json, "smtp", smtp);
	json_put_text(json, "dkim", *job->dkim ? job->dkim : NULL);
	json_put(json, "routes", routes);
	json_put(json, "parts", explain_parts(job));
	auto_free char *line = json_line(json);
	json_free(json);
	/* a reader that went away is not our trouble */
	if (write_all(job->report_fd, line, strlen(line)) == 0)
		write_all(job->report_fd, "\n", 1);
}
