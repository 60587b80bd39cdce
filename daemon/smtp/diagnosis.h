/* diagnosis.h: what happened in a session -> one line for the owner of the device. Room
 * daemon/smtp: pure, allocates nothing.
 *
 * The course of a session is followed line by line. What it was about is two tables: one from a
 * command and its reply to a trouble; and one from the last trouble, how far the device came and
 * how the session ended, to words. They say what to do, at the device or in the configuration. What
 * a device got over, since its next mail was begun all the same, is no trouble. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/dialogue.h"
#include "daemon/smtp/hello.h"
#include "daemon/smtp/line.h"

#define DIAGNOSIS_MAX DIALOGUE_WORDS_MAX

/* What was refused, or went wrong, last. */
enum trouble {
	TROUBLE_NONE,
	TROUBLE_WEB,         /* HTTP */
	TROUBLE_NOT_SMTP,    /* something else that is no mail */
	TROUBLE_NO_TLS,      /* no TLS on a port that begins with it */
	TROUBLE_TLS,         /* the handshake failed, or was none of ours */
	TROUBLE_TLS_ABSENT,  /* STARTTLS is not offered */
	TROUBLE_TLS_NEEDED,  /* it is not asked for, and had to be */
	TROUBLE_AUTH_ABSENT, /* AUTH is not offered */
	TROUBLE_AUTH_CLEAR,  /* AUTH is not allowed without TLS */
	TROUBLE_AUTH_KIND,   /* a mechanism that is not offered */
	TROUBLE_AUTH_WRONG,  /* name or password */
	TROUBLE_AUTH_BROKEN, /* what came could not be understood */
	TROUBLE_AUTH_NEEDED, /* no login, where there has to be one */
	TROUBLE_UNKNOWN,     /* a command that nobody knows */
	TROUBLE_ORDER,
	TROUBLE_ARGUMENT,
	TROUBLE_SENDER,
	TROUBLE_RECIPIENT,
	TROUBLE_SIZE,
	TROUBLE_BARE_LF,
	TROUBLE_BARE_CR,
	TROUBLE_MAIL,  /* refused for what is in it */
	TROUBLE_LATER, /* to be tried again */
	TROUBLE_ERRORS /* too many of them */
};

/* How far the device came. */
enum stage {
	STAGE_CONNECTED, /* it said nothing of use */
	STAGE_HELO,
	STAGE_EHLO,
	STAGE_PROMPTED, /* we asked for a name or password (334) */
	STAGE_TLS,      /* in the handshake */
	STAGE_ENVELOPE, /* a sender, maybe recipients */
	STAGE_DATA,     /* inside the mail */
	STAGE_ANSWERED  /* the mail was answered */
};

enum ending {
	ENDING_HUNG_UP, /* without QUIT */
	ENDING_QUIT,
	ENDING_LOST, /* reset */
	ENDING_IDLE, /* we waited too long */
	ENDING_STOP, /* the gateway ends */
	ENDING_CUT   /* by us */
};

struct course {
	enum trouble trouble;
	enum stage stage, greeted; /* now; after HELO or EHLO, and again after RSET */
	enum ending ending;
	enum line_verb verb; /* the command in hand */
	bool ended;
	bool tls_offered, auth_offered; /* in our last answer to EHLO */
	bool prompted;                  /* the next line is a secret */
	bool wary;                      /* AUTH was heard: what is no command may be a secret */
	bool gave_up;                   /* in place of an answer to 334 */
	unsigned heard, delivered;      /* lines; mails */
	uint64_t octets;                /* of the last mail, as far as it came */
	int alert;                      /* of TLS (RFC 8446 section 6); -1: none */
	bool has_hello;
	struct hello hello;
	struct hello_port port;
	char reply[128]; /* the last refusal; NUL-terminated, printable ASCII like the next two */
	char word[16];   /* what nobody knows */
	char handshake[96]; /* why it failed, in the library's words */
};

void course_init(struct course *course, const struct hello_port *port);

/* How many octets of what the device says now may be shown to anybody; the rest is a name, a
 * password, or may be one. To be asked before course_hear. */
size_t course_visible(const struct course *course, const char *text, size_t size);

/* The device said a line; we did; so much of its mail came. */
void course_hear(struct course *course, const char *text, size_t size);
void course_say(struct course *course, const char *text, size_t size);
void course_mail(struct course *course, uint64_t octets);

/* What no line tells. */
void course_trouble(struct course *course, enum trouble trouble);

/* The first one holds. */
void course_end(struct course *course, enum ending ending);

/* Is there something to be told of it later? *silent_out: the device hardly spoke. */
bool course_failed(const struct course *course, bool *silent_out);

/* The line for the owner; never empty. */
void course_diagnose(const struct course *course, char words_out[DIAGNOSIS_MAX]);
