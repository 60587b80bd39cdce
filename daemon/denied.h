/* denied.h: why a folder can't be used, in a sentence, and what to change. Ground of daemon. */
#pragma once
#include <sys/stat.h>

#define DENIED_MAX 300 /* octets */

/* `path` can't be `cant` ("opened"). `found`: whose it is, told where we may not; NULL: nobody
 * knows. */
void denied_say(const char *path, const char *cant, int error, const struct stat *found,
		char text[DENIED_MAX]);

/* `error` (-errno) came of making something at `name`. `text`: what is wrong with it, or with the
 * folder that it was to be made in, by its name and whose it is. Looks at it: it must not be one
 * that hangs. */
void denied_text(const char *name, int error, char text[DENIED_MAX]);

/* What to change; a constant, at most 140 octets. */
const char *denied_remedy(int error);
