#!/bin/bash
# run.sh SIM [long|quick]: explores crashes and failing calls with one process for each processor; quick ends with the
# first violation.
#
# Prints each violation as the command that shows it again; the last line is "N passed, N failed", in states.
# Without "long": all single operations and a sample of the pairs (about one in sixteen), every second moment.
# SIM-alloc, beside it, is the same with allocations that fail.
set -u

sim=$1
program=$sim
tests=$(dirname "$0")
parts=${PARTS:-$(nproc)}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# explore NAME ARGUMENT..: all processes of $program, each with its part
explore() {
	local name=$1 pids=() part
	shift
	for ((part = 0; part < parts; part++)); do
		{ "$program" "$@" --part "$part/$parts" || echo "ended: $?"; } >"$logs/$name.$part" 2>&1 &
		pids+=($!)
	done
	wait "${pids[@]}"
	sed "s/^/$name: /" "$logs/$name".*
	! grep -qE '^(FAILED|ended)' "$logs/$name".*
}

# regressions EFFORT: fails when there is something to tell.
regressions() {
	local line
	while read -r line; do
		line=${line%%#*}
		# shellcheck disable=SC2086 # words
		[ -z "$line" ] || "$sim" $line || { echo "ended: $?" && [ "$1" != quick ] || break; }
	done <"$tests/regressions" >"$logs/regressions" 2>&1
	! grep -v '^sim: ' "$logs/regressions"
}

if ! regressions "${2:-}" && [ "${2:-}" = quick ]; then
	:
elif [ "${2:-}" = quick ]; then
	explore nodes --nodes 300 &&
		explore crashes --first --sample 60 --stride 3 &&
		explore random --first --random 60 --stride 6 &&
		explore large --first --large --sample 600 --stride 4 &&
		explore large-nodes --large --nodes 300
elif [ "${2:-}" = long ]; then
	explore crashes
	explore random --random 20000
	explore errors --errors --sample 4
	explore nodes --nodes 200000
	explore large --large
	explore large-random --large --random 20000
	explore large-errors --large --errors --sample 8
	explore large-nodes --large --nodes 100000
	program=$sim-alloc explore memory --errors --sample 4
	program=$sim-alloc explore large-memory --large --errors --sample 8
else
	explore crashes --sample 16 --stride 2
	explore random --random 400 --stride 6
	explore errors --errors --sample 100
	explore nodes --nodes 6000
	explore large --large --sample 200 --stride 4
	explore large-random --large --random 40 --stride 12
	explore large-errors --large --errors --sample 4000
	explore large-nodes --large --nodes 2000
	program=$sim-alloc explore memory --errors --sample 60
	program=$sim-alloc explore large-memory --large --errors --sample 300
fi
cat "$logs"/* | awk '
	/^sim: / { for (i = 2; i < NF; i++) if ($(i + 1) ~ /^states/) states += $i; else if ($(i + 1) ~ /^violations/) wrong += $i }
	/^ended: / { ended++ }
	END {
		if (ended && !wrong) wrong = ended # it crashed, or hung
		printf "%d passed, %d failed\n", states - wrong, wrong
		exit wrong > 0
	}'
