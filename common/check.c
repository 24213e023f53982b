#include "common/check.h"

#include <stdlib.h>

#include "common/log.h"

void check_failed(const char *expression, const char *file, int line)
{
	log_error("internal error at %s:%d: \"%s\" does not hold; stopping before data is touched. "
		  "Please report this line",
		  file, line, expression);
	abort();
}
