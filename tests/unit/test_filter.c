/* test_filter.c: whole messages, and what their frames say. Each is read in one piece, by threes
 * and octet by octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "extract/charset.h"
#include "extract/filter.h"
#include "tests/unit/charsets.h"

#define TOP   "From: a@b\r\nMIME-Version: 1.0\r\n"
#define MIXED TOP "Content-Type: multipart/mixed; boundary=BB\r\n\r\n"
#define PDF \
	"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=\"scan.pdf\"\r\n"
#define BASE64 "Content-Transfer-Encoding: base64\r\n"

/* What a message becomes, a line a frame:
 *   part NUMBER TYPE DISPOSITION [name=NAME] [text] [ambiguous] [content] [damaged] [truncated]
 *   shown NUMBER / done [ambiguous] [damaged] [encoded] / cap KIND
 * The frames of the top header are left out. */
struct row {
	const char *cause;
	const char *message;
	const char *first; /* in the first reading */
	const char *last;  /* in the last one; NULL: the same */
	size_t size;       /* octets of the message; 0: up to its NUL */
};

static const struct row rows[] = {
	{ "a text alone", TOP "\r\nhello\r\n", "part 1 text/plain - text [hello\r\n]\ndone\n", NULL,
	  0 },
	{ "no header at all", "\r\nhello\r\n", "part 1 text/plain - text [hello\r\n]\ndone\n", NULL,
	  0 },
	{ "nothing", "", "done\n", NULL, 0 },
	{ "a header alone", "Subject: x\r\n", "part 1 text/plain - text []\ndone\n", NULL, 0 },
	{ "a text and a file",
	  MIXED "--BB\r\n\r\nhi\r\n--BB\r\n" PDF BASE64 "\r\nYWJj\r\n--BB--\r\n",
	  "part 1 text/plain - text [hi]\npart 2 application/pdf attachment name=scan.pdf [abc]\ndone\n",
	  NULL, 0 },
	{ "bare LF",
	  TOP "Content-Type: multipart/mixed; boundary=BB\n\n--BB\n" PDF "\nabc\n--BB--\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc]\ndone\n", NULL, 0 },
	{ "bare CR for every line end",
	  "Content-Type: multipart/mixed; boundary=BB\r\r--BB\rContent-Type: a/b\r\rabc\r--BB--\r",
	  "part 1 a/b - [abc]\ndone\n", NULL, 0 },
	{ "CR CR LF",
	  "Content-Type: multipart/mixed; boundary=BB\r\r\n\r\r\n--BB\r\r\nContent-Type: a/b\r\r\n\r\r\nab\r\r\n--BB--\r\r\n",
	  "part 1 a/b - [ab\r]\ndone\n", NULL, 0 },
	{ "byte order mark", "\xef\xbb\xbf" MIXED "--BB\r\n" PDF "\r\nabc\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc]\ndone\n", NULL, 0 },
	{ "blank lines above the message", "\r\n \r\n" MIXED "--BB\r\n" PDF "\r\nabc\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc]\ndone\n", NULL, 0 },
	{ "mbox line above the message",
	  "From a@b Mon Jan  1 00:00:00 2024\n" MIXED "--BB\r\n" PDF "\r\nabc\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc]\ndone\n", NULL, 0 },
	{ "delimiters glued to base64, padded or not",
	  MIXED "--BB\r\n" PDF BASE64 "\r\nYWI=--BB\r\n" PDF BASE64 "\r\nYWJj--BB\r\n" BASE64
		"\r\nYWJj --BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [ab]\n"
	  "part 2 application/pdf attachment name=scan.pdf [abc]\npart 3 text/plain - text [abc]\ndone\n",
	  NULL, 0 },
	{ "what is no base64 has no glued delimiters",
	  MIXED "--BB\r\n" PDF "\r\nabc--BB\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc--BB]\ndone\n", NULL, 0 },
	{ "no closing boundary", MIXED "--BB\r\n" PDF "\r\nabc",
	  "part 1 application/pdf attachment name=scan.pdf [abc] truncated\ndone\n", NULL, 0 },
	{ "cut within base64", MIXED "--BB\r\n" PDF BASE64 "\r\nYWJjZG",
	  "part 1 application/pdf attachment name=scan.pdf [abc] damaged truncated\ndone\n", NULL,
	  0 },
	{ "cut within a line of base64", MIXED "--BB\r\n" PDF BASE64 "\r\nYWJj",
	  "part 1 application/pdf attachment name=scan.pdf [abc] damaged truncated\ndone\n", NULL,
	  0 },
	{ "cut behind a line of base64", MIXED "--BB\r\n" PDF BASE64 "\r\nYWJj\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc] truncated\ndone\n", NULL, 0 },
	{ "cut behind the padding", MIXED "--BB\r\n" PDF BASE64 "\r\nYWI=",
	  "part 1 application/pdf attachment name=scan.pdf [ab] truncated\ndone\n", NULL, 0 },
	{ "base64 with a spoiled delimiter behind it",
	  MIXED "--BB\r\n" PDF BASE64 "\r\nYWI=\r\n-BB\r\n" PDF BASE64 "\r\nYWI=\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [ab] damaged\ndone\n", NULL, 0 },
	{ "the start of a boundary glued to base64 is no delimiter in either reading",
	  MIXED "--BB\r\n" PDF BASE64 "\r\nYWI=--BBX\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [ab] damaged\ndone\n", NULL, 0 },
	{ "a text in base64 with a spoiled delimiter behind it",
	  MIXED "--BB\r\n" BASE64 "\r\nYWI=\r\n-BB\r\n" PDF "\r\nabc\r\n--BB--\r\n",
	  "part 1 text/plain - text [ab] damaged\ndone\n", NULL, 0 },
	{ "a text in base64 with junk in it", MIXED "--BB\r\n" BASE64 "\r\nYW$Jj\r\n--BB--\r\n",
	  "part 1 text/plain - text [abc]\ndone\n", NULL, 0 },
	{ "a spoiled delimiter behind a text",
	  MIXED "--BB\r\n\r\nhi\r\n-BB\r\n" PDF "\r\nabc\r\n--BB\r\n" PDF "\r\nabc\r\n--BB--\r\n",
	  "part 1 text/plain - text [hi\r\n-BB\r\n" PDF
	  "\r\nabc]\npart 2 application/pdf attachment name=scan.pdf [abc]\ndone damaged\n",
	  NULL, 0 },
	{ "a spoiled delimiter in the preamble",
	  MIXED "--bb\r\n" PDF "\r\nabc\r\n--BB\r\n" PDF "\r\nabc\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc]\ndone damaged encoded\n", NULL,
	  0 },
	{ "the boundary in a text", MIXED "--BB\r\n\r\nBB\r\nContent\r\n--BB--\r\n",
	  "part 1 text/plain - text [BB\r\nContent]\ndone\n", NULL, 0 },
	{ "a message in damaged base64",
	  "Content-Type: message/rfc822\r\n" BASE64
	  "\r\nQ29udGVudC1UeXBlOiBhL2INCg0KYWJj\r\nY$WJj\r\n",
	  "part 1 a/b - [abcabc]\ndone damaged\n", NULL, 0 },
	{ "unpadded base64, closed", MIXED "--BB\r\n" PDF BASE64 "\r\nYWJjZA\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abcd]\ndone\n", NULL, 0 },
	{ "unpadded base64 without any boundary", TOP PDF BASE64 "\r\nYWJjZA\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abcd]\ndone\n", NULL, 0 },
	{ "its own multipart was not closed: the base64 may be cut",
	  MIXED "--BB\r\nContent-Type: multipart/mixed; boundary=CC\r\n\r\n--CC\r\n" PDF BASE64
		"\r\nYWJjZA\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc] damaged\ndone\n", NULL, 0 },
	{ "a delimiter right at the end of a cut mail", MIXED "--BB\r\n\r\nhi\r\n--BB\r\n",
	  "part 1 text/plain - text [hi]\ndone\n", NULL, 0 },
	{ "an empty file", MIXED "--BB\r\n" PDF "\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf []\ndone\n", NULL, 0 },
	{ "an empty file, no blank line either", MIXED "--BB\r\n" PDF "--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf []\ndone\n", NULL, 0 },
	{ "a header without a blank line before the body",
	  MIXED "--BB\r\nContent-Type: a/b\r\nJVBERi0xLjQK\r\nAAAA\r\n--BB--\r\n",
	  "part 1 a/b - [JVBERi0xLjQK\r\nAAAA]\ndone\n", NULL, 0 },
	{ "no blank line before the first boundary",
	  TOP "Content-Type: multipart/mixed; boundary=BB\r\n--BB\r\n" PDF "\r\nabc\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc]\ndone\n", NULL, 0 },
	{ "garbage among the fields of a part",
	  MIXED "--BB\r\nthis is garbage\r\n" PDF "more garbage\r\n\r\nabc\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc]\ndone\n", NULL, 0 },
	{ "a blank in the line that ends the header", MIXED "--BB\r\n" PDF " \r\nabc\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc]\ndone\n", NULL, 0 },
	{ "a colon in the boundary, a blank in the line before it",
	  "Content-Type: multipart/mixed; boundary=\"--9=:1\"\r\n \r\n----9=:1\r\n\r\nhi\r\n----9=:1--\r\n",
	  "part 1 text/plain - text [hi]\ndone\n", NULL, 0 },
	{ "a folded field with nothing above it",
	  MIXED "--BB\r\n folded\r\n" PDF "\r\nabc\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc]\ndone\n", NULL, 0 },
	/* nesting */
	{ "multiparts inside each other, a boundary the start of the other",
	  MIXED
	  "--BB\r\nContent-Type: multipart/alternative; boundary=BB2\r\n\r\n--BB2\r\n\r\nhi\r\n--BB2--\r\n\r\n--BB\r\n" PDF
	  "\r\nabc\r\n--BB--\r\n",
	  "part 1 text/plain - text [hi]\npart 2 application/pdf attachment name=scan.pdf [abc]\ndone\n",
	  NULL, 0 },
	{ "the same boundary twice",
	  MIXED
	  "--BB\r\nContent-Type: multipart/mixed; boundary=BB\r\n\r\n--BB\r\n\r\nin\r\n--BB--\r\n--BB\r\n\r\nout\r\n--BB--\r\n",
	  "part 1 text/plain - text [in]\npart 2 text/plain - text [out]\ndone\n", NULL, 0 },
	{ "an inner multipart that is not closed",
	  MIXED
	  "--BB\r\nContent-Type: multipart/mixed; boundary=CC\r\n\r\n--CC\r\n\r\nin\r\n--BB\r\n\r\nout\r\n--BB--\r\n",
	  "part 1 text/plain - text [in]\npart 2 text/plain - text [out]\ndone\n", NULL, 0 },
	{ "a message inside",
	  MIXED "--BB\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n" PDF
		"\r\nabc\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc]\ndone\n", NULL, 0 },
	{ "a digest, whose parts are messages",
	  TOP
	  "Content-Type: multipart/digest; boundary=BB\r\n\r\n--BB\r\n\r\nContent-Type: a/b\r\n\r\nabc\r\n--BB--\r\n",
	  "part 1 a/b - [abc]\ndone\n", NULL, 0 },
	{ "a message in base64",
	  "Content-Type: message/rfc822\r\n" BASE64 "\r\nQ29udGVudC1UeXBlOiBhL2INCg0KYWJj\r\n",
	  "part 1 a/b - [abc]\ndone\n", NULL, 0 },
	{ "a message that says base64 and is not",
	  "Content-Type: message/rfc822\r\n" BASE64 "\r\nContent-Type: a/b\r\n\r\nabc",
	  "part 1 a/b - [abc]\ndone\n", NULL, 0 },
	{ "a message in quoted-printable",
	  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nContent-Type: a/b; name=3Dx=\r\n\r\n\r\nabc=3D",
	  "part 1 a/b - name=x [abc=]\ndone\n", NULL, 0 },
	{ "a message that says quoted-printable and is not",
	  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nContent-Type: a/b; name=x\r\n\r\nabc=3D",
	  "part 1 a/b - name=x [abc=3D]\ndone\n", NULL, 0 },
	{ "a message in uuencode",
	  "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 m\n60V]N=&5N=\"U4>7!E.B!A+V(*\"F%B8P``\n`\nend\n",
	  "part 1 a/b - [abc]\ndone\n", NULL, 0 },
	{ "a multipart in base64 inside a message in base64",
	  "Content-Type: message/rfc822\r\n" BASE64
	  "\r\nQ29udGVudC1UeXBlOiBtdWx0aXBhcnQvbWl4ZWQ7IGJvdW5kYXJ5PUIKCi0tQgpDb250ZW50LVR5\r\ncGU6IGEvYgoKYWJjCi0tQi0tCg==\r\n",
	  "part 1 a/b - [abc]\ndone\n", NULL, 0 },
	{ "reports are text, named or not",
	  MIXED
	  "--BB\r\nContent-Type: message/delivery-status; name=x.txt\r\n\r\nStatus: 5\r\n--BB--\r\n",
	  "part 1 message/delivery-status - text [Status: 5]\ndone\n", NULL, 0 },
	{ "a multipart that is a named file",
	  TOP "Content-Type: multipart/mixed; name=x.bin\r\n\r\nabc",
	  "part 1 multipart/mixed - name=x.bin [abc]\ndone\n", NULL, 0 },
	{ "a multipart without a boundary: the first line of dashes with a field below it",
	  TOP "Content-Type: multipart/mixed\r\n\r\nsee --\r\n--\r\n\r\n--BB\r\n"
	      "Content-Type: a/b\r\n\r\nabc\r\n--BB--\r\n",
	  "part 1 a/b - [abc]\ndone\n", NULL, 0 },
	{ "a multipart without a boundary and without parts",
	  TOP "Content-Type: multipart/mixed\r\n\r\nabc",
	  "part 1 multipart/mixed - text [abc]\ndone\n", NULL, 0 },
	{ "a multipart whose boundary never comes is text",
	  TOP "Content-Type: multipart/mixed; boundary=BB\r\n\r\nabc\r\n",
	  "part 1 multipart/mixed - text [abc\r\n]\ndone\n", NULL, 0 },
	{ "a multipart without a body", TOP "Content-Type: multipart/mixed; boundary=BB\r\n",
	  "part 1 multipart/mixed - text []\ndone\n", NULL, 0 },
	{ "preamble and epilogue are no parts", MIXED "pre\r\n--BB\r\n\r\nhi\r\n--BB--\r\nepi\r\n",
	  "part 1 text/plain - text [hi]\ndone\n", NULL, 0 },
	{ "dashes without a field below them give no boundary",
	  TOP "Content-Type: multipart/mixed\r\n\r\n--BB\r\nhello\r\n--CC",
	  "part 1 multipart/mixed - text [--BB\r\nhello\r\n--CC]\ndone\n", NULL, 0 },
	{ "a message of another kind",
	  "Content-Type: message/global\r\n\r\nContent-Type: message/news\r\n\r\nContent-Type: a/b\r\n\r\nabc",
	  "part 1 a/b - [abc]\ndone\n", NULL, 0 },
	{ "a multipart that is attached, without a boundary",
	  TOP "Content-Type: multipart/mixed\r\nContent-Disposition: attachment\r\n\r\nabc",
	  "part 1 multipart/mixed attachment [abc]\ndone\n", NULL, 0 },
	{ "a named multipart without a body", TOP "Content-Type: multipart/mixed; name=x\r\n",
	  "part 1 multipart/mixed - name=x []\ndone\n", NULL, 0 },
	{ "a message without a body", TOP "Content-Type: message/rfc822\r\n",
	  "part 1 message/rfc822 - text []\ndone\n", NULL, 0 },
	/* text */
	{ "text in a charset, converted",
	  "Content-Type: text/plain; charset=iso-8859-2\r\n\r\n\xb1\n",
	  "part 1 text/plain - text [\xc4\x85\n]\ndone\n", NULL, 0 },
	{ "text in an 8-bit charset that is not declared", "\n\xe4\n",
	  "part 1 text/plain - text [\xc3\xa4\n]\ndone\n", NULL, 0 },
	{ "text in UTF-16", "Content-Type: text/plain; charset=utf-16le\r\n\r\na\0\xe4",
	  "part 1 text/plain - text [a\xef\xbf\xbd]\ndone\n", NULL, 49 },
	{ "attached text stays as it is",
	  "Content-Type: text/plain; charset=iso-8859-2\r\nContent-Disposition: attachment\r\n\r\n\xb1",
	  "part 1 text/plain attachment [\xb1]\ndone\n", NULL, 0 },
	{ "pictures that the HTML shows, in either order",
	  TOP
	  "Content-Type: multipart/related; boundary=BB\r\n\r\n--BB\r\nContent-Type: image/a\r\nContent-ID: <a@x>\r\n\r\n1\r\n--BB\r\n"
	  "Content-Type: text/html\r\n\r\n<img src=\"cid:a@x\"><img src='CID:b%40x'>cid:c\r\n--BB\r\nContent-Type: image/b\r\n"
	  "Content-ID: <b@x>\r\nContent-Disposition: inline\r\n\r\n2\r\n--BB\r\nContent-Type: image/c\r\nContent-ID: <d@x>\r\n\r\n3\r\n--BB--\r\n",
	  "part 1 image/a - [1]\npart 2 text/html - text [<img src=\"cid:a@x\"><img src='CID:b%40x'>cid:c]\npart 3 image/b inline [2]\n"
	  "part 4 image/c - [3]\nshown 1\nshown 3\ndone\n",
	  NULL, 0 },
	{ "a named HTML text shows pictures, an attached one does not",
	  TOP
	  "Content-Type: multipart/related; boundary=BB\r\n\r\n--BB\r\nContent-Type: text/html; name=x\r\n\r\ncid:a \r\n--BB\r\n"
	  "Content-Type: text/html\r\nContent-Disposition: attachment\r\n\r\ncid:b \r\n--BB\r\nContent-Type: i/a\r\nContent-ID: a\r\n\r\n--BB\r\n"
	  "Content-Type: i/b\r\nContent-ID: b\r\n\r\n--BB--\r\n",
	  "part 1 text/html - name=x [cid:a ]\npart 2 text/html attachment [cid:b ]\npart 3 i/a - []\npart 4 i/b - []\nshown 3\ndone\n",
	  NULL, 0 },
	{ "a PDF that says it is a text",
	  "Content-Type: text/plain\r\n" BASE64 "\r\nJVBERi0xLjQK\r\n",
	  "part 1 text/plain - [%PDF-1.4\n]\ndone\n", NULL, 0 },
	{ "a PDF that says nothing", "Subject: x\r\n\r\n%PDF-1.4\n",
	  "part 1 text/plain - [%PDF-1.4\n]\ndone\n", NULL, 0 },
	/* what hides */
	{ "a part in a text", "\r\n--XX\r\nContent-Type: application/pdf\r\n\r\nabc\r\n",
	  "part 1 text/plain - text [--XX\r\nContent-Type: application/pdf\r\n\r\nabc\r\n]\ndone encoded\n",
	  NULL, 0 },
	{ "base64 in a text",
	  "\n"
	  "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz\n"
	  "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz\n"
	  "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz\n",
	  "part 1 text/plain - text ["
	  "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz\n"
	  "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz\n"
	  "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz\n"
	  "]\ndone encoded\n",
	  NULL, 0 },
	{ "a part in an epilogue",
	  MIXED "--BB\r\n\r\nhi\r\n--BB--\r\n--XX\r\nContent-Type: a/b\r\n\r\nabc\r\n",
	  "part 1 text/plain - text [hi]\ndone encoded\n", NULL, 0 },
	/* two readings */
	{ "two dispositions",
	  MIXED "--BB\r\n" PDF
		"Content-Disposition: attachment; filename=evil.exe\r\n\r\nabc\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf ambiguous [abc]\ndone ambiguous\n",
	  "part 1 application/pdf attachment name=evil.exe ambiguous [abc]\ndone ambiguous\n", 0 },
	{ "the same disposition twice",
	  MIXED
	  "--BB\r\n" PDF
	  "Content-Disposition:  Attachment;\r\n filename=\"scan.pdf\"\r\n\r\nabc\r\n--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf [abc]\ndone\n", NULL, 0 },
	{ "two names", TOP "Content-Type: a/b; name=one; name=two\r\n\r\nabc",
	  "part 1 a/b - name=one ambiguous [abc]\ndone ambiguous\n",
	  "part 1 a/b - name=two ambiguous [abc]\ndone ambiguous\n", 0 },
	{ "a name and a file name are normal",
	  TOP "Content-Type: a/b; name=one\r\nContent-Disposition: inline; filename=two\r\n\r\nabc",
	  "part 1 a/b inline name=two [abc]\ndone\n", NULL, 0 },
	{ "two types", "Content-Type: a/b\r\nContent-Type: c/d\r\n\r\nabc",
	  "part 1 a/b - ambiguous [abc]\ndone ambiguous\n",
	  "part 1 c/d - ambiguous [abc]\ndone ambiguous\n", 0 },
	{ "two types in one field", "Content-Type: a/b, c/d\r\n\r\nabc",
	  "part 1 a/b - ambiguous [abc]\ndone ambiguous\n",
	  "part 1 c/d - ambiguous [abc]\ndone ambiguous\n", 0 },
	{ "an empty type says nothing", "Content-Type:\r\nContent-Type: c/d\r\n\r\nabc",
	  "part 1 c/d - [abc]\ndone\n", NULL, 0 },
	{ "two encodings",
	  "Content-Type: a/b\r\n" BASE64 "Content-Transfer-Encoding: 7bit\r\n\r\nYWJj",
	  "part 1 a/b - ambiguous [abc]\ndone ambiguous\n",
	  "part 1 a/b - ambiguous [YWJj]\ndone ambiguous\n", 0 },
	{ "two encodings in one field",
	  "Content-Type: a/b\r\nContent-Transfer-Encoding: base64, 7bit\r\n\r\nYWJj",
	  "part 1 a/b - ambiguous [abc]\ndone ambiguous\n",
	  "part 1 a/b - ambiguous [YWJj]\ndone ambiguous\n", 0 },
	{ "two boundaries",
	  "Content-Type: multipart/mixed; boundary=B1; boundary=B2\r\n\r\n--B1\r\n\r\none\r\n--B2\r\n\r\ntwo\r\n--B2--\r\n",
	  "part 1 text/plain - text [one\r\n--B2\r\n\r\ntwo\r\n--B2--\r\n] truncated\ndone ambiguous\n",
	  "part 1 text/plain - text [two]\ndone ambiguous\n", 0 },
	{ "a part behind the closing delimiter",
	  MIXED "--BB\r\n\r\none\r\n--BB--\r\n--BB\r\nContent-Type: a/b\r\n\r\ntwo\r\n--BB--\r\n",
	  "part 1 text/plain - text [one]\ndone ambiguous encoded\n",
	  "part 1 text/plain - text [one]\npart 2 a/b - [two]\ndone ambiguous\n", 0 },
	{ "a line that starts with the boundary",
	  MIXED "--BB\r\n\r\none\r\n--BBX\r\n\r\ntwo\r\n--BB--\r\n",
	  "part 1 text/plain - text [one\r\n--BBX\r\n\r\ntwo]\ndone ambiguous\n",
	  "part 1 text/plain - text [one]\npart 2 text/plain - text [two]\ndone ambiguous\n", 0 },
	{ "a bare CR before a delimiter", MIXED "--BB\r\n\r\none\r--BB\r\n\r\ntwo\r\n--BB--\r\n",
	  "part 1 text/plain - text [one\r--BB\r\n\r\ntwo]\ndone ambiguous\n",
	  "part 1 text/plain - text [one]\npart 2 text/plain - text [two]\ndone\n", 0 },
	{ "a bare CR before a field",
	  MIXED
	  "--BB\r\nContent-Type: a/b\rContent-Disposition: attachment\r\n\r\none\r\n--BB--\r\n",
	  "part 1 a/b - [one]\ndone ambiguous\n", "part 1 a/b attachment [one]\ndone ambiguous\n",
	  0 },
	{ "NUL in a field", "Content-Type: a/b; name=x\0y\r\n\r\nabc",
	  "part 1 a/b - name=xy ambiguous [abc]\ndone ambiguous\n",
	  "part 1 a/b - name=x ambiguous [abc]\ndone ambiguous\n", 34 },
	{ "a comment behind the boundary",
	  "Content-Type: multipart/mixed; boundary=BB (x)\r\n\r\n--BB\r\n\r\nhi\r\n--BB--\r\n",
	  "part 1 text/plain - text [hi]\ndone ambiguous\n",
	  "part 1 multipart/mixed - text ambiguous [--BB\r\n\r\nhi\r\n--BB--\r\n]\ndone ambiguous\n",
	  0 },
	{ "a multipart in base64",
	  "Content-Type: multipart/mixed; boundary=B\r\n" BASE64
	  "\r\nLS1CCkNvbnRlbnQtVHlwZTogYS9iCgphYmMKLS1CLS0K\r\n",
	  "part 1 a/b - [abc]\ndone ambiguous\n",
	  "part 1 multipart/mixed - text [--B\nContent-Type: a/b\n\nabc\n--B--\n]\ndone ambiguous encoded\n",
	  0 },
	{ "a multipart that says base64 and is not",
	  "Content-Type: multipart/mixed; boundary=B\r\n" BASE64
	  "\r\n--B\r\nContent-Type: a/b\r\n\r\nabc\r\n--B--\r\n",
	  "part 1 a/b - [abc]\ndone\n", NULL, 0 },
	/* caps: parts 4, depth 3, header 500 */
	{ "too many parts",
	  MIXED
	  "--BB\r\n\r\n1\r\n--BB\r\n\r\n2\r\n--BB\r\n\r\n3\r\n--BB\r\n\r\n4\r\n--BB\r\n\r\n5\r\n--BB--\r\n",
	  "part 1 text/plain - text [1]\npart 2 text/plain - text [2]\npart 3 text/plain - text [3]\npart 4 text/plain - text [4]\ncap 1\n",
	  NULL, 0 },
	{ "too many files",
	  MIXED "--BB\r\n" PDF "--BB\r\n" PDF "--BB\r\n" PDF "--BB\r\n" PDF "--BB\r\n" PDF
		"--BB--\r\n",
	  "part 1 application/pdf attachment name=scan.pdf []\npart 2 application/pdf attachment name=scan.pdf []\n"
	  "part 3 application/pdf attachment name=scan.pdf []\npart 4 application/pdf attachment name=scan.pdf []\ncap 1\n",
	  NULL, 0 },
	{ "too deep",
	  "Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nContent-Type: message/rfc822\n\n",
	  "cap 2\n", NULL, 0 },
	{ "too deep in multiparts",
	  "Content-Type: multipart/a; boundary=1\n\n--1\nContent-Type: multipart/a; boundary=2\n\n--2\nContent-Type: multipart/a; boundary=3\n\n--3\n"
	  "Content-Type: multipart/a; boundary=4\n\n",
	  "cap 2\n", NULL, 0 },
	{ "a header that is too long",
	  "X: 1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n"
	  "X: 1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n"
	  "X: 1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n"
	  "X: 1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n"
	  "X: 1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n\r\nhi",
	  "cap 3\n", NULL, 0 },
};

/* ---- a message in, its frames as text out ---- */

static struct filter filter;

struct source {
	struct span rest;
	size_t step; /* octets of one read at most */
};

static ssize_t read_source(void *context, char *at, size_t size)
{
	struct source *source = context;
	struct span piece = span_first(source->rest, size < source->step ? size : source->step);
	memcpy(at, piece.at, piece.size);
	source->rest = span_after(source->rest, piece.size);
	return (ssize_t)piece.size;
}

static int append(void *context, const char *bytes, size_t size)
{
	text_put(context, span_of(bytes, size));
	return 0;
}

struct summary {
	struct text text;
	struct frame_part part;
	char name[FRAME_NAME_MAX + 1];
	uint64_t size;
};

static void say(struct summary *summary, const char *text)
{
	text_put(&summary->text, span_of(text, strlen(text)));
}

static void say_number(struct summary *summary, const char *what, uint32_t number)
{
	char text[64];
	snprintf(text, sizeof text, "%s %u", what, number);
	say(summary, text);
}

static void say_part(struct summary *summary, const char *payload)
{
	static const char *const dispositions[] = { " -", " inline", " attachment" };
	memcpy(&summary->part, payload, sizeof summary->part);
	memcpy(summary->name, payload + sizeof summary->part, summary->part.name_length);
	summary->name[summary->part.name_length] = '\0';
	summary->size = 0;
	say_number(summary, "part", summary->part.number);
	say(summary, " ");
	say(summary, summary->part.declared);
	say(summary, dispositions[summary->part.disposition]);
	assert_int_equal(!!(summary->part.flags & FRAME_PART_HAS_NAME),
			 summary->part.name_length > 0);
	say(summary, summary->part.name_length ? " name=" : "");
	say(summary, summary->name);
	say(summary, summary->part.flags & FRAME_PART_TEXT_BODY ? " text" : "");
	say(summary, summary->part.flags & FRAME_PART_AMBIGUOUS ? " ambiguous" : "");
	say(summary, " [");
}

static void say_end(struct summary *summary, const char *payload)
{
	struct frame_end end;
	memcpy(&end, payload, sizeof end);
	assert_int_equal(end.size, summary->size);
	say(summary, end.flags & FRAME_END_DAMAGED ? "] damaged" : "]");
	say(summary, end.flags & FRAME_END_TRUNCATED ? " truncated\n" : "\n");
}

static void say_done(struct summary *summary, const char *payload)
{
	struct frame_done done;
	memcpy(&done, payload, sizeof done);
	say(summary, "done");
	say(summary, done.flags & FRAME_DONE_AMBIGUOUS ? " ambiguous" : "");
	say(summary, done.flags & FRAME_DONE_DAMAGED ? " damaged" : "");
	say(summary, done.flags & FRAME_DONE_ENCODED ? " encoded\n" : "\n");
}

static void say_frame(struct summary *summary, uint32_t type, const char *payload, size_t size)
{
	uint32_t number;
	memcpy(&number, payload, sizeof number < size ? sizeof number : size);
	if (type == FRAME_PART)
		say_part(summary, payload);
	else if (type == FRAME_BYTES) {
		summary->size += size;
		text_put(&summary->text, span_of(payload, size));
	} else if (type == FRAME_END)
		say_end(summary, payload);
	else if (type == FRAME_SHOWN) {
		say_number(summary, "shown", number);
		say(summary, "\n");
	} else if (type == FRAME_CAP) {
		say_number(summary, "cap", number);
		say(summary, "\n");
	} else if (type == FRAME_DONE)
		say_done(summary, payload);
}

static struct span run(struct span message, size_t step, enum frame_reading reading)
{
	static char frames[1 << 16], words[1 << 16];
	static struct summary summary;
	struct source source = { message, step };
	struct text out = text_in(frames, sizeof frames);
	const struct frame_limits limits = { 4, 3, 500 };
	assert_int_equal(filter_run(&filter, reading, &limits, read_source, &source, append, &out),
			 0);
	summary.text = text_in(words, sizeof words - 1);
	for (size_t at = 0; at < out.size;) {
		struct frame_head head;
		memcpy(&head, frames + at, sizeof head);
		say_frame(&summary, head.type, frames + at + sizeof head, head.length);
		at += sizeof head + head.length;
	}
	words[summary.text.size] = '\0';
	return text_span(&summary.text);
}

static void check(const struct row *row, size_t step, enum frame_reading reading)
{
	const char *wanted = reading == FRAME_READ_LAST && row->last ? row->last : row->first;
	struct span message = span_of(row->message, row->size ? row->size : strlen(row->message));
	struct span got = run(message, step, reading);
	if (!span_equal(got, span_of(wanted, strlen(wanted))))
		fail_msg("%s (step %zu, reading %d):\n%s\nand not:\n%s", row->cause, step,
			 (int)reading, got.at, wanted);
}

static void all_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t step = 1; step < 10000; step = step * 3 + 1) {
			check(&rows[i], step, FRAME_READ_FIRST);
			check(&rows[i], step, FRAME_READ_LAST);
		}
}

/* ---- the top header ---- */

static struct frame_message message_of_span(struct span text)
{
	static char frames[1 << 16];
	struct source source = { text, 1000 };
	struct text out = text_in(frames, sizeof frames);
	const struct frame_limits limits = { 4, 3, 100000 };
	struct frame_head head = { 0, 0 };
	struct frame_message message;
	assert_int_equal(
		filter_run(&filter, FRAME_READ_FIRST, &limits, read_source, &source, append, &out),
		0);
	size_t at = 0;
	for (; head.type != FRAME_MESSAGE;
	     at += sizeof head + (head.type == FRAME_MESSAGE ? 0 : head.length))
		memcpy(&head, frames + at, sizeof head);
	memcpy(&message, frames + at, sizeof message);
	return message;
}

static struct frame_message message_of(const char *text)
{
	return message_of_span(span_of(text, strlen(text)));
}

/* Who sent it: what one reader sees as two senders is many, whatever we would see ourselves. */
static const struct {
	const char *cause;
	const char *header;
	size_t size; /* 0: up to its NUL */
	enum frame_from state;
	const char *from;
} senders[] = {
#define HEADER(text) text, sizeof text - 1
	{ "one", "From: a@b\r\n\r\n", 0, FRAME_FROM_ONE, "a@b" },
	{ "other fields say who sends",
	  "Sender: a@b\r\nReply-To: a@b\r\nReturn-Path: <a@b>\r\n\r\n", 0, FRAME_FROM_NONE, "" },
	{ "it was sent on", "Resent-From: c@d\r\nFrom: a@b\r\nSender: e@f\r\n\r\n", 0,
	  FRAME_FROM_ONE, "a@b" },
	{ "a blank before the colon", "From : a@b\r\n\r\n", 0, FRAME_FROM_ONE, "a@b" },
	{ "folded", "From:\r\n Scanner\r\n\t<a@b>\r\n\r\n", 0, FRAME_FROM_ONE, "a@b" },
	{ "a line of an mbox", "From c@d Mon Jan  1 00:00:00 2024\nFrom: a@b\n\n", 0,
	  FRAME_FROM_ONE, "a@b" },
	{ "a letter within", "From: a@b\r\nContent-Type: message/rfc822\r\n\r\nFrom: c@d\r\n\r\n",
	  0, FRAME_FROM_ONE, "a@b" },
	{ "two", "From: a@b\r\nFrom: c@d\r\n\r\n", 0, FRAME_FROM_MANY, "" },
	{ "the same twice", "From: a@b\r\nTo: x@y\r\nfrom: a@b\r\n\r\n", 0, FRAME_FROM_MANY, "" },
	{ "the second with a blank", "From: a@b\r\nFROM\t : c@d\r\n\r\n", 0, FRAME_FROM_MANY, "" },
	{ "the second is empty", "From: a@b\r\nFrom:\r\n\r\n", 0, FRAME_FROM_MANY, "" },
	{ "the second behind a bare CR", "X: y\rFrom: c@d\r\nFrom: a@b\r\n\r\n", 0, FRAME_FROM_MANY,
	  "" },
	{ "the second behind two", "From: a@b\r\nX: y\r\rfrom : c@d\r\n\r\n", 0, FRAME_FROM_MANY,
	  "" },
	{ "the second behind a bare CR of its own", "From: a@b\rFrom: c@d\r\n\r\n", 0,
	  FRAME_FROM_MANY, "" },
	{ "the second behind a bare LF", "X: y\nFrom: c@d\r\nFrom: a@b\r\n\r\n", 0, FRAME_FROM_MANY,
	  "" },
	{ "the only one behind a bare CR", "X: y\rFrom: a@b\r\n\r\n", 0, FRAME_FROM_MANY, "" },
	{ "NUL in the name of the second", HEADER("From: a@b\r\nFr\0om: c@d\r\n\r\n"),
	  FRAME_FROM_MANY, "" },
	{ "NUL before the name of the first", HEADER("\0From: c@d\r\nFrom: a@b\r\n\r\n"),
	  FRAME_FROM_MANY, "" },
	{ "an odd blank in the name", "From\xc2\xa0: c@d\r\nFrom: a@b\r\n\r\n", 0, FRAME_FROM_MANY,
	  "" },
	{ "NUL in the address", HEADER("From: a@b\0c\r\n\r\n"), FRAME_FROM_BAD, "" },
	{ "NUL behind the address", HEADER("From: a@b\0\r\n\r\n"), FRAME_FROM_BAD, "" },
	{ "NUL elsewhere", HEADER("X: \0\r\nFrom: a@b\r\n\r\n"), FRAME_FROM_ONE, "a@b" },
	{ "a bare CR elsewhere", "X: y\rz\r\nFrom: a@b\r\n\r\n", 0, FRAME_FROM_ONE, "a@b" },
	{ "a bare CR in the address", "From: a@b\r.c\r\n\r\n", 0, FRAME_FROM_BAD, "" },
	{ "CR CR LF", "From: a@b\r\r\nTo: c@d\r\r\n\r\r\n", 0, FRAME_FROM_ONE, "a@b" },
	{ "CR for every line end", "From: a@b\rTo: c@d\r\rhello\r", 0, FRAME_FROM_BAD, "" },
	{ "CR for every line end, two", "From: a@b\rFrom: c@d\r\rhello\r", 0, FRAME_FROM_MANY, "" },
	{ "a body that speaks of it", "From: a@b\r\n\r\nFrom: c@d\r\n", 0, FRAME_FROM_ONE, "a@b" },
#undef HEADER
};

static void senders_of_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof senders / sizeof senders[0]; i++) {
		size_t size = senders[i].size ? senders[i].size : strlen(senders[i].header);
		struct frame_message message = message_of_span(span_of(senders[i].header, size));
		if (message.from_state != senders[i].state ||
		    strcmp(message.from, senders[i].from) != 0)
			fail_msg("%s: %u %s", senders[i].cause, message.from_state, message.from);
	}
}

static void top_header(void **state)
{
	(void)state;
	struct frame_message message = message_of(
		"From: A <A@B.example>\r\nSubject: =?utf-8?q?=C3=A4?= x\r\nSubject: no\r\n"
		"Date: Thu, 1 Jan 1970 00:00:10 +0000\r\nMessage-ID: <x>\r\n\r\n");
	assert_int_equal(message.from_state, FRAME_FROM_ONE);
	assert_string_equal(message.from, "A@b.example");
	assert_string_equal(message.subject, "\xc3\xa4 x");
	assert_int_equal(message.flags, FRAME_HAS_DATE | FRAME_HAS_MESSAGE_ID);
	assert_int_equal(message.date_s, 10);
	message = message_of("From: A very long display name <a@b>\r\n\r\n");
	assert_string_equal(message.from, "a@b");
	message = message_of("From: a@b\r\nFrom: a@b\r\nDate: soon\r\nMessage-ID:\r\n\r\n");
	assert_int_equal(message.from_state, FRAME_FROM_MANY);
	assert_string_equal(message.from, "");
	assert_int_equal(message.flags, 0);
	message = message_of("Sender: a@b\r\n\r\n");
	assert_int_equal(message.from_state, FRAME_FROM_NONE);
}

/* Which fields of a header are taken for Authentication-Results, and where each ends: their ids, or
 * `bad`, and the domain whose dmarc they tell. */
static const struct {
	const char *cause, *header, *said;
} results[] = {
	{ "none", "From: a@b\r\n\r\n", "" },
	{ "from the top",
	  "Authentication-Results: a; none\r\nTo: a@b\r\nauthentication-RESULTS:b;none\r\n\r\n",
	  "a b " },
	{ "a blank before the colon",
	  "Authentication-Results : a; none\r\nAuthentication-Results\t:\r\n\r\n", "bad bad " },
	{ "names that are longer",
	  "ARC-Authentication-Results: i=1; a; none\r\nX-Authentication-Results: a; none\r\n"
	  "Authentication-Results-Original: a; none\r\n\r\n",
	  "" },
	{ "only those of the top header",
	  "Authentication-Results: a; none\r\nContent-Type: message/rfc822\r\n\r\n"
	  "Authentication-Results: b; none\r\n\r\n",
	  "a " },
	{ "folded", "Authentication-Results: a;\r\n dmarc=pass\r\n\theader.from=b\r\n\r\n",
	  "a(b) " },
	/* what a sender writes on top of his mail comes right below the receiver's field */
	{ "junk that has its shape",
	  "Authentication-Results: a;\r\ndmarc=pass\r\nFrom: a@b\r\n\r\n", "a " },
	{ "junk, and more folded onto it",
	  "Authentication-Results: a;\r\njunk\r\n dmarc=pass header.from=b\r\nFrom: a@b\r\n\r\n",
	  "a " },
	{ "junk that has its shape, and more folded onto it",
	  "Authentication-Results: a;\r\ndmarc=pass\r\n header.from=b\r\nFrom: a@b\r\n\r\n", "a " },
	{ "junk of both kinds",
	  "Authentication-Results: a;\r\nx=y;\r\ndmarc=pass;\r\n \r\n header.from=b\r\nFrom: a@b\r\n\r\n",
	  "a " },
	{ "junk behind a later field is none of its business",
	  "Authentication-Results: a; none\r\nFrom: a@b;\r\njunk\r\n x\r\n\r\n", "a " },
};

static void top_results(void **state)
{
	static char frames[1 << 16];
	const struct frame_limits limits = { 4, 3, 100000 };
	(void)state;
	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) {
		struct source source = { span_of(results[i].header, strlen(results[i].header)), 7 };
		struct text out = text_in(frames, sizeof frames);
		struct frame_head head;
		struct frame_results found;
		char said[2000] = "";
		assert_int_equal(filter_run(&filter, FRAME_READ_FIRST, &limits, read_source,
					    &source, append, &out),
				 0);
		for (size_t at = 0; at < out.size; at += sizeof head + head.length) {
			memcpy(&head, frames + at, sizeof head);
			if (head.type != FRAME_RESULTS)
				continue;
			memcpy(&found, frames + at + sizeof head, sizeof found);
			strcat(said, found.form ? found.id : "bad");
			if (found.dmarc)
				strcat(strcat(strcat(said, "("), found.dmarc_from), ")");
			strcat(said, " ");
		}
		if (strcmp(said, results[i].said) != 0)
			fail_msg("%s: %s", results[i].cause, said);
	}
}

/* ---- what goes wrong outside ---- */

static ssize_t read_error(void *context, char *at, size_t size)
{
	(void)context;
	(void)at;
	(void)size;
	return -5;
}

static int write_error(void *context, const char *bytes, size_t size)
{
	(void)context;
	(void)bytes;
	(void)size;
	return -32;
}

static void errors(void **state)
{
	static char frames[1 << 16];
	const struct frame_limits limits = { 4, 3, 500 };
	struct text out = text_in(frames, sizeof frames);
	struct source source = { SPAN(TOP "\r\nhello\r\n"), 1000 };
	(void)state;
	assert_int_equal(
		filter_run(&filter, FRAME_READ_FIRST, &limits, read_error, NULL, append, &out), -5);
	assert_int_equal(filter_run(&filter, FRAME_READ_FIRST, &limits, read_source, &source,
				    write_error, NULL),
			 -32);
}

/* A message that can be read up to some octet, and then fails: an error, wherever that is. */
static ssize_t read_some(void *context, char *at, size_t size)
{
	struct source *source = context;
	return source->rest.size > 0 ? read_source(context, at, size) : -5;
}

static void read_errors(void **state)
{
	static char frames[1 << 16];
	const struct frame_limits limits = { 4, 3, 500 };
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t size = rows[i].size ? rows[i].size : strlen(rows[i].message);
		for (size_t whole = 0; whole <= size; whole += 11) {
			struct source source = { span_of(rows[i].message, whole), 7 };
			struct text out = text_in(frames, sizeof frames);
			int error = filter_run(&filter, FRAME_READ_FIRST, &limits, read_some,
					       &source, append, &out);
			/* a cap may come first */
			assert_true(error == -5 || (error == 0 && source.rest.size > 0) ||
				    strstr(rows[i].first, "cap"));
		}
	}
}

/* A pipe that nobody reads any more: the walk ends soon after. */
static void write_errors(void **state)
{
	static const char *const heads[] = { "Content-Type: a/b\n\n",
					     "Content-Type: text/plain\n\n" };
	static char message[3 << 20];
	const struct frame_limits limits = { 4, 3, 500 };
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		memset(message, 'x', sizeof message);
		memcpy(message, heads[i], strlen(heads[i]));
		struct source source = { span_of(message, sizeof message), 1 << 16 };
		assert_int_equal(filter_run(&filter, FRAME_READ_FIRST, &limits, read_source,
					    &source, write_error, NULL),
				 -32);
		assert_true(source.rest.size > sizeof message / 2);
	}
}

/* Caps of one field: they need a longer header than the rows have. */
static void caps_of_fields(void **state)
{
	static char message[LIMIT_PARAMS_MAX * 4 + 1000], frames[1 << 16];
	const struct frame_limits limits = { 4, 3, sizeof message };
	static const char *const starts[] = { "Content-Type: multipart/mixed; boundary=",
					      "Content-Type: a/b" };
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		memset(message, 'x', sizeof message);
		for (size_t at = 40; i == 1 && at + 4 < sizeof message; at += 4)
			memcpy(message + at, ";a=b", 4);
		memcpy(message, starts[i], strlen(starts[i]));
		message[sizeof message - 1] = '\n';
		struct source source = { span_of(message, sizeof message), 1000 };
		struct text out = text_in(frames, sizeof frames);
		struct frame_cap cap;
		assert_int_equal(filter_run(&filter, FRAME_READ_FIRST, &limits, read_source,
					    &source, append, &out),
				 0);
		memcpy(&cap, frames + out.size - sizeof cap, sizeof cap);
		/* a multipart without a body is not opened, so its boundary does not count */
		assert_int_equal(cap.cap, i == 0 ? 0 : FRAME_CAP_HEADER);
		message[sizeof message - 2] = '\n';
		message[sizeof message - 3] = '\n';
		source = (struct source){ span_of(message, sizeof message), 1000 };
		out = text_in(frames, sizeof frames);
		assert_int_equal(filter_run(&filter, FRAME_READ_FIRST, &limits, read_source,
					    &source, append, &out),
				 0);
		memcpy(&cap, frames + out.size - sizeof cap, sizeof cap);
		assert_int_equal(cap.cap, FRAME_CAP_HEADER);
	}
}

/* Nothing but containers, beside each other. */
static void many_containers(void **state)
{
	static char message[100000], frames[1 << 16];
	static const char part[] =
		"--B\nContent-Type: message/rfc822\n\nContent-Type: multipart/a; boundary=C\n\n";
	const struct frame_limits limits = { 4, 3, 10000 };
	size_t size = 43;
	(void)state;
	memcpy(message, "Content-Type: multipart/mixed; boundary=B\n\n", 43);
	for (; size + sizeof part < sizeof message; size += sizeof part - 1)
		memcpy(message + size, part, sizeof part - 1);
	struct source source = { span_of(message, size), SIZE_MAX };
	struct text out = text_in(frames, sizeof frames);
	struct frame_cap cap;
	assert_int_equal(
		filter_run(&filter, FRAME_READ_FIRST, &limits, read_source, &source, append, &out),
		0);
	memcpy(&cap, frames + out.size - sizeof cap, sizeof cap);
	assert_int_equal(cap.cap, FRAME_CAP_PARTS);
}

/* Looking ahead has an end: then the header is believed. */
static void much_to_look_at(void **state)
{
	static char message[LIMIT_LOOK_ALL / LIMIT_LOOK * 200], frames[1 << 21];
	static char part[] =
		"--B\nContent-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nX: a=b\n\n";
	const struct frame_limits limits = { 10000, 3, 10000 };
	size_t size = 0;
	(void)state;
	memcpy(message, "Content-Type: multipart/mixed; boundary=B\n\n", 43);
	for (size = 43; size + sizeof part < sizeof message; size += sizeof part - 1)
		memcpy(message + size, part, sizeof part - 1);
	struct source source = { span_of(message, size), SIZE_MAX };
	struct text out = text_in(frames, sizeof frames);
	struct frame_done done;
	assert_int_equal(
		filter_run(&filter, FRAME_READ_FIRST, &limits, read_source, &source, append, &out),
		0);
	memcpy(&done, frames + out.size - sizeof done, sizeof done);
	assert_true(done.parts > 200);
}

/* More layers of base64 than are entered. */
static void many_layers(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static char message[1 << 16], encoded[1 << 16];
	static const char head[] = "Content-Type: message/rfc822\n"
				   "Content-Transfer-Encoding: base64\n\n";
	size_t size = 3;
	(void)state;
	memcpy(message, "\n\nx", size);
	for (int layer = 0; layer <= LIMIT_LAYERS_MAX; layer++) {
		size_t made = sizeof head - 1;
		memcpy(encoded, head, made);
		while (size % 3 != 0)
			message[size++] = ' ';
		for (size_t i = 0; i < size; i += 3) {
			const uint8_t *at = (const uint8_t *)message + i;
			uint32_t group = (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
			for (int shift = 18; shift >= 0; shift -= 6)
				encoded[made++] = alphabet[group >> shift & 63];
		}
		memcpy(message, encoded, made);
		size = made;
		const struct frame_limits limits = { 4, 100, 500 };
		static char frames[1 << 16];
		struct source source = { span_of(message, size), 100 };
		struct text out = text_in(frames, sizeof frames);
		assert_int_equal(filter_run(&filter, FRAME_READ_FIRST, &limits, read_source,
					    &source, append, &out),
				 0);
		struct frame_head last;
		memcpy(&last, frames + out.size - sizeof last - (layer == LIMIT_LAYERS_MAX ? 4 : 8),
		       sizeof last);
		assert_int_equal(last.type, layer == LIMIT_LAYERS_MAX ? FRAME_CAP : FRAME_DONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_rows),
		cmocka_unit_test(top_header),
		cmocka_unit_test(senders_of_messages),
		cmocka_unit_test(top_results),
		cmocka_unit_test(errors),
		cmocka_unit_test(read_errors),
		cmocka_unit_test(write_errors),
		cmocka_unit_test(caps_of_fields),
		cmocka_unit_test(many_containers),
		cmocka_unit_test(much_to_look_at),
		cmocka_unit_test(many_layers),
	};
	return cmocka_run_group_tests(tests, charsets_prepare, charsets_finish);
}
