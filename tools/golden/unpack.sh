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
        # An archive NAME.tar.xz brings its own top folder; the mark beside it tells when that was done.
        folder=$out/$(dirname "$name")
        done_mark=$folder/.$(basename "$name").unpacked
        [ "$done_mark" -nt "$packed" ] && continue
        mkdir -p "$folder"
        xz -dc "$packed" | tar -xf - -C "$folder"
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
