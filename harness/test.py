#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run the tests: test.py [--soak] [--only SUITE[,SUITE...]] [--guest PATTERN]

Suites: unit, release, kunit, stock, debug, nocontig, sigforce, whole, off,
arm64, check; and whole-debug, which only --soak runs by itself.
PATTERN: a shell pattern; only guests of such a name are booted.
--soak: boot the guests of the long matrix as well, and run no other suites.
"""

import argparse
import fnmatch
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import guest
import initramfs
import kernel
import matrix
import whole
from common import (BUILD, JOBS, ROOT, TICK, Failure, locked, main, say, step,
                    ticker)
from verdict import Outcome, failed_names, judge

AT_A_TIME = min(2, JOBS)	# guests
SLOWER = 4		# how much the debug kernel may take of each time limit
BOOTS = 3		# attempts to get a guest as far as its init
NMI_PERIOD = 0.002	# seconds
KUNIT_COUNT = re.compile(r"Ran (\d+) tests: (.*)")
KUNIT_CONFIG = "lib/kunit/kexec.kunitconfig"
OF_OURS = re.compile(r"\w*(kexec|kimage)\w*\+0x")	# in a call trace


class Context:
    """What the command line chose."""

    def __init__(self, soak, pattern):
        self.soak, self.pattern = soak, pattern


#
# In user space, and KUnit
#

def suite_unit(_):
    log = BUILD / "log-unit.txt"
    step("unit", ["make", "-C", "tests/unit", f"-j{JOBS}", "test",
                  f"OUTPUT={BUILD / 'unit'}"], log, cwd=ROOT)
    count = len(re.findall(r"^ok ", log.read_text(), re.M))
    if not count:
        raise Failure(f"no unit test ran, see {log}")
    return Outcome(count)


def kunit_command(what):
    """kunit.py on our tree. It is told the whole configuration of the release
    kernel, whose objects are at hand: the tests see what users run, and little
    is left to build."""
    config = kernel.settings(kernel.VARIANTS["release"].config.read_text())
    return ["./tools/testing/kunit/kunit.py", what, "--arch=x86_64",
            "--build_dir=obj-kunit", f"--kunitconfig={KUNIT_CONFIG}",
            *(f"--kconfig_add={name}={value or 'n'}"
              for name, value in config.items() if "KUNIT" not in name),
            f"--make_options=CC={kernel.compiler()}"]


def kunit_outcome(text):
    """From the line that kunit.py ends with."""
    match = None
    for match in KUNIT_COUNT.finditer(text):
        pass
    if not match or int(match[1]) == 0:
        raise Failure("kunit.py ran no test")
    counts = dict(part.split(": ") for part in match[2].split(", "))
    bad = [f"KUnit: {key}: {value}" for key, value in counts.items()
           if key in ("failed", "crashed", "errors")]
    return Outcome(int(counts.get("passed", 0)),
                   int(counts.get("skipped", 0)), bad)


def suite_kunit(_):
    """Built here first, for kunit.py shows no progress of its build."""
    log = BUILD / "log-kunit.txt"
    kernel.build("release")
    variant = kernel.VARIANTS["kunit"]
    src, env = variant.src, kernel.environment()
    with locked(BUILD / ".lock"):
        kernel.seed(variant)
        kernel.place_certificate(variant)
        step("kunit config", kunit_command("config"), log, cwd=src, env=env)
        step("kunit build", kernel.make(variant, "all", "compile_commands.json"),
             log, mode="a", env=env)
        command = [*kunit_command("run"), "--timeout=300", f"--jobs={JOBS}"]
        done = subprocess.run(command, cwd=src, env={**os.environ, **env},
                              capture_output=True, text=True)
    text = done.stdout + done.stderr
    with open(log, "a") as out:
        out.write(text)
    outcome = kunit_outcome(text)
    if done.returncode and not outcome.problems:
        outcome.problems.append(f"kunit.py ended with {done.returncode}")
    return outcome


#
# Guests
#

def make_guest(spec, name, image, initrds):
    """The Guest of a matrix entry, on one kernel."""
    slower = SLOWER if name == "debug" else 1
    keys = ("run", "mem", "cpus", "cpu", "append", "qemu")
    return guest.Guest(
        image, initrds["boot" if spec["boot"] else "plain"],
        name=f"{name}-{spec['name']}", timeout=spec["timeout"] * slower,
        **{key: spec[key] for key in keys})


def inject_nmis(running):
    """One after the other, until QEMU has gone."""
    while running.qemu.poll() is None:
        running.qmp("inject-nmi")
        time.sleep(NMI_PERIOD)


def start_nmis(running, channel, line):
    if channel == "verdict" and line.text.startswith("JUMP tsc="):
        threading.Thread(target=inject_nmis, args=(running,),
                         daemon=True).start()


def report(lock, title, outcome, seconds, log=None):
    with lock:
        word = "FAIL" if outcome.problems else "ok"
        say(f"  {word:5}{title:40}{seconds:6.1f} s  {outcome}")
        for problem in outcome.problems:
            say(f"        {problem}")
        if outcome.problems and log:
            say(f"        console: {log.relative_to(ROOT)}")


def patience(running):
    """Which guests take long; nothing of those that have just begun."""
    now = time.monotonic()
    return ", ".join(f"{name}: {now - start:.0f} s so far"
                     for name, start in list(running.items())
                     if now - start >= TICK)


@dataclass
class Job:
    """A guest to boot, and what makes an outcome of its result."""
    name: str
    guest: guest.Guest
    judge: Callable
    on_line: Callable | None = None


def lost(result):
    """Was it reset before its init said a word, and by nothing of ours?"""
    return (result.reason == "reset" and not result.verdict
            and not OF_OURS.search(result.log.read_text(errors="replace")))


def boot(job, title):
    """Boot a guest. QEMU's emulation now and then loses a kernel long before
    its init, and before anything of kexec has run: such a guest says nothing at
    all, and is booted again, which is told."""
    for _ in range(BOOTS - 1):
        result = guest.boot(job.guest, job.on_line)
        if not lost(result):
            return result
        say(f"  again: {title}: {job.name}, reset while it booted: "
            f"{' / '.join(result.splats[:2])}")
    return guest.boot(job.guest, job.on_line)


def boot_each(title, jobs, context):
    """Boot the guests that were chosen, a few at a time; add up."""
    lock, total, running = threading.Lock(), Outcome(), {}

    def one(job):
        running[job.name] = time.monotonic()
        result = boot(job, title)
        del running[job.name]
        outcome = job.judge(result)
        report(lock, f"{title}: {job.name}", outcome, result.seconds,
               result.log)
        return outcome

    chosen = [job for job in jobs if fnmatch.fnmatch(job.name, context.pattern)]
    with ThreadPoolExecutor(AT_A_TIME) as pool, \
            ticker(lambda: patience(running)):
        for outcome in pool.map(one, chosen):
            total.add(outcome)
    if not chosen:
        raise Failure(f"no guest to boot: {title}")
    return total


def boot_all(name, context, judge_one):
    """Boot all guests of one kernel."""
    kernel.build("release")		# headers for the programs, gen_init_cpio
    image = kernel.build(name).image
    # In /boot is the kernel under test itself.
    boot = initramfs.build_boot(image)
    initrds = {"plain": BUILD / "initrd", "boot": boot}
    return boot_each(name, [
        Job(spec["name"],
            make_guest(spec, name, image, initrds),
            partial(judge_one, spec), start_nmis if spec["nmi"] else None)
        for spec in matrix.guests(name, context.soak)], context)


def suite_release(context):
    return boot_all("release", context, judge)


def suite_nocontig(context):
    return boot_all("nocontig", context, judge)


def suite_debug(context):
    return boot_all("debug", context, judge)


def suite_sigforce(context):
    return boot_all("sigforce", context, judge)


def judge_stock(spec, result):
    """On the stock kernel the tests of what is new have to fail, and no
    other: that all names are as they should be is a test passed. What has
    nothing new has to pass as anywhere."""
    if spec["expect"] != "old":
        return judge(spec, result)
    rows = matrix.load(ROOT / "tools/testing/selftests/kexec/rows.py")
    if not result.ended:
        return Outcome(problems=[f"no END, ended by {result.reason}"])
    wrong = rows.judge(failed_names(result))
    return Outcome(0 if wrong else 1, 0, wrong)


def suite_stock(context):
    return boot_all("stock", context, judge_stock)


#
# Whole systems
#

def boot_whole(name, context):
    """From one kernel of ours to itself and to Debian's."""
    kernel.build("release")		# gen_init_cpio
    variant = kernel.build(name)
    release = (variant.objects / "include/config/kernel.release").read_text()
    initrd = whole.make_disk(variant.image)
    slower = SLOWER if name == "debug" else 1
    return boot_each(f"whole, {name}", [
        Job(spec.name,
            whole.make_guest(spec, variant.image, initrd, slower),
            partial(whole.judge, spec, release.strip()))
        for spec in whole.specs(context.soak)], context)


def suite_whole(context):
    return boot_whole("release", context)


def suite_whole_debug(context):
    return boot_whole("debug", context)


#
# Builds and checks
#

def suite_off(_):
    kernel.build("off")
    return Outcome(1)


def suite_arm64(_):
    kernel.build("arm64")
    return Outcome(1)


def suite_check(_):
    step("check", [ROOT / "harness/check"], BUILD / "log-check.txt", cwd=ROOT)
    return Outcome(1)


SUITES = {
    "unit": suite_unit, "release": suite_release, "kunit": suite_kunit,
    "stock": suite_stock, "debug": suite_debug, "nocontig": suite_nocontig,
    "sigforce": suite_sigforce, "whole": suite_whole,
    "whole-debug": suite_whole_debug, "off": suite_off, "arm64": suite_arm64,
    "check": suite_check,
}
# Where there are long matrices, or where all is long
SOAKED = ("release", "nocontig", "debug", "whole", "whole-debug")
SOAKED_ONLY = ("whole-debug",)


def run_suite(name, context):
    say(f"== {name}")
    start = time.monotonic()
    try:
        outcome = SUITES[name](context)
    except Failure as failure:
        outcome = Outcome(problems=[f"{name}: {failure}"])
        say(f"  FAIL {failure}")
    say(f"== {name}: {outcome}, {time.monotonic() - start:.0f} s")
    return outcome


def arguments(args):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--guest", default="*")
    options = parser.parse_args(args)
    usual = SOAKED if options.soak else [name for name in SUITES
                                         if name not in SOAKED_ONLY]
    options.only = options.only.split(",") if options.only else list(usual)
    if unknown := set(options.only) - set(SUITES):
        raise Failure(f"no suite {', '.join(sorted(unknown))}; "
                      f"there are {', '.join(SUITES)}")
    return options


def run(args):
    options = arguments(args)
    context = Context(options.soak, options.guest)
    total = Outcome()
    for name in options.only:
        total.add(run_suite(name, context))
    if total.problems:
        say("\nWhat failed:")
        for problem in total.problems:
            say(f"  {problem}")
    say(str(total))
    return 1 if total.problems else 0


if __name__ == "__main__":
    main(run)
