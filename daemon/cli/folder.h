/* folder.h: a folder of configuration files: what they say, and which others lie beside them. Room
 * daemon/cli. */
#pragma once
#include <stdbool.h>
#include <sys/stat.h>
#include "daemon/cli/environment.h"
#include "daemon/cli/verbs.h"

#define FOLDER_PATH_MAX 4096 /* octets */
#define FOLDER_ADVICE   "rename it, or put it elsewhere"

/* How many *.conf are in it; or -errno. */
int folder_count(const char *path);

/* What all *.conf of it say, for a look at the names in it; the caller's to free. NULL: nothing can
 * be had. */
char *folder_read(const char *path);

/* Each file, in name order, that somebody may take for a part of the configuration and that is not
 * read: it is visible, has a [section], and its name ends otherwise. `found` returns whether it
 * wants to hear of more. */
typedef bool (*folder_found)(void *context, const char *name, const struct stat *file);
void folder_each_left_out(const char *path, folder_found found, void *context);

/* Tells of each such file beside the *.conf of these options, but for those that the *.conf name.
 */
void folder_look(const struct options *options, environment_told told, void *context);
