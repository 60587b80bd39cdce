/* session_tls.c: TLS of a session, by STARTTLS or at once. Never sees a private key. */
#define _GNU_SOURCE
#include <stdint.h>
#include "daemon/fdio.h"
#include "daemon/smtp/session_inner.h"

/* For the first octets of a handshake, before our greeting. */
#define AWAIT_UNKNOWN_MS 50
#define AWAIT_TLS_MS     500
#define AWAIT_PORT_MS    10000 /* where nothing else may come first */

static void tell_tls(struct session *s, enum log_level level, const char *words)
{
	struct record record = session_record(s);
	record_peer(&record, level, "tls", "text", words);
}

/* The handshake; what was said before it is forgotten, but that the device has greeted us. */
static void encrypt(struct session *s, const struct tls_public *key)
{
	static struct wire_handshake handshake;
	s->vault.deadline_ms = monotonic_ms() + s->wire.idle_ms;
	s->signer = (struct tls_signer){ .context = &s->vault,
					 .sign = vault_sign,
					 .decrypt = vault_decrypt };
	bool good = wire_encrypt(&s->wire, key, &s->signer, s->vault.deadline_ms, &handshake);
	transcript_tls_hello(&s->transcript, handshake.hello, handshake.hello_size);
	if (!good) {
		transcript_tls_failed(&s->transcript, handshake.words, handshake.alert);
		tell_tls(s, LOG_WARNING, handshake.words);
		s->open = false;
		return;
	}
	transcript_tls_done(&s->transcript, handshake.words);
	if (log_is_debug())
		tell_tls(s, LOG_DEBUG, handshake.words);
	s->encrypted = true;
	s->login[0] = '\0';
	s->taken_on_trust = false;
	session_forget(s);
}

static const struct tls_public *find_key(struct session *s)
{
	static struct tls_public key;
	s->vault.deadline_ms = monotonic_ms() + s->wire.idle_ms;
	return vault_chain(&s->vault, &key) == VAULT_YES ? &key : NULL;
}

void session_starttls(struct session *s, const struct line_command *command)
{
	(void)command;
	const char *bytes;
	size_t left = wire_pending(&s->wire, &bytes);
	bool possible = s->settings->tls != CONFIG_TLS_OFF && s->vault.fd >= 0;
	if (!possible || s->encrypted) {
		session_reply(s, s->encrypted ? REPLY_TLS_ON : REPLY_NO_TLS);
		return;
	}
	/* somebody between us and the device could have put it there (RFC 3207 section 6) */
	if (left > 0 && !line_is_tls(bytes, left)) {
		session_log_stranger(s, "Commands in clear came behind STARTTLS");
		session_close(s, REPLY_TLS_CLEAR);
		return;
	}
	const struct tls_public *key = find_key(s);
	session_reply(s, key ? REPLY_TLS : REPLY_TLS_LATER);
	if (key)
		encrypt(s, key);
}

/* The device begins with TLS. */
static void encrypt_at_once(struct session *s)
{
	const struct tls_public *key = find_key(s);
	session_note_habit(s, SESSION_TLS);
	if (key) {
		encrypt(s, key);
		return;
	}
	tell_tls(s, LOG_ERROR, "There is no certificate, or nobody who has its key");
	s->open = false;
}

/* A device in clear waits for us, and we for it. */
static void tell_port(struct session *s)
{
	session_log_stranger(
		s, "The device does not begin with TLS on a port that has `tls = implicit`: set "
		   "SSL/TLS there, not STARTTLS or none");
	session_close(s, REPLY_TLS_PORT);
}

/* What the device says before our greeting: TLS is begun, where we have it. */
void session_begin(struct session *s)
{
	const struct session_settings *settings = s->settings;
	const char *early;
	bool implicit = settings->tls == CONFIG_TLS_IMPLICIT;
	uint8_t habit = settings->habit ? *settings->habit : SESSION_CLEAR;
	if (settings->tls == CONFIG_TLS_OFF)
		return;
	if (implicit)
		wire_await(&s->wire, AWAIT_PORT_MS);
	else if (habit != SESSION_CLEAR)
		wire_await(&s->wire, habit == SESSION_TLS ? AWAIT_TLS_MS : AWAIT_UNKNOWN_MS);
	size_t size = wire_early(&s->wire, &early, 16);
	if (size > 0 && line_is_tls(early, size))
		encrypt_at_once(s);
	else if (implicit && !s->wire.ended)
		tell_port(s);
}
