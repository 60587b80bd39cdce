/* activation.c: descriptors from 3 on, and datagrams to NOTIFY_SOCKET. Never reads from either. */
#define _GNU_SOURCE
#include "daemon/activation.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "daemon/keep.h"
#include "daemon/log.h"
#include "policy/value.h"

#define FIRST_FD  3
#define NAME_TEXT 96

/* How many descriptors are ours; nobody else shall think that they are his. */
static size_t take_count(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	uint64_t number = 0, count = 0;
	bool ours = pid && fds && value_number(pid, 1, INT32_MAX, &number) &&
		    number == (uint64_t)getpid() && value_number(fds, 0, INT32_MAX, &count);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return ours ? (size_t)count : 0;
}

static bool is_listening(int fd)
{
	int listening = 0;
	socklen_t size = sizeof listening;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

bool activation_take(struct activation *activation_out)
{
	size_t count = take_count();
	*activation_out = (struct activation){ .count = 0 };
	if (count > ACTIVATION_MAX) {
		log_say(LOG_ERROR, "activation", "%zu sockets were handed over, at most %d fit",
			count, ACTIVATION_MAX);
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		struct activated *one = &activation_out->list[i];
		one->fd = FIRST_FD + (int)i;
		one->size = sizeof one->address;
		fcntl(one->fd, F_SETFD, FD_CLOEXEC);
		if (!is_listening(one->fd) ||
		    getsockname(one->fd, (struct sockaddr *)&one->address, &one->size) < 0) {
			log_say(LOG_ERROR, "activation",
				"descriptor %d was handed over and is no socket that listens; with "
				"Accept=yes start `letterchute smtp-session`, not `run`",
				one->fd);
			return false;
		}
	}
	activation_out->count = count;
	return true;
}

void activation_renew(struct activation *activation)
{
	for (size_t i = 0; i < activation->count; i++)
		activation->list[i].claimed[0] = '\0';
}

/* --- which is for whom ------------------------------------------------------------------------ */

static bool is_same(const struct activated *one, const struct sockaddr_storage *wanted,
		    socklen_t size)
{
	return one->size == size && memcmp(&one->address, wanted, size) == 0;
}

/* [::]:25 listens to IPv4 as well, unless it was told not to: so systemd opens `25`. */
static bool takes_v4(const struct activated *one, const struct sockaddr_storage *wanted)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)wanted;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&one->address;
	int only = 1;
	socklen_t size = sizeof only;
	return wanted->ss_family == AF_INET && one->address.ss_family == AF_INET6 &&
	       v4->sin_addr.s_addr == htonl(INADDR_ANY) && v4->sin_port == v6->sin6_port &&
	       IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr) &&
	       getsockopt(one->fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size) == 0 && !only;
}

static struct activated *find(struct activation *activation, const struct sockaddr_storage *wanted,
			      socklen_t size)
{
	for (size_t i = 0; i < activation->count; i++) {
		if (is_same(&activation->list[i], wanted, size))
			return &activation->list[i];
	}
	for (size_t i = 0; i < activation->count; i++) {
		if (takes_v4(&activation->list[i], wanted))
			return &activation->list[i];
	}
	return NULL;
}

enum activation_claim activation_claim(struct activation *activation, const char *listener,
				       const struct sockaddr_storage *wanted, socklen_t size,
				       int *fd_out)
{
	struct activated *one = find(activation, wanted, size);
	if (!one)
		return ACTIVATION_NONE;
	if (one->claimed[0])
		return strcmp(one->claimed, listener) == 0 ? ACTIVATION_SHARED : ACTIVATION_OTHERS;
	int fd = fcntl(one->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return ACTIVATION_NONE;
	snprintf(one->claimed, sizeof one->claimed, "%s", listener);
	*fd_out = fd;
	return ACTIVATION_TAKEN;
}

/* "192.0.2.7 port 25" */
static void name_it(const struct activated *one, char text[NAME_TEXT])
{
	char host[64], port[16];
	bool known =
		one->address.ss_family != AF_UNIX &&
		getnameinfo((const struct sockaddr *)&one->address, one->size, host, sizeof host,
			    port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0;
	if (known)
		snprintf(text, NAME_TEXT, "%s port %s", host, port);
	else
		snprintf(text, NAME_TEXT, "that is no port but a path");
}

static bool has_twin(const struct activation *activation, const struct activated *one)
{
	for (size_t i = 0; i < activation->count; i++) {
		const struct activated *other = &activation->list[i];
		if (other != one && other->claimed[0] && is_same(other, &one->address, one->size))
			return true;
	}
	return false;
}

bool activation_has_rest(const struct activation *activation)
{
	bool rest = false;
	for (size_t i = 0; i < activation->count; i++) {
		const struct activated *one = &activation->list[i];
		char text[NAME_TEXT];
		if (one->claimed[0])
			continue;
		name_it(one, text);
		log_say(LOG_ERROR, "activation", "the socket %s was handed over%s", text,
			has_twin(activation, one)
				? " twice: take one of the two out of the socket unit"
				: ", and no [smtp] or [http] has it in its `listen`: add it there, "
				  "or take it out of the socket unit");
		rest = true;
	}
	return rest;
}

/* IPv4 and IPv6 have it at the same place. */
static in_port_t port_of(const struct sockaddr_storage *address)
{
	bool has = address->ss_family == AF_INET || address->ss_family == AF_INET6;
	return has ? ((const struct sockaddr_in *)address)->sin_port : 0;
}

void activation_tell_taken(const struct activation *activation,
			   const struct sockaddr_storage *wanted)
{
	for (size_t i = 0; i < activation->count; i++) {
		const struct activated *one = &activation->list[i];
		char text[NAME_TEXT];
		if (one->claimed[0] || port_of(&one->address) != port_of(wanted))
			continue;
		name_it(one, text);
		log_say(LOG_ERROR, "activation",
			"the socket %s was handed over, which has that port: `listen` and the socket "
			"unit have to name the same address",
			text);
	}
}

/* --- one connection --------------------------------------------------------------------------- */

bool activation_use_connection(void)
{
	size_t count = take_count();
	int type;
	socklen_t size = sizeof type;
	if (count == 0)
		return true;
	if (count > 1 || is_listening(FIRST_FD) ||
	    getsockopt(FIRST_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM) {
		log_say(LOG_ERROR, "activation",
			"what was handed over is not one connection; with Accept=no start "
			"`letterchute run`, not `smtp-session`");
		return false;
	}
	bool good = dup2(FIRST_FD, 0) == 0 && dup2(FIRST_FD, 1) == 1;
	close(FIRST_FD);
	return good;
}

/* --- what is told ----------------------------------------------------------------------------- */

void activation_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = path ? strlen(path) : 0;
	if (length < 2 || length >= sizeof address.sun_path || !strchr("/@", *path))
		return;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		address.sun_path[0] = '\0';
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
		       (struct sockaddr *)&address,
		       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

void activation_notify_reload(void)
{
	/* whoever asked for it takes no time that is before his question */
	struct timespec now;
	char text[80];
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
		 (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	activation_notify(text);
}

int activation_watchdog_ms(void)
{
	const char *words = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us, whose;
	if (!words || !value_number(words, 1, INT64_MAX, &us) ||
	    (pid && (!value_number(pid, 1, INT32_MAX, &whose) || (pid_t)whose != getpid())))
		return -1;
	us /= 2000;
	return us < 1 ? 1 : us > INT_MAX ? INT_MAX : (int)us;
}
