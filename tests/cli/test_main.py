"""The command line as a whole: usage, exit statuses, and processes that are interrupted or not listened to."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import nlreid
from nlreid.cli import COMMANDS, build_parser, main


@pytest.mark.parametrize("command", [[], *([command.__name__.split(".")[-1]] for command in COMMANDS)])
def test_every_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: nlreid {' '.join(command)}".rstrip())


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"nlreid {nlreid.__version__}\n"


def test_usage_errors_name_what_is_wrong(misused):
    assert "COMMAND" in misused()
    assert "invalid choice: 'embd'" in misused("embd")
    assert "unrecognized arguments: --bottom 3" in misused("search", "people", "--query", "7", "--bottom", "3")
    assert "-o/--output" in misused("embed", "video.avi")
    assert "--query" in misused("search", "people")


def test_options_are_written_out(misused):
    """An abbreviation would change its meaning when options are added."""
    assert "--batch 4" in misused("embed", "video.avi", "-o", "people", "--batch", "4")
    assert "--to 4" in misused("search", "people", "--query", "7", "--to", "4")


def test_ctrl_c_is_status_130(capsys, monkeypatch):
    def interrupted(_arguments):
        raise KeyboardInterrupt

    parser = build_parser()
    monkeypatch.setattr("nlreid.cli.build_parser", lambda: parser)
    monkeypatch.setattr(parser, "parse_args", lambda _argv: type("Arguments", (), {"run": staticmethod(interrupted)}))
    assert main(["models"]) == 130
    assert capsys.readouterr() == ("", "nlreid: interrupted\n")


def test_ctrl_c_while_the_arguments_are_read_is_status_130(capsys, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("nlreid.cli.build_parser", interrupted)
    assert main(["models"]) == 130
    assert capsys.readouterr() == ("", "nlreid: interrupted\n")


@pytest.mark.parametrize("error", [ZeroDivisionError(), OSError(28, "No space left on device", "a file"), OSError(5_000, "?")])
def test_errors_that_are_not_ours_are_not_hidden(monkeypatch, error):
    def broken(*_):
        raise error

    monkeypatch.setattr("nlreid.cli.models.list_models", broken)
    with pytest.raises(type(error)):
        main(["models"])


def test_what_is_done_to_the_output_is_undone(monkeypatch):
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr("sys.stdout", output)
    monkeypatch.setattr("nlreid.cli.models.list_models", lambda: output.write("Zoë \udce9 人\n") and ["r3d50"])
    assert main(["models", "r3d50"]) == 0
    assert output.errors == "strict"
    assert output.buffer.getvalue().startswith(rb"Zo\xeb \udce9 \u4eba")


FULL = "nlreid: error: standard output: cannot be written (No space left on device)\n"
only_with_a_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")


@only_with_a_full_disk
@pytest.mark.parametrize(("arguments", "through"), [("models", False), ("models", True), ("--help", False)])
def test_output_that_goes_nowhere_is_an_error(capsys, monkeypatch, arguments, through):
    with io.TextIOWrapper(
        io.FileIO("/dev/full", "w") if through else Path("/dev/full").open("wb"), write_through=through
    ) as full:
        monkeypatch.setattr("sys.stdout", full)
        assert main([arguments]) == 1
    assert capsys.readouterr().err == FULL


def test_any_output_will_do(monkeypatch):
    output = io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    assert main(["models", "r3d50"]) == 0
    assert "r3d50" in output.getvalue()


# --- real processes


def run(code, *arguments, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": ""}  # buffered, as in a user's shell
    return subprocess.Popen([sys.executable, *code, *map(str, arguments)], env=environment, text=True, **options)


def test_nobody_needs_to_listen_to_the_end():
    """As in `nlreid models | head -1`: the other end of the pipe is closed before anything is written."""
    read, write = os.pipe()
    os.close(read)
    process = run(["-m", "nlreid"], "models", stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    _, errors = process.communicate(timeout=100)
    assert errors == ""
    assert process.returncode == 0


@only_with_a_full_disk
def test_a_full_disk_is_told_in_one_line():
    with Path("/dev/full").open("w") as full:
        process = run(["-m", "nlreid"], "models", stdout=full, stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (1, FULL)


def interrupt_when_ready(program, folder):
    """Sends SIGINT to a process that has said that it is in the middle of things, and waits there."""
    process = run(["-c", program], folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=100)
    finally:
        process.kill()
    return process.returncode, errors


EMBED_AND_WAIT = """
import signal, sys
from pathlib import Path
import nlreid.cli, nlreid.embedding.extract as extract

def wait():
    print("ready", flush=True)
    signal.pause()

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are started without
folder, run, batches = Path(sys.argv[1]), extract._run, []

def run_once(*arguments):
    batches.append(1)
    return run(*arguments) if len(batches) == 1 else wait()

extract._run = run_once
arguments = ["--model", "test_c2d", "--batch-size", "2", "--device", "cpu", "--quiet"]
sys.exit(nlreid.cli.main(["embed", str(folder / "people"), "-o", str(folder / "out"), *arguments]))
"""

READ_AND_WAIT = """
import signal, sys
from pathlib import Path
import nlreid, nlreid.cli

def wait(*_arguments):  # in the thread that reads ahead
    print("ready", flush=True)
    while True:
        pass

signal.signal(signal.SIGINT, signal.default_int_handler)
folder = Path(sys.argv[1])
nlreid.Tracklet.read = wait
arguments = ["--model", "test_c2d", "--device", "cpu", "--quiet"]
sys.exit(nlreid.cli.main(["embed", str(folder / "people"), "-o", str(folder / "out"), *arguments]))
"""

SAVE_AND_WAIT = """
import os, signal, sys
from pathlib import Path
import nlreid.cli

def wait(_descriptor):  # in the middle of writing: the bytes are not on the disk, the file has no name
    print("ready", flush=True)
    signal.pause()

signal.signal(signal.SIGINT, signal.default_int_handler)
folder = Path(sys.argv[1])
os.fsync = wait
arguments = ["--model", "test_c2d", "--device", "cpu", "--quiet"]
sys.exit(nlreid.cli.main(["embed", str(folder / "people"), "-o", str(folder / "out"), *arguments]))
"""


@pytest.mark.parametrize("program", [READ_AND_WAIT, EMBED_AND_WAIT, SAVE_AND_WAIT], ids=["reading", "embedding", "writing"])
def test_an_interrupted_process_leaves_nothing_new(street, program):
    street.people()
    (street.folder / "out").write_bytes(b"old")
    status, errors = interrupt_when_ready(program, street.folder)
    assert status == 130
    assert errors.splitlines()[-1] == "nlreid: interrupted"
    assert "Traceback" not in errors
    assert street.leftovers() == {"out"}
    assert (street.folder / "out").read_bytes() == b"old"
