/* status.c: the verb `status`: where each source and each share stands. Never changes anything. */
#define _GNU_SOURCE
#include "daemon/status.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/aside.h"
#include "daemon/cli/alone.h"
#include "daemon/cli/telling.h"
#include "daemon/cli/verbs.h"
#include "daemon/fdio.h"
#include "daemon/health.h"
#include "daemon/json.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/source.h"
#include "daemon/spool.h"

#define SHARES_MS 4000 /* for all shares: one that hangs is told as one */

struct report {
	const struct options *options;
	struct config config;
	bool runs;    /* a gateway does, on this state */
	bool of_root; /* and was started as root */
	int sources_fd;
};

/* --- sources ---------------------------------------------------------------------------------- */

static void print_failed(const struct standing_failed *failed)
{
	char peer[46], time[STANDING_TIME_MAX], words[2 * DIALOGUE_WORDS_MAX];
	const struct dialogue *dialogue = &failed->dialogue;
	standing_peer(dialogue, peer);
	log_escape(dialogue->diagnosis, words, sizeof words);
	printf("%-20s  failed %s  %s: %s%s\n", "",
	       standing_time(dialogue->began_ms, time) ? time : "-", peer, words,
	       dialogue->since_ms ? "; delivered since" : "");
}

static void print_source(const char *name, const char *kind, const struct status *status)
{
	char since[STANDING_TIME_MAX], contact[STANDING_TIME_MAX], delivery[STANDING_TIME_MAX],
		error[2 * STATUS_ERROR_MAX];
	int64_t left_ms = status->until_ms - wall_ms();
	printf("%-20s  %-8s  %-8s", name, kind, standing_word(status->state));
	if (standing_time(status->since_ms, since))
		printf("  since %s", since);
	if (strcmp(kind, "smtp") == 0 && standing_time(status->contact_ms, contact))
		printf("  last contact %s", contact);
	if (standing_time(status->delivery_ms, delivery))
		printf("  last delivery %s", delivery);
	if (status->waiting > 0)
		printf("  %u waiting", status->waiting);
	putchar('\n');
	if (!*status->error)
		return;
	log_escape(status->error, error, sizeof error);
	printf("%-20s  %s", "", error);
	if (left_ms > 0)
		printf("; next try in %lld s", (long long)(left_ms + 999) / 1000);
	putchar('\n');
}

/* What a source has written is from before if no gateway runs. A listener is up when the gateway
 * is. */
static struct status status_of(const struct report *report, int fd, const char *kind)
{
	struct status status = standing_status(fd, kind);
	if (!report->runs) {
		status.state = STATUS_DOWN;
		status.until_ms = 0;
		snprintf(status.error, sizeof status.error, "no gateway runs");
	}
	return status;
}

static struct status roles_status(const struct report *report)
{
	auto_close int fd = status_open_to_read(report->sources_fd, STATUS_ROLES);
	return standing_status(fd, STATUS_ROLES);
}

/* Nothing while they are well. */
static void print_roles(const struct report *report)
{
	struct status roles = roles_status(report);
	if (report->runs && roles.state != STATUS_UP)
		printf("gateway: %s\n", roles.error);
}

static void print_failures(int fd)
{
	static struct standing_failed failed[FAILURES_MAX];
	size_t count = standing_read_failed(fd, failed);
	for (size_t i = 0; i < count; i++)
		print_failed(&failed[i]);
}

static void tell_source(const struct report *report, const char *name, const char *kind)
{
	bool listener = strcmp(kind, "smtp") == 0;
	auto_close int fd = status_open_to_read(report->sources_fd, name);
	struct status status = status_of(report, fd, kind);
	if (report->options->json) {
		telling_json(standing_source(name, kind, &status,
					     listener ? standing_failures(fd) : NULL));
		return;
	}
	print_source(name, kind, &status);
	if (listener)
		print_failures(fd);
}

/* --- all sources, for either purpose ---------------------------------------------------------- */

static void each_source(const struct report *report, void *context,
			void (*tell)(const struct report *report, void *context, const char *name,
				     const char *kind))
{
	const struct config *config = &report->config;
	for (size_t i = 0; i < config->listeners_count; i++)
		tell(report, context, config->listeners[i].name, "smtp");
	for (size_t i = 0; i < config->accounts_count; i++)
		tell(report, context, config->accounts[i].name, "imap");
	for (size_t i = 0; i < config->maildirs_count; i++)
		tell(report, context, config->maildirs[i].name, "maildir");
}

static void tell_each(const struct report *report, void *context, const char *name,
		      const char *kind)
{
	(void)context;
	tell_source(report, name, kind);
}

/* --- shares ----------------------------------------------------------------------------------- */

static void tell_share(const struct report *report, const char *name, const char *path,
		       const char *state, int64_t free_bytes, const char *why)
{
	if (report->options->json) {
		telling_json(standing_share(name, path, state, free_bytes, why));
		return;
	}
	printf("share %-14s  %-8s  %s", *name ? name : "-", state, path);
	if (free_bytes >= 0)
		printf("  %lld MB free", (long long)(free_bytes >> 20));
	printf("%s%s\n", *why ? "  " : "", why);
}

#define LOOKS_MAX (RULES_SHARES_MAX + 1) /* the last of them, behind the shares, is `state` */

static struct tally_share *find_look(const struct rules *rules, struct tally_share *shares,
				     const char *name)
{
	size_t i = 0;
	while (i < rules->shares_count && strcmp(rules->shares[i].name, name) != 0)
		i++;
	return &shares[i];
}

static void hear_looks(const struct rules *rules, int fd, int64_t limit_ms,
		       struct tally_share *shares)
{
	struct tally_share told;
	while (wait_readable(fd, limit_ms) == 0) {
		size_t none = 0;
		ssize_t size = receive_fds(fd, &told, sizeof told, NULL, &none, MSG_DONTWAIT);
		if (size <= 0)
			return;
		if (tally_valid(&told, (size_t)size) && told.kind == TALLY_SHARE)
			*find_look(rules, shares, told.name) = told;
	}
}

/* Couriers look, since they have the rights. */
static void look_at_shares(const struct report *report, int64_t limit_ms,
			   struct tally_share *shares)
{
	const struct rules *rules = &report->config.rules;
	auto_close int ours = -1, theirs = -1;
	pid_t pid = 0;
	memset(shares, 0, LOOKS_MAX * sizeof *shares);
	if (socket_pair(&ours, &theirs) == 0 &&
	    alone_start_courier(&report->config, "look", theirs, &pid) == 0) {
		close_fd(&theirs);
		hear_looks(rules, ours, limit_ms, shares);
	}
	/* whoever is silent at the end gives no answer */
	for (size_t i = 0; i <= rules->shares_count; i++) {
		struct tally_share *share = &shares[i];
		if (share->look != TALLY_LOOKING)
			continue;
		*share = (struct tally_share){ .look = TALLY_AWAY, .free_bytes = -1 };
		snprintf(share->why, sizeof share->why,
			 "it gives no answer; see to it that its server runs, and that the network "
			 "leads there");
	}
}

static void tell_shares(const struct report *report)
{
	struct tally_share shares[LOOKS_MAX];
	look_at_shares(report, monotonic_ms() + SHARES_MS, shares);
	for (size_t i = 0; i < report->config.rules.shares_count; i++) {
		const struct rules_share *rules = &report->config.rules.shares[i];
		tell_share(report, rules->name, rules->path,
			   tally_look_word((enum tally_look)shares[i].look), shares[i].free_bytes,
			   shares[i].why);
	}
}

/* --- what is kept aside ----------------------------------------------------------------------- */

static int64_t count_aside(const struct config *config)
{
	auto_close int fd = -1;
	if (spool_open(config->gateway.state, SPOOL_QUARANTINE, &fd) != 0)
		return 0;
	DIR *names = open_names(fd, ".");
	int64_t count = aside_count(names);
	if (names)
		closedir(names);
	return count;
}

static void tell_aside(const struct report *report)
{
	int64_t count = count_aside(&report->config);
	if (!report->options->json) {
		printf("kept aside: %lld\n", (long long)count);
		return;
	}
	telling_json(standing_aside(count));
}

/* --- health ----------------------------------------------------------------------------------- */

struct healths {
	struct health_source sources[SOURCES_MAX];
	struct status states[SOURCES_MAX];
	size_t count;
};

static void add_source(const struct report *report, void *context, const char *name,
		       const char *kind)
{
	struct healths *healths = context;
	size_t at = healths->count;
	auto_close int fd = status_open_to_read(report->sources_fd, name);
	if (at == SOURCES_MAX)
		return;
	healths->states[at] = status_of(report, fd, kind);
	healths->sources[at] =
		(struct health_source){ name, (enum status_state)healths->states[at].state,
					healths->states[at].error };
	healths->count++;
}

/* What only root's gateway may enter, and we are not root: it would know, and we don't. */
static bool is_closed_to_us(const struct report *report, const struct tally_share *share)
{
	return report->of_root && geteuid() != 0 &&
	       (share->error == -EACCES || share->error == -EPERM);
}

struct sentences {
	FILE *out;
	bool any;
};

static void add_sentence(void *context, const char *sentence)
{
	char words[2 * HEALTH_SENTENCE_MAX];
	struct sentences *sentences = context;
	log_escape(sentence, words, sizeof words);
	fprintf(sentences->out, "%s %s", sentences->any ? ";" : ":", words);
	sentences->any = true;
}

static int tell_health(const struct report *report, int64_t limit_ms)
{
	static struct healths healths;
	struct tally_share looks[LOOKS_MAX];
	struct health_share shares[LOOKS_MAX];
	const struct rules *rules = &report->config.rules;
	auto_free char *text = NULL;
	size_t size;
	struct sentences sentences = { .out = open_memstream(&text, &size) };
	if (!sentences.out)
		abort();
	each_source(report, &healths, add_source);
	look_at_shares(report, limit_ms, looks);
	size_t count = rules->shares_count + 1;
	for (size_t i = 0; i < count; i++)
		shares[i] =
			(struct health_share){ i + 1 < count ? rules->shares[i].name : TALLY_STATE,
					       looks[i].look == TALLY_UP ||
						       is_closed_to_us(report, &looks[i]),
					       looks[i].why };
	struct status roles = roles_status(report);
	const struct health_facts facts = {
		.roles = { "", (enum status_state)roles.state, roles.error },
		.sources = healths.sources,
		.sources_count = healths.count,
		.shares = shares,
		.shares_count = count,
	};
	enum health health = health_judge(&facts, add_sentence, &sentences);
	fclose(sentences.out);
	printf("%s%s\n", health_word(health), text);
	return health == HEALTH_DOWN ? EXIT_UNREACHABLE : EXIT_OK;
}

/* --- the verb --------------------------------------------------------------------------------- */

static int tell(const struct report *report, int64_t limit_ms)
{
	if (report->options->health && !report->runs) {
		puts("down: no gateway runs; start it with `letterchute run`");
		return EXIT_UNREACHABLE;
	}
	if (report->options->health)
		return tell_health(report, limit_ms);
	if (!report->options->json)
		print_roles(report);
	each_source(report, NULL, tell_each);
	tell_shares(report);
	tell_aside(report);
	return EXIT_OK;
}

/* Root sees more than a gateway that is somebody else's, and owns other things. Who may not become
 * him, root of a container, says what root sees. */
static void become(const struct ucred *gateway)
{
	const struct passwd *user = getpwuid(gateway->uid);
	bool grouped =
		user ? initgroups(user->pw_name, gateway->gid) == 0 : setgroups(0, NULL) == 0;
	if (!grouped || setresgid(gateway->gid, gateway->gid, gateway->gid) < 0 ||
	    setresuid(gateway->uid, gateway->uid, gateway->uid) < 0)
		errno = 0;
}

/* Whose the gateway is; true: root's. */
static bool meet_gateway(int gateway_fd)
{
	struct ucred gateway;
	socklen_t size = sizeof gateway;
	if (getsockopt(gateway_fd, SOL_SOCKET, SO_PEERCRED, &gateway, &size) < 0)
		return false;
	if (geteuid() == 0 && gateway.uid != 0)
		become(&gateway);
	return gateway.uid == 0;
}

int verb_status(const struct options *options)
{
	struct report report = { .options = options, .sources_fd = -1 };
	auto_close int gateway_fd = -1;
	int64_t limit_ms = monotonic_ms() + SHARES_MS;
	int status = options_load(options, &report.config);
	if (status)
		return status;
	const char *state = report.config.gateway.state;
	report.runs = source_connect(state, &gateway_fd) == 0;
	report.of_root = report.runs && meet_gateway(gateway_fd);
	int error = spool_open(state, SPOOL_SOURCES, &report.sources_fd);
	if (error == -EACCES) {
		fprintf(stderr, "letterchute: %s: %s: it belongs to root and to `user`\n", state,
			strerror(-error));
		status = EXIT_UNREACHABLE;
	} else {
		status = tell(&report, limit_ms);
		fflush(stdout);
	}
	close_fd(&report.sources_fd);
	config_done(&report.config);
	return status;
}
