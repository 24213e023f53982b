#!/bin/bash
# install-deps.sh build|demo|test: installs what is missing, and nothing else. Debian 12 and 13.
#
# Packages need root; without it the missing ones are named and nothing is changed. When all is there,
# it takes a fraction of a second. Tests also get a Python environment in build/venv and one
# real S3 server with conditional writes, built once into $S3MOUNT_TEST_TOOLS.
set -eu
cd "$(dirname "$0")/../.."

want=${1:-build}
tools=${S3MOUNT_TEST_TOOLS:-/var/cache/s3mount-tests}
versitygw_version=v1.8.0
fsx_version=0.3.2
rust_needed=1.82
go_needed=1.21

. /etc/os-release
release=${VERSION_ID:-0}

build="gcc make libc6-dev pkg-config fuse3 libfuse3-dev libcurl4-openssl-dev libxml2-dev libssl-dev
       libsqlite3-dev libmicrohttpd-dev libcjson-dev"
demo="curl ca-certificates procps media-types"
test="libcmocka-dev clang libclang-rt-dev clang-format clang-tidy python3 python3-venv git openssl e2fsprogs attr acl rsync
      iproute2 iptables jq s3fs rclone radosgw ceph-mon ceph-osd ceph-common docker.io docker-registry
      debootstrap busybox-static faketime
      postgresql apache2-bin libapache2-mod-php php-common media-types vim-tiny unzip"

case $want in
build) packages=$build ;;
demo) packages="$build $demo" ;;
test) packages="$build $demo $test" ;;
*)
	echo "usage: $0 build|demo|test" >&2
	exit 2
	;;
esac
if [ "$want" = test ] && [ "${release%%.*}" -ge 13 ]; then
	packages="$packages docker-cli" # a package of its own since Debian 13
fi

# Node.js comes from elsewhere on some machines, which Debian's packages cannot stand beside.
if [ "$want" = test ] && ! { command -v node && command -v npm; } >/dev/null; then
	packages="$packages npm"
fi

say() {
	echo "deps: $*"
}

die() {
	echo "deps: $*" >&2
	exit 1
}

# One at a time: two test runs must not fight over dpkg, pip or the tool directory.
mkdir -p build
exec 9>build/.deps.lock
flock 9

missing_packages() {
	local installed
	installed=$(dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' $packages 2>/dev/null |
		sed -n 's/^\([^ :]*\)[^ ]* installed$/\1/p')
	comm -23 <(printf '%s\n' $packages | sort -u) <(printf '%s\n' "$installed" | sort -u)
}

apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
		-o Dpkg::Use-Pty=0 "$@" >build/.apt.log 2>&1 || {
		cat build/.apt.log >&2
		die "apt-get $1 failed (above)"
	}
}

install_packages() {
	[ "$(id -u)" = 0 ] ||
		die "these packages are missing; as root: apt-get install $(echo "$@")"
	say "installing $(echo "$@")"
	apt update
	apt install --no-install-recommends "$@"
}

command -v dpkg-query >/dev/null || die "this is not Debian; install by hand: $(echo $packages)"
missing=$(missing_packages)
if [ -n "$missing" ]; then
	install_packages $missing
fi
[ "$want" = test ] || exit 0

# Python

if ! cmp -s tests/requirements.txt build/venv/.requirements; then
	say "Python environment in build/venv"
	rm -rf build/venv
	/usr/bin/python3 -m venv build/venv
	build/venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	cp tests/requirements.txt build/venv/.requirements
fi

# versitygw: a real server with conditional writes, as a Go module

go_is_enough() {
	local version
	version=$("$1" env GOVERSION 2>/dev/null) || return 1
	[ "$(printf '%s\n' "go$go_needed" "$version" | sort -V | head -n 1)" = "go$go_needed" ]
}

find_go() {
	local candidate
	for candidate in go /usr/local/go/bin/go /usr/lib/go/bin/go /usr/lib/go-*/bin/go; do
		if go_is_enough "$candidate"; then
			echo "$candidate"
			return
		fi
	done
}

install_go() {
	if [ "${release%%.*}" -ge 13 ]; then
		install_packages golang-go
		return
	fi
	# Debian 12 itself has 1.19.
	[ "$(id -u)" = 0 ] ||
		die "go >= $go_needed is missing; as root: apt-get install -t bookworm-backports golang-go"
	say "installing golang-go from bookworm-backports"
	# From where this machine gets the rest.
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' 'Component: main' | head -n 1)
	echo "deb $mirror bookworm-backports main" \
		>/etc/apt/sources.list.d/bookworm-backports.list
	apt update
	apt install --no-install-recommends -t bookworm-backports golang-go
}

mkdir -p "$tools" 2>/dev/null && [ -w "$tools" ] || tools=build/tools
if [ ! -x "$tools/versitygw-$versitygw_version" ]; then
	go=$(find_go)
	if [ -z "$go" ]; then
		install_go
		go=$(find_go)
		[ -n "$go" ] || die "go >= $go_needed is not usable after its installation"
	fi
	say "building versitygw $versitygw_version with $($go env GOVERSION) (about 2 minutes, once)"
	mkdir -p "$tools"
	scratch=$(mktemp -d "$tools/build.XXXXXX")
	trap 'rm -rf "$scratch"' EXIT
	GOBIN=$(realpath "$scratch") GOTOOLCHAIN=auto CGO_ENABLED=0 GOFLAGS=-modcacherw \
		"$go" install "github.com/versity/versitygw/cmd/versitygw@$versitygw_version" \
		>build/.go.log 2>&1 || {
		tail -n 20 build/.go.log >&2
		die "building versitygw failed (above)"
	}
	mv "$scratch/versitygw" "$tools/versitygw-$versitygw_version"
fi
mkdir -p build/tools
ln -sfn "$(realpath "$tools/versitygw-$versitygw_version")" build/tools/versitygw

# fsx: random operations on one file, from crates.io

cargo_is_enough() {
	local version
	version=$("$1" --version 2>/dev/null | cut -d ' ' -f 2) || return 1
	[ "$(printf '%s\n' "$rust_needed" "$version" | sort -V | head -n 1)" = "$rust_needed" ]
}

find_cargo() {
	local candidate
	for candidate in cargo "$HOME/.cargo/bin/cargo"; do
		if cargo_is_enough "$candidate"; then
			echo "$candidate"
			return
		fi
	done
}

install_cargo() {
	if [ "${release%%.*}" -ge 13 ]; then
		install_packages cargo
	else
		install_packages cargo-web # what Debian 12 builds its browsers with
	fi
}

if [ ! -x "$tools/fsx-$fsx_version" ]; then
	cargo=$(find_cargo)
	if [ -z "$cargo" ]; then
		install_cargo
		cargo=$(find_cargo)
		[ -n "$cargo" ] || die "cargo >= $rust_needed is not usable after its installation"
	fi
	say "building fsx $fsx_version with $($cargo --version) (about 1 minute, once)"
	rm -rf "$tools/build.fsx"
	PATH="$(dirname "$(command -v "$cargo")"):$PATH" \
		"$cargo" install --quiet --locked --root "$tools/build.fsx" "fsx@$fsx_version" >build/.cargo.log 2>&1 || {
		tail -n 20 build/.cargo.log >&2
		die "building fsx failed (above)"
	}
	mv "$tools/build.fsx/bin/fsx" "$tools/fsx-$fsx_version"
	rm -rf "$tools/build.fsx"
fi
ln -sfn "$(realpath "$tools/fsx-$fsx_version")" build/tools/fsx
