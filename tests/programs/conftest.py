"""Real programs, on the embedded server, with both ways in which close returns."""
import pytest


@pytest.fixture(params=["close=s3", "close=local"])
def each_mount(request, bucket, make_mount):
    return make_mount(bucket, [request.param, "acl"])
