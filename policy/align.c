/* align.c: compares two domains. Never asks anybody, and never hands libpsl what it has not looked
 * at: that takes upper case, dots at the end and addresses for something else. */
#include "policy/align.h"
#include <libpsl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define DOMAIN_MAX 253 /* octets, without a dot at the end (RFC 1035 section 2.3.4) */
#define LABEL_MAX  63

static bool is_digit(char letter)
{
	return letter >= '0' && letter <= '9';
}

static char lower(char letter)
{
	return letter >= 'A' && letter <= 'Z' ? (char)(letter + ('a' - 'A')) : letter;
}

static bool is_fit(char letter)
{
	return (letter >= 'a' && letter <= 'z') || is_digit(letter) || letter == '-' ||
	       letter == '_' || letter == '.';
}

/* No label is empty or too long, and the last is no number: 1.2.3.4 is an address. */
static bool has_good_labels(const char *name)
{
	for (;;) {
		size_t size = strcspn(name, ".");
		if (size == 0 || size > LABEL_MAX)
			return false;
		if (name[size] == '\0')
			return strspn(name, "0123456789") < size;
		name += size + 1;
	}
}

/* In lower case, without the dot at the end. False: it is no name. */
static bool take_name(const char *domain, char name_out[DOMAIN_MAX + 1])
{
	size_t size = strlen(domain);
	if (size > 0 && domain[size - 1] == '.')
		size--;
	if (size == 0 || size > DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		name_out[i] = lower(domain[i]);
		if (!is_fit(name_out[i]))
			return false;
	}
	name_out[size] = '\0';
	return has_good_labels(name_out);
}

enum align align_domains(const char *from, const char *signer)
{
	char one[DOMAIN_MAX + 1], other[DOMAIN_MAX + 1];
	if (!take_name(from, one) || !take_name(signer, other))
		return ALIGN_NONE;
	if (strcmp(one, other) == 0)
		return ALIGN_STRICT;
	const psl_ctx_t *suffixes = psl_builtin();
	const char *of_one = suffixes ? psl_registrable_domain(suffixes, one) : NULL;
	const char *of_other = suffixes ? psl_registrable_domain(suffixes, other) : NULL;
	return of_one && of_other && strcmp(of_one, of_other) == 0 ? ALIGN_RELAXED : ALIGN_NONE;
}
