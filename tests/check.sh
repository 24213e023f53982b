#!/bin/bash
# check.sh: what `make check` runs, stage by stage, with the time of each; the last line is "N passed, N failed".
#
# STAGES="lint unit sim fuzz embedded radosgw versitygw programs swarm" chooses among the stages; installing and building always happen.
set -u
cd "$(dirname "$0")/.."

stages=${STAGES:-lint unit sim fuzz embedded radosgw versitygw programs swarm}
logs=build/check
passed=0
failed=0
report=()
unset MAKEFLAGS MFLAGS # this is a script: each make below is on its own

# clock SECONDS -> m:ss
clock() {
	printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

# count WORD FILE -> N of "N WORD" in the last summary line of pytest or run-unit.sh
count() {
	grep -E '[0-9]+ (passed|failed|error)' "$2" | tail -n 1 | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0
}

# stage NAME COMMAND..: runs it, shows its output, and counts its tests; a stage without tests is one test.
stage() {
	local name=$1 start=$SECONDS status ok bad
	shift
	echo "== $name"
	"$@" 2>&1 | tee "$logs/$name.log"
	status=${PIPESTATUS[0]}
	ok=$(count passed "$logs/$name.log")
	bad=$(($(count failed "$logs/$name.log") + $(count error "$logs/$name.log")))
	if [ "$status" != 0 ] && [ "$bad" = 0 ]; then
		bad=1
	elif [ "$status" = 0 ] && [ "$ok" = 0 ]; then
		ok=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	report+=("$(printf '%-12s %8s %5d passed %5d failed' "$name" "$(clock $((SECONDS - start)))" "$ok" "$bad")")
	return "$status"
}

finish() {
	echo "== time of each stage"
	printf '   %s\n' "${report[@]}"
	printf '   %-12s %8s\n' total "$(clock $SECONDS)"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit
}

mkdir -p "$logs"
stage deps tests/lib/install-deps.sh test || finish
stage build make --no-print-directory -j"$(nproc)" all tools units || finish
for name in $stages; do
	case $name in
	lint) stage lint make --no-print-directory lint ;;
	unit) stage unit make --no-print-directory check-unit ;;
	sim) stage sim make --no-print-directory check-sim ;;
	fuzz) stage fuzz make --no-print-directory fuzz SECONDS=10 ;;
	embedded | radosgw | versitygw) stage "$name" make --no-print-directory check-mount SERVERS="$name" ;;
	programs) stage programs make --no-print-directory check-programs ;;
	swarm) stage swarm make --no-print-directory check-swarm ;;
	*) echo "check: no stage $name" >&2 && exit 2 ;;
	esac
done
finish
