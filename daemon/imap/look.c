/* look.c: tries an account step by step and says what it finds. Never fetches or changes a message.
 */
#define _GNU_SOURCE
#include "daemon/imap/look.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/fdio.h"
#include "daemon/imap/box.h"
#include "daemon/imap/conn.h"
#include "daemon/imap/pull.h"
#include "daemon/keep.h"

#define NAMES_MAX 50
#define TEXT_MAX  1500
#define NOT_READY \
	"nothing is wrong here: try again in a while, and ask who runs the server if it lasts"

struct look {
	const struct config_account *account;
	const struct pull_fds *fds;
	struct conn *conn;
	struct conn_mailbox mailbox;
	int report_fd;
};

static bool tell(const struct look *look, bool ok, const char *text, const char *remedy)
{
	char line[TEXT_MAX + 600];
	int size = snprintf(line, sizeof line, "imap %s\t%d\t%.*s\t%.500s\n", look->account->name,
			    ok, TEXT_MAX, text, remedy);
	if (size > 0 && (size_t)size < sizeof line)
		write_all(look->report_fd, line, (size_t)size);
	return ok;
}

static bool look_connection(const struct look *look)
{
	char text[TEXT_MAX];
	if (conn_open(look->conn) != CONN_OK)
		return tell(look, false, conn_why(look->conn),
			    "look at host, port, tls, ca_file and pin_sha256");
	conn_describe(look->conn, text, sizeof text);
	return tell(look, true, text, "");
}

static bool look_login(const struct look *look)
{
	char why[PULL_WHY_MAX], text[200];
	enum pull_login login = pull_log_in(look->conn, look->fds, why);
	if (login == PULL_LOGIN_BUSY)
		return tell(look, false, why, NOT_READY);
	if (login == PULL_LOGIN_LATER || login == PULL_LOGIN_NEVER)
		return tell(look, false, why,
			    "look at password_file, password_command, token_command or oauth");
	if (login != PULL_LOGIN_DONE)
		return tell(
			look, false, why,
			"look at user and its password; some providers want a password for programs");
	snprintf(text, sizeof text, "logged in as %.150s", look->account->user);
	return tell(look, true, text, "");
}

static void look_features(const struct look *look)
{
	char text[300];
	bool idles = conn_has(look->conn, "IDLE"), moves = conn_has(look->conn, "MOVE"),
	     plus = conn_has(look->conn, "UIDPLUS");
	snprintf(text, sizeof text, "%s, %s, %s",
		 idles ? "IDLE: mail is told at once" : "no IDLE: the mailbox is polled",
		 moves ? "MOVE" : "no MOVE: mails are copied and deleted",
		 plus ? "UIDPLUS"
		      : "no UIDPLUS: deleted mails may stay flagged until somebody expunges");
	tell(look, true, text, "");
}

static void look_list(const struct look *look)
{
	char *names[NAMES_MAX], text[TEXT_MAX], separator = 0;
	size_t count = 0, used;
	if (conn_list(look->conn, names, NAMES_MAX, &count, &separator) != CONN_OK)
		return;
	used = (size_t)snprintf(text, sizeof text,
				"mailboxes (separator %c): ", separator ? separator : '-');
	for (size_t i = 0; i < count; i++) {
		for (char *s = names[i]; *s; s++)
			*s = (unsigned char)*s < 0x20 || *s == 0x7F ? '?' : *s;
		if (used < sizeof text)
			used += (size_t)snprintf(text + used, sizeof text - used, "%s%s",
						 i ? ", " : "", names[i]);
		free(names[i]);
	}
	tell(look, true, text, "");
}

static bool look_mailbox(struct look *look)
{
	const struct config_account *account = look->account;
	char text[TEXT_MAX];
	if (conn_select(look->conn, account->mailbox, &look->mailbox) != CONN_OK) {
		snprintf(text, sizeof text, "mailbox %.200s: %s", account->mailbox,
			 conn_why(look->conn));
		return tell(look, false, text,
			    conn_is_not_ready(look->conn)
				    ? NOT_READY
				    : "look at mailbox: it is one of those above");
	}
	const char *fault = box_fault(account, &look->mailbox);
	return !fault || tell(look, false, fault, "look at after and refused");
}

/* "expunged", "moved to Done" */
static void print_fate(const struct config_fate *fate, char *text, size_t size)
{
	static const char *const words[] = { [CONFIG_FATE_EXPUNGE] = "is expunged",
					     [CONFIG_FATE_MOVE] = "is moved to ",
					     [CONFIG_FATE_SEEN] = "is marked as seen",
					     [CONFIG_FATE_FLAG] = "is flagged ",
					     [CONFIG_FATE_KEEP] = "stays as it is" };
	snprintf(text, size, "%s%.100s", words[fate->kind], fate->name);
}

static void look_messages(const struct look *look)
{
	const struct config_account *account = look->account;
	auto_free uint32_t *uids = NULL;
	char text[TEXT_MAX], after[160], refused[160];
	size_t count = 0;
	if (conn_search(look->conn, box_criterion(account), account->after.name, &uids, &count) !=
	    CONN_OK) {
		tell(look, false, conn_why(look->conn), "");
		return;
	}
	print_fate(&account->after, after, sizeof after);
	print_fate(&account->refused, refused, sizeof refused);
	snprintf(text, sizeof text,
		 "%zu mails wait in %.200s; one that is delivered %s, one that is refused %s",
		 count, account->mailbox, after, refused);
	tell(look, true, text, "");
}

void look_at_account(const struct config_account *account, const struct pull_fds *fds,
		     int report_fd)
{
	struct look look = { .account = account, .fds = fds, .report_fd = report_fd };
	look.conn = conn_new(account, fds->wake);
	if (look.conn && look_connection(&look) && look_login(&look)) {
		look_features(&look);
		look_list(&look);
		if (look_mailbox(&look))
			look_messages(&look);
	}
	conn_free(look.conn);
}
