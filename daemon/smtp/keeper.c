/* keeper.c: signs, decrypts, and says whether a password is right. Never reads mail, never lets a
 * key or a hash out. */
#define _GNU_SOURCE
#include "daemon/smtp/keeper.h"
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/digest.h"
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/log.h"
#include "daemon/role.h"
#include "daemon/smtp/cell.h"
#include "daemon/smtp/host.h"
#include "daemon/smtp/notice.h"
#include "daemon/smtp/vault.h"
#include "daemon/tls_key.h"
#include "daemon/users.h"
#include "policy/sender.h"

enum { FD_OWN_PAIR = ROLE_FD_FIRST, FD_LISTENERS };
enum { EXIT_BUG = 70, EXIT_CONFIG = 78 };

#define EVENTS_MAX    64
#define FAILURE_MS    1000   /* from a question to the answer that it was wrong */
#define KNOWN_MS      600000 /* a right answer is remembered so long */
#define KNOWN_MAX     64     /* of them */
#define PEERS_MAX     256    /* whose failures are remembered */
#define FORGIVEN_MS   600000 /* without a failure: all of them are forgotten */
#define FREE_FAILURES 10     /* of a peer; each further one doubles his wait */
#define WAIT_MOST_MS  30000
#define FAILURES_MAX  100 /* then he is not looked at until they are forgiven */
#define PEM_MODE      0600

struct place {
	const struct config_listener *section;
	int link_fd;         /* -1: it has ended */
	struct tls_key *key; /* NULL: none; may be keeper.own_key */
	struct users users;
};

enum visitor_state { VISITOR_IDLE, VISITOR_WAITS, VISITOR_WRONG };

/* A session. */
struct visitor {
	int fd; /* owned; -1: free */
	size_t place;
	struct facts_peer peer;
	enum visitor_state state;
	int64_t due_ms;                  /* of its question about a password */
	struct vault_question *question; /* owned; VISITOR_WAITS */
};

struct known {
	uint8_t sum[DIGEST_SIZE];
	int64_t until_ms; /* 0: free */
};

struct offender {
	struct facts_peer peer;
	unsigned failures;
	int64_t last_ms;
};

static struct keeper {
	struct place *places;
	size_t places_count;
	struct tls_key *own_key;
	struct visitor *visitors;
	size_t visitors_max, visitors_end, visitors_count;
	struct known known[KNOWN_MAX];
	struct offender offenders[PEERS_MAX];
	uint8_t secret[DIGEST_SIZE];
	int epoll_fd;
} keeper;

/* --- keys ------------------------------------------------------------------------------------- */

static int open_own(const char *name)
{
	return openat(FD_OWN_PAIR, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static struct tls_key *load_own(void)
{
	char why[TLS_WHY_MAX];
	struct tls_key *key = NULL;
	auto_close int cert_fd = open_own("cert.pem");
	auto_close int key_fd = open_own("key.pem");
	if (cert_fd < 0 || key_fd < 0 || tls_key_load(cert_fd, key_fd, &key, why) != 0)
		return NULL;
	if (!tls_key_is_over(key))
		return key;
	tls_key_free(key);
	return NULL;
}

/* The certificate last: it is the word that the pair is whole. */
static int make_own(void)
{
	char host[HOST_MAX + 1];
	auto_free char *cert = NULL;
	auto_free char *key = NULL;
	host_name(host);
	int error = tls_key_make(host, &cert, &key);
	if (error)
		return error;
	unlinkat(FD_OWN_PAIR, "cert.pem", 0);
	error = write_file_at(FD_OWN_PAIR, "key.pem", key, strlen(key), PEM_MODE);
	if (!error)
		error = write_file_at(FD_OWN_PAIR, "cert.pem", cert, strlen(cert), 0644);
	explicit_bzero(key, strlen(key));
	return error;
}

static struct tls_key *own_key(void)
{
	if (keeper.own_key)
		return keeper.own_key;
	/* two gateways may have been started on one state: the second finds what the first made */
	flock(FD_OWN_PAIR, LOCK_EX);
	keeper.own_key = load_own();
	int error = keeper.own_key ? 0 : make_own();
	if (!keeper.own_key && !error)
		keeper.own_key = load_own();
	flock(FD_OWN_PAIR, LOCK_UN);
	if (!keeper.own_key)
		log_say(LOG_ERROR, "tls", "no certificate of our own can be made in `state`: %s",
			error ? strerror(-error) : "it can't be read back");
	return keeper.own_key;
}

/* --- reading the configuration ---------------------------------------------------------------- */

static bool load_key(struct place *place, int cert_fd, int key_fd, char why[TLS_WHY_MAX])
{
	const struct config_listener *section = place->section;
	*why = '\0';
	if (section->tls == CONFIG_TLS_OFF || !*section->tls_cert)
		return true;
	if (tls_key_load(cert_fd, *section->tls_key ? key_fd : cert_fd, &place->key, why) != 0)
		return false;
	if (tls_key_is_over(place->key))
		log_say(LOG_WARNING, "tls", "source %s: the certificate has expired",
			section->name);
	return true;
}

static bool load_users(struct place *place, int fd)
{
	char why[USERS_ERROR_MAX] = "";
	unsigned line = 0;
	if (!config_has_logins(place->section))
		return true;
	int error = users_read(fd, &place->users, &line, why);
	if (error)
		log_say(LOG_ERROR, "users", "source %s, line %u: %s", place->section->name, line,
			*why ? why : strerror(-error));
	return !error;
}

static bool load_place(const struct config *config, const char *name, size_t index)
{
	char why[TLS_WHY_MAX];
	struct place *place = &keeper.places[index];
	const int first = FD_LISTENERS + (int)index * KEEPER_FDS;
	place->section = config_find_listener(config, name);
	place->link_fd = first;
	if (!place->section)
		return false;
	bool key = load_key(place, first + 1, first + 2, why);
	if (!key)
		log_say(LOG_ERROR, "tls", "source %s: %s", name, why);
	bool users = load_users(place, first + 3);
	for (int i = 1; i < KEEPER_FDS; i++)
		close(first + i);
	return key && users;
}

static bool load_places(const struct config *config, char *const *names, size_t count)
{
	bool good = true;
	keeper.places = calloc(count, sizeof *keeper.places);
	keeper.places_count = keeper.places ? count : 0;
	for (size_t i = 0; i < keeper.places_count; i++)
		good = load_place(config, names[i], i) && good;
	return good && keeper.places;
}

int keeper_look(const struct config *config, const char *name)
{
	struct place place = { .section = config_find_listener(config, name) };
	char why[TLS_WHY_MAX];
	if (place.section && !load_key(&place, FD_LISTENERS + 1, FD_LISTENERS + 2, why))
		write_all(FD_LISTENERS, why, strlen(why));
	return place.section ? 0 : EXIT_CONFIG;
}

/* --- who was right, who was wrong ------------------------------------------------------------- */

static void sum_login(const struct visitor *visitor, const struct vault_question *question,
		      uint8_t sum[DIGEST_SIZE])
{
	struct digest digest;
	digest_init(&digest);
	digest_add(&digest, keeper.secret, sizeof keeper.secret);
	digest_add(&digest, &visitor->place, sizeof visitor->place);
	digest_add(&digest, question->octets, question->size);
	digest_add(&digest, keeper.secret, sizeof keeper.secret);
	digest_end(&digest, sum);
}

static bool is_known(const uint8_t sum[DIGEST_SIZE], int64_t now_ms)
{
	for (size_t i = 0; i < KNOWN_MAX; i++) {
		const struct known *known = &keeper.known[i];
		if (known->until_ms > now_ms && memcmp(known->sum, sum, DIGEST_SIZE) == 0)
			return true;
	}
	return false;
}

/* In the place of the one that is forgotten first. */
static void remember(const uint8_t sum[DIGEST_SIZE], int64_t now_ms)
{
	struct known *oldest = keeper.known;
	for (size_t i = 1; i < KNOWN_MAX; i++) {
		if (keeper.known[i].until_ms < oldest->until_ms)
			oldest = &keeper.known[i];
	}
	memcpy(oldest->sum, sum, DIGEST_SIZE);
	oldest->until_ms = now_ms + KNOWN_MS;
}

static bool may_offend(const struct facts_peer *peer)
{
	return peer->known && !network_is_loopback(peer);
}

static struct offender *find_offender(const struct facts_peer *peer, int64_t now_ms)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		struct offender *offender = &keeper.offenders[i];
		if (offender->failures > 0 && now_ms - offender->last_ms > FORGIVEN_MS)
			offender->failures = 0;
		if (offender->failures > 0 &&
		    memcmp(offender->peer.address, peer->address, sizeof peer->address) == 0)
			return offender;
	}
	return NULL;
}

static void note_failure(const struct facts_peer *peer, int64_t now_ms)
{
	if (!may_offend(peer))
		return;
	struct offender *offender = find_offender(peer, now_ms);
	for (size_t i = 0; !offender && i < PEERS_MAX; i++) {
		if (keeper.offenders[i].failures == 0)
			offender = &keeper.offenders[i];
	}
	if (!offender)
		offender = &keeper.offenders[now_ms % PEERS_MAX];
	if (memcmp(offender->peer.address, peer->address, sizeof peer->address) != 0)
		offender->failures = 0;
	offender->peer = *peer;
	offender->failures++;
	offender->last_ms = now_ms;
}

static void forgive(const struct facts_peer *peer, int64_t now_ms)
{
	struct offender *offender = find_offender(peer, now_ms);
	if (offender)
		offender->failures = 0;
}

/* How long he waits before he is looked at; -1: he is not. */
static int64_t wait_of(const struct facts_peer *peer, int64_t now_ms)
{
	const struct offender *offender = may_offend(peer) ? find_offender(peer, now_ms) : NULL;
	if (!offender || offender->failures <= FREE_FAILURES)
		return 0;
	if (offender->failures >= FAILURES_MAX)
		return -1;
	unsigned doublings = offender->failures - FREE_FAILURES - 1;
	return doublings < 5 ? 1000 << doublings : WAIT_MOST_MS;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void forget_question(struct visitor *visitor)
{
	if (visitor->question)
		explicit_bzero(visitor->question, sizeof *visitor->question);
	free(visitor->question);
	visitor->question = NULL;
}

static void end_visit(struct visitor *visitor)
{
	close_fd(&visitor->fd);
	forget_question(visitor);
	keeper.visitors_count--;
}

static void send_answer(struct visitor *visitor, const void *answer, size_t size)
{
	if (pass_fds_now(visitor->fd, answer, size, NULL, 0) != 0)
		end_visit(visitor);
}

static void answer(struct visitor *visitor, enum vault_verdict verdict)
{
	const struct vault_answer answer = { .verdict = verdict };
	send_answer(visitor, &answer, offsetof(struct vault_answer, octets));
}

static void answer_chain(struct visitor *visitor)
{
	static const struct tls_public none;
	const struct tls_key *key = keeper.places[visitor->place].key;
	const struct tls_public *public = key ? tls_key_public(key) : &none;
	send_answer(visitor, public, offsetof(struct tls_public, chain) + public->size);
}

static void answer_key(struct visitor *visitor, const struct vault_question *question)
{
	struct vault_answer answer = { .verdict = VAULT_NO };
	const struct tls_key *key = keeper.places[visitor->place].key;
	ssize_t size = -1;
	if (key && question->kind == VAULT_SIGN)
		size = tls_key_sign(key, question->algorithm, question->octets, question->size,
				    answer.octets);
	else if (key)
		size = tls_key_decrypt(key, question->octets, question->size, answer.octets);
	if (size >= 0) {
		answer.verdict = VAULT_YES;
		answer.size = (uint32_t)size;
	}
	send_answer(visitor, &answer, offsetof(struct vault_answer, octets) + answer.size);
	explicit_bzero(&answer, sizeof answer);
}

/* --- passwords -------------------------------------------------------------------------------- */

static bool is_login(const struct vault_question *question)
{
	const uint8_t *octets = question->octets;
	const uint8_t *name_end = memchr(octets, '\0', question->size);
	return question->size > 1 && name_end && octets[question->size - 1] == '\0' &&
	       memchr(name_end + 1, '\0', question->size - (size_t)(name_end + 1 - octets)) ==
		       octets + question->size - 1;
}

/* A name that nobody has costs the same work as one that somebody has: that of always the same. */
static const struct users_entry *stand_in(const struct users *users, const uint8_t sum[DIGEST_SIZE])
{
	return &users->list[sum[0] % users->count];
}

static bool is_right(const struct users *users, const struct vault_question *question)
{
	static struct crypt_data room;
	const char *name = (const char *)question->octets;
	const char *password = name + strlen(name) + 1;
	uint8_t sum[DIGEST_SIZE];
	struct digest digest;
	digest_init(&digest);
	digest_add(&digest, keeper.secret, sizeof keeper.secret);
	digest_add(&digest, name, strlen(name));
	digest_end(&digest, sum);
	const struct users_entry *found = users_find(users, name);
	const char *hash = found ? found->hash : stand_in(users, sum)->hash;
	const char *got = crypt_rn(password, hash, &room, sizeof room);
	bool same = got && strcmp(got, hash) == 0;
	explicit_bzero(&room, sizeof room);
	return found && same;
}

static void take_login(struct visitor *visitor, const struct vault_question *question)
{
	const struct users *users = &keeper.places[visitor->place].users;
	int64_t now_ms = monotonic_ms();
	uint8_t sum[DIGEST_SIZE];
	if (users->count == 0 || !is_login(question)) {
		answer(visitor, VAULT_NEVER);
		return;
	}
	sum_login(visitor, question, sum);
	if (is_known(sum, now_ms)) {
		answer(visitor, VAULT_YES);
		return;
	}
	int64_t wait = wait_of(&visitor->peer, now_ms);
	visitor->question = wait < 0 ? NULL : malloc(sizeof *question);
	if (!visitor->question) {
		answer(visitor, VAULT_LATER);
		return;
	}
	*visitor->question = *question;
	visitor->state = VISITOR_WAITS;
	visitor->due_ms = now_ms + wait;
}

static void look_at_login(struct visitor *visitor)
{
	const struct users *users = &keeper.places[visitor->place].users;
	uint8_t sum[DIGEST_SIZE];
	sum_login(visitor, visitor->question, sum);
	/* the same may have been found right while this one waited */
	bool known = is_known(sum, monotonic_ms());
	bool right = known || is_right(users, visitor->question);
	int64_t now_ms = monotonic_ms();
	forget_question(visitor);
	if (right) {
		if (!known)
			remember(sum, now_ms);
		forgive(&visitor->peer, now_ms);
		visitor->state = VISITOR_IDLE;
		answer(visitor, VAULT_YES);
		return;
	}
	note_failure(&visitor->peer, now_ms);
	visitor->state = VISITOR_WRONG;
	visitor->due_ms += FAILURE_MS;
}

/* One hash at most: who needs the key comes first. */
static void see_to_logins(void)
{
	int64_t now_ms = monotonic_ms();
	struct visitor *first = NULL;
	for (size_t i = 0; i < keeper.visitors_end; i++) {
		struct visitor *visitor = &keeper.visitors[i];
		if (visitor->fd < 0 || visitor->state == VISITOR_IDLE || visitor->due_ms > now_ms)
			continue;
		if (visitor->state == VISITOR_WRONG) {
			visitor->state = VISITOR_IDLE;
			answer(visitor, VAULT_NO);
		} else if (!first || visitor->due_ms < first->due_ms) {
			first = visitor;
		}
	}
	if (first)
		look_at_login(first);
}

/* Milliseconds to what is due next; -1: nothing is. */
static int next_due(void)
{
	int64_t next = -1;
	for (size_t i = 0; i < keeper.visitors_end; i++) {
		const struct visitor *visitor = &keeper.visitors[i];
		if (visitor->fd >= 0 && visitor->state != VISITOR_IDLE &&
		    (next < 0 || visitor->due_ms < next))
			next = visitor->due_ms;
	}
	if (next < 0)
		return -1;
	int64_t left = next - monotonic_ms();
	return left > 0 ? (int)left : 0;
}

/* --- who comes -------------------------------------------------------------------------------- */

#define TAG_LINK ((uint64_t)1 << 32)

static int watch(int fd, uint64_t tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag };
	return epoll_ctl(keeper.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static struct visitor *free_place(void)
{
	for (size_t i = 0; i < keeper.visitors_end; i++) {
		if (keeper.visitors[i].fd < 0)
			return &keeper.visitors[i];
	}
	return keeper.visitors_end < keeper.visitors_max ? &keeper.visitors[keeper.visitors_end++]
							 : NULL;
}

/* Takes over the descriptor. Who has no place reads end of file. */
static void let_in(size_t place, const struct vault_visitor *who, int fd)
{
	auto_close int visitor_fd = fd;
	struct visitor *visitor = free_place();
	if (!visitor)
		return;
	size_t index = (size_t)(visitor - keeper.visitors);
	*visitor = (struct visitor){ .fd = -1 };
	if (watch(visitor_fd, index) != 0)
		return;
	*visitor =
		(struct visitor){ .fd = take_fd(&visitor_fd), .place = place, .peer = who->peer };
	keeper.visitors_count++;
}

/* True: there may be more to hear. */
static bool hear_one(size_t index)
{
	struct place *place = &keeper.places[index];
	struct vault_visitor who;
	int fd = -1;
	size_t count = 1;
	ssize_t got = receive_fds(place->link_fd, &who, sizeof who, &fd, &count, MSG_DONTWAIT);
	if (got == -EAGAIN || got == -EINTR)
		return false;
	if (got == sizeof who && count == 1) {
		let_in(index, &who, fd);
		return true;
	}
	if (count == 1)
		close(fd);
	/* all ends of it are closed: the gateway has another configuration, or ends */
	close_fd(&place->link_fd);
	return false;
}

/* All who came, since the next hash may be long. */
static void hear_listener(size_t index)
{
	for (int i = 0; i < EVENTS_MAX && hear_one(index); i++)
		;
}

static void hear_visitor(struct visitor *visitor)
{
	struct vault_question question;
	const size_t head = offsetof(struct vault_question, octets);
	size_t none = 0;
	ssize_t got =
		receive_fds(visitor->fd, &question, sizeof question, NULL, &none, MSG_DONTWAIT);
	if (got == -EAGAIN || got == -EINTR)
		return;
	/* one at a time; what is no question, or a second one, ends the visit */
	if (got < (ssize_t)head || question.size != (size_t)got - head ||
	    visitor->state != VISITOR_IDLE) {
		end_visit(visitor);
		return;
	}
	switch (question.kind) {
	case VAULT_CHAIN: answer_chain(visitor); break;
	case VAULT_SIGN:
	case VAULT_DECRYPT: answer_key(visitor, &question); break;
	case VAULT_LOGIN: take_login(visitor, &question); break;
	default: end_visit(visitor);
	}
	explicit_bzero(&question, sizeof question);
}

/* Who ended a moment ago may be in the list still, and another in his place: he has said nothing.
 */
static void hear(uint64_t tag)
{
	size_t index = (size_t)(tag & UINT32_MAX);
	if (tag & TAG_LINK) {
		if (keeper.places[index].link_fd >= 0)
			hear_listener(index);
	} else if (keeper.visitors[index].fd >= 0) {
		hear_visitor(&keeper.visitors[index]);
	}
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool has_listeners(void)
{
	for (size_t i = 0; i < keeper.places_count; i++) {
		if (keeper.places[i].link_fd >= 0)
			return true;
	}
	return false;
}

/* While a password is looked at sessions end and others begin, and those that begin are let in
 * first. Places that are never used cost nothing. */
#define SPARE_PLACES 64

static bool make_room(void)
{
	for (size_t i = 0; i < keeper.places_count; i++)
		keeper.visitors_max += keeper.places[i].section->sessions * 4 + SPARE_PLACES;
	keeper.visitors = calloc(keeper.visitors_max, sizeof *keeper.visitors);
	keeper.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	bool good = keeper.visitors && keeper.epoll_fd >= 0 &&
		    getrandom(keeper.secret, sizeof keeper.secret, 0) == sizeof keeper.secret;
	for (size_t i = 0; good && i < keeper.places_count; i++)
		good = watch(keeper.places[i].link_fd, TAG_LINK | i) == 0;
	return good;
}

static bool prepare(const struct config *config, char *const *names, size_t count)
{
	raise_file_limit();
	notice_prepare();
	if (!load_places(config, names, count))
		return false;
	for (size_t i = 0; i < keeper.places_count; i++) {
		struct place *place = &keeper.places[i];
		if (place->section->tls != CONFIG_TLS_OFF && !place->key)
			place->key = own_key();
	}
	close(FD_OWN_PAIR);
	return make_room() &&
	       cell_enter(CELL_KEEPER, (enum jail_mode)config->gateway.sandbox, -1) == 0;
}

int keeper_run(const struct config *config, char *const *names, size_t count)
{
	if (!prepare(config, names, count)) {
		log_say(LOG_ERROR, "keeper", "it can't be set up");
		return EXIT_BUG;
	}
	while (!notice_stop() && (has_listeners() || keeper.visitors_count > 0)) {
		struct epoll_event events[EVENTS_MAX];
		int ready =
			epoll_pwait(keeper.epoll_fd, events, EVENTS_MAX, next_due(), notice_mask());
		for (int i = 0; i < ready; i++)
			hear(events[i].data.u64);
		see_to_logins();
	}
	return 0;
}
