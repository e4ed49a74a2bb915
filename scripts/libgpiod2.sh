#!/usr/bin/env bash
# Builds libgpiod 2.x from its own source, once, beside Debian 12's 1.6, and prints where it is (include/ and lib/).
#
#     scripts/libgpiod2.sh                     the library: built in the cache (scripts/cache.sh) on the first call
#     scripts/libgpiod2.sh build [-c release]  a larmnod against it, .build-gpiod2/…/larmnod; prints where it is
#     scripts/libgpiod2.sh tests               the drivers' GPIO tests against it, over a stand-in for the kernel
#
# The source is what the maintainers put into their Python package, which pip fetches and checks against the sum below. The
# library needs no more than a C compiler. A larmnod of 2.x finds its library by its run path, so that it also runs on
# the virtual board: scripts/board/run.sh "$(scripts/libgpiod2.sh build)".
set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)

package=gpiod==2.2.3  # holds libgpiod 2.2
sum=b916c3741dfc4dbcf6224b39e50765f672b137896287715709d49e9f063304c5

say() { echo "libgpiod2: $*" >&2; }

place=$("$here/cache.sh")/libgpiod2-${sum:0:12}
if [ ! -f "$place/complete" ]; then
    work=$(mktemp -d "${TMPDIR:-/tmp}/larmnod-gpiod2.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    say "fetching $package"
    python3 -m venv "$work/venv"
    echo "$package --hash=sha256:$sum" >"$work/wanted.txt"
    "$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
        --require-hashes -r "$work/wanted.txt" -d "$work" >&2
    tar -xzf "$work"/gpiod-*.tar.gz -C "$work" --strip-components=1
    version=$(cat "$work/libgpiod-version.txt")
    say "building libgpiod $version"
    rm -rf "$place"
    mkdir -p "$place/include" "$place/lib" "$place/source"
    cp "$work/include/gpiod.h" "$place/include/"
    cp -r "$work"/lib/* "$place/source/"
    echo "$version" >"$place/version"
    ${CC:-cc} -std=gnu11 -O2 -fPIC -shared -D_GNU_SOURCE "-DGPIOD_VERSION_STR=\"$version\"" -I "$place/include" \
        -I "$place/source" -Wl,-soname,libgpiod.so.3 -o "$place/lib/libgpiod.so.3" "$place"/source/*.c
    ln -s libgpiod.so.3 "$place/lib/libgpiod.so"
    touch "$place/complete"
fi

# The directory of the libraries comes first, before Debian's own of 1.6.
against=(--scratch-path "$root/.build-gpiod2" -Xcc -I -Xcc "$place/include" -Xlinker "-L$place/lib")

case ${1:-} in
    "") echo "$place" ;;
    build)
        shift
        swift build --package-path "$root" "${against[@]}" -Xlinker -rpath -Xlinker "$place/lib" --product larmnod "$@" >&2
        echo "$(swift build --package-path "$root" "${against[@]}" "$@" --show-bin-path)/larmnod"
        ;;
    tests)
        "$root/Tests/Standins/libgpiod/build2.sh" "$root/.build-standin2" "$place"
        mkdir -p "$root/.build-standin2/board"
        : >"$root/.build-standin2/board/board"
        rm -f "$root/.build-standin2/board/driven"
        swift build --package-path "$root" "${against[@]}" --build-tests >&2
        LD_LIBRARY_PATH=$root/.build-standin2 LARMNOD_FAKE_GPIO=$root/.build-standin2/board \
            swift test --package-path "$root" "${against[@]}" --skip-build --filter GPIO
        ;;
    *) say "no such thing: $1 (build, tests, or nothing)"; exit 2 ;;
esac
