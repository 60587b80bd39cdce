/* uidset.h: a set of UIDs. Room daemon/imap; plain data. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uidset {
	uint32_t *uids; /* owned; ascending */
	size_t count, room;
};

bool uidset_has(const struct uidset *set, uint32_t uid);
void uidset_add(struct uidset *set, uint32_t uid);
void uidset_remove(struct uidset *set, uint32_t uid);
void uidset_done(struct uidset *set);
