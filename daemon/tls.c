/* tls.c: handshake, trust and records. Never opens a connection, never waits. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "daemon/base64.h"
#include "daemon/tls_inner.h"
#include "policy/value.h"

#define PRIORITY  "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1:-VERS-DTLS-ALL"
#define CHAIN_MAX 10 /* certificates of a server */
#define PIN_SIZE  32

static bool is_address(const char *host)
{
	unsigned char room[16];
	return inet_pton(AF_INET, host, room) == 1 || inet_pton(AF_INET6, host, room) == 1;
}

int tls_new(int fd, const char *host, struct tls **tls_out)
{
	struct tls *tls = calloc(1, sizeof *tls);
	if (!tls)
		return -ENOMEM;
	bool good =
		gnutls_init(&tls->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) ==
			0 &&
		gnutls_certificate_allocate_credentials(&tls->credentials) == 0 &&
		gnutls_priority_set_direct(tls->session, PRIORITY, NULL) == 0 &&
		gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, tls->credentials) == 0;
	/* RFC 6066 section 3: an address is no server name */
	if (good && !is_address(host))
		good = gnutls_server_name_set(tls->session, GNUTLS_NAME_DNS, host, strlen(host)) ==
		       0;
	if (!good) {
		tls_free(tls);
		return -ENOMEM;
	}
	gnutls_transport_set_int(tls->session, fd);
	*tls_out = tls;
	return 0;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	if (tls->session)
		gnutls_deinit(tls->session);
	if (tls->credentials)
		gnutls_certificate_free_credentials(tls->credentials);
	free(tls);
}

short tls_wants(const struct tls *tls)
{
	return gnutls_record_get_direction(tls->session) ? POLLOUT : POLLIN;
}

/* What goes wrong most often, in words that say what to do. */
static void explain(const struct tls *tls, int error, char *why)
{
	gnutls_alert_description_t alert = gnutls_alert_get(tls->session);
	bool alerted = error == GNUTLS_E_FATAL_ALERT_RECEIVED;
	if (error == GNUTLS_E_UNSUPPORTED_VERSION_PACKET ||
	    (alerted && alert == GNUTLS_A_PROTOCOL_VERSION))
		snprintf(
			why, TLS_WHY_MAX,
			"the server speaks only TLS 1.1 or older, TLS 1.2 is the least that is taken");
	else if (error == GNUTLS_E_UNEXPECTED_PACKET_LENGTH || error == GNUTLS_E_UNEXPECTED_PACKET)
		snprintf(why, TLS_WHY_MAX,
			 "the server does not speak TLS on this port: is `tls` or `port` another?");
	else if (error == GNUTLS_E_PREMATURE_TERMINATION || error == GNUTLS_E_PULL_ERROR ||
		 error == GNUTLS_E_PUSH_ERROR)
		snprintf(why, TLS_WHY_MAX, "the server closed the connection during the handshake");
	else if (alerted)
		snprintf(why, TLS_WHY_MAX, "the server refuses our TLS: %s",
			 gnutls_alert_get_name(alert));
	else
		snprintf(why, TLS_WHY_MAX, "the handshake failed: %s", gnutls_strerror(error));
}

/* The same for a server. */
static void explain_device(const struct tls *tls, int error, char *why)
{
	gnutls_alert_description_t alert = gnutls_alert_get(tls->session);
	if (error == GNUTLS_E_UNSUPPORTED_VERSION_PACKET || error == GNUTLS_E_INSUFFICIENT_SECURITY)
		snprintf(why, TLS_WHY_MAX,
			 "the device offers no version of TLS that is taken here");
	else if (error == GNUTLS_E_NO_CIPHER_SUITES || error == GNUTLS_E_NO_COMMON_KEY_SHARE ||
		 error == GNUTLS_E_INCOMPATIBLE_SIG_WITH_KEY)
		snprintf(
			why, TLS_WHY_MAX,
			"the device offers no cipher that is taken here, or none that fits the certificate");
	else if (error == GNUTLS_E_PREMATURE_TERMINATION || error == GNUTLS_E_PULL_ERROR ||
		 error == GNUTLS_E_PUSH_ERROR)
		snprintf(why, TLS_WHY_MAX, "the device closed the connection during the handshake");
	else if (error == GNUTLS_E_PK_SIGN_FAILED)
		snprintf(why, TLS_WHY_MAX, "the private key could not be used");
	else if (error == GNUTLS_E_FATAL_ALERT_RECEIVED)
		snprintf(why, TLS_WHY_MAX,
			 "the device refuses our TLS: %s; does it check the certificate?",
			 gnutls_alert_get_name(alert));
	else
		snprintf(why, TLS_WHY_MAX, "the handshake failed: %s", gnutls_strerror(error));
}

int tls_handshake(struct tls *tls, char why_out[TLS_WHY_MAX])
{
	int error;
	do
		error = gnutls_handshake(tls->session);
	while (error == GNUTLS_E_INTERRUPTED || error == GNUTLS_E_WARNING_ALERT_RECEIVED);
	if (error == 0)
		return 0;
	if (error == GNUTLS_E_AGAIN)
		return -EAGAIN;
	if (error == GNUTLS_E_FATAL_ALERT_RECEIVED)
		tls->alert = (int)gnutls_alert_get(tls->session);
	if (tls->signer)
		explain_device(tls, error, why_out);
	else
		explain(tls, error, why_out);
	/* the other end may show it to somebody; where it is gone nothing comes of it */
	gnutls_alert_send_appropriate(tls->session, error);
	return -EPROTO;
}

/* --- the server's certificates ---------------------------------------------------------------- */

struct chain {
	gnutls_x509_crt_t list[CHAIN_MAX];
	unsigned count;
};

static void free_chain(struct chain *chain)
{
	while (chain->count > 0)
		gnutls_x509_crt_deinit(chain->list[--chain->count]);
}

static bool read_chain(const struct tls *tls, struct chain *chain)
{
	unsigned count = 0;
	const gnutls_datum_t *given = gnutls_certificate_get_peers(tls->session, &count);
	*chain = (struct chain){ .count = 0 };
	for (unsigned i = 0; given && i < count && i < CHAIN_MAX; i++) {
		gnutls_x509_crt_t certificate;
		if (gnutls_x509_crt_init(&certificate) != 0)
			return false;
		chain->list[chain->count++] = certificate;
		if (gnutls_x509_crt_import(certificate, &given[i], GNUTLS_X509_FMT_DER) != 0)
			return false;
	}
	return chain->count > 0;
}

/* Names are a stranger's words: what is not a letter of a name becomes a question mark. */
static void name_of(gnutls_x509_crt_t certificate, bool issuer, char *text, size_t size)
{
	size_t room = size;
	int error = issuer ? gnutls_x509_crt_get_issuer_dn(certificate, text, &room)
			   : gnutls_x509_crt_get_dn(certificate, text, &room);
	if (error || !*text)
		snprintf(text, size, "%s", error == GNUTLS_E_SHORT_MEMORY_BUFFER ? "(long)" : "-");
	for (char *s = text; *s; s++) {
		if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7E)
			*s = '?';
	}
}

static void date_text(time_t date, char text[16])
{
	struct tm day;
	if (!gmtime_r(&date, &day) || strftime(text, 16, "%Y-%m-%d", &day) == 0)
		strcpy(text, "?");
}

/* The names that a certificate is good for, as far as there is room. */
static void list_names(gnutls_x509_crt_t certificate, char *text, size_t size)
{
	size_t used = 0;
	*text = '\0';
	for (unsigned i = 0; used + 2 < size; i++) {
		char name[256];
		size_t room = sizeof name - 1;
		int kind = gnutls_x509_crt_get_subject_alt_name(certificate, i, name, &room, NULL);
		if (kind == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			break;
		if (kind != GNUTLS_SAN_DNSNAME || room >= sizeof name)
			continue;
		name[room] = '\0';
		for (char *s = name; *s; s++)
			*s = (unsigned char)*s <= 0x20 || (unsigned char)*s > 0x7E ? '?' : *s;
		used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", name);
	}
	if (!*text)
		name_of(certificate, false, text, size);
}

void tls_describe(const struct tls *tls, char *text, size_t size)
{
	struct chain chain;
	size_t used = (size_t)snprintf(
		text, size, "%s",
		gnutls_protocol_get_name(gnutls_protocol_get_version(tls->session)));
	read_chain(tls, &chain);
	for (unsigned i = 0; i < chain.count && used < size; i++) {
		char subject[200], issuer[200], until[16];
		if (i == 0)
			list_names(chain.list[i], subject, sizeof subject);
		else
			name_of(chain.list[i], false, subject, sizeof subject);
		name_of(chain.list[i], true, issuer, sizeof issuer);
		date_text(gnutls_x509_crt_get_expiration_time(chain.list[i]), until);
		used += (size_t)snprintf(text + used, size - used,
					 "; %s, signed by %s, valid until %s", subject, issuer,
					 until);
	}
	free_chain(&chain);
}

/* --- trust ------------------------------------------------------------------------------------ */

static bool read_hex(const char *text, uint8_t pin[PIN_SIZE])
{
	size_t digits = 0;
	for (; *text; text++) {
		int digit = value_hex(*text);
		if (*text == ':')
			continue;
		if (digit < 0 || digits == (size_t)PIN_SIZE * 2)
			return false;
		pin[digits / 2] = (uint8_t)(digits % 2 ? pin[digits / 2] << 4 | digit : digit);
		digits++;
	}
	return digits == (size_t)PIN_SIZE * 2;
}

static int verify_pin(const struct chain *chain, const char *pins, char *why)
{
	uint8_t found[PIN_SIZE], pin[PIN_SIZE];
	size_t size = sizeof found, read;
	char item[128], text[PIN_SIZE * 2 + 1];
	bool fits;
	if (gnutls_x509_crt_get_key_id(chain->list[0], GNUTLS_KEYID_USE_SHA256, found, &size) != 0)
		return -EACCES;
	while (value_next(&pins, item, sizeof item, &fits)) {
		bool good =
			read_hex(item, pin) ||
			(base64_read(item, strlen(item), pin, PIN_SIZE, &read) && read == PIN_SIZE);
		if (good && memcmp(pin, found, PIN_SIZE) == 0)
			return 0;
	}
	for (size_t i = 0; i < PIN_SIZE; i++)
		snprintf(text + i * 2, 3, "%02x", found[i]);
	snprintf(why, TLS_WHY_MAX, "the server's key is not the one of pin_sha256, it is %s", text);
	return -EACCES;
}

static int load_signers(const char *ca_file, gnutls_x509_trust_list_t *list_out, char *why)
{
	gnutls_x509_trust_list_t list;
	if (gnutls_x509_trust_list_init(&list, 0) != 0)
		return -ENOMEM;
	int count = *ca_file ? gnutls_x509_trust_list_add_trust_file(list, ca_file, NULL,
								     GNUTLS_X509_FMT_PEM, 0, 0)
			     : gnutls_x509_trust_list_add_system_trust(list, 0, 0);
	if (count > 0) {
		*list_out = list;
		return 0;
	}
	gnutls_x509_trust_list_deinit(list, 1);
	if (*ca_file)
		snprintf(why, TLS_WHY_MAX, "no certificate can be read from ca_file %.200s%s%s",
			 ca_file, count < 0 ? ": " : "", count < 0 ? gnutls_strerror(count) : "");
	else
		snprintf(
			why, TLS_WHY_MAX,
			"this system has no certificates to trust: install ca-certificates, or set ca_file");
	return -ENOENT;
}

/* The first fault, most telling first. */
static void explain_trust(const struct chain *chain, const struct tls_trust *trust, unsigned status,
			  char *why)
{
	gnutls_x509_crt_t last = chain->list[chain->count - 1];
	char name[160], from[16], until[16];
	date_text(gnutls_x509_crt_get_activation_time(chain->list[0]), from);
	date_text(gnutls_x509_crt_get_expiration_time(chain->list[0]), until);
	name_of(last, true, name, sizeof name);
	if (status & GNUTLS_CERT_EXPIRED)
		snprintf(why, TLS_WHY_MAX, "the server's certificate has expired (valid until %s)",
			 until);
	else if (status & GNUTLS_CERT_NOT_ACTIVATED)
		snprintf(
			why, TLS_WHY_MAX,
			"the server's certificate is not valid yet (from %s): is this clock right?",
			from);
	else if ((status & GNUTLS_CERT_SIGNER_NOT_FOUND) && chain->count == 1 &&
		 gnutls_x509_crt_check_issuer(last, last))
		snprintf(
			why, TLS_WHY_MAX,
			"the server's certificate is self-signed: set pin_sha256 or ca_file if it is yours");
	else if (status & GNUTLS_CERT_SIGNER_NOT_FOUND)
		snprintf(
			why, TLS_WHY_MAX,
			"the server's certificate is signed by an unknown CA (%s): set ca_file if it is yours",
			name);
	else if (status & GNUTLS_CERT_UNEXPECTED_OWNER) {
		list_names(chain->list[0], name, sizeof name);
		snprintf(why, TLS_WHY_MAX, "the server's certificate is for %s, not for host %.80s",
			 name, trust->host);
	} else {
		gnutls_datum_t words = { NULL, 0 };
		gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &words, 0);
		snprintf(why, TLS_WHY_MAX, "%.*s", words.data ? (int)words.size : 40,
			 words.data ? (const char *)words.data
				    : "the server's certificate is not trusted");
		gnutls_free(words.data);
	}
}

static int verify_chain(struct chain *chain, const struct tls_trust *trust, char *why)
{
	gnutls_x509_trust_list_t list;
	unsigned status = 0;
	int error = load_signers(trust->ca_file, &list, why);
	if (error)
		return error;
	gnutls_typed_vdata_st wanted[] = {
		{ .type = GNUTLS_DT_DNS_HOSTNAME,
		  .data = (unsigned char *)(uintptr_t)trust->host,
		  .size = (unsigned)strlen(trust->host) },
		{ .type = GNUTLS_DT_KEY_PURPOSE_OID,
		  .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_SERVER },
	};
	error = gnutls_x509_trust_list_verify_crt2(list, chain->list, chain->count, wanted, 2, 0,
						   &status, NULL);
	gnutls_x509_trust_list_deinit(list, 1);
	if (error == 0 && status == 0)
		return 0;
	explain_trust(chain, trust, error ? GNUTLS_CERT_INVALID : status, why);
	return -EACCES;
}

int tls_verify(const struct tls *tls, const struct tls_trust *trust, char why_out[TLS_WHY_MAX])
{
	struct chain chain;
	int error = -EACCES;
	if (!read_chain(tls, &chain))
		snprintf(why_out, TLS_WHY_MAX, "the server shows no certificate that can be read");
	else
		error = *trust->pins ? verify_pin(&chain, trust->pins, why_out)
				     : verify_chain(&chain, trust, why_out);
	free_chain(&chain);
	return error;
}

/* --- records ---------------------------------------------------------------------------------- */

static ssize_t result_of(ssize_t result)
{
	if (result >= 0)
		return result;
	if (result == GNUTLS_E_AGAIN)
		return -EAGAIN;
	/* an end without goodbye is an end: what was promised is counted elsewhere */
	return result == GNUTLS_E_PREMATURE_TERMINATION ? 0 : -EPROTO;
}

ssize_t tls_read(struct tls *tls, void *buffer, size_t size)
{
	ssize_t got;
	do
		got = gnutls_record_recv(tls->session, buffer, size);
	while (got == GNUTLS_E_INTERRUPTED || got == GNUTLS_E_WARNING_ALERT_RECEIVED);
	return result_of(got);
}

ssize_t tls_write(struct tls *tls, const void *buffer, size_t size)
{
	ssize_t sent;
	do
		sent = gnutls_record_send(tls->session, buffer, size);
	while (sent == GNUTLS_E_INTERRUPTED);
	return result_of(sent);
}

void tls_goodbye(struct tls *tls)
{
	gnutls_bye(tls->session, GNUTLS_SHUT_WR);
}

size_t tls_pending(const struct tls *tls)
{
	return gnutls_record_check_pending(tls->session);
}
