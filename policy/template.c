/* template.c: takes a template apart when the configuration is read, and fills it in for a message.
 * Never lets a value from the mail make a folder, a hidden name or an empty one, and never
 * allocates while filling in. */
#include "policy/template.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "policy/filename.h"
#include "policy/sender.h"
#include "policy/value.h"

#define TEXT_MAX   1000 /* octets of a template */
#define PIECES_MAX 32
#define NAME_FIXED_MAX \
	100 /* octets of a file name that are no value of the mail: the rest is theirs */
#define FOLDER_FIXED_MAX 700  /* the same for a folder's path */
#define RAW_MAX          1024 /* octets of one value before it is made safe */
#define FORMAT_MAX       60   /* octets of a strftime format */
#define FORMAT_PRESET    "%Y-%m-%d_%H%M%S"

typedef void write_piece(const struct template_piece *piece, const struct template_values *values,
			 char raw[RAW_MAX]);
typedef const char *get_text(const struct template_values *values);

enum argument { ARGUMENT_NONE, ARGUMENT_FORMAT, ARGUMENT_DIGITS };
enum slice { SLICE_WHOLE, SLICE_LOCAL, SLICE_DOMAIN, SLICE_TAG };

/* A row of the table: `{name}`, or the text between placeholders. */
struct placeholder {
	const char *name;
	write_piece *write;
	enum argument argument;
	bool name_only; /* means nothing in a folder */

	/* of what the mail says: made safe, and cut where all together are too long */
	const char *if_empty; /* NULL: not from the mail */
	get_text *get;
	enum slice slice;
};

struct template_piece {
	const struct placeholder *placeholder;
	char *text;      /* the text itself, or a strftime format */
	unsigned digits; /* of {seq} */
};

/* --- the values ------------------------------------------------------------------------------- */

static const char *get_name(const struct template_values *values)
{
	return values->name;
}

static const char *get_from(const struct template_values *values)
{
	const struct facts *facts = values->facts;
	return facts->from_state == FACTS_FROM_ONE ? facts->from : facts->sender;
}

static const char *get_to(const struct template_values *values)
{
	return values->to;
}

static const char *get_subject(const struct template_values *values)
{
	return values->facts->subject;
}

static const char *get_source(const struct template_values *values)
{
	return values->facts->source;
}

static const char *get_route(const struct template_values *values)
{
	return values->route;
}

static void write_slice(char raw[RAW_MAX], const char *text, size_t length)
{
	size_t fits = length < RAW_MAX ? length : RAW_MAX - 1;
	memcpy(raw, text, fits);
	raw[fits] = '\0';
}

/* The local part ends at the last @: a quoted one may hold others (RFC 5322 section 3.4.1). What
 * follows its first + is the tag (RFC 5233: the detail). */
static void write_value(const struct template_piece *piece, const struct template_values *values,
			char raw[RAW_MAX])
{
	const char *text = piece->placeholder->get(values);
	const char *whole = text ? text : "";
	const char *end = whole + strlen(whole);
	const char *at = strrchr(whole, '@');
	const char *local_end = at ? at : end;
	const char *plus = memchr(whole, '+', (size_t)(local_end - whole));
	const char *starts[] = { whole, whole, at ? at + 1 : end, plus ? plus + 1 : local_end };
	const char *ends[] = { end, local_end, end, local_end };
	enum slice slice = piece->placeholder->slice;
	write_slice(raw, starts[slice], (size_t)(ends[slice] - starts[slice]));
}

static void write_text(const struct template_piece *piece, const struct template_values *values,
		       char raw[RAW_MAX])
{
	(void)values;
	write_slice(raw, piece->text, strlen(piece->text));
}

static void write_received(const struct template_piece *piece, const struct template_values *values,
			   char raw[RAW_MAX])
{
	raw[strftime(raw, RAW_MAX, piece->text, &values->facts->received)] = '\0';
}

static void write_date(const struct template_piece *piece, const struct template_values *values,
		       char raw[RAW_MAX])
{
	raw[strftime(raw, RAW_MAX, piece->text, &values->facts->date)] = '\0';
}

static void write_number(const struct template_piece *piece, const struct template_values *values,
			 char raw[RAW_MAX])
{
	(void)piece;
	snprintf(raw, RAW_MAX, "%u", values->number);
}

static void write_seq(const struct template_piece *piece, const struct template_values *values,
		      char raw[RAW_MAX])
{
	(void)values;
	snprintf(raw, RAW_MAX, "%c%c", TEMPLATE_SEQ, (char)('0' + piece->digits));
}

static void write_peer(const struct template_piece *piece, const struct template_values *values,
		       char raw[RAW_MAX])
{
	(void)piece;
	raw[0] = '\0';
	if (values->facts->peer.known)
		network_print(&values->facts->peer, raw);
}

static const struct placeholder text_itself = { .name = "", .write = write_text };

#define VALUE(get, slice, if_empty) write_value, ARGUMENT_NONE, false, if_empty, get, slice

static const struct placeholder placeholders[] = {
	{ "received", write_received, ARGUMENT_FORMAT, false, NULL, NULL, SLICE_WHOLE },
	{ "date", write_date, ARGUMENT_FORMAT, false, NULL, NULL, SLICE_WHOLE },
	{ "name", write_value, ARGUMENT_NONE, true, "scan", get_name, SLICE_WHOLE },
	{ "from", VALUE(get_from, SLICE_WHOLE, "unknown") },
	{ "from.local", VALUE(get_from, SLICE_LOCAL, "unknown") },
	{ "from.domain", VALUE(get_from, SLICE_DOMAIN, "unknown") },
	{ "to", VALUE(get_to, SLICE_WHOLE, "unknown") },
	{ "to.local", VALUE(get_to, SLICE_LOCAL, "unknown") },
	{ "to.tag", VALUE(get_to, SLICE_TAG, "no-tag") },
	{ "subject", VALUE(get_subject, SLICE_WHOLE, "no-subject") },
	{ "source", VALUE(get_source, SLICE_WHOLE, "unknown") },
	{ "route", VALUE(get_route, SLICE_WHOLE, "unknown") },
	{ "peer", write_peer, ARGUMENT_NONE, false, "unknown", NULL, SLICE_WHOLE },
	{ "n", write_number, ARGUMENT_NONE, true, NULL, NULL, SLICE_WHOLE },
	{ "seq", write_seq, ARGUMENT_DIGITS, true, NULL, NULL, SLICE_WHOLE },
};
#define PLACEHOLDERS (sizeof placeholders / sizeof *placeholders)

/* --- strftime --------------------------------------------------------------------------------- */

/* The conversions that may stand in a name: those that make no /, no : and no blank, and ask nobody
 * for the time zone. The widths are those of the C locale. */
static const struct conversion {
	char letter;
	unsigned width;
} conversions[] = {
	{ 'Y', 4 }, { 'C', 2 }, { 'y', 2 }, { 'm', 2 },  { 'd', 2 }, { 'H', 2 }, { 'I', 2 },
	{ 'M', 2 }, { 'S', 2 }, { 'j', 3 }, { 'F', 10 }, { 'u', 1 }, { 'w', 1 }, { 'U', 2 },
	{ 'V', 2 }, { 'W', 2 }, { 'G', 4 }, { 'g', 2 },  { 'a', 3 }, { 'A', 9 }, { 'b', 3 },
	{ 'B', 9 }, { 'h', 3 }, { 'p', 2 }, { 'z', 5 },  { '%', 1 },
};

static const struct conversion *find_conversion(char letter)
{
	for (size_t i = 0; i < sizeof conversions / sizeof *conversions; i++)
		if (conversions[i].letter == letter)
			return &conversions[i];
	return NULL;
}

/* Writes a text as long as the format makes it, with x for digits and letters. NULL, or the place
 * in the format that is not allowed. */
static const char *sample_format(const char *format, char sample[RAW_MAX])
{
	size_t used = 0;
	for (; *format; format++) {
		const struct conversion *conversion = NULL;
		if (*format == '%' && !(conversion = find_conversion(*++format)))
			return format - 1;
		unsigned width = conversion ? conversion->width : 1;
		memset(sample + used, conversion ? 'x' : *format, width);
		used += width;
	}
	sample[used] = '\0';
	return NULL;
}

/* --- taking apart ----------------------------------------------------------------------------- */

struct parsing {
	enum template_kind kind;
	const char *next, *end;
	struct template template;
	char *error;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct parsing *parsing, const char *format,
						       ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(parsing->error, TEMPLATE_ERROR_MAX, format, arguments);
	va_end(arguments);
	return false;
}

static bool add_piece(struct parsing *parsing, const struct placeholder *placeholder,
		      const char *text, size_t length, unsigned digits)
{
	struct template *template = &parsing->template;
	if (template->count == PIECES_MAX)
		return fail(parsing, "has more than %d pieces, expected fewer", PIECES_MAX);
	char *copy = strndup(text, length);
	if (!copy)
		return fail(parsing, "out of memory");
	template->pieces[template->count++] = (struct template_piece){ placeholder, copy, digits };
	return true;
}

/* In a file name the author's text, in a time format too, is made safe here, so that it never grows
 * later. Its ends are inside the name: _ stands in for what is beside them. */
static bool add_text(struct parsing *parsing, const struct placeholder *placeholder,
		     const char *text)
{
	char between[TEXT_MAX + 3], safe[2 * TEXT_MAX + 1];
	if (parsing->kind == TEMPLATE_FOLDER || strchr(text, '/'))
		return add_piece(parsing, placeholder, text, strlen(text), 0);
	snprintf(between, sizeof between, "_%s_", text);
	filename_safe(between, "scan", safe, sizeof safe - 1);
	return add_piece(parsing, placeholder, safe + 1, strlen(safe) - 2, 0);
}

/* Text up to the next placeholder; {{ and }} stand for one brace. */
static bool parse_text(struct parsing *parsing)
{
	char text[TEXT_MAX + 1];
	size_t length = 0;
	while (parsing->next < parsing->end) {
		char letter = *parsing->next;
		bool brace = letter == '{' || letter == '}';
		bool twice =
			brace && parsing->next + 1 < parsing->end && parsing->next[1] == letter;
		if (letter == '{' && !twice)
			break;
		if (letter == '}' && !twice)
			return fail(parsing, "has a } without a {, expected }} for the character");
		if ((unsigned char)letter < ' ' || letter == 0x7f)
			return fail(parsing, "holds a control character, expected text");
		text[length++] = letter;
		parsing->next += twice ? 2 : 1;
	}
	text[length] = '\0';
	return length == 0 || add_text(parsing, &text_itself, text);
}

static bool fail_unknown(struct parsing *parsing, const char *name, size_t length)
{
	char word[VALUE_WORD_MAX + 1];
	const char *nearest = NULL;
	unsigned distance = 3;
	snprintf(word, sizeof word, "%.*s", (int)length, name);
	for (size_t i = 0; i < PLACEHOLDERS; i++) {
		unsigned other = value_distance(word, placeholders[i].name, 2);
		nearest = other < distance ? placeholders[i].name : nearest;
		distance = other < distance ? other : distance;
	}
	if (nearest)
		return fail(parsing, "has {%s}, did you mean {%s}?", word, nearest);
	return fail(parsing,
		    "has {%s}, expected {received:FMT}, {date:FMT}, {name}, {from}, {to}, "
		    "{subject}, {source}, {route}, {peer}, {n} or {seq}",
		    word);
}

static bool parse_time(struct parsing *parsing, const struct placeholder *placeholder,
		       const char *format, size_t length)
{
	char copy[FORMAT_MAX + 1], sample[RAW_MAX];
	if (length == 0) {
		format = FORMAT_PRESET;
		length = strlen(FORMAT_PRESET);
	}
	if (length > FORMAT_MAX)
		return fail(parsing, "has a time format of %zu octets, expected at most %d", length,
			    FORMAT_MAX);
	memcpy(copy, format, length);
	copy[length] = '\0';
	const char *wrong = sample_format(copy, sample);
	if (wrong)
		return fail(parsing,
			    "has `%.2s`, expected %%Y %%m %%d %%H %%M %%S %%j %%V or "
			    "another that suits a file name",
			    wrong);
	return add_text(parsing, placeholder, copy);
}

static bool parse_digits(struct parsing *parsing, const struct placeholder *placeholder,
			 const char *text, size_t length)
{
	if (length > 1 || (length == 1 && (*text < '1' || *text > '9')))
		return fail(parsing, "has {seq:%.*s}, expected one digit, 1 to 9", (int)length,
			    text);
	return add_piece(parsing, placeholder, "", 0, length ? (unsigned)(*text - '0') : 1);
}

static const struct placeholder *find_placeholder(const char *name, size_t length)
{
	for (size_t i = 0; i < PLACEHOLDERS; i++)
		if (strlen(placeholders[i].name) == length &&
		    memcmp(placeholders[i].name, name, length) == 0)
			return &placeholders[i];
	return NULL;
}

/* From behind { to }. */
static bool parse_placeholder(struct parsing *parsing, const char *start, size_t length)
{
	const char *colon = memchr(start, ':', length);
	size_t name_length = colon ? (size_t)(colon - start) : length;
	const char *argument = colon ? colon + 1 : start + length;
	size_t argument_length = (size_t)(start + length - argument);
	const struct placeholder *placeholder = find_placeholder(start, name_length);
	if (name_length == 3 && memcmp(start, "ext", 3) == 0)
		return fail(parsing, "has {ext}, expected none: the ending is added by itself, "
				     "from the content");
	if (!placeholder)
		return fail_unknown(parsing, start, name_length);
	if (placeholder->name_only && parsing->kind == TEMPLATE_FOLDER)
		return fail(parsing,
			    "has {%s}, which means nothing in a folder, expected it in `name`",
			    placeholder->name);
	if (placeholder->argument == ARGUMENT_FORMAT)
		return parse_time(parsing, placeholder, argument, argument_length);
	if (placeholder->argument == ARGUMENT_DIGITS)
		return parse_digits(parsing, placeholder, argument, argument_length);
	if (colon)
		return fail(parsing, "has {%s:…}, expected {%s}", placeholder->name,
			    placeholder->name);
	return add_piece(parsing, placeholder, "", 0, 0);
}

static bool parse_pieces(struct parsing *parsing)
{
	while (parsing->next < parsing->end) {
		if (!parse_text(parsing))
			return false;
		if (parsing->next == parsing->end)
			break;
		const char *start = parsing->next + 1;
		const char *close = memchr(start, '}', (size_t)(parsing->end - start));
		if (!close)
			return fail(parsing, "has a { without a }, expected {{ for the character");
		if (!parse_placeholder(parsing, start, (size_t)(close - start)))
			return false;
		parsing->next = close + 1;
	}
	return true;
}

/* --- the whole of a template ------------------------------------------------------------------ */

/* A path as the template makes it, with x for what the mail says. False: too long. */
static bool sample_path(const struct template *template, size_t most, char path[TEXT_MAX])
{
	size_t used = 0;
	for (size_t i = 0; i < template->count; i++) {
		const struct template_piece *piece = &template->pieces[i];
		char sample[RAW_MAX] = "x";
		if (piece->placeholder == &text_itself)
			write_slice(sample, piece->text, strlen(piece->text));
		else if (piece->placeholder->argument == ARGUMENT_FORMAT)
			sample_format(piece->text, sample);
		size_t length = strlen(sample);
		if (used + length > most)
			return false;
		memcpy(path + used, sample, length + 1);
		used += length;
	}
	path[used] = '\0';
	return true;
}

static bool check_component(struct parsing *parsing, const char *component)
{
	char safe[FILENAME_MAX_BYTES + 1];
	if (strcmp(component, "..") == 0)
		return fail(parsing, "holds `..`, expected a folder below the share");
	filename_folder(component, "unknown", safe, FILENAME_MAX_BYTES);
	if (*component && strcmp(component, safe) != 0)
		return fail(parsing,
			    "makes the folder `%.50s`, expected one that every client can "
			    "show, like `%.50s`",
			    component, safe);
	return true;
}

static bool check_folder(struct parsing *parsing, char *path)
{
	char *rest = path;
	if (*path == '/')
		return fail(parsing, "begins with /, expected a folder below the share");
	for (char *component; (component = strsep(&rest, "/"));)
		if (!check_component(parsing, component))
			return false;
	return true;
}

static bool check_whole(struct parsing *parsing)
{
	char path[TEXT_MAX];
	size_t most = parsing->kind == TEMPLATE_FOLDER ? FOLDER_FIXED_MAX : NAME_FIXED_MAX;
	if (!sample_path(&parsing->template, most, path))
		return fail(parsing,
			    "makes more than %zu octets without what the mail says, expected "
			    "fewer",
			    most);
	if (parsing->kind == TEMPLATE_FOLDER)
		return check_folder(parsing, path);
	if (strchr(path, '/'))
		return fail(parsing,
			    "holds /, expected a name without folder: those go into `folder`");
	return *path || fail(parsing, "is empty, expected text or placeholders such as {name}");
}

/* `.{ext}` at the end says what is done anyway. */
static size_t length_without_ext(const char *text)
{
	size_t length = strlen(text), tail = strlen(".{ext}");
	return length >= tail && strcmp(text + length - tail, ".{ext}") == 0 ? length - tail
									     : length;
}

bool template_parse(const char *text, enum template_kind kind, struct template *template_out,
		    char error_out[TEMPLATE_ERROR_MAX])
{
	size_t length = kind == TEMPLATE_NAME ? length_without_ext(text) : strlen(text);
	struct parsing parsing = {
		.kind = kind, .next = text, .end = text + length, .error = error_out
	};
	if (length > TEXT_MAX)
		return fail(&parsing, "has %zu octets, expected at most %d", length, TEXT_MAX);
	parsing.template.pieces = calloc(PIECES_MAX, sizeof *parsing.template.pieces);
	if (!parsing.template.pieces)
		return fail(&parsing, "out of memory");
	if (!parse_pieces(&parsing) || !check_whole(&parsing)) {
		template_done(&parsing.template);
		return false;
	}
	*template_out = parsing.template;
	return true;
}

void template_done(struct template *template)
{
	for (size_t i = 0; i < template->count; i++)
		free(template->pieces[i].text);
	free(template->pieces);
	*template = (struct template){ .pieces = NULL };
}

bool template_has_seq(const struct template *template)
{
	for (size_t i = 0; i < template->count; i++)
		if (template->pieces[i].placeholder->argument == ARGUMENT_DIGITS)
			return true;
	return false;
}

/* --- filling in ------------------------------------------------------------------------------- */

#define JOINED_MAX 2048

/* One piece; what the mail says is made safe and has at most `cap` octets. Returns its octets. */
static size_t expand_piece(const struct template_piece *piece, const struct template_values *values,
			   size_t cap, char raw[RAW_MAX])
{
	char safe[FILENAME_MAX_BYTES + 1];
	const char *if_empty = piece->placeholder->if_empty;
	piece->placeholder->write(piece, values, raw);
	if (if_empty) {
		filename_safe(raw, if_empty, safe, cap);
		strcpy(raw, safe);
	}
	return strlen(raw);
}

/* How many octets each value may have so that all fit into `room`: the long ones give way first. */
static size_t fair_cap(const struct template *template, const struct template_values *values,
		       size_t room)
{
	char raw[RAW_MAX];
	size_t lengths[PIECES_MAX], fixed = 0, count = 0, cap = FILENAME_MAX_BYTES, total;
	for (size_t i = 0; i < template->count; i++) {
		size_t length = expand_piece(&template->pieces[i], values, cap, raw);
		if (template->pieces[i].placeholder->if_empty)
			lengths[count++] = length;
		else
			fixed += length;
	}
	for (cap++, total = SIZE_MAX; total > room && cap > 1;) {
		cap--;
		total = fixed;
		for (size_t i = 0; i < count; i++)
			total += lengths[i] < cap ? lengths[i] : cap;
	}
	return cap;
}

static bool join(const struct template *template, const struct template_values *values, size_t room,
		 char joined[JOINED_MAX])
{
	char raw[RAW_MAX];
	size_t cap = fair_cap(template, values, room), used = 0;
	for (size_t i = 0; i < template->count; i++) {
		size_t length = expand_piece(&template->pieces[i], values, cap, raw);
		if (used + length >= JOINED_MAX)
			return false;
		memcpy(joined + used, raw, length);
		used += length;
	}
	joined[used] = '\0';
	return true;
}

static bool write_folder(char *joined, char *text, size_t text_size)
{
	char component[FILENAME_MAX_BYTES + 1];
	size_t used = 0;
	for (char *next; (next = strsep(&joined, "/"));) {
		if (!*next)
			continue;
		filename_folder(next, "unknown", component, FILENAME_MAX_BYTES);
		int length =
			snprintf(text + used, text_size - used, "%s%s", used ? "/" : "", component);
		if ((size_t)length >= text_size - used) {
			*text = '\0';
			return false;
		}
		used += (size_t)length;
	}
	text[used] = '\0';
	return true;
}

bool template_expand(const struct template *template, enum template_kind kind,
		     const struct template_values *values, char *text, size_t text_size)
{
	char joined[JOINED_MAX];
	size_t disarming =
		kind == TEMPLATE_FOLDER ? PIECES_MAX : 1; /* a _ before a device's name */
	assert(text_size > disarming + 1);
	*text = '\0';
	if (!join(template, values, text_size - 1 - disarming, joined))
		return false;
	if (kind == TEMPLATE_FOLDER)
		return write_folder(joined, text, text_size);
	if (!template_has_seq(template))
		filename_safe(joined, "scan", text, text_size - 1);
	else
		snprintf(text, text_size, "%s", joined);
	return true;
}

void template_fixed(const struct template *template, char *text, size_t text_size)
{
	char joined[JOINED_MAX] = "";
	size_t i = 0, used = 0;
	for (; i < template->count && template->pieces[i].placeholder == &text_itself; i++)
		used += (size_t)snprintf(joined + used, sizeof joined - used, "%s",
					 template->pieces[i].text);
	char *slash = strrchr(joined, '/');
	if (i < template->count)
		*(slash ? slash : joined) = '\0';
	write_folder(joined, text, text_size);
}
