#include "fs/cli.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/bucket_name.h"
#include "common/option_text.h"

#define NS_PER_SECOND INT64_C(1000000000)

enum { OPERANDS_MAX = 2, TIMEOUT_SECONDS_MAX = 7 * 86400 };

enum flag {
	FLAG_OPTIONS,
	FLAG_FOREGROUND,
	FLAG_DEBUG,
	FLAG_HELP,
	FLAG_VERSION,
	FLAG_MAN,
	FLAG_READY_FD,
	FLAG_TIMEOUT,
	FLAG_JSON,
	FLAG_TO,
	FLAG_FORGET,
	FLAG_IGNORED,
	FLAG_IGNORED_VALUE,
};

#define FOR(command) (1U << (command))
#define FOR_ANY	     (FOR(CLI_MOUNT) | FOR(CLI_SYNC) | FOR(CLI_STATUS) | FOR(CLI_RECOVER))

struct flag_spec {
	char letter;	   /* '\0': none */
	const char *name;  /* without "--"; NULL: none */
	const char *value; /* what it is, for messages; NULL: takes none */
	enum flag flag;
	unsigned commands; /* FOR(..) */
};

/* -n, -s, -v and -t come from mount(8) to the helper /sbin/mount.fuse.s3mount. */
static const struct flag_spec flags[] = {
	{'o', "options", "OPTIONS", FLAG_OPTIONS, FOR(CLI_MOUNT) | FOR(CLI_RECOVER)},
	{'f', "foreground", NULL, FLAG_FOREGROUND, FOR(CLI_MOUNT)},
	{'d', "debug", NULL, FLAG_DEBUG, FOR(CLI_MOUNT)},
	{'h', "help", NULL, FLAG_HELP, FOR_ANY},
	{'V', "version", NULL, FLAG_VERSION, FOR_ANY},
	{'\0', "man", NULL, FLAG_MAN, FOR_ANY},
	{'\0', "ready-fd", "NUMBER", FLAG_READY_FD, FOR(CLI_MOUNT)},
	{'\0', "timeout", "SECONDS", FLAG_TIMEOUT, FOR(CLI_SYNC)},
	{'\0', "json", NULL, FLAG_JSON, FOR(CLI_STATUS) | FOR(CLI_RECOVER)},
	{'\0', "to", "DIRECTORY", FLAG_TO, FOR(CLI_RECOVER)},
	{'\0', "forget", NULL, FLAG_FORGET, FOR(CLI_RECOVER)},
	{'n', NULL, NULL, FLAG_IGNORED, FOR(CLI_MOUNT)},
	{'s', NULL, NULL, FLAG_IGNORED, FOR(CLI_MOUNT)},
	{'v', NULL, NULL, FLAG_IGNORED, FOR(CLI_MOUNT)},
	{'t', NULL, "TYPE", FLAG_IGNORED_VALUE, FOR(CLI_MOUNT)},
};

struct parser {
	int argc;
	char *const *argv;
	int at; /* argument that is read next */
	const char *operands[OPERANDS_MAX];
	int operand_count;
	bool flags_ended;
	struct cli *cli;
	struct error *error;
};

static const char *command_word(const struct cli *cli)
{
	return cli->command == CLI_SYNC	     ? "s3mount sync"
	       : cli->command == CLI_STATUS  ? "s3mount status"
	       : cli->command == CLI_RECOVER ? "s3mount recover"
					     : "s3mount";
}

static int usage(const struct parser *parser, const char *what, const char *argument)
{
	static const char *const usages[] = {
		[CLI_MOUNT] = "s3mount BUCKET[:PREFIX] DIR [-o opt,..]",
		[CLI_SYNC] = "s3mount sync DIR [--timeout SECONDS]",
		[CLI_STATUS] = "s3mount status DIR [--json]",
		[CLI_RECOVER] =
			"s3mount recover DIR [--to DIRECTORY [--forget]] [--json] [-o opt,..]",
	};

	return error_set(parser->error, -EINVAL, "%s%s%.64s%s; usage: %s", what,
			 argument ? " '" : "", argument ? argument : "", argument ? "'" : "",
			 usages[parser->cli->command]);
}

static int bad_value(const struct parser *parser, const char *flag, const char *value,
		     const char *accepted)
{
	return error_set(parser->error, -EINVAL, "--%s: '%.64s' is not accepted; accepted: %s",
			 flag, value, accepted);
}

static int parse_timeout(struct parser *parser, const char *value)
{
	int64_t seconds;

	if (parse_int(value, 0, TIMEOUT_SECONDS_MAX, &seconds))
		return bad_value(parser, "timeout", value, "whole seconds from 0 to 604800");
	parser->cli->timeout = seconds * NS_PER_SECOND;
	return 0;
}

static int parse_ready_fd(struct parser *parser, const char *value)
{
	int64_t fd;

	if (parse_int(value, 0, INT_MAX, &fd))
		return bad_value(parser, "ready-fd", value,
				 "the number of an open file descriptor");
	parser->cli->ready_fd = (int)fd;
	return 0;
}

/* The helper of mount(8) is called with -f for a dry run, which would leave a real mount behind. */
static bool is_mount_helper(const struct parser *parser)
{
	const char *slash = strrchr(parser->argv[0], '/');

	return string_has_prefix(slash ? slash + 1 : parser->argv[0], "mount.");
}

static int apply(struct parser *parser, const struct flag_spec *spec, const char *value)
{
	struct cli *cli = parser->cli;

	switch (spec->flag) {
	case FLAG_OPTIONS:
		return options_parse(&cli->options, OPTION_IN_MOUNT, value, parser->error);
	case FLAG_FOREGROUND:
		if (is_mount_helper(parser))
			return error_set(parser->error, -EINVAL,
					 "mount -f (a dry run) is not supported");
		cli->foreground = true;
		return 0;
	case FLAG_DEBUG:
		cli->foreground = true;
		return options_set(&cli->options, OPTION_IN_MOUNT, "debug", NULL, parser->error);
	case FLAG_HELP: cli->command = CLI_HELP; return 0;
	case FLAG_VERSION: cli->command = CLI_VERSION; return 0;
	case FLAG_MAN: cli->command = CLI_MAN; return 0;
	case FLAG_READY_FD: return parse_ready_fd(parser, value);
	case FLAG_TIMEOUT: return parse_timeout(parser, value);
	case FLAG_JSON: cli->json = true; return 0;
	case FLAG_FORGET: cli->forget = true; return 0;
	case FLAG_TO:
		free(cli->to);
		cli->to = string_copy(value);
		return cli->to ? 0 : error_set(parser->error, -ENOMEM, "out of memory");
	case FLAG_IGNORED:
	case FLAG_IGNORED_VALUE: return 0;
	}
	return 0;
}

static bool is_information(const struct cli *cli)
{
	return cli->command == CLI_HELP || cli->command == CLI_VERSION || cli->command == CLI_MAN;
}

static int take_value(struct parser *parser, const struct flag_spec *spec, const char *argument,
		      const char **value)
{
	if (parser->at >= parser->argc)
		return error_set(parser->error, -EINVAL, "%.64s needs a value: %s", argument,
				 spec->value);
	*value = parser->argv[parser->at++];
	return 0;
}

static int unknown_flag(const struct parser *parser, const char *argument)
{
	char name[64];
	const struct option_spec *option;
	size_t i;

	/* The first error of people who know other tools: --endpoint=URL. */
	for (i = 0; i < sizeof(name) - 1 && argument[2 + i] && argument[2 + i] != '='; i++)
		name[i] = argument[2 + i] == '-' ? '_' : argument[2 + i];
	name[i] = '\0';
	option = option_find(name);
	if (option)
		return error_set(parser->error, -EINVAL,
				 "unknown flag '--%s'; it is written -o %s%s%s", name, option->name,
				 option->type == OPTION_FLAG ? "" : "=",
				 option->type == OPTION_FLAG ? ""
				 : option->unit		     ? option->unit
							     : "VALUE");
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (flags[i].name && edit_distance(name, flags[i].name, 3) < 3)
			return error_set(parser->error, -EINVAL,
					 "unknown flag '--%s'; did you mean '--%s'?", name,
					 flags[i].name);
	}
	return error_set(parser->error, -EINVAL, "unknown flag '--%s'; see %s --help", name,
			 command_word(parser->cli));
}

static int check_command(const struct parser *parser, const struct flag_spec *spec,
			 const char *argument)
{
	if (spec->commands & FOR(parser->cli->command))
		return 0;
	return error_set(parser->error, -EINVAL, "%.64s is no flag of %s", argument,
			 parser->cli->command == CLI_MOUNT ? "mounting"
							   : command_word(parser->cli));
}

static int parse_long(struct parser *parser, const char *argument)
{
	size_t i, len = strcspn(argument + 2, "=");

	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		const struct flag_spec *spec = &flags[i];
		const char *value = argument[2 + len] == '=' ? argument + 2 + len + 1 : NULL;
		int err;

		if (!spec->name || strlen(spec->name) != len ||
		    strncmp(argument + 2, spec->name, len) != 0)
			continue;
		err = check_command(parser, spec, argument);
		if (!err && value && !spec->value)
			err = error_set(parser->error, -EINVAL, "--%s takes no value", spec->name);
		if (!err && !value && spec->value)
			err = take_value(parser, spec, argument, &value);
		return err ? err : apply(parser, spec, value);
	}
	return unknown_flag(parser, argument);
}

static int parse_letters(struct parser *parser, const char *argument)
{
	const char *letter;

	for (letter = argument + 1; *letter; letter++) {
		const char name[] = {'-', *letter, '\0'};
		const struct flag_spec *spec = NULL;
		const char *value = NULL;
		size_t i;
		int err;

		for (i = 0; i < sizeof(flags) / sizeof(flags[0]) && !spec; i++) {
			if (flags[i].letter == *letter)
				spec = &flags[i];
		}
		if (!spec)
			return error_set(parser->error, -EINVAL, "unknown flag '%s'; see %s --help",
					 name, command_word(parser->cli));
		err = check_command(parser, spec, name);
		if (!err && spec->value && letter[1])
			value = letter + 1;
		else if (!err && spec->value)
			err = take_value(parser, spec, name, &value);
		if (!err)
			err = apply(parser, spec, value);
		if (err || value || is_information(parser->cli))
			return err;
	}
	return 0;
}

static int parse_argument(struct parser *parser)
{
	const char *argument = parser->argv[parser->at++];

	if (!parser->flags_ended && argument[0] == '-' && argument[1]) {
		if (strcmp(argument, "--") == 0) {
			parser->flags_ended = true;
			return 0;
		}
		return argument[1] == '-' ? parse_long(parser, argument)
					  : parse_letters(parser, argument);
	}
	if (parser->operand_count == (parser->cli->command == CLI_MOUNT ? 2 : 1))
		return usage(parser, "one argument too many:", argument);
	parser->operands[parser->operand_count++] = argument;
	return 0;
}

/* BUCKET:PREFIX says more clearly than the environment which part is meant; -o prefix must agree.
 */
static int set_prefix(struct cli *cli, const char *prefix, struct error *error)
{
	char *given = NULL;
	int err;

	if (options_given(&cli->options, "prefix")) {
		given = cli->options.prefix;
		cli->options.prefix = NULL;
	}
	err = options_set(&cli->options, OPTION_IN_MOUNT, "prefix", prefix, error);
	if (!err && given && strcmp(given, cli->options.prefix) != 0)
		err = error_set(error, -EINVAL,
				"two prefixes, '%.200s' with the bucket and '%.200s' as an option; "
				"give one",
				cli->options.prefix, given);
	free(given);
	return err;
}

static int set_bucket(struct cli *cli, const char *operand, struct error *error)
{
	const char *colon = strchr(operand, ':');
	size_t len = colon ? (size_t)(colon - operand) : strlen(operand);

	/* s3://bucket is for bucket_name_check to explain. */
	if (string_has_prefix(operand, "s3://"))
		return bucket_name_check(operand, error);
	cli->bucket = strndup(operand, len);
	if (!cli->bucket)
		return error_set(error, -ENOMEM, "out of memory");
	if (bucket_name_check(cli->bucket, error))
		return -EINVAL;
	return colon && colon[1] ? set_prefix(cli, colon + 1, error) : 0;
}

static int take_operands(struct parser *parser)
{
	struct cli *cli = parser->cli;
	const char *directory = parser->operands[cli->command == CLI_MOUNT ? 1 : 0];
	int err = 0;

	if (parser->operand_count == 0)
		return usage(parser,
			     cli->command == CLI_MOUNT ? "bucket and directory are missing"
						       : "the directory is missing",
			     NULL);
	if (!directory)
		return usage(parser, "the directory is missing after", parser->operands[0]);
	if (*directory == '\0')
		return usage(parser, "the directory is empty", NULL);
	if (cli->command == CLI_MOUNT)
		err = set_bucket(cli, parser->operands[0], parser->error);
	if (err)
		return err;
	cli->directory = string_copy(directory);
	return cli->directory ? 0 : error_set(parser->error, -ENOMEM, "out of memory");
}

int cli_parse(int argc, char *const argv[], struct cli *cli, struct error *error)
{
	struct parser parser = {.argc = argc, .argv = argv, .at = 1, .cli = cli, .error = error};
	struct error environment = ERROR_INIT;
	int err = 0;

	memset(cli, 0, sizeof(*cli));
	cli->ready_fd = -1;
	cli->timeout = -1;
	if (argc > 1 && strcmp(argv[1], "sync") == 0)
		cli->command = CLI_SYNC;
	else if (argc > 1 && strcmp(argv[1], "status") == 0)
		cli->command = CLI_STATUS;
	else if (argc > 1 && strcmp(argv[1], "recover") == 0)
		cli->command = CLI_RECOVER;
	/* A wrong variable must not take --help away from who wants to repair it. */
	if (cli->command == CLI_MOUNT || cli->command == CLI_RECOVER)
		options_init(&cli->options, &environment);
	if (cli->command != CLI_MOUNT)
		parser.at = 2;
	while (!err && parser.at < argc && !is_information(cli))
		err = parse_argument(&parser);
	if (!err && !is_information(cli))
		err = take_operands(&parser);
	if (!err && !is_information(cli) && environment.code)
		err = error_set(error, environment.code, "%s", environment.message);
	if (err)
		cli_free(cli);
	return err;
}

void cli_free(struct cli *cli)
{
	options_free(&cli->options);
	free(cli->bucket);
	free(cli->directory);
	free(cli->to);
	memset(cli, 0, sizeof(*cli));
}
