/* test_content.c: what the fields of a part say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "extract/charset.h"
#include "extract/content.h"
#include "tests/unit/charsets.h"

static struct content content;

static const struct {
	const char *cause, *block;
	enum content_kind kind;
	const char *type;
	enum decode_kind encoding;
	enum frame_disposition disposition;
	const char *name;
	bool ambiguous, text_body;
} rows[] = {
	{ "nothing", "", CONTENT_LEAF, "text/plain", DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "",
	  false, true },
	{ "a file",
	  "content-type: Application/PDF\nCONTENT-TRANSFER-ENCODING: Base64\nContent-Disposition: Attachment; filename=x\n",
	  CONTENT_LEAF, "application/pdf", DECODE_BASE64, FRAME_DISPOSITION_ATTACHMENT, "x", false,
	  false },
	{ "a name in the type", "Content-Type: a/b; name=x\n", CONTENT_LEAF, "a/b", DECODE_IDENTITY,
	  FRAME_DISPOSITION_NONE, "x", false, false },
	{ "a file name in the type", "Content-Type: a/b; filename=x\n", CONTENT_LEAF, "a/b",
	  DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "x", false, false },
	{ "a name in the disposition",
	  "Content-Type: a/b\nContent-Disposition: attachment; name=x\n", CONTENT_LEAF, "a/b",
	  DECODE_IDENTITY, FRAME_DISPOSITION_ATTACHMENT, "x", false, false },
	{ "a name in both", "Content-Type: a/b; name=y\nContent-Disposition: attachment; name=x\n",
	  CONTENT_LEAF, "a/b", DECODE_IDENTITY, FRAME_DISPOSITION_ATTACHMENT, "y", false, false },
	{ "an empty file name",
	  "Content-Type: a/b; name=x\nContent-Disposition: inline; filename=\"\"\n", CONTENT_LEAF,
	  "a/b", DECODE_IDENTITY, FRAME_DISPOSITION_INLINE, "x", false, false },
	{ "a disposition without its word", "Content-Disposition: filename=x\n", CONTENT_LEAF,
	  "text/plain", DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "x", false, false },
	{ "an unknown disposition", "Content-Disposition: box\n", CONTENT_LEAF, "text/plain",
	  DECODE_IDENTITY, FRAME_DISPOSITION_ATTACHMENT, "", false, false },
	{ "a path in an attachment", "Content-Disposition: attachment; filename=\"C:\\a\\b\"\n",
	  CONTENT_LEAF, "text/plain", DECODE_IDENTITY, FRAME_DISPOSITION_ATTACHMENT, "C:\\a\\b",
	  false, false },
	{ "a path in a picture",
	  "Content-Type: image/png\nContent-Disposition: inline; filename=\"C:\\TEMP\\x.png\"\n",
	  CONTENT_LEAF, "image/png", DECODE_IDENTITY, FRAME_DISPOSITION_INLINE, "C:TEMPx.png",
	  false, false },
	{ "a type without a slash is a file", "Content-Type: x-sun-attachment\n", CONTENT_LEAF,
	  "application/octet-stream", DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", false, false },
	{ "text without a slash", "Content-Type: text\n", CONTENT_LEAF, "text/plain",
	  DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", false, true },
	{ "a multipart without its kind", "Content-Type: multipart; boundary=b\n",
	  CONTENT_MULTIPART, "multipart/mixed", DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", false,
	  false },
	{ "half a type", "Content-Type: image/\n", CONTENT_LEAF, "application/octet-stream",
	  DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", false, false },
	{ "only parameters", "Content-Type: charset=utf-8\n", CONTENT_LEAF, "text/plain",
	  DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", false, true },
	{ "a message", "Content-Type: message/RFC822\n", CONTENT_MESSAGE, "message/rfc822",
	  DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", false, false },
	{ "a report", "Content-Type: message/delivery-status; name=x\n", CONTENT_REPORT,
	  "message/delivery-status", DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", false, true },
	{ "a multipart", "Content-Type: multipart/mixed; boundary=\"b \"\n", CONTENT_MULTIPART,
	  "multipart/mixed", DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", false, false },
	{ "uuencode", "Content-Type: a/b\nContent-Transfer-Encoding: X-UUE\n", CONTENT_LEAF, "a/b",
	  DECODE_UU, FRAME_DISPOSITION_NONE, "", false, false },
	{ "a quoted encoding", "Content-Type: a/b\nContent-Transfer-Encoding: \"base64\"\n",
	  CONTENT_LEAF, "a/b", DECODE_BASE64, FRAME_DISPOSITION_NONE, "", false, false },
	{ "an encoding with a comment",
	  "Content-Type: a/b\nContent-Transfer-Encoding: (x) base64 (y);\n", CONTENT_LEAF, "a/b",
	  DECODE_BASE64, FRAME_DISPOSITION_NONE, "", false, false },
	{ "an unknown encoding", "Content-Type: a/b\nContent-Transfer-Encoding: rot13\n",
	  CONTENT_LEAF, "a/b", DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", false, false },
	{ "two encodings that differ",
	  "Content-Type: a/b\nContent-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64\n",
	  CONTENT_LEAF, "a/b", DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", true, false },
	{ "the same but for case and blanks",
	  "Content-Type: a/b; name=x\nContent-type:  A/B;\n name=x\n", CONTENT_LEAF, "a/b",
	  DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "x", false, false },
	{ "the start of the other", "Content-Type: a/b\nContent-type: a/bc\n", CONTENT_LEAF, "a/b",
	  DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", true, false },
	{ "two IDs", "Content-Type: a/b\nContent-ID: <x>\nContent-ID: <y>\n", CONTENT_LEAF, "a/b",
	  DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", false, false },
	{ "two charsets", "Content-Type: text/plain; charset=a; charset=b\n", CONTENT_LEAF,
	  "text/plain", DECODE_IDENTITY, FRAME_DISPOSITION_NONE, "", true, true },
};

static void all_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		content_read(span_of(rows[i].block, strlen(rows[i].block)), false, FRAME_READ_FIRST,
			     &content);
		bool same = content.kind == rows[i].kind &&
			    strcmp(content.type, rows[i].type) == 0 &&
			    content.encoding == rows[i].encoding &&
			    content.disposition == rows[i].disposition &&
			    span_equal(span_of(content.name, content.name_size),
				       span_of(rows[i].name, strlen(rows[i].name))) &&
			    content.ambiguous == rows[i].ambiguous &&
			    content_is_text_body(&content) == rows[i].text_body;
		if (!same)
			fail_msg(
				"%s: kind %d, %s, encoding %d, disposition %d, name %.*s, ambiguous %d",
				rows[i].cause, (int)content.kind, content.type,
				(int)content.encoding, (int)content.disposition,
				(int)content.name_size, content.name, content.ambiguous);
	}
}

static void odds(void **state)
{
	static char block[20000];
	(void)state;
	content_read(SPAN(""), true, FRAME_READ_FIRST, &content);
	assert_int_equal(content.kind, CONTENT_MESSAGE);
	content_read(SPAN("Content-Type: multipart/digest; boundary=\"b \"\nContent-ID: <a@b>\n"),
		     false, FRAME_READ_FIRST, &content);
	assert_true(content.digest);
	assert_int_equal(content.boundary_size, 1);
	assert_int_equal(content.cid_size, 3);
	content_read(SPAN("Content-ID: a@b\n"), false, FRAME_READ_FIRST, &content);
	assert_int_equal(content.cid_size, 3);
	/* too long for what keeps it */
	memset(block, 'x', sizeof block);
	memcpy(block, "Content-ID: ", 12);
	block[sizeof block - 1] = '\n';
	content_read(span_of(block, sizeof block), false, FRAME_READ_FIRST, &content);
	assert_int_equal(content.cid_size, 0);
	memcpy(block, "Content-Type: a/b; name=", 24);
	content_read(span_of(block, sizeof block), false, FRAME_READ_FIRST, &content);
	assert_int_equal(content.name_size, FRAME_NAME_MAX);
	memcpy(block, "Content-Type: multipart/mixed; boundary=", 40);
	content_read(span_of(block, sizeof block), false, FRAME_READ_FIRST, &content);
	assert_true(content.boundary_cut);
	memset(block, 'x', sizeof block);
	memcpy(block, "Content-Type: ", 14);
	content_read(span_of(block, sizeof block), false, FRAME_READ_FIRST, &content);
	assert_string_equal(content.type, "application/octet-stream");
	for (size_t i = 14; i + 4 < sizeof block; i += 4)
		memcpy(block + i, ";a=b", 4);
	content_read(span_of(block, sizeof block), false, FRAME_READ_FIRST, &content);
	assert_false(content.too_many);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_rows), cmocka_unit_test(odds) };
	return cmocka_run_group_tests(tests, charsets_prepare, charsets_finish);
}
