/* options.c: the configuration that the options of a verb name. Never starts anything. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "daemon/cli/environment.h"
#include "daemon/cli/fault.h"
#include "daemon/cli/verbs.h"
#include "daemon/keep.h"

#define DEFAULT_CONFIG "/etc/letterchute/letterchute.conf"
#define DEFAULT_LISTEN "127.0.0.1:2525"

void options_put_quoted(FILE *out, const char *value)
{
	fputc('"', out);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', out);
		fputc(*value, out);
	}
	fputs("\"\n", out);
}

static void put_quoted(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%s = ", key);
	options_put_quoted(out, value);
}

/* Where the state lies if nobody says: what the XDG base directories are for, or /var/lib as root.
 */
static bool default_state(char *path, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	int length;
	if (geteuid() == 0)
		length = snprintf(path, size, "/var/lib/letterchute");
	else if (state && *state == '/')
		length = snprintf(path, size, "%s/letterchute", state);
	else
		length = snprintf(path, size, "%s/.local/state/letterchute",
				  home && *home ? home : "/nonexistent");
	return length > 0 && (size_t)length < size;
}

static void put_embedded(FILE *out, const struct options *options, const char *share,
			 const char *state, const struct stat *folder)
{
	fputs("[gateway]\n", out);
	put_quoted(out, "state", state);
	fputs("[smtp lan]\ntls = off\n", out);
	put_quoted(out, "listen", options->listen ? options->listen : DEFAULT_LISTEN);
	if (options->peers)
		put_quoted(out, "peers", options->peers);
	fputs("[share]\n", out);
	put_quoted(out, "path", share);
	/* whoever owns the folder is who will want to open what lies in it */
	if (geteuid() == 0)
		fprintf(out, "owner = %u\ngroup = %u\n", folder->st_uid, folder->st_gid);
	fputs("[route scans]\ntypes = pdf, jpeg, png, tiff\n", out);
}

static int load_embedded(const struct options *options, struct config *config_out)
{
	char share[PATH_MAX], state[PATH_MAX], error[CONFIG_ERROR_MAX];
	struct stat folder;
	if (!realpath(options->share, share) || stat(share, &folder) < 0 ||
	    !S_ISDIR(folder.st_mode)) {
		snprintf(error, sizeof error,
			 "--share %.300s: %s, a folder that exists is expected", options->share,
			 strerror(errno ? errno : ENOTDIR));
		return fault_say(EXIT_CONFIGURATION, "%s", error);
	}
	if (options->state)
		snprintf(state, sizeof state, "%s", options->state);
	else if (!default_state(state, sizeof state))
		return fault_say(EXIT_CONFIGURATION,
				 "no place for the state is known, --state DIR is expected");
	auto_free char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return EXIT_LATER;
	put_embedded(out, options, share, state, &folder);
	fclose(out);
	if (config_load_text(text, "--share", config_out, error) != 0)
		return fault_say(EXIT_CONFIGURATION, "%s", error);
	return EXIT_OK;
}

int options_load(const struct options *options, struct config *config_out)
{
	char error[CONFIG_ERROR_MAX];
	struct config config;
	int status = options_load_to_ask(options, &config);
	if (status)
		return status;
	if (config_can_give(&config, error) != 0) {
		config_done(&config);
		return fault_say(EXIT_CONFIGURATION, "%s", error);
	}
	*config_out = config;
	return EXIT_OK;
}

int options_load_to_ask(const struct options *options, struct config *config_out)
{
	char error[CONFIG_ERROR_MAX];
	char path[ENVIRONMENT_PATH_MAX];
	if (options->share)
		return load_embedded(options, config_out);
	if (!options->config && environment_path("config", path))
		return environment_load(options->warns, config_out);
	if (config_load(options->config ? options->config : DEFAULT_CONFIG, config_out, error) != 0)
		return fault_say(EXIT_CONFIGURATION, "%s", error);
	return EXIT_OK;
}
