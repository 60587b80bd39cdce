/* test_session.c: whole dialogues through a pair of sockets, with a courier that does what a row
 * says. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "daemon/ask.h"
#include "daemon/fdio.h"
#include "daemon/smtp/notice.h"
#include "daemon/smtp/session.h"

/* What the courier does with one question after the other; one letter each:
 * D promises with a mark and delivers, d delivers without one, p promises and dies, q promises and
 * refuses, R refuses (type), x dies, n answers nonsense, h says nothing. A settle is done, unless
 * the letter is k: then it dies. */
static void play_courier(int queue_fd, int report_fd, const char *script)
{
	static union {
		struct ask_head head;
		char room[ASK_MAX];
	} question;
	for (;;) {
		int fds[FDIO_PASS_MAX];
		size_t count = FDIO_PASS_MAX;
		ssize_t size = receive_fds(queue_fd, &question, sizeof question, fds, &count, 0);
		struct ask ask;
		if (size <= 0)
			_exit(0);
		if (!ask_read(&question, (size_t)size, &ask))
			_exit(1);
		if (ask.head->kind == ASK_SETTLE) {
			bool dies = *script == 'k';
			struct ask_answer done = { .kind = ASK_SETTLED };
			dprintf(report_fd, dies ? "died;" : "settled;");
			if (!dies)
				pass_fds(fds[1], &done, sizeof done, NULL, 0);
			close(fds[0]);
			close(fds[1]);
			if (dies && script[1])
				script++;
			continue;
		}
		char body[64] = "";
		if (pread(fds[0], body, sizeof body - 1, 0) < 0)
			_exit(1);
		dprintf(report_fd, "%s>%s %u %llu[%s];", ask.sender, ask.recipients[0],
			ask.head->recipients, (unsigned long long)ask.head->bytes, body);
		struct ask_answer answer = { .kind = ASK_PROMISED, .job = "1" };
		int mark = memfd_create("mark", MFD_CLOEXEC);
		if (strchr("Dpq", *script))
			pass_fds(fds[1], &answer, sizeof answer, &mark, 1);
		close(mark);
		answer.kind = ASK_FINAL;
		answer.reason = strchr("qR", *script) ? REASON_TYPE : REASON_NONE;
		if (strchr("DdqR", *script))
			pass_fds(fds[1], &answer, sizeof answer, NULL, 0);
		if (*script == 'n')
			pass_fds(fds[1], "?", 1, NULL, 0);
		close(fds[0]);
		if (*script != 'h')
			close(fds[1]);
		if (script[1])
			script++;
	}
}

static void build_rules(struct rules *rules)
{
	struct rules_error error;
	rules_init(rules);
	assert_true(rules_open(rules, "limits", "", 0, &error) &&
		    rules_set(rules, "message", "1k", 0, &error));
	assert_true(rules_open(rules, "share", "", 0, &error) &&
		    rules_set(rules, "path", "/nowhere", 0, &error));
	assert_true(rules_open(rules, "route", "all", 0, &error) &&
		    rules_set(rules, "to", "*@here", 0, &error));
	assert_true(rules_finish(rules, &error));
}

struct row {
	const char *courier, *input;
	const char *codes;  /* of the replies, one after the other */
	const char *report; /* what the courier saw */
	bool lenient;
	bool early; /* all of it is there before the greeting: a device that waits for nothing */
};

#define HELLO  "EHLO x\r\n"
#define MAIL   "MAIL FROM:<a@b>\r\n"
#define RCPT   "RCPT TO:<c@here>\r\n"
#define BEGIN  HELLO MAIL RCPT
#define GREETS "220 250 250 250 "

/* clang-format off */
static const struct row rows[] = {
	{ "D", "", "220", "", false, false },
	{ "D", "QUIT\r\n", "220 221", "", false, false },
	{ "D", BEGIN "DATA\r\nhi\r\n.\r\n", GREETS "354 250", "a@b>c@here 1 4[hi\r\n];settled;", false, false },
	{ "D", BEGIN "DATA\r\nhi\r\n.\r\nQUIT\r\n", GREETS "354 250 221", "a@b>c@here 1 4[hi\r\n];settled;", false, false },
	{ "DkD", BEGIN "DATA\r\nhi\r\n.\r\n", GREETS "354 250", "a@b>c@here 1 4[hi\r\n];died;settled;", false, false },
	{ "Dk", BEGIN "DATA\r\nhi\r\n.\r\n", GREETS "354 250", "a@b>c@here 1 4[hi\r\n];died;died;", false, false },
	{ "d", BEGIN "DATA\r\nhi\r\n.\r\n", GREETS "354 250", "a@b>c@here 1 4[hi\r\n];", false, false },
	{ "q", BEGIN "DATA\r\nhi\r\n.\r\n", GREETS "354 550", "a@b>c@here 1 4[hi\r\n];", false, false },
	{ "pD", BEGIN "DATA\r\nhi\r\n.\r\n", GREETS "354 250", "a@b>c@here 1 4[hi\r\n];a@b>c@here 1 4[hi\r\n];settled;", false, false },
	{ "R", BEGIN "DATA\r\nhi\r\n.\r\n", GREETS "354 550", "a@b>c@here 1 4[hi\r\n];", false, false },
	{ "xD", BEGIN "DATA\r\nhi\r\n.\r\n", GREETS "354 250", "a@b>c@here 1 4[hi\r\n];a@b>c@here 1 4[hi\r\n];settled;", false, false },
	{ "nD", BEGIN "DATA\r\nhi\r\n.\r\n", GREETS "354 250", "a@b>c@here 1 4[hi\r\n];a@b>c@here 1 4[hi\r\n];settled;", false, false },
	{ "xx", BEGIN "DATA\r\nhi\r\n.\r\n", GREETS "354 451", "a@b>c@here 1 4[hi\r\n];a@b>c@here 1 4[hi\r\n];", false, false },
	{ "h", BEGIN "DATA\r\nhi\r\n.\r\n", GREETS "354 451", "a@b>c@here 1 4[hi\r\n];", false, false },
	{ "DD", BEGIN "DATA\r\nhi\r\n.\r\n" MAIL RCPT "BDAT 2\r\nhoBDAT 0 LAST\r\n", GREETS "354 250 250 250 250 250",
	  "a@b>c@here 1 4[hi\r\n];a@b>c@here 1 2[ho];settled;settled;", false, false },
	{ "D", BEGIN "RCPT TO:<C@Here>\r\nRCPT TO:<d@here>\r\nRCPT TO:<e@elsewhere>\r\nDATA\r\n.\r\n",
	  GREETS "250 250 550 354 250", "a@b>c@here 2 0[];settled;", false, false },
	{ "D", BEGIN "DATA\r\na\n.\nb\r\n.\r\n", GREETS "354 554", "", false, false },
	{ "D", BEGIN "DATA\r\na\n.\nb\r\n.\r\n", GREETS "354 250", "a@b>c@here 1 9[a\r\n.\r\nb\r\n];settled;", true, false },
	{ "D", BEGIN "DATA\r\na\rb\r\n.\r\n", GREETS "354 554", "", false, false },
	{ "D", BEGIN "DATA\r\nhalf", GREETS "354", "", false, false },
	{ "D", BEGIN "BDAT 10\r\nhalf", "220 250 250 250", "", false, false },
	{ "D", "MAIL FROM:<a@b>\r\n" HELLO "DATA\r\n" RCPT MAIL MAIL "DATA\r\n", "220 503 250 503 503 250 503 503", "", false, false },
	{ "D", HELLO "MAIL FROM:<a@b> SIZE=1025\r\n" RCPT, "220 250 552 503", "", false, false },
	{ "D", BEGIN "BDAT 1025 LAST\r\n", GREETS "", "", false, false },
	{ "D", BEGIN "BDAT 99999999999 LAST\r\n", GREETS "552", "", false, false },
	{ "D", BEGIN "BDAT\r\n", GREETS "501", "", false, false },
	{ "D", "GET / HTTP/1.0\r\nEHLO x\r\n", "554", "", false, true },
	{ "D", "GET / HTTP/1.0\r\nEHLO x\r\n", "220 421", "", false, false },
	{ "D", BEGIN "DATA\r\nhi\r\n.\r\n", "554", "", false, true },
	{ "D", HELLO MAIL, "554", "", false, true },
	{ "D", HELLO, "220 250", "", false, true },
	{ "D", HELLO "EHLO / HTTP/1.1\r\nMAIL FROM:<a@b>\r\n", "220 250 421", "", false, false },
	{ "D", HELLO MAIL "DATA\r\nSubject: x\r\n\r\n" RCPT "DATA\r\nhi\r\n.\r\n", "220 250 250 503 421", "", false, false },
	{ "D", HELLO "X-Y:z\r\n" BEGIN, "220 250 421", "", false, false },
	{ "D", HELLO "MAILFROM:<a@b>\r\nRCPTTO: x\r\nA_B: x\r\n", "220 250 500 500 500", "", false, false },
	{ "D", "NOOP\r\nPOST / HTTP/1.0\r\nEHLO x\r\n", "220 250 421", "", false, false },
	{ "D", "NOOP\r\n\x16\x03\x01\r\n", "220 250", "", false, false },
	{ "D", "\x16\x03\x01\x01", "", "", false, true },
};
/* clang-format on */

/* Reads everything up to the end of file. */
static void read_text(int fd, char *text, size_t size)
{
	ssize_t got = read_all(fd, text, size - 1);
	assert_true(got >= 0);
	text[got] = '\0';
}

/* "250-x\r\n250 y\r\n221 z\r\n" -> "250 221" */
static void list_codes(const char *replies, char *codes)
{
	*codes = '\0';
	for (const char *line = replies; *line; line = strchr(line, '\n') + 1) {
		assert_non_null(strchr(line, '\n'));
		if (line[3] == ' ')
			sprintf(codes + strlen(codes), "%s%.3s", *codes ? " " : "", line);
	}
}

static void run_session(const struct row *row, int device_fd, int ask_fd)
{
	struct rules rules;
	build_rules(&rules);
	const struct session_settings settings = {
		.source = "lan",
		.host = "test",
		.rules = &rules,
		.peer_allowed = true,
		.lenient = row->lenient,
		.idle_s = 5,
		.answer_within_s = 1,
		.in_fd = device_fd,
		.out_fd = device_fd,
		.ask_fd = ask_fd,
		.tell_fd = -1,
		.receiving_fd = -1,
	};
	notice_prepare();
	session_run(&settings);
	rules_done(&rules);
	exit(0);
}

static void say_all(int fd, const struct row *row)
{
	assert_int_equal(write_all(fd, row->input, strlen(row->input)), 0);
	shutdown(fd, SHUT_WR);
}

/* How many octets it has. */
static size_t read_greeting(int fd, char *text)
{
	size_t size = 0;
	do
		assert_int_equal(read(fd, text + size, 1), 1);
	while (text[size++] != '\n');
	return size;
}

static void run_row(const struct row *row)
{
	int device[2], queue[2], report[2];
	char codes[512], replies[8192], seen[1024], wanted[512];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, device), 0);
	assert_int_equal(socket_pair(&queue[0], &queue[1]), 0);
	assert_int_equal(pipe(report), 0);
	if (row->early)
		say_all(device[0], row);
	pid_t session = fork();
	if (session == 0) {
		close(device[0]);
		close(queue[1]);
		run_session(row, device[1], queue[0]);
	}
	pid_t courier = fork();
	if (courier == 0) {
		close(device[0]);
		close(device[1]);
		close(queue[0]);
		play_courier(queue[1], report[1], row->courier);
	}
	close(device[1]);
	close(queue[0]);
	close(queue[1]);
	close(report[1]);
	size_t greeted = row->early ? 0 : read_greeting(device[0], replies);
	if (!row->early)
		say_all(device[0], row);
	read_text(device[0], replies + greeted, sizeof replies - greeted);
	read_text(report[0], seen, sizeof seen);
	int status;
	waitpid(courier, &status, 0);
	assert_int_equal(status, 0);
	waitpid(session, &status, 0);
	assert_int_equal(status, 0);
	list_codes(replies, codes);
	snprintf(wanted, sizeof wanted, "%s", row->codes);
	while (*wanted && wanted[strlen(wanted) - 1] == ' ')
		wanted[strlen(wanted) - 1] = '\0';
	if (strcmp(codes, wanted) != 0 || strcmp(seen, row->report) != 0)
		fail_msg("%s\n got %s\nwant %s\n got %s\nwant %s", row->input, codes, wanted, seen,
			 row->report);
	close(device[0]);
	close(report[0]);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		run_row(&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
