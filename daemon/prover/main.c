/* main.c: letterchute-prove: takes questions who signed a message, and has each answered by a child
 * that lives for it alone. Never reads a message itself, never sees a share, a spool or a secret.
 *
 *   run     for the boss, who starts another when we end
 *   alone   for who started us for himself: we stay as long as he does
 *
 * Descriptors: ROLE_FD_FIRST the questions, then the file of keys. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/log.h"
#include "daemon/prove.h"
#include "daemon/prover/cage.h"
#include "daemon/prover/keys.h"
#include "daemon/prover/verify.h"
#include "daemon/role.h"

#define CHILDREN_MAX 16

enum { FD_QUESTIONS = ROLE_FD_FIRST, FD_KEYS };

static struct child {
	pid_t pid;     /* 0: free */
	int answer_fd; /* for who died without a word */
} children[CHILDREN_MAX];

static struct verify_settings settings;
static bool leaving; /* no more questions: another is to take our place */
static bool alone;

/* ---- the child ---- */

static void run_child(const struct prove_question *question, int message_fd, int answer_fd,
		      pid_t parent)
{
	struct prove_answer answer;
	/* a look needs no message: then it is the other end of nothing */
	int kept = message_fd < 0 ? answer_fd : message_fd;
	if (cage_enter_child(parent, question->bytes, kept, answer_fd) != 0)
		_exit(EX_OSERR);
	if (question->kind == PROVE_LOOK)
		verify_look(&settings, &answer);
	else
		verify_message(&settings, question, message_fd, &answer);
	_exit(pass_fds_now(answer_fd, &answer, sizeof answer, NULL, 0) == 0 ? 0 : EX_IOERR);
}

/* ---- the prover ---- */

static struct child *find_child(pid_t pid)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		if (children[i].pid == pid)
			return &children[i];
	}
	return NULL;
}

static bool have_children(void)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		if (children[i].pid != 0)
			return true;
	}
	return false;
}

/* Who answered and ended well has said it all. Who died of a message may have been learned from:
 * the next one shall find other addresses. */
static void reap(void)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		struct child *child = find_child(pid);
		if (!child)
			continue;
		const struct prove_answer died = { .verdict = PROVE_DIED, .status = status };
		if (status != 0)
			pass_fds_now(child->answer_fd, &died, sizeof died, NULL, 0);
		close(child->answer_fd);
		child->pid = 0;
		leaving |= WIFSIGNALED(status) && role_is_fault(WTERMSIG(status)) && !alone;
	}
}

static void start_child(struct child *child, const struct prove_question *question, int message_fd,
			int answer_fd)
{
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		run_child(question, message_fd, answer_fd, parent);
	if (pid < 0) {
		log_say(LOG_ERROR, "prove", "no process can be made: %s", strerror(errno));
		close(answer_fd);
		return;
	}
	*child = (struct child){ pid, answer_fd };
}

/* Takes one question. False: the socket is at its end. */
static bool take_question(struct child *child)
{
	struct prove_question question;
	int fds[FDIO_PASS_MAX] = { -1, -1 };
	size_t count = FDIO_PASS_MAX;
	ssize_t got =
		receive_fds(FD_QUESTIONS, &question, sizeof question, fds, &count, MSG_DONTWAIT);
	if (got == 0)
		return false;
	if (got < 0) {
		if (got != -EAGAIN && got != -EINTR)
			log_say(LOG_ERROR, "prove", "a question can't be taken: %s",
				strerror((int)-got));
		return true;
	}
	bool good = prove_question_valid(&question, (size_t)got) &&
		    count == (question.kind == PROVE_LOOK ? 1 : 2);
	if (good)
		start_child(child, &question, fds[1], fds[0]);
	else
		log_say(LOG_ERROR, "prove", "a courier asked nonsense");
	for (size_t i = good ? 1 : 0; i < count; i++)
		close(fds[i]);
	return true;
}

/* False: we are to end, whatever there is to do. */
static bool heed_signals(int signals_fd)
{
	struct signalfd_siginfo info;
	while (read(signals_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGTERM)
			return false;
	}
	reap();
	return true;
}

static void serve(int signals_fd)
{
	while (!leaving || have_children()) {
		struct child *child = leaving ? NULL : find_child(0);
		struct pollfd waits[] = { { .fd = signals_fd, .events = POLLIN },
					  { .fd = child ? FD_QUESTIONS : -1, .events = POLLIN } };
		if (poll(waits, 2, -1) < 0 && errno != EINTR)
			return;
		if (waits[0].revents && !heed_signals(signals_fd))
			return;
		if (!waits[1].revents || leaving)
			continue;
		/* before it is taken: what is left in the socket is for who comes after us */
		if ((!alone && cage_is_outdated()) || !take_question(child))
			leaving = true;
	}
}

/* What is wrong with the file of keys is said; what is right in it counts. */
static char *read_keys(void)
{
	char *text = calloc(1, KEYS_MAX + 2);
	if (!text)
		return NULL;
	ssize_t size = read_all(FD_KEYS, text, KEYS_MAX + 1);
	if (size < 0 || (size_t)size > KEYS_MAX) {
		log_say(LOG_ERROR, "dkim_keys", "the file can't be read: %s",
			size < 0 ? strerror((int)-size) : "it is too big");
		text[0] = '\0';
	}
	unsigned fault = keys_find_fault(text);
	if (fault)
		log_say(LOG_ERROR, "dkim_keys",
			"line %u of the file is no key, SELECTOR._domainkey.DOMAIN RECORD is expected",
			fault);
	return text;
}

int main(int argc, char **argv)
{
	static struct config config;
	log_open(false);
	if (argc != 2) {
		log_say(LOG_ERROR, "usage", "letterchute-prove run | alone");
		return EX_USAGE;
	}
	alone = strcmp(argv[1], "alone") == 0;
	int status = role_begin("letterchute-prove", &config);
	if (status)
		return status;
	settings = (struct verify_settings){ .resolver = config.gateway.resolver,
					     .keys = read_keys(),
					     .header_bytes = config.rules.limits.header_bytes };
	static const int signals[] = { SIGCHLD, SIGTERM };
	int signals_fd = role_open_signals(signals, sizeof signals / sizeof signals[0]);
	/* those whose couriers drain need us until they end, and close our questions */
	signal(SIGHUP, SIG_IGN);
	if (!settings.keys || signals_fd < 0 || !verify_prepare() || !cage_enter(&config))
		return EX_SOFTWARE;
	config_done(&config);
	close(ROLE_FD_CONFIG);
	close(FD_KEYS);
	serve(signals_fd);
	return 0;
}
