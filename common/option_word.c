#include "common/option_word.h"

#include <stdbool.h>
#include <string.h>

/* What is not named stays NULL, and the kind WORD_IGNORED. */
#define MOUNT_WORD(word)	   .name = word, .origin = WORD_OF_MOUNT
#define FUSE_WORD(word)		   .name = word, .origin = WORD_OF_FUSE
#define S3FS_WORD(word)		   .name = word, .origin = WORD_OF_S3FS
#define S3FS_ONLY(word, only, why) S3FS_WORD(word), .value = only, .reason = why
#define S3FS_ALIAS(word, to)	   S3FS_WORD(word), .kind = WORD_ALIAS, .target = to
#define S3FS_REFUSED(word, why)	   S3FS_WORD(word), .kind = WORD_REFUSED, .reason = why
#define SECRET(word)                                                                               \
	.name = word, .origin = WORD_SECRET, .kind = WORD_REFUSED, .reason = secret_reason

static const char secret_reason[] =
	"keys are never given as options, where ps and logs show them; set "
	"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use profile or "
	"passwd_file";
static const char encryption_reason[] = "encryption chosen by the client is not supported; set the "
					"default encryption of the bucket instead";
static const char tls_reason[] = "certificates are always verified; name your own authority with "
				 "ca_file";
static const char class_reason[] = "storage classes are not supported; use a lifecycle rule of the "
				   "bucket";

/* mount(8) FILESYSTEM-INDEPENDENT MOUNT OPTIONS, fstab(5), systemd.mount(5), mount.fuse3(8), and
 * the options of s3fs 1.90 to 1.95 (its man page). What s3fs does for tuning alone is ignored; what
 * would store or protect data in another way than the user expects is refused. */
const struct option_word option_words[] = {
	{MOUNT_WORD("rw"), .kind = WORD_ALIAS, .target = "ro", .value = "no"},
	{MOUNT_WORD("defaults")},
	{MOUNT_WORD("_netdev")},
	{MOUNT_WORD("nofail")},
	{MOUNT_WORD("auto")},
	{MOUNT_WORD("noauto")},
	{MOUNT_WORD("user")},
	{MOUNT_WORD("nouser")},
	{MOUNT_WORD("users")},
	{MOUNT_WORD("owner")},
	{MOUNT_WORD("group")},
	{MOUNT_WORD("suid")},
	{MOUNT_WORD("nosuid")},
	{MOUNT_WORD("dev")},
	{MOUNT_WORD("nodev")},
	{MOUNT_WORD("exec")},
	{MOUNT_WORD("noexec")},
	{MOUNT_WORD("atime"), .kind = WORD_ALIAS, .target = "noatime", .value = "no"},
	{MOUNT_WORD("relatime"), .kind = WORD_ALIAS, .target = "noatime", .value = "no"},
	{MOUNT_WORD("norelatime")},
	{MOUNT_WORD("strictatime")},
	{MOUNT_WORD("nostrictatime")},
	{MOUNT_WORD("lazytime")},
	{MOUNT_WORD("nolazytime")},
	{MOUNT_WORD("diratime")},
	{MOUNT_WORD("nodiratime")},
	{MOUNT_WORD("async")},
	{MOUNT_WORD("sync")},
	{MOUNT_WORD("dirsync")},
	{MOUNT_WORD("silent")},
	{MOUNT_WORD("loud")},
	{MOUNT_WORD("mand")},
	{MOUNT_WORD("nomand")},
	{MOUNT_WORD("comment")},
	{MOUNT_WORD("x-*")},
	{MOUNT_WORD("X-*")},

	{FUSE_WORD("default_permissions")},
	{FUSE_WORD("nonempty")},
	{FUSE_WORD("big_writes")},
	{FUSE_WORD("hard_remove")},
	{FUSE_WORD("kernel_cache")},
	{FUSE_WORD("auto_cache")},
	{FUSE_WORD("auto_unmount")},
	{FUSE_WORD("fsname")},
	{FUSE_WORD("subtype")},
	{FUSE_WORD("max_read")},
	{FUSE_WORD("max_write")},
	{FUSE_WORD("max_readahead")},
	{FUSE_WORD("max_background")},
	{FUSE_WORD("entry_timeout")},
	{FUSE_WORD("negative_timeout")},

	{S3FS_ALIAS("url", "endpoint")},
	{S3FS_ALIAS("host", "endpoint")},
	{S3FS_ALIAS("use_path_request_style", "path_style"), .value = "on"},
	{S3FS_ALIAS("mp_umask", "dirmask")},
	{S3FS_ALIAS("public_bucket", "anonymous")},
	{S3FS_ALIAS("use_cache", "cache")},
	{S3FS_ALIAS("parallel_count", "parallel")},
	{S3FS_ALIAS("multipart_size", "part_size"), .suffix = "M"},
	{S3FS_ALIAS("logfile", "log")},

	{S3FS_ONLY("default_acl", "private",
		   "access lists are not supported; use a bucket policy")},
	{S3FS_ONLY("storage_class", "standard", class_reason)},
	{S3FS_ONLY("use_rrs", "0", class_reason)},
	{S3FS_ONLY("ssl_verify_hostname", "2", tls_reason)},
	{S3FS_WORD("iam_role")},
	{S3FS_WORD("imdsv1only")},
	{S3FS_WORD("retries")},
	{S3FS_WORD("tmpdir")},
	{S3FS_WORD("check_cache_dir_exist")},
	{S3FS_WORD("del_cache")},
	{S3FS_WORD("connect_timeout")},
	{S3FS_WORD("readwrite_timeout")},
	{S3FS_WORD("list_object_max_keys")},
	{S3FS_WORD("max_stat_cache_size")},
	{S3FS_WORD("stat_cache_expire")},
	{S3FS_WORD("stat_cache_interval_expire")},
	{S3FS_WORD("enable_noobj_cache")},
	{S3FS_WORD("disable_noobj_cache")},
	{S3FS_WORD("enable_negative_cache")},
	{S3FS_WORD("disable_negative_cache")},
	{S3FS_WORD("nodnscache")},
	{S3FS_WORD("nosscache")},
	{S3FS_WORD("multireq_max")},
	{S3FS_WORD("max_thread_count")},
	{S3FS_WORD("multipart_copy_size")},
	{S3FS_WORD("multipart_threshold")},
	{S3FS_WORD("singlepart_copy_limit")},
	{S3FS_WORD("max_dirty_data")},
	{S3FS_WORD("ensure_diskfree")},
	{S3FS_WORD("free_space_ratio")},
	{S3FS_WORD("nomultipart")},
	{S3FS_WORD("nomixupload")},
	{S3FS_WORD("streamupload")},
	{S3FS_WORD("enable_content_md5")},
	{S3FS_WORD("enable_unsigned_payload")},
	{S3FS_WORD("use_xattr")},
	{S3FS_WORD("noxmlns")},
	{S3FS_WORD("sigv4")},
	{S3FS_WORD("listobjectsv2")},
	{S3FS_WORD("noua")},
	{S3FS_WORD("instance_name")},
	{S3FS_WORD("complement_stat")},
	{S3FS_WORD("compat_dir")},
	{S3FS_WORD("notsup_compat_dir")},
	{S3FS_WORD("dbglevel")},
	{S3FS_WORD("curldbg")},
	{S3FS_WORD("no_time_stamp_msg")},
	{S3FS_WORD("set_check_cache_sigusr1")},
	{S3FS_WORD("update_parent_dir_stat")},

	{S3FS_REFUSED("bucket", "the bucket is an operand: s3mount BUCKET DIR")},
	{S3FS_REFUSED("servicepath", "write the path into the URL of endpoint")},
	{S3FS_REFUSED("use_sse", encryption_reason)},
	{S3FS_REFUSED("load_sse_c", encryption_reason)},
	{S3FS_REFUSED("no_check_certificate", tls_reason)},
	{S3FS_REFUSED("sigv2", "only Signature Version 4 is supported")},
	{S3FS_REFUSED("requester_pays", "buckets whose requester pays are not supported")},
	{S3FS_REFUSED("ahbe_conf", "additional headers are not supported")},
	{S3FS_REFUSED("ibm_iam_auth", "only access keys are supported")},
	{S3FS_REFUSED("use_session_token", "set AWS_SESSION_TOKEN, or use profile")},
	{S3FS_REFUSED("use_wtf8", "names are the bytes of the keys, without any conversion")},

	{SECRET("access_key")},
	{SECRET("access_key_id")},
	{SECRET("accesskey")},
	{SECRET("aws_access_key_id")},
	{SECRET("secret")},
	{SECRET("secret_key")},
	{SECRET("secretkey")},
	{SECRET("secret_access_key")},
	{SECRET("aws_secret_access_key")},
	{SECRET("session_token")},
	{SECRET("aws_session_token")},
	{SECRET("password")},
};

const size_t option_word_count = sizeof(option_words) / sizeof(option_words[0]);

const struct option_word *option_word_find(const char *name)
{
	size_t i;

	for (i = 0; i < option_word_count; i++) {
		const char *word = option_words[i].name;
		size_t len = strlen(word);
		bool open = word[len - 1] == '*';

		if (open ? strncmp(name, word, len - 1) == 0 : strcmp(name, word) == 0)
			return &option_words[i];
	}
	return NULL;
}
