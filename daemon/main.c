/* main.c: finds the verb and its options. Never does a verb's work. */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "daemon/cli/fault.h"
#include "daemon/cli/identity.h"
#include "daemon/cli/verbs.h"
#include "daemon/log.h"

enum {
	OPTION_CONFIG = 'c',
	OPTION_DEBUG = 'v',
	OPTION_HELP = 'h',
	OPTION_VERSION = 'V',
	OPTION_SHARE = 256,
	OPTION_LISTEN,
	OPTION_PEERS,
	OPTION_STATE,
	OPTION_FROM,
	OPTION_TO,
	OPTION_PEER,
	OPTION_LOGIN,
	OPTION_SOURCE,
	OPTION_JSON,
	OPTION_OFFLINE,
	OPTION_ADOPT,
	OPTION_TYPES,
	OPTION_REASONS,
	OPTION_DEVICE,
	OPTION_BROWSER,
	OPTION_PORT,
	OPTION_LAST,
	OPTION_HEALTH
};

/* clang-format off */
static const struct option option_table[] = {
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "verbose", no_argument, NULL, OPTION_DEBUG },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "share", required_argument, NULL, OPTION_SHARE },
	{ "listen", required_argument, NULL, OPTION_LISTEN },
	{ "peers", required_argument, NULL, OPTION_PEERS },
	{ "state", required_argument, NULL, OPTION_STATE },
	{ "from", required_argument, NULL, OPTION_FROM },
	{ "to", required_argument, NULL, OPTION_TO },
	{ "peer", required_argument, NULL, OPTION_PEER },
	{ "login", required_argument, NULL, OPTION_LOGIN },
	{ "source", required_argument, NULL, OPTION_SOURCE },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "offline", no_argument, NULL, OPTION_OFFLINE },
	{ "adopt", no_argument, NULL, OPTION_ADOPT },
	{ "types", no_argument, NULL, OPTION_TYPES },
	{ "reasons", no_argument, NULL, OPTION_REASONS },
	{ "device", no_argument, NULL, OPTION_DEVICE },
	{ "browser", no_argument, NULL, OPTION_BROWSER },
	{ "port", required_argument, NULL, OPTION_PORT },
	{ "last", no_argument, NULL, OPTION_LAST },
	{ "health", no_argument, NULL, OPTION_HEALTH },
	{ NULL, 0, NULL, 0 },
};

/* `options`: those that the verb takes beside -c, -v, --share, --state, --help and --version. */
static const struct verb {
	const char *name;
	int (*run)(const struct options *options);
	const int options[9];
	int operands_minimum, operands_maximum;
	const char *usage, *help;
} verbs[] = {
	{ "run", verb_run, { OPTION_LISTEN, OPTION_PEERS }, 0, 0,
	  "run [-c FILE]  |  run --share DIR [--listen ADDR:PORT] [--peers LIST] [--state DIR]",
	  "the gateway in the foreground" },
	{ "once", verb_once, { 0 }, 0, 0,
	  "once [-c FILE]",
	  "empties every mailbox and Maildir once, then ends" },
	{ "drop", verb_drop, { OPTION_FROM, OPTION_TO }, 0, 0,
	  "drop [-c FILE] [--from A] [--to A]... < MAIL",
	  "takes one message from standard input" },
	{ "smtp-session", verb_smtp_session, { OPTION_PEERS }, 0, 1,
	  "smtp-session [-c FILE] [NAME]",
	  "one SMTP session on standard input and output" },
	{ "extract", verb_extract, { OPTION_JSON, OPTION_TO }, 1, INT32_MAX,
	  "extract [--json] [--to DIR] MAIL.eml...",
	  "takes mails apart with no policy" },
	{ "explain", verb_explain, { OPTION_JSON, OPTION_PEER, OPTION_LOGIN, OPTION_SOURCE, OPTION_FROM, OPTION_TO, OPTION_TYPES, OPTION_REASONS }, 0, 1,
	  "explain [-c FILE] [--json] [--source NAME] [--peer IP] [--login NAME] [--from A] [--to A]... MAIL.eml  |  explain --types | --reasons",
	  "says what would become of a mail; writes nothing" },
	{ "status", verb_status, { OPTION_JSON, OPTION_HEALTH }, 0, 0,
	  "status [-c FILE] [--json | --health]",
	  "where each source and each share stands; --health: whether all is well, in one line" },
	{ "watch-device", verb_watch_device, { OPTION_JSON, OPTION_PEER, OPTION_SOURCE, OPTION_LAST }, 0, 0,
	  "watch-device [-c FILE] [--json] [--source NAME] [--peer IP] [--last]",
	  "what devices say, live, and why they fail; --last: what was kept of the last failures" },
	{ "check", verb_check, { OPTION_JSON, OPTION_OFFLINE, OPTION_ADOPT }, 0, 0,
	  "check [-c FILE] [--json] [--offline] [--adopt]",
	  "reads the configuration and probes the share" },
	{ "login", verb_login, { OPTION_DEVICE, OPTION_BROWSER, OPTION_PORT }, 1, 1,
	  "login [-c FILE] [--device | --browser] [--port N] SOURCE",
	  "signs in to a mailbox by OAuth2, once" },
	{ "password", verb_password, { 0 }, 0, 1,
	  "password [NAME] < PASSWORD",
	  "the line of a login for `users`" },
	{ "quarantine", verb_quarantine, { OPTION_JSON }, 1, INT32_MAX,
	  "quarantine [-c FILE] [--json] list | show ID | retry ID | rm ID...",
	  "what was kept aside, and why" },
};
/* clang-format on */
#define VERBS_COUNT (sizeof verbs / sizeof verbs[0])

static void print_version(void)
{
	puts("letterchute " LETTERCHUTE_VERSION);
}

static void print_help(void)
{
	puts("letterchute: mail in, files on the share\n\nusage: letterchute VERB [options]\n");
	for (size_t i = 0; i < VERBS_COUNT; i++)
		printf("  %-14s %s\n", verbs[i].name, verbs[i].help);
	puts("\n`letterchute VERB --help` shows the options of a verb.");
}

static void print_verb_help(const struct verb *verb)
{
	printf("letterchute %s: %s\n\nusage: letterchute %s\n\n", verb->name, verb->help,
	       verb->usage);
	puts("  -c FILE        configuration file, or a folder with *.conf (default /etc/letterchute/letterchute.conf)\n"
	     "  --share DIR    no configuration: pdf, jpeg, png and tiff go into DIR\n"
	     "  --state DIR    with --share: where the state is kept\n"
	     "  -v             shows the debug log\n"
	     "  --help, --version");
}

static bool takes_option(const struct verb *verb, int option)
{
	static const int common[] = { OPTION_CONFIG, OPTION_DEBUG, OPTION_SHARE, OPTION_STATE };
	for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
		if (common[i] == option)
			return true;
	}
	for (size_t i = 0; i < sizeof verb->options / sizeof verb->options[0]; i++) {
		if (verb->options[i] == option)
			return true;
	}
	return false;
}

static bool add_recipient(struct options *options, const char *value)
{
	if (options->to_count == OPTIONS_TO_MAX)
		return false;
	options->to[options->to_count++] = value;
	return true;
}

static bool set_option(struct options *options, const struct verb *verb, int option)
{
	switch (option) {
	case OPTION_CONFIG: options->config = optarg; break;
	case OPTION_DEBUG: options->debug = true; break;
	case OPTION_SHARE: options->share = optarg; break;
	case OPTION_LISTEN: options->listen = optarg; break;
	case OPTION_PEERS: options->peers = optarg; break;
	case OPTION_STATE: options->state = optarg; break;
	case OPTION_FROM: options->from = optarg; break;
	case OPTION_TO:
		if (verb->run != verb_extract)
			return add_recipient(options, optarg);
		options->folder = optarg;
		break;
	case OPTION_PEER: options->peer = optarg; break;
	case OPTION_LOGIN: options->login = optarg; break;
	case OPTION_SOURCE: options->source = optarg; break;
	case OPTION_JSON: options->json = true; break;
	case OPTION_OFFLINE: options->offline = true; break;
	case OPTION_ADOPT: options->adopt = true; break;
	case OPTION_TYPES: options->types = true; break;
	case OPTION_REASONS: options->reasons = true; break;
	case OPTION_DEVICE: options->device = true; break;
	case OPTION_BROWSER: options->browser = true; break;
	case OPTION_PORT: options->port = optarg; break;
	case OPTION_LAST: options->last = true; break;
	case OPTION_HEALTH: options->health = true; break;
	default: return false;
	}
	return true;
}

/* The first process of a container: the kernel drops a signal that it has no hand for. Held, it is
 * there when the gateway looks. */
static void hold_signals(void)
{
	static const int held[] = { SIGTERM, SIGINT, SIGHUP };
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof held / sizeof held[0]; i++)
		sigaddset(&set, held[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static int misused(const struct verb *verb)
{
	fprintf(stderr, "usage: letterchute %s\n", verb->usage);
	return EXIT_USAGE;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
	struct options options = { 0 };
	int option;
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:vh", option_table, NULL)) != -1) {
		if (option == OPTION_HELP) {
			print_verb_help(verb);
			return EXIT_OK;
		}
		if (option == OPTION_VERSION) {
			print_version();
			return EXIT_OK;
		}
		if (!takes_option(verb, option) || !set_option(&options, verb, option))
			return misused(verb);
	}
	options.operands = argv + optind;
	options.operands_count = argc - optind;
	if (options.operands_count < verb->operands_minimum ||
	    options.operands_count > verb->operands_maximum)
		return misused(verb);
	if (options.config && options.share) {
		fputs("letterchute: -c and --share exclude each other\n", stderr);
		return EXIT_USAGE;
	}
	log_open(options.debug);
	fault_open(verb->run == verb_run || verb->run == verb_once);
	options.warns = verb->run == verb_run || verb->run == verb_check;
	if (verb->run == verb_run && getpid() == 1)
		hold_signals();
	/* who only looks changes nothing of a gateway's that may run as somebody else */
	int status = identity_take(options.warns, verb->run == verb_run || verb->run == verb_once);
	return status ? status : verb->run(&options);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help();
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		print_version();
		return EXIT_OK;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help();
		return EXIT_OK;
	}
	for (size_t i = 0; i < VERBS_COUNT; i++) {
		if (strcmp(argv[1], verbs[i].name) == 0)
			return run_verb(&verbs[i], argc - 1, argv + 1);
	}
	fprintf(stderr, "letterchute: there is no verb `%s`; letterchute --help lists them\n",
		argv[1]);
	return EXIT_USAGE;
}
