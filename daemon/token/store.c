/* store.c: reads and writes the record of a source. Never asks a provider. */
#define _GNU_SOURCE
#include "daemon/token/store.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/json.h"
#include "daemon/keep.h"

/* Two tokens of which JSON may write every octet as two, and the rest. */
#define RECORD_MAX  (4 * REPLY_TOKEN_MAX + 1024)
#define VERSION     1
#define LOCK_NAP_MS 50

/* No source's name has a ~: these are nobody's record. */
static int name_beside(const char *source, const char *ending, char *name, size_t size)
{
	int length = snprintf(name, size, "%s~%s", source, ending);
	return length > 0 && (size_t)length < size ? 0 : -ENAMETOOLONG;
}

int store_lock(int folder_fd, const char *source, int64_t deadline_ms, int *fd_out)
{
	char name[300];
	int error = name_beside(source, "lock", name, sizeof name);
	if (error)
		return error;
	auto_close int fd =
		openat(folder_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (monotonic_ms() >= deadline_ms)
			return -EWOULDBLOCK;
		nap_ms(LOCK_NAP_MS);
	}
	*fd_out = take_fd(&fd);
	return 0;
}

static bool take_text(const struct json *json, const char *key, char *text_out, size_t size)
{
	const char *text = json_text(json, key);
	return text && (size_t)snprintf(text_out, size, "%s", text) < size;
}

static bool take_record(const struct json *json, struct store_record *record)
{
	record->had_ms = json_number(json, "had_ms");
	record->until_ms = json_number(json, "until_ms");
	return json_number(json, "version") == VERSION &&
	       take_text(json, "refresh", record->refresh, sizeof record->refresh) &&
	       take_text(json, "access", record->access, sizeof record->access) &&
	       take_text(json, "account", record->account, sizeof record->account) &&
	       take_text(json, "seed", record->seed, sizeof record->seed);
}

int store_read(int folder_fd, const char *source, struct store_record *record_out)
{
	struct store_record record = { .had_ms = 0 };
	auto_free char *text = NULL;
	size_t size = 0;
	int error = read_file_at(folder_fd, source, RECORD_MAX, &text, &size);
	if (error)
		return error == -EFBIG ? -EBADMSG : error;
	struct json *json = strlen(text) == size ? json_parse(text) : NULL;
	bool good = json && take_record(json, &record);
	json_free(json);
	explicit_bzero(text, size);
	if (good)
		*record_out = record;
	explicit_bzero(&record, sizeof record);
	return good ? 0 : -EBADMSG;
}

int store_write(int folder_fd, const char *source, const struct store_record *record)
{
	struct json *json = json_object_new();
	json_put_number(json, "version", VERSION);
	json_put_text(json, "refresh", record->refresh);
	json_put_text(json, "access", record->access);
	json_put_number(json, "had_ms", record->had_ms);
	json_put_number(json, "until_ms", record->until_ms);
	json_put_text(json, "account", record->account);
	json_put_text(json, "seed", record->seed);
	auto_free char *line = json_line(json);
	json_free(json);
	int error = write_file_at(folder_fd, source, line, strlen(line), 0600);
	explicit_bzero(line, strlen(line));
	return error;
}

int store_reserve(int folder_fd, const char *source)
{
	static const char nothing[RECORD_MAX];
	char name[300];
	int error = name_beside(source, "room", name, sizeof name);
	if (error)
		return error;
	auto_close int fd = openat(folder_fd, name,
				   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	error = fd < 0 ? -errno : write_all(fd, nothing, sizeof nothing);
	if (error)
		store_release(folder_fd, source);
	return error;
}

void store_release(int folder_fd, const char *source)
{
	char name[300];
	if (name_beside(source, "room", name, sizeof name) == 0)
		unlinkat(folder_fd, name, 0);
}
