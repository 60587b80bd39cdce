/* message.c: reads From, To, Cc, Subject, Date, Message-ID and Authentication-Results. Never uses
 * Sender, Reply-To or ARC fields: they prove nothing. */
#include "extract/message.h"
#include <string.h>
#include "extract/address.h"
#include "extract/date.h"
#include "extract/header.h"
#include "extract/results.h"
#include "extract/word.h"

/* What is being put together. */
struct summary {
	struct frame_message message;
	struct frame_writer *writer;
	unsigned addresses, from_fields, results;
	bool has_subject;
};

static void set_from(struct summary *summary, enum frame_from state, struct span address)
{
	summary->message.from_state = state;
	memset(summary->message.from, 0, sizeof summary->message.from);
	if (state == FRAME_FROM_ONE)
		memcpy(summary->message.from, address.at, address.size);
}

static void take_from(struct summary *summary, const struct header_field *field)
{
	char bytes[FRAME_ADDRESS_MAX];
	struct text address = text_in(bytes, sizeof bytes);
	enum frame_from state = address_read_from(field->value, &address);
	if (++summary->from_fields > 1)
		state = FRAME_FROM_MANY;
	set_from(summary, state, text_span(&address));
}

/* From fields that any reader may see, ours among them. */
static unsigned count_from(struct span block)
{
	unsigned count = 0;
	for (size_t i = 0; i < block.size; i++) {
		bool starts = i == 0 || block.at[i - 1] == '\n' || block.at[i - 1] == '\r';
		count += starts && header_may_name(span_after(block, i), SPAN("From"));
	}
	return count;
}

static void judge_from(struct summary *summary, struct span block, bool cr_lines)
{
	if (count_from(block) > summary->from_fields)
		set_from(summary, FRAME_FROM_MANY, SPAN(""));
	else if (cr_lines && summary->message.from_state == FRAME_FROM_ONE)
		set_from(summary, FRAME_FROM_BAD, SPAN(""));
}

static void take_recipients(struct summary *summary, const struct header_field *field)
{
	char bytes[FRAME_ADDRESS_MAX];
	struct text address = text_in(bytes, sizeof bytes);
	struct span value = field->value;
	while (summary->addresses < FRAME_ADDRESSES_MAX && address_next(&value, &address)) {
		summary->addresses++;
		frame_put(summary->writer, FRAME_ADDRESS, address.at, address.size,
			  span_of(NULL, 0));
	}
}

static void take_subject(struct summary *summary, const struct header_field *field)
{
	char bytes[4 * FRAME_SUBJECT_MAX];
	struct text subject = text_in(bytes, sizeof bytes);
	if (summary->has_subject)
		return;
	summary->has_subject = true;
	word_decode(field->value, &subject);
	text_finish(&subject, FRAME_SUBJECT_MAX);
	memcpy(summary->message.subject, subject.at, subject.size);
}

static void take_date(struct summary *summary, const struct header_field *field)
{
	int64_t seconds;
	bool local;
	if (!(summary->message.flags & FRAME_HAS_DATE) &&
	    date_read(field->value, &seconds, &local)) {
		summary->message.date_s = seconds;
		summary->message.flags |= FRAME_HAS_DATE | (local ? FRAME_DATE_LOCAL : 0u);
	}
}

static void take_id(struct summary *summary, const struct header_field *field)
{
	if (field->value.size > 0)
		summary->message.flags |= FRAME_HAS_MESSAGE_ID;
}

/* RFC 5322 allows blanks before a colon as a relic only: a receiver that testifies writes none. */
static void take_results(struct summary *summary, const struct header_field *field)
{
	struct frame_results results;
	if (summary->results == FRAME_RESULTS_MAX)
		return;
	summary->results++;
	results_read(field->spaced ? SPAN("") : field->value, &results);
	frame_put(summary->writer, FRAME_RESULTS, &results, sizeof results, span_of(NULL, 0));
}

static const struct {
	struct span name;
	void (*take)(struct summary *summary, const struct header_field *field);
} fields[] = {
	{ { "From", 4 }, take_from },
	{ { "To", 2 }, take_recipients },
	{ { "Cc", 2 }, take_recipients },
	{ { "Subject", 7 }, take_subject },
	{ { "Date", 4 }, take_date },
	{ { "Message-ID", 10 }, take_id },
	{ { "Authentication-Results", 22 }, take_results },
};

void message_put(struct frame_writer *writer, struct span block, bool cr_lines)
{
	struct summary summary = { .writer = writer };
	struct header_field field;
	struct span rest = block;
	while (header_next(&rest, &field))
		for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
			if (span_alike(field.name, fields[i].name))
				fields[i].take(&summary, &field);
	judge_from(&summary, block, cr_lines);
	frame_put(writer, FRAME_MESSAGE, &summary.message, sizeof summary.message,
		  span_of(NULL, 0));
}
