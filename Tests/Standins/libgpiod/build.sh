#!/bin/sh
# Builds the stand-in as DIRECTORY/libgpiod.so.2. Needs cc and libgpiod-dev (1.6).
set -eu
directory=${1:?usage: build.sh DIRECTORY}
mkdir -p "$directory"
${CC:-cc} -std=gnu11 -O1 -Wall -Wextra -Werror -Wno-parentheses -fPIC -shared -pthread \
    -Wl,-soname,libgpiod.so.2 -o "$directory/libgpiod.so.2" "$(dirname "$0")/gpiod.c"
