/* browser.c: the authorisation code flow, from the address to the token. Never believes who comes
 * without our state. */
#define _GNU_SOURCE
#include "daemon/token/browser.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/fdio.h"
#include "daemon/keep.h"
#include "daemon/token/login.h"
#include "daemon/token/pkce.h"
#include "daemon/token/redirect.h"

#define SILENT_MS 2000 /* browsers open connections that they say nothing on */
#define HEAD_MS   5000
#define WAITING   16 /* connections that have not been looked at */

struct visit {
	const struct oauth *oauth;
	char redirect_uri[64], verifier[PKCE_TEXT], state[PKCE_TEXT];
};

int browser_listen(uint16_t port, int *fd_out, uint16_t *port_out)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(port),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof address;
	const int yes = 1;
	auto_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, WAITING) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	*port_out = ntohs(address.sin_port);
	*fd_out = take_fd(&fd);
	return 0;
}

/* --- the way there ---------------------------------------------------------------------------- */

static int begin(struct visit *visit, const struct oauth *oauth, uint16_t port)
{
	visit->oauth = oauth;
	snprintf(visit->redirect_uri, sizeof visit->redirect_uri, "http://%s:%u",
		 oauth->provider.redirect_host, port);
	return pkce_secret(visit->verifier) && pkce_secret(visit->state) ? 0 : -EIO;
}

static void show_address(const struct visit *visit, uint16_t port)
{
	static struct form form;
	const struct oauth *oauth = visit->oauth;
	char challenge[PKCE_TEXT];
	pkce_challenge(visit->verifier, challenge);
	form_init(&form);
	form_add(&form, "response_type", "code");
	form_add(&form, "client_id", oauth->account->client_id);
	form_add(&form, "redirect_uri", visit->redirect_uri);
	form_add(&form, "scope", oauth->provider.scope);
	form_add(&form, "state", visit->state);
	form_add(&form, "code_challenge", challenge);
	form_add(&form, "code_challenge_method", "S256");
	form_add(&form, "login_hint", oauth->account->user);
	const char *url = oauth->provider.authorize_url;
	printf("Sign in as %s: open\n\n    %s%s%s%s\n\nin a browser on this machine. For one elsewhere, first:"
	       "\n\n    ssh -L %u:127.0.0.1:%u THIS-MACHINE\n\nWaiting until that is done...\n",
	       oauth->account->user, url, strchr(url, '?') ? "&" : "?", form.text,
	       oauth->provider.consent, port, port);
	fflush(stdout);
}

/* --- the way back ----------------------------------------------------------------------------- */

/* The head of a request, as much of it as comes in time. */
static void read_head(int fd, char head[REDIRECT_HEAD_MAX])
{
	int64_t end_ms = monotonic_ms() + HEAD_MS;
	size_t used = 0;
	head[0] = '\0';
	while (used + 1 < REDIRECT_HEAD_MAX && !strstr(head, "\r\n\r\n")) {
		int64_t silent_ms = monotonic_ms() + SILENT_MS;
		if (wait_readable(fd, silent_ms < end_ms ? silent_ms : end_ms) != 0)
			return;
		ssize_t got = read(fd, head + used, REDIRECT_HEAD_MAX - 1 - used);
		if (got <= 0)
			return;
		used += (size_t)got;
		head[used] = '\0';
	}
}

static void write_page(int fd, const char *status, const char *words)
{
	char page[600], body[300];
	int size = snprintf(body, sizeof body,
			    "<!doctype html><title>letterchute</title><p>%s</p>\n", words);
	int whole = snprintf(page, sizeof page,
			     "HTTP/1.1 %s\r\nContent-Type: text/html; charset=utf-8\r\n"
			     "Content-Length: %d\r\nCache-Control: no-store\r\n"
			     "Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n%s",
			     status, size, body);
	/* who has gone meanwhile misses nothing but this */
	if (write_all(fd, page, (size_t)whole) == 0)
		shutdown(fd, SHUT_WR);
}

static int exchange(const struct visit *visit, const char *code)
{
	static struct reply reply;
	static struct form form;
	char why[OAUTH_WHY_MAX];
	oauth_begin(visit->oauth, "authorization_code", &form);
	form_add(&form, "code", code);
	form_add(&form, "redirect_uri", visit->redirect_uri);
	form_add(&form, "code_verifier", visit->verifier);
	enum reply_kind kind = oauth_exchange(visit->oauth, &form, &reply, why);
	if (kind == REPLY_ERROR)
		oauth_explain(visit->oauth, &reply, why);
	return kind == REPLY_TOKEN
		       ? login_keep(visit->oauth, &reply)
		       : login_fail(kind == REPLY_ERROR ? LOGIN_REFUSED : LOGIN_UNREACHED, why, "");
}

/* -1: it was not for us. */
static int serve(const struct visit *visit, int fd)
{
	static struct redirect redirect;
	char head[REDIRECT_HEAD_MAX];
	int status = -1;
	read_head(fd, head);
	redirect_read(head, visit->state, &redirect);
	explicit_bzero(head, sizeof head);
	if (redirect.kind == REDIRECT_CODE)
		status = exchange(visit, redirect.code);
	else if (redirect.kind == REDIRECT_DENIED)
		status = login_fail(LOGIN_REFUSED, "the sign-in was refused", redirect.error);
	explicit_bzero(redirect.code, sizeof redirect.code);
	if (status < 0)
		write_page(fd, "404 Not Found", "There is nothing here.");
	else
		write_page(fd, "200 OK",
			   status == LOGIN_DONE
				   ? "You are signed in. This page can be closed."
				   : "The sign-in failed. The terminal where it began says why.");
	return status;
}

static int await(const struct visit *visit, int listening_fd)
{
	int64_t end_ms = monotonic_ms() + LOGIN_MS;
	while (monotonic_ms() < end_ms) {
		wait_readable(listening_fd, end_ms);
		auto_close int fd = accept4(listening_fd, NULL, NULL, SOCK_CLOEXEC);
		int status = fd < 0 ? -1 : serve(visit, fd);
		if (status >= 0)
			return status;
		if (fd < 0)
			nap_ms(100);
	}
	return login_fail(LOGIN_REFUSED, "nobody came back from the provider in time", "");
}

int browser_sign_in(const struct oauth *oauth, int listening_fd, uint16_t port)
{
	struct visit visit;
	if (begin(&visit, oauth, port) != 0)
		return login_fail(LOGIN_BUG, "the kernel gives no random numbers", "");
	show_address(&visit, port);
	int status = await(&visit, listening_fd);
	explicit_bzero(&visit, sizeof visit);
	return status;
}
