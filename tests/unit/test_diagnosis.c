/* test_diagnosis.c: whole sessions as a device and we speak them, and what its owner is told. A row
 * is named after what a device was seen to do. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "daemon/smtp/diagnosis.h"

/* `lines`: what the device says begins with >, what we say with <, octets of a mail with #. */
static const struct row {
	const char *name, *lines;
	enum ending ending;
	bool failed, silent;
	const char *words; /* what the diagnosis holds */
} rows[] = {
/* clang-format off */
#define GREETS "<220 gw\n>EHLO x\n<250-gw\n<250 SIZE 1\n"
#define OFFERS "<220 gw\n>EHLO x\n<250-gw\n<250-STARTTLS\n<250 AUTH PLAIN LOGIN\n"
#define SENDER ">MAIL FROM:<a@b>\n<250 2.1.0 ok\n"
#define BEGINS SENDER ">RCPT TO:<c@d>\n<250 ok\n"
#define BYE    ">QUIT\n<221 bye\n"
	{ "delivered", GREETS BEGINS ">DATA\n<354 go\n#10\n<250 ok\n" BYE, ENDING_HUNG_UP, false, false, "delivered 1 mail" },
	{ "two by BDAT", GREETS BEGINS ">BDAT 1\n<250 2.0.0 Chunk ok\n>BDAT 1 LAST\n<250 ok\n" BEGINS ">BDAT 1 LAST\n<250 ok\n", ENDING_HUNG_UP, false, false, "delivered 2 mails" },
	{ "a test of the connection", "<220 gw\n" BYE, ENDING_HUNG_UP, false, true, "said goodbye at once" },
	{ "HELO and QUIT", "<220 gw\n>HELO x\n<250 gw\n" BYE, ENDING_HUNG_UP, false, true, "test of the connection" },
	{ "a port scan", "<220 gw\n", ENDING_HUNG_UP, true, true, "left without a word" },
	{ "a device that waits for TLS", "<220 gw\n", ENDING_IDLE, true, true, "said nothing" },
	{ "leaves after EHLO", GREETS BYE, ENDING_HUNG_UP, true, true, "no STARTTLS and no login" },
	{ "leaves after EHLO, TLS offered", "<220 gw\n>EHLO x\n<250 STARTTLS\n" BYE, ENDING_HUNG_UP, true, true, "offers no login" },
	{ "leaves after EHLO, all offered", OFFERS BYE, ENDING_HUNG_UP, false, true, "left after our answer to EHLO: " },
	{ "hangs up after EHLO", GREETS, ENDING_HUNG_UP, true, true, "hung up after our answer to EHLO, which offers no STARTTLS" },
	{ "smtp2mqtt 1: EHLO, HELO, AUTH, quits on 502", GREETS ">HELO x\n<250 gw\n>AUTH LOGIN\n<502 5.5.1 No login here\n" BYE, ENDING_HUNG_UP, true, false, "no login is offered" },
	{ "one that tells its password all the same", GREETS ">AUTH LOGIN\n<502 no\n>dXNlcg==\n<500 what\n>c2VjcmV0\n<500 what\n", ENDING_HUNG_UP, true, false, "no login is offered" },
	{ "one that gets over it", GREETS ">AUTH LOGIN\n<502 no\n" BEGINS ">DATA\n<354 go\n<250 ok\n" BYE, ENDING_HUNG_UP, false, false, "delivered 1 mail" },
	{ "mailrise 22: AUTH in clear", OFFERS ">auth login\n<538 5.7.11 TLS first\n" BYE, ENDING_HUNG_UP, true, false, "without TLS" },
	{ "smtp-oauth-relay 57: Xerox leaves at 334", OFFERS ">AUTH LOGIN\n<334 VXNlcm5hbWU6\n", ENDING_HUNG_UP, true, false, "asked for its name or password (334)" },
	{ "QUIT at 334", OFFERS ">AUTH LOGIN\n<334 VXNlcm5hbWU6\n" BYE, ENDING_HUNG_UP, true, false, "left when we asked for its name" },
	{ "* at 334", OFFERS ">AUTH LOGIN\n<334 VXNlcm5hbWU6\n>*\n<501 5.7.0 Given up\n", ENDING_HUNG_UP, true, false, "left when we asked for its name" },
	{ "silent at 334", OFFERS ">AUTH PLAIN\n<334 \n", ENDING_IDLE, true, false, "gave no answer" },
	{ "wrong password", OFFERS ">AUTH LOGIN\n<334 VX\n>eA==\n<334 UG\n>eQ==\n<535 5.7.8 Login refused\n" BYE, ENDING_HUNG_UP, true, false, "name or password is wrong: enter both anew at the device; some cut a password after 20 characters; we said: 535 5.7.8 Login refused" },
	{ "CRAM-MD5", OFFERS ">AUTH CRAM-MD5\n<504 no\n" BYE, ENDING_HUNG_UP, true, false, "choose PLAIN or LOGIN" },
	{ "garbled login", OFFERS ">AUTH PLAIN !\n<501 what\n", ENDING_HUNG_UP, true, false, "garbled" },
	{ "logs in, then the wrong sender", OFFERS ">AUTH PLAIN eHh4\n<235 ok\n>MAIL FROM:<a@b>\n<550 5.7.1 Sender not allowed\n" BYE, ENDING_HUNG_UP, true, false, "sender address is refused" },
	{ "no login where there must be one", OFFERS ">MAIL FROM:<a@b>\n<530 5.7.0 Log in first\n" BYE, ENDING_HUNG_UP, true, false, "auth = require" },
	{ "no TLS where there must be", OFFERS ">MAIL FROM:<a@b>\n<530 5.7.0 Must issue STARTTLS first\n" BYE, ENDING_HUNG_UP, true, false, "tls = require" },
	{ "STARTTLS on a port without", GREETS ">STARTTLS\n<502 5.5.1 No TLS here\n" BYE, ENDING_HUNG_UP, true, false, "asks for STARTTLS on a port without it" },
	{ "STARTTLS, and no handshake", OFFERS ">STARTTLS\n<220 go\n", ENDING_HUNG_UP, true, false, "left at the TLS handshake" },
	{ "STARTTLS, and nothing", OFFERS ">STARTTLS\n<220 go\n", ENDING_IDLE, true, false, "did not begin it" },
	{ "a browser", "<220 gw\n>GET / HTTP/1.1\n<421 4.7.0 This is a mail port, not a web server\n", ENDING_CUT, true, false, "HTTP" },
	{ "a browser that is early", "<554 5.5.1 This port speaks SMTP only\n", ENDING_CUT, true, false, "something else than mail" },
	{ "recipient", GREETS SENDER ">RCPT TO:<c@d>\n<550 5.1.1 No rule takes it\n" BYE, ENDING_HUNG_UP, true, false, "the recipient is refused" },
	{ "one of two recipients", GREETS BEGINS ">RCPT TO:<e@f>\n<550 5.1.1 no\n>DATA\n<354 go\n<250 ok\n" BYE, ENDING_HUNG_UP, true, false, "delivered 1 mail; but: the recipient is refused" },
	{ "size at MAIL", GREETS ">MAIL FROM:<a@b> SIZE=9\n<552 5.3.4 Size\n" BYE, ENDING_HUNG_UP, true, false, "too big" },
	{ "size at the end", GREETS BEGINS ">DATA\n<354 go\n#99\n<552 5.3.4 Size\n" BYE, ENDING_HUNG_UP, true, false, "too big" },
	{ "type", GREETS BEGINS ">DATA\n<354 go\n#99\n<550 5.7.1 File type not allowed here\n" BYE, ENDING_HUNG_UP, true, false, "refused for what is in it; we said: 550 5.7.1 File type" },
	{ "bare LF", GREETS BEGINS ">DATA\n<354 go\n#99\n<554 5.6.0 Bare line feed in mail\n" BYE, ENDING_HUNG_UP, true, false, "line_ends = lenient" },
	{ "bare CR", GREETS BEGINS ">DATA\n<354 go\n#99\n<554 5.6.0 Bare return in mail\n" BYE, ENDING_HUNG_UP, true, false, "return without a line feed" },
	{ "the share is away", GREETS BEGINS ">DATA\n<354 go\n#99\n<451 4.3.0 Folder unavailable\n" BYE, ENDING_HUNG_UP, true, false, "try again later, which many devices never do; we said: 451" },
	{ "hangs up in the mail", GREETS BEGINS ">DATA\n<354 go\n#1234\n", ENDING_HUNG_UP, true, false, "hung up inside the mail, before its end: a time limit of its own, or the network, after 1234 octets" },
	{ "resets in the mail", GREETS BEGINS ">DATA\n<354 go\n#1234\n", ENDING_LOST, true, false, "broke inside the mail" },
	{ "stops in the mail", GREETS BEGINS ">DATA\n<354 go\n#1\n", ENDING_IDLE, true, false, "stopped sending" },
	{ "stops in the second mail", GREETS BEGINS ">DATA\n<354 go\n<250 ok\n" BEGINS ">DATA\n<354 go\n#1\n", ENDING_IDLE, true, false, "delivered 1 mail; but: stopped sending" },
	{ "leaves after the envelope", GREETS BEGINS BYE, ENDING_HUNG_UP, true, false, "left without a mail" },
	{ "hangs up after the envelope", GREETS BEGINS, ENDING_HUNG_UP, true, false, "before the mail" },
	{ "silent after the envelope", GREETS BEGINS, ENDING_IDLE, true, false, "named sender and recipient" },
	{ "stays connected after its mail", GREETS BEGINS ">DATA\n<354 go\n<250 ok\n", ENDING_IDLE, false, false, "delivered 1 mail" },
	{ "a command nobody knows, then QUIT", GREETS ">XCLIENT A=b\n<500 5.5.1 Command not known\n" BYE, ENDING_HUNG_UP, true, false, "is not known: XCLIENT" },
	{ "no greeting", "<220 gw\n>MAIL FROM:<a@b>\n<503 5.5.1 Say EHLO\n" BYE, ENDING_HUNG_UP, true, false, "order" },
	{ "no address at all", GREETS ">MAIL FROM:\n<501 5.5.4 Argument\n" BYE, ENDING_HUNG_UP, true, false, "sender address is refused" },
	{ "too many errors", GREETS ">FOO\n<500 what\n>FOO\n<421 4.7.0 Too many errors\n", ENDING_CUT, true, false, "too many commands that failed" },
	{ "silent after EHLO", GREETS, ENDING_IDLE, true, true, "greeted, and then said nothing" },
	{ "the gateway ends", GREETS, ENDING_STOP, false, true, "the gateway ended" },
	/* clang-format on */
};

static void play(struct course *course, const char *lines)
{
	while (*lines) {
		const char *end = strchr(lines, '\n');
		size_t size = (size_t)(end - lines) - 1;
		unsigned long octets;
		if (*lines == '>')
			course_hear(course, lines + 1, size);
		else if (*lines == '<')
			course_say(course, lines + 1, size);
		else if (sscanf(lines, "#%lu", &octets) == 1)
			course_mail(course, octets);
		lines = end + 1;
	}
}

static void test_rows(void **state)
{
	static const struct hello_port port = { .tls = true };
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct row *row = &rows[i];
		struct course course;
		char words[DIAGNOSIS_MAX];
		bool silent;
		course_init(&course, &port);
		play(&course, row->lines);
		course_end(&course, row->ending);
		course_diagnose(&course, words);
		if (!strstr(words, row->words) || course_failed(&course, &silent) != row->failed ||
		    silent != row->silent)
			fail_msg("%s: \"%s\", failed %d, silent %d", row->name, words,
				 course_failed(&course, &silent), silent);
	}
}

/* What may be seen of a line. */
static void test_secrets(void **state)
{
	static const struct {
		const char *before, *line, *seen;
	} secrets[] = {
		{ "", "EHLO cam", "EHLO cam" },
		{ "", "AUTH PLAIN AHVzZXIAc2VjcmV0", "AUTH PLAIN" },
		{ "", "auth\tlogin  dXNlcg==", "auth\tlogin" },
		{ "", "  AUTH LOGIN", "  AUTH LOGIN" },
		{ "", "AUTH c2VjcmV0", "AUTH" },
		{ "", "AUTH=PLAIN c2VjcmV0", "AUTH" },
		{ "", "AUTHc2VjcmV0", "AUTH" },
		{ "", "PASS secret", "PASS" },
		{ "", "a1 LOGIN user secret", "" },
		{ "", "c2VjcmV0cGFzc3dvcmQ=", "" },
		{ "", "GET /cam?password=secret HTTP/1.0", "GET" },
		{ ">AUTH LOGIN\n<334 VX\n", "c2VjcmV0", "" },
		{ ">AUTH LOGIN\n<334 VX\n", "QUIT", "QUIT" },
		{ ">AUTH LOGIN\n<334 VX\n", "*", "*" },
		{ ">AUTH LOGIN\n<334 VX\n", "RSET", "" }, /* the base64 of three octets */
		{ ">AUTH LOGIN\n<334 VX\n>dXNlcg==\n<334 UG\n", "MAIL", "" },
		{ ">AUTH LOGIN\n<334 VX\n>dXNlcg==\n<334 UG\n>eA==\n<535 no\n", "MAIL FROM:<a@b>",
		  "MAIL FROM:<a@b>" },
		{ ">AUTH LOGIN\n<502 no\n", "secret", "" },
		{ ">AUTH LOGIN\n<502 no\n>dXNlcg==\n<500 what\n", "secret", "" },
		{ ">AUTH LOGIN\n<502 no\n", "QUIT", "QUIT" },
	};
	static const struct hello_port port = { .tls = false };
	(void)state;
	for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
		struct course course;
		const char *line = secrets[i].line;
		course_init(&course, &port);
		play(&course, secrets[i].before);
		size_t visible = course_visible(&course, line, strlen(line));
		if (visible != strlen(secrets[i].seen) ||
		    strncmp(line, secrets[i].seen, visible) != 0)
			fail_msg("%s%s: %zu octets are seen", secrets[i].before, line, visible);
		course_hear(&course, line, strlen(line));
		assert_null(strstr(course.word, "secret"));
	}
}

static void test_handshake(void **state)
{
	static const struct {
		int alert;
		const char *words;
	} alerts[] = {
		{ 48,
		  "does not know who signed our certificate in the TLS handshake: switch the check off" },
		{ 42, "does not take our certificate" },
		{ 45, "look at its clock" },
		{ 40, "nothing that both sides can do" },
		{ -1, "the TLS handshake failed: no luck" },
		{ 200, "the TLS handshake failed: no luck" },
	};
	static const struct hello_port port = { .tls = true };
	(void)state;
	for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++) {
		struct course course;
		char words[DIAGNOSIS_MAX];
		course_init(&course, &port);
		strcpy(course.handshake, "no luck");
		course.alert = alerts[i].alert;
		course_trouble(&course, TROUBLE_TLS);
		course_end(&course, ENDING_CUT);
		course_diagnose(&course, words);
		assert_non_null(strstr(words, alerts[i].words));
		/* what the hello says is worth more */
		course.has_hello = true;
		course.hello = (struct hello){ .newest = HELLO_TLS10, .usable = HELLO_STRONG };
		course_diagnose(&course, words);
		assert_string_equal(
			words, "offers TLS 1.0 only: set tls_compat = legacy for this listener");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_handshake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
