/* misbehave_smtp.c: a session that obeys the command that it reads, and a listener and a door that
 * obey the question that they pass on: MAIL FROM:<session.ATTEMPT@misbehave.example>,
 * <listener.ATTEMPT@...>, <door.ATTEMPT@...>; and a keeper that obeys a name that wants to log in,
 * keys.ATTEMPT@.... And one that lies to whom it asks: session.lie,
 * session.farewell, session.explain, session.retry, session.stays, session.writable, listener.lie,
 * listener.retry, door.lie. The linker puts these functions in the place of those that they wrap;
 * the program's own source knows nothing of it. */
#define _GNU_SOURCE
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include "daemon/ask.h"
#include "daemon/fdio.h"
#include "daemon/smtp/cell.h"
#include "daemon/smtp/line.h"
#include "daemon/users.h"
#include "tests/jail/attempts.h"

int __real_cell_enter(enum cell cell, enum jail_mode mode, int folder_fd);
int __wrap_cell_enter(enum cell cell, enum jail_mode mode, int folder_fd);
const struct users_entry *__real_users_find(const struct users *users, const char *name);
const struct users_entry *__wrap_users_find(const struct users *users, const char *name);
enum line_result __real_line_parse(const char *text, size_t size, struct line_command *command_out);
enum line_result __wrap_line_parse(const char *text, size_t size, struct line_command *command_out);
bool __real_ask_read(const void *message, size_t size, struct ask *ask_out);
bool __wrap_ask_read(const void *message, size_t size, struct ask *ask_out);
ssize_t __real_ask_write(const struct ask_head *head, const char *sender,
			 const char *const *recipients, void *buffer);
ssize_t __wrap_ask_write(const struct ask_head *head, const char *sender,
			 const char *const *recipients, void *buffer);
int __real_reopen_read_only(int fd, int *fd_out);
int __wrap_reopen_read_only(int fd, int *fd_out);
int __real_pass_fds(int socket_fd, const void *message, size_t size, const int *fds, size_t count);
int __wrap_pass_fds(int socket_fd, const void *message, size_t size, const int *fds, size_t count);

static const char *role;
static bool hand_over_writable;
static bool is_session; /* it puts questions together, its listener passes them on */

int __wrap_cell_enter(enum cell cell, enum jail_mode mode, int folder_fd)
{
	role = cell == CELL_DOOR ? "door" : "listener";
	attempts_prepare();
	return __real_cell_enter(cell, mode, folder_fd);
}

const struct users_entry *__wrap_users_find(const struct users *users, const char *name)
{
	attempts_obey("keys", name);
	return __real_users_find(users, name);
}

enum line_result __wrap_line_parse(const char *text, size_t size, struct line_command *command_out)
{
	char words[2048];
	if (size < sizeof words) {
		memcpy(words, text, size);
		words[size] = '\0';
		attempts_obey("session", words);
		hand_over_writable |= strstr(words, "session.writable@") != NULL;
	}
	return __real_line_parse(text, size, command_out);
}

bool __wrap_ask_read(const void *message, size_t size, struct ask *ask_out)
{
	bool good = __real_ask_read(message, size, ask_out);
	if (good)
		attempts_obey(role, ask_out->sender);
	return good;
}

/* As if it were about a message that was put aside, whoever that was from. */
static void look_up(struct ask_head *head)
{
	head->kind = ASK_RETRY;
	memset(head->key, '0', 64);
}

/* Another device, another listener, somebody who has logged in; or the last word of all. */
ssize_t __wrap_ask_write(const struct ask_head *head, const char *sender,
			 const char *const *recipients, void *buffer)
{
	struct ask_head told = *head;
	is_session = true;
	if (strstr(sender, "session.lie@")) {
		strcpy(told.origin.source, "wan");
		strcpy(told.login, "boss");
		told.origin.kind = ASK_SOURCE_DROP;
		told.origin.peer[15] ^= 7;
	} else if (strstr(sender, "session.farewell@"))
		told.kind = ASK_FAREWELL;
	else if (strstr(sender, "session.explain@"))
		told.kind = ASK_EXPLAIN;
	else if (strstr(sender, "session.retry@"))
		look_up(&told);
	else if (strstr(sender, "session.stays@"))
		told.stays = ASK_STAYS_DELIVERED | ASK_STAYS_REFUSED;
	return __real_ask_write(&told, sender, recipients, buffer);
}

int __wrap_reopen_read_only(int fd, int *fd_out)
{
	if (!hand_over_writable)
		return __real_reopen_read_only(fd, fd_out);
	*fd_out = fd;
	return 0;
}

/* A listener that says it is another, or that it may say so; a door that says it is an account. */
int __wrap_pass_fds(int socket_fd, const void *message, size_t size, const int *fds, size_t count)
{
	static _Alignas(struct ask_head) char told[ASK_MAX];
	if (role && size <= sizeof told && memmem(message, size, "listener.lie@", 13)) {
		memcpy(told, message, size);
		strcpy(((struct ask_head *)told)->origin.source, "wan");
		message = told;
	} else if (role && !is_session && size <= sizeof told &&
		   memmem(message, size, "listener.retry@", 15)) {
		memcpy(told, message, size);
		look_up((struct ask_head *)told);
		message = told;
	} else if (role && size <= sizeof told && memmem(message, size, "door.lie@", 9)) {
		memcpy(told, message, size);
		strcpy(((struct ask_head *)told)->origin.source, "office");
		message = told;
	}
	return __real_pass_fds(socket_fd, message, size, fds, count);
}
