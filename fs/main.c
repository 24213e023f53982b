/* main.c — s3mount: the process around a mount, and the commands that look after one. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/harden.h"
#include "common/log.h"
#include "common/manual.h"
#include "fs/cli.h"
#include "fs/control.h"
#include "fs/mount.h"
#include "fs/recover.h"

/* Exit status of a mount that has left changes in its cache; see mount.h. */
enum { EXIT_LEFT = 3 };

/* Each file in use and each connection takes a descriptor; the usual soft limit is 1024. */
static void raise_descriptor_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		log_debug("the limit of open files stays as it is: %s", strerror(errno));
}

/* A caller may have closed some of 0, 1 and 2: nothing of ours may become one of them. */
static void occupy_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

struct notice {
	int ready_fd, parent_fd; /* -1: none */
	bool keeps_stderr;	 /* the log goes there, because the user said so */
};

static void say(int fd)
{
	if (fd < 0)
		return;
	if (write(fd, "ok\n", 3) != 3)
		log_debug("nobody waits to hear that the mount is ready");
	close(fd);
}

/* In the background nothing of the terminal is held, nor the directory that it was started in. By
 * now every path is absolute: options.h makes those of options so, mount.h the mount point. */
static void let_go(bool keeps_stderr)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (chdir("/") < 0)
		log_warning("cannot leave the directory it was started in: %s", strerror(errno));
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (!keeps_stderr)
		dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

static void ready(void *context, const char *text)
{
	struct notice *notice = context;

	say(notice->ready_fd);
	/* In the foreground the log is what the user reads. */
	if (text && notice->parent_fd >= 0 && !notice->keeps_stderr)
		fprintf(stderr, "s3mount: %s\n", text);
	if (notice->parent_fd >= 0)
		let_go(notice->keeps_stderr);
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

static bool logs_to(const struct cli *cli, const char *target)
{
	return cli->options.log && strcmp(cli->options.log, target) == 0;
}

static int open_log(const struct cli *cli)
{
	enum log_level level = cli->options.debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
	enum log_target target = cli->foreground ? LOG_TARGET_STDERR : LOG_TARGET_SYSLOG;

	if (logs_to(cli, "stderr"))
		target = LOG_TARGET_STDERR;
	else if (logs_to(cli, "syslog"))
		target = LOG_TARGET_SYSLOG;
	else if (cli->options.log)
		target = LOG_TARGET_FILE;
	return log_open("s3mount", target, cli->options.log, level);
}

/* true in the process that is to mount. In the one that has waited for it: false, and its exit
 * status. */
static bool go_into_background(struct notice *notice, int *status)
{
	int pipe_fds[2];
	pid_t child;

	if (pipe2(pipe_fds, O_CLOEXEC) || (child = fork()) < 0) {
		fprintf(stderr, "s3mount: cannot start: %s\n", strerror(errno));
		*status = EXIT_FAILURE;
		return false;
	}
	if (child > 0) {
		close(pipe_fds[1]);
		*status = await_child(child, pipe_fds[0]);
		return false;
	}
	close(pipe_fds[0]);
	notice->parent_fd = pipe_fds[1];
	setsid();
	return true;
}

static int mount_command(struct cli *cli)
{
	struct notice notice = {cli->ready_fd, -1, logs_to(cli, "stderr")};
	struct error error = ERROR_INIT;
	int status, err, hardened = process_harden();

	occupy_standard_descriptors();
	err = open_log(cli);
	if (err) {
		fprintf(stderr, "s3mount: cannot open the log %s: %s\n", cli->options.log,
			strerror(-err));
		return EXIT_FAILURE;
	}
	if (hardened)
		log_warning("core files and other processes may show the keys: %s",
			    strerror(-hardened));
	raise_descriptor_limit();
	if (!cli->foreground && !go_into_background(&notice, &status))
		return status;
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
	case CLI_RECOVER:
		status = recover_run(cli.directory, cli.to, cli.forget, &cli.options, cli.json);
		break;
	case CLI_MOUNT: status = mount_command(&cli); break;
	}
	cli_free(&cli);
	return status;
}
