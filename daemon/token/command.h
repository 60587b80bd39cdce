/* command.h: a program of the user's that prints a secret. Room daemon/token. */
#pragma once
#include <stddef.h>

#define COMMAND_WHY_MAX 200

/* Runs `line` (program and arguments; quotes as in a shell, nothing else of a shell) with nothing
 * on its standard input, PATH and HOME alone in its environment, in a group of its own, for half a
 * minute at most, and takes the first line that it prints, of less than `size` octets. What it left
 * behind in its group is ended. Standard error stays ours. 0, or -1 with the reason, and *text_out
 * wiped. */
int command_run(const char *line, char *text_out, size_t size, char why_out[COMMAND_WHY_MAX]);
