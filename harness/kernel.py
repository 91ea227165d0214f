#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Build a kernel: kernel.py [release|debug|stock|off|nocontig|sigforce|arm64]

release goes to build/, debug and stock to build-debug/ and build-stock/, the
others to build/off and so on: bzImage, vmlinux and .config.
"""

import functools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import sign
import tree
from common import (BUILD, CACHE, JOBS, ROOT, Failure, locked, main, say, step,
                    write_changed)

OURS = BUILD / "linux"
CONFIGS = ROOT / "harness" / "configs"
CERTIFICATE = "certs/kexec_test.pem"	# CONFIG_SYSTEM_TRUSTED_KEYS


@dataclass(frozen=True)
class Variant:
    out: Path
    fragments: tuple
    src: Path = OURS
    obj: str = "obj"
    arch: str = "x86_64"
    cross: str = ""
    seeded: bool = False	# begin with a copy of the release's objects

    @property
    def objects(self):
        return self.src / self.obj

    @property
    def config(self):
        return self.out / ".config"

    @property
    def image(self):
        return self.out / ("bzImage" if self.arch == "x86_64" else "vmlinux")


VARIANTS = {
    "release": Variant(BUILD, ("base",)),
    "debug": Variant(ROOT / "build-debug", ("base", "debug"), obj="obj-debug"),
    "stock": Variant(ROOT / "build-stock", ("base",), tree.STOCK, seeded=True),
    "off": Variant(BUILD / "off", ("base", "off"), obj="obj-off", seeded=True),
    "nocontig": Variant(BUILD / "nocontig", ("base", "nocontig"),
                        obj="obj-nocontig"),
    "sigforce": Variant(BUILD / "sigforce", ("base", "sigforce"),
                        obj="obj-sigforce", seeded=True),
    "arm64": Variant(BUILD / "arm64", ("arm64",), obj="obj-arm64",
                     arch="arm64", cross="aarch64-linux-gnu-"),
    # Configured by kunit.py, from the release's .config
    "kunit": Variant(BUILD / "kunit", (), obj="obj-kunit", seeded=True),
}


def environment():
    """Same input, same output: nothing of the time, user or machine, and
    paths relative to the object folder, so that ccache knows them again."""
    return {"CCACHE_DIR": str(CACHE / "ccache"), "CCACHE_MAXSIZE": "5G",
            "CCACHE_SLOPPINESS": "time_macros",
            "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 2026",
            "KBUILD_BUILD_USER": "kexec", "KBUILD_BUILD_HOST": "kexec",
            "KBUILD_BUILD_VERSION": "1", "LC_ALL": "C"}


def compiler(cross=""):
    gcc = cross + "gcc"
    return f"ccache {gcc}" if shutil.which("ccache") else gcc


def make(variant, *targets):
    args = ["make", "-C", variant.src, f"O={variant.obj}", f"-j{JOBS}",
            f"ARCH={variant.arch}", f"CC={compiler(variant.cross)}"]
    if variant.cross:
        args.append(f"CROSS_COMPILE={variant.cross}")
    return [*args, *targets]


def settings(text):
    """The symbols of a config or fragment: name to value, None for unset."""
    found = {}
    for line in text.splitlines():
        if line.startswith("CONFIG_"):
            name, _, value = line.partition("=")
            found[name] = value
        elif line.startswith("# CONFIG_") and line.endswith(" is not set"):
            found[line.split()[1]] = None
    return found


def merged(fragments):
    want = {}
    for name in fragments:
        want |= settings((CONFIGS / f"{name}.config").read_text())
    return want


def check_config(fragments, config):
    """A symbol that a fragment unsets may as well not exist."""
    have = settings(config.read_text())
    wrong = [f"{name}={value or 'n'}, got {have.get(name) or 'n'}"
             for name, value in merged(fragments).items()
             if have.get(name) != value]
    if wrong:
        raise Failure(f"{config} is not what {'+'.join(fragments)} asks for: "
                      + "; ".join(wrong))


def place_certificate(variant):
    """Where the configuration says: relative to the objects, so that the
    .config is the same everywhere."""
    write_changed(variant.objects / CERTIFICATE, sign.certificate(sign.TRUSTED))


def configure(variant, log):
    """Merge the fragments; a .config that stays the same keeps its time."""
    obj = variant.objects
    obj.mkdir(parents=True, exist_ok=True)
    place_certificate(variant)
    config, old = obj / ".config", obj / ".config.before"
    if config.exists():
        config.replace(old)
    step("configure", ["scripts/kconfig/merge_config.sh", "-n", "-Q",
                       "-O", variant.obj,
                       *(CONFIGS / f"{f}.config" for f in variant.fragments)],
         log, cwd=variant.src, env={
             **environment(), "ARCH": variant.arch,
             "CC": compiler(variant.cross), "CROSS_COMPILE": variant.cross,
             "MAKEFLAGS": f"CC={compiler(variant.cross)}".replace(" ", "\\ ")})
    check_config(variant.fragments, config)
    if old.exists() and old.read_bytes() == config.read_bytes():
        old.replace(config)


def move_commands(release, folder, variant):
    """The host tools' command files have absolute paths; were objtool built
    again, so would be all that it has looked at. Their times stay."""
    for path in (folder / "tools").rglob(".*.cmd"):
        stat, text = path.stat(), path.read_text()
        text = text.replace(f"{release.objects}/", f"{variant.objects}/")
        path.write_text(text.replace(f"{release.src}/", f"{variant.src}/"))
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def seed(variant):
    """Objects of the release, where there are any: less is left to build."""
    release = VARIANTS["release"]
    if not variant.seeded or (variant.objects / "vmlinux").exists() \
            or not (release.objects / "vmlinux").exists():
        return
    fresh = variant.src / f"{variant.obj}.new"
    for folder in (fresh, variant.objects):
        shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["cp", "-a", release.objects, fresh], check=True)
    move_commands(release, fresh, variant)
    fresh.rename(variant.objects)


def deliver(variant):
    variant.out.mkdir(parents=True, exist_ok=True)
    names = {"vmlinux": "vmlinux", ".config": ".config"}
    if variant.arch == "x86_64":
        names["arch/x86/boot/bzImage"] = "bzImage"
    for source, name in names.items():
        write_changed(variant.out / name,
                      (variant.objects / source).read_bytes())


@functools.cache
def build(name):
    """Bring one kernel up to date, once in a run; return its Variant."""
    variant = VARIANTS[name]
    log = variant.out / "log-kernel.txt"
    with locked(BUILD / ".lock"):
        (tree.stock if name == "stock" else tree.ours)()
        seed(variant)
        configure(variant, variant.out / "log-config.txt")
        goal = ["all"] if variant.arch == "x86_64" else ["vmlinux"]
        took = step(f"{name} kernel", make(variant, *goal), log,
                    env=environment())
        if name == "release":
            step("headers", make(variant, "headers"), log, mode="a",
                 env=environment())
        deliver(variant)
    say(f"{variant.image.relative_to(ROOT)} is up to date, {took:.0f} s")
    return variant


def run(args):
    name = args[0] if args else os.environ.get("CONFIG") or "release"
    if len(args) > 1 or not (name in VARIANTS and VARIANTS[name].fragments):
        raise Failure(__doc__)
    build(name)


if __name__ == "__main__":
    main(run)
