/* misbehave_smtp.c: a session that obeys the command that it reads, and a listener and a door that
 * obey the question that they pass on: MAIL FROM:<session.ATTEMPT@misbehave.example>,
 * <listener.ATTEMPT@...>, <door.ATTEMPT@...>. The linker puts these functions in the place of those
 * that they wrap; the program's own source knows nothing of it. */
#include <string.h>
#include "daemon/ask.h"
#include "daemon/smtp/cell.h"
#include "daemon/smtp/line.h"
#include "tests/jail/attempts.h"

int __real_cell_enter(enum cell cell, enum jail_mode mode, int folder_fd);
int __wrap_cell_enter(enum cell cell, enum jail_mode mode, int folder_fd);
enum line_result __real_line_parse(const char *text, size_t size, struct line_command *command_out);
enum line_result __wrap_line_parse(const char *text, size_t size, struct line_command *command_out);
bool __real_ask_read(const void *message, size_t size, struct ask *ask_out);
bool __wrap_ask_read(const void *message, size_t size, struct ask *ask_out);

static const char *role;

int __wrap_cell_enter(enum cell cell, enum jail_mode mode, int folder_fd)
{
	role = cell == CELL_DOOR ? "door" : "listener";
	attempts_prepare();
	return __real_cell_enter(cell, mode, folder_fd);
}

enum line_result __wrap_line_parse(const char *text, size_t size, struct line_command *command_out)
{
	char words[2048];
	if (size < sizeof words) {
		memcpy(words, text, size);
		words[size] = '\0';
		attempts_obey("session", words);
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
