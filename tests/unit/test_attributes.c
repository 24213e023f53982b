#include "fs/vfs/attributes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SEC	     INT64_C(1000000000)
#define MODIFIED     (INT64_C(1767323045) * SEC)

static const struct attribute_defaults defaults = {
	.uid = 1000, .gid = 100, .file_mode = 0640, .dir_mode = 0750};

static void set(struct os_meta *meta, const char *name, const char *value)
{
	assert_int_equal(os_meta_set(meta, name, value), 0);
}

/* Decodes an object with at most two items of metadata. */
static struct attributes decode(const char *key_end, const char *content_type, const char *name,
				const char *value, const char *name2, const char *value2)
{
	struct os_meta meta = OS_META_INIT;
	struct attributes out;

	if (name)
		set(&meta, name, value);
	if (name2)
		set(&meta, name2, value2);
	attributes_decode(&out, &meta, content_type, MODIFIED, strcmp(key_end, "/") == 0,
			  &defaults);
	os_meta_free(&meta);
	return out;
}

static void modes_are_read_as_their_writers_meant_them(void **state)
{
	static const struct {
		const char *key_end, *content_type, *name, *value;
		uint32_t mode;
	} cases[] = {
		/* nothing said */
		{"", NULL, NULL, NULL, 0100640},
		{"/", NULL, NULL, NULL, 040750},
		{"", "text/plain", NULL, NULL, 0100640},
		{"", "application/x-directory", NULL, NULL, 040750},
		{"", "application/x-directory; charset=UTF-8", NULL, NULL, 040750},
		{"", "application/x-directory-listing", NULL, NULL, 0100640},
		{"", "httpd/unix-directory", NULL, NULL, 040750},
		/* s3fs: decimal */
		{"", NULL, "mode", "33188", 0100644},
		{"", NULL, "mode", "32768", 0100000},
		{"/", NULL, "mode", "16877", 040755},
		{"", NULL, "mode", "16877", 040755},
		{"", NULL, "mode", "41471", 0120777},
		{"", NULL, "mode", "4516", 010644},
		{"", NULL, "mode", "8576", 020600},
		{"", NULL, "mode", "25008", 060660},
		{"", NULL, "mode", "49645", 0140755},
		{"", NULL, "mode", "36333", 0106755},
		{"/", NULL, "mode", "17407", 041777},
		{"", "application/x-directory", "mode", "33188", 0100644},
		{"", NULL, "mode", "420", 0100644},
		{"/", NULL, "mode", "493", 040755},
		{"", "application/x-directory", "mode", "493", 040755},
		{"", NULL, "mode", "0100644", 0100644},
		{"", NULL, "mode", "0600", 0100600},
		/* rclone: octal */
		{"", NULL, "mode", "100644", 0100644},
		{"", NULL, "mode", "104755", 0104755},
		{"", NULL, "mode", "120777", 0120777},
		{"", NULL, "mode", "40755", 040755},
		{"/", NULL, "mode", "40755", 040755},
		{"/", NULL, "mode", "41777", 041777},
		{"/", NULL, "mode", "42755", 042755},
		/* others */
		{"", NULL, "permissions", "33152", 0100600},
		{"", NULL, "permissions", "384", 0100600},
		{"", NULL, "goog-reserved-posix-mode", "644", 0100644},
		{"", NULL, "goog-reserved-posix-mode", "100600", 0100600},
		{"", NULL, "--symlink-target", "../x", 0120777},
		{"", NULL, "--symlink-target", "", 0100640},
		/* a type that the key contradicts */
		{"/", NULL, "mode", "33188", 040750},
		{"/", NULL, "--symlink-target", "../x", 040750},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct attributes out = decode(cases[i].key_end, cases[i].content_type,
					       cases[i].name, cases[i].value, NULL, NULL);

		if (out.mode != cases[i].mode)
			fail_msg("case %zu: mode %o, expected %o", i, out.mode, cases[i].mode);
	}
}

static void modes_that_make_no_sense_fall_back(void **state)
{
	static const char *const values[] = {
		"",	     "0",      "-1",	       "+33188", " 33188",
		"33188 ",    "33188x", "0x81a4",       "65536",	 "200000",
		"177777",    "61440",  "110644",       "999999", "99999999999999999999999",
		"rw-r--r--", "8",      "\xef\xbc\x93",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		struct attributes out = decode("", NULL, "mode", values[i], NULL, NULL);
		uint32_t expected = strcmp(values[i], "8") == 0 ? 0100010 : 0100640;

		if (out.mode != expected)
			fail_msg("\"%s\": mode %o", values[i], out.mode);
		out = decode("", NULL, "mode", values[i], "permissions", "33152");
		if (expected == 0100640)
			assert_int_equal(out.mode, 0100600);
	}
}

static void owners_are_read_from_every_spelling(void **state)
{
	static const struct {
		const char *uid_name, *gid_name, *value;
		bool fallback;
	} cases[] = {
		{"uid", "gid", "33", false},
		{"owner", "group", "33", false},
		{"goog-reserved-posix-uid", "goog-reserved-posix-gid", "33", false},
		{"uid", "gid", "033", false},
		{"uid", "gid", "", true},
		{"uid", "gid", "-33", true},
		{"uid", "gid", "33.0", true},
		{"uid", "gid", "0x21", true},
		{"uid", "gid", "root", true},
		{"uid", "gid", "4294967295", true},
		{"uid", "gid", "4294967329", true},
		{"uid", "gid", "18446744073709551649", true},
	};
	struct attributes out;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		out = decode("", NULL, cases[i].uid_name, cases[i].value, cases[i].gid_name,
			     cases[i].value);
		assert_int_equal(out.uid, cases[i].fallback ? 1000 : 33);
		assert_int_equal(out.gid, cases[i].fallback ? 100 : 33);
	}
	out = decode("", NULL, "uid", "0", "gid", "4294967294");
	assert_int_equal(out.uid, 0);
	assert_int_equal(out.gid, 4294967294u);
	out = decode("", NULL, "uid", "nobody", "owner", "7");
	assert_int_equal(out.uid, 7);
	out = decode("", NULL, "uid", "5", "owner", "7");
	assert_int_equal(out.uid, 5);
}

static void times_are_read_in_every_format(void **state)
{
	static const struct {
		const char *value;
		int64_t expected;
	} cases[] = {
		{"0", 0},
		{"1700000000", 1700000000 * SEC},
		{"1700000000.000000005", 1700000000 * SEC + 5},
		{"1700000000.123456789", 1700000000 * SEC + 123456789},
		{"1700000000.5", 1700000000 * SEC + 500000000},
		{"1700000000.05", 1700000000 * SEC + 50000000},
		{"1700000000.1234567899", 1700000000 * SEC + 123456789},
		{"-1", -SEC},
		{"-2.500000000", -SEC - 500000000}, /* s3fs: tv_sec -2, tv_nsec 500000000 */
		{"-1.5", -SEC - 500000000},	    /* rclone: one number */
		{"-0.5", -500000000},
		{"9223372035", INT64_C(9223372035) * SEC},
		{"-9223372035", INT64_C(-9223372035) * SEC},
		{"2026-01-02T03:04:05Z", MODIFIED},
		{"2026-01-02T03:04:05.5Z", MODIFIED + 500000000},
		{"2026-01-02T04:04:05+01:00", MODIFIED},
		{"2026-01-01T21:34:05-05:30", MODIFIED},
		{"1969-12-31T23:59:59.5Z", -500000000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct attributes out = decode("", NULL, "mtime", cases[i].value, "ctime",
					       cases[i].value);

		if (out.mtime != cases[i].expected)
			fail_msg("\"%s\": %lld", cases[i].value, (long long)out.mtime);
		assert_true(out.ctime == cases[i].expected);
		assert_true(out.atime == cases[i].expected); /* absent: as mtime */
		out = decode("", NULL, "goog-reserved-file-mtime", cases[i].value, "atime",
			     cases[i].value);
		assert_true(out.mtime == cases[i].expected);
		assert_true(out.atime == cases[i].expected);
		assert_true(out.ctime == MODIFIED); /* absent: when the object was written */
	}
}

static void times_that_make_no_sense_fall_back(void **state)
{
	static const char *const values[] = {
		"",
		"-",
		".",
		".5",
		"5.",
		"-.5",
		"--1",
		"+1",
		" 1",
		"1 ",
		"1x",
		"1.5x",
		"1.5.5",
		"0x10",
		"1e9",
		"inf",
		"nan",
		"9223372036",
		"-9223372036",
		"9223372036854775807",
		"18446744073709551617",
		"11111111111111111111111111111111111111111",
		"2026-01-02",
		"2026-01-02T03:04:05",
		"2026-01-02 03:04:05Z",
		"2026-13-02T03:04:05Z",
		"2026-00-02T03:04:05Z",
		"2026-01-32T03:04:05Z",
		"2026-01-02T24:04:05Z",
		"2026-01-02T03:60:05Z",
		"2026-01-02T03:04:05.Z",
		"2026-01-02T03:04:05+1:00",
		"2026-01-02T03:04:05+01:00x",
		"2026-01-02T03:04:05+",
		"2026-01-02T03:04:05Z ",
		"9999-01-02T03:04:05Z",
		"20260-01-02T03:04:05Z",
		"Fri, 02 Jan 2026 03:04:05 GMT",
		"2026-",
		"2026-0",
		"2026-01-02T03:04:05+01:",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		struct attributes out = decode("", NULL, "mtime", values[i], "atime", values[i]);

		if (out.mtime != MODIFIED || out.atime != MODIFIED)
			fail_msg("\"%s\": %lld", values[i], (long long)out.mtime);
	}
}

static void what_is_written_reads_back_the_same(void **state)
{
	static const struct attributes cases[] = {
		{S_IFREG | 0644, 1000, 100, 0, MODIFIED, MODIFIED + 1, MODIFIED + 999999999},
		{S_IFDIR | 01777, 0, 0, 0, 0, 0, 0},
		{S_IFLNK | 0777, 4294967294u, 4294967294u, 0, 1, 2, 3},
		{S_IFREG | 06755, 1, 2, 0, -1, -SEC, -SEC - 1},
		{S_IFREG, 1, 2, 0, -1500000000, -999999999, 999999999},
		{S_IFCHR | 0600, 1, 2, 0x0103, 1, 1, 1},
		{S_IFBLK | 0600, 1, 2, UINT64_MAX, 1, 1, 1},
		{S_IFIFO | 0600, 1, 2, 0, 1, 1, 1},
		{S_IFSOCK | 0600, 1, 2, 0, INT64_C(9223372035) * SEC, 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct os_meta meta = OS_META_INIT;
		struct attributes out;

		memset(&out, 0xaa, sizeof(out));
		assert_int_equal(attributes_encode(&cases[i], &meta), 0);
		attributes_decode(&out, &meta, attributes_content_type(cases[i].mode), 77,
				  S_ISDIR(cases[i].mode), &defaults);
		assert_int_equal(out.mode, cases[i].mode);
		assert_int_equal(out.uid, cases[i].uid);
		assert_int_equal(out.gid, cases[i].gid);
		assert_true(out.rdev == cases[i].rdev);
		assert_true(out.atime == cases[i].atime);
		assert_true(out.mtime == cases[i].mtime);
		assert_true(out.ctime == cases[i].ctime);
		os_meta_free(&meta);
	}
}

static void what_is_written_is_what_s3fs_writes(void **state)
{
	static const struct attributes file = {
		.mode = 0100644,
		.uid = 1000,
		.gid = 100,
		.atime = -500000000,
		.mtime = MODIFIED,
		.ctime = MODIFIED + 5,
	};
	struct os_meta meta = OS_META_INIT;

	(void)state;
	assert_int_equal(attributes_encode(&file, &meta), 0);
	assert_int_equal(meta.count, 6);
	assert_string_equal(os_meta_get(&meta, "mode"), "33188");
	assert_string_equal(os_meta_get(&meta, "uid"), "1000");
	assert_string_equal(os_meta_get(&meta, "gid"), "100");
	assert_string_equal(os_meta_get(&meta, "mtime"), "1767323045.000000000");
	assert_string_equal(os_meta_get(&meta, "ctime"), "1767323045.000000005");
	assert_string_equal(os_meta_get(&meta, "atime"), "-1.500000000");
	os_meta_free(&meta);
}

static void foreign_items_stay_and_stale_spellings_go(void **state)
{
	static const struct attributes file = {.mode = 0100600, .rdev = 5};
	static const char *const stale[] = {
		"permissions",
		"owner",
		"group",
		"goog-reserved-posix-mode",
		"goog-reserved-posix-uid",
		"goog-reserved-posix-gid",
		"goog-reserved-file-mtime",
		"gcsfuse_mtime",
		"--symlink-target",
		"rdev",
	};
	struct os_meta meta = OS_META_INIT;

	(void)state;
	for (size_t i = 0; i < COUNT(stale); i++)
		set(&meta, stale[i], "1");
	set(&meta, "mode", "33188");
	set(&meta, "xattr", "%7B%7D");
	set(&meta, META_PUT_ID, "abc");
	assert_int_equal(attributes_encode(&file, &meta), 0);
	for (size_t i = 0; i < COUNT(stale); i++)
		assert_null(os_meta_get(&meta, stale[i]));
	assert_string_equal(os_meta_get(&meta, "xattr"), "%7B%7D");
	assert_string_equal(os_meta_get(&meta, META_PUT_ID), "abc");
	assert_string_equal(os_meta_get(&meta, "mode"), "33152");
	assert_int_equal(meta.count, 8);
	os_meta_free(&meta);
}

static void a_symlink_keeps_the_target_in_its_metadata(void **state)
{
	static const struct attributes symlink = {.mode = S_IFLNK | 0777};
	struct os_meta meta = OS_META_INIT;
	struct attributes out;

	(void)state;
	assert_null(attributes_symlink_target(&meta));
	set(&meta, "--symlink-target", "../there");
	assert_string_equal(attributes_symlink_target(&meta), "../there");
	assert_int_equal(attributes_encode(&symlink, &meta), 0);
	assert_string_equal(attributes_symlink_target(&meta), "../there");
	attributes_decode(&out, &meta, NULL, MODIFIED, false, &defaults);
	assert_int_equal(out.mode, S_IFLNK | 0777);
	os_meta_free(&meta);
}

static void metadata_ends_at_two_kibibytes(void **state)
{
	static const struct attributes file = {.mode = 0100600};
	struct os_meta meta = OS_META_INIT;
	char value[OS_META_BYTES_MAX + 1];
	size_t ours;

	(void)state;
	assert_int_equal(attributes_encode(&file, &meta), 0);
	ours = os_meta_bytes(&meta);
	memset(value, 'v', sizeof(value));
	value[OS_META_BYTES_MAX - ours - 1] = '\0';
	set(&meta, "x", value);
	assert_int_equal(attributes_encode(&file, &meta), 0);
	set(&meta, "xx", value);
	set(&meta, "x", NULL);
	assert_int_equal(attributes_encode(&file, &meta), -E2BIG);
	os_meta_free(&meta);
}

static void only_devices_have_a_device_number(void **state)
{
	struct attributes out;

	(void)state;
	out = decode("", NULL, "mode", "8576", "rdev", "259");
	assert_int_equal(out.rdev, 259);
	out = decode("", NULL, "mode", "33188", "rdev", "259");
	assert_int_equal(out.rdev, 0);
	out = decode("", NULL, "mode", "8576", "rdev", "-1");
	assert_int_equal(out.rdev, 0);
	out = decode("", NULL, "mode", "8576", "rdev", "18446744073709551616");
	assert_int_equal(out.rdev, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modes_are_read_as_their_writers_meant_them),
		cmocka_unit_test(modes_that_make_no_sense_fall_back),
		cmocka_unit_test(owners_are_read_from_every_spelling),
		cmocka_unit_test(times_are_read_in_every_format),
		cmocka_unit_test(times_that_make_no_sense_fall_back),
		cmocka_unit_test(what_is_written_reads_back_the_same),
		cmocka_unit_test(what_is_written_is_what_s3fs_writes),
		cmocka_unit_test(foreign_items_stay_and_stale_spellings_go),
		cmocka_unit_test(a_symlink_keeps_the_target_in_its_metadata),
		cmocka_unit_test(metadata_ends_at_two_kibibytes),
		cmocka_unit_test(only_devices_have_a_device_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
