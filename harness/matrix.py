# SPDX-License-Identifier: GPL-2.0
"""The guests to boot: what the guest tests ask for, and whole kernels.

A guest is a dict: name; run, the programs; mem, cpus, cpu, append, qemu, timeout
as in guest.Guest; kernels, which of release, debug, stock, nocontig, sigforce it
is for; expect, how it has to end; soak, true when only "make soak" boots it;
boot, true when its initrd has a kernel in /boot.

expect: "end"	all programs came to their end, and so did init
        "payload"	the payload that was jumped to reports that all is well
        "reset"	the machine was reset after programs that did not fail
        "chain"	every kernel of the chain reported, each with its own boot id
        "second"	a second kernel was started, and its programs came to their end
        "old"	as "end", but exactly what is new fails: see rows.py
console: a pattern that a line of the console has to match
never: a pattern that none may match
nmi: true to inject NMIs from the jump on
"""

import importlib.util

from common import ROOT, Failure
from guest import CPU

GUESTS_FILE = ROOT / "tools/testing/selftests/kexec/guests.py"
LENGTH = 20

DEFAULTS = {"mem": "2G", "cpus": 2, "cpu": CPU, "append": "", "qemu": (),
            "timeout": 120, "kernels": ("release",), "expect": "end",
            "soak": False, "boot": False, "console": None, "never": None,
            "nmi": False}

WHOLE = [
    {"name": "chain", "run": (f"/harness/chain.sh:{LENGTH}",), "mem": "1G",
     "append": "retain_initrd", "expect": "chain", "boot": True,
     "timeout": 300},
    {"name": "chain-4cpus", "run": (f"/harness/chain.sh:{LENGTH}",),
     "mem": "1G", "cpus": 4, "append": "retain_initrd nokaslr",
     "expect": "chain", "boot": True, "timeout": 600, "soak": True,
     "kernels": ("release", "nocontig", "debug")},
    {"name": "ima-list", "run": ("/harness/ima.sh:first",), "mem": "1G",
     "append": "retain_initrd", "expect": "second", "boot": True,
     "timeout": 180, "kernels": ("release", "nocontig", "debug", "stock")},
]


def load(path):
    """A python file by its path, whatever folder it is in; None if missing."""
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def guests(kernel, soak):
    """What to boot of one kernel; the long ones only when asked for."""
    module = load(GUESTS_FILE)
    listed = list(module.GUESTS) if module else []
    found = [DEFAULTS | guest for guest in [*listed, *WHOLE]]
    for guest in found:
        if unknown := set(guest) - set(DEFAULTS) - {"name", "run"}:
            raise Failure(f"guest {guest['name']}: no key {unknown}")
    names = [guest["name"] for guest in found]
    if len(names) != len(set(names)):
        raise Failure("two guests of one name")
    return [guest for guest in found
            if kernel in guest["kernels"] and (soak or not guest["soak"])]
