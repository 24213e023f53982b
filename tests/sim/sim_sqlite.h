/* sim_sqlite.h — SQLite's VFS over the journal's files of simulated disks.
 *
 * A journal's directory is the text that sim_sqlite_attach gives; it names the disk. Threads: one.
 */
#ifndef TESTS_SIM_SIM_SQLITE_H
#define TESTS_SIM_SIM_SQLITE_H

#include "tests/sim/sim_disk.h"

enum { SIM_DIRECTORY_MAX = 32 };

/* Registers the VFS "sim", once. */
void sim_sqlite_install(void);
void sim_sqlite_attach(struct sim_disk *disk, char directory[SIM_DIRECTORY_MAX]);
/* Nothing of it may be open. */
void sim_sqlite_detach(const char *directory);

#endif
