/* data.c: finds the end of the data and takes the dots away. Never holds more than one byte back,
 * never refuses. */
#include "daemon/smtp/data.h"
#include <string.h>

/* What the last bytes were. */
enum state {
	LINE_START, /* nothing, or CR LF */
	TEXT,
	TEXT_CR, /* a CR, held back: it may be half an end of line */
	DOT,     /* CR LF and a dot, dropped: it ends the data or was stuffed */
	DOT_CR,  /* the same and a CR, held back */
	END
};

void data_init(struct data *data, bool lenient)
{
	*data = (struct data){ .lenient = lenient, .state = LINE_START };
}

struct output {
	char *at;
};

static void put(struct output *out, const char *bytes, size_t size)
{
	memcpy(out->at, bytes, size);
	out->at += size;
}

/* A LF: the end of a line if a CR was held back, else a bare one. */
static enum state put_lf(struct data *data, struct output *out)
{
	if (data->state == TEXT_CR || data->state == DOT_CR) {
		put(out, "\r\n", 2);
		return LINE_START;
	}
	data->bare_lf = true;
	if (data->lenient)
		put(out, "\r\n", 2);
	else
		put(out, "\n", 1);
	return TEXT;
}

/* The CR that was held back stands alone. */
static void put_bare_cr(struct data *data, struct output *out)
{
	if (data->state != TEXT_CR && data->state != DOT_CR)
		return;
	data->bare_cr = true;
	put(out, "\r", 1);
}

/* One byte where a line starts or ends; in between, data_feed copies. */
static enum state step(struct data *data, char byte, struct output *out)
{
	if (byte == '\n' && data->state == DOT_CR)
		return END;
	if (byte == '\n')
		return put_lf(data, out);
	put_bare_cr(data, out);
	if (byte == '\r')
		return data->state == DOT ? DOT_CR : TEXT_CR;
	if (byte == '.' && data->state == LINE_START)
		return DOT;
	put(out, &byte, 1);
	return TEXT;
}

/* Octets looked at ahead: a text full of bare CRs must not be searched for a LF again and again. */
#define WINDOW 512

/* How many octets, up to WINDOW, hold neither CR nor LF. This is where the time goes. */
static size_t plain_length(const char *in, size_t size)
{
	if (size > WINDOW)
		size = WINDOW;
	const char *lf = memchr(in, '\n', size);
	size_t length = lf ? (size_t)(lf - in) : size;
	const char *cr = memchr(in, '\r', length);
	return cr ? (size_t)(cr - in) : length;
}

bool data_feed(struct data *data, const char *in, size_t size, size_t *used_out, char *out,
	       size_t *put_out)
{
	struct output output = { .at = out };
	size_t at = 0;
	while (at < size && data->state != END) {
		if (data->state == TEXT) {
			size_t plain = plain_length(in + at, size - at);
			put(&output, in + at, plain);
			at += plain;
			if (plain > 0)
				continue;
		}
		data->state = (uint8_t)step(data, in[at], &output);
		at++;
	}
	*used_out = at;
	*put_out = (size_t)(output.at - out);
	return data->state == END;
}
