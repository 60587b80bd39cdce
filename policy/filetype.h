/* filetype.h: which types there are, and whether the name's ending agrees with the bytes. Room
 * policy: pure.
 *
 * Users write class names (pdf, jpeg, docx …), never MIME types. A class has the types that
 * libmagic gives (made exact by extract/sniff.h), the endings that go with it, and the canonical
 * ending that a stored file gets. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILETYPE_MAX 64 /* classes: a set of them is a uint64_t */

struct filetype {
	const char *name;         /* the class: "pdf" */
	const char *extension;    /* canonical: "pdf", "jpg", "tif" … */
	const char *const *mimes; /* NULL at the end */
	const char *const *
		endings; /* every ending that agrees, the canonical one included; NULL at the end */
	const char *help;
};

/* The table; the class `other` (no type known to us; extension "bin") comes last. */
const struct filetype *filetype_table(size_t *count_out);

/* The class of a MIME type of the bytes; the row `other` where none has it. Never NULL. */
const struct filetype *filetype_of_mime(const char *mime);

/* -1: no such class. */
int filetype_index(const char *name);

/* What a word of `types = ` allows, as a set (bit i: class i): a class, or `any`: all of them,
 * `other` too. `text` brings `csv` along: libmagic takes prose with commas for a table. False: no
 * such word. */
bool filetype_set(const char *name, uint64_t *set_out);

bool filetype_in_set(const struct filetype *type, uint64_t set);

/* Does the ending of a file name (after its last dot; case-blind) belong to the class? */
bool filetype_agrees(const struct filetype *type, const char *name);

/* Is this an ending (without the dot) of any class? */
bool filetype_is_ending(const char *ending);
