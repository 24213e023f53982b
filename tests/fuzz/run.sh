#!/bin/bash
# run.sh [SECONDS [TARGET..]]: builds the fuzz targets with clang and runs each for that long (60 s).
# What was found interesting stays in build/fuzz/corpus, a crash in build/fuzz/crash-TARGET-*.
set -eu
cd "$(dirname "$0")/../.."

seconds=${1:-60}
shift || true
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
	for source in tests/fuzz/fuzz_*.c; do
		name=${source##*/fuzz_}
		targets+=("${name%.c}")
	done
fi

declare -A sources=(
	[attributes]="fs/vfs/attributes.c common/s3/objstore.c"
	[key]="fs/vfs/key.c common/buf.c"
	[xattr]="fs/vfs/xattr_codec.c common/buf.c"
	[protocol]="fs/front/protocol.c"
	[document]="common/s3/document.c common/s3/xml.c common/s3/objstore.c common/buf.c"
	[response]="common/s3/response.c common/s3/endpoint.c common/s3/document.c common/s3/xml.c common/s3/objstore.c common/buf.c common/error.c common/utf8.c"
	[credentials]="common/s3/aws_profile.c common/s3/passwd_file.c common/s3/secret.c common/error.c common/utf8.c common/buf.c"
)
read -ra packages <<<"$(pkg-config --cflags --libs libxml-2.0 openssl)"
flags=(-std=gnu11 -g -O1 -I. -D_GNU_SOURCE -Wall -Wextra -Werror -fno-sanitize-recover=all)
failed=0
for target in "${targets[@]}"; do
	corpus=build/fuzz/corpus/$target
	mkdir -p "$corpus"
	read -ra files <<<"${sources[$target]}"
	clang -fsanitize=fuzzer,address,undefined "tests/fuzz/fuzz_$target.c" "${files[@]}" "${flags[@]}" \
		"${packages[@]}" -o "build/fuzz/$target"
	seeds=()
	[ -d "tests/fuzz/seeds/$target" ] && seeds=("tests/fuzz/seeds/$target")
	if "build/fuzz/$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 \
		-artifact_prefix="build/fuzz/crash-$target-" "$corpus" "${seeds[@]}" >"build/fuzz/$target.log" 2>&1; then
		echo "fuzz: $target: $(sed -n 's/^Done \(.*\)/\1/p' "build/fuzz/$target.log")"
	else
		echo "fuzz: $target: FAILED, see build/fuzz/$target.log" >&2
		failed=1
	fi
done
exit "$failed"
