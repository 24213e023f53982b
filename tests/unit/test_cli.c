#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "fs/cli.h"

enum { ARGUMENTS_MAX = 12 };

static int clear_environment(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < option_count; i++)
		unsetenv(option_table[i].environment);
	for (i = 0; i < option_variable_count; i++)
		unsetenv(option_variables[i].variable);
	return 0;
}

/* Words are separated by '|', so that an argument may have blanks or be empty. */
static int parse(const char *line, struct cli *cli, struct error *error)
{
	char *argv[ARGUMENTS_MAX + 1] = {NULL};
	char *copy = strdup(line), *rest = copy;
	int argc = 0, err;

	assert_non_null(copy);
	while (rest && argc < ARGUMENTS_MAX)
		argv[argc++] = strsep(&rest, "|");
	*error = (struct error)ERROR_INIT;
	err = cli_parse(argc, argv, cli, error);
	free(copy);
	return err;
}

struct mount_case {
	const char *line, *bucket, *prefix, *directory;
	bool foreground;
	const char *options; /* as options_format gives them back */
};

static const struct mount_case mounts[] = {
	{"s3mount|bkt|/mnt", "bkt", NULL, "/mnt", false, ""},
	{"s3mount|bkt|mnt", "bkt", NULL, "mnt", false, ""},
	{"s3mount|bkt:a/b|/mnt", "bkt", "a/b", "/mnt", false, "prefix=a/b"},
	{"s3mount|bkt:/a/|/mnt", "bkt", "a", "/mnt", false, "prefix=a"},
	{"s3mount|bkt:|/mnt", "bkt", NULL, "/mnt", false, ""},
	{"s3mount|bkt:a:b|/mnt", "bkt", "a:b", "/mnt", false, "prefix=a:b"},
	{"s3mount|bkt|/mnt|-o|prefix=a", "bkt", "a", "/mnt", false, "prefix=a"},
	{"s3mount|bkt:a/|/mnt|-o|prefix=/a", "bkt", "a", "/mnt", false, "prefix=a"},
	{"s3mount|bkt|/mnt|-o|ro,uid=1", "bkt", NULL, "/mnt", false, "ro,uid=1"},
	{"s3mount|-o|ro|bkt|-ouid=1|/mnt|--options=gid=2", "bkt", NULL, "/mnt", false,
	 "ro,uid=1,gid=2"},
	{"s3mount|bkt|/mnt|-o|uid=1|-o|uid=2", "bkt", NULL, "/mnt", false, "uid=2"},
	{"s3mount|-f|bkt|/mnt", "bkt", NULL, "/mnt", true, ""},
	{"s3mount|bkt|/mnt|-d", "bkt", NULL, "/mnt", true, "debug"},
	{"s3mount|bkt|/mnt|-fo|ro", "bkt", NULL, "/mnt", true, "ro"},
	{"s3mount|bkt|/mnt|-foro", "bkt", NULL, "/mnt", true, "ro"},
	{"s3mount|--foreground|--debug|bkt|/mnt", "bkt", NULL, "/mnt", true, "debug"},
	{"s3mount|--|bkt|-mnt", "bkt", NULL, "-mnt", false, ""},
	{"s3mount|bkt|--|--json", "bkt", NULL, "--json", false, ""},
	{"s3mount|sync:|/mnt", "sync", NULL, "/mnt", false, ""},
	{"s3mount|-o|ro|status|/mnt", "status", NULL, "/mnt", false, "ro"},
	{"s3mount|bkt|/mnt|-o|rw,nosuid,nodev,relatime,user=me", "bkt", NULL, "/mnt", false,
	 "ro=no,noatime=no"},
	{"/sbin/mount.fuse.s3mount|bkt|/mnt|-s|-n|-v|-t|fuse.s3mount|-o|rw,_netdev", "bkt", NULL,
	 "/mnt", false, "ro=no"},
};

static void mounting_is_understood_in_every_order(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		const struct mount_case *test = &mounts[i];
		struct buf formatted = BUF_INIT;
		struct error error;
		struct cli cli;

		if (parse(test->line, &cli, &error))
			fail_msg("%s: %s", test->line, error.message);
		assert_int_equal(cli.command, CLI_MOUNT);
		assert_string_equal(cli.bucket, test->bucket);
		assert_string_equal(cli.directory, test->directory);
		assert_int_equal(cli.foreground, test->foreground);
		assert_int_equal(cli.ready_fd, -1);
		if (test->prefix)
			assert_string_equal(cli.options.prefix, test->prefix);
		else
			assert_null(cli.options.prefix);
		assert_int_equal(options_format(&cli.options, OPTION_IN_MOUNT, &formatted), 0);
		assert_string_equal(buf_str(&formatted), test->options);
		buf_free(&formatted);
		cli_free(&cli);
	}
}

static void the_prefix_of_the_operand_goes_before_the_environment(void **state)
{
	struct error error;
	struct cli cli;

	(void)state;
	setenv("S3MOUNT_PREFIX", "of-environment", 1);
	assert_int_equal(parse("s3mount|bkt:mine|/mnt", &cli, &error), 0);
	assert_string_equal(cli.options.prefix, "mine");
	cli_free(&cli);
	assert_int_equal(parse("s3mount|bkt|/mnt", &cli, &error), 0);
	assert_string_equal(cli.options.prefix, "of-environment");
	cli_free(&cli);
}

struct command_case {
	const char *line;
	enum cli_command command;
	const char *directory;
	int64_t timeout;
	bool json;
};

static const struct command_case commands[] = {
	{"s3mount|sync|/mnt", CLI_SYNC, "/mnt", -1, false},
	{"s3mount|sync|--timeout|60|/mnt", CLI_SYNC, "/mnt", INT64_C(60000000000), false},
	{"s3mount|sync|/mnt|--timeout=0", CLI_SYNC, "/mnt", 0, false},
	{"s3mount|sync|--|-mnt", CLI_SYNC, "-mnt", -1, false},
	{"s3mount|status|/mnt", CLI_STATUS, "/mnt", -1, false},
	{"s3mount|status|--json|/mnt", CLI_STATUS, "/mnt", -1, true},
	{"s3mount|status|/mnt|--json", CLI_STATUS, "/mnt", -1, true},
	{"s3mount|recover|/cache", CLI_RECOVER, "/cache", -1, false},
	{"s3mount|recover|--to=/saved|/cache|--json", CLI_RECOVER, "/cache", -1, true},
	{"s3mount|recover|/cache|--forget|--to|/saved", CLI_RECOVER, "/cache", -1, false},
	{"s3mount|--help", CLI_HELP, NULL, -1, false},
	{"s3mount|-h", CLI_HELP, NULL, -1, false},
	{"s3mount|bkt|/mnt|--help", CLI_HELP, NULL, -1, false},
	{"s3mount|-fh", CLI_HELP, NULL, -1, false},
	{"s3mount|status|-h", CLI_HELP, NULL, -1, false},
	{"s3mount|-V", CLI_VERSION, NULL, -1, false},
	{"s3mount|--version", CLI_VERSION, NULL, -1, false},
	{"s3mount|--man", CLI_MAN, NULL, -1, false},
};

static void commands_are_understood_with_their_flags(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct error error;
		struct cli cli;

		if (parse(commands[i].line, &cli, &error))
			fail_msg("%s: %s", commands[i].line, error.message);
		assert_int_equal(cli.command, commands[i].command);
		if (commands[i].directory)
			assert_string_equal(cli.directory, commands[i].directory);
		else
			assert_null(cli.directory);
		assert_int_equal(cli.timeout, commands[i].timeout);
		assert_int_equal(cli.json, commands[i].json);
		assert_null(cli.bucket);
		cli_free(&cli);
	}
}

static const struct {
	const char *line, *message;
} errors[] = {
	{"s3mount",
	 "bucket and directory are missing; usage: s3mount BUCKET[:PREFIX] DIR [-o opt,..]"},
	{"s3mount|bkt", "the directory is missing after 'bkt'; usage: s3mount BUCKET"},
	{"s3mount|bkt|", "the directory is empty; usage"},
	{"s3mount|bkt|/mnt|more", "one argument too many: 'more'; usage: s3mount BUCKET"},
	{"s3mount|sync", "the directory is missing; usage: s3mount sync DIR [--timeout SECONDS]"},
	{"s3mount|status", "the directory is missing; usage: s3mount status DIR [--json]"},
	{"s3mount|sync|/mnt|/mnt2", "one argument too many: '/mnt2'; usage: s3mount sync"},
	{"s3mount|sync|/mnt|--json", "--json is no flag of s3mount sync"},
	{"s3mount|recover|/cache|--to", "--to needs a value: DIRECTORY"},
	{"s3mount|status|/mnt|--to=x", "--to=x is no flag of s3mount status"},
	{"s3mount|status|/mnt|-o|ro", "-o is no flag of s3mount status"},
	{"s3mount|status|/mnt|--forget", "--forget is no flag of s3mount status"},
	{"s3mount|bkt|/mnt|--json", "--json is no flag of mounting"},
	{"s3mount|sync|/mnt|--timeout", "--timeout needs a value: SECONDS"},
	{"s3mount|sync|/mnt|--timeout|soon",
	 "--timeout: 'soon' is not accepted; accepted: whole seconds"},
	{"s3mount|sync|/mnt|--timeout=-1", "--timeout: '-1' is not accepted"},
	{"s3mount|bkt|/mnt|--ready-fd=x", "--ready-fd: 'x' is not accepted"},
	{"s3mount|bkt|/mnt|-o", "-o needs a value: OPTIONS"},
	{"s3mount|bkt|/mnt|-x", "unknown flag '-x'; see s3mount --help"},
	{"s3mount|bkt|/mnt|-fx", "unknown flag '-x'"},
	{"s3mount|bkt|/mnt|--foregruond",
	 "unknown flag '--foregruond'; did you mean '--foreground'?"},
	{"s3mount|bkt|/mnt|--frobnicate", "unknown flag '--frobnicate'; see s3mount --help"},
	{"s3mount|bkt|/mnt|--endpoint=x",
	 "unknown flag '--endpoint'; it is written -o endpoint=URL"},
	{"s3mount|bkt|/mnt|--allow-other", "it is written -o allow_other"},
	{"s3mount|bkt|/mnt|--foreground=yes", "--foreground takes no value"},
	{"s3mount|bkt|/mnt|-o|endpiont=x", "unknown option 'endpiont'; did you mean 'endpoint'?"},
	{"s3mount|b|/mnt", "bucket name 'b' has 1 bytes"},
	{"s3mount|bkt/a|/mnt", "a path inside of the bucket is written BUCKET:PREFIX"},
	{"s3mount|s3://bkt|/mnt", "without s3://"},
	{"s3mount|bkt:../x|/mnt", "option 'prefix': '../x' is not accepted"},
	{"s3mount|bkt:a|/mnt|-o|prefix=b",
	 "two prefixes, 'a' with the bucket and 'b' as an option; give one"},
	{"mount.fuse.s3mount|bkt|/mnt|-f", "mount -f (a dry run) is not supported"},
};

static void a_wrong_command_line_gets_one_message(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct error error;
		struct cli cli;

		if (parse(errors[i].line, &cli, &error) != -EINVAL)
			fail_msg("%s is accepted", errors[i].line);
		if (!strstr(error.message, errors[i].message))
			fail_msg("%s: %s", errors[i].line, error.message);
		assert_null(cli.bucket);
		assert_null(cli.directory);
	}
}

static void a_wrong_variable_is_reported_but_help_still_works(void **state)
{
	struct error error;
	struct cli cli;

	(void)state;
	setenv("S3MOUNT_CLOSE", "never", 1);
	assert_int_equal(parse("s3mount|bkt|/mnt", &cli, &error), -EINVAL);
	assert_non_null(strstr(error.message, "environment variable 'S3MOUNT_CLOSE'"));
	assert_int_equal(parse("s3mount|--help", &cli, &error), 0);
	assert_int_equal(cli.command, CLI_HELP);
	cli_free(&cli);
	assert_int_equal(parse("s3mount|sync|/mnt", &cli, &error), 0);
	cli_free(&cli);
}

static void the_descriptor_for_readiness_is_passed_on(void **state)
{
	struct error error;
	struct cli cli;

	(void)state;
	assert_int_equal(parse("s3mount|bkt|/mnt|--ready-fd|7", &cli, &error), 0);
	assert_int_equal(cli.ready_fd, 7);
	cli_free(&cli);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, clear_environment)
	const struct CMUnitTest tests[] = {
		TEST(mounting_is_understood_in_every_order),
		TEST(the_prefix_of_the_operand_goes_before_the_environment),
		TEST(commands_are_understood_with_their_flags),
		TEST(a_wrong_command_line_gets_one_message),
		TEST(a_wrong_variable_is_reported_but_help_still_works),
		TEST(the_descriptor_for_readiness_is_passed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
