/* wire.c: moves bytes between a device and two buffers. Never looks at what they mean, but for the
 * end of a line. */
#define _GNU_SOURCE
#include "daemon/smtp/wire.h"
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/smtp/line.h"
#include "daemon/smtp/notice.h"

/* A line, once begun, is typed by a machine: who takes longer holds the session up. */
#define LINE_MS 20000

/* A line that took longer came in pieces. */
#define DRIP_MS 500

#define PACE_OCTETS 1024

/* How many times `idle` a connection lasts that brings no mail. */
#define IDLES_MAX 60

/* Octets of a line that is too long, after which it is one without end. */
#define LINE_ENDLESS (1024 * 1024)

/* Pieces that a pipe takes without waiting once it can be written to. */
#define PIPE_PIECE 4096

void wire_init(struct wire *wire, int in_fd, int out_fd, int watch_fd, uint64_t idle_s)
{
	struct stat found;
	wire->in_fd = in_fd;
	wire->out_fd = out_fd;
	wire->watch_fd = watch_fd;
	wire->socket = fstat(in_fd, &found) == 0 && S_ISSOCK(found.st_mode);
	wire->idle_ms = (int64_t)idle_s * 1000;
	wire_forgive(wire);
}

void wire_forgive(struct wire *wire)
{
	wire->waited_ms = 0;
	wire->paced = 0;
	wire->end_ms = monotonic_ms() + IDLES_MAX * wire->idle_ms;
}

static int64_t left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms - monotonic_ms();
	return left > 0 ? left : 0;
}

/* Waits for `events` on `fd`; for input the stop of the gateway ends the wait too. */
static enum wire_event wait_for(const struct wire *wire, int fd, short events, int64_t deadline_ms)
{
	struct pollfd waits[2] = { { .fd = fd, .events = events },
				   { .fd = wire->watch_fd, .events = POLLIN } };
	nfds_t count = events == POLLIN ? 2 : 1;
	for (;;) {
		int64_t left = left_ms(deadline_ms);
		struct timespec timeout = { .tv_sec = left / 1000,
					    .tv_nsec = left % 1000 * 1000000 };
		int ready = ppoll(waits, count, &timeout, count == 2 ? notice_mask() : NULL);
		if (ready < 0 && errno != EINTR)
			return WIRE_LOST;
		if (count == 2 && (notice_stop() || (ready > 0 && waits[1].revents)))
			return WIRE_STOP;
		if (ready > 0)
			return WIRE_OK;
		if (ready == 0)
			return WIRE_TIMEOUT;
	}
}

/* Input needs room: what was taken makes it. */
static void make_room(struct wire *wire)
{
	if (wire->in_at == wire->in_used) {
		wire->in_at = wire->in_used = 0;
	} else if (wire->in_used == WIRE_INPUT) {
		memmove(wire->in, wire->in + wire->in_at, wire->in_used - wire->in_at);
		wire->in_used -= wire->in_at;
		wire->in_at = 0;
	}
}

static ssize_t read_some(struct wire *wire, void *buffer, size_t room)
{
	ssize_t got = wire->socket ? recv(wire->in_fd, buffer, room, MSG_DONTWAIT)
				   : read(wire->in_fd, buffer, room);
	if (got > 0)
		wire->received += (uint64_t)got;
	return got;
}

/* As read(2), whatever it comes through. */
static ssize_t read_clear(struct wire *wire, void *buffer, size_t room)
{
	if (!wire->tls)
		return read_some(wire, buffer, room);
	uint64_t before = wire->received;
	bool rest = tls_pending(wire->tls) > 0;
	ssize_t got = tls_read(wire->tls, buffer, room);
	/* what is left of a record came with its beginning */
	if (got > 0 && !rest)
		wire->begun = before;
	if (got >= 0)
		return got;
	errno = (int)-got;
	return -1;
}

static enum wire_event take_what_came(struct wire *wire)
{
	ssize_t got = read_clear(wire, wire->in + wire->in_used, WIRE_INPUT - wire->in_used);
	if (got < 0) {
		wire->lost = wire->lost || (errno != EAGAIN && errno != EINTR);
		return wire->lost ? WIRE_LOST : WIRE_OK;
	}
	if (got == 0) {
		wire->ended = true;
		return WIRE_END;
	}
	wire->in_used += (size_t)got;
	wire->paced += (size_t)got;
	return WIRE_OK;
}

static int64_t earlier(int64_t a_ms, int64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

/* Adds at least one octet to the input, and first lets the device hear what it waits for. */
static enum wire_event fill(struct wire *wire, int64_t deadline_ms)
{
	make_room(wire);
	size_t before = wire->in_used;
	deadline_ms = earlier(deadline_ms, wire->end_ms);
	enum wire_event event = wire_flush(wire);
	while (event == WIRE_OK && wire->in_used == before) {
		/* what TLS holds already nobody waits for */
		if (!wire->tls || tls_pending(wire->tls) == 0)
			event = wait_for(wire, wire->in_fd, POLLIN, deadline_ms);
		if (event == WIRE_OK)
			event = take_what_came(wire);
	}
	return event;
}

/* The same in the middle of something: the time counts. */
static enum wire_event fill_within(struct wire *wire, int64_t deadline_ms)
{
	int64_t since_ms = monotonic_ms();
	int64_t left_of_pace_ms = wire->idle_ms / 6 * 5 - wire->waited_ms;
	enum wire_event event = fill(wire, earlier(deadline_ms, since_ms + left_of_pace_ms));
	wire->waited_ms += monotonic_ms() - since_ms;
	if (wire->paced >= PACE_OCTETS) {
		wire->paced = 0;
		wire->waited_ms = 0;
	}
	return event;
}

static bool find_line(const struct wire *wire, size_t looked_at, size_t *length_out)
{
	const char *start = wire->in + wire->in_at;
	const char *lf = memchr(start + looked_at, '\n', wire->in_used - wire->in_at - looked_at);
	if (lf)
		*length_out = (size_t)(lf - start) + 1;
	return lf != NULL;
}

/* Reads on to the end of a line that is too long, holding none of it. */
static enum wire_event skip_line(struct wire *wire, int64_t deadline_ms)
{
	size_t length;
	uint64_t enough = wire->received + LINE_ENDLESS;
	while (!find_line(wire, 0, &length)) {
		if (wire->received > enough)
			return WIRE_ENDLESS;
		wire->in_at = wire->in_used;
		enum wire_event event = fill(wire, deadline_ms);
		if (event != WIRE_OK)
			return event;
	}
	wire->in_at += length;
	return WIRE_LONG;
}

static int64_t line_deadline(const struct wire *wire, bool begun)
{
	return monotonic_ms() + (begun && wire->idle_ms > LINE_MS ? LINE_MS : wire->idle_ms);
}

/* Reads more of a line of which `have` octets are there. */
static enum wire_event extend_line(struct wire *wire, size_t have, int64_t *deadline_ms)
{
	if (have >= LINE_MAX_BYTES)
		return skip_line(wire, *deadline_ms);
	bool within = have > 0 || wire->drips;
	enum wire_event event = within ? fill_within(wire, *deadline_ms) : fill(wire, *deadline_ms);
	if (have == 0)
		*deadline_ms = line_deadline(wire, true);
	return event;
}

/* Waits for a whole line: its octets, end included. */
static enum wire_event find_whole_line(struct wire *wire, size_t *length_out)
{
	size_t have = wire->in_used - wire->in_at, looked_at = 0;
	int64_t deadline_ms = line_deadline(wire, have > 0), begun_ms = 0;
	for (;;) {
		if (!wire->tls && line_is_tls(wire->in + wire->in_at, have))
			return WIRE_FOREIGN;
		if (find_line(wire, looked_at, length_out)) {
			wire->drips = begun_ms && monotonic_ms() - begun_ms > DRIP_MS;
			return WIRE_OK;
		}
		if (have > 0 && !begun_ms)
			begun_ms = monotonic_ms();
		enum wire_event event = extend_line(wire, have, &deadline_ms);
		if (event != WIRE_OK)
			return event;
		looked_at = have;
		have = wire->in_used - wire->in_at;
	}
}

enum wire_event wire_line(struct wire *wire, const char **text_out, size_t *size_out)
{
	size_t length;
	enum wire_event event = find_whole_line(wire, &length);
	if (event != WIRE_OK)
		return event;
	const char *text = wire->in + wire->in_at;
	wire->in_at += length--;
	if (length >= LINE_MAX_BYTES)
		return WIRE_LONG;
	if (length > 0 && text[length - 1] == '\r')
		length--;
	*text_out = text;
	*size_out = length;
	return WIRE_OK;
}

enum wire_event wire_bytes(struct wire *wire, const char **bytes_out, size_t *size_out)
{
	if (wire->in_at == wire->in_used) {
		enum wire_event event = fill_within(wire, INT64_MAX);
		if (event != WIRE_OK)
			return event;
	}
	*bytes_out = wire->in + wire->in_at;
	*size_out = wire->in_used - wire->in_at;
	wire->in_at = wire->in_used;
	return WIRE_OK;
}

void wire_give_back(struct wire *wire, size_t size)
{
	wire->in_at -= size;
}

size_t wire_early(struct wire *wire, const char **bytes_out, size_t room)
{
	struct pollfd look = { .fd = wire->in_fd, .events = POLLIN };
	if (poll(&look, 1, 0) > 0)
		take_what_came(wire);
	*bytes_out = wire->in;
	return wire->in_used < room ? wire->in_used : room;
}

/* --- TLS -------------------------------------------------------------------------------------- */

size_t wire_pending(const struct wire *wire, const char **bytes_out)
{
	*bytes_out = wire->in + wire->in_at;
	return wire->in_used - wire->in_at;
}

enum wire_event wire_more(struct wire *wire, int64_t deadline_ms)
{
	if (wire->in_at == 0 && wire->in_used == WIRE_INPUT)
		return WIRE_LONG;
	return fill(wire, deadline_ms);
}

void wire_await(struct wire *wire, int64_t milliseconds)
{
	if (wire->in_at == wire->in_used)
		wait_for(wire, wire->in_fd, POLLIN, monotonic_ms() + milliseconds);
}

static void keep_hello(struct wire *wire, const void *bytes, ssize_t size)
{
	struct wire_handshake *handshake = wire->handshake;
	if (!handshake || size <= 0)
		return;
	size_t room = sizeof handshake->hello - handshake->hello_size;
	size_t kept = (size_t)size < room ? (size_t)size : room;
	memcpy(handshake->hello + handshake->hello_size, bytes, kept);
	handshake->hello_size += kept;
}

/* First what was read before anybody knew what it was. */
static ssize_t pull(void *context, void *buffer, size_t size)
{
	struct wire *wire = context;
	const char *bytes;
	size_t left = wire->tls ? 0 : wire_pending(wire, &bytes);
	if (left == 0) {
		ssize_t got = read_some(wire, buffer, size);
		keep_hello(wire, buffer, got);
		return got;
	}
	left = left < size ? left : size;
	memcpy(buffer, bytes, left);
	wire->in_at += left;
	keep_hello(wire, buffer, (ssize_t)left);
	return (ssize_t)left;
}

static ssize_t push(void *context, const void *buffer, size_t size)
{
	const struct wire *wire = context;
	return send(wire->out_fd, buffer, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* 0 or -errno. */
static int shake_hands(struct wire *wire, struct tls *tls, int64_t deadline_ms, char *words)
{
	int error;
	while ((error = tls_handshake(tls, words)) == -EAGAIN) {
		short wants = tls_wants(tls);
		enum wire_event event = wait_for(wire, wants == POLLIN ? wire->in_fd : wire->out_fd,
						 wants, deadline_ms);
		if (event == WIRE_OK)
			continue;
		strcpy(words, event == WIRE_TIMEOUT ? "the device did not go on with the handshake"
						    : "the connection broke, or the gateway ends");
		return -ETIMEDOUT;
	}
	return error;
}

bool wire_encrypt(struct wire *wire, const struct tls_public *key, const struct tls_signer *signer,
		  int64_t deadline_ms, struct wire_handshake *handshake_out)
{
	struct tls *tls;
	handshake_out->hello_size = 0;
	handshake_out->alert = -1;
	strcpy(handshake_out->words, "the device is gone");
	wire->io = (struct tls_io){ .context = wire, .pull = pull, .push = push };
	if (wire_flush(wire) != WIRE_OK)
		return false;
	strcpy(handshake_out->words, "out of memory");
	if (tls_server_new(key, signer, &wire->io, &tls) != 0)
		return false;
	wire->handshake = handshake_out;
	int error = shake_hands(wire, tls, deadline_ms, handshake_out->words);
	wire->handshake = NULL;
	if (error) {
		handshake_out->alert = tls_server_alert(tls);
		tls_free(tls);
		wire->lost = true;
		return false;
	}
	tls_server_describe(tls, handshake_out->words, sizeof handshake_out->words);
	wire->tls = tls;
	wire->in_at = wire->in_used = 0;
	wire->begun = wire->received;
	return true;
}

void wire_done(struct wire *wire)
{
	if (wire->tls && !wire->lost)
		tls_goodbye(wire->tls);
	tls_free(wire->tls);
	wire->tls = NULL;
}

/* --- out -------------------------------------------------------------------------------------- */

void wire_put(struct wire *wire, const char *text, size_t size)
{
	if (size > WIRE_OUTPUT - wire->out_used)
		wire_flush(wire);
	if (size > WIRE_OUTPUT - wire->out_used)
		return;
	memcpy(wire->out + wire->out_used, text, size);
	wire->out_used += size;
}

static ssize_t write_some(const struct wire *wire, const char *bytes, size_t size)
{
	if (wire->tls) {
		ssize_t sent = tls_write(wire->tls, bytes, size);
		errno = sent < 0 ? (int)-sent : 0;
		return sent < 0 ? -1 : sent;
	}
	ssize_t put = send(wire->out_fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put < 0 && errno == ENOTSOCK)
		put = write(wire->out_fd, bytes, size > PIPE_PIECE ? PIPE_PIECE : size);
	return put;
}

static enum wire_event lose(struct wire *wire, enum wire_event event)
{
	wire->lost = true;
	wire->out_used = 0;
	return event;
}

enum wire_event wire_flush(struct wire *wire)
{
	if (wire->lost)
		return lose(wire, WIRE_LOST);
	if (wire->out_used == 0)
		return WIRE_OK;
	int64_t deadline_ms = monotonic_ms() + wire->idle_ms;
	size_t done = 0;
	while (done < wire->out_used) {
		ssize_t put = write_some(wire, wire->out + done, wire->out_used - done);
		if (put >= 0) {
			done += (size_t)put;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return lose(wire, WIRE_LOST);
		enum wire_event event = wait_for(wire, wire->out_fd, POLLOUT, deadline_ms);
		if (event != WIRE_OK)
			return lose(wire, event);
	}
	wire->out_used = 0;
	return WIRE_OK;
}

/* --- what the other side knows ---------------------------------------------------------------- */

uint64_t wire_sent_by_now(const struct wire *wire)
{
	int waiting = 0;
	if (ioctl(wire->in_fd, FIONREAD, &waiting) < 0 || waiting < 0)
		waiting = 0;
	return wire->received + (uint64_t)waiting;
}

uint64_t wire_taken(const struct wire *wire)
{
	/* octets of records are not those of lines: what lies here began to come after so many */
	if (wire->tls)
		return wire->begun + 1;
	return wire->received - (wire->in_used - wire->in_at);
}

static bool was_reset(struct wire *wire)
{
	int error = 0;
	socklen_t size = sizeof error;
	if (getsockopt(wire->in_fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0)
		wire->lost = true;
	return wire->lost;
}

bool wire_acknowledged(struct wire *wire)
{
	int unacknowledged = 0;
	if (wire->lost || !wire->socket)
		return !wire->lost;
	return !was_reset(wire) && ioctl(wire->in_fd, SIOCOUTQ, &unacknowledged) == 0 &&
	       unacknowledged == 0;
}

/* How often we look whether the last bytes were acknowledged: the kernel tells nobody. */
#define LOOK_MS 20

/* Who goes on sending for ever gets his reset. */
#define LINGER_OCTETS (16 * 1024 * 1024)

void wire_linger(struct wire *wire, int64_t milliseconds)
{
	int64_t deadline_ms = monotonic_ms() + milliseconds;
	uint64_t enough = wire->received + LINGER_OCTETS;
	if (wire_flush(wire) != WIRE_OK)
		return;
	if (wire->tls)
		tls_goodbye(wire->tls);
	if (wire->socket)
		shutdown(wire->out_fd, SHUT_WR);
	while (left_ms(deadline_ms) > 0 && wire->received < enough && !wire->lost &&
	       !(wire->ended && wire_acknowledged(wire))) {
		struct pollfd more = { .fd = wire->ended ? -1 : wire->in_fd, .events = POLLIN };
		wire->in_at = wire->in_used = 0;
		if (poll(&more, 1, LOOK_MS) > 0)
			take_what_came(wire);
	}
}
