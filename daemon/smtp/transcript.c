/* transcript.c: collects the lines of a session and sends them to the listener. Never waits, and
 * never shows a secret. */
#define _GNU_SOURCE
#include "daemon/smtp/transcript.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "daemon/fdio.h"
#include "daemon/smtp/reply.h"

/* Octets of the note in the middle, with its head; kept free for it. */
#define NOTE_ROOM 128

static_assert(sizeof((struct transcript *)0)->text + NOTE_ROOM <= DIALOGUE_TEXT_MAX, "no room");

void transcript_init(struct transcript *transcript, int link_fd, const volatile uint32_t *watched,
		     const struct hello_port *port)
{
	transcript->link_fd = link_fd;
	transcript->watched = watched;
	transcript->began_ms = monotonic_ms();
	course_init(&transcript->course, port);
}

/* --- sending ---------------------------------------------------------------------------------- */

static bool is_watched(const struct transcript *transcript)
{
	return transcript->link_fd >= 0 && transcript->watched && *transcript->watched > 0;
}

#define PIECES 3

/* False: not now. */
static bool send_pieces(const struct transcript *transcript, struct dialogue *dialogue,
			const struct iovec pieces[PIECES])
{
	struct iovec parts[1 + PIECES] = { { dialogue, sizeof *dialogue } };
	const struct msghdr head = { .msg_iov = parts, .msg_iovlen = 1 + PIECES };
	dialogue->size = 0;
	for (size_t i = 0; i < PIECES; i++) {
		parts[i + 1] = pieces[i];
		dialogue->size += (uint32_t)pieces[i].iov_len;
	}
	return sendmsg(transcript->link_fd, &head, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* What is kept, whole: with a word about what is missing. */
static bool send_kept(struct transcript *transcript, struct dialogue *dialogue)
{
	char gap[NOTE_ROOM];
	size_t gap_size = 0;
	if (transcript->dropped > 0) {
		struct reply_line words = { .size = 0 };
		reply_add_number(&words, transcript->dropped);
		reply_add(&words, " lines are left out here");
		const struct dialogue_line line = { .voice = DIALOGUE_NOTE,
						    .size = (uint16_t)words.size,
						    .text = words.text };
		dialogue_put(gap, sizeof gap, &gap_size, &line);
	}
	const struct iovec pieces[PIECES] = {
		{ transcript->text, transcript->begin },
		{ gap, gap_size },
		{ transcript->text + transcript->begin, transcript->used - transcript->begin },
	};
	return send_pieces(transcript, dialogue, pieces);
}

/* The line that was added last, or all that is kept if who watches has come since. */
static void tell(struct transcript *transcript, size_t line_at)
{
	struct dialogue dialogue = { .kind = DIALOGUE_LINES, .missed = transcript->unsent };
	bool sent;
	if (!transcript->told)
		sent = send_kept(transcript, &dialogue);
	else
		sent = send_pieces(transcript, &dialogue,
				   (struct iovec[PIECES]){ { transcript->text + line_at,
							     transcript->used - line_at } });
	transcript->told |= sent;
	transcript->unsent = sent ? 0 : transcript->unsent + 1;
}

/* --- collecting ------------------------------------------------------------------------------- */

/* Makes room: of what follows the beginning the older half goes. */
static void drop_some(struct transcript *transcript)
{
	struct dialogue_line line;
	size_t at = transcript->begin;
	size_t half = at + (transcript->used - at) / 2;
	while (at < half) {
		size_t size = dialogue_next(transcript->text + at, transcript->used - at, &line);
		if (size == 0)
			break;
		at += size;
		transcript->dropped++;
	}
	memmove(transcript->text + transcript->begin, transcript->text + at, transcript->used - at);
	transcript->used -= at - transcript->begin;
}

static void add(struct transcript *transcript, enum dialogue_voice voice, const char *text,
		size_t size)
{
	const struct dialogue_line line = {
		.at_ms = (uint32_t)(monotonic_ms() - transcript->began_ms),
		.voice = (uint8_t)voice,
		.cut = size > DIALOGUE_LINE_MAX,
		.size = (uint16_t)(size < DIALOGUE_LINE_MAX ? size : DIALOGUE_LINE_MAX),
		.text = text,
	};
	if (transcript->link_fd < 0)
		return;
	size_t room = sizeof transcript->text - transcript->used;
	if (room < sizeof line + DIALOGUE_LINE_MAX)
		drop_some(transcript);
	size_t line_at = transcript->used;
	dialogue_put(transcript->text, sizeof transcript->text, &transcript->used, &line);
	if (transcript->used <= TRANSCRIPT_BEGIN)
		transcript->begin = transcript->used;
	if (is_watched(transcript))
		tell(transcript, line_at);
	else
		transcript->told = false;
}

void transcript_note(struct transcript *transcript, const char *words)
{
	add(transcript, DIALOGUE_NOTE, words, strlen(words));
}

void transcript_hear(struct transcript *transcript, const char **text_io, size_t *size_io)
{
	static const char hidden[] = " (not shown)";
	static char shown[DIALOGUE_LINE_MAX + sizeof hidden];
	size_t visible = course_visible(&transcript->course, *text_io, *size_io);
	course_hear(&transcript->course, *text_io, *size_io);
	if (visible < *size_io) {
		visible = visible < DIALOGUE_LINE_MAX / 2 ? visible : DIALOGUE_LINE_MAX / 2;
		memcpy(shown, *text_io, visible);
		memcpy(shown + visible, hidden, sizeof hidden);
		*text_io = visible > 0 ? shown : shown + 1;
		*size_io = visible + sizeof hidden - 1 - (visible == 0);
	}
	add(transcript, DIALOGUE_DEVICE, *text_io, *size_io);
}

void transcript_say(struct transcript *transcript, const char *text, size_t size)
{
	course_say(&transcript->course, text, size);
	add(transcript, DIALOGUE_ANSWER, text, size);
}

void transcript_mail(struct transcript *transcript, uint64_t octets)
{
	struct reply_line words = { .size = 0 };
	course_mail(&transcript->course, octets);
	reply_add(&words, "(");
	reply_add_number(&words, octets);
	reply_add(&words, " octets of a mail)");
	add(transcript, DIALOGUE_DEVICE, words.text, words.size);
}

/* --- TLS -------------------------------------------------------------------------------------- */

void transcript_tls_hello(struct transcript *transcript, const void *bytes, size_t size)
{
	struct course *course = &transcript->course;
	char words[sizeof "TLS: it " + HELLO_WORDS_MAX] = "TLS: it ";
	if (hello_read(bytes, size, &course->hello) != HELLO_OK) {
		transcript_note(transcript, "TLS: its hello can't be read");
		return;
	}
	course->has_hello = true;
	hello_describe(&course->hello, words + strlen(words));
	transcript_note(transcript, words);
}

void transcript_tls_done(struct transcript *transcript, const char *words)
{
	char line[DIALOGUE_LINE_MAX];
	snprintf(line, sizeof line, "TLS: %s", words);
	transcript_note(transcript, line);
	transcript->course.stage = STAGE_CONNECTED;
	transcript->course.tls_offered = true; /* and taken: it is not what is missing */
}

void transcript_tls_failed(struct transcript *transcript, const char *words, int alert)
{
	struct course *course = &transcript->course;
	char line[DIALOGUE_LINE_MAX];
	snprintf(line, sizeof line, "TLS failed: %s", words);
	transcript_note(transcript, line);
	snprintf(course->handshake, sizeof course->handshake, "%s", words);
	course->alert = alert;
	course_trouble(course, TROUBLE_TLS);
}

void transcript_tls_at_once(struct transcript *transcript)
{
	transcript->course.port.at_once = true;
	course_trouble(&transcript->course, TROUBLE_TLS);
}

/* --- the end ---------------------------------------------------------------------------------- */

void transcript_end(struct transcript *transcript, enum ending ending)
{
	course_end(&transcript->course, ending);
}

void transcript_close(struct transcript *transcript)
{
	struct dialogue dialogue = { .kind = DIALOGUE_END, .missed = transcript->unsent };
	bool silent, watched = is_watched(transcript);
	course_end(&transcript->course, ENDING_CUT);
	bool failed = course_failed(&transcript->course, &silent);
	if (transcript->link_fd < 0 || (!failed && !watched))
		return;
	if (watched && !transcript->told)
		tell(transcript, transcript->used);
	dialogue.outcome = !failed ? DIALOGUE_WELL : silent ? DIALOGUE_SILENT : DIALOGUE_FAILED;
	course_diagnose(&transcript->course, dialogue.diagnosis);
	if (failed)
		send_kept(transcript, &dialogue);
	else
		send_pieces(transcript, &dialogue, (struct iovec[PIECES]){ { NULL, 0 } });
}
