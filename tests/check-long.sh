#!/bin/bash
# check-long.sh: the long forms of the tests on real mounts, several hours; arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."

export S3MOUNT_TEST_ROUNDS=${S3MOUNT_TEST_ROUNDS:-1000}
export S3MOUNT_TEST_TWO_WRITERS=${S3MOUNT_TEST_TWO_WRITERS:-600}
export S3MOUNT_TEST_OUTAGE=${S3MOUNT_TEST_OUTAGE:-60}
export S3MOUNT_TEST_LONG_OUTAGE=${S3MOUNT_TEST_LONG_OUTAGE:-300}
export S3MOUNT_TEST_OPERATIONS=${S3MOUNT_TEST_OPERATIONS:-1000000}
export S3MOUNT_TEST_PGBENCH=${S3MOUNT_TEST_PGBENCH:-60}
export S3MOUNT_TEST_ENTRIES=${S3MOUNT_TEST_ENTRIES:-100000}
export S3MOUNT_TEST_OBJECTS=${S3MOUNT_TEST_OBJECTS:-200000}
build/venv/bin/python3 -m pytest tests/programs --servers=embedded "$@"
exec build/venv/bin/python3 -m pytest tests/mount/test_kill9.py tests/mount/test_two_writers.py \
	tests/mount/test_outage.py --servers=embedded,versitygw "$@"
