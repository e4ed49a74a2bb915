#!/usr/bin/env bash
# Prints the directory for what is costly to make and lasts beyond one checkout, and makes it.
set -euo pipefail
if [ -n "${XDG_CACHE_HOME:-}" ]; then home=$XDG_CACHE_HOME
elif [ -n "${HOME:-}" ] && [ -w "${HOME:-/nonexistent}" ]; then home=$HOME/.cache
else home=/var/tmp; fi
mkdir -p "$home/larmnod"
echo "$home/larmnod"
