/* plan.c: plans as text and back. Never renames or deletes anything: publish.c and life.c do. */
#define _GNU_SOURCE
#include "daemon/courier/plan.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define FIRST_LINE "letterchute plan 2"
#define WORDS_MAX  12             /* of one line */
#define WORD_MAX   (3 * PATH_MAX) /* octets of one word: a share's path, all of it as %XX */
#define LINE_BASE  128            /* octets of a line, without its words of text */

void plan_name(const char *key, const char *job, const char *life, char name[PLAN_NAME_SIZE])
{
	snprintf(name, PLAN_NAME_SIZE, "%s.%s.%s", key, job, life);
}

static bool take_hex(const char **text, size_t digits, char *out)
{
	if (strspn(*text, "0123456789abcdef") != digits)
		return false;
	memcpy(out, *text, digits);
	out[digits] = '\0';
	*text += digits;
	return true;
}

static bool take_dot(const char **text)
{
	return *(*text)++ == '.';
}

bool plan_name_parse(const char *name, char key[PLAN_KEY_SIZE], char job[PLAN_JOB_SIZE],
		     char life[PLAN_LIFE_SIZE])
{
	return take_hex(&name, PLAN_KEY_SIZE - 1, key) && take_dot(&name) &&
	       take_hex(&name, PLAN_JOB_SIZE - 1, job) && take_dot(&name) &&
	       take_hex(&name, PLAN_LIFE_SIZE - 1, life) && *name == '\0';
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool is_plain(unsigned char c)
{
	return c > 0x20 && c < 0x7F && c != '%';
}

/* A word of a line: blanks, % and what is no printable ASCII as %XX; an empty one as %. */
static void put_word(FILE *out, const char *text)
{
	fputc(' ', out);
	if (!*text)
		fputc('%', out);
	for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
		if (is_plain(*s))
			fputc(*s, out);
		else
			fprintf(out, "%%%02x", *s);
	}
}

static void put_part(FILE *out, const struct plan_part *part)
{
	fprintf(out, "part %zu %u %u %u", part->share, part->folder_owner.owner,
		part->folder_owner.group, part->folder_owner.folder_mode);
	put_word(out, part->staged);
	put_word(out, part->folder);
	put_word(out, part->name.stem);
	put_word(out, part->name.extension);
	fputc('\n', out);
}

static void put_plan(FILE *out, const struct plan *plan)
{
	fprintf(out, FIRST_LINE "\nmessage %s %s %" PRIu64 " %d\n", plan->key, plan->job,
		plan->clock_s, (int)plan->doubt);
	for (size_t i = 0; i < plan->shares_count; i++) {
		fprintf(out, "share %s", plan->shares[i].id);
		put_word(out, plan->shares[i].path);
		put_word(out, plan->shares[i].staging);
		fputc('\n', out);
	}
	for (size_t i = 0; i < plan->parts_count; i++)
		put_part(out, &plan->parts[i]);
}

/* Adds what put_word would write. */
static bool word_fits(const char *text, size_t *size_io)
{
	size_t size = 0;
	for (const unsigned char *s = (const unsigned char *)text; *s; s++)
		size += is_plain(*s) ? 1 : 3;
	*size_io += size + strlen(" %");
	return size <= WORD_MAX;
}

bool plan_fits(const struct plan *plan)
{
	size_t size = 4 * LINE_BASE; /* the first two lines, and the last */
	bool fits = plan->shares_count <= RULES_SHARES_MAX && plan->parts_count <= PLAN_PARTS_MAX;
	for (size_t i = 0; fits && i < plan->shares_count; i++) {
		size += LINE_BASE;
		fits = word_fits(plan->shares[i].path, &size) &&
		       word_fits(plan->shares[i].staging, &size);
	}
	for (size_t i = 0; fits && i < plan->parts_count; i++) {
		const struct plan_part *part = &plan->parts[i];
		size += LINE_BASE;
		fits = word_fits(part->staged, &size) && word_fits(part->folder, &size) &&
		       word_fits(part->name.stem, &size) && word_fits(part->name.extension, &size);
	}
	return fits && size <= PLAN_BYTES_MAX;
}

int plan_write(const struct plan *plan, int fd)
{
	auto_free char *text = NULL;
	size_t size = 0;
	char hex[DIGEST_HEX];
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return -errno;
	put_plan(out, plan);
	fflush(out);
	if (text && !ferror(out)) {
		digest_octets(text, size, hex);
		fprintf(out, "end %s\n", hex);
	}
	if (fclose(out) != 0 || !text)
		return -ENOMEM;
	if (size > PLAN_BYTES_MAX)
		return -EFBIG;
	return write_all(fd, text, size);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The inverse of put_word, in place. */
static bool unescape(char *word)
{
	char *to = word;
	if (strcmp(word, "%") == 0) {
		*word = '\0';
		return true;
	}
	for (const char *from = word; *from; from++) {
		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		int high = hex_digit(from[1]);
		int low = high < 0 ? -1 : hex_digit(from[2]);
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*to++ = (char)(high << 4 | low);
		from += 2;
	}
	*to = '\0';
	return true;
}

static size_t split_words(char *line, char *words[WORDS_MAX])
{
	size_t count = 0;
	char *rest = line;
	for (char *word; (word = strsep(&rest, " "));) {
		if (count == WORDS_MAX || !*word || strlen(word) > WORD_MAX)
			return 0;
		words[count++] = word;
	}
	return count;
}

static bool parse_number(const char *text, uint64_t maximum, uint64_t *number_out)
{
	char *end;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*number_out = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0' && *number_out <= maximum;
}

static bool parse_hex(const char *text, size_t digits, char *out)
{
	return take_hex(&text, digits, out) && *text == '\0';
}

static bool read_message(struct plan *plan, char **words, size_t count)
{
	uint64_t doubt;
	if (count != 5 || !parse_hex(words[1], PLAN_KEY_SIZE - 1, plan->key) ||
	    !parse_hex(words[2], PLAN_JOB_SIZE - 1, plan->job) ||
	    !parse_number(words[3], UINT64_MAX, &plan->clock_s) ||
	    !parse_number(words[4], PLAN_DOUBT_COUNT - 1, &doubt))
		return false;
	plan->doubt = (enum plan_doubt)doubt;
	return true;
}

static bool copy_word(char *word, char *field, size_t size)
{
	if (!unescape(word) || strlen(word) >= size)
		return false;
	memcpy(field, word, strlen(word) + 1);
	return true;
}

/* The fourth word is missing in a plan of an earlier version. */
static bool read_share(struct plan *plan, char **words, size_t count)
{
	if (count < 3 || count > 4 || plan->shares_count == RULES_SHARES_MAX ||
	    plan->parts_count > 0)
		return false;
	struct plan_share *shares =
		realloc(plan->shares, (plan->shares_count + 1) * sizeof *shares);
	if (!shares)
		return false;
	plan->shares = shares;
	struct plan_share *share = &shares[plan->shares_count];
	if (!parse_hex(words[1], SHARE_ID_SIZE - 1, share->id) || !unescape(words[2]) ||
	    words[2][0] != '/')
		return false;
	share->staging[0] = '\0';
	if (count == 4 && !copy_word(words[3], share->staging, sizeof share->staging))
		return false;
	share->path = strdup(words[2]);
	plan->shares_count += share->path != NULL;
	return share->path != NULL;
}

/* A name of one component, so that nothing read here can leave a folder. */
static bool is_component(const char *name)
{
	return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool read_numbers(const struct plan *plan, struct plan_part *part, char **words)
{
	uint64_t share, owner, group, mode;
	if (!parse_number(words[1], UINT32_MAX, &share) || share >= plan->shares_count ||
	    !parse_number(words[2], UINT32_MAX, &owner) ||
	    !parse_number(words[3], UINT32_MAX, &group) ||
	    !parse_number(words[4], UINT32_MAX, &mode))
		return false;
	part->share = (size_t)share;
	part->folder_owner =
		(struct share_owner){ (uint32_t)owner, (uint32_t)group, (uint32_t)mode };
	return true;
}

static bool read_part(struct plan *plan, char **words, size_t count)
{
	if (count != 9 || plan->parts_count == PLAN_PARTS_MAX)
		return false;
	struct plan_part *parts = plan->parts;
	if ((plan->parts_count & (plan->parts_count - 1)) == 0) /* grows at each power of two */
		parts = realloc(parts,
				(plan->parts_count ? plan->parts_count * 2 : 1) * sizeof *parts);
	if (!parts)
		return false;
	plan->parts = parts;
	struct plan_part *part = &parts[plan->parts_count];
	*part = (struct plan_part){ 0 };
	if (!read_numbers(plan, part, words) || !unescape(words[5]) || !is_component(words[5]) ||
	    !unescape(words[6]) || !copy_word(words[7], part->name.stem, sizeof part->name.stem) ||
	    !copy_word(words[8], part->name.extension, sizeof part->name.extension) ||
	    !is_component(part->name.stem) || strchr(part->name.extension, '/'))
		return false;
	part->staged = strdup(words[5]);
	part->folder = strdup(words[6]);
	plan->parts_count++;
	return part->staged && part->folder;
}

static const struct line_kind {
	const char *word;
	bool (*read)(struct plan *plan, char **words, size_t count);
} line_kinds[] = { { "message", read_message }, { "share", read_share }, { "part", read_part } };

static bool read_line(struct plan *plan, char *line)
{
	char *words[WORDS_MAX];
	size_t count = split_words(line, words);
	for (size_t i = 0; count > 0 && i < sizeof line_kinds / sizeof line_kinds[0]; i++) {
		if (strcmp(words[0], line_kinds[i].word) == 0)
			return line_kinds[i].read(plan, words, count);
	}
	return false;
}

/* The last line is the checksum of all before it. *body_out: octets before it. */
static bool check_end(const char *text, size_t size, size_t *body_out)
{
	char hex[DIGEST_HEX];
	const size_t end = 4 + DIGEST_HEX - 1 + 1;
	if (size < end || memchr(text, '\0', size))
		return false;
	digest_octets(text, size - end, hex);
	*body_out = size - end;
	return memcmp(text + size - end, "end ", 4) == 0 &&
	       memcmp(text + size - end + 4, hex, DIGEST_HEX - 1) == 0 && text[size - 1] == '\n';
}

bool plan_parse(const char *text, size_t size, struct plan *plan_out)
{
	size_t body;
	if (!check_end(text, size, &body))
		return false;
	struct plan plan = { 0 };
	auto_free char *copy = strndup(text, body);
	char *rest = copy;
	char *line = copy ? strsep(&rest, "\n") : NULL;
	bool good = line && strcmp(line, FIRST_LINE) == 0;
	while (good && (line = strsep(&rest, "\n")) && *line)
		good = read_line(&plan, line);
	if (good && plan.key[0]) {
		*plan_out = plan;
		return true;
	}
	plan_done(&plan);
	return false;
}

int plan_read(int fd, struct plan *plan_out)
{
	struct stat found;
	if (fstat(fd, &found) < 0)
		return -errno;
	if (found.st_size > PLAN_BYTES_MAX)
		return -EBADMSG;
	size_t size = (size_t)found.st_size;
	auto_free char *text = malloc(size + 1);
	if (!text)
		return -ENOMEM;
	ssize_t got = pread(fd, text, size, 0);
	if (got < 0)
		return -errno;
	if ((size_t)got < size) /* what was not read is not torn */
		return -EIO;
	text[got] = '\0';
	return plan_parse(text, (size_t)got, plan_out) ? 0 : -EBADMSG;
}

void plan_done(struct plan *plan)
{
	for (size_t i = 0; i < plan->shares_count; i++)
		free(plan->shares[i].path);
	for (size_t i = 0; i < plan->parts_count; i++) {
		free(plan->parts[i].staged);
		free(plan->parts[i].folder);
	}
	free(plan->shares);
	free(plan->parts);
	*plan = (struct plan){ 0 };
}
