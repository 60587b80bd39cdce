/* racer.c: a hostile user of a share: makes attempts of the kinds that he is told, over and over, until the board
 * says stop. Runs as that user, in the share's root. What he must not be able to do, and could, he prints, a line each.
 *
 *   racer BOARD OUT TASK...     BOARD: a file of two numbers, mapped; OUT: a folder of his own, on the same disk
 *
 * A task is VERB:A or VERB:A=B, both names below the share's root; one of them is chosen for each attempt:
 *   swap:A=B     A and B change places, and back
 *   away:A=B     A goes to B; back, or in exchange with what came to be at A meanwhile
 *   move:A       the folder A goes to OUT, a new one takes its place
 *   take:A=B     the next names like `A (2).pdf` are taken by links to B, folders, pipes, sockets and files, which must
 *                be there still when he removes them; risk:A=B  the same, and they may be gone
 *   make:A=B     the folder A gets another name; as soon as there is another, it and the folder B change
 *                places, and back
 *   rule:A       the rights of his folder A: mode, sticky, setgid, default ACL
 *   peek:A       reads what lies in the folder A
 * and, once at the start:
 *   lock:A       holds A locked */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define NAMES    6   /* that are taken */
#define SPIN_US  40  /* a pause shorter than this is no sleep */
#define TRIES    400 /* for a folder that somebody else is about to make */
#define PATH_MOST 512

struct board {
	_Atomic uint64_t stop, flips;   /* flips: what he changed, or looked at */
	_Atomic uint64_t rest, resting; /* he is asked to stand still; he does, between two attempts */
};

struct task {
	const char *verb, *a, *b;
};

static struct board *board;
static int out_fd;
static const char *out;
static unsigned out_count;

static bool is_called(void)
{
	return atomic_load(&board->stop) || atomic_load(&board->rest);
}

static void rest(void)
{
	atomic_store(&board->resting, 1);
	while (atomic_load(&board->rest) && !atomic_load(&board->stop))
		usleep(200);
	atomic_store(&board->resting, 0);
}

static unsigned chance(unsigned below)
{
	return (unsigned)(random() % below);
}

static void wait_us(unsigned us)
{
	struct timespec start, now;
	if (us > SPIN_US) {
		usleep(us);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &start);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - start.tv_sec) * 1000000 + (now.tv_nsec - start.tv_nsec) / 1000 < us);
}

/* Mostly as short as a system call or two, now and then as long as a delivery. */
static void pause_a_little(void)
{
	static const unsigned most_us[] = { 1, 20, 20, 200, 200, 1000, 4000 };
	wait_us(chance(most_us[chance(sizeof most_us / sizeof most_us[0])]));
}

static bool flip(const char *a, const char *b, unsigned flags)
{
	if (renameat2(AT_FDCWD, a, AT_FDCWD, b, flags) < 0)
		return false;
	atomic_fetch_add(&board->flips, 1);
	return true;
}

static void swap(const struct task *task)
{
	if (!flip(task->a, task->b, RENAME_EXCHANGE))
		return;
	pause_a_little();
	while (!flip(task->a, task->b, RENAME_EXCHANGE) && errno == ENOENT && !is_called())
		;
}

static void away(const struct task *task)
{
	if (!flip(task->a, task->b, RENAME_NOREPLACE) && !flip(task->a, task->b, RENAME_EXCHANGE))
		return;
	pause_a_little();
	if (!flip(task->b, task->a, RENAME_NOREPLACE) && chance(2))
		flip(task->b, task->a, RENAME_EXCHANGE);
}

static void name_out(char path[PATH_MOST])
{
	snprintf(path, PATH_MOST, "%s/out-%d-%u", out, (int)getpid(), out_count++);
}

/* A folder that the gateway has made may be moved within its parent only. */
static bool move_out(const char *name)
{
	char path[PATH_MOST];
	name_out(path);
	if (flip(name, path, RENAME_NOREPLACE))
		return true;
	snprintf(path, sizeof path, "%s.%u", name, out_count++);
	return flip(name, path, RENAME_NOREPLACE);
}

static void move(const struct task *task)
{
	char fresh[PATH_MOST];
	name_out(fresh);
	mkdir(fresh, 0777);
	if (chance(2) && flip(task->a, fresh, RENAME_EXCHANGE))
		return;
	do {
		move_out(task->a);
		pause_a_little();
	} while (!flip(fresh, task->a, RENAME_NOREPLACE) && !is_called());
}

/* What is no mail's is removed, out of everybody's way. Returns its inode number, 0 if there was nothing. */
static ino_t remove_taken(const char *name)
{
	char path[PATH_MOST];
	struct stat found;
	name_out(path);
	if (renameat2(AT_FDCWD, name, AT_FDCWD, path, RENAME_NOREPLACE) < 0 || lstat(path, &found) < 0)
		return 0;
	if (S_ISDIR(found.st_mode))
		rmdir(path);
	else if (!S_ISREG(found.st_mode) || found.st_size < 100)
		unlink(path);
	return found.st_ino;
}

static bool make_socket(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (strlen(name) < sizeof address.sun_path)
		strcpy(address.sun_path, name);
	bool made = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
	close(fd);
	return made;
}

static bool make_any(const char *name, const char *target)
{
	char own[PATH_MOST];
	int fd;
	snprintf(own, sizeof own, "%s/own", out);
	switch (chance(7)) {
	case 0: return symlink(target, name) == 0;
	case 1: return link(own, name) == 0;
	case 2: return link(target, name) == 0;
	case 3: return mkdir(name, 0777) == 0;
	case 4: return mkfifo(name, 0666) == 0;
	case 5: return make_socket(name);
	default:
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0666);
		close(fd);
		return fd >= 0;
	}
}

static void name_number(const char *stem, unsigned number, char name[PATH_MOST])
{
	if (number == 1)
		snprintf(name, PATH_MOST, "%s.pdf", stem);
	else
		snprintf(name, PATH_MOST, "%s (%u).pdf", stem, number);
}

static bool exists(const char *stem, unsigned number)
{
	struct stat found;
	char name[PATH_MOST];
	name_number(stem, number, name);
	return lstat(name, &found) == 0;
}

/* The name that the next mail would get, or one near it. */
static void name_next(const char *stem, char name[PATH_MOST])
{
	static unsigned next = 1;
	if (next > 1 && !exists(stem, next - 1))
		next = 1;
	while (exists(stem, next))
		next++;
	name_number(stem, next + (chance(2) ? 0 : chance(NAMES)), name);
}

static bool take_name(const struct task *task, char name[PATH_MOST])
{
	struct stat made;
	name_next(task->a, name);
	if (!make_any(name, task->b) || lstat(name, &made) < 0)
		return true;
	atomic_fetch_add(&board->flips, 1);
	pause_a_little();
	return remove_taken(name) == made.st_ino;
}

static void take(const struct task *task)
{
	char name[PATH_MOST];
	if (!take_name(task, name))
		printf("replaced %s\n", name);
}

/* Where the gateway can't help it. */
static void risk(const struct task *task)
{
	char name[PATH_MOST];
	take_name(task, name);
}

static void make(const struct task *task)
{
	char path[PATH_MOST];
	bool met = false;
	snprintf(path, sizeof path, "%s.%u", task->a, out_count++);
	flip(task->a, path, RENAME_NOREPLACE);
	for (int i = 0; i < TRIES && !met; i++)
		met = flip(task->a, task->b, RENAME_EXCHANGE);
	if (!met)
		return;
	pause_a_little();
	flip(task->a, task->b, RENAME_EXCHANGE);
}

/* user::rwx, user:<himself>:rwx, group::rwx, mask::rwx, other::rwx */
static void set_default_acl(const char *folder)
{
	struct entry {
		uint16_t tag, rights;
		uint32_t id;
	};
	struct {
		uint32_t version;
		struct entry entries[5];
	} acl = { 2, { { 1, 7, -1u }, { 2, 7, getuid() }, { 4, 7, -1u }, { 16, 7, -1u }, { 32, 7, -1u } } };
	setxattr(folder, "system.posix_acl_default", &acl, sizeof acl, 0);
}

static void rule(const struct task *task)
{
	static const mode_t modes[] = { 0777, 01777, 02777, 03777, 0700, 0, 02070 };
	chmod(task->a, modes[chance(sizeof modes / sizeof modes[0])]);
	if (chance(2))
		set_default_acl(task->a);
	else
		removexattr(task->a, "system.posix_acl_default");
	atomic_fetch_add(&board->flips, 1);
	pause_a_little();
}

/* A mail's octets where he has no right to read them. */
static void read_one(int folder_fd, const char *name)
{
	char head[8];
	int fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	if (fd >= 0 && read(fd, head, sizeof head) >= 5 && memcmp(head, "%PDF-", 5) == 0)
		printf("read %s\n", name);
	close(fd);
}

static void peek_below(int at_fd, const char *name, int depth)
{
	int fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	DIR *names = fd < 0 ? NULL : fdopendir(fd);
	for (struct dirent *entry; names && (entry = readdir(names));) {
		if (entry->d_type == DT_REG)
			read_one(fd, entry->d_name);
		else if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && depth > 0)
			peek_below(fd, entry->d_name, depth - 1);
	}
	if (names)
		closedir(names);
}

static void peek(const struct task *task)
{
	peek_below(AT_FDCWD, task->a, 2);
	atomic_fetch_add(&board->flips, 1);
}

static void lock(const struct task *task)
{
	int fd = open(task->a, O_RDONLY);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		printf("%s can't be locked: %s\n", task->a, strerror(errno));
}

static const struct verb {
	const char *name;
	void (*attempt)(const struct task *task);
	bool once;
} verbs[] = {
	{ "swap", swap, false }, { "away", away, false }, { "move", move, false },
	{ "take", take, false }, { "risk", risk, false }, { "make", make, false },
	{ "rule", rule, false }, { "peek", peek, false }, { "lock", lock, true },
};

static const struct verb *find_verb(const struct task *task)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(verbs[i].name, task->verb) == 0)
			return &verbs[i];
	}
	fprintf(stderr, "no such verb: %s\n", task->verb);
	exit(64);
}

static struct task parse(char *text)
{
	struct task task = { .verb = strsep(&text, ":") };
	task.a = strsep(&text, "=");
	task.b = text;
	return task;
}

int main(int argc, char **argv)
{
	int fd = argc < 4 ? -1 : open(argv[1], O_RDWR);
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	out = argv[2];
	out_fd = open(out, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || board == MAP_FAILED || out_fd < 0)
		return 64;
	umask(0);
	srandom((unsigned)getpid());
	struct task *tasks = calloc((size_t)argc, sizeof *tasks);
	unsigned count = 0;
	for (int i = 3; i < argc; i++) {
		tasks[count] = parse(argv[i]);
		const struct verb *verb = find_verb(&tasks[count]);
		if (verb->once)
			verb->attempt(&tasks[count]);
		count += !verb->once;
	}
	while (!atomic_load(&board->stop)) {
		const struct task *task = &tasks[chance(count)];
		if (atomic_load(&board->rest))
			rest();
		find_verb(task)->attempt(task);
		if (chance(3) == 0)
			pause_a_little();
	}
	fflush(stdout);
	return 0;
}
