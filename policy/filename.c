/* filename.c: makes names from a mail safe, and finds out which names look alike. Never trusts a
 * byte of them, never allocates, and is the one file of this room that knows libutf8proc. */
#include "policy/filename.h"
#include <assert.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>
#include "policy/filetype.h"

#define CODES_MAX      1024            /* code points of a name that are looked at */
#define DECOMPOSED_MAX (4 * CODES_MAX) /* no character decomposes into more than four */
#define CODE_BYTES     4               /* of UTF-8, at most */

#define SMB_UNSAFE   "\"*/:<>?\\|"
#define SHELL_UNSAFE "`$;&'!#~^[]{}"
#define SHELL_FIRST  "-+=@" /* options, vi's commands, formulas of a spreadsheet, curl's files */

/* What a component may not hold. */
struct care {
	const char *never;
	const char *never_first;
};

static const struct care file_care = { SMB_UNSAFE SHELL_UNSAFE, "." SHELL_FIRST };
static const struct care folder_care = { SMB_UNSAFE, "." };

/* Code points on their way to a safe component. */
struct codes {
	utf8proc_int32_t code[DECOMPOSED_MAX];
	bool replaced[DECOMPOSED_MAX]; /* by _ */
	size_t count;
};

/* --- bytes and code points -------------------------------------------------------------------- */

/* The next code point; a byte that is not UTF-8 counts as Latin-1. Returns the octets read. */
static size_t next_code(const char *text, size_t length, utf8proc_int32_t *code_out)
{
	const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
	utf8proc_ssize_t read = utf8proc_iterate(bytes, (utf8proc_ssize_t)length, code_out);
	if (read > 0)
		return (size_t)read;
	*code_out = bytes[0];
	return 1;
}

/* The canonical decomposition (NFD) of the first CODES_MAX code points of a text. Says how many
 * octets of it they are. */
static size_t decompose(const char *text, size_t length, struct codes *codes)
{
	utf8proc_uint8_t clean[CODES_MAX * CODE_BYTES];
	size_t used = 0, at = 0;
	for (unsigned n = 0; n < CODES_MAX && at < length; n++) {
		utf8proc_int32_t code;
		at += next_code(text + at, length - at, &code);
		used += (size_t)utf8proc_encode_char(code, clean + used);
	}
	utf8proc_ssize_t count =
		utf8proc_decompose(clean, (utf8proc_ssize_t)used, codes->code, DECOMPOSED_MAX,
				   UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
	assert(count >= 0 && count <= DECOMPOSED_MAX);
	codes->count = (size_t)count;
	return at;
}

static void compose(struct codes *codes)
{
	utf8proc_ssize_t count = utf8proc_normalize_utf32(
		codes->code, (utf8proc_ssize_t)codes->count, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	assert(count >= 0);
	codes->count = (size_t)count;
}

/* --- what is safe ----------------------------------------------------------------------------- */

enum {
	CATEGORY_BAD = 1,
	CATEGORY_MARK = 2,
	CATEGORY_BASE = 4, /* what a mark may stand on */
	CATEGORY_BLANK = 8
};

static const uint8_t categories[] = {
	[UTF8PROC_CATEGORY_CN] = CATEGORY_BAD,  [UTF8PROC_CATEGORY_CC] = CATEGORY_BAD,
	[UTF8PROC_CATEGORY_CF] = CATEGORY_BAD,  [UTF8PROC_CATEGORY_CS] = CATEGORY_BAD,
	[UTF8PROC_CATEGORY_CO] = CATEGORY_BAD,  [UTF8PROC_CATEGORY_ZL] = CATEGORY_BAD,
	[UTF8PROC_CATEGORY_ZP] = CATEGORY_BAD,  [UTF8PROC_CATEGORY_ZS] = CATEGORY_BLANK,
	[UTF8PROC_CATEGORY_LU] = CATEGORY_BASE, [UTF8PROC_CATEGORY_LL] = CATEGORY_BASE,
	[UTF8PROC_CATEGORY_LT] = CATEGORY_BASE, [UTF8PROC_CATEGORY_LM] = CATEGORY_BASE,
	[UTF8PROC_CATEGORY_LO] = CATEGORY_BASE, [UTF8PROC_CATEGORY_ND] = CATEGORY_BASE,
	[UTF8PROC_CATEGORY_NL] = CATEGORY_BASE, [UTF8PROC_CATEGORY_NO] = CATEGORY_BASE,
	[UTF8PROC_CATEGORY_SO] = CATEGORY_BASE, [UTF8PROC_CATEGORY_MN] = CATEGORY_MARK,
	[UTF8PROC_CATEGORY_MC] = CATEGORY_MARK, [UTF8PROC_CATEGORY_ME] = CATEGORY_MARK,
};

/* Characters that look like nothing although Unicode calls them symbols, and the one that stands
 * for what could not be read. */
static bool looks_empty(utf8proc_int32_t code)
{
	static const utf8proc_int32_t empty[] = { 0x2800, 0x1d159, 0xfffc, 0xfffd };
	for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
		if (empty[i] == code)
			return true;
	return utf8proc_get_property(code)->ignorable;
}

static unsigned category_of(utf8proc_int32_t code)
{
	utf8proc_category_t category = utf8proc_category(code);
	if (looks_empty(code))
		return CATEGORY_BAD;
	return category < sizeof categories ? categories[category] : 0;
}

static bool is_one_of(utf8proc_int32_t code, const char *set)
{
	return code > 0 && code < 0x80 && strchr(set, code);
}

/* May a mark follow? Marks stand on letters, numbers, symbols and other marks: elsewhere they would
 * change what stands beside the name. */
static bool carries_mark(const struct codes *codes, size_t count)
{
	return count > 0 && !codes->replaced[count - 1] &&
	       category_of(codes->code[count - 1]) & (CATEGORY_BASE | CATEGORY_MARK);
}

/* Appends what stands for `code` in a safe name. The list shrinks or stays, so it is changed in
 * place. What is NFC stays NFC: only _ and blanks come in, which compose with nothing but the marks
 * that are replaced behind them. */
static size_t append_safe(struct codes *codes, size_t count, utf8proc_int32_t code,
			  const struct care *care)
{
	unsigned category = category_of(code);
	bool first = count == 0;
	if (first && category & CATEGORY_BLANK)
		return count;
	if (code == '.' && !first && codes->code[count - 1] == '.')
		return count;
	bool bad = category & CATEGORY_BAD || is_one_of(code, care->never) ||
		   (first && is_one_of(code, care->never_first)) ||
		   (category & CATEGORY_MARK && !carries_mark(codes, count));
	codes->code[count] = bad ? '_' : category & CATEGORY_BLANK ? ' ' : code;
	codes->replaced[count] = bad;
	return count + 1;
}

static void make_safe(struct codes *codes, const struct care *care)
{
	size_t count = 0;
	for (size_t i = 0; i < codes->count; i++)
		count = append_safe(codes, count, codes->code[i], care);
	codes->count = count;
}

static void trim_end(struct codes *codes)
{
	while (codes->count > 0 && is_one_of(codes->code[codes->count - 1], ". "))
		codes->count--;
}

/* --- code points and bytes -------------------------------------------------------------------- */

/* As many of them as fit into `max` octets. */
static void cut(struct codes *codes, size_t max)
{
	utf8proc_uint8_t bytes[CODE_BYTES];
	size_t used = 0, count = 0;
	while (count < codes->count) {
		used += (size_t)utf8proc_encode_char(codes->code[count], bytes);
		if (used > max)
			break;
		count++;
	}
	codes->count = count;
}

/* Is there anything that came from the name itself? */
static bool has_substance(const struct codes *codes)
{
	for (size_t i = 0; i < codes->count; i++)
		if (!codes->replaced[i] && !is_one_of(codes->code[i], " .-"))
			return true;
	return false;
}

static void write_text(const struct codes *codes, char *text)
{
	utf8proc_uint8_t *next = (utf8proc_uint8_t *)text;
	for (size_t i = 0; i < codes->count; i++)
		next += utf8proc_encode_char(codes->code[i], next);
	*next = '\0';
}

/* --- names that mean something ---------------------------------------------------------------- */

static bool is_word(const char *name, size_t length, const char *const *words)
{
	for (; *words; words++)
		if (length == strlen(*words) && strncasecmp(name, *words, length) == 0)
			return true;
	return false;
}

/* Before the first dot, blanks aside, these are devices on Windows. The digits may be
 * superscripts. */
static bool is_device(const char *name)
{
	static const char *const words[] = { "CON",    "PRN",     "AUX",    "NUL",
					     "CONIN$", "CONOUT$", "CLOCK$", NULL };
	static const char *const ports[] = { "COM", "LPT", NULL };
	static const char *const digits[] = { "0", "1", "2", "3",      "4",      "5",      "6",
					      "7", "8", "9", "\u00b9", "\u00b2", "\u00b3", NULL };
	size_t length = strcspn(name, ".");
	while (length > 0 && name[length - 1] == ' ')
		length--;
	return is_word(name, length, words) ||
	       (length > 3 && is_word(name, 3, ports) && is_word(name + 3, length - 3, digits));
}

/* Names that a desktop or a file server obeys, hides or writes over. */
static bool is_special(const char *name)
{
	static const char *const words[] = { "autorun.inf",
					     "desktop.ini",
					     "ehthumbs.db",
					     "thumbs.db",
					     "folder.htt",
					     "web.config",
					     "lost+found",
					     "recycler",
					     "recycled",
					     "$recycle.bin",
					     "network trash folder",
					     "temporary items",
					     "system volume information",
					     NULL };
	return is_word(name, strlen(name), words);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void finish(struct codes *codes, size_t max, char *safe)
{
	cut(codes, max);
	trim_end(codes);
	write_text(codes, safe);
}

/* Puts a _ before. */
static void disarm(struct codes *codes, size_t max, char *safe)
{
	size_t count = codes->count < DECOMPOSED_MAX ? codes->count : DECOMPOSED_MAX - 1;
	memmove(codes->code + 1, codes->code, count * sizeof *codes->code);
	codes->code[0] = '_';
	codes->count = count + 1;
	finish(codes, max, safe);
}

static void component(const char *name, size_t length, const struct care *care,
		      const char *fallback, char *safe, size_t max)
{
	struct codes codes;
	assert(max > 0);
	decompose(name, length, &codes);
	compose(&codes);
	make_safe(&codes, care);
	finish(&codes, max, safe);
	if (!has_substance(&codes)) {
		decompose(fallback, strlen(fallback), &codes);
		finish(&codes, max, safe);
	}
	if (is_device(safe) || is_special(safe))
		disarm(&codes, max, safe);
}

void filename_safe(const char *name, const char *fallback, char *safe, size_t max)
{
	component(name, strlen(name), &file_care, fallback, safe, max);
}

void filename_folder(const char *name, const char *fallback, char *safe, size_t max)
{
	component(name, strlen(name), &folder_care, fallback, safe, max);
}

/* --- the sender's file name ------------------------------------------------------------------- */

static bool is_letter(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_letter_or_digit(char byte)
{
	return is_letter(byte) || (byte >= '0' && byte <= '9');
}

/* "Dr.Meier" and "2024.05.12" have no ending. */
static bool is_ending(const char *text, size_t length)
{
	char ending[16];
	if (length == 0 || length >= sizeof ending)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!is_letter_or_digit(text[i]))
			return false;
	memcpy(ending, text, length);
	ending[length] = '\0';
	return filetype_is_ending(ending) || (length >= 2 && length <= 4 && is_letter(ending[0]));
}

static size_t stem_length(const char *base, size_t length)
{
	while (length > 0 && strchr(" .", base[length - 1]))
		length--;
	size_t dot = length;
	while (dot > 0 && base[dot - 1] != '.')
		dot--;
	return dot > 0 && is_ending(base + dot, length - dot) ? dot - 1 : length;
}

/* A folder before the name, or a slash in it, as in the number of an invoice? A path has a
 * backslash, two separators, or begins like one. */
static bool is_path(const char *name)
{
	static const char *const starts[] = { "/", "./", "../", "~/", NULL };
	for (const char *const *start = starts; *start; start++)
		if (strncmp(name, *start, strlen(*start)) == 0)
			return true;
	const char *slash = strchr(name, '/');
	bool drive = is_letter(name[0]) && name[1] == ':' && name[2] == '/';
	return strchr(name, '\\') || drive || (slash && strchr(slash + 1, '/'));
}

const char *filename_base(const char *name)
{
	const char *base = name;
	if (!is_path(name))
		return name;
	for (const char *slash = name; (slash = strpbrk(slash, "/\\")); base = ++slash)
		;
	return base;
}

/* The length without quotes that nobody meant: a pair of single ones, of which *name then leaves
 * the first behind, and a double one behind the name that nothing opened. */
static size_t drop_quotes(const char **name)
{
	size_t length = strlen(*name);
	if (length > 2 && **name == '\'' && (*name)[length - 1] == '\'') {
		++*name;
		return length - 2;
	}
	return length > 1 && strcspn(*name, "\"") == length - 1 ? length - 1 : length;
}

void filename_stem(const char *name, char *stem, size_t max)
{
	const char *start = name ? name : "";
	size_t length = drop_quotes(&start);
	const char *base = filename_base(start);
	size_t before = (size_t)(base - start);
	length = before < length ? length - before : 0;
	component(base, stem_length(base, length), &file_care, "scan", stem, max);
}

/* --- other names for the same file ------------------------------------------------------------ */

void filename_ascii(char *name)
{
	char *out = name;
	for (size_t length = strlen(name), used; length > 0; length -= used, name += used) {
		utf8proc_int32_t code;
		used = next_code(name, length, &code);
		*out++ = code < 0x80 ? (char)code : '_';
	}
	*out = '\0';
}

/* Full case folding of what is decomposed already. No character makes more than four in all of
 * this, and none of those that fold into several brings a mark along that would need a new
 * order. */
static void fold_codes(const struct codes *codes, struct codes *folded)
{
	folded->count = 0;
	for (size_t i = 0; i < codes->count; i++) {
		int boundary = 0;
		utf8proc_ssize_t count = utf8proc_decompose_char(
			utf8proc_toupper(codes->code[i]), folded->code + folded->count,
			(utf8proc_ssize_t)(DECOMPOSED_MAX - folded->count),
			UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE, &boundary);
		assert(count >= 0);
		folded->count += (size_t)count;
	}
	assert(folded->count <= DECOMPOSED_MAX);
	trim_end(folded);
}

static uint64_t hash_octet(uint64_t hash, unsigned octet)
{
	return (hash ^ octet) * 0x100000001b3u;
}

uint64_t filename_fold(const char *name)
{
	struct codes codes, folded;
	uint64_t hash = 0xcbf29ce484222325u;
	size_t length = strlen(name);
	size_t at = decompose(name, length, &codes);
	fold_codes(&codes, &folded);
	for (size_t i = 0; i < folded.count; i++)
		for (unsigned shift = 0; shift < 24; shift += 8)
			hash = hash_octet(hash, (unsigned)folded.code[i] >> shift & 0xff);
	for (; at < length; at++) /* no file system has such a name */
		hash = hash_octet(hash, (unsigned char)name[at]);
	return hash;
}
