# SPDX-License-Identifier: GPL-2.0
"""The table of bench.py, and RESULTS.md around it."""

import math
import re
import statistics
import subprocess
import time
from dataclasses import dataclass

from common import BUILD

TEXT = """\
<!-- SPDX-License-Identifier: GPL-2.0 -->
# Stock kexec and ours, side by side

Written by `make bench` on {date}{resumed}:

- kernel: {release}, both with the same config, built by {gcc}
- guest: {qemu}, {cpu},
  `-accel {accel} -cpu {model} -smp 2 {options}`, booted with `{append}`

Each figure is the median of as many guests as "runs" says, stock and ours
booted in turn; where a guest of stock takes more than {slow} s it has one.
"in place" is the part of our image that need not be moved at the jump. Limits
are of ours/stock, or where it says so of ours.

Under TCG seconds mean little, and ratios much: other hosts have other seconds.
`bench/bench.py --rows PATTERN` repeats the rows whose name has the pattern.

{table}

What the rows are:

- load: kexec_load(2) of one segment, from a buffer of the same size that is in
  memory. "low" is 0x10235000; the allocator hands out other memory first. "top"
  ends where memory does (less 53 pages and up to 2 MiB). "across the
  allocator's zone" has in its middle what the allocator has just handed out.
- memory: kept is what is less free after the load, with the buffer released;
  peak is how much less was free at one time during the load.
- reboot to payload: TSC cycles from before reboot(2) to the first instruction
  of what was loaded, which then verifies every byte. In place: loaded once.
  Moved: loaded twice, so that the destination was taken by the first image.
- file load: kexec_file_load(2) of a kernel of 14 MiB and an initrd, from files
  in memory. Its memory kept and its peak are beside those files; content is
  kernel and initrd. From reboot to payload, stock runs its purgatory.
- in place, file cache in use: an initrd of 64 MiB is loaded while a file that
  is larger than memory has been read over and over for a minute.
- speed of the check: xxh64 as the stub has it, and SHA-256 as the purgatory of
  the stock kernel has it, both run natively, by `bench/digest.py`.
- largest initrd: a file on a virtio disk, by bisection in steps of 4 MiB.
- largest image: 16 segments side by side from 1 MiB up, from one buffer of a
  sixteenth of the size, by bisection in steps of 4 MiB.
"""

# The rows whose cost per MiB must be alike, the small size and the large one
SCALING = (("load 64 MiB, (.*)", "load 1024 MiB, (.*)"),
           ("(file load), initrd of 64 MiB", "(file load), initrd of 900 MiB"))
SCALING_LIMIT = 1.2


@dataclass(frozen=True)
class Line:
    """A line of the table, all text."""
    name: str
    mem: str
    stock: str
    ours: str
    unit: str
    ratio: str
    limit: str
    verdict: str
    home: str
    runs: str

    HEADS = ("what", "guest", "stock", "ours", "unit", "ours/stock", "limit",
             "verdict", "in place", "runs stock/ours")

    def cells(self):
        return (self.name, self.mem, self.stock, self.ours, self.unit,
                self.ratio, self.limit, self.verdict, self.home, self.runs)


def number(value):
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3f}"


def judge(value, limit, at_least=False):
    if limit is None:
        return ""
    if at_least:
        return "ok" if value >= limit else "too small"
    return "ok" if value <= limit else "too slow"


def row_line(figures):
    row, (stock, ours) = figures.row, figures.medians
    limit, verdict = "", ""
    if row.limit is not None:
        limit = f"{'>=' if row.at_least else '<='} {row.limit:g}"
        verdict = judge(ours / stock, row.limit, row.at_least)
    elif row.own_limit is not None:
        limit = f"ours <= {row.own_limit:g}"
        limit = limit.replace("<=", ">=" if row.at_least else "<=")
        verdict = judge(ours, row.own_limit, row.at_least)
        verdict = verdict.replace("slow", "much")
    home = f"{statistics.mean(figures.home):.0%}" if figures.home else ""
    return Line(row.name, row.mem, number(stock), number(ours), row.unit,
                number(ours / stock), limit, verdict, home,
                f"{len(figures.stock)}/{len(figures.ours)}")


def mib(figures):
    return int(re.search(r"(\d+) MiB", figures.row.name)[1])


def scaling_line(what, small, large):
    """Cost per MiB of the large image over that of the small one."""
    stock, ours = (big / mib(large) / (little / mib(small)) for little, big
                   in zip(small.medians, large.medians))
    return Line(f"cost per MiB, {mib(large)} over {mib(small)} MiB, {what}",
                small.row.mem, number(stock), number(ours), "ratio",
                number(ours / stock), f"ours <= {SCALING_LIMIT}",
                judge(ours, SCALING_LIMIT), "", "")


def scaling_lines(measured):
    """For each pair of sizes: in the same guest and with the same place."""
    for small, large in SCALING:
        found = {}
        for figures in measured:
            for size, pattern in enumerate((small, large)):
                match = re.fullmatch(pattern, figures.row.name)
                if match:
                    key = match[1], figures.row.mem
                    found.setdefault(key, {})[size] = figures
        for (what, _), sizes in found.items():
            if len(sizes) == 2:
                yield scaling_line(what, sizes[0], sizes[1])


def lines(measured):
    """A line for each row, and those that two rows make together."""
    return [*map(row_line, measured), *scaling_lines(measured)]


def brief(figures):
    line = row_line(figures)
    both = [f"{name} {' '.join(map(number, values))}" for name, values
            in (("stock", figures.stock), ("ours", figures.ours))]
    return (f"{line.name} ({line.mem}): {line.ratio} {line.limit} "
            f"{line.verdict} [{line.unit}: {'; '.join(both)}]")


def table(found):
    rows = [Line.HEADS, *(line.cells() for line in found)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    text = ["| " + " | ".join(cell.ljust(width) for cell, width
                              in zip(row, widths)) + " |" for row in rows]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def compiler():
    config = (BUILD / ".config").read_text()
    return re.search(r'CONFIG_CC_VERSION_TEXT="(.*)"', config)[1]


def qemu_version():
    said = subprocess.run(["qemu-system-x86_64", "--version"],
                          capture_output=True, text=True, check=True).stdout
    return said.splitlines()[0]


def write(path, found, machines, settings):
    """machines: what the guests said of themselves, stock and ours."""
    releases = {said[0].split()[2] for said in machines}
    cpus = {said[1].split(":")[1].strip() for said in machines}
    path.write_text(TEXT.format(
        date=time.strftime("%Y-%m-%d", time.gmtime()), table=table(found),
        release=" and ".join(sorted(releases)), gcc=compiler(),
        qemu=qemu_version(), cpu=" and ".join(sorted(cpus)), **settings))
