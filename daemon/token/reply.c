/* reply.c: picks the known keys out of JSON. Never believes a type, a length or an octet. */
#define _GNU_SOURCE
#include "daemon/token/reply.h"
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include "daemon/json.h"
#include "policy/value.h"

#define LASTS_S         3600 /* an access token of which nobody says how long */
#define LASTS_MOST_S    (366 * 86400)
#define CODES_S         900
#define INTERVAL_S      5 /* RFC 8628 section 3.2 */
#define INTERVAL_MOST_S 120

/* False: it is there, but is no text that can be used: VSCHAR alone may be in it (RFC 6749 appendix
 * A). */
static bool take_text(const struct json *json, const char *key, char *text_out, size_t size)
{
	const char *text = json_text(json, key);
	text_out[0] = '\0';
	if (!text)
		return !json_has(json, key);
	if (strlen(text) >= size || !value_is_printable(text))
		return false;
	memcpy(text_out, text, strlen(text) + 1);
	return true;
}

/* A number, which some servers send as a text. What is less than a second, or no whole number, is
 * no time at all: the usual one counts. */
static int64_t take_seconds(const struct json *json, const char *key, int64_t usual, int64_t most)
{
	const char *text = json_text(json, key);
	uint64_t read = 0;
	int64_t seconds = usual;
	if (text && value_number(text, 0, UINT32_MAX, &read))
		seconds = (int64_t)read;
	else if (!text && json_has(json, key))
		seconds = json_number(json, key);
	return seconds < 1 ? usual : seconds > most ? most : seconds;
}

/* For a person to read: the first line, and nothing that a terminal would act on. */
static void take_words(const struct json *json, char words_out[REPLY_WORDS_MAX])
{
	const char *text = json_text(json, "error_description");
	size_t used = 0;
	for (; text && *text && *text != '\r' && *text != '\n' && used + 1 < REPLY_WORDS_MAX;
	     text++)
		words_out[used++] = (char)(*text < 0x20 || *text > 0x7E ? '?' : *text);
	words_out[used] = '\0';
}

static enum reply_kind read_error(int status, const struct json *json, char *error_out,
				  char *words_out)
{
	take_words(json, words_out);
	bool told = take_text(json, "error", error_out, REPLY_ERROR_MAX) && *error_out;
	return told && status >= 400 && status < 500 && status != 429 ? REPLY_ERROR : REPLY_TROUBLE;
}

static enum reply_kind read_token(const struct json *json, struct reply *reply)
{
	char type[REPLY_ERROR_MAX];
	bool good = take_text(json, "access_token", reply->access, sizeof reply->access) &&
		    take_text(json, "refresh_token", reply->refresh, sizeof reply->refresh) &&
		    take_text(json, "token_type", type, sizeof type) && *reply->access &&
		    (!*type || strcasecmp(type, "Bearer") == 0);
	reply->lasts_s = take_seconds(json, "expires_in", LASTS_S, LASTS_MOST_S);
	return good ? REPLY_TOKEN : REPLY_TROUBLE;
}

/* NULL: it is none. A text with a NUL in it would be read as less than it is. */
static struct json *parse(const char *body, size_t size)
{
	return strlen(body) == size ? json_parse(body) : NULL;
}

void reply_read(int status, const char *body, size_t size, struct reply *reply_out)
{
	memset(reply_out, 0, sizeof *reply_out);
	reply_out->kind = REPLY_TROUBLE;
	struct json *json = parse(body, size);
	if (!json)
		return;
	reply_out->kind = status == 200
				  ? read_token(json, reply_out)
				  : read_error(status, json, reply_out->error, reply_out->words);
	json_free(json);
}

/* It is shown to a person, who opens it. */
static bool is_web_address(const char *url)
{
	return (strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0) &&
	       !strpbrk(url, " \"<>\\^`{|}");
}

static enum reply_kind read_codes(const struct json *json, struct reply_device *reply)
{
	bool good = take_text(json, "device_code", reply->device_code, sizeof reply->device_code) &&
		    take_text(json, "user_code", reply->user_code, sizeof reply->user_code) &&
		    take_text(json, "verification_uri", reply->url, sizeof reply->url);
	if (good && !*reply->url)
		good = take_text(json, "verification_url", reply->url, sizeof reply->url);
	reply->lasts_s = take_seconds(json, "expires_in", CODES_S, CODES_S);
	reply->interval_s = take_seconds(json, "interval", INTERVAL_S, INTERVAL_MOST_S);
	return good && *reply->device_code && *reply->user_code && is_web_address(reply->url)
		       ? REPLY_TOKEN
		       : REPLY_TROUBLE;
}

void reply_read_device(int status, const char *body, size_t size, struct reply_device *reply_out)
{
	memset(reply_out, 0, sizeof *reply_out);
	reply_out->kind = REPLY_TROUBLE;
	struct json *json = parse(body, size);
	if (!json)
		return;
	reply_out->kind = status == 200
				  ? read_codes(json, reply_out)
				  : read_error(status, json, reply_out->error, reply_out->words);
	json_free(json);
}
