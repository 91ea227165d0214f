#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot our kernel, kexec into a second one with Debian's kexec-tools, and
compare what both report.

    run.py [--stock]	with --stock: the base's own kexec, for comparison
"""

import guest
import initramfs
import kernel
from common import ROOT, main, say

MIB = 1 << 20


def facts(result):
    """Of each boot: what its report said, by key."""
    boots = []
    for text in result.texts:
        word, _, rest = text.partition(" ")
        key, _, value = rest.partition(" ")
        if word == "BOOT" and key == "id":
            boots.append({})
        if word == "BOOT" and boots:
            boots[-1][key] = value
    return boots


def load_event(result):
    """The fields of the tracepoint kexec:kexec_load, or {}."""
    lines = [text for text in result.texts if text.startswith("LOAD ")]
    if len(lines) != 1:
        return {}
    return dict(word.split("=", 1) for word in lines[0].split()[1:])


def image_rows(fields):
    number = {key: int(fields[key])
              for key in ("content", "home", "move", "zero")}
    phases = [int(value) for key, value in fields.items()
              if key.endswith("_ns")]

    def mib(size):
        return f"{size / MIB:.1f} MiB"

    return [("image", mib(number["content"] + number["zero"])
             + f" in {fields['segments']} segments"),
            ("in place", mib(number["home"])), ("moved", mib(number["move"])),
            ("zeroed", mib(number["zero"])),
            ("load time", f"{sum(phases) / 1e6:.1f} ms")]


def jump_time(result):
    """Seconds from just before reboot(2) to the next kernel's first line."""
    reboot = result.first("^REBOOT$", "verdict")
    line = reboot and result.first("Linux version", after=reboot.time)
    return line.time - reboot.time if line else None


def rows(result):
    boots = facts(result)
    for name, boot in zip(("first boot", "second boot"), boots):
        yield name, boot.get("id", "not reported")
        yield "  release", boot.get("release", "not reported")
        yield "  command line", boot.get("cmdline", "not reported")
    fields = load_event(result)
    if fields:
        yield from image_rows(fields)
    else:
        yield "image", "not reported"
    took = jump_time(result)
    yield ("reboot to first line",
           f"{took:.2f} s" if took is not None else "not reported")


def problems(result, stock):
    """What is not as it has to be."""
    ids = [boot["id"] for boot in facts(result)]
    if result.reason == "timeout":
        yield f"the guest did not end within {result.guest.timeout:.0f} s"
    if len(ids) != 2:
        yield f"{len(ids)} boots reported, expected 2"
    elif ids[0] == ids[1]:
        yield "both boots have the same id"
    if not result.ended:
        yield f"the last boot did not come to its end ({result.reason})"
    if not stock and not load_event(result):
        yield "the kernel did not report the load"
    if jump_time(result) is None:
        yield "no time from reboot to the next kernel"
    yield from result.splats


def show(_, channel, line):
    say(f"{line.time:8.3f} {'|' if channel == 'console' else '>'} {line.text}")


def run(args):
    stock = args == ["--stock"]
    image = kernel.build("release").image
    if stock:
        image = kernel.build("stock").image
    initrd = initramfs.build_boot(image)
    result = guest.boot(guest.Guest(
        image, initrd, name="run", run=("/harness/first.sh",), mem="1G",
        timeout=300), show)
    say("")
    for key, value in rows(result):
        say(f"{key:22}{value}")
    say(f"{'console log':22}{result.log.relative_to(ROOT)}")
    wrong = list(problems(result, stock))
    for text in wrong:
        say(f"FAILED: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    main(run)
