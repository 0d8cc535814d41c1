# shellcheck shell=bash
# What a peer's `run` needs to set itself up on a Debian machine that has Node and nothing more.

# Installs what is missing of these Debian packages. Services of theirs stay off: a peer starts its own.
debian_packages() {
  local missing=() as_root=() policy=/usr/sbin/policy-rc.d made=false status=0 package
  for package in "$@"; do
    dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  [ "$(id -u)" -eq 0 ] || as_root=(sudo --non-interactive)
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    made=true
  fi
  {
    "${as_root[@]}" apt-get update --quiet &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"
  } >"$work/apt.log" 2>&1 || { status=$?; cat "$work/apt.log"; }
  if $made; then "${as_root[@]}" rm "$policy"; fi
  return "$status"
}

# A virtual environment in $work/venv. The stamp is the list itself: another version in it makes a new environment.
python_packages() {
  cmp -s "$1" "$work/installed.txt" && return 0
  debian_packages python3-venv
  rm -rf "$work/venv" "$work/installed.txt"
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$1"
  cp "$1" "$work/installed.txt"
}

# Our side of the peer, as one program: $work/NAME.mjs.
bundle() {
  node_modules/.bin/esbuild "$here/$1.ts" --bundle --platform=node --format=esm --log-level=warning \
    --external:serialport --external:oidc-provider --external:aedes --external:@abandonware/noble --external:@stoprocent/bleno \
    --banner:js="import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" \
    --outfile="$work/$1.mjs"
}
