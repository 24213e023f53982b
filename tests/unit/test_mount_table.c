#include "common/mount_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char table_text[] =
	"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=remount-ro\n"
	"23 22 0:20 / /proc rw - proc proc rw\n"
	"not a line of this table\n"
	"30 22 0:41 / /mnt/my\\040bucket rw,nosuid shared:5 master:1 propagate_from:2 - "
	"fuse.s3mount "
	"photos:a\\134b rw,user_id=0\n"
	"31 22 0:42 /part /mnt/cr\rtab\\011nl\\012 ro - fuse.s3mount  rw\n"
	"32 30 0:43 / /mnt/my\\040bucket rw - tmpfs none rw,size=1024k\n"
	"33 22 0:44 / /mnt/odd\\089 rw - ext4 x rw\n"
	"34 22 0:45 / /cut rw - ext4\n"
	"35 22 0:46 / /last rw - xfs /dev/b rw";

static void lines_are_cut_into_fields_and_bad_ones_are_left_out(void **state)
{
	static const struct mount_entry expected[] = {
		{254, 0, "/", "/", "ext4", "/dev/root", "rw,relatime", "rw,errors=remount-ro"},
		{0, 20, "/", "/proc", "proc", "proc", "rw", "rw"},
		{0, 41, "/", "/mnt/my bucket", "fuse.s3mount", "photos:a\\b", "rw,nosuid",
		 "rw,user_id=0"},
		{0, 42, "/part", "/mnt/cr\rtab\tnl\n", "fuse.s3mount", "", "ro", "rw"},
		{0, 43, "/", "/mnt/my bucket", "tmpfs", "none", "rw", "rw,size=1024k"},
		{0, 44, "/", "/mnt/odd\\089", "ext4", "x", "rw", "rw"},
		{0, 46, "/", "/last", "xfs", "/dev/b", "rw", "rw"},
	};
	struct mount_table table;
	struct mount_entry entry;
	size_t count = 0;

	(void)state;
	assert_int_equal(mount_table_parse(&table, table_text, strlen(table_text)), 0);
	while (mount_table_next(&table, &entry)) {
		assert_true(count < sizeof(expected) / sizeof(expected[0]));
		assert_int_equal(entry.device_major, expected[count].device_major);
		assert_int_equal(entry.device_minor, expected[count].device_minor);
		assert_string_equal(entry.root, expected[count].root);
		assert_string_equal(entry.point, expected[count].point);
		assert_string_equal(entry.type, expected[count].type);
		assert_string_equal(entry.source, expected[count].source);
		assert_string_equal(entry.options, expected[count].options);
		assert_string_equal(entry.super_options, expected[count].super_options);
		count++;
	}
	assert_int_equal(count, sizeof(expected) / sizeof(expected[0]));
	mount_table_free(&table);
}

static void of_stacked_mounts_the_one_on_top_is_found(void **state)
{
	static const struct {
		const char *path, *type; /* NULL: not found */
	} cases[] = {
		{"/mnt/my bucket", "tmpfs"}, {"/", "ext4"}, {"/mnt", NULL}, {"/mnt/my", NULL},
		{"/mnt/my bucket/", NULL},   {"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mount_table table;
		struct mount_entry entry;

		assert_int_equal(mount_table_parse(&table, table_text, strlen(table_text)), 0);
		assert_int_equal(mount_table_find(&table, cases[i].path, &entry),
				 cases[i].type != NULL);
		if (cases[i].type)
			assert_string_equal(entry.type, cases[i].type);
		mount_table_free(&table);
	}
}

static void the_kernel_is_asked(void **state)
{
	(void)state;
	assert_int_equal(mount_point_check("/proc", "proc"), 1);
	assert_int_equal(mount_point_check("/proc", NULL), 1);
	assert_int_equal(mount_point_check("/proc", "fuse.s3mount"), 0);
	assert_int_equal(mount_point_check("/proc/self", NULL), 0);
}

static void an_empty_table_has_no_entries(void **state)
{
	struct mount_table table;
	struct mount_entry entry;

	(void)state;
	assert_int_equal(mount_table_parse(&table, "", 0), 0);
	assert_false(mount_table_next(&table, &entry));
	mount_table_free(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_cut_into_fields_and_bad_ones_are_left_out),
		cmocka_unit_test(of_stacked_mounts_the_one_on_top_is_found),
		cmocka_unit_test(the_kernel_is_asked),
		cmocka_unit_test(an_empty_table_has_no_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
