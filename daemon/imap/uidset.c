/* uidset.c: a sorted array. Never asks where its numbers come from. */
#include "daemon/imap/uidset.h"
#include <stdlib.h>
#include <string.h>

/* The place of the UID, or where it belongs. */
static size_t find(const struct uidset *set, uint32_t uid)
{
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (set->uids[middle] < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool uidset_has(const struct uidset *set, uint32_t uid)
{
	size_t at = find(set, uid);
	return at < set->count && set->uids[at] == uid;
}

void uidset_add(struct uidset *set, uint32_t uid)
{
	size_t at = find(set, uid);
	if (at < set->count && set->uids[at] == uid)
		return;
	if (set->count == set->room) {
		set->room = set->room ? set->room * 2 : 64;
		set->uids = realloc(set->uids, set->room * sizeof *set->uids);
		if (!set->uids)
			abort();
	}
	memmove(set->uids + at + 1, set->uids + at, (set->count - at) * sizeof *set->uids);
	set->uids[at] = uid;
	set->count++;
}

void uidset_remove(struct uidset *set, uint32_t uid)
{
	size_t at = find(set, uid);
	if (at == set->count || set->uids[at] != uid)
		return;
	set->count--;
	memmove(set->uids + at, set->uids + at + 1, (set->count - at) * sizeof *set->uids);
}

void uidset_done(struct uidset *set)
{
	free(set->uids);
	*set = (struct uidset){ 0 };
}
