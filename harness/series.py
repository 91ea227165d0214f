# SPDX-License-Identifier: GPL-2.0
"""The patch series, made from series/ and the same parts as the tree.

series/NN-name.msg is one patch: a title, a text, and what of the tree it
takes, one name or glob (where * also matches /) a line, after these markers:

    Removes:	stock files that leave with this patch
    Files:	overlay files; one of the same name in the base is replaced
    Hooks:	edits from base/hooks

A folder series/NN-name/ holds files as this patch leaves them, where that is
not yet how the overlay has them. 00-cover.msg is the cover letter, and has no
markers. Every overlay file and hook belongs to exactly one patch, every stock
file leaves in one or is replaced, and the last tree is the assembled one.
"""

import fnmatch
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import tree
from common import BUILD, ROOT, Failure, locked

MESSAGES = ROOT / "series"
PATCHES = BUILD / "series"
# The same as one patch, for trees that are not git's.
WHOLE = PATCHES / "whole.diff"
MARKERS = ("Removes:", "Files:", "Hooks:")
WIDTH = 72
# A replaced file is shown as removed and written, not as a mix of both.
DIFF = ["--no-renames", "--break-rewrites", "--full-index", "--no-ext-diff"]


@dataclass
class Message:
    name: str
    title: str
    text: str
    globs: dict = field(default_factory=dict)


def parse(path):
    """Read one .msg file."""
    lines = path.read_text().rstrip().splitlines()
    if len(lines) < 3 or lines[1] or max(map(len, lines)) > WIDTH:
        raise Failure(f"{path.name}: a title, an empty line and a text, "
                      f"of at most {WIDTH} columns")
    message = Message(path.stem, lines[0], "")
    text, marker = [], None
    for line in lines[2:]:
        if line in MARKERS:
            marker = line
        elif marker and line.strip():
            message.globs.setdefault(marker, []).append(line.strip())
        elif not marker:
            text.append(line)
    message.text = "\n".join(text).rstrip()
    return message


def messages():
    """The cover letter and the patches, in order."""
    found = [parse(path) for path in sorted(MESSAGES.glob("[0-9][0-9]-*.msg"))]
    if len(found) < 2 or found[0].name != "00-cover":
        raise Failure("series/: no 00-cover.msg and a patch after it")
    return found[0], found[1:]


class Claims:
    """Things of one kind, each of which is taken by one patch."""

    def __init__(self, kind, things):
        self.kind, self.left, self.owner = kind, set(things), {}

    def take(self, message, marker):
        """What of them the message's globs name."""
        taken = set()
        for glob in message.globs.get(marker, ()):
            hits = fnmatch.filter(self.left | set(self.owner), glob)
            if not hits:
                raise Failure(f"series/{message.name}.msg: no {self.kind} "
                              f"is named {glob}")
            taken.update(hits)
        for thing in taken:
            if self.owner.setdefault(thing, message.name) != message.name:
                raise Failure(f"{self.kind} {thing} belongs to two patches: "
                              f"{self.owner[thing]} and {message.name}")
        self.left -= taken
        return sorted(taken)

    def settle(self):
        if self.left:
            raise Failure(f"series/: no patch takes the {self.kind} "
                          + ", ".join(sorted(self.left)))


def intermediate(message):
    """The files of series/NN-name/: path to (content, mode)."""
    folder = MESSAGES / message.name
    return {str(path.relative_to(folder)): (path.read_bytes(), 0o644)
            for path in sorted(folder.rglob("*")) if path.is_file()}


class Identity:
    """Who signs the patches, and when: as the last commit here says."""

    def __init__(self):
        form = "--format=%cn%n%ce%n%cI"
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", ROOT, "log", "-1", form],
            capture_output=True, text=True)
        if done.returncode:
            raise Failure("the patches are signed as this repository's last "
                          f"commit is: {done.stderr.strip()}")
        self.name, self.mail, self.date = done.stdout.splitlines()

    def env(self):
        who = {"NAME": self.name, "EMAIL": self.mail, "DATE": self.date}
        return {f"GIT_{role}_{key}": value for key, value in who.items()
                for role in ("AUTHOR", "COMMITTER")}


class Repository:
    """A git repository that knows only its own configuration."""

    def __init__(self, folder, identity):
        self.folder = folder
        self.env = {key: value for key, value in os.environ.items()
                    if not key.startswith("GIT_")}
        self.env.update(identity.env(), GIT_CONFIG_GLOBAL=os.devnull,
                        GIT_CONFIG_NOSYSTEM="1", LC_ALL="C", TZ="UTC")

    def git(self, *args, data=None):
        done = subprocess.run(["git", *args], cwd=self.folder, input=data,
                              capture_output=True, text=True, env=self.env)
        if done.returncode:
            raise Failure(f"git {args[0]}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def init(self, paths):
        """Start with these paths of the folder, where they exist."""
        self.git("init", "-q", "-b", "series")
        self.git("config", "gc.auto", "0")
        there = [path for path in paths if (self.folder / path).exists()]
        self.git("update-index", "--add", "--stdin",
                 data="".join(f"{path}\n" for path in there))
        self.git("commit", "-q", "-m", "base")
        self.git("tag", "base")

    def commit(self, text):
        """Record the folder, all of it."""
        self.git("add", "-A", "-f", ".")
        if not self.git("status", "--porcelain"):
            raise Failure(f"this patch changes nothing: {text.splitlines()[0]}")
        self.git("commit", "-q", "--cleanup=verbatim", "-F", "-", data=text)


class Series:
    """Makes the patches' commits in a folder with nothing but what they touch."""

    def __init__(self, folder):
        self.identity = Identity()
        self.repo = Repository(folder, self.identity)
        self.cover, self.patches = messages()
        self.base = tree.base_tree()
        self.want = tree.wanted(self.base)
        self.hooks = {path.stem: path
                      for path in (ROOT / "base/hooks").glob("*.patch")}
        overlay = tree.overlay_files()
        self.files = Claims("overlay file", overlay)
        self.edits = Claims("hook", self.hooks)
        self.stock = Claims("stock file", tree.stock_files(self.base))

    def start(self):
        for name in self.want:
            entry = tree.base_entry(self.base, name)
            if entry:
                tree.put(self.repo.folder, name, entry)
        self.repo.init(sorted(self.want))

    def step(self, message):
        """The commit of one patch."""
        folder = self.repo.folder
        change = dict.fromkeys(self.stock.take(message, "Removes:"))
        for name in self.files.take(message, "Files:"):
            change[name] = self.want[name]
        change.update(intermediate(message))
        for name, entry in change.items():
            tree.put(folder, name, entry)
        for name in self.edits.take(message, "Hooks:"):
            tree.apply_hook(self.hooks[name], folder)
        self.repo.commit(f"{message.title}\n\n{message.text}\n\nSigned-off-by: "
                         f"{self.identity.name} <{self.identity.mail}>\n")

    def settle(self):
        """Nothing is forgotten, and the last tree is the assembled one."""
        self.stock.left -= set(self.files.owner)
        for claims in (self.files, self.edits, self.stock):
            claims.settle()
        for name, entry in self.want.items():
            if tree.base_entry(self.repo.folder, name) != entry:
                raise Failure(f"{name} is not in the end as it is assembled")
        stray = set(self.repo.git("ls-files").splitlines()) - set(self.want)
        if stray:
            raise Failure(f"not in the assembled tree: {', '.join(stray)}")

    def letter(self):
        """git makes the cover letter's title and text from this."""
        self.repo.git("config", "branch.series.description",
                      f"{self.cover.title}\n\n{self.cover.text}\n")

    def write(self, out):
        self.letter()
        self.repo.git("format-patch", "-q", "--cover-letter",
                      "--cover-from-description=subject", "--zero-commit",
                      "--no-signature", *DIFF, "-o", str(out), "base")
        whole = self.repo.git("diff", *DIFF, "base", "HEAD")
        (out / WHOLE.name).write_text(whole)

    def make(self, out):
        self.start()
        for message in self.patches:
            self.step(message)
        self.settle()
        self.write(out)


def patches():
    """The patches of the last generate(), in order, without the cover."""
    return sorted(path for path in PATCHES.glob("[0-9]*.patch")
                  if not path.name.startswith("0000-"))


def subject(patch):
    """A patch's title, as git wrote it, folded lines joined."""
    head = patch.read_text().split("\n\n", 1)[0]
    line = re.search(r"^Subject: (.*(?:\n .*)*)", head, re.M)[1]
    return re.sub(r"\n ", " ", line)


def generate():
    """Write build/series anew; return the patches."""
    with locked(BUILD / ".lock-series"), \
            tempfile.TemporaryDirectory(prefix="series-") as scratch:
        out = PATCHES.with_name("series.new")
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        Series(Path(scratch)).make(out)
        shutil.rmtree(PATCHES, ignore_errors=True)
        out.rename(PATCHES)
    return patches()
