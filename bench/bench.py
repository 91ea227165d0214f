#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare our kexec with the stock one: same config, same guests, in turn.

    bench.py [--quick] [--rows PATTERN] [--resume]

Both kernels are brought up to date first. The full run writes RESULTS.md beside
this file; it fails when a limit is missed. --quick tries a few rows once, and
--rows those whose name the pattern is found in; neither writes anything.
--resume goes on with a full run that was broken off, with the same kernels.

A guest boots for each figure, so that no figure depends on the one before, and
with all of its memory allocated in advance: what the host does when a guest
touches a page for the first time takes much longer than what is measured.
The kernel is not randomized, as it might lie where an image has to go. A run
during which something else used the host's processors is repeated.
"""

import argparse
import hashlib
import json
import random
import re
import resource
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))

import digest			# noqa: E402
import guest			# noqa: E402
import initramfs		# noqa: E402
import kernel			# noqa: E402
from common import BUILD, Failure, locked, main, say, step	# noqa: E402
import report			# noqa: E402

PAIRS = 5
SLOW = 60		# seconds: a stock guest that takes longer runs once
GUEST_TIMEOUT = 900
BOOTS = 3		# attempts to get a guest as far as its init
DISTURBANCE = 0.1	# processors that others may use during a run
PATIENCE = 20		# repetitions of a disturbed run
QUIET_TIME = 1		# seconds without others before a run starts
QUIET_WAIT = 1200	# seconds until it is given up
QEMU = ("-machine", "pc", "-mem-prealloc")
APPEND = "nokaslr"
DISK_MIB = 1200
MIB = 1 << 20
LOW = "0x10235000"
ROWS = BUILD / "bench.rows"	# what a full run has measured so far
PLACES = {LOW: "low", "top": "top", "across": "across the allocator's zone"}


@dataclass(frozen=True)
class Row:
    """A thing to measure; figure() makes a number of what the guest says."""
    name: str
    mem: str
    program: str
    figure: Callable
    unit: str
    limit: float | None = None		# of ours/stock
    own_limit: float | None = None	# of ours
    at_least: bool = False		# the limit is one from below
    pairs: int = PAIRS
    expect: str = ""			# home or move: most of ours must be this
    quick: bool = False
    disk: bool = False			# the guest has one, with a large file
    ours_only: bool = False		# stock has no such figure


@dataclass
class Figures:
    """What was measured of a row, a list for each kernel."""
    row: Row
    stock: list = field(default_factory=list)
    ours: list = field(default_factory=list)
    home: list = field(default_factory=list)	# part of ours in place

    @property
    def medians(self):
        """Of stock and ours; stock's is nan when there is none."""
        return tuple(statistics.median(values) if values else float("nan")
                     for values in (self.stock, self.ours))


#
# What is measured
#

def load_seconds(said):
    return int(said["load_ns"]) / 1e9


def kept_ratio(said):
    return int(said["kept"]) / int(said["content"])


def peak_ratio(said):
    return int(said["peak"]) / int(said["content"])


def jump_megacycles(said):
    return (int(said["payload_tsc"]) - int(said["jump_tsc"])) / 1e6


def biggest_mib(said):
    return int(said["biggest"]) / MIB


def home_part(said):
    return int(said["home"]) / (int(said["home"]) + int(said["move"]))


def load_row(mib, where, mem, **more):
    return Row(f"load {mib} MiB, {PLACES[where]}", mem,
               f"kexec_bench:load:{mib}:{where}", load_seconds, "s", **more)


def load_rows():
    yield load_row(256, LOW, "2G", limit=0.15, quick=True)
    yield load_row(512, LOW, "4G", limit=1.0, expect="home", quick=True)
    yield load_row(512, "top", "4G", limit=0.08)
    for where in (LOW, "top", "across"):
        for mib in (64, 256, 1024):
            yield load_row(mib, where, "6G")


def memory_rows():
    for mib, where, mem in ((256, LOW, "2G"), (512, LOW, "4G"),
                            (512, "top", "4G"), (64, "across", "6G")):
        name = f"{mib} MiB, {PLACES[where]}"
        program = f"kexec_bench:memory:{mib}:{where}"
        yield Row(f"memory kept, {name}", mem, program, kept_ratio,
                  "x content", own_limit=1.02, quick=where == LOW)
        yield Row(f"memory peak, {name}", mem, program, peak_ratio,
                  "x content")


def jump_rows():
    program = f"kexec_bench:jump:512:{LOW}"
    yield Row("reboot to payload, 512 MiB, in place", "4G", f"{program}:once",
              jump_megacycles, "Mcycles", limit=0.35, expect="home", quick=True)
    yield Row("reboot to payload, 512 MiB, moved", "4G", f"{program}:twice",
              jump_megacycles, "Mcycles", limit=0.6, expect="move")


def file_load_rows():
    for mib in (64, 256, 512, 900):
        yield Row(f"file load, initrd of {mib} MiB", "4G",
                  f"kexec_file_bench:load:{mib}", load_seconds, "s",
                  limit=0.25, quick=mib == 64)
    for mib in (64, 512):
        program = f"kexec_file_bench:load:{mib}"
        yield Row(f"memory kept, file load, {mib} MiB", "4G", program,
                  kept_ratio, "x content", own_limit=1.02, quick=mib == 64)
        yield Row(f"memory peak, file load, {mib} MiB", "4G", program,
                  peak_ratio, "x content", own_limit=1.1)


def file_rows():
    yield from file_load_rows()
    for mib, limit in ((64, 0.3), (512, 0.2)):
        yield Row(f"reboot to payload, file load, {mib} MiB", "4G",
                  f"file_jump:{mib}M:100", jump_megacycles, "Mcycles",
                  limit=limit, quick=mib == 64)
    yield Row("in place, 64 MiB, file cache in use", "1G",
              "kexec_file_bench:busy:64:60", home_part, "part", own_limit=0.9,
              at_least=True, pairs=2, disk=True, ours_only=True)
    yield Row("largest initrd, from a disk", "1G", "kexec_file_bench:biggest",
              biggest_mib, "MiB", limit=1.6, at_least=True, pairs=1, disk=True)


DIGEST = Row("speed of the check, on the host", "none", "", None, "MB/s",
             limit=digest.LIMIT, at_least=True, quick=True)


def all_rows():
    rows = [*load_rows(), *memory_rows(), *jump_rows()]
    rows.append(Row("largest image", "1G", "kexec_bench:biggest", biggest_mib,
                    "MiB", limit=1.5, at_least=True, pairs=1))
    return [*rows, *file_rows(), DIGEST]


#
# A run
#

def host_busy():
    """Processor seconds since boot that somebody used, or was denied."""
    ticks = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    user, nice, system, _, _, irq, softirq, steal = map(int, ticks)
    return (user + nice + system + irq + softirq + steal) / 100


def own_busy():
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF,
                                                 resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


class Others:
    """How many processors somebody else uses, from here on."""

    def __init__(self):
        self.start, self.before = time.monotonic(), host_busy() - own_busy()

    def share(self):
        used = host_busy() - own_busy() - self.before
        return used / (time.monotonic() - self.start)

    def disturb(self):
        return self.share() > DISTURBANCE


def wait_for_quiet():
    for _ in range(QUIET_WAIT // QUIET_TIME):
        others = Others()
        time.sleep(QUIET_TIME)
        if not others.disturb():
            return
    raise Failure("something else keeps the processors busy")


def parse(result):
    """The keys and values that the program reported."""
    said = {"seconds": result.seconds}
    for text in result.texts:
        kind, _, rest = text.partition(" ")
        if kind in ("BENCH", "JUMP", "PAYLOAD"):
            said |= {f"{'' if kind == 'BENCH' else kind.lower() + '_'}{key}":
                     value for key, value in re.findall(r"(\w+)=(\S+)", rest)}
    return said


def succeeded(result):
    """All that was started came to a good end, or the payload says it did."""
    if not result.programs or result.splats:
        return False
    if result.reason == "debug-exit":
        return result.texts[-1] == "PAYLOAD ok"
    return result.ended and all(p.status == 0 for p in result.programs)


def make_disk():
    """An ext2 with a file /big that is larger than a guest's memory. It has
    all its blocks: a hole is read without the disk."""
    disk, folder = BUILD / "bench.disk", BUILD / "bench.files"
    if disk.exists():
        return disk
    folder.mkdir(exist_ok=True)
    with open(folder / "big", "wb") as big:
        for _ in range(DISK_MIB):
            big.write(random.randbytes(MIB))
    step("disk", ["mke2fs", "-q", "-t", "ext2", "-d", folder, f"{disk}.new",
                  f"{DISK_MIB + DISK_MIB // 16}M"], BUILD / "log-disk.txt")
    (folder / "big").unlink()
    return Path(f"{disk}.new").rename(disk)


def disk_options():
    return ("-drive", f"file={make_disk()},format=raw,if=virtio,snapshot=on")


def describe(variant, initrd, program, mem, disk=False):
    """CPUs run at a time, as real ones do."""
    qemu = (*QEMU, *disk_options()) if disk else QEMU
    return guest.Guest(variant.image, initrd, name="bench", run=(program,),
                       mem=mem, append=APPEND, qemu=qemu, threads="multi",
                       timeout=GUEST_TIMEOUT)


def boot(variant, initrd, program, mem, disk=False):
    """With CPUs that run at a time, TCG now and then trips over code that one
    of them patches, long before our program runs: boot such a guest again."""
    described = describe(variant, initrd, program, mem, disk)
    for _ in range(BOOTS):
        result = guest.boot(described)
        if succeeded(result):
            return result
        if result.texts:
            break
        say(f"    again: ended by {result.reason} while it booted")
    raise Failure(f"{program} on {variant.image.parent.name}: ended by "
                  f"{result.reason}, see {result.log} and .verdict there")


def quiet_boot(*what):
    """Boot until nobody else disturbs it."""
    for _ in range(PATIENCE):
        wait_for_quiet()
        others = Others()
        result = boot(*what)
        if not others.disturb():
            return result
        say(f"    again: others used {others.share():.2f} processors")
    raise Failure("no run without disturbance")


class Bench:
    """Both kernels. What several rows take from one run is run once."""

    def __init__(self):
        self.variants = {name: kernel.build(name)
                         for name in ("release", "stock")}
        self.initrd = initramfs.build()
        self.done = {}

    def said(self, variant, row, turn):
        key = variant, row.program, row.mem, turn
        if key not in self.done:
            result = quiet_boot(self.variants[variant], self.initrd,
                                row.program, row.mem, row.disk)
            self.done[key] = parse(result)
        return self.done[key]

    def machine(self, variant):
        result = boot(self.variants[variant], self.initrd,
                      "kexec_bench:machine", "1G")
        return [text.removeprefix("MACHINE ") for text in result.texts
                if text.startswith("MACHINE ")]


def note_home(figures, said):
    """Where our image was; it must be where the row's name says."""
    if "home" not in said:
        return
    home, move = int(said["home"]), int(said["move"])
    part = home / (home + move)
    if figures.row.expect == "home" and part < 0.9 or \
            figures.row.expect == "move" and part > 0.1:
        raise Failure(f"{figures.row.name}: {part:.0%} is in place")
    figures.home.append(part)


def measure_digest(row):
    speeds = digest.measure()
    return Figures(row, speeds.stock, speeds.ours)


def measure(bench, row, pairs):
    if row is DIGEST:
        return measure_digest(row)
    figures = Figures(row)
    slowest = 0
    for turn in range(pairs):
        if slowest <= SLOW and not row.ours_only:
            said = bench.said("stock", row, turn)
            figures.stock.append(row.figure(said))
            slowest = max(slowest, said["seconds"])
        said = bench.said("release", row, turn)
        figures.ours.append(row.figure(said))
        note_home(figures, said)
    return figures


#
# The whole
#

class Kept:
    """The rows of a full run, in a file, for these kernels only."""

    def __init__(self, bench, resume):
        self.images = hashlib.sha256(b"".join(
            variant.image.read_bytes()
            for variant in bench.variants.values())).hexdigest()
        self.rows = {}
        if resume and ROWS.exists():
            found = map(json.loads, ROWS.read_text().splitlines())
            self.rows = {(row["name"], row["mem"]): row for row in found
                         if row["images"] == self.images}
        ROWS.write_text("")
        for row in self.rows.values():
            self.write(row)

    def write(self, row):
        with open(ROWS, "a") as file:
            file.write(json.dumps(row) + "\n")

    def find(self, row):
        kept = self.rows.get((row.name, row.mem))
        return kept and Figures(row, kept["stock"], kept["ours"], kept["home"])

    def add(self, figures):
        row = figures.row
        self.write({"images": self.images, "name": row.name, "mem": row.mem,
                    "stock": figures.stock, "ours": figures.ours,
                    "home": figures.home})


def parse_args(args):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="a few rows, one pair each")
    parser.add_argument("--rows", default="", metavar="PATTERN",
                        help="only rows whose name this is found in")
    parser.add_argument("--resume", action="store_true",
                        help="go on with a full run that was broken off")
    return parser.parse_args(args)


def measure_all(bench, rows, quick, kept):
    """Keep what a full run measures: its last row may go wrong."""
    for number, row in enumerate(rows, 1):
        figures = kept and kept.find(row)
        if not figures:
            figures = measure(bench, row, 1 if quick else row.pairs)
            if kept:
                kept.add(figures)
        say(f"{number:2}/{len(rows)} {report.brief(figures)}")
        yield figures


def settings(bench, kept):
    argv = describe(bench.variants["stock"], "", "", "").argv(0, 0)
    option = dict(zip(argv, argv[1:]))
    return {"accel": option["-accel"], "model": option["-cpu"],
            "options": " ".join(QEMU), "append": APPEND, "slow": SLOW,
            "resumed": ", resumed once broken off" if kept.rows else ""}


def run(args):
    options = parse_args(args)
    rows = [row for row in all_rows() if re.search(options.rows, row.name)
            and (row.quick or not options.quick)]
    bench, full = Bench(), not options.quick and not options.rows
    with locked(BUILD / ".lock"):
        kept = Kept(bench, options.resume) if full else None
        lines = report.lines(list(measure_all(bench, rows, options.quick, kept)))
        say("\n" + report.table(lines))
        if full:
            report.write(HERE / "RESULTS.md", lines,
                         [bench.machine(name) for name in bench.variants],
                         settings(bench, kept))
    missed = [line.name for line in lines if line.verdict not in ("", "ok")]
    for name in missed:
        say(f"limit missed: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    main(run)
