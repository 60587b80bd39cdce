/* aside.c: reads entries of the quarantine, and takes them away. Never makes one. */
#define _GNU_SOURCE
#include "daemon/aside.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "policy/sender.h"

#define ID_LENGTH (ASIDE_ID_SIZE - 1)
#define FACTS_MAX (8u << 20) /* octets */
#define HEX       "0123456789abcdef"

bool aside_is_id(const char *name)
{
	return strlen(name) == ID_LENGTH && strspn(name, HEX) == ID_LENGTH;
}

int64_t aside_count(DIR *names)
{
	int64_t count = 0;
	if (names)
		rewinddir(names);
	for (struct dirent *entry; names && (entry = readdir(names));)
		count += aside_is_id(entry->d_name);
	return count;
}

int aside_find(int quarantine_fd, const char *prefix, char id_out[ASIDE_ID_SIZE])
{
	DIR *names = open_names(quarantine_fd, ".");
	char id[ASIDE_ID_SIZE];
	int count = 0, unread = 0;
	if (!names)
		return -errno;
	for (struct dirent *entry; (entry = next_name(names, &unread));) {
		if (!aside_is_id(entry->d_name) || !*prefix ||
		    strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(id, sizeof id, "%.*s", ID_LENGTH, entry->d_name);
		count++;
	}
	closedir(names);
	if (unread || count != 1)
		return unread ? unread : count ? -ENOTUNIQ : -ENOENT;
	memcpy(id_out, id, sizeof id);
	return 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int open_entry(int quarantine_fd, const char *name, int *fd_out)
{
	int fd = openat(quarantine_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*fd_out = fd;
	return 0;
}

/* Which file it holds, and when it came there. */
static int look_at_file(int entry_fd, struct aside *aside)
{
	static const char *const files[] = { ASIDE_MESSAGE, ASIDE_PART };
	struct stat found;
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		if (fstatat(entry_fd, files[i], &found, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno != ENOENT)
				return -errno;
			continue;
		}
		aside->file = files[i];
		aside->bytes = (uint64_t)found.st_size;
		aside->time_ms = (int64_t)found.st_mtim.tv_sec * 1000;
		return 0;
	}
	return 0;
}

/* Facts that nobody understands are no reason not to show and remove an entry. */
static int read_facts(int entry_fd, struct json **facts_out)
{
	auto_free char *text = NULL;
	size_t size;
	int error = read_file_at(entry_fd, ASIDE_FACTS, FACTS_MAX, &text, &size);
	if (error && error != -ENOENT && error != -EFBIG)
		return error;
	struct json *facts = error ? NULL : json_parse(text);
	*facts_out = facts ? facts : json_object_new();
	return 0;
}

int aside_read(int quarantine_fd, const char *id, struct aside *aside_out)
{
	struct aside aside = { .file = NULL };
	auto_close int entry_fd = -1;
	int error = open_entry(quarantine_fd, id, &entry_fd);
	if (!error)
		error = look_at_file(entry_fd, &aside);
	if (!error)
		error = read_facts(entry_fd, &aside.facts);
	/* whoever removes it takes the name first: what was read without it may be half of it */
	if (!error && !aside_is_at(quarantine_fd, id, entry_fd))
		error = -ENOENT;
	if (error) {
		aside_done(&aside);
		return error;
	}
	snprintf(aside.id, sizeof aside.id, "%s", id);
	if (json_number(aside.facts, "received_ms") > 0)
		aside.time_ms = json_number(aside.facts, "received_ms");
	*aside_out = aside;
	return 0;
}

void aside_done(struct aside *aside)
{
	json_free(aside->facts);
	*aside = (struct aside){ .file = NULL };
}

/* --- removing --------------------------------------------------------------------------------- */

int aside_name_unfinished(char name[ASIDE_NAME_SIZE])
{
	uint64_t number;
	if (getrandom(&number, sizeof number, 0) != sizeof number)
		return -EIO;
	snprintf(name, ASIDE_NAME_SIZE, ASIDE_UNFINISHED "%016llx", (unsigned long long)number);
	return 0;
}

bool aside_is_at(int quarantine_fd, const char *name, int entry_fd)
{
	struct stat named, held;
	return fstatat(quarantine_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstat(entry_fd, &held) == 0 && named.st_ino == held.st_ino;
}

void aside_clear(int quarantine_fd, const char *name)
{
	DIR *names = open_names(quarantine_fd, name);
	for (struct dirent *file; names && (file = readdir(names));) {
		if (strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0)
			unlinkat(dirfd(names), file->d_name, 0);
	}
	if (names)
		closedir(names);
	unlinkat(quarantine_fd, name, AT_REMOVEDIR);
}

int aside_hold(int quarantine_fd, const char *id, int *entry_fd_out)
{
	auto_close int fd = -1;
	int error = open_entry(quarantine_fd, id, &fd);
	if (error)
		return error;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	if (!aside_is_at(quarantine_fd, id, fd)) /* it was removed before the lock was ours */
		return -ENOENT;
	*entry_fd_out = take_fd(&fd);
	return 0;
}

int aside_remove(int quarantine_fd, const char *id, int entry_fd)
{
	char name[ASIDE_NAME_SIZE];
	if (!aside_is_at(quarantine_fd, id, entry_fd))
		return -ENOENT;
	int error = aside_name_unfinished(name);
	if (!error && renameat(quarantine_fd, id, quarantine_fd, name) < 0)
		error = -errno;
	/* a power cut may not bring the id back to what is only half of it */
	if (!error)
		error = sync_folder(quarantine_fd);
	if (error)
		return error;
	aside_clear(quarantine_fd, name);
	return 0;
}

/* --- the question ----------------------------------------------------------------------------- */

void aside_put_question(struct json *facts, const struct ask *ask)
{
	const struct ask_head *head = ask->head;
	struct json *question = json_object_new(), *recipients = json_array_new();
	struct facts_peer peer = { .known = head->origin.peer_known };
	char text[46];
	memcpy(peer.address, head->origin.peer, sizeof peer.address);
	network_print(&peer, text);
	json_put_text(question, "source", head->origin.source);
	json_put_number(question, "source_kind", head->origin.kind);
	json_put_text(question, "peer", peer.known ? text : NULL);
	json_put_bool(question, "peer_allowed", head->origin.peer_allowed);
	json_put_text(question, "login", head->login);
	json_put_text(question, "sender", head->has_envelope ? ask->sender : NULL);
	for (uint32_t i = 0; i < head->recipients; i++)
		json_put_text(recipients, NULL, ask->recipients[i]);
	json_put(question, "recipients", recipients);
	json_put_number(question, "received_ms", head->received_ms);
	/* where it stays at its source, what becomes of it is to be remembered there */
	json_put_number(question, "validity", (int64_t)(head->stays ? head->place[0] : 0));
	json_put_number(question, "uid", (int64_t)(head->stays ? head->place[1] : 0));
	json_put_number(question, "stays", head->stays);
	json_put(facts, "question", question);
}

/* A text that must be there and fit. */
static bool take_text(const struct json *json, const char *key, char *text, size_t size)
{
	const char *value = json_text(json, key);
	if (!value || strlen(value) >= size)
		return false;
	memset(text, 0, size);
	memcpy(text, value, strlen(value));
	return true;
}

static bool take_peer(const struct json *question, struct ask_origin *origin)
{
	const char *text = json_text(question, "peer");
	struct network network;
	origin->peer_allowed = json_bool(question, "peer_allowed");
	if (!text)
		return true;
	if (network_parse(text, &network, 1) != 1 || network.prefix != 128)
		return false;
	origin->peer_known = 1;
	memcpy(origin->peer, network.address, sizeof origin->peer);
	return true;
}

static bool take_recipients(const struct json *question, struct ask *ask, uint32_t *count_out)
{
	const struct json *recipients = json_get(question, "recipients");
	size_t count = json_count(recipients);
	if (!recipients || count > ASK_RECIPIENTS_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		ask->recipients[i] = json_text_at(recipients, i);
		if (!ask->recipients[i])
			return false;
	}
	*count_out = (uint32_t)count;
	return true;
}

bool aside_take_question(const struct json *facts, struct ask_head *head_out, struct ask *ask_out)
{
	const struct json *question = json_get(facts, "question");
	struct ask_head head = { .kind = ASK_RETRY };
	struct ask ask = { .head = head_out };
	if (!take_text(facts, "key", head.key, sizeof head.key) || !ask_is_key(head.key) ||
	    !take_text(question, "source", head.origin.source, sizeof head.origin.source) ||
	    !take_text(question, "login", head.login, sizeof head.login) ||
	    !take_peer(question, &head.origin) ||
	    !take_recipients(question, &ask, &head.recipients))
		return false;
	ask.sender = json_text(question, "sender");
	head.has_envelope = ask.sender != NULL;
	ask.sender = ask.sender ? ask.sender : "";
	head.origin.kind = (uint32_t)json_number(question, "source_kind");
	head.received_ms = json_number(question, "received_ms");
	head.place[0] = (uint32_t)json_number(question, "validity");
	head.place[1] = (uint32_t)json_number(question, "uid");
	head.stays = (uint32_t)json_number(question, "stays");
	*head_out = head;
	*ask_out = ask;
	return true;
}
