/* base64.c: octets as text, and back. Never allocates. */
#include "daemon/base64.h"
#include <stdint.h>
#include <nettle/base64.h>

void base64_write(const void *octets, size_t size, char *text_out)
{
	base64_encode_raw(text_out, size, octets);
	text_out[BASE64_ENCODE_RAW_LENGTH(size)] = '\0';
}

void base64_write_url(const void *octets, size_t size, char *text_out)
{
	struct base64_encode_ctx context;
	base64url_encode_init(&context);
	size_t used = base64_encode_update(&context, text_out, size, octets);
	used += base64_encode_final(&context, text_out + used);
	while (used > 0 && text_out[used - 1] == '=')
		used--;
	text_out[used] = '\0';
}

bool base64_read(const char *text, size_t size, void *octets_out, size_t max, size_t *size_out)
{
	struct base64_decode_ctx context;
	uint8_t *out = octets_out, octet;
	size_t used = 0;
	base64_decode_init(&context);
	for (size_t i = 0; i < size; i++) {
		int came = base64_decode_single(&context, &octet, text[i]);
		if (came < 0 || (came > 0 && used == max))
			return false;
		if (came > 0)
			out[used++] = octet;
	}
	*size_out = used;
	return true;
}

size_t base64_read_beginning(const char *text, void *octets_out, size_t max)
{
	struct base64_decode_ctx context;
	uint8_t *out = octets_out;
	size_t used = 0;
	base64_decode_init(&context);
	for (; *text && *text != '=' && used < max; text++) {
		int came = base64_decode_single(&context, out + used, *text);
		if (came < 0)
			break;
		used += (size_t)came;
	}
	return used;
}
