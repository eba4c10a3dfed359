"""What torch's exporters say: nothing about their work, unless it is asked for, and of an error what it was in the end."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from nlreid.errors import shorten

LOGGERS = ("torch.onnx", "torch.export", "torch._inductor", "torch.utils.cpp_extension", "onnxscript", "onnx_ir")


@contextmanager
def quiet(verbose: bool) -> Iterator[None]:
    """The exporters log errors only inside the `with` block; what others log is not touched.

    Args:
        verbose: Whether everything is left as it is.
    """
    loggers = [] if verbose else list(map(logging.getLogger, LOGGERS))
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def reason(error: BaseException) -> str:
    """The first of the errors that led to this one, in a line; the others say where reports can be filed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {shorten(str(error), 500)}"
