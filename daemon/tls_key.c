/* tls_key.c: keys and certificates. Never talks to anybody. */
#define _GNU_SOURCE
#include "daemon/tls_key.h"
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"

#define PEM_MAX  (256 * 1024)
#define RSA_BITS 2048
#define DAY_S    86400
#define YEARS_S  ((time_t)3650 * DAY_S)

struct tls_key {
	gnutls_privkey_t key;
	gnutls_x509_crt_t list[TLS_CERTIFICATES];
	unsigned count;
	struct tls_public public;
};

void tls_key_free(struct tls_key *key)
{
	if (!key)
		return;
	if (key->key)
		gnutls_privkey_deinit(key->key);
	while (key->count > 0)
		gnutls_x509_crt_deinit(key->list[--key->count]);
	free(key);
}

/* --- reading ---------------------------------------------------------------------------------- */

static void wipe(gnutls_datum_t *text)
{
	if (text->data)
		explicit_bzero(text->data, text->size);
	free(text->data);
	*text = (gnutls_datum_t){ NULL, 0 };
}

static int read_pem(int fd, gnutls_datum_t *text_out)
{
	char *text = NULL;
	size_t size = 0;
	int error = read_whole(fd, PEM_MAX, &text, &size);
	*text_out = (gnutls_datum_t){ (unsigned char *)text, (unsigned)size };
	if (!error && size == 0) {
		wipe(text_out);
		return -EFBIG;
	}
	return error;
}

static bool load_certificates(struct tls_key *key, int fd, char *why)
{
	gnutls_datum_t text = { NULL, 0 };
	unsigned count = TLS_CERTIFICATES;
	int error = read_pem(fd, &text);
	if (error) {
		snprintf(
			why, TLS_WHY_MAX, "tls_cert: %s",
			error == -EFBIG
				? "it is empty, too big or no file; certificates (PEM) are expected"
				: strerror(-error));
		return false;
	}
	error = gnutls_x509_crt_list_import(key->list, &count, &text, GNUTLS_X509_FMT_PEM,
					    GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED |
						    GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
	wipe(&text);
	if (error >= 0) {
		key->count = count;
		return true;
	}
	snprintf(
		why, TLS_WHY_MAX,
		error == GNUTLS_E_CERTIFICATE_LIST_UNSORTED
			? "tls_cert: the certificates are not in order; the server's first, then each signer is expected"
			: "tls_cert: there is none in it that can be read; certificates (PEM) are expected");
	return false;
}

/* What the roles on either side of the key have words for. */
static bool is_known_kind(gnutls_privkey_t key, char *why)
{
	unsigned bits;
	int kind = gnutls_privkey_get_pk_algorithm(key, &bits);
	if (kind == GNUTLS_PK_RSA || kind == GNUTLS_PK_ECDSA)
		return true;
	snprintf(why, TLS_WHY_MAX,
		 "tls_key: it is of a kind that is not used here; RSA or ECDSA is expected");
	return false;
}

static bool load_private(struct tls_key *key, int fd, char *why)
{
	gnutls_datum_t text = { NULL, 0 };
	int error = read_pem(fd, &text);
	if (error) {
		snprintf(
			why, TLS_WHY_MAX, "tls_key: %s",
			error == -EFBIG
				? "it is empty, too big or no file; a private key (PEM) is expected"
				: strerror(-error));
		return false;
	}
	error = gnutls_privkey_init(&key->key);
	if (!error)
		error = gnutls_privkey_import_x509_raw(key->key, &text, GNUTLS_X509_FMT_PEM, NULL,
						       0);
	wipe(&text);
	if (error == GNUTLS_E_DECRYPTION_FAILED)
		snprintf(why, TLS_WHY_MAX,
			 "tls_key: the key is protected by a password, one without is expected");
	else if (error)
		snprintf(
			why, TLS_WHY_MAX,
			"tls_key: there is none in it that can be read; a private key (PEM) is expected");
	return !error && is_known_kind(key->key, why);
}

/* Do they belong together? */
static bool is_pair(const struct tls_key *key, char *why)
{
	uint8_t ours[64], theirs[64];
	size_t ours_size = sizeof ours, theirs_size = sizeof theirs;
	gnutls_pubkey_t public;
	if (gnutls_pubkey_init(&public) != 0)
		return false;
	bool good =
		gnutls_pubkey_import_privkey(public, key->key, 0, 0) == 0 &&
		gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, ours, &ours_size) == 0 &&
		gnutls_x509_crt_get_key_id(key->list[0], GNUTLS_KEYID_USE_SHA256, theirs,
					   &theirs_size) == 0 &&
		ours_size == theirs_size && memcmp(ours, theirs, ours_size) == 0;
	gnutls_pubkey_deinit(public);
	if (!good)
		snprintf(
			why, TLS_WHY_MAX,
			"tls_key is not the key of the first certificate in tls_cert; that one is expected");
	return good;
}

/* What everybody may know, written out once. */
static bool publish(struct tls_key *key, char *why)
{
	struct tls_public *public = &key->public;
	unsigned bits = 0;
	public->algorithm = (uint32_t)gnutls_privkey_get_pk_algorithm(key->key, &bits);
	public->bits = bits;
	for (unsigned i = 0; i < key->count; i++) {
		uint8_t *at = public->chain + public->size;
		uint32_t length;
		size_t room = TLS_CHAIN_MAX - public->size, size = room - sizeof length;
		if (room <= sizeof length ||
		    gnutls_x509_crt_export(key->list[i], GNUTLS_X509_FMT_DER, at + sizeof length,
					   &size) != 0) {
			snprintf(why, TLS_WHY_MAX,
				 "tls_cert: the certificates are too big, fewer are expected");
			return false;
		}
		length = (uint32_t)size;
		memcpy(at, &length, sizeof length);
		public->size += length + (uint32_t)sizeof length;
	}
	return true;
}

int tls_key_load(int cert_fd, int key_fd, struct tls_key **key_out, char why_out[TLS_WHY_MAX])
{
	struct tls_key *key = calloc(1, sizeof *key);
	snprintf(why_out, TLS_WHY_MAX, "out of memory");
	if (key && load_certificates(key, cert_fd, why_out) && load_private(key, key_fd, why_out) &&
	    is_pair(key, why_out) && publish(key, why_out)) {
		*key_out = key;
		return 0;
	}
	tls_key_free(key);
	return -EINVAL;
}

bool tls_key_is_over(const struct tls_key *key)
{
	return gnutls_x509_crt_get_expiration_time(key->list[0]) < time(NULL);
}

/* --- making ----------------------------------------------------------------------------------- */

static bool fill_certificate(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key,
			     const char *host)
{
	uint8_t serial[16], id[20];
	size_t id_size = sizeof id;
	time_t now = time(NULL);
	if (gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial) != 0)
		return false;
	serial[0] = (uint8_t)((serial[0] & 0x3F) | 0x40); /* positive, and none begins with zero */
	return gnutls_x509_crt_set_version(certificate, 3) == 0 &&
	       gnutls_x509_crt_set_serial(certificate, serial, sizeof serial) == 0 &&
	       /* a device may have lost its clock, but not by years into the future */
	       gnutls_x509_crt_set_activation_time(certificate, now - DAY_S) == 0 &&
	       gnutls_x509_crt_set_expiration_time(certificate, now + YEARS_S) == 0 &&
	       gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, host,
					     (unsigned)strlen(host)) == 0 &&
	       gnutls_x509_crt_set_key(certificate, key) == 0 &&
	       gnutls_x509_crt_get_key_id(certificate, 0, id, &id_size) == 0 &&
	       gnutls_x509_crt_set_subject_key_id(certificate, id, id_size) == 0 &&
	       gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, host,
						    (unsigned)strlen(host), GNUTLS_FSAN_SET) == 0 &&
	       gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE |
								  GNUTLS_KEY_KEY_ENCIPHERMENT) ==
		       0 &&
	       gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_SERVER, 0) == 0 &&
	       gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0) == 0;
}

static bool export_pair(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key, char **cert_out,
			char **key_out)
{
	gnutls_datum_t public = { NULL, 0 }, private = { NULL, 0 };
	if (gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &public) == 0 &&
	    gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &private) == 0) {
		*cert_out = strndup((char *)public.data, public.size);
		*key_out = strndup((char *)private.data, private.size);
	}
	if (private.data)
		explicit_bzero(private.data, private.size);
	gnutls_free(private.data);
	gnutls_free(public.data);
	return *cert_out && *key_out;
}

int tls_key_make(const char *host, char **cert_out, char **key_out)
{
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t certificate = NULL;
	auto_free char *cert_text = NULL;
	auto_free char *key_text = NULL;
	bool good = gnutls_x509_privkey_init(&key) == 0 &&
		    gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, RSA_BITS, 0) == 0 &&
		    gnutls_x509_crt_init(&certificate) == 0 &&
		    fill_certificate(certificate, key, host) &&
		    export_pair(certificate, key, &cert_text, &key_text);
	if (certificate)
		gnutls_x509_crt_deinit(certificate);
	if (key)
		gnutls_x509_privkey_deinit(key);
	if (!good)
		return -EIO;
	*cert_out = take_pointer(&cert_text);
	*key_out = take_pointer(&key_text);
	return 0;
}

/* --- using ------------------------------------------------------------------------------------ */

const struct tls_public *tls_key_public(const struct tls_key *key)
{
	return &key->public;
}

ssize_t tls_key_sign(const struct tls_key *key, uint32_t algorithm, const void *hash, size_t size,
		     uint8_t signature_out[TLS_SIGNATURE_MAX])
{
	const gnutls_datum_t in = { (unsigned char *)(uintptr_t)hash, (unsigned)size };
	gnutls_datum_t result = { NULL, 0 };
	/* before TLS 1.2 the hash is signed as it stands (RFC 2246 section 7.4.3) */
	int error =
		algorithm == GNUTLS_SIGN_RSA_RAW
			? gnutls_privkey_sign_hash(key->key, GNUTLS_DIG_UNKNOWN,
						   GNUTLS_PRIVKEY_SIGN_FLAG_TLS1_RSA, &in, &result)
			: gnutls_privkey_sign_hash2(key->key, (gnutls_sign_algorithm_t)algorithm, 0,
						    &in, &result);
	if (error)
		return -1;
	ssize_t used = result.size <= TLS_SIGNATURE_MAX ? (ssize_t)result.size : -1;
	if (used >= 0)
		memcpy(signature_out, result.data, result.size);
	gnutls_free(result.data);
	return used;
}

ssize_t tls_key_decrypt(const struct tls_key *key, const void *text, size_t size,
			uint8_t plain_out[TLS_SECRET_SIZE])
{
	const gnutls_datum_t in = { (unsigned char *)(uintptr_t)text, (unsigned)size };
	if (gnutls_rnd(GNUTLS_RND_KEY, plain_out, TLS_SECRET_SIZE) != 0)
		return -1;
	/* takes the same time whether the padding is right, and leaves the random octets if not */
	gnutls_privkey_decrypt_data2(key->key, 0, &in, plain_out, TLS_SECRET_SIZE);
	return TLS_SECRET_SIZE;
}
