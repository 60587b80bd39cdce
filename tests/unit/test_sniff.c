/* test_sniff.c: what bytes are. Needs libmagic's database, as the program does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include "extract/sniff.h"

static struct sniff sniff;

static const char *type_of(struct span bytes, size_t step)
{
	static char type[FRAME_TYPE_MAX];
	sniff_init(&sniff);
	while (bytes.size > 0) {
		struct span piece = span_first(bytes, step);
		sniff_add(&sniff, piece);
		bytes = span_after(bytes, piece.size);
	}
	sniff_type(&sniff, type);
	return type;
}

/* What the mail says about a text, and what comes of it. */
static void said(void **state)
{
	static const struct {
		const char *declared, *name, *bytes, *type;
	} texts[] = {
		{ "text/plain", "", "Date: 06/07/2024\r\nTime: 09:30\r\n", "text/plain" },
		{ "application/octet-stream", "Event.LOG", "From: x\r\nfoo\r\n", "text/plain" },
		{ "text/plain", "a.eml", "From: x\r\nfoo\r\n", "message/rfc822" },
		{ "message/rfc822", "", "From: x\r\nfoo\r\n", "message/rfc822" },
		{ "text/plain", "", "P1 on battery\r\nP2 ok\r\n", "text/plain" },
		{ "image/x-portable-bitmap", "", "P1 on battery\r\n", "image/x-portable-bitmap" },
		{ "text/plain", "", "x", "text/plain" },
		{ "application/octet-stream", "", "x", "application/octet-stream" },
		{ "text/plain", "", "The end.\r\n\x1a", "text/plain" },
		{ "text/plain", "", "The\x1a end.\r\n", "application/octet-stream" },
		{ "text/plain", "", "\xff", "application/octet-stream" },
		{ "text/plain", "", "\xff\xd8\xff", "application/octet-stream" },
		{ "text/plain", "", "<html><body>", "text/html" },
		{ "text/plain", "", "%PDF-1.4\n", "application/pdf" },
		{ "text/plain", "", "", "application/x-empty" },
		{ "text/csv", "", "a,b\r\n1,2\r\n", "text/csv" },
		{ "text/plain", "x.csv", "a;b\r\n1;2\r\n3;4\r\n", "text/csv" },
		{ "text/csv", "x.txt", "a;b\r\n1;2\r\n3;4\r\n", "text/plain" },
		{ "text/csv", "x.csv", "%PDF-1.4\n", "application/pdf" },
		{ "text/csv", "x.csv", "\x01\x02", "application/octet-stream" },
	};
	char type[FRAME_TYPE_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		sniff_init(&sniff);
		sniff_expect(&sniff, span_of(texts[i].declared, strlen(texts[i].declared)),
			     span_of(texts[i].name, strlen(texts[i].name)));
		sniff_add(&sniff, span_of(texts[i].bytes, strlen(texts[i].bytes)));
		sniff_type(&sniff, type);
		if (strcmp(type, texts[i].type) != 0)
			fail_msg("%s, %s, %s: %s", texts[i].declared, texts[i].name, texts[i].bytes,
				 type);
	}
}

/* Rows of bytes that need no file: the start is repeated text, NULs or nothing. */
static const struct {
	const char *cause;
	size_t before; /* octets of `fill` first */
	char fill;
	const char *bytes;
	size_t size;
	const char *type;
} rows[] = {
	{ "nothing", 0, 0, "", 0, "application/x-empty" },
	{ "a PDF", 0, 0, "%PDF-1.4\n", 9, "application/pdf" },
	{ "a PDF behind a line end", 0, 0, "\r\n%PDF-1.4\n", 11, "application/pdf" },
	{ "a PDF behind 300 octets of text", 300, 'x', "%PDF-1.4\n", 9, "application/pdf" },
	{ "a PDF behind 1000 NULs", 1000, 0, "%PDF-1.4\n", 9, "application/pdf" },
	{ "a PDF behind too much", 1020, 'x', "%PDF-1.4\n", 9, "text/plain" },
	{ "a PDF behind HTML", 0, 0, "<html>\n%PDF-1.4\n", 16, "text/html" },
	{ "a PDF behind a mark and HTML", 0, 0, "\xef\xbb\xbf\n <html>\n%PDF-1.4\n", 21,
	  "text/html" },
	{ "a PDF in a program", 0, 0, "MZ\0\0\0\0%PDF-1.4\n", 15, "application/x-dosexec" },
	{ "a PDF in a script", 0, 0, "#!/bin/sh\n%PDF-1.4\n", 19, "text/x-shellscript" },
	{ "a JPEG", 0, 0, "\xff\xd8\xff\xe0\0\x10JFIF", 10, "image/jpeg" },
	{ "three octets of a JPEG", 0, 0, "\xff\xd8\xff", 3, "application/octet-stream" },
	{ "a JPEG that is none", 0, 0, "\xff\xd8\xff\0\0", 5, "application/octet-stream" },
	{ "a JPEG behind a line end", 0, 0, "\r\n\xff\xd8\xff\xe0\0\x10JFIF", 12,
	  "application/octet-stream" },
	{ "a PNG", 0, 0, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16, "image/png" },
	{ "a GIF", 0, 0, "GIF89a", 6, "image/gif" },
	{ "a TIFF", 0, 0, "II*\0\x08\0\0\0", 8, "image/tiff" },
	{ "a film of Sony", 0, 0,
	  "\0\0\0\x1c"
	  "ftypMSNV\1\0\0\0MSNVisom",
	  24, "video/mp4" },
	{ "a film in HEVC", 0, 0,
	  "\0\0\0\x1c"
	  "ftyphvc1\0\0\0\0hvc1isom",
	  24, "video/mp4" },
	{ "a film cut in its brand", 0, 0,
	  "\0\0\0\x1c"
	  "ftypMSN",
	  11, "application/octet-stream" },
	{ "text", 0, 0, "Hello, this is a text.\n", 23, "text/plain" },
	{ "text with NUL", 0, 0, "Hello, this is\0a text.\n", 23, "application/octet-stream" },
	{ "MZ and NULs", 0, 0, "MZ\0\0\0\0\0\0\0\0\0\0", 12, "application/x-dosexec" },
	{ "UTF-16 with its mark", 0, 0,
	  "\xff\xfe"
	  "a\0b\0c\0\n\0",
	  10, "text/plain" },
	{ "UTF-16, the other way round", 0, 0, "\xfe\xff\0a\0b\0c\0\n", 10, "text/plain" },
	{ "UTF-32 with its mark", 0, 0, "\0\0\xfe\xff\0\0\0a", 8, "text/plain" },
	{ "a JPEG cut behind its start", 0, 0, "\xff\xd8\xff\xff", 4, "application/octet-stream" },
	{ "a script that libmagic knows", 0, 0, "#!/bin/sh\nexit 0\n", 17, "text/x-shellscript" },
	{ "a shell script with a NUL", 0, 0, "#!/bin/sh\n\0\n", 12, "text/x-shellscript" },
	{ "anything", 0, 0, "\x01\x02\x03\x04\x05\x06\xfe\xdc", 8, "application/octet-stream" },
};

static void bytes(void **state)
{
	static char all[2048];
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		memset(all, rows[i].fill, rows[i].before);
		memcpy(all + rows[i].before, rows[i].bytes, rows[i].size);
		for (size_t step = 1; step < 5000; step *= 70) {
			const char *type =
				type_of(span_of(all, rows[i].before + rows[i].size), step);
			if (strcmp(type, rows[i].type) != 0)
				fail_msg("%s, step %zu: %s", rows[i].cause, step, type);
		}
	}
}

/* ---- zip files ---- */

static char zip[1 << 20];

static size_t put_number(size_t at, size_t value, size_t octets)
{
	for (size_t i = 0; i < octets; i++, value >>= 8)
		zip[at + i] = (char)value;
	return at + octets;
}

static size_t put_bytes(size_t at, const char *bytes, size_t size)
{
	memcpy(zip + at, bytes, size);
	return at + size;
}

/* A zip file of the members (joined by blanks), each with `content`; `padding` octets before the
 * directory. */
static struct span make_zip(const char *members, const char *content, size_t padding)
{
	static char entries[1 << 19];
	size_t at = 0, directory = 0, count = 0;
	for (const char *name = members; *name; count++) {
		size_t size = strcspn(name, " ");
		memset(zip + at, 0, 30);
		put_bytes(at, "PK\3\4", 4);
		put_number(at + 18, strlen(content), 4);
		put_number(at + 22, strlen(content), 4);
		put_number(at + 26, size, 2);
		at = put_bytes(put_bytes(at + 30, name, size), content, strlen(content));
		memset(entries + directory, 0, 46);
		memcpy(entries + directory, "PK\1\2", 4);
		entries[directory + 28] = (char)size;
		memcpy(entries + directory + 46, name, size);
		directory += 46 + size;
		name += size + strspn(name + size, " ");
	}
	memset(zip + at, 'x', padding);
	at = put_bytes(at + padding, entries, directory);
	memset(zip + at, 0, 22);
	put_bytes(at, "PK\5\6", 4);
	put_number(at + 10, count, 2);
	put_number(at + 12, directory, 4);
	return span_of(zip, at + 22);
}

#define OOXML "application/vnd.openxmlformats-officedocument."

static const struct {
	const char *cause, *members, *content;
	size_t padding;
	const char *type;
} zips[] = {
	{ "docx", "[Content_Types].xml _rels/.rels word/document.xml", "x", 0,
	  OOXML "wordprocessingml.document" },
	{ "docx, directory far behind",
	  "docProps/app.xml customXml/a customXml/b word/document.xml [Content_Types].xml", "x",
	  700000, OOXML "wordprocessingml.document" },
	{ "xlsx", "[Content_Types].xml xl/workbook.xml", "x", 0, OOXML "spreadsheetml.sheet" },
	{ "pptx", "[Content_Types].xml ppt/presentation.xml", "x", 0,
	  OOXML "presentationml.presentation" },
	{ "docm", "[Content_Types].xml word/document.xml word/vbaProject.bin", "x", 0,
	  "application/vnd.ms-word.document.macroenabled.12" },
	{ "xlsm", "[Content_Types].xml xl/workbook.xml xl/VBAPROJECT.bin", "x", 0,
	  "application/vnd.ms-excel.sheet.macroenabled.12" },
	{ "pptm", "[Content_Types].xml ppt/a ppt/vbaProject.bin", "x", 0,
	  "application/vnd.ms-powerpoint.presentation.macroenabled.12" },
	{ "two kinds at once", "[Content_Types].xml word/a xl/b", "x", 0, "application/zip" },
	{ "no content types", "word/document.xml", "x", 0, "application/zip" },
	{ "a zip", "a.txt b.exe", "x", 0, "application/zip" },
	{ "odt", "mimetype content.xml", "application/vnd.oasis.opendocument.text", 0,
	  "application/vnd.oasis.opendocument.text" },
	{ "epub", "mimetype content.xml", "application/epub+zip", 0, "application/epub+zip" },
	{ "a mimetype of another kind", "mimetype a", "text/html", 0, "application/zip" },
	{ "mimetype is not first", "a mimetype", "application/epub+zip", 0, "application/zip" },
};

static void zip_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof zips / sizeof zips[0]; i++) {
		struct span file = make_zip(zips[i].members, zips[i].content, zips[i].padding);
		for (size_t step = 1000; step < 1 << 21; step *= 37) {
			const char *type = type_of(file, step);
			if (strcmp(type, zips[i].type) != 0)
				fail_msg("%s, step %zu: %s", zips[i].cause, step, type);
		}
	}
}

/* A directory that does not hold together is none. */
static void broken_directories(void **state)
{
	static const struct {
		size_t back; /* octets from the end */
		char value;
		const char *type;
	} breaks[] = {
		{ 10, 1, "application/zip" },        /* the directory is said to be shorter */
		{ 9, 0x7f, "application/zip" },      /* ... or longer than all there is */
		{ 2, 1, "application/zip" },         /* a comment that is not there */
		{ 85 - 32, 100, "application/zip" }, /* the last entry claims a long comment */
		{ 84, 'x', "application/zip" },      /* ... is none */
		{ 26, 'x', OOXML "wordprocessingml.document" }, /* the last letter of a name */
	};
	(void)state;
	for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
		struct span file = make_zip("[Content_Types].xml word/document.xml", "x", 0);
		zip[file.size - breaks[i].back] = breaks[i].value;
		assert_string_equal(type_of(file, 1000), breaks[i].type);
	}
	/* a comment behind the end */
	struct span file = make_zip("[Content_Types].xml word/document.xml", "x", 0);
	zip[file.size - 2] = 3;
	memcpy(zip + file.size, "abc", 3);
	assert_string_equal(type_of(span_of(zip, file.size + 3), 1000),
			    OOXML "wordprocessingml.document");
}

/* Every octet cut off and every octet of the end changed: never more than a zip file. */
static void damaged_zips(void **state)
{
	struct span file = make_zip("[Content_Types].xml word/document.xml", "x", 0);
	(void)state;
	for (size_t size = 4; size < file.size; size++)
		assert_string_equal(type_of(span_first(file, size), 1000), "application/zip");
	for (size_t i = 0; i < 12; i++) {
		size_t at = file.size - 22 + i;
		char was = zip[at];
		zip[at] = (char)(was + 1);
		type_of(file, 1000); /* read within bounds: the sanitizer looks on */
		zip[at] = was;
	}
	assert_string_equal(type_of(span_first(SPAN("PK\3\4"), 4), 1000), "application/zip");
}

static void no_database(void **state)
{
	char why[200];
	(void)state;
	sniff_done();
	assert_string_equal(type_of(SPAN("anything"), 10), "application/octet-stream");
	assert_int_equal(sniff_prepare("/nonexistent", why), -ENOENT);
	assert_true(strlen(why) > 0);
	sniff_done();
}

static int prepare(void **state)
{
	char why[200];
	(void)state;
	if (sniff_prepare("/usr/share/misc/magic.mgc", why) != 0)
		return -1;
	sniff_warm_up();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),        cmocka_unit_test(said),
		cmocka_unit_test(zip_files),    cmocka_unit_test(broken_directories),
		cmocka_unit_test(damaged_zips), cmocka_unit_test(no_database),
	};
	return cmocka_run_group_tests(tests, prepare, NULL);
}
