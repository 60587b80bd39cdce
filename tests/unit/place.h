/* place.h: a folder of its own for a test that needs files. Header only. */
#pragma once
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int place_remove_one(const char *path, const struct stat *found, int kind, struct FTW *where)
{
	(void)found;
	(void)kind;
	(void)where;
	return remove(path);
}

/* Makes the folder; *path holds 64 octets. The descriptor is the caller's. */
static inline int place_make(char *path)
{
	strcpy(path, "/tmp/letterchute-unit.XXXXXX");
	if (!mkdtemp(path))
		abort();
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline int place_folder(int fd, const char *name)
{
	if (mkdirat(fd, name, 0700) < 0)
		abort();
	return openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline void place_file(int fd, const char *name, const char *content)
{
	int file = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (file < 0 || write(file, content, strlen(content)) < 0)
		abort();
	close(file);
}

static inline int place_has(int fd, const char *name)
{
	return faccessat(fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void place_remove(const char *path, int fd)
{
	close(fd);
	nftw(path, place_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The same as set-up and tear-down of each test. */
struct place_room {
	char path[64];
	int fd;
};

static inline int place_set_up(void **state)
{
	static struct place_room room;
	room.fd = place_make(room.path);
	*state = &room;
	return 0;
}

static inline int place_tear_down(void **state)
{
	struct place_room *room = *state;
	place_remove(room->path, room->fd);
	return 0;
}
