/* reply.h: every reply there is, as text (RFC 5321 section 4.2, RFC 3463). Room daemon/smtp: pure.
 *
 * Words are for a two-line panel: ASCII, under 60 characters, saying what to do. Those of verdicts
 * are in policy/verdict.h. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define REPLY_MAX 512 /* octets of a reply line, its end included (RFC 5321 section 4.5.3.1.5) */

enum reply {
	REPLY_OK,
	REPLY_SENDER,
	REPLY_RECIPIENT,
	REPLY_DATA,
	REPLY_CHUNK,
	REPLY_VRFY,
	REPLY_HELP,
	REPLY_BYE,
	REPLY_UNKNOWN,
	REPLY_LONG,
	REPLY_ARGUMENT,
	REPLY_BAD_SENDER,
	REPLY_BAD_RECIPIENT,
	REPLY_VALUE,
	REPLY_PARAMETER,
	REPLY_NEVER,
	REPLY_NO_LOGIN,
	REPLY_NO_TLS,
	REPLY_TLS,
	REPLY_TLS_ON,
	REPLY_TLS_LATER,
	REPLY_TLS_FIRST,
	REPLY_TLS_CLEAR,
	REPLY_TLS_PORT,
	REPLY_LOGIN,
	REPLY_LOGIN_ON,
	REPLY_LOGIN_FIRST,
	REPLY_LOGIN_CLEAR,
	REPLY_LOGIN_WRONG,
	REPLY_LOGIN_LATER,
	REPLY_LOGIN_MANY,
	REPLY_LOGIN_CANCELLED,
	REPLY_LOGIN_GARBLED,
	REPLY_MECHANISM,
	REPLY_ASK_NAME,
	REPLY_ASK_PASSWORD,
	REPLY_ASK_BOTH,
	REPLY_NEED_HELO,
	REPLY_NEED_MAIL,
	REPLY_NEED_RCPT,
	REPLY_NESTED,
	REPLY_IN_CHUNKS,
	REPLY_MANY_RECIPIENTS,
	REPLY_BARE_LF,
	REPLY_BARE_CR,
	REPLY_EARLY,
	REPLY_WEB,
	REPLY_FIELD,
	REPLY_NOT_SMTP,
	REPLY_ERRORS,
	REPLY_COMMANDS,
	REPLY_IDLE,
	REPLY_STOP,
	REPLY_MANY_SESSIONS,
	REPLY_BUSY,
	REPLY_COUNT
};

/* The whole line, without its end. */
const char *reply_text(enum reply reply);

/* Its words alone. */
const char *reply_words(enum reply reply);

/* A line that is put together piece by piece; what does not fit is left out. No printf: that would
 * be most of what a short session touches of the C library, and pages touched after a fork are what
 * a session costs. */
struct reply_line {
	size_t size;
	char text[REPLY_MAX];
};
void reply_add(struct reply_line *line, const char *text);
void reply_add_number(struct reply_line *line, uint64_t number);

/* Code, enhanced code, words; what is not printable ASCII in the words (they may come from another
 * program) becomes ?, so that they stay one line. */
void reply_build(struct reply_line *line, int code, const char *enhanced, const char *words);
