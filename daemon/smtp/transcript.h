/* transcript.h: what a device said and what it heard, as far as that may be seen, for those who
 * watch and for the report of a session that failed. Room daemon/smtp: in the session.
 *
 * Secrets are blanked here, before anything else is done with a line: what follows AUTH and its
 * mechanism, what answers 334, and whatever is no command we know. Of mails only their size is
 * told. The first 2 kB are kept and the last 5 kB; memory is touched as it is used, so an idle
 * session has touched a page of it.
 *
 * While somebody watches, each line goes to the listener as it comes; that he watches is read in
 * memory that the listener shares with its sessions (audience.h). If not, a line costs a copy. At
 * the end, a session that failed hands the whole to the listener. Nothing of this ever waits: what
 * can't be sent at once is not sent. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/dialogue.h"
#include "daemon/smtp/diagnosis.h"

#define TRANSCRIPT_BEGIN 2048 /* octets of lines that are kept for good */

struct transcript {
	int link_fd;                      /* borrowed: of the listener; -1: nobody wants it */
	const volatile uint32_t *watched; /* borrowed: how many watch; NULL: never anybody */
	int64_t began_ms;                 /* monotonic clock */
	bool told;                        /* what is kept was told to who watches */
	uint32_t unsent;                  /* lines since the last one that was */
	uint32_t dropped;                 /* lines in the middle that are not kept */
	size_t begin, used;               /* octets of the beginning, and of all */
	struct course course;
	char text[DIALOGUE_TEXT_MAX - 128]; /* room for a note in the middle stays */
};

/* `transcript` is zeroed storage. */
void transcript_init(struct transcript *transcript, int link_fd, const volatile uint32_t *watched,
		     const struct hello_port *port);

/* The device said a line; *text_io and *size_io become what may be shown of it. */
void transcript_hear(struct transcript *transcript, const char **text_io, size_t *size_io);

/* We said a line, without its end. */
void transcript_say(struct transcript *transcript, const char *text, size_t size);

/* Its mail, or a piece of it, is over, or it broke off: octets so far. */
void transcript_mail(struct transcript *transcript, uint64_t octets);

/* Something else, in our words. */
void transcript_note(struct transcript *transcript, const char *words);

/* Its TLS hello, from the first octet on, as much as came. */
void transcript_tls_hello(struct transcript *transcript, const void *bytes, size_t size);

/* What became of the handshake: "TLS 1.2, ECDHE-RSA, AES-128-GCM"; or why it failed, with the alert
 * that the device sent (-1: none). */
void transcript_tls_done(struct transcript *transcript, const char *words);
void transcript_tls_failed(struct transcript *transcript, const char *words, int alert);

/* TLS where the port does not take it (the hello was given before). */
void transcript_tls_at_once(struct transcript *transcript);

/* How the connection ended, the first time it is told. QUIT is seen without. */
void transcript_end(struct transcript *transcript, enum ending ending);

/* The session is over: the diagnosis, to those who watch and, if it failed, to be kept. */
void transcript_close(struct transcript *transcript);
