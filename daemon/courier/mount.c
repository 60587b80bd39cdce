/* mount.c: finds the mount of a folder and compares it with a list of what weakens a promise. Never
 * touches the folder. */
#define _GNU_SOURCE
#include "daemon/courier/mount.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "daemon/keep.h"

#define DISK "give it a folder on a disk of this machine, with ext4, xfs or btrfs"
#define TWICE                                                                       \
	"a device that tries again may then store a second file, and what was put " \
	"aside or held is lost"

/* Types between blanks; one that ends with `*` is all that begin so. The first row that knows a
 * type speaks. ext4, xfs, btrfs, f2fs, zfs and the like are not here: what they sync stays. bindfs,
 * mergerfs and sshfs say yes to the sync of a folder and don't pass it on. */
static const struct {
	const char *types;
	struct {
		const char *weakens, *remedy; /* NULL: nothing */
	} places[MOUNT_PLACES];
} kinds[] = {
	{ "tmpfs ramfs",
	  { [MOUNT_SHARE] = { "files in memory are gone after a restart of the machine, also those "
			      "that were answered 250",
			      DISK },
	    [MOUNT_STATE] = { "memory is empty after a restart of the machine: " TWICE, DISK } } },
	{ "overlay aufs fuse.fuse-overlayfs",
	  { [MOUNT_SHARE] = { "a container's own layer goes with the container, and the files with "
			      "it, also those that were answered 250",
			      "mount a volume there" },
	    [MOUNT_STATE] = { "a container's own layer goes with the container: " TWICE,
			      "mount a volume there" } } },
	{ "nfs nfs4 cifs smb3 smbfs ceph glusterfs lustre afs fuse.sshfs fuse.glusterfs "
	  "fuse.ceph*",
	  { [MOUNT_SHARE] = { "it is another machine's disk: what was answered 250 outlives a power "
			      "cut there only if that machine syncs when it is asked to, and programs "
			      "on other machines that watch the folder are not woken",
			      "run letterchute on that machine, or export the folder with `sync`" },
	    [MOUNT_STATE] = { "it is another machine's disk: plans and marks outlive a power cut "
			      "there only if that machine syncs when it is asked to, and locks may "
			      "not hold between machines",
			      DISK } } },
	{ "9p virtiofs vboxsf prl_fs fakeowner fuse.vmhgfs-fuse fuse.grpcfuse fuse.osxfs",
	  { [MOUNT_SHARE] = { "it is a folder of this virtual machine's host: whether a sync reaches "
			      "the disk, and whose the files are there, is up to the host",
			      "give it a disk of the virtual machine, or a volume of the container "
			      "engine" },
	    [MOUNT_STATE] = { "it is a folder of this virtual machine's host: whether a sync reaches "
			      "the disk, and whether locks hold, is up to the host",
			      "give it a disk of the virtual machine, or a volume of the container "
			      "engine" } } },
	{ "vfat msdos exfat ntfs fuseblk fuse.fusefat fuse.exfat* fuse.ntfs*",
	  { [MOUNT_SHARE] = { "owner, mode and ACL are those of the mount, not of each file, and a "
			      "power cut can cost files that were answered 250",
			      "use a disk with ext4, xfs or btrfs" },
	    [MOUNT_STATE] = { "owner and mode are those of the mount, and a power cut can cost plans "
			      "and marks",
			      DISK } } },
	{ "ext2 minix ntfs3 hfsplus",
	  { [MOUNT_SHARE] = { "no journal is kept: a power cut can cost files that were answered 250",
			      "use a disk with ext4, xfs or btrfs" },
	    [MOUNT_STATE] = { "no journal is kept: a power cut can cost plans and marks",
			      DISK } } },
	{ "fuse.rclone fuse.s3fs fuse.goofys fuse.gcsfuse fuse.google-drive-ocamlfuse",
	  { [MOUNT_SHARE] = { "files reach their provider some time after we have answered 250",
			      "share a folder on a disk, and copy from there" },
	    [MOUNT_STATE] = { "plans and marks reach their provider too late, or never", DISK } } },
	{ "ecryptfs",
	  { [MOUNT_SHARE] = { "names longer than 143 octets are cut to fit",
			      "shorten `name` of the routes" } } },
	{ "fuse fuse.*",
	  { [MOUNT_SHARE] = { "whether a sync reaches the disk is up to its FUSE server, and many do "
			      "not pass on that of a folder: a power cut can cost files that were "
			      "answered 250",
			      "share the folder that it shows, or one on a disk" },
	    [MOUNT_STATE] = { "whether a sync reaches the disk is up to its FUSE server: a power cut "
			      "can cost plans and marks",
			      DISK } } },
};

#define BOTH (1u << MOUNT_SHARE | 1u << MOUNT_STATE)

#define CACHE                                                                              \
	"the disk is not told to empty its cache: a power cut can cost what was answered " \
	"250"
#define WITHOUT "mount it without this option"

/* Options that are there, or with `absent` those that are not. Not here: data=writeback and commit
 * of ext4, which change nothing of what is synced (tests/power with them loses nothing, and with
 * barrier=0 much). */
static const struct {
	const char *types, *option;
	bool absent;
	unsigned places;
	const char *weakens, *remedy;
} options[] = {
	{ "*", "nobarrier", false, BOTH, CACHE, WITHOUT },
	{ "*", "barrier=0", false, BOTH, CACHE, WITHOUT },
	{ "f2fs", "fsync_mode=nobarrier", false, BOTH, CACHE, WITHOUT },
	{ "overlay", "volatile", false, BOTH,
	  "a sync does nothing: a power cut can cost what was answered 250", WITHOUT },
	{ "overlay", "fsync=volatile", false, BOTH, /* as younger kernels say it */
	  "a sync does nothing: a power cut can cost what was answered 250", WITHOUT },
	{ "cifs smb3", "nostrictsync", false, BOTH,
	  "a sync does not reach the server: a power cut can cost what was answered 250", WITHOUT },
	{ "nfs nfs4", "soft", false, BOTH,
	  "what takes the server long is told as failed and may be done all the same",
	  "mount it with `hard`" },
	{ "nfs nfs4", "nolock", false, 1u << MOUNT_STATE,
	  "two machines with this `state` don't see each other's locks", WITHOUT },
	{ "fuse fuse.* fuseblk", "allow_other", true, 1u << MOUNT_SHARE,
	  "nobody but the user who mounted it sees the files, neither Samba nor NFS nor a reader",
	  "mount it with allow_other" },
	{ "*", "sync", false, BOTH,
	  "each single write waits for the disk: a big mail may not be answered in time",
	  "mount it without this option; what must be synced we sync" },
};

static bool is_listed(const char *list, const char *word)
{
	while (*list) {
		size_t size = strcspn(list, " ");
		bool open = list[size - 1] == '*';
		if (open ? strncmp(list, word, size - 1) == 0
			 : strlen(word) == size && memcmp(list, word, size) == 0)
			return true;
		list += size + strspn(list + size, " ");
	}
	return false;
}

static bool has_option(const char *list, const char *option)
{
	size_t length = strlen(option);
	for (; *list; list += *list == ',') {
		size_t size = strcspn(list, ",");
		if (size == length && memcmp(list, option, size) == 0)
			return true;
		list += size;
	}
	return false;
}

bool mount_read(char *line, struct mount *mount_out)
{
	enum { ID, PARENT, DEVICE, ROOT, POINT, OPTIONS, WORDS };
	const char *words[WORDS], *word = "";
	line[strcspn(line, "\n")] = '\0';
	for (int i = 0; i < WORDS; i++) {
		words[i] = strsep(&line, " ");
		if (!words[i])
			return false;
	}
	while (word && strcmp(word, "-") != 0) /* tags, as many as there are */
		word = strsep(&line, " ");
	const char *type = strsep(&line, " "), *source = strsep(&line, " "), *super = line;
	struct mount mount = { .type = type, .options = words[OPTIONS], .super = super };
	char *end;
	mount.id = strtoull(words[ID], &end, 10);
	if (!source || !super || *end || end == words[ID] ||
	    sscanf(words[DEVICE], "%u:%u", &mount.major, &mount.minor) != 2)
		return false;
	*mount_out = mount;
	return true;
}

static void judge_kind(const struct mount *mount, enum mount_place place, mount_told told,
		       void *context)
{
	size_t i = 0;
	while (i < sizeof kinds / sizeof kinds[0] && !is_listed(kinds[i].types, mount->type))
		i++;
	if (i < sizeof kinds / sizeof kinds[0] && kinds[i].places[place].weakens)
		told(context, mount->type, kinds[i].places[place].weakens,
		     kinds[i].places[place].remedy);
}

static void judge_options(const struct mount *mount, enum mount_place place, mount_told told,
			  void *context)
{
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		char how[80];
		bool there = has_option(mount->options, options[i].option) ||
			     has_option(mount->super, options[i].option);
		if (there == options[i].absent || !(options[i].places & 1u << place) ||
		    !is_listed(options[i].types, mount->type))
			continue;
		snprintf(how, sizeof how, "%.40s %s `%s`", mount->type, there ? "with" : "without",
			 options[i].option);
		told(context, how, options[i].weakens, options[i].remedy);
	}
}

void mount_judge(const struct mount *mount, enum mount_place place, mount_told told, void *context)
{
	judge_kind(mount, place, told, context);
	judge_options(mount, place, told, context);
}

int mount_open_list(void)
{
	return open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
}

/* Kernels before 5.8 don't say which mount a folder lies on: then by its device, which is no
 * mount's in a subvolume of btrfs. */
static bool is_of(const struct mount *mount, const struct statx *folder)
{
	if (folder->stx_mask & STATX_MNT_ID)
		return mount->id == folder->stx_mnt_id;
	return mount->major == folder->stx_dev_major && mount->minor == folder->stx_dev_minor;
}

static int find(FILE *list, const struct statx *folder, enum mount_place place, mount_told told,
		void *context)
{
	auto_free char *line = NULL;
	size_t room = 0;
	while (getline(&line, &room, list) > 0) {
		struct mount mount;
		if (!mount_read(line, &mount) || !is_of(&mount, folder))
			continue;
		mount_judge(&mount, place, told, context);
		return 0;
	}
	return ferror(list) ? -EIO : -ENOENT;
}

int mount_look(int list_fd, int folder_fd, enum mount_place place, mount_told told, void *context)
{
	struct statx folder;
	if (statx(folder_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &folder) < 0)
		return -errno;
	auto_close int fd = fcntl(list_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	FILE *list = fdopen(fd, "r");
	if (!list)
		return -errno;
	take_fd(&fd);
	int error = find(list, &folder, place, told, context);
	fclose(list);
	return error;
}
