"""Progress bars: the Hub client's, so that one switch (`HF_HUB_DISABLE_PROGRESS_BARS`) silences downloads and these."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TypeVar

from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

T = TypeVar("T")


def progress_bar(items: Iterable[T], description: str, unit: str, *, show: bool) -> Generator[T, None, None]:
    """The same items, with a progress bar on standard error while they are consumed.

    Items are taken one at a time, when they are asked for, and not held on to afterwards. Closing the generator ends the bar.

    Args:
        items: What is gone through; its length, where it has one, is the bar's.
        description: What is done.
        unit: What is counted.
        show: `False` shows nothing.
    """
    total = (len(items) or None) if isinstance(items, Sized) else None
    with tqdm(desc=description, unit=f" {unit}", total=total, disable=not show) as bar:  # type: ignore[no-untyped-call]
        for item in items:
            yield item
            del item  # a bar that iterates by itself would hold it while the next one is made
            bar.update()


@contextmanager
def counting_bar(description: str, unit: str, *, show: bool) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar for work that says by itself how far it is: a function to be called with how many are done, of how many.

    Of how many may be None, where nobody knows.

    Args:
        description: What is done.
        unit: What is counted.
        show: `False` shows nothing.
    """
    with tqdm(desc=description, unit=f" {unit}", disable=not show) as bar:  # type: ignore[no-untyped-call]

        def count(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield count
