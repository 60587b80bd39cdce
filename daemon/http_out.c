/* http_out.c: one POST by libcurl. Never logs, never keeps a connection. */
#define _GNU_SOURCE
#include "daemon/http_out.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHOLE_MS    15000L
#define CONNECT_MS  10000L
#define ADDRESS_MAX 8 /* of a name that are tried */

struct place {
	char *scheme, *host, *port; /* libcurl's */
	bool numeric;               /* the host is an address, an IPv6 one without brackets */
	bool loopback;
};

static bool fail(char *why, const char *what, const char *more)
{
	snprintf(why, HTTP_WHY_MAX, "%s%s%.120s", what, *more ? ": " : "", more);
	return false;
}

/* --- where to --------------------------------------------------------------------------------- */

/* What other names than these mean depends on who reads them. */
static bool is_plain_name(const char *host)
{
	size_t length = strlen(host);
	return length > 0 && length < 254 && host[length - 1] != '.' &&
	       host[strspn(host,
			   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")] ==
		       '\0';
}

static void look_at_host(struct place *place)
{
	struct in_addr four;
	struct in6_addr six;
	size_t length = strlen(place->host);
	if (place->host[0] == '[' && place->host[length - 1] == ']') {
		memmove(place->host, place->host + 1, length - 2);
		place->host[length - 2] = '\0';
	}
	bool is_four = inet_pton(AF_INET, place->host, &four) == 1;
	bool is_six = inet_pton(AF_INET6, place->host, &six) == 1;
	place->numeric = is_four || is_six;
	place->loopback = (is_four && ntohl(four.s_addr) >> 24 == 127) ||
			  (is_six && IN6_IS_ADDR_LOOPBACK(&six));
}

static bool read_url(const char *url, struct place *place)
{
	CURLU *parts = curl_url();
	char *user = NULL;
	bool good = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
		    curl_url_get(parts, CURLUPART_SCHEME, &place->scheme, 0) == CURLUE_OK &&
		    curl_url_get(parts, CURLUPART_HOST, &place->host, 0) == CURLUE_OK &&
		    curl_url_get(parts, CURLUPART_PORT, &place->port, CURLU_DEFAULT_PORT) ==
			    CURLUE_OK &&
		    curl_url_get(parts, CURLUPART_USER, &user, 0) == CURLUE_NO_USER;
	curl_free(user);
	curl_url_cleanup(parts);
	if (good)
		look_at_host(place);
	return good && (place->numeric || is_plain_name(place->host));
}

static void forget_place(struct place *place)
{
	curl_free(place->scheme);
	curl_free(place->host);
	curl_free(place->port);
}

/* libcurl looks up names in a thread of its own, unless it is told what they mean. */
static bool look_up(const struct place *place, struct curl_slist **known_out, char *why)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *found = NULL;
	char line[256 + ADDRESS_MAX * (INET6_ADDRSTRLEN + 3)], address[INET6_ADDRSTRLEN];
	int code = getaddrinfo(place->host, place->port, &hints, &found);
	if (code)
		return fail(why, "its server's name can't be looked up", gai_strerror(code));
	size_t used = (size_t)snprintf(line, sizeof line, "%s:%s:", place->host, place->port),
	       count = 0;
	for (struct addrinfo *a = found; a && count < ADDRESS_MAX; a = a->ai_next) {
		if (getnameinfo(a->ai_addr, a->ai_addrlen, address, sizeof address, NULL, 0,
				NI_NUMERICHOST) != 0)
			continue;
		bool six = a->ai_family == AF_INET6;
		used += (size_t)snprintf(line + used, sizeof line - used, "%s%s%s%s",
					 count++ ? "," : "", six ? "[" : "", address,
					 six ? "]" : "");
	}
	freeaddrinfo(found);
	*known_out = count ? curl_slist_append(NULL, line) : NULL;
	return *known_out || fail(why, "its server's name has no address", "");
}

/* --- the exchange ----------------------------------------------------------------------------- */

static size_t take_body(char *bytes, size_t one, size_t count, void *context)
{
	struct http_reply *reply = context;
	size_t size = one * count;
	/* less than came: libcurl ends the transfer */
	if (size > HTTP_BODY_MAX - reply->size)
		return 0;
	memcpy(reply->body + reply->size, bytes, size);
	reply->size += size;
	return size;
}

#define SYSTEM_SIGNERS "/etc/ssl/certs"

static void set_options(CURL *curl, const char *url, const char *form, const char *ca_file,
			bool loopback, struct http_reply *reply)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, loopback ? "https,http" : "https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, WHOLE_MS);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	if (*ca_file) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file);
		curl_easy_setopt(curl, CURLOPT_CAPATH, SYSTEM_SIGNERS);
	}
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "letterchute");
	curl_easy_setopt(curl, CURLOPT_POST, 1L);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(form));
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
}

static bool perform(CURL *curl, const char *host, struct http_reply *reply, char *why)
{
	char what[HTTP_WHY_MAX / 2];
	long status = 0;
	CURLcode code = curl_easy_perform(curl);
	if (code == CURLE_WRITE_ERROR)
		snprintf(what, sizeof what, "%.60s answers more than 64 KiB", host);
	else
		snprintf(what, sizeof what, "%.60s gives no answer", host);
	if (code != CURLE_OK)
		return fail(why, what, code == CURLE_WRITE_ERROR ? "" : curl_easy_strerror(code));
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	reply->status = (int)status;
	reply->body[reply->size] = '\0';
	return true;
}

static bool post(const struct place *place, const char *url, const char *form, const char *ca_file,
		 struct http_reply *reply, char *why)
{
	struct curl_slist *known = NULL;
	if (strcmp(place->scheme, "https") != 0 &&
	    (strcmp(place->scheme, "http") != 0 || !place->loopback))
		return fail(why, "secrets are posted by https only", "");
	if (!place->numeric && !look_up(place, &known, why))
		return false;
	/* "Expect" would wait for a word that many servers never say */
	struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
	struct curl_slist *more = headers ? curl_slist_append(headers, "Expect:") : NULL;
	CURL *curl = more ? curl_easy_init() : NULL;
	bool good = curl || fail(why, "out of memory", "");
	if (curl) {
		set_options(curl, url, form, ca_file, place->loopback, reply);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_RESOLVE, known);
		good = perform(curl, place->host, reply, why);
		curl_easy_cleanup(curl);
	}
	curl_slist_free_all(headers);
	curl_slist_free_all(known);
	return good;
}

bool http_open(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

bool http_post_form(const char *url, const char *form, const char *ca_file,
		    struct http_reply *reply_out, char why_out[HTTP_WHY_MAX])
{
	struct place place = { 0 };
	memset(reply_out, 0, sizeof *reply_out);
	bool good = read_url(url, &place)
			    ? post(&place, url, form, ca_file, reply_out, why_out)
			    : fail(why_out, "its address is no URL that can be used", "");
	if (!good)
		explicit_bzero(reply_out, sizeof *reply_out);
	forget_place(&place);
	return good;
}
