/* denied.h: why a folder can't be used, in a sentence, and what to change. Ground of daemon. */
#pragma once

#define DENIED_MAX 300 /* octets */

/* `error` (-errno) came of opening a folder, or of making something in it. `text`: what is wrong
 * with it, by its path. Looks at the folder: it must not be one that hangs. */
void denied_text(const char *name, int error, char text[DENIED_MAX]);

/* What to change; a constant. */
const char *denied_remedy(int error);
