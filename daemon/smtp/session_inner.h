/* session_inner.h: what the files of a session share: session.c (the dialogue), session_tls.c and
 * session_auth.c. Room daemon/smtp; nobody else includes it. */
#pragma once
#include "daemon/ask.h"
#include "daemon/log.h"
#include "daemon/smtp/custody.h"
#include "daemon/smtp/intake.h"
#include "daemon/smtp/line.h"
#include "daemon/smtp/record.h"
#include "daemon/smtp/reply.h"
#include "daemon/smtp/session.h"
#include "daemon/smtp/transcript.h"
#include "daemon/smtp/vault.h"
#include "daemon/smtp/wire.h"
#include "daemon/spill.h"

enum state {
	STATE_NEW = 1,     /* greeted by us, not by the device */
	STATE_READY = 2,   /* between messages */
	STATE_MAIL = 4,    /* a sender */
	STATE_RCPT = 8,    /* and at least one recipient */
	STATE_CHUNKS = 16, /* in the middle of a message that comes by BDAT */
	STATE_ANY = 31
};

/* What every session touches comes first, what big mails touch last: a page that is never touched
 * costs nothing. */
struct session {
	const struct session_settings *settings;
	unsigned state; /* enum state */
	bool open;
	bool abrupt; /* it is us who end it: the device may still be talking */
	struct intake_flaws flaws;
	bool encrypted;
	bool taken_on_trust; /* auth = accept-any */
	bool told;           /* the log has a line of what went wrong */
	unsigned errors, commands, wrong_passwords;
	struct vault vault;
	struct tls_signer signer;
	char login[ASK_SOURCE_MAX + 1]; /* "": none */
	uint64_t declared;              /* SIZE= (octets) */
	int64_t heard_ms;               /* when the last byte of what we answer came; monotonic */
	struct spill spill;
	struct custody custody;
	char sender[LINE_ADDRESS_MAX + 1];
	struct wire wire;
	size_t recipients_count, recipients_used;
	struct transcript transcript;
	const char *recipients[ASK_RECIPIENTS_MAX];
	char recipients_text[ASK_RECIPIENTS_MAX * (LINE_ADDRESS_MAX + 1)];
};

/* Where the session stands, for the log. */
struct record session_record(const struct session *s);

/* A line of the dialogue, for those who may see it. */
void session_show(struct session *s, bool in, const char *text, size_t size);

void session_reply(struct session *s, enum reply which);

/* The last reply of a session that we end. */
void session_close(struct session *s, enum reply which);

/* Forgets the message that was begun. */
void session_forget(struct session *s);

/* It is no mail device, or sends to the wrong port. */
void session_log_stranger(struct session *s, const char *words);

/* Between two commands: what we say where the device can still hear it. */
void session_end_of_input(struct session *s, enum wire_event event);

/* How this peer begins. */
void session_note_habit(struct session *s, enum session_habit habit);

/* Before the greeting: TLS is begun where the device does so at once, or has to. */
void session_begin(struct session *s);

void session_starttls(struct session *s, const struct line_command *command);

/* Is AUTH to be advertised? */
bool session_offers_login(const struct session *s);

void session_auth(struct session *s, const struct line_command *command);
