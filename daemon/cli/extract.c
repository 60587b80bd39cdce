/* extract.c: the verb `extract`: takes mails apart with no policy. Never parses anything itself:
 * the same jailed extractor as the gateway's does. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/cli/verbs.h"
#include "daemon/digest.h"
#include "daemon/extractor.h"
#include "daemon/fdio.h"
#include "daemon/json.h"
#include "daemon/keep.h"
#include "daemon/rename.h"
#include "policy/filename.h"
#include "policy/filetype.h"

#define COPIES_MAX 100000 /* ` (n)` of one name */

/* One mail being taken apart. Parts are written under numbers into a folder of their own and named
 * at the end, so that a mail that is given up leaves nothing. */
struct taking {
	const char *file;
	const char *folder; /* --to, or NULL */
	int folder_fd, staging_fd;
	int part_fd;
	bool as_json; /* only then a digest is asked for */
	struct digest digest;
	struct json *parts; /* array of objects, in order */
	struct json *part;  /* the last of them, borrowed */
	bool ambiguous;
};

/* A sink stops with this when the disk failed; `errno` has been told. */
#define STOP_DISK 1

static int stop_disk(const struct taking *taking)
{
	fprintf(stderr, "letterchute: %s: %s\n", taking->folder, strerror(errno));
	return STOP_DISK;
}

static int take_address(void *context, const char *address)
{
	(void)context;
	(void)address;
	return 0;
}

static int take_results(void *context, const struct frame_results *results)
{
	(void)context;
	(void)results;
	return 0;
}

static int take_message(void *context, const struct frame_message *message)
{
	(void)context;
	(void)message;
	return 0;
}

static int take_part(void *context, const struct frame_part *part, const char *name)
{
	struct taking *taking = context;
	struct json *entry = json_object_new();
	json_put_text(entry, "file", taking->file);
	json_put_number(entry, "part", part->number);
	json_put_text(entry, "name", part->flags & FRAME_PART_HAS_NAME ? name : NULL);
	json_put_text(entry, "declared", part->declared);
	json_put_bool(entry, "inline", part->disposition == FRAME_DISPOSITION_INLINE);
	if (part->flags & FRAME_PART_TEXT_BODY)
		json_put_bool(entry, "text_body", true);
	json_put(taking->parts, NULL, entry);
	taking->part = entry;
	digest_init(&taking->digest);
	if (taking->staging_fd < 0)
		return 0;
	char number[16];
	snprintf(number, sizeof number, "%u", part->number);
	taking->part_fd =
		openat(taking->staging_fd, number, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	return taking->part_fd < 0 ? stop_disk(taking) : 0;
}

static int take_bytes(void *context, const uint8_t *bytes, size_t size)
{
	struct taking *taking = context;
	if (taking->as_json)
		digest_add(&taking->digest, bytes, size);
	if (taking->part_fd >= 0 && write_all(taking->part_fd, bytes, size) != 0)
		return stop_disk(taking);
	return 0;
}

static int take_end(void *context, const struct frame_end *end)
{
	struct taking *taking = context;
	uint8_t value[DIGEST_SIZE];
	char hex[DIGEST_HEX];
	digest_end(&taking->digest, value);
	digest_hex(value, hex);
	json_put_text(taking->part, "type", filetype_of_mime(end->mime)->name);
	json_put_text(taking->part, "mime", end->mime);
	json_put_number(taking->part, "size", (int64_t)end->size);
	json_put_text(taking->part, "sha256", hex);
	if (taking->part_fd >= 0 && close(taking->part_fd) < 0) {
		taking->part_fd = -1;
		return stop_disk(taking);
	}
	taking->part_fd = -1;
	return 0;
}

static int take_shown(void *context, uint32_t number)
{
	struct taking *taking = context;
	json_put_bool(json_at(taking->parts, number - 1), "inline", true);
	return 0;
}

static int take_done(void *context, const struct frame_done *done)
{
	struct taking *taking = context;
	taking->ambiguous = done->flags & FRAME_DONE_AMBIGUOUS;
	return 0;
}

/* --- naming ----------------------------------------------------------------------------------- */

/* The sender's own name where it has one, made safe; else a name by number and class. */
static void choose_name(const struct json *part, char *name, size_t size)
{
	const char *given = json_text(part, "name");
	char fallback[64];
	int number = (int)json_number(part, "part");
	snprintf(fallback, sizeof fallback, "part-%d.%s", number,
		 filetype_of_mime(json_text(part, "mime"))->extension);
	filename_safe(given ? filename_base(given) : "", fallback, name, size - 1);
}

/* Puts ` (n)` before the ending. */
static void number_name(const char *name, unsigned copy, char *numbered, size_t size)
{
	const char *dot = strrchr(name, '.');
	size_t stem = dot && dot > name ? (size_t)(dot - name) : strlen(name);
	if (copy <= 1)
		snprintf(numbered, size, "%s", name);
	else
		snprintf(numbered, size, "%.*s (%u)%s", (int)stem, name, copy, name + stem);
}

static int name_part(struct taking *taking, struct json *part)
{
	char number[16], name[FILENAME_MAX_BYTES - 15], numbered[FILENAME_MAX_BYTES + 1];
	snprintf(number, sizeof number, "%d", (int)json_number(part, "part"));
	choose_name(part, name, sizeof name);
	int error = -EEXIST, rung;
	for (unsigned copy = 1; error == -EEXIST && copy < COPIES_MAX; copy++) {
		number_name(name, copy, numbered, sizeof numbered);
		error = rename_new(taking->staging_fd, number, taking->folder_fd, numbered, &rung);
	}
	if (error)
		errno = -error;
	else
		json_put_text(part, "path", numbered);
	return error ? stop_disk(taking) : 0;
}

static int name_parts(struct taking *taking)
{
	for (size_t i = 0; i < json_count(taking->parts); i++) {
		struct json *part = json_at(taking->parts, i);
		if (taking->ambiguous)
			json_put_bool(part, "ambiguous", true);
		if (taking->folder && name_part(taking, part))
			return EXIT_LATER;
	}
	return EXIT_OK;
}

/* --- one mail --------------------------------------------------------------------------------- */

static void print_part(const struct json *part)
{
	const char *name = json_text(part, "name");
	const char *path = json_text(part, "path");
	char safe[256];
	filename_safe(name ? name : "", "(no name)", safe, sizeof safe - 1);
	printf("%s: %lld  %s  %s  %lld bytes%s%s%s%s\n", json_text(part, "file"),
	       (long long)json_number(part, "part"), safe, json_text(part, "type"),
	       (long long)json_number(part, "size"),
	       json_has(part, "text_body") ? "  (the message's text)" : "",
	       json_has(part, "ambiguous") ? "  (ambiguous)" : "", path ? "  -> " : "",
	       path ? path : "");
}

static void print_parts(const struct taking *taking)
{
	for (size_t i = 0; i < json_count(taking->parts); i++) {
		const struct json *part = json_at(taking->parts, i);
		auto_free char *line = taking->as_json ? json_line(part) : NULL;
		if (line)
			puts(line);
		else
			print_part(part);
	}
}

static const char *const cap_words[] = {
	[FRAME_CAP_PARTS] = "too many parts",
	[FRAME_CAP_DEPTH] = "parts nested too deeply",
	[FRAME_CAP_HEADER] = "a header that is too long",
};

static int say(const char *file, const char *what, int status)
{
	fprintf(stderr, "letterchute: %s: %s\n", file, what);
	return status;
}

static int run_extractor(struct extractor *extractor, struct taking *taking, int message_fd)
{
	struct stat found;
	if (fstat(message_fd, &found) < 0)
		return say(taking->file, strerror(errno), EXIT_USAGE);
	struct rules limits; /* those that hold where nothing is configured */
	rules_init(&limits);
	struct extractor_job job = {
		.message_fd = message_fd,
		.bytes = (uint64_t)found.st_size,
		.limits = { .parts = limits.limits.parts,
			    .depth = limits.limits.depth,
			    .header_bytes = limits.limits.header_bytes },
		.deadline_ms = -1,
	};
	struct frames_sink sink = { taking,     take_address, take_results, take_message, take_part,
				    take_bytes, take_end,     take_shown,   take_done };
	uint32_t cap = 0;
	int stop = 0;
	char why[EXTRACTOR_ERROR_MAX] = "";
	switch (extractor_run(extractor, &job, &sink, &cap, &stop, why)) {
	case EXTRACTOR_OK: return name_parts(taking);
	case EXTRACTOR_CAP: return say(taking->file, cap_words[cap], EXIT_REFUSED);
	case EXTRACTOR_STOPPED: return EXIT_LATER;
	case EXTRACTOR_DEADLINE:
		return say(taking->file, "the extractor made no progress", EXIT_LATER);
	case EXTRACTOR_CRASH: return say(taking->file, why, EXIT_BUG);
	case EXTRACTOR_KILLED: return say(taking->file, why, EXIT_LATER);
	}
	return EXIT_BUG;
}

/* A pipe or terminal has no size and no pread: it is copied first. */
static int open_mail(const char *file, int *fd_out)
{
	auto_close int fd = strcmp(file, "-") == 0 ? dup(0) : open(file, O_RDONLY | O_CLOEXEC);
	struct stat found;
	if (fd < 0 || fstat(fd, &found) < 0)
		return -errno;
	if (S_ISREG(found.st_mode)) {
		*fd_out = take_fd(&fd);
		return 0;
	}
	auto_close int copy = -1;
	int error = memory_file("mail", &copy);
	char block[64 * 1024];
	ssize_t got = 1;
	while (!error && got > 0) {
		got = read_all(fd, block, sizeof block);
		error = got < 0 ? (int)got : write_all(copy, block, (size_t)got);
	}
	if (!error)
		*fd_out = take_fd(&copy);
	return error;
}

/* The folder in which the parts wait for their names. */
static int open_staging(struct taking *taking, char *name)
{
	uint64_t number;
	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return -EIO;
	snprintf(name, 64, ".extract-%016llx", (unsigned long long)number);
	if (mkdirat(taking->folder_fd, name, 0700) < 0)
		return -errno;
	taking->staging_fd = openat(taking->folder_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return taking->staging_fd < 0 ? -errno : 0;
}

static void remove_staging(struct taking *taking, const char *name)
{
	size_t count = json_count(taking->parts);
	for (size_t i = 1; i <= count; i++) {
		char number[24];
		snprintf(number, sizeof number, "%zu", i);
		unlinkat(taking->staging_fd, number, 0);
	}
	close_fd(&taking->staging_fd);
	unlinkat(taking->folder_fd, name, AT_REMOVEDIR);
}

static int extract_mail(struct extractor *extractor, const char *file, const char *folder,
			int folder_fd, bool as_json)
{
	auto_close int message_fd = -1;
	int error = open_mail(file, &message_fd);
	if (error)
		return say(file, strerror(-error), EXIT_USAGE);
	struct taking taking = { .file = file,
				 .folder = folder,
				 .folder_fd = folder_fd,
				 .staging_fd = -1,
				 .part_fd = -1,
				 .as_json = as_json,
				 .parts = json_array_new() };
	char staging[64];
	if (folder && (error = open_staging(&taking, staging)) != 0) {
		json_free(taking.parts);
		return say(folder, strerror(-error), EXIT_LATER);
	}
	int status = run_extractor(extractor, &taking, message_fd);
	close_fd(&taking.part_fd);
	if (status == EXIT_OK)
		print_parts(&taking);
	if (folder)
		remove_staging(&taking, staging);
	json_free(taking.parts);
	return status;
}

int verb_extract(const struct options *options)
{
	struct extractor extractor = EXTRACTOR_INIT;
	auto_close int folder_fd = -1;
	if (options->folder) {
		folder_fd = open(options->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder_fd < 0)
			return say(options->folder, strerror(errno), EXIT_USAGE);
	}
	int status = EXIT_OK;
	for (int i = 0; i < options->operands_count; i++) {
		int one = extract_mail(&extractor, options->operands[i], options->folder, folder_fd,
				       options->json);
		status = one ? one : status;
	}
	extractor_stop(&extractor);
	if (fflush(stdout) != 0)
		return say("standard output", strerror(errno), EXIT_LATER);
	return status;
}
