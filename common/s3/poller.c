#include "common/s3/poller.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/executor.h"
#include "common/log.h"

enum { WAIT_MS_MAX = 60000 };

struct watched {
	uint32_t wanted, registered;
	bool told; /* opened and closed are told: registered can be trusted */
};

struct poller {
	int epoll_fd, wake_fd;
	atomic_bool sleeping;
	struct watched *watched;
	size_t count;
};

static struct watched *watched_of(struct poller *poller, int fd)
{
	struct watched *table;
	size_t count = poller->count;

	if ((size_t)fd < count)
		return &poller->watched[fd];
	count = (size_t)fd + 64;
	table = reallocarray(poller->watched, count, sizeof(*table));
	if (!table)
		return NULL;
	memset(table + poller->count, 0, (count - poller->count) * sizeof(*table));
	poller->watched = table;
	poller->count = count;
	return &table[fd];
}

static int update(struct poller *poller, int fd, struct watched *entry)
{
	struct epoll_event event = {.events = entry->wanted, .data.fd = fd};
	int op = entry->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int err = epoll_ctl(poller->epoll_fd, op, fd, &event);

	if (err && (errno == ENOENT || errno == EEXIST)) {
		op = op == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
		err = epoll_ctl(poller->epoll_fd, op, fd, &event);
	}
	if (err)
		return -errno;
	entry->registered = entry->wanted;
	return 0;
}

static void unregister(struct poller *poller, int fd, struct watched *entry)
{
	/* It may be closed already: the kernel has dropped it then. */
	epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	entry->registered = 0;
}

int poller_watch(struct poller *poller, int fd, uint32_t events)
{
	struct watched *entry = watched_of(poller, fd);

	if (!entry)
		return -ENOMEM;
	entry->wanted = events;
	if (entry->told && (events == 0 || events == entry->registered))
		return 0;
	if (events == 0) {
		unregister(poller, fd, entry);
		return 0;
	}
	return update(poller, fd, entry);
}

int poller_opened(struct poller *poller, int fd)
{
	struct watched *entry = watched_of(poller, fd);

	if (!entry)
		return -ENOMEM;
	*entry = (struct watched){.told = true};
	return 0;
}

void poller_closed(struct poller *poller, int fd)
{
	if ((size_t)fd < poller->count)
		poller->watched[fd] = (struct watched){0};
}

static int wait_ms(uint64_t until)
{
	struct timespec time;
	uint64_t now, wait;

	clock_gettime(CLOCK_MONOTONIC, &time);
	now = (uint64_t)time.tv_sec * NSEC_PER_SEC + (uint64_t)time.tv_nsec;
	if (until <= now)
		return 0;
	wait = (until - now - 1) / NSEC_PER_MSEC + 1;
	return wait > WAIT_MS_MAX ? WAIT_MS_MAX : (int)wait;
}

int poller_wait(struct poller *poller, uint64_t until, bool (*has_work)(void *context),
		void *context, struct poller_event events[POLLER_EVENTS])
{
	struct epoll_event ready[POLLER_EVENTS];
	int count, taken = 0, timeout = wait_ms(until);

	if (timeout > 0) {
		atomic_store(&poller->sleeping, true);
		if (has_work(context))
			timeout = 0;
	}
	count = epoll_wait(poller->epoll_fd, ready, POLLER_EVENTS, timeout);
	atomic_store(&poller->sleeping, false);
	for (int i = 0; i < count; i++) {
		int fd = ready[i].data.fd;
		uint64_t value;

		if (fd == poller->wake_fd) {
			if (read(fd, &value, sizeof(value)) < 0 && errno != EAGAIN)
				log_error("s3: eventfd: %m");
			continue;
		}
		/* An idle connection that the other side closed: curl notices when it picks it. */
		if (!poller->watched[fd].wanted) {
			unregister(poller, fd, &poller->watched[fd]);
			continue;
		}
		events[taken++] = (struct poller_event){fd, ready[i].events};
	}
	return taken;
}

void poller_wake(struct poller *poller)
{
	uint64_t one = 1;

	if (!atomic_exchange(&poller->sleeping, false))
		return;
	if (write(poller->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("s3: eventfd: %m");
}

int poller_create(struct poller **out)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct poller *poller = calloc(1, sizeof(*poller));
	int err = 0;

	*out = NULL;
	if (!poller)
		return -ENOMEM;
	atomic_init(&poller->sleeping, false);
	poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	event.data.fd = poller->wake_fd;
	if (poller->epoll_fd < 0 || poller->wake_fd < 0 ||
	    epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->wake_fd, &event))
		err = -errno;
	if (err) {
		poller_destroy(poller);
		return err;
	}
	*out = poller;
	return 0;
}

void poller_destroy(struct poller *poller)
{
	if (!poller)
		return;
	if (poller->epoll_fd >= 0)
		close(poller->epoll_fd);
	if (poller->wake_fd >= 0)
		close(poller->wake_fd);
	free(poller->watched);
	free(poller);
}
