/* fault.c: one sentence on what is wrong, for a person or for a log. Never decides what is wrong.
 */
#define _GNU_SOURCE
#include "daemon/cli/fault.h"
#include <stdarg.h>
#include <stdio.h>
#include "daemon/log.h"

static char *kept;

void fault_keep(char *text_out)
{
	kept = text_out;
}

int fault_say(int status, const char *format, ...)
{
	char text[CONFIG_ERROR_MAX];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	if (kept)
		snprintf(kept, CONFIG_ERROR_MAX, "%s", text);
	else if (log_is_kept())
		log_say(LOG_ERROR, "start", "%s", text);
	else
		fprintf(stderr, "letterchute: %s\n", text);
	return status;
}
