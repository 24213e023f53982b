#!/bin/bash
# check-long.sh: the long forms of the tests on real mounts, more than an hour; arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."

export S3MOUNT_TEST_ROUNDS=${S3MOUNT_TEST_ROUNDS:-1000}
export S3MOUNT_TEST_TWO_WRITERS=${S3MOUNT_TEST_TWO_WRITERS:-600}
export S3MOUNT_TEST_OUTAGE=${S3MOUNT_TEST_OUTAGE:-60}
export S3MOUNT_TEST_LONG_OUTAGE=${S3MOUNT_TEST_LONG_OUTAGE:-300}
exec build/venv/bin/python3 -m pytest tests/mount/test_kill9.py tests/mount/test_two_writers.py \
	tests/mount/test_outage.py --servers=embedded,versitygw "$@"
