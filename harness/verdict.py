# SPDX-License-Identifier: GPL-2.0
"""From what a guest said to passed, failed and skipped."""

import re
from dataclasses import dataclass, field

KSFT_SKIP = 4


@dataclass
class Outcome:
    """Counts, and a line for whatever is not as it has to be."""
    passed: int = 0
    skipped: int = 0
    problems: list = field(default_factory=list)

    @property
    def failed(self):
        return len(self.problems)

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.problems += other.problems

    def __str__(self):
        return (f"{self.passed} passed, {self.failed} failed, "
                f"{self.skipped} skipped")


def program_outcome(program, may_jump):
    """One program: its results, and whether it came to its end."""
    words = [word for word, _ in program.results]
    bad = [f"{program.name}: not ok {text}"
           for word, text in program.results if word == "not ok"]
    if program.status is None and not may_jump:
        bad.append(f"{program.name} did not come to its end")
    elif program.status not in (None, 0, KSFT_SKIP) and not bad:
        bad.append(f"{program.name} ended with {program.status}: "
                   + " / ".join(program.lines[-3:]))
    elif not words and not may_jump and program.status != KSFT_SKIP:
        bad.append(f"{program.name} tested nothing")
    elif program.status == KSFT_SKIP and not words:
        return Outcome(0, 1, bad)
    return Outcome(words.count("ok"), words.count("skip"), bad)


def end_problems(result, _):
    if not result.ended:
        yield f"no END, the guest ended by {result.reason}"


def payload_problems(result, _):
    last = result.payload[-1:]
    if last != ["PAYLOAD ok"]:
        yield f"the payload's last word: {last or 'none'}"
    elif result.reason != "debug-exit":
        yield f"ended by {result.reason}, not by the payload"


def reset_problems(result, _):
    if result.reason != "reset":
        yield f"ended by {result.reason}, not by a reset"


def chain_problems(result, spec):
    """As many boots as the chain has links and one, each with its own id."""
    length = int(spec["run"][0].split(":")[1])
    ids = [text for text in result.texts if text.startswith("BOOT id ")]
    if len(set(ids)) != length + 1 or len(ids) != length + 1:
        yield (f"{len(set(ids))} boot ids in {len(ids)} boots, "
               f"expected {length + 1}")
    yield from end_problems(result, spec)


def second_problems(result, spec):
    if len(result.programs) < 2 or not result.programs[-1].results:
        yield "no second kernel tested anything"
    yield from end_problems(result, spec)


PROBLEMS = {"end": end_problems, "payload": payload_problems,
            "reset": reset_problems, "chain": chain_problems,
            "second": second_problems}


def console_problems(result, spec):
    pattern = spec["console"]
    if pattern and not any(re.search(pattern, line.text)
                           for line in result.console):
        yield f"no line of the console matches {pattern}"
    if spec["never"]:
        yield from (f"the console said: {line.text}" for line in result.console
                    if re.search(spec["never"], line.text))


def judge(spec, result):
    """A guest's outcome. One that ends in another way than with END is a
    test itself; of one that does, the programs' results are the tests."""
    expect = spec["expect"]
    outcome = Outcome()
    if expect != "chain":
        for program in result.programs:
            outcome.add(program_outcome(program, expect != "end"))
    outcome.problems += PROBLEMS[expect](result, spec)
    outcome.problems += console_problems(result, spec)
    outcome.problems += [f"the kernel said: {text}"
                         for text in result.splats[:5]]
    if result.errors:
        outcome.problems.append(f"QEMU said: {result.errors.strip()}")
    if expect != "end" and not outcome.problems:
        outcome.passed += 1
    return outcome


def failed_names(result):
    """The names of the tests that failed, of all programs."""
    return {text.split(" #")[0].strip() for program in result.programs
            for word, text in program.results if word == "not ok"}
