#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "common/option_text.h"
#include "common/option_word.h"
#include "common/options.h"

#define SECOND INT64_C(1000000000)
#define MIB    (INT64_C(1024) * 1024)

/* No variable of the machine may reach a test. */
static int clear_environment(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < option_count; i++)
		unsetenv(option_table[i].environment);
	for (i = 0; i < option_variable_count; i++)
		unsetenv(option_variables[i].variable);
	unsetenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
	setenv("HOME", "/home/someone", 1);
	return 0;
}

static void init(struct options *options)
{
	struct error error = ERROR_INIT;

	assert_int_equal(options_init(options, &error), 0);
}

static void defaults_are_those_of_the_table(void **state)
{
	struct options options;

	(void)state;
	init(&options);
	assert_null(options.endpoint);
	assert_null(options.region);
	assert_null(options.prefix);
	assert_string_equal(options.cache, "/var/cache/s3mount");
	assert_int_equal(options.cache_size, 0);
	assert_int_equal(options.dirty_limit, 0);
	assert_int_equal(options.uid, -1);
	assert_int_equal(options.gid, -1);
	assert_int_equal(options.umask, -1);
	assert_int_equal(options.dirmask, -1);
	assert_int_equal(options.close, PUBLISH_S3);
	assert_int_equal(options.fsync, PUBLISH_S3);
	assert_int_equal(options.conflict, CONFLICT_KEEP_BOTH);
	assert_int_equal(options.path_style, PATH_STYLE_AUTO);
	assert_int_equal(options.attr_timeout, SECOND);
	assert_int_equal(options.part_size, 8 * MIB);
	assert_int_equal(options.parallel, 64);
	assert_int_equal(options.drain_timeout, 60 * SECOND);
	assert_false(options.ro || options.allow_other || options.anonymous || options.debug);
	assert_int_equal(options.given, 0);
	options_free(&options);
}

static void the_table_is_consistent(void **state)
{
	struct options options;
	size_t i, k;

	(void)state;
	init(&options);
	for (i = 0; i < option_count; i++) {
		const struct option_spec *spec = &option_table[i];
		char variable[64] = "S3MOUNT_";

		for (k = 0; spec->name[k]; k++)
			variable[8 + k] = spec->name[k] == '_' ? '_' : (char)(spec->name[k] - 32);
		variable[8 + k] = '\0';
		assert_string_equal(spec->environment, variable);
		assert_int_equal(spec->type == OPTION_CHOICE, spec->choices != NULL);
		assert_true(spec->type == OPTION_CHOICE || spec->type == OPTION_FLAG || spec->unit);
		assert_int_equal(spec->help[strlen(spec->help) - 1], '.');
		assert_ptr_equal(option_find(spec->name), spec);
		assert_null(option_word_find(spec->name));
		for (k = 0; k < i; k++) {
			assert_string_not_equal(option_table[k].name, spec->name);
			assert_true(option_table[k].offset != spec->offset);
		}
	}
	options_free(&options);
}

static void every_alias_has_a_target_and_every_refusal_a_reason(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < option_word_count; i++) {
		const struct option_word *word = &option_words[i];

		if (word->kind == WORD_ALIAS)
			assert_non_null(option_find(word->target));
		if (word->kind == WORD_REFUSED || (word->kind == WORD_IGNORED && word->value))
			assert_non_null(word->reason);
		for (k = 0; k < i; k++)
			assert_string_not_equal(option_words[k].name, word->name);
	}
}

struct value_case {
	const char *list;   /* as after -o */
	const char *option; /* what to look at afterwards */
	const char *value;  /* as option_format_value writes it */
};

static const struct value_case values[] = {
	{"endpoint=https://s3.example.com/", "endpoint", "https://s3.example.com"},
	{"endpoint=http://127.0.0.1:9000", "endpoint", "http://127.0.0.1:9000"},
	{"endpoint=http://[::1]:9000", "endpoint", "http://[::1]:9000"},
	{"url=https://minio:9000", "endpoint", "https://minio:9000"},
	{"endpoint=eu-central-1", "region", "eu-central-1"},
	{"endpoint=us-gov-west-1", "region", "us-gov-west-1"},
	{"region=eu-central-1", "region", "eu-central-1"},
	{"use_path_request_style", "path_style", "on"},
	{"path_style", "path_style", "on"},
	{"path_style=true", "path_style", "on"},
	{"path_style=off", "path_style", "off"},
	{"path_style=auto", "path_style", "auto"},
	{"prefix=/a//", "prefix", "a"},
	{"prefix=a/b/", "prefix", "a/b"},
	{"prefix=", "prefix", ""},
	{"prefix=a\\,b", "prefix", "a,b"},
	{"prefix=a\\\\,ro", "prefix", "a\\"},
	{"prefix=a\\b", "prefix", "a\\b"},
	{"prefix=...", "prefix", "..."},
	{"passwd_file=/etc/keys", "passwd_file", "/etc/keys"},
	{"passwd_file=~/keys", "passwd_file", "/home/someone/keys"},
	{"ro", "ro", "yes"},
	{"ro=TRUE", "ro", "yes"},
	{"ro,rw", "ro", "no"},
	{"rw,ro", "ro", "yes"},
	{"noatime", "noatime", "yes"},
	{"noatime,relatime", "noatime", "no"},
	{"ro=off", "ro", "no"},
	{"public_bucket=1", "anonymous", "yes"},
	{"uid=0", "uid", "0"},
	{"uid=4294967294", "uid", "4294967294"},
	{"umask=0", "umask", "000"},
	{"umask=0027", "umask", "027"},
	{"mp_umask=002", "dirmask", "002"},
	{"cache=/x", "cache", "/x"},
	{"use_cache=/x", "cache", "/x"},
	{"cache_size=1G", "cache_size", "1G"},
	{"cache_size=1073741825", "cache_size", "1073741825"},
	{"part_size=5M", "part_size", "5M"},
	{"part_size=5G", "part_size", "5G"},
	{"multipart_size=16", "part_size", "16M"},
	{"parallel_count=20", "parallel", "20"},
	{"attr_timeout=0", "attr_timeout", "0"},
	{"attr_timeout=0.25", "attr_timeout", "0.25"},
	{"attr_timeout=1.000000001", "attr_timeout", "1.000000001"},
	{"attr_timeout=86400", "attr_timeout", "86400"},
	{"drain_timeout=90s", "drain_timeout", "90"},
	{"close=local", "close", "local"},
	{"fsync=LOCAL", "fsync", "local"},
	{"conflict=overwrite", "conflict", "overwrite"},
	{"mime=off", "mime", "off"},
	{"mime=/usr/share/types", "mime", "/usr/share/types"},
	{"log=syslog", "log", "syslog"},
	{"log=/var/log/s3mount", "log", "/var/log/s3mount"},
	{"parallel=4,parallel=5", "parallel", "5"},
	{",,ro,,", "ro", "yes"},
	{"", "ro", "no"},
	{"defaults,_netdev,nofail,noauto,user=me,users,x-systemd.automount,x-gvfs-hide,nosuid,"
	 "nodev,"
	 "noatime,relatime,async,sync,dirsync,comment=some "
	 "text,exec,noexec,dev,suid,nodiratime,debug",
	 "debug", "yes"},
	{"allow_other,nonempty,iam_role=auto,retries=5,default_acl=private,umask=000", "umask",
	 "000"},
};

static void values_are_understood_as_they_are_written(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct error error = ERROR_INIT;
		struct buf value = BUF_INIT;
		struct options options;

		init(&options);
		if (options_parse(&options, OPTION_IN_MOUNT, values[i].list, &error))
			fail_msg("%s: %s", values[i].list, error.message);
		option_format_value(option_find(values[i].option), &options, &value);
		if (strcmp(buf_str(&value), values[i].value) != 0)
			fail_msg("%s: %s is '%s'", values[i].list, values[i].option,
				 buf_str(&value));
		buf_free(&value);
		options_free(&options);
	}
}

struct error_case {
	enum option_where where;
	const char *list;
	const char *message; /* part of it */
};

static const struct error_case errors[] = {
	{OPTION_IN_MOUNT, "endpiont=x", "unknown option 'endpiont'; did you mean 'endpoint'?"},
	{OPTION_IN_MOUNT, "cache-size=1G",
	 "unknown option 'cache-size'; did you mean 'cache_size'?"},
	{OPTION_IN_MOUNT, "UID=1", "did you mean 'uid'?"},
	{OPTION_IN_MOUNT, "frobnicate", "unknown option 'frobnicate'; --help lists the options"},
	{OPTION_IN_MOUNT, "=x", "unknown option ''"},
	{OPTION_IN_MOUNT, "part_size=1M",
	 "option 'part_size': '1M' is not accepted; accepted: bytes from 5M to 5G"},
	{OPTION_IN_MOUNT, "part_size=6G", "from 5M to 5G"},
	{OPTION_IN_MOUNT, "part_size=8X", "'8X' is not accepted"},
	{OPTION_IN_MOUNT, "part_size", "option 'part_size' needs a value"},
	{OPTION_IN_MOUNT, "parallel=0", "accepted: whole numbers from 1 to 256"},
	{OPTION_IN_MOUNT, "parallel=257", "from 1 to 256"},
	{OPTION_IN_MOUNT, "parallel=two", "'two' is not accepted"},
	{OPTION_IN_MOUNT, "parallel=", "'' is not accepted"},
	{OPTION_IN_MOUNT, "uid=-1", "from 0 to 4294967294"},
	{OPTION_IN_MOUNT, "uid=4294967295", "from 0 to 4294967294"},
	{OPTION_IN_MOUNT, "umask=8", "octal numbers from 0 to 0777"},
	{OPTION_IN_MOUNT, "umask=1000", "octal numbers from 0 to 0777"},
	{OPTION_IN_MOUNT, "umask=", "octal numbers"},
	{OPTION_IN_MOUNT, "attr_timeout=-1", "seconds from 0 to 86400"},
	{OPTION_IN_MOUNT, "attr_timeout=86400.1", "seconds from 0 to 86400"},
	{OPTION_IN_MOUNT, "attr_timeout=99999999999999999999", "seconds from 0 to 86400"},
	{OPTION_IN_MOUNT, "attr_timeout=1x", "seconds from 0 to 86400"},
	{OPTION_IN_MOUNT, "close=never",
	 "option 'close': 'never' is not accepted; accepted: s3 or local"},
	{OPTION_IN_MOUNT, "close", "accepted: s3 or local"},
	{OPTION_IN_MOUNT, "close=on", "accepted: s3 or local"},
	{OPTION_IN_MOUNT, "conflict=x", "accepted: keep-both, fail or overwrite"},
	{OPTION_IN_MOUNT, "ro=maybe", "option 'ro': 'maybe' is not accepted; accepted: yes or no"},
	{OPTION_IN_MOUNT, "endpoint=s3.example.com", "accepted: a URL"},
	{OPTION_IN_MOUNT, "endpoint=ftp://x", "accepted: a URL"},
	{OPTION_IN_MOUNT, "endpoint=https://", "accepted: a URL"},
	{OPTION_IN_MOUNT, "endpoint=http://x y", "accepted: a URL"},
	{OPTION_IN_MOUNT, "endpoint=http://x?y", "accepted: a URL"},
	{OPTION_IN_MOUNT, "endpoint=minio-1", "accepted: a URL"},
	{OPTION_IN_MOUNT, "url=nonsense", "option 'url': 'nonsense' is not accepted"},
	{OPTION_IN_MOUNT, "region=eu/1", "option 'region': 'eu/1'"},
	{OPTION_IN_MOUNT, "prefix=a/../b", "a path inside of the bucket"},
	{OPTION_IN_MOUNT, "prefix=.", "a path inside of the bucket"},
	{OPTION_IN_MOUNT, "prefix=a//b", "a path inside of the bucket"},
	{OPTION_IN_MOUNT, "passwd_file=", "accepted: a path"},
	{OPTION_IN_MOUNT, "mime=types", "off, or the absolute path of a file"},
	{OPTION_IN_MOUNT, "log=here", "stderr, syslog, or the absolute path of a file"},
	{OPTION_IN_MOUNT, "use_sse=1", "option 'use_sse' is not supported: encryption"},
	{OPTION_IN_MOUNT, "default_acl=public-read", "option 'default_acl' is not supported"},
	{OPTION_IN_MOUNT, "secret_key=abc", "keys are never given as options"},
	{OPTION_IN_VOLUME, "cache=/x", "option 'cache' cannot be set for a single volume"},
	{OPTION_IN_VOLUME, "cahce=/x", "unknown option 'cahce'; --help"},
};

static void what_is_wrong_is_named_with_what_is_accepted(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct error error = ERROR_INIT;
		struct options options;

		init(&options);
		if (options_parse(&options, errors[i].where, errors[i].list, &error) != -EINVAL)
			fail_msg("%s is accepted", errors[i].list);
		if (!strstr(error.message, errors[i].message))
			fail_msg("%s: %s", errors[i].list, error.message);
		assert_null(strchr(error.message, '\n'));
		options_free(&options);
	}
}

static void secrets_do_not_get_into_messages(void **state)
{
	static const char *const lists[] = {"endpoint=https://user:hunter2@s3.example.com",
					    "secret_key=hunter2", "aws_secret_access_key=hunter2",
					    "seceret=hunter2"};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct error error = ERROR_INIT;
		struct options options;

		init(&options);
		assert_int_equal(options_parse(&options, OPTION_IN_MOUNT, lists[i], &error),
				 -EINVAL);
		assert_null(strstr(error.message, "hunter2"));
		options_free(&options);
	}
}

static void a_value_that_is_refused_changes_nothing(void **state)
{
	struct error error = ERROR_INIT;
	struct options options;

	(void)state;
	init(&options);
	assert_int_equal(
		options_parse(&options, OPTION_IN_MOUNT, "part_size=64M,region=eu-west-1", &error),
		0);
	assert_int_equal(options_set(&options, OPTION_IN_MOUNT, "part_size", "1", &error), -EINVAL);
	assert_int_equal(options_set(&options, OPTION_IN_MOUNT, "region", "?", &error), -EINVAL);
	assert_int_equal(options.part_size, 64 * MIB);
	assert_string_equal(options.region, "eu-west-1");
	options_free(&options);
}

static void relative_paths_become_absolute(void **state)
{
	struct error error = ERROR_INIT;
	struct options options;
	char here[4000], expected[4096];

	(void)state;
	init(&options);
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(expected, sizeof(expected), "%s/some/file", here);
	assert_int_equal(options_set(&options, OPTION_IN_MOUNT, "ca_file", "some/file", &error), 0);
	assert_string_equal(options.ca_file, expected);
	options_free(&options);
}

static void in_a_volume_words_for_what_it_cannot_set_have_no_effect(void **state)
{
	struct error error = ERROR_INIT;
	struct options options;

	(void)state;
	init(&options);
	assert_int_equal(
		options_parse(&options, OPTION_IN_VOLUME, "use_cache=/tmp,logfile=/x", &error), 0);
	assert_string_equal(options.cache, "/var/cache/s3mount");
	assert_null(options.log);
	options_free(&options);
}

struct environment_case {
	const char *variables[6]; /* name, value, .. */
	const char *option, *value;
};

static const struct environment_case environments[] = {
	{{"S3MOUNT_ENDPOINT", "http://a"}, "endpoint", "http://a"},
	{{"AWS_ENDPOINT_URL", "http://c", "AWS_ENDPOINT_URL_S3", "http://b"},
	 "endpoint",
	 "http://b"},
	{{"AWS_ENDPOINT_URL_S3", "http://b", "S3MOUNT_ENDPOINT", "http://a"},
	 "endpoint",
	 "http://a"},
	{{"AWS_ENDPOINT_URL", "http://c", "AWS_ENDPOINT_URL_S3", ""}, "endpoint", "http://c"},
	{{"AWS_ENDPOINT_URL", "http://c", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"},
	 "endpoint",
	 ""},
	{{"S3MOUNT_ENDPOINT", "http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"},
	 "endpoint",
	 "http://a"},
	{{"AWS_DEFAULT_REGION", "r-2"}, "region", "r-2"},
	{{"AWS_DEFAULT_REGION", "r-2", "AWS_REGION", "r-1"}, "region", "r-1"},
	{{"AWS_PROFILE", "work"}, "profile", "work"},
	{{"AWS_CA_BUNDLE", "/ca.pem"}, "ca_file", "/ca.pem"},
	{{"S3MOUNT_CLOSE", "local"}, "close", "local"},
	{{"S3MOUNT_RO", "1"}, "ro", "yes"},
	{{"S3MOUNT_RO", ""}, "ro", "no"},
	{{"S3MOUNT_PART_SIZE", "16M"}, "part_size", "16M"},
};

static void the_environment_replaces_defaults(void **state)
{
	size_t i, k;

	for (i = 0; i < sizeof(environments) / sizeof(environments[0]); i++) {
		const struct environment_case *test = &environments[i];
		struct buf value = BUF_INIT;
		struct options options;

		clear_environment(state);
		for (k = 0; k < 6 && test->variables[k]; k += 2)
			setenv(test->variables[k], test->variables[k + 1], 1);
		init(&options);
		option_format_value(option_find(test->option), &options, &value);
		if (strcmp(buf_str(&value), test->value) != 0)
			fail_msg("case %zu: %s is '%s'", i, test->option, buf_str(&value));
		assert_int_equal(options.given, 0);
		buf_free(&value);
		options_free(&options);
	}
}

static void a_malformed_variable_is_named(void **state)
{
	struct error error = ERROR_INIT;
	struct options options;

	(void)state;
	setenv("S3MOUNT_PARALLEL", "many", 1);
	assert_int_equal(options_init(&options, &error), -EINVAL);
	assert_string_equal(error.message,
			    "environment variable 'S3MOUNT_PARALLEL': 'many' is not accepted; "
			    "accepted: whole numbers from 1 to 256");
	unsetenv("S3MOUNT_PARALLEL");
	setenv("AWS_ENDPOINT_URL", "nowhere", 1);
	error = (struct error)ERROR_INIT;
	assert_int_equal(options_init(&options, &error), -EINVAL);
	assert_non_null(
		strstr(error.message, "environment variable 'AWS_ENDPOINT_URL': 'nowhere'"));
}

static void what_is_set_goes_before_the_environment(void **state)
{
	struct error error = ERROR_INIT;
	struct options options;

	(void)state;
	setenv("S3MOUNT_CLOSE", "local", 1);
	setenv("AWS_REGION", "r-1", 1);
	init(&options);
	assert_int_equal(options_parse(&options, OPTION_IN_MOUNT, "close=s3,region=r-2", &error),
			 0);
	assert_int_equal(options.close, PUBLISH_S3);
	assert_string_equal(options.region, "r-2");
	assert_true(options_given(&options, "close"));
	assert_false(options_given(&options, "fsync"));
	options_free(&options);
}

struct format_case {
	enum option_where where;
	const char *list, *formatted;
};

static const struct format_case formats[] = {
	{OPTION_IN_MOUNT, "", ""},
	{OPTION_IN_MOUNT, "ro,uid=33", "ro,uid=33"},
	{OPTION_IN_MOUNT, "rw", "ro=no"},
	{OPTION_IN_MOUNT, "close=s3",
	 "close=s3"}, /* given: the environment of a child must not replace it */
	{OPTION_IN_MOUNT, "prefix=a\\,b\\\\c,cache=/x", "prefix=a\\,b\\\\c,cache=/x"},
	{OPTION_IN_VOLUME, "prefix=a,part_size=16777216", "prefix=a,part_size=16M"},
	{OPTION_IN_MOUNT, "attr_timeout=0.5,drain_timeout=0,umask=27",
	 "umask=027,attr_timeout=0.5,drain_timeout=0"},
	{OPTION_IN_MOUNT, "url=http://x:1,use_path_request_style",
	 "endpoint=http://x:1,path_style=on"},
	{OPTION_IN_MOUNT, "defaults,_netdev", ""},
};

static void what_is_formatted_can_be_parsed_back(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct error error = ERROR_INIT;
		struct buf once = BUF_INIT, again = BUF_INIT;
		struct options options;

		init(&options);
		assert_int_equal(options_parse(&options, formats[i].where, formats[i].list, &error),
				 0);
		assert_int_equal(options_format(&options, formats[i].where, &once), 0);
		assert_string_equal(buf_str(&once), formats[i].formatted);
		options_free(&options);
		init(&options);
		assert_int_equal(options_parse(&options, formats[i].where, buf_str(&once), &error),
				 0);
		assert_int_equal(options_format(&options, formats[i].where, &again), 0);
		assert_string_equal(buf_str(&again), buf_str(&once));
		options_free(&options);
		buf_free(&once);
		buf_free(&again);
	}
}

static void formatting_for_a_volume_leaves_out_what_it_cannot_set(void **state)
{
	struct error error = ERROR_INIT;
	struct buf text = BUF_INIT;
	struct options options;

	(void)state;
	setenv("S3MOUNT_CONFLICT", "fail", 1);
	init(&options);
	assert_int_equal(options_parse(&options, OPTION_IN_MOUNT, "cache=/x,ro", &error), 0);
	assert_int_equal(options_format(&options, OPTION_IN_VOLUME, &text), 0);
	assert_string_equal(buf_str(&text), "ro,conflict=fail");
	buf_free(&text);
	options_free(&options);
}

static void masks_have_their_fallbacks(void **state)
{
	struct error error = ERROR_INIT;
	struct options options;

	(void)state;
	init(&options);
	assert_int_equal(options_umask(&options), 022);
	assert_int_equal(options_dirmask(&options), 022);
	assert_int_equal(options_set(&options, OPTION_IN_MOUNT, "umask", "0", &error), 0);
	assert_int_equal(options_umask(&options), 0);
	assert_int_equal(options_dirmask(&options), 0);
	assert_int_equal(options_set(&options, OPTION_IN_MOUNT, "dirmask", "077", &error), 0);
	assert_int_equal(options_dirmask(&options), 077);
	options_free(&options);
}

static void overlong_input_is_refused(void **state)
{
	struct error error = ERROR_INIT;
	struct options options;
	char *text = malloc(OPTION_LIST_BYTES_MAX + 2);

	(void)state;
	assert_non_null(text);
	init(&options);
	memset(text, 'a', OPTION_LIST_BYTES_MAX + 1);
	text[OPTION_LIST_BYTES_MAX + 1] = '\0';
	assert_int_equal(options_parse(&options, OPTION_IN_MOUNT, text, &error), -EINVAL);
	assert_int_equal(options_set(&options, OPTION_IN_MOUNT, text, NULL, &error), -EINVAL);
	text[OPTION_VALUE_BYTES_MAX + 1] = '\0';
	assert_int_equal(options_set(&options, OPTION_IN_MOUNT, "profile", text, &error), -EINVAL);
	assert_null(options.profile);
	options_free(&options);
	free(text);
}

static void edits_are_counted_with_swaps_as_one(void **state)
{
	static const struct {
		const char *a, *b;
		unsigned limit, distance;
	} cases[] = {
		{"", "", 9, 0},
		{"abc", "abc", 9, 0},
		{"abc", "acb", 9, 1},
		{"abc", "ab", 9, 1},
		{"abc", "xabc", 9, 1},
		{"abc", "xyz", 9, 3},
		{"abc", "xyz", 2, 2},
		{"", "abc", 9, 3},
		{"endpiont", "endpoint", 9, 1},
		{"a-text-that-is-longer-than-the-table-can-take", "a", 4, 4},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(edit_distance(cases[i].a, cases[i].b, cases[i].limit),
				 cases[i].distance);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, clear_environment)
	const struct CMUnitTest tests[] = {
		TEST(defaults_are_those_of_the_table),
		TEST(the_table_is_consistent),
		TEST(every_alias_has_a_target_and_every_refusal_a_reason),
		TEST(values_are_understood_as_they_are_written),
		TEST(what_is_wrong_is_named_with_what_is_accepted),
		TEST(secrets_do_not_get_into_messages),
		TEST(a_value_that_is_refused_changes_nothing),
		TEST(relative_paths_become_absolute),
		TEST(in_a_volume_words_for_what_it_cannot_set_have_no_effect),
		TEST(the_environment_replaces_defaults),
		TEST(a_malformed_variable_is_named),
		TEST(what_is_set_goes_before_the_environment),
		TEST(what_is_formatted_can_be_parsed_back),
		TEST(formatting_for_a_volume_leaves_out_what_it_cannot_set),
		TEST(masks_have_their_fallbacks),
		TEST(overlong_input_is_refused),
		TEST(edits_are_counted_with_swaps_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
