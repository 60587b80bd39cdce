/* start.c: opens what roles are given, and starts them with it. Never reads it. */
#define _GNU_SOURCE
#include "daemon/start.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"

int start_open_given(const char *path, int *fd_out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	*fd_out = fd;
	return 0;
}

int start_prover(const struct config *config, int config_fd, int questions_fd, bool alone,
		 pid_t *pid_out)
{
	const char *path = *config->gateway.dkim_keys ? config->gateway.dkim_keys : "/dev/null";
	const char *arguments[] = { alone ? "alone" : "run", NULL };
	auto_close int keys_fd = -1;
	int error = start_open_given(path, &keys_fd);
	if (error) {
		log_say(LOG_ERROR, "dkim_keys", "%s: %s", path, strerror(-error));
		keys_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	const int fds[] = { questions_fd, keys_fd };
	struct role_start start = role_usual(ROLE_PROVE, config, config_fd, arguments, fds,
					     sizeof fds / sizeof fds[0]);
	return role_start(&start, pid_out);
}

/* As it is now: whoever starts with it later, or again, shall not find half of another one. Its
 * octets do not come into our memory. */
static int copy_for_keys(const char *path, int *fd_out)
{
	auto_close int from = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	auto_close int copy = -1;
	struct stat found;
	if (from < 0 || fstat(from, &found) < 0)
		return -errno;
	int error = memory_file("keys", &copy);
	for (off_t left = S_ISREG(found.st_mode) ? found.st_size : 0; !error && left > 0;) {
		ssize_t sent = sendfile(copy, from, NULL, (size_t)left);
		if (sent < 0 && errno != EINTR)
			error = -errno;
		if (sent == 0)
			break;
		left -= sent > 0 ? sent : 0;
	}
	return error ? error : reopen_read_only(copy, fd_out);
}

/* A file for root alone may be among them: we open it, and another reads it. */
static int open_for_keys(const char *name, const char *path)
{
	int fd = -1;
	int error = *path ? copy_for_keys(path, &fd) : 0;
	if (error)
		log_say(LOG_ERROR, "tls", "source %s: %s: %s", name, path, strerror(-error));
	return fd >= 0 ? fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void start_keys_init(struct keys_start *how, const char *mode, int first_fd)
{
	*how = (struct keys_start){ .arguments = { mode }, .fds = { first_fd }, .count = 1 };
}

bool start_keys_add(struct keys_start *how, const struct config_listener *listener, int link_fd)
{
	if (how->count + 4 > ROLE_FDS_MAX)
		return false;
	how->arguments[++how->names] = listener->name;
	how->fds[how->count++] = link_fd;
	how->fds[how->count++] = open_for_keys(listener->name, listener->tls_cert);
	how->fds[how->count++] = open_for_keys(listener->name, listener->tls_key);
	how->fds[how->count++] =
		open_for_keys(listener->name, config_has_logins(listener) ? listener->users : "");
	return true;
}

void start_keys_close(struct keys_start *how)
{
	for (size_t i = 1; i < how->count; i++) {
		if ((i - 1) % 4 != 0)
			close_fd(&how->fds[i]);
	}
}

int start_keys(const struct config *config, const struct keys_start *how, int config_fd,
	       pid_t *pid_out)
{
	struct role_start start =
		role_usual(ROLE_SMTP, config, config_fd, how->arguments, how->fds, how->count);
	return role_start(&start, pid_out);
}

static int open_secret(const struct config_account *account, int *fd_out)
{
	const char *text = *account->password ? account->password : account->client_secret;
	const char *path =
		*account->password_file ? account->password_file : account->client_secret_file;
	auto_close int fd = -1;
	if (*path)
		return start_open_given(path, fd_out);
	int error = memory_file("secret", &fd);
	if (!error)
		error = write_all(fd, text, strlen(text));
	if (!error)
		*fd_out = take_fd(&fd);
	return error;
}

/* Whoever reads it finds nothing in it, and says so. */
static void open_nothing(const char *name, const char *what, int error, int *fd_out)
{
	log_say(LOG_ERROR, "secret", "source %s: the file of its %s: %s", name, what,
		strerror(-error));
	*fd_out = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int start_token(const struct token_start *how, pid_t *pid_out)
{
	const char *name = how->account->name;
	auto_close int secret_fd = -1;
	auto_close int seed_fd = -1;
	int error = open_secret(how->account, &secret_fd);
	if (error)
		open_nothing(name, "secret", error, &secret_fd);
	/* a refresh token to begin with, if there is one */
	error = start_open_given(*how->account->token_file ? how->account->token_file : "/dev/null",
				 &seed_fd);
	if (error)
		open_nothing(name, "refresh token", error, &seed_fd);
	const int fds[] = { how->socket_fd, secret_fd, how->tokens_fd, seed_fd };
	struct role_start start = role_usual(ROLE_TOKEN, how->config, how->config_fd,
					     how->arguments, fds, sizeof fds / sizeof fds[0]);
	start.keep_standard = how->keep_standard;
	return role_start(&start, pid_out);
}
