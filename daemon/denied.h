/* denied.h: why a folder can't be used, in a sentence, and what to change. Ground of daemon. */
#pragma once

#define DENIED_MAX 300 /* octets */

/* `error` (-errno) came of making something at `name`. `text`: what is wrong with it, or with the
 * folder that it was to be made in, by its name and whose it is. Looks at it: it must not be one
 * that hangs. */
void denied_text(const char *name, int error, char text[DENIED_MAX]);

/* What to change; a constant, at most 140 octets. */
const char *denied_remedy(int error);
