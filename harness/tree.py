#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Assemble a kernel tree: base, minus stock-files, plus overlay, plus hooks.

    tree.py             assemble build/linux
    tree.py stock       assemble build-stock/linux: the base as it is
    tree.py export DIR  assemble into a new folder, sharing no file
    tree.py base        unpack the base if need be and print where it lies

Unchanged files of a tree are hard links into the base, which must never be
written through: every write here makes a new file and renames it. A file keeps
its time while its content stays, so that make(1) rebuilds what it has to.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from common import (BUILD, CACHE, ROOT, Failure, locked, main, say, step,
                    write_changed)

OVERLAY = ("Documentation", "arch", "include", "kernel", "lib",
           "tools/testing/selftests/kexec")
TARBALL = Path("/usr/src/linux-source-6.12.tar.xz")
STOCK = ROOT / "build-stock" / "linux"
STATE = ".kexec-tree"	# in a tree: its base and the paths that differ from it


def source():
    return Path(os.environ.get("KERNEL_SRC") or TARBALL).resolve()


def unpack(tarball, base):
    """Unpack beside the final name: a base is complete or not there."""
    CACHE.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="unpack-", dir=CACHE))
    try:
        took = step("unpack", ["tar", "-x", "-f", tarball, "-C", fresh,
                               "--strip-components=1", "--no-same-owner"],
                    BUILD / "log-unpack.txt")
        say(f"unpacked {tarball.name} in {took:.0f} s")
        fresh.chmod(0o755)
        fresh.rename(base)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def base_tree():
    """The folder of the pristine base."""
    src = source()
    if not src.exists():
        raise Failure(f"{src} is missing: install linux-source-6.12 "
                      "(make deps) or set KERNEL_SRC")
    if src.is_file():
        stat = src.stat()
        key = f"{src.name} {stat.st_size} {stat.st_mtime_ns}"
        base = CACHE / f"base-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        with locked(CACHE / "base.lock"):
            if not base.is_dir():
                unpack(src, base)
        src = base
    check_base(src)
    return src


def check_base(base):
    makefile = base / "Makefile"
    head = makefile.read_text()[:200] if makefile.is_file() else ""
    if "VERSION = 6\nPATCHLEVEL = 12\n" not in head:
        raise Failure(f"{base} is no Linux 6.12 tree")
    if (base / ".config").exists() or (base / "include/config").exists():
        raise Failure(f"{base} has been built in: run make mrproper there")


def stock_files(base):
    """The files of base/stock-files, folders expanded, as relative paths."""
    found = set()
    for line in (ROOT / "base/stock-files").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        path = base / line
        if not path.exists():
            raise Failure(f"base/stock-files: the base has no {line}")
        files = path.rglob("*") if line.endswith("/") else [path]
        found |= {str(f.relative_to(base)) for f in files if not f.is_dir()}
    return found


def overlay_files():
    """The overlay: relative path to content."""
    found = {}
    for top in OVERLAY:
        for path in sorted((ROOT / top).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found[str(path.relative_to(ROOT))] = path
    return found


def hook_files(base):
    """The files of the base that hooks edit: relative path to new content."""
    hooks = sorted((ROOT / "base/hooks").glob("*.patch"))
    lines = [line for hook in hooks for line in hook.read_text().splitlines()]
    names = {line[6:].split("\t")[0] for line in lines
             if line.startswith("+++ b/")}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            copy = Path(scratch, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(base / name, copy)
        for hook in hooks:
            apply_hook(hook, scratch)
        return {name: Path(scratch, name).read_bytes() for name in names}


def apply_hook(hook, folder):
    done = subprocess.run(
        ["patch", "-p1", "-F0", "--no-backup-if-mismatch", "-s", "-r", "-",
         "-d", folder, "-i", hook], capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{hook.name} does not apply: {done.stdout.strip()}")


def wanted(base):
    """What differs from the base: path to (content, mode), None for removed."""
    want = dict.fromkeys(stock_files(base))
    for name, data in hook_files(base).items():
        want[name] = (data, (base / name).stat().st_mode & 0o777)
    for name, path in overlay_files().items():
        if want.get(name) or (base / name).exists() and name not in want:
            raise Failure(f"{name} is in the overlay and in the base: "
                          "add it to base/stock-files")
        want[name] = (path.read_bytes(), path.stat().st_mode & 0o777 | 0o644)
    return want


def copy_base(base, tree, link):
    """A new tree, with the base's files as hard links where that works."""
    fresh = tree.with_name(tree.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(tree, ignore_errors=True)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    linked = link and base.is_relative_to(CACHE) and not subprocess.run(
        ["cp", "-al", base, fresh], capture_output=True).returncode
    if not linked:
        subprocess.run(["rsync", "-a", "--delete", "--exclude=/.git",
                        f"{base}/", fresh], check=True)
    fresh.rename(tree)


def put(tree, name, entry):
    """Give one path its content, mode and, when that is new, a new time."""
    path = tree / name
    if entry is None:
        path.unlink(missing_ok=True)
        with suppress(OSError):		# a folder goes with its last file
            path.parent.rmdir()
        return
    data, mode = entry
    write_changed(path, data)
    if path.stat().st_mode & 0o777 != mode:
        path.chmod(mode)


def base_entry(base, name):
    path = base / name
    if not path.exists():
        return None
    return path.read_bytes(), path.stat().st_mode & 0o777


def read_state(tree):
    try:
        return json.loads((tree / STATE).read_text())
    except FileNotFoundError:
        return {"base": None, "paths": []}


def assemble(tree, base, want, link=True):
    """Bring a tree to base plus want; what differed before goes back."""
    state = read_state(tree)
    if state["base"] != str(base):
        copy_base(base, tree, link)
        state = {"base": str(base), "paths": []}
    paths = sorted(set(state["paths"]) | set(want))
    # Written first: an interrupted run leaves no path unaccounted for.
    write_changed(tree / STATE, json.dumps(
        {"base": str(base), "paths": paths}).encode())
    for name in paths:
        put(tree, name, want[name] if name in want else base_entry(base, name))
    write_changed(tree / STATE, json.dumps(
        {"base": str(base), "paths": sorted(want)}).encode())
    return tree


def ours():
    base = base_tree()
    return assemble(BUILD / "linux", base, wanted(base))


def stock():
    """The base; what we replace gets a new time, so that objects of ours
    copied into the tree are rebuilt where the sources differ."""
    base = base_tree()
    want = {name: base_entry(base, name) for name in wanted(base)}
    if read_state(STOCK)["base"] != str(base):
        assemble(STOCK, base, dict.fromkeys(want))
    return assemble(STOCK, base, want)


def export(folder):
    if folder.exists():
        raise Failure(f"{folder} exists")
    base = base_tree()
    assemble(folder, base, wanted(base), link=False)
    (folder / STATE).unlink()
    return folder


def run(args):
    if args == ["base"]:
        print(base_tree())
    elif args[:1] == ["export"] and len(args) == 2:
        print(export(Path(args[1]).resolve()))
    elif args in ([], ["stock"]):
        with locked(BUILD / ".lock"):
            print(stock() if args else ours())
    else:
        raise Failure(__doc__)


if __name__ == "__main__":
    main(run)
