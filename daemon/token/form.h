/* form.h: names and values <-> application/x-www-form-urlencoded. Room daemon/token: pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* A refresh token of which each octet needs three, and the rest. */
#define FORM_MAX (60 * 1024)

struct form {
	size_t used;
	bool too_big; /* something did not fit: the form is not to be sent */
	char text[FORM_MAX];
};

void form_init(struct form *form);

/* One field; an empty value is left out. What is in neither of letters, digits and -._~ becomes
 * %XX, so that the same text serves as the query of a URL. */
void form_add(struct form *form, const char *name, const char *value);

/* Secrets were in it. */
void form_wipe(struct form *form);

/* The value of the first field `name` in such a text, decoded. False: there is none, it does not
 * fit, its octets are badly written, or one of them is 0. */
bool form_find(const char *text, const char *name, char *value_out, size_t size);
