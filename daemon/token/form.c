/* form.c: writes and reads forms. Never sends them. */
#define _GNU_SOURCE
#include "daemon/token/form.h"
#include <string.h>
#include "policy/value.h"

void form_init(struct form *form)
{
	form->used = 0;
	form->too_big = false;
	form->text[0] = '\0';
}

static void add_octets(struct form *form, const char *octets, size_t size)
{
	if (form->too_big || size >= sizeof form->text - form->used) {
		form->too_big = true;
		return;
	}
	memcpy(form->text + form->used, octets, size);
	form->used += size;
	form->text[form->used] = '\0';
}

/* RFC 3986 section 2.3 */
static bool is_unreserved(char octet)
{
	return octet &&
	       strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", octet);
}

static void add_encoded(struct form *form, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	for (; *text; text++) {
		unsigned char octet = (unsigned char)*text;
		const char coded[] = { '%', digits[octet >> 4], digits[octet & 15] };
		if (is_unreserved(*text))
			add_octets(form, text, 1);
		else
			add_octets(form, coded, sizeof coded);
	}
}

void form_add(struct form *form, const char *name, const char *value)
{
	if (!*value)
		return;
	if (form->used > 0)
		add_octets(form, "&", 1);
	add_encoded(form, name);
	add_octets(form, "=", 1);
	add_encoded(form, value);
}

void form_wipe(struct form *form)
{
	explicit_bzero(form, sizeof *form);
}

static bool decode(const char *text, size_t length, char *value_out, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < length; i++) {
		char octet = text[i] == '+' ? ' ' : text[i];
		if (octet == '%') {
			int high = i + 1 < length ? value_hex(text[i + 1]) : -1;
			int low = i + 2 < length ? value_hex(text[i + 2]) : -1;
			if (high < 0 || low < 0 || (high | low) == 0)
				return false;
			octet = (char)(high << 4 | low);
			i += 2;
		}
		if (used + 1 >= size)
			return false;
		value_out[used++] = octet;
	}
	value_out[used] = '\0';
	return true;
}

bool form_find(const char *text, const char *name, char *value_out, size_t size)
{
	size_t length = strlen(name);
	while (*text) {
		size_t field = strcspn(text, "&");
		if (field > length && text[length] == '=' && strncmp(text, name, length) == 0)
			return decode(text + length + 1, field - length - 1, value_out, size);
		text += field + (text[field] == '&');
	}
	return false;
}
