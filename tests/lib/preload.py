"""Many objects in the embedded server at once: its log of what happened, written before it starts.

A PUT of each would take minutes. The format is that of tests/s3server/storelog.c; what the server does not understand
of it is not there.
"""
import os
import pathlib
import urllib.parse

BODY = b"preloaded\n"
ETAG = '"preloaded-1"'
MODIFIED = 1_790_000_000_000  # ms


def field(text):
    return urllib.parse.quote(text, safe="-_.~/")


def preload(root, bucket, keys):
    """Each key that ends with a slash is an empty object, each other one holds BODY."""
    blobs = pathlib.Path(root, "data", "01")
    blobs.mkdir(parents=True)
    (blobs / "1").write_bytes(BODY)
    extent = f"1:0:{len(BODY):x}"
    with open(os.path.join(root, "index.log"), "w", encoding="utf-8") as log:
        log.write(f"B\t{bucket}\t{MODIFIED:x}\n")
        for key in keys:
            body = "" if key.endswith("/") else extent
            log.write(f"O\t{bucket}\t{field(key)}\t{MODIFIED:x}\t{field(ETAG)}\t0\t{body}\t\n")
