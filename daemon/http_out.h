/* http_out.h: posts a form and hears the answer. Ground of daemon; the only file that knows libcurl
 * (its GnuTLS flavour).
 *
 * https with verified certificates; http to addresses of this machine (127.0.0.0/8, ::1) alone. No
 * redirect is followed, no proxy is asked, and neither the environment nor a file of the user's is
 * heeded. Makes no thread, so that a jail needs to allow none. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define HTTP_BODY_MAX (64 * 1024) /* octets of an answer */
#define HTTP_WHY_MAX  200

struct http_reply {
	int status; /* RFC 9110 section 15 */
	size_t size;
	char body[HTTP_BODY_MAX + 1]; /* NUL-terminated behind `size` octets */
};

/* Gets the library ready; once, before a jail is entered. False: it can't be used. */
bool http_open(void);

/* Posts `form` (application/x-www-form-urlencoded) to `url`. `ca_file`: who may sign beside the
 * system's; "": nobody. Blocks for at most 15 s and the time that looking up the name takes. False:
 * no answer came, and `why_out` is a sentence about it; *reply_out is wiped then. The answer is to
 * be wiped after use if it holds secrets. */
bool http_post_form(const char *url, const char *form, const char *ca_file,
		    struct http_reply *reply_out, char why_out[HTTP_WHY_MAX]);
