/* folder.c: locks a destination folder and remembers its names as hashes. Never changes the folder
 * itself. */
#define _GNU_SOURCE
#include "daemon/courier/folder.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "policy/filename.h"

#define MEMORY_MAGIC 0x6c63666f6c643031ULL
#define SLOTS_LEAST  512u
#define SLOTS_MOST   (1u << 24) /* a folder with more names is read each time */
#define COUNTERS     256u       /* names whose numbers are remembered; a power of two */
#define LOCK_WAIT_S  10
#define KEEP_S       86400 /* what is not used is remembered so long */
#define OPEN_TRIES   16

struct counter {
	uint64_t name;
	uint32_t first, zero;
};

/* The file as it is mapped. */
struct folder_memory {
	uint64_t magic;
	int64_t mtime_ns, ctime_ns; /* the folder's, as we left it; 0: not valid */
	uint64_t count, slots;      /* slots: a power of two, at most half full */
	struct counter counters[COUNTERS];
	uint64_t hashes[]; /* open addressing; 0: free */
};

static size_t memory_size(uint64_t slots)
{
	return sizeof(struct folder_memory) + slots * sizeof(uint64_t);
}

static int64_t nanoseconds(struct timespec time)
{
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static bool is_current(const struct folder *folder)
{
	const struct folder_memory *memory = folder->memory;
	struct stat now;
	return folder->mapped >= memory_size(SLOTS_LEAST) && memory->magic == MEMORY_MAGIC &&
	       memory->mtime_ns != 0 && folder->mapped == memory_size(memory->slots) &&
	       fstat(folder->fd, &now) == 0 && nanoseconds(now.st_mtim) == memory->mtime_ns &&
	       nanoseconds(now.st_ctim) == memory->ctime_ns;
}

static void unmap(struct folder *folder)
{
	if (folder->memory)
		munmap(folder->memory, folder->mapped);
	folder->memory = NULL;
	folder->mapped = 0;
}

static int map(struct folder *folder, size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, folder->memory_fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	unmap(folder);
	folder->memory = memory;
	folder->mapped = size;
	return 0;
}

/* Makes an empty memory with room for `slots`. The space is allocated: writing to a mapped hole
 * could end us. */
static int make_empty(struct folder *folder, uint64_t slots)
{
	unmap(folder);
	if (ftruncate(folder->memory_fd, 0) < 0)
		return -errno;
	int error = posix_fallocate(folder->memory_fd, 0, (off_t)memory_size(slots));
	if (error)
		return -error;
	error = map(folder, memory_size(slots));
	if (error)
		return error;
	folder->memory->magic = MEMORY_MAGIC;
	folder->memory->slots = slots;
	return 0;
}

/* The slot of a hash: where it is, or where it would go. */
static uint64_t *find_slot(struct folder_memory *memory, uint64_t hash)
{
	uint64_t mask = memory->slots - 1;
	uint64_t at = hash & mask;
	while (memory->hashes[at] != 0 && memory->hashes[at] != hash)
		at = (at + 1) & mask;
	return &memory->hashes[at];
}

static uint64_t name_hash(const char *name)
{
	uint64_t hash = filename_fold(name);
	return hash ? hash : 1;
}

static void put_hash(struct folder_memory *memory, uint64_t hash)
{
	uint64_t *slot = find_slot(memory, hash);
	memory->count += *slot == 0;
	*slot = hash;
}

static int count_names(DIR *names, uint64_t *count_out)
{
	uint64_t count = 0;
	errno = 0;
	while (readdir(names))
		count++;
	*count_out = count;
	return -errno;
}

static int fill(struct folder *folder, DIR *names)
{
	errno = 0;
	for (struct dirent *entry; (entry = readdir(names));) {
		if (folder->memory->count >= folder->memory->slots / 2)
			return -EAGAIN; /* it grew meanwhile */
		put_hash(folder->memory, name_hash(entry->d_name));
	}
	return -errno;
}

static int build_from(struct folder *folder, DIR *names)
{
	uint64_t count, slots = SLOTS_LEAST;
	int error = count_names(names, &count);
	while (slots < SLOTS_MOST && slots < 4 * count)
		slots *= 2;
	if (!error && count >= slots / 2)
		error = -EOVERFLOW;
	if (!error)
		error = make_empty(folder, slots);
	rewinddir(names);
	return error ? error : fill(folder, names);
}

static int build(struct folder *folder)
{
	DIR *names = open_names(folder->fd, ".");
	if (!names)
		return -errno;
	int error = -EAGAIN;
	for (int tries = 0; error == -EAGAIN && tries < 8; tries++)
		error = build_from(folder, names);
	closedir(names);
	return error;
}

static volatile sig_atomic_t alarmed;

static void wake(int signal)
{
	(void)signal;
	alarmed = 1;
}

/* Waits, but not for ever: the holder may hang on a file system that does not answer. */
static int take_lock(int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	struct sigaction action = { .sa_handler = wake }, before;
	struct itimerval limit = { .it_value = { .tv_sec = LOCK_WAIT_S },
				   .it_interval = { .tv_sec = 1 } },
			 none = { 0 };
	alarmed = 0;
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &limit, NULL);
	int error = -EINTR;
	/* other signals don't end the wait: the plan is a promise already */
	while (error == -EINTR && !alarmed)
		error = flock(fd, LOCK_EX) == 0 ? 0 : -errno;
	setitimer(ITIMER_REAL, &none, NULL);
	sigaction(SIGALRM, &before, NULL);
	return error == -EINTR ? -ETIMEDOUT : error;
}

/* The file of a name, locked. -EAGAIN: it was forgotten before we had the lock. */
static int open_locked(int folders_fd, const char *name, int *fd_out, size_t *size_out)
{
	struct stat found;
	auto_close int fd =
		openat(folders_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int error = take_lock(fd);
	if (!error && fstat(fd, &found) < 0)
		error = -errno;
	if (!error && found.st_nlink == 0)
		error = -EAGAIN;
	if (error)
		return error;
	*size_out = (size_t)found.st_size;
	*fd_out = take_fd(&fd);
	return 0;
}

static int open_memory(int folders_fd, int fd, struct folder *folder)
{
	struct stat found;
	char name[64];
	size_t size = 0;
	if (fstat(fd, &found) < 0)
		return -errno;
	snprintf(name, sizeof name, "%llx-%llx", (unsigned long long)found.st_dev,
		 (unsigned long long)found.st_ino);
	int error = -EAGAIN;
	for (int tries = 0; error == -EAGAIN && tries < OPEN_TRIES; tries++)
		error = open_locked(folders_fd, name, &folder->memory_fd, &size);
	if (!error && size >= memory_size(SLOTS_LEAST))
		error = map(folder, size);
	return error;
}

int folder_lock(int folders_fd, int fd, struct folder *folder_out)
{
	struct folder folder = FOLDER_INIT;
	folder.fd = fd;
	int error = open_memory(folders_fd, fd, &folder);
	if (!error && !is_current(&folder))
		error = build(&folder);
	if (error) {
		unmap(&folder);
		close_fd(&folder.memory_fd);
		return error;
	}
	/* whoever dies from here on leaves a memory that nobody trusts */
	folder.memory->mtime_ns = 0;
	*folder_out = folder;
	return 0;
}

int folder_look(int fd, struct folder *folder_out)
{
	struct folder folder = FOLDER_INIT;
	folder.fd = fd;
	folder.memory_fd = memfd_create("names", MFD_CLOEXEC);
	if (folder.memory_fd < 0)
		return -errno;
	int error = fd < 0 ? make_empty(&folder, SLOTS_LEAST) : build(&folder);
	folder.fd = -1;
	if (error) {
		unmap(&folder);
		close_fd(&folder.memory_fd);
		return error;
	}
	*folder_out = folder;
	return 0;
}

/* A write through the mapping alone does not always change the file's time. */
static void note_use(const struct folder *folder)
{
	const uint64_t magic = MEMORY_MAGIC;
	if (pwrite(folder->memory_fd, &magic, sizeof magic, 0) < 0)
		return; /* then it is forgotten early, and built anew */
}

void folder_unlock(struct folder *folder)
{
	struct stat now;
	if (folder->memory && folder->memory->magic == MEMORY_MAGIC &&
	    fstat(folder->fd, &now) == 0) {
		folder->memory->ctime_ns = nanoseconds(now.st_ctim);
		folder->memory->mtime_ns = nanoseconds(now.st_mtim);
		note_use(folder);
	}
	unmap(folder);
	close_fd(&folder->memory_fd);
}

bool folder_has(const struct folder *folder, const char *name)
{
	return *find_slot(folder->memory, name_hash(name)) != 0;
}

/* Twice the slots, with what is remembered. On failure it stays as it was. */
static int grow(struct folder *folder)
{
	if (folder->memory->slots >= SLOTS_MOST)
		return -EOVERFLOW;
	auto_free struct folder_memory *before = malloc(folder->mapped);
	if (!before)
		return -ENOMEM;
	memcpy(before, folder->memory, folder->mapped);
	size_t size = memory_size(2 * before->slots);
	int error = posix_fallocate(folder->memory_fd, 0, (off_t)size);
	error = error ? -error : map(folder, size);
	if (error)
		return error;
	struct folder_memory *memory = folder->memory;
	memory->slots = 2 * before->slots;
	memory->count = 0;
	memset(memory->hashes, 0, memory->slots * sizeof memory->hashes[0]);
	for (uint64_t i = 0; i < before->slots; i++) {
		if (before->hashes[i])
			put_hash(memory, before->hashes[i]);
	}
	return 0;
}

int folder_add(struct folder *folder, const char *name)
{
	const struct folder_memory *memory = folder->memory;
	int error = memory->count + 1 >= memory->slots / 2 ? grow(folder) : 0;
	/* fuller than it should be is slow; full, a search would not end */
	if (error && folder->memory->count + 2 >= folder->memory->slots)
		return error;
	put_hash(folder->memory, name_hash(name));
	return 0;
}

static struct counter *counter_of(const struct folder *folder, const struct place_name *name,
				  uint64_t *hash_out)
{
	char text[sizeof name->stem + sizeof name->extension + 1];
	snprintf(text, sizeof text, "%s.%s", name->stem, name->extension);
	*hash_out = name_hash(text);
	return &folder->memory->counters[*hash_out & (COUNTERS - 1)];
}

unsigned folder_first(const struct folder *folder, const struct place_name *name)
{
	uint64_t hash;
	const struct counter *counter = counter_of(folder, name, &hash);
	return counter->name == hash && counter->first > 1 ? counter->first : 1;
}

void folder_set_first(struct folder *folder, const struct place_name *name, unsigned number)
{
	uint64_t hash;
	struct counter *counter = counter_of(folder, name, &hash);
	counter->name = hash;
	counter->first = number;
}

static bool is_unused(const struct stat *found)
{
	return S_ISREG(found->st_mode) && time(NULL) - found->st_mtime > KEEP_S;
}

/* The name is removed under the lock, and whoever waited for it looks again. */
static bool forget(int folders_fd, const char *name)
{
	struct stat found;
	if (fstatat(folders_fd, name, &found, AT_SYMLINK_NOFOLLOW) < 0 || !is_unused(&found))
		return false;
	auto_close int fd = openat(folders_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &found) == 0 &&
	       found.st_nlink > 0 && is_unused(&found) && unlinkat(folders_fd, name, 0) == 0;
}

int folder_tidy(int folders_fd)
{
	int forgotten = 0;
	DIR *names = open_names(folders_fd, ".");
	if (!names)
		return -errno;
	for (struct dirent *entry; (entry = readdir(names));)
		forgotten += forget(folders_fd, entry->d_name);
	closedir(names);
	return forgotten;
}
