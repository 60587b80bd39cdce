/* main.c: letterchute-extract, the template of the extractor and its children: one for each
 * message. Never reads a byte of a message itself, never opens anything after its jail is closed,
 * and honours no environment variable. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include "extract/charset.h"
#include "extract/decode.h"
#include "extract/filter.h"
#include "extract/jail.h"
#include "extract/sniff.h"

#define MAGIC_DATABASE "/usr/share/misc/magic.mgc"

/* Children at a time: a courier gives the next job before the last child is gone, but never
 * many. */
#define CHILDREN_MAX 4

static struct child {
	pid_t pid; /* 0: free */
	uint32_t job;
} children[CHILDREN_MAX];

/* Too large for a stack; a child touches of it what its message needs. */
static struct filter filter;

/* ---- the child ---- */

struct message {
	int fd;
	off_t offset;
};

static ssize_t read_message(void *context, char *at, size_t size)
{
	struct message *message = context;
	ssize_t got;
	do {
		got = pread(message->fd, at, size, message->offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	message->offset += got;
	return got;
}

/* Reads one message and ends. */
static void run_child(const struct frame_job *job, int message_fd, int pipe_fd)
{
	/* the control socket above all goes here: it would give it the next person's mail */
	if (jail_enter_child(job->cpu_s, message_fd, pipe_fd) != 0)
		_exit(EX_OSERR);
	struct message message = { .fd = message_fd };
	int error = filter_run(&filter, (enum frame_reading)job->reading, &job->limits,
			       read_message, &message, frame_write_fd, &pipe_fd);
	_exit(error ? EX_IOERR : 0);
}

/* ---- the template ---- */

static int send_record(const void *record, size_t size)
{
	struct iovec piece = { .iov_len = size };
	memcpy(&piece.iov_base, &record, sizeof record); /* sendmsg takes no const */
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	ssize_t sent;
	do {
		sent = sendmsg(FRAME_CONTROL_FD, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)size ? 0 : -EIO;
}

/* Receives a job with its two descriptors. 1, 0 at the end, or -errno. */
static int receive_job(struct frame_job *job, int fds[2])
{
	union {
		char bytes[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec piece = { .iov_base = job, .iov_len = sizeof *job };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof control };
	ssize_t got = recvmsg(FRAME_CONTROL_FD, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got <= 0)
		return got < 0 ? -errno : 0;
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (got != (ssize_t)sizeof *job || !header || header->cmsg_level != SOL_SOCKET ||
	    header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(2 * sizeof(int)))
		return -EPROTO;
	memcpy(fds, CMSG_DATA(header), 2 * sizeof(int));
	return 1;
}

static struct child *find_child(pid_t pid)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (children[i].pid == pid)
			return &children[i];
	return NULL;
}

/* Gets ready for many messages when the first one is done: whoever has a single one, as the verb
 * `extract` has, does not wait for it. */
static void warm_up(void)
{
	static bool warm;
	if (!warm)
		sniff_warm_up();
	warm = true;
}

/* Reports the children that have ended. */
static int report_ended(void)
{
	struct frame_exit ended = { 0 };
	pid_t pid;
	while ((pid = waitpid(-1, &ended.status, WNOHANG)) > 0) {
		struct child *child = find_child(pid);
		if (!child)
			continue;
		ended.number = child->job;
		child->pid = 0;
		int error = send_record(&ended, sizeof ended);
		if (error)
			return error;
		warm_up();
	}
	return 0;
}

static int start_child(const struct frame_job *job, const int fds[2], struct child *child)
{
	pid_t pid = fork();
	if (pid == 0)
		run_child(job, fds[0], fds[1]);
	int error = pid < 0 ? -errno : 0;
	close(fds[0]);
	close(fds[1]);
	*child = (struct child){ error ? 0 : pid, job->number };
	return error;
}

/* Takes the next job. 1, 0 at the end, or -errno. */
static int take_job(struct child *child)
{
	struct frame_job job;
	int fds[2];
	int got = receive_job(&job, fds);
	if (got == -EAGAIN || got == -EINTR)
		return 1;
	if (got <= 0)
		return got;
	int error = start_child(&job, fds, child);
	return error ? error : 1;
}

static void wake_up(int signal)
{
	(void)signal;
}

/* The end of a child interrupts the wait for a job and nothing else. */
static int catch_ends(sigset_t *waiting_out)
{
	struct sigaction wake = { .sa_handler = wake_up }, ignore = { .sa_handler = SIG_IGN };
	sigset_t ends;
	sigemptyset(&ends);
	sigaddset(&ends, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &ends, waiting_out) < 0 || sigaction(SIGCHLD, &wake, NULL) < 0 ||
	    sigaction(SIGPIPE, &ignore, NULL) < 0)
		return -errno;
	sigdelset(waiting_out, SIGCHLD);
	return 0;
}

/* Serves jobs until the control socket ends. */
static int serve(const sigset_t *waiting)
{
	for (;;) {
		int error = report_ended();
		if (error)
			return error;
		struct child *child = find_child(0);
		struct pollfd control = { .fd = child ? FRAME_CONTROL_FD : -1, .events = POLLIN };
		if (ppoll(&control, 1, NULL, waiting) < 0) {
			if (errno != EINTR)
				return -errno;
		} else if (control.revents) {
			int got = take_job(child);
			if (got <= 0)
				return got;
		}
	}
}

/* Everything that opens a file, then the jail. */
static int prepare(const char *database, struct frame_ready *ready, sigset_t *waiting)
{
	int error = sniff_prepare(database, ready->text);
	if (error)
		return error;
	decode_prepare();
	error = charset_prepare();
	if (!error)
		error = catch_ends(waiting);
	if (!error)
		error = jail_prepare();
	if (!error)
		error = jail_settle();
	if (!error)
		error = jail_enter_template();
	if (error)
		snprintf(ready->text, sizeof ready->text, "extractor: %s", strerror(-error));
	return error;
}

int main(int argc, char **argv)
{
	struct frame_ready ready = { .version = FRAME_VERSION };
	sigset_t waiting;
	bool named = argc == 3 && strcmp(argv[1], "--magic") == 0;
	if (argc != 1 && !named) {
		fputs("usage: letterchute-extract [--magic FILE]; letterchute starts it\n", stderr);
		return EX_USAGE;
	}
	clearenv();
	ready.error = -prepare(named ? argv[2] : MAGIC_DATABASE, &ready, &waiting);
	if (send_record(&ready, sizeof ready) != 0 || ready.error)
		return EX_OSERR;
	return serve(&waiting) == 0 ? 0 : EX_OSERR;
}
