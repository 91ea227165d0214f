# SPDX-License-Identifier: GPL-2.0
"""Whole systems, started by kexec-tools: from our kernel to itself and to
Debian's kernels, on a machine with a BIOS and on one with EFI.

The first kernel finds what it starts on a disk (see harness/guest/whole.sh):

    /boot/bzImage, initrd           ours
    /boot/short                     our bzImage without the checksum at its end,
                                    which boots, but kexec_file_load refuses
    /boot/initrd-4, initrd-300      ours, with random bytes up to 4 and 300 MiB
    /boot/6.1/, /boot/6.12/         Debian's vmlinuz and its initrd, before which
                                    stands a cpio with our files below /kt
    all else                        a root for a kernel without an initrd
"""

import hashlib
import random
import shutil
import subprocess
from dataclasses import dataclass

import debian
import guest
import initramfs
from common import BUILD, step, write_changed
from verdict import Outcome

OUT = BUILD / "whole"
DISK = OUT / "disk"
DISK_SIZE = "768M"
LOG = BUILD / "log-whole.txt"
MIB = 1 << 20
PADDED = (4, 300)	# MiB
JUMPS = 10
FEWER = 5	# where each takes long, unless it is to be thorough
OVMF = "/usr/share/OVMF"


@dataclass(frozen=True)
class Spec:
    """What whole.sh is given, and the machine it runs on."""
    name: str
    kernel: str = "bzImage"
    initrd: str = "initrd"
    how: str = "-s"
    old: bool = False	# whether it is kexec_load that is called in the end
    jumps: int = 1
    efi: bool = False
    mem: str = "1G"
    timeout: float = 120

    @property
    def debian(self):
        """6.1, 6.12 or empty."""
        return self.kernel.rpartition("/")[0]


def jumps(efi, soak):
    """To each kernel, from ours."""
    prefix = "efi" if efi else "bios"
    for name in debian.KERNELS:
        yield Spec(f"{prefix}-{name}", f"{name}/vmlinuz", f"{name}/initrd",
                   jumps=FEWER if efi and not soak else JUMPS, efi=efi,
                   timeout=600)
    yield Spec(f"{prefix}-ours", jumps=JUMPS, efi=efi, timeout=300)


# No initrd, and EFI: a kernel that the firmware's stub gave an initrd leaves a
# pointer to it in EFI's tables. One that is started later without an initrd
# follows it, whatever is there by then: any 6.12 does, so there is no such guest.
SHORT = (
    Spec("initrd-300", initrd="initrd-300", mem="2G"),
    Spec("initrd-300-efi", initrd="initrd-300", mem="2G", efi=True),
    Spec("initrd-4", initrd="initrd-4"),
    Spec("initrd-none", initrd="none"),
    Spec("load", how="-c", old=True),
    Spec("load-efi", how="-c", old=True, efi=True),
    Spec("auto", how="-a", jumps=2),
    Spec("auto-fallback", "short", how="-a", old=True),
    Spec("systemctl", how="systemctl", old=True, jumps=2),
)


def specs(soak):
    """The longest ones first: two run at a time."""
    return [*jumps(False, soak), *jumps(True, soak), *SHORT]


#
# The disk
#

def with_pad(name, files, data):
    """An initrd of the files, the bytes, and their sum."""
    pad, total = OUT / f"{name}.pad", OUT / f"{name}.sum"
    write_changed(pad, data)
    write_changed(total, f"{hashlib.md5(data).hexdigest()}  /pad\n".encode())
    return initramfs.pack(f"whole/{name}",
                          files | {"/pad": pad, "/sum": total})


def padded(size, files):
    """An initrd of that many MiB."""
    room = size * MIB - with_pad("unpadded", files, b"").stat().st_size
    source = random.Random(size)
    data = b"".join(source.randbytes(MIB) for _ in range(size))
    return with_pad(f"initrd-{size}", files, data[:room])


def debian_files(name, files):
    """Ours come first: what follows a compressed archive has to be aligned."""
    found = debian.get(name)
    ours = initramfs.pack(
        f"whole/kt-{name}",
        files | {"/debian/.keep": "/dev/null", "/efivarfs.ko": found.efivarfs},
        "/kt")
    initrd = OUT / f"initrd-{name}"
    write_changed(initrd, ours.read_bytes() + found.initrd.read_bytes())
    return {f"/boot/{name}/vmlinuz": found.image, f"/boot/{name}/initrd": initrd}


def stage(root, initrd, files):
    """The disk's contents: those of our initrd, and the files."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    with open(initrd, "rb") as archive:
        subprocess.run(["cpio", "-idm", "--quiet", "-f", "dev/console"],
                       stdin=archive, cwd=root, check=True)
    for path, host in files.items():
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(host, target)


def make_disk(image):
    """The disk with that kernel of ours; return the initrd to start with."""
    OUT.mkdir(parents=True, exist_ok=True)
    files = initramfs.contents(programs=False)
    initrd = initramfs.pack("whole/initrd", files)
    short = OUT / "short"
    write_changed(short, image.read_bytes()[:-4])
    boot = {"/boot/bzImage": image, "/boot/short": short,
            "/boot/initrd": initrd}
    small = {path: host for path, host in files.items()
             if path in ("/init", "/bin/busybox")
             or path.startswith("/harness/")}
    for size in PADDED:
        boot[f"/boot/initrd-{size}"] = padded(size, small)
    for name in debian.KERNELS:
        boot |= debian_files(name, files)
    stage(OUT / "root", initrd, boot)
    DISK.unlink(missing_ok=True)
    step("disk", ["/sbin/mke2fs", "-q", "-t", "ext2", "-d", OUT / "root", DISK,
                  DISK_SIZE], LOG)
    return initrd


#
# Guests
#

def firmware():
    """OVMF, with variables that are forgotten when QEMU ends."""
    def flash(unit, name, option):
        return ("-drive", f"if=pflash,format=raw,unit={unit},{option}=on,"
                f"file={OVMF}/{name}")
    return (*flash(0, "OVMF_CODE_4M.fd", "readonly"),
            *flash(1, "OVMF_VARS_4M.fd", "snapshot"))


def make_guest(spec, image, initrd, slower=1):
    program = f"/harness/whole.sh:{spec.how}:{spec.kernel}:{spec.initrd}"
    return guest.Guest(
        image, initrd, name=f"whole-{spec.name}", mem=spec.mem,
        run=(f"{program}:{spec.jumps}",), timeout=spec.timeout * slower,
        qemu=("-drive", f"if=none,id=disk,format=raw,readonly=on,file={DISK}",
              "-device", "virtio-blk-pci,drive=disk",
              *(firmware() if spec.efi else ())))


#
# What they said
#

def boots(result):
    """Of each boot: its lines by their first words."""
    found = []
    for text in result.texts:
        word, _, rest = text.partition(" ")
        if word == "BOOT":
            word, _, rest = rest.partition(" ")
        if word == "id":
            found.append({})
        if found:
            found[-1][word] = rest
    return found


def releases(spec, ours):
    """The kernels in the order they have to come."""
    if not spec.debian:
        return [ours] * (spec.jumps + 1)
    return [ours, debian.get(spec.debian).release] * spec.jumps


def sequence_problems(spec, found, ours):
    wanted = releases(spec, ours)
    came = [boot["release"].split()[0] for boot in found]
    if came != wanted:
        yield f"booted {' '.join(came) or 'nothing'}, not {' '.join(wanted)}"
    if len({boot["id"] for boot in found}) != len(found):
        yield "two boots have the same id"


def jump_problems(before, after):
    if before.get("LOADED") != "1":
        yield f"kexec_loaded was {before.get('LOADED')}"
    if before.get("ASKED") != after["cmdline"]:
        yield (f"command line {after['cmdline']!r}, "
               f"asked for {before.get('ASKED')!r}")


def efi_problems(found):
    """Each boot has seen what the one before has left in the firmware."""
    for n, boot in enumerate(found):
        if not boot.get("EFI", "").endswith(f" counter {n}"):
            yield f"boot {n} said of EFI: {boot.get('EFI', 'nothing')}"


def call_problems(spec, result):
    """LoadPin tells of each call, and which one it is."""
    old = bool(result.first("LoadPin: kexec-image old-api"))
    if old != spec.old:
        yield f"kexec_load was {'' if old else 'not '}called"


def problems(spec, ours, result):
    found = boots(result)
    yield from sequence_problems(spec, found, ours)
    for before, after in zip(found, found[1:]):
        yield from jump_problems(before, after)
    if spec.efi:
        yield from efi_problems(found)
    if spec.initrd.startswith("initrd-") and found[-1:] and \
            "/pad:" not in found[-1]:
        yield "nobody looked at the initrd's contents"
    yield from call_problems(spec, result)
    yield from (text for text in result.texts if text.startswith("FAILED"))
    if not result.ended:
        yield f"no END, the guest ended by {result.reason}"
    yield from (f"the kernel said: {text}" for text in result.splats[:5])
    if result.errors:
        yield f"QEMU said: {result.errors.strip()}"


def judge(spec, ours, result):
    """Every jump is a test."""
    wrong = list(problems(spec, ours, result))
    return Outcome(0 if wrong else len(releases(spec, ours)) - 1, 0, wrong)
