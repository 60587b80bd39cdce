/* verdict.c: the one table from a reason to an outcome, an SMTP reply and words for a panel. Never
 * holds a foreign byte: what a row says is all that a sender hears. */
#include "policy/verdict.h"
#include <assert.h>

/* Codes: RFC 5321 section 4.2; enhanced codes: RFC 3463. */
static const struct verdict_row rows[REASON_COUNT] = {
	[REASON_NONE] = { "none", OUTCOME_DELIVERED, 250, "2.0.0", "Stored" },

	/* what the sender, or whoever wrote the rules, must change */
	[REASON_TYPE] = { "type", OUTCOME_REFUSED, 550, "5.7.1",
			  "File type not allowed here, choose another" },
	[REASON_NAME] = { "name", OUTCOME_REFUSED, 550, "5.7.1",
			  "File name not allowed here, choose another" },
	[REASON_SIZE] = { "size", OUTCOME_REFUSED, 552, "5.3.4",
			  "Size not allowed, scan fewer pages or coarser" },
	[REASON_PARTS] = { "parts", OUTCOME_REFUSED, 554, "5.6.0", "Too many files, send fewer" },
	[REASON_DEPTH] = { "depth", OUTCOME_REFUSED, 554, "5.6.0",
			   "Mail too deeply nested, send the files alone" },
	[REASON_HEADER] = { "header", OUTCOME_REFUSED, 554, "5.6.0",
			    "Mail header too long, shorten it" },
	[REASON_SENDER] = { "sender", OUTCOME_REFUSED, 550, "5.7.1",
			    "Sender not allowed, check the From address" },
	[REASON_PEER] = { "peer", OUTCOME_REFUSED, 550, "5.7.1",
			  "This network address may not send here" },
	[REASON_LOGIN] = { "login", OUTCOME_REFUSED, 550, "5.7.1",
			   "Login missing or not allowed, check user" },
	[REASON_PROOF] = { "proof", OUTCOME_REFUSED, 550, "5.7.1",
			   "Sender not proven, log in or use another network" },
	[REASON_ROUTE] = { "route", OUTCOME_REFUSED, 550, "5.7.1",
			   "No rule takes this mail, check the recipient" },
	[REASON_NO_PARTS] = { "no_parts", OUTCOME_REFUSED, 554, "5.6.0",
			      "No file in this mail, attach one" },
	[REASON_AMBIGUOUS] = { "ambiguous", OUTCOME_REFUSED, 554, "5.6.0",
			       "Mail can be read in two ways, send it anew" },
	[REASON_SUSPICIOUS] = { "suspicious", OUTCOME_REFUSED, 554, "5.6.0",
				"Mail is damaged, kept aside, send it anew" },
	[REASON_CRASH] = { "crash", OUTCOME_REFUSED, 554, "5.6.0",
			   "Mail can't be read, kept aside, ask your admin" },
	[REASON_SCAN] = { "scan", OUTCOME_REFUSED, 550, "5.7.1",
			  "The virus check refused this file" },

	/* our own trouble: the same message is welcome later */
	[REASON_SHARE] = { "share", OUTCOME_LATER, 451, "4.3.0",
			   "Folder unavailable, try again later" },
	[REASON_FULL] = { "full", OUTCOME_LATER, 452, "4.3.1", "Disk full, make room, try again" },
	[REASON_IO] = { "io", OUTCOME_LATER, 451, "4.3.0", "Can't store now, try again later" },
	[REASON_DNS] = { "dns", OUTCOME_LATER, 451, "4.4.3",
			 "Can't check the sender now, try again later" },
	[REASON_DEADLINE] = { "deadline", OUTCOME_LATER, 451, "4.4.5",
			      "Took too long, try again later" },
	[REASON_SPOOL] = { "spool", OUTCOME_LATER, 452, "4.3.1",
			   "No room to work now, try again later" },
	[REASON_SHUTDOWN] = { "shutdown", OUTCOME_LATER, 421, "4.3.2",
			      "Restarting, try again in a minute" },
};

static const char *const outcome_names[OUTCOME_COUNT] = {
	[OUTCOME_DELIVERED] = "delivered",
	[OUTCOME_REFUSED] = "refused",
	[OUTCOME_LATER] = "later",
	[OUTCOME_HELD] = "held",
};

const struct verdict_row *verdict_row(enum reason reason)
{
	assert((unsigned)reason < REASON_COUNT);
	return &rows[reason];
}

const char *verdict_outcome_name(enum outcome outcome)
{
	assert((unsigned)outcome < OUTCOME_COUNT);
	return outcome_names[outcome];
}
