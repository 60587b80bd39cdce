/* filename.h: a hostile name -> a name that is safe for ext4, SMB and a shell prompt. Room policy:
 * pure, and no allocation.
 *
 * Safe: valid UTF-8 in NFC; no control, bidirectional, invisible or unassigned character; none of /
 * \ : * ? " < > | (SMB) nor of ` $ ; & ' ! # ~ ^ [ ] { } (a shell prompt, a listing in HTML); no
 * leading dot, dash, + = or @, no trailing dot or blank, no two dots in a row; no DOS device name
 * and no name that a desktop runs or hides by itself; never empty. What is not safe becomes _;
 * every blank of Unicode becomes a plain one. Blanks, parentheses, commas and letters of all
 * scripts stay.
 *
 * Making a safe name safe gives the same name. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILENAME_MAX_BYTES                                                    \
	200 /* of a whole stored name, ` (n)` and extension included (octets) \
	     */

/* Makes one path component safe, cut at a character so that it has at most `max` octets (1 or
 * more). `safe` holds `max` + 1. Bytes that are not UTF-8 are read as Latin-1. Where nothing of the
 * name is left, `fallback` (which is safe) is used. */
void filename_safe(const char *name, const char *fallback, char *safe, size_t max);

/* The same for a folder that our own configuration names, after its placeholders are filled in:
 * what only a shell minds is let through, since a folder `Tom & Ina` may exist. */
void filename_folder(const char *name, const char *fallback, char *safe, size_t max);

/* The stem of the sender's file name: its filename_base without single quotes around it, and
 * without an ending that is one (filetype.h knows it, or two to four letters and digits that begin
 * with a letter); made safe. "scan" where the mail gives none. `stem` holds `max` + 1. */
void filename_stem(const char *name, char *stem, size_t max);

/* What follows the last / or \ of the sender's file name, if what is before it looks like folders:
 * `Invoice 12/2024.pdf` is a name. Points into it. */
const char *filename_base(const char *name);

/* The same name in plain ASCII, for file systems that refuse others: each character that is not
 * ASCII becomes _. In place. A safe name stays safe. */
void filename_ascii(char *name);

/* What two names have in common that an SMB client or a Mac can't tell apart: canonical
 * decomposition, case folded both ways (upper, then full folding: the tables of Windows, Samba and
 * Apple each do a part of that), without invisible characters and trailing dots and blanks; then
 * hashed (64 bits, FNV-1a). Any bytes are taken. Equal names give equal values; different ones may
 * collide, which costs a number, not a file. */
uint64_t filename_fold(const char *name);
