#!/bin/bash
# demo.sh: what `make demo` shows. A bucket of a small S3 server on this machine, mounted and put to work.
#
# With a terminal it stays up until Enter is pressed; without one it ends by itself. Either way nothing is left.
set -eu
cd "$(dirname "$0")/.."

bold= dim= plain=
if [ -t 1 ]; then
	bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

title() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

# show COMMAND..: prints it as a user would type it, then runs it
show() {
	printf '  %s$ %s%s\n' "$dim" "$*" "$plain"
	eval "$*" 2>&1 | sed 's/^/    /'
	[ "${PIPESTATUS[0]}" = 0 ] || die "that failed"
}

die() {
	echo "demo: $*" >&2
	exit 1
}

work=
server=

stop() {
	local status=$?
	trap - EXIT INT TERM
	cd /
	if [ -n "$work" ]; then
		if mountpoint -q "$work/bucket"; then
			umount "$work/bucket" || umount -l "$work/bucket"
		fi
		# umount returns before the daemon has ended.
		for _ in $(seq 1200); do
			pgrep -f "$work/bucket" >/dev/null || break
			sleep 0.05
		done
	fi
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
	fi
	[ -z "$work" ] || rm -rf "$work"
	[ "$status" != 0 ] || echo "Unmounted; the server has ended; nothing is left behind."
	exit "$status"
}

title "1. Install what is missing and build"
tests/lib/install-deps.sh demo
[ "$(id -u)" = 0 ] || [ -w /dev/fuse ] || die "mounting needs root or access to /dev/fuse"
unset MAKEFLAGS MFLAGS
make --no-print-directory -s -j"$(nproc)" all >build/demo-build.log 2>&1 || {
	tail -n 30 build/demo-build.log >&2
	die "the build failed"
}
ls build/bin | sed 's|^|    build/bin/|'

trap stop EXIT INT TERM
work=$(mktemp -d /var/tmp/s3mount-demo.XXXXXX)
mkdir "$work/server" "$work/cache" "$work/bucket"
export AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo-secret-of-this-run-$$
export S3MOUNT_FORCE_CACHE=yes # nothing of it is to be kept, also where this runs in a container
program=$PWD/build/bin

title "2. An S3 server of our own on this machine"
S3SERVER_ACCESS_KEY=$AWS_ACCESS_KEY_ID S3SERVER_SECRET_KEY=$AWS_SECRET_ACCESS_KEY \
	build/bin/s3server --port 0 --root "$work/server" >"$work/server.log" 2>&1 &
server=$!
endpoint=
for _ in $(seq 100); do
	endpoint=$(grep -m 1 -oE 'http://[0-9.]+:[0-9]+' "$work/server.log" || true)
	[ -z "$endpoint" ] || break
	kill -0 "$server" 2>/dev/null || die "the server did not start: $(cat "$work/server.log")"
	sleep 0.05
done
[ -n "$endpoint" ] || die "the server does not say where it listens"
echo "    $endpoint, bucket 'demo'"

# An independent client: curl signs by itself and knows nothing of s3mount.
s3() {
	local method=$1 path=$2
	shift 2
	curl -sS --fail-with-body -X "$method" --aws-sigv4 aws:amz:us-east-1:s3 \
		-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
		--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "$endpoint/$path" "$@"
}
s3_list() {
	s3 GET 'demo?list-type=2' | grep -oE '<Key>[^<]*|<Size>[0-9]*' |
		sed 's/<Key>//; s/<Size>/\t/' | paste - - | awk -F '\t' '{ printf "%10d  %s\n", $3, $1 }'
}
s3 PUT demo

title "3. Mount the bucket: one command (the credentials are in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
cd "$work"
export PATH=$program:$PATH
show s3mount demo bucket -o "endpoint=$endpoint,cache=$work/cache"
show findmnt -n -o SOURCE,FSTYPE,TARGET bucket

title "4. Work in it as in any directory"
mkdir tree tree/docs tree/src
for n in 1 2 3 4 5; do
	seq -f "line %g of chapter $n" 1 400 >"tree/docs/chapter$n.txt"
	printf '#include <stdio.h>\n\nint main(void)\n{\n\tputs("%s");\n\treturn 0;\n}\n' "program $n" >"tree/src/program$n.c"
done
show cp -r tree bucket/project
show ln -s docs/chapter1.txt bucket/project/README
show chmod 600 bucket/project/docs/chapter5.txt
echo "  Edit in the middle of a file:"
show "printf 'LINE 200' | dd of=bucket/project/docs/chapter1.txt bs=1 seek=\$(grep -b 'line 200 ' tree/docs/chapter1.txt | cut -d: -f1) conv=notrunc status=none"
show "sed -n 199,201p bucket/project/docs/chapter1.txt"
echo "  Rename a directory with all that is in it:"
show mv bucket/project/src bucket/project/source
show ls -l bucket/project bucket/project/source
echo "  Is it equal to what was copied?"
show "diff -r tree/src bucket/project/source && echo equal"

title "5. The same as plain objects over S3 (curl, which knows nothing of s3mount)"
echo "    s3 METHOD PATH stands for: curl -X METHOD --aws-sigv4 aws:amz:us-east-1:s3 --user KEY:SECRET $endpoint/PATH"
show s3mount sync bucket
show s3_list
echo "  Attributes are metadata, in the format of s3fs:"
show "s3 HEAD demo/project/docs/chapter5.txt --head | tr -d '\r' | grep -iE '^(content-length|x-amz-meta)'"
show "s3 GET demo/project/docs/chapter1.txt | sed -n 199,201p"
echo "  And the other way round: what a plain client stores is a file."
show "s3 PUT demo/project/from-curl.txt --data-binary 'hello from curl'"
sleep 1.1 # names are taken for granted for a second
show "cat bucket/project/from-curl.txt && echo"

title "6. What is not in S3 yet?"
show s3mount status bucket

if [ -t 0 ] && [ -t 1 ]; then
	title "It stays up for you to look around"
	cat <<-END
	    In another terminal:  ls -la $work/bucket
	                          $program/s3mount status $work/bucket
	    To mount it elsewhere: AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY \\
	                          $program/s3mount demo DIR -o endpoint=$endpoint,cache=CACHE_DIR
	    An own bucket:        $program/s3mount BUCKET DIR   (see README.md)
	END
	read -r -p "Press Enter to unmount and stop. " _
fi
title "7. Stop: umount $work/bucket"
