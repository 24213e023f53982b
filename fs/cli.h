/* cli.h — what the command line of s3mount asks for.
 *
 * s3mount BUCKET[:PREFIX] DIR [-o opt,..] [-f] [-d]   also as mount(8) and mount.fuse3(8) call it
 * s3mount sync DIR [--timeout SECONDS]
 * s3mount status DIR [--json]
 * s3mount recover DIR [--to DIRECTORY [--forget]] [--json] [-o opt,..]
 * s3mount --help | --version | --man
 *
 * Flags may stand before, between and after the operands; "--" ends them. sync, status and recover
 * are commands only as the first argument; a bucket of that name is written "sync:". Pure but for
 * the environment that options_init reads. Any thread.
 */
#ifndef FS_CLI_H
#define FS_CLI_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/options.h"

enum { CLI_EXIT_USAGE = 2 }; /* exit status for a wrong command line */

enum cli_command { CLI_MOUNT, CLI_SYNC, CLI_STATUS, CLI_RECOVER, CLI_HELP, CLI_VERSION, CLI_MAN };

struct cli {
	enum cli_command command;
	char *bucket;		/* CLI_MOUNT; checked */
	char *directory;	/* of every command; as it was given */
	char *to;		/* CLI_RECOVER; NULL: none was given */
	struct options options; /* CLI_MOUNT, CLI_RECOVER; prefix merged from BUCKET:PREFIX, debug
				   from -d */
	bool foreground;
	bool forget, json;
	int ready_fd;	 /* "ok\n" goes there once mounted; -1: none */
	int64_t timeout; /* CLI_SYNC, ns; -1: none was given */
};

/* cli needs no preparation. On success the caller ends it with cli_free; on error nothing is left
 * to free. Errors: -EINVAL with the one message for the user, -ENOMEM. */
int cli_parse(int argc, char *const argv[], struct cli *cli, struct error *error);
void cli_free(struct cli *cli);

#endif
