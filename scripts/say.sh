# shellcheck shell=bash
# What the scripts here share. Sourced, never run.

# A line for the person who runs it, on standard error as all that is not a result.
say() { printf 'georoot: %s\n' "$*" >&2; }

# One line, and the end.
die() { say "$@"; exit 1; }

# at_most SECONDS COMMAND…: a registry that never answers must not hold anyone up. (macOS has no timeout.)
at_most() {
    if command -v timeout >/dev/null; then timeout "$@"; else "${@:2}"; fi
}
