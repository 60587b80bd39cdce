/* test_publish.c: names, numbers, and plans that are published again. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include "daemon/courier/publish.h"
#include "policy/filename.h"
#include "policy/template.h"
#include "tests/unit/place.h"

struct room {
	char path[64];
	int fd, folders_fd, staging_fd;
	struct share share;
	struct publish_share shares[1];
};

static int set_up(void **state)
{
	static struct room room;
	room.fd = place_make(room.path);
	room.folders_fd = place_folder(room.fd, "folders");
	room.share.root_fd = place_folder(room.fd, "share");
	room.staging_fd = place_folder(room.share.root_fd, ".letterchute");
	room.share.base_fd = room.share.staging_fd = room.staging_fd;
	room.shares[0] = (struct publish_share){ &room.share, room.staging_fd };
	*state = &room;
	return 0;
}

static int tear_down(void **state)
{
	struct room *room = *state;
	close(room->folders_fd);
	close(room->staging_fd);
	close(room->share.root_fd);
	place_remove(room->path, room->fd);
	return 0;
}

static struct plan_part part_of(const char *staged, const char *folder, const char *stem)
{
	struct plan_part part = { .staged = (char *)(uintptr_t)staged,
				  .folder = (char *)(uintptr_t)folder,
				  .folder_owner = { RULES_UNSET, RULES_UNSET, 0750 } };
	strcpy(part.name.stem, stem);
	strcpy(part.name.extension, "pdf");
	return part;
}

static int publish(const struct room *room, struct plan_part *parts, size_t count)
{
	struct plan plan = { .parts = parts, .parts_count = count };
	return publish_plan(&plan, PUBLISH_AGAIN, room->shares, room->folders_fd, NULL, NULL);
}

static void test_folders_and_numbers(void **state)
{
	struct room *room = *state;
	static const char *const wanted[] = { "scan.pdf", "scan (2).pdf", "a/b/scan.pdf",
					      "a/b/SCAN (2).pdf" };
	struct plan_part parts[] = { part_of("j.1", "", "scan"), part_of("j.2", "", "scan"),
				     part_of("j.3", "a/b", "scan"), part_of("j.4", "a/b", "SCAN") };
	for (size_t i = 0; i < 4; i++)
		place_file(room->staging_fd, parts[i].staged, "x");
	assert_int_equal(publish(room, parts, 4), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_true(place_has(room->share.root_fd, wanted[i]));
		assert_false(place_has(room->staging_fd, parts[i].staged));
	}
}

/* After a crash: what is gone was published, the rest follows, and nothing comes twice. */
static void test_again(void **state)
{
	struct room *room = *state;
	struct plan_part parts[] = { part_of("j.1", "", "one"), part_of("j.2", "", "two") };
	place_file(room->staging_fd, "j.2", "x");
	place_file(room->share.root_fd, "one.pdf", "published before");
	assert_int_equal(publish(room, parts, 2), 0);
	assert_int_equal(publish(room, parts, 2), 0);
	assert_true(place_has(room->share.root_fd, "two.pdf"));
	assert_false(place_has(room->share.root_fd, "one (2).pdf"));
	assert_false(place_has(room->share.root_fd, "two (2).pdf"));
}

/* Nobody but us can have published what we have just staged. */
static void test_taken_away(void **state)
{
	struct room *room = *state;
	struct plan_part part = part_of("j.1", "", "one");
	struct plan plan = { .parts = &part, .parts_count = 1 };
	assert_int_equal(
		publish_plan(&plan, PUBLISH_FIRST, room->shares, room->folders_fd, NULL, NULL),
		-ENODATA);
	assert_int_equal(publish(room, &part, 1), 0);
}

/* A link was made and the unlink never came. */
static void test_linked_before(void **state)
{
	struct room *room = *state;
	struct plan_part part = part_of("j.1", "", "one");
	place_file(room->staging_fd, "j.1", "x");
	assert_int_equal(
		linkat(room->staging_fd, "j.1", room->share.root_fd, "renamed by a user.pdf", 0),
		0);
	assert_int_equal(publish(room, &part, 1), 0);
	assert_false(place_has(room->share.root_fd, "one.pdf"));
	assert_false(place_has(room->staging_fd, "j.1"));
}

/* A backup made a link of its own elsewhere: that is no publication. */
static void test_linked_elsewhere(void **state)
{
	struct room *room = *state;
	struct plan_part part = part_of("j.1", "", "one");
	place_file(room->staging_fd, "j.1", "x");
	assert_int_equal(linkat(room->staging_fd, "j.1", room->fd, "backup", 0), 0);
	assert_int_equal(publish(room, &part, 1), 0);
	assert_true(place_has(room->share.root_fd, "one.pdf"));
}

static void test_sequence(void **state)
{
	struct room *room = *state;
	char stem[] = { 'n', TEMPLATE_SEQ, '0' + 3, '\0' };
	for (int i = 0; i < 3; i++) {
		struct plan_part part = part_of("j.1", "", stem);
		place_file(room->staging_fd, "j.1", "x");
		assert_int_equal(publish(room, &part, 1), 0);
	}
	assert_true(place_has(room->share.root_fd, "n001.pdf"));
	assert_true(place_has(room->share.root_fd, "n003.pdf"));
	/* the smallest number that is free */
	usleep(20000);
	unlinkat(room->share.root_fd, "n002.pdf", 0);
	struct plan_part part = part_of("j.1", "", stem);
	place_file(room->staging_fd, "j.1", "x");
	assert_int_equal(publish(room, &part, 1), 0);
	assert_true(place_has(room->share.root_fd, "n002.pdf"));
}

static void test_link_in_the_way(void **state)
{
	struct room *room = *state;
	struct plan_part part = part_of("j.1", "a", "one");
	place_file(room->staging_fd, "j.1", "x");
	assert_int_equal(symlinkat("/tmp", room->share.root_fd, "a"), 0);
	assert_true(publish(room, &part, 1) < 0);
	assert_true(place_has(room->staging_fd, "j.1"));
}

static void test_preview(void **state)
{
	struct room *room = *state;
	struct place_name name = { "scan", "pdf" };
	struct folder folder;
	char text[FILENAME_MAX_BYTES + 1];
	place_file(room->share.root_fd, "SCAN.pdf", "");
	assert_int_equal(folder_look(room->share.root_fd, &folder), 0);
	publish_preview(&folder, &name, text);
	assert_string_equal(text, "scan (2).pdf");
	publish_preview(&folder, &name, text);
	assert_string_equal(text, "scan (3).pdf");
	folder_unlock(&folder);
	assert_int_equal(folder_look(-1, &folder), 0);
	for (unsigned i = 1; i <= 3000; i++) {
		char wanted[40];
		snprintf(wanted, sizeof wanted, i > 1 ? "scan (%u).pdf" : "scan.pdf", i);
		publish_preview(&folder, &name, text);
		assert_string_equal(text, wanted);
	}
	folder_unlock(&folder);
}

static void test_probe(void **state)
{
	struct room *room = *state;
	int rung = 0;
	assert_int_equal(publish_probe(room->staging_fd, room->share.root_fd, &rung), 0);
	assert_int_equal(rung, 1);
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_folders_and_numbers),
		TEST(test_again),
		TEST(test_taken_away),
		TEST(test_linked_before),
		TEST(test_linked_elsewhere),
		TEST(test_sequence),
		TEST(test_link_in_the_way),
		TEST(test_preview),
		TEST(test_probe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
