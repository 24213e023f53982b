/* main.c — s3mount: the process around a mount, and the commands that look after one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/manual.h"
#include "fs/cli.h"
#include "fs/control.h"
#include "fs/mount.h"

/* Exit status of a mount that has left changes in its cache; see mount.h. */
enum { EXIT_LEFT = 3 };

/* Keys are in memory: no core file, no ptrace by others. */
static void harden(void)
{
	struct rlimit none = {0, 0}, files;

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

struct notice {
	int ready_fd, parent_fd; /* -1: none */
};

static void say(int fd)
{
	if (fd < 0)
		return;
	if (write(fd, "ok\n", 3) != 3)
		log_debug("nobody waits to hear that the mount is ready");
	close(fd);
}

static void ready(void *context)
{
	struct notice *notice = context;
	int null;

	say(notice->ready_fd);
	if (notice->parent_fd >= 0) { /* in the background nothing of the terminal is held */
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (null > 2)
			close(null);
	}
	say(notice->parent_fd);
}

/* Waits for the child to be mounted or to fail; its message has been printed by itself. */
static int await_child(pid_t child, int fd)
{
	char answer[3];
	int status;

	if (read(fd, answer, sizeof(answer)) == (ssize_t)sizeof(answer))
		return EXIT_SUCCESS;
	if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status))
		return WEXITSTATUS(status);
	return EXIT_FAILURE;
}

static int open_log(const struct cli *cli)
{
	const struct options *options = &cli->options;
	enum log_level level = options->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;

	if (options->log)
		return log_open("s3mount", LOG_TARGET_FILE, options->log, level);
	return log_open("s3mount", cli->foreground ? LOG_TARGET_STDERR : LOG_TARGET_SYSLOG, NULL,
	                level);
}

static int mount_command(struct cli *cli)
{
	struct notice notice = {cli->ready_fd, -1};
	struct error error = ERROR_INIT;
	int pipe_fds[2], err;
	pid_t child;

	harden();
	err = open_log(cli);
	if (err) {
		fprintf(stderr, "s3mount: cannot open the log %s: %s\n", cli->options.log,
		        strerror(-err));
		return EXIT_FAILURE;
	}
	if (!cli->foreground) {
		if (pipe2(pipe_fds, O_CLOEXEC) || (child = fork()) < 0) {
			fprintf(stderr, "s3mount: cannot start: %s\n", strerror(errno));
			return EXIT_FAILURE;
		}
		if (child > 0) {
			close(pipe_fds[1]);
			return await_child(child, pipe_fds[0]);
		}
		close(pipe_fds[0]);
		notice.parent_fd = pipe_fds[1];
		setsid();
	}
	err = mount_run(cli, ready, &notice, &error);
	if (err == MOUNT_LEFT)
		return EXIT_LEFT;
	if (err)
		fprintf(stderr, "s3mount: %s\n", error.message[0] ? error.message : strerror(-err));
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
	struct error error = ERROR_INIT;
	struct cli cli;
	int status = EXIT_SUCCESS;

	if (cli_parse(argc, argv, &cli, &error)) {
		fprintf(stderr, "s3mount: %s\n", error.message);
		return CLI_EXIT_USAGE;
	}
	switch (cli.command) {
	case CLI_HELP: manual_print_help(stdout); break;
	case CLI_VERSION: printf("s3mount %s\n", S3MOUNT_VERSION); break;
	case CLI_MAN: manual_print(stdout, S3MOUNT_VERSION); break;
	case CLI_SYNC: status = control_sync(cli.directory, cli.timeout); break;
	case CLI_STATUS: status = control_status(cli.directory, cli.json); break;
	case CLI_MOUNT: status = mount_command(&cli); break;
	}
	cli_free(&cli);
	return status;
}
