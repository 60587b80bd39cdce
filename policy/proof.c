/* proof.c: weighs what Authentication-Results says. Never looks further down than it is told, and
 * takes whatever is not clearly a pass for none. */
#include "policy/proof.h"
#include <string.h>
#include <strings.h>
#include "policy/value.h"

/* --- whose word it is ------------------------------------------------------------------------- */

/* `*.example.org` stands for any name that ends in .example.org and has something before it. */
static bool matches(const char *pattern, const char *id)
{
	if (strncmp(pattern, "*.", 2) != 0)
		return strcasecmp(pattern, id) == 0;
	size_t size = strlen(id), end = strlen(pattern) - 1;
	return size > end && strcasecmp(id + size - end, pattern + 1) == 0;
}

static bool is_accepted(const char *ids, const char *id)
{
	char item[FACTS_DOMAIN_MAX + 3];
	bool fits;
	while (ids && value_next(&ids, item, sizeof item, &fits)) {
		if (fits && matches(item, id))
			return true;
	}
	return false;
}

static bool is_believed(const struct proof_settings *settings, const struct facts_results *field)
{
	if (settings->dialect == PROOF_DIALECT_MICROSOFT)
		return field->form == FACTS_RESULTS_MICROSOFT;
	return field->form == FACTS_RESULTS_RFC && is_accepted(settings->authserv_ids, field->id);
}

/* How many fields, from the top, are believed. */
static size_t count_believed(const struct proof_settings *settings, const struct facts *facts)
{
	size_t count = 0;
	while (count < settings->ar_count && count < facts->results_count &&
	       is_believed(settings, &facts->results[count]))
		count++;
	return count;
}

/* --- what it says ----------------------------------------------------------------------------- */

static bool proves_dmarc(const struct facts_results *field, const char *domain)
{
	return field->dmarc_pass && strcasecmp(field->dmarc_from, domain) == 0;
}

static bool proves_dkim(const struct facts_results *field, const char *domain)
{
	for (size_t i = 0; i < field->signers; i++) {
		if (strcasecmp(field->signer[i], domain) == 0)
			return true;
	}
	return false;
}

static bool proves(enum proof_method method, const struct facts_results *field, const char *domain)
{
	switch (method) {
	case PROOF_METHOD_DMARC: return proves_dmarc(field, domain);
	case PROOF_METHOD_DKIM: return proves_dkim(field, domain);
	case PROOF_METHOD_NONE: break;
	}
	return false;
}

/* Two results for dmarc, in one field or in two: at least one of them is not the server's. */
static bool contradict(const struct facts_results *fields, size_t count)
{
	uint64_t dmarc = 0;
	for (size_t i = 0; i < count; i++)
		dmarc += fields[i].dmarc;
	return dmarc > 1;
}

/* The domain of From; NULL: there is not one address. */
static const char *domain_of(const struct facts *facts)
{
	const char *at = facts->from_state == FACTS_FROM_ONE ? strrchr(facts->from, '@') : NULL;
	return at && at[1] ? at + 1 : NULL;
}

bool proof_results(const struct proof_settings *settings, const struct facts *facts)
{
	const char *domain = domain_of(facts);
	size_t count = count_believed(settings, facts);
	if (!domain || contradict(facts->results, count))
		return false;
	for (size_t m = 0; m < PROOF_METHODS_MAX; m++) {
		for (size_t i = 0; i < count; i++) {
			if (proves(settings->methods[m], &facts->results[i], domain))
				return true;
		}
	}
	return false;
}
