/* rules.c: the text of the policy, section by section, into struct rules, and what the whole must
 * fulfil. Never reads a file, never guesses, and never allocates once the rules are finished. */
#include "policy/rules_keys.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "policy/value.h"

#define SOURCES_MAX 512

/* Memory that lives until rules_done. */
struct rules_block {
	struct rules_block *next;
	max_align_t data[];
};

enum section { SECTION_NONE, SECTION_LIMITS, SECTION_SHARE, SECTION_ROUTE };

/* What is only known while loading: for the open section which keys came, and where. */
struct given {
	unsigned at[RULES_KEYS_MAX];
	uint64_t keys; /* bit i: row i of the table */
};

struct rules_loading {
	struct rules_error *error;
	unsigned at;
	enum section section;
	bool limits_came;
	struct given limits;
	struct given shares[RULES_SHARES_MAX];
	struct given routes[RULES_ROUTES_MAX];
	const char *sources[SOURCES_MAX];
	size_t sources_count;
};

/* --- errors and memory ------------------------------------------------------------------------ */

bool rules_fail(struct rules *rules, const char *format, ...)
{
	struct rules_error *error = rules->loading->error;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	error->at = rules->loading->at;
	for (char *next = error->text; *next; next++)
		if ((unsigned char)*next < ' ' || *next == 0x7f)
			*next = '?';
	return false;
}

/* Every call begins here: where an error would go. False: there is no memory, not even for that. */
static bool enter(struct rules *rules, unsigned at, struct rules_error *error_out)
{
	if (!rules->loading) {
		*error_out = (struct rules_error){ at, "out of memory" };
		return false;
	}
	rules->loading->error = error_out;
	rules->loading->at = at;
	return true;
}

void *rules_keep(struct rules *rules, size_t size)
{
	struct rules_block *block = calloc(1, sizeof *block + size);
	if (!block) {
		rules_fail(rules, "out of memory");
		return NULL;
	}
	block->next = rules->blocks;
	rules->blocks = block;
	return block->data;
}

const char *rules_keep_text(struct rules *rules, const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = rules_keep(rules, size);
	return copy ? memcpy(copy, text, size) : NULL;
}

static const char *const section_names[] = {
	[SECTION_NONE] = "",
	[SECTION_LIMITS] = "limits",
	[SECTION_SHARE] = "share",
	[SECTION_ROUTE] = "route",
};

/* The struct that the keys of a section are written into. */
static void *section_base(struct rules *rules, enum section section)
{
	if (section == SECTION_LIMITS)
		return &rules->limits;
	if (section == SECTION_SHARE)
		return &rules->shares[rules->shares_count - 1];
	return &rules->routes[rules->routes_count - 1];
}

static struct given *section_given(struct rules *rules)
{
	struct rules_loading *loading = rules->loading;
	if (loading->section == SECTION_LIMITS)
		return &loading->limits;
	if (loading->section == SECTION_SHARE)
		return &loading->shares[rules->shares_count - 1];
	return &loading->routes[rules->routes_count - 1];
}

static bool set_key(struct rules *rules, const struct rules_key *key, enum section section,
		    const char *value)
{
	return key->set(rules, key, (char *)section_base(rules, section) + key->offset, value);
}

static bool set_presets(struct rules *rules, enum section section)
{
	size_t count = 0;
	const struct rules_key *keys = rules_keys(&count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(keys[i].section, section_names[section]) == 0 && keys[i].preset &&
		    !set_key(rules, &keys[i], section, keys[i].preset))
			return false;
	return true;
}

/* --- sections --------------------------------------------------------------------------------- */

void rules_init(struct rules *rules)
{
	struct rules_error error;
	*rules = (struct rules){ .shares = NULL };
	rules->loading = calloc(1, sizeof *rules->loading);
	bool good = !enter(rules, 0, &error) || set_presets(rules, SECTION_LIMITS);
	assert(good);
}

/* Names enter log lines, paths and lists: `..` is a folder, and what begins with a dot is hidden.
 */
static bool check_name(struct rules *rules, const char *what, const char *name)
{
	static const char fit[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	if (strlen(name) > RULES_NAME_MAX)
		return rules_fail(rules,
				  "the %s `%.60s…` has a long name, expected at most %d octets",
				  what, name, RULES_NAME_MAX);
	if (*name == '.')
		return rules_fail(
			rules, "the %s `%.60s` begins with a dot, expected a letter or digit first",
			what, name);
	return !name[strspn(name, fit)] ||
	       rules_fail(rules, "the %s `%.60s`, expected a name of letters, digits, - _ and .",
			  what, name);
}

bool rules_add_source(struct rules *rules, const char *name, struct rules_error *error_out)
{
	if (!enter(rules, 0, error_out))
		return false;
	struct rules_loading *loading = rules->loading;
	if (!check_name(rules, "source", name))
		return false;
	for (size_t i = 0; i < loading->sources_count; i++)
		if (strcmp(loading->sources[i], name) == 0)
			return rules_fail(rules,
					  "two sources are called `%s`, expected different names",
					  name);
	if (loading->sources_count == SOURCES_MAX)
		return rules_fail(rules, "more than %d sources, expected fewer", SOURCES_MAX);
	const char *copy = rules_keep_text(rules, name);
	if (copy)
		loading->sources[loading->sources_count++] = copy;
	return copy != NULL;
}

bool rules_add_login(struct rules *rules, const char *source, const char *name,
		     const char *addresses, struct rules_error *error_out)
{
	struct login_list *list = &rules->logins;
	struct login login;
	if (!enter(rules, 0, error_out) || !rules_keep_globs(rules, addresses, &login.addresses))
		return false;
	login.source = rules_keep_text(rules, source);
	login.name = rules_keep_text(rules, name);
	struct login *grown = realloc(list->logins, (list->count + 1) * sizeof *grown);
	if (grown)
		list->logins = grown;
	if (!login.source || !login.name || !grown)
		return rules_fail(rules, "out of memory");
	list->logins[list->count++] = login;
	return true;
}

static bool open_limits(struct rules *rules, const char *name)
{
	if (*name)
		return rules_fail(rules, "[limits %.60s], expected [limits]: there is one for all",
				  name);
	if (rules->loading->limits_came)
		return rules_fail(rules, "[limits] is given twice, expected it once");
	rules->loading->limits_came = true;
	return true;
}

/* Room for one more element; NULL: no memory. */
static void *grow(struct rules *rules, void *array, size_t count, size_t size)
{
	char *grown = realloc(array, (count + 1) * size);
	if (!grown) {
		rules_fail(rules, "out of memory");
		return NULL;
	}
	memset(grown + count * size, 0, size);
	return grown;
}

static int find_share(const struct rules *rules, const char *name)
{
	for (size_t i = 0; i < rules->shares_count; i++)
		if (strcmp(rules->shares[i].name, name) == 0)
			return (int)i;
	return -1;
}

static bool has_route(const struct rules *rules, const char *name)
{
	for (size_t i = 0; i < rules->routes_count; i++)
		if (strcmp(rules->routes[i].name, name) == 0)
			return true;
	return false;
}

static bool open_share(struct rules *rules, const char *name)
{
	if (find_share(rules, name) >= 0)
		return rules_fail(rules, "[share%s%.60s] is given twice, expected it once",
				  *name ? " " : "", name);
	if (rules->shares_count == RULES_SHARES_MAX)
		return rules_fail(rules, "more than %d shares, expected fewer", RULES_SHARES_MAX);
	const char *copy = rules_keep_text(rules, name);
	void *grown = copy ? grow(rules, rules->shares, rules->shares_count, sizeof *rules->shares)
			   : NULL;
	if (!grown)
		return false;
	rules->shares = grown;
	struct rules_share *share = &rules->shares[rules->shares_count++];
	share->name = copy;
	share->at = rules->loading->at;
	return set_presets(rules, SECTION_SHARE);
}

static bool open_route(struct rules *rules, const char *name)
{
	if (!*name)
		return rules_fail(rules, "[route] has no name, expected [route NAME]");
	if (has_route(rules, name))
		return rules_fail(rules, "[route %.60s] is given twice, expected it once", name);
	if (rules->routes_count == RULES_ROUTES_MAX)
		return rules_fail(rules, "more than %d routes, expected fewer", RULES_ROUTES_MAX);
	const char *copy = rules_keep_text(rules, name);
	void *grown = copy ? grow(rules, rules->routes, rules->routes_count, sizeof *rules->routes)
			   : NULL;
	if (!grown)
		return false;
	rules->routes = grown;
	struct rules_route *route = &rules->routes[rules->routes_count++];
	route->name = copy;
	route->at = rules->loading->at;
	return set_presets(rules, SECTION_ROUTE);
}

bool rules_open(struct rules *rules, const char *section, const char *name, unsigned at,
		struct rules_error *error_out)
{
	static bool (*const openers[])(struct rules *, const char *) = {
		[SECTION_LIMITS] = open_limits,
		[SECTION_SHARE] = open_share,
		[SECTION_ROUTE] = open_route,
	};
	if (!enter(rules, at, error_out) || !check_name(rules, section, name))
		return false;
	rules->loading->section = SECTION_NONE;
	for (unsigned i = SECTION_LIMITS; i <= SECTION_ROUTE; i++) {
		if (strcmp(section, section_names[i]) != 0)
			continue;
		rules->loading->section = i;
		return openers[i](rules, name);
	}
	return rules_fail(rules,
			  "[%.60s] is no section of the policy, expected limits, share or route",
			  section);
}

/* --- keys ------------------------------------------------------------------------------------- */

/* The row of a key; -1: none. */
static int find_key(const char *section, const char *key)
{
	size_t count = 0;
	const struct rules_key *keys = rules_keys(&count);
	for (size_t i = 0; i < count; i++)
		if (strcmp(keys[i].key, key) == 0 && strcmp(keys[i].section, section) == 0)
			return (int)i;
	return -1;
}

static const char *nearest_key(const char *section, const char *key)
{
	size_t count = 0;
	const struct rules_key *keys = rules_keys(&count);
	const char *nearest = NULL;
	unsigned distance = 3;
	for (size_t i = 0; i < count; i++) {
		unsigned other = value_distance(key, keys[i].key, 2);
		if (other >= distance || strcmp(keys[i].section, section) != 0)
			continue;
		nearest = keys[i].key;
		distance = other;
	}
	return nearest;
}

static bool fail_unknown(struct rules *rules, const char *section, const char *key)
{
	const char *nearest = nearest_key(section, key);
	for (unsigned i = SECTION_LIMITS; i <= SECTION_ROUTE; i++)
		if (find_key(section_names[i], key) >= 0)
			return rules_fail(rules, "[%s] has no key `%s`, expected it in [%s]",
					  section, key, section_names[i]);
	if (nearest)
		return rules_fail(rules, "[%s] has no key `%.60s`, did you mean `%s`?", section,
				  key, nearest);
	return rules_fail(rules, "[%s] has no key `%.60s`, expected one that the manual lists",
			  section, key);
}

bool rules_set(struct rules *rules, const char *key, const char *value, unsigned at,
	       struct rules_error *error_out)
{
	size_t count = 0;
	if (!enter(rules, at, error_out))
		return false;
	enum section section = rules->loading->section;
	if (section == SECTION_NONE)
		return rules_fail(rules,
				  "`%.60s` stands in no section, expected [share] or another", key);
	int row = find_key(section_names[section], key);
	if (row < 0)
		return fail_unknown(rules, section_names[section], key);
	struct given *given = section_given(rules);
	if (given->keys >> row & 1)
		return rules_fail(rules, "`%s` is given twice, expected it once", key);
	given->keys |= (uint64_t)1 << row;
	given->at[row] = at;
	return set_key(rules, &rules_keys(&count)[row], section, value);
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool was_given(const struct rules *rules, size_t route, const char *key)
{
	return rules->loading->routes[route].keys >> find_key("route", key) & 1;
}

/* A fault lies where the key is, or else where its route begins. */
static void look_at(struct rules *rules, size_t route, const char *key)
{
	rules->loading->at = was_given(rules, route, key)
				     ? rules->loading->routes[route].at[find_key("route", key)]
				     : rules->routes[route].at;
}

static bool is_known_source(const struct rules *rules, const struct glob *glob)
{
	for (size_t i = 0; i < rules->loading->sources_count; i++)
		if (glob_match(glob, rules->loading->sources[i]))
			return true;
	return false;
}

static bool check_sources(struct rules *rules, size_t route)
{
	const struct glob_list *sources = &rules->routes[route].sources;
	look_at(rules, route, "source");
	for (size_t i = 0; i < sources->count; i++)
		if (!is_known_source(rules, &sources->globs[i]))
			return rules_fail(
				rules,
				"`source` names `%.60s`, expected a source that is defined, such "
				"as %s",
				sources->globs[i].pattern,
				rules->loading->sources_count ? rules->loading->sources[0]
							      : "drop");
	return true;
}

static bool find_route_share(struct rules *rules, size_t route)
{
	const char *name = rules->routes[route].share_name;
	int share = find_share(rules, name);
	look_at(rules, route, "share");
	if (share < 0 && *name)
		return rules_fail(rules, "`share = %.60s`, expected the name of a [share NAME]",
				  name);
	if (share < 0)
		return rules_fail(rules,
				  "[route %s] has no share, expected a [share] or `share = NAME`",
				  rules->routes[route].name);
	rules->routes[route].share = (uint16_t)share;
	return true;
}

/* What the route does not say is as in its share. */
static void inherit(struct rules *rules, size_t index)
{
	struct rules_route *route = &rules->routes[index];
	const struct rules_share *share = &rules->shares[route->share];
	route->owner = was_given(rules, index, "owner") ? route->owner : share->owner;
	route->group = was_given(rules, index, "group") ? route->group : share->group;
	route->mode = was_given(rules, index, "mode") ? route->mode : share->mode;
	route->acl = was_given(rules, index, "acl") ? route->acl : share->acl;
	route->file_name = route->file_name.pieces ? route->file_name : share->file_name;
}

static bool check_sizes(struct rules *rules, size_t index)
{
	const struct rules_route *route = &rules->routes[index];
	look_at(rules, index, "part_min");
	return route->part_min <= route->part_max ||
	       rules_fail(rules, "`part_min` is above `part_max`, expected less");
}

static bool finish_route(struct rules *rules, size_t index)
{
	return check_sources(rules, index) && find_route_share(rules, index) &&
	       check_sizes(rules, index);
}

static bool check_shares(struct rules *rules)
{
	for (size_t i = 0; i < rules->shares_count; i++) {
		const struct rules_share *share = &rules->shares[i];
		rules->loading->at = share->at;
		if (!share->path)
			return rules_fail(
				rules,
				"[share%s%s] has no `path`, expected a folder such as /srv/scans",
				*share->name ? " " : "", share->name);
	}
	return true;
}

bool rules_finish(struct rules *rules, struct rules_error *error_out)
{
	if (!enter(rules, 0, error_out) || !check_shares(rules))
		return false;
	for (size_t i = 0; i < rules->routes_count; i++)
		if (!finish_route(rules, i))
			return false;
	for (size_t i = 0; i < rules->routes_count; i++)
		inherit(rules, i);
	free(rules->loading);
	rules->loading = NULL;
	return true;
}

/* A route's template may be its share's. */
static bool is_share_template(const struct rules *rules, const struct template *template)
{
	for (size_t i = 0; i < rules->shares_count; i++)
		if (rules->shares[i].file_name.pieces == template->pieces)
			return true;
	return false;
}

void rules_done(struct rules *rules)
{
	for (size_t i = 0; i < rules->routes_count; i++) {
		template_done(&rules->routes[i].folder);
		if (!is_share_template(rules, &rules->routes[i].file_name))
			template_done(&rules->routes[i].file_name);
	}
	for (size_t i = 0; i < rules->shares_count; i++)
		template_done(&rules->shares[i].file_name);
	for (struct rules_block *block = rules->blocks, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	free(rules->shares);
	free(rules->routes);
	free(rules->logins.logins);
	free(rules->loading);
	*rules = (struct rules){ .shares = NULL };
}
