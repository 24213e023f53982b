#!/bin/sh
# run-unit.sh PROGRAM..: runs unit test programs; quiet where all is well; last line "N passed, N failed".
set -u
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program in "$@"; do
	timeout 300 "$program" >"$log" 2>&1
	status=$?
	ok=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s).*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
	bad=$(grep -c '^\[  FAILED  \] [^0-9]' "$log")
	# A program that dies, or that ran nothing, counts as one failure.
	if [ "$bad" = 0 ] && { [ "$status" != 0 ] || [ "$ok" = 0 ]; }; then
		bad=1
	fi
	if [ "$bad" = 0 ]; then
		printf '  ok    %-28s %4d tests\n' "${program##*/}" "$ok"
	else
		printf '  FAIL  %-28s exit status %d\n' "${program##*/}" "$status"
		sed 's/^/        /' "$log"
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
