#!/bin/bash
# Builds the virtual board's kernel, once, and prints where it is (on standard output; all else goes to standard error).
#
# No distribution's kernel has the GPIO simulator, so we build one: Debian's own 6.1 source with `kernel.config`, which
# is what the board test needs and nothing else. The result is kept outside the checkout under a name made of the
# configuration and the version of the source, so that a second run is instant and a change of either builds anew.
#
#     scripts/board/build-kernel.sh            about 10 minutes of processor time the first time, 3 GB of temporary space
#     scripts/board/build-kernel.sh packages   installs what that needs, and builds nothing
#
# KERNEL_SOURCE names another Debian source package than linux-source-6.1; scripts/cache.sh says where kernels are kept.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_package=${KERNEL_SOURCE:-linux-source-6.1}
to_run=(qemu-system-x86 e2fsprogs iproute2 python3 systemd udev)
to_build=("$source_package" build-essential flex bison bc libelf-dev libssl-dev xz-utils cpio kmod)

say() { echo "build-kernel: $*" >&2; }

have() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# Installs those of the named packages that are missing.
need() {
    local missing=() sudo=()
    for package in "$@"; do have "$package" || missing+=("$package"); done
    [[ ${#missing[@]} -eq 0 ]] && return
    [[ $(id -u) -eq 0 ]] || sudo=(sudo)
    say "installing ${missing[*]}"
    "${sudo[@]}" apt-get update -qq >&2
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# The source's version: installed, else the one that would be installed, so that a cached kernel needs no source at all.
source_version() {
    if have "$source_package"; then
        dpkg-query -W -f='${Version}' "$source_package"
    else
        apt-cache policy "$source_package" | awk '/Candidate:/ { print $2 }'
    fi
}

command -v dpkg-query >/dev/null || { say "this needs Debian 12 or later (no dpkg-query here)"; exit 1; }
need "${to_run[@]}"
[[ -n $(source_version) && $(source_version) != "(none)" ]] || need "$source_package"

key=$( (source_version; cat "$here/kernel.config") | sha256sum | cut -c1-16)
kernel=$("$here/../cache.sh")/kernel-$key/bzImage
# One at a time: the full check begins one in the background, and waits for it here.
exec 9>"$("$here/../cache.sh")/kernel.lock"
flock --nonblock 9 || { say "waiting for the kernel that is being built"; flock 9; }
if [[ -s $kernel ]]; then
    say "kernel is there"
    echo "$kernel"
    exit
fi

need "${to_build[@]}"
[[ ${1:-} != packages ]] || exit 0
work=$(mktemp -d "${TMPDIR:-/tmp}/larmnod-kernel.XXXXXX")
trap 'rm -rf "$work"' EXIT
log=$work/build.log
step() {
    say "$1"
    shift
    "$@" >>"$log" 2>&1 || { say "this failed: $*"; tail -n 30 "$log" >&2; exit 1; }
}

step "unpacking $source_package $(source_version)" \
    tar -xJf "/usr/src/$source_package.tar.xz" -C "$work" --strip-components=1
cd "$work"
step "configuring" make tinyconfig
step "adding kernel.config" scripts/kconfig/merge_config.sh -m .config "$here/kernel.config"
step "resolving options" make olddefconfig
# Kconfig drops, silently, what it does not know or cannot satisfy; a board without GPIO would then look like our fault.
while read -r option; do
    grep -qx "$option" .config || { say "the kernel does not take $option: see kernel.config"; exit 1; }
done <"$here/kernel.config"
step "compiling with $(nproc) jobs (minutes)" make "-j$(nproc)" bzImage

# In one move, so that a cache never holds half a kernel.
mkdir -p "$(dirname "$kernel")"
cp arch/x86/boot/bzImage "$kernel.$$"
mv "$kernel.$$" "$kernel"
cp .config "$(dirname "$kernel")/config"
say "built $(stat -c %s "$kernel") bytes"
echo "$kernel"
