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

/* Names are the caller's to free, with forget_names. */
static int list_names(const char *path, int (*filter)(const struct dirent *), struct dirent ***out)
{
	*out = NULL;
	int count = scandir(path, out, filter, alphasort);
	return count < 0 ? -errno : count;
}

static void forget_names(struct dirent **names, int count)
{
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}

int folder_count(const char *path)
{
	struct dirent **names;
	int count = list_names(path, ini_is_file, &names);
	forget_names(names, count);
	return count;
}

/* One that is no file must not keep us. */
static int read_one(int folder_fd, const char *name, char **text_out, size_t *length_out)
{
	auto_close int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : read_whole(fd, FILES_MAX, text_out, length_out);
}

char *folder_read(const char *path)
{
	struct dirent **names;
	int count = list_names(path, ini_is_file, &names);
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *all = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&all, &size);
	for (int i = 0; out && i < count; i++) {
		auto_free char *text = NULL;
		size_t length;
		if (read_one(fd, names[i]->d_name, &text, &length) == 0)
			fputs(text, out);
	}
	forget_names(names, count);
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

void folder_each_left_out(const char *path, folder_found found, void *context)
{
	struct dirent **names;
	int count = list_names(path, ini_is_left_out, &names);
	auto_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool more = true;
	for (int i = 0; more && i < count; i++) {
		struct stat file;
		const char *name = names[i]->d_name;
		if (fstatat(fd, name, &file, 0) == 0 && S_ISREG(file.st_mode) &&
		    has_section(fd, name))
			more = found(context, name, &file);
	}
	forget_names(names, count);
}

struct telling {
	const char *path, *said;
	environment_told told;
	void *context;
};

/* But of those that the *.conf name. */
static bool tell_left_out(void *context, const char *name, const struct stat *file)
{
	const struct telling *telling = context;
	char text[2 * FOLDER_PATH_MAX + 64];
	(void)file;
	if (telling->said && strstr(telling->said, name))
		return true;
	snprintf(text, sizeof text, "%s/%s: not read, its name must end in .conf", telling->path,
		 name);
	telling->told(telling->context, "configuration", text, FOLDER_ADVICE);
	return true;
}

void folder_look(const struct options *options, environment_told told, void *context)
{
	char folder[ENVIRONMENT_PATH_MAX];
	const char *path = options->config;
	if (!path && !options->share && environment_path("config", folder))
		path = folder;
	if (!path || folder_count(path) <= 0)
		return;
	auto_free char *said = folder_read(path);
	struct telling telling = { path, said, told, context };
	folder_each_left_out(path, tell_left_out, &telling);
}
