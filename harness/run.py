#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot our kernel, kexec into a second one with Debian's kexec-tools, and
compare what both report: once by each of the two system calls.

    run.py [--stock] [load|file]
		load, file: only by kexec_load or kexec_file_load
		--stock: the base's own kexec, for comparison
"""

import guest
import initramfs
import kernel
from common import ROOT, Failure, main, say

MIB = 1 << 20
MODES = {"load": "-c", "file": "-s"}	# kexec's options
CALLS = {"load": "kexec_load", "file": "kexec_file_load"}


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


def boot_rows(result):
    boots = facts(result)
    for name, boot in zip(("first boot", "second boot"), boots):
        yield name, boot.get("id", "not reported")
        yield "  release", boot.get("release", "not reported")
        yield "  command line", boot.get("cmdline", "not reported")
    yield "console log", result.log.relative_to(ROOT)


def number_rows(result):
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


def boot(mode, image, initrd):
    return guest.boot(guest.Guest(
        image, initrd, name=f"run-{mode}",
        run=(f"/harness/first.sh:{MODES[mode]}",), mem="1G", timeout=300), show)


def compare(results):
    """The boots one below the other, their numbers side by side."""
    for mode, result in results.items():
        say(f"\n{CALLS[mode]}")
        for key, value in boot_rows(result):
            say(f"{key:22}{value}")
    columns = [dict(number_rows(result)) for result in results.values()]
    table = [["", *(CALLS[mode] for mode in results)]]
    table += [[key, *(column.get(key, "") for column in columns)]
              for key in max(columns, key=len)]
    say("")
    for key, *values in table:
        say(f"{key:22}" + "".join(f"{value:28}" for value in values).rstrip())


def run(args):
    stock = "--stock" in args
    modes = [arg for arg in args if arg != "--stock"] or list(MODES)
    if unknown := set(modes) - set(MODES):
        raise Failure(f"no mode {', '.join(unknown)}: load, file or both")
    image = kernel.build("release").image
    if stock:
        image = kernel.build("stock").image
    initrd = initramfs.build_boot(image)
    results = {mode: boot(mode, image, initrd) for mode in modes}
    compare(results)
    wrong = [f"{CALLS[mode]}: {text}" for mode, result in results.items()
             for text in problems(result, stock)]
    for text in wrong:
        say(f"FAILED: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    main(run)
