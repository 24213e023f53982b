#!/bin/bash
# run.sh SIM ARGUMENT..: one process of the simulation for each processor, and the sum of what they found.
#
# Prints each violation as the command that shows it again; the last line is "N passed, N failed" in states.
set -u

sim=$1
shift
parts=${PARTS:-$(nproc)}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
pids=()
failed=0

for ((part = 0; part < parts; part++)); do
	"$sim" "$@" --part "$part/$parts" >"$logs/$part" 2>&1 &
	pids+=($!)
done
for ((part = 0; part < parts; part++)); do
	wait "${pids[$part]}" || failed=$((failed + 1))
	cat "$logs/$part"
done
cat "$logs"/* | awk -v bad="$failed" '
	/^sim: / { for (i = 2; i < NF; i++) if ($(i + 1) ~ /^states/) states += $i; else if ($(i + 1) ~ /^violations/) wrong += $i }
	END { if (bad && !wrong) wrong = bad; printf "%d passed, %d failed\n", states - wrong, wrong; exit wrong > 0 }'
