/* POSIX ACLs and modes. */
#include "fs/vfs/acl.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Tags as in include/uapi/linux/posix_acl.h. */
enum { OWNER = 1, USER = 2, OWNING_GROUP = 4, GROUP = 8, MASK = 16, OTHERS = 32 };

struct entry {
	unsigned char tag, permissions;
};

static size_t make(unsigned char *to, const struct entry *entries)
{
	static const unsigned char version[4] = {2, 0, 0, 0};
	size_t len = sizeof(version);

	memcpy(to, version, sizeof(version));
	for (; entries->tag; entries++, len += 8) {
		const unsigned char bytes[8] = {
			entries->tag, 0, entries->permissions, 0, 1, 0, 0, 0};

		memcpy(to + len, bytes, sizeof(bytes));
	}
	return len;
}

static void the_mode_shows_the_mask_or_the_owning_group(void **state)
{
	static const struct {
		struct entry entries[8];
		uint32_t mode;
		bool minimal;
	} cases[] = {
		{{{OWNER, 6}, {OWNING_GROUP, 4}, {OTHERS, 1}, {0, 0}}, 0641, true},
		{{{OWNER, 7}, {OWNING_GROUP, 7}, {OTHERS, 7}, {0, 0}}, 0777, true},
		{{{OWNER, 6}, {USER, 7}, {OWNING_GROUP, 0}, {MASK, 7}, {OTHERS, 0}, {0, 0}},
		 0670,
		 false},
		{{{OWNER, 6}, {OWNING_GROUP, 6}, {MASK, 4}, {OTHERS, 4}, {0, 0}}, 0644, false},
		{{{OWNER, 6}, {OWNING_GROUP, 6}, {GROUP, 7}, {MASK, 5}, {OTHERS, 0}, {0, 0}},
		 0650,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned char value[128];
		size_t len = make(value, cases[i].entries);
		uint32_t mode = 0;
		bool minimal = !cases[i].minimal;

		assert_int_equal(acl_to_mode(value, len, &mode, &minimal), 0);
		assert_int_equal(mode, cases[i].mode);
		assert_int_equal(minimal, cases[i].minimal);
	}
}

static void what_is_no_acl_is_refused(void **state)
{
	static const struct entry whole[] = {{OWNER, 6}, {OWNING_GROUP, 4}, {OTHERS, 1}, {0, 0}},
				  bits[] = {{OWNER, 8}, {OWNING_GROUP, 4}, {OTHERS, 1}, {0, 0}},
				  tag[] = {{OWNER, 6},
					   {OWNING_GROUP, 4},
					   {OTHERS, 1},
					   {64, 1},
					   {0, 0}},
				  less[] = {{OWNER, 6}, {OTHERS, 1}, {0, 0}};
	unsigned char value[64], *cut;
	uint32_t mode;
	bool minimal;
	size_t len = make(value, whole);

	(void)state;
	for (size_t i = 0; i < len; i++) { /* the sanitizer sees what is read behind it */
		cut = malloc(i ? i : 1);
		assert_non_null(cut);
		memcpy(cut, value, i);
		assert_int_equal(acl_to_mode(cut, i, &mode, &minimal), -EINVAL);
		free(cut);
	}
	value[0] = 1;
	assert_int_equal(acl_to_mode(value, len, &mode, &minimal), -EINVAL);
	assert_false(acl_set_mode(value, len, 0777));
	assert_int_equal(acl_to_mode(value, make(value, bits), &mode, &minimal), -EINVAL);
	assert_int_equal(acl_to_mode(value, make(value, tag), &mode, &minimal), -EINVAL);
	assert_int_equal(acl_to_mode(value, make(value, less), &mode, &minimal), -EINVAL);
}

static void a_mode_that_was_set_is_what_the_acl_says(void **state)
{
	static const struct entry before[] = {{OWNER, 6}, {USER, 7},   {OWNING_GROUP, 0},
					      {MASK, 5},  {OTHERS, 0}, {0, 0}},
				  after[] = {{OWNER, 7}, {USER, 7},   {OWNING_GROUP, 0},
					     {MASK, 6},	 {OTHERS, 1}, {0, 0}},
				  plain[] = {{OWNER, 7}, {OWNING_GROUP, 6}, {OTHERS, 1}, {0, 0}};
	unsigned char value[64], expected[64];
	size_t len = make(value, before);
	uint32_t mode;
	bool minimal;

	(void)state;
	assert_true(acl_set_mode(value, len, 0100761));
	assert_int_equal(make(expected, after), len);
	assert_memory_equal(value, expected, len);
	assert_int_equal(acl_to_mode(value, len, &mode, &minimal), 0);
	assert_int_equal(mode, 0761);
	len = make(value, plain);
	assert_true(acl_set_mode(value, len, 0100042));
	assert_int_equal(acl_to_mode(value, len, &mode, &minimal), 0);
	assert_int_equal(mode, 042);
}

static void what_is_new_gets_what_both_the_default_and_its_mode_grant(void **state)
{
	static const struct {
		struct entry given[8], made[8];
		uint32_t asked, mode;
	} cases[] = {
		{{{OWNER, 7}, {USER, 6}, {OWNING_GROUP, 5}, {MASK, 7}, {OTHERS, 4}, {0, 0}},
		 {{OWNER, 6}, {USER, 6}, {OWNING_GROUP, 5}, {MASK, 6}, {OTHERS, 4}, {0, 0}},
		 0100666,
		 0100664},
		{{{OWNER, 7}, {OWNING_GROUP, 5}, {OTHERS, 5}, {0, 0}},
		 {{OWNER, 6}, {OWNING_GROUP, 4}, {OTHERS, 0}, {0, 0}},
		 0102640,
		 0102640},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned char value[64], expected[64];
		size_t len = make(value, cases[i].given);
		uint32_t mode = cases[i].asked;

		assert_true(acl_inherit(value, len, &mode));
		assert_int_equal(mode, cases[i].mode);
		assert_int_equal(make(expected, cases[i].made), len);
		assert_memory_equal(value, expected, len);
		value[0] = 1;
		assert_false(acl_inherit(value, len, &mode));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_mode_shows_the_mask_or_the_owning_group),
		cmocka_unit_test(what_is_no_acl_is_refused),
		cmocka_unit_test(a_mode_that_was_set_is_what_the_acl_says),
		cmocka_unit_test(what_is_new_gets_what_both_the_default_and_its_mode_grant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
