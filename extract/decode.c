/* decode.c: decodes base64, quoted-printable and uuencode in bounded space. Never fails and never
 * decides what a part is. */
#include "extract/decode.h"
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* ---- base64 ---- */

#define NOT_BASE64 0xff
static uint8_t base64_value[256];

/* Value of a character at each of the four places of its group; the top bit is set where it has
 * none. */
#define BAD_GROUP 0x80000000u
static uint32_t base64_place[4][256];

/* Decodes whole groups from the start of `in`, up to the first character that is not of the
 * alphabet. Returns the characters taken; each 4 give 3 octets. May write DECODE_SLACK octets
 * further. */
typedef size_t base64_groups(const uint8_t *in, size_t size, uint8_t *out);

static size_t groups_portable(const uint8_t *in, size_t size, uint8_t *out)
{
	size_t taken = 0;
	for (; size - taken >= 4; taken += 4, out += 3) {
		const uint8_t *at = in + taken;
		uint32_t group = base64_place[0][at[0]] | base64_place[1][at[1]] |
				 base64_place[2][at[2]] | base64_place[3][at[3]];
		if (group & BAD_GROUP)
			break;
		out[0] = (uint8_t)(group >> 16);
		out[1] = (uint8_t)(group >> 8);
		out[2] = (uint8_t)group;
	}
	return taken;
}

static base64_groups *groups = groups_portable;

#if defined(__x86_64__)
/* By the upper half of a character: the first and the last one of the alphabet that have it, and
 * what makes a value of them. `/` shares its half with `+` and is looked at by itself. Where there
 * is none, a bound that nothing meets. */
#define NONE 0xff
static const uint8_t half_first[16] = { NONE, NONE, '+',  '0',  'A',  'P',  'a',  'p',
					NONE, NONE, NONE, NONE, NONE, NONE, NONE, 1 };
static const uint8_t half_last[16] = { NONE, NONE, '+',  '9',  'O',  'Z',  'o',  'z',
				       NONE, NONE, NONE, NONE, NONE, NONE, NONE, 1 };
static const int8_t half_add[16] = { 0, 0, 19, 4, -65, -65, -71, -71 };
#define SLASH_ADD (16 - 19)

__attribute__((target("avx2"))) static inline __m256i table_avx2(const void *table)
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128(table));
}

/* The values of 32 characters, and in *valid_out a bit for each that has one. */
__attribute__((target("avx2"))) static inline __m256i values_avx2(__m256i characters,
								  uint32_t *valid_out)
{
	__m256i half = _mm256_and_si256(_mm256_srli_epi16(characters, 4), _mm256_set1_epi8(0x0f));
	__m256i first = _mm256_shuffle_epi8(table_avx2(half_first), half);
	__m256i last = _mm256_shuffle_epi8(table_avx2(half_last), half);
	__m256i add = _mm256_shuffle_epi8(table_avx2(half_add), half);
	__m256i slash = _mm256_cmpeq_epi8(characters, _mm256_set1_epi8('/'));
	__m256i within = _mm256_min_epu8(_mm256_max_epu8(characters, first), last);
	__m256i valid = _mm256_or_si256(_mm256_cmpeq_epi8(within, characters), slash);
	*valid_out = (uint32_t)_mm256_movemask_epi8(valid);
	add = _mm256_add_epi8(add, _mm256_and_si256(slash, _mm256_set1_epi8(SLASH_ADD)));
	return _mm256_add_epi8(characters, add);
}

/* 32 values of six bits -> 24 octets, in the first 24 of the result. */
__attribute__((target("avx2"))) static inline __m256i pack_avx2(__m256i values)
{
	/* each pair of values to 12 bits, each pair of those to 24 */
	__m256i pairs = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140));
	__m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000));
	/* the octets of each 24 bits in the order of the text, then the two halves beside each
	 * other */
	const __m256i order =
		_mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1, 2, 1, 0, 6,
				 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
	return _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(fours, order),
					   _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
}

__attribute__((target("avx2"))) static size_t groups_avx2(const uint8_t *in, size_t size,
							  uint8_t *out)
{
	size_t taken = 0;
	while (size - taken >= 32) {
		uint32_t valid;
		__m256i characters =
			_mm256_loadu_si256((const __m256i *)(const void *)(in + taken));
		__m256i octets = pack_avx2(values_avx2(characters, &valid));
		_mm256_storeu_si256((__m256i *)(void *)out, octets);
		if (valid != 0xffffffff) {
			/* the groups before the first character that is none: all that a line end
			 * leaves */
			return taken + ((size_t)__builtin_ctz(~valid) & ~(size_t)3);
		}
		taken += 32;
		out += 24;
	}
	return taken + groups_portable(in + taken, size - taken, out);
}

static base64_groups *best_groups(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx2") ? groups_avx2 : groups_portable;
}
#else
static base64_groups *best_groups(void)
{
	return groups_portable;
}
#endif

void decode_prepare_portable(void)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	memset(base64_value, NOT_BASE64, sizeof base64_value);
	for (unsigned place = 0; place < 4; place++)
		for (unsigned c = 0; c < 256; c++)
			base64_place[place][c] = BAD_GROUP;
	for (unsigned value = 0; value < 64; value++) {
		uint8_t c = (uint8_t)alphabet[value];
		base64_value[c] = (uint8_t)value;
		for (unsigned place = 0; place < 4; place++)
			base64_place[place][c] = value << (18 - 6 * place);
	}
	groups = groups_portable;
}

void decode_prepare(void)
{
	decode_prepare_portable();
	groups = best_groups();
}

/* What base64 makes of what it reads. */
enum {
	BASE64_DATA,   /* it is data */
	BASE64_PADDED, /* `=` has ended a group in this line: the rest of it is held */
	BASE64_DOUBT,  /* a line is held, to be judged as a whole */
	BASE64_OVER    /* the data is over: what follows is only looked at */
};

/* So much base64 alone in a line, with letters of both cases, is no word of a footer. */
#define HIDDEN_BASE64 40

/* What may stand between data and mean nothing: blanks, and whatever else is not seen. */
static bool is_gap(char c)
{
	return (uint8_t)c <= ' ' || c == 0x7f;
}

static bool is_base64(char c)
{
	return base64_value[(uint8_t)c] != NOT_BASE64;
}

bool decode_is_base64_line(struct span line)
{
	size_t padding = 0;
	while (padding < 2 && padding < line.size && line.at[line.size - 1 - padding] == '=')
		padding++;
	if (line.size == 0 || line.size % 4 != 0)
		return false;
	for (size_t i = 0; i < line.size - padding; i++)
		if (!is_base64(line.at[i]))
			return false;
	return true;
}

/* Nothing but base64 and padding? */
static bool is_base64_run(struct span text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!is_base64(text.at[i]) && text.at[i] != '=')
			return false;
	return true;
}

static size_t base64_add(struct decoder *decoder, uint8_t value, char *out)
{
	decoder->group = decoder->group << 6 | value;
	decoder->line++;
	if (++decoder->count < 4)
		return 0;
	decoder->count = 0;
	out[0] = (char)(decoder->group >> 16);
	out[1] = (char)(decoder->group >> 8);
	out[2] = (char)decoder->group;
	return 3;
}

/* The octets of a group that ends before its time. */
static size_t base64_end_group(struct decoder *decoder, char *out)
{
	size_t made = decoder->count > 1 ? decoder->count - 1 : 0;
	decoder->damaged |= decoder->count == 1;
	uint32_t group = decoder->group << (6 * (4 - decoder->count));
	decoder->count = 0;
	if (made > 0)
		out[0] = (char)(group >> 16);
	if (made > 1)
		out[1] = (char)(group >> 8);
	return made;
}

static void base64_end_line(struct decoder *decoder)
{
	bool padded = decoder->state == BASE64_PADDED;
	bool last = padded ||
		    (decoder->line > 0 && decoder->line < decoder->widest && decoder->count == 0);
	if (decoder->line > decoder->widest)
		decoder->widest = decoder->line;
	if (last) {
		decoder->state = BASE64_DOUBT;
		decoder->padded = padded;
	}
	decoder->line = 0;
	decoder->held = 0;
}

/* One character that is data, or between data. Mail servers cut a line that is too long with `!`
 * and a line end. */
static size_t base64_character(struct decoder *decoder, char c, char *out)
{
	uint8_t value = base64_value[(uint8_t)c];
	decoder->damaged |= decoder->mark && !is_gap(c);
	decoder->mark = c == '!';
	if (value != NOT_BASE64)
		return base64_add(decoder, value, out);
	if (c == '\n') {
		base64_end_line(decoder);
	} else if (c == '=') {
		decoder->state = BASE64_PADDED;
		return base64_end_group(decoder, out);
	} else if (!is_gap(c) && !decoder->mark) {
		decoder->damaged = true;
	}
	return 0;
}

static size_t base64_characters(struct decoder *decoder, struct span text, char *out)
{
	size_t made = 0;
	for (size_t i = 0; i < text.size; i++)
		made += base64_character(decoder, text.at[i], out + made);
	return made;
}

/* Does a line behind the data look like a piece of another part: like its delimiter, one of its
 * fields, or its base64? What mailing lists put below a letter does not, its rulers included. */
static bool is_of_other_part(struct span line)
{
	bool word = false, blank = false, upper = false, lower = false;
	for (size_t i = 0; i < line.size; i++) {
		char c = line.at[i];
		blank |= is_gap(c);
		upper |= c >= 'A' && c <= 'Z';
		lower |= c >= 'a' && c <= 'z';
		word |= upper || lower || span_is_digit(c);
	}
	if (!word)
		return false;
	bool delimiter = line.size > 2 && memcmp(line.at, "--", 2) == 0 && !blank;
	bool base64 = line.size >= HIDDEN_BASE64 && upper && lower && decode_is_base64_line(line);
	return delimiter || base64 || line.at[line.size - 1] == '=' ||
	       span_starts_alike(line, SPAN("Content-"));
}

static size_t base64_end(struct decoder *decoder, struct span line)
{
	decoder->state = BASE64_OVER;
	decoder->hides |= is_of_other_part(line);
	decoder->damaged |= decoder->hides;
	return 0;
}

/* The rest of a line behind its padding: another piece, glued to the one before, or a footer. */
static size_t base64_judge_rest(struct decoder *decoder, struct span rest, char *out)
{
	if (!is_base64_run(rest))
		return base64_end(decoder, rest);
	return base64_characters(decoder, rest, out);
}

/* A line in doubt: data or a footer. `whole`: it is not longer than what is held. Behind a line
 * without padding, base64 that is no whole groups was perhaps data. */
static size_t base64_judge_line(struct decoder *decoder, struct span line, bool whole, char *out)
{
	bool run = is_base64_run(line);
	if (line.size == 0)
		return 0;
	if (whole ? !decode_is_base64_line(line) : !run) {
		decoder->damaged |= run && !decoder->padded;
		return base64_end(decoder, line);
	}
	decoder->state = BASE64_DATA;
	return base64_characters(decoder, line, out);
}

/* Judges what is held: a line, or as much of it as there is room for. */
static size_t base64_judge(struct decoder *decoder, char *out)
{
	struct span line = span_trim(span_of(decoder->hold, decoder->held));
	bool whole = decoder->held < sizeof decoder->hold;
	decoder->held = 0;
	switch (decoder->state) {
	case BASE64_PADDED: return base64_judge_rest(decoder, line, out);
	case BASE64_DOUBT: return base64_judge_line(decoder, line, whole, out);
	default: return base64_end(decoder, line);
	}
}

/* One character of a line that is held. */
static size_t base64_hold(struct decoder *decoder, char c, char *out)
{
	size_t made = 0;
	if (c != '\n')
		decoder->hold[decoder->held++] = c;
	if (c == '\n' || decoder->held == sizeof decoder->hold)
		made = base64_judge(decoder, out);
	if (c == '\n' && decoder->state != BASE64_OVER && decoder->state != BASE64_DOUBT)
		base64_end_line(decoder);
	return made;
}

static size_t base64_run(struct decoder *decoder, struct span *in, char *out, size_t room)
{
	size_t made = 0;
	while (in->size > 0 && room - made >= DECODE_ROOM_MIN / 2) {
		if (decoder->count == 0 && decoder->state == BASE64_DATA && !decoder->mark) {
			size_t most = (room - made) / 3 * 4;
			size_t taken =
				groups((const uint8_t *)in->at, most < in->size ? most : in->size,
				       (uint8_t *)out + made);
			decoder->line += taken;
			made += taken / 4 * 3;
			*in = span_after(*in, taken);
		}
		if (in->size == 0 || room - made < DECODE_ROOM_MIN / 2)
			break;
		made += decoder->state == BASE64_DATA
				? base64_character(decoder, in->at[0], out + made)
				: base64_hold(decoder, in->at[0], out + made);
		*in = span_after(*in, 1);
	}
	return made;
}

bool decode_is_within_line(const struct decoder *decoder)
{
	return decoder->kind == DECODE_BASE64 && decoder->state == BASE64_DATA && decoder->line > 0;
}

static size_t base64_finish(struct decoder *decoder, bool whole, char *out)
{
	size_t made = decoder->state != BASE64_DATA ? base64_judge(decoder, out) : 0;
	if (whole)
		return made + base64_end_group(decoder, out + made);
	decoder->damaged |= decoder->count > 0;
	decoder->count = 0;
	return made;
}

/* ---- quoted-printable ---- */

/* What is held back in QP. */
enum {
	QP_TEXT,
	QP_BLANKS, /* blanks, which go if the line ends behind them */
	QP_EQUALS, /* `=` and perhaps blanks */
	QP_DIGIT   /* `=` and one hexadecimal digit */
};

/* Gives back what was held as the text that it is. */
static size_t qp_release(struct decoder *decoder, char *out)
{
	size_t size = decoder->held;
	memcpy(out, decoder->hold, size);
	decoder->held = 0;
	decoder->state = QP_TEXT;
	return size;
}

static size_t qp_text(struct decoder *decoder, char c, char *out)
{
	bool blank = c == ' ' || c == '\t';
	if (!blank && c != '=') {
		out[0] = c;
		return 1;
	}
	decoder->state = blank ? QP_BLANKS : QP_EQUALS;
	decoder->hold[decoder->held++] = c;
	return 0;
}

static size_t qp_blanks(struct decoder *decoder, char c, char *out)
{
	if ((c == ' ' || c == '\t') && decoder->held < sizeof decoder->hold) {
		decoder->hold[decoder->held++] = c;
		return 0;
	}
	if (c == '\r' || c == '\n')
		decoder->held = 0; /* blanks at the end of a line were added on the way */
	size_t made = qp_release(decoder, out);
	return made + qp_text(decoder, c, out + made);
}

static size_t qp_equals(struct decoder *decoder, char c, char *out)
{
	if (c == '\n') {
		decoder->held = 0;
		decoder->state = QP_TEXT;
		return 0;
	}
	if (decoder->held == 1 && span_hex(c) >= 0) {
		decoder->group = (uint32_t)span_hex(c);
		decoder->state = QP_DIGIT;
		decoder->hold[decoder->held++] = c;
		return 0;
	}
	if (span_is_blank(c) && decoder->held < sizeof decoder->hold) {
		decoder->hold[decoder->held++] = c;
		return 0;
	}
	size_t made = qp_release(decoder, out);
	return made + qp_text(decoder, c, out + made);
}

static size_t qp_digit(struct decoder *decoder, char c, char *out)
{
	if (span_hex(c) >= 0) {
		out[0] = (char)(decoder->group << 4 | (uint32_t)span_hex(c));
		decoder->held = 0;
		decoder->state = QP_TEXT;
		return 1;
	}
	size_t made = qp_release(decoder, out);
	return made + qp_text(decoder, c, out + made);
}

typedef size_t qp_step(struct decoder *decoder, char c, char *out);
static qp_step *const qp_steps[] = {
	[QP_TEXT] = qp_text, [QP_BLANKS] = qp_blanks, [QP_EQUALS] = qp_equals, [QP_DIGIT] = qp_digit
};

static size_t qp_run(struct decoder *decoder, struct span *in, char *out, size_t room)
{
	size_t made = 0, used = 0;
	/* a step gives at most what was held and one octet more */
	while (used < in->size && room - made > sizeof decoder->hold + 1)
		made += qp_steps[decoder->state](decoder, in->at[used++], out + made);
	*in = span_after(*in, used);
	return made;
}

static size_t qp_finish(struct decoder *decoder, char *out)
{
	/* a lone `=` is a soft line break that the end of the part cut; more than that was text */
	if (decoder->state == QP_EQUALS &&
	    span_trim(span_of(decoder->hold, decoder->held)).size == 1)
		decoder->held = 0;
	return qp_release(decoder, out);
}

/* ---- uuencode ---- */

enum { UU_BEFORE, UU_DATA, UU_AFTER };

static unsigned uu_value(char c)
{
	return ((unsigned)(uint8_t)c - ' ') & 0x3f;
}

static bool uu_is_data(char c)
{
	return c >= ' ' && c <= '`';
}

int decode_uu_line(struct span line, char out[DECODE_UU_LINE_MAX + 3])
{
	while (line.size > 0 && (line.at[line.size - 1] == '\r' || line.at[line.size - 1] == '\n'))
		line.size--;
	if (line.size == 0 || !uu_is_data(line.at[0]))
		return -1;
	size_t size = uu_value(line.at[0]), needed = (size + 2) / 3 * 4;
	/* some add a check character; many mail programs took blanks off the end */
	if (line.size > needed + 3)
		return -1;
	for (size_t i = 0; i < needed; i += 4) {
		unsigned value[4] = { 0 };
		for (size_t k = 0; k < 4; k++) {
			char c = 1 + i + k < line.size ? line.at[1 + i + k] : ' ';
			if (!uu_is_data(c))
				return -1;
			value[k] = uu_value(c);
		}
		char *at = out + i / 4 * 3;
		at[0] = (char)(value[0] << 2 | value[1] >> 4);
		at[1] = (char)(value[1] << 4 | value[2] >> 2);
		at[2] = (char)(value[2] << 6 | value[3]);
	}
	return (int)size;
}

static size_t uu_line(struct decoder *decoder, char *out)
{
	struct span line = span_of(decoder->hold, decoder->held);
	decoder->held = 0;
	bool begins = span_starts_alike(line, SPAN("begin "));
	decoder->damaged |= begins && decoder->state == UU_AFTER;
	if (decoder->state == UU_BEFORE && begins)
		decoder->state = UU_DATA;
	else if (decoder->state == UU_DATA && span_alike(span_trim(line), SPAN("end")))
		decoder->state = UU_AFTER;
	else if (decoder->state == UU_DATA) {
		int size = decode_uu_line(line, out);
		decoder->damaged |= size < 0 && span_trim(line).size > 0;
		return size > 0 ? (size_t)size : 0;
	}
	return 0;
}

static size_t uu_run(struct decoder *decoder, struct span *in, char *out, size_t room)
{
	size_t made = 0, used = 0;
	while (used < in->size && room - made > DECODE_UU_LINE_MAX + 3) {
		char c = in->at[used++];
		if (c == '\n')
			made += uu_line(decoder, out + made);
		else if (decoder->held < sizeof decoder->hold)
			decoder->hold[decoder->held++] = c;
	}
	*in = span_after(*in, used);
	return made;
}

static size_t uu_finish(struct decoder *decoder, char *out)
{
	size_t made = uu_line(decoder, out);
	decoder->damaged |= decoder->state != UU_AFTER;
	return made;
}

/* ---- all of them ---- */

void decode_init(struct decoder *decoder, enum decode_kind kind)
{
	decoder->kind = kind;
	decoder->damaged = false;
	decoder->hides = false;
	decoder->state = 0;
	decoder->group = 0;
	decoder->count = 0;
	decoder->line = 0;
	decoder->widest = 0;
	decoder->mark = decoder->padded = false;
	decoder->held = 0;
}

static size_t identity_run(struct span *in, char *out, size_t room)
{
	size_t size = in->size < room ? in->size : room;
	memcpy(out, in->at, size);
	*in = span_after(*in, size);
	return size;
}

size_t decode_run(struct decoder *decoder, struct span *in, char *out, size_t room)
{
	switch (decoder->kind) {
	case DECODE_BASE64: return base64_run(decoder, in, out, room);
	case DECODE_QP: return qp_run(decoder, in, out, room);
	case DECODE_UU: return uu_run(decoder, in, out, room);
	default: return identity_run(in, out, room);
	}
}

size_t decode_finish(struct decoder *decoder, bool whole, char *out)
{
	switch (decoder->kind) {
	case DECODE_BASE64: return base64_finish(decoder, whole, out);
	case DECODE_QP: return qp_finish(decoder, out);
	case DECODE_UU: return uu_finish(decoder, out);
	default: return 0;
	}
}
