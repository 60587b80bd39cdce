/* reply.c: what we say to a device. Never decides when. */
#include "daemon/smtp/reply.h"
#include <string.h>

static const char *const texts[REPLY_COUNT] = {
	[REPLY_OK] = "250 2.0.0 Ok",
	[REPLY_SENDER] = "250 2.1.0 Sender ok",
	[REPLY_RECIPIENT] = "250 2.1.5 Recipient ok",
	[REPLY_DATA] = "354 End data with <CR><LF>.<CR><LF>",
	[REPLY_CHUNK] = "250 2.0.0 Chunk ok",
	[REPLY_VRFY] = "252 2.0.0 Send a mail, then you will know",
	[REPLY_HELP] = "214 2.0.0 Send a mail, its attachments are filed",
	[REPLY_BYE] = "221 2.0.0 Bye",
	[REPLY_UNKNOWN] = "500 5.5.1 Command not known",
	[REPLY_LONG] = "500 5.5.2 Line too long",
	[REPLY_ARGUMENT] = "501 5.5.4 Argument missing or not understood",
	[REPLY_BAD_SENDER] = "501 5.1.7 Sender address not understood",
	[REPLY_BAD_RECIPIENT] = "501 5.1.3 Recipient address not understood",
	[REPLY_VALUE] = "501 5.5.4 Parameter value not understood",
	[REPLY_PARAMETER] = "555 5.5.4 Parameter not supported",
	[REPLY_NEVER] = "502 5.5.1 Command not offered",
	[REPLY_NO_LOGIN] = "502 5.5.1 No login here, switch it off at the device",
	[REPLY_NO_TLS] = "502 5.5.1 No TLS here, switch it off at the device",
	[REPLY_TLS] = "220 2.0.0 Ready for TLS",
	[REPLY_TLS_ON] = "503 5.5.1 TLS is on already",
	[REPLY_TLS_LATER] = "454 4.7.0 TLS is not available now, try again",
	[REPLY_TLS_FIRST] = "530 5.7.0 Say STARTTLS first, switch on TLS at the device",
	[REPLY_TLS_CLEAR] = "554 5.5.1 Nothing may follow STARTTLS in clear",
	[REPLY_TLS_PORT] = "554 5.7.0 This port begins with TLS, set SSL/TLS",
	[REPLY_LOGIN] = "235 2.7.0 Authentication successful",
	[REPLY_LOGIN_ON] = "503 5.5.1 Logged in already",
	[REPLY_LOGIN_FIRST] = "530 5.7.0 Authentication required, set name and password",
	[REPLY_LOGIN_CLEAR] = "538 5.7.11 Login needs TLS, switch it on at the device",
	[REPLY_LOGIN_WRONG] = "535 5.7.8 Wrong name or password",
	[REPLY_LOGIN_LATER] = "454 4.7.0 Login is not possible now, try again",
	[REPLY_LOGIN_MANY] = "421 4.7.0 Too many wrong passwords",
	[REPLY_LOGIN_CANCELLED] = "501 5.7.0 Login cancelled",
	[REPLY_LOGIN_GARBLED] = "501 5.5.2 Login not understood, base64 expected",
	[REPLY_MECHANISM] = "504 5.5.4 Only PLAIN and LOGIN here",
	/* some devices look at every letter of these (RFC 4954 has no word about LOGIN) */
	[REPLY_ASK_NAME] = "334 VXNlcm5hbWU6",
	[REPLY_ASK_PASSWORD] = "334 UGFzc3dvcmQ6",
	[REPLY_ASK_BOTH] = "334 ",
	[REPLY_NEED_HELO] = "503 5.5.1 Say EHLO or HELO first",
	[REPLY_NEED_MAIL] = "503 5.5.1 Say MAIL first",
	[REPLY_NEED_RCPT] = "503 5.5.1 No recipient yet",
	[REPLY_NESTED] = "503 5.5.1 A mail is begun already, RSET drops it",
	[REPLY_IN_CHUNKS] = "503 5.5.1 Go on with BDAT, or drop it with RSET",
	[REPLY_MANY_RECIPIENTS] = "452 4.5.3 Too many recipients",
	[REPLY_BARE_LF] = "554 5.6.0 Bare line feed in mail, ask for lenient mode",
	[REPLY_BARE_CR] = "554 5.6.0 Bare return in mail, ask for lenient mode",
	[REPLY_EARLY] = "554 5.5.1 Commands before the greeting, wait for it",
	[REPLY_WEB] = "421 4.7.0 This is a mail port, not a web server",
	[REPLY_FIELD] = "421 4.7.0 A mail's text is no command, closing",
	[REPLY_NOT_SMTP] = "554 5.5.1 This port speaks SMTP only",
	[REPLY_ERRORS] = "421 4.7.0 Too many errors",
	[REPLY_COMMANDS] = "421 4.7.0 Too many commands",
	[REPLY_IDLE] = "421 4.4.2 Too slow or silent, closing",
	[REPLY_STOP] = "421 4.3.2 Shutting down, try again",
	[REPLY_MANY_SESSIONS] = "421 4.7.0 Too many connections, try again",
	[REPLY_BUSY] = "421 4.3.2 Too busy, try again",
};

const char *reply_text(enum reply reply)
{
	return texts[reply];
}

const char *reply_words(enum reply reply)
{
	const char *words = texts[reply] + 4;
	return reply == REPLY_DATA ? words : strchr(words, ' ') + 1;
}

#define ROOM (REPLY_MAX - 2) /* for CR LF */

void reply_add(struct reply_line *line, const char *text)
{
	size_t size = strlen(text), left = ROOM - line->size;
	size = size < left ? size : left;
	memcpy(line->text + line->size, text, size);
	line->size += size;
}

void reply_add_number(struct reply_line *line, uint64_t number)
{
	char digits[21];
	char *first = digits + 20;
	*first = '\0';
	do {
		*--first = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	reply_add(line, first);
}

void reply_build(struct reply_line *line, int code, const char *enhanced, const char *words)
{
	line->size = 0;
	reply_add_number(line, (uint64_t)code);
	reply_add(line, " ");
	reply_add(line, enhanced);
	reply_add(line, " ");
	reply_add(line, words);
	for (size_t i = 0; i < line->size; i++) {
		if (line->text[i] < ' ' || line->text[i] > '~')
			line->text[i] = '?';
	}
}
