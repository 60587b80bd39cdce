/* tls_inner.h: what the files that know GnuTLS share: tls.c, tls_server.c and tls_key.c. Ground of
 * daemon; nobody else includes it. */
#pragma once
#include <gnutls/gnutls.h>
#include "daemon/tls_server.h"

struct tls {
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	/* of a server alone */
	const struct tls_signer *signer; /* borrowed; NULL: we are a client */
	const struct tls_io *io;         /* borrowed */
	unsigned algorithm, bits;        /* of the key */
	int alert;                       /* that ended the handshake; -1: none did */
};
