#!/usr/bin/env python3
"""Rules that no compiler knows: sizes of files and functions, who includes what, functions that are banned.

usage: lint.py FILE..   prints one line for each finding; exit status 1 when there is any.
"""
import re
import sys

FILE_LINES = 600
FUNCTION_LINES = 70
LINE_COLUMNS = 120  # clang-format keeps to 100; this is for what it may not break

# Third-party header -> the files that may include it. At most one of them in the product.
OWNERS = {
    "curl/": {"common/s3/http.c"},
    "sqlite3.h": {"fs/journal/journal_sqlite.c"},
    "microhttpd.h": {"plugin/server.c"},
    "cJSON.h": {"common/json.c"},
    "cjson/": {"common/json.c"},
    "libxml/": {"common/s3/xml.c"},
}

# (files, headers that they must not include, why)
LAYERS = [
    (r"(?!fs/front/).*", r"fuse", "only fs/front includes FUSE headers"),
    (r"common/.*", r"(fs|plugin|tests)/", "common knows no other room"),
    (r"plugin/.*", r"(fs|tests)/", "the plugin runs s3mount as a process"),
    (r"fs/.*", r"(plugin|tests)/", "s3mount knows no plugin"),
    (r"fs/(vfs|cache|upload|journal)/.*", r"fs/front/", "the core does not know the front"),
    (r"fs/(vfs|cache|upload|journal)/.*", r"common/s3/(http|request|poller|xml|sigv4)", "the core sees objstore.h"),
    (r"fs/cache/.*", r"fs/vfs/(?!attributes\.h)", "the cache does not know the name space"),
    (r"fs/(upload|journal)/.*", r"fs/vfs/(?!attributes\.h|key\.h)", "uploads and journal know no name space"),
]

BANNED = {
    "strcpy": "snprintf or buf", "strcat": "buf", "sprintf": "snprintf", "vsprintf": "vsnprintf", "gets": "fgets",
    "system": "posix_spawn", "popen": "posix_spawn", "strtok": "strcspn", "tmpnam": "mkstemp", "mktemp": "mkstemp",
}

INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]')
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")


def without_comments_and_strings(text):
    """Same lines, with the inside of comments, strings and characters blanked."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def functions(lines):
    """(name, first line, number of lines) by the project's style: '{' and '}' of a function in column one."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            head = " ".join(lines[max(0, start - 6):start - 1])
            names = re.findall(r"(\w+)\s*\(", head)
            yield (names[-1] if names else "?"), start, number - start + 1
            start = None


def check_includes(name, lines):
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match.group(1)
        for prefix, files in OWNERS.items():
            if header.startswith(prefix) and name not in files and not name.startswith("tests/"):
                yield number, f"{header} belongs to {', '.join(sorted(files))} alone"
        for files, headers, why in LAYERS:
            if re.fullmatch(files, name) and re.match(headers, header):
                yield number, f"{header}: {why}"


def check(name):
    with open(name, encoding="utf-8") as file:
        text = file.read()
    lines = text.splitlines()
    code = without_comments_and_strings(text).splitlines()
    if len(lines) > FILE_LINES:
        yield 1, f"{len(lines)} lines; at most {FILE_LINES}"
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end"
    yield from check_includes(name, lines)
    for function, first, count in functions(code):
        if count > FUNCTION_LINES:
            yield first, f"{function} has {count} lines; at most {FUNCTION_LINES}"
    for number, line in enumerate(code, 1):
        for match in CALL.finditer(line):
            yield number, f"{match.group(1)} is banned; use {BANNED[match.group(1)]}"
        if re.search(r"\s$", lines[number - 1]):
            yield number, "blanks at the end of the line"
        if len(lines[number - 1].expandtabs(8)) > LINE_COLUMNS:
            yield number, f"more than {LINE_COLUMNS} columns"
    if name.endswith(".h") and not re.search(r"^#ifndef (\w+)\n#define \1$", text, re.MULTILINE):
        yield 1, "no include guard"


def main():
    findings = 0
    for name in sys.argv[1:]:
        for number, finding in check(name):
            print(f"{name}:{number}: {finding}")
            findings += 1
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
