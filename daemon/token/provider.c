/* provider.c: one row a provider. Never opens any of the addresses. */
#define _GNU_SOURCE
#include "daemon/token/provider.h"
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct row {
	const char *token_url, *authorize_url, *device_url; /* * stands for the tenant */
	const char *scope, *client_scope; /* for a person, for client_credentials */
	const char *redirect_host, *consent;
} rows[] = {
	[CONFIG_OAUTH_NONE] = { "", "", "", "", "", "127.0.0.1", "" },
	/* no device flow: it knows no scope for mail. No refresh token comes unless it is asked for */
	[CONFIG_OAUTH_GOOGLE] = {
		"https://oauth2.googleapis.com/token",
		"https://accounts.google.com/o/oauth2/v2/auth",
		"",
		"https://mail.google.com/", "",
		"127.0.0.1", "&access_type=offline&prompt=consent" },
	/* a loopback address of any port can only be registered as http://localhost */
	[CONFIG_OAUTH_MICROSOFT] = {
		"https://login.microsoftonline.com/*/oauth2/v2.0/token",
		"https://login.microsoftonline.com/*/oauth2/v2.0/authorize",
		"https://login.microsoftonline.com/*/oauth2/v2.0/devicecode",
		"offline_access https://outlook.office.com/IMAP.AccessAsUser.All",
		"https://outlook.office365.com/.default",
		"localhost", "" },
	[CONFIG_OAUTH_CUSTOM] = { "", "", "", "", "", "127.0.0.1", "" },
};
/* clang-format on */

static void fill_url(char *url, const char *given, const char *usual, const char *tenant)
{
	size_t before = strcspn(usual, "*");
	if (*given || !usual[before])
		snprintf(url, PROVIDER_URL_MAX, "%s", *given ? given : usual);
	else
		snprintf(url, PROVIDER_URL_MAX, "%.*s%s%s", (int)before, usual, tenant,
			 usual + before + 1);
}

void provider_of(const struct config_account *account, struct provider *provider_out)
{
	const struct row *row = &rows[account->oauth];
	bool client = account->grant == CONFIG_GRANT_CLIENT;
	fill_url(provider_out->token_url, account->token_url, row->token_url, account->tenant);
	fill_url(provider_out->authorize_url, account->authorize_url, row->authorize_url,
		 account->tenant);
	fill_url(provider_out->device_url, account->device_url, row->device_url, account->tenant);
	provider_out->scope = *account->scope ? account->scope
			      : client        ? row->client_scope
					      : row->scope;
	provider_out->refresh_scope = account->scope;
	provider_out->redirect_host = row->redirect_host;
	provider_out->consent = row->consent;
}
