/* scout.c: sends children ahead. Never waits for one without a limit. */
#define _GNU_SOURCE
#include "daemon/scout.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define WORD_FD 0

/* A child that is stuck outlives us: it must not keep a port, a log or a lock. */
static void drop_everything(int word_fd)
{
	dup2(word_fd, WORD_FD);
	if (close_range(WORD_FD + 1, ~0U, 0) == 0)
		return;
	for (int fd = WORD_FD + 1; fd < 1024; fd++)
		close(fd);
}

static bool is_back(const struct scout *scout)
{
	return wait_readable(scout->word_fd, monotonic_ms()) == 0;
}

int scout_send(struct scout *scout, uint8_t (*look)(const void *context), const void *context)
{
	int ends[2];
	if (scout->pid != 0 && !is_back(scout))
		return 0;
	scout_forget(scout);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	auto_close int in = ends[0];
	auto_close int out = ends[1];
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		drop_everything(out);
		uint8_t word = look(context);
		_exit(write(WORD_FD, &word, sizeof word) != sizeof word);
	}
	*scout = (struct scout){ .pid = pid, .word_fd = take_fd(&in) };
	return 0;
}

static int wait_word(const struct scout *scout, int64_t deadline_ms)
{
	int error;
	do {
		error = wait_readable(scout->word_fd, scout->lost ? monotonic_ms() : deadline_ms);
	} while (error == -EINTR);
	return error;
}

int scout_hear(struct scout *scout, int64_t deadline_ms)
{
	uint8_t word;
	if (scout->pid == 0)
		return -EIO;
	if (wait_word(scout, deadline_ms) != 0) {
		/* nobody has reaped it: as long as it has not said a word this is its number */
		if (!scout->lost)
			kill(scout->pid, SIGKILL);
		scout->lost = true;
		return -ETIMEDOUT;
	}
	bool told = read_all(scout->word_fd, &word, sizeof word) == sizeof word;
	scout_forget(scout);
	return told ? word : -EIO;
}

void scout_forget(struct scout *scout)
{
	if (scout->pid != 0)
		close(scout->word_fd);
	*scout = (struct scout){ 0 };
}
