/* test_plan.c: a plan reads back as it was written, and nothing else reads as a plan. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "daemon/courier/plan.h"

static const char key[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static char one[] = "/srv/scans", other[] = "/srv/my share %41\xC3\xA4", first[] = "0badcafe.1",
	    second[] = "0badcafe.2", root[] = "", deep[] = "in voices/2026";

static struct plan_share shares[] = {
	{ one, "00112233445566778899aabbccddeeff", "1c:6541d0aa.3b9ac9ff" },
	{ other, "ffeeddccbbaa99887766554433221100", "" },
};

static struct plan_part parts[] = {
	{ .staged = first,
	  .share = 0,
	  .folder = root,
	  .folder_owner = { 1, 2, 02770 },
	  .name = { "2026_scan", "pdf" } },
	{ .staged = second,
	  .share = 1,
	  .folder = deep,
	  .folder_owner = { UINT32_MAX, UINT32_MAX, UINT32_MAX },
	  .name = { "scan \x01\x33 100%", "" } },
};

static struct plan make_plan(void)
{
	struct plan plan = { .job = "0badcafe",
			     .clock_s = 77,
			     .doubt = PLAN_DOUBT_SHORT,
			     .shares = shares,
			     .shares_count = 2,
			     .parts = parts,
			     .parts_count = 2 };
	memcpy(plan.key, key, sizeof key);
	return plan;
}

static size_t write_text(char *text, size_t room)
{
	struct plan plan = make_plan();
	int fd = memfd_create("plan", 0);
	assert_int_equal(plan_write(&plan, fd), 0);
	ssize_t size = pread(fd, text, room, 0);
	close(fd);
	assert_true(size > 0 && (size_t)size < room);
	return (size_t)size;
}

static void test_round_trip(void **state)
{
	char text[4096];
	struct plan plan;
	(void)state;
	size_t size = write_text(text, sizeof text);
	assert_true(plan_parse(text, size, &plan));
	assert_string_equal(plan.key, key);
	assert_string_equal(plan.job, "0badcafe");
	assert_int_equal(plan.clock_s, 77);
	assert_int_equal(plan.doubt, PLAN_DOUBT_SHORT);
	assert_int_equal(plan.shares_count, 2);
	assert_int_equal(plan.parts_count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(plan.shares[i].path, shares[i].path);
		assert_string_equal(plan.shares[i].id, shares[i].id);
		assert_string_equal(plan.shares[i].staging, shares[i].staging);
		assert_string_equal(plan.parts[i].staged, parts[i].staged);
		assert_string_equal(plan.parts[i].folder, parts[i].folder);
		assert_string_equal(plan.parts[i].name.stem, parts[i].name.stem);
		assert_string_equal(plan.parts[i].name.extension, parts[i].name.extension);
		assert_int_equal(plan.parts[i].folder_owner.folder_mode,
				 parts[i].folder_owner.folder_mode);
	}
	plan_done(&plan);
}

/* A plan that a power cut tore is no promise: every shorter one, and every changed octet, is told.
 */
static void test_torn(void **state)
{
	char text[4096];
	struct plan plan;
	(void)state;
	size_t size = write_text(text, sizeof text);
	for (size_t cut = 0; cut < size; cut++)
		assert_false(plan_parse(text, cut, &plan));
	for (size_t at = 0; at < size; at++) {
		text[at] ^= 1;
		assert_false(plan_parse(text, size, &plan));
		text[at] ^= 1;
	}
	assert_true(plan_parse(text, size, &plan));
	plan_done(&plan);
}

/* With a right checksum: what a plan may still not say. */
static const struct {
	const char *name, *find, *replace;
} lies[] = {
	{ "a staged name that leaves the folder", "0badcafe.1", "../badcafe" },
	{ "a share that is not there", "part 1 ", "part 2 " },
	{ "a stem with a slash", "2026_scan", "2026/scan" },
	{ "a relative share", " /srv/scans", " %srv/scans" },
	{ "another first line", "letterchute plan 2", "letterchute plan 1" },
	{ "an unknown line", "\npart 0", "\npant 0" },
	{ "a number that is none", "part 0 1 2", "part 0 x 2" },
};

static void test_lies(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
		char text[4096], hex[DIGEST_HEX];
		struct plan plan;
		struct digest digest;
		uint8_t value[DIGEST_SIZE];
		size_t size = write_text(text, sizeof text);
		char *found = memmem(text, size, lies[i].find, strlen(lies[i].find));
		print_message("%s\n", lies[i].name);
		assert_non_null(found);
		memcpy(found, lies[i].replace, strlen(lies[i].replace));
		size_t body = size - (4 + DIGEST_HEX);
		digest_init(&digest);
		digest_add(&digest, text, body);
		digest_end(&digest, value);
		digest_hex(value, hex);
		memcpy(text + body + 4, hex, DIGEST_HEX - 1);
		assert_false(plan_parse(text, size, &plan));
	}
}

/* The longest path there is, none of it ASCII, for every share. */
static void test_long_paths(void **state)
{
	static struct plan_share many[RULES_SHARES_MAX];
	static char path[4096];
	struct plan plan = make_plan(), back;
	(void)state;
	memset(path, 0xe4, sizeof path - 1);
	path[0] = '/';
	for (size_t i = 0; i < RULES_SHARES_MAX; i++) {
		many[i] = shares[0];
		many[i].path = path;
	}
	plan.shares = many;
	plan.shares_count = RULES_SHARES_MAX;
	assert_true(plan_fits(&plan));
	int fd = memfd_create("plan", 0);
	assert_int_equal(plan_write(&plan, fd), 0);
	assert_int_equal(plan_read(fd, &back), 0);
	assert_string_equal(back.shares[RULES_SHARES_MAX - 1].path, path);
	plan_done(&back);
	close(fd);
}

/* What fits can be written and read; what does not is told before it is promised. */
static const struct {
	const char *name;
	size_t parts, folder;
	bool fits;
} sizes[] = {
	{ "many parts", PLAN_PARTS_MAX, 10, true },
	{ "one more", PLAN_PARTS_MAX + 1, 10, false },
	{ "long folders", 8000, 1023, true },
	{ "too much text", 12000, 1023, false },
};

static void test_sizes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		struct plan plan = make_plan(), back;
		char folder[1024] = "";
		memset(folder, 0xe4, sizes[i].folder);
		plan.parts = calloc(sizes[i].parts, sizeof *plan.parts);
		plan.parts_count = sizes[i].parts;
		for (size_t p = 0; p < sizes[i].parts; p++) {
			plan.parts[p] = parts[p % 2];
			plan.parts[p].folder = folder;
		}
		int fd = memfd_create("plan", 0);
		print_message("%s\n", sizes[i].name);
		assert_int_equal(plan_fits(&plan), sizes[i].fits);
		bool read = plan_write(&plan, fd) == 0 && plan_read(fd, &back) == 0;
		assert_int_equal(read, sizes[i].fits);
		if (read)
			plan_done(&back);
		free(plan.parts);
		close(fd);
	}
}

static void test_names(void **state)
{
	char name[PLAN_NAME_SIZE], k[PLAN_KEY_SIZE], job[PLAN_JOB_SIZE], life[PLAN_LIFE_SIZE];
	(void)state;
	plan_name(key, "0badcafe", "0123456789abcdef", name);
	assert_true(plan_name_parse(name, k, job, life));
	assert_string_equal(k, key);
	assert_string_equal(job, "0badcafe");
	assert_string_equal(life, "0123456789abcdef");
	static const char *const wrong[] = {
		"", ".", "..", "x", "0123.0badcafe.0123456789abcdef", ".new"
	};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(plan_name_parse(wrong[i], k, job, life));
	name[strlen(name) - 1] = '\0';
	assert_false(plan_name_parse(name, k, job, life));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_torn),
		cmocka_unit_test(test_lies),       cmocka_unit_test(test_long_paths),
		cmocka_unit_test(test_sizes),      cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
