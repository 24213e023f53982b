/* area_acl.c — POSIX ACLs: which are taken, what they grant, and what new files inherit. */
#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

#define ACCESS	"system.posix_acl_access"
#define DEFAULT "system.posix_acl_default"

/* Tags of entries (linux/posix_acl.h, which user space does not have). */
enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32, ENTRIES_MAX = 8 };
#define NOBODY 0xffffffffu

struct entry {
	unsigned tag, rights, id;
};

struct acl {
	const char *name;
	struct entry entries[ENTRIES_MAX]; /* up to the first without a tag */
};

struct encoded {
	struct posix_acl_xattr_header header;
	struct posix_acl_xattr_entry entries[ENTRIES_MAX];
};

static const struct acl acls[] = {
	{"minimal", {{USER_OBJ, 6, NOBODY}, {GROUP_OBJ, 4, NOBODY}, {OTHER, 0, NOBODY}}},
	{"stranger-reads",
	 {{USER_OBJ, 6, NOBODY},
	  {USER, 4, 7103},
	  {GROUP_OBJ, 0, NOBODY},
	  {MASK, 7, NOBODY},
	  {OTHER, 0, NOBODY}}},
	{"stranger-writes-masked",
	 {{USER_OBJ, 6, NOBODY},
	  {USER, 6, 7103},
	  {GROUP_OBJ, 6, NOBODY},
	  {MASK, 4, NOBODY},
	  {OTHER, 0, NOBODY}}},
	{"member-denied",
	 {{USER_OBJ, 7, NOBODY},
	  {USER, 0, 7101},
	  {GROUP_OBJ, 7, NOBODY},
	  {MASK, 7, NOBODY},
	  {OTHER, 7, NOBODY}}},
	{"group-of-supplementary",
	 {{USER_OBJ, 6, NOBODY},
	  {GROUP_OBJ, 0, NOBODY},
	  {GROUP, 6, 7102},
	  {MASK, 6, NOBODY},
	  {OTHER, 0, NOBODY}}},
	{"two-groups",
	 {{USER_OBJ, 7, NOBODY},
	  {GROUP_OBJ, 4, NOBODY},
	  {GROUP, 2, 7102},
	  {GROUP, 1, 7103},
	  {MASK, 7, NOBODY},
	  {OTHER, 4, NOBODY}}},
};

static size_t encode(const struct acl *acl, struct encoded *out)
{
	size_t count = 0;

	out->header.a_version = POSIX_ACL_XATTR_VERSION;
	for (; count < ENTRIES_MAX && acl->entries[count].tag; count++)
		out->entries[count] = (struct posix_acl_xattr_entry){
			.e_tag = (__le16)acl->entries[count].tag,
			.e_perm = (__le16)acl->entries[count].rights,
			.e_id = acl->entries[count].id};
	return sizeof(out->header) + count * sizeof(out->entries[0]);
}

static int set_acl(const char *path, const char *name, const struct acl *acl)
{
	struct encoded value;
	size_t len = encode(acl, &value);

	return setxattr(path, name, &value, len, 0);
}

static void record_acl(const struct run *run, const char *path, const char *name, const char *step)
{
	struct encoded value;
	char text[256];
	size_t used = 0;
	long len = getxattr(path, name, &value, sizeof(value));

	for (size_t i = 0;
	     len > 0 && i < ((size_t)len - sizeof(value.header)) / sizeof(value.entries[0]); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%u:%u:%d ",
					 value.entries[i].e_tag, value.entries[i].e_perm,
					 (int)value.entries[i].e_id);
	record_bytes(run, text, len < 0 ? -1 : (long)used, "%s", step);
}

static const struct identity *const identities[] = {
	&identity_root,		 &identity_actor,    &identity_member,
	&identity_supplementary, &identity_stranger,
};

static void granted(const struct run *run)
{
	fixture_file(run, "file", 0644, FILE_CONTENT);
	need(run, chown("file", identity_actor.uid, identity_actor.gid), "chown");
	for (size_t i = 0; i < COUNT(acls); i++) {
		become(&identity_root);
		record(run, set_acl("file", ACCESS, &acls[i]), "set %s", acls[i].name);
		record_octal(run, fixture_stat(run, "file").st_mode, "mode with %s", acls[i].name);
		record_acl(run, "file", ACCESS, acls[i].name);
		for (size_t j = 0; j < COUNT(identities); j++) {
			static const int rights[] = {R_OK, W_OK, X_OK};

			become(identities[j]);
			for (size_t k = 0; k < COUNT(rights); k++)
				record(run, access("file", rights[k]), "%s: %d of %s", acls[i].name,
				       rights[k], identities[j]->name);
			record(run, close(open("file", O_RDWR)), "%s: open by %s", acls[i].name,
			       identities[j]->name);
		}
	}
}

static void with_mode(const struct run *run)
{
	static const mode_t modes[] = {0777, 0700, 0670, 0607, 0, 0644};

	fixture_file(run, "file", 0644, "");
	for (size_t i = 0; i < COUNT(modes); i++) {
		char step[48];

		record(run, set_acl("file", ACCESS, &acls[1]), "set before %o", modes[i]);
		record(run, chmod("file", modes[i]), "chmod %o", modes[i]);
		record_octal(run, fixture_stat(run, "file").st_mode, "mode after %o", modes[i]);
		snprintf(step, sizeof(step), "after %o", modes[i]);
		record_acl(run, "file", ACCESS, step);
	}
	record(run, set_acl("file", ACCESS, &acls[0]), "set a minimal one");
	record_acl(run, "file", ACCESS, "minimal");
	record(run, set_acl("file", ACCESS, &acls[1]), "set again");
	record(run, removexattr("file", ACCESS), "remove");
	record_acl(run, "file", ACCESS, "removed");
	record_octal(run, fixture_stat(run, "file").st_mode, "mode without");
	record(run, removexattr("file", ACCESS), "remove again");
	record_acl(run, "file", DEFAULT, "default of a file");
	record(run, set_acl("file", DEFAULT, &acls[1]), "set a default of a file");
}

static void inherited(const struct run *run)
{
	static const mode_t masks[] = {0, 022, 077};

	for (size_t i = 0; i < COUNT(acls); i++) {
		for (size_t j = 0; j < COUNT(masks); j++) {
			char step[64];

			fixture_remove("d");
			fixture_directory(run, "d", 0755);
			record(run, set_acl("d", DEFAULT, &acls[i]), "set %s %o", acls[i].name,
			       masks[j]);
			umask(masks[j]);
			record(run, open("d/file", O_RDWR | O_CREAT, 0666), "create %s %o",
			       acls[i].name, masks[j]);
			record(run, mkdir("d/sub", 0777), "mkdir %s %o", acls[i].name, masks[j]);
			record(run, mkfifo("d/fifo", 0640), "mkfifo %s %o", acls[i].name, masks[j]);
			umask(022);
			record_octal(run, fixture_stat(run, "d/file").st_mode, "mode of file %s %o",
				     acls[i].name, masks[j]);
			record_octal(run, fixture_stat(run, "d/sub").st_mode, "mode of sub %s %o",
				     acls[i].name, masks[j]);
			record_octal(run, fixture_stat(run, "d/fifo").st_mode, "mode of fifo %s %o",
				     acls[i].name, masks[j]);
			snprintf(step, sizeof(step), "of file %s %o", acls[i].name, masks[j]);
			record_acl(run, "d/file", ACCESS, step);
			snprintf(step, sizeof(step), "of sub %s %o", acls[i].name, masks[j]);
			record_acl(run, "d/sub", ACCESS, step);
			snprintf(step, sizeof(step), "default of sub %s %o", acls[i].name,
				 masks[j]);
			record_acl(run, "d/sub", DEFAULT, step);
		}
	}
}

static void wrong(const struct run *run)
{
	static const struct acl broken[] = {
		{"empty", {{0, 0, 0}}},
		{"without-other", {{USER_OBJ, 6, NOBODY}, {GROUP_OBJ, 4, NOBODY}}},
		{"without-mask",
		 {{USER_OBJ, 6, NOBODY}, {USER, 6, 1}, {GROUP_OBJ, 4, NOBODY}, {OTHER, 0, NOBODY}}},
		{"twice",
		 {{USER_OBJ, 6, NOBODY},
		  {USER_OBJ, 6, NOBODY},
		  {GROUP_OBJ, 4, NOBODY},
		  {OTHER, 0, NOBODY}}},
		{"out-of-order",
		 {{OTHER, 6, NOBODY}, {GROUP_OBJ, 4, NOBODY}, {USER_OBJ, 0, NOBODY}}},
		{"unknown-tag", {{USER_OBJ, 6, NOBODY}, {64, 4, NOBODY}, {OTHER, 0, NOBODY}}},
		{"unknown-right",
		 {{USER_OBJ, 15, NOBODY}, {GROUP_OBJ, 4, NOBODY}, {OTHER, 0, NOBODY}}},
	};
	struct encoded value;
	size_t len = encode(&acls[1], &value);

	fixture_file(run, "file", 0644, "");
	fixture_directory(run, "directory", 0755);
	need(run, symlink("file", "link"), "symlink");
	need(run, mkfifo("fifo", 0644), "mkfifo");
	for (size_t i = 0; i < COUNT(broken); i++) {
		record(run, set_acl("file", ACCESS, &broken[i]), "%s", broken[i].name);
		record_octal(run, fixture_stat(run, "file").st_mode, "mode after %s",
			     broken[i].name);
	}
	record(run, setxattr("file", ACCESS, &value, len - 1, 0), "cut short");
	record(run, setxattr("file", ACCESS, &value, 3, 0), "without a header");
	record(run, setxattr("file", ACCESS, "", 0, 0), "of no bytes");
	value.header.a_version = 1;
	record(run, setxattr("file", ACCESS, &value, len, 0), "another version");
	record(run, lsetxattr("link", ACCESS, &value, len, 0), "of a link");
	record(run, set_acl("fifo", ACCESS, &acls[1]), "of a fifo");
	record(run, set_acl("directory", DEFAULT, &acls[1]), "default of a directory");
	record_acl(run, "directory", DEFAULT, "default");
	record(run, removexattr("directory", DEFAULT), "remove the default");
	record(run, removexattr("directory", DEFAULT), "remove the default again");
	record_acl(run, "directory", DEFAULT, "no default");
	become(&identity_stranger);
	record(run, set_acl("file", ACCESS, &acls[1]), "by a stranger");
	record(run, removexattr("file", ACCESS), "remove by a stranger");
}

static const struct conformance_case cases[] = {
	{"granted", granted, PASS_ONCE},
	{"with-mode", with_mode, PASS_BOTH},
	{"inherited", inherited, PASS_BOTH},
	{"wrong", wrong, PASS_BOTH},
};
const struct area area_acl = {"acl", cases, COUNT(cases)};
