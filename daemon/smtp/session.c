/* session.c: the dialogue with a device. Never touches the share, never decides about a message:
 * policy and the courier do. */
#define _GNU_SOURCE
#include "daemon/smtp/session.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include "daemon/ask.h"
#include "daemon/base64.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/smtp/custody.h"
#include "daemon/smtp/intake.h"
#include "daemon/smtp/line.h"
#include "daemon/smtp/record.h"
#include "daemon/smtp/reply.h"
#include "daemon/smtp/transcript.h"
#include "daemon/smtp/vault.h"
#include "daemon/smtp/wire.h"
#include "daemon/spill.h"

#define ERRORS_MAX   20   /* 5xx replies since the last delivery */
#define COMMANDS_MAX 1000 /* since the last message */
#define LINGER_MS    2000
#define LOGINS_MAX   10    /* wrong passwords */
#define LOGIN_MS     60000 /* the keeper lets who was wrong often wait */

/* For the first octets of a handshake, before our greeting. */
#define AWAIT_UNKNOWN_MS 50
#define AWAIT_TLS_MS     500
#define AWAIT_PORT_MS    10000 /* where nothing else may come first */

/* A device that sends beyond the limit is heard out so far, then cut. */
#define DISCARD_EXTRA (64 * 1024 * 1024)

enum state {
	STATE_NEW = 1,     /* greeted by us, not by the device */
	STATE_READY = 2,   /* between messages */
	STATE_MAIL = 4,    /* a sender */
	STATE_RCPT = 8,    /* and at least one recipient */
	STATE_CHUNKS = 16, /* in the middle of a message that comes by BDAT */
	STATE_ANY = 31
};

/* What every session touches comes first, what big mails touch last: a page that is never touched
 * costs nothing. */
struct session {
	const struct session_settings *settings;
	unsigned state; /* enum state */
	bool open;
	bool abrupt; /* it is us who end it: the device may still be talking */
	struct intake_flaws flaws;
	bool encrypted;
	bool taken_on_trust; /* auth = accept-any */
	bool told;           /* the log has a line of what went wrong */
	unsigned errors, commands, wrong_passwords;
	struct vault vault;
	struct tls_signer signer;
	char login[ASK_SOURCE_MAX + 1]; /* "": none */
	uint64_t declared;              /* SIZE= (octets) */
	int64_t heard_ms;               /* when the last byte of what we answer came; monotonic */
	struct spill spill;
	struct custody custody;
	char sender[LINE_ADDRESS_MAX + 1];
	struct wire wire;
	size_t recipients_count, recipients_used;
	struct transcript transcript;
	const char *recipients[ASK_RECIPIENTS_MAX];
	char recipients_text[ASK_RECIPIENTS_MAX * (LINE_ADDRESS_MAX + 1)];
};

/* --- what is said, and what is logged --------------------------------------------------------- */

static struct record record_of(const struct session *s)
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

static size_t word_length(const char *text, size_t size)
{
	size_t length = 0;
	while (length < size && text[length] != ' ' && text[length] != '\t')
		length++;
	return length;
}

/* The transcript comes first: it blanks what the log must not show either. */
static void show(struct session *s, bool in, const char *text, size_t size)
{
	if (in)
		transcript_hear(&s->transcript, &text, &size);
	else
		transcript_say(&s->transcript, text, size);
	if (!log_is_debug())
		return;
	struct record record = record_of(s);
	record_dialogue(&record, in ? "in" : "out", text, size);
}

static void log_verdict(struct session *s, enum reason reason, const char *words)
{
	struct record record = record_of(s);
	s->told = true;
	record_verdict(&record, reason, words);
}

static void log_unfinished(struct session *s, const char *words)
{
	struct record record = record_of(s);
	s->told = true;
	record_unfinished(&record, words);
}

static void log_stranger(struct session *s, const char *words)
{
	struct record record = record_of(s);
	s->told = true;
	record_peer(&record, LOG_WARNING, "not-smtp", words);
}

static void put_line(struct session *s, const char *text, size_t size)
{
	wire_put(&s->wire, text, size);
	wire_put(&s->wire, "\r\n", 2);
	show(s, false, text, size);
	if (*text == '5')
		s->errors++;
}

static void reply(struct session *s, enum reply which)
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
static void close_with(struct session *s, enum reply which)
{
	reply(s, which);
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

static void forget_message(struct session *s)
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
	struct record record = record_of(s);
	bool no_mailbox = recipient && reason == REASON_ROUTE;
	reply_verdict(s, reason, no_mailbox ? "5.1.1" : row->enhanced, row->words);
	record.to = recipient;
	record.to_count = recipient ? 1 : 0;
	record_verdict(&record, reason, row->words);
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
	reply(s, which);
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
		forget_message(s);
		return;
	}
	s->state = STATE_MAIL;
	reply(s, REPLY_SENDER);
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
		reply(s, REPLY_RECIPIENT);
		return;
	}
	if (s->recipients_count == ASK_RECIPIENTS_MAX) {
		reply(s, REPLY_MANY_RECIPIENTS);
		return;
	}
	struct verdict verdict = decide_now(s, &address);
	if (verdict.reason != REASON_NONE) {
		refuse_early(s, &address, verdict.reason);
		return;
	}
	add_recipient(s, address);
	reply(s, REPLY_RECIPIENT);
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
	reply(s, which);
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
	forget_message(s);
}

/* How long the rest of a hello is waited for (milliseconds). */
#define HELLO_MS 1000

static void note_habit(struct session *s, enum session_habit habit)
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
	note_habit(s, SESSION_TLS);
	log_stranger(
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
static void end_of_input(struct session *s, enum wire_event event)
{
	static const enum reply last_words[] = {
		[WIRE_ENDLESS] = REPLY_LONG, [WIRE_TIMEOUT] = REPLY_IDLE, [WIRE_STOP] = REPLY_STOP
	};
	note_end(s, event);
	if (event == WIRE_FOREIGN)
		tell_foreign(s);
	else if (event != WIRE_END && event != WIRE_LOST)
		close_with(s, last_words[event]);
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
		close_with(s, event == WIRE_STOP ? REPLY_STOP : REPLY_IDLE);
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
	reply(s, REPLY_DATA);
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
		end_of_input(s, event);
	else if (event != WIRE_OK)
		break_off(s, event);
	else if (!in_order)
		reply(s, order_reply(s, LINE_BDAT));
	else if (command->last || s->spill.too_big || s->spill.error)
		end_message(s);
	else
		reply(s, REPLY_CHUNK);
}

/* --- TLS -------------------------------------------------------------------------------------- */

static void tell_tls(struct session *s, enum log_level level, const char *words)
{
	struct record record = record_of(s);
	record_peer(&record, level, "tls", words);
}

/* The handshake; what was said before it is forgotten, but that the device has greeted us. */
static void encrypt(struct session *s, const struct tls_public *key)
{
	static struct wire_handshake handshake;
	int64_t deadline_ms = monotonic_ms() + s->wire.idle_ms;
	s->vault.deadline_ms = deadline_ms;
	s->signer = (struct tls_signer){ .context = &s->vault,
					 .sign = vault_sign,
					 .decrypt = vault_decrypt };
	bool good = wire_encrypt(&s->wire, key, &s->signer, deadline_ms, &handshake);
	transcript_tls_hello(&s->transcript, handshake.hello, handshake.hello_size);
	if (!good) {
		transcript_tls_failed(&s->transcript, handshake.words, handshake.alert);
		tell_tls(s, LOG_WARNING, handshake.words);
		s->open = false;
		return;
	}
	transcript_tls_done(&s->transcript, handshake.words);
	if (log_is_debug())
		tell_tls(s, LOG_DEBUG, handshake.words);
	s->encrypted = true;
	s->login[0] = '\0';
	s->taken_on_trust = false;
	forget_message(s);
}

static const struct tls_public *find_key(struct session *s)
{
	static struct tls_public key;
	s->vault.deadline_ms = monotonic_ms() + s->wire.idle_ms;
	return vault_chain(&s->vault, &key) == VAULT_YES ? &key : NULL;
}

static void run_starttls(struct session *s, const struct line_command *command)
{
	const char *bytes;
	size_t left = wire_pending(&s->wire, &bytes);
	bool possible = s->settings->tls != CONFIG_TLS_OFF && s->vault.fd >= 0;
	if (command->argument_size > 0) {
		reply(s, REPLY_ARGUMENT);
		return;
	}
	if (!possible || s->encrypted) {
		reply(s, s->encrypted ? REPLY_TLS_ON : REPLY_NO_TLS);
		return;
	}
	/* somebody between us and the device could have put it there (RFC 3207 section 6) */
	if (left > 0 && !line_is_tls(bytes, left)) {
		log_stranger(s, "Commands in clear came behind STARTTLS");
		close_with(s, REPLY_TLS_CLEAR);
		return;
	}
	const struct tls_public *key = find_key(s);
	reply(s, key ? REPLY_TLS : REPLY_TLS_LATER);
	if (key)
		encrypt(s, key);
}

/* The device begins with TLS. */
static void encrypt_at_once(struct session *s)
{
	const struct tls_public *key = find_key(s);
	note_habit(s, SESSION_TLS);
	if (key) {
		encrypt(s, key);
		return;
	}
	tell_tls(s, LOG_ERROR, "There is no certificate, or nobody who has its key");
	s->open = false;
}

/* A device in clear waits for us, and we for it. */
static void tell_port(struct session *s)
{
	transcript_no_tls(&s->transcript);
	log_stranger(s,
		     "The device does not begin with TLS on a port that has `tls = implicit`: set "
		     "SSL/TLS there, not STARTTLS or none");
	close_with(s, REPLY_TLS_PORT);
}

/* What the device says before our greeting: TLS is begun, where we have it. */
static void begin(struct session *s)
{
	const struct session_settings *settings = s->settings;
	const char *early;
	bool implicit = settings->tls == CONFIG_TLS_IMPLICIT;
	uint8_t habit = settings->habit ? *settings->habit : SESSION_CLEAR;
	if (settings->tls == CONFIG_TLS_OFF)
		return;
	if (implicit)
		wire_await(&s->wire, AWAIT_PORT_MS);
	else if (habit != SESSION_CLEAR)
		wire_await(&s->wire, habit == SESSION_TLS ? AWAIT_TLS_MS : AWAIT_UNKNOWN_MS);
	size_t size = wire_early(&s->wire, &early, 16);
	if (size > 0 && line_is_tls(early, size))
		encrypt_at_once(s);
	else if (implicit && !s->wire.ended)
		tell_port(s);
}

/* --- AUTH ------------------------------------------------------------------------------------- */

/* Name and password as the device says them. */
struct claim {
	char name[VAULT_NAME_MAX + 1], password[VAULT_PASSWORD_MAX + 1];
};

enum claim_result { CLAIM_OK, CLAIM_CANCELLED, CLAIM_GARBLED, CLAIM_OTHER, CLAIM_BROKEN };

/* Is AUTH taken now, as far as the line and the listener are concerned? */
static bool may_log_in(const struct session *s)
{
	const struct session_settings *settings = s->settings;
	if (settings->auth == CONFIG_AUTH_OFF)
		return false;
	if (settings->tls == CONFIG_TLS_REQUIRE && !s->encrypted)
		return false;
	/* where any password will do none is worth hiding */
	if (settings->auth == CONFIG_AUTH_ANY)
		return true;
	return settings->has_logins && (s->encrypted || settings->plaintext_auth);
}

/* There is one login a session, if the device does not begin anew by STARTTLS (RFC 4954 section 4).
 */
static bool has_logged_in(const struct session *s)
{
	return *s->login || s->taken_on_trust;
}

static bool decode(const char *text, size_t size, char *out, size_t room, size_t *size_out)
{
	/* an empty answer behind the mechanism (RFC 4954 section 4) */
	if (size == 1 && *text == '=')
		size = 0;
	while (size > 0 && text[size - 1] == ' ')
		size--;
	if (memchr(text, ' ', size) || !base64_read(text, size, out, room - 1, size_out))
		return false;
	out[*size_out] = '\0';
	return true;
}

/* One line of the device, for which it is asked; nobody is shown it. */
static enum claim_result read_claim(struct session *s, enum reply question, char *out, size_t room,
				    size_t *size_out)
{
	const char *text;
	size_t size;
	reply(s, question);
	enum wire_event event = wire_line(&s->wire, &text, &size);
	if (event == WIRE_LONG)
		return CLAIM_GARBLED;
	if (event != WIRE_OK) {
		end_of_input(s, event);
		return CLAIM_BROKEN;
	}
	show(s, true, text, size);
	if (size == 1 && *text == '*')
		return CLAIM_CANCELLED;
	return decode(text, size, out, room, size_out) ? CLAIM_OK : CLAIM_GARBLED;
}

/* A NUL is the end of it, if anything. */
static bool is_text(const char *text, size_t size)
{
	const char *end = memchr(text, '\0', size);
	return !end || end + 1 == text + size;
}

/* [identity] NUL name NUL password (RFC 4616) */
static enum claim_result split_plain(const char *text, size_t size, struct claim *claim)
{
	const char *end = text + size;
	const char *name = memchr(text, '\0', size);
	const char *password = name ? memchr(name + 1, '\0', (size_t)(end - name - 1)) : NULL;
	if (!password)
		return CLAIM_GARBLED;
	name++;
	password++;
	size_t name_size = strlen(name), password_size = (size_t)(end - password);
	if (name_size > VAULT_NAME_MAX || password_size > VAULT_PASSWORD_MAX ||
	    !is_text(password, password_size))
		return CLAIM_GARBLED;
	memcpy(claim->name, name, name_size + 1);
	memcpy(claim->password, password, password_size);
	claim->password[password_size] = '\0';
	/* to act for somebody else is nobody's business */
	return *text && strcmp(text, name) != 0 ? CLAIM_OTHER : CLAIM_OK;
}

static enum claim_result claim_plain(struct session *s, const char *first, size_t size,
				     struct claim *claim)
{
	char text[VAULT_NAME_MAX * 2 + VAULT_PASSWORD_MAX + 4];
	size_t got = 0;
	enum claim_result result =
		size > 0 ? decode(first, size, text, sizeof text, &got) ? CLAIM_OK : CLAIM_GARBLED
			 : read_claim(s, REPLY_ASK_BOTH, text, sizeof text, &got);
	if (result == CLAIM_OK)
		result = split_plain(text, got, claim);
	explicit_bzero(text, sizeof text);
	return result;
}

static enum claim_result claim_login(struct session *s, const char *first, size_t size,
				     struct claim *claim)
{
	size_t got = 0;
	enum claim_result result =
		size > 0 ? decode(first, size, claim->name, sizeof claim->name, &got)
				   ? CLAIM_OK
				   : CLAIM_GARBLED
			 : read_claim(s, REPLY_ASK_NAME, claim->name, sizeof claim->name, &got);
	if (result != CLAIM_OK)
		return result;
	bool good = is_text(claim->name, got);
	result = read_claim(s, REPLY_ASK_PASSWORD, claim->password, sizeof claim->password, &got);
	return result == CLAIM_OK && !(good && is_text(claim->password, got)) ? CLAIM_GARBLED
									      : result;
}

static void log_login(struct session *s, const char *event, const char *name, enum log_level level)
{
	struct record record = record_of(s);
	record_login(&record, level, event, name);
}

static void refuse_login(struct session *s, const char *name)
{
	log_login(s, "wrong-password", name, LOG_WARNING);
	s->told = true;
	if (++s->wrong_passwords >= LOGINS_MAX)
		close_with(s, REPLY_LOGIN_MANY);
	else
		reply(s, REPLY_LOGIN_WRONG);
}

static void judge_claim(struct session *s, const struct claim *claim)
{
	/* a name that is taken on trust proves nothing: it is none for the rules */
	if (s->settings->auth == CONFIG_AUTH_ANY) {
		log_login(s, "any-password", claim->name, LOG_INFO);
		s->taken_on_trust = true;
		reply(s, REPLY_LOGIN);
		return;
	}
	s->vault.deadline_ms = monotonic_ms() + LOGIN_MS;
	switch (vault_login(&s->vault, claim->name, claim->password)) {
	case VAULT_YES:
		/* no known name is longer */
		snprintf(s->login, sizeof s->login, "%.63s", claim->name);
		reply(s, REPLY_LOGIN);
		break;
	case VAULT_NO: refuse_login(s, claim->name); break;
	case VAULT_LATER: reply(s, REPLY_LOGIN_LATER); break;
	case VAULT_NEVER: reply(s, REPLY_NO_LOGIN); break;
	}
}

static const struct mechanism {
	const char *name;
	enum claim_result (*run)(struct session *s, const char *first, size_t size,
				 struct claim *claim);
} mechanisms[] = { { "PLAIN", claim_plain }, { "LOGIN", claim_login } };

static const struct mechanism *find_mechanism(const char *name, size_t size)
{
	for (size_t i = 0; i < sizeof mechanisms / sizeof mechanisms[0]; i++) {
		if (strlen(mechanisms[i].name) == size &&
		    strncasecmp(mechanisms[i].name, name, size) == 0)
			return &mechanisms[i];
	}
	return NULL;
}

/* Why nobody logs in here and now. */
static enum reply login_fault(const struct session *s)
{
	const struct session_settings *settings = s->settings;
	bool any = settings->auth == CONFIG_AUTH_ANY;
	if (settings->auth == CONFIG_AUTH_OFF || (!any && !settings->has_logins))
		return REPLY_NO_LOGIN;
	return settings->tls == CONFIG_TLS_REQUIRE ? REPLY_TLS_FIRST : REPLY_LOGIN_CLEAR;
}

static void run_auth(struct session *s, const struct line_command *command)
{
	const char *text = command->argument, *end = text + command->argument_size;
	size_t name = word_length(text, command->argument_size);
	const struct mechanism *mechanism = find_mechanism(text, name);
	if (!may_log_in(s) || has_logged_in(s) || !mechanism) {
		reply(s, has_logged_in(s) ? REPLY_LOGIN_ON
			 : !may_log_in(s) ? login_fault(s)
					  : REPLY_MECHANISM);
		return;
	}
	const char *first = text + name;
	while (first < end && (*first == ' ' || *first == '\t'))
		first++;
	struct claim claim = { .name = "" };
	switch (mechanism->run(s, first, (size_t)(end - first), &claim)) {
	case CLAIM_OK: judge_claim(s, &claim); break;
	case CLAIM_OTHER: refuse_login(s, claim.name); break;
	case CLAIM_CANCELLED: reply(s, REPLY_LOGIN_CANCELLED); break;
	case CLAIM_GARBLED: reply(s, REPLY_LOGIN_GARBLED); break;
	case CLAIM_BROKEN: break;
	}
	explicit_bzero(&claim, sizeof claim);
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
	if (may_log_in(s) && !has_logged_in(s)) {
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
	forget_message(s);
	reply_add(&line, extended ? "250-" : "250 ");
	reply_add(&line, s->settings->host);
	put_line(s, line.text, line.size);
	if (extended)
		put_extensions(s);
}

static void run_rset(struct session *s, const struct line_command *command)
{
	(void)command;
	forget_message(s);
	reply(s, REPLY_OK);
}

static void run_quit(struct session *s, const struct line_command *command)
{
	(void)command;
	reply(s, REPLY_BYE);
	s->open = false;
}

/* A browser can be made to talk to us: its request must not go on as a mail. */
static void run_http(struct session *s, const struct line_command *command)
{
	(void)command;
	log_stranger(s, "A web request came to the mail port");
	close_with(s, REPLY_WEB);
}

/* The text of a mail, or of a web request, that nobody asked for: a device did not hear our no to
 * DATA, or whoever sends has another reader in mind. What follows may look like commands. */
static void run_field(struct session *s, const struct line_command *command)
{
	(void)command;
	log_stranger(s, "Header fields came as commands: our reply before them was not read");
	close_with(s, REPLY_FIELD);
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
	[LINE_AUTH] = { STATE_NEW | STATE_READY, run_auth, REPLY_OK, false },
	[LINE_STARTTLS] = { STATE_NEW | STATE_READY, run_starttls, REPLY_OK, false },
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
		reply(s, order_reply(s, command.verb));
	else if (result != LINE_OK && row->fatal)
		close_with(s, argument_reply(result, command.verb));
	else if (result != LINE_OK)
		reply(s, argument_reply(result, command.verb));
	else if (row->run)
		row->run(s, &command);
	else
		reply(s, row->says);
}

static void next_command(struct session *s)
{
	const char *text;
	size_t size;
	enum wire_event event = wire_line(&s->wire, &text, &size);
	s->heard_ms = monotonic_ms();
	if (event != WIRE_OK && event != WIRE_LONG) {
		end_of_input(s, event);
		return;
	}
	if (s->custody.count > 0 && wire_acknowledged(&s->wire))
		custody_settle(&s->custody, wire_taken(&s->wire));
	if (s->errors >= ERRORS_MAX || ++s->commands > COMMANDS_MAX) {
		close_with(s, s->errors >= ERRORS_MAX ? REPLY_ERRORS : REPLY_COMMANDS);
	} else if (event == WIRE_LONG) {
		reply(s, REPLY_LONG);
	} else {
		note_habit(s, SESSION_CLEAR);
		show(s, true, text, size);
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
	begin(s);
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
		log_stranger(s, "Something that is no mail device talks to the mail port");
		close_with(s, REPLY_NOT_SMTP);
		return;
	}
	if (size > 0 && is_dialogue(s, early, size)) {
		log_stranger(s, "Several commands came before the greeting");
		close_with(s, REPLY_EARLY);
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
	struct record record = record_of(s);
	course_diagnose(&s->transcript.course, words);
	record_peer(&record, LOG_WARNING, "failed", words);
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
