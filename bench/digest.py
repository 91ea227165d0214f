#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Compare the digest of our stub with that of the stock purgatory, natively.

    digest.py

Ours is assembled from the file that is in the stub. Stock's is the very object
that is in the purgatory of the stock kernel, which is brought up to date first:
the base's lib/crypto/sha256.c, compiled as arch/x86/purgatory/Makefile says.
"""

import re
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "harness"))

import kernel			# noqa: E402
from common import BUILD, ROOT, Failure, main, say, step	# noqa: E402

PAIRS = 5
MIB = 256
LIMIT = 10		# ours/stock, at least
PROGRAM = BUILD / "digest"
OURS = ROOT / "arch/x86/kernel/kexec_xxh64.S"
STOCK = "arch/x86/purgatory/sha256.o"
LINE = re.compile(r"DIGEST sha256=(\S+) xxh64=(\S+) ratio=(\S+)")


@dataclass
class Speeds:
    """MB/s, a list for each digest."""
    stock: list = field(default_factory=list)
    ours: list = field(default_factory=list)

    @property
    def medians(self):
        return statistics.median(self.stock), statistics.median(self.ours)

    @property
    def ratio(self):
        stock, ours = self.medians
        return ours / stock

    def __str__(self):
        stock, ours = self.medians
        return f"DIGEST sha256={stock:.1f} xxh64={ours:.1f} ratio={self.ratio:.1f}"


def build(stock):
    """stock: the Variant, built."""
    step("digest", ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-static",
                    "-o", PROGRAM, HERE / "digest.c", OURS,
                    stock.objects / STOCK], BUILD / "log-digest.txt")


def run_once():
    done = subprocess.run([PROGRAM, str(MIB)], capture_output=True, text=True)
    match = LINE.fullmatch(done.stdout.strip())
    if done.returncode or not match:
        raise Failure(f"{PROGRAM.name}: {done.stderr.strip() or done.stdout}")
    return float(match[1]), float(match[2])


def measure(pair=run_once):
    """Both digests in turn; return the Speeds. pair: a run of both."""
    build(kernel.build("stock"))
    speeds = Speeds()
    for _ in range(PAIRS):
        stock, ours = pair()
        speeds.stock.append(stock)
        speeds.ours.append(ours)
    return speeds


def run(args):
    if args:
        raise Failure(__doc__)
    speeds = measure()
    say(str(speeds))
    return 1 if speeds.ratio < LIMIT else 0


if __name__ == "__main__":
    main(run)
