/* main.c — conformance DIRECTORY PASS [AREA[/CASE]]
 *
 * Runs all cases in DIRECTORY as root ("root"), as an ordinary user ("user"), or those for a
 * read-only mount ("read-only"). Has to be started by root. Exit status 0: all cases were run, and
 * standard output has their results; 2: the directory cannot be used.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/conformance/conformance.h"

enum { CASE_SECONDS = 30 };

static const struct area *const areas[] = {
	&area_open,	  &area_names, &area_types,	  &area_rename, &area_remove,
	&area_permission, &area_owner, &area_privileges,  &area_times,	&area_data,
	&area_mapping,	  &area_space, &area_links,	  &area_locks,	&area_directory,
	&area_xattr,	  &area_acl,   &area_descriptors, &area_status, &area_notify,
	&area_read_only};

static int enter(const struct run *run, enum pass pass, const char *directory)
{
	char path[256];

	if (pass == PASS_READ_ONLY)
		return chdir(directory);
	snprintf(path, sizeof(path), "%s/%s.%s.%s", directory, run->area, run->name,
		 run->actor->name);
	if (mkdir(path, 0755) < 0 || chown(path, run->actor->uid, run->actor->gid) < 0)
		return -1;
	return chdir(path);
}

__attribute__((noreturn)) static void run_in_child(const struct run *run,
						   const struct conformance_case *conformance_case,
						   const char *directory)
{
	alarm(CASE_SECONDS);
	umask(022);
	if (enter(run, conformance_case->pass, directory) < 0) {
		fprintf(stderr, "conformance: %s: %s\n", directory, strerror(errno));
		exit(2);
	}
	become(run->actor);
	conformance_case->run(run);
	exit(0);
}

static int run_case(const struct run *run, const struct conformance_case *conformance_case,
		    const char *directory)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0)
		run_in_child(run, conformance_case, directory);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return 2;
	if (WIFSIGNALED(status))
		printf("%s/%s died: SIG%s\n", run->area, run->name, sigabbrev_np(WTERMSIG(status)));
	return WIFSIGNALED(status) ? 0 : WEXITSTATUS(status);
}

static bool is_part(enum pass pass, const char *word)
{
	switch (pass) {
	case PASS_BOTH: return strcmp(word, "root") == 0 || strcmp(word, "user") == 0;
	case PASS_ONCE: return strcmp(word, "root") == 0;
	case PASS_READ_ONLY: return strcmp(word, "read-only") == 0;
	}
	return false;
}

/* only: "area", "area/case" or NULL for all. */
static bool is_chosen(const char *only, const struct area *area, const char *name)
{
	size_t len = strlen(area->name);

	if (!only)
		return true;
	return strncmp(only, area->name, len) == 0 &&
	       (only[len] == '\0' || (only[len] == '/' && strcmp(only + len + 1, name) == 0));
}

int main(int count, char **words)
{
	int status = 0;

	if (count < 3 || count > 4) {
		fputs("usage: conformance DIRECTORY root|user|read-only [AREA[/CASE]]\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0); /* what a case told before it died is not lost */
	for (size_t i = 0; i < COUNT(areas) && status == 0; i++) {
		for (size_t j = 0; j < areas[i]->count && status == 0; j++) {
			const struct conformance_case *it = &areas[i]->cases[j];
			const struct run run = {areas[i]->name, it->name,
						strcmp(words[2], "user") == 0 ? &identity_actor
									      : &identity_root};

			if (is_part(it->pass, words[2]) && is_chosen(words[3], areas[i], it->name))
				status = run_case(&run, it, words[1]);
		}
	}
	return status;
}
