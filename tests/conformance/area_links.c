/* area_links.c — link(2) and linkat(2). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static void kinds(const struct run *run)
{
	for (enum kind kind = 0; kind < KIND_COUNT; kind++) {
		const char *name = kind_name(kind);
		struct stat st;

		fixture_make(run, kind, "it");
		record(run, link("it", "new"), "link %s", name);
		if (lstat("it", &st) == 0)
			record_value(run, S_ISDIR(st.st_mode) ? 0 : (long long)st.st_nlink,
				     "links of %s", name);
		fixture_remove("new");
		record(run, linkat(AT_FDCWD, "it", AT_FDCWD, "new", AT_SYMLINK_FOLLOW),
		       "AT_SYMLINK_FOLLOW %s", name);
		fixture_remove("new");
		fixture_make(run, KIND_FILE, "new");
		record(run, link("it", "new"), "link %s over a file", name);
		fixture_remove("new");
		fixture_remove("it");
	}
}

static void wrong(const struct run *run)
{
	int fd;

	fixture_file(run, "file", 0644, "");
	fixture_directory(run, "directory", 0755);
	record(run, link("file", "file"), "to itself");
	record(run, link("file", "missing/new"), "into nothing");
	record(run, link("file", "file/new"), "below a file");
	record(run, link("file", "new/"), "with a slash");
	record(run, link("directory", "new"), "a directory");
	record(run, link("file", "/proc/new"), "to another file system");
	record(run, linkat(AT_FDCWD, "file", AT_FDCWD, "new", 0x10), "unknown flag");
	fd = (int)need(run, open("file", O_PATH), "open");
	record(run, linkat(999, "file", AT_FDCWD, "new", 0), "from a bad descriptor");
	record(run, linkat(fd, "below", AT_FDCWD, "new", 0), "from a file's descriptor");
}

static const struct conformance_case cases[] = {
	{"kinds", kinds, PASS_BOTH},
	{"wrong", wrong, PASS_BOTH},
};
const struct area area_links = {"links", cases, COUNT(cases)};
