/* diagnosis.c: follows a session and puts its end in words. Never replies and never decides what
 * happens. */
#include "daemon/smtp/diagnosis.h"
#include <string.h>
#include <strings.h>
#include "daemon/smtp/reply.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

void course_init(struct course *course, const struct hello_port *port)
{
	*course = (struct course){ .port = *port, .alert = -1 };
}

/* --- secrets ---------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static size_t skip_blanks(const char *text, size_t size, size_t at)
{
	while (at < size && is_blank(text[at]))
		at++;
	return at;
}

static size_t skip_word(const char *text, size_t size, size_t at)
{
	while (at < size && !is_blank(text[at]))
		at++;
	return at;
}

static bool is_word(const char *text, size_t size, const char *word)
{
	return strlen(word) == size && strncasecmp(text, word, size) == 0;
}

/* What a device gives up with, in place of an answer to 334. Neither is the base64 of a text. */
static bool gives_up(const char *text, size_t size)
{
	while (size > 0 && is_blank(text[size - 1]))
		size--;
	return is_word(text, size, "QUIT") || is_word(text, size, "*");
}

/* AUTH and its mechanism may be seen; but not a password in the mechanism's place. */
static size_t visible_of_auth(const char *text, size_t size)
{
	static const char *const mechanisms[] = {
		"PLAIN",  "LOGIN",    "CRAM-MD5",      "DIGEST-MD5",    "NTLM", "XOAUTH2",
		"GSSAPI", "EXTERNAL", "SCRAM-SHA-1",   "SCRAM-SHA-256", "MSN",  "ANONYMOUS",
		"CRAM",   "SPA",      "SCRAM-SHA-512", "OAUTHBEARER",   "APOP", "KERBEROS_V4",
	};
	size_t verb_end = skip_word(text, size, skip_blanks(text, size, 0));
	size_t at = skip_blanks(text, size, verb_end), end = skip_word(text, size, at);
	for (size_t i = 0; i < COUNT(mechanisms); i++) {
		if (is_word(text + at, end - at, mechanisms[i]))
			return end;
	}
	return verb_end;
}

/* The first word of what we don't know, if it looks like a command: others ask for a password in a
 * command of their own (PASS, LOGIN). */
static size_t visible_of_unknown(const char *text, size_t size)
{
	size_t at = skip_blanks(text, size, 0), end = skip_word(text, size, at);
	if (end - at >= 4 && strncasecmp(text + at, "AUTH", 4) == 0)
		return at + 4;
	for (size_t i = at; i < end; i++) {
		if (!((text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z')))
			return 0;
	}
	return end - at <= 10 ? end : 0;
}

size_t course_visible(const struct course *course, const char *text, size_t size)
{
	enum line_verb verb = line_verb(text, size);
	if (course->prompted)
		return gives_up(text, size) ? size : 0;
	if (verb == LINE_AUTH)
		return visible_of_auth(text, size);
	if (verb == LINE_UNKNOWN || verb == LINE_HTTP)
		return course->wary && verb == LINE_UNKNOWN ? 0 : visible_of_unknown(text, size);
	return size;
}

/* --- the course ------------------------------------------------------------------------------- */

static void copy_printable(char *to, size_t room, const char *text, size_t size)
{
	size = size < room - 1 ? size : room - 1;
	for (size_t i = 0; i < size; i++)
		to[i] = (char)(text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
	to[size] = '\0';
}

void course_hear(struct course *course, const char *text, size_t size)
{
	size_t visible = course_visible(course, text, size);
	bool answers = course->prompted && !is_word(text, size, "QUIT");
	course->gave_up = answers && gives_up(text, size);
	course->heard++;
	course->prompted = false;
	if (answers)
		return;
	course->verb = line_verb(text, size);
	course->wary |= course->verb == LINE_AUTH;
	if (course->verb == LINE_UNKNOWN)
		copy_printable(course->word, sizeof course->word, text, visible);
}

void course_mail(struct course *course, uint64_t octets)
{
	course->octets = octets;
}

void course_trouble(struct course *course, enum trouble trouble)
{
	course->trouble = trouble;
}

void course_end(struct course *course, enum ending ending)
{
	if (!course->ended)
		course->ending = ending;
	course->ended = true;
}

#define ANY_VERB LINE_VERB_COUNT
#define ANY_5XX  5
#define ANY_4XX  4

/* clang-format off */
/* The first row that fits. `words`: the reply holds them. */
static const struct {
	enum line_verb verb;
	int code;
	const char *words;
	enum trouble trouble;
} troubles[] = {
	{ ANY_VERB, 421, "web server", TROUBLE_WEB },
	{ ANY_VERB, 421, "Too many errors", TROUBLE_ERRORS },
	{ ANY_VERB, 421, "Too many commands", TROUBLE_ERRORS },
	{ ANY_VERB, 421, NULL, TROUBLE_NONE },
	{ ANY_VERB, 554, "SMTP only", TROUBLE_NOT_SMTP },
	{ ANY_VERB, 554, "begins with TLS", TROUBLE_NO_TLS },
	{ ANY_VERB, 554, "before the greeting", TROUBLE_ORDER },
	{ ANY_VERB, 530, "TLS", TROUBLE_TLS_NEEDED }, /* RFC 3207 section 4 */
	{ ANY_VERB, 530, NULL, TROUBLE_AUTH_NEEDED }, /* RFC 4954 section 6 */
	{ LINE_AUTH, 502, NULL, TROUBLE_AUTH_ABSENT },
	{ LINE_AUTH, 503, NULL, TROUBLE_ORDER },
	{ LINE_AUTH, 504, NULL, TROUBLE_AUTH_KIND },
	{ LINE_AUTH, 538, NULL, TROUBLE_AUTH_CLEAR },
	{ LINE_AUTH, 501, NULL, TROUBLE_AUTH_BROKEN },
	{ LINE_AUTH, 500, NULL, TROUBLE_AUTH_BROKEN },
	{ LINE_AUTH, ANY_5XX, NULL, TROUBLE_AUTH_WRONG },
	{ LINE_STARTTLS, 502, NULL, TROUBLE_TLS_ABSENT },
	{ LINE_STARTTLS, 503, NULL, TROUBLE_ORDER },
	{ LINE_STARTTLS, ANY_5XX, NULL, TROUBLE_TLS },
	{ LINE_MAIL, 503, NULL, TROUBLE_ORDER },
	{ LINE_MAIL, 501, "Parameter", TROUBLE_ARGUMENT },
	{ LINE_MAIL, 555, NULL, TROUBLE_ARGUMENT },
	{ LINE_MAIL, 552, NULL, TROUBLE_SIZE },
	{ LINE_MAIL, ANY_5XX, NULL, TROUBLE_SENDER },
	{ LINE_RCPT, 503, NULL, TROUBLE_ORDER },
	{ LINE_RCPT, 555, NULL, TROUBLE_ARGUMENT },
	{ LINE_RCPT, 552, NULL, TROUBLE_SIZE },
	{ LINE_RCPT, ANY_5XX, NULL, TROUBLE_RECIPIENT },
	{ ANY_VERB, 552, NULL, TROUBLE_SIZE },
	{ LINE_DATA, 503, NULL, TROUBLE_ORDER },
	{ LINE_BDAT, 503, NULL, TROUBLE_ORDER },
	{ LINE_DATA, 554, "Bare line feed", TROUBLE_BARE_LF },
	{ LINE_DATA, 554, "Bare return", TROUBLE_BARE_CR },
	{ LINE_DATA, ANY_5XX, NULL, TROUBLE_MAIL },
	{ LINE_BDAT, 501, NULL, TROUBLE_ARGUMENT },
	{ LINE_BDAT, ANY_5XX, NULL, TROUBLE_MAIL },
	{ LINE_UNKNOWN, ANY_5XX, NULL, TROUBLE_UNKNOWN },
	{ LINE_NEVER, ANY_5XX, NULL, TROUBLE_UNKNOWN },
	{ ANY_VERB, 503, NULL, TROUBLE_ORDER },
	{ ANY_VERB, ANY_5XX, NULL, TROUBLE_ARGUMENT },
	{ ANY_VERB, ANY_4XX, NULL, TROUBLE_LATER },
};
/* clang-format on */

static enum trouble find_trouble(enum line_verb verb, int code, const char *reply)
{
	for (size_t i = 0; i < COUNT(troubles); i++) {
		bool any = troubles[i].verb == ANY_VERB;
		bool class = troubles[i].code == code || troubles[i].code == code / 100;
		if ((any || troubles[i].verb == verb) && class &&
		    (!troubles[i].words || strstr(reply, troubles[i].words)))
			return troubles[i].trouble;
	}
	return TROUBLE_NONE;
}

static bool is_about_login(enum trouble trouble)
{
	return trouble >= TROUBLE_AUTH_ABSENT && trouble <= TROUBLE_AUTH_BROKEN;
}

static void refuse(struct course *course, int code, const char *text, size_t size)
{
	char reply[sizeof course->reply];
	copy_printable(reply, sizeof reply, text, size);
	enum trouble trouble = find_trouble(course->verb, code, reply);
	if (course->stage == STAGE_DATA && code != 421)
		course->stage = STAGE_ANSWERED;
	if (course->stage == STAGE_PROMPTED && course->gave_up)
		return;
	if (course->stage == STAGE_PROMPTED)
		course->stage = course->greeted;
	/* a device that takes no notice goes on with its name and password */
	bool rest = trouble == TROUBLE_UNKNOWN && course->wary && is_about_login(course->trouble);
	if (trouble == TROUBLE_NONE || rest)
		return;
	course->trouble = trouble;
	memcpy(course->reply, reply, sizeof reply);
}

/* What a device got over before its mail is forgotten. */
static void begin_mail(struct course *course)
{
	course->stage = STAGE_ENVELOPE;
	course->octets = 0;
	if (course->trouble <= TROUBLE_SENDER || course->trouble == TROUBLE_LATER)
		course->trouble = TROUBLE_NONE;
}

static void accept(struct course *course, const char *text, size_t size)
{
	const char *chunk = reply_text(REPLY_CHUNK);
	switch (course->verb) {
	case LINE_HELO: course->stage = course->greeted = STAGE_HELO; break;
	case LINE_EHLO: course->stage = course->greeted = STAGE_EHLO; break;
	case LINE_RSET:
	case LINE_AUTH: course->stage = course->greeted; break;
	case LINE_STARTTLS: course->stage = STAGE_TLS; break;
	case LINE_MAIL: begin_mail(course); break;
	case LINE_QUIT: course_end(course, ENDING_QUIT); break;
	case LINE_BDAT:
		course->stage = STAGE_DATA;
		if (strlen(chunk) == size && memcmp(text, chunk, size) == 0)
			break;
		/* fall through */
	case LINE_DATA:
		course->delivered += course->stage == STAGE_DATA;
		course->stage = STAGE_ANSWERED;
		break;
	default: break;
	}
}

/* A line of our answer to EHLO. */
static void note_offer(struct course *course, const char *text, size_t size)
{
	if (size >= 12 && memcmp(text + 4, "STARTTLS", 8) == 0)
		course->tls_offered = true;
	if (size >= 8 && memcmp(text + 4, "AUTH", 4) == 0)
		course->auth_offered = true;
}

void course_say(struct course *course, const char *text, size_t size)
{
	int code = 0;
	for (size_t i = 0; i < 3; i++) {
		if (size < 4 || text[i] < '0' || text[i] > '9')
			return;
		code = code * 10 + (text[i] - '0');
	}
	if (course->verb == LINE_EHLO && code == 250)
		note_offer(course, text, size);
	if (text[3] == '-')
		return;
	course->prompted = code == 334;
	if (code == 334)
		course->stage = STAGE_PROMPTED;
	else if (code == 354)
		course->stage = STAGE_DATA;
	else if (code >= 400)
		refuse(course, code, text, size);
	else
		accept(course, text, size);
}

/* --- the end ---------------------------------------------------------------------------------- */

bool course_failed(const struct course *course, bool *silent_out)
{
	bool quit = course->ending == ENDING_QUIT;
	*silent_out = course->trouble == TROUBLE_NONE && course->heard <= 2 &&
		      course->stage <= STAGE_EHLO;
	if (course->trouble != TROUBLE_NONE)
		return true;
	if (course->ending == ENDING_STOP || course->stage == STAGE_ANSWERED)
		return false;
	if (quit && course->delivered > 0)
		return false;
	/* who asks for what we offer and leaves may have missed something there */
	if (quit && course->stage == STAGE_EHLO)
		return !course->tls_offered || !course->auth_offered;
	return !(quit && course->stage <= STAGE_HELO);
}

/* What else a row tells. A reply_line holds more than a diagnosis may. */
static void say_reply(struct reply_line *words, const struct course *course)
{
	reply_add(words, "; we said: ");
	reply_add(words, course->reply);
}

static void say_octets(struct reply_line *words, const struct course *course)
{
	reply_add(words, ", after ");
	reply_add_number(words, course->octets);
	reply_add(words, " octets of it");
}

static void say_word(struct reply_line *words, const struct course *course)
{
	if (*course->word)
		reply_add(words, ": ");
	reply_add(words, course->word);
}

static void say_missing(struct reply_line *words, const struct course *course)
{
	if (!course->tls_offered && !course->auth_offered)
		reply_add(words, ", which offers no STARTTLS and no login");
	else if (!course->tls_offered)
		reply_add(words, ", which offers no STARTTLS");
	else if (!course->auth_offered)
		reply_add(words, ", which offers no login before TLS, or none at all");
	reply_add(words, ": it may insist on that, switch it off at the device, or see tls and "
			 "auth of this listener");
}

/* RFC 8446 section 6.2: what the device says against us. */
static const char *alert_words(int alert)
{
	static const struct {
		int alert;
		const char *words;
	} rows[] = {
		{ 42, "does not take our certificate" },
		{ 43, "does not take our kind of certificate" },
		{ 44, "says that our certificate is revoked" },
		{ 45, "says that our certificate has expired: look at its clock, too" },
		{ 46, "does not take our certificate" },
		{ 48, "does not know who signed our certificate" },
		{ 40, "finds nothing that both sides can do" },
		{ 70, "does not take our version of TLS" },
		{ 71, "finds our key or cipher too weak" },
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (rows[i].alert == alert)
			return rows[i].words;
	}
	return NULL;
}

static bool is_about_certificate(int alert)
{
	return alert >= 42 && alert <= 48;
}

/* The hello says most; then the device's alert; then the library. */
static void say_handshake(struct reply_line *words, const struct course *course)
{
	char found[HELLO_WORDS_MAX];
	const char *alert = alert_words(course->alert);
	if (course->has_hello && hello_judge(&course->hello, &course->port, found)) {
		reply_add(words, found);
		return;
	}
	reply_add(words, alert ? alert : "the TLS handshake failed");
	reply_add(words, alert ? " in the TLS handshake" : *course->handshake ? ": " : "");
	if (!alert)
		reply_add(words, course->handshake);
	if (is_about_certificate(course->alert))
		reply_add(words, ": switch the check off at the device, or let it import the "
				 "certificate");
	if (!course->has_hello)
		return;
	hello_describe(&course->hello, found);
	reply_add(words, "; it ");
	reply_add(words, found);
}

#define ANY (-1)

/* clang-format off */
/* The first row that fits. */
static const struct row {
	int trouble, stage, ending; /* of the enums, or ANY */
	const char *words;
	void (*more)(struct reply_line *words, const struct course *course);
} rows[] = {
	{ ANY, STAGE_DATA, ENDING_HUNG_UP, "hung up inside the mail, before its end: a time limit of its own, or the network", say_octets },
	{ ANY, STAGE_DATA, ENDING_LOST, "the connection broke inside the mail: a time limit of the device, or the network", say_octets },
	{ ANY, STAGE_DATA, ENDING_IDLE, "stopped sending, or sent next to nothing, inside the mail: see idle of this listener", say_octets },

	{ ANY, STAGE_PROMPTED, ENDING_IDLE, "gave no answer when we asked for its name or password (334): enter them at the device", NULL },
	{ ANY, STAGE_PROMPTED, ANY, "left when we asked for its name or password (334): none are set at the device, or it wants another way to log in", NULL },

	{ TROUBLE_WEB, ANY, ANY, "speaks HTTP to the mail port: a browser, or a wrong port at the device", NULL },
	{ TROUBLE_NOT_SMTP, ANY, ANY, "speaks something else than mail: choose SMTP and the right port at the device", NULL },
	{ TROUBLE_NO_TLS, ANY, ANY, "speaks without TLS on a port that begins with it (tls = implicit): choose SSL/TLS at the device, or give it a listener with tls = starttls", NULL },
	{ TROUBLE_TLS, ANY, ANY, "", say_handshake },
	{ TROUBLE_TLS_ABSENT, ANY, ANY, "asks for STARTTLS on a port without it: switch TLS off at the device, or set tls = starttls for this listener", NULL },
	{ TROUBLE_TLS_NEEDED, ANY, ANY, "sends without TLS, and this listener wants it (tls = require): choose STARTTLS at the device, or set tls = starttls", NULL },
	{ TROUBLE_AUTH_ABSENT, ANY, ANY, "wants to log in, and no login is offered: switch it off at the device, or set users, or auth = accept-any", NULL },
	{ TROUBLE_AUTH_CLEAR, ANY, ANY, "wants to log in without TLS: choose STARTTLS at the device, or set plaintext_auth = yes and peers for this listener", NULL },
	{ TROUBLE_AUTH_KIND, ANY, ANY, "wants to log in by a way that is not offered: choose PLAIN or LOGIN at the device", NULL },
	{ TROUBLE_AUTH_WRONG, ANY, ANY, "its name or password is wrong: enter both anew at the device; some cut a password after 20 characters", say_reply },
	{ TROUBLE_AUTH_BROKEN, ANY, ANY, "its name or password came garbled: enter both anew, in plain letters and digits", say_reply },
	{ TROUBLE_AUTH_NEEDED, ANY, ANY, "sends without a login, and this listener wants one (auth = require): enter name and password at the device", NULL },
	{ TROUBLE_SENDER, ANY, ANY, "its sender address is refused: set another one at the device, or allow it in `from` of a route or in `users`", say_reply },
	{ TROUBLE_RECIPIENT, ANY, ANY, "the recipient is refused: no route takes it, correct the address at the device or `to` of a route", say_reply },
	{ TROUBLE_SIZE, ANY, ANY, "its mail is too big: scan fewer pages or coarser, or raise `message` and `part` in [limits]", say_reply },
	{ TROUBLE_BARE_LF, ANY, ANY, "ends lines by a line feed alone: set line_ends = lenient for this listener", NULL },
	{ TROUBLE_BARE_CR, ANY, ANY, "has a return without a line feed in its mail: set line_ends = lenient for this listener", NULL },
	{ TROUBLE_MAIL, ANY, ANY, "its mail is refused for what is in it", say_reply },
	{ TROUBLE_ERRORS, ANY, ANY, "was cut off after too many commands that failed", NULL },
	{ TROUBLE_LATER, ANY, ANY, "was told to try again later, which many devices never do", say_reply },
	{ TROUBLE_UNKNOWN, ANY, ANY, "left after a command that is not known", say_word },
	{ TROUBLE_ORDER, ANY, ANY, "says its commands in an order that can't be", say_reply },
	{ TROUBLE_ARGUMENT, ANY, ANY, "says something that can't be understood", say_reply },

	{ ANY, STAGE_TLS, ENDING_IDLE, "asked for TLS and did not begin it", NULL },
	{ ANY, STAGE_TLS, ANY, "left at the TLS handshake", NULL },
	{ ANY, STAGE_CONNECTED, ENDING_IDLE, "connected and said nothing: it may wait for TLS at once, or speak another protocol", NULL },
	{ ANY, STAGE_CONNECTED, ENDING_QUIT, "said goodbye at once: a test of the connection", NULL },
	{ ANY, STAGE_CONNECTED, ANY, "left without a word: a test of the connection, or it waits for something else than SMTP", NULL },
	{ ANY, STAGE_EHLO, ENDING_QUIT, "left after our answer to EHLO", say_missing },
	{ ANY, STAGE_EHLO, ENDING_HUNG_UP, "hung up after our answer to EHLO", say_missing },
	{ ANY, STAGE_EHLO, ENDING_LOST, "broke the connection after our answer to EHLO", say_missing },
	{ ANY, STAGE_HELO, ENDING_QUIT, "greeted and said goodbye: a test of the connection", NULL },
	{ ANY, STAGE_ENVELOPE, ENDING_IDLE, "named sender and recipient, and then said nothing", NULL },
	{ ANY, STAGE_ENVELOPE, ENDING_QUIT, "named sender and recipient, and left without a mail: a test of the connection", NULL },
	{ ANY, STAGE_ENVELOPE, ANY, "hung up after sender and recipient, before the mail", NULL },
	{ ANY, ANY, ENDING_IDLE, "greeted, and then said nothing", NULL },
	{ ANY, ANY, ENDING_STOP, "the gateway ended", NULL },
	{ ANY, ANY, ENDING_CUT, "was cut off", NULL },
	{ ANY, ANY, ANY, "hung up before it sent a mail", NULL },
};
/* clang-format on */

static bool fits(int wanted, int found)
{
	return wanted == ANY || wanted == found;
}

/* How it ended, where not all went well. */
static void say_trouble(struct reply_line *words, const struct course *course)
{
	const struct row *row = rows;
	while (!fits(row->trouble, (int)course->trouble) || !fits(row->stage, (int)course->stage) ||
	       !fits(row->ending, (int)course->ending))
		row++;
	reply_add(words, row->words);
	if (row->more)
		row->more(words, course);
}

void course_diagnose(const struct course *course, char words_out[DIAGNOSIS_MAX])
{
	struct reply_line words = { .size = 0 };
	bool silent, failed = course_failed(course, &silent);
	if (course->delivered > 0) {
		reply_add(&words, "delivered ");
		reply_add_number(&words, course->delivered);
		reply_add(&words, course->delivered > 1 ? " mails" : " mail");
		reply_add(&words, failed ? "; but: " : "");
	}
	if (course->delivered == 0 || failed)
		say_trouble(&words, course);
	size_t size = words.size < DIAGNOSIS_MAX - 1 ? words.size : DIAGNOSIS_MAX - 1;
	memcpy(words_out, words.text, size);
	words_out[size] = '\0';
}
