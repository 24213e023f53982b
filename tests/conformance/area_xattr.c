/* area_xattr.c — extended attributes: name spaces, flags, sizes and who may. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static const char *const names[] = {
	"user.name",	   "user.",	    "user",	   "trusted.name", "trusted.",
	"security.name",   "security.",	    "system.name", "other.name",   "",
	"user.with blank", "user.\xc3\xa9", "user.a.b.c",  "USER.name",
};

static void name_spaces(const struct run *run)
{
	for (enum kind kind = KIND_FILE; kind < KIND_COUNT; kind++) {
		fixture_make(run, kind, "it");
		for (size_t i = 0; i < COUNT(names); i++) {
			char value[16];
			long got;

			record(run, lsetxattr("it", names[i], "value", 5, 0), "set '%s' of %s",
			       names[i], kind_name(kind));
			got = lgetxattr("it", names[i], value, sizeof(value));
			record_bytes(run, value, got, "get '%s' of %s", names[i], kind_name(kind));
			record(run, lremovexattr("it", names[i]), "remove '%s' of %s", names[i],
			       kind_name(kind));
			record(run, lremovexattr("it", names[i]), "remove again '%s' of %s",
			       names[i], kind_name(kind));
		}
		fixture_remove("it");
	}
}

static void flags(const struct run *run)
{
	char value[16];

	fixture_file(run, "file", 0644, "");
	record(run, setxattr("file", "user.a", "1", 1, XATTR_REPLACE), "replace nothing");
	record(run, setxattr("file", "user.a", "1", 1, XATTR_CREATE), "create");
	record(run, setxattr("file", "user.a", "2", 1, XATTR_CREATE), "create again");
	record(run, setxattr("file", "user.a", "3", 1, XATTR_REPLACE), "replace");
	record(run, setxattr("file", "user.a", "4", 1, 0), "set");
	record(run, setxattr("file", "user.a", "5", 1, XATTR_CREATE | XATTR_REPLACE), "both flags");
	record(run, setxattr("file", "user.b", "5", 1, XATTR_CREATE | XATTR_REPLACE),
	       "both flags of a new one");
	record(run, setxattr("file", "user.a", "6", 1, 99), "unknown flags");
	record_bytes(run, value, getxattr("file", "user.a", value, sizeof(value)), "value");
	record(run, setxattr("file", "user.a", NULL, 0, 0), "set to nothing");
	record_count(run, getxattr("file", "user.a", value, sizeof(value)), "size of nothing");
	record(run, setxattr("file", "user.a", bad_address(), 4, 0), "a bad address");
	record(run, setxattr("file", bad_address(), "1", 1, 0), "a bad name");
	record(run, setxattr("missing", "user.a", "1", 1, 0), "of nothing");
}

static void sizes(const struct run *run)
{
	static const size_t lens[] = {0, 1, 100, 1000, 1200};
	static const size_t too_long[] = {65536, 65537, 1000000};
	char *value = calloc(1, 1 << 20), back[2048];

	fixture_file(run, "file", 0644, "");
	memset(value, 'v', 1 << 20);
	for (size_t i = 0; i < COUNT(lens); i++) {
		record(run, setxattr("file", "user.size", value, lens[i], 0), "set %zu", lens[i]);
		record_count(run, getxattr("file", "user.size", NULL, 0), "size %zu", lens[i]);
		record_count(run, getxattr("file", "user.size", back, sizeof(back)), "get %zu",
			     lens[i]);
		record_count(run, getxattr("file", "user.size", back, lens[i]), "get %zu exactly",
			     lens[i]);
		if (lens[i] > 1)
			record_count(run, getxattr("file", "user.size", back, lens[i] - 1),
				     "get %zu to less", lens[i]);
		record_count(run, listxattr("file", NULL, 0), "size of the list %zu", lens[i]);
	}
	for (size_t i = 0; i < COUNT(too_long); i++)
		record(run, setxattr("file", "user.size", value, too_long[i], 0), "set %zu",
		       too_long[i]);
	record(run, setxattr("file", "user.size", value, 1900, 0), "set 1900");
	record(run, setxattr("file", "user.size", value, 3000, 0), "set 3000");
	record(run, setxattr("file", "user.size", value, 5000, 0), "set 5000");
	free(value);
}

static void name_lengths(const struct run *run)
{
	static const size_t lens[] = {1, 200, 250, 251, 300};
	char name[400] = "user.", list[600];

	fixture_file(run, "file", 0644, "");
	for (size_t i = 0; i < COUNT(lens); i++) {
		memset(name + 5, 'n', lens[i]);
		name[5 + lens[i]] = '\0';
		record(run, setxattr("file", name, "1", 1, 0), "set a name of %zu", lens[i]);
		record(run, getxattr("file", name, NULL, 0), "get a name of %zu", lens[i]);
		record_count(run, listxattr("file", list, sizeof(list)), "list with a name of %zu",
			     lens[i]);
		record(run, removexattr("file", name), "remove a name of %zu", lens[i]);
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void record_list(const struct run *run, const char *path, const char *step)
{
	char list[512], text[512], *sorted[32];
	long len = llistxattr(path, list, sizeof(list));
	size_t count = 0, used = 0;

	for (long at = 0; at < len; at += (long)strlen(list + at) + 1)
		sorted[count++] = list + at;
	qsort(sorted, count, sizeof(*sorted), compare);
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ", sorted[i]);
	record_bytes(run, text, len < 0 ? -1 : (long)used, "%s", step);
}

static void lists(const struct run *run)
{
	char list[512];

	fixture_file(run, "file", 0644, "");
	need(run, symlink("file", "link"), "symlink");
	record_list(run, "file", "of a new file");
	record(run, setxattr("file", "user.b", "1", 1, 0), "set b");
	record(run, setxattr("file", "user.a", "1", 1, 0), "set a");
	record_list(run, "file", "of two");
	record_count(run, listxattr("file", list, 7), "to what holds one");
	record_count(run, listxattr("file", list, 14), "to what just holds two");
	record_count(run, listxattr("link", list, sizeof(list)), "through a link");
	record_list(run, "link", "of the link");
	record_list(run, "missing", "of nothing");
	record(run, rename("file", "moved"), "rename");
	record_list(run, "moved", "after a rename");
	record(run, removexattr("moved", "user.a"), "remove a");
	record_list(run, "moved", "of one");
	record(run, truncate("moved", 10), "truncate");
	record_list(run, "moved", "after truncate");
}

static void descriptors(const struct run *run)
{
	int fd = fixture_open(run, "file", ""), path, directory;
	char value[16];

	path = (int)need(run, open("file", O_PATH), "open");
	directory = (int)need(run, open(".", O_RDONLY), "open");
	record(run, fsetxattr(fd, "user.a", "1", 1, 0), "fsetxattr");
	record_bytes(run, value, fgetxattr(fd, "user.a", value, sizeof(value)), "fgetxattr");
	record_count(run, flistxattr(fd, NULL, 0), "flistxattr");
	record(run, fsetxattr(directory, "user.a", "1", 1, 0), "fsetxattr of a directory");
	record(run, fgetxattr(directory, "user.a", value, sizeof(value)),
	       "fgetxattr of a directory");
	record(run, fsetxattr(path, "user.a", "1", 1, 0), "fsetxattr by O_PATH");
	record(run, fgetxattr(path, "user.a", value, sizeof(value)), "fgetxattr by O_PATH");
	record(run, flistxattr(path, NULL, 0), "flistxattr by O_PATH");
	record(run, fremovexattr(999, "user.a"), "a bad descriptor");
	record(run, fsetxattr(open("file", O_RDONLY), "user.b", "1", 1, 0),
	       "fsetxattr by a reader");
	record(run, unlink("file"), "unlink");
	record(run, fsetxattr(fd, "user.c", "1", 1, 0), "fsetxattr after unlink");
	record_count(run, flistxattr(fd, NULL, 0), "flistxattr after unlink");
	record(run, fremovexattr(fd, "user.a"), "fremovexattr after unlink");
}

static void rights(const struct run *run)
{
	static const struct identity *const identities[] = {&identity_root, &identity_actor,
							    &identity_member, &identity_stranger};
	static const mode_t modes[] = {0600, 0400, 0200, 0640, 0644, 0666, 0};
	static const char *const spaces[] = {"user.a", "trusted.a", "security.a"};

	fixture_file(run, "it", 0644, "");
	for (size_t m = 0; m < COUNT(modes); m++) {
		for (size_t i = 0; i < COUNT(identities); i++) {
			for (size_t s = 0; s < COUNT(spaces); s++) {
				char step[64], value[8];

				snprintf(step, sizeof(step), "%s %o by %s", spaces[s], modes[m],
					 identities[i]->name);
				become(&identity_root);
				need(run, chown("it", identity_actor.uid, identity_actor.gid),
				     "chown");
				need(run, chmod("it", modes[m]), "chmod");
				need(run, setxattr("it", spaces[s], "1", 1, 0), "setxattr");
				become(identities[i]);
				record(run, getxattr("it", spaces[s], value, sizeof(value)),
				       "get %s", step);
				record(run, setxattr("it", spaces[s], "2", 1, 0), "set %s", step);
				record(run, removexattr("it", spaces[s]), "remove %s", step);
				record_count(run, listxattr("it", NULL, 0), "list %s", step);
			}
		}
	}
}

/* user.* of a directory of others that is sticky. */
static void sticky(const struct run *run)
{
	fixture_directory(run, "directory", 01777);
	record(run, setxattr("directory", "user.a", "1", 1, 0), "by the owner");
	become(&identity_stranger);
	record(run, setxattr("directory", "user.b", "1", 1, 0), "by a stranger");
	record(run, setxattr("directory", "trusted.b", "1", 1, 0), "trusted by a stranger");
}

static const struct conformance_case cases[] = {
	{"name-spaces", name_spaces, PASS_BOTH},
	{"flags", flags, PASS_BOTH},
	{"sizes", sizes, PASS_BOTH},
	{"name-lengths", name_lengths, PASS_BOTH},
	{"lists", lists, PASS_BOTH},
	{"descriptors", descriptors, PASS_BOTH},
	{"rights", rights, PASS_ONCE},
	{"sticky", sticky, PASS_ONCE},
};
const struct area area_xattr = {"xattr", cases, COUNT(cases)};
