/* test_align.c: which domains are one, of one owner, or strangers; with what libpsl by itself would
 * get wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "policy/align.h"

#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *from, *signer;
	enum align align;
} rows[] = {
	{ "example.org", "example.org", ALIGN_STRICT },
	{ "example.org", "mail.example.org", ALIGN_RELAXED },
	{ "a.b.example.org", "c.example.org", ALIGN_RELAXED },
	{ "example.org", "example.com", ALIGN_NONE },
	{ "example.org", "notexample.org", ALIGN_NONE },
	{ "example.org", "org", ALIGN_NONE },
	{ "example.org", "", ALIGN_NONE },
	{ "", "", ALIGN_NONE },

	/* case */
	{ "EXAMPLE.org", "example.ORG", ALIGN_STRICT },
	{ "MAIL.EXAMPLE.CO.UK", "MAIL.OTHER.CO.UK", ALIGN_NONE },
	{ "MAIL.EXAMPLE.CO.UK", "example.co.uk", ALIGN_RELAXED },

	/* a dot at the end */
	{ "example.org.", "example.org", ALIGN_STRICT },
	{ "mail.example.co.uk.", "mail.other.co.uk.", ALIGN_NONE },
	{ "mail.example.co.uk.", "example.co.uk", ALIGN_RELAXED },
	{ "example.org..", "example.org", ALIGN_NONE },

	/* addresses */
	{ "1.2.3.4", "9.9.3.4", ALIGN_NONE },
	{ "1.2.3.4", "1.2.3.4", ALIGN_NONE },
	{ "[1.2.3.4]", "[9.9.3.4]", ALIGN_NONE },
	{ "[1.2.3.4]", "[1.2.3.4]", ALIGN_NONE },
	{ "1.2.3.4.", "1.2.3.4.", ALIGN_NONE },

	/* labels */
	{ "a..example.org", "b.example.org", ALIGN_NONE },
	{ "a..example.org", "a..example.org", ALIGN_NONE },
	{ ".example.org", "example.org", ALIGN_NONE },
	{ ".", ".", ALIGN_NONE },
	{ LABEL_63 ".org", LABEL_63 ".org", ALIGN_STRICT },
	{ "a" LABEL_63 ".org", "a" LABEL_63 ".org", ALIGN_NONE },
	{ LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63,
	  LABEL_63 "." LABEL_63 "." LABEL_63 "." LABEL_63, ALIGN_NONE },
	{ "exa mple.org", "exa mple.org", ALIGN_NONE },
	{ "example.org\n", "example.org", ALIGN_NONE },

	/* other alphabets */
	{ "bücher.de", "bücher.de", ALIGN_NONE },
	{ "bücher.de", "xn--bcher-kva.de", ALIGN_NONE },
	{ "xn--bcher-kva.de", "XN--bcher-kva.de", ALIGN_STRICT },
	{ "www.xn--bcher-kva.de", "xn--bcher-kva.de", ALIGN_RELAXED },

	/* no registrable domain */
	{ "localhost", "localhost", ALIGN_STRICT },
	{ "localhost", "lan", ALIGN_NONE },
	{ "co.uk", "co.uk", ALIGN_STRICT },
	{ "co.uk", "example.co.uk", ALIGN_NONE },
	{ "org", "org", ALIGN_STRICT },

	/* suffixes of those who let out names */
	{ "evil.github.io", "victim.github.io", ALIGN_NONE },
	{ "a.victim.github.io", "victim.github.io", ALIGN_RELAXED },
	{ "victim.github.io", "github.io", ALIGN_NONE },
	{ "printer.lan", "scanner.lan", ALIGN_NONE },
	{ "a.printer.lan", "printer.lan", ALIGN_RELAXED },
};

static void table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		enum align one = align_domains(rows[i].from, rows[i].signer);
		enum align other = align_domains(rows[i].signer, rows[i].from);
		if (one != rows[i].align || other != rows[i].align)
			fail_msg("%s and %s: %d, %d", rows[i].from, rows[i].signer, one, other);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(table) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
