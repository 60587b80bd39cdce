/* explain.c: the verb `explain`: what would become of a mail. Never writes anything: a courier
 * without spool finds out, with the same steps as for a delivery. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/cli/single.h"
#include "daemon/cli/telling.h"
#include "daemon/fdio.h"
#include "daemon/json.h"
#include "daemon/keep.h"
#include "policy/filetype.h"
#include "policy/verdict.h"

#define REPORT_MAX (8u << 20) /* octets */

static int list_types(bool as_json)
{
	size_t count;
	const struct filetype *types = filetype_table(&count);
	for (size_t i = 0; i < count; i++) {
		if (!as_json) {
			printf("%-8s .%-6s %s\n", types[i].name, types[i].extension, types[i].help);
			continue;
		}
		struct json *json = json_object_new();
		json_put_text(json, "type", types[i].name);
		json_put_text(json, "extension", types[i].extension);
		json_put_text(json, "help", types[i].help);
		telling_json(json);
	}
	return EXIT_OK;
}

static int list_reasons(bool as_json)
{
	for (int i = REASON_NONE + 1; i < REASON_COUNT; i++) {
		const struct verdict_row *row = verdict_row((enum reason)i);
		if (!as_json) {
			printf("%-11s %-8s %d %s  %s\n", row->name,
			       verdict_outcome_name(row->outcome), row->code, row->enhanced,
			       row->words);
			continue;
		}
		struct json *json = json_object_new();
		json_put_text(json, "reason", row->name);
		json_put_text(json, "outcome", verdict_outcome_name(row->outcome));
		json_put_number(json, "code", row->code);
		json_put_text(json, "enhanced", row->enhanced);
		json_put_text(json, "text", row->words);
		telling_json(json);
	}
	return EXIT_OK;
}

/* --peer, as a listener would have seen it; without it the mail comes from this machine. */
static bool set_peer(const struct options *options, struct ask_head *head)
{
	struct network network;
	if (!options->peer) {
		head->origin.peer_allowed = 1;
		return true;
	}
	if (network_parse(options->peer, &network, 1) != 1 || network.prefix != 128)
		return false;
	memcpy(head->origin.peer, network.address, sizeof head->origin.peer);
	head->origin.peer_known = 1;
	return true;
}

/* A mailbox or a Maildir: no peer, and whose question it is needs no proof here. */
static bool is_pulled(const struct options *options, const struct config *config)
{
	return options->source && (config_find_account(config, options->source) ||
				   config_find_maildir(config, options->source));
}

/* As which source it is looked at: the one that is named, else the first listener that would take
 * the peer, else the local door. */
static bool set_source(const struct options *options, const struct config *config,
		       struct ask_head *head)
{
	struct facts_peer peer = { .known = head->origin.peer_known };
	memcpy(peer.address, head->origin.peer, sizeof peer.address);
	strcpy(head->origin.source, "drop");
	head->origin.kind = ASK_SOURCE_DROP;
	if (options->source && strcmp(options->source, "drop") == 0)
		return true;
	for (size_t i = 0; i < config->listeners_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		bool allowed = !peer.known || network_match(&listener->peers, &peer) ||
			       network_is_loopback(&peer);
		if (options->source ? strcmp(options->source, listener->name) != 0 : !allowed)
			continue;
		snprintf(head->origin.source, sizeof head->origin.source, "%s", listener->name);
		head->origin.kind = ASK_SOURCE_SMTP;
		head->origin.peer_allowed = allowed;
		return true;
	}
	if (!is_pulled(options, config))
		return !options->source;
	snprintf(head->origin.source, sizeof head->origin.source, "%s", options->source);
	head->origin.peer_allowed = 0;
	return true;
}

static void fill_head(const struct options *options, uint64_t bytes, struct ask_head *head)
{
	head->kind = ASK_EXPLAIN;
	head->bytes = bytes;
	head->received_ms = wall_ms();
	head->has_envelope = options->from != NULL;
	head->recipients = (uint32_t)options->to_count;
	if (options->login)
		snprintf(head->login, sizeof head->login, "%s", options->login);
}

static void print_part(const struct json *part)
{
	const char *path = json_text(part, "path"), *name = json_text(part, "name"),
		   *why = json_text(part, "why");
	printf("  %s  %s, %lld bytes  ->  %s%s%s%s%s\n", name ? name : "(no name)",
	       json_text(part, "type"), (long long)json_number(part, "size"),
	       json_text(part, "decision"), path ? "  " : "", path ? path : "",
	       why && *why ? ": " : "", why ? why : "");
}

static void print_report(const struct json *report)
{
	const char *reason = json_text(report, "reason");
	const struct json *routes = json_get(report, "routes"), *parts = json_get(report, "parts");
	printf("%s%s%s: %s\n", json_text(report, "outcome"), reason ? ", " : "",
	       reason ? reason : "", json_text(report, "text"));
	printf("smtp: %s\n", json_text(report, "smtp"));
	if (json_text(report, "dkim"))
		printf("dkim: %s\n", json_text(report, "dkim"));
	for (size_t i = 0; i < json_count(routes); i++)
		printf("route %s\n", json_text_at(routes, i));
	for (size_t i = 0; i < json_count(parts); i++)
		print_part(json_at(parts, i));
}

static int judge(const struct json *report)
{
	const char *outcome = json_text(report, "outcome");
	if (outcome && strcmp(outcome, verdict_outcome_name(OUTCOME_DELIVERED)) == 0)
		return EXIT_OK;
	return outcome && strcmp(outcome, verdict_outcome_name(OUTCOME_REFUSED)) == 0 ? EXIT_REFUSED
										      : EXIT_LATER;
}

static int show(char *text, size_t size, bool as_json)
{
	text[size] = '\0';
	struct json *report = json_parse(text);
	if (!report) {
		fputs("letterchute: the courier ended without a report\n", stderr);
		return EXIT_BUG;
	}
	if (as_json)
		fputs(text, stdout);
	else
		print_report(report);
	int status = judge(report);
	json_free(report);
	return status;
}

/* The courier writes its report into a file in memory, and answers when it is done. */
static int ask(const struct options *options, const struct single *single,
	       const struct ask_head *head, int message_fd)
{
	struct ask_answer answer;
	auto_close int report_fd = -1;
	auto_close int mark_fd = -1;
	int error = memory_file("report", &report_fd);
	if (!error)
		error = single_ask(single, head, options->from ? options->from : "", options->to,
				   message_fd, report_fd, &answer, &mark_fd);
	auto_free char *text = error ? NULL : malloc(REPORT_MAX + 1);
	if (!text) {
		fprintf(stderr, "letterchute: the courier does not answer: %s\n", strerror(-error));
		return EXIT_BUG;
	}
	ssize_t size = pread(report_fd, text, REPORT_MAX, 0);
	return show(text, size > 0 ? (size_t)size : 0, options->json);
}

static int open_mail(const char *file, int *fd_out, uint64_t *bytes_out)
{
	auto_close int fd = strcmp(file, "-") == 0 ? dup(0) : open(file, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : single_spill(fd, UINT64_MAX, fd_out, bytes_out);
}

int verb_explain(const struct options *options)
{
	if (options->types)
		return list_types(options->json);
	if (options->reasons)
		return list_reasons(options->json);
	struct ask_head head = { 0 };
	if (options->operands_count != 1 || !set_peer(options, &head)) {
		fputs("letterchute: explain [--peer IP] MAIL.eml is expected\n", stderr);
		return EXIT_USAGE;
	}
	struct config config;
	struct single single;
	auto_close int message_fd = -1;
	uint64_t bytes = 0;
	int error = open_mail(options->operands[0], &message_fd, &bytes);
	if (error) {
		fprintf(stderr, "letterchute: %s: %s\n", options->operands[0], strerror(-error));
		return EXIT_USAGE;
	}
	int status = options_load(options, &config);
	if (status)
		return status;
	if (!set_source(options, &config, &head)) {
		fprintf(stderr, "letterchute: there is no source `%s`\n", options->source);
		config_done(&config);
		return EXIT_USAGE;
	}
	fill_head(options, bytes, &head);
	status = single_open(&config, "explain", &single);
	if (!status)
		status = ask(options, &single, &head, message_fd);
	single_close(&single);
	config_done(&config);
	return status;
}
