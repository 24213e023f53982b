#include "fs/control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/json.h"
#include "fs/front/front.h"

/* A mount answers at once, whatever S3 does; this is for one that is stopped or on a disk that
 * hangs.
 */
enum { ANSWER_SECONDS = 10 };

static int open_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		fprintf(stderr, "s3mount: cannot open %s: %s\n", directory, strerror(errno));
	return fd;
}

/* Errors: prints why. */
static int get_status(int fd, const char *directory, struct front_status *status)
{
	if (ioctl(fd, FRONT_IOCTL_STATUS, status) == 0)
		return 0;
	if (errno == ENOTTY || errno == ENOSYS || errno == EINVAL)
		fprintf(stderr, "s3mount: %s is not below an s3mount mount point\n", directory);
	else
		fprintf(stderr, "s3mount: %s does not answer: %s\n", directory, strerror(errno));
	return -errno;
}

static void on_alarm(int signal_number)
{
	(void)signal_number; /* its only use is to interrupt the ioctl */
}

/* What is asked of a mount runs in a child: a process that waits for a mount which does not answer
 * at all can only be killed. limit: seconds; 0: none. */
static int run_limited(int (*run)(const char *directory, int64_t argument), const char *directory,
		       int64_t argument, int64_t limit)
{
	struct timespec timeout = {.tv_sec = limit};
	sigset_t child_ended;
	int status = 0;
	pid_t child;

	sigemptyset(&child_ended);
	sigaddset(&child_ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_ended, NULL);
	child = limit > 0 ? fork() : -1;
	if (child < 0)
		return run(directory, argument);
	if (child == 0) {
		status = run(directory, argument);
		fflush(stdout);
		_exit(status);
	}
	while (sigtimedwait(&child_ended, NULL, &timeout) < 0 && errno == EINTR)
		;
	if (waitpid(child, &status, WNOHANG) == child)
		return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
	kill(child, SIGKILL);
	fprintf(stderr,
		"s3mount: %s does not answer within %lld s: its process hangs or is stopped\n",
		directory, (long long)limit);
	return EXIT_FAILURE;
}

static int sync_now(const char *directory, int64_t timeout)
{
	struct front_status status;
	struct sigaction action = {.sa_handler = on_alarm};
	struct itimerval timer = {0};
	int fd = open_directory(directory), err;

	if (fd < 0)
		return EXIT_FAILURE;
	if (get_status(fd, directory, &status)) {
		close(fd);
		return EXIT_FAILURE;
	}
	if (timeout > 0) {
		sigaction(SIGALRM, &action, NULL);
		timer.it_value.tv_sec = timeout / 1000000000;
		timer.it_value.tv_usec = timeout % 1000000000 / 1000;
		setitimer(ITIMER_REAL, &timer, NULL);
	}
	err = ioctl(fd, FRONT_IOCTL_SYNC) ? errno : 0;
	close(fd);
	if (!err)
		return EXIT_SUCCESS;
	if (err == EINTR)
		fprintf(stderr,
			"s3mount: not everything below %s is in S3 yet; `s3mount status %s` tells "
			"what\n",
			directory, directory);
	else
		fprintf(stderr,
			"s3mount: not everything below %s reached S3: %s; `s3mount status %s` "
			"tells why\n",
			directory, strerror(err), directory);
	return EXIT_FAILURE;
}

static void print_file(const struct json *file)
{
	const char *error = json_string(json_member(file, "error"));
	const char *state = json_string(json_member(file, "state"));

	printf("%-12s %s (%.0f bytes, for %.0f s)", state ? state : "pending",
	       json_string(json_member(file, "key")), json_number(json_member(file, "bytes"), 0),
	       json_number(json_member(file, "age"), 0));
	if (json_number(json_member(file, "attempts_failed"), 0) > 0)
		printf(", %.0f failed attempts",
		       json_number(json_member(file, "attempts_failed"), 0));
	if (json_number(json_member(file, "retry_in"), -1) >= 0)
		printf(", the next in %.0f s", json_number(json_member(file, "retry_in"), 0));
	printf("%s%s\n", error ? ": " : "", error ? error : "");
}

static void print_status(const struct json *root)
{
	const struct json *pending = json_member(root, "pending");
	const char *error = json_string(json_member(root, "last_error"));
	const char *refused = json_string(json_member(root, "writes_refused_because"));
	double dirty = json_number(json_member(root, "dirty_files"), 0);

	printf("volume       %s\n", json_string(json_member(root, "volume")));
	if (json_bool(json_member(root, "damaged"), false))
		printf("state        the journal in %s is damaged: what it holds is not known\n",
		       json_string(json_member(root, "cache_directory")));
	else if (dirty == 0)
		printf("state        everything is in S3\n");
	else
		printf("state        %.0f files with %.0f changed bytes are not in S3 yet, the "
		       "oldest "
		       "for %.0f s\n"
		       "queue        %.0f uploading, %.0f waiting, %.0f open, %.0f blocked\n",
		       dirty, json_number(json_member(root, "dirty_bytes"), 0),
		       json_number(json_member(root, "oldest_dirty_age"), 0),
		       json_number(json_member(root, "uploading"), 0),
		       json_number(json_member(root, "waiting"), 0),
		       json_number(json_member(root, "open"), 0),
		       json_number(json_member(root, "blocked"), 0));
	printf("cache        %.0f of %.0f bytes\n", json_number(json_member(root, "cache_used"), 0),
	       json_number(json_member(root, "cache_limit"), 0));
	if (json_number(json_member(root, "parked"), 0) > 0)
		printf("parked       %.0f files that a power loss left in doubt; `s3mount recover` "
		       "exports them from %s\n",
		       json_number(json_member(root, "parked"), 0),
		       json_string(json_member(root, "cache_directory")));
	printf("published    %.0f, conflicts %.0f, failed attempts %.0f\n",
	       json_number(json_member(root, "published"), 0),
	       json_number(json_member(root, "conflicts"), 0),
	       json_number(json_member(root, "failures"), 0));
	printf("writes       %s%s\n", refused ? "are refused: " : "are accepted",
	       refused ? refused : "");
	printf("last error   %s\n", error ? error : "none");
	for (size_t i = 0; i < json_count(pending); i++)
		print_file(json_item(pending, i));
	if (json_count(pending) < (size_t)dirty)
		printf("and %.0f more\n", dirty - (double)json_count(pending));
}

static int status_now(const char *directory, int64_t as_json)
{
	struct front_status status;
	struct json *root;
	int fd = open_directory(directory), err;

	if (fd < 0)
		return EXIT_FAILURE;
	err = get_status(fd, directory, &status);
	close(fd);
	if (err)
		return EXIT_FAILURE;
	status.json[FRONT_STATUS_BYTES - 1] = '\0';
	if (as_json) {
		puts(status.json);
		return EXIT_SUCCESS;
	}
	root = json_parse(status.json, strlen(status.json));
	if (!root) {
		fprintf(stderr,
			"s3mount: the mount's answer cannot be read; versions may differ\n");
		return EXIT_FAILURE;
	}
	print_status(root);
	json_free(root);
	return EXIT_SUCCESS;
}

int control_sync(const char *directory, int64_t timeout)
{
	return run_limited(sync_now, directory, timeout,
			   timeout > 0 ? timeout / 1000000000 + ANSWER_SECONDS : 0);
}

int control_status(const char *directory, bool json)
{
	return run_limited(status_now, directory, json, ANSWER_SECONDS);
}
