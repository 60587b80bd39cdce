/* config.h: the configuration file -> struct config. Ground of daemon; reads its text through
 * ini.h.
 *
 * One table row per key (config_keys, and rules_keys of policy/rules.h for [limits], [share] and
 * [route]). A file is read into a fresh struct and checked as a whole; what is wrong is told as
 * `file:line: what, what is expected`.
 *
 * The boss reads the file. It hands the roles the same text again, resolved (variables expanded,
 * names of users and groups as numbers, paths absolute), in a file in memory: config_write and
 * config_read. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/ini.h"
#include "daemon/jail.h"
#include "policy/rules.h"

enum config_tls { CONFIG_TLS_OFF, CONFIG_TLS_STARTTLS, CONFIG_TLS_REQUIRE, CONFIG_TLS_IMPLICIT };
enum config_line_ends { CONFIG_LINES_STRICT, CONFIG_LINES_LENIENT };

struct config_gateway {
	char *state; /* absolute */
	char *user;  /* a number when it has been looked up */
	uint64_t answer_within_s;
	uint64_t couriers;
	uint64_t hold_bytes;
	uint64_t doubt_keep_s;
	uint64_t quarantine_bytes;
	int sandbox;       /* enum jail_mode */
	char *local_users; /* comma list of user ids */
};

struct config_listener {
	char *name;
	char *listen;              /* comma list of ADDR:PORT */
	struct network_list peers; /* empty: loopback only */
	int line_ends;             /* enum config_line_ends */
	int tls;                   /* enum config_tls */
	uint64_t sessions, sessions_per_peer, idle_s;
	unsigned at;
};

struct config {
	struct config_gateway gateway;
	struct config_listener *listeners;
	size_t listeners_count;
	struct rules rules;
	uint32_t uid, gid; /* of `user`, when started as root; else our own */
	struct ini ini;    /* every key with its place; resolved */
};

#define CONFIG_ERROR_MAX INI_ERROR_MAX

/* Reads a file, or every *.conf of a folder in name order. 0, or 78 (EX_CONFIG) with `error_out`
 * saying `file:line: what, what is expected`. */
int config_load(const char *path, struct config *config_out, char error_out[CONFIG_ERROR_MAX]);

/* The same from text; `name` stands in for the file's name. */
int config_load_text(const char *text, const char *name, struct config *config_out,
		     char error_out[CONFIG_ERROR_MAX]);

/* Writes the resolved text into a file in memory (sealed); 0 or -errno. */
int config_write(const struct config *config, int *fd_out);

/* What a role reads at start; same returns as config_load. */
int config_read(int fd, struct config *config_out, char error_out[CONFIG_ERROR_MAX]);

void config_done(struct config *config);

/* The listener of a name; NULL: none. */
const struct config_listener *config_find_listener(const struct config *config, const char *name);

/* How many couriers there are. With several shares one is in reserve, and there are as many as
 * shares: daemon/courier/seat.h. */
uint64_t config_couriers(const struct config *config);

/* The table, for the manual and the tests. */
enum config_type {
	CONFIG_TEXT,
	CONFIG_PATH, /* made absolute: relative to the configuration's folder */
	CONFIG_SIZE, /* octets */
	CONFIG_SECONDS,
	CONFIG_NUMBER,
	CONFIG_WORD,     /* one of `words` */
	CONFIG_NETWORKS, /* comma list */
	CONFIG_USERS,    /* comma list of users, kept as numbers */
	CONFIG_LATER     /* known, but only its preset is available in this version */
};

struct config_key {
	const char *section, *key;
	enum config_type type;
	const char *preset;
	uint64_t minimum, maximum;
	const char *const *words;
	size_t offset; /* in struct config_gateway or struct config_listener */
	const char *help;
};
const struct config_key *config_keys(size_t *count_out);
