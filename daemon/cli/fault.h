/* fault.h: why a verb does not begin: what is wrong with its configuration, or beside it.
 * Room daemon/cli.
 *
 * Standard error gets `letterchute: FILE:LINE: what, what is expected`. Where it is the journal's
 * or syslog's the same sentence is a line of the log as any other: start text="FILE:LINE: …", with
 * its priority. */
#pragma once
#include "daemon/config.h"

/* Says the sentence, and returns `status`: `return fault_say(EXIT_CONFIGURATION, …)`. */
int fault_say(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For who says it himself: from now on sentences are put there instead, CONFIG_ERROR_MAX octets;
 * NULL: they are said again. */
void fault_keep(char *text_out);
