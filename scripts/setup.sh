#!/usr/bin/env bash
# Installs what building and testing need and is not there yet: Debian packages (with sudo when not root), and the
# independent peers of the tests from PyPI, each in a virtual environment of its own, in the user's cache.
# Usage: scripts/setup.sh [build|test]. Says what it does; with everything there it takes no time.
set -euo pipefail
what=${1:-test}

build="libgpiod-dev libmodbus-dev libserialport-dev libsqlite3-dev libtomlplusplus-dev pkg-config"
tests="systemd python3 python3-venv python3-pip socat sqlite3 procps iproute2 gcc libc6-dev strace faketime e2fsprogs util-linux openssl"
packages=$build
[ "$what" = build ] || packages="$build $tests"

missing=""
for package in $packages; do
    dpkg-query -W -f='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    echo "Installing Debian packages:$missing"
    sudo=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { echo "These packages need root: su -c 'apt-get install$missing'" >&2; exit 1; }
        sudo="sudo"
    fi
    $sudo apt-get update -q >/dev/null
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
fi
[ "$what" = build ] && exit 0

# The peers: name, and what pip installs. Separate environments, because their dependencies differ.
peers() {
    cat <<'LIST'
main pymodbus[serial]==3.16.1 jsonschema==4.26.0
pysiaalarm pysiaalarm==3.2.2
siadc09 siadc09==1.0.1
my-dc09-spt my-dc09-spt==0.2.2 jsonschema==4.26.0
LIST
}

home=$("$(dirname "$0")/cache.sh")
place="$home/peers-$(peers | sha256sum | cut -c1-12)"
if [ ! -f "$place/complete" ]; then
    rm -rf "$place"
    mkdir -p "$place"
    peers | while read -r name requirements; do
        echo "Installing the tests' independent peer: $requirements"
        python3 -m venv "$place/$name"
        # shellcheck disable=SC2086
        "$place/$name/bin/pip" install --quiet --disable-pip-version-check $requirements
    done
    touch "$place/complete"
fi
# Always at the same place for the tests.
ln -sfn "$place" "$(dirname "$0")/../.build-peers"
