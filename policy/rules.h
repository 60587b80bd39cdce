/* rules.h: the text of the policy -> struct rules. Room policy: pure; allocates while loading,
 * never after.
 *
 * The caller (daemon/config.h) has read the file: it hands over [limits], [share …] and [route …]
 * key by key, in order, with names of users and groups already turned into numbers, relative paths
 * made absolute and variables expanded. Every fault is told as text "what, what is expected"
 * together with the `at` of the key it lies in, which the caller turns into file and line. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "policy/filetype.h"
#include "policy/sender.h"
#include "policy/template.h"

#define RULES_ERROR_MAX  200
#define RULES_SHARES_MAX 32
#define RULES_ROUTES_MAX 512
#define RULES_NAME_MAX   63 /* octets of the name of a share, route or source */
/* an owner, group or mode that is not configured: as the destination folder gives it */
#define RULES_UNSET UINT32_MAX

enum rules_inline { RULES_INLINE_SKIP, RULES_INLINE_KEEP };
enum rules_bad_part { RULES_BAD_REFUSE, RULES_BAD_SKIP, RULES_BAD_QUARANTINE };
enum rules_align { RULES_ALIGN_STRICT, RULES_ALIGN_RELAXED };
enum rules_body { RULES_BODY_NONE, RULES_BODY_TEXT, RULES_BODY_EML, RULES_BODY_JSON };

struct rules_limits {
	uint64_t message_bytes, part_bytes;
	uint32_t parts, depth, header_bytes;
};

struct rules_share {
	const char *name;      /* "" for [share] */
	const char *path;      /* absolute */
	uint32_t owner, group; /* RULES_UNSET: as inherited */
	uint32_t mode, folder_mode;
	const char *acl; /* POSIX ACL text; "": inherit */
	struct template file_name;
	uint64_t free_floor; /* octets */
	unsigned at;
};

struct rules_route {
	const char *name;
	struct glob_list sources, to, from, logins, names, not_names;
	struct glob subject; /* matches anything where not configured */
	bool has_subject;
	struct network_list peers; /* empty: any */
	unsigned auth;             /* PROOF_… any of which will do; 0: none asked */
	enum rules_align align;    /* what a signer for `dkim` may be */
	const char *share_name;    /* as `share` says; "": the unnamed one */
	uint16_t share;            /* index into shares */
	uint64_t types;            /* a set of classes (filetype.h) */
	uint64_t part_min, part_max;
	enum rules_inline inline_pictures;
	enum rules_bad_part bad_part;
	bool accept_no_parts;
	enum rules_body body;
	struct template folder;      /* may hold several components */
	struct template file_name;   /* the share's where not configured */
	uint32_t owner, group, mode; /* the share's where not configured */
	const char *acl;
	unsigned at;
};

struct rules {
	struct rules_limits limits;
	struct rules_share *shares;
	size_t shares_count;
	struct rules_route *routes;
	size_t routes_count;
	struct login_list logins;
	struct rules_block *blocks;    /* internal: what lists and texts lie in */
	struct rules_loading *loading; /* internal, while loading */
};

struct rules_error {
	unsigned at; /* of the key or section at fault */
	char text[RULES_ERROR_MAX];
};

/* Sets the defaults. Every struct rules that went through here goes to rules_done, whatever failed.
 */
void rules_init(struct rules *rules);

/* Says that a source of this name exists: routes may name it. Before rules_finish, in any order. */
bool rules_add_source(struct rules *rules, const char *name, struct rules_error *error_out);

/* Says who can log in at a source: `addresses`, a comma list of globs, as whom he may send; "": see
 * login_may_send. Before rules_finish, in any order. */
bool rules_add_login(struct rules *rules, const char *source, const char *name,
		     const char *addresses, struct rules_error *error_out);

/* Opens a section: "limits", "share" or "route", with its name ("" where it has none). */
bool rules_open(struct rules *rules, const char *section, const char *name, unsigned at,
		struct rules_error *error_out);

/* One key of the section opened last. All texts are copied. */
bool rules_set(struct rules *rules, const char *key, const char *value, unsigned at,
	       struct rules_error *error_out);

/* Checks the whole: names that are not defined, what the combination of keys forbids. `rules` is
 * ready after this. */
bool rules_finish(struct rules *rules, struct rules_error *error_out);

void rules_done(struct rules *rules);

/* One row per key, for `check`, the manual and the tests. */
struct rules_key {
	const char *section, *key;
	const char *kind;   /* of value: "size", "globs" … */
	const char *preset; /* default; "": not set, or as in [share]; NULL: must be given */
	const char *help;

	/* internal */
	bool (*set)(struct rules *rules, const struct rules_key *key, void *field,
		    const char *value);
	size_t offset;             /* of the field in the struct of the section */
	uint64_t minimum, maximum; /* of numbers */
	const char *const *words;  /* of a choice */
};
const struct rules_key *rules_keys(size_t *count_out);
