/* area_owner.c — chown(2), chmod(2), and the owner and group of what is new. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

static const struct identity *const identities[] = {
	&identity_root,		 &identity_actor,    &identity_member,
	&identity_supplementary, &identity_stranger,
};

static void record_owner(const struct run *run, const char *path, const char *step)
{
	struct stat st = fixture_stat(run, path);

	record_value(run, st.st_uid, "uid %s", step);
	record_value(run, st.st_gid, "gid %s", step);
	record_octal(run, st.st_mode, "mode %s", step);
}

/* Who may give what to whom. */
static void rights(const struct run *run)
{
	static const struct {
		const char *name;
		uid_t uid;
		gid_t gid;
	} changes[] = {
		{"nothing", (uid_t)-1, (gid_t)-1},
		{"same", 65534, 65534},
		{"to-root", 0, (gid_t)-1},
		{"to-member", 7101, (gid_t)-1},
		{"same-user", 65534, (gid_t)-1},
		{"same-group", (uid_t)-1, 65534},
		{"other-group", (uid_t)-1, OTHER_GROUP},
		{"foreign-group", (uid_t)-1, FOREIGN_GROUP},
		{"user-and-group", 7103, 7103},
		{"largest", 4294967294, 4294967294},
	};

	fixture_file(run, "file", 0644, "");
	for (size_t i = 0; i < COUNT(identities); i++) {
		for (size_t j = 0; j < COUNT(changes); j++) {
			char step[64];

			snprintf(step, sizeof(step), "%s by %s", changes[j].name,
				 identities[i]->name);
			become(&identity_root);
			need(run, chown("file", 65534, 65534), "chown");
			need(run, chmod("file", 06755), "chmod");
			become(identities[i]);
			record(run, chown("file", changes[j].uid, changes[j].gid), "%s", step);
			record_owner(run, "file", step);
		}
	}
}

static void of_new_files(const struct run *run)
{
	static const mode_t modes[] = {0777, 02777, 02775, 01777, 03777};
	static const enum kind kinds[] = {KIND_FILE, KIND_DIRECTORY, KIND_DANGLING_LINK, KIND_FIFO,
					  KIND_SOCKET};

	for (size_t i = 0; i < COUNT(modes); i++) {
		for (size_t j = 0; j < COUNT(kinds); j++) {
			for (size_t k = 0; k < COUNT(identities); k++) {
				char step[96];

				snprintf(step, sizeof(step), "%s of %s in %o", kind_name(kinds[j]),
					 identities[k]->name, modes[i]);
				become(&identity_root);
				fixture_remove("directory");
				fixture_directory(run, "directory", 0777);
				need(run, chown("directory", 7101, FOREIGN_GROUP), "chown");
				need(run, chmod("directory", modes[i]), "chmod");
				become(identities[k]);
				if (access("directory", W_OK) < 0)
					continue;
				fixture_make(run, kinds[j], "directory/it");
				record_owner(run, "directory/it", step);
			}
		}
	}
}

/* Set-gid of a new file that asks for it, where the group is not the maker's. */
static void set_gid_of_new_files(const struct run *run)
{
	static const mode_t modes[] = {02755, 02745, 02000, 06777, 04755};

	fixture_directory(run, "directory", 0777);
	need(run, chown("directory", 0, FOREIGN_GROUP), "chown");
	need(run, chmod("directory", 02777), "chmod");
	umask(0);
	for (size_t i = 0; i < COUNT(modes); i++) {
		for (size_t k = 0; k < COUNT(identities); k++) {
			const char *who = identities[k]->name;
			char path[32], step[64];

			become(identities[k]);
			snprintf(path, sizeof(path), "directory/f%zu-%zu", i, k);
			record(run, open(path, O_RDWR | O_CREAT, modes[i]), "open %o by %s",
			       modes[i], who);
			snprintf(step, sizeof(step), "of file %o by %s", modes[i], who);
			record_owner(run, path, step);
			snprintf(path, sizeof(path), "directory/d%zu-%zu", i, k);
			record(run, mkdir(path, modes[i]), "mkdir %o by %s", modes[i], who);
			snprintf(step, sizeof(step), "of directory %o by %s", modes[i], who);
			record_owner(run, path, step);
		}
	}
}

static void every_mode_bit(const struct run *run)
{
	fixture_file(run, "file", 0644, "");
	fixture_directory(run, "directory", 0755);
	for (unsigned bit = 0; bit < 16; bit++) {
		record(run, chmod("file", 1u << bit), "file %o", 1u << bit);
		record_octal(run, fixture_stat(run, "file").st_mode, "mode of file %o", 1u << bit);
		record(run, chmod("directory", 0700 | 1u << bit), "directory %o", 1u << bit);
		record_octal(run, fixture_stat(run, "directory").st_mode, "mode of directory %o",
			     1u << bit);
	}
}

static void symlinks(const struct run *run)
{
	struct stat before, after;

	fixture_file(run, "file", 0644, "");
	need(run, symlink("file", "link"), "symlink");
	before = fixture_stat(run, "file");
	record(run, chmod("link", 0600), "chmod through a link");
	record_octal(run, fixture_stat(run, "file").st_mode, "mode of the file");
	record_octal(run, fixture_stat(run, "link").st_mode, "mode of the link");
	record(run, fchmodat(AT_FDCWD, "link", 0640, AT_SYMLINK_NOFOLLOW), "fchmodat of a link");
	record_octal(run, fixture_stat(run, "link").st_mode, "mode of the link then");
	record(run, fchmodat(AT_FDCWD, "file", 0604, AT_SYMLINK_NOFOLLOW), "fchmodat of a file");
	record(run, lchown("link", (uid_t)-1, OTHER_GROUP), "lchown");
	record_owner(run, "link", "of the link after lchown");
	record_owner(run, "file", "of the file after lchown");
	record(run, chown("link", (uid_t)-1, OTHER_GROUP), "chown through a link");
	record_owner(run, "file", "of the file after chown");
	record(run, fchownat(AT_FDCWD, "link", (uid_t)-1, run->actor->gid, AT_SYMLINK_NOFOLLOW),
	       "fchownat of a link");
	record_owner(run, "link", "of the link after fchownat");
	record(run, fchownat(AT_FDCWD, "", (uid_t)-1, (gid_t)-1, AT_EMPTY_PATH), "empty path");
	after = fixture_stat(run, "file");
	record_truth(run, before.st_ino == after.st_ino, "the same file");
	need(run, symlink("missing", "dangling"), "symlink");
	record(run, chown("dangling", (uid_t)-1, (gid_t)-1), "chown through a dangling link");
	record(run, lchown("dangling", (uid_t)-1, OTHER_GROUP), "lchown of a dangling link");
	record(run, chmod("dangling", 0600), "chmod through a dangling link");
}

static void by_descriptor(const struct run *run)
{
	int fd = fixture_open(run, "file", ""), reader, path;

	reader = (int)need(run, open("file", O_RDONLY), "open");
	path = (int)need(run, open("file", O_PATH), "open");
	record(run, fchmod(fd, 0), "fchmod");
	record_octal(run, fixture_stat(run, "file").st_mode, "mode");
	record_count(run, write(fd, "x", 1), "write without any right left");
	record(run, fchmod(reader, 0600), "fchmod by a reader");
	record(run, fchmod(path, 0640), "fchmod by O_PATH");
	record(run, fchown(path, (uid_t)-1, OTHER_GROUP), "fchown by O_PATH");
	record(run, fchown(reader, (uid_t)-1, OTHER_GROUP), "fchown by a reader");
	record_owner(run, "file", "after fchown");
	record(run, fchmod(999, 0600), "fchmod of a bad descriptor");
	record(run, fchown(999, 0, 0), "fchown of a bad descriptor");
	record(run, fchownat(path, "", (uid_t)-1, run->actor->gid, AT_EMPTY_PATH),
	       "fchownat by O_PATH");
	record_owner(run, "file", "after fchownat");
}

static const struct conformance_case cases[] = {
	{"rights", rights, PASS_ONCE},
	{"of-new-files", of_new_files, PASS_ONCE},
	{"set-gid-of-new-files", set_gid_of_new_files, PASS_ONCE},
	{"mode-bits", every_mode_bit, PASS_BOTH},
	{"symlinks", symlinks, PASS_BOTH},
	{"by-descriptor", by_descriptor, PASS_BOTH},
};
const struct area area_owner = {"owner", cases, COUNT(cases)};
