/* sniff.c: tells what bytes are. Never believes a name or a header and never opens a file after
 * sniff_prepare. */
#define _GNU_SOURCE
#include "extract/sniff.h"
#include <errno.h>
#include <fcntl.h>
#include <magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static magic_t magic;
static void *database; /* mapped */
static size_t database_size;

/* libmagic's own limits, lowered: (parameter, value). */
static const struct {
	int parameter;
	size_t value;
} magic_limits[] = {
	{ MAGIC_PARAM_INDIR_MAX, 15 },
	{ MAGIC_PARAM_NAME_MAX, 50 },
	{ MAGIC_PARAM_ELF_PHNUM_MAX, 128 },
	{ MAGIC_PARAM_ELF_SHNUM_MAX, 128 },
	{ MAGIC_PARAM_ELF_NOTES_MAX, 16 },
	{ MAGIC_PARAM_REGEX_MAX, 4096 },
	{ MAGIC_PARAM_BYTES_MAX, LIMIT_SNIFF_HEAD },
#ifdef MAGIC_PARAM_ENCODING_MAX
	{ MAGIC_PARAM_ENCODING_MAX, LIMIT_SNIFF_HEAD },
#endif
};

static int fail(char why_out[200], const char *why, int error)
{
	snprintf(why_out, 200, "libmagic: %s: %s", why ? why : "unknown", strerror(-error));
	return error;
}

/* libmagic shows dates in some types; the C library reads the zone when it is first asked for
 * one. */
static void fix_zone(void)
{
	setenv("TZ", "UTC0", 1);
	tzset();
}

/* The database is mapped by us and not by libmagic, so that what was read of it can be let go
 * again: the template then sits idle without its 8 MB. Nobody writes to it. */
static int map_database(const char *path)
{
	struct stat file;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int error = fstat(fd, &file) < 0 ? -errno : 0;
	void *mapped = error ? MAP_FAILED
			     : mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (!error && mapped == MAP_FAILED)
		error = -errno;
	close(fd);
	if (error)
		return error;
	database = mapped;
	database_size = (size_t)file.st_size;
	return 0;
}

static int open_magic(char why_out[200])
{
	magic = magic_open(MAGIC_MIME_TYPE | MAGIC_ERROR | MAGIC_NO_CHECK_COMPRESS |
			   MAGIC_NO_CHECK_TOKENS);
	if (!magic)
		return fail(why_out, "not enough memory", -ENOMEM);
	for (size_t i = 0; i < sizeof magic_limits / sizeof magic_limits[0]; i++)
		if (magic_setparam(magic, magic_limits[i].parameter, &magic_limits[i].value) < 0)
			return fail(why_out, magic_error(magic), -EINVAL);
	return 0;
}

int sniff_prepare(const char *path, char why_out[200])
{
	why_out[0] = '\0';
	fix_zone();
	int error = map_database(path);
	if (error)
		return fail(why_out, path, error);
	error = open_magic(why_out);
	if (error)
		return error;
	if (magic_load_buffers(magic, &database, &database_size, 1) < 0)
		return fail(why_out, magic_error(magic), -EINVAL);
	return 0;
}

void sniff_warm_up(void)
{
	static const char text[] =
		"Warm up.\nNo type has a name for this text; so each of them is asked.\n";
	char bytes[1024];
	uint32_t state = 1;
	for (size_t i = 0; i < sizeof bytes; i++) {
		state = state * 1103515245 + 12345;
		bytes[i] = (char)(state >> 16);
	}
	magic_buffer(magic, text, sizeof text - 1);
	magic_buffer(magic, bytes, sizeof bytes);
	madvise(database, database_size, MADV_DONTNEED);
}

void sniff_done(void)
{
	if (magic)
		magic_close(magic);
	if (database)
		munmap(database, database_size);
	magic = NULL;
	database = NULL;
}

void sniff_init(struct sniff *sniff)
{
	sniff->said = SNIFF_NOTHING;
	sniff->size = 0;
	sniff->head_size = 0;
	sniff->tail_size = 0;
}

static bool ends_alike(struct span name, struct span end)
{
	return name.size >= end.size && span_alike(span_after(name, name.size - end.size), end);
}

void sniff_expect(struct sniff *sniff, struct span declared, struct span name)
{
	static const struct {
		struct span ending;
		enum sniff_said said;
	} endings[] = { { { ".csv", 4 }, SNIFF_CSV },
			{ { ".txt", 4 }, SNIFF_TEXT },
			{ { ".log", 4 }, SNIFF_TEXT },
			{ { ".eml", 4 }, SNIFF_NOTHING } };
	for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++)
		if (ends_alike(name, endings[i].ending)) {
			sniff->said = endings[i].said;
			return;
		}
	sniff->said = span_alike(declared, SPAN("text/csv"))     ? SNIFF_CSV
		      : span_alike(declared, SPAN("text/plain")) ? SNIFF_TEXT
								 : SNIFF_NOTHING;
}

/* ---- signatures ---- */

/* What leaves no doubt: all of `bytes` at the very start. */
static const struct {
	struct span bytes;
	const char *type;
} signatures[] = {
	{ { "%PDF-", 5 }, "application/pdf" },
	{ { "\x89PNG\r\n\x1a\n", 8 }, "image/png" },
	{ { "GIF87a", 6 }, "image/gif" },
	{ { "GIF89a", 6 }, "image/gif" },
};

static bool starts(struct span bytes, struct span start)
{
	return bytes.size >= start.size && memcmp(bytes.at, start.at, start.size) == 0;
}

/* FF D8 FF and another marker; three octets alone are no picture, though libmagic calls them
 * text. */
static const char *jpeg_type(struct span head)
{
	bool marker = head.size > 3 && (uint8_t)head.at[3] >= 0xc0 && (uint8_t)head.at[3] != 0xff;
	return marker ? "image/jpeg" : "application/octet-stream";
}

/* Brands of films that libmagic does not know, or takes for sound: of Sony, and of phones that film
 * in HEVC (ISO/IEC 14496-12 section 4.3). */
static bool is_film(struct span head)
{
	if (head.size < 12 || !starts(span_after(head, 4), SPAN("ftyp")))
		return false;
	struct span brand = span_of(head.at + 8, 4);
	return span_equal(brand, SPAN("MSNV")) || span_equal(brand, SPAN("hvc1"));
}

static const char *by_signature(struct span head)
{
	if (starts(head, SPAN("\xff\xd8\xff")))
		return jpeg_type(head);
	if (is_film(head))
		return "video/mp4";
	for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++)
		if (starts(head, signatures[i].bytes))
			return signatures[i].type;
	return NULL;
}

bool sniff_is_file(struct span head)
{
	return by_signature(head) || starts(head, SPAN("PK\3\4")) || starts(head, SPAN("II*\0")) ||
	       starts(head, SPAN("MM\0*"));
}

/* ---- zip files (APPNOTE.TXT sections 4.3.7, 4.3.12, 4.3.16) ---- */

static const struct span zip_member = { "PK\3\4", 4 };
static const struct span zip_entry = { "PK\1\2", 4 };
static const struct span zip_end = { "PK\5\6", 4 };
#define ZIP_MEMBER_SIZE 30
#define ZIP_ENTRY_SIZE  46
#define ZIP_END_SIZE    22

static size_t number(struct span bytes, size_t at, size_t octets)
{
	size_t value = 0;
	while (octets-- > 0)
		value = value << 8 | (uint8_t)bytes.at[at + octets];
	return value;
}

/* The end record: the last one that fits the end of the file. */
static bool find_end(struct span tail, size_t *at_out)
{
	for (size_t at = tail.size; at-- > 0;) {
		struct span there = span_after(tail, at);
		if (there.size >= ZIP_END_SIZE && starts(there, zip_end) &&
		    number(there, 20, 2) <= there.size - ZIP_END_SIZE) {
			*at_out = at;
			return true;
		}
	}
	return false;
}

/* What the names in a directory show. */
enum { SEEN_TYPES = 1, SEEN_WORD = 2, SEEN_XL = 4, SEEN_PPT = 8, SEEN_MACROS = 16 };

static unsigned look_at_name(struct span name)
{
	unsigned seen = 0;
	seen |= span_alike(name, SPAN("[Content_Types].xml")) ? SEEN_TYPES : 0;
	seen |= span_starts_alike(name, SPAN("word/")) ? SEEN_WORD : 0;
	seen |= span_starts_alike(name, SPAN("xl/")) ? SEEN_XL : 0;
	seen |= span_starts_alike(name, SPAN("ppt/")) ? SEEN_PPT : 0;
	seen |= ends_alike(name, SPAN("vbaProject.bin")) || ends_alike(name, SPAN("vbaData.xml"))
			? SEEN_MACROS
			: 0;
	return seen;
}

/* Looks through a directory that lies wholly in `directory`; false: it does not hold together. */
static bool read_directory(struct span directory, unsigned *seen_out)
{
	unsigned seen = 0;
	while (directory.size > 0) {
		if (directory.size < ZIP_ENTRY_SIZE || !starts(directory, zip_entry))
			return false;
		size_t name = number(directory, 28, 2);
		size_t size =
			ZIP_ENTRY_SIZE + name + number(directory, 30, 2) + number(directory, 32, 2);
		if (size > directory.size)
			return false;
		seen |= look_at_name(span_of(directory.at + ZIP_ENTRY_SIZE, name));
		directory = span_after(directory, size);
	}
	*seen_out = seen;
	return true;
}

static bool see_directory(struct span tail, unsigned *seen_out)
{
	size_t end;
	if (!find_end(tail, &end))
		return false;
	size_t size = number(tail, end + 12, 4);
	return size <= end && read_directory(span_of(tail.at + end - size, size), seen_out);
}

#define OOXML "application/vnd.openxmlformats-officedocument."

static const struct {
	unsigned seen;
	const char *plain, *macros;
} office[] = {
	{ SEEN_WORD, OOXML "wordprocessingml.document",
	  "application/vnd.ms-word.document.macroenabled.12" },
	{ SEEN_XL, OOXML "spreadsheetml.sheet", "application/vnd.ms-excel.sheet.macroenabled.12" },
	{ SEEN_PPT, OOXML "presentationml.presentation",
	  "application/vnd.ms-powerpoint.presentation.macroenabled.12" },
};

/* Exactly one kind of office document, else NULL. */
static const char *office_type(unsigned seen)
{
	unsigned kinds = seen & (SEEN_WORD | SEEN_XL | SEEN_PPT);
	for (size_t i = 0; i < sizeof office / sizeof office[0]; i++)
		if ((seen & SEEN_TYPES) && kinds == office[i].seen)
			return seen & SEEN_MACROS ? office[i].macros : office[i].plain;
	return NULL;
}

/* OpenDocument and EPUB say their type in a first member that is called `mimetype` and is not
 * compressed. */
static const char *stored_type(struct span head)
{
	static const char *const known[] = {
		"application/vnd.oasis.opendocument.text",
		"application/vnd.oasis.opendocument.spreadsheet",
		"application/vnd.oasis.opendocument.presentation",
		"application/vnd.oasis.opendocument.graphics",
		"application/epub+zip",
	};
	if (head.size < ZIP_MEMBER_SIZE || number(head, 8, 2) != 0)
		return NULL;
	size_t name = number(head, 26, 2), start = ZIP_MEMBER_SIZE + name + number(head, 28, 2),
	       size = number(head, 18, 4);
	if (start > head.size || size > head.size - start ||
	    !span_equal(span_of(head.at + ZIP_MEMBER_SIZE, name), SPAN("mimetype")))
		return NULL;
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (span_equal(span_trim(span_of(head.at + start, size)),
			       span_of(known[i], strlen(known[i]))))
			return known[i];
	return NULL;
}

static const char *zip_type(const struct sniff *sniff)
{
	unsigned seen = 0;
	bool whole = see_directory(span_of(sniff->tail, sniff->tail_size), &seen);
	const char *type = whole ? office_type(seen) : NULL;
	if (!type)
		type = stored_type(span_of(sniff->head, sniff->head_size));
	return type ? type : "application/zip";
}

/* ---- what is kept ---- */

/* Keeps the end: octets are put behind each other, and when there is no more room the last half
 * moves to the front. */
static void keep_tail(struct sniff *sniff, struct span bytes)
{
	if (bytes.size > LIMIT_SNIFF_TAIL)
		bytes = span_after(bytes, bytes.size - LIMIT_SNIFF_TAIL);
	if (bytes.size > sizeof sniff->tail - sniff->tail_size) {
		size_t kept = LIMIT_SNIFF_TAIL;
		memmove(sniff->tail, sniff->tail + sniff->tail_size - kept, kept);
		sniff->tail_size = kept;
	}
	memcpy(sniff->tail + sniff->tail_size, bytes.at, bytes.size);
	sniff->tail_size += bytes.size;
}

void sniff_add(struct sniff *sniff, struct span bytes)
{
	size_t room = sizeof sniff->head - sniff->head_size;
	struct span first = span_first(bytes, room);
	if (first.size > 0)
		memcpy(sniff->head + sniff->head_size, first.at, first.size);
	sniff->head_size += first.size;
	sniff->size += bytes.size;
	if (bytes.size > 0 && starts(span_of(sniff->head, sniff->head_size), zip_member))
		keep_tail(sniff, bytes);
}

/* ---- the answer ---- */

/* What libmagic says where it has no idea, or only that it is text. */
static bool says_little(const char *type)
{
	return strcmp(type, "application/octet-stream") == 0 || strcmp(type, "text/plain") == 0;
}

/* What starts like this is not a PDF, even if it has one in it: other programs would open it as
 * what it starts with. */
static const struct {
	struct span start;
	const char *type;
} not_pdf[] = {
	{ { "<", 1 }, "text/html" },
	{ { "MZ", 2 }, "application/x-dosexec" },
	{ { "#!", 2 }, "text/x-shellscript" },
	{ { "\x7f"
	    "ELF",
	    4 },
	  "application/x-executable" },
	{ { "L\0\0\0", 4 }, "application/x-ms-shortcut" },
	{ { "\xd0\xcf\x11\xe0", 4 }, "application/x-ole-storage" },
	{ { "PK", 2 }, "application/octet-stream" },
	{ { "Rar!", 4 }, "application/x-rar" },
	{ { "7z\xbc\xaf", 4 }, "application/x-7z-compressed" },
	{ { "MSCF", 4 }, "application/vnd.ms-cab-compressed" },
};

/* The type of what starts like something else; NULL: nothing of that. */
static const char *starts_otherwise(struct span head)
{
	if (starts(head, SPAN("\xef\xbb\xbf")))
		head = span_after(head, 3);
	struct span text = span_trim_left(head);
	for (size_t i = 0; i < sizeof not_pdf / sizeof not_pdf[0]; i++)
		if (starts(i == 0 ? text : head, not_pdf[i].start))
			return not_pdf[i].type;
	return NULL;
}

/* Has it octets that no text has? UTF-16 and UTF-32 with their mark have some and are text. */
static bool is_binary(struct span head)
{
	if (starts(head, SPAN("\xff\xfe")) || starts(head, SPAN("\xfe\xff")) ||
	    starts(head, SPAN("\0\0\xfe\xff")))
		return false;
	for (size_t i = 0; i < head.size; i++) {
		uint8_t octet = (uint8_t)head.at[i];
		if (octet < 8 || (octet > 13 && octet < 32 && octet != 27))
			return true;
	}
	return false;
}

/* libmagic puts two answers behind each other without anything between them (image/jpegimage/jpeg):
 * the first counts. */
static size_t first_answer(const char *type)
{
	static const char *const mains[] = { "application/", "audio/", "font/", "image/",
					     "message/",     "model/", "text/", "video/" };
	size_t size = strlen(type);
	for (size_t i = 0; i < sizeof mains / sizeof mains[0]; i++) {
		const char *again = size > 0 ? strstr(type + 1, mains[i]) : NULL;
		if (again && (size_t)(again - type) < size)
			size = (size_t)(again - type);
	}
	return size;
}

/* libmagic's word, where it can be believed: `MZ` and NULs are text to it, a PDF behind 300 octets
 * of junk too, and a PDF behind a page of HTML is a PDF. */
static const char *by_magic(struct span head)
{
	const char *type = magic ? magic_buffer(magic, head.at, head.size) : NULL;
	if (!type || !strchr(type, '/'))
		type = "application/octet-stream";
	const char *otherwise = starts_otherwise(head);
	bool pdf = strcmp(type, "application/pdf") == 0;
	bool has_pdf = memmem(head.at, head.size < 1024 ? head.size : 1024, "%PDF-", 5) != NULL;
	if (otherwise && (pdf || (has_pdf && says_little(type))))
		return otherwise;
	if (has_pdf && says_little(type))
		return "application/pdf";
	bool binary = strncmp(type, "text/", 5) == 0 && is_binary(head);
	return !binary ? type : otherwise ? otherwise : "application/octet-stream";
}

/* Text of which the bytes leave open what kind it is. To libmagic a log that begins with `Date:` is
 * a mail, one that begins with `P1 ` a picture, and a very short one nothing. */
static const char *const open_types[] = {
	"text/plain",
	"application/octet-stream",
	"message/rfc822",
	"message/news",
	"image/x-portable-bitmap",
	"image/x-portable-greymap",
	"image/x-portable-pixmap",
};

static bool is_open(const char *type)
{
	for (size_t i = 0; i < sizeof open_types / sizeof open_types[0]; i++)
		if (strcmp(type, open_types[i]) == 0)
			return true;
	return false;
}

/* Is it text, whatever libmagic says? A Ctrl-Z ends it where it is the last octet of all. */
static bool is_text(const struct sniff *sniff, const char *type)
{
	struct span head = span_of(sniff->head, sniff->head_size);
	bool doubt = strcmp(type, "application/octet-stream") == 0;
	if (head.size == sniff->size && head.at[head.size - 1] == 26)
		head.size--;
	return !is_binary(head) && !(doubt && !span_is_utf8(head));
}

/* The kind of text that the mail says, where it is a text. */
static const char *by_word(const struct sniff *sniff, const char *type)
{
	if (sniff->said == SNIFF_NOTHING || !is_open(type) || !is_text(sniff, type))
		return type;
	return sniff->said == SNIFF_CSV ? "text/csv" : "text/plain";
}

void sniff_type(const struct sniff *sniff, char type_out[FRAME_TYPE_MAX])
{
	struct span head = span_of(sniff->head, sniff->head_size);
	const char *type = "application/x-empty";
	if (starts(head, zip_member))
		type = zip_type(sniff);
	else if (head.size > 0)
		type = by_signature(head);
	if (!type)
		type = by_word(sniff, by_magic(head));
	size_t size = first_answer(type), i = 0;
	for (; i < size && i < FRAME_TYPE_MAX - 1; i++)
		type_out[i] = span_lower(type[i]);
	memset(type_out + i, 0, FRAME_TYPE_MAX - i);
}
