/* nfs_watch.c URL: lists an NFS export in a tight loop, and reads each new file at once. For
 * bed.Watcher. */
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <sys/time.h>
#include <nfsc/libnfs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MAX 20000

static struct {
	char *name;
	uint64_t size;
} seen[NAMES_MAX];
static size_t seen_count;
static unsigned long listings, sightings, odd;

static void die(struct nfs_context *nfs, const char *what)
{
	fprintf(stderr, "%s: %s\n", what, nfs_get_error(nfs));
	exit(1);
}

/* The names here are plain ASCII. */
static void tell(struct nfs_context *nfs, const char *name, uint64_t listed)
{
	static char room[1 << 16];
	struct sha256_ctx digest;
	struct nfsfh *file;
	uint8_t value[SHA256_DIGEST_SIZE];
	uint64_t size = 0;
	int count;
	sha256_init(&digest);
	if (nfs_open(nfs, name, O_RDONLY, &file) != 0) {
		printf("{\"name\": \"%s\", \"listed\": %" PRIu64 ", \"read\": \"can't be opened\", "
		       "\"sha256\": \"\"}\n",
		       name, listed);
		return;
	}
	while ((count = nfs_read(nfs, file, sizeof room, room)) > 0) {
		sha256_update(&digest, (size_t)count, (const uint8_t *)room);
		size += (uint64_t)count;
	}
	nfs_close(nfs, file);
	sha256_digest(&digest, sizeof value, value);
	printf("{\"name\": \"%s\", \"listed\": %" PRIu64 ", \"read\": %" PRIu64 ", \"sha256\": \"",
	       name, listed, size);
	for (size_t i = 0; i < sizeof value; i++)
		printf("%02x", value[i]);
	printf("\"}\n");
	fflush(stdout);
}

static void look(struct nfs_context *nfs, const char *name, uint64_t size)
{
	size_t i = 0;
	while (i < seen_count && strcmp(seen[i].name, name) != 0)
		i++;
	if (i == NAMES_MAX)
		exit(1);
	if (i == seen_count) {
		seen[seen_count++].name = strdup(name);
		seen[i].size = size;
		tell(nfs, name, size);
	} else if (seen[i].size != size) {
		seen[i].size = size;
		odd++;
	}
}

static void list(struct nfs_context *nfs)
{
	struct nfsdir *folder;
	struct nfsdirent *entry;
	if (nfs_opendir(nfs, "/", &folder) != 0)
		die(nfs, "listing");
	while ((entry = nfs_readdir(nfs, folder))) {
		if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
			continue;
		sightings++;
		look(nfs, entry->name, entry->size);
	}
	nfs_closedir(nfs, folder);
	listings++;
}

int main(int argc, char **argv)
{
	struct nfs_context *nfs = nfs_init_context();
	struct nfs_url *url = argc > 1 ? nfs_parse_url_dir(nfs, argv[1]) : NULL;
	struct pollfd end = { .fd = 0, .events = POLLIN };
	if (!url || nfs_mount(nfs, url->server, url->path) != 0)
		die(nfs, "mounting");
	nfs_set_dircache(nfs, 0);
	printf("ready\n");
	fflush(stdout);
	for (int ending = 0; !ending;) { /* and once more, when all has come */
		ending = poll(&end, 1, 0);
		list(nfs);
	}
	printf("{\"listings\": %lu, \"sightings\": %lu, \"odd\": [", listings, sightings);
	for (unsigned long i = 0; i < odd; i++)
		printf("%s\"a size that changed\"", i > 0 ? ", " : "");
	printf("]}\n");
	return 0;
}
