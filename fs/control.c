#include "fs/control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/json.h"
#include "fs/front/front.h"

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

int control_sync(const char *directory, int64_t timeout)
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

static void print_status(const struct json *root)
{
	const struct json *pending = json_member(root, "pending");
	const char *error = json_string(json_member(root, "last_error"));
	double dirty = json_number(json_member(root, "dirty_files"), 0);

	printf("volume       %s\n", json_string(json_member(root, "volume")));
	if (dirty == 0)
		printf("state        everything is in S3\n");
	else
		printf("state        %.0f files with %.0f changed bytes are not in S3 yet, %.0f on "
		       "the way\n",
		       dirty, json_number(json_member(root, "dirty_bytes"), 0),
		       json_number(json_member(root, "publishing"), 0));
	printf("cache        %.0f of %.0f bytes\n", json_number(json_member(root, "cache_used"), 0),
	       json_number(json_member(root, "cache_limit"), 0));
	printf("published    %.0f, conflicts %.0f, failed attempts %.0f\n",
	       json_number(json_member(root, "published"), 0),
	       json_number(json_member(root, "conflicts"), 0),
	       json_number(json_member(root, "failures"), 0));
	if (!json_bool(json_member(root, "accepts_writes"), true))
		printf("writes       are not accepted\n");
	printf("last error   %s\n", error ? error : "none");
	for (size_t i = 0; i < json_count(pending); i++) {
		const struct json *file = json_item(pending, i);

		printf("pending      %s (%.0f bytes, %.1f s, %.0f failed attempts)\n",
		       json_string(json_member(file, "key")),
		       json_number(json_member(file, "bytes"), 0),
		       json_number(json_member(file, "age"), 0),
		       json_number(json_member(file, "attempts_failed"), 0));
	}
}

int control_status(const char *directory, bool as_json)
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
