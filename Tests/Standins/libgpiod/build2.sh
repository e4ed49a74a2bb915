#!/bin/sh
# Builds libgpiod 2.x's own source over the stand-in for the kernel as DIRECTORY/libgpiod.so.3. LIBRARY is what
# scripts/libgpiod2.sh prints.
set -eu
directory=${1:?usage: build2.sh DIRECTORY LIBRARY}
library=${2:?usage: build2.sh DIRECTORY LIBRARY}
here=$(dirname "$0")
mkdir -p "$directory/parts"
for source in "$library"/source/*.c; do
    check=""
    [ "$(basename "$source")" != internal.c ] || check="-Dgpiod_check_gpiochip_device=not_used"
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -O1 -fPIC -c -D_GNU_SOURCE -DGPIOD_VERSION_STR='"2.2 (stand-in)"' $check \
        -Dopen=board_open -Dclose=board_close -Dread=board_read -Dioctl=board_ioctl \
        -I "$library/include" -I "$library/source" -o "$directory/parts/$(basename "$source" .c).o" "$source"
done
${CC:-cc} -std=gnu11 -O1 -Wall -Wextra -Werror -Wno-parentheses -fPIC -shared -pthread -I "$library/source" \
    -Wl,-soname,libgpiod.so.3 -o "$directory/libgpiod.so.3" "$here/kernel2.c" "$directory"/parts/*.o
