/* fuzz_fields.c: a message, in pieces of two sizes, through line ends and the header: both give the
 * same fields, of lines that everybody reads alike, and the same body. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/prover/fields.h"
#include "daemon/prover/lines.h"

#define HEADER_MAX 5000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
	char *out; /* fields with a bar behind each, then the body */
	size_t used;
	enum fields_state state;
	const char *why;
};

static void put(struct reading *reading, const char *at, size_t size)
{
	memcpy(reading->out + reading->used, at, size);
	reading->used += size;
}

static void check_field(const struct fields *fields)
{
	size_t size;
	const char *value = fields_value(fields, &size);
	if (value == fields->text + 1 || memchr(fields->text, '\0', fields->size))
		abort();
	for (size_t i = 0; i < fields->size; i++) {
		bool cr = fields->text[i] == '\r';
		bool lf = i + 1 < fields->size && fields->text[i + 1] == '\n';
		if (cr != lf)
			abort();
	}
}

static void take(struct reading *reading, struct fields *fields, const char *at, size_t left)
{
	while (left > 0 && reading->state != FIELDS_BAD) {
		if (reading->state == FIELDS_END) {
			put(reading, at, left);
			return;
		}
		do {
			reading->state = fields_take(fields, &at, &left);
			if (reading->state == FIELDS_FIELD) {
				check_field(fields);
				put(reading, fields->text, fields->size);
				put(reading, "|", 1);
			}
		} while (reading->state == FIELDS_FIELD);
	}
}

static void read_in_pieces(const uint8_t *data, size_t size, size_t step, struct reading *reading)
{
	struct fields fields;
	struct lines lines = { 0 };
	char *made = malloc(LINES_ROOM(step) + 2);
	*reading = (struct reading){ .out = malloc(LINES_ROOM(size) + size + 10) };
	if (!made || !reading->out || !fields_init(&fields, HEADER_MAX))
		abort();
	for (size_t at = 0; at < size; at += step) {
		size_t piece = size - at < step ? size - at : step;
		size_t count = lines_run(&lines, (const char *)data + at, piece, made);
		take(reading, &fields, made, count);
	}
	take(reading, &fields, made, lines_finish(&lines, made));
	reading->why = fields.why;
	fields_done(&fields);
	free(made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reading one, other;
	size_t step = size > 0 ? data[0] % 16 + 1 : 1;
	read_in_pieces(data, size, step, &one);
	read_in_pieces(data, size, size + 1, &other);
	if (one.state != other.state || one.why != other.why || one.used != other.used ||
	    memcmp(one.out, other.out, one.used) != 0)
		abort();
	free(one.out);
	free(other.out);
	return 0;
}
