"""The command line: `nlreid demo · models · info · weights · convert · export · embed · search · relink · evaluate`."""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import nlreid
from nlreid.cli import convert, demo, embed, evaluate, export, info, models, relink, search, several, weights
from nlreid.errors import NLReIDError

# Of an error without the name of a file: of what the library opens, errors have one.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)

COMMANDS = (demo, models, info, weights, convert, export, embed, search, relink, evaluate)


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(prog="nlreid", description=nlreid.__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"nlreid {nlreid.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors of the library go to standard error in one line.

    Args:
        argv: The arguments; by default the process's.

    Returns:
        The exit status: 0, 1 after an error, 130 after Ctrl-C.

    Raises:
        SystemExit: With 2 if the arguments cannot be understood, with 0 after `--help` and `--version`.
    """
    try:
        with _any_name_shown(), _warnings_shown():
            arguments = build_parser().parse_args(argv)
            with several.joined(arguments) as wanted:
                if wanted:
                    arguments.run(arguments)
            print(end="", flush=True)  # a broken pipe or a full disk shows here, not while Python shuts down
    except NLReIDError as error:
        print(f"nlreid: error: {several.name()}{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nlreid: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `nlreid models | head`
        _drop_output()
    except OSError as error:
        if error.filename is not None or error.errno not in _UNWRITABLE:
            raise
        print(f"nlreid: error: standard output: cannot be written ({error.strerror})", file=sys.stderr)
        _drop_output()
        return 1
    return 0


def _drop_output() -> None:
    """What is still to be written goes nowhere: Python would try again while it shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _any_name_shown() -> Iterator[None]:
    """Names that a terminal has no signs for are written with backslashes, rather than to end hours of work."""
    output = sys.stdout
    if not isinstance(output, io.TextIOWrapper):  # who calls from Python may have put anything there
        yield
        return
    before = output.errors
    output.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        output.reconfigure(errors=before)


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """The library's warnings on standard error; other libraries show theirs as they like."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("nlreid: %(message)s"))
    logger = logging.getLogger("nlreid")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
