#!/bin/bash
# Checks systemd/: the unit is one that systemd takes without a warning, its exposure stays low, the user and directory
# files do what they say. Needs the package systemd, but neither a running systemd nor root rights.
#
#     scripts/check-systemd.sh
set -euo pipefail
export LC_ALL=C SYSTEMD_COLORS=0 SYSTEMD_PAGER=

# Worst exposure, in tenths, that `systemd-analyze security` may find (0 best, 100 worst; below 20 it says "OK").
threshold=19

here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../systemd" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/larmnod-systemd.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# check NAME COMMAND …: shows what a failing command said.
check() {
    local name=$1
    shift
    if "$@" >"$work/said" 2>&1; then
        passed=$((passed + 1))
        echo "  ok $name"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        sed 's/^/     /' "$work/said"
    fi
}

command -v systemd-analyze >/dev/null || {
    echo "check-systemd: systemd-analyze is missing: install the package systemd" >&2
    exit 2
}

# Here larmnod is not installed, and "not executable" would hide everything else.
unit=$work/larmnod.service
sed "s|^ExecStart=/usr/bin/larmnod|ExecStart=/bin/true|" "$here/larmnod.service" >"$unit"

# `verify` warns of an unknown option, and succeeds: any word of it about our unit is a failure.
no_complaint() {
    systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1 | tee "$work/verify" | grep -F larmnod.service
    [[ ${PIPESTATUS[0]} -eq 0 ]] && ! grep -qF larmnod.service "$work/verify"
}

exposure() { systemd-analyze security --offline=yes --no-pager --threshold=$threshold "$unit"; }

users() {
    mkdir -p "$work/root/etc" &&
        systemd-sysusers --root="$work/root" "$here/larmnod.sysusers" &&
        grep '^larmnod:' "$work/root/etc/passwd" &&
        grep '^gpio:.*larmnod' "$work/root/etc/group" &&
        grep '^dialout:.*larmnod' "$work/root/etc/group"
}

# Only root can give a directory to another group: without root rights, that it is made must do.
directories() {
    systemd-tmpfiles --create --root="$work/root" "$here/larmnod.tmpfiles" || [[ $(id -u) -ne 0 ]] || return
    [[ -d $work/root/etc/larmnod ]] && [[ $(id -u) -ne 0 || $(stat -c %a "$work/root/etc/larmnod") == 750 ]]
}

check "larmnod.service: systemd has nothing to say against it" no_complaint
check "larmnod.service: exposure is at most $((threshold / 10)).$((threshold % 10)) of 10" exposure
grep -h 'Overall exposure' "$work/said" || true
check "larmnod.sysusers: the user and its groups" users
check "larmnod.tmpfiles: the configuration directory" directories
if udevadm verify --help >/dev/null 2>&1; then
    check "60-larmnod.rules: udev takes it" udevadm verify "$here/60-larmnod.rules"
else
    echo "   - 60-larmnod.rules: not checked, this udev is older than 254 (scripts/board/run.sh tries it for real)"
fi
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
