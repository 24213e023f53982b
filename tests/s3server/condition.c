#include "tests/s3server/condition.h"

#include <stddef.h>
#include <string.h>

static bool one_etag_matches(const char *item, size_t len, const char *etag)
{
	size_t etag_len = strlen(etag);

	if (len >= 2 && item[0] == 'W' && item[1] == '/') {
		item += 2;
		len -= 2;
	}
	if (len >= 2 && item[0] == '"' && item[len - 1] == '"') {
		item++;
		len -= 2;
	}
	if (etag_len >= 2 && etag[0] == '"') {
		etag++;
		etag_len -= 2;
	}
	return len == etag_len && memcmp(item, etag, len) == 0;
}

bool etag_matches(const char *list, const char *etag)
{
	while (*list) {
		size_t len;

		list += strspn(list, " \t,");
		len = strcspn(list, ", \t");
		if (len == 1 && *list == '*')
			return true;
		if (len > 0 && one_etag_matches(list, len, etag))
			return true;
		list += len;
	}
	return false;
}

enum verdict condition_for_write(const struct condition *condition, const char *etag)
{
	if (condition->if_match) {
		if (!etag)
			return VERDICT_ABSENT;
		if (!etag_matches(condition->if_match, etag))
			return VERDICT_FAILED;
	}
	if (condition->if_none_match && etag && etag_matches(condition->if_none_match, etag))
		return VERDICT_FAILED;
	return VERDICT_PASS;
}

enum verdict condition_for_read(const struct condition *condition, const char *etag,
				int64_t modified)
{
	int64_t seconds = modified / 1000 * 1000;

	if (condition->if_match) {
		if (!etag_matches(condition->if_match, etag))
			return VERDICT_FAILED;
	} else if (condition->if_unmodified_since != INT64_MIN &&
		   seconds > condition->if_unmodified_since) {
		return VERDICT_FAILED;
	}
	if (condition->if_none_match) {
		if (etag_matches(condition->if_none_match, etag))
			return VERDICT_NOT_MODIFIED;
	} else if (condition->if_modified_since != INT64_MIN &&
		   seconds <= condition->if_modified_since) {
		return VERDICT_NOT_MODIFIED;
	}
	return VERDICT_PASS;
}
