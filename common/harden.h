/* harden.h — keeps what is in the memory of a process that holds keys to itself.
 *
 * Strings with keys are wiped by their owners (common/s3/secret.h); this closes the ways around
 * that.
 */
#ifndef COMMON_HARDEN_H
#define COMMON_HARDEN_H

/* No core files, and no ptrace or /proc/PID/mem, environ by other processes of the same user
 * (prctl(2), PR_SET_DUMPABLE). Call it first in main; fork keeps it, execve does not. Errors:
 * -errno. */
int process_harden(void);

#endif
