#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot a guest and collect its verdict.

    guest.py [--kernel FILE] [--initrd FILE] [--mem 2G] [--cpus 2] [--cpu MODEL]
             [--append WORDS] [--timeout SECONDS] [--quiet] PROGRAM[:ARG...]...

The console (ttyS0) is for people and kept under build/logs; what counts comes
over ttyS1. Every line of both is stamped with the host's clock as it arrives.
"""

import argparse
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from common import ACCEL, BUILD, Failure, main, say

CPU = "max,-erms,-fsrm"
APPEND = ("console=ttyS0,115200 panic=-1 oops=panic panic_on_warn=1 "
          "softlockup_panic=1 sysctl.kernel.hung_task_panic=1 "
          "sysctl.kernel.panic_on_rcu_stall=1 log_buf_len=1M")
LOGS = BUILD / "logs"
SPLAT = re.compile(r"(?:\[[^]]*\] )*(?:WARNING: |BUG: |UBSAN: |kernel BUG|Oops|"
                   r"Kernel panic|general protection|INFO: task )")
RESULT = re.compile(r"(?P<word>ok|not ok) \d+(?P<rest>.*)")
INIT_EXIT = 0x10 * 2 + 1	# QEMU's status when our init has left


@dataclass
class Guest:
    """What to boot. run: programs for kt.run=, as strings with colons."""
    kernel: Path
    initrd: Path
    name: str = "guest"
    run: tuple = ()
    mem: str = "2G"
    cpus: int = 2
    cpu: str = CPU
    append: str = ""
    timeout: float = 120
    qemu: tuple = ()
    command_line: str | None = None	# instead of the usual one
    # With a thread for each processor, QEMU's TCG can run a breakpoint that
    # another one has patched out already: a kernel that flips a static key
    # while it boots then dies now and then (seen: int3 in sched_clock_cpu).
    threads: str = "single"

    def words(self):
        if self.command_line is not None:
            return self.command_line
        run = f"kt.run={','.join(self.run)}" if self.run else ""
        return " ".join(filter(None, (APPEND, self.append, run)))

    def argv(self, verdict, qmp):
        cpu = self.cpu if ACCEL == "tcg" else self.cpu.replace("max", "host", 1)
        accel = f"tcg,thread={self.threads}" if ACCEL == "tcg" else ACCEL
        # However we end, QEMU does not outlive us.
        return ["setpriv", "--pdeathsig", "KILL",
                "qemu-system-x86_64", "-machine", "q35", "-accel", accel,
                "-cpu", cpu, "-smp", str(self.cpus), "-m", self.mem,
                "-nodefaults", "-no-user-config", "-display", "none",
                "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                "-chardev", "stdio,id=console,signal=off",
                "-serial", "chardev:console",
                "-chardev", f"file,id=verdict,path=/dev/fd/{verdict}",
                "-serial", "chardev:verdict",
                "-chardev", f"socket,id=qmp,fd={qmp}",
                "-mon", "chardev=qmp,mode=control", *self.qemu,
                "-kernel", str(self.kernel), "-initrd", str(self.initrd),
                "-append", self.words()]


@dataclass
class Line:
    time: float		# seconds since QEMU was started
    text: str


@dataclass
class Program:
    """What one program said: KTAP results as (word, description)."""
    name: str
    status: int | None = None	# None: never came back
    lines: list = field(default_factory=list)
    results: list = field(default_factory=list)

    def add(self, text):
        self.lines.append(text)
        match = RESULT.fullmatch(text)
        if match:
            rest = match["rest"].strip()
            skip = "# SKIP" in rest.upper()
            self.results.append(("skip" if skip else match["word"], rest))


@dataclass
class Result:
    guest: Guest
    reason: str		# init, debug-exit, reset, poweroff, timeout, qemu
    status: int | None
    seconds: float
    console: list
    verdict: list
    log: Path
    errors: str = ""

    @property
    def texts(self):
        return [line.text for line in self.verdict]

    @property
    def ended(self):
        """A kernel that is locked down lets init do no port I/O: END comes
        from init only, and then it powers off instead."""
        return (self.reason in ("init", "poweroff") and
                self.texts[-1:] == ["END"])

    @property
    def payload(self):
        return [text for text in self.texts if text.startswith("PAYLOAD ")]

    @property
    def splats(self):
        """What the kernel complained of: the guest's word, then the console."""
        told = [text for text in self.texts if text.startswith("KERNEL ")]
        return told + [line.text for line in self.console
                       if SPLAT.match(line.text)]

    @property
    def programs(self):
        found = []
        for text in self.texts:
            word, _, rest = text.partition(" ")
            if word == "RUN":
                found.append(Program(rest))
            elif word == "EXIT" and found:
                found[-1].status = int(rest.split()[-1])
            elif found:
                found[-1].add(text)
        return found

    def first(self, pattern, channel="console", after=0.0):
        """The first line that the pattern is found in, or None."""
        return next((line for line in getattr(self, channel)
                     if line.time > after and re.search(pattern, line.text)),
                    None)


class Running:
    """A QEMU process with readers on its three channels."""

    def __init__(self, guest, on_line=None):
        self.guest, self.on_line = guest, on_line
        self.console, self.verdict, self.events = [], [], []
        self.late = False
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{guest.name}.console"
        self.start = time.monotonic()
        self._spawn()

    def _spawn(self):
        ours, theirs = socket.socketpair()
        read, write = os.pipe()
        self.qemu = subprocess.Popen(
            self.guest.argv(write, theirs.fileno()),
            pass_fds=(write, theirs.fileno()), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        os.close(write)
        theirs.close()
        self.monitor = ours
        self.ids = itertools.count(1)
        self.errors = b""
        self.threads = [
            threading.Thread(target=target, args=args, daemon=True)
            for target, args in (
                (self._read, ("console", self.qemu.stdout)),
                (self._read, ("verdict", os.fdopen(read, "rb"))),
                (self._read_errors, ()), (self._read_events, ()))]
        for thread in self.threads:
            thread.start()
        self.qmp("qmp_capabilities")

    def _read(self, channel, stream):
        lines = getattr(self, channel)
        suffix = "console" if channel == "console" else "verdict"
        with open(self.log.with_suffix(f".{suffix}"), "w") as log, stream:
            for raw in stream:
                text = raw.decode(errors="replace").rstrip("\r\n")
                line = Line(time.monotonic() - self.start, text)
                lines.append(line)
                log.write(f"{line.time:9.3f} {text}\n")
                log.flush()
                if self.on_line:
                    self.on_line(self, channel, line)

    def _read_errors(self):
        self.errors = self.qemu.stderr.read()

    def _read_events(self):
        try:
            with self.monitor.makefile() as stream:
                for line in stream:
                    self.events.append(json.loads(line))
        except (OSError, ValueError):
            pass	# QEMU has gone; wait() says how

    def qmp(self, command, **arguments):
        """Send one command to QEMU, such as inject-nmi; do not wait for it."""
        request = {"execute": command, "id": next(self.ids)}
        if arguments:
            request["arguments"] = arguments
        try:
            self.monitor.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            pass

    def _reason(self, status):
        """isa-debug-exit leaves QEMU with an odd status and no event."""
        reasons = [event["data"]["reason"] for event in self.events
                   if event.get("event") == "SHUTDOWN"]
        if self.late:
            return "timeout"
        if reasons:
            return {"guest-reset": "reset", "guest-panic": "reset",
                    "guest-shutdown": "poweroff"}.get(reasons[0], "qemu")
        if status == INIT_EXIT:
            return "init"
        return "debug-exit" if status > 0 and not self.errors else "qemu"

    def wait(self):
        left = self.guest.timeout - (time.monotonic() - self.start)
        try:
            status = self.qemu.wait(max(left, 0.1))
        except subprocess.TimeoutExpired:
            self.late = True
            self.qemu.kill()
            status = self.qemu.wait()
        for thread in self.threads:
            thread.join(10)
        self.monitor.close()
        return Result(self.guest, self._reason(status), status,
                      time.monotonic() - self.start, self.console,
                      self.verdict, self.log, self.errors.decode())


def boot(guest, on_line=None):
    """Run a guest to its end, or to its time limit; return the Result."""
    running = Running(guest, on_line)
    try:
        return running.wait()
    finally:
        if running.qemu.poll() is None:
            running.qemu.kill()


def arguments(args):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernel", type=Path, default=BUILD / "bzImage")
    parser.add_argument("--initrd", type=Path, default=BUILD / "initrd")
    parser.add_argument("--name", default="guest")
    parser.add_argument("--mem", default="2G")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--cpu", default=CPU)
    parser.add_argument("--append", default="")
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("run", nargs="*")
    return parser.parse_args(args)


def show(_, channel, line):
    say(f"{line.time:8.3f} {'|' if channel == 'console' else '>'} {line.text}")


def run(args):
    options = vars(arguments(args))
    quiet = options.pop("quiet")
    options["run"] = tuple(options["run"])
    for path in (options["kernel"], options["initrd"]):
        if not path.exists():
            raise Failure(f"{path} is missing: make kernel")
    result = boot(Guest(**options), None if quiet else show)
    sys.stderr.write(result.errors)
    say(f"ended by {result.reason}, {result.seconds:.1f} s, "
        f"console in {result.log}")
    return 0 if result.ended and not result.splats else 1


if __name__ == "__main__":
    main(run)
