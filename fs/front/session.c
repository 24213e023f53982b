/* session.c — the mount and the pump between /dev/fuse and the fibers. Part of front.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fiber.h"
#include "common/log.h"
#include "common/mount_table.h"
#include "fs/front/front.h"
#include "fs/front/operations.h"
#include "fs/front/protocol.h"
#include "fs/front/trace.h"

/* A request's memory; kept for the next one. */
struct request_buffer {
	struct request_buffer *next;
	struct fuse_buf buf;
};

struct front {
	struct loop *loop;
	struct fiber_pool *fibers;
	struct fuse_session *session;
	struct operations_context context;
	struct loop_watch watch;
	struct request_buffer *spare;
	unsigned running; /* fibers of requests */
	bool watching, ended, mounted;
	void (*ended_fn)(void *context);
	void *ended_context;
};

static void end(struct front *front)
{
	if (front->watching) {
		loop_unwatch(front->loop, &front->watch);
		front->watching = false;
	}
	if (!front->ended) {
		front->ended = true;
		front->ended_fn(front->ended_context);
	}
}

static struct request_buffer *take_buffer(struct front *front)
{
	struct request_buffer *buffer = front->spare;

	if (buffer)
		front->spare = buffer->next;
	else
		buffer = calloc(1, sizeof(*buffer));
	return buffer;
}

static void watch(struct front *front)
{
	if (!front->watching && !front->ended &&
	    loop_watch(front->loop, &front->watch, EPOLLIN) == 0)
		front->watching = true;
}

/* What libfuse does not read of a request. It is for the callback alone, which begins before
 * anything else can run, and takes it before it waits. */
static void look(struct front *front, const struct fuse_buf *buf)
{
	front->context.kills_privileges = protocol_kills_privileges(buf->mem, buf->size);
	front->context.tmpfile = protocol_take_tmpfile(buf->mem, buf->size);
	if (protocol_read_init(buf->mem, buf->size, &front->context.init))
		log_debug("FUSE: the kernel offers %#llx",
			  (unsigned long long)front->context.init.offered);
}

/* The hook of the debug log. Requests run interleaved, but between a reply and the end of its
 * request nothing else does: so the result is of this one. */
static void process_logged(struct front *front, const struct fuse_buf *buf)
{
	struct executor *executor = loop_executor(front->loop);
	char what[TRACE_BYTES];
	uint64_t begun;

	if (!log_enabled(LOG_LEVEL_DEBUG)) {
		fuse_session_process_buf(front->session, buf);
		return;
	}
	trace_describe(buf->mem, buf->size, what);
	begun = executor_monotonic(executor);
	fuse_session_process_buf(front->session, buf);
	log_debug("fuse: %s: %s, %llu us", what,
		  front->context.result ? strerror(-front->context.result) : "ok",
		  (unsigned long long)((executor_monotonic(executor) - begun) / 1000));
	front->context.result = 0;
}

static void process(struct front *front, const struct fuse_buf *buf)
{
	struct interruption interruption;

	interruption_begin(&interruption, loop_executor(front->loop));
	front->context.interruption = &interruption;
	look(front, buf);
	process_logged(front, buf);
	interruption_end(&interruption);
}

/* Reads and answers requests until there is none. When one of them waits, the loop goes on and
 * starts another of these for the next request. */
static void serve(void *argument)
{
	struct front *front = argument;
	struct request_buffer *buffer = take_buffer(front);
	int got = -ENOMEM;

	while (buffer && !fuse_session_exited(front->session)) {
		got = fuse_session_receive_buf(front->session, &buffer->buf);
		if (got == -EINTR)
			continue;
		if (got <= 0)
			break;
		process(front, &buffer->buf);
	}
	if (buffer) {
		buffer->next = front->spare;
		front->spare = buffer;
	}
	front->running--;
	if (fuse_session_exited(front->session) || (got != -EAGAIN && got != -ENOMEM))
		end(front);
	watch(front);
}

static void readable(struct loop_watch *watch_, uint32_t events)
{
	struct front *front = container_of(watch_, struct front, watch);

	(void)events;
	/* At the limit the kernel keeps the rest; the next fiber that ends takes up reading again.
	 */
	if (front->running >= FRONT_REQUESTS) {
		loop_unwatch(front->loop, &front->watch);
		front->watching = false;
		return;
	}
	front->running++;
	if (fiber_start(front->fibers, serve, front)) {
		front->running--;
		loop_unwatch(front->loop, &front->watch);
		front->watching = false;
	}
}

int front_check_device(struct error *error)
{
	static const char name[] = "/dev/fuse";
	int err = 0, fd = open(name, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		err = -errno;
	else if (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode))
		err = -ENODEV;
	if (fd >= 0)
		close(fd);
	switch (err) {
	case 0: return 0;
	case -ENOENT:
	case -ENXIO:
	case -ENODEV:
		return error_set(error, -ENODEV,
				 "there is no %s: load the kernel's fuse module (modprobe fuse), "
				 "or give the container the device",
				 name);
	case -EACCES:
	case -EPERM:
		return error_set(error, err,
				 "cannot use %s: %s; its mode is usually 0666, and a container "
				 "must be given the device",
				 name, strerror(-err));
	default: return error_set(error, err, "cannot use %s: %s", name, strerror(-err));
	}
}

static int add_option(struct fuse_args *args, const char *option)
{
	return fuse_opt_add_arg(args, "-o") || fuse_opt_add_arg(args, option);
}

static int build_arguments(const struct front_config *config, struct fuse_args *args)
{
	struct buf source = BUF_INIT;
	int err = fuse_opt_add_arg(args, "s3mount");

	buf_puts(&source, "fsname=");
	for (const char *p = config->source; *p;
	     p++) { /* FUSE's option parser wants commas escaped */
		if (*p == ',' || *p == '\\')
			buf_putc(&source, '\\');
		buf_putc(&source, *p);
	}
	err = err || source.failed || add_option(args, buf_str(&source)) ||
	      add_option(args, "subtype=s3mount") || add_option(args, "default_permissions");
	if (config->allow_other)
		err = err || add_option(args, "allow_other");
	if (config->read_only)
		err = err || add_option(args, "ro");
	buf_free(&source);
	return err ? -ENOMEM : 0;
}

static ssize_t read_request(int fd, void *to, size_t size, void *context)
{
	(void)context;
	return read(fd, to, size);
}

/* Replies go out as libfuse made them, but for that to FUSE_INIT. */
static ssize_t write_reply(int fd, struct iovec *parts, int count, void *context_)
{
	struct operations_context *context = context_;

	if (count == 2 &&
	    protocol_complete_init(&context->init, parts[0].iov_base, parts[0].iov_len,
				   parts[1].iov_base, parts[1].iov_len))
		context->init.seen = false;
	return writev(fd, parts, count);
}

/* Without splicing, which is off (op_init), these two are all of libfuse's I/O. */
static int hook_replies(struct front *front, struct error *error)
{
	static const struct fuse_custom_io io = {.writev = write_reply, .read = read_request};
	int err = fuse_session_custom_io(front->session, &io, fuse_session_fd(front->session));

	return err ? error_set(error, err, "libfuse does not take the session") : 0;
}

static int mount_session(struct front *front, const struct front_config *config,
			 struct error *error)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int flags, err = build_arguments(config, &args);

	if (!err) {
		front->session = fuse_session_new(&args, &operations, sizeof(operations),
						  &front->context);
		err = front->session ? 0 : -EINVAL;
	}
	fuse_opt_free_args(&args);
	if (err)
		return error_set(error, err, "libfuse does not take the mount options");
	if (fuse_session_mount(front->session, config->directory))
		return error_set(
			error, -EPERM,
			"cannot mount on %s: the reason stands above (as an ordinary user: is "
			"fusermount3 installed, do you own the directory, and does "
			"/etc/fuse.conf have user_allow_other for allow_other?)",
			config->directory);
	front->mounted = true;
	front->context.session = front->session;
	err = hook_replies(front, error);
	if (err)
		return err;
	front->watch.fd = fuse_session_fd(front->session);
	flags = fcntl(front->watch.fd, F_GETFL);
	if (flags < 0 || fcntl(front->watch.fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_set(error, -errno, "cannot use /dev/fuse: %s", strerror(errno));
	return 0;
}

/* The kernel reads ahead 128 KiB by default, which INIT cannot raise (fs/fuse/inode.c of Linux
 * takes the smaller); the device's own setting can, where /sys is writable. */
static void raise_read_ahead(const char *directory)
{
	struct mount_table table;
	struct mount_entry entry;
	char path[128];
	bool found;
	int fd;

	/* stat would need a round trip through ourselves; the mount table has the device. */
	if (mount_table_load(&table))
		return;
	found = mount_table_find(&table, directory, &entry);
	if (found)
		snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
			 entry.device_major, entry.device_minor);
	mount_table_free(&table);
	if (!found)
		return;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1024", 4) != 4)
		log_debug("cannot set %s", path);
	close(fd);
}

int front_create(struct loop *loop, struct vfs *vfs, struct fiber_pool *fibers,
		 const struct front_config *config, void (*ended)(void *context), void *context,
		 struct front **out, struct error *error)
{
	struct front *front = calloc(1, sizeof(*front));
	int err;

	if (!front)
		return error_set(error, -ENOMEM, "out of memory");
	front->loop = loop;
	front->fibers = fibers;
	front->ended_fn = ended;
	front->ended_context = context;
	front->watch.ready = readable;
	front->context = (struct operations_context){
		.vfs = vfs,
		.timeout = (double)config->attr_timeout / (double)NSEC_PER_SEC,
		.read_buffer = malloc(OPERATIONS_MAX_IO),
		.read_size = OPERATIONS_MAX_IO,
	};
	err = front->context.read_buffer ? mount_session(front, config, error)
					 : error_set(error, -ENOMEM, "out of memory");
	if (!err) {
		watch(front);
		err = front->watching ? 0 : error_set(error, -EIO, "cannot watch /dev/fuse");
	}
	if (err) {
		front_destroy(front);
		return err;
	}
	raise_read_ahead(config->directory);
	*out = front;
	return 0;
}

void front_unmount(struct front *front)
{
	if (front->mounted)
		fuse_session_unmount(front->session);
	front->mounted = false;
	fuse_session_exit(front->session);
	end(front);
}

void front_destroy(struct front *front)
{
	struct request_buffer *buffer;

	if (front->session) {
		if (front->mounted)
			fuse_session_unmount(front->session);
		fuse_session_destroy(front->session);
	}
	while ((buffer = front->spare)) {
		front->spare = buffer->next;
		free(buffer->buf.mem);
		free(buffer);
	}
	free(front->context.read_buffer);
	free(front);
}

unsigned front_requests(const struct front *front)
{
	return front->running;
}
