/* fuzz_conn.c: whatever a server says in a connection, from its greeting to the end of IDLE. What
 * we are told of must be in bounds: UIDs in order and never 0, no more octets than were asked for.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/imap/conn.h"
#include "daemon/stream.h"

#define SAID_MAX  (1 << 16) /* fits into a socket */
#define NAMES_MAX 8
#define RANGE     1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
bool __wrap_stream_connect(struct stream *stream, const char *host, unsigned port, bool local);

/* libetpan forgets a greeting of BYE by itself. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libetpan.so";
}

static const uint8_t *said;
static size_t said_size;
static int server_fd;

struct taken {
	uint64_t bytes, sum;
};

/* In place of a server: one that has said all, and hangs up. */
bool __wrap_stream_connect(struct stream *stream, const char *host, unsigned port, bool local)
{
	int ends[2];
	(void)host, (void)port, (void)local;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0 ||
	    write(ends[1], said, said_size) != (ssize_t)said_size)
		abort();
	shutdown(ends[1], SHUT_WR);
	stream->fd = ends[0];
	server_fd = ends[1];
	return true;
}

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_uids(const uint32_t *uids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check(uids[i] > (i ? uids[i - 1] : 0));
}

/* Reads each octet, for the sanitizer. */
static void take(void *context, const char *bytes, size_t size)
{
	struct taken *taken = context;
	for (size_t i = 0; i < size; i++)
		taken->sum += (unsigned char)bytes[i];
	taken->bytes += size;
}

static bool list(struct conn *conn)
{
	char *names[NAMES_MAX], separator = 0;
	size_t count = 0;
	enum conn_result result = conn_list(conn, names, NAMES_MAX, &count, &separator);
	check(count <= NAMES_MAX);
	while (count > 0)
		free(names[--count]);
	return result == CONN_OK;
}

static bool read_one(struct conn *conn, uint32_t uid)
{
	struct taken taken = { 0 };
	uint64_t told = 0;
	enum conn_result result = conn_fetch(conn, uid, 0, RANGE, take, &taken, &told);
	check(taken.bytes <= RANGE && (result != CONN_OK || told == taken.bytes));
	return result == CONN_OK;
}

static bool is_among(uint32_t uid, const uint32_t *uids, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (uids[i] == uid)
			return true;
	}
	return false;
}

static bool look_at(struct conn *conn, const uint32_t *uids, size_t count)
{
	struct conn_message messages[CONN_SET_MAX];
	size_t told = 0;
	if (conn_look(conn, uids, count, messages, &told) != CONN_OK)
		return false;
	check(told <= count);
	for (size_t i = 0; i < told; i++)
		check(is_among(messages[i].uid, uids, count) && messages[i].received_ms >= 0);
	return true;
}

static void settle(struct conn *conn, const uint32_t *uids, size_t count)
{
	uint32_t *left = NULL;
	size_t left_count = 0;
	if (conn_flag(conn, uids, count, "\\Deleted") == CONN_OK &&
	    conn_copy(conn, uids, count, "Done/here") != CONN_LOST &&
	    conn_move(conn, uids, count, "Refused") != CONN_LOST &&
	    conn_expunge(conn, uids, count) == CONN_OK &&
	    conn_search_set(conn, uids, count, &left, &left_count) == CONN_OK)
		check_uids(left, left_count);
	free(left);
}

static void use(struct conn *conn)
{
	struct conn_mailbox mailbox;
	uint32_t *uids = NULL;
	size_t count = 0;
	if (!list(conn) || conn_select(conn, "INBOX", &mailbox) != CONN_OK)
		return;
	check(mailbox.validity != 0);
	if (conn_search(conn, CONN_UNFLAGGED, "Stored", &uids, &count) == CONN_OK) {
		check_uids(uids, count);
		if (count > CONN_SET_MAX)
			count = CONN_SET_MAX;
		if (count > 0 && look_at(conn, uids, count) && read_one(conn, uids[0]))
			settle(conn, uids, count);
		if (conn_idle(conn, monotonic_ms()) == CONN_OK)
			conn_noop(conn);
	}
	free(uids);
}

/* The first octet chooses how we log in. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "box", host[] = "localhost", user[] = "scans", nothing[] = "";
	struct config_account account = { .name = name,
					  .host = host,
					  .port = 143,
					  .user = user,
					  .ca_file = nothing,
					  .pins = nothing,
					  .tls = CONFIG_IMAP_OFF };
	if (size < 1 || size > SAID_MAX)
		return 0;
	said = data + 1;
	said_size = size - 1;
	struct conn *conn = conn_new(&account, -1);
	check(conn != NULL);
	if (conn_open(conn) == CONN_OK) {
		enum conn_result result = data[0] % 2 ? conn_login_token(conn, "token")
						      : conn_login_password(conn, "password");
		if (result == CONN_OK)
			use(conn);
	}
	check(memchr(conn_why(conn), '\0', 500) != NULL);
	conn_free(conn);
	close(server_fd);
	return 0;
}
