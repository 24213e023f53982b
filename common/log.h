/* log.h — the one log of the process: levels, one line per event, to stderr, syslog or a file.
 *
 * The only global mutable state of the programs. Any thread. Each line is one write(2).
 * Secrets never come here: callers pass names and codes, never header values or keys.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_FILE };

/* ident: program name, kept by reference. path only for LOG_TARGET_FILE (opened for append, 0640).
 * Errors: -errno of open. Until it is called: stderr, level info. */
int log_open(const char *ident, enum log_target target, const char *path, enum log_level level);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Parses "error", "warning", "info", "debug". Errors: -EINVAL. */
int log_level_parse(const char *text, enum log_level *out);

#define log_error(...)	 log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)	 log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                   \
	} while (0)

#endif
