/* test_mount.c: mounts as the kernel prints them, and what is said of each. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "daemon/courier/mount.h"
#include "daemon/keep.h"
#include "tests/unit/place.h"

#define HEAD "36 25 0:52 / /srv/scans "

struct told {
	char text[2000];
	unsigned count;
};

static void take(void *context, const char *how, const char *weakens, const char *remedy)
{
	struct told *told = context;
	size_t used = strlen(told->text);
	assert_true(*weakens && *remedy);
	snprintf(told->text + used, sizeof told->text - used, "%s: %s -> %s\n", how, weakens,
		 remedy);
	told->count++;
}

static bool judge(const char *line, enum mount_place place, struct told *told)
{
	char room[1000];
	struct mount mount;
	*told = (struct told){ .count = 0 };
	snprintf(room, sizeof room, "%s", line);
	if (!mount_read(room, &mount))
		return false;
	mount_judge(&mount, place, take, told);
	return true;
}

static void check(const char *line, enum mount_place place, const char *words, unsigned count)
{
	struct told told;
	if (!judge(line, place, &told))
		fail_msg("not read: %s", line);
	if (told.count != count || (words && !strstr(told.text, words)))
		fail_msg("%s of %s: %u, not %u: %s", line,
			 place == MOUNT_SHARE ? "a share" : "the state", told.count, count,
			 told.text);
}

/* What most people have must be quiet. */
static void healthy(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard,errors=remount-ro",
		HEAD
		"rw,noatime master:3 propagate_from:2 - ext4 /dev/sda1 rw,barrier=1,data=ordered",
		/* what is synced stays there with these, too */
		HEAD "rw,relatime - ext4 /dev/sda1 rw,commit=600,data=writeback",
		HEAD "rw,relatime - ext4 /dev/sda1 rw,dirsync,data=journal",
		HEAD "rw,relatime - ext3 /dev/sda1 rw",
		HEAD "rw,noexec,nosuid,nodev - xfs /dev/sda1 rw,attr2,inode64,logbufs=8,noquota",
		HEAD "rw - btrfs /dev/sda1 rw,space_cache=v2,nodatacow,subvolid=256,subvol=/@srv",
		HEAD "rw - zfs tank/scans rw,xattr,posixacl",
		HEAD "rw - f2fs /dev/sda1 rw,lazytime,background_gc=on,fsync_mode=posix",
		HEAD "rw - bcachefs /dev/sda1 rw",
		HEAD "rw - jfs /dev/sda1 rw",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		check(lines[i], MOUNT_SHARE, NULL, 0);
		check(lines[i], MOUNT_STATE, NULL, 0);
	}
}

static void weak(void **state)
{
	(void)state;
	static const struct {
		const char *line, *share, *state;
		unsigned shares, states; /* how many warnings */
	} rows[] = {
		{ HEAD "rw - tmpfs tmpfs rw,size=1024k", "tmpfs: files in memory",
		  "tmpfs: memory is empty", 1, 1 },
		{ HEAD "rw - ramfs none rw", "memory", "memory", 1, 1 },
		{ "412 400 0:60 / / rw,relatime - overlay overlay "
		  "rw,lowerdir=/l1:/l2,upperdir=/u,workdir=/w",
		  "mount a volume", "mount a volume", 1, 1 },
		{ HEAD "rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w,volatile",
		  "overlay with `volatile`: a sync does nothing", "`volatile`", 2, 2 },
		{ HEAD "rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w,fsync=volatile",
		  "`fsync=volatile`: a sync does nothing", "`fsync=volatile`", 2, 2 },
		{ HEAD "rw - fuse.fuse-overlayfs fuse-overlayfs rw,user_id=0,allow_other",
		  "container's own layer", "container's own layer", 1, 1 },
		{ HEAD "rw,relatime shared:7 - nfs4 nas:/scans "
		       "rw,vers=4.2,rsize=1048576,hard,proto=tcp,timeo=600,local_lock=none",
		  "export the folder with `sync`", "locks may not hold", 1, 1 },
		{ HEAD "rw - nfs nas:/scans rw,vers=3,soft,nolock", "nfs with `soft`",
		  "nfs with `nolock`", 2, 3 },
		{ HEAD "rw - cifs //nas/scans "
		       "rw,vers=3.1.1,cache=strict,username=scans,uid=1000,file_mode=0755",
		  "another machine's disk", "another machine's disk", 1, 1 },
		{ HEAD "rw - smb3 //nas/scans rw,nostrictsync", "does not reach the server",
		  "does not reach the server", 2, 2 },
		{ HEAD "rw - fuse.sshfs nas:/scans rw,user_id=0,group_id=0,allow_other",
		  "another machine's disk", "another machine's disk", 1, 1 },
		{ HEAD "rw - fuse.sshfs nas:/scans rw,user_id=0,group_id=0",
		  "fuse.sshfs without `allow_other`", "another machine's disk", 2, 1 },
		{ HEAD "rw - 9p C:\\134 rw,dirsync,aname=drvfs,cache=5,trans=fd", "host", "host", 1,
		  1 },
		{ HEAD "rw - virtiofs share rw", "host", "host", 1, 1 },
		{ HEAD "rw - fuse.grpcfuse grpcfuse rw,user_id=0,allow_other", "host", "host", 1,
		  1 },
		{ HEAD "rw - vfat /dev/sdb1 rw,fmask=0022", "owner, mode and ACL",
		  "plans and marks", 1, 1 },
		{ HEAD "rw - exfat /dev/sdb1 rw", "owner, mode and ACL", "plans and marks", 1, 1 },
		{ HEAD "rw - ntfs3 /dev/sdb1 rw", "no journal is kept", "no journal is kept", 1,
		  1 },
		{ HEAD "rw - fuseblk /dev/sdb1 rw,user_id=0,allow_other,blksize=4096",
		  "owner, mode and ACL", "plans and marks", 1, 1 },
		{ HEAD "rw - ext2 /dev/sdb1 rw", "no journal is kept", "plans and marks", 1, 1 },
		{ HEAD "rw - fuse.rclone remote: rw,allow_other", "after we have answered",
		  "too late", 1, 1 },
		{ HEAD "rw - ecryptfs /home/.x rw", "143 octets", NULL, 1, 0 },
		{ HEAD "rw - fuse.bindfs /srv/a rw,user_id=0,allow_other",
		  "fuse.bindfs: whether a sync reaches the disk", "FUSE server", 1, 1 },
		{ HEAD "rw - fuse.mergerfs 1:2 rw,user_id=0,allow_other", "FUSE server",
		  "FUSE server", 1, 1 },
		{ HEAD "rw - fuse dav rw,user_id=0", "without `allow_other`", "FUSE server", 2, 1 },
		{ HEAD "rw - ext4 /dev/sda1 rw,nobarrier", "ext4 with `nobarrier`",
		  "ext4 with `nobarrier`", 1, 1 },
		{ HEAD "rw - ext4 /dev/sda1 rw,barrier=0,data=writeback", "`barrier=0`",
		  "`barrier=0`", 1, 1 },
		{ HEAD "rw - btrfs /dev/sda1 rw,nobarrier,subvol=/", "`nobarrier`", "`nobarrier`",
		  1, 1 },
		{ HEAD "rw - f2fs /dev/sda1 rw,fsync_mode=nobarrier", "fsync_mode=nobarrier",
		  "empty its cache", 1, 1 },
		{ HEAD "rw,sync - ext4 /dev/sda1 rw", "`sync`: each single write", "`sync`", 1, 1 },
		{ HEAD "rw - ext4 /dev/sda1 rw,sync", "`sync`", "`sync`", 1, 1 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check(rows[i].line, MOUNT_SHARE, rows[i].share, rows[i].shares);
		check(rows[i].line, MOUNT_STATE, rows[i].state, rows[i].states);
	}
}

static void lines_that_are_none(void **state)
{
	(void)state;
	static const char *const lines[] = {
		"",
		"\n",
		"36",
		"36 25 0:52 / /srv",
		HEAD "rw",
		HEAD "rw - ext4",
		HEAD "rw - ext4 /dev/sda1",
		HEAD "rw shared:1 ext4 /dev/sda1 rw",
		"x 25 0:52 / /srv rw - tmpfs tmpfs rw",
		"36 25 0 / /srv rw - tmpfs tmpfs rw",
		" 25 0:52 / /srv rw - tmpfs tmpfs rw",
	};
	struct told told;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		if (judge(lines[i], MOUNT_SHARE, &told))
			fail_msg("read: %s", lines[i]);
	}
	/* a source may be empty, and a line has an end */
	assert_true(judge(HEAD "rw - tmpfs  rw\n", MOUNT_SHARE, &told));
	assert_int_equal(told.count, 1);
}

/* A list made up around a real folder: its own line is the one that counts. */
static void the_right_line(void **state)
{
	(void)state;
	static const char *const rows[] = { "ext4 /dev/sda1 rw", "tmpfs none rw" };
	static const char *const names[] = { "without", "with" };
	char path[64], list[600];
	int room_fd = place_make(path);
	struct statx folder;
	assert_int_equal(statx(room_fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &folder), 0);
	for (size_t i = 0; i < 2; i++) {
		unsigned long long id = folder.stx_mask & STATX_MNT_ID ? folder.stx_mnt_id : 1;
		snprintf(list, sizeof list,
			 "%llu 1 4095:0 / / rw - nfs nas:/ rw\n%llu 1 %u:%u / /srv rw - %s\n"
			 "%llu 1 4095:0 / / rw - vfat x rw\n",
			 id + 1, id, folder.stx_dev_major, folder.stx_dev_minor, rows[i], id + 2);
		place_file(room_fd, names[i], list);
		auto_close int list_fd = openat(room_fd, names[i], O_RDONLY | O_CLOEXEC);
		for (int turn = 0; turn < 2; turn++) { /* it can be read again */
			struct told told = { .count = 0 };
			assert_int_equal(mount_look(list_fd, room_fd, MOUNT_SHARE, take, &told), 0);
			assert_int_equal(told.count, i);
		}
	}
	struct told told = { .count = 0 };
	assert_true(mount_look(-1, room_fd, MOUNT_SHARE, take, &told) < 0);
	auto_close int none_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(mount_look(none_fd, room_fd, MOUNT_SHARE, take, &told), -ENOENT);
	auto_close int own_fd = mount_open_list();
	assert_int_equal(mount_look(own_fd, room_fd, MOUNT_SHARE, take, &told), 0);
	place_remove(path, room_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(healthy),
		cmocka_unit_test(weak),
		cmocka_unit_test(lines_that_are_none),
		cmocka_unit_test(the_right_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
