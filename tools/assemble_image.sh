#!/bin/sh
# Assemble the root file system of a container image from this machine's own files, without any registry:
# the interpreter of .venv with its standard library and the shared libraries it loads, and with --whole
# also .venv and src, so that `headset` runs in it. What it prints to standard output is a tar archive:
#
#   tools/assemble_image.sh --whole | podman import --change 'ENTRYPOINT ["/usr/bin/headset"]' - headset:latest
#
# It is for tests and machines without a network; deploy/Dockerfile is the way to an image that is shipped.
set -eu

project=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$project/.venv/bin/python}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

prefix=$("$python" -c 'import sys; print(sys.base_prefix)')
library=$("$python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
binary=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')

mkdir -p "$root/tmp" "$root/proc" "$root/sys" "$root/dev" "$root/etc" "$root/usr/bin" "$root/bin" "$root/var/lib/headset"
echo 'headset:x:10001:10001::/var/lib/headset:/bin/sh' > "$root/etc/passwd"

copy() { # a file to its own place, with what links on the way point at
  mkdir -p "$root$(dirname "$1")"
  cp -Lf "$1" "$root$1"
}

libraries() { # shared libraries that programs and libraries load
  for file in "$@"; do ldd "$file" 2>/dev/null || true; done | grep -o '/[^ ()]*' | grep -v '^/tmp' | sort -u
}

copy "$binary"
tar -C / -cf - --exclude=site-packages --exclude=__pycache__ --exclude=test --exclude=idlelib --exclude=tkinter \
  --exclude=ensurepip --exclude='config-*' "${library#/}" | tar -C "$root" -xf -
for file in $(libraries "$binary" /bin/sh "$library"/lib-dynload/*.so); do copy "$file"; done
cp -L /bin/sh "$root/bin/sh"
ln -sf "$binary" "$root/usr/bin/python3"

if [ "${1:-}" = --whole ]; then
  tar -C / -cf - --exclude=__pycache__ --exclude=ray --exclude=ruff --exclude=mypy --exclude=mypyc --exclude=uv \
    "${project#/}/.venv" "${project#/}/src" | tar -C "$root" -xf -
  find "$project/.venv" -name '*.so*' -type f > "$root/tmp/list"
  # Libraries of the system only: wheels bring theirs.
  xargs -n 50 ldd < "$root/tmp/list" 2>/dev/null | grep -o '=> /[^ ]*' | cut -c4- | grep -v "^$project" | sort -u |
    while read -r file; do copy "$file"; done
  rm "$root/tmp/list"
  [ ! -d /usr/share/zoneinfo ] || { mkdir -p "$root/usr/share" && cp -R /usr/share/zoneinfo "$root/usr/share/"; }
  printf '#!/bin/sh\nexec %s -m headset "$@"\n' "$project/.venv/bin/python" > "$root/usr/bin/headset"
  chmod 755 "$root/usr/bin/headset"
fi

if [ -n "${PROGRAM:-}" ]; then # a script in place of headset, for tests of launchers
  { echo '#!/usr/bin/python3'; cat "$PROGRAM"; } > "$root/usr/bin/headset"
  chmod 755 "$root/usr/bin/headset"
fi

find "$root" -type d -exec chmod go+rx {} +
chmod -R go+r "$root"
chmod 1777 "$root/tmp"
tar -C "$root" --owner=0 --group=0 -cf - .
