/* tls_server.c: a server's half of TLS. Never sees a private key, never waits but for who has it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/tls_inner.h"

static gnutls_priority_t priority;

int tls_server_prepare(enum tls_compat compat)
{
	static const char *const texts[] = {
		/* RSA key exchange stays: it is all that many scanners have */
		[TLS_MODERN] = "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1",
		[TLS_LEGACY] = "NORMAL:+VERS-TLS1.0:+VERS-TLS1.1",
		[TLS_ANCIENT] = "NORMAL:+VERS-TLS1.0:+VERS-TLS1.1:+3DES-CBC",
	};
	return gnutls_priority_init(&priority, texts[compat], NULL) == 0 ? 0 : -EINVAL;
}

/* --- the key that is elsewhere ---------------------------------------------------------------- */

/* What GnuTLS frees, also of what failed. */
static int give(const uint8_t *octets, ssize_t size, gnutls_datum_t *out)
{
	*out = (gnutls_datum_t){ NULL, 0 };
	if (size < 0)
		return GNUTLS_E_PK_SIGN_FAILED;
	out->data = gnutls_malloc((size_t)size + 1);
	if (!out->data)
		return GNUTLS_E_MEMORY_ERROR;
	memcpy(out->data, octets, (size_t)size);
	out->size = (unsigned)size;
	return 0;
}

static int sign_hash(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *context,
		     unsigned flags, const gnutls_datum_t *hash, gnutls_datum_t *signature)
{
	const struct tls *tls = context;
	uint8_t octets[TLS_SIGNATURE_MAX];
	(void)key;
	(void)flags;
	return give(octets,
		    tls->signer->sign(tls->signer->context, (uint32_t)algorithm, hash->data,
				      hash->size, octets),
		    signature);
}

static int decrypt(gnutls_privkey_t key, void *context, const gnutls_datum_t *text,
		   gnutls_datum_t *plain)
{
	const struct tls *tls = context;
	uint8_t secret[TLS_SECRET_SIZE];
	(void)key;
	if (tls->signer->decrypt(tls->signer->context, text->data, text->size, secret) < 0 &&
	    gnutls_rnd(GNUTLS_RND_KEY, secret, sizeof secret) != 0)
		return give(secret, -1, plain);
	int error = give(secret, sizeof secret, plain);
	explicit_bzero(secret, sizeof secret);
	return error;
}

static int tell_about(gnutls_privkey_t key, unsigned flags, void *context)
{
	const struct tls *tls = context;
	(void)key;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
		return (int)tls->algorithm;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
		return (int)tls->bits;
	if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
		return gnutls_sign_supports_pk_algorithm(GNUTLS_FLAGS_TO_SIGN_ALGO(flags),
							 tls->algorithm);
	return -1;
}

/* --- certificates ----------------------------------------------------------------------------- */

/* How many there are; GnuTLS's then. -1: not whole; what was read is lost, with the session. */
static int read_chain(const struct tls_public *key, gnutls_pcert_st *list)
{
	size_t at = 0;
	int count = 0;
	while (at < key->size && count < TLS_CERTIFICATES) {
		uint32_t size;
		if (key->size - at < sizeof size)
			return -1;
		memcpy(&size, key->chain + at, sizeof size);
		at += sizeof size;
		if (size > key->size - at)
			return -1;
		const gnutls_datum_t der = { (unsigned char *)(uintptr_t)(key->chain + at), size };
		if (gnutls_pcert_import_x509_raw(&list[count], &der, GNUTLS_X509_FMT_DER, 0) != 0)
			return -1;
		count++;
		at += size;
	}
	return count > 0 ? count : -1;
}

/* GnuTLS takes both over if it succeeds. */
static bool set_key(struct tls *tls, const struct tls_public *key)
{
	gnutls_pcert_st list[TLS_CERTIFICATES];
	gnutls_privkey_t elsewhere;
	int count = key->size <= sizeof key->chain ? read_chain(key, list) : -1;
	if (count < 0 || gnutls_privkey_init(&elsewhere) != 0)
		return false;
	if (gnutls_privkey_import_ext4(elsewhere, tls, NULL, sign_hash, decrypt, NULL, tell_about,
				       0) == 0 &&
	    gnutls_certificate_set_key(tls->credentials, NULL, 0, list, count, elsewhere) == 0)
		return true;
	gnutls_privkey_deinit(elsewhere);
	return false;
}

/* --- records ---------------------------------------------------------------------------------- */

static ssize_t pull(gnutls_transport_ptr_t context, void *buffer, size_t size)
{
	const struct tls *tls = context;
	return tls->io->pull(tls->io->context, buffer, size);
}

static ssize_t push(gnutls_transport_ptr_t context, const void *buffer, size_t size)
{
	const struct tls *tls = context;
	return tls->io->push(tls->io->context, buffer, size);
}

/* --- the whole -------------------------------------------------------------------------------- */

int tls_server_new(const struct tls_public *key, const struct tls_signer *signer,
		   const struct tls_io *io, struct tls **tls_out)
{
	struct tls *tls = calloc(1, sizeof *tls);
	if (!tls)
		return -ENOMEM;
	tls->alert = -1;
	tls->signer = signer;
	tls->io = io;
	tls->algorithm = key->algorithm;
	tls->bits = key->bits;
	bool good =
		gnutls_init(&tls->session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
						   GNUTLS_NO_TICKETS) == 0 &&
		gnutls_certificate_allocate_credentials(&tls->credentials) == 0 &&
		gnutls_certificate_set_known_dh_params(tls->credentials, GNUTLS_SEC_PARAM_MEDIUM) ==
			0 &&
		gnutls_priority_set(tls->session, priority) == 0 && set_key(tls, key) &&
		gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE, tls->credentials) == 0;
	if (!good) {
		tls_free(tls);
		return -ENOMEM;
	}
	gnutls_certificate_server_set_request(tls->session, GNUTLS_CERT_IGNORE);
	gnutls_transport_set_ptr(tls->session, tls);
	gnutls_transport_set_pull_function(tls->session, pull);
	gnutls_transport_set_push_function(tls->session, push);
	*tls_out = tls;
	return 0;
}

int tls_server_alert(const struct tls *tls)
{
	return tls->alert;
}

void tls_server_describe(const struct tls *tls, char *text, size_t size)
{
	char *words = gnutls_session_get_desc(tls->session);
	snprintf(text, size, "%s", words ? words : "-");
	gnutls_free(words);
}
