"""A web server with PHP whose document root is a mount, used as a content management system uses it."""
import concurrent.futures
import json
import os
import pathlib
import pwd
import urllib.error
import urllib.request

import pytest

from files import MIB, noise, read_file
from processes import Process, accepts, free_port, wait_until
from programs import PLAIN, cold

CONFIG = """
ServerRoot {base}
PidFile {base}/apache.pid
Listen 127.0.0.1:{port}
ServerName localhost
User www-data
Group www-data
ErrorLog {base}/apache.log
Mutex pthread
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule mime_module {modules}/mod_mime.so
LoadModule php_module {php}
TypesConfig /etc/mime.types
EnableMMAP On
EnableSendfile On
DocumentRoot {root}
<Directory {root}>
  DirectoryIndex index.php
  Require all granted
</Directory>
<FilesMatch \\.php$>
  SetHandler application/x-httpd-php
</FilesMatch>
php_admin_value upload_max_filesize 32M
php_admin_value post_max_size 40M
php_admin_value upload_tmp_dir {base}/tmp
php_admin_value session.save_path {root}/sessions
"""

# Upload with a smaller copy beside it, an index that is replaced under a lock, a log, edits in place, sessions.
PROGRAM = r"""<?php
session_start();
$_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
$dir = __DIR__ . '/wp-content/uploads/2026/11';
if (!is_dir($dir)) @mkdir($dir, 0755, true);
function fail($what) { http_response_code(500); echo $what, ' ', json_encode(error_get_last()); exit; }
function index($change) {
    $lock = fopen(__DIR__ . '/index.lock', 'c') or fail('lock');
    flock($lock, LOCK_EX) or fail('flock');
    $path = __DIR__ . '/index.json';
    $index = is_file($path) ? json_decode(file_get_contents($path), true) : [];
    $change($index);
    file_put_contents("$path.tmp", json_encode($index)) !== false or fail('write');
    rename("$path.tmp", $path) or fail('rename');
    flock($lock, LOCK_UN);
}
$name = basename($_GET['name'] ?? '');
switch ($_GET['do'] ?? '') {
case 'upload':
    move_uploaded_file($_FILES['file']['tmp_name'], "$dir/$name") or fail('move');
    $small = fopen("$dir/small-$name", 'w') or fail('small');
    fwrite($small, file_get_contents("$dir/$name", false, null, 0, 1000));
    fclose($small) or fail('close');
    index(function (&$index) use ($name, $dir) { $index[$name] = filesize("$dir/$name"); });
    break;
case 'edit':
    $file = fopen("$dir/$name", 'r+') or fail('open');
    flock($file, LOCK_EX);
    fseek($file, 10);
    fwrite($file, 'edited');
    ftruncate($file, 2000) or fail('truncate');
    fclose($file) or fail('close');
    index(function (&$index) use ($name) { $index[$name] = 2000; });
    break;
case 'delete':
    (unlink("$dir/$name") && unlink("$dir/small-$name")) or fail('unlink');
    index(function (&$index) use ($name) { unset($index[$name]); });
    break;
case 'list':
    echo json_encode(array_values(array_map('basename', glob("$dir/*"))));
    exit;
}
file_put_contents(__DIR__ . '/log.txt', $_GET['do'] . " $name\n", FILE_APPEND | LOCK_EX) or fail('log');
echo $_SESSION['visits'];
"""


class Site:
    def __init__(self, mount):
        self.mount, self.port = mount, free_port()
        base, root = pathlib.Path(mount.base), pathlib.Path(mount.path)
        user = pwd.getpwnam("www-data")
        for path in (base / "tmp", root / "sessions"):
            path.mkdir()
        (root / "index.php").write_text(PROGRAM)
        for path in (base / "tmp", root, root / "sessions", root / "index.php"):
            os.chown(path, user.pw_uid, user.pw_gid)
        modules = pathlib.Path("/usr/lib/apache2/modules")
        self.config = base / "apache.conf"
        self.config.write_text(CONFIG.format(base=base, port=self.port, modules=modules, root=root,
                                             php=next(modules.glob("libphp*.so"))))
        self.process = None
        self.start()

    def start(self):
        self.process = Process(["apache2", "-f", self.config, "-D", "FOREGROUND"],
                               pathlib.Path(self.mount.base, "apache.out"), PLAIN)
        wait_until(lambda: accepts(self.port) or not self.process.alive(), 30, "the web server answers")

    def get(self, path, body=None, headers=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", data=body, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=120) as reply:
                return reply.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read()[:1000]}") from error

    def do(self, what, name, **more):
        return self.get(f"index.php?do={what}&name={name}", **more)

    def upload(self, name, data):
        body = (b'--limit\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n' + data +
                b"\r\n--limit--\r\n")
        self.do("upload", name, body=body, headers={"Content-Type": "multipart/form-data; boundary=limit"})


@pytest.fixture(params=["close=s3", "close=local"])
def site(request, bucket, make_mount):
    made = Site(make_mount(bucket, [request.param, "allow_other"]))
    yield made
    made.process.stop()


def test_uploads_edits_and_deletes_over_http(site, bucket):
    sizes = [0, 1, 5000, 200_000, 3 * MIB, 12 * MIB] + [30_000] * 18
    files = {f"picture{number}.jpg": noise(size, number) for number, size in enumerate(sizes)}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda item: site.upload(*item), files.items()))
        for name, data in files.items():
            assert site.get(f"wp-content/uploads/2026/11/{name}") == data
        gone, edited = list(files)[6:12], list(files)[2:6]
        list(pool.map(lambda name: site.do("delete", name), gone))
        list(pool.map(lambda name: site.do("edit", name), edited))
    expected = {name: data for name, data in files.items() if name not in gone}
    expected |= {name: (files[name][:10] + b"edited" + files[name][16:])[:2000] for name in edited}
    cookie = {"Cookie": "PHPSESSID=0123456789abcdef0123456789"}
    assert [site.do("", "", headers=cookie) for _ in range(3)] == [b"1", b"2", b"3"]
    check(site, bucket, expected, len(files) + len(gone) + len(edited) + 3)
    site.process.stop()
    cold(site.mount)
    site.start()
    check(site, bucket, expected, len(files) + len(gone) + len(edited) + 3)


def check(site, bucket, expected, requests):
    directory = "wp-content/uploads/2026/11"
    for name, data in expected.items():
        assert site.get(f"{directory}/{name}") == data, name
    small = [f"small-{name}" for name in expected]
    assert json.loads(site.do("list", "")) == sorted([*expected, *small])
    assert json.loads(read_file(site.mount / "index.json")) == {name: len(data) for name, data in expected.items()}
    assert len(read_file(site.mount / "log.txt").splitlines()) == requests
    site.mount.sync()
    assert {name: bucket.get(f"{directory}/{name}") for name in expected} == expected
    assert sorted(key.rpartition("/")[2] for key in bucket.keys(f"{directory}/p")) == sorted(expected)
    assert not [key for key in bucket.keys() if key.endswith(".tmp") or ".conflict-" in key]
