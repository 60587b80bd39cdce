/* conn.h: one connection to an IMAP server (RFC 9051, RFC 3501). Room daemon/imap; conn.c is the
 * only file that knows libetpan.
 *
 * libetpan parses what the server says; it is neither trusted to be right nor to end. Every command
 * has a deadline and a budget (daemon/stream.h), so memory grows by what the budget allows and no
 * server makes us wait for ever. After CONN_LOST the connection is good for nothing but conn_free.
 * UIDs are never 0. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/config.h"

enum conn_result {
	CONN_OK,
	CONN_NO,   /* the server refuses this command; the connection goes on */
	CONN_LOST, /* and is gone: broken, late, too much, or nonsense */
	CONN_WOKEN /* somebody wants us; the connection is out of step, as after CONN_LOST */
};

struct conn;

/* `wake_fd`: ends every wait when it can be read; -1: none. NULL: out of memory. */
struct conn *conn_new(const struct config_account *account, int wake_fd);
/* Takes no leave: a server that stalls would hold us up. */
void conn_free(struct conn *conn);

/* From now on nothing but its deadlines ends a wait: to finish what was begun. */
void conn_hush(struct conn *conn);

/* Why the last call was not CONN_OK: one sentence of ours, with what the server said in it, without
 * control characters. Lives until the next call. */
const char *conn_why(const struct conn *conn);

/* Was the last CONN_NO trouble of the server's own, as it says, which passes? */
bool conn_is_not_ready(const struct conn *conn);

/* Connects, up to trust (TLS) and the server's greeting. CONN_LOST: `conn_why`. */
enum conn_result conn_open(struct conn *conn);

/* "TLS 1.3; names …, signed by …" or "in clear". */
void conn_describe(const struct conn *conn, char *text, size_t size);

/* Logs in: by password, or by access token as `account->sasl` says. CONN_NO: refused. */
enum conn_result conn_login_password(struct conn *conn, const char *password);
enum conn_result conn_login_token(struct conn *conn, const char *token);

/* What the server can do; known after the login. */
bool conn_has(const struct conn *conn, const char *capability);

struct conn_mailbox {
	uint32_t validity; /* UIDVALIDITY; never 0 */
	bool read_only;
	bool keeps_flags; /* keywords of ours are kept (PERMANENTFLAGS) */
};

/* Selects. `mailbox`: UTF-8, / for the server's separator. CONN_NO: there is none. */
enum conn_result conn_select(struct conn *conn, const char *mailbox,
			     struct conn_mailbox *mailbox_out);

/* Names of mailboxes as the server has them, in its own encoding, up to `max`; the separator, 0:
 * none. Names are owned by the caller, with free. */
enum conn_result conn_list(struct conn *conn, char **names_out, size_t max, size_t *count_out,
			   char *separator_out);

enum conn_criterion {
	CONN_UNDELETED,
	CONN_UNSEEN,    /* and undeleted, as all that we take */
	CONN_UNFLAGGED, /* without the keyword */
	CONN_DELETED,
	CONN_ALL
};

/* UIDs in ascending order; the array is owned by the caller, with free. `flag`: for
 * CONN_UNFLAGGED. */
enum conn_result conn_search(struct conn *conn, enum conn_criterion criterion, const char *flag,
			     uint32_t **uids_out, size_t *count_out);

/* Which of these are still there. `uids` ascending, at most CONN_SET_MAX. */
#define CONN_SET_MAX 64
enum conn_result conn_search_set(struct conn *conn, const uint32_t *uids, size_t count,
				 uint32_t **uids_out, size_t *count_out);

struct conn_message {
	uint32_t uid;
	uint64_t bytes;      /* as the server says (RFC822.SIZE) */
	int64_t received_ms; /* INTERNALDATE (milliseconds since 1970); 0: not told */
};

/* Sizes and dates of at most CONN_SET_MAX messages; what the server does not tell of is left out,
 * and so is what was not asked for. `messages_out` has room for `count`. */
enum conn_result conn_look(struct conn *conn, const uint32_t *uids, size_t count,
			   struct conn_message *messages_out, size_t *count_out);

/* One range of a message's octets goes to `take`, as they come. *bytes_out: how many; fewer than
 * `size`: the end; none at 0: there is no such message any more. If the result is not CONN_OK what
 * was taken is worth nothing. */
enum conn_result conn_fetch(struct conn *conn, uint32_t uid, uint64_t from, uint32_t size,
			    void (*take)(void *context, const char *bytes, size_t size),
			    void *context, uint64_t *bytes_out);

/* Adds a flag: "\\Deleted", "\\Seen" or a keyword. An OK is no proof. */
enum conn_result conn_flag(struct conn *conn, const uint32_t *uids, size_t count, const char *flag);

/* UID EXPUNGE of these (needs UIDPLUS), or with no UIDs of all that anybody has flagged. */
enum conn_result conn_expunge(struct conn *conn, const uint32_t *uids, size_t count);

/* To another mailbox, which is made if it is not there. Of a copy a server with UIDPLUS tells which
 * it copied (COPYUID, RFC 4315): if that is not all of them, CONN_NO. */
enum conn_result conn_move(struct conn *conn, const uint32_t *uids, size_t count,
			   const char *mailbox);
enum conn_result conn_copy(struct conn *conn, const uint32_t *uids, size_t count,
			   const char *mailbox);

enum conn_result conn_noop(struct conn *conn);

/* Has a command's answer told of mail (EXISTS) since this was asked last? IDLE does not say it
 * again. */
bool conn_take_news(struct conn *conn);

/* IDLE (RFC 2177): returns when the server says anything, when `until_ms` (monotonic) has passed,
 * or when we are woken: CONN_OK in each case, and the caller looks what there is. CONN_NO: it can't
 * idle. CONN_WOKEN never. */
enum conn_result conn_idle(struct conn *conn, int64_t until_ms);
