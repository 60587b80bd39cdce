/* config_inner.h: what the files that read a configuration share: config.c, config_keys.c,
 * config_names.c and config_whole.c. Ground of daemon; nobody else includes it. */
#pragma once
#include "daemon/config.h"

/* What sections there are: how they are named, and where their keys go. */
enum section_name { NAME_NEVER, NAME_MAY, NAME_MUST };
enum section_reader { READ_GATEWAY, READ_HTTP, READ_SOURCE, READ_RULES, READ_LATER };

/* An array of sources in struct config: each has a name, and the line of its section. */
struct section_items {
	size_t items, count; /* in struct config */
	size_t size, name, at;
};

struct section_kind {
	const char *section;
	enum section_name name;
	enum section_reader reader;
	struct section_items items;
};

/* The state of one loading: what fails says where, once. */
struct loading {
	struct config *config;
	char *error;   /* CONFIG_ERROR_MAX */
	bool resolved; /* the boss has resolved names already: we are a role */
	const struct section_kind *section;
	void *base; /* what the keys of the section are read into; not for rules */
};

/* Says what is wrong with a line of `ini`. False, always. */
bool config_fail(struct loading *loading, size_t at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same for what the rules found. */
bool config_rules_failed(struct loading *loading, const struct rules_error *error);

/* Another value for a line. False: said. */
bool config_replace(struct loading *loading, size_t at, const char *value);

/* The line of a key in a section without a name; SIZE_MAX: there is none. */
size_t config_line_of(const struct config *config, const char *section, const char *key);

/* --- config_keys.c ---------------------------------------------------------------------------- */

/* NULL: there is none. */
const struct config_key *config_find_key(const char *section, const char *name);

/* The text that the struct owns for a key; NULL: what it has for this one is no text. */
char *config_text(const struct config_key *key, const void *base);

/* A copy of the text in place of what is there. */
bool config_set_text(void *field, const char *value);

/* The value of a key into its field. False: it can't be read. */
bool config_set_key(const struct config_key *key, void *field, const char *value);

/* "a whole number from 1 to 64". */
void config_expect_key(const struct config_key *key, char *text, size_t size);

/* All keys of a section as they are without a line; its texts are freed. */
void config_preset_keys(const char *section, void *base);
void config_free_texts(const char *section, const void *base);

/* --- config_names.c --------------------------------------------------------------------------- */

/* The value of a line, as roles can use it. False: said. */
bool config_resolve_users(struct loading *loading, size_t at);
bool config_resolve_path(struct loading *loading, size_t at);
bool config_resolve_file(struct loading *loading, size_t at);
bool config_resolve_logins(struct loading *loading, size_t at);
/* A line of the rules, whatever its key. */
bool config_resolve_line(struct loading *loading, size_t at);
/* As whom roles run. */
bool config_resolve_identity(struct loading *loading);

/* --- config_whole.c --------------------------------------------------------------------------- */

/* Do all lines together make sense? False: said. */
bool config_check_whole(struct loading *loading);
