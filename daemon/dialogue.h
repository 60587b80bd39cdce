/* dialogue.h: what devices said and heard, as it travels from a session to its listener, from there
 * to those who watch, and as it is kept. Ground of daemon: pure.
 *
 * One message of a seqpacket socket, or one place of a file: a struct dialogue, then `size` octets
 * of lines, each with a head of its own. Who the peer is, is written by the listener, never by the
 * session. Lines hold any byte; secrets are blanked where they are heard. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIALOGUE_MAX       8192 /* octets of the whole */
#define DIALOGUE_LINE_MAX  400  /* octets of a line; a longer one is cut */
#define DIALOGUE_WORDS_MAX 400  /* of a diagnosis, NUL included */
#define DIALOGUE_NAME_MAX  63   /* of a source's name */

/* Numbers that no question has (daemon/ask.h). */
enum dialogue_kind {
	DIALOGUE_LINES = 0x64690001, /* of a session that goes on */
	DIALOGUE_END,                /* it is over */
	DIALOGUE_WATCH,  /* asks to be told; `source`, and the peer if one alone is meant */
	DIALOGUE_WELCOME /* the answer */
};

/* How a session ended. */
enum dialogue_outcome {
	DIALOGUE_WELL,   /* nothing to be kept */
	DIALOGUE_SILENT, /* it failed, and the device said next to nothing: a look, maybe */
	DIALOGUE_FAILED
};

struct dialogue {
	uint32_t kind;
	uint32_t size;    /* octets of lines that follow */
	uint32_t outcome; /* with DIALOGUE_END: enum dialogue_outcome */
	uint32_t missed;  /* to those who watch: messages that they were too slow for */
	uint64_t session; /* its number since the listener was started */
	int64_t began_ms; /* of the session; wall clock (milliseconds since 1970) */
	int64_t since_ms; /* kept: a mail of this peer was delivered since then; 0: none */
	uint8_t peer_known;
	uint8_t peer[16]; /* as in policy/facts.h */
	uint8_t zero[7];
	char source[DIALOGUE_NAME_MAX + 1];
	char diagnosis[DIALOGUE_WORDS_MAX]; /* with DIALOGUE_END; NUL-terminated */
};

#define DIALOGUE_TEXT_MAX (DIALOGUE_MAX - sizeof(struct dialogue))

/* Is it one? Texts are checked to end; of its lines only that they are as many octets as it says.
 * `message` must be aligned for struct dialogue. */
bool dialogue_valid(const void *message, size_t size);

enum dialogue_voice {
	DIALOGUE_DEVICE = 1, /* what it said */
	DIALOGUE_ANSWER,     /* what we said */
	DIALOGUE_NOTE        /* what else happened */
};

struct dialogue_line {
	uint32_t at_ms; /* since the session began */
	uint8_t voice;  /* enum dialogue_voice */
	bool cut;       /* it was longer */
	uint16_t size;
	const char *text; /* borrowed; not NUL-terminated */
};

/* Writes a line to the end of `text`, of which *used_io of `room` octets are used. What is beyond
 * DIALOGUE_LINE_MAX is cut. False: there is no room, nothing is written. */
bool dialogue_put(char *text, size_t room, size_t *used_io, const struct dialogue_line *line);

/* Octets of the first line of `text`, its head included; 0: there is none that is whole. */
size_t dialogue_next(const char *text, size_t size, struct dialogue_line *line_out);
