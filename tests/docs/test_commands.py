"""The commands that the pages show are ones that the command line understands; those of the quick start run."""

import re
import shlex

import pytest
from docs.conftest import write_tracks
from docs.markdown import ROOT, blocks, name_of, pages

from nlreid.cli import build_parser, main

SHELLS = ("bash", "sh", "shell", "console")
QUICK_START = ROOT / "docs" / "quick_start.md"


def commands(block):
    """The arguments of each `nlreid …` in a block: in scripts anywhere in a line, in text and sessions where a line begins."""
    for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
        if block.language in ("bash", "sh", "shell"):
            yield from _of_line(line)
        elif re.match(r"\s*(\$ )?(\S*/)?nlreid (?!…)", line):
            yield from _of_line(line.strip().removeprefix("$ "))


def _of_line(line):
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    command: list[str] = []
    for word in [*words, ";"]:
        if word and set(word) <= set("();<>|&"):
            if command:
                yield from _arguments(command)
            command = [">"] if set(word) & set("<>") else []  # what follows is a file
        else:
            command.append(word)


def _arguments(command):
    program = [word for word in command if not re.fullmatch(r"\w+=.*", word)]
    if program and program[0].rpartition("/")[2] == "nlreid":
        yield program[1:]
    if program[1:3] == ["-m", "nlreid"]:
        yield program[3:]


def _shown():
    for page in pages():
        for block in blocks(page):
            if block.language in (*SHELLS, "text"):
                for arguments in commands(block):
                    yield pytest.param(arguments, id=f"{name_of(page)}:{block.line}: {shlex.join(arguments)}"[:150])


SHOWN = list(_shown())


@pytest.mark.parametrize("arguments", SHOWN)
def test_the_command_line_understands_what_the_pages_show(arguments, capsys):
    status = 0
    try:
        build_parser().parse_args(arguments)
    except SystemExit as error:  # --help and --version end so, too, with 0
        status = error.code
    assert status == 0, capsys.readouterr().err


def test_commands_were_found():
    assert sum("README.md" in each.id for each in SHOWN) >= 3
    assert sum(each.id.startswith("quick_start.md") for each in SHOWN) >= 4


@pytest.mark.parametrize(
    ("language", "text", "found"),
    [
        ("bash", "nlreid demo  # a comment", [["demo"]]),
        (
            "bash",
            'export A=b\n.venv/bin/nlreid embed "$VIDEO" \\\n  -o x && nlreid search x > y',
            [["embed", "$VIDEO", "-o", "x"], ["search", "x"]],
        ),
        ("sh", "HF_HUB_OFFLINE=1 python -m nlreid models 'c2d*' | head", [["models", "c2d*"]]),
        ("console", "$ nlreid models\nmodel  backbone", [["models"]]),
        ("text", "nlreid.create_model(\nnlreid: error: no\n.venv/bin/nlreid demo\nor nlreid demo", [["demo"]]),
    ],
)
def test_commands_are_found_where_they_stand(language, text, found):
    from docs.markdown import Block

    assert list(commands(Block(QUICK_START, 1, language, text))) == found


@pytest.mark.usefixtures("street", "one_thread")
def test_the_quick_start_runs(capsys):
    write_tracks({1: range(1, 6), 2: range(3, 8), 3: range(8, 13)})  # somebody may have come back
    drawn = [["demo"]]  # a gallery of drawn people takes 20 s; tests/cli has it in small
    shown = [arguments for block in blocks(QUICK_START) if block.language == "bash" for arguments in commands(block)]
    assert drawn[0] in shown
    for arguments in shown:
        if arguments not in drawn:
            assert main(arguments) == 0, capsys.readouterr().err
    assert "query: track 1" in capsys.readouterr().out
