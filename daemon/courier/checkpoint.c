/* checkpoint.c: turns frames into facts. Never believes that the extractor is still ours. */
#include "daemon/courier/checkpoint.h"
#include <string.h>

/* Control characters become blanks: they would break a log line or a match. */
static void copy_text(const char *from, char *to, size_t size)
{
	size_t used = 0;
	for (; *from && used + 1 < size; from++)
		to[used++] = (unsigned char)*from < 0x20 || *from == 0x7F ? ' ' : *from;
	to[used] = '\0';
}

/* RFC 5321 section 4.1.2: a dot-string, or a quoted string. */
static bool is_local_part(const char *text, size_t size)
{
	if (size >= 2 && text[0] == '"' && text[size - 1] == '"')
		return true;
	for (size_t i = 0; i < size; i++) {
		if (strchr("()<>[]:;@\\,\" ", text[i]))
			return false;
	}
	return size > 0;
}

bool checkpoint_address(const char *address)
{
	const char *at = strrchr(address, '@');
	if (!at || !at[1] || strlen(address) > FRAME_ADDRESS_MAX)
		return false;
	for (const char *s = address; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7F)
			return false;
	}
	/* a domain has no blanks, brackets or quotes */
	return is_local_part(address, (size_t)(at - address)) &&
	       at[1 + strcspn(at + 1, " \t\"<>(),;\\")] == '\0';
}

static void take_from(const struct frame_message *message, struct checkpoint_texts *texts,
		      struct facts *facts)
{
	static const enum facts_from states[] = {
		[FRAME_FROM_NONE] = FACTS_FROM_NONE,
		[FRAME_FROM_ONE] = FACTS_FROM_ONE,
		[FRAME_FROM_MANY] = FACTS_FROM_MANY,
		[FRAME_FROM_BAD] = FACTS_FROM_BAD,
	};
	facts->from_state = states[message->from_state];
	facts->from = NULL;
	if (facts->from_state != FACTS_FROM_ONE)
		return;
	copy_text(message->from, texts->from, sizeof texts->from);
	facts->from = texts->from;
	if (!checkpoint_address(message->from)) {
		facts->from_state = FACTS_FROM_BAD;
		facts->from = NULL;
	}
}

/* Dates that strftime and people can live with: 1970 to 2200. */
#define DATE_MAX 7258118400LL

/* What a clock in our zone showed. */
static void read_clock(const time_t *date, struct tm *date_out)
{
	gmtime_r(date, date_out);
	date_out->tm_isdst = -1;
	mktime(date_out);
}

static void take_date(const struct frame_message *message, struct facts *facts)
{
	time_t date = (time_t)message->date_s;
	facts->has_date = (message->flags & FRAME_HAS_DATE) && date >= 0 && date <= DATE_MAX;
	facts->date = facts->received;
	if (!facts->has_date)
		return;
	if (message->flags & FRAME_DATE_LOCAL)
		read_clock(&date, &facts->date);
	else if (!localtime_r(&date, &facts->date))
		facts->date = facts->received;
}

void checkpoint_message(const struct frame_message *message, struct checkpoint_texts *texts,
			struct facts *facts)
{
	take_from(message, texts, facts);
	take_date(message, facts);
	copy_text(message->subject, texts->subject, sizeof texts->subject);
	facts->subject = texts->subject;
	facts->has_message_id = message->flags & FRAME_HAS_MESSAGE_ID;
}

/* Octets that a domain or an authserv-id may have in a field that was read well; none is longer
 * than its place. */
static bool is_made_of(const char *text, const char *octets)
{
	return text[strspn(text, octets)] == '\0';
}

static const char domain_octets[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
static const char id_octets[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.!#$%&'*+^`{|}~";

static bool are_fit(const struct frame_results *results)
{
	for (uint32_t i = 0; i < results->signers; i++) {
		if (!results->signer[i][0] || !is_made_of(results->signer[i], domain_octets))
			return false;
	}
	bool rfc = results->form == FRAME_RESULTS_RFC;
	return is_made_of(results->id, id_octets) && (results->id[0] != '\0') == rfc &&
	       is_made_of(results->dmarc_from, domain_octets);
}

void checkpoint_results(const struct frame_results *results, struct checkpoint_texts *texts,
			struct facts *facts)
{
	static const enum facts_form forms[] = {
		[FRAME_RESULTS_BAD] = FACTS_RESULTS_BAD,
		[FRAME_RESULTS_RFC] = FACTS_RESULTS_RFC,
		[FRAME_RESULTS_MICROSOFT] = FACTS_RESULTS_MICROSOFT,
	};
	_Static_assert(FACTS_RESULTS_MAX == FRAME_RESULTS_MAX, "all that may come have a place");
	_Static_assert(FACTS_SIGNERS_MAX == FRAME_SIGNERS_MAX, "all that may come have a place");
	_Static_assert(FACTS_DOMAIN_MAX == FRAME_DOMAIN_MAX, "what may come fits");
	facts->results = texts->results;
	if (facts->results_count == FACTS_RESULTS_MAX)
		return;
	struct facts_results *field = &texts->results[facts->results_count++];
	memset(field, 0, sizeof *field);
	if (results->form == FRAME_RESULTS_BAD || !are_fit(results))
		return;
	field->form = forms[results->form];
	field->dmarc = results->dmarc;
	field->dmarc_pass = results->dmarc_pass;
	memcpy(field->id, results->id, sizeof field->id);
	memcpy(field->dmarc_from, results->dmarc_from, sizeof field->dmarc_from);
	memcpy(field->signer, results->signer, sizeof field->signer);
	field->signers = results->signers;
}

void checkpoint_type(const char *mime, char *type_out)
{
	static const char fit[] = "abcdefghijklmnopqrstuvwxyz0123456789!#$&-^_.+/";
	const char *slash = strchr(mime, '/');
	bool good = slash && slash != mime && slash[1] && mime[strspn(mime, fit)] == '\0' &&
		    strlen(mime) < FRAME_TYPE_MAX;
	strcpy(type_out, good ? mime : "application/octet-stream");
}

void checkpoint_part(const struct frame_part *part, char *declared, struct facts_part *facts)
{
	static const enum facts_disposition dispositions[] = {
		[FRAME_DISPOSITION_NONE] = FACTS_DISPOSITION_NONE,
		[FRAME_DISPOSITION_INLINE] = FACTS_DISPOSITION_INLINE,
		[FRAME_DISPOSITION_ATTACHMENT] = FACTS_DISPOSITION_ATTACHMENT,
	};
	copy_text(part->declared, declared, FRAME_TYPE_MAX);
	facts->declared = declared;
	facts->disposition = dispositions[part->disposition];
	facts->text_body = part->flags & FRAME_PART_TEXT_BODY;
}
