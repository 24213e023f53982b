#!/bin/sh
# collect.sh ROOTFS PROGRAM..: puts the programs, stripped, and all that they load into a root file system.
set -eu
rootfs=$1
shift

mkdir -p "$rootfs/usr/bin" "$rootfs/usr/lib" "$rootfs/usr/lib64" "$rootfs/etc/ssl/certs" "$rootfs/etc/s3mount/credentials.d" \
	"$rootfs/run/docker/plugins" "$rootfs/mnt/volumes" "$rootfs/var/lib" "$rootfs/root" \
	"$rootfs/proc" "$rootfs/sys" "$rootfs/dev"
mkdir -p -m 1777 "$rootfs/tmp"
for name in bin lib lib64; do # as Debian has it
	ln -s "usr/$name" "$rootfs/$name"
done

for program in "$@"; do
	strip -o "$rootfs/usr/bin/${program##*/}" "$program"
	# "libx.so => /path (address)" and "/lib64/ld-linux-x86-64.so.2 (address)"
	ldd "$program" | sed -n 's/.*[ \t]\(\/[^ ]*\) (0x[0-9a-f]*)$/\1/p'
done | sort -u | while read -r library; do
	mkdir -p "$rootfs${library%/*}"
	cp -L "$library" "$rootfs$library"
done

# Names of hosts: resolv.conf and hosts come from the engine.
echo "hosts: files dns" >"$rootfs/etc/nsswitch.conf"
echo "root:x:0:0:root:/root:/" >"$rootfs/etc/passwd"
echo "root:x:0:" >"$rootfs/etc/group"
cp -L /etc/ssl/certs/ca-certificates.crt "$rootfs/etc/ssl/certs/"
cp -L /etc/mime.types "$rootfs/etc/"
[ ! -e /etc/ssl/openssl.cnf ] || cp -L /etc/ssl/openssl.cnf "$rootfs/etc/ssl/"
