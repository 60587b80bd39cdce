/* quarantine.c: the verb `quarantine`: what was kept aside, and why. Never makes an entry. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/aside.h"
#include "daemon/cli/retry.h"
#include "daemon/cli/telling.h"
#include "daemon/cli/verbs.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/spool.h"

#define TEXT_MAX 400 /* octets of one value, for people */

/* The quarantine of a configuration, opened. */
struct ward {
	const struct options *options;
	struct config config;
	char path[PATH_MAX];
	int fd; /* -1: there is none yet */
};

static const char *kind_of(const struct aside *aside)
{
	return aside->file && strcmp(aside->file, ASIDE_PART) == 0 ? "part" : "message";
}

/* As the log has it: who the envelope says, else the mail itself. */
static const char *sender_of(const struct aside *aside)
{
	const char *sender = json_text(aside->facts, "sender");
	return sender ? sender : json_text(aside->facts, "from");
}

static const char *time_of(const struct aside *aside, char text[STANDING_TIME_MAX])
{
	return standing_time(aside->time_ms, text) ? text : "-";
}

static void print_line(struct json *json)
{
	auto_free char *line = json_line(json);
	puts(line);
}

/* --- list ------------------------------------------------------------------------------------- */

static void list_json(const struct aside *aside)
{
	static const char *const texts[] = { "source", "reason", "text", "subject", "name" };
	struct json *json = json_object_new();
	char time[STANDING_TIME_MAX];
	json_put_text(json, "id", aside->id);
	json_put_text(json, "time", standing_time(aside->time_ms, time));
	json_put_text(json, "kind", kind_of(aside));
	json_put_text(json, "from", sender_of(aside));
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		json_put_text(json, texts[i], json_text(aside->facts, texts[i]));
	json_put_number(json, "bytes", (int64_t)aside->bytes);
	telling_json(json);
}

/* Anybody's text, for a column of a table. */
static void print_column(const char *text, int width)
{
	char escaped[TEXT_MAX];
	log_escape(text && *text ? text : "-", escaped, sizeof escaped);
	printf("%-*s  ", width, escaped);
}

static void list_row(const struct aside *aside)
{
	char time[STANDING_TIME_MAX], why[TEXT_MAX];
	const char *text = json_text(aside->facts, "text");
	printf("%s  %-24s  %-7s  %10llu  ", aside->id, time_of(aside, time), kind_of(aside),
	       (unsigned long long)aside->bytes);
	print_column(json_text(aside->facts, "source"), 8);
	print_column(json_text(aside->facts, "reason"), 10);
	print_column(sender_of(aside), 24);
	log_escape(text ? text : "", why, sizeof why);
	puts(why);
}

struct list {
	struct aside *entries;
	size_t count, room;
};

static int add_entry(struct list *list, const struct ward *ward, const char *id)
{
	struct aside aside;
	int error = aside_read(ward->fd, id, &aside);
	if (error)
		return error == -ENOENT ? 0 : error; /* gone since we saw its name */
	if (list->count == list->room) {
		list->room = list->room ? list->room * 2 : 64;
		list->entries = realloc(list->entries, list->room * sizeof *list->entries);
		if (!list->entries)
			abort();
	}
	list->entries[list->count++] = aside;
	return 0;
}

static int read_entries(const struct ward *ward, struct list *list)
{
	DIR *names = open_names(ward->fd, ".");
	int error = 0;
	if (!names)
		return -errno;
	for (struct dirent *entry; !error && (entry = next_name(names, &error));) {
		if (aside_is_id(entry->d_name))
			error = add_entry(list, ward, entry->d_name);
	}
	closedir(names);
	return error;
}

/* The newest first. */
static int compare(const void *left, const void *right)
{
	const struct aside *a = left, *b = right;
	if (a->time_ms != b->time_ms)
		return a->time_ms < b->time_ms ? 1 : -1;
	return strcmp(a->id, b->id);
}

static int fail(const struct ward *ward, int error)
{
	fprintf(stderr, "letterchute: %s: %s%s\n", ward->path, strerror(-error),
		error == -EACCES || error == -EPERM
			? "; it belongs to root and to the `user` of the gateway"
			: "");
	return EXIT_UNREACHABLE;
}

/* What was found a moment ago. */
static int fail_entry(const struct ward *ward, const char *id, int error)
{
	if (error != -ENOENT && error != -EWOULDBLOCK)
		return fail(ward, error);
	fprintf(stderr, "letterchute: %s %s\n", id,
		error == -ENOENT ? "was removed meanwhile"
				 : "is in somebody else's hands, try again later");
	return error == -ENOENT ? EXIT_USAGE : EXIT_LATER;
}

static int list(const struct ward *ward)
{
	struct list list = { .entries = NULL };
	int error = ward->fd < 0 ? 0 : read_entries(ward, &list);
	if (list.count > 0)
		qsort(list.entries, list.count, sizeof *list.entries, compare);
	if (!ward->options->json && list.count > 0)
		printf("%-16s  %-24s  %-7s  %10s  %-8s  %-10s  %-24s  %s\n", "ID", "TIME", "KIND",
		       "BYTES", "SOURCE", "REASON", "FROM", "WHY");
	else if (!ward->options->json && !error)
		puts("nothing was kept aside");
	for (size_t i = 0; i < list.count; i++) {
		if (ward->options->json)
			list_json(&list.entries[i]);
		else
			list_row(&list.entries[i]);
		aside_done(&list.entries[i]);
	}
	free(list.entries);
	return error ? fail(ward, error) : EXIT_OK;
}

/* --- show ------------------------------------------------------------------------------------- */

static void print_path(const struct ward *ward, const struct aside *aside, char path[PATH_MAX + 64])
{
	snprintf(path, PATH_MAX + 64, "%s/%s/%s", ward->path, aside->id,
		 aside->file ? aside->file : "");
}

static void show_json(const struct ward *ward, const struct aside *aside)
{
	char path[PATH_MAX + 64], time[STANDING_TIME_MAX];
	print_path(ward, aside, path);
	json_put_text(aside->facts, "id", aside->id);
	json_put_text(aside->facts, "kind", kind_of(aside));
	json_put_text(aside->facts, "time", standing_time(aside->time_ms, time));
	json_put_text(aside->facts, "path", path);
	json_put_number(aside->facts, "kept_bytes", (int64_t)aside->bytes);
	print_line(aside->facts);
}

static void show_text(const char *label, const char *text)
{
	char escaped[TEXT_MAX];
	if (!text || !*text)
		return;
	log_escape(text, escaped, sizeof escaped);
	printf("%-9s %s\n", label, escaped);
}

static void show_parts(const struct json *parts)
{
	for (size_t i = 0; i < json_count(parts); i++) {
		const struct json *part = json_at(parts, i);
		const char *name = json_text(part, "name"), *type = json_text(part, "type");
		char escaped[TEXT_MAX];
		log_escape(name ? name : "(no name)", escaped, sizeof escaped);
		printf("%-9s %s, ", "part", escaped);
		log_escape(type ? type : "-", escaped, sizeof escaped);
		printf("%s, %lld bytes\n", escaped, (long long)json_number(part, "size"));
	}
}

/* All that is known, as far as people ask for it; --json has the rest. */
static void show_facts(const struct ward *ward, const struct aside *aside)
{
	static const char *const texts[] = { "reason", "text",   "job",      "source", "peer",
					     "login",  "sender", "from",     "date",   "subject",
					     "name",   "folder", "extension" };
	char path[PATH_MAX + 64], time[STANDING_TIME_MAX];
	const struct json *to = json_get(aside->facts, "to");
	print_path(ward, aside, path);
	printf("%-9s %s\n%-9s %s, %llu bytes\n%-9s %s\n%-9s %s\n", "id", aside->id, "kind",
	       kind_of(aside), (unsigned long long)aside->bytes, "path", path, "time",
	       time_of(aside, time));
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		show_text(texts[i], json_text(aside->facts, texts[i]));
	for (size_t i = 0; i < json_count(to); i++)
		show_text("to", json_text_at(to, i));
	show_parts(json_get(aside->facts, "parts"));
}

static int show(const struct ward *ward, const char *id)
{
	struct aside aside;
	int error = aside_read(ward->fd, id, &aside);
	if (error)
		return fail_entry(ward, id, error);
	if (ward->options->json)
		show_json(ward, &aside);
	else
		show_facts(ward, &aside);
	aside_done(&aside);
	return EXIT_OK;
}

/* --- rm --------------------------------------------------------------------------------------- */

static void tell_removed(const struct ward *ward, const struct aside *aside)
{
	if (ward->options->json) {
		list_json(aside);
		return;
	}
	const char *sender = sender_of(aside);
	char escaped[TEXT_MAX];
	log_escape(sender && *sender ? sender : "nobody", escaped, sizeof escaped);
	printf("removed %s, a %s of %llu bytes from %s\n", aside->id, kind_of(aside),
	       (unsigned long long)aside->bytes, escaped);
}

static int remove_entry(const struct ward *ward, const char *id)
{
	auto_close int entry_fd = -1;
	struct aside aside;
	int error = aside_hold(ward->fd, id, &entry_fd);
	if (!error)
		error = aside_read(ward->fd, id, &aside);
	if (error)
		return fail_entry(ward, id, error);
	error = aside_remove(ward->fd, id, entry_fd);
	if (!error)
		tell_removed(ward, &aside);
	aside_done(&aside);
	return error ? fail_entry(ward, id, error) : EXIT_OK;
}

static int retry_entry(const struct ward *ward, const char *id)
{
	return retry(&ward->config, ward->fd, id, ward->options->json);
}

/* --- the verb --------------------------------------------------------------------------------- */

static const struct work {
	const char *word;
	int (*run)(const struct ward *ward, const char *id);
	int ids_most;
} works[] = {
	{ "show", show, 1 },
	{ "retry", retry_entry, 1 },
	{ "rm", remove_entry, INT_MAX },
};

/* NULL: there is none of that name that takes so many. */
static const struct work *find_work(const char *word, int ids)
{
	for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
		if (strcmp(works[i].word, word) == 0 && ids > 0 && ids <= works[i].ids_most)
			return &works[i];
	}
	return NULL;
}

/* A part of an id that only one has. */
static int find_id(const struct ward *ward, const char *prefix, char id[ASIDE_ID_SIZE])
{
	int error = ward->fd < 0 ? -ENOENT : aside_find(ward->fd, prefix, id);
	if (!error)
		return EXIT_OK;
	if (error != -ENOENT && error != -ENOTUNIQ)
		return fail(ward, error);
	char escaped[TEXT_MAX];
	log_escape(prefix, escaped, sizeof escaped);
	fprintf(stderr, "letterchute: %s `%s`; letterchute quarantine list shows them\n",
		error == -ENOENT ? "nothing was kept aside as" : "several entries start with",
		escaped);
	return EXIT_USAGE;
}

/* Nothing is done to the first before all of them are known. */
static int run_work(const struct ward *ward, const struct work *work)
{
	char id[ASIDE_ID_SIZE];
	int status = EXIT_OK;
	for (int i = 1; !status && i < ward->options->operands_count; i++)
		status = find_id(ward, ward->options->operands[i], id);
	for (int i = 1; !status && i < ward->options->operands_count; i++) {
		status = find_id(ward, ward->options->operands[i], id);
		if (!status)
			status = work->run(ward, id);
	}
	return status;
}

static int open_ward(const struct options *options, struct ward *ward_out)
{
	*ward_out = (struct ward){ .options = options, .fd = -1 };
	int status = options_load(options, &ward_out->config);
	if (status)
		return status;
	spool_path(ward_out->config.gateway.state, SPOOL_QUARANTINE, ward_out->path);
	int error = spool_open(ward_out->config.gateway.state, SPOOL_QUARANTINE, &ward_out->fd);
	if (!error || error == -ENOENT) /* no gateway has run yet */
		return EXIT_OK;
	config_done(&ward_out->config);
	return fail(ward_out, error);
}

int verb_quarantine(const struct options *options)
{
	const char *word = options->operands[0];
	int ids = options->operands_count - 1;
	const struct work *work = find_work(word, ids);
	if (!work && (strcmp(word, "list") != 0 || ids > 0)) {
		fputs("letterchute: quarantine list | show ID | retry ID | rm ID... is expected\n",
		      stderr);
		return EXIT_USAGE;
	}
	struct ward ward;
	int status = open_ward(options, &ward);
	if (status)
		return status;
	status = work ? run_work(&ward, work) : list(&ward);
	close_fd(&ward.fd);
	config_done(&ward.config);
	return status;
}
