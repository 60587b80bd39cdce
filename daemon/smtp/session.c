/* session.c: the dialogue with a device. Never touches the share, never decides about a message:
 * policy and the courier do. */
#define _GNU_SOURCE
#include "daemon/smtp/session_inner.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define ERRORS_MAX   20   /* 5xx replies since the last delivery */
#define COMMANDS_MAX 1000 /* since the last message */
#define LINGER_MS    2000

/* A device that sends beyond the limit is heard out so far, then cut. */
#define DISCARD_EXTRA (64 * 1024 * 1024)

/* --- what is said, and what is logged --------------------------------------------------------- */

struct record session_record(const struct session *s)
{
	return (struct record){
		.source = s->settings->source,
		.peer = &s->settings->peer,
		.from = s->sender,
		.to = s->recipients,
		.to_count = s->recipients_count,
		.bytes = s->spill.bytes,
		.heard_ms = s->heard_ms,
		.error = s->spill.error,
	};
}

/* The transcript comes first: it blanks what the log must not show either. */
void session_show(struct session *s, bool in, const char *text, size_t size)
{
	if (in)
		transcript_hear(&s->transcript, &text, &size);
	else
		transcript_say(&s->transcript, text, size);
	if (!log_is_debug())
		return;
	struct record record = session_record(s);
	record_dialogue(&record, in ? "in" : "out", text, size);
}

static void log_verdict(struct session *s, enum reason reason, const char *words)
{
	struct record record = session_record(s);
	s->told = true;
	record_verdict(&record, reason, words, s->settings->tell_fd);
}

static void log_unfinished(struct session *s, const char *words)
{
	struct record record = session_record(s);
	s->told = true;
	record_unfinished(&record, words);
}

void session_log_stranger(struct session *s, const char *words)
{
	struct record record = session_record(s);
	s->told = true;
	record_peer(&record, LOG_WARNING, "not-smtp", "text", words);
}

static void put_line(struct session *s, const char *text, size_t size)
{
	wire_put(&s->wire, text, size);
	wire_put(&s->wire, "\r\n", 2);
	session_show(s, false, text, size);
	if (*text == '5')
		s->errors++;
}

void session_reply(struct session *s, enum reply which)
{
	put_line(s, reply_text(which), strlen(reply_text(which)));
}

/* A verdict in its own words, or in those of the courier. */
static void reply_verdict(struct session *s, enum reason reason, const char *enhanced,
			  const char *words)
{
	struct reply_line line;
	reply_build(&line, verdict_row(reason)->code, enhanced, words);
	put_line(s, line.text, line.size);
}

/* The last reply of a session that we end. */
void session_close(struct session *s, enum reply which)
{
	session_reply(s, which);
	s->abrupt = true;
	s->open = false;
}

void session_refuse(int fd, enum session_refusal why)
{
	struct reply_line line = { .size = 0 };
	const struct verdict_row *peer = verdict_row(REASON_PEER);
	/* 554 stands in the place of a greeting (RFC 5321 section 3.1) */
	if (why == SESSION_REFUSE_PEER)
		reply_build(&line, 554, peer->enhanced, peer->words);
	else
		reply_add(&line, reply_text(why == SESSION_REFUSE_MANY ? REPLY_MANY_SESSIONS
								       : REPLY_BUSY));
	memcpy(line.text + line.size, "\r\n", 2);
	send(fd, line.text, line.size + 2, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* --- the envelope ----------------------------------------------------------------------------- */

void session_forget(struct session *s)
{
	spill_done(&s->spill);
	spill_init(&s->spill, -1, 0, 0);
	s->recipients_count = s->recipients_used = 0;
	s->declared = 0;
	s->flaws = (struct intake_flaws){ false, false };
	s->sender[0] = '\0';
	if (s->state != STATE_NEW)
		s->state = STATE_READY;
}

/* Returns the octets it took, NUL included. Everything that is copied here fits. */
static size_t copy_text(char *to, const char *from, size_t room)
{
	size_t size = strlen(from) + 1;
	assert(size <= room);
	memcpy(to, from, size);
	return size;
}

static struct verdict decide_now(const struct session *s, const char *const *recipient)
{
	const struct session_settings *settings = s->settings;
	struct facts facts = {
		.source = settings->source,
		.peer = settings->peer,
		.peer_allowed = settings->peer_allowed,
		.has_envelope = true,
		.login = *s->login ? s->login : NULL,
		.proofs = *s->login ? PROOF_LOGIN : 0,
		.sender = s->sender,
		.recipients = recipient,
		.recipients_count = recipient ? 1 : 0,
		.bytes = s->declared,
	};
	return decide_early(settings->rules, &facts);
}

/* Says no at MAIL or RCPT: one line of the log for each. */
static void refuse_early(struct session *s, const char *const *recipient, enum reason reason)
{
	const struct verdict_row *row = verdict_row(reason);
	struct record record = session_record(s);
	bool no_mailbox = recipient && reason == REASON_ROUTE;
	reply_verdict(s, reason, no_mailbox ? "5.1.1" : row->enhanced, row->words);
	record.to = recipient;
	record.to_count = recipient ? 1 : 0;
	record_verdict(&record, reason, row->words, s->settings->tell_fd);
	s->told = true;
}

/* What has to come before a mail, and has not. */
static bool lacks_something(struct session *s)
{
	const struct session_settings *settings = s->settings;
	bool tls = settings->tls == CONFIG_TLS_REQUIRE && !s->encrypted;
	bool login = settings->auth == CONFIG_AUTH_REQUIRE && !*s->login;
	if (!tls && !login)
		return false;
	enum reply which = tls ? REPLY_TLS_FIRST : REPLY_LOGIN_FIRST;
	session_reply(s, which);
	log_verdict(s, REASON_LOGIN, reply_words(which));
	return true;
}

static void run_mail(struct session *s, const struct line_command *command)
{
	if (lacks_something(s))
		return;
	copy_text(s->sender, command->address, sizeof s->sender);
	s->declared = command->size;
	struct verdict verdict = decide_now(s, NULL);
	if (verdict.reason != REASON_NONE) {
		refuse_early(s, NULL, verdict.reason);
		session_forget(s);
		return;
	}
	s->state = STATE_MAIL;
	session_reply(s, REPLY_SENDER);
}

static bool is_known_recipient(const struct session *s, const char *address)
{
	for (size_t i = 0; i < s->recipients_count; i++) {
		if (strcasecmp(s->recipients[i], address) == 0)
			return true;
	}
	return false;
}

static void add_recipient(struct session *s, const char *address)
{
	char *text = s->recipients_text + s->recipients_used;
	s->recipients_used +=
		copy_text(text, address, sizeof s->recipients_text - s->recipients_used);
	s->recipients[s->recipients_count++] = text;
	s->state = STATE_RCPT;
}

static void run_rcpt(struct session *s, const struct line_command *command)
{
	const char *address = command->address;
	if (is_known_recipient(s, address)) {
		session_reply(s, REPLY_RECIPIENT);
		return;
	}
	if (s->recipients_count == ASK_RECIPIENTS_MAX) {
		session_reply(s, REPLY_MANY_RECIPIENTS);
		return;
	}
	struct verdict verdict = decide_now(s, &address);
	if (verdict.reason != REASON_NONE) {
		refuse_early(s, &address, verdict.reason);
		return;
	}
	add_recipient(s, address);
	session_reply(s, REPLY_RECIPIENT);
}

/* --- the message ------------------------------------------------------------------------------ */

static uint64_t discard_max(const struct session *s)
{
	return 2 * s->settings->rules->limits.message_bytes + DISCARD_EXTRA;
}

/* A message that ends here without a courier. */
static void refuse_message(struct session *s, enum reason reason)
{
	const struct verdict_row *row = verdict_row(reason);
	reply_verdict(s, reason, row->enhanced, row->words);
	log_verdict(s, reason, row->words);
}

/* Whoever reads such a message elsewhere may see other lines in it: ambiguous. */
static void refuse_line_ends(struct session *s, enum reply which)
{
	session_reply(s, which);
	log_verdict(s, REASON_AMBIGUOUS, reply_words(which));
}

static struct ask_head question_head(const struct session *s)
{
	const struct session_settings *settings = s->settings;
	struct ask_head head = { .kind = ASK_DELIVER, .has_envelope = 1 };
	/* our word counts only where no listener knows better */
	copy_text(head.origin.source, settings->source, sizeof head.origin.source);
	head.origin.kind = ASK_SOURCE_SMTP;
	head.origin.peer_known = settings->peer.known;
	head.origin.peer_allowed = settings->peer_allowed;
	memcpy(head.origin.peer, settings->peer.address, sizeof head.origin.peer);
	copy_text(head.login, s->login, sizeof head.login);
	head.bytes = s->spill.bytes;
	head.received_ms = wall_ms();
	head.deadline_ms = ask_deadline_ms(s->heard_ms, settings->answer_within_s, s->spill.bytes);
	head.recipients = (uint32_t)s->recipients_count;
	return head;
}

/* Passes the courier's answer on. The mark is kept until the device knows. */
static void pass_answer(struct session *s, const struct ask_answer *answer, int mark_fd)
{
	const struct verdict_row *row = verdict_row((enum reason)answer->reason);
	reply_verdict(s, (enum reason)answer->reason, row->enhanced,
		      *answer->text ? answer->text : row->words);
	s->told = true; /* by the courier */
	if (answer->reason == REASON_NONE) {
		s->errors = 0;
		wire_forgive(&s->wire);
	}
	if (answer->reason == REASON_SHUTDOWN) {
		s->abrupt = true;
		s->open = false;
	}
	uint64_t known_after = wire_sent_by_now(&s->wire);
	wire_flush(&s->wire);
	if (mark_fd >= 0)
		custody_keep(&s->custody, mark_fd, known_after);
}

static void lose_device(struct session *s)
{
	transcript_end(&s->transcript, ENDING_LOST);
	log_unfinished(s, "The connection broke before the mail was answered");
	s->wire.lost = true;
	s->open = false;
}

static void hand_over(struct session *s)
{
	auto_close int message_fd = -1;
	s->spill.error = spill_open(&s->spill, &message_fd);
	if (s->spill.error) {
		refuse_message(s, REASON_SPOOL);
		return;
	}
	struct ask_head head = question_head(s);
	struct ask_answer answer;
	int mark_fd = -1;
	switch (custody_ask(&s->custody, &head, s->sender, s->recipients, message_fd, &answer,
			    &mark_fd)) {
	case CUSTODY_ANSWERED: pass_answer(s, &answer, mark_fd); break;
	case CUSTODY_DEADLINE: refuse_message(s, REASON_DEADLINE); break;
	case CUSTODY_DIED: refuse_message(s, REASON_IO); break;
	case CUSTODY_GONE: lose_device(s); break;
	}
}

/* The last octet is here: what is wrong already needs no courier. */
static void end_message(struct session *s)
{
	s->heard_ms = monotonic_ms();
	s->commands = 0;
	transcript_mail(&s->transcript, s->spill.bytes);
	if (s->spill.too_big)
		refuse_message(s, REASON_SIZE);
	else if (s->spill.error)
		refuse_message(s, REASON_SPOOL);
	else if (s->flaws.bare_lf && !s->settings->lenient)
		refuse_line_ends(s, REPLY_BARE_LF);
	else if (s->flaws.bare_cr && !s->settings->lenient)
		refuse_line_ends(s, REPLY_BARE_CR);
	else
		hand_over(s);
	if (s->spill.bytes > discard_max(s)) {
		s->abrupt = true;
		s->open = false;
	}
	session_forget(s);
}

/* How long the rest of a hello is waited for (milliseconds). */
#define HELLO_MS 1000

void session_note_habit(struct session *s, enum session_habit habit)
{
	uint8_t *known = s->settings->habit;
	if (known && *known != SESSION_TLS)
		*known = (uint8_t)habit;
}

/* TLS where we can't speak it (any more): the device shows nothing useful, so the log must. */
static void tell_foreign(struct session *s)
{
	bool none = s->settings->tls == CONFIG_TLS_OFF;
	struct hello hello;
	const char *bytes;
	size_t size = wire_pending(&s->wire, &bytes);
	int64_t until_ms = monotonic_ms() + HELLO_MS;
	while (hello_read(bytes, size, &hello) == HELLO_SHORT &&
	       wire_more(&s->wire, until_ms) == WIRE_OK)
		size = wire_pending(&s->wire, &bytes);
	transcript_tls_hello(&s->transcript, bytes, size);
	transcript_tls_at_once(&s->transcript);
	session_note_habit(s, SESSION_TLS);
	session_log_stranger(
		s,
		none ? "The device speaks TLS at once on a port without it: switch TLS/SSL off there"
		     : "The device spoke TLS, but late: the next time it is given a moment to begin");
	s->open = false;
}

/* The transcript is told how it ended before the last words are said. */
static void note_end(struct session *s, enum wire_event event)
{
	static const enum ending endings[] = {
		[WIRE_ENDLESS] = ENDING_CUT,  [WIRE_FOREIGN] = ENDING_CUT,
		[WIRE_END] = ENDING_HUNG_UP,  [WIRE_LOST] = ENDING_LOST,
		[WIRE_TIMEOUT] = ENDING_IDLE, [WIRE_STOP] = ENDING_STOP,
	};
	transcript_end(&s->transcript, endings[event]);
}

/* Between two commands: what we say where the device can still hear it. */
void session_end_of_input(struct session *s, enum wire_event event)
{
	static const enum reply last_words[] = {
		[WIRE_ENDLESS] = REPLY_LONG, [WIRE_TIMEOUT] = REPLY_IDLE, [WIRE_STOP] = REPLY_STOP
	};
	note_end(s, event);
	if (event == WIRE_FOREIGN)
		tell_foreign(s);
	else if (event != WIRE_END && event != WIRE_LOST)
		session_close(s, last_words[event]);
	s->open = false;
	if (s->state == STATE_CHUNKS)
		log_unfinished(s, "The mail was begun by BDAT and not ended");
}

/* The connection ended, or was ended, in the middle of a message. */
static void break_off(struct session *s, enum wire_event event)
{
	static const char *const words[] = {
		[WIRE_END] = "The device hung up before the end of the mail",
		[WIRE_LOST] = "The connection broke before the end of the mail",
		[WIRE_TIMEOUT] = "The device was too slow or silent"
	};
	s->heard_ms = monotonic_ms();
	transcript_mail(&s->transcript, s->spill.bytes);
	note_end(s, event);
	if (event == WIRE_STOP)
		log_verdict(s, REASON_SHUTDOWN, reply_words(REPLY_STOP));
	else
		log_unfinished(s, words[event]);
	if (event == WIRE_STOP || event == WIRE_TIMEOUT)
		session_close(s, event == WIRE_STOP ? REPLY_STOP : REPLY_IDLE);
	s->open = false;
}

static void begin_message(struct session *s)
{
	const struct session_settings *settings = s->settings;
	spill_init(&s->spill, settings->receiving_fd, settings->rules->limits.message_bytes,
		   s->declared);
}

static void run_data(struct session *s, const struct line_command *command)
{
	(void)command;
	begin_message(s);
	session_reply(s, REPLY_DATA);
	enum wire_event event =
		intake_data(&s->wire, s->settings->lenient, discard_max(s), &s->spill, &s->flaws);
	if (event == WIRE_OK)
		end_message(s);
	else
		break_off(s, event);
}

/* What to say to a verb that is not in order. */
static enum reply order_reply(const struct session *s, enum line_verb verb)
{
	if (s->state == STATE_NEW)
		return REPLY_NEED_HELO;
	if (s->state == STATE_CHUNKS)
		return REPLY_IN_CHUNKS;
	if (verb == LINE_MAIL)
		return REPLY_NESTED;
	return s->state == STATE_READY ? REPLY_NEED_MAIL : REPLY_NEED_RCPT;
}

/* The octets of a chunk come whether we want them or not: they are read in any case (RFC 3030
 * section 2). */
static void run_bdat(struct session *s, const struct line_command *command)
{
	bool in_order = s->state == STATE_RCPT || s->state == STATE_CHUNKS;
	if (s->state == STATE_RCPT) {
		begin_message(s);
		s->state = STATE_CHUNKS;
	}
	if (command->chunk > discard_max(s)) {
		s->heard_ms = monotonic_ms();
		refuse_message(s, REASON_SIZE);
		s->abrupt = true;
		s->open = false;
		return;
	}
	enum wire_event event = intake_chunk(&s->wire, command->chunk, in_order ? &s->spill : NULL);
	if (event != WIRE_OK && !in_order)
		session_end_of_input(s, event);
	else if (event != WIRE_OK)
		break_off(s, event);
	else if (!in_order)
		session_reply(s, order_reply(s, LINE_BDAT));
	else if (command->last || s->spill.too_big || s->spill.error)
		end_message(s);
	else
		session_reply(s, REPLY_CHUNK);
}

/* --- the other commands ----------------------------------------------------------------------- */

static void put_extensions(struct session *s)
{
	struct reply_line size = { .size = 0 };
	reply_add(&size, "250-SIZE ");
	reply_add_number(&size, s->settings->rules->limits.message_bytes);
	put_line(s, "250-PIPELINING", 14);
	if (s->settings->tls != CONFIG_TLS_OFF && !s->encrypted && s->vault.fd >= 0)
		put_line(s, "250-STARTTLS", 12);
	if (session_offers_login(s)) {
		put_line(s, "250-AUTH PLAIN LOGIN", 20);
		/* as it was before there was a standard: some look for nothing else */
		put_line(s, "250-AUTH=PLAIN LOGIN", 20);
	}
	put_line(s, size.text, size.size);
	put_line(s, "250-8BITMIME", 12);
	put_line(s, "250-SMTPUTF8", 12);
	put_line(s, "250-ENHANCEDSTATUSCODES", 23);
	put_line(s, "250 CHUNKING", 12);
}

/* A repeated greeting drops what was begun (RFC 5321 section 4.1.4). Cameras say EHLO, then HELO.
 */
static void run_hello(struct session *s, const struct line_command *command)
{
	struct reply_line line = { .size = 0 };
	bool extended = command->verb == LINE_EHLO;
	s->state = STATE_READY;
	session_forget(s);
	reply_add(&line, extended ? "250-" : "250 ");
	reply_add(&line, s->settings->host);
	put_line(s, line.text, line.size);
	if (extended)
		put_extensions(s);
}

static void run_rset(struct session *s, const struct line_command *command)
{
	(void)command;
	session_forget(s);
	session_reply(s, REPLY_OK);
}

static void run_quit(struct session *s, const struct line_command *command)
{
	(void)command;
	session_reply(s, REPLY_BYE);
	s->open = false;
}

/* A browser can be made to talk to us: its request must not go on as a mail. */
static void run_http(struct session *s, const struct line_command *command)
{
	(void)command;
	session_log_stranger(s, "A web request came to the mail port");
	session_close(s, REPLY_WEB);
}

/* The text of a mail, or of a web request, that nobody asked for: a device did not hear our no to
 * DATA, or whoever sends has another reader in mind. What follows may look like commands. */
static void run_field(struct session *s, const struct line_command *command)
{
	(void)command;
	session_log_stranger(s,
			     "Header fields came as commands: our reply before them was not read");
	session_close(s, REPLY_FIELD);
}

/* A row either runs something or says one thing. */
static const struct row {
	unsigned states; /* in which it is in order */
	void (*run)(struct session *s, const struct line_command *command);
	enum reply says;
	bool fatal; /* bad arguments leave us not knowing what comes next */
} rows[LINE_VERB_COUNT] = {
	[LINE_UNKNOWN] = { STATE_ANY, NULL, REPLY_UNKNOWN, false },
	[LINE_HELO] = { STATE_ANY, run_hello, REPLY_OK, false },
	[LINE_EHLO] = { STATE_ANY, run_hello, REPLY_OK, false },
	[LINE_MAIL] = { STATE_READY, run_mail, REPLY_OK, false },
	[LINE_RCPT] = { STATE_MAIL | STATE_RCPT, run_rcpt, REPLY_OK, false },
	[LINE_DATA] = { STATE_RCPT, run_data, REPLY_OK, false },
	[LINE_BDAT] = { STATE_ANY, run_bdat, REPLY_OK, true },
	[LINE_RSET] = { STATE_ANY, run_rset, REPLY_OK, false },
	[LINE_NOOP] = { STATE_ANY, NULL, REPLY_OK, false },
	[LINE_VRFY] = { STATE_ANY, NULL, REPLY_VRFY, false },
	[LINE_HELP] = { STATE_ANY, NULL, REPLY_HELP, false },
	[LINE_QUIT] = { STATE_ANY, run_quit, REPLY_OK, false },
	[LINE_AUTH] = { STATE_NEW | STATE_READY, session_auth, REPLY_OK, false },
	[LINE_STARTTLS] = { STATE_NEW | STATE_READY, session_starttls, REPLY_OK, false },
	[LINE_NEVER] = { STATE_ANY, NULL, REPLY_NEVER, false },
	[LINE_HTTP] = { STATE_ANY, run_http, REPLY_OK, false },
	[LINE_FIELD] = { STATE_ANY, run_field, REPLY_OK, false },
};

/* --- the loop --------------------------------------------------------------------------------- */

static enum reply argument_reply(enum line_result result, enum line_verb verb)
{
	static const enum reply table[LINE_RESULT_COUNT] = {
		[LINE_BAD_ARGUMENT] = REPLY_ARGUMENT,
		[LINE_BAD_VALUE] = REPLY_VALUE,
		[LINE_OTHER_PARAMETER] = REPLY_PARAMETER,
	};
	if (result == LINE_BAD_ADDRESS)
		return verb == LINE_MAIL ? REPLY_BAD_SENDER : REPLY_BAD_RECIPIENT;
	return table[result];
}

static void run_command(struct session *s, const char *text, size_t size)
{
	struct line_command command;
	enum line_result result = line_parse(text, size, &command);
	const struct row *row = &rows[command.verb];
	if (!(row->states & s->state))
		session_reply(s, order_reply(s, command.verb));
	else if (result != LINE_OK && row->fatal)
		session_close(s, argument_reply(result, command.verb));
	else if (result != LINE_OK)
		session_reply(s, argument_reply(result, command.verb));
	else if (row->run)
		row->run(s, &command);
	else
		session_reply(s, row->says);
}

static void next_command(struct session *s)
{
	const char *text;
	size_t size;
	enum wire_event event = wire_line(&s->wire, &text, &size);
	s->heard_ms = monotonic_ms();
	if (event != WIRE_OK && event != WIRE_LONG) {
		session_end_of_input(s, event);
		return;
	}
	if (s->custody.count > 0 && wire_acknowledged(&s->wire))
		custody_settle(&s->custody, wire_taken(&s->wire));
	if (s->errors >= ERRORS_MAX || ++s->commands > COMMANDS_MAX) {
		session_close(s, s->errors >= ERRORS_MAX ? REPLY_ERRORS : REPLY_COMMANDS);
	} else if (event == WIRE_LONG) {
		session_reply(s, REPLY_LONG);
	} else {
		session_note_habit(s, SESSION_CLEAR);
		session_show(s, true, text, size);
		run_command(s, text, size);
	}
}

/* More than one line. A pipe is filled by whoever started us, and he may do that. */
static bool is_dialogue(const struct session *s, const char *early, size_t size)
{
	const char *end = memchr(early, '\n', size);
	return s->wire.socket && end && end + 1 < early + size;
}

static void greet(struct session *s)
{
	session_begin(s);
	if (!s->open)
		return;
	const char *early;
	struct reply_line line = { .size = 0 };
	/* behind a handshake nobody is taken for somebody else, however soon he speaks */
	size_t size = s->encrypted ? 0 : wire_early(&s->wire, &early, WIRE_INPUT);
	if (size > 0 && line_is_tls(early, size)) {
		tell_foreign(s);
		return;
	}
	if (size > 0 && !line_is_command(early, size)) {
		session_log_stranger(s, "Something that is no mail device talks to the mail port");
		session_close(s, REPLY_NOT_SMTP);
		return;
	}
	if (size > 0 && is_dialogue(s, early, size)) {
		session_log_stranger(s, "Several commands came before the greeting");
		session_close(s, REPLY_EARLY);
		return;
	}
	reply_add(&line, "220 ");
	reply_add(&line, s->settings->host);
	reply_add(&line, " ESMTP letterchute");
	put_line(s, line.text, line.size);
}

/* The last chance to learn that the device got its answer; and its last reply must not be overtaken
 * by a reset. */
static void say_goodbye(struct session *s)
{
	wire_flush(&s->wire);
	bool known = s->wire.ended && wire_acknowledged(&s->wire);
	if (!known && s->wire.socket && (s->abrupt || custody_is_open(&s->custody)))
		wire_linger(&s->wire, LINGER_MS);
	if (s->custody.count > 0 && wire_acknowledged(&s->wire))
		custody_settle(&s->custody, UINT64_MAX);
	/* what is left to be done the device need not wait for */
	if (s->custody.count > 0 && !s->settings->lent)
		wire_linger(&s->wire, 0);
	custody_done(&s->custody);
	wire_done(&s->wire);
}

static void init(struct session *s, const struct session_settings *settings)
{
	s->settings = settings;
	s->state = STATE_NEW;
	s->open = true;
	spill_init(&s->spill, -1, 0, 0);
	custody_init(&s->custody, settings->ask_fd, settings->out_fd);
	s->vault = (struct vault){ .fd = settings->keeper_fd, .wake_fd = settings->ask_fd };
	transcript_init(&s->transcript, settings->tell_fd, settings->watched, &settings->port);
	wire_init(&s->wire, settings->in_fd, settings->out_fd, settings->ask_fd, settings->idle_s);
}

/* A device that left because of something that no other line tells: in one line, why. */
static void log_failure(struct session *s)
{
	char words[DIAGNOSIS_MAX];
	bool silent, failed = course_failed(&s->transcript.course, &silent);
	if (!failed || silent || s->told)
		return;
	struct record record = session_record(s);
	course_diagnose(&s->transcript.course, words);
	record_peer(&record, LOG_WARNING, "failed", "text", words);
}

#define IDLE_S 60 /* where no listener's settings hold */

void session_configure(struct session_settings *settings, const struct config *config,
		       const struct config_listener *listener)
{
	settings->rules = &config->rules;
	settings->answer_within_s = config->gateway.answer_within_s;
	settings->source = listener ? listener->name : "session";
	settings->idle_s = listener ? listener->idle_s : IDLE_S;
	settings->tls = CONFIG_TLS_OFF;
	settings->auth = CONFIG_AUTH_OFF;
	if (!listener)
		return;
	settings->tls = (enum config_tls)listener->tls;
	settings->auth = (enum config_auth)listener->auth;
	settings->has_logins = config_has_logins(listener);
	settings->plaintext_auth = listener->plaintext_auth;
	settings->lenient = listener->line_ends == CONFIG_LINES_LENIENT;
	settings->port = (struct hello_port){ .tls = listener->tls != CONFIG_TLS_OFF,
					      .compat = (enum tls_compat)listener->tls_compat };
}

void session_run(const struct session_settings *settings)
{
	static _Alignas(4096) struct session session;
	init(&session, settings);
	greet(&session);
	while (session.open)
		next_command(&session);
	transcript_close(&session.transcript);
	log_failure(&session);
	say_goodbye(&session);
	spill_done(&session.spill);
}
