#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Debian's own kernels, with the initrd they would be installed with.

They are fetched with apt and unpacked in the cache folder, not installed: that
would change what this machine boots.
"""

import lzma
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from common import BUILD, CACHE, ROOT, Failure, locked, main, say, step

KERNELS = {"6.1": "linux-image-cloud-amd64",
           "6.12": "linux-image-6.12-cloud-amd64"}	# metapackages
FOLDER = CACHE / "debian"
LOG = BUILD / "log-debian.txt"


@dataclass(frozen=True)
class Kernel:
    folder: Path

    @property
    def image(self):
        return next(self.folder.glob("boot/vmlinuz-*"))

    @property
    def release(self):
        return self.image.name.removeprefix("vmlinuz-")

    @property
    def initrd(self):
        return self.folder / "initrd"

    @property
    def efivarfs(self):
        """The module, unpacked: it is not in the initrd."""
        return self.folder / "efivarfs.ko"


def apt(*argv):
    """Not in FOLDER: of a file that is there, apt says nothing."""
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise Failure(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def package(meta):
    """The package that a metapackage stands for today, and its file's name."""
    match = re.search(r"Depends: (linux-image-[0-9]\S+)",
                      apt("apt-cache", "depends", meta))
    if not match:
        raise Failure(f"apt knows no {meta}: apt-get update")
    uris = apt("apt-get", "download", "--print-uris", match[1])
    return match[1], uris.split()[1]


def fill(folder, deb):
    step("unpack", ["dpkg-deb", "-x", deb, folder], LOG, mode="a")
    found = Kernel(folder)
    module = next(folder.glob("lib/modules/*/kernel/fs/efivarfs/efivarfs.ko*"))
    data = module.read_bytes()
    found.efivarfs.write_bytes(lzma.decompress(data)
                               if module.suffix == ".xz" else data)
    step(f"initrd of {found.release}",
         [ROOT / "harness/debian-initrd", folder, found.release, found.initrd],
         LOG, mode="a")


def get(name):
    """One of KERNELS, unpacked. The cache keeps the newest of each only."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with locked(FOLDER / ".lock"):
        wanted, deb = package(KERNELS[name])
        folder = FOLDER / deb.removesuffix(".deb")
        if folder.exists():
            return Kernel(folder)
        for old in FOLDER.glob(f"linux-image-{name}.*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        step(f"download {wanted}", ["apt-get", "download", wanted], LOG,
             cwd=FOLDER)
        fresh = FOLDER / f"{name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fill(fresh, FOLDER / deb)
        fresh.rename(folder)
        (FOLDER / deb).unlink()
    return Kernel(folder)


if __name__ == "__main__":
    main(lambda args: [say(str(get(name).folder)) for name in KERNELS] and None)
