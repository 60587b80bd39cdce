/* command.c: executes password_command and token_command. Never lets what they print be seen. */
#define _GNU_SOURCE
#include "daemon/token/command.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define COMMAND_MS    30000
#define ARGUMENTS_MAX 64
#define END_MS        2000

static int fail(char *why, const char *what, const char *more)
{
	snprintf(why, COMMAND_WHY_MAX, "%s%s%.120s", what, *more ? ": " : "", more);
	return -1;
}

/* Splits in place: blanks separate, "..." and '...' hold together. False: an open quote, or too
 * many. */
static bool split(char *line, char *arguments[ARGUMENTS_MAX + 1])
{
	size_t count = 0;
	char *out = line;
	while (*(line += strspn(line, " \t"))) {
		char quote = 0;
		if (count == ARGUMENTS_MAX)
			return false;
		arguments[count++] = out;
		for (; *line && (quote || (*line != ' ' && *line != '\t')); line++) {
			if (*line == quote)
				quote = 0;
			else if (!quote && (*line == '"' || *line == '\''))
				quote = *line;
			else
				*out++ = *line;
		}
		if (quote)
			return false;
		if (*line)
			line++;
		*out++ = '\0';
	}
	arguments[count] = NULL;
	return count > 0;
}

/* The child. Its errors are the user's to see: standard error is the log. */
static void become(char **arguments, int out_fd)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		    home[] = "HOME=/";
	static char *environment[] = { path, home, NULL };
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	int in_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (in_fd < 0 || dup2(in_fd, 0) < 0 || dup2(out_fd, 1) < 0)
		_exit(127);
	environ = environment;
	execvp(arguments[0], arguments);
	_exit(errno == ENOENT ? 127 : 126);
}

/* What it prints, up to the end; -ETIMEDOUT. */
static ssize_t read_output(int fd, char *text, size_t size, int64_t deadline_ms)
{
	size_t used = 0;
	while (used < size) {
		int error = wait_readable(fd, deadline_ms);
		if (error == -EINTR)
			continue;
		if (error)
			return error;
		ssize_t got = read(fd, text + used, size - used);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		used += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)used;
}

static int end_status(pid_t pid, int64_t deadline_ms)
{
	int status = -1;
	while (waitpid(pid, &status, WNOHANG) == 0 && monotonic_ms() < deadline_ms)
		nap_ms(5);
	return status;
}

static int judge(ssize_t got, int status, char *text, char *why)
{
	char number[40];
	if (got == -ETIMEDOUT)
		return fail(why, "the command did not end in half a minute", "");
	if (got < 0)
		return fail(why, "the command can't be heard", strerror((int)-got));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return fail(why, "there is no such command", "");
	snprintf(number, sizeof number, "%d",
		 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	if (status != 0)
		return fail(why,
			    WIFEXITED(status) ? "the command ended with status"
					      : "the command died of signal",
			    number);
	text[strcspn(text, "\r\n")] = '\0';
	return *text ? 0 : fail(why, "the command printed nothing", "");
}

int command_run(const char *line, char *text_out, size_t size, char why_out[COMMAND_WHY_MAX])
{
	char *arguments[ARGUMENTS_MAX + 1];
	auto_free char *words = strdup(line);
	int ends[2];
	if (!words || !split(words, arguments))
		return fail(why_out, "the command can't be read: are its quotes closed?", "");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail(why_out, "no pipe", strerror(errno));
	auto_close int in = ends[0];
	auto_close int out = ends[1];
	int64_t deadline_ms = monotonic_ms() + COMMAND_MS;
	pid_t pid = fork();
	if (pid < 0)
		return fail(why_out, "the command can't be started", strerror(errno));
	if (pid == 0)
		become(arguments, out);
	close_fd(&out);
	ssize_t got = read_output(in, text_out, size - 1, deadline_ms);
	text_out[got > 0 ? got : 0] = '\0';
	int status = got < 0 ? -1 : end_status(pid, monotonic_ms() + END_MS);
	/* its group, and what it may have left behind in it */
	kill(-pid, SIGKILL);
	return judge(got, status, text_out, why_out);
}
