"""Fixtures of the engine tests. One cluster for the session; its nodes are made when a module asks."""
import pathlib
import sys
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import engine  # noqa: E402


@pytest.fixture(scope="session")
def cluster():
    with engine.Cluster() as started:
        yield started


@pytest.fixture(scope="module")
def node(cluster):
    """One engine, with the plugin as the article installs it."""
    made = cluster.add_node()
    made.install_plugin(*cluster.article_settings())
    yield made
    made.shut_down()


class Bucket:
    """A bucket as boto3 sees it."""

    def __init__(self, s3, name):
        self.name = name
        self.client = s3.client()
        self.client.create_bucket(Bucket=name)

    def get(self, key):
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def head(self, key):
        return self.client.head_object(Bucket=self.name, Key=key)

    def put(self, key, body):
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def keys(self, prefix=""):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


@pytest.fixture
def bucket(cluster):
    return Bucket(cluster.s3, f"bucket-{uuid.uuid4().hex[:10]}")


@pytest.fixture
def make_bucket(cluster):
    return lambda name: Bucket(cluster.s3, name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    cluster = item.funcargs.get("cluster") if hasattr(item, "funcargs") else None
    if report.failed and cluster:
        for node in cluster.nodes:
            if node.process:
                report.sections.append((f"plugin on {node.name}", node.plugin_log()[-6000:]))
    return report
