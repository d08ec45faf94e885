"""The commands of the README give what it shows, and those of all pages are commands.

A command of the README is run on a small demo bank, in the order of the page. What it prints must
have the shape of what the page shows: the same words in the same order, with other numbers.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from flows.command_line import main
from tests.docs.conftest import ROOT, Desk

NOT_RUN = {
    "make demo": "minutes: tests/devstack/test_demo.py runs the demo with fewer users",
    "make test": "it runs this test",
    "make install": "it was run, or this test had no Python to run in",
    "prefetch check --config": "the file is the reader's own",
    "prefetch run --config": "the file is the reader's own",
}
"""Commands of the README that are not run, by how they begin, and why."""

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
NUMBER = re.compile(r"[-+]?\d[\d,.:]*")
HASH = re.compile(r"\b[0-9a-f]{8,}(-\d+)?\b")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?")
NAME = re.compile(r"who='[^']*'")


class Shown(NamedTuple):
    """A command of a page and the output below it."""

    command: str
    output: str

    @property
    def why_not(self) -> str | None:
        return next((why for how, why in NOT_RUN.items() if self.command.startswith(how)), None)


def shown_in(page: Path) -> Iterator[Shown]:
    """The commands of a page's console blocks, in order."""
    for indent, block in re.findall(r"^( *)```console\n(.*?)^\1```", page.read_text(), re.M | re.S):
        lines = [line.removeprefix(indent) for line in block.splitlines()]
        starts = [place for place, line in enumerate(lines) if line.startswith("$ ")]
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            yield Shown(lines[start][2:], "\n".join(lines[start + 1 : end]))


def shape(text: str) -> str:
    """A text without what differs from run to run: numbers, times, hashes, names."""
    for pattern, stands_for in ((NAME, "who=N"), (TIME, "T"), (HASH, "H"), (NUMBER, "0")):
        text = pattern.sub(stands_for, text)
    return " ".join(text.split())


def missing(expected: str, output: str) -> str | None:
    """The first part between two … that the output lacks, at its place."""
    told, at = shape(output), 0
    for number, part in enumerate(expected.split("…")):
        wanted = shape(part)
        found = told.find(wanted, at)
        if found < 0 or (number == 0 and found > 0):
            return wanted
        at = found + len(wanted)
    return None if "…" in expected[-2:] or at == len(told) else told[at:].strip()


def test_shapes() -> None:
    assert shape("a 1,234  of 0.5 s\nb") == "a 0 of 0 s b"
    assert missing("users 12 …\nchecked 3", "users 9 created 5\nchecked 77") is None
    assert missing("users 12", "users 9 created 5") == "created 0"
    assert missing("created 12 …", "users 9 created 5") == "created 0"
    assert missing("users 1\n…\nremoved 2", "users 1 created 2") == "removed 0"


def test_the_commands_of_the_readme(desk: Desk) -> None:
    ran = []
    for shown in shown_in(ROOT / "README.md"):
        for command in shown.command.split(" && "):
            if Shown(command, "").why_not or command == ". .venv/bin/activate":
                continue
            if "plan" in command:
                desk.moves("Hamburg")
            program, *words = shlex.split(command)
            assert program == "prefetch", f"neither run nor told why not: {command}"
            ended = desk.does(*words)
            assert ended.exit_code == 0, (command, ended.output)
            output = "\n".join(line for line in ended.output.splitlines() if " | " not in line)
            lacks = missing(shown.output, output)
            assert lacks is None, f"{command}: lacks {lacks!r} in:\n{output}"
            ran.append(words[0])
    assert len(set(ran)) >= 12


def test_the_readme_tells_of_every_command() -> None:
    page = (ROOT / "README.md").read_text()
    assert [name for name in main.commands if f"prefetch {name}" not in page] == []


def test_what_is_not_run_stands_in_the_readme() -> None:
    commands = [shown.command for shown in shown_in(ROOT / "README.md")]
    assert [how for how in NOT_RUN if not any(how in each for each in commands)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_the_pages_is_one(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFETCH_CONFIG", "pipeline.yaml")
    for shown in shown_in(page):
        words = shlex.split(shown.command, comments=True)
        if words and words[0] == "prefetch":
            assert_known(words[1:], shown.command)


def assert_known(words: list[str], line: str) -> None:
    """Parses a command with all its options, without carrying it out."""
    command: click.Command = main
    while isinstance(command, click.Group):
        name, *words = words
        assert name in command.commands, line
        command = command.commands[name]
    command.make_context(command.name, words)
