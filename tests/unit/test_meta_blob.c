#include "fs/journal/meta_blob.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void what_was_encoded_is_decoded(void **state)
{
	struct os_meta meta = OS_META_INIT, back = OS_META_INIT;
	unsigned char blob[256];
	size_t len;

	(void)state;
	len = meta_blob_size(&meta);
	assert_int_equal(len, 5);
	meta_blob_encode(&meta, blob);
	assert_int_equal(meta_blob_decode(blob, len, &back), 0);
	assert_int_equal(back.count, 0);

	assert_int_equal(os_meta_set(&meta, "name", "value\xff"), 0);
	assert_int_equal(os_meta_set(&meta, "empty", ""), 0);
	len = meta_blob_size(&meta);
	meta_blob_encode(&meta, blob);
	assert_int_equal(meta_blob_decode(blob, len, &back), 0);
	assert_int_equal(back.count, 2);
	assert_string_equal(os_meta_get(&back, "name"), "value\xff");
	assert_string_equal(os_meta_get(&back, "empty"), "");
	os_meta_free(&back);
	os_meta_free(&meta);
}

#define NUMBER(n) n "\0\0\0"

static const struct {
	const char *title, *data;
	size_t len;
} bad[] = {
	{"empty", "", 0},
	{"only a version", "\1", 1},
	{"another version", "\2" NUMBER("\0"), 5},
	{"a count without items", "\1" NUMBER("\1"), 5},
	{"a huge count", "\1\xff\xff\xff\xff", 5},
	{"a name beyond the end", "\1" NUMBER("\1") NUMBER("\5") "abc", 12},
	{"a length near the limit of a number",
	 "\1" NUMBER("\1") "\xff\xff\xff\xff"
			   "abc",
	 12},
	{"no value", "\1" NUMBER("\1") NUMBER("\1") "a", 10},
	{"a NUL in a name", "\1" NUMBER("\1") NUMBER("\2") "a\0" NUMBER("\0"), 15},
	{"bytes after the end", "\1" NUMBER("\0") "x", 6},
	{"a name twice",
	 "\1" NUMBER("\2") NUMBER("\1") "a" NUMBER("\1") "b" NUMBER("\1") "a" NUMBER("\1") "c", 25},
};

static void what_is_not_a_blob_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct os_meta meta = OS_META_INIT;
		/* In memory of exactly its size, so that a sanitizer sees a read beyond it. */
		char *data = malloc(bad[i].len + !bad[i].len);

		assert_non_null(data);
		memcpy(data, bad[i].data, bad[i].len);
		if (meta_blob_decode(data, bad[i].len, &meta) != -EUCLEAN || meta.count != 0)
			fail_msg("%s", bad[i].title);
		free(data);
	}
}

/* Every prefix of a good one, and every single changed byte: an error or other text, never a crash.
 */
static void damage_anywhere_is_survived(void **state)
{
	struct os_meta meta = OS_META_INIT;
	unsigned char blob[256];
	size_t len;

	(void)state;
	assert_int_equal(os_meta_set(&meta, "mode", "33188"), 0);
	assert_int_equal(os_meta_set(&meta, "mtime", "1700000000.5"), 0);
	len = meta_blob_size(&meta);
	meta_blob_encode(&meta, blob);
	os_meta_free(&meta);
	for (size_t cut = 0; cut < len; cut++) {
		unsigned char *copy = malloc(cut + !cut);

		assert_non_null(copy);
		memcpy(copy, blob, cut);
		assert_int_equal(meta_blob_decode(copy, cut, &meta), -EUCLEAN);
		free(copy);
	}
	for (size_t at = 0; at < len * 255; at++) {
		unsigned char changed[256];

		memcpy(changed, blob, len);
		changed[at / 255] ^= (unsigned char)(at % 255 + 1);
		meta_blob_decode(changed, len, &meta);
		os_meta_free(&meta);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_encoded_is_decoded),
		cmocka_unit_test(what_is_not_a_blob_is_refused),
		cmocka_unit_test(damage_anywhere_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
