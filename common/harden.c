#include "common/harden.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int process_harden(void)
{
	/* Both: a core_pattern that pipes to a program ignores the limit unless the process is not
	 * dumpable, and a later setuid or execve resets the flag. */
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
	return 0;
}
