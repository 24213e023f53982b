#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/s3/credentials.h"
#include "common/s3/secret.h"

static char home[] = "/tmp/s3mount-test-credentials-XXXXXX";

static const char *const variables[] = {
	"AWS_ACCESS_KEY_ID",
	"AWS_SECRET_ACCESS_KEY",
	"AWS_SESSION_TOKEN",
	"AWS_PROFILE",
	"AWS_REGION",
	"AWS_DEFAULT_REGION",
	"AWS_ENDPOINT_URL",
	"AWS_ENDPOINT_URL_S3",
	"AWS_CA_BUNDLE",
	"AWS_CONFIG_FILE",
	"AWS_SHARED_CREDENTIALS_FILE",
	"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
};

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", home, name);
	return path;
}

static const char *const file_names[] = {".aws/credentials", ".aws/config", ".passwd-s3fs",
					 "passwd"};

/* A home directory without files, an environment without variables of ours. */
static int set_up(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	for (i = 0; i < option_count; i++)
		unsetenv(option_table[i].environment);
	for (i = 0; i < sizeof(file_names) / sizeof(file_names[0]); i++)
		unlink(path_of(file_names[i]));
	setenv("HOME", home, 1);
	return 0;
}

static int make_home(void **state)
{
	(void)state;
	return !mkdtemp(home) || mkdir(path_of(".aws"), 0700);
}

static int remove_home(void **state)
{
	set_up(state);
	rmdir(path_of(".aws"));
	return rmdir(home);
}

static void put_file(const char *name, const char *text, mode_t mode)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path_of(name), mode), 0);
}

/* What credentials_load makes of the state of things; the caller frees both. */
static int load(const char *list, struct options *options, struct credentials *credentials,
		struct error *error)
{
	*error = (struct error)ERROR_INIT;
	assert_int_equal(options_init(options, error), 0);
	assert_int_equal(options_parse(options, OPTION_IN_MOUNT, list, error), 0);
	return credentials_load(credentials, options, "bucket", error);
}

static const char credentials_text[] =
	"[default]\naws_access_key_id=AK-default\naws_secret_access_key=s\n"
	"[work]\naws_access_key_id=AK-work\naws_secret_access_key=s\n"
	"aws_session_token=token\n[half]\naws_access_key_id=AK\n";
static const char config_text[] =
	"[default]\nregion=r-default\n"
	"[profile work]\nregion=r-work\nservices=v\nendpoint_url=http://general\n"
	"ca_bundle=/ca\ns3 =\n  addressing_style=path\n"
	"[services v]\ns3 =\n  endpoint_url=http://special\n"
	"[profile role]\nrole_arn=arn:x\nsource_profile=default\n"
	"[profile both]\nrole_arn=arn:x\naws_access_key_id=AK\naws_secret_access_key=s\n"
	"[profile bad]\nendpoint_url=nowhere\n";

enum {
	WITH_ENVIRONMENT = 1,
	WITH_AWS_FILES = 2,
	WITH_HOME_PASSWD = 4,
	WITH_PASSWD = 8,
};

struct chain_case {
	unsigned with;
	const char *list, *profile_variable;
	const char *access_key, *source;
};

static const struct chain_case chain[] = {
	{WITH_ENVIRONMENT, "", NULL, "AK-environment", "environment"},
	{WITH_ENVIRONMENT | WITH_AWS_FILES | WITH_HOME_PASSWD, "", NULL, "AK-environment",
	 "environment"},
	{WITH_ENVIRONMENT | WITH_AWS_FILES, "", "work", "AK-environment", "environment"},
	{WITH_ENVIRONMENT | WITH_AWS_FILES, "profile=work", NULL, "AK-work", "profile work"},
	{WITH_AWS_FILES | WITH_HOME_PASSWD, "", NULL, "AK-default", "profile default"},
	{WITH_AWS_FILES, "", "work", "AK-work", "profile work"},
	{WITH_AWS_FILES, "profile=default", "work", "AK-default", "profile default"},
	{WITH_HOME_PASSWD, "", NULL, "AK-home", NULL},
	{WITH_ENVIRONMENT | WITH_AWS_FILES | WITH_PASSWD, "passwd_file=~/passwd", NULL, "AK-passwd",
	 NULL},
};

static void put_sources(unsigned with)
{
	if (with & WITH_ENVIRONMENT) {
		setenv("AWS_ACCESS_KEY_ID", "AK-environment", 1);
		setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
	}
	if (with & WITH_AWS_FILES) {
		put_file(".aws/credentials", credentials_text, 0600);
		put_file(".aws/config", config_text, 0644);
	}
	if (with & WITH_HOME_PASSWD)
		put_file(".passwd-s3fs", "AK-home:s\n", 0600);
	if (with & WITH_PASSWD)
		put_file("passwd", "XX:yy\nbucket:AK-passwd:s\n", 0600);
}

static void sources_are_asked_in_their_order(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(chain) / sizeof(chain[0]); i++) {
		struct credentials credentials;
		struct options options;
		struct error error;

		set_up(state);
		put_sources(chain[i].with);
		if (chain[i].profile_variable)
			setenv("AWS_PROFILE", chain[i].profile_variable, 1);
		if (load(chain[i].list, &options, &credentials, &error))
			fail_msg("case %zu: %s", i, error.message);
		assert_string_equal(credentials.access_key, chain[i].access_key);
		assert_string_equal(credentials.secret_key, "s");
		assert_false(credentials.anonymous);
		if (chain[i].source)
			assert_string_equal(credentials.source, chain[i].source);
		credentials_free(&credentials);
		options_free(&options);
	}
}

static void anonymous_needs_no_keys_and_ignores_those_that_are_there(void **state)
{
	struct credentials credentials;
	struct options options;
	struct error error;

	(void)state;
	put_sources(WITH_ENVIRONMENT | WITH_AWS_FILES);
	assert_int_equal(load("anonymous", &options, &credentials, &error), 0);
	assert_true(credentials.anonymous);
	assert_null(credentials.access_key);
	assert_string_equal(options.region, "r-default");
	credentials_free(&credentials);
	options_free(&options);
}

static void the_session_token_comes_with_its_keys(void **state)
{
	struct credentials credentials;
	struct options options;
	struct error error;

	(void)state;
	put_sources(WITH_AWS_FILES);
	setenv("AWS_SESSION_TOKEN", "of the environment alone", 1);
	assert_int_equal(load("profile=work", &options, &credentials, &error), 0);
	assert_string_equal(credentials.session_token, "token");
	credentials_free(&credentials);
	options_free(&options);
	assert_int_equal(load("", &options, &credentials, &error), 0);
	assert_null(credentials.session_token);
	credentials_free(&credentials);
	options_free(&options);
}

static void the_profile_fills_what_options_leave_open(void **state)
{
	struct credentials credentials;
	struct options options;
	struct error error;

	(void)state;
	put_sources(WITH_AWS_FILES);
	assert_int_equal(load("profile=work", &options, &credentials, &error), 0);
	assert_string_equal(options.region, "r-work");
	assert_string_equal(options.endpoint, "http://special");
	assert_string_equal(options.ca_file, "/ca");
	assert_int_equal(options.path_style, PATH_STYLE_ON);
	assert_false(options_given(&options, "region"));
	credentials_free(&credentials);
	options_free(&options);

	setenv("AWS_REGION", "r-environment", 1);
	assert_int_equal(load("profile=work,endpoint=http://mine,ca_file=/mine,path_style=auto",
			      &options, &credentials, &error),
			 0);
	assert_string_equal(options.region, "r-environment");
	assert_string_equal(options.endpoint, "http://mine");
	assert_string_equal(options.ca_file, "/mine");
	assert_int_equal(options.path_style, PATH_STYLE_AUTO);
	credentials_free(&credentials);
	options_free(&options);

	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	assert_int_equal(load("profile=work", &options, &credentials, &error), 0);
	assert_null(options.endpoint);
	credentials_free(&credentials);
	options_free(&options);
}

static void files_may_be_elsewhere(void **state)
{
	struct credentials credentials;
	struct options options;
	struct error error;

	(void)state;
	put_file("passwd", credentials_text, 0600);
	setenv("AWS_SHARED_CREDENTIALS_FILE", path_of("passwd"), 1);
	assert_int_equal(load("", &options, &credentials, &error), 0);
	assert_string_equal(credentials.access_key, "AK-default");
	credentials_free(&credentials);
	options_free(&options);
}

struct error_case {
	unsigned with;
	const char *list;
	const char *variables[4]; /* name, value, .. */
	int code;
	const char *message;
};

static const struct error_case errors[] = {
	{0,
	 "",
	 {NULL},
	 -ENOENT,
	 "no credentials found for bucket 'bucket'; set AWS_ACCESS_KEY_ID and"},
	{0, "profile=work", {NULL}, -ENOENT, "there is no profile 'work' in "},
	{0, "", {"AWS_PROFILE", "work"}, -ENOENT, "there is no profile 'work' in "},
	{WITH_AWS_FILES,
	 "profile=half",
	 {NULL},
	 -EINVAL,
	 "profile 'half' has aws_access_key_id but no aws_secret_access_key"},
	{WITH_AWS_FILES, "profile=role", {NULL}, -EINVAL, "takes its keys from role_arn"},
	{WITH_AWS_FILES,
	 "profile=both",
	 {NULL},
	 -EINVAL,
	 "profile 'both' takes its keys from role_arn"},
	{WITH_AWS_FILES,
	 "profile=bad",
	 {NULL},
	 -EINVAL,
	 "profile 'bad', setting endpoint_url: option 'endpoint': 'nowhere' is not accepted"},
	{0,
	 "",
	 {"AWS_ACCESS_KEY_ID", "x"},
	 -EINVAL,
	 "AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY"},
	{0,
	 "",
	 {"AWS_SECRET_ACCESS_KEY", "hunter2"},
	 -EINVAL,
	 "AWS_SECRET_ACCESS_KEY is set but AWS_ACC"},
	{0,
	 "",
	 {"AWS_ACCESS_KEY_ID", "x", "AWS_SECRET_ACCESS_KEY", "hunter2\n"},
	 -EINVAL,
	 "environment: white space"},
	{WITH_ENVIRONMENT,
	 "passwd_file=/nonexistent/file",
	 {NULL},
	 -ENOENT,
	 "option 'passwd_file': cannot open /nonexistent/file: No such file or directory"},
	{WITH_ENVIRONMENT, "passwd_file=/etc", {NULL}, -EINVAL, "/etc is not a regular file"},
	{0, "anonymous,passwd_file=/x", {NULL}, -EINVAL, "exclude each other"},
};

static void what_is_missing_or_wrong_is_said(void **state)
{
	size_t i, k;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct credentials credentials;
		struct options options;
		struct error error;
		int code;

		if (i == 0 && access("/etc/passwd-s3fs", F_OK) == 0)
			continue; /* this machine has keys for everyone */
		set_up(state);
		put_sources(errors[i].with);
		for (k = 0; k < 4 && errors[i].variables[k]; k += 2)
			setenv(errors[i].variables[k], errors[i].variables[k + 1], 1);
		code = load(errors[i].list, &options, &credentials, &error);
		if (code != errors[i].code || !strstr(error.message, errors[i].message))
			fail_msg("case %zu: %d, %s", i, code, error.message);
		assert_int_equal(error.code, code);
		assert_null(strstr(error.message, "hunter2"));
		assert_null(credentials.access_key);
		options_free(&options);
	}
}

static void a_file_with_keys_that_others_may_read_is_refused(void **state)
{
	static const mode_t modes[] = {0644, 0640, 0604, 0660, 0602};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct credentials credentials;
		struct options options;
		struct error error;
		char command[300];

		put_file("passwd", "AK:hunter2\n", modes[i]);
		snprintf(command, sizeof(command), "run: chmod 600 %s", path_of("passwd"));
		assert_int_equal(load("passwd_file=~/passwd", &options, &credentials, &error),
				 -EACCES);
		assert_int_equal(error.code, -EACCES);
		assert_non_null(strstr(error.message, command));
		options_free(&options);
		unlink(path_of("passwd"));
	}
	/* Not asked for by name, and still not passed over in silence. */
	put_file(".passwd-s3fs", "AK:hunter2\n", 0644);
	{
		struct credentials credentials;
		struct options options;
		struct error error;

		assert_int_equal(load("", &options, &credentials, &error), -EACCES);
		assert_non_null(strstr(error.message, "run: chmod 600 "));
		options_free(&options);
	}
}

static void a_file_of_wrong_content_or_size_is_refused(void **state)
{
	struct error error = ERROR_INIT;
	char *text;
	FILE *file;

	(void)state;
	put_file("passwd", "", 0600);
	assert_int_equal(secret_file_read(path_of("passwd"), 077, &text, &error), 0);
	assert_string_equal(text, "");
	secret_free(text);
	file = fopen(path_of("passwd"), "w");
	assert_non_null(file);
	assert_int_equal(fwrite("a\0b", 1, 3, file), 3);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(secret_file_read(path_of("passwd"), 077, &text, &error), -EINVAL);
	assert_null(text);
	assert_non_null(strstr(error.message, "NUL"));
	error = (struct error)ERROR_INIT;
	assert_int_equal(truncate(path_of("passwd"), SECRET_FILE_BYTES_MAX + 1), 0);
	assert_int_equal(secret_file_read(path_of("passwd"), 077, &text, &error), -EINVAL);
	assert_non_null(strstr(error.message, "bigger than"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(sources_are_asked_in_their_order),
		TEST(anonymous_needs_no_keys_and_ignores_those_that_are_there),
		TEST(the_session_token_comes_with_its_keys),
		TEST(the_profile_fills_what_options_leave_open),
		TEST(files_may_be_elsewhere),
		TEST(what_is_missing_or_wrong_is_said),
		TEST(a_file_with_keys_that_others_may_read_is_refused),
		TEST(a_file_of_wrong_content_or_size_is_refused),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
