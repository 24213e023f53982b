/* condition.h — conditional requests: RFC 9110 section 13 and the S3 user guide, "Conditional
 * requests". Pure. */
#ifndef TESTS_S3SERVER_CONDITION_H
#define TESTS_S3SERVER_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

/* Strings are borrowed; NULL: no such condition. Times in ms, INT64_MIN: none. */
struct condition {
	const char *if_match, *if_none_match;
	int64_t if_modified_since, if_unmodified_since;
};

#define CONDITION_NONE                                                                             \
	{                                                                                          \
		NULL, NULL, INT64_MIN, INT64_MIN                                                   \
	}

enum verdict {
	VERDICT_PASS,
	VERDICT_FAILED,	      /* 412 */
	VERDICT_NOT_MODIFIED, /* 304 */
	VERDICT_ABSENT,	      /* 404: If-Match on a key that is not there */
};

/* list: "*", or ETags with or without quotes, separated by commas. etag: with quotes. */
bool etag_matches(const char *list, const char *etag);
/* etag NULL: nothing is there. */
enum verdict condition_for_write(const struct condition *condition, const char *etag);
enum verdict condition_for_read(const struct condition *condition, const char *etag,
				int64_t modified);

#endif
