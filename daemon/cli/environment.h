/* environment.h: in our own container the configuration comes from variables, and so does who we
 * are. Room daemon/cli.
 *
 * The image sets LETTERCHUTE_CONTAINER to the folder that config/, share/ and state/ lie in ("/").
 * Where config/ holds a *.conf, the files are the configuration; else, if no other file lies there
 * that somebody may have written for one, it is put together from the variables of a table
 * (variables.h). PUID, PGID, UMASK and TZ mean something in both cases:
 * daemon/cli/identity.h. */
#pragma once
#include <stdbool.h>
#include "daemon/config.h"

#define ENVIRONMENT_PATH_MAX 4096

/* One of config, share and state in our own container, into ENVIRONMENT_PATH_MAX octets. False:
 * this is no such container. */
bool environment_path(const char *name, char *path_out);

/* What the container says, if there is no -c. The exit status, with the reason said; 0 with
 * *config_out filled. `warns`: variables that have no effect are told in the log. */
int environment_load(bool warns, struct config *config_out);

/* What is no fault, and yet may be a surprise: a folder that is no volume. Nothing outside of our
 * own container. */
typedef void (*environment_told)(void *context, const char *what, const char *text,
				 const char *remedy);
void environment_look(environment_told told, void *context);
