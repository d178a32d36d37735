#!/bin/sh
# Unpacks tests/golden/**/*.xz to build/golden with the same folders, and only what changed since the last time.
set -eu
cd "$(dirname "$0")/../.."
out=${INGLE_GOLDEN_BUILD:-build/golden}
[ -d tests/golden ] || exit 0
find tests/golden -name '*.xz' | sort | while read -r packed; do
    name=${packed#tests/golden/}
    case $name in
    *.tar.xz)
        done_mark=$out/${name%.tar.xz}/.unpacked
        [ "$done_mark" -nt "$packed" ] && continue
        mkdir -p "$out/${name%.tar.xz}"
        xz -dc "$packed" | tar -xf - -C "$out/${name%.tar.xz}"
        touch "$done_mark"
        ;;
    *)
        target=$out/${name%.xz}
        [ "$target" -nt "$packed" ] && continue
        mkdir -p "$(dirname "$target")"
        xz -dc "$packed" >"$target.part"
        mv "$target.part" "$target"
        ;;
    esac
done
