#include "fs/front/interruption.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/fileio.h"
#include "common/list.h"

/* Fields of /proc/PID/stat, counted from the state (proc_pid_stat(5) counts from one, so that is
 * its third), and a flag of include/linux/sched.h, which is the same since Linux 2.6. */
enum { FIELD_FLAGS = 9 - 3, FIELD_PENDING = 31 - 3, FLAG_EXITING = 4, STAT_MAX = 4096 };

/* The name of the program stands before the fields, and may hold anything. */
static bool read_field(const char *stat, int field, uint64_t *out)
{
	const char *at = strrchr(stat, ')');
	char *end;

	for (int i = -1; at && i < field; i++)
		at = strchr(at + 1, ' ');
	if (!at)
		return false;
	*out = strtoull(at, &end, 10);
	return end > at;
}

enum caller_state caller_state(const char *stat)
{
	uint64_t flags, pending;

	if (!read_field(stat, FIELD_FLAGS, &flags) || !read_field(stat, FIELD_PENDING, &pending))
		return CALLER_UNKNOWN;
	return flags & FLAG_EXITING || pending >> (SIGKILL - 1) & 1 ? CALLER_IS_KILLED
								    : CALLER_LIVES;
}

static enum caller_state look(pid_t thread)
{
	enum caller_state state = CALLER_UNKNOWN;
	struct buf stat = BUF_INIT;
	char path[64];

	if (thread <= 0)
		return state;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)thread);
	if (file_read(path, STAT_MAX, &stat) == 0)
		state = caller_state(buf_str(&stat));
	buf_free(&stat);
	return state;
}

void interruption_signal(struct interruption *interruption)
{
	enum caller_state state = look(interruption->caller);
	uint64_t now = executor_monotonic(interruption->executor);

	if (interruption->grace == 0)
		interruption->grace = now + INTERRUPTION_GRACE;
	if (interruption->any || state == CALLER_IS_KILLED ||
	    (state == CALLER_UNKNOWN && now >= interruption->grace))
		fiber_interrupt(interruption->fiber);
	else
		timer_set(interruption->executor, &interruption->timer, now + INTERRUPTION_POLL);
}

static void look_again(struct timer *timer)
{
	interruption_signal(container_of(timer, struct interruption, timer));
}

void interruption_begin(struct interruption *interruption, struct executor *executor)
{
	*interruption = (struct interruption){.executor = executor, .fiber = fiber_self()};
	timer_init(&interruption->timer, look_again);
}

void interruption_end(struct interruption *interruption)
{
	timer_cancel(interruption->executor, &interruption->timer);
	fiber_forget_interrupt();
}
