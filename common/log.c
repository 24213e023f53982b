#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_BYTES_MAX = 4096, LOG_TEXT_BYTES_MAX = 2048 };

/* Where lines go instead of to a descriptor. */
enum { LOG_FD_SYSLOG = -1 };

/* The one global mutable state. Each field is read on its own; a line that is written while
 * log_open runs may go to either place, never to none. */
static struct {
	atomic_int level;
	atomic_int fd;
	_Atomic(const char *) ident;
} state = {LOG_LEVEL_INFO, STDERR_FILENO, NULL};

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int level_priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};

static const char *ident_or_default(void)
{
	const char *ident = atomic_load_explicit(&state.ident, memory_order_relaxed);

	return ident ? ident : "s3mount";
}

/* A second log_open for a file takes over the descriptor of the first one, so that no thread that
 * is about to write to it can hit a descriptor that was closed and given to something else. */
static int open_file(const char *path)
{
	int old = atomic_load(&state.fd);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

	if (fd < 0)
		return -errno;
	if (old > STDERR_FILENO) {
		int err = dup3(fd, old, O_CLOEXEC) < 0 ? -errno : 0;

		close(fd);
		return err ? err : old;
	}
	return fd;
}

int log_open(const char *ident, enum log_target target, const char *path, enum log_level level)
{
	int fd = STDERR_FILENO;

	if (target == LOG_TARGET_FILE) {
		fd = open_file(path);
		if (fd < 0)
			return fd;
	} else if (target == LOG_TARGET_SYSLOG) {
		openlog(ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
		fd = LOG_FD_SYSLOG;
	}
	atomic_store(&state.ident, ident);
	atomic_store(&state.level, level);
	atomic_store(&state.fd, fd);
	return 0;
}

void log_set_level(enum log_level level)
{
	atomic_store(&state.level, level);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&state.level, memory_order_relaxed);
}

int log_level_parse(const char *text, enum log_level *out)
{
	for (int i = 0; i <= LOG_LEVEL_DEBUG; i++)
		if (strcmp(text, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	return -EINVAL;
}

/* Keys and server messages are foreign text: control characters must not forge lines or drive a
 * terminal. Returns the length; the result is NUL-terminated. */
static size_t escape_controls(const char *text, char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = 0;

	for (; *text && len + 5 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != 0x7f) {
			out[len++] = (char)c;
			continue;
		}
		out[len++] = '\\';
		out[len++] = 'x';
		out[len++] = digits[c >> 4];
		out[len++] = digits[c & 15];
	}
	out[len] = '\0';
	return len;
}

static size_t put_prefix(char *line, size_t size, enum log_level level, int fd)
{
	const char *ident = ident_or_default();
	struct timespec now;
	struct tm utc;
	int len;

	/* At a terminal a time stamp is noise, unless someone follows what happens in which order.
	 */
	if (fd == STDERR_FILENO && !log_enabled(LOG_LEVEL_DEBUG)) {
		len = snprintf(line, size, "%.64s: %s: ", ident, level_names[level]);
		return (size_t)len;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	len = snprintf(line, size,
		       "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ %.64s[%d] %s: ", utc.tm_year + 1900,
		       utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
		       now.tv_nsec / 1000, ident, (int)getpid(), level_names[level]);
	return (size_t)len;
}

static void write_line(int fd, const char *line, size_t len)
{
	ssize_t n;

	do
		n = write(fd, line, len);
	while (n < 0 && errno == EINTR);
	/* A log that cannot be written has nobody to tell; the program goes on. */
}

void log_write(enum log_level level, const char *format, ...)
{
	char text[LOG_TEXT_BYTES_MAX], line[LOG_LINE_BYTES_MAX];
	int fd, saved_errno = errno;
	size_t len = 0;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fd = atomic_load(&state.fd);
	if (fd != LOG_FD_SYSLOG)
		len = put_prefix(line, sizeof(line), level, fd);
	len += escape_controls(text, line + len, sizeof(line) - len - 1);
	if (fd == LOG_FD_SYSLOG) {
		syslog(level_priorities[level], "%s", line);
	} else {
		line[len++] = '\n';
		write_line(fd, line, len);
	}
	errno = saved_errno;
}
