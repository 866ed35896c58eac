#!/bin/sh
# checksum.sh FILE... — prints the SHA-256 of every file given, as "sum  name", the form that `sha256sum -c` reads.
#
# A file that is missing or cannot be read costs a sentence on stderr; the others are still done, and the exit code is 1.
# Reports progress after each file and its counts as the result (fd 3; silent where there is none). No file given: exit code 2.

if [ $# -eq 0 ]; then
    echo 'Usage: checksum.sh FILE...' >&2
    exit 2
fi

if command -v sha256sum >/dev/null 2>&1; then
    sum() { sha256sum -- "$1"; }
elif command -v shasum >/dev/null 2>&1; then
    sum() { shasum -a 256 -- "$1"; }
else
    echo 'checksum.sh: neither sha256sum nor shasum is installed.' >&2
    exit 2
fi

report() { { printf '%s\n' "$1" >&3; } 2>/dev/null || :; }

total=$#
done=0
failed=0
for file in "$@"; do
    why=
    if [ ! -e "$file" ]; then
        why='does not exist'
    elif [ -d "$file" ]; then
        why='is a directory'
    elif [ ! -r "$file" ] || ! sum "$file"; then
        why='cannot be read'
    fi
    if [ -n "$why" ]; then
        printf 'checksum.sh: %s %s.\n' "$file" "$why" >&2
        failed=$((failed + 1))
    fi
    done=$((done + 1))
    report $((done * 100 / total))
done

report "{\"result\": {\"files\": $((total - failed)), \"failed\": $failed}}"
[ "$failed" -eq 0 ]
