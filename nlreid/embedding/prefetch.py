"""`prefetched`: an iterator that is ahead of its reader, by a thread that makes the next items while one is in use."""

from __future__ import annotations

import ctypes
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from itertools import islice
from queue import SimpleQueue
from threading import Lock, Semaphore, Thread, get_ident
from typing import Generic, TypeVar

import torch

T = TypeVar("T")

GRACE = 1.0  # seconds


def prefetched(items: Iterable[T], ahead: int) -> Generator[T, None, None]:
    """The same items in the same order, made in a thread of their own while the reader works on those before.

    Beside the item that the reader has, at most `ahead` others exist, made or in the making; what `items` itself holds is
    added to that. `items` is iterated and, if it is a generator, closed in the thread, within `torch.inference_mode` where
    the reader is in it, and with the reader's context variables. What is raised there, of whatever type, is raised here in
    its turn, with its own traceback.

    However this generator ends (after the last item, by an error of either side, by Ctrl-C, by `close`), the thread has
    ended too when it returns. It may finish the item that it makes; if that takes longer than `GRACE`, as where a video is
    decoded until the next person has passed, it is interrupted as Ctrl-C interrupts a program: between two steps of Python,
    by an exception, here a `GeneratorExit`. A step that never ends, outside of Python, is waited for.

    >>> list(prefetched(iter("abc"), 2))
    ['a', 'b', 'c']

    Args:
        items: What is gone through, once.
        ahead: How many items may be made ahead. 0 makes each when it is asked for, in the calling thread.
    """
    if not ahead:
        with closing_generator(iter(items)) as iterator:
            yield from iterator
        return
    producer = _Producer(items, ahead)
    try:
        producer.start()
        while made := producer.take():
            yield made.pop()  # and is held here no longer
    finally:
        producer.end()


@contextmanager
def closing_generator(iterator: Iterator[T]) -> Iterator[Iterator[T]]:
    """An iterator that is closed behind the `with` block if it is a generator; others have no common way."""
    try:
        yield iterator
    finally:
        if isinstance(iterator, Generator):
            iterator.close()


class _EndedError(GeneratorExit):
    """Raised in the thread, wherever it is, when its items are no longer wanted."""


class _Producer(Generic[T]):
    """The thread, and what it shares with its reader: room for items, the items, and how it ended."""

    def __init__(self, items: Iterable[T], ahead: int) -> None:
        self._items = items
        self._room = Semaphore(ahead)
        self._made: SimpleQueue[list[T]] = SimpleQueue()  # lists of one item, then an empty one
        self._error: BaseException | None = None
        self._unwanted = False
        self._interruptible = self._interrupted = False
        self._lock = Lock()  # of what is above
        # A daemon: where the program ends without its reader's thread, a daemon too, this one must not keep it from that.
        work = (copy_context().run, self._run, torch.is_inference_mode_enabled())
        self._thread = Thread(target=work[0], args=work[1:], name="nlreid-prefetch", daemon=True)

    # --- called by the reader

    def start(self) -> None:
        self._thread.start()

    def take(self) -> list[T]:
        """Wait for the next item: a list of it alone, or an empty one; or the error of the thread."""
        made = self._made.get()
        self._room.release()
        if self._error is not None and not made:
            try:
                raise self._error
            finally:
                self._error = None  # its traceback holds this frame, which must not hold it in turn
        return made

    def end(self) -> None:
        """Have the thread end, and wait until it has."""
        if self._thread.ident is None:  # it could not be started
            return
        self._unwanted = True
        self._room.release()  # where it waits for room, it wakes
        self._thread.join(GRACE)
        with self._lock:
            if self._interruptible and self._thread.is_alive():  # the number of a dead one may be another's
                self._interrupted = True
                _raise_in(self._thread.ident, _EndedError)
        self._thread.join()
        self._error = None

    # --- run in the thread

    def _run(self, inference: bool) -> None:
        try:
            with self._lock:
                self._interruptible = True
            with torch.inference_mode(inference):  # a thread has its own
                self._make()
            with self._lock:
                self._interruptible = False
            if self._interrupted:  # perhaps still on its way: sent again in its place, it arrives at once and here
                _raise_in(get_ident(), _EndedError)
        except _EndedError:
            pass

    def _make(self) -> None:
        try:
            with closing_generator(iter(self._items)) as iterator:
                while self._room.acquire() and not self._unwanted:
                    made = list(islice(iterator, 1))
                    if not made:
                        break
                    self._made.put(made)
        except _EndedError:
            raise
        except BaseException as error:  # of any type: it is raised again where the items are wanted
            self._error = error
        self._made.put([])


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise an exception in a thread before its next step of Python.

    One that was sent is never taken back, as the same call could do: Python 3.11 then looks for it ever after, and in a
    traced thread (a debugger, a tool that measures coverage) it does nothing else any more.
    """
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))
