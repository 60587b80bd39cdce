/* rules_keys.c: the table of the policy's keys, one row each, and how their values are read. Never
 * looks at more than one key. */
#include "policy/rules_keys.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "policy/value.h"

#define ITEM_MAX     256 /* octets of one item of a list, its NUL included */
#define NETWORKS_MAX 16  /* that one item of a list may stand for */

static bool fail_value(struct rules *rules, const struct rules_key *key, const char *value,
		       const char *expected)
{
	return rules_fail(rules, "`%s = %.60s`, expected %s", key->key, value, expected);
}

/* --- values ----------------------------------------------------------------------------------- */

static bool set_size(struct rules *rules, const struct rules_key *key, void *field,
		     const char *value)
{
	uint64_t size = 0;
	if (!value_size(value, &size))
		return fail_value(rules, key, value, "a size such as 500k, 50M or 1G");
	if (size < key->minimum || size > key->maximum)
		return rules_fail(rules, "`%s = %.60s`, expected from %llu to %llu octets",
				  key->key, value, (unsigned long long)key->minimum,
				  (unsigned long long)key->maximum);
	*(uint64_t *)field = size;
	return true;
}

static bool set_small_size(struct rules *rules, const struct rules_key *key, void *field,
			   const char *value)
{
	uint64_t size = 0;
	if (!set_size(rules, key, &size, value))
		return false;
	*(uint32_t *)field = (uint32_t)size;
	return true;
}

static bool set_count(struct rules *rules, const struct rules_key *key, void *field,
		      const char *value)
{
	uint64_t number = 0;
	if (!value_number(value, key->minimum, key->maximum, &number))
		return rules_fail(rules, "`%s = %.60s`, expected a number from %llu to %llu",
				  key->key, value, (unsigned long long)key->minimum,
				  (unsigned long long)key->maximum);
	*(uint32_t *)field = (uint32_t)number;
	return true;
}

static bool set_id(struct rules *rules, const struct rules_key *key, void *field, const char *value)
{
	uint64_t id = RULES_UNSET;
	if (*value && !value_number(value, 0, RULES_UNSET - 1, &id))
		return fail_value(rules, key, value, "a name or number that this machine knows");
	*(uint32_t *)field = (uint32_t)id;
	return true;
}

static bool set_mode(struct rules *rules, const struct rules_key *key, void *field,
		     const char *value)
{
	uint32_t mode = RULES_UNSET;
	if (*value && (!value_mode(value, &mode) || mode > key->maximum))
		return rules_fail(rules,
				  "`%s = %.60s`, expected an octal number such as %s, at most 0%o",
				  key->key, value, *key->preset ? key->preset : "0640",
				  (unsigned)key->maximum);
	*(uint32_t *)field = mode;
	return true;
}

static bool set_path(struct rules *rules, const struct rules_key *key, void *field,
		     const char *value)
{
	if (*value != '/')
		return fail_value(rules, key, value, "the path of a folder, such as /srv/scans");
	*(const char **)field = rules_keep_text(rules, value);
	return *(const char **)field != NULL;
}

static bool set_choice(struct rules *rules, const struct rules_key *key, void *field,
		       const char *value)
{
	int word = value_word(value, key->words);
	char expected[80] = "";
	for (size_t i = 0; word < 0 && key->words[i]; i++)
		snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s%s",
			 i ? " or " : "", key->words[i]);
	if (word < 0)
		return fail_value(rules, key, value, expected);
	*(unsigned *)field = (unsigned)word;
	return true;
}

static bool set_accept(struct rules *rules, const struct rules_key *key, void *field,
		       const char *value)
{
	unsigned word = 0;
	if (!set_choice(rules, key, &word, value))
		return false;
	*(bool *)field = word == 1;
	return true;
}

static bool set_template(struct rules *rules, const struct rules_key *key, struct template *field,
			 const char *value, enum template_kind kind)
{
	char error[TEMPLATE_ERROR_MAX];
	struct template parsed;
	if (!template_parse(value, kind, &parsed, error))
		return rules_fail(rules, "`%s` %s", key->key, error);
	template_done(field);
	*field = parsed;
	return true;
}

static bool set_folder(struct rules *rules, const struct rules_key *key, void *field,
		       const char *value)
{
	return set_template(rules, key, field, value, TEMPLATE_FOLDER);
}

static bool set_name(struct rules *rules, const struct rules_key *key, void *field,
		     const char *value)
{
	return set_template(rules, key, field, value, TEMPLATE_NAME);
}

/* The route's own: empty means the share's. */
static bool set_route_name(struct rules *rules, const struct rules_key *key, void *field,
			   const char *value)
{
	return !*value || set_name(rules, key, field, value);
}

static bool set_later(struct rules *rules, const struct rules_key *key, void *field,
		      const char *value)
{
	(void)field;
	return !*value ||
	       rules_fail(rules, "`%s` is not available in this version, expected no such key",
			  key->key);
}

static bool set_text(struct rules *rules, const struct rules_key *key, void *field,
		     const char *value)
{
	(void)key;
	*(const char **)field = rules_keep_text(rules, value);
	return *(const char **)field != NULL;
}

/* --- lists ------------------------------------------------------------------------------------ */

/* One item of a list; `list` belongs to the setter. */
typedef bool add_item(struct rules *rules, const struct rules_key *key, void *list,
		      const char *item);

static bool each_item(struct rules *rules, const struct rules_key *key, const char *value,
		      add_item *add, void *list)
{
	char item[ITEM_MAX];
	bool fits = true;
	for (const char *cursor = value; value_next(&cursor, item, sizeof item, &fits);) {
		if (!fits)
			return rules_fail(
				rules, "`%s` has an item of more than %d octets, expected shorter",
				key->key, ITEM_MAX - 1);
		if (!add(rules, key, list, item))
			return false;
	}
	return true;
}

/* Items of a list; at least as many as there will be. */
static size_t count_items(const char *value)
{
	size_t count = 1;
	for (; *value; value++)
		count += *value == ',';
	return count;
}

static bool add_glob(struct rules *rules, const struct rules_key *key, void *list, const char *item)
{
	struct glob_list *globs = list;
	const char *pattern = rules_keep_text(rules, item);
	(void)key;
	globs->globs[globs->count++].pattern = pattern;
	return pattern != NULL;
}

static bool set_globs(struct rules *rules, const struct rules_key *key, void *field,
		      const char *value)
{
	struct glob_list list = { rules_keep(rules, count_items(value) * sizeof(struct glob)), 0 };
	if (!list.globs || !each_item(rules, key, value, add_glob, &list))
		return false;
	*(struct glob_list *)field = list;
	return true;
}

bool rules_keep_globs(struct rules *rules, const char *text, struct glob_list *list_out)
{
	static const struct rules_key addresses = { .key = "addresses" };
	return set_globs(rules, &addresses, list_out, text);
}

/* A subject is one glob: commas are part of it. */
static bool set_subject(struct rules *rules, const struct rules_key *key, void *field,
			const char *value)
{
	struct rules_route *route = &rules->routes[rules->routes_count - 1];
	struct glob *glob = field;
	(void)key;
	glob->pattern = rules_keep_text(rules, *value ? value : "*");
	route->has_subject = *value != '\0';
	return glob->pattern != NULL;
}

static bool add_network(struct rules *rules, const struct rules_key *key, void *list,
			const char *item)
{
	struct network_list *networks = list;
	size_t count = network_parse(item, networks->networks + networks->count, NETWORKS_MAX);
	networks->count += count;
	return count > 0 ||
	       rules_fail(
		       rules,
		       "`%s` has `%.60s`, expected a network without bits beyond its prefix, like "
		       "10.0.0.0/8 or fd00::/8, or private or loopback",
		       key->key, item);
}

static bool set_networks(struct rules *rules, const struct rules_key *key, void *field,
			 const char *value)
{
	struct network_list list = {
		rules_keep(rules, count_items(value) * NETWORKS_MAX * sizeof(struct network)), 0
	};
	if (!list.networks || !each_item(rules, key, value, add_network, &list))
		return false;
	*(struct network_list *)field = list;
	return true;
}

enum { PROOF_NONE = 1 << 8 }; /* `none` was said */

static bool add_proof(struct rules *rules, const struct rules_key *key, void *list,
		      const char *item)
{
	static const struct proof {
		const char *word;
		unsigned proof;
	} proofs[] = { { "none", PROOF_NONE },
		       { "peer", PROOF_PEER },
		       { "login", PROOF_LOGIN },
		       { "results", PROOF_RESULTS },
		       { "dkim", PROOF_DKIM } };
	for (size_t i = 0; i < sizeof proofs / sizeof *proofs; i++) {
		if (strcasecmp(item, proofs[i].word) != 0)
			continue;
		*(unsigned *)list |= proofs[i].proof;
		return true;
	}
	return fail_value(rules, key, item, "none, peer, login, results or dkim");
}

static bool set_auth(struct rules *rules, const struct rules_key *key, void *field,
		     const char *value)
{
	unsigned proofs = 0;
	if (!each_item(rules, key, value, add_proof, &proofs))
		return false;
	if (proofs & PROOF_NONE && proofs != PROOF_NONE)
		return fail_value(rules, key, value, "none alone, or proofs any of which will do");
	*(unsigned *)field = proofs & ~(unsigned)PROOF_NONE;
	return true;
}

/* The type that a word nearly names, or one of whose endings it is; NULL: none. */
static const char *nearest_type(const char *word)
{
	size_t count = 0;
	const struct filetype *types = filetype_table(&count);
	char dotted[ITEM_MAX + 1];
	snprintf(dotted, sizeof dotted, ".%s", word);
	for (size_t i = 0; i < count; i++)
		if (filetype_agrees(&types[i], dotted))
			return types[i].name;
	for (size_t i = 0; i < count; i++)
		if (value_distance(word, types[i].name, 1) == 1)
			return types[i].name;
	return NULL;
}

static bool add_type(struct rules *rules, const struct rules_key *key, void *list, const char *item)
{
	uint64_t set = 0;
	const char *nearest = nearest_type(item + (*item == '.'));
	if (filetype_set(item, &set)) {
		*(uint64_t *)list |= set;
		return true;
	}
	if (nearest)
		return rules_fail(rules, "`%s` has `%.60s`, did you mean `%s`?", key->key, item,
				  nearest);
	return fail_value(rules, key, item,
			  "names of types such as pdf, jpeg or docx (letterchute explain --types)");
}

static bool set_types(struct rules *rules, const struct rules_key *key, void *field,
		      const char *value)
{
	uint64_t types = 0;
	if (!each_item(rules, key, value, add_type, &types))
		return false;
	if (!types)
		return fail_value(rules, key, value, "names of types such as pdf, or any");
	*(uint64_t *)field = types;
	return true;
}

/* --- ACL text --------------------------------------------------------------------------------- */

/* rwx in any order, each once, - where one is missing: three characters (acl(5)). */
static bool acl_rights(const char *rights)
{
	unsigned seen = 0;
	if (strlen(rights) != 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		const char *letter = strchr("rwx", rights[i]);
		unsigned bit = letter ? 1u << *letter % 32 : 0;
		if ((!letter && rights[i] != '-') || seen & bit)
			return false;
		seen |= bit;
	}
	return true;
}

/* `u:NAME:rwx`, `group::r--`, `m::rwx`, `mask:rwx`, `o::---`. Cuts `entry` up. */
static bool acl_entry(char *entry)
{
	static const char *const named[] = { "u", "user", "g", "group", NULL };
	static const char *const nameless[] = { "m", "mask", "o", "other", NULL };
	char *tag = strsep(&entry, ":");
	char *name = strsep(&entry, ":");
	if (value_word(tag, nameless) >= 0 && name)
		return entry ? !*name && acl_rights(entry) : acl_rights(name);
	return value_word(tag, named) >= 0 && entry && !strpbrk(name, " \t") && acl_rights(entry);
}

static bool check_acl(struct rules *rules, const struct rules_key *key, void *list,
		      const char *item)
{
	char entry[ITEM_MAX];
	(void)list;
	strcpy(entry, item);
	return acl_entry(entry) ||
	       rules_fail(rules,
			  "`%s` has `%.60s`, expected POSIX ACL text such as u:scans:rw-, o::---",
			  key->key, item);
}

static bool set_acl(struct rules *rules, const struct rules_key *key, void *field,
		    const char *value)
{
	if (!each_item(rules, key, value, check_acl, NULL))
		return false;
	*(const char **)field = rules_keep_text(rules, value);
	return *(const char **)field != NULL;
}

/* --- the table -------------------------------------------------------------------------------- */

#define KILO ((uint64_t)1024)
#define MEGA (KILO * KILO)
#define TERA (MEGA * MEGA)

static const char *const inline_words[] = { "skip", "keep", NULL };
static const char *const bad_part_words[] = { "refuse", "skip", "quarantine", NULL };
static const char *const align_words[] = { "strict", "relaxed", NULL };
static const char *const no_parts_words[] = { "refuse", "accept", NULL };
static const char *const body_words[] = { "none", "text", "eml", "json", NULL };

#define LIMITS(field)     offsetof(struct rules_limits, field)
#define SHARE(field)      offsetof(struct rules_share, field)
#define ROUTE(field)      offsetof(struct rules_route, field)
#define BOUNDS(low, high) low, high, NULL
#define FREE              0, 0, NULL
#define WORDS(words)      0, 0, words

/* section, key, kind, preset, help; setter, field, bounds or words */
static const struct rules_key keys[] = {
	{ "limits", "message", "size", "100M", "octets of a whole message", set_size,
	  LIMITS(message_bytes), BOUNDS(1, TERA) },
	{ "limits", "part", "size", "50M", "octets of one part, decoded", set_size,
	  LIMITS(part_bytes), BOUNDS(1, TERA) },
	{ "limits", "parts", "number", "500", "parts of one message, its text included", set_count,
	  LIMITS(parts), BOUNDS(1, 10000) },
	{ "limits", "depth", "number", "30", "multiparts and mails inside each other", set_count,
	  LIMITS(depth), BOUNDS(1, 200) },
	{ "limits", "header", "size", "256k", "octets of one header", set_small_size,
	  LIMITS(header_bytes), BOUNDS(KILO, MEGA) },

	{ "share", "path", "path", NULL, "the folder that files appear in", set_path, SHARE(path),
	  FREE },
	{ "share", "owner", "user", "", "who owns new files; empty: whoever the gateway runs as",
	  set_id, SHARE(owner), FREE },
	{ "share", "group", "group", "", "the group of new files; empty: as the folder gives it",
	  set_id, SHARE(group), FREE },
	{ "share", "mode", "mode", "0640", "of new files; empty: as the folder gives it", set_mode,
	  SHARE(mode), BOUNDS(0, 0777) },
	{ "share", "folder_mode", "mode", "2770", "of folders that are made", set_mode,
	  SHARE(folder_mode), BOUNDS(0, 03777) },
	{ "share", "acl", "ACL", "", "POSIX ACL text; empty: the folder's default ACL", set_acl,
	  SHARE(acl), FREE },
	{ "share", "name", "template", "{received:%Y-%m-%d_%H%M%S}_{name}",
	  "how files are called, without ending", set_name, SHARE(file_name), FREE },
	{ "share", "free_floor", "size", "1G", "below this much free space the answer is \"later\"",
	  set_size, SHARE(free_floor), BOUNDS(0, TERA) },

	{ "route", "source", "names", "", "sources that may use this route; empty: any", set_globs,
	  ROUTE(sources), FREE },
	{ "route", "peers", "networks", "", "networks that may use it; empty: any", set_networks,
	  ROUTE(peers), FREE },
	{ "route", "to", "globs", "", "recipients of the envelope, or To and Cc; empty: any",
	  set_globs, ROUTE(to), FREE },
	{ "route", "from", "globs", "",
	  "the one address of From, or the envelope sender; empty: any", set_globs, ROUTE(from),
	  FREE },
	{ "route", "login", "globs", "", "names that logged in; empty: any", set_globs,
	  ROUTE(logins), FREE },
	{ "route", "subject", "glob", "", "the Subject; empty: any", set_subject, ROUTE(subject),
	  FREE },
	{ "route", "auth", "proofs", "none",
	  "what proves the sender, any of: none, peer, login, results, dkim", set_auth, ROUTE(auth),
	  FREE },
	{ "route", "align", "choice", "strict",
	  "whose signature is a proof `dkim`: strict, of the domain of From; relaxed, of its owner's",
	  set_choice, ROUTE(align), WORDS(align_words) },
	{ "route", "share", "name", "", "of a [share NAME]; empty: [share]", set_text,
	  ROUTE(share_name), FREE },
	{ "route", "types", "types", "pdf, jpeg, png, tiff", "file types by content, or any",
	  set_types, ROUTE(types), FREE },
	{ "route", "names", "globs", "", "on the sender's file name; empty: any", set_globs,
	  ROUTE(names), FREE },
	{ "route", "not_names", "globs", "", "file names that are not taken", set_globs,
	  ROUTE(not_names), FREE },
	{ "route", "part_min", "size", "0", "smaller files are not taken", set_size,
	  ROUTE(part_min), BOUNDS(0, TERA) },
	{ "route", "part_max", "size", "50M", "larger files are not taken", set_size,
	  ROUTE(part_max), BOUNDS(1, TERA) },
	{ "route", "inline", "choice", "skip", "pictures that an HTML text shows: skip or keep",
	  set_choice, ROUTE(inline_pictures), WORDS(inline_words) },
	{ "route", "bad_part", "choice", "refuse",
	  "a file that is not taken: refuse the message, skip or quarantine the file", set_choice,
	  ROUTE(bad_part), WORDS(bad_part_words) },
	{ "route", "no_parts", "choice", "refuse",
	  "a message with nothing to store: refuse or accept", set_accept, ROUTE(accept_no_parts),
	  WORDS(no_parts_words) },
	{ "route", "body", "choice", "none",
	  "also store the text, the whole mail (eml) or a description (json)", set_choice,
	  ROUTE(body), WORDS(body_words) },
	{ "route", "folder", "template", "", "below the share, made as needed; empty: the share",
	  set_folder, ROUTE(folder), FREE },
	{ "route", "name", "template", "", "how files are called; empty: as in [share]",
	  set_route_name, ROUTE(file_name), FREE },
	{ "route", "owner", "user", "", "as in [share]", set_id, ROUTE(owner), FREE },
	{ "route", "group", "group", "", "as in [share]", set_id, ROUTE(group), FREE },
	{ "route", "mode", "mode", "", "as in [share]", set_mode, ROUTE(mode), BOUNDS(0, 0777) },
	{ "route", "acl", "ACL", "", "as in [share]", set_acl, ROUTE(acl), FREE },
	{ "route", "keep_days", "number", "", "not in this version", set_later, 0, FREE },
	{ "route", "keep_files", "number", "", "not in this version", set_later, 0, FREE },
	{ "route", "keep_bytes", "size", "", "not in this version", set_later, 0, FREE },
	{ "route", "scan_command", "command", "", "not in this version", set_later, 0, FREE },
	{ "route", "notify", "names", "", "not in this version", set_later, 0, FREE },
};
#define KEYS (sizeof keys / sizeof *keys)
_Static_assert(KEYS <= RULES_KEYS_MAX, "a set of keys is a uint64_t");

const struct rules_key *rules_keys(size_t *count_out)
{
	*count_out = KEYS;
	return keys;
}
