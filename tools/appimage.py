#!/usr/bin/env python3
"""Makes an AppImage of a Tauri app from its .deb, without downloading anything.

    tools/appimage.py APP.deb OUT.AppImage --runtime RUNTIME

`tauri build --bundles appimage` does this too, but downloads linuxdeploy on the way. Here the parts are the .deb that
`tauri build --bundles deb` made, the libraries of this machine, `mksquashfs` (squashfs-tools), and RUNTIME: the
AppImage type 2 runtime, a program of 1 MB from the AppImage project's releases or built from its source.

What goes in: the .deb's files, every library the app and WebKit need but those that must be the user's own (glibc,
graphics drivers, X11, fonts: the AppImage project's exclusion list), and WebKit's helper programs. WebKit knows where
those lie by an absolute path in its library; "/usr" there becomes "././" and the app starts in usr/.
Build on the oldest system you want to run on: glibc comes from the user's.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# From the exclusion list: libraries that belong to the user's system.
EXCLUDED = re.compile(
    r"^(ld-linux.*|lib(anl|BrokenLocale|cidn|c|dl|m|mvec|nss_\w+|pthread|resolv|rt|thread_db|util|stdc\+\+|gcc_s|GL|EGL|"
    r"GLdispatch|GLX|OpenGL|GLESv2|drm|glapi|gbm|xcb|xcb-dri2|xcb-dri3|X11|X11-xcb|ICE|SM|wayland-client|asound|fontconfig|"
    r"freetype|fribidi|harfbuzz|expat|com_err|gpg-error|uuid|usb-1\.0|z|p11-kit|jack|pipewire-0\.3|udev))\.so(\.|$)")
APPRUN = """#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH="$here/usr/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export GDK_PIXBUF_MODULE_FILE="$here/usr/lib/loaders.cache"
export GSETTINGS_SCHEMA_DIR="$here/usr/share/glib-2.0/schemas"
export GIO_EXTRA_MODULES="$here/usr/lib/gio/modules"
export XDG_DATA_DIRS="$here/usr/share:${XDG_DATA_DIRS:-/usr/local/share:/usr/share}"
cd "$here/usr" || exit 1
exec "$here/usr/bin/@PROGRAM@" "$@"
"""


class Failed(Exception):
    pass


def run(*args, **kw):
    r = subprocess.run(args, capture_output=True, text=True, **kw)
    if r.returncode:
        raise Failed(f"{args[0]} ended with status {r.returncode}: {(r.stderr or r.stdout).strip()[-500:]}")
    return r.stdout


def libraries(program):
    """Paths of the shared libraries a program needs, in whole."""
    out = run("ldd", str(program))
    missing = re.findall(r"^\s*(\S+) => not found", out, re.M)
    if missing:
        raise Failed(f"{program} needs {', '.join(missing)}: not on this machine")
    return [pathlib.Path(p) for p in re.findall(r"=> (/\S+) \(", out)]


def webkit_folder(libs):
    for lib in libs:
        if lib.name.startswith("libwebkit2gtk-4.1"):
            return lib.resolve().parent / "webkit2gtk-4.1"
    raise Failed("the app does not use WebKitGTK 4.1")


def copy_libraries(programs, target):
    target.mkdir(parents=True, exist_ok=True)
    seen = set()
    for program in programs:
        for lib in libraries(program):
            if lib.name not in seen and not EXCLUDED.match(lib.name):
                seen.add(lib.name)
                shutil.copy2(lib.resolve(), target / lib.name)
    return seen


def copy_webkit(folder, usr):
    """WebKit's helpers where the patched library looks for them, and the patch."""
    inside = usr / folder.relative_to("/usr")
    shutil.copytree(folder, inside, ignore=shutil.ignore_patterns("MiniBrowser", "jsc"))
    before = str(folder).encode()
    patched = 0
    for lib in (usr / "lib").glob("lib*gtk-4.1.so*"):
        data = lib.read_bytes()
        if before in data:
            lib.write_bytes(data.replace(before, b"././" + before[4:]))
            patched += 1
    if not patched:
        raise Failed("WebKit's library does not name its helpers' folder")


def copy_gtk_data(usr):
    """Settings schemas, image loaders and TLS modules, which GTK opens by name at run time."""
    schemas = usr / "share/glib-2.0/schemas"
    schemas.mkdir(parents=True, exist_ok=True)
    for path in pathlib.Path("/usr/share/glib-2.0/schemas").glob("*.xml"):
        shutil.copy2(path, schemas)
    run("glib-compile-schemas", str(schemas))
    pixbuf = next(pathlib.Path("/usr/lib").glob("*/gdk-pixbuf-2.0/2.10.0"), None)
    if pixbuf and (pixbuf / "loaders.cache").exists():
        loaders = usr / "lib/loaders"
        loaders.mkdir(parents=True)
        for path in (pixbuf / "loaders").glob("*.so"):
            shutil.copy2(path, loaders)
        cache = (pixbuf / "loaders.cache").read_text().replace(str(pixbuf / "loaders"), "lib/loaders")
        (usr / "lib/loaders.cache").write_text(cache)
    modules = next(pathlib.Path("/usr/lib").glob("*/gio/modules"), None)
    (usr / "lib/gio/modules").mkdir(parents=True)
    for path in modules.glob("*.so") if modules else []:
        shutil.copy2(path, usr / "lib/gio/modules")


def make_appdir(deb, appdir):
    run("dpkg-deb", "-x", str(deb), str(appdir))
    usr = appdir / "usr"
    programs = [p for p in (usr / "bin").iterdir() if os.access(p, os.X_OK)]
    desktop = next((usr / "share/applications").glob("*.desktop"), None)
    if not programs or not desktop:
        raise Failed(f"{deb} holds no program or no .desktop file")
    exec_line = re.search(r"^Exec=\"?([^\s\"]+)", desktop.read_text(), re.M)
    main = usr / "bin" / pathlib.Path(exec_line.group(1)).name if exec_line else programs[0]
    webkit = webkit_folder(libraries(main))
    helpers = [p for p in webkit.rglob("*") if p.is_file() and p.name != "MiniBrowser"]
    copy_libraries([*programs, *helpers], usr / "lib")
    copy_webkit(webkit, usr)
    copy_gtk_data(usr)
    shutil.copy2(desktop, appdir)
    icon = re.search(r"^Icon=(\S+)", desktop.read_text(), re.M).group(1)
    icons = sorted((usr / "share/icons").rglob(f"{icon}.png"), key=lambda p: p.stat().st_size)
    if icons:
        shutil.copy2(icons[-1], appdir / f"{icon}.png")
        (appdir / ".DirIcon").symlink_to(f"{icon}.png")
    apprun = appdir / "AppRun"
    apprun.write_text(APPRUN.replace("@PROGRAM@", main.name))
    apprun.chmod(0o755)


def make_image(appdir, runtime, out):
    with tempfile.TemporaryDirectory() as folder:
        image = os.path.join(folder, "image")
        run("mksquashfs", str(appdir), image, "-root-owned", "-noappend", "-comp", "zstd", "-quiet")
        with open(out, "wb") as f:
            for part in (runtime, image):
                with open(part, "rb") as source:
                    shutil.copyfileobj(source, f)
    os.chmod(out, 0o755)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("deb")
    parser.add_argument("out")
    parser.add_argument("--runtime", required=True, help="the AppImage type 2 runtime")
    parser.add_argument("--keep", metavar="FOLDER", help="leave the unpacked application there")
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            appdir = pathlib.Path(args.keep or os.path.join(folder, "AppDir"))
            make_appdir(args.deb, appdir)
            make_image(appdir, args.runtime, args.out)
    except (Failed, OSError) as e:
        sys.exit(f"error: {e}")
    print(f"{args.out}: {os.path.getsize(args.out) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
