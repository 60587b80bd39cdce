/* template.h: `{received:%Y}_{name}` -> text, every value made safe. Room policy: pure.
 *
 * A template is parsed once, when the configuration is read; filling it in allocates nothing.
 * Literal text and the strftime formats of the configuration's author may hold /, where a folder is
 * meant; a value from the mail never makes one. In a file name the literal text is made safe like
 * everything else (filename_safe); in a folder what only a shell minds is let through
 * (filename_folder), and what SMB can't show is an error of the configuration.
 *
 *   {received:FMT} {date:FMT}  strftime with %Y %C %y %m %d %H %I %M %S %j %F %u %w %U %V %W %G %g
 *                              %a %A %b %B %h %p %z
 *                              %%; without :FMT it is %Y-%m-%d_%H%M%S
 *   {name} {n} {seq} {seq:3}   in file names only
 *   {from} {from.local} {from.domain}   the one address of From, else the envelope sender
 *   {to} {to.local} {to.tag}   {to.local} is all before the @ with its tag; the tag is what follows
 *                              the first + there
 *   {subject} {source} {route} {peer}
 *   {{ }}                      one brace
 *   .{ext}                     at the end of a file name: means nothing, we append it anyway
 *
 * An empty value becomes `unknown`; {subject} `no-subject`, {to.tag} `no-tag`, {name} `scan`. Where
 * all values together are too long the longest give way first; literal text, times and numbers are
 * never cut. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "policy/facts.h"

#define TEMPLATE_ERROR_MAX 160
#define TEMPLATE_SEQ \
	'\x01' /* stands in the text where {seq} goes, followed by one octet: '0' + digits */

enum template_kind { TEMPLATE_FOLDER, TEMPLATE_NAME };

struct template
{
	struct template_piece *pieces; /* owned; NULL: empty */
	size_t count;
};

/* What only the caller knows. */
struct template_values {
	const struct facts *facts;
	const char *to;    /* the recipient that led to this route, "" for none */
	const char *route; /* its name */
	const char *name;  /* {name}: a safe stem (filename.h) */
	unsigned number;   /* {n} */
};

/* Names every fault, as words that follow the name of the key ("has {foo}, expected …"): a name
 * that does not exist, a brace that is not closed, / in a file name, .. in a folder, {seq}, {n} or
 * {name} in a folder. `text` is not kept. */
bool template_parse(const char *text, enum template_kind kind, struct template *template_out,
		    char error_out[TEMPLATE_ERROR_MAX]);
void template_done(struct template *template);

bool template_has_seq(const struct template *template);

/* Writes the text; for TEMPLATE_FOLDER a relative path without empty, `.` or `..` components (""
 * for the share itself), for TEMPLATE_NAME one component without extension; with {seq} in it, it is
 * safe only once the number is in (place_number). `text_size` is at least 128 octets. False, with
 * *text "": the folder's path does not fit. */
bool template_expand(const struct template *template, enum template_kind kind,
		     const struct template_values *values, char *text, size_t text_size);

/* The first components of a folder that are the same for every message, in the form of
 * template_expand: "" for none. */
void template_fixed(const struct template *template, char *text, size_t text_size);
