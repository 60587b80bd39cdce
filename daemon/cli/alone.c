/* alone.c: starts one role for a verb. Never restarts it. */
#define _GNU_SOURCE
#include "daemon/cli/alone.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/cli/verbs.h"
#include "daemon/fdio.h"
#include "daemon/fuse.h"
#include "daemon/keep.h"
#include "daemon/role.h"
#include "daemon/spool.h"
#include "daemon/start.h"

int alone_start_prover(const struct config *config, int *asks_out)
{
	pid_t pid;
	auto_close int config_fd = -1, ours = -1, theirs = -1;
	int error = socket_pair(&ours, &theirs);
	if (error)
		return error;
	if (config_wants_dkim(config)) {
		error = config_write(config, &config_fd);
		if (!error)
			error = start_prover(config, config_fd, theirs, true, &pid);
	}
	if (!error)
		*asks_out = take_fd(&ours);
	return error;
}

static bool takes_mail(const char *mode)
{
	return strcmp(mode, "alone") == 0 || strcmp(mode, "explain") == 0;
}

static bool looks(const char *mode)
{
	return strcmp(mode, "look") == 0;
}

int alone_start_courier(const struct config *config, const char *mode, int fd, pid_t *pid_out)
{
	auto_close int config_fd = -1;
	auto_close int extract_fd = -1;
	auto_close int prove_fd = -1;
	int error = config_write(config, &config_fd);
	if (!error)
		error = role_open_program(ROLE_EXTRACT, &extract_fd);
	if (!error)
		error = takes_mail(mode) ? alone_start_prover(config, &prove_fd)
					 : memory_file("nobody", &prove_fd);
	if (error)
		return error;
	struct scout scouts[RULES_SHARES_MAX] = { 0 };
	struct fuse_identity identity = { config->uid, config->gid };
	/* who is started for one question says himself what hangs */
	if (fuse_has_choice(config))
		fuse_choose_identity(config, scouts, &identity);
	fuse_forget(scouts);
	const char *arguments[] = { mode, "*", NULL };
	/* what it sees of the shares goes to `fd` too, and without a gateway nobody counts */
	auto_close int nothing_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const int fds[] = { extract_fd, prove_fd, looks(mode) ? fd : nothing_fd, fd };
	struct role_start start = role_usual(ROLE_COURIER, config, config_fd, arguments, fds, 4);
	start.uid = identity.uid;
	start.gid = identity.gid;
	start.keep_files = true;
	return role_start(&start, pid_out);
}

/* What is wrong with those of one listener, in words; "" for nothing. */
static int look_at_keys(const struct config *config, const struct config_listener *listener,
			int config_fd, char *why, size_t size)
{
	static struct keys_start how;
	int ends[2];
	pid_t pid;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	auto_close int in = ends[0];
	auto_close int out = ends[1];
	auto_close int nothing_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	start_keys_init(&how, "keeper-look", nothing_fd);
	start_keys_add(&how, listener, out);
	int error = start_keys(config, &how, config_fd, &pid);
	start_keys_close(&how);
	close_fd(&out);
	if (error)
		return error;
	int status = 0;
	ssize_t got = read_all(in, why, size - 1);
	why[got > 0 ? got : 0] = '\0';
	waitpid(pid, &status, 0);
	return *why || status == 0 ? 0 : -EIO;
}

int alone_check_keys(const struct config *config, char error_out[CONFIG_ERROR_MAX])
{
	auto_close int config_fd = -1;
	int error = 0;
	for (size_t i = 0; !error && i < config->listeners_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		char why[CONFIG_ERROR_MAX / 2] = "";
		if (listener->users_hidden) {
			config_error(config, listener,
				     "users: it can't be read by us, a file of logins is expected",
				     error_out);
			return EXIT_CONFIGURATION;
		}
		if (listener->tls == CONFIG_TLS_OFF || !*listener->tls_cert)
			continue;
		if (config_fd < 0)
			error = config_write(config, &config_fd);
		if (!error)
			error = look_at_keys(config, listener, config_fd, why, sizeof why);
		if (*why) {
			config_error(config, listener, why, error_out);
			return EXIT_CONFIGURATION;
		}
	}
	if (error)
		snprintf(error_out, CONFIG_ERROR_MAX, "the certificates can't be looked at: %s",
			 strerror(-error));
	return error ? EXIT_BUG : 0;
}

int alone_start_keys(const struct config *config, const struct config_listener *listener,
		     int link_fd, pid_t *pid_out)
{
	static struct keys_start how;
	auto_close int config_fd = -1;
	auto_close int tls_fd = -1;
	int error = config_write(config, &config_fd);
	if (!error)
		error = spool_open(config->gateway.state, SPOOL_TLS, &tls_fd);
	if (error)
		return error;
	start_keys_init(&how, "keeper", tls_fd);
	start_keys_add(&how, listener, link_fd);
	error = start_keys(config, &how, config_fd, pid_out);
	start_keys_close(&how);
	return error;
}

int alone_start_login(const struct config *config, const struct config_account *account,
		      const char *const *arguments, pid_t *pid_out)
{
	auto_close int config_fd = -1;
	auto_close int tokens_fd = -1;
	auto_close int nothing_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int error = nothing_fd < 0 ? -errno : config_write(config, &config_fd);
	if (!error)
		error = spool_open(config->gateway.state, SPOOL_TOKENS, &tokens_fd);
	if (error)
		return error;
	const struct token_start how = { .config = config,
					 .account = account,
					 .arguments = arguments,
					 .socket_fd = nothing_fd,
					 .tokens_fd = tokens_fd,
					 .config_fd = config_fd,
					 .keep_standard = true };
	return start_token(&how, pid_out);
}
