/* test_rules.c: the policy's text, key by key: what it means, what is preset, what is refused and
 * how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "policy/rules.h"
#include "tests/unit/allocations.h"
#include "tests/unit/load_rules.h"

#define SHARE "[share]\npath = /srv\n"

static void load(struct rules *rules, const char *text)
{
	struct rules_error error;
	if (!load_rules(rules, text, &error))
		fail_msg("line %u: %s", error.at, error.text);
}

static const struct filetype *type_of(const char *name)
{
	size_t count = 0;
	return &filetype_table(&count)[filetype_index(name)];
}

static void presets(void **state)
{
	(void)state;
	struct rules rules;
	load(&rules, SHARE "[route all]\n");
	assert_int_equal(rules.limits.message_bytes, 100 << 20);
	assert_int_equal(rules.limits.part_bytes, 50 << 20);
	assert_int_equal(rules.limits.parts, 500);
	assert_int_equal(rules.limits.depth, 30);
	assert_int_equal(rules.limits.header_bytes, 256 << 10);

	const struct rules_share *share = &rules.shares[0];
	assert_int_equal(rules.shares_count, 1);
	assert_string_equal(share->name, "");
	assert_string_equal(share->path, "/srv");
	assert_true(share->owner == RULES_UNSET && share->group == RULES_UNSET);
	assert_int_equal(share->mode, 0640);
	assert_int_equal(share->folder_mode, 02770);
	assert_string_equal(share->acl, "");
	assert_int_equal(share->free_floor, 1 << 30);
	assert_int_equal(share->at, 1);

	const struct rules_route *route = &rules.routes[0];
	assert_int_equal(rules.routes_count, 1);
	assert_string_equal(route->name, "all");
	assert_int_equal(route->sources.count + route->to.count + route->from.count +
				 route->logins.count + route->names.count + route->not_names.count +
				 route->peers.count,
			 0);
	assert_false(route->has_subject);
	assert_true(glob_match(&route->subject, "anything"));
	assert_int_equal(route->auth, 0);
	assert_int_equal(route->share, 0);
	assert_int_equal(route->part_min, 0);
	assert_int_equal(route->part_max, 50 << 20);
	assert_int_equal(route->inline_pictures, RULES_INLINE_SKIP);
	assert_int_equal(route->bad_part, RULES_BAD_REFUSE);
	assert_false(route->accept_no_parts);
	assert_int_equal(route->body, RULES_BODY_NONE);
	assert_int_equal(route->folder.count, 0);
	assert_ptr_equal(route->file_name.pieces, share->file_name.pieces);
	assert_int_equal(route->mode, 0640);
	assert_int_equal(route->at, 3);
	static const char *const taken[] = { "pdf", "jpeg", "png", "tiff" };
	for (size_t i = 0; i < 4; i++)
		assert_true(filetype_in_set(type_of(taken[i]), route->types));
	assert_int_equal(__builtin_popcountll(route->types), 4);
	assert_null(rules.loading);
	rules_done(&rules);
}

static void everything_given(void **state)
{
	(void)state;
	struct rules rules;
	load(&rules, "[limits]\nmessage = 1G\npart = 2k\nparts = 7\ndepth = 5\nheader = 64k\n"
		     "[share]\npath = /srv/a\n"
		     "[share scans]\npath = /srv/b\nowner = 1000\ngroup = 100\nmode = 0664\n"
		     "folder_mode = 0755\nacl = u:7:rw-,group:office:r--\nname = x{n}\n"
		     "free_floor = 0\n"
		     "[route one]\nsource = lan, of*\npeers = 10.0.0.0/8, private\n"
		     "to = a@b, *+x@*\nfrom = *@example.org\nlogin = scan*\nsubject = Hello, *\n"
		     "auth = peer, login\nshare = scans\ntypes = pdf, TEXT\nnames = *.pdf\n"
		     "not_names = logo*, *.exe\npart_min = 1k\npart_max = 3M\ninline = keep\n"
		     "bad_part = quarantine\nno_parts = accept\nbody = json\n"
		     "folder = in/{received:%Y}\nname = {seq}\nowner = 5\ngroup = 6\nmode = 0600\n"
		     "acl = o::---\n"
		     "[route two]\nshare = scans\ntypes = any\n"
		     "[route three]\nshare = scans\nowner =\ngroup =\nmode =\nacl =\nname =\n"
		     "keep_days =\nscan_command =\nnotify =\nauth =\nsubject =\nto =\n");
	assert_int_equal(rules.limits.message_bytes, 1 << 30);
	assert_int_equal(rules.limits.part_bytes, 2048);
	assert_int_equal(rules.limits.parts, 7);
	assert_int_equal(rules.limits.depth, 5);
	assert_int_equal(rules.limits.header_bytes, 65536);
	assert_int_equal(rules.shares_count, 2);
	assert_string_equal(rules.shares[1].name, "scans");
	assert_string_equal(rules.shares[1].path, "/srv/b");

	const struct rules_route *one = &rules.routes[0];
	assert_int_equal(one->sources.count, 2);
	assert_string_equal(one->sources.globs[1].pattern, "of*");
	assert_int_equal(one->peers.count, 7);
	assert_int_equal(one->to.count, 2);
	assert_string_equal(one->to.globs[0].pattern, "a@b");
	assert_string_equal(one->from.globs[0].pattern, "*@example.org");
	assert_string_equal(one->logins.globs[0].pattern, "scan*");
	assert_true(one->has_subject);
	assert_string_equal(one->subject.pattern, "Hello, *");
	assert_int_equal(one->auth, PROOF_PEER | PROOF_LOGIN);
	assert_int_equal(one->share, 1);
	assert_true(filetype_in_set(type_of("csv"), one->types));
	assert_int_equal(__builtin_popcountll(one->types), 3);
	assert_int_equal(one->names.count, 1);
	assert_int_equal(one->not_names.count, 2);
	assert_int_equal(one->part_min, 1024);
	assert_int_equal(one->part_max, 3 << 20);
	assert_int_equal(one->inline_pictures, RULES_INLINE_KEEP);
	assert_int_equal(one->bad_part, RULES_BAD_QUARANTINE);
	assert_true(one->accept_no_parts);
	assert_int_equal(one->body, RULES_BODY_JSON);
	assert_true(template_has_seq(&one->file_name));
	assert_int_equal(one->owner, 5);
	assert_int_equal(one->group, 6);
	assert_int_equal(one->mode, 0600);
	assert_string_equal(one->acl, "o::---");

	const struct rules_route *two = &rules.routes[1];
	assert_int_equal(two->owner, 1000);
	assert_int_equal(two->group, 100);
	assert_int_equal(two->mode, 0664);
	assert_string_equal(two->acl, "u:7:rw-,group:office:r--");
	assert_ptr_equal(two->file_name.pieces, rules.shares[1].file_name.pieces);
	assert_true(filetype_in_set(type_of("other"), two->types));

	const struct rules_route *three = &rules.routes[2];
	assert_true(three->owner == RULES_UNSET && three->group == RULES_UNSET);
	assert_true(three->mode == RULES_UNSET);
	assert_string_equal(three->acl, "");
	assert_ptr_equal(three->file_name.pieces, rules.shares[1].file_name.pieces);
	rules_done(&rules);
	rules_done(&rules);
}

struct fault {
	const char *text;
	unsigned at;
	const char *part_of_error;
};

static void check_faults(const struct fault *faults, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct rules rules;
		struct rules_error error = { 999, "" };
		if (load_rules(&rules, faults[i].text, &error))
			fail_msg("`%s` was taken", faults[i].text);
		if (!strstr(error.text, faults[i].part_of_error) || error.at != faults[i].at)
			fail_msg("`%s`: line %u: %s", faults[i].text, error.at, error.text);
		rules_done(&rules);
	}
}

static void faults_of_sections(void **state)
{
	(void)state;
	static const struct fault faults[] = {
		{ "[route x]\n", 1, "has no share, expected a [share]" },
		{ "[share a]\npath = /srv\n[route x]\n", 3,
		  "expected a [share] or `share = NAME`" },
		{ "[share]\n", 1, "[share] has no `path`, expected a folder" },
		{ SHARE "[share b]\nmode = 0600\n", 3, "[share b] has no `path`" },
		{ SHARE SHARE, 3, "[share] is given twice" },
		{ SHARE "[share a]\n[share a]\n", 4, "[share a] is given twice" },
		{ "[route a]\n[route a]\n", 2, "[route a] is given twice" },
		{ "[limits]\n[limits]\n", 2, "[limits] is given twice" },
		{ "[limits x]\n", 1, "expected [limits]" },
		{ "[route]\n", 1, "expected [route NAME]" },
		{ "[smtp lan]\n", 1, "[smtp] is no section of the policy" },
		{ "path = /srv\n", 1, "stands in no section" },
		{ "[limits x]\n", 1, "there is one for all" },
		{ "[route a/b]\n", 1, "letters, digits" },
		{ "[route a b]\n", 1, "letters, digits" },
		{ "[route "
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\n",
		  1, "at most 63 octets" },
	};
	check_faults(faults, sizeof faults / sizeof *faults);
}

static void faults_of_keys(void **state)
{
	(void)state;
	static const struct fault faults[] = {
		{ SHARE "[route a]\ntype = pdf\n", 4, "did you mean `types`?" },
		{ SHARE "[route a]\npartmax = 1M\n", 4, "did you mean `part_max`?" },
		{ SHARE "[route a]\nform = x\n", 4, "did you mean `from`?" },
		{ SHARE "[route a]\npath = /x\n", 4, "has no key `path`, expected it in [share]" },
		{ SHARE "[route a]\nwhatever = x\n", 4, "expected one that the manual lists" },
		{ SHARE "[route a]\nto\x01 = x\n", 4, "did you mean `to`?" },
		{ SHARE "path = /x\n", 3, "`path` is given twice" },
		{ SHARE "[route a]\nto = x\nfrom = y\nto =\n", 6, "`to` is given twice" },
		{ "[limits]\nparts = 1\nparts = 2\n", 3, "given twice" },
		{ SHARE "[route a]\nkeep_days = 3\n", 4,
		  "`keep_days` is not available in this version" },
		{ SHARE "[route a]\nkeep_files = 3\n", 4, "not available in this version" },
		{ SHARE "[route a]\nkeep_bytes = 3G\n", 4, "not available in this version" },
		{ SHARE "[route a]\nscan_command = clamdscan -\n", 4,
		  "not available in this version" },
		{ SHARE "[route a]\nnotify = phone\n", 4, "not available in this version" },
		{ SHARE "[route a]\nalign = loose\n", 4, "strict" },
	};
	check_faults(faults, sizeof faults / sizeof *faults);
}

static void faults_of_values(void **state)
{
	(void)state;
	static const struct fault faults[] = {
		{ "[limits]\nmessage = 10X\n", 2, "`message = 10X`, expected a size such as" },
		{ "[limits]\nmessage =\n", 2, "expected a size" },
		{ "[limits]\nmessage = 0\n", 2, "from 1 to 1099511627776 octets" },
		{ "[limits]\nheader = 1G\n", 2, "from 1024 to 1048576 octets" },
		{ "[limits]\nheader = x\n", 2, "expected a size" },
		{ "[limits]\nparts = 0\n", 2, "expected a number from 1 to 10000" },
		{ "[limits]\ndepth = 201\n", 2, "expected a number from 1 to 200" },
		{ "[share]\npath = srv\n", 2, "expected the path of a folder" },
		{ "[share]\npath =\n", 2, "expected the path of a folder" },
		{ SHARE "owner = nobody\n", 3, "that this machine knows" },
		{ SHARE "owner = 4294967295\n", 3, "that this machine knows" },
		{ SHARE "group = -1\n", 3, "that this machine knows" },
		{ SHARE "mode = rw\n", 3, "expected an octal number such as 0640" },
		{ SHARE "mode = 1777\n", 3, "at most 0777" },
		{ SHARE "folder_mode = 12770\n", 3, "such as 2770, at most 03777" },
		{ SHARE "folder_mode = 4770\n", 3, "such as 2770, at most 03777" },
		{ SHARE "[route a]\nmode = 9\n", 4, "such as 0640" },
		{ SHARE "acl = rwx\n", 3, "`acl` has `rwx`, expected POSIX ACL text" },
		{ SHARE "name =\n", 3, "`name` is empty" },
		{ SHARE "name = a/b\n", 3, "`name` holds /" },
		{ SHARE "free_floor = lots\n", 3, "expected a size" },
		{ SHARE "[route a]\nfolder = ../x\n", 4, "`folder` holds `..`" },
		{ SHARE "[route a]\nfolder = /x\n", 4, "`folder` begins with /" },
		{ SHARE "[route a]\nname = {foo}\n", 4, "`name` has {foo}" },
		{ SHARE "[route a]\npeers = 10.0.0.1/8\n", 4, "`peers` has `10.0.0.1/8`" },
		{ SHARE "[route a]\npeers = lan\n", 4, "expected a network" },
		{ SHARE "[route a]\nauth = spf\n", 4, "`auth = spf`, expected none, peer" },
		{ SHARE "[route a]\nauth = none, peer\n", 4, "none alone" },
		{ SHARE "[route a]\nauth = peer, NONE\n", 4, "none alone" },
		{ SHARE "[route a]\ntypes =\n", 4, "expected names of types" },
		{ SHARE "[route a]\ntypes = pdf, jpg\n", 4, "has `jpg`, did you mean `jpeg`?" },
		{ SHARE "[route a]\ntypes = .pdf\n", 4, "did you mean `pdf`?" },
		{ SHARE "[route a]\ntypes = application/pdf\n", 4, "explain --types" },
		{ SHARE "[route a]\ntypes = tifff\n", 4, "did you mean `tiff`?" },
		{ SHARE "[route a]\ninline = yes\n", 4, "`inline = yes`, expected skip or keep" },
		{ SHARE "[route a]\nbad_part = x\n", 4, "refuse or skip or quarantine" },
		{ SHARE "[route a]\nno_parts = x\n", 4, "refuse or accept" },
		{ SHARE "[route a]\nbody = x\n", 4, "none or text or eml or json" },
		{ SHARE "[route a]\nbody =\n", 4, "none or text or eml or json" },
		{ SHARE "[route a]\npart_max = 0\n", 4, "expected from 1 to" },
	};
	check_faults(faults, sizeof faults / sizeof *faults);
}

static void faults_of_the_whole(void **state)
{
	(void)state;
	static const struct fault faults[] = {
		{ SHARE "[route a]\nto = x\nshare = scans\n", 5,
		  "`share = scans`, expected the name" },
		{ SHARE "[route a]\nsource = lan, nas\n", 4, "`source` names `nas`" },
		{ SHARE "[route a]\nsource = x*\n", 4, "such as lan" },
		{ SHARE "[route a]\npart_min = 2M\npart_max = 1M\n", 4, "above `part_max`" },
		{ SHARE "[route a]\npart_min = 51M\n", 4, "above `part_max`" },
	};
	check_faults(faults, sizeof faults / sizeof *faults);
}

static void items_too_long(void **state)
{
	(void)state;
	char text[700];
	struct fault fault = { text, 4, "more than 255 octets" };
	snprintf(text, sizeof text, SHARE "[route a]\nto = a, %0256d\n", 1);
	check_faults(&fault, 1);
	struct rules rules;
	snprintf(text, sizeof text, SHARE "[route a]\nto = a, %0255d\n", 1);
	load(&rules, text);
	assert_int_equal(rules.routes[0].to.count, 2);
	rules_done(&rules);
}

static void acls(void **state)
{
	(void)state;
	static const struct {
		const char *acl;
		bool good;
	} rows[] = {
		{ "u::rw-,g::r--,o::---", true },
		{ "user::rw-, group::r--, mask::rwx, other::---", true },
		{ "u:scans:rwx", true },
		{ "u:1000:r-x", true },
		{ "g:Domain-Users:--x", true },
		{ "m:rwx", true },
		{ "o:r--", true },
		{ "U:scans:rwx", true },
		{ "u:scans:xwr", true },
		{ "u:scans:rw", false },
		{ "u:scans:rwxx", false },
		{ "u:scans:rrr", false },
		{ "u:scans:6--", false },
		{ "u:scans", false },
		{ "u", false },
		{ "u:a b:rwx", false },
		{ "u:scans:rwx:x", false },
		{ "d:u:scans:rwx", false },
		{ "default:u:scans:rwx", false },
		{ "m:me:rwx", false },
		{ "o:x", false },
		{ "m::", false },
		{ "m", false },
		{ "x:y:rwx", false },
		{ ":y:rwx", false },
		{ "scans:rwx", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[200];
		struct rules rules;
		struct rules_error error;
		snprintf(text, sizeof text, SHARE "acl = %s\n", rows[i].acl);
		if (load_rules(&rules, text, &error) != rows[i].good)
			fail_msg("`%s`", rows[i].acl);
		rules_done(&rules);
	}
}

static void sources(void **state)
{
	(void)state;
	struct rules rules;
	struct rules_error error;
	char name[16];
	rules_init(&rules);
	assert_false(rules_add_source(&rules, "a b", &error));
	assert_true(rules_add_source(&rules, "lan", &error));
	assert_false(rules_add_source(&rules, "lan", &error));
	assert_non_null(strstr(error.text, "two sources are called `lan`"));
	for (int i = 1; i < 512; i++) {
		snprintf(name, sizeof name, "s%d", i);
		assert_true(rules_add_source(&rules, name, &error));
	}
	assert_false(rules_add_source(&rules, "more", &error));
	rules_done(&rules);
}

static void sources_may_come_later(void **state)
{
	(void)state;
	struct rules rules;
	struct rules_error error;
	rules_init(&rules);
	assert_true(rules_open(&rules, "share", "", 1, &error));
	assert_true(rules_set(&rules, "path", "/srv", 2, &error));
	assert_true(rules_open(&rules, "route", "a", 3, &error));
	assert_true(rules_set(&rules, "source", "drop", 4, &error));
	assert_false(rules_finish(&rules, &error));
	assert_non_null(strstr(error.text, "such as drop"));
	assert_true(rules_add_source(&rules, "drop", &error));
	assert_true(rules_finish(&rules, &error));
	assert_false(rules_finish(&rules, &error));
	rules_done(&rules);
}

static void many_sections(void **state)
{
	(void)state;
	struct rules rules;
	struct rules_error error;
	char name[16];
	rules_init(&rules);
	for (unsigned i = 0; i < RULES_SHARES_MAX; i++) {
		snprintf(name, sizeof name, "s%u", i);
		assert_true(rules_open(&rules, "share", name, i, &error));
		assert_true(rules_set(&rules, "path", "/srv", i, &error));
	}
	assert_false(rules_open(&rules, "share", "more", 7, &error));
	for (unsigned i = 0; i < RULES_ROUTES_MAX; i++) {
		snprintf(name, sizeof name, "r%u", i);
		assert_true(rules_open(&rules, "route", name, i, &error));
		assert_true(rules_set(&rules, "share", "s31", i, &error));
	}
	assert_false(rules_open(&rules, "route", "more", 8, &error));
	assert_int_equal(error.at, 8);
	assert_true(rules_finish(&rules, &error));
	assert_int_equal(rules.routes[RULES_ROUTES_MAX - 1].share, 31);
	rules_done(&rules);
}

/* After a failed rules_open no key finds a section. */
static void keys_after_a_bad_section(void **state)
{
	(void)state;
	struct rules rules;
	struct rules_error error;
	rules_init(&rules);
	assert_false(rules_open(&rules, "nonsense", "", 1, &error));
	assert_false(rules_set(&rules, "path", "/srv", 2, &error));
	rules_done(&rules);
}

static void errors_are_printable(void **state)
{
	(void)state;
	struct rules rules;
	struct rules_error error;
	rules_init(&rules);
	assert_true(rules_open(&rules, "route", "a", 1, &error));
	assert_false(rules_set(&rules, "body", "a\nb\x1b[31m\x7f", 2, &error));
	for (const char *next = error.text; *next; next++)
		assert_true((unsigned char)*next >= ' ' && *next != 0x7f);
	rules_done(&rules);
}

/* The table is what the manual is made from: every key once, every preset a value that is taken. */
static void the_table_is_sound(void **state)
{
	(void)state;
	size_t count = 0;
	const struct rules_key *keys = rules_keys(&count);
	for (size_t i = 0; i < count; i++) {
		struct rules rules;
		struct rules_error error;
		const char *name = strcmp(keys[i].section, "route") == 0 ? "a" : "";
		assert_true(*keys[i].help && *keys[i].kind);
		for (size_t j = 0; j < i; j++)
			assert_false(strcmp(keys[i].section, keys[j].section) == 0 &&
				     strcmp(keys[i].key, keys[j].key) == 0);
		if (!keys[i].preset)
			continue;
		rules_init(&rules);
		assert_true(rules_open(&rules, keys[i].section, name, 1, &error));
		if (!rules_set(&rules, keys[i].key, keys[i].preset, 2, &error))
			fail_msg("[%s] %s: %s", keys[i].section, keys[i].key, error.text);
		rules_done(&rules);
	}
}

/* All keys that the manual of the interface lists for these sections. */
static void the_table_is_complete(void **state)
{
	(void)state;
	static const char *const listed[] = {
		"limits message",     "limits part",       "limits parts",     "limits depth",
		"limits header",      "share path",        "share owner",      "share group",
		"share mode",         "share folder_mode", "share acl",        "share name",
		"share free_floor",   "route source",      "route peers",      "route to",
		"route from",         "route login",       "route subject",    "route auth",
		"route align",        "route share",       "route types",      "route names",
		"route not_names",    "route part_min",    "route part_max",   "route inline",
		"route bad_part",     "route no_parts",    "route body",       "route folder",
		"route name",         "route owner",       "route group",      "route mode",
		"route acl",          "route keep_days",   "route keep_files", "route keep_bytes",
		"route scan_command", "route notify",
	};
	size_t count = 0;
	const struct rules_key *keys = rules_keys(&count);
	assert_int_equal(count, sizeof listed / sizeof *listed);
	for (size_t i = 0; i < count; i++) {
		char key[64];
		snprintf(key, sizeof key, "%s %s", keys[i].section, keys[i].key);
		assert_string_equal(key, listed[i]);
	}
}

/* Every allocation fails in turn: it is said, and nothing is left over. */
static void no_memory(void **state)
{
	(void)state;
	bool loaded = false;
	allocations_start();
	for (unsigned long n = 1; allocations_can_fail && !loaded; n++) {
		struct rules rules;
		struct rules_error error = { 0, "" };
		allocations = 0;
		allocation_to_fail = n;
		loaded = load_rules(&rules,
				    "[limits]\n[share]\npath = /srv\nacl = u:1:rwx\nname = a{n}\n"
				    "[route a]\nto = a, b\npeers = private\nsubject = x\n"
				    "folder = x{subject}\nname = {name}\n",
				    &error);
		allocation_to_fail = 0;
		rules_done(&rules);
		if (!loaded && !strstr(error.text, "out of memory"))
			fail_msg("allocation %lu: %s", n, error.text);
		assert_true(n < 1000);
	}
}

static void done_takes_nothing(void **state)
{
	(void)state;
	struct rules rules = { .shares = NULL };
	struct rules_error error = { 0, "" };
	rules_done(&rules);
	assert_false(rules_open(&rules, "limits", "", 3, &error));
	assert_string_equal(error.text, "out of memory");
	assert_int_equal(error.at, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presets),
		cmocka_unit_test(everything_given),
		cmocka_unit_test(faults_of_sections),
		cmocka_unit_test(faults_of_keys),
		cmocka_unit_test(faults_of_values),
		cmocka_unit_test(faults_of_the_whole),
		cmocka_unit_test(items_too_long),
		cmocka_unit_test(acls),
		cmocka_unit_test(sources),
		cmocka_unit_test(sources_may_come_later),
		cmocka_unit_test(many_sections),
		cmocka_unit_test(keys_after_a_bad_section),
		cmocka_unit_test(errors_are_printable),
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(the_table_is_complete),
		cmocka_unit_test(no_memory),
		cmocka_unit_test(done_takes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
