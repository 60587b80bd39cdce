/* session.h: one SMTP session from greeting to end (RFC 5321; PIPELINING 2920, SIZE 1870, CHUNKING
 * 3030). Room daemon/smtp.
 *
 * The dialogue is a table: verb -> states in which it is in order, and what runs it. AUTH and
 * STARTTLS are rows of it. Every reply that this program ever gives leaves from session.c. What we
 * let devices do against the RFC stands in line.h; besides: one line before the greeting is taken
 * if it can be a command (a camera that does not wait). Anything else that comes so early is
 * answered 554: whoever sends a whole dialogue before we said anything speaks to somebody else.
 *
 * TLS (RFC 3207, 8314): a handshake at once is taken on every port that has TLS at all. AUTH (RFC
 * 4954) is taken after HELO too, or without any greeting, and where it was not advertised, since
 * there are devices that want it so.
 *
 * A connection is cut (421) after `idle` without a command, 20 s after the first byte of a command
 * that does not end, when it gets on too slowly in commands or data, and when it brings no mail for
 * long (wire.h). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "daemon/config.h"
#include "daemon/smtp/hello.h"
#include "policy/decide.h"

/* How a peer has begun: devices that speak TLS at once are given a moment to do so, before a
 * greeting in clear spoils it. Who did it once is given that moment from then on. */
enum session_habit { SESSION_UNKNOWN, SESSION_CLEAR, SESSION_TLS };

struct session_settings {
	const char *source; /* name of the listener, or `session` */
	const char *host;   /* what we call ourselves */
	const struct rules *rules;
	struct facts_peer peer;
	bool peer_allowed;
	bool lenient; /* line_ends = lenient */
	enum config_tls tls;
	enum config_auth auth;
	bool has_logins;     /* names and passwords are known to the keeper */
	bool plaintext_auth; /* without TLS too */
	int keeper_fd;       /* vault.h; -1: none */
	uint8_t *habit;      /* of this peer, enum session_habit; outlives us; NULL: nobody cares */
	uint64_t idle_s, answer_within_s;
	int in_fd, out_fd; /* may be one descriptor */
	bool lent;         /* by somebody who may end us, and our courier, when he reads its end */
	int ask_fd;  /* couriers, or who passes questions on to them; hangs up when the gateway ends
		      */
	int tell_fd; /* of the listener, who hears what is said here (transcript.h); -1: nobody */
	const volatile uint32_t *watched; /* how many watch; NULL: nobody can */
	struct hello_port port;           /* what a diagnosis is about */
	int receiving_fd;                 /* folder for nameless scratch; -1: memory only */
};

/* All that the configuration says. `listener`: NULL where there is none for this session. */
void session_configure(struct session_settings *settings, const struct config *config,
		       const struct config_listener *listener);

/* Holds the dialogue and returns when it is over; the descriptors stay open. Once per process:
 * everything it needs is laid out beforehand. notice_prepare() has been called. */
void session_run(const struct session_settings *settings);

/* Turns a connection away without a session. Never blocks. */
enum session_refusal { SESSION_REFUSE_PEER, SESSION_REFUSE_MANY, SESSION_REFUSE_BUSY };
void session_refuse(int fd, enum session_refusal why);
