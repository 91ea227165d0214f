#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The guests' initramfs: our init, busybox, Debian's kexec, the test programs.

    build/initrd        all of these
    build/initrd-boot   the same with /boot: a kernel and an initrd to start.
                        The kernel is signed
"""

import os
import shutil
import subprocess

import kernel
import sign
from common import BUILD, JOBS, ROOT, Failure, main, step, write_changed

GUEST = ROOT / "harness" / "guest"
SELFTESTS = kernel.OURS / "tools/testing/selftests/kexec"
PROGRAMS = BUILD / "t"
BUSYBOX = "/bin/busybox"
KEXEC = "/sbin/kexec"
DIRS = ("bin", "boot", "dev", "harness", "lib", "lib64", "proc", "run", "sbin",
        "sys", "t", "tmp")


def output(*argv):
    return subprocess.run(argv, check=True, capture_output=True,
                          text=True).stdout


def build_init():
    init = BUILD / "init"
    step("init", ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static",
                  "-o", init, ROOT / "harness/init.c"], BUILD / "log-init.txt")
    return init


def build_programs():
    """The guest test programs: the executables that their Makefile leaves."""
    if not (SELFTESTS / "Makefile").exists():
        return []
    headers = kernel.VARIANTS["release"].objects / "usr/include"
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    step("guest programs",
         ["make", "-C", SELFTESTS, f"-j{JOBS}", f"OUTPUT={PROGRAMS}",
          f"KHDR_INCLUDES=-isystem {headers}"], BUILD / "log-programs.txt",
         env=kernel.environment())
    return [path for path in sorted(PROGRAMS.iterdir())
            if path.is_file() and os.access(path, os.X_OK)
            and path.suffix not in (".elf", ".bin", ".o")]


def libraries(binary):
    """What ldd says it loads: paths, the loader's too."""
    words = output("ldd", binary).split()
    return sorted({word for word in words if word.startswith("/")})


def folders(paths):
    """Every folder on the way to the paths, parents first."""
    found = set()
    for path in paths:
        parts = path.split("/")[1:-1]
        found |= {"/" + "/".join(parts[:n + 1]) for n in range(len(parts))}
    return sorted(found)


def file_list(files, root=""):
    """gen_init_cpio's list. Files: path in the guest to path on the host."""
    paths = [*files, *(f"/{name}/" for name in DIRS)]
    lines = [f"dir {path} 0755 0 0"
             for path in folders([root + path for path in paths])]
    lines.append(f"nod {root}/dev/console 0600 0 0 c 5 1")
    lines += [f"slink {root}/bin/{applet} busybox 0777 0 0"
              for applet in output(BUSYBOX, "--list").split()
              if applet != "busybox"]
    lines += [f"file {root}{path} {host} 0755 0 0"
              for path, host in files.items()]
    return "\n".join(lines) + "\n"


def pack(name, files, root=""):
    """Make BUILD/name: the files, and what every guest has, below root."""
    listing = BUILD / f"{name}.list"
    write_changed(listing, file_list(files, root).encode())
    generator = kernel.VARIANTS["release"].objects / "usr/gen_init_cpio"
    if not generator.exists():
        generator = kernel.VARIANTS["stock"].objects / "usr/gen_init_cpio"
    done = subprocess.run([generator, "-t", "0", listing], capture_output=True)
    if done.returncode:
        raise Failure(f"gen_init_cpio: {done.stderr.decode()}")
    write_changed(BUILD / name, done.stdout)
    return BUILD / name


def contents(programs=True):
    files = {"/init": build_init(), "/bin/busybox": BUSYBOX, KEXEC: KEXEC}
    files |= {lib: os.path.realpath(lib) for lib in libraries(KEXEC)}
    files |= {f"/harness/{path.name}": path for path in sorted(GUEST.iterdir())}
    if programs:
        files |= {f"/t/{path.name}": path for path in build_programs()}
    return files


def build():
    """Make the initrd; return its path."""
    for tool in (BUSYBOX, KEXEC):
        if not shutil.which(tool):
            raise Failure(f"{tool} is missing: make deps")
    return pack("initrd", contents())


def signed_files(image):
    """The kernel with its signature, and what else the tests of signatures
    want: see kexec_signed.h."""
    signed, other = (sign.sign(key, image, BUILD / "signed" / key)
                     for key in (sign.TRUSTED, sign.OTHER))
    made = {"bzImage.other": sign.signature(other),
            "bzImage.ima": sign.ima_label(sign.IMA, image),
            "ima.x509": sign.certificate_der(sign.IMA)}
    for name, data in made.items():
        write_changed(BUILD / "signed" / name, data)
    return {"/boot/bzImage": signed} | {f"/boot/{name}": BUILD / "signed" / name
                                        for name in made}


def build_boot(image):
    """Make the initrd that has a kernel to start, and the plain one."""
    plain = build()
    return pack("initrd-boot", contents() | signed_files(image)
                | {"/boot/initrd": plain})


if __name__ == "__main__":
    main(lambda args: print(build()))
