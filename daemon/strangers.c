/* strangers.c: goes over the routes and the sources of a configuration. Never decides what is open.
 */
#include "daemon/strangers.h"
#include <stdio.h>
#include <string.h>
#include "daemon/log.h"
#include "policy/reach.h"

/* Names, joined by commas. */
struct names {
	char text[STRANGERS_MAX / 4];
	size_t used;
};

static void add_name(struct names *names, const char *section, const char *name)
{
	size_t room = sizeof names->text - names->used;
	int size = snprintf(names->text + names->used, room, "%s[%s %s]", names->used ? ", " : "",
			    section, name);
	if (size > 0 && (size_t)size < room)
		names->used += (size_t)size;
	else
		names->text[names->used] = '\0';
}

static void find_listeners(const struct config *config, const struct rules_route *route,
			   struct names *names)
{
	for (size_t i = 0; i < config->listeners_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		const struct reach_source source = {
			.name = listener->name,
			.login = listener->auth == CONFIG_AUTH_REQUIRE,
			.peers = &listener->peers,
		};
		if (reach_is_open(route, &source))
			add_name(names, "smtp", listener->name);
	}
}

static void find_mailboxes(const struct config *config, const struct rules_route *route,
			   struct names *names)
{
	for (size_t i = 0; i < config->accounts_count; i++) {
		const struct reach_source source = { .name = config->accounts[i].name,
						     .mail = true };
		if (reach_is_open(route, &source))
			add_name(names, "imap", source.name);
	}
	for (size_t i = 0; i < config->maildirs_count; i++) {
		const struct reach_source source = { .name = config->maildirs[i].name,
						     .mail = true };
		if (reach_is_open(route, &source))
			add_name(names, "maildir", source.name);
	}
}

/* What is said of it, in the words of who wrote the configuration. */
struct words {
	const char *peers, *from, *mailbox, *mailbox_filtered, *listener;
};

static const struct words of_keys = {
	.peers = "`peers`",
	.from = "`from`",
	.mailbox =
		"auth = results, if the mail server stamps Authentication-Results, else auth = dkim",
	.mailbox_filtered =
		"auth = results, if the mail server stamps Authentication-Results, else auth = dkim",
	.listener = "give the route `peers`, the addresses of your devices, or a `login`",
};

/* A variable asks for no proof. */
static const struct words of_variables = {
	.peers = "SMTP_PEERS",
	.from = "FROM",
	.mailbox = "set FROM to who may send, as a filter; proof of the sender needs a file in "
		   "/config: the guide, \"More than that\"",
	.mailbox_filtered = "proof of the sender needs a file in /config: the guide, \"More than "
			    "that\"",
	.listener = "set SMTP_PEERS to the addresses of your devices, or SMTP_USER, "
		    "SMTP_PASSWORD_FILE and SMTP_AUTH=require",
};

bool strangers_reach(const struct config *config, size_t index, char text_out[STRANGERS_MAX],
		     char remedy_out[STRANGERS_MAX])
{
	const struct rules_route *route = &config->rules.routes[index];
	const struct words *words = ini_is_of_variables(&config->ini) ? &of_variables : &of_keys;
	bool filtered = route->from.count > 0;
	struct names listeners = { .used = 0 }, mailboxes = { .used = 0 };
	find_listeners(config, route, &listeners);
	find_mailboxes(config, route, &mailboxes);
	if (!listeners.used && !mailboxes.used)
		return false;
	snprintf(text_out, STRANGERS_MAX, "strangers can put files there: %s%s%s%s%s%s%s%s",
		 mailboxes.used ? "anybody can mail to " : "", mailboxes.text,
		 mailboxes.used && listeners.used ? ", and " : "", listeners.used ? "the " : "",
		 listeners.used ? words->peers : "", listeners.used ? " of " : "", listeners.text,
		 listeners.used ? " let in more than your own network" : "");
	size_t used = strlen(text_out);
	snprintf(text_out + used, STRANGERS_MAX - used, ", and the route asks for no proof%s%s%s",
		 filtered ? "; " : "", filtered ? words->from : "",
		 filtered ? " is a filter and no proof: anybody can write a From field" : "");
	snprintf(remedy_out, STRANGERS_MAX, "%s%s%s",
		 !mailboxes.used ? ""
		 : filtered      ? words->mailbox_filtered
				 : words->mailbox,
		 mailboxes.used && listeners.used ? "; " : "",
		 listeners.used ? words->listener : "");
	return true;
}

void strangers_warn(const struct config *config)
{
	char text[STRANGERS_MAX], remedy[STRANGERS_MAX];
	for (size_t i = 0; i < config->rules.routes_count; i++) {
		if (strangers_reach(config, i, text, remedy))
			log_say(LOG_WARNING, "open-route", "route %s: %s; remedy: %s",
				config->rules.routes[i].name, text, remedy);
	}
}
