/* message.c: reads From, To, Cc, Subject, Date and Message-ID. Never uses Sender or Reply-To: they
 * prove nothing. */
#include "extract/message.h"
#include <string.h>
#include "extract/address.h"
#include "extract/date.h"
#include "extract/header.h"
#include "extract/word.h"

/* What is being put together. */
struct summary {
	struct frame_message message;
	struct frame_writer *writer;
	unsigned addresses, from_fields;
	bool has_subject;
};

static void take_from(struct summary *summary, struct span value)
{
	char bytes[FRAME_ADDRESS_MAX];
	struct text address = text_in(bytes, sizeof bytes);
	enum frame_from state = address_read_from(value, &address);
	if (++summary->from_fields > 1)
		state = FRAME_FROM_MANY;
	summary->message.from_state = state;
	memset(summary->message.from, 0, sizeof summary->message.from);
	if (state == FRAME_FROM_ONE)
		memcpy(summary->message.from, bytes, address.size);
}

static void take_recipients(struct summary *summary, struct span value)
{
	char bytes[FRAME_ADDRESS_MAX];
	struct text address = text_in(bytes, sizeof bytes);
	while (summary->addresses < FRAME_ADDRESSES_MAX && address_next(&value, &address)) {
		summary->addresses++;
		frame_put(summary->writer, FRAME_ADDRESS, address.at, address.size,
			  span_of(NULL, 0));
	}
}

static void take_subject(struct summary *summary, struct span value)
{
	char bytes[4 * FRAME_SUBJECT_MAX];
	struct text subject = text_in(bytes, sizeof bytes);
	if (summary->has_subject)
		return;
	summary->has_subject = true;
	word_decode(value, &subject);
	text_finish(&subject, FRAME_SUBJECT_MAX);
	memcpy(summary->message.subject, subject.at, subject.size);
}

static void take_date(struct summary *summary, struct span value)
{
	int64_t seconds;
	bool local;
	if (!(summary->message.flags & FRAME_HAS_DATE) && date_read(value, &seconds, &local)) {
		summary->message.date_s = seconds;
		summary->message.flags |= FRAME_HAS_DATE | (local ? FRAME_DATE_LOCAL : 0u);
	}
}

static void take_id(struct summary *summary, struct span value)
{
	if (value.size > 0)
		summary->message.flags |= FRAME_HAS_MESSAGE_ID;
}

static const struct {
	struct span name;
	void (*take)(struct summary *summary, struct span value);
} fields[] = {
	{ { "From", 4 }, take_from },     { { "To", 2 }, take_recipients },
	{ { "Cc", 2 }, take_recipients }, { { "Subject", 7 }, take_subject },
	{ { "Date", 4 }, take_date },     { { "Message-ID", 10 }, take_id },
};

void message_put(struct frame_writer *writer, struct span block)
{
	struct summary summary = { .writer = writer };
	struct header_field field;
	while (header_next(&block, &field))
		for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
			if (span_alike(field.name, fields[i].name))
				fields[i].take(&summary, field.value);
	frame_put(writer, FRAME_MESSAGE, &summary.message, sizeof summary.message,
		  span_of(NULL, 0));
}
