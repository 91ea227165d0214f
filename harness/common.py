# SPDX-License-Identifier: GPL-2.0
"""Where things lie, and how a long step is shown and logged."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kexec"
JOBS = int(os.environ.get("JOBS") or os.cpu_count() or 1)
ACCEL = os.environ.get("ACCEL") or "tcg"
# What our own make was given is not meant for the makes started from here.
for name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL"):
    os.environ.pop(name, None)

TICK = 10		# seconds between two lines of progress


class Failure(Exception):
    """What a person can act on; shown without a traceback."""


def say(text):
    print(text, flush=True)


def main(function):
    """Run a script's main: a Failure is one line on stderr and status 1."""
    try:
        sys.exit(function(sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"error: {failure}")
    except KeyboardInterrupt:
        sys.exit("interrupted")


@contextmanager
def locked(path):
    """One process at a time; the others wait and say so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another build to release {path.name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def tail(path, lines=40):
    with open(path, errors="replace") as file:
        return "".join(file.readlines()[-lines:])


@contextmanager
def ticker(describe):
    """Say what describe() returns every TICK seconds, if anything."""
    done = threading.Event()

    def tick():
        while not done.wait(TICK):
            text = describe()
            if text:
                say(f"  {text}")

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class Progress:
    """How far a step is: lines of output, and the last of them."""

    def __init__(self, name):
        self.name, self.start = name, time.monotonic()
        self.lines, self.last = 0, ""

    def elapsed(self):
        return time.monotonic() - self.start

    def line(self, text):
        self.lines += 1
        self.last = text

    def __str__(self):
        last = " ".join(self.last.split())[:50]
        return (f"{self.name}: {self.lines} steps, "
                f"{self.elapsed():.0f} s ({last})")


def step(name, argv, log, cwd=None, env=None, mode="w"):
    """Run a command with its output in a log; return the seconds it took.
    It ends when we do, however that comes about."""
    log.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress(name)
    argv = [str(arg) for arg in argv]
    with open(log, mode) as out, ticker(lambda: str(progress)):
        out.write(f"$ {' '.join(argv)}\n")
        out.flush()
        child = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *argv], cwd=cwd,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**os.environ, **(env or {})})
        for line in child.stdout:
            out.write(line)
            progress.line(line)
    if child.wait():
        sys.stderr.write(tail(log))
        raise Failure(f"{name} failed, the whole log is in {log}")
    return progress.elapsed()


def write_changed(path, data):
    """Write a file unless it has this content; never through a hard link."""
    if path.is_file() and not path.is_symlink() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(data)
    fresh.replace(path)
    return True
