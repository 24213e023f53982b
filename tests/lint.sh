#!/bin/bash
# lint.sh: what `make lint` runs. Works on the files that git knows or would add. CPPFLAGS comes from make.
#
# LINT=layers,format,headers,tidy chooses among the parts. A file that clang-tidy found clean is not analysed
# again until it, a header of the project or the flags change.
set -u
cd "$(dirname "$0")/.."

parts=${LINT:-layers,format,headers,tidy}
jobs=${JOBS:-$(nproc)}
flags_text=${CPPFLAGS:--I. -D_GNU_SOURCE}
read -ra flags <<<"${flags_text//\'/}" # without make's quotes
state=build/lint
formatter=build/venv/bin/clang-format # the same version on every Debian
[ -x "$formatter" ] || formatter=clang-format
mkdir -p "$state"
failed=0

mapfile -t sources < <(git ls-files -co --exclude-standard '*.c' | while read -r f; do [ -f "$f" ] && echo "$f"; done)
mapfile -t headers < <(git ls-files -co --exclude-standard '*.h' | while read -r f; do [ -f "$f" ] && echo "$f"; done)

wanted() {
	[[ ",$parts," == *",$1,"* ]]
}

# stage NAME COMMAND..
stage() {
	local name=$1
	shift
	if "$@"; then
		echo "lint: $name: fine"
	else
		echo "lint: $name: FAILED" >&2
		failed=1
	fi
}

layers() {
	python3 tests/lint.py "${sources[@]}" "${headers[@]}"
}

format() {
	local name
	for name in "${sources[@]}" "${headers[@]}"; do
		"$formatter" --dry-run -Werror "$name" >/dev/null 2>&1 || echo "$name: make format changes it"
	done | (! grep .)
}

compile_header() {
	local name=$1
	shift
	${CC:-gcc} -std=gnu11 -Wall -Wextra -Werror -fsyntax-only "$@" -include "$name" -x c /dev/null ||
		echo "$name: does not compile alone"
}
export -f compile_header

headers_alone() {
	printf '%s\n' "${headers[@]}" |
		xargs -P "$jobs" -I NAME bash -c 'compile_header "$@"' _ NAME "${flags[@]}" 2>&1 | (! grep .)
}

tidy_one() {
	local name=$1 key
	shift
	key=$(cat .clang-tidy "$name" build/lint/headers.sum | sha256sum | cut -c1-32)
	[ -e "build/lint/$key" ] && return 0
	if clang-tidy --quiet "$name" -- -std=gnu11 "$@" >"build/lint/$key.out" 2>/dev/null; then
		mv "build/lint/$key.out" "build/lint/$key"
	else
		cat "build/lint/$key.out"
		rm -f "build/lint/$key.out"
		echo "$name: clang-tidy finds something"
	fi
}
export -f tidy_one

tidy() {
	{
		cat "${headers[@]}"
		echo "${flags[@]}"
		clang-tidy --version
	} | sha256sum >"$state/headers.sum"
	printf '%s\n' "${sources[@]}" |
		xargs -P "$jobs" -I NAME bash -c 'tidy_one "$@"' _ NAME "${flags[@]}" 2>&1 | (! grep .)
}

wanted layers && stage "layers, sizes, banned functions" layers
wanted format && stage "clang-format" format
wanted headers && stage "each header compiles alone" headers_alone
wanted tidy && stage "clang-tidy" tidy
exit "$failed"
