/* status.c: the verb `status`: where each source and each share stands. Never changes anything. */
#define _GNU_SOURCE
#include "daemon/status.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/aside.h"
#include "daemon/boss.h"
#include "daemon/cli/telling.h"
#include "daemon/cli/verbs.h"
#include "daemon/fdio.h"
#include "daemon/json.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/source.h"
#include "daemon/spool.h"

#define SHARES_MS     4000 /* for all shares: one that hangs is told as one */
#define LOOK_LINE_MAX 8192

struct report {
	const struct options *options;
	struct config config;
	bool runs; /* a gateway does, on this state */
	int sources_fd;
};

/* --- sources ---------------------------------------------------------------------------------- */

static const char *const state_words[] = {
	[STATUS_DOWN] = "down",
	[STATUS_UP] = "up",
	[STATUS_WAITING] = "waiting",
};

static void print_failed(const struct telling_failed *failed)
{
	char peer[46], time[TELLING_TIME_MAX], words[2 * DIALOGUE_WORDS_MAX];
	const struct dialogue *dialogue = &failed->dialogue;
	telling_peer(dialogue, peer);
	log_escape(dialogue->diagnosis, words, sizeof words);
	printf("%-20s  failed %s  %s: %s%s\n", "",
	       telling_time(dialogue->began_ms, time) ? time : "-", peer, words,
	       dialogue->since_ms ? "; delivered since" : "");
}

static void put_source(const char *name, const char *kind, const struct status *status,
		       struct json *failed)
{
	struct json *json = json_object_new();
	char text[TELLING_TIME_MAX];
	json_put_text(json, "source", name);
	json_put_text(json, "kind", kind);
	json_put_text(json, "state", state_words[status->state]);
	json_put_text(json, "since", telling_time(status->since_ms, text));
	json_put_text(json, "last_contact", telling_time(status->contact_ms, text));
	json_put_text(json, "last_delivery", telling_time(status->delivery_ms, text));
	json_put_text(json, "last_error", *status->error ? status->error : NULL);
	json_put_number(json, "waiting", status->waiting);
	json_put_text(json, "next_try", telling_time(status->until_ms, text));
	if (failed)
		json_put(json, "failed", failed);
	telling_json(json);
}

static void print_source(const char *name, const char *kind, const struct status *status)
{
	char since[TELLING_TIME_MAX], contact[TELLING_TIME_MAX], delivery[TELLING_TIME_MAX],
		error[2 * STATUS_ERROR_MAX];
	int64_t left_ms = status->until_ms - wall_ms();
	printf("%-20s  %-8s  %-8s", name, kind, state_words[status->state]);
	if (telling_time(status->since_ms, since))
		printf("  since %s", since);
	if (strcmp(kind, "smtp") == 0 && telling_time(status->contact_ms, contact))
		printf("  last contact %s", contact);
	if (telling_time(status->delivery_ms, delivery))
		printf("  last delivery %s", delivery);
	if (status->waiting > 0)
		printf("  %u waiting", status->waiting);
	putchar('\n');
	if (!*status->error)
		return;
	log_escape(status->error, error, sizeof error);
	printf("%-20s  %s", "", error);
	if (left_ms > 0)
		printf("; next try in %lld s", (long long)(left_ms + 999) / 1000);
	putchar('\n');
}

/* What a source has written is from before if no gateway runs. A listener is up when the gateway
 * is. */
static struct status status_of(const struct report *report, const char *name, bool listener)
{
	struct status status = { .state = STATUS_UP };
	if (!status_read(report->sources_fd, name, &status))
		status = (struct status){ .state = listener ? STATUS_UP : STATUS_DOWN };
	if (!report->runs) {
		status.state = STATUS_DOWN;
		status.until_ms = 0;
		snprintf(status.error, sizeof status.error, "no gateway runs");
	}
	if (status.state == STATUS_UP)
		status.until_ms = 0;
	return status;
}

static void tell_source(const struct report *report, const char *name, const char *kind)
{
	struct status status = status_of(report, name, false);
	if (report->options->json)
		put_source(name, kind, &status, NULL);
	else
		print_source(name, kind, &status);
}

static void tell_listener(const struct report *report, const char *name)
{
	static struct telling_failed failed[FAILURES_MAX];
	struct status status = status_of(report, name, true);
	size_t count = telling_read_failed(report->sources_fd, name, failed);
	if (!report->options->json) {
		print_source(name, "smtp", &status);
		for (size_t i = 0; i < count; i++)
			print_failed(&failed[i]);
		return;
	}
	struct json *list = json_array_new();
	for (size_t i = 0; i < count; i++)
		json_put(list, NULL, telling_failure(&failed[i].dialogue, failed[i].text));
	put_source(name, "smtp", &status, list);
}

static void tell_sources(const struct report *report)
{
	const struct config *config = &report->config;
	for (size_t i = 0; i < config->listeners_count; i++)
		tell_listener(report, config->listeners[i].name);
	for (size_t i = 0; i < config->accounts_count; i++)
		tell_source(report, config->accounts[i].name, "imap");
	for (size_t i = 0; i < config->maildirs_count; i++)
		tell_source(report, config->maildirs[i].name, "maildir");
}

/* --- shares ----------------------------------------------------------------------------------- */

static void tell_share(const struct report *report, const char *name, const char *path,
		       const char *state, int64_t free_bytes, const char *why)
{
	if (!report->options->json) {
		printf("share %-14s  %-8s  %s", *name ? name : "-", state, path);
		if (free_bytes >= 0)
			printf("  %lld MB free", (long long)(free_bytes >> 20));
		printf("%s%s\n", *why ? "  " : "", why);
		return;
	}
	struct json *json = json_object_new();
	json_put_text(json, "share", name);
	json_put_text(json, "path", path);
	json_put_text(json, "state", state);
	json_put_number(json, "free_bytes", free_bytes);
	json_put_text(json, "last_error", *why ? why : NULL);
	telling_json(json);
}

/* One line of the courier's: number, up or away, free octets, why. */
static bool take_line(const struct report *report, char *line, bool *told)
{
	char *rest = line;
	const char *number = strsep(&rest, "\t"), *state = strsep(&rest, "\t"),
		   *bytes = strsep(&rest, "\t"), *why = strsep(&rest, "\n");
	size_t index = number ? strtoul(number, NULL, 10) : SIZE_MAX;
	if (!why || index >= report->config.rules.shares_count)
		return false;
	const struct rules_share *share = &report->config.rules.shares[index];
	told[index] = true;
	tell_share(report, share->name, share->path, state, strtoll(bytes, NULL, 10), why);
	return true;
}

static void hear_courier(const struct report *report, int fd, bool *told)
{
	char text[LOOK_LINE_MAX];
	size_t used = 0;
	int64_t limit_ms = monotonic_ms() + SHARES_MS;
	while (used + 1 < sizeof text && wait_readable(fd, limit_ms) == 0) {
		ssize_t got = read(fd, text + used, 1);
		if (got <= 0)
			return;
		if (text[used++] != '\n')
			continue;
		text[used] = '\0';
		take_line(report, text, told);
		used = 0;
	}
}

/* A courier looks, since it has the rights; one share that hangs keeps it from the others. */
static void tell_shares(const struct report *report)
{
	bool told[RULES_SHARES_MAX] = { false };
	int ends[2];
	pid_t pid = 0;
	if (pipe(ends) < 0)
		return;
	auto_close int in = ends[0];
	int error = boss_start_courier(&report->config, "look", ends[1], &pid);
	close(ends[1]);
	if (!error)
		hear_courier(report, in, told);
	for (size_t i = 0; i < report->config.rules.shares_count; i++) {
		const struct rules_share *share = &report->config.rules.shares[i];
		if (!told[i])
			tell_share(report, share->name, share->path, "away", -1,
				   "it gives no answer");
	}
}

/* --- what is kept aside ----------------------------------------------------------------------- */

static int64_t count_aside(const struct config *config)
{
	auto_close int fd = -1;
	int64_t count = 0;
	if (spool_open(config->gateway.state, SPOOL_QUARANTINE, &fd) != 0)
		return 0;
	DIR *names = open_names(fd, ".");
	for (struct dirent *entry; names && (entry = readdir(names));)
		count += aside_is_id(entry->d_name);
	if (names)
		closedir(names);
	return count;
}

static void tell_aside(const struct report *report)
{
	int64_t count = count_aside(&report->config);
	if (!report->options->json) {
		printf("kept aside: %lld\n", (long long)count);
		return;
	}
	struct json *json = json_object_new();
	json_put_number(json, "held", 0);
	json_put_number(json, "quarantined", count);
	telling_json(json);
}

int verb_status(const struct options *options)
{
	struct report report = { .options = options, .sources_fd = -1 };
	auto_close int gateway_fd = -1;
	int status = options_load(options, &report.config);
	if (status)
		return status;
	const char *state = report.config.gateway.state;
	report.runs = source_connect(state, &gateway_fd) == 0;
	int error = spool_open(state, SPOOL_SOURCES, &report.sources_fd);
	if (error == -EACCES) {
		fprintf(stderr, "letterchute: %s: %s: it belongs to root and to `user`\n", state,
			strerror(-error));
		status = EXIT_UNREACHABLE;
	} else {
		tell_sources(&report);
		tell_shares(&report);
		tell_aside(&report);
		fflush(stdout);
	}
	close_fd(&report.sources_fd);
	config_done(&report.config);
	return status;
}
