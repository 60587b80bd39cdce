/* conn.c: IMAP through libetpan: connects, logs in, and says each command. Never decides what
 * becomes of a message.
 *
 * Commands are written out and sent by mailimap_custom_command, which says by the tagged result
 * alone whether they did well; what they gave is in imap_response_info until the next one.
 * AUTHENTICATE and IDLE are read line by line, since libetpan waits in them for what may not come.
 */
#define _GNU_SOURCE
#include "daemon/imap/conn.h"
#include <ctype.h>
#include <libetpan/libetpan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#include "daemon/base64.h"
#include "daemon/fdio.h"
#include "daemon/imap/boxname.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/stream.h"

#define BUFFER_SIZE     16384
#define GREETING_OCTETS (64 << 10)
#define COMMAND_OCTETS  (1 << 20)
#define SEARCH_OCTETS   (4 << 20) /* half a million UIDs */
#define FETCH_SLACK     (64 << 10)
#define CONNECT_MS      30000
#define COMMAND_MS      60000
#define FETCH_OCTETS_MS 50 /* that must come in each millisecond, on top of COMMAND_MS */
#define DONE_MS         10000
#define COMMAND_MAX     4096
#define WHY_MAX         500
#define SECRET_MAX      (16 << 10)

struct conn {
	const struct config_account *account;
	struct stream stream;
	mailimap *session;
	char separator; /* of the hierarchy of mailboxes; 0: none, or not asked for yet */
	bool separator_known;
	bool below_inbox; /* other mailboxes lie below INBOX */
	bool news;        /* conn_take_news */
	bool not_ready;   /* conn_is_not_ready */
	char why[WHY_MAX];
};

/* --- libetpan's driver of a stream ------------------------------------------------------------ */

static ssize_t low_read(mailstream_low *low, void *buffer, size_t size)
{
	return stream_read(low->data, buffer, size);
}

static ssize_t low_write(mailstream_low *low, const void *buffer, size_t size)
{
	return stream_write(low->data, buffer, size);
}

static int low_close(mailstream_low *low)
{
	(void)low;
	return 0;
}

static int low_get_fd(mailstream_low *low)
{
	return ((const struct stream *)low->data)->fd;
}

static void low_free(mailstream_low *low)
{
	free(low);
}

static void low_cancel(mailstream_low *low)
{
	(void)low;
}

static mailstream_low_driver driver = {
	.mailstream_read = low_read,
	.mailstream_write = low_write,
	.mailstream_close = low_close,
	.mailstream_get_fd = low_get_fd,
	.mailstream_free = low_free,
	.mailstream_cancel = low_cancel,
};

struct conn *conn_new(const struct config_account *account, int wake_fd)
{
	struct conn *conn = calloc(1, sizeof *conn);
	if (!conn)
		return NULL;
	conn->account = account;
	stream_init(&conn->stream, wake_fd);
	return conn;
}

void conn_free(struct conn *conn)
{
	if (!conn)
		return;
	if (conn->session && conn->session->imap_stream)
		mailstream_close(conn->session->imap_stream);
	if (conn->session) {
		conn->session->imap_stream = NULL;
		mailimap_free(conn->session);
	}
	stream_done(&conn->stream);
	free(conn);
}

void conn_hush(struct conn *conn)
{
	conn->stream.wake_fd = -1;
}

/* --- what went wrong -------------------------------------------------------------------------- */

/* A stranger's words in a sentence of ours: no control characters, not much of it. */
static void copy_words(const char *words, char *text, size_t size)
{
	size_t used = 0;
	for (; words && *words && used + 1 < size; words++)
		text[used++] = (unsigned char)*words < 0x20 || *words == 0x7F ? ' ' : *words;
	while (used > 0 && text[used - 1] == ' ')
		used--;
	text[used] = '\0';
}

static enum conn_result fail(struct conn *conn, enum conn_result result, const char *what,
			     const char *words)
{
	char heard[200];
	copy_words(words, heard, sizeof heard);
	conn->not_ready = false;
	snprintf(conn->why, sizeof conn->why, "%s%s%s%s", what, *heard ? ": \"" : "", heard,
		 *heard ? "\"" : "");
	return result;
}

const char *conn_why(const struct conn *conn)
{
	return conn->why;
}

bool conn_is_not_ready(const struct conn *conn)
{
	return conn->not_ready;
}

/* RFC 5530 section 3: trouble of the server's own, as long as it starts up or mends its disks. Not
 * LIMIT: who hears that there are too many connections must not come more often. */
static bool is_passing(const char *code)
{
	static const char *const codes[] = { "UNAVAILABLE", "SERVERBUG", "INUSE" };
	for (size_t i = 0; code && i < sizeof codes / sizeof codes[0]; i++) {
		if (strcasecmp(codes[i], code) == 0)
			return true;
	}
	return false;
}

static enum conn_result not_ready(struct conn *conn, const char *code, const char *words)
{
	char said[300];
	snprintf(said, sizeof said, "[%.20s] %.250s", code, words ? words : "");
	fail(conn, CONN_NO, "the server is not ready", said);
	conn->not_ready = true;
	return CONN_NO;
}

/* The code of the last answer that libetpan has read; its words have none. NULL: it knows it, or
 * there was none. */
static const char *code_of(const struct conn *conn)
{
	const struct mailimap_response_info *info = conn->session->imap_response_info;
	return info ? info->rsp_atom : NULL;
}

/* The stream knows best why nothing came; else the server spoke what is no IMAP. */
static enum conn_result lost(struct conn *conn, const char *doing)
{
	char what[200];
	if (conn->stream.end == STREAM_WOKEN)
		return fail(conn, CONN_WOKEN, "the gateway is ending", NULL);
	if (conn->stream.end != STREAM_OPEN) {
		snprintf(conn->why, sizeof conn->why, "%s (%s)", conn->stream.why, doing);
		return CONN_LOST;
	}
	snprintf(what, sizeof what, "the server's answer makes no sense (%s)", doing);
	return fail(conn, CONN_LOST, what, conn->session ? conn->session->imap_response : NULL);
}

static enum conn_result judge(struct conn *conn, int code, const char *doing)
{
	char what[200];
	if (code == MAILIMAP_NO_ERROR && conn->stream.end == STREAM_OPEN)
		return CONN_OK;
	if (code != MAILIMAP_ERROR_CUSTOM_COMMAND && code != MAILIMAP_ERROR_SELECT)
		return lost(conn, doing);
	if (is_passing(code_of(conn)))
		return not_ready(conn, code_of(conn), conn->session->imap_response);
	snprintf(what, sizeof what, "the server refuses (%s)", doing);
	return fail(conn, CONN_NO, what, conn->session->imap_response);
}

/* Of a list that the server may have left empty: then there is none. */
static clistiter *first_of(clist *list)
{
	return list ? clist_begin(list) : NULL;
}

/* For who looks for what a server did. Logins do not pass here. */
static void log_command(const struct conn *conn, const char *text)
{
	struct log_line line;
	if (!log_is_debug())
		return;
	log_start(&line, "dialogue");
	log_add(&line, "source", "%s", conn->account->name);
	log_quote(&line, "sent", text);
	log_send(LOG_DEBUG, &line);
}

/* One command in `octets` and `ms`; `doing` says in the log what it was for. */
static enum conn_result command_within(struct conn *conn, const char *text, int64_t ms,
				       uint64_t octets, const char *doing)
{
	struct mailimap_selection_info *info = conn->session->imap_selection_info;
	if (info)
		info->sel_has_exists = 0;
	log_command(conn, text);
	stream_allow(&conn->stream, ms, octets);
	int code = mailimap_custom_command(conn->session, text);
	info = conn->session->imap_selection_info;
	conn->news |= info && info->sel_has_exists;
	return judge(conn, code, doing);
}

static enum conn_result command(struct conn *conn, const char *text, uint64_t octets,
				const char *doing)
{
	return command_within(conn, text, COMMAND_MS, octets, doing);
}

bool conn_take_news(struct conn *conn)
{
	bool news = conn->news;
	conn->news = false;
	return news;
}

/* --- connecting ------------------------------------------------------------------------------- */

static bool has_unread(const struct conn *conn)
{
	return conn->session->imap_stream->read_buffer_len > 0 ||
	       (conn->stream.tls && tls_pending(conn->stream.tls) > 0);
}

static enum conn_result encrypt(struct conn *conn)
{
	const struct config_account *account = conn->account;
	const struct tls_trust trust = { account->host, account->ca_file, account->pins };
	if (stream_encrypt(&conn->stream, &trust))
		return CONN_OK;
	return lost(conn, "TLS");
}

/* RFC 9051 section 6.2.1. Nothing that was said in clear counts afterwards. */
static enum conn_result start_tls(struct conn *conn)
{
	int code = mailimap_starttls(conn->session);
	if (code == MAILIMAP_ERROR_STARTTLS && !has_unread(conn) && conn->session->imap_response &&
	    conn->stream.end == STREAM_OPEN)
		return fail(conn, CONN_LOST,
			    "the server does not do STARTTLS, or somebody has stripped it",
			    conn->session->imap_response);
	if (code == MAILIMAP_ERROR_PROTOCOL)
		return fail(conn, CONN_LOST,
			    "the server does not know STARTTLS, or somebody has stripped it",
			    conn->session->imap_response);
	if (code == MAILIMAP_ERROR_STARTTLS || (code == MAILIMAP_NO_ERROR && has_unread(conn)))
		return fail(conn, CONN_LOST,
			    "somebody has put words into the connection before STARTTLS took hold",
			    NULL);
	return code ? lost(conn, "STARTTLS") : encrypt(conn);
}

static enum conn_result greet(struct conn *conn)
{
	mailstream_low *low = mailstream_low_new(&conn->stream, &driver);
	mailstream *stream = low ? mailstream_new(low, BUFFER_SIZE) : NULL;
	conn->session = stream ? mailimap_new(0, NULL) : NULL;
	if (!conn->session)
		return fail(conn, CONN_LOST, "out of memory", NULL);
	stream_allow(&conn->stream, CONNECT_MS, GREETING_OCTETS);
	int code = mailimap_connect(conn->session, stream);
	if (code == MAILIMAP_ERROR_DONT_ACCEPT_CONNECTION)
		return fail(conn, CONN_LOST, "the server turns us away",
			    conn->session->imap_response);
	if (code == MAILIMAP_NO_ERROR_AUTHENTICATED)
		return fail(
			conn, CONN_LOST,
			"the server greets us as logged in already (PREAUTH): we would not know as whom",
			NULL);
	if (code != MAILIMAP_NO_ERROR_NON_AUTHENTICATED)
		return lost(conn, "greeting");
	return CONN_OK;
}

static enum conn_result ask_capabilities(struct conn *conn)
{
	enum conn_result result = command(conn, "CAPABILITY", COMMAND_OCTETS, "CAPABILITY");
	if (result == CONN_OK && !conn->session->imap_connection_info->imap_capability)
		return fail(conn, CONN_LOST, "the server does not say what it can do", NULL);
	return result == CONN_NO ? CONN_LOST : result;
}

enum conn_result conn_open(struct conn *conn)
{
	const struct config_account *account = conn->account;
	stream_allow(&conn->stream, CONNECT_MS, GREETING_OCTETS);
	if (!stream_connect(&conn->stream, account->host, (unsigned)account->port,
			    account->tls == CONFIG_IMAP_OFF))
		return lost(conn, "connecting");
	stream_allow(&conn->stream, CONNECT_MS, GREETING_OCTETS);
	enum conn_result result = CONN_OK;
	if (account->tls == CONFIG_IMAP_IMPLICIT)
		result = encrypt(conn);
	if (result == CONN_OK)
		result = greet(conn);
	if (result == CONN_OK && account->tls == CONFIG_IMAP_STARTTLS)
		result = start_tls(conn);
	return result == CONN_OK ? ask_capabilities(conn) : result;
}

void conn_describe(const struct conn *conn, char *text, size_t size)
{
	if (conn->stream.tls)
		tls_describe(conn->stream.tls, text, size);
	else
		snprintf(text, size, "in clear");
}

bool conn_has(const struct conn *conn, const char *capability)
{
	const struct mailimap_connection_info *info = conn->session->imap_connection_info;
	if (!info || !info->imap_capability)
		return false;
	for (clistiter *at = first_of(info->imap_capability->cap_list); at; at = clist_next(at)) {
		const struct mailimap_capability *one = clist_content(at);
		bool auth = one->cap_type == MAILIMAP_CAPABILITY_AUTH_TYPE;
		const char *name = auth ? one->cap_data.cap_auth_type : one->cap_data.cap_name;
		const char *wanted = capability;
		if (auth && strncasecmp(capability, "AUTH=", 5) == 0)
			wanted += 5;
		else if (auth)
			continue;
		if (name && strcasecmp(name, wanted) == 0)
			return true;
	}
	return false;
}

/* --- lines, where libetpan would wait for what may not come ----------------------------------- */

/* The next line of the server, NULL: lost. Lives until the next one. */
static const char *read_line(struct conn *conn)
{
	return mailimap_read_line(conn->session);
}

static bool send_text(struct conn *conn, const char *text, size_t size)
{
	return mailstream_write(conn->session->imap_stream, text, size) == (ssize_t)size &&
	       mailstream_flush(conn->session->imap_stream) == 0;
}

/* Begins a command of its own; the tag with the blank behind it. */
static bool send_tagged(struct conn *conn, const char *text, char tag_out[24])
{
	auto_free char *line = NULL;
	int size = snprintf(tag_out, 24, "%i ", ++conn->session->imap_tag);
	size = size < 0 ? -1 : asprintf(&line, "%s%s\r\n", tag_out, text);
	return size > 0 && send_text(conn, line, (size_t)size);
}

static bool starts_with(const char *line, const char *word)
{
	return strncasecmp(line, word, strlen(word)) == 0;
}

/* "* 12 EXISTS" */
static bool is_untagged(const char *line, const char *word)
{
	if (line[0] != '*' || line[1] != ' ' || !isdigit((unsigned char)line[2]))
		return false;
	const char *at = line + 2 + strspn(line + 2, "0123456789");
	return *at == ' ' && starts_with(at + 1, word);
}

/* --- logging in ------------------------------------------------------------------------------- */

/* "NO [UNAVAILABLE] not now" */
static enum conn_result refuse_login(struct conn *conn, const char *line, const char *challenge)
{
	char words[300], code[32];
	const char *end = strchr(line, ']');
	if (end && starts_with(line, "NO [") && sscanf(line + 4, "%31[^] ]", code) == 1 &&
	    is_passing(code))
		return not_ready(conn, code, end + 1 + strspn(end + 1, " "));
	snprintf(words, sizeof words, "%.150s%s%.120s", line, *challenge ? " " : "", challenge);
	return fail(conn, CONN_NO, "the server refuses the login", words);
}

/* One exchange of AUTHENTICATE (RFC 9051 section 6.2.2). `initial` is sent with the command where
 * the server takes that, else when it is asked for; a second question is the reason for a refusal,
 * and `farewell` the answer to it. */
static enum conn_result authenticate(struct conn *conn, const char *mechanism, const char *initial,
				     const char *farewell)
{
	char tag[24], challenge[200] = "";
	auto_free char *text = NULL;
	bool at_once = conn_has(conn, "SASL-IR");
	if (asprintf(&text, "AUTHENTICATE %s%s%s", mechanism, at_once ? " " : "",
		     at_once ? initial : "") < 0)
		return fail(conn, CONN_LOST, "out of memory", NULL);
	stream_allow(&conn->stream, COMMAND_MS, COMMAND_OCTETS);
	bool sent = at_once;
	if (!send_tagged(conn, text, tag))
		return lost(conn, "login");
	for (const char *line; (line = read_line(conn));) {
		if (line[0] == '+') {
			const char *answer = sent ? farewell : initial;
			/* what is said to a bad token (RFC 7628 section 3.2.2) is plain text */
			if (sent)
				base64_read_beginning(line + 1 + strspn(line + 1, " "), challenge,
						      sizeof challenge - 1);
			sent = true;
			if (!send_text(conn, answer, strlen(answer)) || !send_text(conn, "\r\n", 2))
				break;
		} else if (starts_with(line, "* BYE")) {
			return fail(conn, CONN_LOST, "the server hangs up at the login", line + 5);
		} else if (strncmp(line, tag, strlen(tag)) == 0) {
			line += strlen(tag);
			if (!starts_with(line, "OK"))
				return refuse_login(conn, line, challenge);
			conn->session->imap_state = MAILIMAP_STATE_AUTHENTICATED;
			return CONN_OK;
		}
	}
	return lost(conn, "login");
}

/* `format`: with the user's name and the secret. */
static enum conn_result authenticate_with(struct conn *conn, const char *mechanism,
					  const char *message, size_t size, const char *farewell)
{
	auto_free char *initial = malloc(BASE64_SIZE(size));
	if (!initial)
		return fail(conn, CONN_LOST, "out of memory", NULL);
	base64_write(message, size, initial);
	enum conn_result result = authenticate(conn, mechanism, initial, farewell);
	explicit_bzero(initial, strlen(initial));
	return result == CONN_OK ? ask_capabilities(conn) : result;
}

/* A line end would be a command of its own. */
static bool is_one_line(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7F)
			return false;
	}
	return true;
}

enum conn_result conn_login_password(struct conn *conn, const char *password)
{
	char message[2 * SECRET_MAX];
	const char *user = conn->account->user;
	if (!is_one_line(password))
		return fail(conn, CONN_NO, "the password has a control character", NULL);
	if (conn_has(conn, "AUTH=PLAIN")) {
		/* RFC 4616: an empty name to act for, then who, then the proof */
		int size = snprintf(message, sizeof message, "%c%s%c%s", 0, user, 0, password);
		enum conn_result result =
			size < 0 || (size_t)size >= sizeof message
				? fail(conn, CONN_NO, "the password is too long", NULL)
				: authenticate_with(conn, "PLAIN", message, (size_t)size, "*");
		explicit_bzero(message, sizeof message);
		return result;
	}
	if (conn_has(conn, "LOGINDISABLED"))
		return fail(conn, CONN_NO,
			    "the server takes no password here: an access token is wanted", NULL);
	stream_allow(&conn->stream, COMMAND_MS, COMMAND_OCTETS);
	int code = mailimap_login(conn->session, user, password);
	if (code == MAILIMAP_ERROR_LOGIN && is_passing(code_of(conn)))
		return not_ready(conn, code_of(conn), conn->session->imap_response);
	if (code == MAILIMAP_ERROR_LOGIN)
		return refuse_login(
			conn, conn->session->imap_response ? conn->session->imap_response : "", "");
	return code ? lost(conn, "login") : ask_capabilities(conn);
}

static bool wants_xoauth2(const struct conn *conn)
{
	if (conn->account->sasl != CONFIG_SASL_AUTO)
		return conn->account->sasl == CONFIG_SASL_XOAUTH2;
	return conn->account->oauth == CONFIG_OAUTH_MICROSOFT || conn_has(conn, "AUTH=XOAUTH2") ||
	       !conn_has(conn, "AUTH=OAUTHBEARER");
}

/* saslname of RFC 5801 section 4: what would end the name is written otherwise. The caller's to
 * free. */
static char *encode_saslname(const char *name)
{
	char *text = malloc(3 * strlen(name) + 1), *out = text;
	for (; text && *name; name++) {
		const char *coded = *name == ',' ? "=2C" : *name == '=' ? "=3D" : NULL;
		if (coded)
			out = stpcpy(out, coded);
		else
			*out++ = *name;
	}
	if (text)
		*out = '\0';
	return text;
}

enum conn_result conn_login_token(struct conn *conn, const char *token)
{
	const struct config_account *account = conn->account;
	auto_free char *message = NULL;
	auto_free char *saslname = encode_saslname(account->user);
	if (!saslname)
		return fail(conn, CONN_LOST, "out of memory", NULL);
	if (!is_one_line(token))
		return fail(conn, CONN_NO, "the access token has a control character", NULL);
	bool old = wants_xoauth2(conn);
	int size =
		old ? asprintf(&message, "user=%s\001auth=Bearer %s\001\001", account->user, token)
		    : asprintf(&message,
			       "n,a=%s,\001host=%s\001port=%llu\001auth=Bearer %s\001\001",
			       saslname, account->host, (unsigned long long)account->port, token);
	if (size < 0)
		return fail(conn, CONN_LOST, "out of memory", NULL);
	enum conn_result result =
		old ? authenticate_with(conn, "XOAUTH2", message, (size_t)size, "")
		    : authenticate_with(conn, "OAUTHBEARER", message, (size_t)size, "AQ==");
	explicit_bzero(message, (size_t)size);
	return result;
}

/* --- mailboxes -------------------------------------------------------------------------------- */

/* LIST "" "": the separator alone (RFC 9051 section 6.3.9). */
static enum conn_result ask_separator(struct conn *conn)
{
	if (conn->separator_known)
		return CONN_OK;
	enum conn_result result = command(conn, "LIST \"\" \"\"", COMMAND_OCTETS, "LIST");
	const struct mailimap_response_info *info = conn->session->imap_response_info;
	if (result == CONN_OK && info && info->rsp_mailbox_list &&
	    clist_begin(info->rsp_mailbox_list)) {
		const struct mailimap_mailbox_list *first =
			clist_content(clist_begin(info->rsp_mailbox_list));
		conn->separator = first->mb_delimiter;
	}
	conn->separator_known = result != CONN_LOST && result != CONN_WOKEN;
	return conn->separator_known ? CONN_OK : result;
}

static bool is_inbox(const char *name)
{
	return strncasecmp(name, "INBOX", 5) == 0 && (name[5] == '\0' || name[5] == '/');
}

/* As it travels, with the quotes of a string. CONN_NO: it has no such form. */
static enum conn_result quote_mailbox(struct conn *conn, const char *name,
				      char quoted[2 * BOXNAME_MAX])
{
	char whole[BOXNAME_MAX], encoded[BOXNAME_MAX];
	enum conn_result result = ask_separator(conn);
	if (result != CONN_OK)
		return result;
	bool below = conn->below_inbox && conn->separator && !is_inbox(name);
	snprintf(whole, sizeof whole, "%s%.900s", below ? "INBOX/" : "", name);
	if (!boxname_encode(whole, conn->separator, encoded))
		return fail(conn, CONN_NO, "the name of a mailbox is not UTF-8, or too long", NULL);
	char *out = quoted;
	*out++ = '"';
	for (const char *s = encoded; *s; s++) {
		if (*s == '"' || *s == '\\')
			*out++ = '\\';
		*out++ = *s;
	}
	*out++ = '"';
	*out = '\0';
	return CONN_OK;
}

static bool keeps_flags(const struct mailimap_selection_info *info)
{
	if (!info->sel_perm_flags)
		return true; /* RFC 9051 section 7.1: none told, all can be changed */
	for (clistiter *at = clist_begin(info->sel_perm_flags); at; at = clist_next(at)) {
		const struct mailimap_flag_perm *flag = clist_content(at);
		if (flag->fl_type == MAILIMAP_FLAG_PERM_ALL)
			return true;
	}
	return false;
}

enum conn_result conn_select(struct conn *conn, const char *mailbox,
			     struct conn_mailbox *mailbox_out)
{
	char quoted[2 * BOXNAME_MAX], encoded[BOXNAME_MAX];
	enum conn_result result = quote_mailbox(conn, mailbox, quoted);
	if (result != CONN_OK)
		return result;
	/* mailimap_select quotes by itself, and makes room for what is selected */
	if (!boxname_encode(mailbox, conn->separator, encoded))
		return fail(conn, CONN_NO, "the name of the mailbox is not UTF-8, or too long",
			    NULL);
	stream_allow(&conn->stream, COMMAND_MS, COMMAND_OCTETS);
	result = judge(conn, mailimap_select(conn->session, encoded), "SELECT");
	if (result != CONN_OK)
		return result;
	const struct mailimap_selection_info *info = conn->session->imap_selection_info;
	if (!info || info->sel_uidvalidity == 0)
		return fail(conn, CONN_LOST,
			    "the server tells no UIDVALIDITY: its messages can't be told apart",
			    NULL);
	*mailbox_out = (struct conn_mailbox){
		.validity = info->sel_uidvalidity,
		.read_only = info->sel_perm == MAILIMAP_MAILBOX_READONLY,
		.keeps_flags = keeps_flags(info),
	};
	return CONN_OK;
}

enum conn_result conn_list(struct conn *conn, char **names_out, size_t max, size_t *count_out,
			   char *separator_out)
{
	enum conn_result result = ask_separator(conn);
	if (result == CONN_OK)
		result = command(conn, "LIST \"\" \"*\"", COMMAND_OCTETS, "LIST");
	const struct mailimap_response_info *info = conn->session->imap_response_info;
	*count_out = 0;
	if (result != CONN_OK || !info || !info->rsp_mailbox_list)
		return result;
	for (clistiter *at = clist_begin(info->rsp_mailbox_list); at && *count_out < max;
	     at = clist_next(at)) {
		const struct mailimap_mailbox_list *one = clist_content(at);
		names_out[*count_out] = strdup(one->mb_name ? one->mb_name : "");
		*count_out += names_out[*count_out] != NULL;
	}
	*separator_out = conn->separator;
	return CONN_OK;
}

/* --- sets and lists of UIDs ------------------------------------------------------------------- */

/* "5,7:9,12"; at most CONN_SET_MAX of them. */
static void print_set(const uint32_t *uids, size_t count, char text[CONN_SET_MAX * 12])
{
	size_t used = 0;
	text[0] = '\0';
	for (size_t i = 0; i < count && i < CONN_SET_MAX; i++) {
		size_t last = i;
		while (last + 1 < count && last + 1 < CONN_SET_MAX &&
		       uids[last + 1] == uids[last] + 1)
			last++;
		used += (size_t)sprintf(text + used, "%s%u", used ? "," : "", uids[i]);
		if (last > i)
			used += (size_t)sprintf(text + used, ":%u", uids[last]);
		i = last;
	}
}

static int compare_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

/* What a SEARCH gave: in order, each once, no zeros. */
static enum conn_result take_uids(struct conn *conn, uint32_t **uids_out, size_t *count_out)
{
	const struct mailimap_response_info *info = conn->session->imap_response_info;
	clist *list = info ? info->rsp_search_result : NULL;
	size_t room = list ? (size_t)clist_count(list) : 0, count = 0, used = 0;
	uint32_t *uids = malloc((room + 1) * sizeof *uids);
	if (!uids)
		return fail(conn, CONN_LOST, "out of memory", NULL);
	for (clistiter *at = first_of(list); at && count < room; at = clist_next(at)) {
		const uint32_t *uid = clist_content(at);
		if (uid && *uid)
			uids[count++] = *uid;
	}
	qsort(uids, count, sizeof *uids, compare_uids);
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || uids[i] != uids[i - 1])
			uids[used++] = uids[i];
	}
	*uids_out = uids;
	*count_out = used;
	return CONN_OK;
}

enum conn_result conn_search(struct conn *conn, enum conn_criterion criterion, const char *flag,
			     uint32_t **uids_out, size_t *count_out)
{
	static const char *const words[] = { [CONN_UNDELETED] = "UNDELETED",
					     [CONN_UNSEEN] = "UNDELETED UNSEEN",
					     [CONN_UNFLAGGED] = "UNDELETED UNKEYWORD ",
					     [CONN_DELETED] = "DELETED",
					     [CONN_ALL] = "ALL" };
	char text[COMMAND_MAX];
	snprintf(text, sizeof text, "UID SEARCH %s%s", words[criterion],
		 criterion == CONN_UNFLAGGED ? flag : "");
	enum conn_result result = command(conn, text, SEARCH_OCTETS, "SEARCH");
	return result == CONN_OK ? take_uids(conn, uids_out, count_out) : result;
}

enum conn_result conn_search_set(struct conn *conn, const uint32_t *uids, size_t count,
				 uint32_t **uids_out, size_t *count_out)
{
	char text[COMMAND_MAX], set[CONN_SET_MAX * 12];
	print_set(uids, count, set);
	snprintf(text, sizeof text, "UID SEARCH UID %s", set);
	enum conn_result result = command(conn, text, COMMAND_OCTETS, "SEARCH");
	return result == CONN_OK ? take_uids(conn, uids_out, count_out) : result;
}

/* --- messages --------------------------------------------------------------------------------- */

static int64_t time_of(const struct mailimap_date_time *date)
{
	struct tm day = { .tm_mday = date->dt_day,
			  .tm_mon = date->dt_month - 1,
			  .tm_year = date->dt_year - 1900,
			  .tm_hour = date->dt_hour,
			  .tm_min = date->dt_min,
			  .tm_sec = date->dt_sec };
	int zone = date->dt_zone, minutes = zone / 100 * 60 + zone % 100;
	if (date->dt_year < 1970 || date->dt_year > 9999)
		return 0;
	int64_t seconds = (int64_t)timegm(&day) - (int64_t)minutes * 60;
	return seconds > 0 ? seconds * 1000 : 0;
}

/* What is told of one message; *body_out: how often a body came with it. */
static void read_items(const struct mailimap_msg_att *item, struct conn_message *message_out,
		       unsigned *bodies_out)
{
	*message_out = (struct conn_message){ .uid = 0 };
	*bodies_out = 0;
	for (clistiter *at = first_of(item->att_list); at; at = clist_next(at)) {
		const struct mailimap_msg_att_item *one = clist_content(at);
		if (one->att_type != MAILIMAP_MSG_ATT_ITEM_STATIC)
			continue;
		const struct mailimap_msg_att_static *told = one->att_data.att_static;
		if (told->att_type == MAILIMAP_MSG_ATT_UID)
			message_out->uid = told->att_data.att_uid;
		else if (told->att_type == MAILIMAP_MSG_ATT_RFC822_SIZE)
			message_out->bytes = told->att_data.att_rfc822_size;
		else if (told->att_type == MAILIMAP_MSG_ATT_INTERNALDATE)
			message_out->received_ms = time_of(told->att_data.att_internal_date);
		else if (told->att_type == MAILIMAP_MSG_ATT_BODY_SECTION)
			++*bodies_out;
	}
}

static clist *fetched(const struct conn *conn)
{
	const struct mailimap_response_info *info = conn->session->imap_response_info;
	return info ? info->rsp_fetch_list : NULL;
}

static bool was_asked(uint32_t uid, const uint32_t *uids, size_t count)
{
	return bsearch(&uid, uids, count, sizeof uid, compare_uids) != NULL;
}

static struct conn_message *find_message(struct conn_message *messages, size_t count, uint32_t uid)
{
	for (size_t i = 0; i < count; i++) {
		if (messages[i].uid == uid)
			return &messages[i];
	}
	return NULL;
}

enum conn_result conn_look(struct conn *conn, const uint32_t *uids, size_t count,
			   struct conn_message *messages_out, size_t *count_out)
{
	char text[COMMAND_MAX], set[CONN_SET_MAX * 12];
	print_set(uids, count, set);
	snprintf(text, sizeof text, "UID FETCH %s (UID RFC822.SIZE INTERNALDATE)", set);
	enum conn_result result = command(conn, text, COMMAND_OCTETS, "FETCH");
	clist *list = fetched(conn);
	*count_out = 0;
	if (result != CONN_OK || !list)
		return result;
	for (clistiter *at = clist_begin(list); at; at = clist_next(at)) {
		struct conn_message message;
		unsigned bodies;
		read_items(clist_content(at), &message, &bodies);
		if (!was_asked(message.uid, uids, count) ||
		    find_message(messages_out, *count_out, message.uid))
			continue;
		messages_out[(*count_out)++] = message;
	}
	return CONN_OK;
}

struct taking {
	void (*take)(void *context, const char *bytes, size_t size);
	void *context;
	uint64_t bytes, most;
};

static bool take_body(int type, struct mailimap_msg_att_body_section *section, const char *bytes,
		      size_t size, void *context)
{
	struct taking *taking = context;
	(void)section;
	/* more than was asked for: false ends the command, and the connection */
	if (type != MAILIMAP_MSG_ATT_BODY_SECTION || taking->bytes + size > taking->most)
		return false;
	taking->take(taking->context, bytes, size);
	taking->bytes += size;
	return true;
}

/* The octets came without a name: there must be one body in the answer, and it is this message's.
 */
static bool is_body_of(const struct conn *conn, uint32_t uid)
{
	clist *list = fetched(conn);
	unsigned ours = 0, others = 0;
	for (clistiter *at = first_of(list); at; at = clist_next(at)) {
		struct conn_message message;
		unsigned bodies;
		read_items(clist_content(at), &message, &bodies);
		if (message.uid == uid)
			ours += bodies;
		else
			others += bodies;
	}
	return ours == 1 && others == 0;
}

enum conn_result conn_fetch(struct conn *conn, uint32_t uid, uint64_t from, uint32_t size,
			    void (*take)(void *context, const char *bytes, size_t size),
			    void *context, uint64_t *bytes_out)
{
	char text[120];
	struct taking taking = { .take = take, .context = context, .most = size };
	snprintf(text, sizeof text, "UID FETCH %u (UID BODY.PEEK[]<%llu.%u>)", uid,
		 (unsigned long long)from, size);
	mailimap_set_msg_body_handler(conn->session, take_body, &taking);
	enum conn_result result = command_within(conn, text, COMMAND_MS + size / FETCH_OCTETS_MS,
						 size + FETCH_SLACK, "FETCH");
	mailimap_set_msg_body_handler(conn->session, NULL, NULL);
	if (result == CONN_OK && taking.bytes > 0 && !is_body_of(conn, uid))
		return fail(conn, CONN_LOST, "the server gave another message than was asked for",
			    NULL);
	*bytes_out = taking.bytes;
	return result;
}

/* --- what becomes of them --------------------------------------------------------------------- */

/* FORMAT has room for one set and one more text. */
static enum conn_result command_set(struct conn *conn, const char *verb, const uint32_t *uids,
				    size_t count, const char *more, const char *doing)
{
	char text[COMMAND_MAX], set[CONN_SET_MAX * 12];
	print_set(uids, count, set);
	snprintf(text, sizeof text, "%s %s%s", verb, set, more);
	return command(conn, text, COMMAND_OCTETS, doing);
}

enum conn_result conn_flag(struct conn *conn, const uint32_t *uids, size_t count, const char *flag)
{
	char more[200];
	snprintf(more, sizeof more, " +FLAGS.SILENT (%.150s)", flag);
	return command_set(conn, "UID STORE", uids, count, more, "STORE");
}

enum conn_result conn_expunge(struct conn *conn, const uint32_t *uids, size_t count)
{
	if (count == 0)
		return command(conn, "EXPUNGE", COMMAND_OCTETS, "EXPUNGE");
	return command_set(conn, "UID EXPUNGE", uids, count, "", "EXPUNGE");
}

/* Is there no mailbox beside INBOX? */
static bool is_inbox_alone(struct conn *conn)
{
	if (command(conn, "LIST \"\" %", COMMAND_OCTETS, "LIST") != CONN_OK)
		return false;
	const struct mailimap_response_info *info = conn->session->imap_response_info;
	clist *list = info ? info->rsp_mailbox_list : NULL;
	for (clistiter *at = first_of(list); at; at = clist_next(at)) {
		const struct mailimap_mailbox_list *one = clist_content(at);
		if (one->mb_name && strcasecmp(one->mb_name, "INBOX") != 0)
			return false;
	}
	return true;
}

static enum conn_result create(struct conn *conn, const char *mailbox)
{
	char quoted[2 * BOXNAME_MAX], text[COMMAND_MAX];
	enum conn_result result = quote_mailbox(conn, mailbox, quoted);
	if (result != CONN_OK)
		return result;
	snprintf(text, sizeof text, "CREATE %s", quoted);
	result = command(conn, text, COMMAND_OCTETS, "CREATE");
	if (result != CONN_NO || conn->below_inbox || is_inbox(mailbox) || !conn->separator ||
	    !is_inbox_alone(conn))
		return result;
	/* where all mailboxes lie below INBOX (Courier, Cyrus) no other can be made */
	conn->below_inbox = true;
	if (quote_mailbox(conn, mailbox, quoted) == CONN_OK) {
		snprintf(text, sizeof text, "CREATE %s", quoted);
		result = command(conn, text, COMMAND_OCTETS, "CREATE");
	}
	conn->below_inbox = result == CONN_OK;
	return result;
}

/* UID MOVE or UID COPY; a mailbox that is not there is made, once. */
static enum conn_result transfer(struct conn *conn, const char *verb, const uint32_t *uids,
				 size_t count, const char *mailbox)
{
	char more[2 * BOXNAME_MAX + 1] = " ";
	enum conn_result result = quote_mailbox(conn, mailbox, more + 1);
	if (result == CONN_OK)
		result = command_set(conn, verb, uids, count, more, verb + strlen("UID "));
	if (result != CONN_NO)
		return result;
	enum conn_result made = create(conn, mailbox);
	if (made == CONN_LOST || made == CONN_WOKEN)
		return made;
	/* it may be there by now, or lie elsewhere */
	result = quote_mailbox(conn, mailbox, more + 1);
	return result == CONN_OK ? command_set(conn, verb, uids, count, more, verb + strlen("UID "))
				 : result;
}

enum conn_result conn_move(struct conn *conn, const uint32_t *uids, size_t count,
			   const char *mailbox)
{
	return transfer(conn, "UID MOVE", uids, count, mailbox);
}

static size_t count_set(const struct mailimap_set *set)
{
	size_t count = 0;
	for (clistiter *at = set ? first_of(set->set_list) : NULL; at; at = clist_next(at)) {
		const struct mailimap_set_item *item = clist_content(at);
		uint32_t first = item->set_first, last = item->set_last;
		count += last >= first ? (size_t)(last - first) + 1 : (size_t)(first - last) + 1;
	}
	return count;
}

static bool told_all(const struct conn *conn, size_t count)
{
	const struct mailimap_response_info *info = conn->session->imap_response_info;
	clist *list = info ? info->rsp_extension_list : NULL;
	for (clistiter *at = first_of(list); at; at = clist_next(at)) {
		const struct mailimap_extension_data *told = clist_content(at);
		if (told->ext_extension != &mailimap_extension_uidplus ||
		    told->ext_type != MAILIMAP_UIDPLUS_RESP_CODE_COPY)
			continue;
		const struct mailimap_uidplus_resp_code_copy *copied = told->ext_data;
		return count_set(copied->uid_source_set) == count;
	}
	return false;
}

enum conn_result conn_copy(struct conn *conn, const uint32_t *uids, size_t count,
			   const char *mailbox)
{
	enum conn_result result = transfer(conn, "UID COPY", uids, count, mailbox);
	if (result != CONN_OK || !conn_has(conn, "UIDPLUS") || told_all(conn, count))
		return result;
	return fail(conn, CONN_NO, "the server does not tell that it copied all of them (COPYUID)",
		    NULL);
}

enum conn_result conn_noop(struct conn *conn)
{
	return command(conn, "NOOP", COMMAND_OCTETS, "NOOP");
}

/* --- IDLE ------------------------------------------------------------------------------------- */

enum idle_word { IDLE_NOTHING, IDLE_BEGUN, IDLE_NEWS, IDLE_ENDED, IDLE_REFUSED, IDLE_LOST };

/* One line, and what it means to who idles. */
static enum idle_word read_idle_line(struct conn *conn, const char *tag)
{
	const char *line = read_line(conn);
	if (!line)
		return IDLE_LOST;
	if (line[0] == '+')
		return IDLE_BEGUN;
	if (starts_with(line, "* BYE")) {
		fail(conn, CONN_LOST, "the server hangs up", line + 5);
		return IDLE_LOST;
	}
	if (strncmp(line, tag, strlen(tag)) == 0) {
		if (starts_with(line + strlen(tag), "OK"))
			return IDLE_ENDED;
		fail(conn, CONN_NO, "the server does not idle", line + strlen(tag));
		return IDLE_REFUSED;
	}
	return is_untagged(line, "EXISTS") || is_untagged(line, "EXPUNGE") ? IDLE_NEWS
									   : IDLE_NOTHING;
}

static enum conn_result lost_idle(struct conn *conn)
{
	return conn->stream.end == STREAM_OPEN ? CONN_LOST : lost(conn, "IDLE");
}

/* DONE, up to the tagged answer. Who was woken has the time for that. */
static enum conn_result end_idle(struct conn *conn, const char *tag)
{
	int wake_fd = conn->stream.wake_fd;
	enum idle_word word = IDLE_NOTHING;
	conn->stream.wake_fd = -1;
	stream_allow(&conn->stream, DONE_MS, COMMAND_OCTETS);
	if (!send_text(conn, "DONE\r\n", 6))
		word = IDLE_LOST;
	while (word != IDLE_LOST && word != IDLE_ENDED && word != IDLE_REFUSED)
		word = read_idle_line(conn, tag);
	conn->stream.wake_fd = wake_fd;
	return word == IDLE_LOST ? lost_idle(conn) : CONN_OK;
}

enum conn_result conn_idle(struct conn *conn, int64_t until_ms)
{
	char tag[24];
	bool begun = false, news = false;
	stream_allow(&conn->stream, COMMAND_MS, COMMAND_OCTETS);
	if (!send_tagged(conn, "IDLE", tag))
		return lost_idle(conn);
	for (;;) {
		/* what came together with "+" lies in the buffer already: a look at the socket
		 * would not see it */
		while (!begun || has_unread(conn)) {
			enum idle_word word = read_idle_line(conn, tag);
			if (word == IDLE_LOST)
				return lost_idle(conn);
			if (word == IDLE_REFUSED)
				return CONN_NO;
			if (word == IDLE_ENDED)
				return begun ? CONN_OK
					     : fail(conn, CONN_NO, "the server does not idle",
						    NULL);
			begun |= word == IDLE_BEGUN;
			news |= word == IDLE_NEWS;
		}
		if (news)
			return end_idle(conn, tag);
		if (!stream_wait(&conn->stream, until_ms)) {
			bool broken = conn->stream.end == STREAM_CLOSED;
			return broken ? lost_idle(conn) : end_idle(conn, tag);
		}
		/* there is something: a line, or the end. What may come in all stays as it is */
		stream_allow(&conn->stream, COMMAND_MS, conn->stream.budget);
		enum idle_word word = read_idle_line(conn, tag);
		if (word == IDLE_LOST)
			return lost_idle(conn);
		if (word == IDLE_ENDED || word == IDLE_REFUSED)
			return CONN_OK;
		news |= word == IDLE_NEWS;
	}
}
