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
declare -A running
mounts=()
unset MAKEFLAGS MFLAGS # this is a script: each make below is on its own

# clock SECONDS -> m:ss
clock() {
	printf '%d:%02d' $(($1 / 60)) $(($1 % 60))
}

# count WORD FILE -> N of "N WORD" in the last summary line of pytest or run-unit.sh
count() {
	grep -E '[0-9]+ (passed|failed|error)' "$2" | tail -n 1 | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0
}

# begin NAME COMMAND..: runs it beside what follows, its output into its log.
begin() {
	local name=$1
	shift
	: >"$logs/$name.log"
	{
		local start=$SECONDS
		"$@" >"$logs/$name.log" 2>&1 </dev/null
		echo "$? $((SECONDS - start))" >"$logs/$name.end"
	} &
	running[$name]=$!
}

# end NAME: shows its output until it ends, and counts its tests; a stage without tests is one test.
end() {
	local name=$1 status seconds ok bad
	echo "== $name"
	tail -n +1 -f --pid="${running[$name]}" -s 0.2 "$logs/$name.log" &
	wait "${running[$name]}" $!
	unset "running[$name]"
	read -r status seconds <"$logs/$name.end"
	ok=$(count passed "$logs/$name.log")
	bad=$(($(count failed "$logs/$name.log") + $(count error "$logs/$name.log")))
	if [ "$status" != 0 ] && [ "$bad" = 0 ]; then
		bad=1
	elif [ "$status" = 0 ] && [ "$ok" = 0 ]; then
		ok=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
	report+=("$(printf '%-12s %8s %5d passed %5d failed' "$name" "$(clock "$seconds")" "$ok" "$bad")")
	return "$status"
}

stage() {
	begin "$@"
	end "$1"
}

finish() {
	echo "== time of each stage"
	printf '   %s\n' "${report[@]}"
	printf '   %-12s %8s\n' total "$(clock $SECONDS)"
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
	exit
}

# What was interrupted cleans up after itself: it gets the signal as well, which needs job control.
interrupted() {
	local pid
	trap '' INT TERM
	for pid in "${running[@]}"; do
		kill -INT -- "-$pid"
	done
	wait
	exit 130
}

set -m
trap interrupted INT TERM
mkdir -p "$logs"
rm -f "$logs"/*.end
stage deps tests/lib/install-deps.sh test || finish
stage build make --no-print-directory -j"$(nproc)" all tools units || finish
for name in $stages; do
	case $name in
	lint) stage lint make --no-print-directory lint ;;
	unit) stage unit make --no-print-directory check-unit ;;
	sim) stage sim make --no-print-directory check-sim ;;
	fuzz) stage fuzz make --no-print-directory fuzz SECONDS=10 ;;
	embedded | radosgw | versitygw) mounts+=("$name") ;;
	programs) stage programs make --no-print-directory check-programs ;;
	swarm) stage swarm make --no-print-directory check-swarm ;;
	*) echo "check: no stage $name" >&2 && exit 2 ;;
	esac
done
# The tests on real mounts wait half of their time: the first server's run beside those of the others.
if [ ${#mounts[@]} -gt 0 ]; then
	begin "${mounts[0]}" make --no-print-directory check-mount SERVERS="${mounts[0]}"
	for name in "${mounts[@]:1}"; do
		stage "$name" make --no-print-directory check-mount SERVERS="$name"
	done
	end "${mounts[0]}"
fi
finish
