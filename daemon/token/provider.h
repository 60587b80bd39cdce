/* provider.h: where the providers of OAuth2 are, and what they want to hear. Room daemon/token:
 * pure. */
#pragma once
#include "daemon/config.h"

/* Ours has 60 octets beside the tenant. */
#define PROVIDER_URL_MAX (CONFIG_URL_MAX + 100)

struct provider {
	/* "": there is none */
	char token_url[PROVIDER_URL_MAX];
	char authorize_url[PROVIDER_URL_MAX];
	char device_url[PROVIDER_URL_MAX];
	const char *scope;         /* what a person consents to, or what the client asks for itself;
				      "": not sent */
	const char *refresh_scope; /* asked for again at each refresh; "": as was consented */
	const char *redirect_host; /* of the address that a browser comes back to */
	const char *consent;       /* more parameters for authorize_url, each begins with & */
};

/* All of it for an account with `oauth`; what its configuration gives stands in for what the
 * provider has. Borrows from `account`. */
void provider_of(const struct config_account *account, struct provider *provider_out);
