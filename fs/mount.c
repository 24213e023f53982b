#include "fs/mount.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/s3/s3.h"
#include "fs/cache/disk_posix.h"
#include "fs/cache_directory.h"
#include "fs/front/front.h"
#include "fs/vfs/key.h"

enum { FIBERS_MAX = 4096, FIBER_STACK = 128 * 1024 };
#define FIRST_DEADLINE	  (10 * NSEC_PER_SEC) /* of the requests that a mount waits for */
#define NAMES_WAIT	  (10 * NSEC_PER_SEC) /* for renames that a crash cut off */
#define SIGNAL_DRAIN	  (6 * NSEC_PER_SEC)  /* a container engine kills 10 s after SIGTERM */
#define CLEANING_WAIT	  (5 * NSEC_PER_SEC)  /* of an unmount that owes nothing else */
#define CACHE_DEFAULT_MAX (UINT64_C(64) << 30)

struct mount {
	struct cli *cli;
	struct options *options;
	void (*ready)(void *context, const char *notice);
	void *ready_context;
	struct error *error;
	int err;
	bool up, signalled, read_only;
	char *damage; /* of the journal; NULL: none */

	struct loop *loop;
	struct env env;
	struct cache_directory cache;
	struct credentials credentials;
	struct media_types *media_types; /* NULL: names tell no type */
	struct s3_config s3;
	struct vfs *vfs;
	struct front *front;
	char *directory, *prefix, *volume;
	struct loop_watch signals;
	bool unquoted;
};

static uint64_t random_number(void *context)
{
	uint64_t value;

	(void)context;
	while (getrandom(&value, sizeof(value), 0) != (ssize_t)sizeof(value))
		;
	return value;
}

static int check_mount_point(struct mount *mount)
{
	const char *name = mount->cli->directory;
	struct buf parent = BUF_INIT;
	struct stat st, above;
	int err = 0;

	if (stat(name, &st)) {
		if (errno == ENOTCONN)
			return error_set(
				mount->error, -EBUSY,
				"%s is the mount point of a file system that died: umount it first",
				name);
		return error_set(mount->error, -errno, "the mount point %s cannot be used: %s",
				 name, strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return error_set(mount->error, -ENOTDIR, "the mount point %s is not a directory",
				 name);
	mount->directory = realpath(name, NULL);
	if (!mount->directory)
		return error_set(mount->error, -errno, "cannot resolve %s: %s", name,
				 strerror(errno));
	buf_printf(&parent, "%s/..", mount->directory);
	if (stat(buf_str(&parent), &above) == 0 && above.st_dev != st.st_dev)
		err = error_set(mount->error, -EBUSY,
				"the mount point %s is busy: something is mounted there already",
				name);
	buf_free(&parent);
	return err;
}

static int prepare_names(struct mount *mount)
{
	struct options *options = mount->options;
	struct buf volume = BUF_INIT;

	mount->prefix = key_normalise_prefix(options->prefix ? options->prefix : "");
	if (!mount->prefix)
		return error_set(
			mount->error, -EINVAL,
			"the prefix \"%s\" cannot be used: no empty part, \".\" or \"..\" in it",
			options->prefix);
	buf_printf(&volume, "%s/%s at %s", mount->cli->bucket, mount->prefix,
		   options->endpoint ? options->endpoint : "AWS");
	mount->volume = buf_steal(&volume);
	return mount->volume ? 0 : error_set(mount->error, -ENOMEM, "out of memory");
}

static int reload_keys(void *context, struct credentials *out)
{
	struct mount *mount = context;
	struct error error = ERROR_INIT;
	int err = credentials_reload(out, mount->options, mount->cli->bucket, &error);

	if (err)
		log_warning(
			"%s: the server does not take the keys any more, and reading them again "
			"failed: %s",
			mount->volume, error.message);
	return err;
}

static int open_store(struct mount *mount)
{
	struct options *options = mount->options;
	int err = credentials_load(&mount->credentials, options, mount->cli->bucket, mount->error);

	if (err)
		return err;
	mount->s3 = (struct s3_config){
		.bucket = mount->cli->bucket,
		.endpoint = options->endpoint,
		.region = options->region,
		.path_style = (enum path_style_mode)options->path_style,
		.ca_file = options->ca_file,
		.connections = (unsigned)options->parallel,
		.credentials = &mount->credentials,
		.reload = reload_keys,
		.reload_context = mount,
		.user_agent = "s3mount/" S3MOUNT_VERSION,
	};
	return s3_create(&mount->env.store, mount->env.executor, &mount->s3, mount->error);
}

static int load_media_types(struct mount *mount)
{
	const char *path = mount->options->mime;
	int err;

	if (strcmp(path, "off") == 0)
		return 0;
	err = media_types_load(path, &mount->media_types, mount->error);
	if (err != -ENOENT || strcmp(path, OPTION_MIME_DEFAULT) != 0)
		return err;
	*mount->error = (struct error)ERROR_INIT;
	mount->media_types = media_types_parse(NULL);
	return mount->media_types ? 0 : error_set(mount->error, -ENOMEM, "out of memory");
}

/* The bucket answers, and we may list what we are to show. */
static int check_bucket(struct mount *mount)
{
	struct os_request head = {.op = OS_BUCKET_HEAD,
				  .urgent = true,
				  .deadline = env_after(&mount->env, FIRST_DEADLINE)};
	struct os_request list = {.op = OS_LIST,
				  .prefix = mount->prefix,
				  .max_keys = 1,
				  .urgent = true,
				  .deadline = env_after(&mount->env, FIRST_DEADLINE)};
	int head_err = env_s3(&mount->env, &head);
	int err = head_err;

	/* A HEAD has no body that says why; and a key that is limited to a prefix may list that
	 * alone. */
	if (head_err != -EHOSTUNREACH && head_err != -ETIMEDOUT && head_err != -EKEYREJECTED)
		err = env_s3(&mount->env, &list);
	if (err)
		err = s3_explain(&mount->s3, err == list.result.err ? &list : &head, mount->error);
	os_request_free_result(&head);
	os_request_free_result(&list);
	return err;
}

static void set_unquoted(void *context, bool unquoted)
{
	struct mount *mount = context;

	mount->unquoted = unquoted;
	s3_set_unquoted_etags(mount->env.store, unquoted);
}

static void say_what_is_missing(struct mount *mount)
{
	const struct upload_capabilities *can = &vfs_uploader(mount->vfs)->can;

	if (can->racy)
		log_warning(
			"%s: this server looks at the conditions of writes and then writes "
			"without them: of several writers at the same moment more than one "
			"won. So they count as missing: two writers of one file within the same "
			"moment are not noticed; a HEAD before each write is all the protection "
			"there is",
			mount->volume);
	else if (!can->put_if_none_match || !can->put_if_match)
		log_warning("%s: this server ignores conditional writes: two writers of one file "
			    "within the "
			    "same moment are not noticed; a HEAD before each write is all the "
			    "protection "
			    "there is",
			    mount->volume);
	else if (!can->complete)
		log_warning("%s: this server has no conditional multipart uploads: for files above "
			    "%llu MiB "
			    "a HEAD just before the end of the upload stands in",
			    mount->volume, (unsigned long long)(mount->env.sizes->put_max >> 20));
	log_debug("conditions: create %d, replace %d, multipart %d, copy %d, delete %d, bare ETags "
		  "%d",
		  can->put_if_none_match, can->put_if_match, can->complete, can->copy, can->delete,
		  mount->unquoted);
}

static int probe(struct mount *mount)
{
	struct uploader *uploader = vfs_uploader(mount->vfs);
	struct os_result failure = {0};
	int err;

	if (mount->read_only)
		return 0;
	if (cache_directory_load_probe(&mount->cache, executor_wall(mount->env.executor),
				       &uploader->can, &mount->unquoted)) {
		s3_set_unquoted_etags(mount->env.store, mount->unquoted);
		say_what_is_missing(mount);
		return 0;
	}
	err = upload_probe(uploader, mount->prefix, &failure, set_unquoted, mount);
	if (err)
		return error_set(
			mount->error, err,
			"cannot write to bucket %s (%s %s): give the key the right to, or mount "
			"with -o ro",
			mount->cli->bucket, failure.code, failure.message);
	if (!uploader->can.unsure)
		cache_directory_save_probe(&mount->cache, &uploader->can, mount->unquoted);
	say_what_is_missing(mount);
	return 0;
}

static uint32_t owner(int64_t option, uint32_t own)
{
	return option >= 0 ? (uint32_t)option : own;
}

static int open_core(struct mount *mount, const struct vfs_config *config)
{
	struct journal_info info;
	int err = disk_posix_create(&mount->env.disk, mount->env.executor, mount->cache.data_path,
				    mount->error);

	if (!err)
		err = journal_open(&mount->env.journal, mount->env.executor, mount->cache.path,
				   mount->volume, &info, mount->error);
	if (!err)
		err = vfs_create_instance(&mount->env, config, &info, &mount->vfs, mount->error);
	return err;
}

/* The journal cannot be read. It, and the data that it names, stay for `s3mount recover`; the
 * bucket is served without them. */
static int go_on_read_only(struct mount *mount, struct vfs_config *config)
{
	struct buf text = BUF_INIT;
	int err;

	buf_printf(
		&text,
		"%s; the bucket is mounted READ-ONLY, without changes that are not in S3 yet: "
		"unmount it, save them with `s3mount recover %s --to DIRECTORY`, move that cache "
		"directory away and mount again",
		mount->error->message, mount->cache.path);
	mount->damage = buf_steal(&text);
	*mount->error = (struct error)ERROR_INIT;
	if (mount->env.journal)
		journal_close(mount->env.journal, false);
	mount->env.journal = NULL;
	mount->env.disk->ops->destroy(mount->env.disk);
	mount->env.disk = NULL;
	if (!mount->damage)
		return error_set(mount->error, -ENOMEM, "out of memory");
	err = cache_directory_set_aside(&mount->cache, mount->error);
	if (err)
		return err;
	mount->read_only = config->read_only = true;
	config->read_only_because = mount->damage;
	config->cache_directory = mount->cache.aside;
	log_error("%s: %s", mount->volume, mount->damage);
	return open_core(mount, config);
}

static int create_vfs(struct mount *mount)
{
	struct options *options = mount->options;
	uint32_t umask_ = options->umask >= 0 ? (uint32_t)options->umask : 022;
	uint32_t dirmask = options->dirmask >= 0 ? (uint32_t)options->dirmask : umask_;
	uint64_t limit = (uint64_t)options->cache_size;
	char node[HOST_NAME_MAX + 1] = "node";
	struct vfs_config config;
	int err;

	gethostname(node, sizeof(node) - 1);
	if (limit == 0)
		limit = mount->cache.available / 2 < CACHE_DEFAULT_MAX ? mount->cache.available / 2
								       : CACHE_DEFAULT_MAX;
	config = (struct vfs_config){
		.volume = mount->volume,
		.prefix = mount->prefix,
		.node = node,
		.defaults = {owner(options->uid, getuid()), owner(options->gid, getgid()),
			     0666 & ~umask_, 0777 & ~dirmask},
		.close = (enum publish_mode)options->close,
		.fsync = (enum publish_mode)options->fsync,
		.conflict = (enum conflict_mode)options->conflict,
		.attr_timeout = (uint64_t)options->attr_timeout,
		.cache_limit = limit,
		.dirty_limit = options->dirty_limit ? (uint64_t)options->dirty_limit : limit / 2,
		.part_size = (uint64_t)options->part_size,
		.parallel = (unsigned)options->parallel,
		.read_only = mount->read_only,
		.media_types = mount->media_types,
		.noatime = options->noatime,
		.acl = options->acl,
		.cache_directory = mount->cache.path,
	};
	err = open_core(mount, &config);
	/* -EIO: the disk cannot give a part of it. */
	if ((err == -EUCLEAN || err == -EIO) && mount->env.disk)
		err = go_on_read_only(mount, &config);
	return err;
}

/* What has not reached S3 goes there now, as far as time allows. */
static void drain(void *argument)
{
	struct mount *mount = argument;
	uint64_t limit = (uint64_t)mount->options->drain_timeout;
	uint64_t deadline, cleaned;
	struct vfs_pending left;

	if (mount->signalled && limit > SIGNAL_DRAIN)
		limit = SIGNAL_DRAIN;
	deadline = env_after(&mount->env, limit);
	left = vfs_pending(mount->vfs);
	if (left.files > 0)
		log_info("%s: unmounted; uploading %llu files (%llu bytes) that are not in S3 yet",
			 mount->volume, (unsigned long long)left.files,
			 (unsigned long long)left.bytes);
	while (left.files > 0 && env_now(&mount->env) < deadline) {
		vfs_sync(mount->vfs, VFS_ROOT, deadline);
		left = vfs_pending(mount->vfs);
		if (left.files > 0)
			fiber_sleep_until(env_after(&mount->env, 50 * NSEC_PER_MSEC), WAIT_PLAIN);
	}
	/* Uploads that nobody will finish, too; but the journal has them for the next mount. */
	cleaned = env_after(&mount->env, CLEANING_WAIT);
	if (cleaned > deadline)
		cleaned = deadline;
	while (vfs_uploader(mount->vfs)->cleaning > 0 && env_now(&mount->env) < cleaned)
		fiber_sleep_until(env_after(&mount->env, 50 * NSEC_PER_MSEC), WAIT_PLAIN);
	while (front_requests(mount->front) > 0 && env_now(&mount->env) < deadline)
		fiber_sleep_until(env_after(&mount->env, 10 * NSEC_PER_MSEC), WAIT_PLAIN);
	if (left.files > 0 && vfs_make_durable(mount->vfs) == 0) {
		log_warning("%s: %llu files (%llu bytes) are not in S3; they are safe in %s and "
			    "the next mount "
			    "of this bucket here uploads them",
			    mount->volume, (unsigned long long)left.files,
			    (unsigned long long)left.bytes, mount->cache.path);
		vfs_log_pending(mount->vfs, 20);
	}
	loop_stop(mount->loop);
}

static void ended(void *context)
{
	struct mount *mount = context;

	if (fiber_start(mount->env.fibers, drain, mount))
		loop_stop(mount->loop);
}

static void signalled(struct loop_watch *watch, uint32_t events)
{
	struct mount *mount = container_of(watch, struct mount, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(watch->fd, &info, sizeof(info)) != (ssize_t)sizeof(info) ||
	    info.ssi_signo == SIGHUP)
		return;
	log_info("%s: signal %u, unmounting", mount->volume, info.ssi_signo);
	mount->signalled = true;
	if (mount->front)
		front_unmount(mount->front);
	else
		loop_stop(mount->loop);
}

static int watch_signals(struct mount *mount)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	mount->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	mount->signals.ready = signalled;
	if (mount->signals.fd < 0)
		return error_set(mount->error, -errno, "signalfd: %s", strerror(errno));
	return loop_watch(mount->loop, &mount->signals, EPOLLIN);
}

static int start_front(struct mount *mount)
{
	struct front_config config = {
		.directory = mount->directory,
		.source = mount->cli->bucket,
		.allow_other = mount->options->allow_other,
		.read_only = mount->read_only,
		.attr_timeout = (uint64_t)mount->options->attr_timeout,
	};

	return front_create(mount->loop, mount->vfs, mount->env.fibers, &config, ended, mount,
			    &mount->front, mount->error);
}

static void recover(void *argument)
{
	struct mount *mount = argument;

	vfs_recover(mount->vfs);
}

static int start_recovery(struct mount *mount)
{
	if (fiber_start(mount->env.fibers, recover, mount))
		return error_set(mount->error, -ENOMEM, "out of memory");
	/* A large directory, or a server that fails, must not keep everything else away. */
	vfs_await_names(mount->vfs, env_after(&mount->env, NAMES_WAIT));
	return 0;
}

static void start(void *argument)
{
	struct mount *mount = argument;

	mount->err = check_bucket(mount);
	if (!mount->err)
		mount->err = create_vfs(mount);
	if (!mount->err)
		mount->err = probe(mount);
	if (!mount->err)
		mount->err = start_recovery(mount);
	if (!mount->err)
		mount->err = start_front(mount);
	if (mount->err) {
		loop_stop(mount->loop);
		return;
	}
	mount->up = true;
	log_info("%s: mounted on %s%s", mount->volume, mount->directory,
		 mount->read_only ? ", read-only" : "");
	mount->ready(mount->ready_context, mount->damage);
}

/* Small allocations stay in the heap; without this each read of a large buffer would map and unmap
 * it. */
static void tune_heap(void)
{
	mallopt(M_MMAP_THRESHOLD, 64 * 1024 * 1024);
	mallopt(M_TRIM_THRESHOLD, 32 * 1024 * 1024);
}

static int prepare(struct mount *mount)
{
	int err = check_mount_point(mount);

	if (!err)
		err = prepare_names(mount);
	if (!err)
		err = loop_create(&mount->loop);
	if (err)
		return error_set(mount->error, err, "cannot start: %s", strerror(-err));
	mount->env.executor = loop_executor(mount->loop);
	mount->env.sizes = &sizes_usual;
	mount->env.random = random_number;
	mount->env.fibers = fiber_pool_create(mount->env.executor, FIBERS_MAX, FIBER_STACK);
	if (!mount->env.fibers)
		return error_set(mount->error, -ENOMEM, "out of memory");
	err = watch_signals(mount);
	if (!err)
		err = front_check_device(mount->error);
	if (!err)
		err = load_media_types(mount);
	if (!err)
		err = open_store(mount);
	if (!err)
		err = cache_directory_open(&mount->cache, mount->options->cache,
					   mount->options->ro		 ? CACHE_FOR_READS
					   : mount->options->force_cache ? CACHE_FORCED
									 : CACHE_FOR_WRITES,
					   mount->cli->bucket, mount->volume, mount->error);
	return err;
}

/* The journal is what must end in order; the rest of the process's memory goes with it. Requests
 * that are still under way may belong to fibers, so nothing of theirs is freed. */
static bool finish(struct mount *mount)
{
	bool clean = mount->up && vfs_pending(mount->vfs).files == 0 && !mount->damage;

	if (mount->front && front_requests(mount->front) == 0)
		front_destroy(mount->front);
	if (mount->env.journal)
		journal_close(mount->env.journal, clean);
	credentials_free(&mount->credentials);
	media_types_free(mount->media_types);
	cache_directory_close(&mount->cache);
	if (mount->up)
		log_info("%s: ended", mount->volume);
	return clean;
}

int mount_run(struct cli *cli, void (*ready)(void *context, const char *notice), void *context,
	      struct error *error)
{
	struct mount *mount = calloc(1, sizeof(*mount));
	int err;

	if (!mount)
		return error_set(error, -ENOMEM, "out of memory");
	mount->cli = cli;
	mount->options = &cli->options;
	mount->read_only = cli->options.ro;
	mount->ready = ready;
	mount->ready_context = context;
	mount->error = error;
	mount->cache.lock_fd = -1;
	tune_heap();
	err = prepare(mount);
	if (!err && fiber_start(mount->env.fibers, start, mount))
		err = error_set(error, -ENOMEM, "out of memory");
	if (!err) {
		loop_run(mount->loop);
		err = mount->err;
	}
	if (!finish(mount) && mount->up)
		return MOUNT_LEFT;
	return err;
}
