#!/bin/sh
# Fuzzes every target of tests/fuzz for the given number of seconds (300), or one: tools/fuzz.sh 60 gguf
# What it finds lies in build/fuzz/NAME/; a finding ends with status 1.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-300}
only=${2:-}
cmake -S . -B build/fuzz -DCMAKE_C_COMPILER=clang -DINGLE_FUZZ=ON -DINGLE_SHARED_LIB=OFF -DINGLE_CLI=OFF \
    -DINGLE_SANITIZE=address,undefined -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build/fuzz -j "$(nproc 2>/dev/null || echo 2)"
bad=0
for source in tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    thing=${name#fuzz_}
    [ -z "$only" ] || [ "$only" = "$thing" ] || continue
    mkdir -p "build/fuzz/$thing/corpus"
    dict=tests/fuzz/$thing.dict
    echo "== $name for $seconds s"
    # New inputs go to build/; the seeds in the repository stay as they are.
    # shellcheck disable=SC2046
    "build/fuzz/tests/$name" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
        $([ -e "$dict" ] && echo "-dict=$dict") -artifact_prefix="build/fuzz/$thing/" \
        "build/fuzz/$thing/corpus" "tests/fuzz/seeds/$thing" >"build/fuzz/$thing/log" 2>&1 || {
        bad=1
        grep -E 'ERROR|SUMMARY|Test unit' "build/fuzz/$thing/log" || tail -n 20 "build/fuzz/$thing/log"
    }
    grep -E 'stat::number_of_executed_units' "build/fuzz/$thing/log" || true
done
[ $bad = 0 ] && echo "nothing found"
exit $bad
