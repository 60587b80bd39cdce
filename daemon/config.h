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
#include <sys/socket.h>
#include "daemon/ini.h"
#include "daemon/jail.h"
#include "policy/proof.h"
#include "policy/rules.h"

enum config_tls { CONFIG_TLS_OFF, CONFIG_TLS_STARTTLS, CONFIG_TLS_REQUIRE, CONFIG_TLS_IMPLICIT };
enum config_auth { CONFIG_AUTH_OFF, CONFIG_AUTH_OPTIONAL, CONFIG_AUTH_REQUIRE, CONFIG_AUTH_ANY };
enum config_line_ends { CONFIG_LINES_STRICT, CONFIG_LINES_LENIENT };
enum config_imap_tls { CONFIG_IMAP_IMPLICIT, CONFIG_IMAP_STARTTLS, CONFIG_IMAP_OFF };
enum config_oauth {
	CONFIG_OAUTH_NONE,
	CONFIG_OAUTH_GOOGLE,
	CONFIG_OAUTH_MICROSOFT,
	CONFIG_OAUTH_CUSTOM
};
enum config_grant { CONFIG_GRANT_REFRESH, CONFIG_GRANT_CLIENT };
enum config_sasl { CONFIG_SASL_AUTO, CONFIG_SASL_XOAUTH2, CONFIG_SASL_OAUTHBEARER };

/* Who is asked for the keys of signatures. */
enum config_resolver_kind {
	CONFIG_RESOLVER_SYSTEM,
	CONFIG_RESOLVER_NONE, /* only the file of keys counts */
	CONFIG_RESOLVER_ADDRESS
};
struct config_resolver {
	enum config_resolver_kind kind;
	struct sockaddr_storage address; /* of IPv4 or IPv6, with its port */
};

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
	char *dkim_keys, *dkim_resolver;
	struct config_resolver resolver; /* the latter */
};

struct config_listener {
	char *name;
	char *listen;              /* comma list of ADDR:PORT */
	struct network_list peers; /* empty: loopback only */
	int line_ends;             /* enum config_line_ends */
	int tls;                   /* enum config_tls */
	char *tls_cert, *tls_key;  /* absolute; "": a pair of our own, and for the key alone: it is
				      with the certificate */
	int tls_compat;            /* enum tls_compat of daemon/tls_server.h */
	char *users;               /* the file of logins, absolute; "": none. For a role: names and
				      addresses, see resolve_logins */
	bool users_hidden;         /* that file is not for us to read: nobody's login is known */
	int auth;                  /* enum config_auth */
	int plaintext_auth;        /* 1: yes */
	uint64_t sessions, sessions_per_peer, idle_s;
	unsigned at;
};

/* What becomes of a message that was delivered, or refused. */
enum config_fate_kind {
	CONFIG_FATE_EXPUNGE, /* for a Maildir `delete` */
	CONFIG_FATE_MOVE,
	CONFIG_FATE_SEEN,
	CONFIG_FATE_FLAG,
	CONFIG_FATE_KEEP
};
struct config_fate {
	enum config_fate_kind kind;
	char *name; /* of the box or the flag; "" where there is none */
};

#define CONFIG_URL_MAX 500 /* octets of token_url and its like */

/* [imap NAME]. The texts of secrets are empty in a role that has no use for them. */
struct config_account {
	char *name;
	char *host;
	int tls; /* enum config_imap_tls */
	uint64_t port;
	char *ca_file, *pins;
	char *user;
	char *password, *password_file, *password_command, *token_command;
	int oauth; /* enum config_oauth */
	char *client_id, *client_secret, *client_secret_file, *tenant, *scope;
	char *token_url, *authorize_url, *device_url, *token_file;
	int grant; /* enum config_grant */
	int sasl;  /* enum config_sasl */
	char *mailbox;
	struct config_fate after, refused;
	uint64_t refresh_s, poll_s;
	char *authserv_ids, *ar_methods;
	uint64_t ar_count;
	int ar_dialect;                 /* enum proof_dialect */
	struct proof_settings believed; /* these four, as policy wants them */
	unsigned at;
};

/* [maildir NAME] */
struct config_maildir {
	char *name;
	char *path;                        /* absolute */
	struct config_fate after, refused; /* names are absolute paths */
	uint64_t rescan_s;
	unsigned at;
};

/* [http] */
struct config_http {
	char *listen;     /* comma list of ADDR:PORT; "": there is no such thing */
	char *token_file; /* absolute; "": none, and then loopback alone is listened to */
};

#define CONFIG_TOKEN_LEAST 16 /* octets of a token */
#define CONFIG_TOKEN_MOST  255

struct config {
	struct config_gateway gateway;
	struct config_http http;
	struct config_listener *listeners;
	size_t listeners_count;
	struct config_account *accounts;
	size_t accounts_count;
	struct config_maildir *maildirs;
	size_t maildirs_count;
	struct rules rules;
	uint32_t uid, gid; /* of `user`, when started as root; else our own */
	char *cant_give;   /* an owner or group that is not ours to give, in words; NULL: none */
	struct ini ini;    /* every key with its place; resolved */
};

#define CONFIG_ERROR_MAX INI_ERROR_MAX

/* Reads a file, or every *.conf of a folder in name order. 0, or 78 (EX_CONFIG) with `error_out`
 * saying `file:line: what, what is expected`. */
int config_load(const char *path, struct config *config_out, char error_out[CONFIG_ERROR_MAX]);

/* Who delivers himself can't bear an owner or group that he can't give; who hands a mail to a
 * gateway can. 0, or 78 with `error_out`. */
int config_can_give(const struct config *config, char error_out[CONFIG_ERROR_MAX]);

/* The same from text; `name` stands in for the file's name. */
int config_load_text(const char *text, const char *name, struct config *config_out,
		     char error_out[CONFIG_ERROR_MAX]);

/* And of text in which nothing is a variable: what comes from variables already. */
int config_load_plain(const char *text, const char *name, struct config *config_out,
		      char error_out[CONFIG_ERROR_MAX]);

/* Writes the resolved text, without secrets, into a file in memory (sealed); 0 or -errno. */
int config_write(const struct config *config, int *fd_out);

/* What a role reads at start; same returns as config_load. */
int config_read(int fd, struct config *config_out, char error_out[CONFIG_ERROR_MAX]);

void config_done(struct config *config);

/* UIDVALIDITY among all mailboxes that an account was ever told to empty: many servers begin each
 * of them with 1. */
uint64_t config_validity(const struct config_account *account, uint32_t validity);

/* Takes one account out of it: what a puller still needs when the rest is done. NULL: there is none
 * of this name. */
struct config_account *config_take_account(struct config *config, const char *name);

/* The listener, account or Maildir of a name; NULL: none. */
const struct config_listener *config_find_listener(const struct config *config, const char *name);
const struct config_account *config_find_account(const struct config *config, const char *name);
const struct config_maildir *config_find_maildir(const struct config *config, const char *name);

/* Changes whenever the rules do: [limits], [share] and [route], and whose word about senders is
 * taken. */
uint64_t config_revision(const struct config *config);

/* Does this listener need who holds the private key and the hashes of its logins? */
bool config_needs_keeper(const struct config_listener *listener);

/* Formats "file:line: text" for a listener: of the key that the text begins with, or of its
 * section.
 */
void config_error(const struct config *config, const struct config_listener *listener,
		  const char *text, char error_out[CONFIG_ERROR_MAX]);

/* Is the token in this text such as can be used? NULL; else what is wrong with it, and what is
 * expected. *size_out: its octets, from the beginning of the text. */
const char *config_judge_token(const char *text, size_t *size_out);

/* Can anybody log in there? */
bool config_has_logins(const struct config_listener *listener);

/* Does a route want to know who signed a message? */
bool config_wants_dkim(const struct config *config);

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
	CONFIG_FILE,     /* of something that must be there; made absolute; "": none */
	CONFIG_SECRET,   /* text that no role reads in its configuration */
	CONFIG_LOGINS,   /* a file of logins (daemon/users.h) */
	CONFIG_PINS,     /* comma list of SHA-256 sums, in hex or base64 */
	CONFIG_FATE,     /* one of `words`, of which those that end in : want a name behind it */
	CONFIG_LATER     /* known, but only its preset is available in this version */
};

struct config_key {
	const char *section, *key;
	enum config_type type;
	const char *preset;
	uint64_t minimum, maximum;
	const char *const *words;
	size_t offset; /* in the struct of its section */
	const char *help;
};
const struct config_key *config_keys(size_t *count_out);
