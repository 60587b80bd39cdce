/* command.c: executes password_command and token_command. Never lets what they print be seen. */
#define _GNU_SOURCE
#include "daemon/token/command.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define COMMAND_MS    30000
#define ARGUMENTS_MAX 64
#define LOOK_MS       100 /* whether it has ended */
#define NAP_MS        5

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

/* Programs that keep secrets look for them at home. */
static void find_home(char *entry, size_t size)
{
	const struct passwd *user = getpwuid(geteuid());
	bool known = user && user->pw_dir && user->pw_dir[0] == '/';
	snprintf(entry, size, "HOME=%s", known ? user->pw_dir : "/");
}

/* The child. Its errors are the user's to see: standard error is the log. `parent`: it is not to
 * outlive us. */
static void become(char **arguments, int out_fd, pid_t parent)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		    home[PATH_MAX];
	static char *environment[] = { path, home, NULL };
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	find_home(home, sizeof home);
	int in_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (getppid() != parent || in_fd < 0 || dup2(in_fd, 0) < 0 || dup2(out_fd, 1) < 0)
		_exit(127);
	environ = environment;
	execvp(arguments[0], arguments);
	_exit(errno == ENOENT ? 127 : 126);
}

/* Has it ended? It is not waited for: as long as it is not, nobody else gets its number. */
static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

struct output {
	char *line;
	size_t size, used;
	bool ended;    /* the first line has */
	bool too_long; /* it has */
};

static void take_octets(struct output *output, const char *octets, size_t count)
{
	for (size_t i = 0; i < count && !output->ended; i++) {
		if (octets[i] == '\n' || octets[i] == '\r')
			output->ended = true;
		else if (output->used + 1 < output->size)
			output->line[output->used++] = octets[i];
		else
			output->too_long = true;
	}
}

/* What it prints, to the end: the first line is kept. The end is that of the program, though others
 * whom it has started may hold its standard output open. 0 or -errno. */
static int read_output(int fd, pid_t pid, int64_t deadline_ms, struct output *output)
{
	char octets[4096];
	for (;;) {
		bool over = has_ended(pid);
		int64_t look_ms = over ? 0 : monotonic_ms() + LOOK_MS;
		int error = wait_readable(fd, look_ms < deadline_ms ? look_ms : deadline_ms);
		if (error == -ETIMEDOUT && over)
			return 0;
		if (error == -ETIMEDOUT && monotonic_ms() >= deadline_ms)
			return error;
		if (error == -EINTR || error == -ETIMEDOUT)
			continue;
		ssize_t got = error ? error : read(fd, octets, sizeof octets);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return error ? error : got < 0 ? -errno : 0;
		take_octets(output, octets, (size_t)got);
		explicit_bzero(octets, (size_t)got);
	}
}

/* Its status; -1: it had to be ended. */
static int end_command(pid_t pid, int64_t deadline_ms)
{
	int status = -1;
	while (!has_ended(pid) && monotonic_ms() < deadline_ms)
		nap_ms(NAP_MS);
	bool ended = has_ended(pid);
	/* its group, and what it may have left behind in it */
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return ended ? status : -1;
}

static int judge(const struct output *output, int error, int status, char *why)
{
	char number[40];
	if (error == -ETIMEDOUT || status == -1)
		return fail(why, "the command did not end in half a minute", "");
	if (error)
		return fail(why, "the command can't be heard", strerror(-error));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return fail(why, "there is no such command", "");
	snprintf(number, sizeof number, "%d",
		 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	if (status != 0)
		return fail(why,
			    WIFEXITED(status) ? "the command ended with status"
					      : "the command died of signal",
			    number);
	if (output->too_long)
		return fail(why, "the command printed a line that is too long", "");
	if (memchr(output->line, '\0', output->used))
		return fail(why, "the command printed something that is no text", "");
	return output->used > 0 ? 0 : fail(why, "the command printed nothing", "");
}

int command_run(const char *line, char *text_out, size_t size, char why_out[COMMAND_WHY_MAX])
{
	char *arguments[ARGUMENTS_MAX + 1];
	auto_free char *words = strdup(line);
	struct output output = { .line = text_out, .size = size };
	int ends[2];
	memset(text_out, 0, size);
	if (!words || !split(words, arguments))
		return fail(why_out, "the command can't be read: are its quotes closed?", "");
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail(why_out, "no pipe", strerror(errno));
	auto_close int in = ends[0];
	auto_close int out = ends[1];
	int64_t deadline_ms = monotonic_ms() + COMMAND_MS;
	pid_t parent = getpid(), pid = fork();
	if (pid < 0)
		return fail(why_out, "the command can't be started", strerror(errno));
	if (pid == 0)
		become(arguments, out, parent);
	/* whichever of us comes first */
	setpgid(pid, pid);
	close_fd(&out);
	int error = read_output(in, pid, deadline_ms, &output);
	int status = end_command(pid, error ? 0 : deadline_ms);
	int result = judge(&output, error, status, why_out);
	if (result)
		explicit_bzero(text_out, size);
	return result;
}
