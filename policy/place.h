/* place.h: which share, folder, owner, group, mode, ACL and name a part gets. Room policy: pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "policy/facts.h"
#include "policy/rules.h"

#define PLACE_FOLDER_MAX 1023 /* octets of a folder's path below the share */

struct place {
	uint16_t share;        /* index into rules->shares */
	uint32_t owner, group; /* RULES_UNSET: as inherited */
	uint32_t mode, folder_mode;
	const char *acl;
	char folder[PLACE_FOLDER_MAX + 1]; /* relative, safe; "": the share itself */
};

/* A name that still lacks its numbers. */
struct place_name {
	char stem[256];     /* with TEMPLATE_SEQ where {seq} goes */
	char extension[16]; /* "" or without the dot */
};

/* Where the parts of a message go on this route. `to`: the recipient that led here, "" for none.
 * False: the folder's path is too long. */
bool place_of(const struct rules *rules, size_t route, const struct facts *facts, const char *to,
	      struct place *place_out);

/* `name`: the sender's file name or NULL; `number`: {n}; `extension`: canonical. */
void place_name(const struct rules *rules, size_t route, const struct facts *facts, const char *to,
		const char *name, unsigned number, const char *extension,
		struct place_name *name_out);

/* Does the stem hold {seq}? */
bool place_name_has_seq(const struct place_name *name);

#define PLACE_NAME_SHORT 120 /* octets of a name where the file system allows less than usual */

/* The name with its numbers: `seq` in place of {seq}, ` (copy)` before the extension where copy >
 * 1; cut at a character so that it has at most `max` octets (PLACE_NAME_SHORT up to
 * FILENAME_MAX_BYTES), numbers and extension whole. `text` holds `max` + 1. */
void place_number(const struct place_name *name, unsigned seq, unsigned copy, size_t max,
		  char *text);
