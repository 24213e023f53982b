/* Fibers by setjmp. A fiber enters its stack once, by makecontext and setcontext; from then on each
 * switch is _setjmp and _longjmp, which save the callee-saved registers and make no system call
 * (swapcontext makes two, for the signal mask, which is the same in all fibers). A fiber that ends
 * stays inside its trampoline and takes the next entry from there.
 *
 * glibc's fortified longjmp refuses to jump "down" the stack, which a jump between stacks may be,
 * so this file is compiled without; the macro must go before the first header.
 *
 * Who runs whom: resume() switches into a fiber and comes back when that fiber gives up the thread.
 * It is called by fiber_start, also from a fiber, and by the task that a wake posts. So there is
 * always a chain of callers that ends at the thread's own stack.
 */
#undef _FORTIFY_SOURCE
#include "common/fiber.h"

#include <errno.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "common/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#elif __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif

#if defined(FIBER_ASAN)
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#define NO_SANITIZE __attribute__((noinline, no_sanitize("address")))
#elif defined(FIBER_TSAN)
#include <sanitizer/tsan_interface.h>
#define NO_SANITIZE __attribute__((noinline))
#else
#define NO_SANITIZE __attribute__((noinline))
#endif

#if defined(FIBER_ASAN) || defined(FIBER_TSAN)
enum { STACK_FACTOR = 4 }; /* red zones and checks make frames bigger */
#else
enum { STACK_FACTOR = 1 };
#endif

enum {
	IDLE_STACKS_MAX =
		128, /* kept for reuse; more than that is a burst whose memory goes back */
	STACK_ALIGNMENT = 64,
};

/* Where a fiber, or the thread itself, goes on. */
struct context {
	jmp_buf registers;
	bool entered;	   /* registers are valid */
	const void *stack; /* above the guard page; for the thread: as the sanitizer says */
	size_t stack_size;
	void *sanitizer; /* ASan: its fake stack; TSan: its idea of a fiber */
};

enum fiber_state {
	FIBER_IDLE,    /* in the pool, or its entry has returned */
	FIBER_RUNNING, /* or it has started another fiber that has not given up the thread yet */
	FIBER_PARKED,  /* until fiber_wake */
	FIBER_WAITING, /* on a queue, for a timer, or both */
	FIBER_READY,   /* its task is posted */
};

/* Lives at the top of its own stack's memory. */
struct fiber {
	struct context context;
	struct context *caller; /* valid while RUNNING */
	struct fiber_pool *pool;
	void (*entry)(void *);
	void *arg;
	struct fiber *next_idle;
	struct task task;    /* posted while READY */
	struct timer timer;  /* set only while WAITING */
	struct list waiting; /* on a wait queue; only while WAITING */
	enum fiber_state state;
	enum wait_mode mode; /* of the wait */
	int wait_result;
	bool woken;	  /* a wake that no park has taken yet */
	bool interrupted; /* an interrupt that no wait has taken yet */
};

struct fiber_pool {
	struct executor *executor;
	struct fiber *idle; /* last in, first out: its stack is still in the CPU's cache */
	unsigned alive, idle_count, max;
	size_t stack_bytes, map_bytes, page_bytes;
};

static _Thread_local struct fiber *current;
static _Thread_local struct context thread_context;
static _Thread_local struct context *left; /* by the last switch */

static void trampoline(void);

/* The stack is fresh: makes it, and does not come back. */
NO_SANITIZE static void enter(struct context *context)
{
	ucontext_t first;

	CHECK(getcontext(&first) == 0);
	first.uc_stack.ss_sp = (void *)(uintptr_t)context->stack;
	first.uc_stack.ss_size = context->stack_size;
	first.uc_link = NULL;
	makecontext(&first, trampoline, 0);
	setcontext(&first);
	CHECK(!"setcontext");
}

/* Must be inlined: TSan notes each function's entry and exit with the fiber that it takes for the
 * running one, which changes in here. */
static inline __attribute__((always_inline)) void before_switch(struct context *from,
								struct context *to, bool from_ends)
{
	left = from;
#if defined(FIBER_ASAN)
	__sanitizer_start_switch_fiber(from_ends ? NULL : &from->sanitizer, to->stack,
				       to->stack_size);
#elif defined(FIBER_TSAN)
	if (!from->sanitizer)
		from->sanitizer = __tsan_get_current_fiber();
	if (!to->sanitizer)
		to->sanitizer = __tsan_create_fiber(0);
	__tsan_switch_to_fiber(to->sanitizer, 0);
#endif
	(void)to;
	(void)from_ends;
}

/* First thing on the stack of "here". */
static inline __attribute__((always_inline)) void after_switch(struct context *here, bool is_new)
{
#if defined(FIBER_ASAN)
	/* The bounds of what was left: the only way to learn those of the thread's own stack. */
	__sanitizer_finish_switch_fiber(is_new ? NULL : here->sanitizer, &left->stack,
					&left->stack_size);
#endif
	(void)here;
	(void)is_new;
}

/* from_ends: nothing of the stack of "from" but the trampoline is needed any more. */
NO_SANITIZE static void switch_context(struct context *from, struct context *to, bool from_ends)
{
	if (_setjmp(from->registers) == 0) {
		from->entered = true;
		before_switch(from, to, from_ends);
		if (!to->entered)
			enter(to);
		_longjmp(to->registers, 1);
	}
	after_switch(from, from_ends);
}

NO_SANITIZE static void trampoline(void)
{
	struct fiber *fiber = current;

	after_switch(&fiber->context, true);
	for (;;) {
		fiber->entry(fiber->arg);
		fiber->state = FIBER_IDLE;
		switch_context(&fiber->context, fiber->caller, true);
	}
}

static void *stack_base(const struct fiber *fiber)
{
	return (char *)(uintptr_t)fiber->context.stack - fiber->pool->page_bytes;
}

static void fiber_free(struct fiber *fiber)
{
#if defined(FIBER_ASAN)
	__lsan_unregister_root_region(fiber->context.stack, fiber->pool->stack_bytes);
#elif defined(FIBER_TSAN)
	if (fiber->context.sanitizer)
		__tsan_destroy_fiber(fiber->context.sanitizer);
#endif
	CHECK(munmap(stack_base(fiber), fiber->pool->map_bytes) == 0);
}

static void release(struct fiber *fiber)
{
	struct fiber_pool *pool = fiber->pool;

	CHECK(!timer_is_set(&fiber->timer) && list_empty(&fiber->waiting));
	pool->alive--;
	if (pool->idle_count >= IDLE_STACKS_MAX) {
		fiber_free(fiber);
		return;
	}
	fiber->next_idle = pool->idle;
	pool->idle = fiber;
	pool->idle_count++;
}

static void resume(struct fiber *fiber)
{
	struct fiber *caller = current;

	fiber->state = FIBER_RUNNING;
	fiber->caller = caller ? &caller->context : &thread_context;
	current = fiber;
	switch_context(fiber->caller, &fiber->context, false);
	current = caller;
	if (fiber->state == FIBER_IDLE)
		release(fiber);
}

static void resume_task(struct task *task)
{
	struct fiber *fiber = container_of(task, struct fiber, task);

	CHECK(fiber->state == FIBER_READY);
	resume(fiber);
}

static void make_ready(struct fiber *fiber)
{
	fiber->state = FIBER_READY;
	executor_post(fiber->pool->executor, &fiber->task);
}

static void end_wait(struct fiber *fiber, int result)
{
	CHECK(fiber->state == FIBER_WAITING);
	list_remove(&fiber->waiting);
	timer_cancel(fiber->pool->executor, &fiber->timer);
	fiber->wait_result = result;
	make_ready(fiber);
}

static void deadline_passed(struct timer *timer)
{
	end_wait(container_of(timer, struct fiber, timer), -ETIMEDOUT);
}

/* Back in the same fiber once something has made it ready and its task has run. */
static void suspend(struct fiber *self, enum fiber_state state)
{
	self->state = state;
	switch_context(&self->context, self->caller, false);
}

struct fiber_pool *fiber_pool_create(struct executor *executor, unsigned max, size_t stack_bytes)
{
	struct fiber_pool *pool = calloc(1, sizeof(*pool));
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!pool)
		return NULL;
	pool->executor = executor;
	pool->max = max;
	pool->page_bytes = page;
	pool->stack_bytes = (stack_bytes * STACK_FACTOR + page - 1) / page * page;
	pool->map_bytes = pool->stack_bytes + page;
	CHECK(pool->stack_bytes > sizeof(struct fiber) + page);
	return pool;
}

void fiber_pool_destroy(struct fiber_pool *pool)
{
	if (!pool)
		return;
	CHECK(pool->alive == 0);
	while (pool->idle) {
		struct fiber *fiber = pool->idle;

		pool->idle = fiber->next_idle;
		fiber_free(fiber);
	}
	free(pool);
}

unsigned fiber_pool_alive(const struct fiber_pool *pool)
{
	return pool->alive;
}

struct executor *fiber_pool_executor(struct fiber_pool *pool)
{
	return pool->executor;
}

/* The memory of a stack: a page that nobody may touch, the stack, the fiber. Zero-filled by the
 * kernel. */
static struct fiber *fiber_create(struct fiber_pool *pool)
{
	char *base = mmap(NULL, pool->map_bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	struct fiber *fiber;
	size_t usable;

	if (base == MAP_FAILED)
		return NULL;
	if (mprotect(base, pool->page_bytes, PROT_NONE) < 0) {
		munmap(base, pool->map_bytes);
		return NULL;
	}
	usable = (pool->stack_bytes - sizeof(*fiber)) / STACK_ALIGNMENT * STACK_ALIGNMENT;
	base += pool->page_bytes;
	fiber = (struct fiber *)(void *)(base + usable);
	fiber->context.stack = base;
	fiber->context.stack_size = usable;
	fiber->pool = pool;
	fiber->task.run = resume_task;
	timer_init(&fiber->timer, deadline_passed);
	list_init(&fiber->waiting);
#if defined(FIBER_ASAN)
	/* What only a fiber's local variables point to is not leaked. */
	__lsan_register_root_region(base, pool->stack_bytes);
#endif
	return fiber;
}

int fiber_start(struct fiber_pool *pool, void (*entry)(void *), void *arg)
{
	struct fiber *fiber = pool->idle;

	if (pool->alive >= pool->max)
		return -EAGAIN;
	if (fiber) {
		pool->idle = fiber->next_idle;
		pool->idle_count--;
	} else {
		fiber = fiber_create(pool);
		if (!fiber)
			return -ENOMEM;
	}
	fiber->entry = entry;
	fiber->arg = arg;
	fiber->woken = false;
	fiber->interrupted = false;
	pool->alive++;
	resume(fiber);
	return 0;
}

struct fiber *fiber_self(void)
{
	return current;
}

void fiber_park(void)
{
	struct fiber *self = current;

	CHECK(self);
	if (!self->woken)
		suspend(self, FIBER_PARKED);
	self->woken = false;
}

/* A wake that meets a fiber which waits for something else, or yields, is kept for its next park.
 */
void fiber_wake(struct fiber *fiber)
{
	CHECK(fiber->state != FIBER_IDLE);
	fiber->woken = true;
	if (fiber->state == FIBER_PARKED)
		make_ready(fiber);
}

void fiber_interrupt(struct fiber *fiber)
{
	CHECK(fiber->state != FIBER_IDLE);
	if (fiber->state == FIBER_WAITING && fiber->mode == WAIT_INTERRUPTIBLE)
		end_wait(fiber, -EINTR);
	else
		fiber->interrupted = true;
}

void fiber_forget_interrupt(void)
{
	CHECK(current);
	current->interrupted = false;
}

/* queue may be NULL: only the deadline and an interrupt end it. */
static int wait_on(struct wait_queue *queue, uint64_t deadline, enum wait_mode mode)
{
	struct fiber *self = current;

	CHECK(self);
	if (mode == WAIT_INTERRUPTIBLE && self->interrupted) {
		self->interrupted = false;
		return -EINTR;
	}
	self->mode = mode;
	if (queue)
		list_append(&queue->waiters, &self->waiting);
	if (deadline != DEADLINE_NONE)
		timer_set(self->pool->executor, &self->timer, deadline);
	suspend(self, FIBER_WAITING);
	return self->wait_result;
}

int fiber_wait(struct wait_queue *queue, uint64_t deadline, enum wait_mode mode)
{
	return wait_on(queue, deadline, mode);
}

void wait_wake_one(struct wait_queue *queue)
{
	if (!list_empty(&queue->waiters))
		end_wait(container_of(queue->waiters.next, struct fiber, waiting), 0);
}

void wait_wake_all(struct wait_queue *queue)
{
	while (!list_empty(&queue->waiters))
		wait_wake_one(queue);
}

int fiber_sleep_until(uint64_t deadline, enum wait_mode mode)
{
	int err = wait_on(NULL, deadline, mode);

	return err == -ETIMEDOUT ? 0 : err;
}

void fiber_yield(void)
{
	struct fiber *self = current;

	CHECK(self);
	executor_post(self->pool->executor, &self->task);
	suspend(self, FIBER_READY);
}
