/* test_filetype.c: the table of types is sound, and says of each type what users expect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "policy/filetype.h"

static void classes_of_types(void **state)
{
	(void)state;
	static const struct {
		const char *mime, *name, *extension;
	} rows[] = {
		{ "application/pdf", "pdf", "pdf" },
		{ "Application/PDF", "pdf", "pdf" },
		{ "image/jpeg", "jpeg", "jpg" },
		{ "image/png", "png", "png" },
		{ "image/tiff", "tiff", "tif" },
		{ "image/heif", "heic", "heic" },
		{ "image/svg+xml", "svg", "svg" },
		{ "text/plain", "text", "txt" },
		{ "text/csv", "csv", "csv" },
		{ "text/rtf", "rtf", "rtf" },
		{ "message/rfc822", "eml", "eml" },
		{ "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx",
		  "docx" },
		{ "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx",
		  "xlsx" },
		{ "application/vnd.ms-word.document.macroenabled.12", "docm", "docm" },
		{ "application/vnd.oasis.opendocument.text", "odt", "odt" },
		{ "application/x-ole-storage", "ole", "ole" },
		{ "application/CDFV2", "ole", "ole" },
		{ "application/vnd.ms-outlook", "msg", "msg" },
		{ "application/vnd.ms-tnef", "tnef", "dat" },
		{ "video/quicktime", "mov", "mov" },
		{ "audio/x-wav", "wav", "wav" },
		{ "audio/amr", "amr", "amr" },
		{ "application/postscript", "ps", "ps" },
		{ "application/x-dosexec", "exe", "exe" },
		{ "application/x-empty", "other", "bin" },
		{ "application/octet-stream", "other", "bin" },
		{ "text/x-shellscript", "other", "bin" },
		{ "image/", "other", "bin" },
		{ "", "other", "bin" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct filetype *type = filetype_of_mime(rows[i].mime);
		assert_string_equal(type->name, rows[i].name);
		assert_string_equal(type->extension, rows[i].extension);
	}
}

/* Every class that a person at home or in an office may name. */
static void names_exist(void **state)
{
	(void)state;
	static const char *const names[] = {
		"pdf", "jpeg", "png",  "tiff", "gif",  "bmp", "webp", "heic", "jxl",   "avif",
		"svg", "text", "csv",  "html", "rtf",  "xml", "json", "eml",  "docx",  "xlsx",
		"odt", "pptx", "docm", "xlsm", "pptm", "ods", "odp",  "doc",  "xls",   "ppt",
		"msg", "zip",  "gz",   "7z",   "rar",  "tar", "mp4",  "mov",  "avi",   "mkv",
		"mp3", "wav",  "ogg",  "amr",  "ps",   "eps", "exe",  "dwg",  "other",
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_true(filetype_index(names[i]) >= 0);
	assert_int_equal(filetype_index("PDF"), filetype_index("pdf"));
	assert_int_equal(filetype_index("any"), -1);
	assert_int_equal(filetype_index("jpg"), -1);
	assert_int_equal(filetype_index(""), -1);
}

static bool list_has(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

static void the_table_is_sound(void **state)
{
	(void)state;
	size_t count = 0;
	const struct filetype *types = filetype_table(&count);
	assert_true(count <= FILETYPE_MAX);
	assert_string_equal(types[count - 1].name, "other");
	for (size_t i = 0; i < count; i++) {
		const struct filetype *type = &types[i];
		assert_int_equal(filetype_index(type->name), i);
		assert_true(list_has(type->endings, type->extension));
		assert_in_range(strlen(type->extension), 1, 15);
		assert_true(strlen(type->help) > 0);
		for (size_t j = 0; type->mimes[j]; j++) {
			const char *mime = type->mimes[j];
			assert_ptr_equal(filetype_of_mime(mime), type);
			assert_non_null(strchr(mime, '/'));
			assert_int_equal(strspn(mime, "abcdefghijklmnopqrstuvwxyz0123456789/.+-"),
					 strlen(mime));
		}
		for (size_t j = 0; type->endings[j]; j++)
			assert_true(filetype_is_ending(type->endings[j]));
	}
}

static void sets(void **state)
{
	(void)state;
	uint64_t set = 5;
	assert_false(filetype_set("nothing", &set));
	assert_int_equal(set, 5);
	assert_true(filetype_set("pdf", &set));
	assert_true(filetype_in_set(filetype_of_mime("application/pdf"), set));
	assert_false(filetype_in_set(filetype_of_mime("image/png"), set));
	assert_true(filetype_set("text", &set));
	assert_true(filetype_in_set(filetype_of_mime("text/csv"), set));
	assert_true(filetype_in_set(filetype_of_mime("text/plain"), set));
	assert_false(filetype_in_set(filetype_of_mime("text/html"), set));
	assert_true(filetype_set("csv", &set));
	assert_false(filetype_in_set(filetype_of_mime("text/plain"), set));
	assert_true(filetype_set("ANY", &set));
	assert_true(filetype_in_set(filetype_of_mime("application/x-empty"), set));
}

static void endings(void **state)
{
	(void)state;
	static const struct {
		const char *mime, *name;
		bool agrees;
	} rows[] = {
		{ "application/pdf", "scan.pdf", true },
		{ "application/pdf", "SCAN.PDF", true },
		{ "application/pdf", "scan.pdf.exe", false },
		{ "application/pdf", "scan", false },
		{ "application/pdf", "pdf", false },
		{ "application/pdf", "scan.", false },
		{ "image/jpeg", "a.b.jpeg", true },
		{ "image/jpeg", "a.jfif", true },
		{ "image/tiff", "fax.tiff", true },
		{ "application/x-empty", "a.pdf", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(filetype_agrees(filetype_of_mime(rows[i].mime), rows[i].name),
				 rows[i].agrees);
	assert_true(filetype_is_ending("JPEG"));
	assert_false(filetype_is_ending("Meier"));
	assert_false(filetype_is_ending(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_of_types),
		cmocka_unit_test(names_exist),
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(sets),
		cmocka_unit_test(endings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
