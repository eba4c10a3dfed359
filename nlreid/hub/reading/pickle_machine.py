"""A pickle machine that calls nothing: it reads plain values and arrays of protocols 0 to 4, and refuses the rest.

A pickle is a program for a small stack machine. Python's own runs whatever function the program names, takes what `copyreg` has
registered without asking, sets attributes on whatever it has made, and makes room for as many memo slots as it is told to. This
one knows of the instructions (`pickletools` describes them) those that arrays need, and of names `GLOBALS`.
"""

from __future__ import annotations

import codecs
import os
import struct
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any, BinaryIO

from nlreid.errors import shorten
from nlreid.hub.reading.array_pickle import GLOBALS, Dtype, Global, PickledArray, Span, put, text

INSTRUCTIONS = 10_000_000  # a checkpoint has some 30 for each array; the limit keeps small files from making large heaps
_LONGEST = 1024  # a longer string stays in the file, and a longer number is none
_MARK = object()
_BOOLEANS = {b"00": False, b"01": True}  # as protocols 0 and 1 write them


def load(file: BinaryIO) -> Any:
    """What a pickle holds; the strings of Python 2 come as bytes, or as `Span` where they are long.

    Args:
        file: The file, from its start.

    Raises:
        UnpicklingError: If it asks for anything but arrays and plain values. A damaged one can raise other errors as well.
    """
    machine = _Machine(file)
    for _ in range(INSTRUCTIONS):
        code = machine.take(1)
        if code == b".":
            return machine.pop()
        step = _STEPS.get(code)
        if step is None:
            raise UnpicklingError(f"it has an instruction, 0x{code.hex()}, that no array needs")
        step(machine)
    raise UnpicklingError("it has more instructions than any checkpoint")


class _Machine:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.left = os.fstat(file.fileno()).st_size  # asked for more, a file would first make room for it
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def take(self, size: int) -> bytes:
        self._use(size)
        return self.file.read(size)

    def skip(self, size: int) -> None:
        self.take(size)

    def line(self) -> bytes:
        content = self.file.readline()
        self._use(len(content))
        if not content.endswith(b"\n"):
            raise UnpicklingError("it ends in the middle")
        return content[:-1]

    def string(self, size: int) -> bytes | Span:
        if size <= _LONGEST:
            return self.take(size)
        self._use(size)
        span = Span(self.file.tell(), size)
        self.file.seek(size, os.SEEK_CUR)
        return span

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def written(self, form: Callable[[bytes], Any]) -> Any:
        line = self.line()
        if len(line) > _LONGEST:
            raise UnpicklingError("it holds a number that is too long")
        return form(line)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise UnpicklingError("its instructions are out of order")
        return value

    def marked(self) -> list[Any]:
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def last(self, count: int) -> tuple[Any, ...]:
        return tuple([self.pop() for _ in range(count)][::-1])

    def _use(self, size: int) -> None:
        if not 0 <= size <= self.left:
            raise UnpicklingError("it ends in the middle")
        self.left -= size


def _protocol(machine: _Machine) -> None:
    version = machine.number("<B")
    if version > 4:
        raise UnpicklingError(
            f"it is a pickle of protocol {version}; Caffe2's files are of protocol 0 to 2, and copies of 3 and 4"
        )


def _quoted(machine: _Machine) -> None:
    line = machine.line()
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise UnpicklingError("it holds a string without quotes")
    machine.push(codecs.escape_decode(line[1:-1])[0])


def _global(machine: _Machine) -> None:
    _word(machine, f"{machine.line().decode('latin-1')}.{machine.line().decode('latin-1')}")


def _stack_global(machine: _Machine) -> None:
    module, name = machine.last(2)
    _word(machine, f"{text(module)}.{text(name)}")


def _word(machine: _Machine, name: str) -> None:
    if name not in GLOBALS:
        raise UnpicklingError(f"it asks for {shorten(name)}, and nothing but arrays is ever read")
    machine.push(Global(name))


def _reduce(machine: _Machine) -> None:
    word, arguments = machine.last(2)
    meaning = GLOBALS[word.name] if isinstance(word, Global) else None
    if meaning is None or type(arguments) is not tuple:
        raise UnpicklingError("it calls something that is no function")
    machine.push(meaning(*arguments))


def _build(machine: _Machine) -> None:
    target, state = machine.last(2)
    if not isinstance(target, Dtype | PickledArray):
        raise UnpicklingError("it sets the state of something that is no array")
    target.build(state)
    machine.push(target)


def _set(machine: _Machine, entries: list[Any]) -> None:
    for name, value in zip(entries[::2], entries[1::2], strict=True):
        put(machine.stack[-1], name, value)


def _extend(machine: _Machine, values: list[Any]) -> None:
    if type(machine.stack[-1]) is not list:
        raise UnpicklingError("its instructions are out of order")
    machine.stack[-1].extend(values)


def _dictionary(machine: _Machine) -> None:
    entries = machine.marked()
    machine.push({})
    _set(machine, entries)


def _memorise(machine: _Machine, slot: int) -> None:
    machine.memo[slot] = machine.stack[-1]


def _integer(line: bytes) -> int:
    return _BOOLEANS[line] if line in _BOOLEANS else int(line)


def _long(line: bytes) -> int:
    return int(line.removesuffix(b"L"))


_STEPS: dict[bytes, Callable[[_Machine], None]] = {
    b"\x80": _protocol,
    b"\x95": lambda machine: machine.skip(8),  # how long the next instructions are; they are read one by one
    # plain values
    b"N": lambda machine: machine.push(None),
    b"\x88": lambda machine: machine.push(True),
    b"\x89": lambda machine: machine.push(False),
    b"I": lambda machine: machine.push(machine.written(_integer)),
    b"J": lambda machine: machine.push(machine.number("<i")),
    b"K": lambda machine: machine.push(machine.number("<B")),
    b"M": lambda machine: machine.push(machine.number("<H")),
    b"L": lambda machine: machine.push(machine.written(_long)),
    b"\x8a": lambda machine: machine.push(int.from_bytes(machine.take(machine.number("<B")), "little", signed=True)),
    b"F": lambda machine: machine.push(machine.written(float)),
    b"G": lambda machine: machine.push(machine.number(">d")),
    b"S": _quoted,
    b"T": lambda machine: machine.push(machine.string(machine.number("<i"))),
    b"U": lambda machine: machine.push(machine.string(machine.number("<B"))),
    b"V": lambda machine: machine.push(machine.line().decode("raw-unicode-escape")),
    b"B": lambda machine: machine.push(machine.string(machine.number("<I"))),
    b"C": lambda machine: machine.push(machine.string(machine.number("<B"))),
    b"\x8e": lambda machine: machine.push(machine.string(machine.number("<Q"))),
    b"\x8c": lambda machine: machine.push(machine.take(machine.number("<B")).decode("utf-8")),
    b"X": lambda machine: machine.push(machine.take(machine.number("<I")).decode("utf-8")),
    # what holds values
    b"(": lambda machine: machine.push(_MARK),
    b")": lambda machine: machine.push(()),
    b"t": lambda machine: machine.push(tuple(machine.marked())),
    b"\x85": lambda machine: machine.push(machine.last(1)),
    b"\x86": lambda machine: machine.push(machine.last(2)),
    b"\x87": lambda machine: machine.push(machine.last(3)),
    b"]": lambda machine: machine.push([]),
    b"l": lambda machine: machine.push(machine.marked()),
    b"a": lambda machine: _extend(machine, [machine.pop()]),
    b"e": lambda machine: _extend(machine, machine.marked()),
    b"}": lambda machine: machine.push({}),
    b"d": _dictionary,
    b"s": lambda machine: _set(machine, list(machine.last(2))),
    b"u": lambda machine: _set(machine, machine.marked()),
    # what was made before
    b"p": lambda machine: _memorise(machine, machine.written(int)),
    b"q": lambda machine: _memorise(machine, machine.number("<B")),
    b"r": lambda machine: _memorise(machine, machine.number("<I")),
    b"\x94": lambda machine: _memorise(machine, len(machine.memo)),
    b"g": lambda machine: machine.push(machine.memo[machine.written(int)]),
    b"h": lambda machine: machine.push(machine.memo[machine.number("<B")]),
    b"j": lambda machine: machine.push(machine.memo[machine.number("<I")]),
    # arrays
    b"c": _global,
    b"\x93": _stack_global,
    b"R": _reduce,
    b"b": _build,
}
