/* area_notify.c — inotify(7) of changes that are made here. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static const struct {
	unsigned bit;
	const char *name;
} events[] = {
	{IN_ACCESS, "ACCESS"},
	{IN_MODIFY, "MODIFY"},
	{IN_ATTRIB, "ATTRIB"},
	{IN_CLOSE_WRITE, "CLOSE_WRITE"},
	{IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"},
	{IN_OPEN, "OPEN"},
	{IN_MOVED_FROM, "MOVED_FROM"},
	{IN_MOVED_TO, "MOVED_TO"},
	{IN_CREATE, "CREATE"},
	{IN_DELETE, "DELETE"},
	{IN_DELETE_SELF, "DELETE_SELF"},
	{IN_MOVE_SELF, "MOVE_SELF"},
	{IN_ISDIR, "ISDIR"},
	{IN_IGNORED, "IGNORED"},
};

/* All that has come since the last time, as one line. */
static void record_events(const struct run *run, int fd, const char *step)
{
	char buffer[8192] __attribute__((aligned(8))), text[2048];
	ssize_t got = read(fd, buffer, sizeof(buffer));
	size_t used = 0;

	for (ssize_t at = 0; at < got;) {
		const struct inotify_event *event = (const struct inotify_event *)(buffer + at);

		for (size_t i = 0; i < COUNT(events); i++)
			if (event->mask & events[i].bit)
				used += (size_t)snprintf(text + used, sizeof(text) - used, "%s,",
							 events[i].name);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ",
					 event->len ? event->name : "");
		at += (ssize_t)(sizeof(*event) + event->len);
	}
	record_bytes(run, text, (long)used, "%s", step);
}

static void of_directories(const struct run *run)
{
	int watch = (int)need(run, inotify_init1(IN_NONBLOCK), "inotify_init1"), fd;
	char text[8];

	fixture_directory(run, "d", 0755);
	record(run, inotify_add_watch(watch, "d", IN_ALL_EVENTS), "watch");
	fd = (int)need(run, open("d/file", O_RDWR | O_CREAT, 0644), "open");
	record_events(run, watch, "create");
	need(run, write(fd, "text", 4), "write");
	record_events(run, watch, "write");
	need(run, pread(fd, text, 4, 0), "pread");
	record_events(run, watch, "read");
	need(run, ftruncate(fd, 2), "ftruncate");
	record_events(run, watch, "ftruncate");
	need(run, fchmod(fd, 0600), "fchmod");
	record_events(run, watch, "fchmod");
	need(run, futimens(fd, NULL), "futimens");
	record_events(run, watch, "futimens");
	need(run, fsetxattr(fd, "user.a", "1", 1, 0), "fsetxattr");
	record_events(run, watch, "fsetxattr");
	close(fd);
	record_events(run, watch, "close");
	close((int)need(run, open("d/file", O_RDONLY), "open"));
	record_events(run, watch, "open and close");
	need(run, truncate("d/file", 1), "truncate");
	record_events(run, watch, "truncate");
	need(run, rename("d/file", "d/moved"), "rename");
	record_events(run, watch, "rename");
	need(run, rename("d/moved", "outside"), "rename");
	record_events(run, watch, "move out");
	need(run, rename("outside", "d/file"), "rename");
	record_events(run, watch, "move in");
	need(run, mkdir("d/sub", 0755), "mkdir");
	record_events(run, watch, "mkdir");
	need(run, symlink("x", "d/link"), "symlink");
	record_events(run, watch, "symlink");
	need(run, mkfifo("d/fifo", 0644), "mkfifo");
	record_events(run, watch, "mkfifo");
	fixture_file(run, "d/other", 0644, "other");
	record_events(run, watch, "another file");
	need(run, rename("d/other", "d/file"), "rename");
	record_events(run, watch, "rename over");
	need(run, rmdir("d/sub"), "rmdir");
	record_events(run, watch, "rmdir");
	need(run, unlink("d/file"), "unlink");
	record_events(run, watch, "unlink");
	need(run, unlink("d/link"), "unlink");
	need(run, unlink("d/fifo"), "unlink");
	need(run, rmdir("d"), "rmdir");
	record_events(run, watch, "remove all");
}

static void of_files(const struct run *run)
{
	int watch = (int)need(run, inotify_init1(IN_NONBLOCK), "inotify_init1"), fd;

	fixture_file(run, "file", 0644, FILE_CONTENT);
	record(run, inotify_add_watch(watch, "file", IN_ALL_EVENTS), "watch");
	record(run, inotify_add_watch(watch, "missing", IN_ALL_EVENTS), "watch nothing");
	fd = (int)need(run, open("file", O_WRONLY | O_TRUNC), "open");
	record_events(run, watch, "O_TRUNC");
	need(run, write(fd, "text", 4), "write");
	record_events(run, watch, "write");
	close(fd);
	record_events(run, watch, "close");
	need(run, chown("file", (uid_t)-1, OTHER_GROUP), "chown");
	record_events(run, watch, "chown");
	need(run, rename("file", "moved"), "rename");
	record_events(run, watch, "rename");
	need(run, unlink("moved"), "unlink");
	record_events(run, watch, "unlink");
}

static void of_unlinked(const struct run *run)
{
	int watch = (int)need(run, inotify_init1(IN_NONBLOCK), "inotify_init1"), fd;

	fd = fixture_open(run, "file", FILE_CONTENT);
	record(run, inotify_add_watch(watch, "file", IN_ALL_EVENTS), "watch");
	need(run, unlink("file"), "unlink");
	record_events(run, watch, "unlink");
	need(run, write(fd, "text", 4), "write");
	record_events(run, watch, "write");
	close(fd);
	record_events(run, watch, "close");
}

static const struct conformance_case cases[] = {
	{"of-directories", of_directories, PASS_BOTH},
	{"of-files", of_files, PASS_BOTH},
	{"of-unlinked", of_unlinked, PASS_BOTH},
};
const struct area area_notify = {"notify", cases, COUNT(cases)};
