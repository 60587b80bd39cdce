/* folder.c: looks into a folder of configuration files. Never reads one as a configuration. */
#define _GNU_SOURCE
#include "daemon/cli/folder.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/ini.h"
#include "daemon/keep.h"

#define FILES_MAX (1 << 20) /* octets that are looked through */

int folder_count(const char *path)
{
	struct dirent **found = NULL;
	int count = scandir(path, &found, ini_is_file, alphasort);
	int error = count < 0 ? -errno : 0;
	for (int i = 0; i < count; i++)
		free(found[i]);
	free(found);
	return error ? error : count;
}

/* One that is no file must not keep us. */
static int read_one(int folder_fd, const char *name, char **text_out, size_t *length_out)
{
	auto_close int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : read_whole(fd, FILES_MAX, text_out, length_out);
}

char *folder_read(const char *path)
{
	struct dirent **found = NULL;
	int count = scandir(path, &found, ini_is_file, alphasort);
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *all = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&all, &size);
	for (int i = 0; i < count; i++) {
		auto_free char *text = NULL;
		size_t length;
		if (out && read_one(fd, found[i]->d_name, &text, &length) == 0)
			fputs(text, out);
		free(found[i]);
	}
	free(found);
	if (out)
		fclose(out);
	return all;
}

/* Certificates and notes lie in such a folder for other reasons. */
static bool has_section(int folder_fd, const char *name)
{
	auto_free char *text = NULL;
	size_t length;
	if (read_one(folder_fd, name, &text, &length) != 0)
		return false;
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += strspn(line, " \t\r\n");
		if (*line == '[')
			return true;
	}
	return false;
}

bool folder_find_left_out(const char *path, const char *after, folder_needs is_needed,
			  const void *context, char name_out[FOLDER_PATH_MAX])
{
	struct dirent **found = NULL;
	int count = scandir(path, &found, ini_is_left_out, alphasort);
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool any = false;
	for (int i = 0; i < count; i++) {
		const char *name = found[i]->d_name;
		struct stat file;
		if (!any && (!*after || strcoll(name, after) > 0) &&
		    fstatat(fd, name, &file, 0) == 0 && S_ISREG(file.st_mode) &&
		    has_section(fd, name) && !is_needed(context, name, &file)) {
			any = true;
			snprintf(name_out, FOLDER_PATH_MAX, "%s", name);
		}
		free(found[i]);
	}
	free(found);
	return any;
}

static bool is_named(const void *text, const char *name, const struct stat *file)
{
	(void)file;
	return text && strstr(text, name);
}

void folder_look(const struct options *options, environment_told told, void *context)
{
	char folder[ENVIRONMENT_PATH_MAX], name[FOLDER_PATH_MAX] = "";
	char text[2 * FOLDER_PATH_MAX + 64];
	const char *path = options->config;
	if (!path && !options->share && environment_path("config", folder))
		path = folder;
	if (!path || folder_count(path) <= 0)
		return;
	auto_free char *said = folder_read(path);
	while (folder_find_left_out(path, name, is_named, said, name)) {
		snprintf(text, sizeof text, "%s/%s: not read, its name must end in .conf", path,
			 name);
		told(context, "configuration", text, FOLDER_ADVICE);
	}
}
