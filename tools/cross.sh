#!/bin/sh
# Builds ingle for 64-bit ARM and runs programs of it under qemu-user: tools/cross.sh [TARGET...]
# Targets are those of the build (test_kernels, ingle, ...); each test is run. Without targets: the tests that hold the NEON
# kernels to the bits of the scalar ones. Exit status 77: the cross compiler, qemu or cmocka is missing; on Debian:
#   dpkg --add-architecture arm64 && apt-get update && apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
set -eu
cd "$(dirname "$0")/.."
out=build/aarch64
for tool in aarch64-linux-gnu-gcc qemu-aarch64-static cmake; do
    command -v $tool >/dev/null 2>&1 || { echo "$tool is missing" >&2; exit 77; }
done
mkdir -p $out
# cmocka for ARM: Debian's package, unpacked and not installed
if [ ! -e $out/cmocka/usr/include/cmocka.h ]; then
    (cd $out && apt-get download -q libcmocka0:arm64 libcmocka-dev:arm64 >/dev/null 2>&1) ||
        { echo "no libcmocka-dev:arm64 (dpkg --add-architecture arm64; apt-get update)" >&2; exit 77; }
    for package in $out/libcmocka*.deb; do dpkg-deb -x "$package" $out/cmocka; done
    rm $out/libcmocka*.deb
fi
[ -e $out/CMakeCache.txt ] || cmake -S . -B $out $(command -v ninja >/dev/null && echo -G Ninja) \
    -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc \
    -DCMAKE_BUILD_TYPE=Release -DINGLE_TESTS=ON -DINGLE_SHARED_LIB=OFF \
    -DCMOCKA_INCLUDE="$PWD/$out/cmocka/usr/include" \
    -DCMOCKA_LIBRARY="$PWD/$out/cmocka/usr/lib/aarch64-linux-gnu/libcmocka.so" >$out/configure.log ||
    { cat $out/configure.log; exit 1; }
targets=${*:-test_kernels test_linear_quant test_quant}
cmake --build $out -j "$(nproc)" --target $targets >$out/build.log || { tail -40 $out/build.log; exit 1; }
for target in $targets; do
    [ -x $out/tests/$target ] || continue
    qemu-aarch64-static -L /usr/aarch64-linux-gnu -E LD_LIBRARY_PATH=$out/cmocka/usr/lib/aarch64-linux-gnu \
        $out/tests/$target
done
