/* place.c: where a part goes and what it is called there, but for the numbers that only a look into
 * the folder can tell. Never looks into a folder. */
#include "policy/place.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "policy/filename.h"
#include "policy/template.h"

#define COPY_MAX 13 /* octets of ` (4294967295)` */
#define SEQ_MAX  10 /* octets of a {seq} */

bool place_of(const struct rules *rules, size_t route, const struct facts *facts, const char *to,
	      struct place *place_out)
{
	const struct rules_route *rule = &rules->routes[route];
	const struct rules_share *share = &rules->shares[rule->share];
	struct template_values values = { .facts = facts, .to = to, .route = rule->name };
	struct place place = { .share = rule->share,
			       .owner = rule->owner,
			       .group = rule->group,
			       .mode = rule->mode,
			       .folder_mode = share->folder_mode,
			       .acl = rule->acl };
	if (!template_expand(&rule->folder, TEMPLATE_FOLDER, &values, place.folder,
			     sizeof place.folder))
		return false;
	*place_out = place;
	return true;
}

/* `scan.pdf.exe` that is a PDF becomes scan.pdf, not scan.pdf.pdf. */
static void drop_ending(char *stem, const char *extension)
{
	size_t length = strlen(stem), tail = strlen(extension);
	if (tail && length > tail + 1 && stem[length - tail - 1] == '.' &&
	    strcasecmp(stem + length - tail, extension) == 0)
		stem[length - tail - 1] = '\0';
}

void place_name(const struct rules *rules, size_t route, const struct facts *facts, const char *to,
		const char *name, unsigned number, const char *extension,
		struct place_name *name_out)
{
	char stem[FILENAME_MAX_BYTES + 1];
	const struct rules_route *rule = &rules->routes[route];
	struct template_values values = {
		.facts = facts, .to = to, .route = rule->name, .name = stem, .number = number
	};
	size_t numbers = COPY_MAX + (template_has_seq(&rule->file_name) ? SEQ_MAX : 0);
	size_t room = FILENAME_MAX_BYTES - strlen(".") - sizeof name_out->extension - numbers;
	assert(strlen(extension) < sizeof name_out->extension);
	filename_stem(name, stem, FILENAME_MAX_BYTES);
	drop_ending(stem, extension);
	template_expand(&rule->file_name, TEMPLATE_NAME, &values, name_out->stem, room + 1);
	strcpy(name_out->extension, extension);
}

bool place_name_has_seq(const struct place_name *name)
{
	return strchr(name->stem, TEMPLATE_SEQ) != NULL;
}

/* The text before and after {seq}; without it all is before. */
struct halves {
	const char *left, *right;
	size_t left_length, right_length;
	unsigned digits; /* 0: no {seq} */
};

static struct halves split_at_seq(const char *stem)
{
	const char *mark = strchr(stem, TEMPLATE_SEQ);
	struct halves halves = { stem, "", strlen(stem), 0, 0 };
	if (mark && mark[1]) {
		halves.left_length = (size_t)(mark - stem);
		halves.right = mark + 2;
		halves.right_length = strlen(mark + 2);
		halves.digits = (unsigned)(mark[1] - '0');
	}
	return halves;
}

/* Takes up to `excess` octets off the end, whole characters. Says how many are still too many. */
static size_t shorten(const char *text, size_t *length, size_t excess)
{
	size_t to = excess < *length ? *length - excess : 0;
	while (to > 0 && ((unsigned char)text[to] & 0xc0) == 0x80)
		to--;
	size_t taken = *length - to;
	*length = to;
	return taken < excess ? excess - taken : 0;
}

static void fit(struct halves *halves, size_t room)
{
	size_t total = halves->left_length + halves->right_length;
	size_t excess = total > room ? total - room : 0;
	if (halves->left_length < halves->right_length)
		excess = shorten(halves->right, &halves->right_length, excess);
	excess = shorten(halves->left, &halves->left_length, excess);
	shorten(halves->right, &halves->right_length, excess);
}

void place_number(const struct place_name *name, unsigned seq, unsigned copy, size_t max,
		  char *text)
{
	char digits[SEQ_MAX + 1] = "", ending[COPY_MAX + 1 + sizeof name->extension] = "";
	char stem[sizeof name->stem + SEQ_MAX];
	struct halves halves = split_at_seq(name->stem);
	int used = 0;
	assert(max >= PLACE_NAME_SHORT && max <= FILENAME_MAX_BYTES);
	if (halves.digits)
		snprintf(digits, sizeof digits, "%0*u", (int)halves.digits, seq);
	if (copy > 1)
		used = snprintf(ending, sizeof ending, " (%u)", copy);
	if (*name->extension)
		snprintf(ending + used, sizeof ending - (size_t)used, ".%s", name->extension);
	size_t room = max - strlen(ending);
	fit(&halves, room - strlen(digits));
	snprintf(stem, sizeof stem, "%.*s%s%.*s", (int)halves.left_length, halves.left, digits,
		 (int)halves.right_length, halves.right);
	filename_safe(stem, "scan", text, room);
	strcat(text, ending);
}
