/* test_pull.c: a mailbox is emptied, whatever its server and the couriers make of it. The server is
 * played here, behind conn.h; the couriers by a child. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/ask.h"
#include "daemon/fdio.h"
#include "daemon/imap/box.h"
#include "daemon/imap/cage.h"
#include "daemon/imap/pull.h"
#include "daemon/keep.h"
#include "daemon/kept.h"
#include "daemon/secret.h"
#include "daemon/status.h"

#define MAILS_MAX  8
#define TOO_OFTEN  60 /* looks at the mailbox in a few seconds */
#define VALIDITY   7
#define FEW_OCTETS 10

struct mail {
	uint32_t uid;
	uint64_t told, octets; /* its size as the server says, and as it is */
	bool gone, deleted;
	bool untold;   /* nothing is told about it, nor about others in one breath */
	bool breaks;   /* the connection, where it is asked about */
	bool vanishes; /* while it is fetched */
	bool stuck;    /* can't be moved or removed */
	bool awaited;  /* the run ends when all of these are gone */
	unsigned copies;
	unsigned comes; /* with this look at the mailbox */
};

/* --- the server ------------------------------------------------------------------------------- */

static struct server {
	struct mail mails[MAILS_MAX + 1]; /* up to one without UID */
	unsigned searches, rests, visits;
	bool knows_move, expunges;
	int64_t end_ms;
	int wake_fd;
} server;

struct conn {
	int nothing;
};

static struct mail *find_mail(uint32_t uid)
{
	for (struct mail *mail = server.mails; mail->uid; mail++) {
		if (mail->uid == uid)
			return mail->gone ? NULL : mail;
	}
	return NULL;
}

static void end_run(void)
{
	assert_int_equal(write(server.wake_fd, "x", 1), 1);
}

struct conn *conn_new(const struct config_account *account, int wake_fd)
{
	(void)account;
	(void)wake_fd;
	server.visits++;
	return calloc(1, sizeof(struct conn));
}

void conn_free(struct conn *conn)
{
	free(conn);
}

void conn_hush(struct conn *conn)
{
	(void)conn;
}

const char *conn_why(const struct conn *conn)
{
	(void)conn;
	return "the server plays";
}

bool conn_is_not_ready(const struct conn *conn)
{
	(void)conn;
	return false;
}

enum conn_result conn_open(struct conn *conn)
{
	(void)conn;
	return CONN_OK;
}

void conn_describe(const struct conn *conn, char *text, size_t size)
{
	(void)conn;
	snprintf(text, size, "played");
}

enum conn_result conn_login_password(struct conn *conn, const char *password)
{
	(void)conn;
	(void)password;
	return CONN_OK;
}

enum conn_result conn_login_token(struct conn *conn, const char *token)
{
	(void)conn;
	(void)token;
	return CONN_NO;
}

/* Nothing that a jail looks at has changed: there is none. */
bool cage_is_outdated(const struct config_account *account)
{
	(void)account;
	return false;
}

bool conn_has(const struct conn *conn, const char *capability)
{
	(void)conn;
	return strcmp(capability, "MOVE") != 0 || server.knows_move;
}

enum conn_result conn_select(struct conn *conn, const char *mailbox,
			     struct conn_mailbox *mailbox_out)
{
	(void)conn;
	(void)mailbox;
	*mailbox_out = (struct conn_mailbox){ .validity = VALIDITY, .keeps_flags = true };
	return CONN_OK;
}

enum conn_result conn_search(struct conn *conn, enum conn_criterion criterion, const char *flag,
			     uint32_t **uids_out, size_t *count_out)
{
	(void)conn;
	(void)flag;
	if (++server.searches > TOO_OFTEN)
		end_run();
	*uids_out = calloc(MAILS_MAX, sizeof **uids_out);
	assert_non_null(*uids_out);
	*count_out = 0;
	for (const struct mail *mail = server.mails; mail->uid; mail++) {
		if (!mail->gone && mail->comes <= server.searches &&
		    mail->deleted == (criterion == CONN_DELETED))
			(*uids_out)[(*count_out)++] = mail->uid;
	}
	return CONN_OK;
}

enum conn_result conn_search_set(struct conn *conn, const uint32_t *uids, size_t count,
				 uint32_t **uids_out, size_t *count_out)
{
	(void)conn;
	*uids_out = calloc(count + 1, sizeof **uids_out);
	assert_non_null(*uids_out);
	*count_out = 0;
	for (size_t i = 0; i < count; i++) {
		if (find_mail(uids[i]))
			(*uids_out)[(*count_out)++] = uids[i];
	}
	return CONN_OK;
}

enum conn_result conn_look(struct conn *conn, const uint32_t *uids, size_t count,
			   struct conn_message *messages_out, size_t *count_out)
{
	(void)conn;
	*count_out = 0;
	for (size_t i = 0; i < count; i++) {
		const struct mail *mail = find_mail(uids[i]);
		if (mail && mail->breaks)
			return CONN_LOST;
		if (mail && mail->untold)
			return CONN_NO;
		if (mail)
			messages_out[(*count_out)++] =
				(struct conn_message){ mail->uid, mail->told, 1 };
	}
	return CONN_OK;
}

enum conn_result conn_fetch(struct conn *conn, uint32_t uid, uint64_t from, uint32_t size,
			    void (*take)(void *context, const char *bytes, size_t size),
			    void *context, uint64_t *bytes_out)
{
	struct mail *mail = find_mail(uid);
	(void)conn;
	*bytes_out = 0;
	for (uint64_t at = from; mail && at < mail->octets && at - from < size; at++, ++*bytes_out)
		take(context, "x", 1);
	if (mail && mail->vanishes)
		mail->gone = true;
	return CONN_OK;
}

/* The first of them that can't be moved or removed decides about all. */
static bool any_stuck(const uint32_t *uids, size_t count)
{
	bool stuck = false;
	for (size_t i = 0; i < count; i++) {
		const struct mail *mail = find_mail(uids[i]);
		stuck |= mail && mail->stuck;
	}
	return stuck;
}

enum conn_result conn_flag(struct conn *conn, const uint32_t *uids, size_t count, const char *flag)
{
	(void)conn;
	for (size_t i = 0; i < count; i++) {
		struct mail *mail = find_mail(uids[i]);
		if (mail && strcmp(flag, "\\Deleted") == 0)
			mail->deleted = true;
	}
	return CONN_OK;
}

static bool are_awaited_gone(void)
{
	bool any = false;
	for (const struct mail *mail = server.mails; mail->uid; mail++) {
		if (mail->awaited && !mail->gone)
			return false;
		any |= mail->awaited;
	}
	return any;
}

static enum conn_result remove_mails(const uint32_t *uids, size_t count)
{
	if (any_stuck(uids, count))
		return CONN_NO;
	for (size_t i = 0; i < count; i++) {
		struct mail *mail = find_mail(uids[i]);
		if (mail)
			mail->gone = true;
	}
	if (are_awaited_gone())
		end_run();
	return CONN_OK;
}

enum conn_result conn_expunge(struct conn *conn, const uint32_t *uids, size_t count)
{
	(void)conn;
	return server.expunges ? remove_mails(uids, count) : CONN_NO;
}

enum conn_result conn_move(struct conn *conn, const uint32_t *uids, size_t count,
			   const char *mailbox)
{
	(void)conn;
	(void)mailbox;
	return remove_mails(uids, count);
}

/* Tells of those only that are there, as COPYUID does. */
enum conn_result conn_copy(struct conn *conn, const uint32_t *uids, size_t count,
			   const char *mailbox)
{
	enum conn_result result = CONN_OK;
	(void)conn;
	(void)mailbox;
	for (size_t i = 0; i < count; i++) {
		struct mail *mail = find_mail(uids[i]);
		if (mail)
			mail->copies++;
		else
			result = CONN_NO;
	}
	return result;
}

enum conn_result conn_noop(struct conn *conn)
{
	(void)conn;
	return CONN_OK;
}

bool conn_take_news(struct conn *conn)
{
	(void)conn;
	return false;
}

/* Nothing ever happens. */
enum conn_result conn_idle(struct conn *conn, int64_t until_ms)
{
	(void)conn;
	if (until_ms > server.end_ms)
		until_ms = server.end_ms;
	while (monotonic_ms() < until_ms)
		nap_ms(5);
	if (++server.rests > TOO_OFTEN || monotonic_ms() >= server.end_ms)
		end_run();
	return CONN_OK;
}

/* --- the couriers ----------------------------------------------------------------------------- */

/* What they answer about each message, in order of UID. */
static const enum reason *reasons;
static unsigned heard[MAILS_MAX + 1]; /* questions about each */

static void answer(int ask_fd, int told_fd)
{
	static union {
		struct ask_head head;
		char room[ASK_MAX];
	} question;
	int fds[2] = { -1, -1 };
	size_t count = 2;
	struct ask ask;
	ssize_t size = receive_fds(ask_fd, &question, sizeof question, fds, &count, 0);
	if (size <= 0)
		_exit(0);
	if (ask_read(&question, (size_t)size, &ask) && ask.head->kind == ASK_DELIVER &&
	    count == 2) {
		uint8_t uid = (uint8_t)ask.head->place[1];
		struct ask_answer word = { .kind = ASK_FINAL, .reason = reasons[uid - 1] };
		if (write(told_fd, &uid, 1) != 1)
			_exit(1);
		pass_fds_now(fds[1], &word, sizeof word, NULL, 0);
	}
	while (count > 0)
		close(fds[--count]);
}

static void give_password(int secret_fd)
{
	static struct secret_answer word = { .kind = SECRET_PASSWORD, .text = "word" };
	struct secret_question question;
	if (secret_take(secret_fd, &question) == 0)
		secret_give(secret_fd, &word);
}

static pid_t start_couriers(int ask_fd, int secret_fd, int told_fd)
{
	pid_t pid = fork();
	struct pollfd waits[] = { { .fd = ask_fd, .events = POLLIN },
				  { .fd = secret_fd, .events = POLLIN } };
	assert_true(pid >= 0);
	while (pid == 0) {
		poll(waits, 2, -1);
		if (waits[1].revents & POLLHUP)
			waits[1].fd = -1;
		else if (waits[1].revents)
			give_password(secret_fd);
		if (waits[0].revents)
			answer(ask_fd, told_fd);
	}
	return pid;
}

/* --- one run ---------------------------------------------------------------------------------- */

static char mailbox_name[] = "INBOX", source_name[] = "office", host_name[] = "imap.example",
	    done_name[] = "Done", refused_name[] = "Refused";

static struct config_account account_of(enum config_fate_kind after)
{
	return (struct config_account){ .name = source_name,
					.host = host_name,
					.user = source_name,
					.mailbox = mailbox_name,
					.after = { .kind = after, .name = done_name },
					.refused = { CONFIG_FATE_MOVE, refused_name },
					.refresh_s = 540,
					.poll_s = 60 };
}

static void count_heard(int told_fd)
{
	uint8_t uid;
	memset(heard, 0, sizeof heard);
	while (read(told_fd, &uid, 1) == 1)
		heard[uid]++;
}

/* Returns the exit status. `status_fd`: -1: none. */
static int run(const enum reason *said, bool once, int64_t within_ms, int status_fd)
{
	const struct config_account account = account_of(CONFIG_FATE_EXPUNGE);
	const struct pull_settings settings = { .message_bytes = 1000,
						.answer_within_s = 2,
						.once = once };
	char folder[] = "/tmp/test_pull.XXXXXX";
	int asks[2], secrets[2], told[2], wake[2];
	assert_non_null(mkdtemp(folder));
	int kept_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(socket_pair(&asks[0], &asks[1]) | socket_pair(&secrets[0], &secrets[1]),
			 0);
	assert_int_equal(pipe2(told, O_CLOEXEC) | pipe2(wake, O_CLOEXEC), 0);
	reasons = said;
	server.wake_fd = wake[1];
	server.end_ms = monotonic_ms() + within_ms;
	pid_t pid = start_couriers(asks[1], secrets[1], told[1]);
	close(asks[1]);
	close(secrets[1]);
	close(told[1]);
	const struct pull_fds fds = { .ask = asks[0],
				      .receiving = -1,
				      .kept = kept_fd,
				      .status = status_fd,
				      .secret = secrets[0],
				      .wake = wake[0] };
	int status = pull_run(&account, &settings, &fds);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	count_heard(told[0]);
	const int ends[] = { asks[0], secrets[0], told[0], wake[0], wake[1], kept_fd };
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
		close(ends[i]);
	rmdir(folder);
	return status;
}

static int reset(void **state)
{
	(void)state;
	server = (struct server){ .knows_move = true, .expunges = true };
	for (uint32_t i = 0; i < 3; i++)
		server.mails[i] =
			(struct mail){ .uid = i + 1, .told = FEW_OCTETS, .octets = FEW_OCTETS };
	return 0;
}

static const enum reason all_good[MAILS_MAX];

static void test_empties(void **state)
{
	(void)state;
	assert_int_equal(run(all_good, true, 5000, -1), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_true(server.mails[i].gone);
		assert_int_equal(heard[i + 1], 1);
	}
}

/* A message that waited, and that somebody has removed meanwhile, is no reason to look at once. */
static void test_rests_without_the_gone(void **state)
{
	(void)state;
	server.mails[0].octets = 0;
	server.mails[0].vanishes = true;
	run(all_good, false, 3000, -1);
	assert_in_range(server.rests, 1, 5);
}

/* Three in a row that could not be delivered: all wait, and then each for itself. */
static void test_rests_after_a_pause(void **state)
{
	static const enum reason trouble[] = { REASON_IO, REASON_IO, REASON_IO };
	(void)state;
	run(trouble, false, 1900, -1);
	assert_in_range(server.rests, 1, 5);
}

/* What is due while all wait is not done before the pause is over. */
static void test_rests_in_a_pause(void **state)
{
	static const enum reason away[] = { REASON_IO, REASON_SHARE, REASON_SHARE };
	(void)state;
	run(away, false, 5000, -1);
	assert_in_range(server.rests, 1, 10);
}

/* One message that the server refuses to speak of does not hide the others. */
static void test_refused_look(void **state)
{
	(void)state;
	server.mails[1].untold = true;
	assert_int_equal(run(all_good, true, 5000, -1), 75);
	assert_true(server.mails[0].gone && server.mails[2].gone);
	assert_int_equal(heard[2], 0);
	assert_in_range(server.searches, 1, 10);
}

static void test_broken_look(void **state)
{
	(void)state;
	server.mails[1].breaks = true;
	run(all_good, false, 4500, -1);
	assert_true(server.mails[0].gone && server.mails[2].gone);
	assert_int_equal(heard[2], 0);
	assert_in_range(server.visits, 2, 6);
}

/* Half of a message is none. */
static void test_vanishes_between_ranges(void **state)
{
	(void)state;
	server.mails[1].told = 2 * FEW_OCTETS;
	server.mails[1].vanishes = true;
	assert_int_equal(run(all_good, true, 5000, -1), 0);
	assert_int_equal(heard[1] + heard[3], 2);
	assert_int_equal(heard[2], 0);
}

/* A server that tells too much of a size is believed that this is all. */
static void test_told_too_much(void **state)
{
	(void)state;
	server.mails[1].told = 2 * FEW_OCTETS;
	assert_int_equal(run(all_good, true, 5000, -1), 0);
	assert_int_equal(heard[2], 1);
}

/* A message over which time runs out again and again does not hold up those behind it. */
static void test_slow_message(void **state)
{
	static const enum reason slow[] = { REASON_DEADLINE, REASON_NONE, REASON_NONE };
	(void)state;
	server.mails[1].comes = server.mails[2].comes = 3;
	server.mails[1].awaited = server.mails[2].awaited = true;
	run(slow, false, 20000, -1);
	assert_true(heard[1] >= 2);
	assert_true(server.mails[1].gone && server.mails[2].gone);
}

/* What brought its puller down waits, and `once` says that something does. */
static void test_deadly(void **state)
{
	int fd = -1;
	struct status status = { .deaths = 3, .in_hand = { VALIDITY, 2 } };
	(void)state;
	assert_int_equal(memory_file("status", &fd), 0);
	status_write(fd, &status, STATUS_DOWN);
	assert_int_equal(run(all_good, true, 5000, fd), 75);
	assert_int_equal(heard[2], 0);
	assert_true(server.mails[0].gone && server.mails[2].gone);
	close(fd);
}

/* --- the box alone ---------------------------------------------------------------------------- */

static struct box box;
static struct config_account account;
static struct errands errands;
static struct conn played;

static void decide_all(enum config_fate_kind after)
{
	account = account_of(after);
	box_init(&box, &account);
	errands_init(&errands, -1);
	for (uint32_t uid = 1; uid <= 3; uid++)
		box_decide(&box, uid, false, false, -1);
}

/* As if the time had come. */
static void act_again(void)
{
	for (size_t i = 0; i < box.decided_count; i++)
		box.decided[i].again_ms = 0;
	assert_int_equal(box_act(&box, &played, &errands), CONN_OK);
	assert_int_equal(box_due(&box, monotonic_ms()), 0);
}

/* A copy is made once, also where what was copied can't be removed for a while. */
static void test_copies_once(void **state)
{
	(void)state;
	server.knows_move = server.expunges = false;
	decide_all(CONFIG_FATE_MOVE);
	for (int i = 0; i < 3; i++)
		act_again();
	assert_int_equal(box.decided_count, 3);
	server.expunges = true;
	for (int i = 0; i < 3; i++)
		act_again();
	assert_int_equal(box.decided_count, 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(server.mails[i].copies, 1);
	box_done(&box);
}

/* Somebody else has removed one: the others are not copied for ever. */
static void test_copies_without_the_gone(void **state)
{
	(void)state;
	server.knows_move = false;
	server.mails[1].gone = true;
	decide_all(CONFIG_FATE_MOVE);
	act_again();
	assert_int_equal(box.decided_count, 2);
	act_again();
	assert_int_equal(box.decided_count, 0);
	assert_true(server.mails[0].gone && server.mails[2].gone);
	box_done(&box);
}

/* One that can't be removed does not keep the others. */
static void test_stuck_alone(void **state)
{
	(void)state;
	server.mails[1].stuck = true;
	decide_all(CONFIG_FATE_EXPUNGE);
	act_again();
	act_again();
	assert_int_equal(box.decided_count, 1);
	assert_int_equal(box.decided[0].uid, 2);
	assert_true(server.mails[0].gone && server.mails[2].gone);
	server.mails[1].stuck = false;
	act_again();
	assert_int_equal(box.decided_count, 0);
	box_done(&box);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_empties, reset),
		cmocka_unit_test_setup(test_rests_without_the_gone, reset),
		cmocka_unit_test_setup(test_rests_after_a_pause, reset),
		cmocka_unit_test_setup(test_rests_in_a_pause, reset),
		cmocka_unit_test_setup(test_refused_look, reset),
		cmocka_unit_test_setup(test_broken_look, reset),
		cmocka_unit_test_setup(test_vanishes_between_ranges, reset),
		cmocka_unit_test_setup(test_told_too_much, reset),
		cmocka_unit_test_setup(test_slow_message, reset),
		cmocka_unit_test_setup(test_deadly, reset),
		cmocka_unit_test_setup(test_copies_once, reset),
		cmocka_unit_test_setup(test_copies_without_the_gone, reset),
		cmocka_unit_test_setup(test_stuck_alone, reset),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
