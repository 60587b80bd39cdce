/* boss.c: holds the roles together. Never reads mail, a share or an answer. */
#define _GNU_SOURCE
#include "daemon/boss.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/activation.h"
#include "daemon/child.h"
#include "daemon/denied.h"
#include "daemon/fdio.h"
#include "daemon/fuse.h"
#include "daemon/jail.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/secret.h"
#include "daemon/source.h"
#include "daemon/spool.h"
#include "daemon/start.h"
#include "daemon/status.h"
#include "daemon/strangers.h"
#include "daemon/tls_server.h"

#define END_SLACK_MS 2000
#define KNOCK_MS     5000 /* between looks whether the door is there, and is ours or free */

enum {
	EXIT_DONE = 0,
	EXIT_CANT_LISTEN = 69,
	EXIT_CANT_START = 70,
	EXIT_WAITS = 75,
	EXIT_LOGIN = 77
};

struct boss {
	struct config config;
	struct scout scouts[RULES_SHARES_MAX]; /* one a share */
	struct fuse_identity courier;
	int config_fd, extract_fd, signal_fd;
	int prove_fds[2]; /* of questions who signed a message: the couriers' end, the prover's */
	int tally_fds[2]; /* where messages are counted: the end of who tells, the window's; without
			     one /dev/null and -1 */
	int counts_fd;    /* what the window has counted; -1: there is none */
	int receiving_fd, kept_fd, sources_fd, tokens_fd, tls_fd; /* folders of `state` */
	int report_fd; /* borrowed: of `check`, where those who pull say what they find; -1 */
	struct keys_start *keys;   /* owned; NULL: not taken yet */
	struct activation *handed; /* sockets from whoever started us */
	struct sources sources;
	struct child *children;
	size_t children_count;
	struct status standing; /* of the roles, as it was told last */
	int word_every_ms;      /* so often somebody wants to hear that we live; -1: nobody does */
	int64_t next_word_ms;   /* on the monotonic clock */
	int64_t knock_at_ms;    /* the next look at the door: not before */
	bool ending;
	bool once;  /* only until those who pull have found nothing more */
	int status; /* of the worst of them */
};

/* --- children --------------------------------------------------------------------------------- */

static int start_courier(struct boss *boss, const struct child *child, pid_t *pid_out)
{
	const char *mode = child->looks ? "lookout" : child->keeps ? "keep" : "run";
	const char *arguments[SOURCES_MAX + 2] = { mode };
	int fds[SOURCES_MAX + 3] = { boss->extract_fd, boss->prove_fds[0], boss->tally_fds[0] };
	const struct sources *sources = &boss->sources;
	size_t count = 0;
	for (size_t i = 0; i < sources->count && !child->looks; i++) {
		if (sources->list[i].kind == SOURCE_WINDOW)
			continue;
		arguments[count + 1] = sources->list[i].name;
		fds[count++ + 3] = sources->list[i].asks[1];
	}
	struct role_start start =
		role_usual(ROLE_COURIER, &boss->config, boss->config_fd, arguments, fds, count + 3);
	start.uid = boss->courier.uid;
	start.gid = boss->courier.gid;
	start.keep_files = true;
	return role_start(&start, pid_out);
}

static int start_listener(struct boss *boss, const struct source *source, pid_t *pid_out)
{
	const char *arguments[] = { "listen", source->name, NULL };
	auto_close int status_fd = -1;
	int error = status_open(boss->sources_fd, source->name, &status_fd);
	if (error)
		return error;
	auto_close int nothing_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fds[SOCKETS_MAX + 6] = { source->asks[0], boss->receiving_fd,
				     source->keeps[0] >= 0 ? source->keeps[0] : nothing_fd };
	for (size_t i = 0; i < source->sockets_count; i++)
		fds[i + 3] = source->sockets[i].fd;
	fds[source->sockets_count + 3] = source->watch[0];
	fds[source->sockets_count + 4] = status_fd;
	fds[source->sockets_count + 5] = boss->tally_fds[0];
	struct role_start start = role_usual(ROLE_SMTP, &boss->config, boss->config_fd, arguments,
					     fds, source->sockets_count + 6);
	return role_start(&start, pid_out);
}

/* The listeners come first among the sources, in the order of the configuration. */
static int start_door(struct boss *boss, const struct source *source, pid_t *pid_out)
{
	const char *arguments[] = { "door", NULL };
	auto_close int nothing_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int fds[SOURCES_MAX + 4] = { source->asks[0], boss->receiving_fd, nothing_fd,
				     source->sockets[0].fd };
	size_t count = 4;
	for (size_t i = 0; i < boss->sources.count; i++) {
		if (boss->sources.list[i].kind == SOURCE_LISTENER)
			fds[count++] = boss->sources.list[i].watch[1];
	}
	struct role_start start =
		role_usual(ROLE_SMTP, &boss->config, boss->config_fd, arguments, fds, count);
	return role_start(&start, pid_out);
}

/* Once for this configuration: it is what holds, whatever becomes of the files. */
static void take_keys(struct boss *boss)
{
	struct keys_start *how = calloc(1, sizeof *how);
	if (!how)
		abort();
	start_keys_init(how, "keeper", boss->tls_fd);
	for (size_t i = 0; i < boss->sources.count; i++) {
		const struct source *source = &boss->sources.list[i];
		if (source->keeps[1] >= 0 &&
		    !start_keys_add(how, config_find_listener(&boss->config, source->name),
				    source->keeps[1]))
			log_say(LOG_ERROR, "tls", "there are too many listeners, %s has no keys",
				source->name);
	}
	boss->keys = how;
}

static void forget_keys(struct boss *boss)
{
	if (boss->keys)
		start_keys_close(boss->keys);
	free(boss->keys);
	boss->keys = NULL;
}

static int start_keeper(const struct boss *boss, pid_t *pid_out)
{
	return start_keys(&boss->config, boss->keys, boss->config_fd, pid_out);
}

/* Who pulls gets a new pair for its questions about passwords: an answer to who was before it must
 * not wait there. */
static int start_puller(struct boss *boss, struct source *source, pid_t *pid_out)
{
	const char *mode = boss->report_fd >= 0 ? "check" : boss->once ? "once" : "run";
	const char *arguments[] = { mode, source->name, NULL };
	auto_close int status_fd = -1, ours = -1, theirs = -1;
	int error = status_open(boss->sources_fd, source->name, &status_fd);
	if (!error)
		error = socket_pair(&ours, &theirs);
	if (error)
		return error;
	close_fd(&source->secret_fd);
	source->secret_fd = take_fd(&ours);
	const int fds[] = { source->asks[0], boss->receiving_fd, boss->kept_fd,  status_fd,
			    theirs,          boss->tokens_fd,    boss->report_fd };
	struct role_start start = role_usual(ROLE_PULL, &boss->config, boss->config_fd, arguments,
					     fds, boss->report_fd >= 0 ? 7 : 6);
	return role_start(&start, pid_out);
}

/* Whose identity a watcher takes it sees for itself: a look at a folder may hang. */
static int start_watcher(struct boss *boss, const struct source *source, pid_t *pid_out)
{
	const char *arguments[] = { boss->once ? "once" : "run", source->name, NULL };
	auto_close int status_fd = -1;
	int error = status_open(boss->sources_fd, source->name, &status_fd);
	if (error)
		return error;
	const int fds[] = { source->asks[0], status_fd };
	struct role_start start = role_usual(ROLE_WATCH, &boss->config, boss->config_fd, arguments,
					     fds, sizeof fds / sizeof fds[0]);
	start.stays_root = true;
	return role_start(&start, pid_out);
}

/* The state of a source, to be read; where it can't be opened, nothing. */
static int open_state(const struct boss *boss, const char *source)
{
	auto_close int status_fd = -1;
	/* it has to be there; what can't be written may still be told from what is well */
	status_open(boss->sources_fd, source, &status_fd);
	int fd = status_open_to_read(boss->sources_fd, source);
	return fd >= 0 ? fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Without a token whoever reads it finds nothing. */
static int open_token(const struct config *config, int *fd_out)
{
	const char *path = config->http.token_file;
	int error = start_open_given(*path ? path : "/dev/null", fd_out);
	if (error)
		log_say(LOG_ERROR, "http", "token_file: %s: %s", path, strerror(-error));
	return error;
}

/* It opens nothing itself: it gets the states of the sources, which are written over in place. */
static int start_window(const struct boss *boss, const struct source *window, pid_t *pid_out)
{
	static const char *const arguments[] = { "window", NULL };
	auto_close int token_fd = -1, quarantine_fd = -1;
	int fds[SOCKETS_MAX + SOURCES_MAX + 5];
	size_t count = 0;
	int error = open_token(&boss->config, &token_fd);
	if (!error)
		error = spool_open(boss->config.gateway.state, SPOOL_QUARANTINE, &quarantine_fd);
	if (error)
		return error;
	const int own[] = { boss->tally_fds[1], boss->counts_fd, token_fd, quarantine_fd };
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		fds[count++] = own[i];
	for (size_t i = 0; i < window->sockets_count; i++)
		fds[count++] = window->sockets[i].fd;
	size_t states = count;
	fds[count++] = open_state(boss, STATUS_ROLES);
	for (size_t i = 0; i < boss->sources.count; i++) {
		if (boss->sources.list[i].kind != SOURCE_WINDOW &&
		    boss->sources.list[i].kind != SOURCE_DOOR)
			fds[count++] = open_state(boss, boss->sources.list[i].name);
	}
	struct role_start start =
		role_usual(ROLE_AFTER, &boss->config, boss->config_fd, arguments, fds, count);
	error = role_start(&start, pid_out);
	while (count > states)
		close_fd(&fds[--count]);
	return error;
}

static int start_source(struct boss *boss, struct source *source, pid_t *pid_out)
{
	switch (source->kind) {
	case SOURCE_LISTENER: return start_listener(boss, source, pid_out);
	case SOURCE_DOOR: return start_door(boss, source, pid_out);
	case SOURCE_IMAP: return start_puller(boss, source, pid_out);
	case SOURCE_MAILDIR: return start_watcher(boss, source, pid_out);
	case SOURCE_WINDOW: return start_window(boss, source, pid_out);
	}
	return -ENOSYS;
}

static int start_role(struct boss *boss, struct child *child)
{
	if (child->source)
		return start_source(boss, child->source, &child->pid);
	if (child->role == ROLE_PROVE)
		return start_prover(&boss->config, boss->config_fd, boss->prove_fds[1], false,
				    &child->pid);
	if (child->keys)
		return start_keeper(boss, &child->pid);
	return start_courier(boss, child, &child->pid);
}

/* Who died, or was never there, could not say so. Who takes its place says when it is up. */
static void report_death(const struct boss *boss, const struct child *child, const char *why)
{
	auto_close int fd = -1;
	struct status report;
	bool told =
		child->source && (child_is_puller(child) || child->source->kind == SOURCE_LISTENER);
	if (!told || status_open(boss->sources_fd, child->name, &fd) != 0)
		return;
	status_load(fd, &report);
	snprintf(report.error, sizeof report.error, "%.250s; the log says why", why);
	status_write(fd, &report, STATUS_DOWN);
}

static void start_child(struct boss *boss, struct child *child)
{
	child->started_ms = monotonic_ms();
	int error = start_role(boss, child);
	if (!error) {
		child->state = CHILD_RUNNING;
		return;
	}
	log_say(LOG_ERROR, "start", "%s can't be started: %s", child_name(child), strerror(-error));
	report_death(boss, child, "its process can't be started");
	child_delay(child, false);
}

static bool has_source(const struct boss *boss, const char *name)
{
	for (size_t i = 0; i < boss->sources.count; i++) {
		if (strcmp(boss->sources.list[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Two who empty one mailbox would both deliver what is in it, and two windows count twice. A source
 * that is no more may have got another name. */
static bool has_predecessor(const struct boss *boss, const struct child *child)
{
	bool alone = child_is_puller(child) || child->role == ROLE_AFTER;
	for (size_t i = 0; alone && i < boss->children_count; i++) {
		const struct child *other = &boss->children[i];
		if (other->state == CHILD_DRAINING && other->role == child->role &&
		    (strcmp(other->name, child->name) == 0 || !has_source(boss, other->name)))
			return true;
	}
	return false;
}

static void start_wanted(struct boss *boss)
{
	bool chosen = false;
	for (size_t i = 0; i < boss->children_count && !boss->ending; i++) {
		struct child *child = &boss->children[i];
		if (child->state != CHILD_WANTED || child->start_at_ms > monotonic_ms() ||
		    has_predecessor(boss, child))
			continue;
		/* one look for all that start now: it may take its time */
		if (child->role == ROLE_COURIER && !chosen) {
			fuse_choose_identity(&boss->config, boss->scouts, &boss->courier);
			chosen = true;
		}
		start_child(boss, child);
	}
}

static struct child *add_child(struct boss *boss, enum role role, struct source *source, bool keeps)
{
	struct child *children =
		realloc(boss->children, (boss->children_count + 1) * sizeof *children);
	if (!children)
		abort();
	boss->children = children;
	struct child *child = &children[boss->children_count++];
	*child = (struct child){ .role = role, .source = source, .keeps = keeps };
	snprintf(child->name, sizeof child->name, "%s", source ? source->name : "");
	return child;
}

static void want_children(struct boss *boss)
{
	take_keys(boss);
	if (boss->keys->names > 0)
		add_child(boss, ROLE_SMTP, NULL, false)->keys = true;
	add_child(boss, ROLE_COURIER, NULL, true);
	for (uint64_t i = 0; i < config_couriers(&boss->config); i++)
		add_child(boss, ROLE_COURIER, NULL, false);
	if (config_wants_dkim(&boss->config))
		add_child(boss, ROLE_PROVE, NULL, false);
	if (boss->counts_fd >= 0)
		add_child(boss, ROLE_COURIER, NULL, false)->looks = true;
	static const enum role roles[] = { [SOURCE_LISTENER] = ROLE_SMTP,
					   [SOURCE_DOOR] = ROLE_SMTP,
					   [SOURCE_IMAP] = ROLE_PULL,
					   [SOURCE_MAILDIR] = ROLE_WATCH,
					   [SOURCE_WINDOW] = ROLE_AFTER };
	for (size_t i = 0; i < boss->sources.count; i++) {
		struct source *source = &boss->sources.list[i];
		if (source->kind != SOURCE_DOOR || source->sockets_count > 0)
			add_child(boss, roles[source->kind], source, false);
	}
}

static void drop_child(struct boss *boss, struct child *child)
{
	*child = boss->children[--boss->children_count];
}

/* It takes nothing new and ends when it is done; its sockets stay open in it. */
static void drain_child(struct boss *boss, struct child *child)
{
	if (child->state == CHILD_WANTED) {
		drop_child(boss, child);
		return;
	}
	kill(child->pid, SIGHUP);
	child->state = CHILD_DRAINING;
	child->source = NULL;
}

/* Is the door another gateway's still, or is it gone? */
static void try_door(struct boss *boss)
{
	const char *state = boss->config.gateway.state;
	if (boss->once || monotonic_ms() < boss->knock_at_ms)
		return;
	boss->knock_at_ms = monotonic_ms() + KNOCK_MS;
	if (!sources_lack_door(&boss->sources, state))
		return;
	for (size_t i = boss->children_count; i-- > 0;) {
		if (child_is_door(&boss->children[i]))
			drain_child(boss, &boss->children[i]);
	}
	if (!sources_try_door(&boss->sources, state))
		return;
	for (size_t i = 0; i < boss->sources.count; i++) {
		if (boss->sources.list[i].kind == SOURCE_DOOR)
			add_child(boss, ROLE_SMTP, &boss->sources.list[i], false);
	}
}

static void log_end(const struct child *child, int status)
{
	if (WIFSIGNALED(status))
		log_say(LOG_ERROR, "ended", "%s died of signal %d", child_name(child),
			WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		log_say(LOG_ERROR, "ended", "%s ended with status %d", child_name(child),
			WEXITSTATUS(status));
}

/* What comes first in this list outranks what follows: a source that failed, before mail that
 * waits. */
static void note_status(struct boss *boss, const struct child *child, int status)
{
	static const int ranks[] = { EXIT_LOGIN, EXIT_CANT_LISTEN, EXIT_WAITS, EXIT_DONE };
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_CANT_LISTEN;
	if (!child_is_puller(child))
		return;
	if (code != EXIT_LOGIN && code != EXIT_WAITS && code != EXIT_DONE)
		code = EXIT_CANT_LISTEN;
	for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
		if (ranks[i] == boss->status)
			return;
		if (ranks[i] == code)
			boss->status = code;
	}
}

/* For who answers and could not: else the question would be there still, and he be started for it
 * again and again. Who asked asks once more, later. */
static void answer_later(const struct source *source)
{
	static const struct secret_answer answer = {
		.kind = SECRET_LATER, .text = "the program that gets the password or token has died"
	};
	struct secret_question question;
	if (!source || source->secret_fd < 0)
		return;
	secret_take(source->secret_fd, &question);
	secret_give(source->secret_fd, &answer);
}

/* Did it die of what we told it? Until a role can hear, so soon after its start, a word that it
 * shall end ends it. */
static bool is_ours(const struct boss *boss, const struct child *child, int status)
{
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return (boss->ending && signal == SIGTERM) ||
	       (child->state == CHILD_DRAINING && signal == SIGHUP);
}

static void reap_child(struct boss *boss, struct child *child, int status)
{
	bool last = child->state == CHILD_DRAINING || boss->ending || child->role == ROLE_TOKEN;
	if (boss->once && child_is_puller(child)) {
		note_status(boss, child, status);
		last = true;
	}
	if (last && (WIFSIGNALED(status) || child->role == ROLE_TOKEN) &&
	    !is_ours(boss, child, status))
		log_end(child, status);
	if (child->role == ROLE_TOKEN && status != 0)
		answer_later(child->source);
	if (last) {
		drop_child(boss, child);
		return;
	}
	log_end(child, status);
	if (status != 0)
		report_death(boss, child, "its process died and is started again");
	child_delay(child, status == 0);
}

static void reap(struct boss *boss)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		for (size_t i = 0; i < boss->children_count; i++) {
			struct child *child = &boss->children[i];
			if (child->pid != pid || child->state == CHILD_WANTED)
				continue;
			reap_child(boss, child, status);
			break;
		}
	}
}

static void signal_children(const struct boss *boss, int signal)
{
	for (size_t i = 0; i < boss->children_count; i++) {
		if (boss->children[i].state != CHILD_WANTED)
			kill(boss->children[i].pid, signal);
	}
}

static void write_standing(struct boss *boss, enum status_state state)
{
	auto_close int fd = -1;
	if (status_open(boss->sources_fd, STATUS_ROLES, &fd) == 0)
		status_write(fd, &boss->standing, state);
}

static void tell_standing(struct boss *boss)
{
	char why[STATUS_ERROR_MAX];
	enum status_state state = child_judge(boss->children, boss->children_count, why);
	if (boss->once || (state == boss->standing.state && strcmp(why, boss->standing.error) == 0))
		return;
	strcpy(boss->standing.error, why);
	write_standing(boss, state);
}

/* --- sandbox ---------------------------------------------------------------------------------- */

/* NULL: nothing. */
static const char *missing_of_landlock(void)
{
	int abi = jail_landlock_abi();
	if (abi == 0)
		return "this kernel, or container, has no Landlock (Linux 5.13)";
	if (abi < JAIL_ABI_RENAMES)
		return "this kernel's Landlock can't allow renames between folders, the right \"refer\" (Linux 5.19)";
	return NULL;
}

/* Said here, once for all roles. */
static void warn_missing(const char *what)
{
	log_say(LOG_WARNING, "sandbox", "%s: a broken courier could %s", what,
		geteuid() == 0 ? "open every file of this machine" : "do what its user may");
}

/* Who reads foreign octets must be locked in; with `sandbox = require` everybody. */
static bool can_lock_in(const struct config *config)
{
	int sandbox = config->gateway.sandbox;
	const char *missing = sandbox == JAIL_OFF ? "sandbox = off" : missing_of_landlock();
	if (sandbox != JAIL_OFF && !jail_filter_works()) {
		log_say(LOG_ERROR, "sandbox",
			"this kernel, or container, has no seccomp: who reads foreign mail can't be "
			"locked in");
		return false;
	}
	if (missing && sandbox == JAIL_REQUIRE) {
		log_say(LOG_ERROR, "sandbox", "%s: `sandbox = require` can't be met", missing);
		return false;
	}
	if (missing)
		warn_missing(missing);
	return true;
}

/* --- reload ----------------------------------------------------------------------------------- */

static void drain_children(struct boss *boss)
{
	for (size_t i = boss->children_count; i-- > 0;)
		drain_child(boss, &boss->children[i]);
}

static void close_tally(struct boss *boss)
{
	close_fd(&boss->tally_fds[0]);
	close_fd(&boss->tally_fds[1]);
	close_fd(&boss->counts_fd);
}

/* What nobody counts goes nowhere. */
static int open_tally(struct boss *boss)
{
	if (boss->once || !*boss->config.http.listen) {
		boss->tally_fds[0] = open("/dev/null", O_WRONLY | O_CLOEXEC);
		return boss->tally_fds[0] < 0 ? -errno : 0;
	}
	int error = memory_file("counts", &boss->counts_fd);
	return error ? error : socket_pair(&boss->tally_fds[0], &boss->tally_fds[1]);
}

/* What was counted stays counted, and who goes on with an old message still tells. */
static void inherit_tally(struct boss *fresh, struct boss *old)
{
	if (fresh->counts_fd < 0 || old->counts_fd < 0)
		return;
	close_tally(fresh);
	fresh->tally_fds[0] = take_fd(&old->tally_fds[0]);
	fresh->tally_fds[1] = take_fd(&old->tally_fds[1]);
	fresh->counts_fd = take_fd(&old->counts_fd);
}

static void close_folders(struct boss *boss)
{
	forget_keys(boss);
	close_fd(&boss->receiving_fd);
	close_fd(&boss->kept_fd);
	close_fd(&boss->sources_fd);
	close_fd(&boss->tokens_fd);
	close_fd(&boss->tls_fd);
	close_fd(&boss->prove_fds[0]);
	close_fd(&boss->prove_fds[1]);
	close_tally(boss);
}

static bool prepare(struct boss *boss)
{
	char path[PATH_MAX];
	const char *state = boss->config.gateway.state;
	int error = spool_make(state, boss->config.uid, boss->config.gid, path);
	if (!error)
		error = spool_open(state, SPOOL_RECEIVING, &boss->receiving_fd);
	if (!error)
		error = spool_open(state, SPOOL_KEPT, &boss->kept_fd);
	if (!error)
		error = spool_open(state, SPOOL_SOURCES, &boss->sources_fd);
	if (!error)
		error = spool_open(state, SPOOL_TOKENS, &boss->tokens_fd);
	if (!error)
		error = spool_open(state, SPOOL_TLS, &boss->tls_fd);
	if (error) {
		char text[DENIED_MAX];
		denied_text(path, error, text);
		log_say(LOG_ERROR, "state", "%s; %s", text, denied_remedy(error));
		return false;
	}
	error = config_write(&boss->config, &boss->config_fd);
	if (!error)
		error = socket_pair(&boss->prove_fds[0], &boss->prove_fds[1]);
	if (!error)
		error = open_tally(boss);
	if (error)
		log_say(LOG_ERROR, "start", "the configuration can't be handed on: %s",
			strerror(-error));
	return !error;
}

/* What its owner has allowed and should not forget. */
static void warn(const struct config *config)
{
	strangers_warn(config);
	for (size_t i = 0; i < config->listeners_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		bool ancient = listener->tls_compat == TLS_ANCIENT;
		if (listener->tls == CONFIG_TLS_OFF || listener->tls_compat == TLS_MODERN)
			continue;
		log_say(LOG_WARNING, "old-tls",
			"source %s: tls_compat = %s takes TLS 1.0%s, which is known to be weak: it is for "
			"devices that know nothing better",
			listener->name, ancient ? "ancient" : "legacy", ancient ? " and 3DES" : "");
	}
}

static struct boss boss_of(struct config *config)
{
	struct boss boss = { .config = *config,
			     .config_fd = -1,
			     .extract_fd = -1,
			     .signal_fd = -1,
			     .prove_fds = { -1, -1 },
			     .tally_fds = { -1, -1 },
			     .counts_fd = -1,
			     .receiving_fd = -1,
			     .kept_fd = -1,
			     .sources_fd = -1,
			     .tokens_fd = -1,
			     .tls_fd = -1,
			     .report_fd = -1,
			     .standing.state = STATUS_UP,
			     .word_every_ms = -1 };
	*config = (struct config){ 0 };
	return boss;
}

/* False: the old one stays, said. */
static bool reload(struct boss *boss,
		   int (*again)(const void *context, struct config *config_out, char *error_out),
		   const void *context)
{
	struct config config;
	char error[CONFIG_ERROR_MAX];
	if (again(context, &config, error) != 0) {
		log_say(LOG_ERROR, "reload", "the old configuration stays: %s", error);
		return false;
	}
	struct boss fresh = boss_of(&config);
	fresh.extract_fd = boss->extract_fd;
	fresh.signal_fd = boss->signal_fd;
	fresh.handed = boss->handed;
	fresh.word_every_ms = boss->word_every_ms;
	fresh.next_word_ms = boss->next_word_ms;
	fresh.standing = boss->standing;
	fresh.knock_at_ms = boss->knock_at_ms;
	if (strcmp(fresh.config.gateway.state, boss->config.gateway.state) != 0) {
		log_say(LOG_ERROR, "reload",
			"the old configuration stays: `state` can only change with a restart");
		config_done(&fresh.config);
		return false;
	}
	if (!can_lock_in(&fresh.config) || !prepare(&fresh) ||
	    !sources_open(&fresh.sources, &fresh.config, &boss->sources, boss->handed)) {
		log_say(LOG_ERROR, "reload", "the old configuration stays");
		sources_close(&fresh.sources);
		close_fd(&fresh.config_fd);
		close_folders(&fresh);
		config_done(&fresh.config);
		return false;
	}
	sources_inherit_door(&fresh.sources, &boss->sources);
	drain_children(boss);
	sources_keep_asks(&fresh.sources, &boss->sources);
	inherit_tally(&fresh, boss);
	fresh.children = boss->children;
	fresh.children_count = boss->children_count;
	want_children(&fresh);
	sources_close(&boss->sources);
	fuse_forget(boss->scouts);
	close_fd(&boss->config_fd);
	close_folders(boss);
	config_done(&boss->config);
	*boss = fresh;
	start_wanted(boss);
	warn(&boss->config);
	sources_tell_ready(&boss->sources, boss->config.gateway.sandbox);
	log_say(LOG_INFO, "reload", "the new configuration holds");
	return true;
}

static int open_signals(void)
{
	static const int signals[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT };
	return role_open_signals(signals, sizeof signals / sizeof signals[0]);
}

/* Milliseconds to the next start that was put off; -1: none. Who waits for another to end is told
 * by a signal. */
static int next_start(const struct boss *boss)
{
	int64_t next = -1;
	for (size_t i = 0; i < boss->children_count; i++) {
		const struct child *child = &boss->children[i];
		if (child->state == CHILD_WANTED && !has_predecessor(boss, child) &&
		    (next < 0 || child->start_at_ms < next))
			next = child->start_at_ms;
	}
	if (next < 0)
		return -1;
	int64_t left = next - monotonic_ms();
	return left < 0 ? 0 : (int)left;
}

/* --- a word that we live ---------------------------------------------------------------------- */

/* Said by the loop and by nobody beside it: who hangs is silent. Twice as often as it is asked for,
 * so that a reload may take its time. */
static void tell_alive(struct boss *boss)
{
	int64_t now_ms = monotonic_ms();
	if (boss->word_every_ms < 0 || now_ms < boss->next_word_ms)
		return;
	activation_notify("WATCHDOG=1");
	boss->next_word_ms = now_ms + boss->word_every_ms;
}

/* Of two waits, -1 for ever, the shorter. */
static int sooner(int a_ms, int b_ms)
{
	return a_ms < 0 || (b_ms >= 0 && b_ms < a_ms) ? b_ms : a_ms;
}

/* Milliseconds that the loop may sleep, -1: for ever. */
static int next_turn(const struct boss *boss)
{
	int wait_ms = next_start(boss);
	int64_t left = boss->next_word_ms - monotonic_ms();
	if (boss->word_every_ms >= 0)
		wait_ms = sooner(wait_ms, left < 0 ? 0 : (int)left);
	/* nobody tells us that a role has lived for a while, or that another gateway has ended,
	 * or that somebody has removed the door */
	if (boss->standing.state != STATUS_UP)
		wait_ms = sooner(wait_ms, CHILD_LIVED_MS / 10);
	if (!boss->once)
		wait_ms = sooner(wait_ms, KNOCK_MS);
	return wait_ms;
}

/* --- passwords -------------------------------------------------------------------------------- */

static bool is_answering(const struct boss *boss, const struct source *source)
{
	for (size_t i = 0; i < boss->children_count; i++) {
		if (boss->children[i].role == ROLE_TOKEN && boss->children[i].source == source)
			return true;
	}
	return false;
}

/* Starts who answers the question that waits on the source's socket. */
static void answer_question(struct boss *boss, struct source *source)
{
	const char *arguments[] = { "answer", source->name, NULL };
	const struct token_start how = { .config = &boss->config,
					 .account =
						 config_find_account(&boss->config, source->name),
					 .arguments = arguments,
					 .socket_fd = source->secret_fd,
					 .tokens_fd = boss->tokens_fd,
					 .config_fd = boss->config_fd };
	struct child *child = add_child(boss, ROLE_TOKEN, source, false);
	child->started_ms = monotonic_ms();
	child->state = CHILD_RUNNING;
	int error = start_token(&how, &child->pid);
	if (!error)
		return;
	log_say(LOG_ERROR, "start", "%s: its password can't be had: %s", source->name,
		strerror(-error));
	drop_child(boss, child);
	answer_later(source);
}

/* --- the loop --------------------------------------------------------------------------------- */

/* The next signal, 0 for none within the time (milliseconds, -1: for ever); questions for passwords
 * are seen to. */
static int next_signal(struct boss *boss, int timeout_ms)
{
	static struct pollfd waits[SOURCES_MAX + 1];
	const struct sources *sources = &boss->sources;
	struct signalfd_siginfo info;
	waits[0] = (struct pollfd){ .fd = boss->signal_fd, .events = POLLIN };
	for (size_t i = 0; i < sources->count; i++) {
		struct source *source = &sources->list[i];
		bool asks = source->secret_fd >= 0 && !boss->ending && !is_answering(boss, source);
		waits[i + 1] =
			(struct pollfd){ .fd = asks ? source->secret_fd : -1, .events = POLLIN };
	}
	if (poll(waits, sources->count + 1, timeout_ms) <= 0)
		return 0;
	for (size_t i = 0; i < sources->count; i++) {
		/* who asked and ended reads no answer */
		if (waits[i + 1].revents & (POLLHUP | POLLERR))
			close_fd(&sources->list[i].secret_fd);
		else if (waits[i + 1].revents)
			answer_question(boss, &sources->list[i]);
	}
	return read(boss->signal_fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

/* Deliveries whose plan is written are finished and answered; what is left after that is cut off.
 */
static void end(struct boss *boss)
{
	int64_t within_ms = (int64_t)boss->config.gateway.answer_within_s * 1000;
	int64_t slack_ms = within_ms / 2 < END_SLACK_MS ? within_ms / 2 : END_SLACK_MS;
	int64_t limit = monotonic_ms() + within_ms - slack_ms;
	log_say(LOG_INFO, "ending", "deliveries that are promised are finished");
	boss->ending = true;
	if (!boss->once)
		activation_notify("STOPPING=1");
	for (size_t i = boss->children_count; i-- > 0;) {
		if (boss->children[i].state == CHILD_WANTED)
			drop_child(boss, &boss->children[i]);
	}
	signal_children(boss, SIGTERM);
	/* questions that no courier has taken are dropped with the last of the couriers' ends */
	sources_hush(&boss->sources);
	while (boss->children_count > 0 && monotonic_ms() < limit) {
		tell_alive(boss);
		next_signal(boss, 500);
		reap(boss);
	}
	if (boss->children_count > 0) {
		log_say(LOG_WARNING, "ending", "%zu processes did not end in time",
			boss->children_count);
		signal_children(boss, SIGKILL);
	}
}

static bool has_pullers(const struct boss *boss)
{
	for (size_t i = 0; i < boss->children_count; i++) {
		if (child_is_puller(&boss->children[i]))
			return true;
	}
	return false;
}

static void reload_aloud(struct boss *boss,
			 int (*again)(const void *context, struct config *config_out,
				      char *error_out),
			 const void *context)
{
	activation_notify_reload();
	/* READY=1 in either case: it is said of the gateway, and that goes on */
	activation_notify(reload(boss, again, context)
				  ? "READY=1\nSTATUS="
				  : "READY=1\nSTATUS=The last reload failed, the log says why; "
				    "the old configuration stays");
}

static void loop(struct boss *boss,
		 int (*again)(const void *context, struct config *config_out, char *error_out),
		 const void *context)
{
	for (;;) {
		start_wanted(boss);
		tell_standing(boss);
		tell_alive(boss);
		int signal = next_signal(boss, next_turn(boss));
		if (signal == SIGTERM || signal == SIGINT)
			return;
		if (signal == SIGHUP && again)
			reload_aloud(boss, again, context);
		reap(boss);
		try_door(boss);
		if (boss->once && !has_pullers(boss))
			return;
	}
}

static int start(struct boss *boss)
{
	if (!can_lock_in(&boss->config))
		return EXIT_CANT_START;
	boss->signal_fd = open_signals();
	if (boss->signal_fd < 0 || role_open_program(ROLE_EXTRACT, &boss->extract_fd) != 0) {
		log_say(LOG_ERROR, "start",
			"the programs of letterchute are not beside this one: %s", strerror(errno));
		return EXIT_CANT_START;
	}
	if (!prepare(boss))
		return EXIT_CANT_LISTEN;
	if (!sources_open(&boss->sources, &boss->config, NULL, boss->handed))
		return EXIT_CANT_LISTEN;
	if (!boss->once)
		sources_open_door(&boss->sources, boss->config.gateway.state);
	want_children(boss);
	if (!boss->once)
		write_standing(boss, STATUS_UP);
	start_wanted(boss);
	if (!boss->once)
		warn(&boss->config);
	sources_tell_ready(&boss->sources, boss->config.gateway.sandbox);
	if (!boss->once)
		activation_notify("READY=1");
	return EXIT_DONE;
}

static int run(struct boss *boss,
	       int (*again)(const void *context, struct config *config_out, char *error_out),
	       const void *context)
{
	raise_file_limit();
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	int status = start(boss);
	if (status == EXIT_DONE)
		loop(boss, again, context);
	if (status == EXIT_DONE)
		end(boss);
	sources_remove_door(&boss->sources, boss->config.gateway.state);
	sources_close(&boss->sources);
	free(boss->children);
	config_done(&boss->config);
	return status == EXIT_DONE ? boss->status : status;
}

int boss_run(struct config *config,
	     int (*again)(const void *context, struct config *config_out, char *error_out),
	     const void *context)
{
	static struct activation handed;
	struct boss boss = boss_of(config);
	boss.handed = &handed;
	boss.word_every_ms = activation_watchdog_ms();
	if (!activation_take(&handed))
		return EXIT_CANT_LISTEN;
	return run(&boss, again, context);
}

int boss_run_once(struct config *config)
{
	struct boss boss = boss_of(config);
	boss.once = true;
	return run(&boss, NULL, NULL);
}

int boss_check_accounts(const struct config *config, int report_fd)
{
	struct config lent = *config;
	struct boss boss = boss_of(&lent);
	boss.once = true;
	boss.report_fd = report_fd;
	boss.signal_fd = open_signals();
	bool good = boss.signal_fd >= 0 && prepare(&boss) &&
		    sources_open(&boss.sources, &boss.config, NULL, NULL);
	for (size_t i = 0; good && i < boss.sources.count; i++) {
		if (boss.sources.list[i].kind == SOURCE_IMAP)
			add_child(&boss, ROLE_PULL, &boss.sources.list[i], false);
	}
	if (good && boss.children_count > 0)
		loop(&boss, NULL, NULL);
	signal_children(&boss, SIGKILL);
	sources_close(&boss.sources);
	close_folders(&boss);
	close_fd(&boss.config_fd);
	close_fd(&boss.signal_fd);
	free(boss.children);
	return good ? 0 : -EIO;
}
