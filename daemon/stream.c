/* stream.c: connects, reads and writes within limits. Never looks at what passes. */
#define _GNU_SOURCE
#include "daemon/stream.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

/* A peer that is gone is noticed after eight seconds: health is to know within ten. */
#define ALIVE_IDLE_S   4
#define ALIVE_EACH_S   2
#define ALIVE_TIMES    2
#define UNANSWERED_MS  8000
#define SILENT_MS      60000 /* in the middle of a command, however long that may take */
#define ADDRESS_MS     10000 /* for one address of several */
#define ADDRESSES_MOST 8

void stream_init(struct stream *stream, int wake_fd)
{
	*stream = (struct stream){ .fd = -1, .wake_fd = wake_fd };
}

void stream_done(struct stream *stream)
{
	tls_free(stream->tls);
	stream->tls = NULL;
	close_fd(&stream->fd);
}

void stream_allow(struct stream *stream, int64_t within_ms, uint64_t octets)
{
	stream->limit_ms = monotonic_ms() + within_ms;
	stream->budget = octets;
	if (stream->end == STREAM_WOKEN)
		stream->end = STREAM_OPEN;
}

static bool end(struct stream *stream, enum stream_end how, const char *why)
{
	if (stream->end == STREAM_OPEN) {
		stream->end = how;
		snprintf(stream->why, sizeof stream->why, "%s", why);
	}
	return false;
}

/* No more is to be waited for. */
static bool end_wait(struct stream *stream, int error)
{
	if (error == -EINTR)
		return end(stream, STREAM_WOKEN, "the gateway is ending");
	return end(stream, STREAM_CLOSED, strerror(-error));
}

/* Waits until the socket is ready. */
static bool wait_for(struct stream *stream, short events)
{
	int64_t now_ms = monotonic_ms(), until_ms = now_ms + SILENT_MS;
	if (until_ms > stream->limit_ms)
		until_ms = stream->limit_ms;
	int error = now_ms >= until_ms
			    ? -ETIMEDOUT
			    : wait_or_wake(stream->fd, events, stream->wake_fd, until_ms);
	if (error == -ETIMEDOUT)
		return end(stream, STREAM_LATE, "the server does not answer in time");
	return !error || end_wait(stream, error);
}

/* --- connecting ------------------------------------------------------------------------------- */

static void set_options(int fd)
{
	const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, ALIVE_IDLE_S },
		{ IPPROTO_TCP, TCP_KEEPINTVL, ALIVE_EACH_S },
		{ IPPROTO_TCP, TCP_KEEPCNT, ALIVE_TIMES },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, UNANSWERED_MS },
	};
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value,
			   sizeof options[i].value);
}

static bool is_local(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	const struct sockaddr_in6 *in6 = (const void *)address;
	return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* 0 or -errno; the stream ends only if somebody wakes us. */
static int connect_address(struct stream *stream, const struct addrinfo *address)
{
	int error = 0;
	socklen_t size = sizeof error;
	close_fd(&stream->fd);
	stream->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (stream->fd < 0)
		return -errno;
	set_options(stream->fd);
	if (connect(stream->fd, address->ai_addr, address->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	stream->limit_ms = monotonic_ms() + ADDRESS_MS;
	if (!wait_for(stream, POLLOUT)) {
		if (stream->end == STREAM_LATE)
			stream->end = STREAM_OPEN; /* there may be other addresses */
		return -ETIMEDOUT;
	}
	if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
		return -errno;
	return -error;
}

static bool refuse(struct stream *stream, const char *host, unsigned port, const char *why)
{
	char text[TLS_WHY_MAX];
	snprintf(text, sizeof text, "%.120s port %u: %s", host, port, why);
	close_fd(&stream->fd);
	return end(stream, STREAM_REFUSED, text);
}

bool stream_connect(struct stream *stream, const char *host, unsigned port, bool local)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *found = NULL;
	char service[8];
	int error = -EADDRNOTAVAIL, tried = 0;
	int64_t limit_ms = stream->limit_ms;
	snprintf(service, sizeof service, "%u", port);
	int failed = getaddrinfo(host, service, &hints, &found);
	if (failed)
		return refuse(stream, host, port,
			      failed == EAI_SYSTEM ? strerror(errno) : gai_strerror(failed));
	for (const struct addrinfo *a = found; a && error && tried++ < ADDRESSES_MOST;
	     a = a->ai_next) {
		if (local && !is_local(a->ai_addr))
			error = -EACCES;
		else if (stream->end == STREAM_OPEN)
			error = connect_address(stream, a);
	}
	freeaddrinfo(found);
	stream->limit_ms = limit_ms;
	if (error == -EACCES && local)
		return refuse(stream, host, port, "`tls = off` is for this machine alone");
	return !error || refuse(stream, host, port, strerror(-error));
}

bool stream_encrypt(struct stream *stream, const struct tls_trust *trust)
{
	char why[TLS_WHY_MAX] = "";
	int error = tls_new(stream->fd, trust->host, &stream->tls);
	if (error)
		return end(stream, STREAM_REFUSED, "TLS can't be set up");
	while ((error = tls_handshake(stream->tls, why)) == -EAGAIN) {
		if (!wait_for(stream, tls_wants(stream->tls)))
			return false;
	}
	if (!error)
		error = tls_verify(stream->tls, trust, why);
	return !error || end(stream, STREAM_REFUSED, why);
}

/* --- reading and writing ---------------------------------------------------------------------- */

static ssize_t read_some(struct stream *stream, void *buffer, size_t size)
{
	if (stream->tls)
		return tls_read(stream->tls, buffer, size);
	ssize_t got = recv(stream->fd, buffer, size, 0);
	return got < 0 ? -errno : got;
}

static ssize_t write_some(struct stream *stream, const void *buffer, size_t size)
{
	if (stream->tls)
		return tls_write(stream->tls, buffer, size);
	ssize_t sent = send(stream->fd, buffer, size, MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

static short wants(const struct stream *stream, short otherwise)
{
	return stream->tls ? tls_wants(stream->tls) : otherwise;
}

ssize_t stream_read(struct stream *stream, void *buffer, size_t size)
{
	while (stream->end == STREAM_OPEN) {
		if (stream->budget == 0 || monotonic_ms() > stream->limit_ms) {
			end(stream, stream->budget ? STREAM_LATE : STREAM_TOO_MUCH,
			    stream->budget ? "the server does not answer in time"
					   : "the server sends more than was asked for");
			break;
		}
		ssize_t got = read_some(stream, buffer,
					size < stream->budget ? size : (size_t)stream->budget);
		if (got > 0) {
			stream->budget -= (uint64_t)got;
			return got;
		}
		if (got == 0)
			end(stream, STREAM_CLOSED, "the server closed the connection");
		else if (got == -EAGAIN)
			wait_for(stream, wants(stream, POLLIN));
		else if (got != -EINTR)
			end(stream, STREAM_CLOSED, strerror((int)-got));
	}
	return -1;
}

ssize_t stream_write(struct stream *stream, const void *buffer, size_t size)
{
	size_t sent = 0;
	while (stream->end == STREAM_OPEN && sent < size) {
		ssize_t got = write_some(stream, (const char *)buffer + sent, size - sent);
		if (got > 0)
			sent += (size_t)got;
		else if (got == -EAGAIN)
			wait_for(stream, wants(stream, POLLOUT));
		else if (got != -EINTR)
			end(stream, STREAM_CLOSED, got ? strerror((int)-got) : "nothing is taken");
	}
	return stream->end == STREAM_OPEN ? (ssize_t)size : -1;
}

bool stream_wait(struct stream *stream, int64_t until_ms)
{
	if (stream->tls && tls_pending(stream->tls) > 0)
		return true;
	int error = wait_or_wake(stream->fd, POLLIN, stream->wake_fd, until_ms);
	if (error == -ETIMEDOUT)
		return false;
	return !error || end_wait(stream, error);
}
